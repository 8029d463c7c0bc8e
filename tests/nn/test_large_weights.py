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
