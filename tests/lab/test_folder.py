from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minires as mr
from minires.lab import Comparison, Settings, folder, holds_comparison, write_comparison
from minires.lab.tracing import traced_twins
from minires.serialize import load_metadata

FILES = ["report.html", "compare.png", "metrics.json", "weights"]
TRACES = ["traces", "traces/8.html", "traces/14.html"]
WEIGHTS = [
    f"weights/{twin}-{depth}.{suffix}"
    for twin in ("plain", "residual")
    for depth in (8, 14)
    for suffix in ("safetensors", "json")
]


def names_below(path: Path) -> list[str]:
    return sorted(each.relative_to(path).as_posix() for each in path.rglob("*"))


def test_a_comparison_becomes_a_report_a_picture_a_record_and_weights(written: list[Path]) -> None:
    (folder,) = {file.parent for file in written}

    assert [file.name for file in written] == FILES
    assert names_below(folder) == sorted(FILES + TRACES + WEIGHTS)
    with Image.open(folder / "compare.png") as image:
        image.verify()


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.usefixtures("undrawn")
def test_saved_weights_and_their_notes_bring_the_trained_network_back(
    comparison: Comparison, tmp_path: Path, half: bool
) -> None:
    write_comparison(comparison, tmp_path, half)
    file = tmp_path / "weights" / "plain-14.safetensors"
    notes = load_metadata(file)
    build = getattr(mr.models, notes["network"])
    sizes = {name: int(notes[name]) for name in ("depth", "width", "in_channels", "num_classes")}
    model = build(**sizes)
    saved = mr.load(file)
    assert saved["conv1.weight"].dtype == ("float16" if half else "float32")
    assert saved["bn1.num_batches_tracked"].dtype == "int64"
    model.load_state_dict(saved)

    images, labels = mr.data.get_dataset(notes["dataset"]).normalized().test.arrays
    answers = model.eval()(mr.tensor(images)).numpy().argmax(axis=1)

    run = next(run for run in comparison.runs if run.name == "plain-14")
    assert run.final_test_error == pytest.approx(np.mean(answers != labels), abs=1.5 / 359)


@pytest.mark.parametrize(("twin", "shortcut"), [("plain", "none"), ("residual", "A")])
def test_the_card_beside_the_weights_brings_the_network_back(
    comparison: Comparison, written: list[Path], tmp_path: Path, twin: str, shortcut: str
) -> None:
    file = written[-1] / f"{twin}-8.safetensors"
    image = mr.data.digits().test.arrays[0][0]
    grey = image * comparison.split.std[0] + comparison.split.mean[0]
    np.save(tmp_path / "digit.npy", (grey * 255).round().astype(np.uint8))

    model, card = mr.models.pretrained(file)
    seen = mr.data.prepare(tmp_path / "digit.npy", card.preprocessing)

    assert load_metadata(file)["shortcut"] == shortcut
    assert card.classes == tuple("0123456789")
    np.testing.assert_allclose(seen, image, atol=0.01)
    weights = next(run.weights for run in comparison.runs if run.name == f"{twin}-8")
    assert all((value.numpy() == weights[name]).all() for name, value in model.state_dict().items())


@pytest.mark.usefixtures("undrawn")
def test_the_traces_are_of_the_first_step_and_disturb_nothing(
    comparison: Comparison, tmp_path: Path
) -> None:
    weights = {run.name: {n: w.copy() for n, w in run.weights.items()} for run in comparison.runs}
    mr.manual_seed(7)
    expected = mr.randn(3).numpy()

    mr.manual_seed(7)
    write_comparison(comparison, tmp_path)
    drawn = mr.randn(3).numpy()
    plain, residual = (r for r in comparison.runs if r.depth == 8)
    traces = traced_twins(8, comparison.settings, comparison.split)

    assert (drawn == expected).all()
    for run in comparison.runs:
        for name, weight in run.weights.items():
            assert (weight == weights[run.name][name]).all()
    for trace, run in zip(traces, (residual, plain), strict=True):
        assert trace.records.title == run.name
        norm = trace.value("conv1.weight").gradient.norm
        assert norm == pytest.approx(run.gradient_norms[0][0], rel=1e-4)


def test_a_folder_that_holds_a_comparison_is_left_alone(
    comparison: Comparison, tmp_path: Path
) -> None:
    assert not holds_comparison(tmp_path)
    (tmp_path / "metrics.json").write_text("precious")

    assert holds_comparison(tmp_path)
    with pytest.raises(FileExistsError, match="already holds a comparison"):
        write_comparison(comparison, tmp_path)
    assert names_below(tmp_path) == ["metrics.json"]
    assert (tmp_path / "metrics.json").read_text() == "precious"


@pytest.mark.usefixtures("undrawn")
def test_other_files_in_the_folder_do_no_harm(make_comparison: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    write_comparison(make_comparison(plain_8=0.5, residual_8=0.5), tmp_path)

    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "report.html").is_file()


@pytest.mark.usefixtures("undrawn")
def test_a_write_that_fails_leaves_nothing(
    make_comparison: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    really = folder.atomic_write

    def until_the_disk_is_full(path: Path) -> Any:
        if len(written) == 2:
            raise OSError("no space left on device")
        written.append(path.name)
        return really(path)

    monkeypatch.setattr(folder, "atomic_write", until_the_disk_is_full)
    with pytest.raises(OSError, match="no space left"):
        write_comparison(make_comparison(plain_8=0.5, residual_8=0.5), tmp_path)

    assert written == ["metrics.json", "compare.png"]
    assert names_below(tmp_path) == []


def test_a_comparison_without_runs_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing was trained yet"):
        write_comparison(Comparison(Settings()), tmp_path)
