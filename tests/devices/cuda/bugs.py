"""Mistakes that NumPy forgives and a GPU does not, each a small function; and code that is fine.

The fake must flag every one of them. With a GPU the same bank is run against CuPy itself, and
`cupy` says what it does: it raises as well, or it goes on in silence (that is why there is a fake).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.devices.cuda import fake


class Bench:
    """What the mistakes work with: `x` (3, 4) and what belongs to it, on one array library.

    `h` and `host_labels` are on the host; `images` (2, 3, 4, 4) lies in memory as (3, 2, 4, 4).
    """

    def __init__(self, xp: Any, new: Callable[[Any], Any]) -> None:
        self.xp = xp
        self.h = np.arange(12, dtype="float32").reshape(3, 4) - 5
        self.host_labels = np.array([2, 0, 1])
        self.x = new(self.h.copy())
        self.y = new(self.h[::-1].copy())
        self.w = new(np.ones((4, 2), "float32"))
        self.labels = new(self.host_labels)
        self.loss = self.x.sum()
        memory = new(np.arange(96, dtype="float32").reshape(3, 2, 4, 4))
        self.images = memory.transpose(1, 0, 2, 3)
        self.host_images = np.arange(96, dtype="float32").reshape(3, 2, 4, 4).transpose(1, 0, 2, 3)


class Bug(NamedTuple):
    """A mistake, and how it shows.

    `error` is what the fake raises. A mistake without one shows in `check`, which a test makes
    with the result and the number of launches; it returns whether all is well.
    """

    function: Callable[[Bench], Any]
    error: type[Exception] | None
    check: Callable[[Bench, Any, int], bool] | None
    cupy: str


BUGS: dict[str, Bug] = {}


def bug(
    error: type[Exception] | None = None,
    cupy: str = "raises",
    check: Callable[[Bench, Any, int], bool] | None = None,
) -> Callable[[Callable[[Bench], Any]], Callable[[Bench], Any]]:
    """Put a mistake into the bank; `cupy` is "raises" or "silent"."""

    def put(function: Callable[[Bench], Any]) -> Callable[[Bench], Any]:
        BUGS[function.__name__] = Bug(function, error, check, cupy)
        return function

    return put


# Conversion, and host beside device.


@bug(TypeError)
def asarray_of_device(b):
    return np.asarray(b.x)


@bug(TypeError)
def array_of_device(b):
    return np.array(b.x)


@bug(TypeError)
def numpy_scalar_of_device(b):
    return np.float32(b.x[0, 0])


@bug(TypeError)
def host_plus_device(b):
    return b.h + b.x


@bug(TypeError)
def device_plus_host(b):
    return b.x + b.h


@bug(TypeError)
def device_times_0d_host(b):
    return b.x * np.array(2, "float32")


@bug(TypeError)
def host_keyword_of_a_ufunc(b):
    return b.xp.add(b.x, b.x, out=b.h)


@bug(TypeError)
def host_zeros_plus_equals_device(b):
    total = np.zeros((3, 4), "float32")
    total += b.x
    return total


@bug(TypeError)
def device_plus_equals_host(b):
    b.x += b.h


@bug(TypeError)
def isinstance_dispatch(b):
    return b.x if isinstance(b.x, np.ndarray) else np.asarray(b.x)


@bug(TypeError)
def list_in_a_ufunc(b):
    return b.xp.maximum(b.x, [0, 1, 2, 3])


@bug(TypeError)
def list_in_a_function(b):
    return b.xp.sum([1.0, 2.0])


@bug(TypeError)
def where_with_host(b):
    return b.xp.where(b.x > 0, b.x, b.h)


@bug(TypeError)
def concatenate_with_host(b):
    return b.xp.concatenate([b.x, b.h])


@bug(TypeError)
def matmul_with_host(b):
    return b.x @ np.ones((4, 2), "float32")


@bug((TypeError, IndexError))
def host_eye_indexed_by_device_labels(b):
    return np.eye(3, dtype="float32")[b.labels]


@bug(fake.HiddenUploadError, "silent")
def device_indexed_by_host_labels(b):
    return b.x[b.host_labels]


@bug(fake.HiddenUploadError, "silent")
def device_indexed_by_a_list(b):
    return b.x[[0, 2]]


@bug(fake.HiddenUploadError, "silent")
def host_permutation_of_device(b):
    return b.x[np.random.default_rng(0).permutation(3)]


@bug(fake.HiddenUploadError, "silent")
def take_with_a_list(b):
    return b.xp.take(b.x, [0, 2], axis=0)


@bug(ValueError)
def device_row_assigned_from_host(b):
    b.x[0] = b.h[0]


@bug((ValueError, TypeError))
def host_row_assigned_from_device(b):
    b.h[0] = b.x[0]


@bug(AttributeError)
def copyto_host_from_device(b):
    np.copyto(b.h, b.x)


@bug(ValueError)
def copyto_device_from_host(b):
    b.xp.copyto(b.x, b.h)


@bug(ValueError)
def full_like_of_a_host_array(b):
    return b.xp.full_like(b.x, b.h)


@bug(fake.StrayNumpyError, "silent")
def stray_numpy_ufunc(b):
    return np.exp(b.x)


@bug(fake.StrayNumpyError, "silent")
def stray_numpy_function(b):
    return np.concatenate([b.x, b.y])


@bug(fake.StrayNumpyError, "silent")
def stray_numpy_reduction(b):
    return np.sum(b.x, axis=0)


# The host waits.


@bug(fake.SynchronizedError, "silent")
def float_of_loss(b):
    return float(b.loss)


@bug(fake.SynchronizedError, "silent")
def if_on_a_device_scalar(b):
    return 1 if b.loss > 0 else 0


@bug(fake.SynchronizedError, "silent")
def fstring_of_loss(b):
    return f"loss {b.loss:.3f}"


@bug(fake.SynchronizedError, "silent")
def str_of_loss(b):
    return f"loss {b.loss}"


@bug(fake.SynchronizedError, "silent")
def boolean_mask_index(b):
    return b.x[b.x > 0]


@bug(fake.SynchronizedError, "silent")
def assert_all_finite(b):
    assert b.xp.isfinite(b.x).all()


@bug(TypeError)
def range_of_a_device_integer(b):
    return list(range(b.labels[1]))


@bug(TypeError)
def list_indexed_by_a_device_integer(b):
    return ["a", "b", "c"][b.labels[0]]


@bug(fake.SynchronizedError, "silent")
def int_of_argmax(b):
    return int(b.x.argmax())


@bug(fake.SynchronizedError, "silent")
def item_of_loss(b):
    return b.loss.item()


@bug(fake.SynchronizedError, "silent")
def tolist_of_labels(b):
    return b.labels.tolist()


@bug(fake.SynchronizedError, "silent")
def nonzero(b):
    return b.xp.nonzero(b.x)


@bug(fake.SynchronizedError, "silent")
def where_of_one_argument(b):
    return b.xp.where(b.x > 0)


@bug(fake.SynchronizedError, "silent")
def unique_labels(b):
    return b.xp.unique(b.labels)


@bug(fake.SynchronizedError, "silent")
def python_max_of_device_scalars(b):
    return max(b.x[0, 0], b.x[0, 1])


@bug(fake.SynchronizedError, "silent")
def sliding_windows(b):
    return b.xp.lib.stride_tricks.sliding_window_view(b.x, (2, 2))


# Names and keywords.


@bug(TypeError)
def max_initial(b):
    return b.x.max(initial=0)


@bug(TypeError)
def sum_where(b):
    return b.xp.sum(b.x, where=b.x > 0)


@bug(TypeError)
def var_correction(b):
    return b.xp.var(b.x, correction=1)


@bug(TypeError)
def clip_min(b):
    return b.xp.clip(b.x, min=0)


@bug(TypeError)
def take_mode(b):
    return b.xp.take(b.x, b.labels, mode="clip")


@bug(TypeError)
def ufunc_where(b):
    return b.xp.log(b.x, where=b.x > 0, out=b.xp.zeros_like(b.x))


@bug(TypeError)
def zeros_device(b):
    return b.xp.zeros((2, 2), device="cpu" if b.xp is np else None)


@bug(NotImplementedError)
def maximum_reduce(b):
    return b.xp.maximum.reduce(b.x)


@bug(NotImplementedError)
def multiply_at(b):
    b.xp.multiply.at(b.x, b.labels, 2)


@bug(AttributeError)
def einsum_path(b):
    return b.xp.einsum_path("ij,jk", b.x, b.w)


@bug(AttributeError)
def errstate(b):
    with b.xp.errstate(divide="ignore"):
        return 1 / b.x


@bug(AttributeError)
def insert(b):
    return b.xp.insert(b.x, 1, 0, axis=0)


@bug(AttributeError)
def multi_dot(b):
    return b.xp.linalg.multi_dot([b.x, b.w])


@bug(AttributeError)
def generator_normal(b):
    return b.xp.random.default_rng(0).normal(size=3)


@bug(AttributeError)
def generator_permutation(b):
    return b.xp.random.default_rng(0).permutation(3)


@bug(AttributeError)
def setflags(b):
    b.x.setflags(write=False)


@bug(AttributeError)
def flags_writeable(b):
    return b.x.flags.writeable


# Wrong or slow, without a word.


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


def _host(array: Any) -> np.ndarray:
    return array.get() if hasattr(array, "get") else array


# What a test of purity must not reject.

FINE: dict[str, Callable[[Bench], Any]] = {}


def fine(function: Callable[[Bench], Any]) -> Callable[[Bench], Any]:
    """Put code into the bank that is right on a GPU as well."""
    FINE[function.__name__] = function
    return function


@fine
def padded_convolution(b):
    xp = b.xp
    x = xp.pad(b.images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    N, C, H, W = x.shape
    shape = N, C, 3, 3, H - 2, W - 2
    strides = (*x.strides[:2], *x.strides[2:], *x.strides[2:])
    windows = xp.lib.stride_tricks.as_strided(x, shape, strides)
    columns = windows.transpose(1, 2, 3, 0, 4, 5).reshape(C * 9, -1)
    return xp.ones((5, C * 9), "float32") @ columns


@fine
def momentum_in_place(b):
    velocity = b.xp.zeros_like(b.x)
    velocity *= 0.9
    velocity += b.y
    b.xp.multiply(velocity, 0.1, out=velocity)
    b.x -= velocity
    return b.x


@fine
def small_forward_pass(b):
    xp = b.xp
    hidden = xp.maximum(b.x @ b.w, 0)
    shifted = hidden - hidden.max(axis=1, keepdims=True)
    log_p = shifted - xp.log(xp.exp(shifted).sum(axis=1, keepdims=True))
    return -log_p[xp.arange(3), b.labels % 2].mean()


@fine
def python_and_numpy_scalars(b):
    return np.float32(3) * (2 * b.x + np.float32(1)) / 7


@fine
def one_hot_by_comparison(b):
    return (b.labels[:, None] == b.xp.arange(3)).astype("float32")


@fine
def masked_by_where(b):
    return b.xp.where(b.x > 0, b.x, 0.0).sum(dtype="float64")


@fine
def number_assigned_where_a_mask_is_true(b):
    b.x[b.x < 0] = 0.0
    return b.x


@fine
def repeated_indices_added(b):
    b.xp.add.at(b.x, b.labels * 0, b.y)
    return b.x


@fine
def result_in_the_memory_order_of_the_operand(b):
    out = b.xp.empty_like(b.images)
    b.xp.multiply(b.images, 2, out=out)
    assert out.strides == b.images.strides
    return out


@fine
def views(b):
    x = b.xp.expand_dims(b.x, 0)[:, ::-1, 1:3].swapaxes(1, 2)
    return b.xp.broadcast_to(x, (5, 2, 3)).reshape(5, -1) if x.ndim == 3 else None


@fine
def question_of_shape(b):
    return b.xp.zeros(len(b.x)) if b.x.shape[0] > 2 and b.x.dtype == "float32" else None


@fine
def permutation_that_was_uploaded(b):
    return b.x[b.labels]
