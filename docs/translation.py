"""The Chinese edition: translated paragraph by paragraph, over the same source.

A *message* is what stands between two empty lines of a Markdown text: a paragraph, a list, a table,
a heading. Code and formulas that stand alone are no messages, so that they exist once. Translations
are gettext catalogues, one for each text, in ``docs/zh_CN``.

`python -m docs.translation` brings the catalogues up to date with the sources, marks what is to be
translated again as fuzzy, and writes README.zh-CN.md; `--check` tells only whether something is
missing, and is what the tests ask.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages import pofile
from babel.messages.catalog import Catalog

from minires.serialize import atomic_write
from minires.tutorials import all_tutorials
from minires.tutorials.notebooks import as_notebook

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "zh_CN"
README = "README"
TUTORIALS = (1, 3, 8, 9, 10, 11, 12, 21)
_CHINESE = r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef“”—…]"
_BREAK = re.compile(rf"(?<={_CHINESE})\n *(?={_CHINESE})")
_ALONE = re.compile(r"(```|\$\$|</?details>$|!\[)")

# Babel's own has dates, and so would change whenever a catalogue is written.
_HEADER = r"""# The Chinese edition of minires: python -m docs.translation
msgid ""
msgstr ""
"Language: zh_CN\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=utf-8\n"
"Content-Transfer-Encoding: 8bit\n"

"""
# What a translation must leave as it is.
_KEPT = {
    "code": re.compile(r"`[^`]+`"),
    "links": re.compile(r"\]\(([^)]+)\)"),
    "formulas": re.compile(r"\$[^$]+\$"),
    "items and rows": re.compile(r"^ *([-*|]|\d+\.|#+)(?= )", re.MULTILINE),
}


def chunks(text: str) -> Iterator[tuple[str, bool]]:
    r"""Split a Markdown text at its empty lines; tell of each piece whether it is a message.

    Examples
    --------
    >>> list(chunks("A word.\n\n```python\nx = 1\n\ny = 2\n```"))
    [('A word.', True), ('```python\nx = 1\n\ny = 2\n```', False)]
    """
    piece: list[str] = []
    fenced = False
    for line in [*text.split("\n"), ""]:
        fences = line.lstrip().startswith("```")
        if line or fenced:
            piece.append(line)
        elif piece:
            whole = "\n".join(piece)
            yield whole, not _ALONE.match(whole)
            piece = []
        fenced ^= fences


def translated(text: str, catalog: Catalog) -> str:
    """Return a Markdown text with its messages replaced by their translations.

    A line that breaks between Chinese characters is joined, for a browser would show a space there.

    Raises
    ------
    LookupError
        If a message has none, or one that is fuzzy.
    """
    return "\n\n".join(
        _translation(piece, catalog) if is_message else piece for piece, is_message in chunks(text)
    )


def _translation(text: str, catalog: Catalog) -> str:
    message = catalog.get(text)
    if message is None or message.fuzzy or not message.string:
        raise LookupError(f"no translation of: {text[:80]!r}")
    return _BREAK.sub("", str(message.string))


def sources() -> dict[str, list[str]]:
    """Return the texts that are translated: for each name its parts in Markdown."""
    texts = {README: [(ROOT / "README.md").read_text(encoding="utf-8")]}
    for tutorial in all_tutorials():
        if tutorial.number in TUTORIALS:
            cells = as_notebook(tutorial.path).cells
            texts[tutorial.name] = [c.source for c in cells if c.cell_type == "markdown"]
    return texts


def catalog_of(name: str) -> Catalog:
    """Return the catalogue of a text; an empty one if there is none yet."""
    path = FOLDER / f"{name}.po"
    if not path.is_file():
        return Catalog(locale="zh_CN")
    with path.open("rb") as file:
        return pofile.read_po(file, locale="zh_CN", abort_invalid=True)


def updated(name: str, parts: list[str]) -> Catalog:
    """Return a text's catalogue with the messages that the text has now."""
    template = Catalog(charset="utf-8")
    for part in parts:
        for piece, is_message in chunks(part):
            if is_message:
                template.add(piece)
    catalog = catalog_of(name)
    catalog.update(template)
    catalog.obsolete.clear()
    return catalog


def faults() -> Iterator[str]:
    """Say what the Chinese edition lacks."""
    for name, parts in sources().items():
        for message in updated(name, parts):
            if message.id and (message.fuzzy or not message.string):
                state = "fuzzy" if message.fuzzy else "not translated"
                yield f"{name}: {state}: {str(message.id)[:70]!r}"
            for kind, pattern in _KEPT.items():
                if message.id and message.string:
                    before = sorted(pattern.findall(str(message.id)))
                    after = sorted(pattern.findall(str(message.string)))
                    if before != after:
                        yield f"{name}: {kind} differ, {before} and {after}"


def readme() -> str:
    """Return the Chinese README."""
    (text,) = sources()[README]
    return translated(text, catalog_of(README)) + "\n"


def write() -> None:
    """Bring the catalogues up to date, and write the Chinese README if it is complete."""
    FOLDER.mkdir(exist_ok=True)
    for name, parts in sources().items():
        content = io.BytesIO(_HEADER.encode())
        content.seek(0, io.SEEK_END)
        pofile.write_po(content, updated(name, parts), width=0, omit_header=True)
        with atomic_write(FOLDER / f"{name}.po") as file:
            file.write(content.getvalue())
    try:
        text = readme()
    except LookupError as error:
        sys.stderr.write(f"README.zh-CN.md was not written: {error}\n")
        return
    with atomic_write(ROOT / "README.zh-CN.md", "w") as file:
        file.write(text)


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m docs.translation", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    if not parser.parse_args().check:
        write()
    found = list(faults())
    sys.stdout.writelines(f"{fault}\n" for fault in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
