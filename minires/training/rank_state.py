"""What differs between the ranks of a training run, brought together for a checkpoint.

Parameters and the optimiser's state are the same everywhere, and rank 0 can save them. Random
numbers (a dropout mask is each rank's own) and the running statistics of batch normalisations that
are not synchronised belong to a rank, and are lost with it unless they are gathered.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minires.devices import random
from minires.devices.communicator import Communicator
from minires.nn import Module

from .distributed import DistributedError

Array = np.ndarray[Any, Any]


class RankStates(NamedTuple):
    """What every rank has to itself.

    Attributes
    ----------
    random : list of dict
        Each rank's random numbers, fit for JSON.
    buffers : dict of str to array
        By names such as ``"rank1.bn1.running_mean"``, of the ranks from 1 on: those of rank 0
        stand in the model's own state.
    """

    random: list[dict[str, Any]]
    buffers: dict[str, Array]


def gather_states(model: Module, communicator: Communicator) -> RankStates | None:
    """Return the state of all ranks on rank 0, and None on the others.

    Buffers that are the same on all ranks, as those of a `SyncBatchNorm`, are left out.

    Examples
    --------
    >>> import minires as mr
    >>> from minires.training.distributed import Alone
    >>> states = gather_states(mr.nn.BatchNorm2d(2), Alone())
    >>> len(states.random), states.buffers
    (1, {})
    """
    own = {name: buffer.device.to_numpy(buffer.data) for name, buffer in model.named_buffers()}
    gathered = communicator.gather((random.state(), own))
    if gathered is None:
        return None
    (_, first), *others = gathered
    return RankStates(
        random=[drawn for drawn, _ in gathered],
        buffers={
            f"rank{rank}.{name}": value.copy()
            for rank, (_, buffers) in enumerate(others, start=1)
            for name, value in buffers.items()
            if not np.array_equal(value, first[name])
        },
    )


def restore_states(
    states: RankStates, model: Module, communicator: Communicator, *, allow_reshard: bool = False
) -> None:
    """Give this rank back what was its own.

    Parameters
    ----------
    states : RankStates
        Read by every rank from the checkpoint.
    model : Module
        Has rank 0's buffers already.
    communicator : Communicator
    allow_reshard : bool
        Go on with another number of ranks than before. Ranks that have no state of their own then
        take rank 0's buffers, and random numbers of their own seed: the run goes on sensibly, but
        not as it would have.

    Raises
    ------
    DistributedError
        If the number of ranks differs, and `allow_reshard` is False.
    """
    saved, rank = len(states.random), communicator.rank
    if saved != communicator.size and not allow_reshard:
        raise DistributedError(
            f"the checkpoint is of {saved} {_ranks(saved)}, this run has {communicator.size}."
            f" Start it with `mpiexec -n {saved}`, or pass --allow-reshard to go on with others:"
            " results will then differ from those of an uninterrupted run"
        )
    if rank >= saved:
        random.manual_seed(own_seed(int(states.random[0]["seed"]), rank))
        return
    random.restore(states.random[rank])
    for name, buffer in model.named_buffers():
        value = states.buffers.get(f"rank{rank}.{name}")
        if value is not None:
            buffer.copy_(value)


def own_seed(seed: int, rank: int) -> int:
    """Return the seed of a rank's random numbers, so that no two ranks draw the same ones.

    Rank 0 keeps the seed itself. Use it behind the building of the model, which must be alike.

    Examples
    --------
    >>> own_seed(7, rank=0)
    7
    >>> own_seed(7, rank=1) == own_seed(7, rank=2)
    False
    """
    return seed if rank == 0 else int(np.random.SeedSequence([seed, rank]).generate_state(1)[0])


def _ranks(count: int) -> str:
    return "rank" if count == 1 else "ranks"
