from __future__ import annotations

from pathlib import Path

import pytest

from minires.devices import threads
from minires.lab.cost import slowness
from minires.lab.lab_markdown import write_markdown
from minires.lab.laboratory import Laboratory
from tests.lab import odd_experiments
from tests.lab.test_lab_page import ITEM


def test_results_become_a_page_of_markdown_and_figures(tmp_path: Path) -> None:
    lab = Laboratory(tmp_path, "tiny", known=odd_experiments.ALL, jobs=1)
    results = lab.run(["sane", "raises"])
    item = {**ITEM, "correct": "It is | four."}

    file, *figures = write_markdown(results, lab.known, [item], tmp_path / "measured.md")
    page = file.read_text("utf-8")

    assert figures == [tmp_path / "measured" / "sane.png"]
    assert figures[0].read_bytes().startswith(b"\x89PNG")
    assert "](measured/sane.png)" in page
    assert "- supports: Two is more than one. (arithmetic). Published: 1." in page
    assert "Measured: two less one: 1, 1, 1. Rule: two less one: above 0 supports" in page
    assert "> Failed (2, seed 1): ArithmeticError: two and two is five" in page
    row = next(line for line in page.splitlines() if line.startswith("| X1 |"))
    assert row.replace(r"\|", "").count("|") == 7  # what a cell holds does not end it
    assert "**contradicts**" in row


def test_the_machine_is_measured_on_one_thread_and_left_as_it_was() -> None:
    before = threads.get_num_threads()

    assert slowness() > 0
    assert threads.get_num_threads() == before


def test_a_page_without_a_suffix_would_be_its_own_folder(tmp_path: Path) -> None:
    results = Laboratory(tmp_path, "tiny", known=odd_experiments.ALL, jobs=1).run(["sane"])

    with pytest.raises(ValueError, match=r"name it .*measured\.md"):
        write_markdown(results, odd_experiments.ALL, None, tmp_path / "measured")
    assert not (tmp_path / "measured").exists()


def test_a_page_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no results"):
        write_markdown({}, odd_experiments.ALL, None, tmp_path / "measured.md")
