from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from minires.training.sweeps import Outcome, ranked, write_sweep
from minires.training.sweeps.report import headline
from tests.training.runs.curves import planted


def outcome(name: str, errors: list[float], failure: str = "", **varied: Any) -> Outcome:
    metrics = planted([1.0] * len(errors), errors, [0.5] * len(errors), list(errors))
    return Outcome(name, varied, failure, metrics.epochs)


GOOD = outcome("good", [0.5, 0.1, 0.2], lr=0.01)
POOR = outcome("poor", [0.5, 0.4, 0.3], lr=0.1)
BROKEN = outcome("broken", [0.01], "ValueError: <b> & so on", lr=1.0)
OUTCOMES = [BROKEN, POOR, GOOD]


def test_the_lowest_validation_error_of_any_epoch_comes_first_and_failures_last() -> None:
    assert [each.name for each in ranked(OUTCOMES)] == ["good", "poor", "broken"]
    assert headline(OUTCOMES) == "Lowest validation error: 10.00%, with lr 0.01."
    assert headline([BROKEN]) == "No run has a result."


def test_the_table_has_every_run_in_that_order(tmp_path: Path) -> None:
    file, _ = write_sweep(OUTCOMES, tmp_path)
    rows = list(csv.DictReader(io.StringIO(file.read_text())))

    assert [row["run"] for row in rows] == ["good", "poor", "broken"]
    assert [row["option.lr"] for row in rows] == ["0.01", "0.1", "1.0"]
    assert [row["best_epoch"] for row in rows] == ["2", "3", ""]
    assert rows[2]["failure"] == BROKEN.failure


def test_the_page_shows_them_and_says_nothing_of_a_test(tmp_path: Path) -> None:
    _, file = write_sweep(OUTCOMES, tmp_path)
    root = ElementTree.fromstring(file.read_text())
    text = " ".join(" ".join(root.itertext()).split())

    assert "Lowest validation error: 10.00%, with lr 0.01." in text
    assert "1 of the runs failed" in text
    assert text.endswith("What went wrong broken ValueError: <b> & so on")
    assert [h.text for h in root.iter("h3")] == [
        "Validation error by epoch, the best runs",
        "The lowest validation error, by lr",
    ]
    assert "test error" not in text.lower()
    links = [a.attrib["href"] for a in root.iter("a")]
    assert links == ["good/report.html", "poor/report.html", "broken/report.html"]


def test_runs_of_several_seeds_are_told_by_their_means(tmp_path: Path) -> None:
    errors = {0.1: [0.10, 0.30], 0.01: [0.14, 0.16], 1.0: [0.01]}
    several = [
        outcome(f"{lr}-{seed}", [error], lr=lr, seed=seed)
        for lr, found in errors.items()
        for seed, error in enumerate(found)
    ]
    several.append(outcome("broken", [], "no", lr=1.0, seed=1))
    _, file = write_sweep(several, tmp_path)
    tables = list(ElementTree.fromstring(file.read_text()).iter("table"))
    rows = [[cell.text for cell in row] for row in tables[0].iter("tr")][1:]

    assert headline(several) == (
        "Lowest mean validation error over 2 seeds: 15.00% ± 1.41, with lr 0.01."
    )
    assert rows == [
        ["1", "0.01", "2", "15.00% ± 1.41"],
        ["2", "0.1", "2", "20.00% ± 14.14"],
        ["3", "1.0", "2", "1.00%, 1 failed"],
    ]
    assert "by seed" not in file.read_text()


def test_one_seed_has_no_mean(tmp_path: Path) -> None:
    _, file = write_sweep(OUTCOMES, tmp_path)

    assert "Over the seeds" not in file.read_text()


def test_words_are_not_drawn_as_numbers(tmp_path: Path) -> None:
    words = [outcome("a", [0.1], model="x", half=True), outcome("b", [0.2], model="y", half=False)]
    _, file = write_sweep(words, tmp_path)

    assert file.read_text().count("<svg") == 1


def test_a_sweep_in_which_all_failed_has_a_page(tmp_path: Path) -> None:
    _, file = write_sweep([outcome("a", [], "no")], tmp_path)

    assert "No run has a result." in file.read_text()
