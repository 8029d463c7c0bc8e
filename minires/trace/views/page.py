"""The page: one HTML file that holds a trace, or two, and all that is needed to step through them.

It asks the network for nothing and runs no script but its own: its content security policy names
both scripts and the style by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from minires.serialize.atomic import atomic_write

from ..layout import layout_of
from .page_data import data_of
from .page_figures import gains_figure, log_axis, spectrum_figure

if TYPE_CHECKING:
    from ..trace import Trace

# In the order in which they run: each uses those before it.
SCRIPTS = (
    "viewer_words.js",
    "viewer_lines.js",
    "viewer_logic.js",
    "viewer_elements.js",
    "viewer_road.js",
    "viewer_step.js",
    "viewer.js",
)


def page_of(traces: Sequence[Trace], names: Sequence[str] | None = None) -> str:
    """Write one trace, or two side by side, as an HTML page.

    Parameters
    ----------
    traces : sequence of Trace
        One, or two that are aligned by module path and op.
    names : sequence of str, optional
        What to call them.

    Returns
    -------
    str
        A whole HTML page.

    Raises
    ------
    ValueError
        If there are not one or two traces.

    Examples
    --------
    >>> import minires as mr
    >>> x = mr.tensor([1.0, 2.0], requires_grad=True)
    >>> with mr.trace.record() as trace:
    ...     mr.ops.residual_add(x, 3 * x).sum().backward()
    >>> page_of([trace])[:15]
    '<!DOCTYPE html>'
    """
    data = data_of(traces, names)
    called = [pane["name"] for pane in data["panes"]]
    style, scripts = _asset("viewer.css"), [_asset(name) for name in SCRIPTS]
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts))};"
        f" style-src {_hash(style)}; base-uri 'none'; form-action 'none'"
    )
    pieces = {
        "policy": html.escape(policy),
        "title": html.escape(data["title"]),
        "style": style,
        "gains": _side_by_side(called, _gains(traces)),
        "spectra": _side_by_side(called, [_spectra(trace) for trace in traces]),
        "data": json_for_script(data),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    # One pass, so that nothing that stands in the data can be taken for a placeholder.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: pieces[found[1]], _asset("viewer.html"))


def _side_by_side(names: Sequence[str], figures: Sequence[str]) -> str:
    """Put the figures of the panes into their places, with their names."""
    return "".join(
        f'<div class="pane" data-pane="{place}"><p class="pane-name">{html.escape(name)}</p>'
        f"{figure}</div>"
        for place, (name, figure) in enumerate(zip(names, figures, strict=True))
    )


def _gains(traces: Sequence[Trace]) -> list[str]:
    """Draw the waterfall of each trace, all on one scale."""
    found = [trace.gains() for trace in traces]
    axis = log_axis([n for gains in found for g in gains for n in (g.before, g.after)], 8, 170)
    layout = layout_of(*[trace.structure for trace in traces])
    figures = []
    for side, (trace, gains) in enumerate(zip(traces, found, strict=True)):
        rows = {row.steps[side]: number for number, row in enumerate(layout.rows)}
        ways = [
            (
                gain.block,
                rows.get(trace.records.values[gain.output].op, ""),
                gain.before,
                gain.after,
            )
            for gain in gains
        ]
        nothing = "There is no block that the whole gradient passes through."
        figures.append(gains_figure(ways, axis) if ways else _nothing(trace, nothing))
    return figures


def _spectra(trace: Trace) -> str:
    drawn = [
        spectrum_figure(s.at, s.norms, s.shares, s.total, s.paths) for s in trace.records.spectra
    ]
    why = (
        "Not computed for this trace. Call <code>trace.path_spectrum()</code> before"
        " <code>trace.to_html(…)</code>, or run <code>minires trace</code> with"
        " <code>--spectrum</code>."
    )
    if not trace.structure.joins:
        why = "There is no residual addition here: no path crosses a branch."
    return "".join(drawn) or _nothing(trace, why)


def _nothing(trace: Trace, otherwise: str) -> str:
    """Say why a figure is missing."""
    if not trace.records.backward:
        otherwise = (
            "Backward has not run inside the with-block: call <code>loss.backward()</code> before"
            " it ends."
        )
    return f'<p class="empty">{otherwise}</p>'


def write_page(
    traces: Sequence[Trace], path: str | os.PathLike[str], names: Sequence[str] | None = None
) -> None:
    """Write `page_of` to a file, whole or not at all.

    Parameters
    ----------
    traces : sequence of Trace
    path : str or os.PathLike
    names : sequence of str, optional

    Raises
    ------
    ValueError
        If there are not one or two traces.
    OSError
        If the file cannot be written.
    """
    page = page_of(traces, names)
    with atomic_write(path, "w") as file:
        file.write(page)


def frame_of(traces: Sequence[Trace], names: Sequence[str] | None = None) -> str:
    """Write the page as a frame for a notebook; it works there without a kernel.

    Parameters
    ----------
    traces : sequence of Trace
    names : sequence of str, optional

    Returns
    -------
    str
        An ``<iframe>`` that may run the page's scripts and nothing else.
    """
    page = html.escape(page_of(traces, names), quote=True)
    return (
        '<iframe title="Trace viewer" sandbox="allow-scripts" width="100%" height="820"'
        f' frameborder="0" srcdoc="{page}"></iframe>'
    )


def json_for_script(data: Any) -> str:
    r"""Write JSON that may stand in a ``<script>`` element: no ``<``, no character outside ASCII.

    Examples
    --------
    >>> json_for_script("</script>")
    '"\\u003c/script>"'
    """
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("assets", name).read_text("utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
