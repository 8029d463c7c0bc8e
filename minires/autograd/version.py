"""Noticing that a value changed after the tape kept it.

Assignments through a Tensor (``t.data = v``, ``t.data -= v``, ``t.copy_(v)``) are counted. A write
into the array itself (``t.data[0] = v``) cannot be seen, so an array that leaves the Tensor while
the tape keeps it is fingerprinted, and compared when backward needs it.
"""

from __future__ import annotations

from minires import devices
from minires.devices import Array


class Version:
    """How often a value was written; shared by a Tensor and the views of it."""

    __slots__ = ("count", "fingerprint", "kept")

    def __init__(self) -> None:
        self.count = 0
        self.kept = False
        self.fingerprint: tuple[Array, int] | None = None

    def wrote(self) -> None:
        """Count one write."""
        self.count += 1
        self.fingerprint = None

    def keep(self) -> int:
        """Return the count at which the tape keeps the value."""
        if self.fingerprint is not None and not self._intact():
            self.wrote()
        self.kept = True
        return self.count

    def expose(self, array: Array) -> None:
        """Remember how `array` looks, for it is about to leave the Tensor."""
        if self.kept and self.fingerprint is None:
            self.fingerprint = (array, devices.of(array).fingerprint(array))

    def unchanged_since(self, count: int) -> bool:
        """Tell whether the value is still the one kept at `count`."""
        return self.count == count and self._intact()

    def _intact(self) -> bool:
        if self.fingerprint is None:
            return True
        array, checksum = self.fingerprint
        return devices.of(array).fingerprint(array) == checksum
