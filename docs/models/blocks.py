"""Draw blocks.svg: the orders of a block's steps, and its shortcuts (He et al. 2016).

The orders are what blocks say of themselves. Run it as ``python -m docs.models.blocks``.
"""

from __future__ import annotations

import re
from pathlib import Path

from minires import nn

# What stands on the shortcut, and behind the branch F.
SHORTCUTS = {
    "A": ("", ""),
    "scaling": ("× α", "× β"),
    "exclusive_gating": ("× (1−g)", "× g"),
    "shortcut_only_gating": ("× (1−g)", ""),
    "C": ("1x1", ""),
    "dropout": ("dropout", ""),
}
FILLS = {"conv": "#cfe0ff", "norm": "#d5f0d8", "ReLU": "#ffe2c7", "F": "#cfe0ff"}
INK, GREY, OTHER = "#1f2328", "#57606a", "#eadcf7"
STEP, HEIGHT = 38, 26  # from box to box, and of a box
WIDTH, MARGIN = 840, 40
MONOSPACE = "ui-monospace, monospace"


def text(x: float, y: float, words: str, family: str = "system-ui, sans-serif") -> str:
    """Write words around x."""
    style = f'font-family="{family}" font-size="12.5" text-anchor="middle" fill="{INK}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{words}</text>'


def name(x: float, y: float, words: str) -> list[str]:
    """Write the name of an option, a long one in two lines."""
    middle = re.search("_(?=[a-z]*$)", words) if len(words) > 16 else None
    lines = [words] if middle is None else [words[: middle.end()], words[middle.end() :]]
    return [
        text(x, y + 16 * row, each, "ui-monospace, monospace") for row, each in enumerate(lines)
    ]


def box(x: float, y: float, words: str) -> str:
    """Draw a step around (x, y)."""
    width = 38 if len(words) < 4 else 62
    corner = f'x="{x - width / 2:g}" y="{y - HEIGHT / 2:g}" width="{width}" height="{HEIGHT}"'
    colours = f'fill="{FILLS.get(words, OTHER)}" stroke="{GREY}"'
    return f'<rect {corner} rx="5" {colours}/>{text(x, y + 4.5, words)}'


def addition(x: float, y: float) -> str:
    """Draw a plus in a circle."""
    circle = f'<circle cx="{x:g}" cy="{y:g}" r="11" fill="#ffffff" stroke="{INK}"/>'
    plus = f"M{x - 6:g} {y:g}h12M{x:g} {y - 6:g}v12"
    return f'{circle}<path d="{plus}" stroke="{INK}" stroke-width="1.5"/>'


def arrow(path: str) -> str:
    """Draw an arrow."""
    return f'<path d="{path}" fill="none" stroke="{GREY}" stroke-width="1.5" marker-end="url(#a)"/>'


def block(x: float, y: float, steps: list[str], aside: float, on_shortcut: str = "") -> list[str]:
    """Draw steps downwards from y, of which one is "+", and the shortcut so far to their left."""
    joined, left = y + STEP * (steps.index("+") + 1), x - aside
    around = f"H{left + 10:g}q-10 0 -10 10V{joined - 10:g}q0 10 10 10H{x - 13:g}"
    parts = [
        arrow(f"M{x:g} {y - 18:g}V{y + STEP * (len(steps) + 1) - 8:g}"),
        arrow(f"M{x:g} {y:g}{around}"),
    ]
    for number, step in enumerate(steps, 1):
        at = x, y + STEP * number
        parts.append(addition(*at) if step == "+" else box(*at, step))
    return [*parts, box(left, y + STEP, on_shortcut)] if on_shortcut else parts


def steps_of(order: str) -> list[str]:
    """Return what a block of this order says of itself, in the picture's words."""
    words = {"conv": "conv", "bn": "norm", "relu": "ReLU", "+ downsample": "+"}
    said = nn.BasicBlock(4, 4, order=order).extra_repr().split(", ")
    return [words[step.rstrip("0123456789")] for step in said]


def picture() -> str:
    """Return the whole picture: orders, and below them shortcuts."""
    orders = [order for order in nn.ORDERS if order != "linear"]
    parts, y = [], 48
    for number, order in enumerate(orders):
        x = MARGIN + (number + 0.5) * (WIDTH - 2 * MARGIN) / len(orders)
        parts += [*name(x, y, order), *block(x + 14, y + 48, steps_of(order), aside=50)]
    y += 48 + 8 * STEP + 30
    parts.append(f'<path d="M24 {y}H{WIDTH - 24}" stroke="#d0d7de"/>')
    y += 40
    for number, (kind, (on_shortcut, behind)) in enumerate(SHORTCUTS.items()):
        x = 20 + (number + 0.5) * (WIDTH - 40) / len(SHORTCUTS)
        steps = ["F", behind, "+"] if behind else ["F", "+"]
        parts += [*name(x, y, kind), *block(x + 30, y + 48, steps, 60, on_shortcut)]
    height = y + 48 + 4 * STEP + 16
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" role="img">'
        "<title>Five orders of a block's steps, and six kinds of shortcut</title>"
    )
    tip = (
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6"'
        f' orient="auto"><path d="M0 0L8 4L0 8z" fill="{GREY}"/></marker></defs>'
    )
    frame = f'x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"'
    ground = f'<rect {frame} fill="#ffffff" stroke="#d0d7de"/>'
    return "\n".join([head, tip, ground, *parts, "</svg>\n"])


if __name__ == "__main__":
    Path(__file__).with_name("blocks.svg").write_text(picture(), encoding="utf-8")
