"""What NCCL is asked for, by a stand-in: no GPU is needed, and none was asked."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

from minires.training import mpi, nccl


class OnGPU:
    """An array with what CuPy's have: a pointer, a size, a dtype."""

    def __init__(self, shape, dtype, pointer, contiguous=True):
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.size = int(np.prod(shape))
        self.data = types.SimpleNamespace(ptr=pointer)
        self.flags = types.SimpleNamespace(c_contiguous=contiguous)


@pytest.fixture
def asked(monkeypatch):
    """Stand-ins for CuPy and for MPI with 2 ranks, of which this is number 1; what NCCL is told."""
    calls: list[Any] = []

    class Link:
        def __init__(self, *given):
            calls.append(("begin", *given))

        def __getattr__(self, name):
            return lambda *given: calls.append((name, *given))

    kinds = {f"NCCL_{kind}": kind for kind in ("FLOAT16", "FLOAT32", "FLOAT64", "INT64", "SUM")}
    library = types.SimpleNamespace(
        available=True, get_unique_id=lambda: b"identity", NcclCommunicator=Link, **kinds
    )
    cuda = types.ModuleType("cupy.cuda")
    cuda.nccl = library
    cuda.get_current_stream = lambda: types.SimpleNamespace(ptr=77)
    cupy = types.ModuleType("cupy")
    cupy.cuda, cupy.empty = cuda, lambda shape, dtype: OnGPU(shape, dtype, 500)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)
    monkeypatch.setattr(
        mpi.MPICommunicator, "__init__", lambda self: vars(self).update(rank=1, size=2)
    )
    monkeypatch.setattr(mpi.MPICommunicator, "tell", lambda self, value: value)
    return calls


def test_gradients_are_summed_where_they_are_in_the_order_of_the_stream(asked):
    ranks = nccl.NCCLCommunicator()
    array = OnGPU((3, 4), "float32", 100)
    assert ranks.all_reduce(array) is array
    assert asked == [
        ("begin", 2, b"identity", 1),
        ("allReduce", 100, 100, 12, "FLOAT32", "SUM", 77),
    ]


def test_rows_of_all_ranks_are_gathered_into_a_new_array(asked):
    rows = nccl.NCCLCommunicator().all_gather(OnGPU((3,), "float64", 100))
    assert rows.shape == (2, 3)
    assert asked[1] == ("allGather", 100, 500, 3, "FLOAT64", 77)


def test_parameters_come_from_rank_0(asked):
    nccl.NCCLCommunicator().broadcast(OnGPU((5,), "float16", 100))
    assert asked[1] == ("broadcast", 100, 100, 5, "FLOAT16", 0, 77)


@pytest.mark.parametrize("method", ["all_reduce", "all_gather", "broadcast"])
def test_what_nccl_cannot_take_goes_through_mpi(asked, monkeypatch, method):
    taken = []
    monkeypatch.setattr(mpi.MPICommunicator, method, lambda self, array: taken.append(array))
    ranks = nccl.NCCLCommunicator()
    for array in (np.ones(2), OnGPU((2,), "float32", 1, contiguous=False), OnGPU((2,), "bool", 1)):
        getattr(ranks, method)(array)
    assert len(taken) == 3
    assert len(asked) == 1


def test_without_nccl_there_is_an_error_that_names_the_package(asked):
    sys.modules["cupy.cuda"].nccl.available = False
    with pytest.raises(RuntimeError, match="nvidia-nccl-cu13"):
        nccl.NCCLCommunicator()
