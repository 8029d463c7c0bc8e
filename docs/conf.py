"""How Sphinx builds the site, in each language; `minires docs` calls it."""

from __future__ import annotations

import html
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from sphinx.search import SearchLanguage

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import minires  # noqa: E402
from docs.gallery import write_gallery  # noqa: E402
from docs.translation import TUTORIALS  # noqa: E402
from minires.tutorials import all_tutorials  # noqa: E402

project = "minires"
author = "The minires authors"
copyright = author
version = release = minires.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx-mathjax-offline",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_generated", "_static", "_templates", "lab/results", "zh_CN"]
suppress_warnings = ["ref.python"]  # "images : int" in a docstring is no reference
copybutton_prompt_text = ">>> "

# Tutorials come with their outputs: `python -m docs.record` executes them.
nb_execution_mode = "off"
nb_merge_streams = True

myst_enable_extensions = [
    "amsmath",
    "attrs_inline",
    "colon_fence",
    "deflist",
    "dollarmath",
    "substitution",
]
smartquotes_action = "qe"  # dashes stay, for options have two
myst_heading_anchors = 3
bibtex_bibfiles = [str(HERE / "references.bib")]
bibtex_default_style = "alpha"

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say it, with shapes
default_role = "code"
napoleon_use_ivar = True

html_theme = "pydata_sphinx_theme"
html_title = "minires"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["minires.css"]
html_theme_options = {
    "navbar_end": ["language", "theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_toc_level": 2,
    # A tutorial is read from top to bottom, and its outputs want the room.
    "secondary_sidebar_items": {"**": ["page-toc"]}
    | {f"tutorials/{each.name}": [] for each in all_tutorials()},
}
html_sidebars = {"**": ["sidebar-nav-bs"], "start": [], "gallery": [], "search": []}
html_context = {
    # Which pages there are in both languages.
    "translated": ["index", "tutorials/index"]
    + [f"tutorials/{each.name}" for each in all_tutorials() if each.number in TUTORIALS],
}
html_copy_source = False
html_show_sourcelink = False
html_extra_path = ["_generated"]


def _table_of_tutorials() -> str:
    rows = [
        f"| {each.number} | [{each.title}]({each.name}.ipynb) | {each.minutes} |"
        for each in all_tutorials()
    ]
    return "\n".join(["| | tutorial | minutes |", "|---|---|---|", *rows])


myst_substitutions = {"tutorials": _table_of_tutorials()}


# Docstrings are written to be read in a terminal, where |x| is a norm and (N, *) a shape.
_LITERAL = re.compile(r"(``.+?``|`.+?`|(?<![\w*])\*{1,2}\w[^*]*\*{1,2}(?!\w))")


def plain_signs(line: str) -> str:
    """Escape what reStructuredText would take for markup in a line of a docstring."""
    if line.lstrip().startswith((">>>", "...", ".. ")):
        return line
    parts = _LITERAL.split(line)
    parts[::2] = [re.sub(r"([|*])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def _escape(
    app: Any, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    lines[:] = [plain_signs(line) for line in lines]


class Chinese(SearchLanguage):
    """Search for Chinese by pairs of characters, which needs no dictionary of words."""

    lang = "zh"
    language_name = "Chinese"
    _runs = re.compile(r"[\u3400-\u9fff]+|[a-zA-Z0-9_]+")
    js_splitter_code = r"""
var splitQuery = (query) => (query.match(/[\u3400-\u9fff]+|[a-zA-Z0-9_]+/g) || []).flatMap(
  (run) => run.length === 1 || /\w/.test(run) ? [run]
    : [...run].slice(1).map((_, place) => run.substring(place, place + 2)));
"""

    def split(self, text: str) -> list[str]:
        """Return words of Latin letters, and each pair of neighbours of Chinese characters."""
        return [
            part
            for run in self._runs.findall(text)
            for part in ([run] if run.isascii() or len(run) == 1 else map("".join, _pairs(run)))
        ]

    def word_filter(self, word: str) -> bool:
        """Tell whether a word is looked for."""
        return bool(word)


def _pairs(run: str) -> Any:
    return itertools.pairwise(run)


def legible_help(text: str) -> str:
    """Mend the page that Typer writes of the commands: examples as code, and whole summaries."""
    sections = re.findall(r"(?m)^#+ `(minires .+)`\n\n(.+?)(?:\. |\.?$)", text)
    summaries = {command: summary + "." for command, summary in sections}
    lines, parent = [], "minires"
    for line in text.splitlines():
        if heading := re.match(r"#+ `(minires .+)`", line):
            parent = heading[1]
        if item := re.match(r"\* `([a-z-]+)`: .*\.\.\.$", line):
            line = f"* `{item[1]}`: {summaries[f'{parent} {item[1]}']}"
        lines.append(line)
    examples = re.compile(r"\n\n\n((?:[^\n*#].*\n)+)")
    text = html.unescape("\n".join(lines) + "\n")
    return examples.sub(r"\n\n```console\n\1```\n", text)


def _generate(app: Any, config: Any) -> None:
    """Write the pages that minires itself makes: its traces, and the help of its commands."""
    if config.language == "en":
        write_gallery(HERE / "_generated" / "traces")
        made = [sys.executable, "-m", "typer", "minires.cli.entry", "utils", "docs"]
        made += ["--name", "minires", "--title", "Commands"]
        text = subprocess.run(made, capture_output=True, text=True, check=True).stdout
        text = legible_help(text)
        page = HERE / "reference" / "commands.md"
        if not page.is_file() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")
    else:
        config.html_extra_path = []
        config.html_theme_options["search_bar_text"] = "搜索…"


def _prepare_tutorial(app: Any, name: str, source: list[str]) -> None:
    """Say on a tutorial's page where its notebook and script are, and what computing it took.

    Its links to documents lead from the folder of tutorials; on the site they are a folder higher.
    """
    if not re.fullmatch(r"tutorials/\d\d_\w+", name):
        return
    notebook, stem = json.loads(source[0]), name.removeprefix("tutorials/")
    seconds = notebook["metadata"]["minires"]["seconds"]
    script = os.path.relpath(HERE.parent / f"{name}.py", Path(app.srcdir) / "tutorials")
    text = DOWNLOADS[app.config.language].format(stem=stem, script=script, seconds=seconds)
    cell = {"cell_type": "markdown", "id": "downloads", "metadata": {}, "source": text}
    notebook["cells"].insert(1, cell)
    for each in notebook["cells"]:
        text = "".join(each["source"])
        if each["cell_type"] == "markdown":
            each["source"] = text.replace("](../docs/", "](../")
        elif shown := each["metadata"].get("mystnb", {}).get("code_prompt_show"):
            prompts = each["metadata"]["mystnb"]
            each["source"] = text.removeprefix(f"# {shown}\n")
            if app.config.language != "en":
                prompts["code_prompt_show"] = prompts["code_prompt_hide"] = PROMPTS[shown]
    source[0] = json.dumps(notebook)


PROMPTS = {
    "A solution": "参考答案",
    "Wrong answers, and what the check says": "错误的答案与检查的反馈",
}
DOWNLOADS = {
    "en": "{{download}}`The notebook <{stem}.ipynb>` · {{download}}`as a script <{script}>` ·"
    " executed in {seconds} s",
    "zh_CN": "{{download}}`笔记本 <{stem}.ipynb>` · {{download}}`脚本 <{script}>` ·"
    " 运行用时 {seconds} 秒",
}


def setup(app: Any) -> None:
    """Let Sphinx call what stands above."""
    app.connect("config-inited", _generate, priority=100)  # before Sphinx looks for files
    app.connect("source-read", _prepare_tutorial)
    app.connect("autodoc-process-docstring", _escape, priority=100)  # before napoleon
    app.add_search_language(Chinese)
