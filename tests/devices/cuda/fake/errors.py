"""What the fake raises where CuPy would go on in silence, slowly or with another result.

Where CuPy itself raises, the fake raises the same type of error.
"""

from __future__ import annotations


class PurityError(Exception):
    """Code that runs on a GPU, and should not be written so."""


class SynchronizedError(PurityError, RuntimeError):
    """The host waited for the device inside `strict()`: float(), if, item(), a boolean index."""


class HiddenUploadError(PurityError, TypeError):
    """A host array or a list became a device array by itself: an index, a value to assign."""


class StrayNumpyError(PurityError, TypeError):
    """A function of NumPy was called with a device array; CuPy computes it without a word."""


class OutOfRangeError(PurityError, RuntimeError):
    """An index on the device reaches outside of its axis; CuPy wraps it around.

    No IndexError: code that waits for one would be right here, and wrong on a GPU.
    """


class RepeatedIndexError(PurityError, RuntimeError):
    """An assignment names an element twice: which value stays is undefined on a GPU."""


class UndefinedCastError(PurityError, RuntimeError):
    """A floating number that no integer of the wanted dtype is: every processor makes its own."""


class OutsideMemoryError(PurityError, ValueError):
    """A strided view reaches outside of the memory it was made from."""
