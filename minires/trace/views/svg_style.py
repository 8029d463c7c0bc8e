"""The colours of the static picture. Colour is never the only cue: shortcuts are dashed."""

from __future__ import annotations

from typing import NamedTuple


class _Colours(NamedTuple):
    ground: str
    ink: str
    dim: str
    faint: str
    bar: str
    shortcut: str
    branch: str
    alarm: str


# Shortcut and branch are the blue and the orange of Okabe and Ito, lighter on dark ground; as text
# the orange is a shade darker on white, so that it is legible.
_LIGHT = _Colours(
    "#ffffff", "#1c2127", "#59626c", "#d9dee4", "#1c2127", "#0072b2", "#b84f00", "#b00020"
)
_DARK = _Colours(
    "#171b20", "#e4e8ec", "#a3adb8", "#3b434c", "#e4e8ec", "#56a8e0", "#f0813d", "#ff8a80"
)


def _rules(colours: _Colours) -> str:
    c = colours
    return (
        f".mrt-ground{{fill:{c.ground}}}"
        f".mrt text{{fill:{c.ink}}}"
        f".mrt text.mrt-dim{{fill:{c.dim}}}"
        f".mrt text.mrt-alarm{{fill:{c.alarm}}}"
        f".mrt text.mrt-ink-s{{fill:{c.shortcut}}}"
        f".mrt text.mrt-ink-b{{fill:{c.branch}}}"
        f".mrt-bar,.mrt-node{{fill:{c.bar}}}"
        f".mrt-grid{{stroke:{c.faint}}}"
        f".mrt-arc,.mrt-ghost{{stroke:{c.dim}}}"
        f".mrt-road{{stroke:{c.ink}}}"
        f".mrt-join{{fill:{c.ground};stroke:{c.ink}}}"
        f".mrt-s{{stroke:{c.shortcut}}}"
        f".mrt-b{{stroke:{c.branch}}}"
    )


STYLE = (
    ".mrt text{font:12px system-ui,'Segoe UI','DejaVu Sans',sans-serif;white-space:pre}"
    ".mrt text.mrt-title,.mrt text.mrt-block{font-weight:600}"
    ".mrt path{fill:none}"
    ".mrt-arc{stroke-width:1}"
    ".mrt-s{stroke-width:2;stroke-dasharray:5 2.5}"
    ".mrt-b{stroke-width:2.5}"
    ".mrt-ghost{fill:none;stroke-dasharray:1.5 3.5}"
    f"{_rules(_LIGHT)}@media (prefers-color-scheme:dark){{{_rules(_DARK)}}}"
)
