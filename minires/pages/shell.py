"""A whole page: one file that needs no network and runs no script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib import resources

from .markup import escape


def page(title: str, sections: Iterable[str], *, style: str = "", reload_after: int = 0) -> str:
    """Write a page, light or dark as its reader's system is.

    Parameters
    ----------
    title : str
    sections : iterable of str
        The page's body, as HTML: what goes into it must be escaped already.
    style : str
        CSS beside that of all pages. The page's policy allows no other.
    reload_after : int
        Seconds after which a browser is to read the file again; 0 for never.

    Returns
    -------
    str
        HTML, also well-formed XML.

    Examples
    --------
    >>> "<title>A &amp; B</title>" in page("A & B", ["<p>so far</p>"], reload_after=30)
    True
    """
    style = resources.files(__package__).joinpath("page.css").read_text("utf-8") + style
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none';"
        " form-action 'none'"
    )
    again = f'<meta http-equiv="refresh" content="{reload_after}"/>\n' if reload_after else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}"/>\n{again}'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        '<meta name="color-scheme" content="light dark"/>\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(sections)
        + "\n</main>\n</body>\n</html>\n"
    )
