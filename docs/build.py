"""Build the site: English at the top, the Chinese edition in its folder zh.

`python -m docs.build --out FOLDER`, which `minires docs` runs. Warnings are errors. Nothing is
executed but the gallery's traces, and nothing is fetched.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

from docs import translation
from minires.tutorials import all_tutorials

DOCS = Path(__file__).resolve().parent
# Stands in a folder that a site was built in, even if that was broken off.
MARK = ".minires-site"
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)([^)]+)\)")
_PICTURE = re.compile(r"(?<=\]\()(docs/[^)]+\.(?:svg|png))(?=\))")


def build(out: Path) -> None:
    """Write the site into a folder, in the place of what is there.

    Raises
    ------
    subprocess.CalledProcessError
        If Sphinx fails, or warns; it has said of what.
    """
    if out.is_dir():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    (out / MARK).touch()
    with tempfile.TemporaryDirectory() as scratch:
        _sphinx(DOCS, out, Path(scratch) / "en", "en")
        chinese = Path(scratch) / "source"
        lay_out_chinese(chinese)
        _sphinx(chinese, out / "zh", Path(scratch) / "zh", "zh_CN")


def _sphinx(source: Path, out: Path, state: Path, language: str) -> None:
    options = ["-q", "-W", "--keep-going", "-c", str(DOCS), "-d", str(state)]
    options += ["-D", f"language={language}"]
    command = [sys.executable, "-m", "sphinx", *options, str(source), str(out)]
    subprocess.run(command, check=True)


def lay_out_chinese(folder: Path) -> None:
    """Write the sources of the Chinese edition: the README as the first page, and tutorials."""
    (folder / "tutorials").mkdir(parents=True)
    names = [each.name for each in all_tutorials() if each.number in translation.TUTORIALS]
    for name in names:
        notebook = nbformat.read(DOCS / "tutorials" / f"{name}.ipynb", as_version=4)
        catalog = translation.catalog_of(name)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                text = translation.translated(cell.source, catalog)
                cell.source = _LINK.sub(lambda link: _link_of_tutorial(link, names), text)
        nbformat.write(notebook, folder / "tutorials" / f"{name}.ipynb")
    text = _LINK.sub(_link_of_readme, translation.readme())
    for picture in _PICTURE.findall(text):
        shutil.copy(DOCS.parent / picture, folder)
    text = _PICTURE.sub(lambda picture: Path(picture[1]).name, text)
    contents = "```{toctree}\n:hidden:\n\ntutorials/index\n```\n"
    (folder / "index.md").write_text(f"{text}\n{contents}", encoding="utf-8")
    entries = "\n".join(names)
    listed = f"# 教程\n\n```{{toctree}}\n:maxdepth: 1\n\n{entries}\n```\n"
    more = _to_page("其余的教程目前只有英文。", "../../tutorials/index.md")
    (folder / "tutorials" / "index.md").write_text(f"{listed}\n{more}\n", encoding="utf-8")


def _link_of_tutorial(link: re.Match[str], names: list[str]) -> str:
    """Return a link of a Chinese tutorial; to an English page, where there is no Chinese one."""
    text, target = link.groups()
    if target.endswith(".ipynb"):
        stem = Path(target).stem
        return link[0] if stem in names else _to_page(text, f"../../tutorials/{target}")
    return _to_page(text, f"../../{target.removeprefix('../docs/')}")


def _link_of_readme(link: re.Match[str]) -> str:
    """Return a link of the Chinese README; CONTRIBUTING.md and CHANGELOG.md have pages as well."""
    text, target = link.groups()
    if target.startswith("README"):
        return _to_page(text, "index.md" if "zh" in target else "../index.md")
    if target.startswith("docs/"):
        return _to_page(text, f"../{target.removeprefix('docs/')}")
    return _to_page(text, f"../{target.lower()}")


def _to_page(text: str, target: str) -> str:
    """Return a link to a page of the English site, from the name of its source.

    In HTML, for Sphinx, which builds one language at a time, would look for the source.
    """
    path, _, place = target.partition("#")
    page = path.removesuffix(".md").removesuffix(".ipynb") + ".html"
    return f'<a href="{page}{place and "#" + place}">{text}</a>'


def main() -> int:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m docs.build", description=__doc__)
    parser.add_argument("--out", type=Path, default=DOCS.parent / "build" / "site")
    out = parser.parse_args().out.resolve()
    if out.is_dir() and any(out.iterdir()) and not (out / MARK).is_file():
        parser.error(f"--out: {out} has other things in it; name a folder of its own")
    try:
        build(out)
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
