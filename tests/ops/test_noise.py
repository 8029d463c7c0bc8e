"""What is left out at random: single values, channels, branches."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from minires import ops
from minires.devices.random import seeded


def test_a_channel_is_left_out_as_a_whole_or_scaled():
    with seeded(0):
        y = ops.dropout2d(mr.ones(20, 50, 3, 2), p=0.2).numpy()
    channels = y.reshape(1000, 6)
    assert (channels == channels[:, :1]).all()
    assert set(channels[:, 0].tolist()) == {0.0, 1.25}
    assert 0.75 < (channels[:, 0] > 0).mean() < 0.85


def test_one_draw_decides_about_a_batch_or_each_row_has_its_own():
    x = mr.ones(40, 3)
    with seeded(0):
        batches = {tuple(ops.stochastic_depth(x, 0.5, "batch").sum(1).tolist()) for _ in range(20)}
        rows = ops.stochastic_depth(x, 0.5, "row").sum(1).tolist()
    assert batches == {(0.0,) * 40, (6.0,) * 40}
    assert set(rows) == {0.0, 6.0}


@pytest.mark.parametrize(
    "leave_out",
    [
        lambda x, p, training: ops.dropout2d(x, p, training),
        lambda x, p, training: ops.stochastic_depth(x, p, "batch", training),
    ],
    ids=["channels", "branches"],
)
def test_nothing_is_left_out_in_evaluation_nor_with_probability_0_and_all_with_1(leave_out):
    x = mr.ones(2, 3, 2, 2)
    assert leave_out(x, 0.5, False) is x
    assert leave_out(x, 0.0, True) is x
    assert not leave_out(x, 1.0, True).numpy().any()


def test_the_expectation_is_the_branch_itself():
    with seeded(1):
        total = sum(ops.stochastic_depth(mr.ones(1), 0.3, "batch").item() for _ in range(2000))
    assert np.isclose(total / 2000, 1, atol=0.05)
