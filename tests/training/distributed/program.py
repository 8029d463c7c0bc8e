"""What `mpiexec` starts in the tests: ``python -m tests.training.distributed.program JOB FOLDER``.

A job is a function of the communicator and of a folder, in which it leaves what it found.
"""

from __future__ import annotations

import copy
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np

import minires as mr
from minires.devices import random
from minires.training import Callback, Trainer, distributed
from minires.training.rank_state import RankStates, gather_states, own_seed, restore_states
from tests.training.distributed.jobs import data, loader_of, network, trained


class At(Callback):
    """Do something when a step is done."""

    def __init__(self, step: int, what: Any) -> None:
        self.at = step
        self.what = what

    def on_step(self, trainer: Trainer, step: int) -> None:
        if step == self.at:
            self.what()


def equal(ranks: Any, folder: Path) -> None:
    np.savez(folder / f"rank{ranks.rank}.npz", **trained(ranks, images=50))


def single(ranks: Any, folder: Path) -> None:
    """The same in float32 with norms of their own: ranks must still agree to the bit."""
    mr.manual_seed(1)
    model = mr.models.cifar_resnet(8, width=4, num_classes=5)
    optimizer = mr.optim.SGD(model.parameters(), lr=0.1)
    trainer = Trainer(model, optimizer, communicator=ranks)
    trainer.fit(loader_of(data(40, dtype="float32"), 12, ranks), 2)
    (folder / f"rank{ranks.rank}").write_text(distributed.digest(dict(model.named_parameters())))


def words(ranks: Any, folder: Path) -> None:
    """Each method of the communicator, and what `join` set up."""
    own = np.arange(3.0) + ranks.rank
    found = {
        "rank": ranks.rank,
        "size": ranks.size,
        "local": [ranks.local_rank, ranks.local_size],
        "threads": mr.get_num_threads(),
        "all_reduce": ranks.all_reduce(own.copy()).tolist(),
        "without order": ranks.all_reduce(np.ones((2, 3)).T * ranks.rank).tolist(),
        "all_gather": ranks.all_gather(own).tolist(),
        "of a number": ranks.all_gather(np.array(ranks.rank)).tolist(),
        "broadcast": ranks.broadcast(own.copy()).tolist(),
        "gather": ranks.gather(f"word {ranks.rank}"),
        "tell": ranks.tell(f"word {ranks.rank}"),
        "on_any": [distributed.on_any(ranks, ranks.rank == 1), distributed.on_any(ranks, False)],
    }
    ranks.barrier()
    model = network(sync=ranks)
    assert copy.deepcopy(model).bn1.communicator is ranks
    (folder / f"rank{ranks.rank}.json").write_text(json.dumps(found))


def fails(ranks: Any, folder: Path) -> None:
    def fail() -> None:
        raise KeyError("a bug on one rank")

    trained(ranks, callbacks=[At(3, fail)] if ranks.rank == 1 else [])


def lacks_data(ranks: Any, folder: Path) -> None:
    if ranks.rank == 0:
        (folder / "mnist").write_text("images")
    ranks.barrier()
    with distributed.together(ranks):
        (folder / ("mnist" if ranks.rank == 0 else "nowhere")).read_text()


def differs(ranks: Any, folder: Path) -> None:
    model = mr.models.cifar_resnet(8 + 6 * ranks.rank, width=4)
    distributed.start_alike(model, ranks)


def starts_alike(ranks: Any, folder: Path) -> None:
    mr.manual_seed(ranks.rank)
    model = mr.models.cifar_resnet(8, width=4)
    model.bn1.running_mean.copy_(np.full(4, float(ranks.rank)))
    apart = ranks.gather(distributed.digest(model.state_dict()))
    distributed.start_alike(model, ranks)
    alike = ranks.gather(distributed.digest(model.state_dict()))
    if apart is not None and alike is not None:
        assert (len(set(apart)), len(set(alike))) == (ranks.size, 1)
        assert alike[0] == apart[0]


def for_ever(ranks: Any, folder: Path) -> None:
    """Train until somebody kills a rank, or tells all to stop by a signal."""
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))

    class Stop(Callback):
        def on_step(self, trainer: Trainer, step: int) -> None:
            if step == 2:
                (folder / f"pid{ranks.rank}.part").write_text(str(os.getpid()))
                (folder / f"pid{ranks.rank}.part").rename(folder / f"pid{ranks.rank}")
            if distributed.on_any(ranks, bool(told)):
                (folder / f"stopped{ranks.rank}").write_text(str(step))
                sys.exit(143)

    trained(ranks, epochs=10**6, callbacks=[Stop()])


class _Noisy(mr.nn.Module):
    """Has all that a rank has to itself: dropout masks, and statistics of its own images."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = network()
        self.dropout = mr.nn.Dropout(0.5)

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        return self.dropout(self.trunk(x))


def _noisy_trainer(ranks: Any) -> Trainer:
    model = _Noisy()
    mr.manual_seed(own_seed(3, ranks.rank))
    optimizer = mr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return Trainer(model, optimizer, communicator=ranks)


def resumes(ranks: Any, folder: Path) -> None:
    """Save, build everything anew, go on: each rank ends at the bits of an uninterrupted run."""
    whole = _noisy_trainer(ranks)
    whole.fit(loader_of(data(40), 12, ranks), 2)

    part = _noisy_trainer(ranks)
    part.fit(loader_of(data(40), 12, ranks), 1)
    states = gather_states(part.model, ranks)
    saved, states = ranks.tell((_as_arrays(part.state_dict()), states))
    states = RankStates(json.loads(json.dumps(states.random)), states.buffers)

    again = _noisy_trainer(ranks)
    again.load_state_dict(saved)
    restore_states(states, again.model, ranks)
    again.fit(loader_of(data(40), 12, ranks), 1)
    expected, found = whole.model.state_dict(), again.model.state_dict()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name].numpy(), value.numpy(), err_msg=name)
    assert random.state() == _taken(whole, ranks)

    # The same without what belongs to the ranks: then the test above would fail.
    without = _noisy_trainer(ranks)
    without.load_state_dict(saved)
    without.fit(loader_of(data(40), 12, ranks), 1)
    other = without.model.state_dict()["trunk.bn1.running_mean"].numpy()
    assert ranks.rank == 0 or not np.array_equal(other, expected["trunk.bn1.running_mean"].numpy())
    (folder / f"rank{ranks.rank}").write_text("same bits")


def _taken(trainer: Trainer, ranks: Any) -> Any:
    """The random numbers' state where an uninterrupted run leaves it: drawn once more."""
    state = random.state()
    again = _noisy_trainer(ranks)
    again.fit(loader_of(data(40), 12, ranks), 2)
    found = random.state()
    random.restore(state)
    return found


def _as_arrays(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _as_arrays(value) for key, value in state.items()}
    if isinstance(state, list):
        return [_as_arrays(value) for value in state]
    return state.numpy().copy() if isinstance(state, mr.Tensor) else state


def main() -> None:
    job, folder = sys.argv[1], Path(sys.argv[2])
    ranks = distributed.join()
    with distributed.aborting(ranks):
        globals()[job](ranks, folder)


if __name__ == "__main__":
    main()
