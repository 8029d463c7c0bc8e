"""The page of a run. With MINIRES_SCREENSHOTS=folder its pictures stay there, to be looked at."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from minires.training.runs import (
    Metrics,
    MetricsLog,
    RunWatcher,
    TestLine,
    configured,
    read_metrics,
    train,
    write_config,
    write_report,
)
from minires.training.runs.confusion import confusion_section
from tests.training.runs.conftest import a_config
from tests.training.runs.curves import STEPS, config, planted

FALLING = [2.0 * 0.85**epoch for epoch in range(12)]
TURNING = [1.0 + 0.1 * abs(epoch - 4) for epoch in range(12)]
TEST = TestLine(epoch=5, step=20, loss=0.5, error=0.125, confusion=[[6, 1], [0, 1]])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "deep & wide"
    folder.mkdir()
    return folder


def logged(folder: Path, metrics: Metrics, **options: object) -> str:
    write_config(config(**options), folder)
    with MetricsLog(folder) as log:
        for line in (*metrics.steps, *metrics.epochs, *([metrics.test] if metrics.test else [])):
            log.write(line)
    return write_report(folder).read_text("utf-8")


def visible(page: str) -> str:
    root = ElementTree.fromstring(page)  # no unclosed or wrongly nested element survives this
    return " ".join(" ".join(root.itertext()).split())


def test_the_page_says_the_verdict_and_the_rules(run: Path) -> None:
    text = visible(logged(run, planted(FALLING, TURNING)))

    assert "deep & wide" in text
    assert "So far: Overfitting: what it learns" in text
    assert "Underfitting: the training error is above 10 %" in text


def test_the_page_has_every_epochs_values_and_marks_the_best(run: Path) -> None:
    page = logged(run, planted(FALLING, TURNING))
    *_, epochs = (list(table.iter("tr")) for table in ElementTree.fromstring(page).iter("table"))

    assert len(epochs) == 1 + len(FALLING)
    assert [cell.text for cell in epochs[5]] == [
        "5", "1.04", "1", "10.44%", "10.00%", "0.1", "1.5", "1,000",
    ]  # fmt: skip
    assert "best in validation 5 10.44% 10.00%" in visible(page)
    assert "lowest validation error</text>" in page


def test_a_page_of_a_run_that_is_not_over_is_read_again_by_the_browser(run: Path) -> None:
    metrics = planted(FALLING)
    unfinished = logged(run, metrics)
    metrics.test = TEST
    finished = logged(run, metrics)

    assert 'http-equiv="refresh"' in unfinished
    assert 'http-equiv="refresh"' not in finished
    assert "test, read once 5 – – 12.50%" in visible(finished)


def test_a_page_of_a_run_that_was_stopped_waits_for_nothing(run: Path) -> None:
    logged(run, planted(FALLING))
    page = write_report(run, stopped="stopped by Ctrl-C after step 48").read_text("utf-8")

    assert 'http-equiv="refresh"' not in page
    assert "It was stopped by Ctrl-C after step 48; minires train --resume goes on" in visible(page)
    assert "So far: No degradation" in visible(page)


def test_a_run_that_is_stopped_says_so_on_its_page(stopped: Callable[..., Path]) -> None:
    page = (stopped(2) / "report.html").read_text("utf-8")

    assert 'http-equiv="refresh"' not in page
    assert "0 epochs, 2 steps, of 3 epochs. It was stopped by SIGTERM after step 2; minires" in page


def test_a_page_is_there_before_the_first_step(tmp_path: Path) -> None:
    class Looking(RunWatcher):
        def step_done(self, epoch: int, step: int, loss: float, images: int) -> None:
            assert "nothing measured yet" in (tmp_path / "run" / "report.html").read_text()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(a_config(), tmp_path / "run", watcher=Looking())


def test_a_run_that_goes_the_wrong_way_may_still_turn_back(run: Path) -> None:
    page = logged(run, planted([1.0, 1.5, 2.0, 3.0, 4.0]))

    assert 'http-equiv="refresh"' in page
    assert "So far: The training goes the wrong way" in visible(page)


def test_a_run_that_diverged_says_why(run: Path) -> None:
    logged(run, planted(FALLING[:1]))
    page = write_report(run, diverged="step 7: the loss is NaN").read_text("utf-8")

    assert "The training diverged, and was stopped." in visible(page)
    assert "step 7: the loss is NaN" in visible(page)
    assert 'http-equiv="refresh"' not in page


def test_a_run_without_a_step_has_a_page(run: Path) -> None:
    page = logged(run, Metrics())

    assert page.count("nothing measured yet") == 4


def test_a_falling_rate_is_marked(run: Path) -> None:
    falls = planted(FALLING, lr=[0.1] * 6 + [0.01] * 6)
    steps = {"schedule": "steps", "milestones": (0.5,)}

    assert logged(run, falls, **steps).count('class="mark"') == 2  # in loss and error
    assert 'class="mark"' not in logged(run, falls, schedule="cosine")


def test_an_epoch_that_is_not_finished_is_drawn_to_its_last_step(run: Path) -> None:
    metrics = planted(FALLING)
    del metrics.epochs[-1], metrics.steps[-STEPS // 2 :]
    page = logged(run, metrics)

    (steps,) = re.findall(r'class="blue thin" d="(M[^"]*L[^"]*)"', page)
    assert len(re.findall("[ML]", steps)) == len(metrics.steps)


def test_the_page_needs_no_network_and_no_script(run: Path) -> None:
    metrics = planted(FALLING, TURNING)
    metrics.test = TEST
    page = logged(run, metrics)
    root = ElementTree.fromstring(page)
    links = {e.attrib[name] for e in root.iter() for name in ("href", "src") if name in e.attrib}

    assert links == {"metrics.jsonl", "metrics.csv", "config.json"}
    assert not re.search(r"https?:|url\(|@import", page)
    assert not [element for element in root.iter() if "style" in element.attrib]
    assert not list(root.iter("script"))


def test_options_cannot_break_out_of_the_page(run: Path) -> None:
    hostile = "</dd><script>alert(1)</script>"
    page = logged(run, planted(FALLING), root=hostile)

    assert hostile not in page
    assert hostile in visible(page)


def test_a_page_takes_the_place_of_the_one_before(run: Path) -> None:
    before = logged(run, planted(FALLING[:3]))
    after = logged(run, planted(FALLING))

    assert before != after
    assert [path.name for path in run.iterdir() if "report" in path.name] == ["report.html"]
    assert len(read_metrics(run).epochs) == len(FALLING)


def test_what_is_confused_most_is_named() -> None:
    section = confusion_section([[5, 3, 0], [1, 9, 0], [0, 0, 0]], ["cat", "dog", "ox"])
    matrix, mix_ups = ElementTree.fromstring(section).iter("table")

    assert [cell.attrib.get("class") for cell in matrix.iter("td")] == [
        "right", "shade-5", "shade-0", "shade-2", "right", "shade-0", "shade-0", "shade-0", "right",
    ]  # fmt: skip
    rows = [[cell.text for cell in row] for row in mix_ups.iter("tr")][1:]
    assert rows == [["cat", "dog", "3", "37.5%"], ["dog", "cat", "1", "10.0%"]]


def test_of_many_classes_the_hardest_are_named() -> None:
    many = [[int(i == j) * (100 - i) + int(j == 0) * i for j in range(100)] for i in range(100)]
    mix_ups, hardest = ElementTree.fromstring(confusion_section(many)).iter("table")

    assert len(list(mix_ups.iter("tr"))) == len(list(hardest.iter("tr"))) == 11
    assert [cell.text for cell in list(hardest.iter("tr"))[1]] == ["99", "99.0%"]


def test_no_mistake_is_said() -> None:
    assert "not a single mistake" in confusion_section([[4, 0], [0, 4]])


def test_the_page_names_the_classes_and_tells_the_circumstances(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train(configured("cifar_resnet8", "digits", epochs=1, model_options={"width": 2}), folder)
    page = write_report(folder).read_text("utf-8")
    *_, computed = ElementTree.fromstring(page).iter("dl")

    assert "numpy" in [term.text for term in computed.iter("dt")]
    assert "compressed with loss" not in visible(page)

    card = (folder / "best.json").read_text()
    card = card.replace('"lossy_images": false', '"lossy_images": true').replace('"7"', '"seven"')
    (folder / "best.json").write_text(card)
    page = visible(write_report(folder).read_text("utf-8"))

    assert "seven" in page
    assert "compressed with loss" in page


def test_a_page_without_a_validation_part_does_not_explain_one(run: Path) -> None:
    page = logged(run, planted(FALLING), val_split=0)

    assert "a validation value is" not in page
    assert "At a dotted line" not in page


def test_what_is_no_rule_has_no_number_among_the_rules(run: Path) -> None:
    page = logged(run, planted(FALLING))

    assert "<p>Single epochs jump about" in page
    assert "<ol><li>Diverged: " in page
