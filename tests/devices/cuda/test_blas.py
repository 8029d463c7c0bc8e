from __future__ import annotations

import ctypes
import inspect
import itertools
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.devices.cuda import blas, cublas
from tests.devices.cuda import fake
from tests.devices.cuda.fake import cublas as library

xp = fake.module
FLOATS = ["float16", "float32", "float64"]
ROUNDING = {"float16": 1e-3, "float32": 1e-6, "float64": 1e-14}


@pytest.fixture
def device():
    with fake.installed() as device:
        yield device


def laid_out(values, layout):
    """Return a device array of these values: transposed, padded or scattered in its memory."""
    *leading, rows, columns = values.shape
    if layout == "transposed":
        return xp.asarray(np.ascontiguousarray(values.swapaxes(-1, -2))).swapaxes(-1, -2)
    if layout == "padded":
        wide = xp.asarray(np.full((*leading, rows + 1, columns + 3), np.nan, values.dtype))
        view = wide[..., 1:, 2:-1]
    elif layout == "scattered":
        wide = xp.asarray(np.full((*leading, 2 * rows, 2 * columns), np.nan, values.dtype))
        view = wide[..., ::2, ::2]
    elif layout == "batch last":
        order = [values.ndim - 2, values.ndim - 1, *range(values.ndim - 2)]
        view = xp.asarray(np.ascontiguousarray(values.transpose(order)))
        return view.transpose(*np.argsort(order).tolist())
    elif layout == "reversed":
        return xp.asarray(np.ascontiguousarray(values[..., ::-1, :]))[..., ::-1, :]
    else:
        return xp.asarray(np.ascontiguousarray(values))
    view[...] = xp.asarray(values)
    return view


def expected(a, b):
    wide = np.float64 if a.dtype == np.float64 else np.float32
    return np.matmul(a.astype(wide), b.astype(wide)).astype(a.dtype)


def assert_product(found, a, b):
    scale = np.matmul(abs(a).astype("float64"), abs(b).astype("float64")).max(initial=1.0)
    np.testing.assert_allclose(found.get(), expected(a, b), 0, ROUNDING[a.dtype.name] * scale)


LAYOUTS = ["dense", "transposed", "padded", "scattered", "batch last", "reversed"]


@st.composite
def products(draw):
    m, n, k = (draw(st.integers(1, 5)) for _ in range(3))
    leading = draw(
        st.sampled_from(
            [((), ()), ((3,), (3,)), ((3,), ()), ((), (2,)), ((2, 3), (2, 3)), ((2, 1), (3,))]
        )
    )
    dtype = draw(st.sampled_from(FLOATS))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    a = rng.normal(size=(*leading[0], m, k)).astype(dtype)
    b = rng.normal(size=(*leading[1], k, n)).astype(dtype)
    return a, b, draw(st.sampled_from(LAYOUTS)), draw(st.sampled_from(LAYOUTS))


@given(products(), st.booleans(), st.booleans())
def test_gemm_computes_the_product_however_the_operands_lie(drawn, flip_a, flip_b):
    a, b, first, second = drawn
    with fake.installed() as device:
        x, y = laid_out(a, first), laid_out(b, second)
        x, y = x.swapaxes(-1, -2) if flip_a else x, y.swapaxes(-1, -2) if flip_b else y
        assert_product(device.gemm(x, y, transpose_a=flip_a, transpose_b=flip_b), a, b)


@given(products())
def test_matmul_is_numpys(drawn):
    a, b, first, second = drawn
    with fake.installed() as device:
        assert_product(device.matmul(laid_out(a, first), laid_out(b, second)), a, b)


@pytest.mark.parametrize("layout", ["dense", "transposed", "padded"])
@pytest.mark.parametrize("leading", [(), (3,)])
def test_the_product_is_written_where_out_says(device, layout, leading):
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(*leading, *shape)) for shape in [(2, 3), (3, 4)])
    out = laid_out(np.zeros((*leading, 2, 4)), layout)
    assert device.gemm(xp.asarray(a), xp.asarray(b), out) is out
    assert_product(out, a, b)


@pytest.mark.parametrize("flags", [*itertools.product([False, True], repeat=2)])
@pytest.mark.parametrize("leading", [(), (4,)])
def test_flags_and_transposed_views_cost_no_copies(device, flags, leading):
    a, b = xp.ones((*leading, 3, 5)), xp.ones((*leading, 5, 2))
    a, b = (
        xp.ascontiguousarray(x.swapaxes(-1, -2)) if flip else x
        for x, flip in zip((a, b), flags, strict=True)
    )
    with fake.counting() as counts:
        device.gemm(a, b, transpose_a=flags[0], transpose_b=flags[1])
        device.matmul(*(x.swapaxes(-1, -2) if f else x for x, f in zip((a, b), flags, strict=True)))
    assert counts.launches == ["gemm", "gemm"]


def test_weights_repeated_along_a_batch_are_not_copied(device):
    with fake.counting() as counts:
        device.matmul(xp.ones((3, 4)), xp.ones((2, 5, 4, 6)))
        device.matmul(xp.ones((2, 5, 4, 6)), xp.ones((6, 3)))
    assert [name for name in counts.launches if name != "fill"] == ["gemm", "gemm"]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((0, 3), (3, 2)),
        ((2, 3), (3, 0)),
        ((2, 0), (0, 3)),
        ((0, 2, 3), (3, 4)),
        ((5, 2, 0), (0, 1)),
    ],
)
def test_products_without_elements_are_numpys(device, a, b):
    found = device.matmul(xp.zeros(a, "float32"), xp.zeros(b, "float32"))
    np.testing.assert_array_equal(found.get(), np.zeros(a) @ np.zeros(b))


@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3, 2)), ((4, 3), (3,)), ((5, 2, 3), (3,)), ((3,), (3,))]
)
def test_vectors_multiply_as_in_numpy(device, a, b):
    x, y = np.arange(np.prod(a), dtype=float).reshape(a), np.ones(b)
    np.testing.assert_allclose(device.matmul(xp.asarray(x), xp.asarray(y)).get(), x @ y)


def test_integers_are_left_to_cupy(device):
    a = np.arange(6).reshape(2, 3)
    found = device.matmul(xp.asarray(a), xp.asarray(a.T))
    np.testing.assert_array_equal(found.get(), a @ a.T)
    assert "cublas" not in vars(device)


@pytest.mark.parametrize(
    ("a", "b", "out", "told"),
    [
        (("float32", 2, 3), ("float64", 3, 2), None, "float32 and float64"),
        (("int64", 2, 3), ("int64", 3, 2), None, "must be float16, float32 or float64"),
        (("float32", 2, 3), ("float32", 2, 3), None, "do not fit"),
        (("float32", 2, 3), ("float32", 3, 4), ("float32", 4, 2), "out must be float32 of shape"),
    ],
)
def test_what_cannot_be_multiplied_is_told(device, a, b, out, told):
    arrays = [None if x is None else xp.zeros(x[1:], x[0]) for x in (a, b, out)]
    with pytest.raises((TypeError, ValueError), match=told):
        device.gemm(*arrays)


def test_an_out_without_contiguous_rows_or_columns_is_refused(device):
    out = xp.zeros((4, 6))[::2, ::2]
    with pytest.raises(ValueError, match="contiguous"):
        device.gemm(xp.ones((2, 3)), xp.ones((3, 3)), out)


def test_float16_is_added_up_in_float32(device):
    # In float16, 2048 + 1 is 2048.
    a = np.concatenate([[2048.0], np.ones(2048)]).astype("float16")[None]
    found = device.gemm(xp.asarray(a), xp.asarray(np.ones((2049, 1), "float16")))
    assert found.get() == 4096


def test_high_precision_reads_float32_as_tf32_and_leaves_float64_alone(device):
    a = np.array([[1 + 2**-12]])
    try:
        for precision, kept in (("highest", True), ("high", False), ("medium", False)):
            mr.set_float32_matmul_precision(precision)
            assert mr.get_float32_matmul_precision() == precision
            single = device.gemm(xp.asarray(a.astype("float32")), xp.ones((1, 1), "float32"))
            assert (single.get() != 1) == kept
            assert device.gemm(xp.asarray(a), xp.ones((1, 1))).get() == a
    finally:
        mr.set_float32_matmul_precision("highest")


def test_an_unknown_precision_is_told():
    with pytest.raises(ValueError, match="there are highest, high, medium"):
        mr.set_float32_matmul_precision("tf32")


def test_products_follow_the_current_stream_and_ask_for_it_only_when_it_changes(device):
    a = xp.ones((2, 2))
    stream = xp.cuda.Stream(non_blocking=True)
    for _ in range(2):
        device.gemm(a, a)
        with stream:
            device.gemm(a, a)
            device.gemm(a, a)
    calls = device.cublas._functions["cublasGemmEx"]._library.calls
    assert calls.count("cublasSetStream_v2") == calls.count("cublasSetWorkspace_v2") == 4
    assert len(device.cublas._workspaces) == 2


def test_a_refusal_is_told_with_its_name_and_what_to_do(device):
    matrix = cublas.Matrix(0, False, 1)
    with pytest.raises(cublas.CublasError, match="CUBLAS_STATUS_INVALID_VALUE"):
        device.cublas.gemm(matrix, matrix, matrix, (2, 2, 2), np.dtype("float32"))
    broken = library.FakeCublas()
    broken._set_workspace = lambda *_: 3
    broken.cublasSetWorkspace_v2 = library._Function(broken, "", lambda *_: 3)
    handle = cublas.Cublas(broken, xp)
    with pytest.raises(cublas.CublasError, match=r"ALLOC_FAILED.*smaller batches"):
        handle.gemm(matrix, matrix, matrix, (1, 1, 1), np.dtype("float32"))


def test_the_library_is_looked_for_by_names_and_its_absence_told(monkeypatch):
    tried = []

    def refuse(name):
        tried.append(name)
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    monkeypatch.setitem(sys.modules, "cuda", None)  # so that nothing of CuPy's looks for it
    with pytest.raises(RuntimeError, match=r"pip install 'cupy-cuda12x\[ctk\]'"):
        cublas.load_library(12)
    assert tried == ["libcublas.so.12", "libcublas.so.13"]


# Mistakes in the wrapper, which the stand-in for cuBLAS must notice.
MISTAKES = {
    "operands not swapped": (cublas, "*head, *first, *second", "*head, *second, *first"),
    "shape not swapped": (cublas, "*ops, n, m, k", "*ops, m, n, k"),
    "flags not swapped": (
        cublas,
        "int(b.transposed), int(a.transposed)",
        "int(a.transposed), int(b.transposed)",
    ),
    "batch strides swapped": (cublas, "(*first, b.stride)", "(*first, a.stride)"),
    "alpha and beta swapped": (cublas, "(ctypes.c_float * 2)(1, 0)", "(ctypes.c_float * 2)(0, 1)"),
    "alpha is single in double": (cublas, "else (double, 8)", "else (single, 8)"),
    "float16 has no type": (cublas, 'np.dtype("float16"): 2', 'np.dtype("float16"): 0'),
    "stream set once": (cublas, "if stream != self._stream", "if self._stream is None"),
    "workspace forgotten": (
        cublas,
        'self._call("cublasSetWorkspace_v2", self._handle',
        'len("") and self._call("cublasSetWorkspace_v2", self._handle',
    ),
    "workspace dies": (
        cublas,
        "self._workspaces[stream] = self._xp.empty(WORKSPACE, np.uint8)",
        "self._xp.empty(WORKSPACE, np.uint8)[:0]",
    ),
    "math mode forgotten": (cublas, 'SetMathMode", handle, MATH', 'SetMathMode", handle, 0 * MATH'),
    "addresses cut to 32 bits": (
        cublas,
        "function.argtypes, function.restype",
        "_, function.restype",
    ),
    "leading dimension is the width": (blas, "else _whole(down, size)", "else columns"),
    "leading dimension in bytes": (
        blas,
        "return stride // size if stride % size",
        "return stride if stride % size",
    ),
    "transposed view taken as it is": (blas, "ptr, True, ld", "ptr, False, ld"),
    "batch stride of the last axis": (blas, "if outer != n * inner", "if False"),
    "repeated rows": (blas, "if ld is not None and ld >= columns", "if ld is not None"),
    "no zeros for K = 0": (blas, "if k == 0", "if k < 0"),
    "the copy dies": (
        blas,
        "x = self.xp.ascontiguousarray(x)\n            found = _matrix(x)",
        "found = _matrix(self.xp.ascontiguousarray(x))",
    ),
}


def with_mistake(module, old, new):
    """Return a fake device whose products are computed by `module` with a mistake."""
    source = inspect.getsource(module)
    assert source.count(old) >= 1, old
    names = {"__name__": module.__name__, "__package__": module.__package__}
    exec(compile(source.replace(old, new), module.__name__, "exec"), names)
    device = fake.device.FakeCudaDevice()
    if module is cublas:
        device.cublas = names["Cublas"](library.FakeCublas(), xp)
        return device
    members = {"_cublas_library": lambda self: library.FakeCublas()}
    return type("Mistaken", (names["CudaBlas"], fake.device.FakeCudaDevice), members)()


def examine(device):
    """Raise if one of a few products is wrong."""
    rng = np.random.default_rng(0)
    shapes = [
        ((2, 3), (3, 4)), ((3, 2, 3), (3, 3, 4)), ((2, 3), (5, 3, 4)), ((2, 5, 2, 3), (2, 5, 3, 4)),
        ((2, 0), (0, 3)),
    ]  # fmt: skip
    layouts = [*itertools.product(LAYOUTS, LAYOUTS, ["float32"])]
    layouts += [("dense", "dense", "float16"), ("dense", "dense", "float64")]
    for (first, second), (left, right, dtype) in itertools.product(shapes, layouts):
        a, b = rng.normal(size=first).astype(dtype), rng.normal(size=second).astype(dtype)
        out = xp.full(np.matmul(a, b).shape, np.nan, dtype)
        assert_product(device.gemm(laid_out(a, left), laid_out(b, right), out), a, b)
        if a.ndim == 4:
            swapped = xp.asarray(np.ascontiguousarray(a.swapaxes(0, 1))).swapaxes(0, 1)
            assert_product(device.gemm(swapped, xp.asarray(b), out), a, b)
    windows = np.lib.stride_tricks.sliding_window_view(rng.normal(size=6), 3)
    overlapping = xp.lib.stride_tricks.as_strided(xp.asarray(windows[:, 0].copy()), (2, 3), (8, 8))
    assert_product(device.gemm(overlapping, xp.ones((3, 2))), windows[:2], np.ones((3, 2)))
    row = xp.asarray(np.arange(4.0))
    np.testing.assert_array_equal(
        device.gemm(xp.broadcast_to(row, (3, 4)), row.reshape(4, 1)).get(), np.full((3, 1), 14.0)
    )
    with xp.cuda.Stream():
        assert_product(
            device.gemm(xp.ones((2, 2)), xp.ones((2, 2))), np.ones((2, 2)), np.ones((2, 2))
        )


def test_the_examination_passes_what_is_right(device):
    examine(device)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_wrapper_is_noticed(mistake):
    with pytest.raises((AssertionError, RuntimeError, KeyError)):
        examine(with_mistake(*MISTAKES[mistake]))
