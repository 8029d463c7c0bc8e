"""What the functions of the convolution are called with: no two axes of one length."""

import numpy as np


def output_size_arithmetic(rng, reference):
    yield 5, 3, 1, 0
    yield 5, 3, 1, 1
    yield 8, 3, 2, 0
    yield 8, 3, 2, 1
    yield 7, 7, 1, 0
    yield 11, 2, 3, 2


def im2col_layout(rng, reference):
    yield np.arange(1.0, 13.0).reshape(1, 1, 3, 4), (2, 2), 1, 0
    yield rng.standard_normal((3, 2, 5, 6)), (3, 2), 1, 0


def im2col_stride_padding(rng, reference):
    yield rng.standard_normal((3, 2, 5, 6)), (2, 3), 2, 0
    yield rng.standard_normal((3, 2, 6, 5)), (3, 2), 2, 1
    yield rng.standard_normal((3, 2, 4, 5)), (2, 3), 1, 2


def _columns(rng, reference, size, kernel, stride, padding):
    n, c = 3, 2
    oh, ow = (reference.output_size(size[i], kernel[i], stride, padding) for i in (0, 1))
    cols = rng.standard_normal((n, c * kernel[0] * kernel[1], oh * ow))
    return cols, size, kernel, stride, padding


def col2im_overlaps(rng, reference):
    yield _columns(rng, reference, (5, 6), (3, 2), 1, 0)


def col2im_stride(rng, reference):
    # Of 6 columns the window, 3 wide, never sees the last.
    yield _columns(rng, reference, (5, 6), (2, 3), 2, 0)


def col2im_padding(rng, reference):
    yield _columns(rng, reference, (4, 6), (3, 2), 1, 1)
    yield _columns(rng, reference, (6, 5), (2, 3), 2, 2)


def _arguments(rng, c, o, size, kernel, stride=1, padding=0, groups=1):
    x = rng.standard_normal((3, c, *size))
    w = rng.standard_normal((o, c // groups, *kernel))
    return x, w, rng.standard_normal(o), stride, padding, groups


def conv_forward_values(rng, reference):
    yield _arguments(rng, 2, 4, (5, 6), (3, 2))


def conv_forward_stride_padding(rng, reference):
    yield _arguments(rng, 2, 4, (6, 5), (3, 2), 2, 0)
    yield _arguments(rng, 2, 4, (5, 7), (2, 3), 2, 1)


def conv_forward_groups(rng, reference):
    yield _arguments(rng, 4, 6, (5, 6), (3, 2), 1, 1, 2)


def _returned(rng, reference, *args, **kwargs):
    """Return a gradient of the output, of random numbers, and the cache."""
    y, cache = reference.conv_forward(*_arguments(rng, *args, **kwargs))
    return rng.standard_normal(y.shape), cache


def conv_backward_values(rng, reference):
    yield _returned(rng, reference, 2, 4, (5, 6), (3, 2))


def conv_backward_stride_padding(rng, reference):
    yield _returned(rng, reference, 2, 4, (6, 5), (3, 2), 2, 0)
    yield _returned(rng, reference, 2, 4, (5, 6), (2, 3), 2, 1)


def conv_backward_groups(rng, reference):
    yield _returned(rng, reference, 4, 6, (5, 6), (3, 2), 1, 1, 2)


def conv_backward_all(rng, reference):
    yield _returned(rng, reference, 6, 9, (8, 7), (2, 3), 3, 2, 3)
