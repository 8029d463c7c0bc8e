"""What makes the host wait for the device."""

from __future__ import annotations

from tests.devices.cuda import fake

from .bench import bug


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
