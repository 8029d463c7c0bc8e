"""Large weights are drawn in pieces, and are what they would be if drawn at once."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from minires.devices import random
from minires.nn import init


@pytest.mark.parametrize(
    ("fill", "draw"),
    [
        (init.normal_, lambda generator, shape: generator.standard_normal(shape)),
        (init.uniform_, lambda generator, shape: generator.random(shape)),
    ],
)
def test_a_weight_drawn_in_pieces_equals_one_drawn_at_once(fill, draw):
    shape = 3, init._CHUNK // 2 + 7
    mr.manual_seed(0)
    found = fill(mr.zeros(*shape)).numpy()
    mr.manual_seed(0)
    expected = draw(random.generator(), shape).astype(np.float32)
    np.testing.assert_array_equal(found, expected)


def test_products_of_a_single_row_or_column_are_numpys():
    generator = np.random.default_rng(0)
    for left, right in (((1, 700), (700, 900)), ((900, 1), (1, 700)), ((6, 70, 30), (6, 30, 50))):
        a, b = generator.standard_normal(left), generator.standard_normal(right)
        np.testing.assert_allclose(mr.devices.cpu.matmul(a, b), a @ b, rtol=1e-12, atol=1e-12)
