"""Noticing that a value changed after the tape kept it.

Assignments through a Tensor (``t.data = v``, ``t.data -= v``, ``t.copy_(v)``) are counted. A write
into the array itself (``t.data[0] = v``) cannot be seen, so an array that left the Tensor is
fingerprinted when the tape keeps the value, and compared when backward needs it.
"""

from __future__ import annotations

from collections.abc import Hashable

from minires import devices
from minires.devices import Array


class Version:
    """How often a value was written; shared by a Tensor and the views of it."""

    __slots__ = ("count", "exposed", "kept")

    def __init__(self) -> None:
        self.count = 0
        self.kept = False
        # Arrays in others' hands, by the memory they cover, with their checksum since `kept`.
        self.exposed: dict[Hashable, tuple[Array, int | None]] = {}

    def wrote(self) -> None:
        """Count one write."""
        self.count += 1
        self.kept = False
        if self.exposed:
            self.exposed = {key: (array, None) for key, (array, _) in self.exposed.items()}

    def keep(self) -> int:
        """Return the count at which the tape keeps the value."""
        if self.exposed:
            if not self._intact():
                self.wrote()
            self.exposed = {
                key: (array, _checksum(array) if seen is None else seen)
                for key, (array, seen) in self.exposed.items()
            }
        self.kept = True
        return self.count

    def expose(self, array: Array) -> None:
        """Watch `array`, for it is about to leave the Tensor."""
        key = devices.of(array).region(array)
        if key not in self.exposed:
            self.exposed[key] = array, _checksum(array) if self.kept else None

    def unchanged_since(self, count: int) -> bool:
        """Tell whether the value is still the one kept at `count`."""
        return self.count == count and self._intact()

    def _intact(self) -> bool:
        return all(
            seen is None or _checksum(array) == seen for array, seen in self.exposed.values()
        )


def _checksum(array: Array) -> int:
    return devices.of(array).fingerprint(array)
