from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.models import LoadReport, load_weights
from minires.models.weights import catalogue
from tests.serialize.archives import legacy, name, program, storage, tensor, text, zipped

PRETRAINED = {20: "resnet20-12fca82f", 56: "resnet56-4bfd9763"}


def small(seed: int = 0) -> mr.nn.Module:
    return mr.models.cifar_resnet(8, width=2, seed=seed)


def state_of(model: mr.nn.Module) -> dict[str, Any]:
    return {key: value.numpy().copy() for key, value in model.state_dict().items()}


def saved(folder: Path, state: Mapping[str, Any]) -> Path:
    path = folder / "weights.safetensors"
    mr.save(state, path)
    return path


def archived(folder: Path, state: Mapping[str, Any], wrapped: bool = True) -> Path:
    """A zip archive of PyTorch, as akamaster's is: best_prec1, and a state_dict."""
    items, storages = b"", {}
    for position, (key, value) in enumerate(state.items()):
        kind = {"f": "FloatStorage", "i": "LongStorage"}[value.dtype.kind]
        storages[str(position)] = value.tobytes()
        steps = tuple(step // value.itemsize for step in value.strides)
        kept = storage(str(position), value.size, kind)
        items += text(key) + tensor(value.shape, steps, 0, kept)
    built = name("collections", "OrderedDict") + b")R(" + items + b"u"
    if wrapped:
        built = b"}(" + text("best_prec1") + b"G@V\xf2\x00\x00\x00\x00\x00" + text("state_dict")
        built += name("collections", "OrderedDict") + b")R(" + items + b"uu"
    path = folder / "weights.th"
    path.write_bytes(zipped(built, storages))
    return path


def in_akamasters_names(state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "module." + key.replace("fc.", "linear."): value
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }


def assert_same_weights(model: mr.nn.Module, state: Mapping[str, Any]) -> None:
    for key, value in model.state_dict().items():
        if key in state:
            np.testing.assert_array_equal(value.numpy(), state[key], err_msg=key)


def normalised(images: np.ndarray) -> np.ndarray:
    mean, std = (
        np.reshape([0.485, 0.456, 0.406], (3, 1, 1)),
        np.reshape([0.229, 0.224, 0.225], (3, 1, 1)),
    )
    return (images / 255 - mean) / std


def logits_of_published(folder: Path, depth: int, images: int, dtype: str) -> tuple[Any, Any, Any]:
    """Logits of minires, those stored, and the right classes."""
    file = folder / "pretrained" / f"{PRETRAINED[depth]}.th"
    golden = np.load(folder / "pretrained" / f"{PRETRAINED[depth]}_logits_first500.npz")
    pixels = normalised(np.load(folder / "cifar10_lossless_4000.npz")["x"][:images])
    model = mr.models.create(f"cifar_resnet{depth}")
    load_weights(model, file)
    model.to(dtype).eval()
    with mr.no_grad():
        parts = [
            model(mr.tensor(pixels[start : start + 50].astype(dtype))).numpy()
            for start in range(0, images, 50)
        ]
    return np.concatenate(parts), golden["logits"][:images], golden["y"][:images]


BOUNDS = {"float32": 2e-4, "float64": 1e-9}


@pytest.mark.parametrize("dtype", BOUNDS)
def test_a_published_resnet_20_gives_its_logits(shared_data: Path, dtype: str) -> None:
    found, golden, classes = logits_of_published(shared_data, 20, 16, dtype)

    np.testing.assert_allclose(found, golden, rtol=0, atol=BOUNDS[dtype])
    assert (found.argmax(1) == classes).all()


@pytest.mark.long
@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("depth", PRETRAINED)
def test_published_networks_give_their_logits_and_all_500_images_right(
    shared_data: Path, depth: int, dtype: str
) -> None:
    found, golden, classes = logits_of_published(shared_data, depth, 500, dtype)

    np.testing.assert_allclose(found, golden, rtol=0, atol=BOUNDS[dtype])
    assert (found.argmax(1) == classes).sum() == len(classes) == 500


def test_the_wrong_side_of_option_a_loads_without_any_error_and_is_wrong(shared_data: Path) -> None:
    model = mr.models.create("cifar_resnet20", pad="end").eval()
    data = np.load(shared_data / "cifar10_lossless_4000.npz")

    load_weights(model, shared_data / "pretrained" / f"{PRETRAINED[20]}.th")
    with mr.no_grad():
        logits = model(mr.tensor(normalised(data["x"][:64]).astype("float32"))).numpy()

    assert (logits.argmax(1) == data["y"][:64]).mean() < 0.5


def test_minires_own_file_is_in_torchvisions_dialect(tmp_path: Path) -> None:
    trained, model = state_of(small(1)), small(2)

    report = load_weights(model, saved(tmp_path, trained))

    assert report == LoadReport("torchvision", len(trained))
    assert (
        str(report)
        == f"{len(trained)} tensors were copied from a file in the dialect 'torchvision'."
    )
    assert_same_weights(model, trained)


@pytest.mark.parametrize("wrapped", [True, False])
def test_akamasters_dialect_is_recognised(tmp_path: Path, wrapped: bool) -> None:
    trained, model = state_of(small(1)), small(2)

    report = load_weights(model, archived(tmp_path, in_akamasters_names(trained), wrapped))

    assert report.dialect == "akamaster"
    assert report.tensors == len(trained) - len(report.kept)
    assert len(report.kept) == 7
    assert all(key.endswith("num_batches_tracked") for key in report.kept)
    assert "not in the file, and as they were: 7 (bn1.num_batches_tracked, " in str(report)
    assert_same_weights(model, trained)


def test_values_are_cast_to_the_models_dtype(tmp_path: Path) -> None:
    trained, model = state_of(small(1)), small(2).to("float64")

    load_weights(model, saved(tmp_path, trained))

    assert model.get_submodule("fc").weight.dtype == np.float64
    assert_same_weights(model, trained)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: state.pop("fc.bias"), r"missing: 1 \(fc.bias\)$"),
        (
            lambda state: state.update({"fc.bia": state.pop("fc.bias")}),
            r"missing: 1 \(fc.bias\);\n  unexpected: 1 \(fc.bia\)$",
        ),
        (lambda state: state.update(extra=np.zeros(1)), r"unexpected: 1 \(extra\)$"),
        (
            lambda state: state.update({"fc.bias": np.zeros(7, "f4")}),
            r"fc.bias has shape \(7,\), and \(10,\) in the model$",
        ),
        (
            lambda state: state.update({"fc.bias": np.zeros(10, "i8")}),
            "fc.bias has dtype int64, and float32 in the model$",
        ),
        (
            lambda state: [state.pop(key) for key in list(state) if "layer" in key],
            r"missing: 36 \(layer1.0.conv1.weight, (.*, ){5}and 30 more\)$",
        ),
        (
            lambda state: state.pop("bn1.num_batches_tracked"),
            r"missing: 1 \(bn1.num_batches_tracked\)$",
        ),
        (lambda state: state.update({"\x1b[2J": np.zeros(1)}), r"unexpected: 1 \('\\x1b\[2J'\)$"),
        (
            lambda state: state.update({"fc.bias": np.full(10, 1e39)}),
            "fc.bias has values too large for float32, its dtype in the model$",
        ),
        (
            lambda state: state.update({"bn1.num_batches_tracked": np.array(2**63, "u8")}),
            "bn1.num_batches_tracked has values too large for int64, its dtype in the model$",
        ),
    ],
)
def test_what_does_not_fit_is_counted_and_named_and_nothing_is_copied(
    tmp_path: Path, change: Any, told: str
) -> None:
    trained, model = state_of(small(1)), small(2)
    before = state_of(model)
    change(trained)
    with pytest.raises(
        ValueError,
        match=r"does not fit CifarResNet in the dialect 'torchvision', the nearest \(tried:"
        r" 'torchvision', 'akamaster'; for others, dialect= takes a function\); nothing was"
        rf" copied:\n  {told}",
    ):
        load_weights(model, saved(tmp_path, trained))

    assert_same_weights(model, before)


@pytest.mark.parametrize("twin", ["cifar_plain", "cifar_resnet"])
def test_what_a_header_says_is_of_the_twin_is_refused(tmp_path: Path, twin: str) -> None:
    twins = {"cifar_plain": mr.models.cifar_plain, "cifar_resnet": mr.models.cifar_resnet}
    path = tmp_path / "weights.safetensors"
    trained = twins.pop(twin)(8, width=2, seed=1)
    mr.save(trained.state_dict(), path, metadata={"network": twin})
    other, make = twins.popitem()
    model = make(8, width=2, seed=2)
    before = state_of(model)

    with pytest.raises(ValueError, match=f"s' is of a {twin}, its header .* is a {other}, which"):
        load_weights(model, path)

    assert_same_weights(model, before)
    assert load_weights(trained, path).tensors == len(before)


def test_a_model_that_holds_no_values_is_not_said_to_have_got_any(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="CifarResNet is on a device that holds no values"):
        load_weights(small().to("meta"), saved(tmp_path, state_of(small(1))))


@pytest.mark.parametrize("more", [{"fc": "module.linear"}, {}], ids=["and as linear", "alone"])
def test_a_parallel_networks_head_that_is_not_called_linear_is_no_known_dialect(
    tmp_path: Path, more: dict[str, str]
) -> None:
    trained = state_of(small(1))
    file = {f"module.{key}": value for key, value in trained.items()}
    for old, new in more.items():
        file |= {f"{new}.{key}": trained[f"{old}.{key}"] for key in ("weight", "bias")}

    with pytest.raises(ValueError, match=r"'module.fc.\w+' is called 'module.linear.' there"):
        load_weights(small(), saved(tmp_path, file), "akamaster")


def test_the_projections_of_option_b_do_not_fit_option_a_and_are_named(tmp_path: Path) -> None:
    trained = mr.models.cifar_resnet(8, "B", width=2)

    with pytest.raises(ValueError, match=r"unexpected: 12 \(layer2.0.downsample.0.weight, layer2"):
        load_weights(small(), saved(tmp_path, state_of(trained)))


def test_a_dialect_that_is_named_is_the_only_one_tried(tmp_path: Path) -> None:
    path = archived(tmp_path, in_akamasters_names(state_of(small(1))))

    assert load_weights(small(), path, "akamaster").dialect == "akamaster"
    with pytest.raises(
        ValueError, match=r"in the dialect 'torchvision'; nothing was .*\n.*'best_pr"
    ):
        load_weights(small(), path, "torchvision")
    with pytest.raises(ValueError, match="no dialect 'keras'; known: 'torchvision', 'akamaster',"):
        load_weights(small(), path, "keras")


def test_a_dialect_may_be_a_function(tmp_path: Path) -> None:
    trained, model = state_of(small(1)), small(2)
    path = saved(tmp_path, {f"net/{key}": value for key, value in trained.items()})

    def slashes(contents: Mapping[str, Any]) -> dict[str, Any]:
        return {key.removeprefix("net/"): value for key, value in contents.items()}

    assert load_weights(model, path, slashes).dialect == "slashes"
    assert_same_weights(model, trained)
    with pytest.raises(ValueError, match="the file holds a list, not arrays by their names"):
        load_weights(model, path, lambda contents: [])  # type: ignore[arg-type, return-value]


class WithHead(mr.nn.Module):
    """A network with an auxiliary head, or without."""

    def __init__(self, head: bool) -> None:
        super().__init__()
        self.fc = mr.nn.Linear(2, 2)
        if head:
            self.aux1 = mr.nn.Linear(2, 2)


def test_a_whole_auxiliary_head_may_be_without_a_counterpart_and_half_of_one_not(
    tmp_path: Path,
) -> None:
    with_head, without = WithHead(True), WithHead(False)

    path = saved(tmp_path, state_of(with_head))
    report = load_weights(without, path)
    assert report == LoadReport("torchvision", 2, left_out=("aux1.bias", "aux1.weight"))
    assert str(report).endswith("not in the model, and left out: 2 (aux1.bias, aux1.weight).")

    path = saved(tmp_path, state_of(without))
    report = load_weights(with_head, path)
    assert report == LoadReport("torchvision", 2, kept=("aux1.weight", "aux1.bias"))

    half = state_of(with_head)
    del half["aux1.bias"]
    with pytest.raises(ValueError, match=r"missing: 1 \(aux1.bias\)"):
        load_weights(with_head, saved(tmp_path, half))


def test_densenets_files_with_their_older_names_are_torchvisions_dialect(tmp_path: Path) -> None:
    layer = mr.nn.Module()
    layer.norm1 = mr.nn.BatchNorm2d(2)
    layer.conv1 = mr.nn.Conv2d(2, 2, 1, bias=False)
    model = mr.nn.Module()
    model.denselayer1 = layer
    state = state_of(model)
    older = {key.replace("norm1", "norm.1").replace("conv1", "conv.1"): state[key] for key in state}

    assert load_weights(model, saved(tmp_path, older)).dialect == "torchvision"
    with pytest.raises(ValueError, match=r"'denselayer1.\w+1.\w+' is in the file twice, by"):
        load_weights(model, saved(tmp_path, older | state))


def test_a_file_that_would_run_code_is_refused_and_the_model_stays(tmp_path: Path) -> None:
    path, model, canary = tmp_path / "evil.pth", small(), tmp_path / "canary"
    before = state_of(model)
    path.write_bytes(legacy(name("os", "system") + b"(" + text(f"touch {canary}") + b"tR"))

    with pytest.raises(mr.serialize.TorchArchiveError, match=r"asks for 'os.system'"):
        load_weights(model, path)

    assert not canary.exists()
    assert_same_weights(model, before)


def test_other_files_are_refused_by_their_own_errors(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_weights(small(), path)
    path.write_bytes(program(b"N"))
    with pytest.raises(ValueError, match=r"torch.save did not write it"):
        load_weights(small(), path)
    path.write_bytes(b"weights of a network")
    with pytest.raises(ValueError, match="no safetensors file opens with"):
        load_weights(small(), path)


@pytest.mark.parametrize("entry", catalogue.entries(), ids=lambda entry: entry.name)
def test_every_entry_of_the_catalogue_names_a_network_that_can_be_made(
    entry: catalogue.Entry,
) -> None:
    card = entry.card
    classes, channels = len(card.classes), len(card.preprocessing.mean)
    side = card.preprocessing.crop
    with mr.devices.default("meta"):
        model = mr.models.create(
            card.model, num_classes=classes, in_channels=channels, **card.options
        )
        assert model(mr.zeros(1, channels, side, side)).shape == (1, classes)
    assert len(set(card.classes)) == len(card.classes)
    assert card.licence
    assert card.source
    assert entry.address is None or entry.address.endswith(entry.file)


@pytest.mark.parametrize("depth", PRETRAINED)
def test_the_catalogues_sums_are_those_of_the_published_files(
    shared_data: Path, depth: int
) -> None:
    entry = catalogue.find(f"cifar_resnet{depth}")
    file = shared_data / "pretrained" / entry.file

    assert file.stat().st_size == entry.size
    assert mr.serialize.download.sum_of(file) == entry.sha256


def test_weights_that_are_there_already_get_their_card_without_a_network(
    shared_data: Path, tmp_path: Path
) -> None:
    file = f"{PRETRAINED[20]}.th"
    (tmp_path / file).write_bytes((shared_data / "pretrained" / file).read_bytes())

    path = catalogue.get("cifar_resnet20", tmp_path)

    assert path == tmp_path / file
    assert catalogue.card_of(path) == catalogue.find("cifar_resnet20").card
    assert catalogue.get("cifar_resnet20", tmp_path) == path


def test_weights_that_came_with_minires_are_copied_with_their_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "small.safetensors").write_bytes(b"weights")
    card, right = catalogue.find("cifar_resnet20").card, hashlib.sha256(b"weights").hexdigest()
    entry = catalogue.Entry(name="small", file="small.safetensors", sha256=right, card=card)
    monkeypatch.setattr(catalogue, "entries", lambda: (entry,))
    monkeypatch.setattr(catalogue, "__file__", str(tmp_path / "package" / "catalogue.py"))
    monkeypatch.setenv("MINIRES_HOME", str(tmp_path / "home"))

    path = catalogue.get("small")

    assert path == catalogue.get("small") == tmp_path / "home" / "weights" / "small.safetensors"
    assert path.read_bytes() == b"weights"
    assert catalogue.card_of(path) == card


def test_a_card_that_somebody_changed_and_another_file_of_the_name_stay(
    shared_data: Path, tmp_path: Path
) -> None:
    file = f"{PRETRAINED[20]}.th"
    (tmp_path / file).write_bytes((shared_data / "pretrained" / file).read_bytes())
    (tmp_path / file).with_suffix(".json").write_text("mine")

    catalogue.get("cifar_resnet20", tmp_path)
    assert (tmp_path / file).with_suffix(".json").read_text() == "mine"

    (tmp_path / file).write_bytes(b"mine")
    with pytest.raises(OSError, match=r"there already, but its SHA-256 is \w+, not 12fca82f"):
        catalogue.get("cifar_resnet20", tmp_path)


def test_an_unknown_name_is_told_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no weights 'cifar_resnet2' .*; perhaps 'cifar_resnet"):
        catalogue.find("cifar_resnet2")
    with pytest.raises(ValueError, match="there are: cifar_resnet20, "):
        catalogue.find("bert")


def test_a_card_that_says_nothing_new_has_only_what_older_versions_read(tmp_path: Path) -> None:
    card = catalogue.find("cifar_resnet20").card
    catalogue.write_card(card, tmp_path / "w.th")
    told = json.loads((tmp_path / "w.json").read_text())
    known = {"schema", "model", "options", "classes", "preprocessing", "licence", "source"}
    assert set(told) == known
    assert set(told["preprocessing"]) == {"size", "crop", "mean", "std"}
    assert catalogue.card_of(tmp_path / "w.th") == card


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"classes": []}, "classes: "),
        (
            {"preprocessing": {"size": 8, "crop": 9, "mean": [0], "std": [1]}},
            "preprocessing: .*crop",
        ),
        (
            {"preprocessing": {"size": 8, "crop": 8, "mean": [0], "std": [float("nan")]}},
            "preprocessing.std.0: ",
        ),
        ({"classes": ["\x1b[2J"]}, "classes: .* cannot be printed"),
        ({"extra": 1}, "extra: "),
        ({"schema": "minires.weights/2"}, "schema: "),
    ],
)
def test_a_card_that_does_not_say_what_it_should_is_refused(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    card = catalogue.find("cifar_resnet20").card.model_dump(mode="json", by_alias=True)
    (tmp_path / "w.json").write_text(json.dumps({**card, **change}))

    with pytest.raises(ValueError, match=rf"w.json' is no card of weights: {told}"):
        catalogue.card_of(tmp_path / "w.th")


DIGITS = [entry for entry in catalogue.entries() if entry.name.endswith("_digits")]


@pytest.mark.parametrize("entry", DIGITS, ids=lambda entry: entry.name)
def test_the_twins_that_come_with_minires_know_their_digits(
    entry: catalogue.Entry, tmp_path: Path
) -> None:
    path = catalogue.get(entry.name, tmp_path)
    model = mr.models.create(entry.card.model, num_classes=10, in_channels=1).eval()
    report = mr.models.load_weights(model, path)
    images, labels = mr.data.digits().test.arrays

    with mr.no_grad():
        answers = model(mr.tensor(images)).numpy().argmax(axis=1)

    assert report.kept == report.left_out == ()
    # What the training's record says: 5 and 7 of 359 wrong; another machine may round otherwise.
    assert np.mean(answers != labels) <= 9 / 359


def test_the_cards_of_the_twins_prepare_pixels_as_the_data_set_does() -> None:
    from sklearn.datasets import load_digits

    pixels = np.unique(load_digits().images) / 16
    split = mr.data.digits()
    for entry in DIGITS:
        (mean,), (std,) = entry.card.preprocessing.mean, entry.card.preprocessing.std
        prepared = (pixels - mean) / std
        np.testing.assert_allclose(np.unique(split.train.arrays[0]), prepared, atol=1e-5)


def test_the_twins_that_come_with_minires_are_small() -> None:
    assert [entry.name for entry in DIGITS] == ["cifar_resnet20_digits", "cifar_plain20_digits"]
    assert sum(entry.size or 0 for entry in DIGITS) < 2_000_000


def test_the_twins_that_come_with_minires_refuse_each_other() -> None:
    for entry, other in zip(DIGITS, reversed(DIGITS), strict=True):
        model = mr.models.create(other.card.model, in_channels=1)
        with pytest.raises(
            ValueError, match=f"s' is of a {entry.card.model.rstrip('0123456789')}, "
        ):
            load_weights(model, Path(catalogue.__file__).with_name(entry.file))


def test_a_trained_network_is_made_from_the_name_of_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIRES_HOME", str(tmp_path))
    images, labels = mr.data.digits().test.arrays

    model, card = mr.models.pretrained("cifar_resnet20_digits")

    assert not model.training
    with mr.no_grad():
        found = model(mr.tensor(images)).numpy().argmax(1)
    assert (found != labels).sum() == 7
    assert card.classes == tuple("0123456789")
    assert (tmp_path / "weights" / "resnet20-digits.safetensors").is_file()


def test_making_a_trained_network_draws_no_random_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = catalogue.get("cifar_plain20_digits", tmp_path)
    mr.manual_seed(7)
    expected = mr.randn(3).numpy()

    mr.manual_seed(7)
    mr.models.pretrained(path)

    assert (mr.randn(3).numpy() == expected).all()


def test_a_long_name_is_cut_in_what_is_told(tmp_path: Path) -> None:
    mr.save({"x" * 10**6: np.zeros(1)}, tmp_path / "w.safetensors")

    for dialect in (None, "akamaster"):
        with pytest.raises(ValueError, match=r"1000000 long") as told:
            load_weights(small(), tmp_path / "w.safetensors", dialect)
        assert len(str(told.value)) < 1000


def test_a_card_that_wants_too_much_is_refused_before_memory_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = catalogue.get("cifar_resnet20_digits", tmp_path)
    card = path.with_suffix(".json")
    told = json.loads(card.read_text())
    made = []

    def create(*names: str, device: str = "cpu", **options: Any) -> mr.nn.Module:
        made.append(device)
        return mr.models.create(*names, device="meta", **options)

    monkeypatch.setattr("minires.models.weights.trained.create", create)
    for options, why in (
        (
            {"width": 10**6},
            "bn1.weight has shape .16,., and .1000000,. in the model.* and width 1000000",
        ),
        ({"depth": 60002}, "depth 60002, but there are only 116 arrays in the file"),
        ({"blocks": [10] * 99}, "only 116 arrays"),
    ):
        card.write_text(json.dumps({**told, "options": options}))
        with pytest.raises(ValueError, match=f"(?s){why}"):
            mr.models.pretrained(path)
    assert set(made) == {"meta"}


@pytest.mark.parametrize("option", ["num_classes", "in_channels", "device", "seed"])
def test_what_a_card_tells_otherwise_is_no_option(tmp_path: Path, option: str) -> None:
    path = catalogue.get("cifar_resnet20_digits", tmp_path)
    card = path.with_suffix(".json")
    card.write_text(json.dumps({**json.loads(card.read_text()), "options": {option: 3}}))

    with pytest.raises(ValueError, match=f"is no card of weights: options: .*{option!r} does not"):
        mr.models.pretrained(path)


def test_weights_without_a_card_are_no_network_yet(tmp_path: Path) -> None:
    mr.save(small().state_dict(), tmp_path / "w.safetensors")

    with pytest.raises(FileNotFoundError, match=r"w.json', which would say the names"):
        mr.models.pretrained(tmp_path / "w.safetensors")
    with pytest.raises(FileNotFoundError, match="there is no file 'cifar_resnet20_digit'"):
        mr.models.pretrained("cifar_resnet20_digit")
