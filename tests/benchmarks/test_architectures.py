"""The benchmark of architectures: both engines run the same networks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the oracle is not installed")

from typer.testing import CliRunner  # noqa: E402

import minires as mr  # noqa: E402
from benchmarks import architectures, architectures_page, footprint  # noqa: E402
from benchmarks.__main__ import app  # noqa: E402
from benchmarks.in_torch import LAYOUTS, TorchStep  # noqa: E402
from benchmarks.statement import state  # noqa: E402
from benchmarks.steps import MiniresStep, certain  # noqa: E402

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        pytest.param("alexnet_2012", 227, {"width": 6}, marks=pytest.mark.long),
        ("vgg11_lrn", 32, {"width": 4}),
        pytest.param("googlenet_2014_aux", 224, {"width": 4}, marks=pytest.mark.long),
        pytest.param(
            "inception_v3", 299, {"width": 2, "aux_logits": False}, marks=pytest.mark.long
        ),
        pytest.param("resnext50_32x4d", 64, {}, marks=pytest.mark.long),
        pytest.param("se_resnet50", 64, {"width": 16}, marks=pytest.mark.long),
        ("densenet_40_12", 8, {"width": 4}),
        ("cifar_resnet20_a", 8, {"width": 4}),
        ("cifar_preact_resnet20", 8, {"width": 4}),
    ],
)
def test_a_stated_network_has_the_losses_and_gradients_of_ours(name, size, options):
    images, labels = np.random.default_rng(0).standard_normal((2, 3, size, size)), np.arange(2)
    model = certain(mr.models.create(name, seed=0, num_classes=10, **options))
    statement = state(model, images.shape)._asdict()
    model.to("float64")
    numbers = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    ours = MiniresStep(model, images, labels)
    given = torch.tensor(images), torch.tensor(labels)
    steps = {
        layout: TorchStep(statement, order, *given, numbers) for layout, order in LAYOUTS.items()
    }
    losses = {"minires": ours()} | {layout: step() for layout, step in steps.items()}
    assert architectures.agree(losses, {})["largest_difference"] <= 1e-10
    differences = architectures.gradients({"minires": ours, **steps})
    assert max(differences.values()) <= 1e-8


def test_an_op_that_pytorch_is_not_told_of_is_named():
    model = mr.nn.Sequential(mr.nn.Conv2d(3, 2, 3), mr.nn.GELU())
    with pytest.raises(ValueError, match="'gelu'"):
        state(model, (1, 3, 4, 4))


def test_losses_that_differ_stop_the_measurement():
    with pytest.raises(RuntimeError, match="losses differ"):
        architectures.agree({"minires": 1.0, "torch NCHW": 1.1}, {})


def test_footprints_are_medians_of_processes_in_turns(monkeypatch):
    weighed = iter(["30 3", "40 4", "10 1", "40 4", "20 2", "90 9"])
    monkeypatch.setattr(
        footprint.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=next(weighed))
    )
    found = footprint.footprints(["minires", "torch"], {}, {})
    assert found["rounds"] == 3
    assert found["jobs"]["minires"] == {"minimum": 10, "median": 20, "maximum": 30}
    assert found["ratios"] == found["added"]["ratios"] == {"minires": {"torch": {"median": 0.5}}}


@pytest.mark.long
def test_a_footprint_is_the_peak_without_what_the_library_takes(monkeypatch):
    monkeypatch.setattr(footprint, "WEIGHINGS", 1)
    case = architectures.Architecture("cifar_resnet8_a", 2)
    statement = state(mr.models.create(case.name), (2, 3, 32, 32))
    measured = architectures.memory(case, statement)
    for engine in ("minires", *LAYOUTS):
        added = measured["added"]["jobs"][engine]["minimum"]
        assert 0 <= added < measured["jobs"][engine]["minimum"] < 1000
    assert footprint.resident() <= footprint.peak() * 1.01


@pytest.mark.long
def test_a_run_tells_what_it_measured_and_the_page_holds_a_row_for_each_network(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(footprint, "WEIGHINGS", 1)
    tiny = architectures.Architecture("cifar_resnet8_a", 2)
    monkeypatch.setattr(architectures, "ARCHITECTURES", [tiny])
    arguments = ["run", "--only", "architectures", "--rounds", "1", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "architectures: cifar_resnet8_a, batch 2: time / minires" in done.output
    (result,) = tmp_path.glob("*.json")
    done = CliRunner().invoke(app, ["table", str(result), "--out", str(tmp_path)])
    assert done.exit_code == 0
    page = (tmp_path / "architectures.md").read_text()
    assert page.count("| cifar_resnet8_a, batch 2 |") == 2


def test_a_page_of_architectures_that_were_not_measured_is_refused(tmp_path):
    with pytest.raises(ValueError, match="lacks architectures"):
        architectures_page.write_architectures_page({}, tmp_path / "page.md")
