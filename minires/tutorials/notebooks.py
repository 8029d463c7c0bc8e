"""Tutorials as Jupyter notebooks: converted, and executed with warnings as errors."""

from __future__ import annotations

import copy
import itertools
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .exercise import NOT_WRITTEN, RIGHT, WRONG

if TYPE_CHECKING:
    from nbformat import NotebookNode

# What a learner sees of a folded cell, and what its checks must have printed.
FOLDED = {"solution": "A solution", "wrong-answers": "Wrong answers, and what the check says"}
EXPECTED = {"exercise": NOT_WRITTEN, "solution": RIGHT, "wrong-answers": WRONG}
_VERDICT = re.compile(r"^\w+(?: \(\w+\))?: (not written yet\.|right\.|wrong\.)", re.MULTILINE)
# The kernel's own code is not on trial.
_STRICT = "; ".join(
    [
        "import warnings",
        "warnings.simplefilter('error')",
        "warnings.filterwarnings('ignore', module='ipykernel')",
    ]
)
_LINK = re.compile(r"\]\((\d\d_\w+)\.py(?=[#)])")


def as_notebook(path: Path) -> NotebookNode:
    """Return a tutorial as a notebook without outputs.

    Solutions are folded, and links to other tutorials lead to their notebooks.

    Parameters
    ----------
    path : pathlib.Path

    Raises
    ------
    ImportError
        Without Jupytext (extra ``tutorials``).
    """
    try:
        import jupytext
    except ImportError as error:
        raise ImportError(
            "a tutorial becomes a notebook by Jupytext, which is not installed:"
            " python -m pip install 'minires[tutorials]'"
        ) from error
    notebook: NotebookNode = jupytext.read(path)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata.pop("lines_to_next_cell", None)
        if cell.cell_type == "markdown":
            cell.source = _LINK.sub(r"](\1.ipynb", cell.source)
        for tag in set(cell.metadata.get("tags", ())) & set(FOLDED):
            cell.source = f"# {FOLDED[tag]}\n{cell.source}"  # all that a folded cell shows
            cell.metadata["jupyter"] = {"source_hidden": True}
            cell.metadata["tags"] = [tag, "hide-cell"]
            cell.metadata["mystnb"] = {
                "code_prompt_show": FOLDED[tag],
                "code_prompt_hide": FOLDED[tag],
            }
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = type(notebook.metadata)(kernelspec=kernel)
    return notebook


def execute(path: Path, *, seconds: int = 120) -> NotebookNode:
    """Return a tutorial as a notebook with outputs, from a kernel of its own.

    Warnings are errors there, and kernels are NumPy's, as they are without the extra ``fast``. How
    long it took stands in ``metadata["minires"]["seconds"]``, and the text that stands for a figure
    in ``mystnb.image.alt`` of its cell.

    Parameters
    ----------
    path : pathlib.Path
    seconds : int
        The most that a single cell may take.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell raises or warns.
    ValueError
        If a check says of a solution that it is wrong, or of a wrong answer that it is right.
    """
    from nbclient import NotebookClient

    notebook = as_notebook(path)
    client = NotebookClient(
        notebook,
        timeout=seconds,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=[f"--IPKernelApp.exec_lines={_STRICT}", "--IPKernelApp.log_level=ERROR"],
    )
    began = time.perf_counter()
    client.execute(env=os.environ | {"MINIRES_KERNELS": "numpy"})
    took = time.perf_counter() - began
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = list(_joined(cell.outputs))
            alts = list(_alts(cell.outputs))
            if alts:
                cell.metadata.setdefault("mystnb", {})["image"] = {"alt": " ".join(alts)}
    notebook.metadata = type(notebook.metadata)(
        kernelspec=notebook.metadata.kernelspec, minires={"seconds": round(took, 1)}
    )
    faults = list(faults_of(notebook))
    if faults:
        raise ValueError(f"{path.name}: " + "; ".join(faults))
    return notebook


def carry_over(recorded: NotebookNode, path: Path) -> NotebookNode | None:
    """Return a tutorial as it is now with the outputs of an earlier run, if its code is the same.

    Parameters
    ----------
    recorded : nbformat.NotebookNode
    path : pathlib.Path

    Returns
    -------
    nbformat.NotebookNode or None
    """
    notebook = as_notebook(path)
    new, old = code_cells(notebook), code_cells(recorded)
    if [cell.source for cell in new] != [cell.source for cell in old]:
        return None
    for cell, executed in zip(new, old, strict=True):
        cell.outputs = copy.deepcopy(executed.outputs)
        cell.execution_count = executed.execution_count
        if "image" in executed.metadata.get("mystnb", {}):
            cell.metadata.setdefault("mystnb", {})["image"] = executed.metadata["mystnb"]["image"]
    notebook.metadata = copy.deepcopy(recorded.metadata)
    return notebook


def code_cells(notebook: NotebookNode) -> list[Any]:
    """Return the cells of a notebook that are code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text_of(cell: Any) -> str:
    """Return what a cell printed."""
    return "".join(each.text for each in cell.outputs if each.output_type == "stream")


def faults_of(notebook: NotebookNode) -> Iterator[str]:
    """Say what an executed tutorial falls short in: checks that err, figures without a text.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
    """
    checked = dict.fromkeys(EXPECTED, 0)
    for cell in code_cells(notebook):
        text = text_of(cell)
        for tag in set(cell.metadata.get("tags", ())) & set(EXPECTED):
            checked[tag] += 1
            verdicts = _VERDICT.findall(text)
            if not verdicts:
                yield f"a cell tagged {tag!r} checks nothing: {cell.source[:60]!r}"
            for verdict in set(verdicts) - {EXPECTED[tag]}:
                yield f"a check says {verdict!r} in a cell tagged {tag!r}: {text.strip()!r}"
        images = [each for each in cell.outputs if "image/png" in each.get("data", {})]
        if len(images) > 1:
            yield f"a cell shows one figure, this one {len(images)}: {cell.source[-60:]!r}"
        if len(list(_alts(cell.outputs))) < len(images):
            yield f"a figure has no text that stands for it: {cell.source[-60:]!r}"
        if any(each.get("name") == "stderr" for each in cell.outputs):
            yield f"a cell writes to stderr: {cell.source[:60]!r}"
    if len(set(checked.values())) > 1 or not checked["exercise"]:
        yield f"each exercise has a solution and wrong answers; found {checked}"


def _joined(outputs: list[Any]) -> Iterator[Any]:
    """Join what was printed in pieces, as it came, into one output each."""
    for kind, group in itertools.groupby(outputs, key=lambda each: each.get("name")):
        pieces = list(group)
        if kind is not None:  # "stdout" or "stderr"
            pieces[0].text = "".join(each.text for each in pieces)
            del pieces[1:]
        yield from pieces


def _alts(outputs: list[Any]) -> Iterator[str]:
    for output in outputs:
        if "image/png" in output.get("data", {}):
            alt = output.metadata.get("image/png", {}).get("alt", "") or output.metadata.get("alt")
            if alt:
                yield alt
