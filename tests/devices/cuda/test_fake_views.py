"""The fake's views are CuPy's: the same shapes, strides and flags, on the same memory.

A real cupy.ndarray can be built on host memory and viewed without a GPU.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.devices.cuda import fake
from tests.devices.cuda.bank import BUGS, Bench

cupy = pytest.importorskip("cupy", reason="needs CuPy, without a GPU")

VIEWS = {
    "T": lambda xp, x: x.T,
    "transpose": lambda xp, x: x.transpose(1, 0, 2, 3),
    "transpose of none": lambda xp, x: x.transpose(),
    "swapaxes": lambda xp, x: x.swapaxes(0, 2),
    "moveaxis": lambda xp, x: xp.moveaxis(x, 1, -1),
    "rollaxis": lambda xp, x: xp.rollaxis(x, 2),
    "reshape": lambda xp, x: x.reshape(x.shape[0], x.shape[1], -1),
    "reshape with ones": lambda xp, x: x.reshape(1, *x.shape, 1),
    "expand_dims": lambda xp, x: xp.expand_dims(x, 1),
    "squeeze": lambda xp, x: x[:1].squeeze(0),
    "one element": lambda xp, x: x[0, 0, 0, 0],
    "number": lambda xp, x: x[1],
    "negative number": lambda xp, x: x[-1, ..., -1],
    "slices": lambda xp, x: x[:, 1:, ::2, ::-1],
    "empty slice": lambda xp, x: x[:, 3:3],
    "new axis": lambda xp, x: x[:, None, ..., None],
    "flip": lambda xp, x: xp.flip(x, 2),
    "broadcast_to": lambda xp, x: xp.broadcast_to(x[:1], x.shape),
    "diagonal": lambda xp, x: x.diagonal(0, 2, 3),
    "split": lambda xp, x: xp.split(x, x.shape[0], axis=0)[1],
    "view": lambda xp, x: x.view("int32"),
    "as_strided": lambda xp, x: xp.lib.stride_tricks.as_strided(x, (2, 3), (4, 8)),
    "ravel": lambda xp, x: x.transpose(1, 0, 2, 3).ravel(),
    "ascontiguousarray": lambda xp, x: xp.ascontiguousarray(x.transpose(1, 0, 2, 3)),
}


def on_cupy(host):
    host = np.array(host, order="C")
    memory = cupy.cuda.UnownedMemory(host.ctypes.data, host.nbytes, host, device_id=0)
    return cupy.ndarray(host.shape, host.dtype, cupy.cuda.MemoryPointer(memory, 0))


def on_fake(host):
    memory = fake.module.cuda.UnownedMemory(host.ctypes.data, host.nbytes, host, device_id=0)
    return fake.ndarray(host.shape, host.dtype, fake.module.cuda.MemoryPointer(memory, 0))


def steps(array):
    """The strides of axes along which there is more than one element: others mean nothing."""
    return [stride for stride, length in zip(array.strides, array.shape, strict=True) if length > 1]


@pytest.mark.parametrize("name", VIEWS)
def test_view_lies_as_cupys(name):
    host = np.arange(240, dtype="float32").reshape(3, 2, 5, 8)
    our_source, their_source = on_fake(host), on_cupy(host)
    ours = VIEWS[name](fake.module, our_source.transpose(1, 0, 2, 3))
    theirs = VIEWS[name](cupy, their_source.transpose(1, 0, 2, 3))
    for attribute in ("shape", "dtype", "nbytes", "size", "ndim"):
        assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    assert steps(ours) == steps(theirs)
    offsets = ours.data.ptr - our_source.data.ptr, theirs.data.ptr - their_source.data.ptr
    assert ours.size == 0 or offsets[0] == offsets[1]
    assert ours.flags.c_contiguous == theirs.flags.c_contiguous
    assert ours.flags.f_contiguous == theirs.flags.f_contiguous


REFUSED = {
    "np.asarray": lambda xp, x: np.asarray(x),
    "max(initial=)": lambda xp, x: x.max(initial=0),
    "sum(where=)": lambda xp, x: x.sum(where=True),
    "clip(min=)": lambda xp, x: xp.clip(x, min=0),
    "maximum.reduce": lambda xp, x: xp.maximum.reduce(x),
    "multiply.at": lambda xp, x: xp.multiply.at(x, 0, 1),
    "ufunc where": lambda xp, x: xp.exp(x, where=True),
    "reduce(initial=)": lambda xp, x: xp.add.reduce(x, initial=0),
    "einsum_path": lambda xp, x: xp.einsum_path("ijkl", x),
    "np.einsum_path": lambda xp, x: np.einsum_path("ijkl", x),
    "errstate": lambda xp, x: xp.errstate(),
    "setflags": lambda xp, x: x.setflags(write=False),
    "writeable": lambda xp, x: x.flags.writeable,
    "np.copyto(host, device)": lambda xp, x: np.copyto(np.zeros(x.shape, "float32"), x),
    "copyto(device, host)": lambda xp, x: xp.copyto(x, np.zeros(x.shape, "float32")),
    "assignment from the host": lambda xp, x: x.__setitem__(0, np.zeros(x.shape[1:])),
    "matmul with the host": lambda xp, x: x @ np.zeros((8, 2), "float32"),
    "range": lambda xp, x: range(x[0, 0, 0, 0]),
    "index of a list": lambda xp, x: [1, 2][x[0, 0, 0, 0]],
    "truth of many": lambda xp, x: bool(x),
    "number out of range": lambda xp, x: x[7],
    "hash": lambda xp, x: hash(x),
    "len of a number": lambda xp, x: len(x[0, 0, 0, 0]),
    "unknown attribute": lambda xp, x: x.to_device,
    "Generator.normal": lambda xp, x: xp.random.Generator.normal,
}


@pytest.mark.parametrize("name", REFUSED)
def test_fake_refuses_with_cupys_type_of_error(name):
    host = np.arange(240, dtype="float32").reshape(3, 2, 5, 8)
    with pytest.raises(Exception) as theirs:  # noqa: PT011 (its type is what is asked for)
        REFUSED[name](cupy, on_cupy(host))
    with pytest.raises(theirs.type):
        REFUSED[name](fake.module, on_fake(host))


# CuPy's __array__ does not know NumPy 2's copy=, which NumPy says before it raises.
@pytest.mark.filterwarnings("ignore:__array__ implementation")
@pytest.mark.parametrize("name", [name for name, bug in BUGS.items() if bug.cupy == "raises"])
def test_cupy_raises_at_what_the_bank_says_it_raises_at(name):
    bench = Bench(cupy, on_cupy)
    try:
        with pytest.raises(BUGS[name].error):
            BUGS[name].function(bench)
    except cupy.cuda.runtime.CUDARuntimeError:
        pytest.skip("CuPy asks for the device before it looks at the arguments")
