"""Host arrays beside device arrays."""

from __future__ import annotations

import numpy as np

from tests.devices.cuda import fake

from .bench import bug


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


@bug((TypeError, AttributeError))
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
