"""Running a recorded backward pass again, on the gradient and on parts of it at once.

A VJP is linear in the incoming gradient. So whatever the gradient is split into at one place, the
VJPs carry each part on by itself, and the parts still add up to the whole further down. A replay
carries *lanes* from the loss to one value: the whole gradient, which must come out as it was
recorded, bit for bit; and any parts of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from minires import devices
from minires.autograd import AutogradError, Node, Tensor
from minires.autograd.context import changed
from minires.autograd.operation import arithmetic
from minires.devices import Array, random

from .records import Backward, Forward
from .statistics import checksum_of

if TYPE_CHECKING:
    from .tape import Tape
    from .trace import Trace

Lanes = dict[Hashable, Any]

# Says under which name a part goes on, when it leaves a forward step through one of its inputs;
# None: not at all.
Route = Callable[[Forward, int, Hashable], Hashable | None]


class ReplayError(AutogradError):
    """A recorded backward pass cannot be run again, or came out differently."""


class Replayed(NamedTuple):
    """What arrived at a value.

    Attributes
    ----------
    total : array
        The gradient, bit for bit the recorded one.
    parts : dict
        Array for each name of a part; they add up to the total unless the route dropped some.
    """

    total: Array
    parts: Mapping[Any, Array]


def replay(trace: Trace, target: int, route: Route | None = None) -> Replayed:
    """Carry the gradient back to one value once more.

    Parameters
    ----------
    trace : Trace
        With its tape (``record(..., replay=True)``).
    target : int
        Index of the value.
    route : callable, optional
        Where parts are to be told apart: gets a forward step, the slot of one of its inputs and
        the name of a part, and returns the name under which the part goes on through that input,
        or None to drop it. The gradient begins as the part called 0. Without a route there are no
        parts.

    Returns
    -------
    Replayed

    Raises
    ------
    ReplayError
        If the trace has no tape, no gradient reached the value, a value was overwritten since, or
        the gradient came out differently.
    """
    tape, visits = _visits(trace, target)
    useful = _leading_to(trace, target)
    pending: dict[int, list[tuple[Any, Lanes]]] = {}
    with changed(hooks=(), recording=False, expanded=frozenset()):
        for visit in visits:
            index = visit.value
            arrived = _begun(tape, visit, route) + pending.pop(index, [])
            if index not in useful or not arrived:
                continue
            total, parts = _met(arrived)
            _compare(trace, visit, total)
            if index == target:
                return Replayed(_array(total), {name: _array(a) for name, a in parts.items()})
            _send(trace, tape, visit, total, parts, route, useful, pending)
    value = trace.records.values[target]
    raise ReplayError(f"no gradient reached {value.name!r} in the recorded backward pass")


def rerun(trace: Trace, run: int) -> Iterator[tuple[Backward, ReplayError | None]]:
    """Run a whole recorded backward pass again, and compare every gradient with the recorded one.

    Parameters
    ----------
    trace : Trace
        With its tape.
    run : int
        Which backward pass.

    Yields
    ------
    visit : Backward
    error : ReplayError or None
        What is different; it ends the run, for all that comes later may follow from it.
    """
    tape = trace.tape
    assert tape is not None
    pending: dict[int, list[tuple[Any, Lanes]]] = {}
    useful = set(range(len(trace.records.values)))
    with changed(hooks=(), recording=False, expanded=frozenset()):
        for visit in [visit for visit in trace.records.backward if visit.run == run]:
            arrived = _begun(tape, visit, None) + pending.pop(visit.value, [])
            if not arrived:
                continue
            try:
                total, parts = _met(arrived)
                _compare(trace, visit, total)
                _send(trace, tape, visit, total, parts, None, useful, pending)
            except ReplayError as error:
                yield visit, error
                return
            yield visit, None


def _begun(tape: Tape, visit: Backward, route: Route | None) -> list[tuple[Any, Lanes]]:
    """Return the gradients that the pass began with at a value, all in the part called 0."""
    starts: list[Any] = tape.starts.get((visit.run, visit.value), [])
    if visit.run in tape.recorded_runs:
        starts = [Tensor._wrap(start) for start in starts]
    return [(start, {} if route is None else {0: start}) for start in starts]


def _visits(trace: Trace, target: int) -> tuple[Tape, list[Backward]]:
    """Return the tape, and the visits of the last backward pass that reached the target."""
    records = trace.records
    value = records.values[target]
    reached = [visit.run for visit in records.backward if visit.value == target]
    if not reached:
        reason = (
            "backward has not run inside the with-block"
            if not records.backward
            else "it requires no gradient"
            if not value.requires_grad
            else "the backward pass did not reach it"
        )
        raise ReplayError(f"{value.name!r} has no gradient in this trace: {reason}")
    if trace.tape is None:
        state = records.budget.replay_state
        why = "a trace from a file has none" if state == "kept" else state
        raise ReplayError(f"taking gradients apart needs the values that the VJPs used; {why}")
    return trace.tape, [visit for visit in records.backward if visit.run == reached[-1]]


def _leading_to(trace: Trace, target: int) -> set[int]:
    """The values through which a gradient can reach the target."""
    useful = {target}
    for step in trace.records.forward:
        if step.recorded and any(operand.value in useful for operand in step.operands):
            useful.add(step.output)
    return useful


def _met(arrived: list[tuple[Any, Lanes]]) -> tuple[Any, Lanes]:
    """Sum what arrived, lane by lane, in tape order."""
    total, first = arrived[0]
    parts = dict(first)
    for more, lanes in arrived[1:]:
        total = _sum(total, more)
        for name, array in lanes.items():
            parts[name] = _sum(parts[name], array) if name in parts else array
    return total, parts


def _sum(a: Any, b: Any) -> Any:
    """Add as the engine does."""
    return a + b if isinstance(a, Tensor) else devices.of(a).add(a, b)


def _compare(trace: Trace, visit: Backward, total: Any) -> None:
    """Make sure that the replay is at the gradient that was recorded."""
    name = trace.records.values[visit.value].name
    if visit.changed_by_hook:
        raise ReplayError(
            f"a hook was registered on {name!r} and may have changed its gradient; what a hook does"
            " cannot be run again"
        )
    if visit.checksum is not None and checksum_of(_array(total)) != visit.checksum:
        raise ReplayError(
            f"the gradient of {name!r} comes out differently than it was recorded: something that"
            " its VJPs read has changed since, or a VJP does not give the same result twice"
        )


def _send(
    trace: Trace,
    tape: Tape,
    visit: Backward,
    total: Any,
    parts: Lanes,
    route: Route | None,
    useful: set[int],
    pending: dict[int, list[tuple[Any, Lanes]]],
) -> None:
    """Run the VJP of a value's op on every lane, and hand on what it gives."""
    node = tape.nodes.get(visit.value)
    if node is None or visit.op is None:
        return
    step = trace.records.forward[visit.op]
    slots = [
        slot
        for slot, operand in enumerate(step.operands)
        if operand.value in useful and node.parents[slot] is not None
    ]
    needs = tuple([slot in slots for slot in range(len(node.parents))])
    # The whole gradient asks for what the engine asked for: a kernel that computes two gradients at
    # once may round otherwise than one that computes a single one.
    sent = {sent.slot for sent in visit.sent}
    asked = tuple([slot in sent for slot in range(len(node.parents))])
    pulled = _pulled(tape, visit, node, total, asked)
    through: dict[int, Lanes] = {slot: {} for slot in slots}
    for name, gradients in _parts_pulled(tape, visit, node, parts, needs, (total, pulled)):
        for slot in slots:
            goes_on = None if route is None else route(step, slot, name)
            if goes_on is not None:
                lanes, gradient = through[slot], gradients[slot]
                lanes[goes_on] = _sum(lanes[goes_on], gradient) if goes_on in lanes else gradient
    for slot in slots:
        value = step.operands[slot].value
        assert value is not None
        pending.setdefault(value, []).append((pulled[slot], through[slot]))


def _parts_pulled(
    tape: Tape,
    visit: Backward,
    node: Node,
    parts: Lanes,
    needs: tuple[bool, ...],
    known: tuple[Any, tuple[Any, ...]],
) -> Iterator[tuple[Hashable, tuple[Any, ...]]]:
    """Run a VJP on each part; as long as nothing has parted, the part is the known whole."""
    total, pulled = known
    if len(parts) > 1 and _is_plain_convolution(node, needs, total):
        together = _convolved_back(node, list(parts.values()))
        yield from ((name, (g, None, None)) for name, g in zip(parts, together, strict=True))
        return
    for name, array in parts.items():
        yield name, pulled if array is total else _pulled(tape, visit, node, array, needs)


def _is_plain_convolution(node: Node, needs: tuple[bool, ...], g: Any) -> bool:
    return (
        node.op is not None
        and node.op.name == "conv2d"
        and needs == (True, False, False)
        and not isinstance(g, Tensor)
    )


def _convolved_back(node: Node, gradients: list[Array]) -> list[Array]:
    """Send several gradients through one convolution, as if they were one larger batch.

    The gradient of an image depends on no other image, so the result is the same, and for small
    batches a large one takes half the time. A path spectrum spends most of its time here.
    """
    x, weight, *_ = node.values()
    device, size = devices.of(weight), tuple(x.shape[2:])
    batch = device.xp.concatenate(gradients)
    window, groups = node.constants["window"], node.constants["groups"]
    sent = device.conv2d_input(batch, weight, window, groups, size)
    images = len(x)
    return [sent[i : i + images] for i in range(0, len(sent), images)] if images else gradients


def _pulled(
    tape: Tape, visit: Backward, node: Node, g: Any, needs: tuple[bool, ...]
) -> tuple[Any, ...]:
    """Run one VJP, from the state of the random generator that it had."""
    assert node.op is not None
    with random_state(tape.random_states.get((visit.run, visit.value))):
        try:
            gradients = node.op.pull_back(node, g, needs, isinstance(g, Tensor))
        except AutogradError as error:
            raise ReplayError(f"the recorded step cannot be run again: {error}") from error
    return tuple(
        [
            arithmetic[0].cast(gradient, parent.dtype)
            if needed and gradient is not None and parent and gradient.dtype != parent.dtype
            else gradient
            for gradient, parent, needed in zip(gradients, node.parents, needs, strict=True)
        ]
    )


@contextmanager
def random_state(state: Any) -> Iterator[None]:
    """Run the block from a state of the random generator, then go back to the present one."""
    if state is None:
        yield
        return
    generator = random.generator().bit_generator
    present = generator.state
    generator.state = state
    try:
        yield
    finally:
        generator.state = present


def _array(value: Any) -> Array:
    return value._data if isinstance(value, Tensor) else value
