"""One recorded VJP, in the dtype that it ran in, against the same VJP in float64.

Differences are taken in float64: they say nothing of what a VJP does in another dtype only.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minires import devices
from minires.autograd import Node, Tensor
from minires.autograd.context import changed
from minires.devices import random

from .records import Backward
from .replay import random_state

if TYPE_CHECKING:
    from .tape import Tape

Array = np.ndarray[Any, Any]

# Where terms cancel, rounding does more than the size of the result tells. How much shows where
# all that a VJP reads is rounded once more; a sum of many terms has that many roundings.
_ROUNDINGS = 1000


class Apart(NamedTuple):
    """Where a VJP sends something else in its own dtype than in float64.

    Attributes
    ----------
    slot : int
        The input.
    at : tuple of int
        The worst entry.
    found, expected : float
    """

    slot: int
    at: tuple[int, ...]
    found: float
    expected: float


def differs_from_float64(tape: Tape, visit: Backward, node: Node, seed: int) -> Apart | None:
    """Run a VJP in both dtypes, on the values that it kept and one random incoming gradient.

    Returns
    -------
    Apart or None
        The first input to which it sends something else, beyond rounding. None as well where
        either is not finite: float16 ends at 65,504, which is no mistake of the VJP.
    """
    dtype = np.dtype(node.dtype)
    if dtype.kind != "f" or dtype == np.float64:
        return None
    rng = np.random.default_rng(seed)
    g = rng.standard_normal(node.shape).astype(dtype)
    slots = [sent.slot for sent in visit.sent]
    state = tape.random_states.get((visit.run, visit.value))
    state = random.generator().bit_generator.state if state is None else state
    epsilon = float(np.finfo(dtype).eps)
    start = next(iter(tape.starts.values()))[0]
    g = devices.of(start).array(g)  # where the step ran
    found = _sent(node, g, slots, state)
    exact = _sent(_in_float64(node), wide(g), slots, state)
    shaken = _sent(_in_float64(node, epsilon, rng), _shaken(wide(g), epsilon, rng), slots, state)
    for slot in slots:
        one, right, other = found[slot], exact[slot], shaken[slot]
        if right.size and all(np.isfinite(each).all() for each in (one, right, other)):
            rounding = _ROUNDINGS * float(np.abs(other - right).max())
            smallest = float(np.finfo(dtype).tiny)
            allowed = epsilon**0.5 * float(np.abs(right).max()) + rounding + smallest
            error = np.abs(one - right)
            if float(error.max()) > allowed:
                index = np.unravel_index(int(error.argmax()), error.shape)
                at = tuple(map(int, index))
                return Apart(slot, at, float(one[at]), float(right[at]))
    return None


def _sent(node: Node, g: Any, slots: list[int], state: Any) -> dict[int, Array]:
    """Run a VJP; give what it sends to these inputs, in float64, on the host."""
    assert node.op is not None
    needs = tuple([slot in slots for slot in range(len(node.parents))])
    with changed(hooks=(), recording=False, expanded=frozenset()), random_state(state):
        gradients = node.op.pull_back(node, g, needs, False)
    return {slot: on_host(wide(gradients[slot])) for slot in slots}


def _in_float64(node: Node, epsilon: float = 0.0, rng: np.random.Generator | None = None) -> Node:
    """Copy a node with all that its VJP reads in float64, and, if asked to, rounded once more."""
    twin = copy.copy(node)
    twin.kept, twin.output, twin.aux = (
        _shaken(wide(value), epsilon, rng)
        for value in (tuple(node.values()), node.output, node.aux)
    )
    twin.output_version = None
    twin.constants = {name: wide(value) for name, value in node.constants.items()}
    return twin


def _shaken(value: Any, epsilon: float, rng: np.random.Generator | None) -> Any:
    """Round every float of an array once more, at random; zeros stay what they are."""
    if type(value) in (tuple, list):
        return type(value)([_shaken(each, epsilon, rng) for each in value])
    if rng is None or type(value) not in devices.ARRAY_TYPES or value.dtype.kind != "f":
        return value
    return value * devices.of(value).array(1 + epsilon * rng.uniform(-1, 1, value.shape))


def wide(value: Any) -> Any:
    """Return copies of arrays, those of floats in float64; everything else as it is."""
    if type(value) in (tuple, list):
        return type(value)(map(wide, value))
    if isinstance(value, Tensor):
        return Tensor(wide(value._data))
    if isinstance(value, np.dtype) and value.kind == "f":
        return np.dtype(np.float64)
    if not hasattr(value, "dtype") or not hasattr(value, "shape"):
        return value
    return value.astype(np.float64) if value.dtype.kind == "f" else value.copy()


def on_host(value: Any) -> Array:
    """Return an array on the host."""
    return np.asarray(devices.of(value).to_numpy(value))
