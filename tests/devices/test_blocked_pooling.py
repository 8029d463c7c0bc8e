"""Max pooling channels-last equals the plain kernel, whatever stands in the images."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minires.devices import Window, blocked_pooling, cpu, threads
from minires.devices.pooling import PoolingKernels


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"),
    list(itertools.product([(2, 2), (3, 2)], [(1, 1), (2, 3)], [(1, 1), (2, 1)])),
)
@pytest.mark.parametrize("special", [[], [np.nan], [-np.inf, np.inf], [0.0]])
@pytest.mark.parametrize("shared", [False, True], ids=["one thread", "rows shared"])
def test_winners_and_gradients_are_those_of_the_plain_kernel(
    kernel, stride, dilation, special, shared, monkeypatch
):
    if shared:
        monkeypatch.setattr(blocked_pooling, "GRAIN", 1)
        monkeypatch.setattr(threads, "get_num_threads", lambda: 3)
    random = np.random.default_rng(0)
    images = random.standard_normal((2, 9, 8, 3)).transpose(0, 3, 1, 2)
    for value in special:
        images[random.random(images.shape) < 0.3] = value
    window = Window(kernel, stride, ((1, 0), (0, 1)), dilation)
    values, winners = cpu.max_pool(images, window)
    expected = PoolingKernels.max_pool(cpu, images, window)
    np.testing.assert_array_equal(values, expected[0])
    np.testing.assert_array_equal(winners, expected[1])
    g = random.standard_normal(values.shape)
    np.testing.assert_allclose(
        cpu.max_pool_backward(g, winners, window, (9, 8)),
        PoolingKernels.max_pool_backward(cpu, g, winners, window, (9, 8)),
        atol=1e-12,
    )
