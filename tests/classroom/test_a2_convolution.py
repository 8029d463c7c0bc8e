"""The assignment on convolution: right beside minires' own, and what is said of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.classroom.assignment import executed
from tests.classroom.assignments import Classroom


@pytest.fixture(scope="module")
def here() -> Classroom:
    return Classroom("a2_convolution")


@pytest.fixture(scope="module")
def solved(here: Classroom) -> Any:
    return executed(here.text, "a2_convolution")


GEOMETRIES = pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [
        ((5, 6), (3, 2), 1, 0),
        ((6, 5), (2, 3), 2, 0),
        ((5, 7), (3, 2), 2, 1),
        ((4, 8), (3, 5), 3, 2),
    ],
)


@GEOMETRIES
def test_columns_are_those_of_minires(
    solved: Any, size: Any, kernel: Any, stride: int, padding: int
) -> None:
    x = np.random.default_rng(0).standard_normal((3, 2, *size))
    cols = solved.im2col(x, kernel, stride, padding)
    _close(cols, mr.ops.im2col(mr.tensor(x), kernel, padding=padding, stride=stride))
    back = mr.ops.col2im(mr.tensor(cols), size, kernel, padding=padding, stride=stride)
    _close(solved.col2im(cols, size, kernel, stride, padding), back)


@GEOMETRIES
@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_and_its_gradients_are_those_of_minires(
    solved: Any, size: Any, kernel: Any, stride: int, padding: int, groups: int
) -> None:
    rng = np.random.default_rng(1)
    shapes = [(3, 4, *size), (6, 4 // groups, *kernel), (6,)]
    tensors = [mr.tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes]
    expected = mr.ops.conv2d(*tensors, stride=stride, padding=padding, groups=groups)
    arrays = [each.numpy() for each in tensors]
    y, cache = solved.conv_forward(*arrays, stride, padding, groups)
    _close(y, expected)
    g = rng.standard_normal(y.shape)
    gradients = mr.grad(expected, tensors, mr.tensor(g))
    for mine, theirs in zip(solved.conv_backward(g, cache), gradients, strict=True):
        _close(mine, theirs)


def test_of_a_number_both_values_are_told(here: Classroom) -> None:
    [file] = [each for each in here.files("second") if each.stem.startswith("C21_")]
    [failed] = [each for each in here.results(file) if each.status == "failed"]
    assert failed.says == "output_size(5, 3, 1, 0): size should be 3, it is 2"


def test_a_wrong_column_order_is_told_by_the_cache(here: Classroom, tmp_path: Path) -> None:
    """The values alone say that y is wrong; the columns say from where on."""
    text = here.text
    file = tmp_path / "conv.py"
    line = "    windows = cols.reshape(n, groups, -1, oh * ow)"
    assert text.count(line) == 1
    file.write_text(text.replace(line, f"    cols = cols[:, ::-1]\n{line}"), encoding="utf-8")
    [failed, *_] = [each for each in here.results(file) if each.status == "failed"]
    assert (failed.name, failed.deviates) == ("conv_forward_values", "cache.cols")


def _close(found: Any, expected: mr.Tensor) -> None:
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-12, atol=1e-12)
