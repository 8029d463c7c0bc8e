"""The recorder: a hook on the engine that writes down what happens, op by op.

The engine shows three moments: an op ran, contributions met, a VJP ran. Each array is looked at
once, when it first appears; what was measured of a contribution when a VJP sent it is used again
when it arrives.
"""

from __future__ import annotations

import copy
import fnmatch
import math
import sys
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from minires import devices
from minires.autograd import Contribution, EngineHook, Node, Op, Tensor, module_path, twin_of
from minires.devices import Array, random
from minires.nn import Module

from .costs import flops_of, vjp_flops
from .notes import notes_of
from .records import (
    SCHEMA,
    Backward,
    Budget,
    Forward,
    Operand,
    Part,
    Records,
    Sent,
    Stats,
    Thumbnail,
    Value,
)
from .source import caller
from .statistics import checksum_of, stats_of, thumbnail_of, verify_sum
from .tape import Tape

Save = Literal["summary", "thumbs", "full"]
Kind = Literal["result", "parameter", "buffer", "input"]
Select = str | Iterable[str] | Callable[[Value], bool] | None

# The largest first output of a model that is taken for a step somebody looks into: for such sizes
# a replay's values are kept unless the caller says otherwise.
INTERACTIVE = 1 << 22


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
    arrays : dict of str to ndarray
        "value/3", "gradient/3", "part/7/0" (backward step 7, its first part): in `full`.
    tape : Tape or None
        What a replay needs.
    """

    def __init__(
        self, model: Any, save: Save, select: Select, budget_mb: float, replay: bool | None
    ) -> None:
        title = (
            type(model).__name__ if isinstance(model, Module) else getattr(model, "__name__", "")
        )
        self.records = Records(SCHEMA, _version(), title, save, Budget(int(budget_mb * 2**20)))
        self.arrays: dict[str, Array] = {}
        self.tape: Tape | None = Tape() if replay is not False else None
        self._fused = replay is False
        if self._fused:
            self.records.budget.replay_state = "not asked for (replay=False)"
        self._undecided = replay is None
        self._selected = _selection(select)
        self._names: dict[int, tuple[str, Kind]] = {}
        if isinstance(model, Module):
            self.records.modules = [path for path, _ in model.named_modules() if path]
            for name, parameter in model.named_parameters():
                self._names[id(parameter)] = (name, "parameter")
                self.records.parameters.append(name)
            for name, buffer in model.named_buffers():
                self._names[id(buffer)] = (name, "buffer")
        # A value is known by its node, or, without one, by its array.
        self._by_node: weakref.WeakKeyDictionary[Node, int] = weakref.WeakKeyDictionary()
        self._by_array: dict[int, tuple[weakref.ref[Any], int]] = {}
        self._sent: dict[tuple[int, int], Stats] = {}
        self._kept: set[int] = set()
        self._inputs = 0
        self._times: Counter[str] = Counter()
        self._last_order: int | None = None
        self._run = -1
        self._visiting: Backward | None = None
        self._last = time.perf_counter()

    @property
    def keeps_fused(self) -> bool:  # type: ignore[override]
        """Without a replay the network runs as it always does, fused ops included."""
        return self._fused

    def __enter__(self) -> Recorder:
        """Begin to look on."""
        super().__enter__()
        self._last = time.perf_counter()
        return self

    def find(self, tensor: Tensor) -> int | None:
        """Return which value a Tensor is; None for one that took no part."""
        node = tensor._node
        if node is not None and node in self._by_node:
            return self._by_node[node]
        return self._known_array(tensor._data)

    # -- an op ran ---------------------------------------------------------------------------

    def op_ran(self, op: Op[Any], inputs: tuple[Any, ...], output: Any, node: Node | None) -> None:
        """Write down a forward step."""
        seconds = time.perf_counter() - self._last
        records = self.records
        operands = tuple([self._operand(op, slot, value) for slot, value in enumerate(inputs)])
        index, module = len(records.forward), module_path()
        shapes = [None if o.value is None else records.values[o.value].shape for o in operands]
        name = f"{module}/{op.name}" if module else op.name
        self._times[name] += 1
        if self._times[name] > 1:
            name += f":{self._times[name]}"
        made = self._new_value(name, "result", output, made_by=index)
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
            notes_of(op.name, inputs, node),
            None if self._visiting is None else self._visiting.index,
            node is not None,
            twin_of(),
        )
        records.forward.append(step)
        records.steps.append(("forward", index))
        if self._undecided:
            self._decide(output._data.nbytes)
        if self.tape is not None and node is not None and step.vjp_of is None:
            self._keep_for_replay(made.index, node, inputs)
        self._last = time.perf_counter()

    def _operand(self, op: Op[Any], slot: int, value: Any) -> Operand:
        edge = op.input_name(slot)
        if isinstance(value, Tensor):
            return Operand(edge, self._value_of(value))
        shape = getattr(value, "shape", None)
        return Operand(edge, None, repr(value) if shape is None else f"array {tuple(shape)}")

    def _value_of(self, tensor: Tensor) -> int:
        """Return the number of a value; one that no recorded op made becomes known here."""
        node, array = tensor._node, tensor._data
        if node is not None:
            index = self._by_node.get(node)
            if index is not None:
                return index
        known = self._known_array(array)
        if known is not None and node is None and not self.records.values[known].requires_grad:
            return known
        kind: Kind = "input"
        name, kind = self._names.get(id(tensor), ("", kind))
        if not name:
            name = f"input {self._inputs}"
            self._inputs += 1
        made = self._new_value(name, kind, tensor)
        if known is not None:
            made.detached_from = known
        return made.index

    def _known_array(self, array: Array) -> int | None:
        reference, index = self._by_array.get(id(array), (None, None))
        return index if reference is not None and reference() is array else None

    def _new_value(
        self,
        name: str,
        kind: Kind,
        tensor: Tensor,
        made_by: int | None = None,
    ) -> Value:
        values, array, node = self.records.values, tensor._data, tensor._node
        value = Value(
            len(values), name, kind, array.shape, str(array.dtype), node is not None, made_by
        )
        values.append(value)
        if node is not None:
            self._by_node[node] = value.index
        self._by_array[id(array)] = (weakref.ref(array), value.index)
        if self._selected(value):
            value.stats, value.thumbnail = self._seen(array, f"value/{value.index}")
        return value

    # -- contributions met -------------------------------------------------------------------

    def contributions_met(
        self, node: Node, contributions: list[Contribution], total: Array
    ) -> None:
        """Write down the sum of a value's contributions."""
        seconds = time.perf_counter() - self._last
        index = self._by_node.get(node)
        if index is None:
            index = self._made_before(node)
        value, records = self.records.values[index], self.records
        if self._last_order is None or node.order >= self._last_order:
            self._run += 1  # a pass visits nodes by falling order
        self._last_order = node.order
        step = Backward(
            len(records.backward),
            self._run,
            index,
            tuple([self._part(part, index) for part in contributions]),
            None,
            "unseen",
            seconds=seconds,
            changed_by_hook=bool(node.hooks),
        )
        records.backward.append(step)
        records.steps.append(("backward", step.index))
        if self._selected(value):
            self._look_at_sum(step, contributions, _array(total))
        if self.tape is not None:
            self._note_for_replay(self.tape, step, node, contributions, total)
        if node.op is not None:
            self._visiting = step
        self._last = time.perf_counter()

    def _note_for_replay(
        self, tape: Tape, step: Backward, node: Node, parts: list[Contribution], total: Any
    ) -> None:
        place = step.run, step.value
        step.checksum = checksum_of(_array(total))
        starts = [_array(part.value).copy(order="K") for part in parts if part.consumer is None]
        if starts:
            tape.starts[place] = starts
        if isinstance(total, Tensor):
            tape.recorded_runs.add(step.run)
        if node.op is not None and node.op.guarded:
            # A VJP of the user's may draw random numbers.
            tape.random_states[place] = copy.deepcopy(random.generator().bit_generator.state)

    def _made_before(self, node: Node) -> int:
        """Note a value whose op ran before recording began."""
        value = Value(
            len(self.records.values),
            f"{node.module_path}/{node.name}".lstrip("/") + " (before recording)",
            "input",
            node.shape,
            str(node.dtype),
            True,
        )
        self.records.values.append(value)
        self._by_node[node] = value.index
        return value.index

    def _part(self, part: Contribution, value: int) -> Part:
        consumer, stats = part.consumer, None
        step = None
        if consumer is not None:
            made = self._by_node.get(consumer)
            if made is not None:
                step = self.records.values[made].op
                stats = self._sent.pop((made, part.slot), None)
        if stats is None and self._selected(self.records.values[value]):
            stats = self._stats(_array(part.value))
        return Part(step, part.slot, part.edge, stats)

    def _look_at_sum(self, step: Backward, parts: list[Contribution], total: Array) -> None:
        value = self.records.values[step.value]
        if len(parts) == 1:
            # The array itself is the sum; it was looked at when it was sent.
            step.verdict, step.stats = "single", step.parts[0].stats
            norm = step.stats.norm if step.stats is not None else 0.0
            if norm > 0 and step.stats is not None and step.stats.finite:
                step.parts[0].cosine = step.parts[0].share = 1.0
            _, value.gradient_thumbnail = self._seen(total, f"gradient/{value.index}", step.stats)
        else:
            arrays = [_array(part.value) for part in parts]
            equal, shares = verify_sum(arrays, total)
            step.verdict = "exact" if equal else "wrong"
            step.stats, value.gradient_thumbnail = self._seen(total, f"gradient/{value.index}")
            if step.stats is not None:
                _fill_shares(step, shares)
            if self.records.save == "full":
                for place, array in enumerate(arrays):
                    self._keep(f"part/{step.index}/{place}", array)
        value.gradient = step.stats

    # -- a VJP ran ---------------------------------------------------------------------------

    def vjp_ran(self, node: Node, g: Array, contributions: tuple[Array | None, ...]) -> None:
        """Write down what a VJP sent on."""
        seconds = time.perf_counter() - self._last
        step = self._visiting
        self._visiting = None
        if step is None:
            return
        value = self.records.values[step.value]
        step.op = value.op
        if step.changed_by_hook and self._selected(value):
            value.gradient = self._stats(_array(g))
        if step.op is None or node.op is None:  # the op ran before recording began
            self._last = time.perf_counter()
            return
        forward = self.records.forward[step.op]
        sent = []
        for slot, contribution in enumerate(contributions):
            parent = node.parents[slot] if slot < len(node.parents) else None
            to = None if parent is None else self._by_node.get(parent)
            if contribution is None or to is None or parent is None:
                continue
            array = _array(contribution)
            stats = None
            if self._selected(self.records.values[to]):
                stats = self._stats(array)
                if array.dtype == parent.dtype:  # else the engine casts it first
                    self._sent[step.value, slot] = stats
            sent.append(Sent(slot, node.op.input_name(slot), to, stats))
            step.bytes += array.nbytes
        step.sent = tuple(sent)
        step.seconds = seconds
        step.flops = vjp_flops(forward.flops, forward.op, len(sent))
        step.bytes += forward.bytes
        self._last = time.perf_counter()

    # -- what is kept ------------------------------------------------------------------------

    def _stats(self, array: Array) -> Stats:
        return stats_of(array, self.records.save == "full")

    def _seen(
        self, array: Array, name: str, stats: Stats | None = None
    ) -> tuple[Stats | None, Thumbnail | None]:
        """Summarise an array, and keep of it what `save` asks for."""
        stats = self._stats(array) if stats is None else stats
        save = self.records.save
        if save == "full":
            self._keep(name, array)
        if save == "summary":
            return stats, None
        picture = thumbnail_of(array)
        return stats, picture if self._has_room(len(picture.pixels)) else None

    def _keep(self, name: str, array: Array) -> None:
        if self._has_room(array.nbytes):
            self.arrays[name] = devices.of(array).to_numpy(array).copy(order="K")

    def _has_room(self, size: int) -> bool:
        """Count what is about to be kept, unless the budget has no room for it."""
        budget = self.records.budget
        if budget.arrays + budget.replay + size > budget.limit:
            budget.left_out += 1
            return False
        budget.arrays += size
        return True

    def _decide(self, size: int) -> None:
        self._undecided = False
        if size > INTERACTIVE:
            self._fused = True
            self._drop_tape(
                f"not kept: the first op's output has {size / 2**20:.1f} MiB, more than"
                f" {INTERACTIVE >> 20} MiB; record(..., replay=True) keeps it"
            )

    def _keep_for_replay(self, index: int, node: Node, inputs: tuple[Any, ...]) -> None:
        """Keep what the VJP of a node needs, beyond the backward pass that lets go of it."""
        assert self.tape is not None
        budget = self.records.budget
        plain = [value for value in inputs if not isinstance(value, Tensor)]
        kept = *(node.kept or ()), node.output, node.aux, *node.called_with.values(), *plain
        budget.replay += sum(map(self._newly_kept, kept))
        if budget.arrays + budget.replay > budget.limit:
            self._drop_tape(
                f"not kept: it needs more than the budget of {budget.limit / 2**20:.0f} MiB"
                " (record(..., budget_mb=...))"
            )
            return
        self.tape.nodes[index] = copy.copy(node)
        self.tape.inputs[index] = tuple(
            [weakref.ref(v._data) if isinstance(v, Tensor) else v for v in inputs]
        )

    def _newly_kept(self, value: Any) -> int:
        if isinstance(value, (tuple, list)):
            return sum(map(self._newly_kept, value))
        array = value._data if isinstance(value, Tensor) else value
        base = getattr(array, "base", None)
        memory = array if base is None else base
        if not hasattr(array, "nbytes") or id(memory) in self._kept:
            return 0
        self._kept.add(id(memory))
        return int(array.nbytes)

    def _drop_tape(self, why: str) -> None:
        self.tape = None
        self._kept.clear()
        self.records.budget.replay = 0
        self.records.budget.replay_state = why


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


def _fill_shares(step: Backward, shares: list[float | None]) -> None:
    total = step.stats
    assert total is not None
    for part, share in zip(step.parts, shares, strict=True):
        part.share = share
        norm = part.stats.norm if part.stats is not None else 0.0
        if share is not None and 0 < norm < math.inf:
            # <part, total> / (|part| |total|)
            part.cosine = max(-1.0, min(1.0, share * (total.norm / norm)))


def _selection(select: Select) -> Callable[[Value], bool]:
    """Turn what the caller said into a test for values."""
    if select is None:
        return lambda value: True
    if callable(select):
        chosen: Mapping[int, bool] = {}
        return lambda value: _remembered(chosen, value, select)
    patterns = [select] if isinstance(select, str) else list(select)
    chosen = {}

    def matches(value: Value) -> bool:
        return any(
            fnmatch.fnmatchcase(value.name, pattern)
            or fnmatch.fnmatchcase(value.name, f"{pattern}[./]*")
            for pattern in patterns
        )

    return lambda value: _remembered(chosen, value, matches)


def _remembered(chosen: Any, value: Value, test: Callable[[Value], bool]) -> bool:
    if value.index not in chosen:
        chosen[value.index] = bool(test(value))
    return chosen[value.index]  # type: ignore[no-any-return]
