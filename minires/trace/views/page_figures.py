"""The page's two still figures, each with its table: the gain waterfall and the path spectrum.

They do not depend on the step that is looked at, so that they are drawn here, as plain SVG that
the page's style colours.
"""

from __future__ import annotations

import html
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from .words import decades

WIDTH, LEFT = 420, 44


class Axis(NamedTuple):
    """A vertical axis: what lies at its two ends, and where they are."""

    low: float
    high: float
    top: float
    bottom: float
    log: bool

    def at(self, size: float) -> float:
        """Return the height of a size; what the axis cannot show lies at the end it is nearest."""
        if math.isnan(size) or size == math.inf:
            return self.top
        if not self.log:
            part = (size - self.low) / (self.high - self.low)
        elif size <= 0:
            return self.bottom
        else:
            low, high = math.log10(self.low), math.log10(self.high)
            part = min(1.0, max(0.0, (math.log10(size) - low) / (high - low)))
        return self.bottom - part * (self.bottom - self.top)

    def drawn(self) -> str:
        """Return its grid and labels."""
        if self.log:
            first, last = round(math.log10(self.low)), round(math.log10(self.high))
            each = max(1, -(-(last - first + 1) // 6))
            marks = [(10.0**power, f"10{_raised(power)}") for power in range(first, last + 1, each)]
        else:
            each_part = [self.low + part / 4 * (self.high - self.low) for part in range(5)]
            marks = [(size, f"{size:.2f}") for size in each_part]
        return "".join(
            f'<path class="grid" d="M{LEFT} {self.at(size):.1f}H{WIDTH}"/>'
            f'<text x="{LEFT - 6}" y="{self.at(size) + 4:.1f}" text-anchor="end">'
            f"{text.replace('-', '−')}</text>"
            for size, text in marks
        )


def log_axis(sizes: Sequence[float], top: float, bottom: float) -> Axis:
    """Return an axis of whole decades around all sizes that are positive and finite."""
    low, high = decades(sizes) or (-3, 0)
    return Axis(10.0**low, 10.0 ** max(high, low + 1), top, bottom, True)


def gains_figure(gains: Sequence[Sequence[Any]], axis: Axis) -> str:
    """Draw what each block does to the gradient's norm.

    Parameters
    ----------
    gains : sequence of (block, row, before, after)
        From the loss back; `row` is where the block's output stands on the page's road.
    axis : Axis
        Common to all that are to be compared.
    """
    wide = (WIDTH - LEFT) / len(gains)
    bar = max(1.5, min(18.0, wide * 0.62))
    marks = [axis.drawn(), *_stages([block for block, *_ in gains], wide, axis.bottom + 32)]
    for number, (block, row, before, after) in enumerate(gains):
        x = LEFT + (number + 0.5) * wide
        start, end = axis.at(before), axis.at(after)
        if number:
            marks.append(
                f'<path class="step" d="M{x - wide + bar / 2:.1f} {start:.1f}H{x - bar / 2:.1f}"/>'
            )
        marks.append(
            f'<rect class="{"up" if after > before else "down"}" x="{x - bar / 2:.1f}"'
            f' y="{min(start, end):.1f}" width="{bar:.1f}"'
            f' height="{max(1.0, abs(start - end)):.1f}"/>' + _mark(after, x, axis)
        )
        marks.append(
            f'<rect class="hit" data-row="{row}" x="{x - wide / 2:.1f}" y="0" width="{wide:.1f}"'
            f' height="{axis.bottom + 36}"><title>{html.escape(block)}: {said(before)} →'
            f" {said(after)}</title></rect>"
        )
    first_norm, last_norm = gains[0][2], gains[-1][3]
    way = (
        f"{said(first_norm)} at the loss, {said(last_norm)} at the stem:"
        f" × {said(_ratio(first_norm, last_norm))}"
    )
    rows = [(b, said(x), said(y), f"× {said(_ratio(x, y))}") for b, _, x, y in gains]
    foot = ("all the way", said(first_norm), said(last_norm))
    return (
        _chart(marks, axis.bottom + 38, f"Waterfall of the gradient norm. {way}.")
        + f'<p class="hint">{way}</p>'
        + _table(
            "Gradient norm behind and before each block",
            ("block", "behind", "before", "gain"),
            rows,
            (*foot, f"× {said(_ratio(first_norm, last_norm))}"),
        )
    )


def _stages(blocks: Sequence[str], wide: float, y: float) -> list[str]:
    """Name the stages below their blocks, where there is room; those of one block last."""
    starts = [
        (stage, list(members))
        for stage, members in itertools.groupby(
            range(len(blocks)), key=lambda at: blocks[at].split(".")[0]
        )
    ]
    taken: list[tuple[float, float]] = []
    labels = []
    for stage, members in sorted(starts, key=lambda each: -len(each[1])):
        x = LEFT + (members[0] + 0.2) * wide
        end = x + 6.5 * len(stage) + 6
        if end < WIDTH + 10 and all(end < a or b < x for a, b in taken):
            taken.append((x, end))
            labels.append(f'<text x="{x:.1f}" y="{y}">{html.escape(stage)}</text>')
    return labels


def spectrum_figure(
    at: str,
    norms: Sequence[float],
    shares: Sequence[float | None],
    total: float,
    paths: Sequence[int],
) -> str:
    """Draw the parts of a gradient by how many branches they crossed: shares above, norms below."""
    known = [share for share in shares if share is not None]
    upper = Axis(min(0.0, *known, 0.0), max(0.1, *known, 0.1), 8, 120, False)
    lower = log_axis(norms, 8, 100)
    wide = (WIDTH - LEFT) / len(norms)
    bar, room = min(18.0, wide * 0.62), max(1, -(-len(norms) // 14))
    above = [upper.drawn(), f'<path class="strong" d="M{LEFT} {upper.at(0):.1f}H{WIDTH}"/>']
    below = [lower.drawn()]
    points = []
    for crossed, (norm, share) in enumerate(zip(norms, shares, strict=True)):
        x = LEFT + (crossed + 0.5) * wide
        if share is not None:
            height = abs(upper.at(0) - upper.at(share))
            above.append(
                f'<rect class="{"down" if share < 0 else "up"}" x="{x - bar / 2:.1f}"'
                f' y="{min(upper.at(0), upper.at(share)):.1f}" width="{bar:.1f}"'
                f' height="{max(0.8, height):.1f}"/>'
            )
        if crossed % room == 0:
            above.append(f'<text x="{x:.1f}" y="138" text-anchor="middle">{crossed}</text>')
        if 0 < norm < math.inf:
            points.append(f"{x:.1f} {lower.at(norm):.1f}")
            below.append(f'<circle class="dot" cx="{x:.1f}" cy="{lower.at(norm):.1f}" r="2.6"/>')
        below.append(_mark(norm, x, lower))
    if points:
        below.append(f'<path class="profile" d="M{"L".join(points)}"/>')
    name = html.escape(at)
    told = ", ".join(f"{k}: {_share(share)}" for k, share in enumerate(shares))
    rows = [
        (str(k), f"{count:,}", said(norm), _share(share))
        for k, (count, norm, share) in enumerate(zip(paths, norms, shares, strict=True))
    ]
    return (
        "<figure>"
        + _chart(
            above, 144, f"Signed shares of the gradient at {name}, by branches crossed: {told}"
        )
        + _chart(below, 122, "Norms of the same parts; the table below has them")
        + f"<figcaption>At {name}. Above: the signed share of each part; they add up to 1."
        " Below: its norm.</figcaption>"
        + _table(
            f"Path spectrum at {at}",
            ("branches", "paths", "norm", "share"),
            rows,
            ("all", f"{sum(paths):,}", said(total), _share(math.fsum(known) if known else None)),
        )
        + "</figure>"
    )


def said(size: float) -> str:
    """Write a number with three digits.

    Examples
    --------
    >>> said(0.02491), said(-2.5e-07), said(float("nan"))
    ('0.0249', '−2.50×10⁻⁷', 'NaN')
    """
    if not math.isfinite(size):
        return "NaN" if math.isnan(size) else "∞" if size > 0 else "−∞"
    if size == 0 or 1e-3 <= abs(size) < 1e5:
        text = f"{size:#.3g}" if size else "0"
        return (str(round(size)) if "e" in text else text.rstrip(".")).replace("-", "−")
    head, power = f"{size:.2e}".split("e")
    return f"{head}×10{_raised(int(power))}".replace("-", "−")


def _raised(power: int) -> str:
    return str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _share(share: float | None) -> str:
    return "no share" if share is None else f"{share:.3f}".replace("-", "−")


def _ratio(before: float, after: float) -> float:
    return after / before if before else math.nan


def _mark(size: float, x: float, axis: Axis) -> str:
    """Say what an axis of logarithms has no place for."""
    if 0 < size < math.inf:
        return ""
    style, y = ("ink", axis.bottom + 18) if size == 0 else ("alarm", axis.top + 2)
    return f'<text class="{style}" x="{x:.1f}" y="{y}" text-anchor="middle">{said(size)}</text>'


def _chart(marks: Sequence[str], height: float, label: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">'
        + "".join(marks)
        + "</svg>"
    )


def _table(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], foot: Sequence[str]
) -> str:
    def row(cells: Sequence[str], tag: str) -> str:
        rest = "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells[1:])
        return f'<tr><th scope="row">{html.escape(cells[0])}</th>{rest}</tr>'

    label = html.escape(caption)
    heads = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in head)
    return (
        "<details><summary>The same as a table</summary>"
        f'<div class="wide" role="region" tabindex="0" aria-label="{label}"><table>'
        f'<caption class="visually-hidden">{label}</caption><thead><tr>{heads}</tr></thead><tbody>'
        + "".join(row(cells, "td") for cells in rows)
        + f"</tbody><tfoot>{row(foot, 'td')}</tfoot></table></div></details>"
    )
