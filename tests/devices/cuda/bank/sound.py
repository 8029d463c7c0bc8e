"""What a test of purity must not reject."""

from __future__ import annotations

import numpy as np

from .bench import fine


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
