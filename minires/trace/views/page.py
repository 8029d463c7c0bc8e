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

from .page_data import data_of

if TYPE_CHECKING:
    from ..trace import Trace


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
    style, logic, viewer = _asset("viewer.css"), _asset("viewer_logic.js"), _asset("viewer.js")
    policy = (
        f"default-src 'none'; script-src {_hash(logic)} {_hash(viewer)}; style-src {_hash(style)};"
        " base-uri 'none'; form-action 'none'"
    )
    title = " and ".join(pane["name"] for pane in data["panes"])
    pieces = {
        "policy": html.escape(policy),
        "title": html.escape(title),
        "style": style,
        "data": json_for_script(data),
        "logic": logic,
        "viewer": viewer,
    }
    # One pass, so that nothing that stands in the data can be taken for a placeholder.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: pieces[found[1]], _asset("viewer.html"))


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
