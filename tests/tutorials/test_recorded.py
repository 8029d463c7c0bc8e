"""The tutorials' outputs that the project keeps belong to the tutorials as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minires.tutorials import Tutorial, all_tutorials
from minires.tutorials.notebooks import as_notebook, code_cells, execute, faults_of

nbformat = pytest.importorskip("nbformat", reason="needs the extra docs")
pytest.importorskip("jupytext", reason="needs the extra docs")

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = all_tutorials()


def recorded(tutorial: Tutorial) -> Any:
    return nbformat.read(ROOT / "docs" / "tutorials" / f"{tutorial.name}.ipynb", as_version=4)


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda each: each.name)
def test_recorded_cells_are_those_of_the_tutorial(tutorial: Tutorial) -> None:
    now, then = as_notebook(tutorial.path), recorded(tutorial)

    # python -m docs.record
    assert [cell.source for cell in then.cells] == [cell.source for cell in now.cells]


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda each: each.name)
def test_checks_accepted_solutions_and_rejected_wrong_answers(tutorial: Tutorial) -> None:
    assert list(faults_of(recorded(tutorial))) == []


def test_nothing_is_recorded_that_is_no_tutorial() -> None:
    kept = {path.stem for path in (ROOT / "docs" / "tutorials").glob("*.ipynb")}

    assert kept == {each.name for each in TUTORIALS}


def test_each_took_less_than_a_minute_and_all_together_less_than_eight() -> None:
    seconds = [recorded(each).metadata["minires"]["seconds"] for each in TUTORIALS]

    assert max(seconds) < 60
    assert sum(seconds) < 480


def test_no_output_tells_of_the_machine() -> None:
    for tutorial in TUTORIALS:
        for cell in code_cells(recorded(tutorial)):
            text = "".join(each.get("text", "") for each in cell.outputs)
            assert "/tmp" not in text, cell.source
            assert "ipykernel" not in text, cell.source


HEAD = """# %% [markdown]
# # 1. Title
#
# **10 minutes**

# %%
from minires.tutorials.exercise import Wrong, check


@check
def one(answer):
    if answer != 1:
        raise Wrong("It is 1.")
    return "Compared."

# %% tags=["exercise"]
one(...)

# %% tags=["solution"]
one({solution})

# %% tags=["wrong-answers"]
one({wrong})

# %%
{more}
"""


def tutorial_of(folder: Path, solution: str = "1", wrong: str = "2", more: str = "") -> Path:
    path = folder / "01_title.py"
    path.write_text(HEAD.format(solution=solution, wrong=wrong, more=more))
    return path


@pytest.mark.long
class TestExecuting:
    def test_outputs_are_joined_and_the_time_is_told(self, tmp_path: Path) -> None:
        notebook = execute(tutorial_of(tmp_path, more="print(1)\nprint(2)"))

        assert notebook.cells[-1].outputs[0].text == "1\n2\n"
        assert notebook.metadata["minires"]["seconds"] > 0

    def test_a_wrong_solution_stops_the_recording(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"says 'wrong\.' in a cell tagged 'solution'"):
            execute(tutorial_of(tmp_path, solution="3"))

    def test_an_accepted_wrong_answer_stops_the_recording(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"says 'right\.' in a cell tagged 'wrong-answers'"):
            execute(tutorial_of(tmp_path, wrong="1"))

    def test_a_warning_is_an_error(self, tmp_path: Path) -> None:
        path = tutorial_of(tmp_path, more="import warnings\nwarnings.warn('careful')")

        with pytest.raises(Exception, match=r"(?s)UserWarning.*careful"):
            execute(path)

    def test_a_figure_without_a_text_stops_the_recording(self, tmp_path: Path) -> None:
        more = "import matplotlib.pyplot as plt\nplt.plot([1, 2]); None"

        with pytest.raises(ValueError, match="no text that stands for it"):
            execute(tutorial_of(tmp_path, more=more))
