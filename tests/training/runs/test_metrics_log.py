from __future__ import annotations

from pathlib import Path

import pytest

from minires.training.runs import EpochLine, MetricsLog, StepLine, TestLine, read_metrics


def a_step(number: int, epoch: int = 1, loss: float = 2.0) -> StepLine:
    return StepLine(number, epoch, loss, images=64, mistakes=32, lr=0.1)


def an_epoch(number: int, step: int) -> EpochLine:
    return EpochLine(number, step, 2.0, 0.5, 2.1, 0.6, 0.1, seconds=1.5, images_per_second=100.0)


def log_two_epochs(folder: Path) -> None:
    with MetricsLog(folder) as log:
        for epoch in (1, 2):
            log.write(a_step(2 * epoch - 1, epoch))
            log.write(a_step(2 * epoch, epoch))
            log.write(an_epoch(epoch, 2 * epoch))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    log_two_epochs(tmp_path)
    with MetricsLog(tmp_path, step=4, epoch=2) as log:
        log.write(TestLine(2, 4, 2.2, 0.6, [[1, 0], [1, 1]]))
    metrics = read_metrics(tmp_path)
    assert metrics.steps == [a_step(1), a_step(2), a_step(3, 2), a_step(4, 2)]
    assert metrics.epochs == [an_epoch(1, 2), an_epoch(2, 4)]
    assert metrics.test == TestLine(2, 4, 2.2, 0.6, [[1, 0], [1, 1]])


def test_a_run_without_a_log_has_no_lines(tmp_path: Path) -> None:
    metrics = read_metrics(tmp_path)
    assert (metrics.steps, metrics.epochs, metrics.test) == ([], [], None)


def test_going_on_takes_away_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    log_two_epochs(tmp_path)
    with MetricsLog(tmp_path, step=3, epoch=1) as log:
        log.write(a_step(4, 2, loss=1.0))
    metrics = read_metrics(tmp_path)
    assert [line.step for line in metrics.steps] == [1, 2, 3, 4]
    assert metrics.steps[-1].loss == 1.0
    assert metrics.epochs == [an_epoch(1, 2)]


def test_an_epoch_whose_last_step_is_kept_goes_where_its_end_is_not_in_the_checkpoint(
    tmp_path: Path,
) -> None:
    log_two_epochs(tmp_path)
    MetricsLog(tmp_path, step=4, epoch=1).__exit__(None, None, None)
    assert [line.epoch for line in read_metrics(tmp_path).epochs] == [1]


def test_a_line_that_was_cut_off_is_left_out_and_taken_away(tmp_path: Path) -> None:
    log_two_epochs(tmp_path)
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert [line.epoch for line in read_metrics(tmp_path).epochs] == [1]
    with MetricsLog(tmp_path, step=4, epoch=1) as log:
        log.write(an_epoch(2, 4))
    assert [line.epoch for line in read_metrics(tmp_path).epochs] == [1, 2]


def test_steps_that_the_checkpoint_has_and_the_log_lacks_are_an_error(tmp_path: Path) -> None:
    log_two_epochs(tmp_path)
    before = (tmp_path / "metrics.jsonl").read_bytes()
    with pytest.raises(ValueError, match="steps 1 to 5 and epochs 1 to 2 once"):
        MetricsLog(tmp_path, step=5, epoch=2)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_a_line_that_is_none_is_named_by_its_number(tmp_path: Path) -> None:
    log_two_epochs(tmp_path)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_text().splitlines()
    for wrong in ("{}", "[]", "loss 3", '{"kind": "step", "loss": 1}', '{"kind": "batch"}'):
        path.write_text("\n".join([lines[0], wrong, *lines[2:]]) + "\n")
        with pytest.raises(ValueError, match="line 2"):
            read_metrics(tmp_path)


def test_the_table_has_a_row_for_each_epoch(tmp_path: Path) -> None:
    log_two_epochs(tmp_path)
    heading, *rows = (tmp_path / "metrics.csv").read_text().splitlines()
    assert heading.startswith("epoch,step,train_loss,train_error,validation_loss")
    assert [row.split(",")[:2] for row in rows] == [["1", "2"], ["2", "4"]]


def test_an_epoch_that_the_checkpoint_has_and_the_log_lacks_is_an_error(tmp_path: Path) -> None:
    log_two_epochs(tmp_path)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:2] + lines[3:]))
    with pytest.raises(ValueError, match="epochs 1 to 2 once"):
        MetricsLog(tmp_path, step=4, epoch=2)


def test_damage_behind_the_checkpoint_goes_with_the_lines_that_are_taken_away(
    tmp_path: Path,
) -> None:
    log_two_epochs(tmp_path)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    # As after a power cut: of what was not synchronised, a page is zeros.
    path.write_bytes(b"".join(lines[:3]) + bytes(50) + b"\n" + lines[4])
    with MetricsLog(tmp_path, step=2, epoch=1) as log:
        assert [line.step for line in log.metrics.steps] == [1, 2]
    assert [line.step for line in read_metrics(tmp_path).steps] == [1, 2]
