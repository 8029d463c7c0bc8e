"""The recorder: a hook on the engine that writes down what happens, op by op.

The engine shows its moments: an op ran, contributions met, a VJP ran. Each array is looked at once,
when it first appears; what was measured of a contribution when a VJP sent it is used again when it
arrives.
"""

from __future__ import annotations

import copy
import sys
import time
from dataclasses import dataclass, replace
from typing import Any, Literal

from minires.autograd import Contribution, EngineHook, Node, Op, Tensor, module_path, twin_of
from minires.autograd.context import current
from minires.devices import Array, random
from minires.nn import Module

from .costs import flops_of, vjp_flops
from .keeping import Keeper
from .looks import Looks, Select
from .records import SCHEMA, Backward, Forward, Operand, Part, Records, Sent, Stats, Value
from .source import caller
from .tape import Tape
from .valuebook import ValueBook

Save = Literal["summary", "thumbs", "full"]


@dataclass
class _Pass:
    """A backward pass that is going on: its number, and the step it is at."""

    run: int
    at: Backward | None = None


class Recorder(EngineHook):
    """Writes the records of a trace while the engine works.

    Parameters
    ----------
    model : Module, callable or None
        Whose modules and parameters give values their names.
    save : {"summary", "thumbs", "full"}
    select : str, iterable of str, callable or None
        Which values are looked at: patterns for their names, or a function of the `Value`.
    budget_mb : float
        Bound of the memory for arrays, and for what a replay needs.
    replay : bool or None
        Keep what a replay needs; None decides by the size of the first op's output.

    Attributes
    ----------
    records : Records
    """

    def __init__(
        self, model: Any, save: Save, select: Select, budget_mb: float, replay: bool | None
    ) -> None:
        named = isinstance(model, Module)
        title = type(model).__name__ if named else getattr(model, "__name__", "")
        self._keeper = Keeper(budget_mb, replay)
        self.records = Records(SCHEMA, _version(), title, save, self._keeper.budget)
        self._paths = {id(m): path for path, m in model.named_modules()} if named else {}
        self._looks = Looks(self.records, self._keeper, select)
        self._values = ValueBook(self.records, model)
        self._sent: dict[tuple[int, int], Stats] = {}
        self._passes: list[_Pass] = []
        self._runs = 0
        self._last = time.perf_counter()

    @property
    def arrays(self) -> dict[str, Array]:
        """Arrays that were kept: "value/3", "gradient/3", "part/7/0" (backward step, its part)."""
        return self._keeper.arrays

    @property
    def tape(self) -> Tape | None:
        """What a replay needs."""
        return self._keeper.tape

    @property
    def keeps_fused(self) -> bool:  # type: ignore[override]
        """Without a replay the network runs as it always does, fused ops included."""
        return self._keeper.fused

    def __enter__(self) -> Recorder:
        """Begin to look on; parts of the model that are called by themselves keep their paths."""
        super().__enter__()
        self._names_before = current.get().module_names
        if self._paths:
            current.set(replace(current.get(), module_names=self._paths))
        self._last = time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        """Look on no longer."""
        super().__exit__(*exception)
        current.set(replace(current.get(), module_names=self._names_before))

    def settle(self) -> None:
        """Write down what was measured on a device and is not on the host yet."""
        self._looks.settle()

    def find(self, tensor: Tensor) -> int | None:
        """Return which value a Tensor is; None for one that took no part."""
        return self._values.find(tensor)

    # -- an op ran ---------------------------------------------------------------------------

    def op_ran(self, op: Op[Any], inputs: tuple[Any, ...], output: Any, node: Node | None) -> None:
        """Write down a forward step."""
        seconds = time.perf_counter() - self._last
        records, index, module = self.records, len(self.records.forward), module_path()
        operands = tuple([self._operand(op, slot, value) for slot, value in enumerate(inputs)])
        made = self._values.made(op.name, module, output, index)
        self._looks.look(made, output._data)
        within = self._passes[-1].at if self._passes else None
        shapes = [getattr(value, "shape", None) for value in inputs]
        step = Forward(
            index,
            op.name,
            module,
            caller(),
            operands,
            made.index,
            {} if node is None else {k: _told(v) for k, v in node.constants.items()},
            flops_of(op.name, shapes, made.shape),
            output._data.nbytes + sum(_bytes(value) for value in inputs),
            seconds,
            {},
            None if within is None else within.index,
            node is not None,
            twin_of(),
        )
        if self._looks.selected(made):
            self._looks.take_notes(step, inputs, node)
        records.forward.append(step)
        records.steps.append(("forward", index))
        self._keeper.decide(output._data.nbytes)
        if self.tape is not None and node is not None:
            self._keeper.keep_node(made.index, node, inputs)
        self._last = time.perf_counter()

    def _operand(self, op: Op[Any], slot: int, value: Any) -> Operand:
        edge = op.input_name(slot)
        if isinstance(value, Tensor):
            known, new = self._values.given(value)
            if new:
                self._looks.look(known, value._data)
            return Operand(edge, known.index)
        shape = getattr(value, "shape", None)
        operand = Operand(edge, None, repr(value) if shape is None else f"array {tuple(shape)}")
        if shape == ():
            self._looks.tell_number(operand, value)
        return operand

    # -- contributions met -------------------------------------------------------------------

    def pass_began(self) -> None:
        """Number a backward pass."""
        self._passes.append(_Pass(self._runs))
        self._runs += 1

    def pass_ended(self) -> None:
        """Go on with the pass that this one began in, if any."""
        if self._passes:  # it may have begun before the recording
            self._passes.pop()

    def contributions_met(
        self, node: Node, contributions: list[Contribution], total: Array
    ) -> None:
        """Write down the sum of a value's contributions."""
        seconds = time.perf_counter() - self._last
        if not self._passes:
            self.pass_began()
        index = self._values.of_node(node)
        if index is None:
            index = self._values.made_before(node)
        value, records, now = self.records.values[index], self.records, self._passes[-1]
        step = Backward(
            len(records.backward),
            now.run,
            index,
            tuple([self._part(part, value) for part in contributions]),
            None,
            "unseen",
            seconds=seconds,
        )
        now.at = step
        records.backward.append(step)
        records.steps.append(("backward", step.index))
        if self._looks.selected(value):
            arrays = [_array(part.value) for part in contributions]
            self._looks.look_at_sum(step, value, arrays, _array(total))
        if self.tape is not None:
            self._note_for_replay(self.tape, step, node, contributions, total)
        self._last = time.perf_counter()

    def gradient_replaced(self, node: Node, gradient: Array) -> None:
        """Look at what a hook of the user's put in the place of the sum."""
        step = self._passes[-1].at if self._passes else None
        if step is None:
            return
        step.changed_by_hook = True
        value = self.records.values[step.value]
        if self._looks.selected(value):
            value.gradient = self._looks.stats(_array(gradient))
            value.gradient_thumbnail = self._looks.keep(f"gradient/{value.index}", _array(gradient))
        self._last = time.perf_counter()

    def _note_for_replay(
        self, tape: Tape, step: Backward, node: Node, parts: list[Contribution], total: Any
    ) -> None:
        place = step.run, step.value
        self._looks.note_bits(step, _array(total))
        if isinstance(total, Tensor):
            tape.recorded_runs.add(step.run)
        if node.op is not None and node.op.guarded:
            # A VJP of the user's may draw random numbers.
            tape.random_states[place] = copy.deepcopy(random.generator().bit_generator.state)
        starts = [_array(part.value) for part in parts if part.consumer is None]
        if starts:
            self._keeper.keep_starts(place, starts)

    def _part(self, part: Contribution, value: Value) -> Part:
        consumer, stats = part.consumer, None
        step = None
        if consumer is not None:
            made = self._values.of_node(consumer)
            if made is not None:
                step = self.records.values[made].op
                stats = self._sent.pop((made, part.slot), None)
        if stats is None and self._looks.selected(value):
            stats = self._looks.stats(_array(part.value))
        return Part(step, part.slot, part.edge, stats)

    # -- a VJP ran ---------------------------------------------------------------------------

    def vjp_ran(self, node: Node, g: Array, contributions: tuple[Array | None, ...]) -> None:
        """Write down what a VJP sent on."""
        seconds = time.perf_counter() - self._last
        step = self._passes[-1].at if self._passes else None
        made = None if step is None else self.records.values[step.value].op
        if step is None or made is None or node.op is None:  # the op ran before recording began
            self._last = time.perf_counter()
            return
        forward, sent = self.records.forward[made], []
        for slot, contribution in enumerate(contributions):
            parent = node.parents[slot] if slot < len(node.parents) else None
            to = None if parent is None else self._values.of_node(parent)
            if contribution is None or to is None or parent is None:
                continue
            array, stats = _array(contribution), None
            if self._looks.selected(self.records.values[to]):
                stats = self._looks.stats(array)
                if array.dtype == parent.dtype:  # else the engine casts it first
                    self._sent[step.value, slot] = stats
            sent.append(Sent(slot, node.op.input_name(slot), to, stats))
            step.bytes += array.nbytes
        step.op, step.sent, step.seconds = made, tuple(sent), seconds
        step.flops = vjp_flops(forward.flops, forward.op, [each.slot for each in sent])
        step.bytes += forward.bytes
        self._last = time.perf_counter()


def _version() -> str:
    """The version of minires: its front door, which no room imports, is open by now."""
    return str(sys.modules[__name__.partition(".")[0]].__version__)


def _array(value: Any) -> Array:
    return value._data if isinstance(value, Tensor) else value


def _bytes(value: Any) -> int:
    return int(getattr(_array(value), "nbytes", 0))


def _told(constant: Any) -> str:
    """Say a constant in few words."""
    if isinstance(constant, (tuple, list)) and any(hasattr(c, "nbytes") for c in constant):
        return ", ".join(_told(c) for c in constant)
    if hasattr(constant, "nbytes"):
        return f"array {tuple(constant.shape)}"
    return str(constant)
