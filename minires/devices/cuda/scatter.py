"""Adding at indices, on a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..determinism import are_deterministic_algorithms_enabled
from .kernel import Kernel
from .launching import Array, Launching


def _add_runs_plain(values: Array, order: Array, places: Array, target: Array, count: int) -> None:
    """Add the values that go to one place, one after another.

    Parameters
    ----------
    values : array, any shape of `count` elements, T
    order, places : array, (count,), int64
        Which value comes next, and where in target's memory it goes, sorted by places.
    target : array, any shape, T
        Written; sums are formed in the accumulator of T.
    count : int
    """
    wide = np.float64 if target.dtype == np.float64 else np.float32
    memory, given = target.reshape(-1), values.reshape(-1)
    starts = np.flatnonzero(np.diff(places[:count], prepend=-1))
    for start, stop in zip(starts, [*starts[1:], count], strict=True):
        total = wide(memory[places[start]])
        for i in order[start:stop]:
            total = total + wide(given[i])
        memory[places[start]] = total


# Equal places stand side by side, in the order of their values. The thread of the first of them
# adds them all up, one after another as on the CPU; the others have nothing to do.
ADD_RUNS = Kernel(
    r"""
extern "C" __global__ void add_runs(
    const T* values, const long long* order, const long long* places, T* target, long long count
) {
    long long i = (long long)blockIdx.x * BLOCK + threadIdx.x;
    if (i >= count) return;
    long long place = places[i];
    if (i > 0 && places[i - 1] == place) return;
    A total = (A)target[place];
    for (; i < count && places[i] == place; i++) total = total + (A)values[order[i]];
    target[place] = (T)total;
}
""",
    plain=_add_runs_plain,
)


class CudaScatter(Launching):
    """Adding at indices, on a GPU."""

    def add_at(self, target: Array, index: Any, values: Array) -> None:
        """``target[index] += values`` in which every repetition of an index counts.

        Threads add in the order in which they come, so that the last bits differ from run to run,
        unless `minires.use_deterministic_algorithms` asks for an order.
        """
        if are_deterministic_algorithms_enabled() and target.dtype.kind == "f":
            self._add_in_order(target, index, values)
        else:
            self.xp.add.at(target, index, values)

    def _add_in_order(self, target: Array, index: Any, values: Array) -> None:
        """Add in the order of the values, as the CPU does."""
        xp = self.xp
        # Whatever an index can be (slices, masks, arrays), of positions it makes positions.
        positions = xp.arange(target.size, dtype=np.int64).reshape(target.shape)[index]
        given = xp.broadcast_to(values.astype(target.dtype, copy=False), positions.shape)
        flat = positions.reshape(-1)
        order = xp.argsort(flat, kind="stable")
        dense = target if target.flags.c_contiguous else xp.ascontiguousarray(target)
        self.launch(
            ADD_RUNS,
            ADD_RUNS.grid(flat.size),
            xp.ascontiguousarray(given),
            order,
            xp.take(flat, order),
            dense,
            flat.size,
            T=target.dtype,
        )
        if dense is not target:
            target[...] = dense
