from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minires as mr
from minires.cli import main
from minires.models.weights import catalogue
from minires.training.runs.checkpoint import write_checkpoint

CLASSES = ("zero", "one", "[bold]two")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A tiny network for grey images of 8 x 8 that says `one` of all that is bright."""
    model = mr.models.cifar_resnet(8, width=2, in_channels=1, num_classes=3, seed=0)
    path = tmp_path / "tiny.safetensors"
    mr.save(model.state_dict(), path)
    card = {
        "schema": "minires.weights/1",
        "model": "cifar_resnet8",
        "options": {"width": 2},
        "classes": CLASSES,
        "preprocessing": {"size": 8, "crop": 8, "mean": [0.5], "std": [0.5]},
    }
    path.with_suffix(".json").write_text(json.dumps(card))
    np.save(tmp_path / "dark.npy", np.zeros((8, 8), np.uint8))
    Image.new("L", (16, 12), 255).save(tmp_path / "bright.png")
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    code = main(["predict", *map(str, arguments)])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_probabilities_are_those_of_the_network(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "dark.npy", tmp_path / "bright.png"

    code, out, err = run(capsys, "--weights", weights, *images, "--json", "--top", 2)

    assert (code, err) == (0, "")
    told = json.loads(out)
    assert {**told, "images": []} == {
        "schema": "minires.predict/1",
        "model": "cifar_resnet8",
        "weights": str(weights),
        "images": [],
        "failed": [],
    }
    model = mr.models.cifar_resnet(8, width=2, in_channels=1, num_classes=3)
    mr.models.load_weights(model, weights)
    with mr.no_grad():
        shades = np.stack([np.full((1, 8, 8), shade, "float32") for shade in (-1, 1)])
        expected = mr.softmax(model.eval()(mr.tensor(shades)), 1).numpy()
    for path, found, row in zip(images, told["images"], expected, strict=True):
        best = [int(place) for place in (-row).argsort()[:2]]
        assert found["image"] == str(path)
        assert [guess["class"] for guess in found["top"]] == [CLASSES[place] for place in best]
        np.testing.assert_allclose([g["probability"] for g in found["top"]], row[best], rtol=1e-5)


def test_weights_are_taken_by_their_name_in_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MINIRES_HOME", str(tmp_path / "home"))
    np.save(tmp_path / "dark.npy", np.zeros((8, 8), np.uint8))
    name = "cifar_resnet20_digits"

    code, out, err = run(capsys, "--weights", name, tmp_path / "dark.npy", "--json")

    assert (code, err) == (0, "")
    assert json.loads(out)["weights"] == name


def test_a_table_names_each_image_and_its_classes(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "--weights", weights, tmp_path / "dark.npy")

    assert code == 0
    assert out.count("dark.npy") == 1
    for name in CLASSES:
        assert name in out
    assert out.count("%") == 3


def test_images_that_cannot_be_read_are_told_and_the_others_done(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    images = [tmp_path / name for name in ("gone.png", "dark.npy", "text.png", "bright.png")]

    code, out, err = run(capsys, "--weights", weights, *images, "--json")

    assert code == 2
    assert [each["image"] for each in json.loads(out)["images"]] == [str(images[1]), str(images[3])]
    assert err.splitlines() == [
        f"minires: {images[0]}: No such file or directory",
        f"minires: {images[2]}: it is no image (BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP are known)",
    ]


def test_an_answer_that_is_no_number_is_told(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = mr.load(weights)
    state["fc.bias"][:] = np.nan
    mr.save(state, weights)

    code, out, err = run(capsys, "--weights", weights, tmp_path / "dark.npy", "--json")

    assert (code, json.loads(out)["images"]) == (2, [])
    assert err == f"minires: {tmp_path / 'dark.npy'}: the network's answer is no number\n"


def test_an_image_that_would_be_huge_when_resized_is_told(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "thin.npy", np.zeros((1, 2**19), np.uint8))

    code, _, err = run(capsys, "--weights", weights, tmp_path / "thin.npy")

    assert code == 2
    assert "thin.npy: its 524288 x 1 pixels would be 4,194,304 x 8 with" in err


def test_a_card_with_another_number_of_classes_is_told(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = weights.with_suffix(".json")
    card.write_text(card.read_text().replace('"zero", ', ""))

    code, out, err = run(capsys, "--weights", weights, tmp_path / "dark.npy")

    assert (code, out) == (2, "")
    assert "fc.bias has shape (3,), and (2,) in the model" in err
    assert f"(by '{card}', the model has num_classes 2 and in_channels 1 and width 2)" in err


def test_without_a_card_nothing_is_guessed(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights.with_suffix(".json").unlink()

    code, out, err = run(capsys, "--weights", weights, tmp_path / "dark.npy")

    assert (code, out) == (2, "")
    assert "tiny.json', which would say the names of the classes" in err
    assert "minires weights get and minires compare write one" in err


def test_a_checkpoint_is_told_by_what_to_name_instead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint(tmp_path, {"step": 1, "model": {"weight": np.zeros(2)}}, {}, keep=2)

    for name in ("last.safetensors", "step-00000001.safetensors"):  # with a .json, and without
        code, out, err = run(capsys, "--weights", tmp_path / name, "a.png")
        assert (code, out) == (2, "")
        assert f"{name}' is a checkpoint, from which a run goes on; to ask a run's net" in err
        assert "name its folder, or its best.safetensors" in " ".join(err.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--weights", "gone.th"], "there is no file 'gone.th', and no such name in minires we"),
        (["--model", "cifar_plain8"], "tiny.safetensors' is of cifar_resnet8, its card says, and"),
        (["--model", "CIFAR_Plain8"], "tiny.safetensors' is of cifar_resnet8, its card says, and"),
        (["--model", "cifar_resnet9"], "--weights: cannot make cifar_resnet9 with .*: depth 9"),
        (["--model", "cifar_resnet14"], "--weights: load_weights: .* does not fit .*missing: "),
        (["--device", "cuda:7"], "--device: device 'cuda:7' is not available"),
    ],
)
def test_a_mistake_costs_one_line_and_code_2(
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: str,
) -> None:
    code, out, err = run(capsys, "--weights", weights, tmp_path / "dark.npy", *arguments)

    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert re.search(told, err)


@pytest.mark.parametrize(
    "change",
    [
        {"options": {"width": 10**30}},
        {"options": {"width": "2"}},
        {"options": {"block": "BasicBlock"}},
        {"model": "cifar_resnet100000004"},
        {"options": {"depth": 6 * 10**9 + 2}},
        {"model": "cifar_resnet8", "options": {"depth": 6 * 10**9 + 2}},
    ],
)
def test_a_network_that_cannot_be_made_is_told(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    card = weights.with_suffix(".json")
    card.write_text(json.dumps({**json.loads(card.read_text()), **change}))

    code, out, err = run(capsys, "--weights", weights, tmp_path / "dark.npy")

    assert (code, out) == (2, "")
    assert err.startswith("minires: --weights: cannot make cifar_resnet")
    assert len(err.splitlines()) == 1


def test_a_card_that_is_damaged_is_told(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights.with_suffix(".json").write_text("{")

    code, _, err = run(capsys, "--weights", weights, tmp_path / "dark.npy")

    assert code == 2
    assert "tiny.json' is no card of weights" in err


def test_a_published_network_names_what_is_in_pictures(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = catalogue.find("cifar_resnet20")
    (tmp_path / entry.file).write_bytes((shared_data / "pretrained" / entry.file).read_bytes())
    data = np.load(shared_data / "cifar10_lossless_4000.npz")
    for place in range(4):
        pixels = np.ascontiguousarray(data["x"][place].transpose(1, 2, 0))
        Image.fromarray(pixels).save(tmp_path / f"{place}.png")

    assert main(["weights", "get", "cifar_resnet20", "--to", str(tmp_path)]) == 0
    fetched, card = capsys.readouterr().out.splitlines()
    images = [tmp_path / f"{place}.png" for place in range(4)]
    code, out, _ = run(capsys, "--model", "cifar_resnet20", "--weights", fetched, *images, "--json")

    assert code == 0
    assert Path(card).is_file()
    best = [each["top"][0]["class"] for each in json.loads(out)["images"]]
    assert best == [entry.card.classes[place] for place in data["y"][:4]]


def test_the_weights_that_can_be_had_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list"]) == 0
    table = capsys.readouterr().out
    assert main(["weights", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)

    for entry, record in zip(catalogue.entries(), told["weights"], strict=True):
        assert entry.name in table
        assert record["name"] == entry.name
        assert record["sha256"] == entry.sha256
        assert record["card"]["licence"] == entry.card.licence


@pytest.mark.parametrize("columns", [60, 80])
def test_the_list_of_weights_tells_all_in_a_narrow_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": columns}.items():
        monkeypatch.setenv(variable, str(value))
    assert main(["weights", "list"]) == 0
    table = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)

    assert max(map(len, table.splitlines())) <= columns
    assert "Idelbayev" in table
    for entry in catalogue.entries():
        assert re.search(rf"^{entry.name} .*{entry.card.licence}", table, re.MULTILINE)


def test_weights_of_no_such_name_cost_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "get", "cifar_resnet21"]) == 2
    assert "no weights 'cifar_resnet21' in the catalogue; perhaps" in capsys.readouterr().err


def test_weights_alone_is_answered_with_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights"]) == 2
    told = capsys.readouterr()
    assert "Fetch weights" in told.out
    assert told.err == ""
