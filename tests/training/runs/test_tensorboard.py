from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from minires.training.runs import ConfigError, Metrics, TestLine, configured, read_metrics, train
from minires.training.runs.tensorboard import EventFile
from tests.training.runs.curves import STEPS, planted

LOSSES = [2.0, 1.0, 0.5]


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard itself reads."""
    pytest.importorskip("tensorboard", reason="python -m pip install -e '.[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: Any = EventAccumulator(str(folder / "tensorboard"), {"scalars": 0})
    found.Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


@pytest.fixture
def run(tmp_path: Path) -> Path:
    pytest.importorskip("tensorboard", reason="python -m pip install -e '.[tensorboard]'")
    return tmp_path


def test_every_line_is_written_once_however_often_it_is_asked(run: Path) -> None:
    whole = planted(LOSSES, LOSSES)
    events = EventFile(run)
    for epochs in range(len(LOSSES) + 1):
        so_far = Metrics(whole.steps[: STEPS * epochs], whole.epochs[:epochs])
        events.update(so_far)
    whole.test = TestLine(3, 12, 0.75, 0.25, [[1]])
    events.update(whole)
    events.update(whole)

    found = scalars(run)
    assert found["loss/train"] == found["loss/validation"] == [(4, 2.0), (8, 1.0), (12, 0.5)]
    assert [step for step, _ in found["loss/step"]] == list(range(1, 13))
    assert found["error/test"] == [(12, 0.25)]
    assert len(list((run / "tensorboard").iterdir())) == 1


def test_without_a_validation_part_it_has_no_curve(run: Path) -> None:
    EventFile(run).update(planted(LOSSES))

    assert "loss/validation" not in scalars(run)


def test_a_run_that_goes_on_takes_back_what_came_after_its_checkpoint(run: Path) -> None:
    whole = planted(LOSSES)
    EventFile(run).update(whole)
    again = EventFile(run)
    again.update(Metrics(whole.steps[:5], whole.epochs[:1]))
    again.update(whole)

    found = scalars(run)
    assert [step for step, _ in found["loss/step"]] == list(range(1, 13))
    (file,) = (run / "tensorboard").iterdir()
    assert file.name == "events.out.tfevents.0000000002.minires"


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    config = configured("cifar_resnet8", "digits", epochs=1, tensorboard=True)

    with pytest.raises(ConfigError, match=r"python -m pip install 'minires\[tensorboard\]'"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_writes_what_stands_in_its_log(run: Path) -> None:
    options = {"model_options": {"width": 2}, "val_split": 0.2, "tensorboard": True}
    train(configured("cifar_resnet8", "digits", epochs=2, **options), run / "run")
    found, logged = scalars(run / "run"), read_metrics(run / "run")

    assert logged.test is not None
    assert found["loss/step"] == [(line.step, pytest.approx(line.loss)) for line in logged.steps]
    assert found["error/validation"] == [
        (line.step, pytest.approx(line.validation_error)) for line in logged.epochs
    ]
    assert found["error/test"] == [(logged.test.step, pytest.approx(logged.test.error))]
