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

# Says under which names a part goes on when it leaves a forward step through one of its inputs:
# mostly one; several where a further part begins.
Route = Callable[[Forward, int, Hashable], tuple[Hashable, ...]]


class ReplayError(AutogradError):
    """A recorded backward pass cannot be run again, or came out differently.

    Attributes
    ----------
    visit : Backward or None
        Where that was.
    """

    visit: Backward | None = None


class OverwrittenSinceError(ReplayError):
    """A value that a VJP needs was written since it was recorded."""


class Replayed(NamedTuple):
    """What arrived at a value.

    Attributes
    ----------
    total : array
        The gradient, bit for bit the recorded one.
    parts : dict
        Array for each name of a part; where the route gives each part one name, they add up to the
        total, to rounding.
    """

    total: Array
    parts: Mapping[Any, Array]

    def on_host(self) -> Replayed:
        """Return the same with arrays on the host: themselves on the CPU, else copies."""
        return Replayed(_on_host(self.total), {k: _on_host(v) for k, v in self.parts.items()})


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
        the name of a part, and returns the names under which it goes on through that input. The
        gradient begins as the part called 0. Without a route there are no parts.

    Returns
    -------
    Replayed

    Raises
    ------
    ReplayError
        If the trace has no tape, no gradient reached the value, a value was overwritten since, the
        gradient came out differently, or a VJP is not linear in the gradient.
    """
    tape, visits = _visits(trace, target)
    useful = _leading_to(trace, target)
    with changed(hooks=(), recording=False, expanded=frozenset()):
        for visit, total, parts in _walked(trace, tape, visits, useful, route):
            if visit.value == target:
                return Replayed(_array(total), {name: _array(a) for name, a in parts.items()})
    value = trace.records.values[target]
    raise ReplayError(f"no gradient reached {value.name!r} in the recorded backward pass")


def _walked(
    trace: Trace, tape: Tape, visits: list[Backward], useful: set[int], route: Route | None
) -> Iterator[tuple[Backward, Any, Lanes]]:
    """Take the visits of a pass once more; give what arrives at each, before it is sent on."""
    pending: dict[int, list[tuple[Any, Lanes]]] = {}
    for visit in visits:
        arrived = _begun(tape, visit, route) + pending.pop(visit.value, [])
        if visit.value in useful and arrived:
            total, parts = _met(arrived)
            try:
                _compare(trace, visit, total)
                yield visit, total, parts
                _send(trace, tape, visit, total, parts, route, useful, pending)
            except ReplayError as error:
                error.visit = visit
                raise


def rerun(trace: Trace, tape: Tape, run: int) -> list[tuple[Backward, ReplayError | None]]:
    """Run a whole recorded backward pass again, and compare every gradient with the recorded one.

    Parameters
    ----------
    trace : Trace
    tape : Tape
    run : int
        Which backward pass.

    Returns
    -------
    list of (Backward, ReplayError or None)
        Each visit, and what is different there; a difference ends the run, for all that comes
        later may follow from it.
    """
    visits = [visit for visit in trace.records.backward if visit.run == run]
    everything = set(range(len(trace.records.values)))
    compared: list[tuple[Backward, ReplayError | None]] = []
    with changed(hooks=(), recording=False, expanded=frozenset()):
        try:
            for visit, _, _ in _walked(trace, tape, visits, everything, None):
                compared.append((visit, None))
        except ReplayError as error:
            where = error.visit
            assert where is not None
            compared = [each for each in compared if each[0] is not where]
            compared.append((where, error))
    return compared


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
        raise ReplayError(
            "taking gradients apart needs the values that the VJPs used:"
            f" {records.budget.replay_state}"
        )
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
        whole = [name for name in lanes if lanes[name] is more and parts.get(name) is total]
        total = _sum(total, more)
        for name, array in lanes.items():
            if name in whole:
                parts[name] = total
            else:
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
            lanes, gradient = through[slot], gradients[slot]
            for goes_on in () if route is None else route(step, slot, name):
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
        if array is total:
            yield name, pulled
            continue
        gradients = _pulled(tape, visit, node, array, needs)
        if node.op is not None and node.op.guarded:
            rest = _pulled(tape, visit, node, total - array, needs)
            _check_linear(node, pulled, gradients, rest)
        yield name, gradients


def _check_linear(
    node: Node, whole: tuple[Any, ...], part: tuple[Any, ...], rest: tuple[Any, ...]
) -> None:
    """Refuse a VJP of a user's op that does not send a sum on as the sum of what it sends.

    minires' own VJPs are linear; the tests of the ops hold that.
    """
    for total, one, other in zip(whole, part, rest, strict=True):
        if total is None or one is None or other is None or 0 in total.shape:
            continue
        a, b, c = map(_array, (total, one, other))
        device = devices.of(a)
        sizes = device.xp.stack([(abs(b) + abs(c)).max(), abs(b + c - a).max()])
        size, error = device.to_numpy(sizes).tolist()
        if error > float(device.xp.finfo(a.dtype).eps) ** 0.5 * size:
            raise ReplayError(
                f"the VJP of {node.where()} is not linear in the gradient, so a gradient cannot be"
                " taken apart behind it: VJP(a) + VJP(b) must be VJP(a + b)"
            )


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
    sent = arithmetic[0].cast(sent, x.dtype)
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
            what, *_ = str(error).partition(", but its gradient")
            raise OverwrittenSinceError(
                f"the recorded step cannot be run again: {what}; take gradients apart before the"
                " weights change (before optimizer.step()), or record again"
            ) from error
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


def _on_host(array: Array) -> Array:
    return devices.of(array).to_numpy(array)


def _array(value: Any) -> Array:
    return value._data if isinstance(value, Tensor) else value
