"""The benchmarks beside PyTorch compare equal things."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the oracle is not installed")

import minires as mr  # noqa: E402
from benchmarks import block_check, geometries, memory, training, twin  # noqa: E402
from benchmarks.inference import inference  # noqa: E402

pytestmark = pytest.mark.oracle


def test_the_twin_has_the_same_names_and_gives_the_same_logits() -> None:
    ours = mr.models.cifar_resnet(20, seed=0)
    theirs = twin.torch_twin(ours)
    images = np.random.default_rng(0).standard_normal((4, 3, 32, 32), np.float32)

    assert ours.state_dict().keys() == theirs.state_dict().keys()
    np.testing.assert_allclose(
        ours(mr.tensor(images)).numpy(), theirs(torch.tensor(images)).detach().numpy(), atol=1e-4
    )


def test_a_case_trains_all_engines_alike_and_leaves_the_threads_as_they_were() -> None:
    before = torch.get_num_threads()

    measured = training.training(training.Case(8, 2, 16, threads=1), rounds=2)

    assert torch.get_num_threads() == before
    assert {name: len(losses) for name, losses in measured["losses"].items()} == {
        "minires": 4,
        "torch NCHW": 4,
        "torch channels_last": 4,
    }
    assert measured["agreement"]["largest_difference"] <= 1e-4
    assert "floor" in measured["ratios"]["minires"]


def test_engines_that_do_not_do_the_same_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"losses differ by 0\.1, more than"):
        training.agreement({"minires": [1.0, 0.5], "torch NCHW": [1.0, 0.6]})
    with pytest.raises(RuntimeError, match="losses differ by nan"):
        training.agreement({"minires": [1.0, float("nan")], "torch NCHW": [1.0, 0.5]})


def test_every_geometry_is_one_that_both_engines_know() -> None:
    for geometry in geometries.GRID:
        small = geometry._replace(size=(9, 8))
        measured = geometries.convolution(small, batch=1, rounds=1)
        assert measured["with backward"]["ratios"]["minires"]["torch"]["median"] > 0


def test_inference_agrees_with_torch() -> None:
    assert "torch NCHW" in inference(2, rounds=1)["ratios"]["minires"]


def test_a_fresh_process_tells_its_own_peak_and_not_its_starters() -> None:
    ballast = np.ones(50_000_000)
    command = [sys.executable, "-m", "benchmarks.memory", "minires", "8", "2"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(memory.__file__).parents[1]
    )

    assert 20 < float(done.stdout) < 300 < ballast.nbytes / 1e6 < memory.peak()


def test_the_checks_of_a_block_see_the_same_block() -> None:
    blocks = block_check.Blocks()
    theirs = blocks.theirs(torch.from_numpy(blocks.x)).detach().numpy()

    np.testing.assert_allclose(blocks.ours(mr.tensor(blocks.x)).numpy(), theirs, atol=1e-12)
    assert blocks.entries == 2720
    blocks.check_ours("random")
    blocks.check_theirs(fast=True)


def test_a_block_that_is_wrong_stops_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = block_check.Blocks()
    wrong = mr.op(name="planted_double")(lambda x: x + 0)
    wrong.vjp(lambda g: 2 * g)
    forward = blocks.ours.forward
    monkeypatch.setattr(type(blocks.ours), "forward", lambda self, x: wrong(forward(x)))

    with pytest.raises(RuntimeError, match="gradcheck: WRONG"):
        blocks.check_ours("random")
