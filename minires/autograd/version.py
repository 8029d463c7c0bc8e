"""Noticing that a value changed after the tape kept it.

Assignments through a Tensor (``t.data = v``, ``t.data -= v``, ``t.copy_(v)``) leave the time at
which they happened, on the clock that also numbers the nodes: a node may use what it kept if
nothing was written since the node was made. A write into the array itself (``t.data[0] = v``)
cannot be seen, so a value whose array has left the Tensor is fingerprinted when the tape keeps it,
and compared when backward needs it. On a GPU only assignments through a Tensor are noticed.
"""

from __future__ import annotations

import itertools

from minires import devices
from minires.devices import Array

clock = itertools.count()


class Version:
    """When a value was written last; shared by a Tensor and the views of it.

    Parameters
    ----------
    array : array
        The value; views of it cover parts of the same memory.
    exposed : bool
        Whether somebody outside already holds the array.
    kept : bool
        Whether the tape has already kept the value.
    """

    __slots__ = ("_array", "_checksum", "_exposed", "_kept", "written")

    def __init__(self, array: Array, exposed: bool = False, kept: bool = False) -> None:
        self.written = -1
        self._array = array
        self._exposed = exposed
        self._kept = kept
        self._checksum: int | None = None

    def wrote(self) -> None:
        """Note that the value is written now."""
        self.written = next(clock)
        self._kept = False
        self._checksum = None

    def keep(self) -> None:
        """Note that the tape keeps the value, for a node that is made right afterwards."""
        if self._exposed:
            if not self._intact():
                self.wrote()
            if self._checksum is None:
                self._checksum = self._fingerprint()
        self._kept = True

    def expose(self) -> None:
        """Watch the value, for its array is about to leave the Tensor."""
        self._exposed = True
        if self._kept and self._checksum is None:
            self._checksum = self._fingerprint()

    def unchanged_since(self, time: int) -> bool:
        """Tell whether the value is still the one that a node made at `time` kept."""
        return self.written < time and self._intact()

    def _intact(self) -> bool:
        return self._checksum is None or self._fingerprint() == self._checksum

    def _fingerprint(self) -> int:
        device = devices.of(self._array)
        # To look at an array on a GPU would be to wait for it, in every step.
        return device.fingerprint(self._array) if device.synchronous else 0


# Stands in for the version of every value that the tape kept and that nobody has looked at or
# written: most values never need one of their own.
KEPT = Version(None, kept=True)
