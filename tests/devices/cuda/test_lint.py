"""Nothing in minires asks `xp` for what CuPy 14.2 does not have."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import minires
from tests.devices.cuda import api, lint, snapshot

ROOT = Path(minires.__file__).parent

# Rooms in which arrays are the host's, whatever the device: their methods are NumPy's.
HOST_ROOMS = {
    "devices/blocked_convolution.py", "devices/blocked_elementwise.py",
    "devices/blocked_normalization.py", "devices/buffers.py", "devices/columns.py",
    "devices/compiled_passes.py", "devices/depthwise.py", "devices/finish.py", "devices/layout.py",
    "devices/numpy_device.py", "devices/passes.py", "devices/rows.py", "devices/threads.py",
}  # fmt: skip
# Where every array may be the device's.
DEVICE_FLOORS = ("autograd", "devices", "models", "nn", "ops", "optim")
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


def is_device_room(name: str) -> bool:
    floor = name.split("/")[0]
    # A plain version of a CUDA kernel computes on the host.
    in_cuda = name.startswith("devices/cuda/")
    return floor in DEVICE_FLOORS and name not in HOST_ROOMS and not in_cuda


@pytest.mark.parametrize("name", [name for name in FILES if name not in HOST_ROOMS])
def test_cupy_has_what_is_asked_of_xp(name):
    source = (ROOT / name).read_text("utf-8")
    found = [str(finding) for finding in lint.findings(source, methods=is_device_room(name))]
    assert not found, f"minires/{name}: " + "; ".join(found)


def test_rooms_of_the_host_are_there():
    assert {*FILES} >= HOST_ROOMS


PLANTED = {
    "a name": ("xp.einsum_path('ij,jk', a, b)", "cupy has no 'einsum_path'"),
    "errstate": ("with xp.errstate(divide='ignore'): pass", "cupy has no 'errstate'"),
    "a name behind self": ("self.xp.vecdot(a, b)", "cupy has no 'vecdot'"),
    "a name behind a call": ("devices.of(x).xp.nditer(x)", "cupy has no 'nditer'"),
    "a name in a room": ("xp.linalg.multi_dot([a, b])", "cupy.linalg has no 'multi_dot'"),
    "a name, not called": ("f = xp.geomspace", "cupy has no 'geomspace'"),
    "a name in getattr": ("getattr(device.xp, 'insert')(a, 1, b)", "cupy has no 'insert'"),
    "a keyword": ("xp.sum(a, where=mask)", "cupy.sum takes no where="),
    "a keyword in a room": (
        "xp.lib.stride_tricks.as_strided(x, shape=s, strides=t, writeable=False)",
        "cupy.lib.stride_tricks.as_strided takes no writeable=",
    ),
    "clip's keywords": ("xp.clip(a, min=0, max=1)", "cupy.clip takes no min="),
    "an argument too few": ("xp.clip(a, 0)", "cupy.clip: missing a required argument: 'a_max'"),
    "an argument too many": ("xp.isclose(a, b, 1, 1, 1, 1)", "cupy.isclose: too many positional"),
    "a keyword of a ufunc": ("xp.exp(a, where=mask)", "cupy.exp takes no where="),
    "a list in a ufunc": ("xp.maximum(a, [1, 2])", "cupy.maximum takes no lists"),
    "reduce": ("xp.maximum.reduce(a)", "cupy.maximum.reduce is not supported"),
    "at": ("self.device.xp.multiply.at(a, i, b)", "cupy.multiply.at is not supported"),
    "a keyword of reduce": ("xp.add.reduce(a, initial=0)", "cupy.add.reduce takes no initial="),
    "a keyword of var": ("xp.var(a, correction=1)", "cupy.var takes no correction="),
    "take's mode": ("xp.take(a, i, mode='clip')", "cupy.take takes no mode="),
    "a device": ("xp.zeros(3, device='cuda')", "cupy.zeros takes no device="),
    "a keyword of a method": ("x.max(initial=0)", "cupy.ndarray.max takes no initial="),
    "a keyword of a method, chained": ("(a + b).sum(0, where=m)", "cupy.ndarray.sum takes no wh"),
    "flags": ("x.flags.writeable = False", "a cupy.ndarray has no .writeable"),
    "setflags": ("x.setflags(write=False)", "a cupy.ndarray has no .setflags"),
}

FINE = (
    "xp.lib.stride_tricks.as_strided(x, shape, strides)",
    "xp.add.at(a, i, b)",
    "xp.maximum.at(a, i, b)",
    "xp.add.reduce(a, axis=0, keepdims=True)",
    "xp.add(a, b, out=c, casting='unsafe')",
    "xp.clip(a, 0, None)",
    "x.clip(min=0)",
    "xp.sum(*args, **kwargs)",
    "xp.finfo(x.dtype).smallest_normal",
    "xp.linalg.norm(x, axis=1)",
    "xp.float32(3)",
    "np.sum(host, where=mask)",
    "tensor.max(dim=1)",
    "xp.cuda.Stream(non_blocking=True)",
)


@pytest.mark.parametrize("name", PLANTED)
def test_planted_errors_are_found(name):
    source, what = PLANTED[name]
    assert any(what in str(finding) for finding in lint.findings(source)), lint.findings(source)


@pytest.mark.parametrize("source", FINE)
def test_what_cupy_has_is_not_a_finding(source):
    assert lint.findings(source) == []


def test_the_record_is_what_the_installed_cupy_says():
    cupy = pytest.importorskip("cupy", reason="needs CuPy, without a GPU")
    if cupy.__version__ != api.VERSION:
        pytest.skip(f"the record is of CuPy {api.VERSION}, installed is {cupy.__version__}")
    # In a process of its own: a module's names grow with what of it was imported.
    taken = subprocess.run([sys.executable, snapshot.__file__], capture_output=True, check=True)
    assert json.loads(taken.stdout) == api.SNAPSHOT
