from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minires as mr
from minires.training import GradientNorms, Trainer
from minires.training.gradient_norms import norm

Array = np.ndarray[Any, Any]

FLOATS = st.sampled_from(["float16", "float32", "float64"]).flatmap(
    lambda dtype: hnp.arrays(
        dtype,
        hnp.array_shapes(min_dims=0, max_dims=4, max_side=4),
        elements=st.floats(allow_nan=False, allow_infinity=False, width=int(dtype[5:])),  # type: ignore[arg-type]
    )
)


@given(FLOATS)
def test_the_norm_is_that_of_exact_arithmetic_at_every_magnitude(values: Array) -> None:
    expected = math.hypot(*values.ravel().astype(np.float64).tolist())

    assert norm(values) == pytest.approx(expected, rel=1e-12, abs=0)


@pytest.mark.parametrize("exponent", [-1074, -1000, -600, 0, 600, 1000])
def test_squares_that_over_or_underflow_do_not_spoil_the_norm(exponent: int) -> None:
    three_four = np.ldexp(np.array([3.0, 4.0]), exponent)

    assert norm(three_four) == np.ldexp(5.0, exponent)


def test_a_norm_of_something_infinite_is_infinite_and_of_nan_is_nan() -> None:
    assert norm(np.array([1.0, -np.inf])) == np.inf
    assert np.isnan(norm(np.array([1.0, np.nan])))
    assert norm(np.zeros((0, 3))) == 0.0


def images_and_labels() -> tuple[mr.Tensor, mr.Tensor]:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((4, 1, 8, 8)).astype(np.float32)
    return mr.tensor(images), mr.tensor(rng.integers(0, 10, 4))


def test_every_convolution_and_the_linear_layer_are_watched_from_the_input_on() -> None:
    model = mr.models.cifar_resnet(14, width=2, in_channels=1)
    layers = GradientNorms(model).layers

    assert len(layers) == 14
    assert layers[:3] == ["conv1", "layer1.0.conv1", "layer1.0.conv2"]
    assert layers[-1] == "fc"


def test_the_norms_are_those_of_the_gradients_of_each_step() -> None:
    model = mr.models.cifar_resnet(8, width=2, in_channels=1, seed=0)
    images, labels = images_and_labels()
    mr.ops.cross_entropy(model(images), labels).backward()
    weights = [value for name, value in model.named_parameters() if value.ndim > 1]
    expected = [np.linalg.norm(weight.grad.numpy().astype(np.float64)) for weight in weights]

    model = mr.models.cifar_resnet(8, width=2, in_channels=1, seed=0)
    norms = GradientNorms(model)
    optimizer = mr.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5)
    Trainer(model, optimizer, callbacks=[norms]).fit([(images, labels)] * 3, epochs=1)

    assert norms.norms[0] == pytest.approx(expected, rel=1e-5)
    assert norms.steps == [1, 2, 3]
    assert np.shape(norms.norms) == (3, 8)


def test_only_every_so_many_th_step_is_looked_at_if_so_asked() -> None:
    model = mr.models.cifar_resnet(8, width=2, in_channels=1)
    norms = GradientNorms(model, every=2)
    optimizer = mr.optim.SGD(model.parameters(), lr=0.1)
    Trainer(model, optimizer, callbacks=[norms]).fit([images_and_labels()] * 3, epochs=2)

    assert norms.steps == [1, 3, 5]
    assert len(norms.norms) == 3
    with pytest.raises(ValueError, match="every must be at least 1, found 0"):
        GradientNorms(model, every=0)
