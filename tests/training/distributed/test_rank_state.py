from __future__ import annotations

import json

import numpy as np
import pytest

import minires as mr
from minires.devices import random
from minires.training.distributed import Alone, DistributedError
from minires.training.rank_state import RankStates, gather_states, own_seed, restore_states
from tests.training.distributed.ranks import on_ranks


def of_rank(ranks):
    """A norm with statistics of its rank, and the rank's own random numbers."""
    norm = mr.nn.BatchNorm2d(2)
    norm.running_mean.copy_(np.full(2, float(ranks.rank)))
    random.manual_seed(own_seed(7, ranks.rank))
    random.generator().standard_normal(3 + ranks.rank)
    return norm


def saved(size):
    """The states of ranks, and the next number that each would draw."""

    def work(ranks):
        with random.seeded(0):  # of this thread
            states = gather_states(of_rank(ranks), ranks)
            return states, random.generator().standard_normal()

    found = on_ranks(size, work)
    assert all(states is None for states, _ in found[1:])
    return found[0][0], [drawn for _, drawn in found]


def restored(states, size, **options):
    def work(ranks):
        with random.seeded(99):
            norm = mr.nn.BatchNorm2d(2)
            restore_states(states, norm, ranks, **options)
            return norm.running_mean.numpy().tolist(), random.generator().standard_normal()

    return on_ranks(size, work)


def test_every_rank_gets_back_what_was_its_own():
    states, drawn = saved(3)
    assert set(states.buffers) == {"rank1.running_mean", "rank2.running_mean"}
    states = RankStates(json.loads(json.dumps(states.random)), states.buffers)
    assert restored(states, 3) == [
        ([0.0, 0.0], drawn[0]),
        ([1.0, 1.0], drawn[1]),
        ([2.0, 2.0], drawn[2]),
    ]


def test_synchronised_statistics_take_no_room():
    def work(ranks):
        return gather_states(mr.nn.SyncBatchNorm(2, communicator=ranks), ranks)

    assert on_ranks(2, work)[0].buffers == {}


@pytest.mark.parametrize("size", [1, 3])
def test_another_number_of_ranks_is_refused(size):
    states, _ = saved(2)
    with pytest.raises(DistributedError, match=r"of 2 ranks, this run has \d.*--allow-reshard"):
        restored(states, size)


def test_fewer_ranks_may_go_on_if_told_so():
    states, drawn = saved(3)
    assert restored(states, 2, allow_reshard=True) == [
        ([0.0, 0.0], drawn[0]),
        ([1.0, 1.0], drawn[1]),
    ]


def test_more_ranks_may_go_on_with_random_numbers_of_their_own():
    states, drawn = saved(2)
    found = restored(states, 4, allow_reshard=True)
    assert found[:2] == [([0.0, 0.0], drawn[0]), ([1.0, 1.0], drawn[1])]
    assert found[2][0] == found[3][0] == [0.0, 0.0]
    assert len({number for _, number in found}) == 4


def test_alone_everything_is_in_the_state_of_rank_0():
    states = gather_states(mr.nn.BatchNorm2d(2), Alone())
    assert states.buffers == {}
    restore_states(states, mr.nn.BatchNorm2d(2), Alone())
