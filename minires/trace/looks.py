"""Looking at arrays: what a recorder writes down of each.

Where looking is not free, on a GPU, the measurements are launched and read when the recording ends.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from minires import devices
from minires.autograd import Node
from minires.devices import Array

from . import measures, thumbnails
from .keeping import Keeper
from .notes import take_notes
from .readings import Readings
from .records import Backward, Forward, Operand, Records, Stats, Thumbnail, Value
from .statistics import checksum_of, stats_of, verify_sum

Select = str | Iterable[str] | Callable[[Value], bool] | None


class Looks:
    """Looks at the arrays of a recording.

    Parameters
    ----------
    records : Records
    keeper : Keeper
    select : str, iterable of str, callable or None
        Which values are looked at.
    """

    def __init__(self, records: Records, keeper: Keeper, select: Select) -> None:
        self._save = records.save
        self._keeper = keeper
        self._test = _selection(select)
        self._chosen: dict[int, bool] = {}
        self._readings = Readings()

    def settle(self) -> None:
        """Write down what was measured on a device and is not on the host yet."""
        self._readings.settle()

    def take_notes(self, step: Forward, inputs: Sequence[Any], node: Node | None) -> None:
        """Note what matters of an op's small arrays."""
        take_notes(step.notes, step.op, inputs, node, self._readings)

    def tell_number(self, operand: Operand, value: Array) -> None:
        """Write down the number that an array of no axes is."""

        def tell(number: Array) -> None:
            operand.text = repr(number.item())

        self._readings.read(devices.of(value), [value], tell, alive=True)

    def selected(self, value: Value) -> bool:
        """Tell whether a value is to be looked at."""
        if value.index not in self._chosen:
            self._chosen[value.index] = bool(self._test(value))
        return self._chosen[value.index]

    def stats(self, array: Array) -> Stats:
        """Summarise an array."""
        device = devices.of(array)
        if device.synchronous or array.size == 0:
            return stats_of(array, exact=self._save == "full")
        stats = measures.unread()
        fill = partial(measures.fill, stats, array.size)
        self._readings.read(device, [device.summarize(array)], fill)
        return stats

    def look(self, value: Value, array: Array) -> None:
        """Look at the array of a new value."""
        if self.selected(value):
            value.stats = self.stats(array)
            value.thumbnail = self.keep(f"value/{value.index}", array)
            if value.kind == "parameter":
                note = partial(_note_checksum, value)
                self._readings.read(devices.of(array), [array], note, alive=True)

    def keep(self, name: str, array: Array) -> Thumbnail | None:
        """Keep of an array what `save` asks for; return its thumbnail."""
        if self._save == "summary":
            return None
        if self._save == "full":
            self._keeper.keep(name, array)
        sample = thumbnails.sampled(array)
        picture = thumbnails.blank(sample)
        if not self._keeper.has_room(thumbnails.length_of(picture)):
            return None
        draw = partial(thumbnails.draw, picture)
        self._readings.read(devices.of(array), [sample], draw, alive=True)
        return picture

    def note_bits(self, step: Backward, total: Array) -> None:
        """Note by which number a replay will know the gradient again."""
        device = devices.of(total)
        if device.synchronous:
            step.checksum = checksum_of(total)
            return

        def note(digest: Array) -> None:
            step.checksum = int(digest[0])

        self._readings.read(device, [device.digest(total)], note)

    def look_at_sum(self, step: Backward, value: Value, parts: list[Array], total: Array) -> None:
        """Look at contributions, and at the sum that the engine made of them."""
        device = devices.of(total)
        if len(parts) == 1:
            # The array itself is the sum; it was looked at when it was sent.
            step.verdict, step.stats = "single", step.parts[0].stats
            self._readings.read(device, [], partial(_share_alone, step))
        else:
            step.stats = self.stats(total)
            if device.synchronous:
                _share_out(step, *verify_sum(parts, total))
            else:
                weighed = measures.weigh_sum(parts, total)
                self._readings.read(
                    device, [weighed], lambda sums: _share_out(step, *measures.weighed(sums))
                )
            if self._save == "full":
                for place, array in enumerate(parts):
                    self._keeper.keep(f"part/{step.index}/{place}", array)
        value.gradient = step.stats
        value.gradient_thumbnail = self.keep(f"gradient/{value.index}", total)


def _note_checksum(value: Value, array: Array) -> None:
    value.checksum = checksum_of(array)


def _share_alone(step: Backward) -> None:
    """Note the share and cosine of a single contribution: it is the sum."""
    norm = 0.0 if step.stats is None else step.stats.norm
    _fill_shares(step, [1.0 if 0 < norm < math.inf else None])


def _share_out(step: Backward, equal: bool, shares: list[float | None]) -> None:
    """Note how contributions make up their sum, and whether they do."""
    step.verdict = "exact" if equal else "wrong"
    _fill_shares(step, shares)


def _fill_shares(step: Backward, shares: list[float | None]) -> None:
    total = 0.0 if step.stats is None else step.stats.norm
    for part, share in zip(step.parts, shares, strict=True):
        part.share = share
        norm = 0.0 if part.stats is None else part.stats.norm
        if share is not None and 0 < norm < math.inf:
            # <part, total> / (|part| |total|)
            part.cosine = max(-1.0, min(1.0, share * (total / norm)))


def _selection(select: Select) -> Callable[[Value], bool]:
    """Turn what the caller said into a test for values."""
    if select is None:
        return lambda value: True
    if callable(select):
        return select
    names = [select] if isinstance(select, str) else list(select)
    patterns = [pattern for name in names for pattern in (name, f"{name}[./]*")]
    return lambda value: any(fnmatch.fnmatchcase(value.name, each) for each in patterns)
