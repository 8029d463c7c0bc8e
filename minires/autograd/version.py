"""Noticing that a value changed after the tape kept it.

Assignments through a Tensor (``t.data = v``, ``t.data -= v``, ``t.copy_(v)``) are counted. A write
into the array itself (``t.data[0] = v``) cannot be seen, so a value whose array has left the Tensor
is fingerprinted when the tape keeps it, and compared when backward needs it.
"""

from __future__ import annotations

from minires import devices
from minires.devices import Array


class Version:
    """How often a value was written; shared by a Tensor and the views of it.

    Parameters
    ----------
    array : array
        The value; views of it cover parts of the same memory.
    exposed : bool
        Whether somebody outside already holds the array.
    """

    __slots__ = ("_array", "_checksum", "_exposed", "_kept", "count")

    def __init__(self, array: Array, exposed: bool = False) -> None:
        self.count = 0
        self._array = array
        self._exposed = exposed
        self._kept = False
        self._checksum: int | None = None

    def wrote(self) -> None:
        """Count one write."""
        self.count += 1
        self._kept = False
        self._checksum = None

    def keep(self) -> int:
        """Return the count at which the tape keeps the value."""
        if self._exposed:
            if not self._intact():
                self.wrote()
            if self._checksum is None:
                self._checksum = self._fingerprint()
        self._kept = True
        return self.count

    def expose(self) -> None:
        """Watch the value, for its array is about to leave the Tensor."""
        self._exposed = True
        if self._kept and self._checksum is None:
            self._checksum = self._fingerprint()

    def unchanged_since(self, count: int) -> bool:
        """Tell whether the value is still the one kept at `count`."""
        return self.count == count and self._intact()

    def _intact(self) -> bool:
        return self._checksum is None or self._fingerprint() == self._checksum

    def _fingerprint(self) -> int:
        return devices.of(self._array).fingerprint(self._array)
