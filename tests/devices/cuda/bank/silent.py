"""What is wrong or slow on a GPU, without a word."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.devices.cuda import fake

from .bench import bug


@bug(fake.OutOfRangeError, "silent")
def gather_that_waits_for_an_index_error(b):
    try:
        return b.x[b.labels + 1]
    except IndexError:
        return b.x[b.labels]


@bug(fake.OutOfRangeError, "silent")
def gather_beyond_the_second_axis(b):
    try:
        return b.x.T[b.labels, b.labels + 1]
    except IndexError:
        return None


@bug(fake.RepeatedIndexError, "silent")
def repeated_index_in_an_assignment(b):
    b.x[b.labels * 0] = b.y


@bug(None, "silent", check=lambda b, result, launches: not np.isnan(_host(result)).any())
def uninitialised_empty(b):
    total = b.xp.empty((3, 4), "float32")
    total += b.x
    return total


@bug(None, "silent", check=lambda b, result, launches: result.dtype == "float32")
def float64_through_a_numpy_scalar(b):
    return b.x * np.sqrt(2.0)


@bug(None, "silent", check=lambda b, result, launches: launches <= 2)
def python_loop_over_rows(b):
    return b.xp.stack([row - row.max() for row in b.x])


@bug(None, "silent", check=lambda b, result, launches: result.strides == b.images.strides)
def ufunc_that_loses_the_memory_order(b):
    return b.images * 2


@bug(None, "silent", check=lambda b, result, launches: result.strides == b.host_images.strides)
def upload_that_loses_the_memory_order(b):
    return b.xp.asarray(b.host_images)


@bug(None, "silent", check=lambda b, result, launches: launches == 0)
def ravel_that_copies(b):
    return b.images.ravel()


@bug(fake.UndefinedCastError, "silent")
def negative_numbers_as_bytes(b):
    return b.x.astype("uint8")


@bug(fake.UndefinedCastError, "silent")
def infinity_as_an_integer(b):
    return (b.x / 0).astype("int32")


def _host(array: Any) -> np.ndarray:
    return array.get() if hasattr(array, "get") else array
