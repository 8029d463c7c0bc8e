"""The assignment on residual blocks: right beside minires' own, and what is said of files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.classroom.assignment import executed
from minires.classroom.release import handed, release
from tests.classroom.assignments import Classroom, run_here


@pytest.fixture(scope="module")
def here() -> Classroom:
    return Classroom("a4_residual")


@pytest.fixture(scope="module")
def solved(here: Classroom) -> Any:
    return executed(here.text, "a4_residual")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_relu_is_that_of_minires(solved: Any, rng: np.random.Generator) -> None:
    x = np.append(rng.standard_normal(20), 0.0)
    g = rng.standard_normal(21)
    tensor = mr.tensor(x, requires_grad=True)
    _close(solved.relu(x), mr.ops.relu(tensor))
    _close(solved.relu_backward(g, x), _gradient(mr.ops.relu(tensor), tensor, g))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [((2, 3), 2, 0), ((3, 2), 1, 1), ((3, 3), 2, 1)]
)
def test_max_pooling_its_winners_and_its_gradient_are_those_of_minires(
    solved: Any, rng: np.random.Generator, kernel: Any, stride: int, padding: int
) -> None:
    x = rng.integers(-3, 1, (3, 2, 6, 5)).astype(float)
    tensor = mr.tensor(x, requires_grad=True)
    pooled = mr.ops.max_pool2d(tensor, kernel, stride, padding)
    found = mr.ops.max_pool2d(tensor, kernel, stride, padding, return_indices=True)
    y, cache = solved.max_pool(x, kernel, stride, padding)
    g = rng.standard_normal(y.shape)
    _close(y, pooled)
    np.testing.assert_array_equal(cache["winner"], found.indices.numpy())
    _close(solved.max_pool_backward(g, cache), _gradient(pooled, tensor, g))


def test_average_pooling_and_its_gradient_are_those_of_minires(
    solved: Any, rng: np.random.Generator
) -> None:
    x, g = rng.standard_normal((3, 2, 4, 5)), rng.standard_normal((3, 2))
    tensor = mr.tensor(x, requires_grad=True)
    mean = tensor.mean((2, 3))
    _close(solved.global_average_pool(x), mean)
    _close(solved.global_average_pool_backward(g, x.shape), _gradient(mean, tensor, g))


@pytest.mark.parametrize("check", ["basic_identity", "basic_projection", "bottleneck_values"])
def test_blocks_and_their_gradients_are_those_of_minires(
    here: Classroom, solved: Any, rng: np.random.Generator, check: str
) -> None:
    for x, params, stride in here.assignment.calls(check, rng, solved):
        wide = "conv3" in params
        forward = solved.bottleneck if wide else solved.basic_block
        backward = solved.bottleneck_backward if wide else solved.basic_block_backward
        tensors = {
            name: {key: mr.tensor(v, requires_grad=True) for key, v in layer.items()}
            for name, layer in params.items()
        }
        start = mr.tensor(x, requires_grad=True)
        expected = _block(start, tensors, [1, stride, 1] if wide else [stride, 1], stride)
        y, cache = forward(x, params, stride)
        g = rng.standard_normal(y.shape)
        dx, grads = backward(g, cache)
        expected.backward(mr.tensor(g))

        _close(y, expected)
        _close(dx, start.grad)
        assert grads.keys() == params.keys()
        for name, layer in tensors.items():
            for key, tensor in layer.items():
                _close(grads[name][key], tensor.grad)


def _block(x: mr.Tensor, params: Any, strides: list[int], stride: int) -> mr.Tensor:
    """Compute a block in the ops of minires."""
    branch = x
    for number, step in enumerate(strides, 1):
        branch = mr.ops.relu(branch) if number > 1 else branch
        branch = _conv_norm(branch, params[f"conv{number}"], step)
    shortcut = _conv_norm(x, params["projection"], stride) if "projection" in params else x
    return mr.ops.relu(mr.ops.residual_add(shortcut, branch))


def _conv_norm(x: mr.Tensor, layer: Any, stride: int) -> mr.Tensor:
    y = mr.ops.conv2d(x, layer["w"], stride=stride, padding=layer["w"].shape[2] // 2)
    return mr.ops.batch_norm(y, None, None, layer["gamma"], layer["beta"], training=True)


def test_shapes_that_differ_are_to_be_refused_by_the_right_error(
    here: Classroom, tmp_path: Path
) -> None:
    """A check may ask for an error: to return something is wrong then, and so is another one."""
    text = here.text
    assert text.count("raise ValueError") == 1
    file = tmp_path / "residual.py"
    for raised, says, mistake in (
        ("raise KeyError", "residual_add(array(3, 1, 2, 5), array(3, 4, 2, 5)): KeyError", None),
        ("print", "it should raise ValueError here, and it returns something", "R8"),
    ):
        file.write_text(text.replace("raise ValueError", raised), encoding="utf-8")
        [failed] = [each for each in here.results(file) if each.status == "failed"]
        assert failed.name == "add_refuses"
        assert says in failed.says
        assert failed.mistake == mistake


def test_what_is_given_out_does_not_quote_the_error_that_is_asked_for(
    here: Classroom, tmp_path: Path
) -> None:
    folder = release(here.assignment, tmp_path / "a4", run_here)
    for path in folder.rglob("*.*"):
        assert b"the shortcut has shape" not in (path.read_bytes() if path.is_file() else b"")
    handed_out = handed(folder)
    assert handed_out.cases["add_refuses"].expected == [{"error": "ValueError"}] * 2
    files = {file.stem: file for file in here.files("second")}
    shutil.copyfile(files["R8_turned"], handed_out.folder / "residual.py")
    results = {each.name: each for each in handed_out.checked(run_here).checks}
    assert results["add_refuses"].diagnosis == "R8"


def test_the_first_of_a_blocks_values_that_deviates_is_told(here: Classroom) -> None:
    told = {"R12_turned": "cache.branch", "R14_float32": "cache.shortcut"}
    told |= {"R15_turned": "cache.sum", "R20_general": "cache.inner1"}
    files = {file.stem: file for file in here.files("second")}
    for stem, leaf in told.items():
        [failed, *_] = [each for each in here.results(files[stem]) if each.status == "failed"]
        assert failed.deviates == leaf


def test_long_arguments_are_told_by_their_parts(here: Classroom) -> None:
    [file] = [file for file in here.files("second") if file.stem == "T1_turned"]
    [failed] = [each for each in here.results(file) if each.status == "failed"]
    assert failed.says.startswith(
        "stage(array(3, 2, 4, 5), array(3, 2, 4, 5), [{conv1, conv2}, {conv1, conv2},"
        " {conv1, conv2}], [1, 1, 1]): grads[0]."
    )


def _gradient(y: mr.Tensor, x: mr.Tensor, g: np.ndarray) -> mr.Tensor:
    [gradient] = mr.grad(y, [x], mr.tensor(g))
    return gradient


def _close(found: Any, expected: mr.Tensor) -> None:
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-9, atol=1e-11)
