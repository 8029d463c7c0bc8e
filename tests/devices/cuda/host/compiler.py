"""Compiling kernels with g++, once for every text."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from minires.devices.cuda.kernel import Kernel

from .faults import DoesNotCompile
from .source import host_source

INCLUDE = Path(__file__).parent / "include"

# No fused multiply-add where the source has two roundings: NumPy, its judge, has two. And what
# is shared in a template belongs to its kernel: unique symbols would be one for all libraries.
_FLAGS = ["-ffp-contract=off", "-fno-gnu-unique", "-U_FORTIFY_SOURCE", f"-I{INCLUDE}"]
_THREADS = ["-std=c++20", "-O1", "-g", "-DHOST_THREADS", "-pthread"]  # std::barrier is of C++20
_MODES = {
    None: ["-std=c++17", "-O1", "-shared", "-fPIC"],
    "thread": [*_THREADS, "-fsanitize=thread"],
    "address": [*_THREADS, "-fsanitize=address,undefined"],
}


def available() -> bool:
    """Say whether there is a compiler; where one is required, its absence is an error."""
    if shutil.which("g++"):
        return True
    if os.environ.get("MINIRES_REQUIRE_COMPILER", "") not in ("", "0"):
        pytest.fail("MINIRES_REQUIRE_COMPILER is set, but g++ is not installed")
    return False


def needs_compiler() -> None:
    """Skip the test that asks where there is no compiler."""
    if not available():
        pytest.skip("g++ is not installed")


@functools.cache
def _compiler() -> str:
    needs_compiler()
    version = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True)
    headers = "".join([path.read_text() for path in sorted(INCLUDE.iterdir())])
    return version.stdout + headers


@functools.cache
def _poison() -> list[str]:
    """Return what makes variables that nothing has set hold a strange value, where it is known."""
    option = "-ftrivial-auto-var-init=pattern"
    asked = ["g++", option, "-E", "-x", "c++", os.devnull]
    known = subprocess.run(asked, capture_output=True, check=False).returncode == 0
    return [option] if known else []


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"minires-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():  # libraries are loaded from here
        return Path(tempfile.mkdtemp(prefix="minires-kernels-"))
    return folder


def compiled(kernel: Kernel, T: object, sanitize: str | None = None) -> Path:
    """Return the library, or the sanitized program, of a kernel for stored dtype `T`.

    What was compiled before, in another session too, is not compiled again.

    Raises
    ------
    DoesNotCompile
        With the compiler's messages.
    """
    return _compiled(kernel.name, host_source(kernel, T), sanitize)


@functools.cache
def _compiled(name: str, text: str, sanitize: str | None) -> Path:
    compiler = _compiler()
    flags = [*_FLAGS, *_MODES[sanitize], *_poison()]
    key = hashlib.sha256("\0".join([compiler, *flags, text]).encode()).hexdigest()[:24]
    target = _folder() / f"{name}-{key}"
    if not target.exists():
        beside = target.with_name(f"{target.name}.{os.getpid()}")
        command = ["g++", *flags, "-x", "c++", "-", "-o", str(beside)]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DoesNotCompile(f"kernel {name} does not compile for the host:\n{done.stderr}")
        beside.replace(target)
    return target


@functools.cache
def runner() -> tuple[str, ...]:
    """Return the command that starts sanitized programs.

    The sanitizers' shadow does not fit around every random layout of the address space; not
    everywhere may a process ask for a fixed one.
    """
    fixed = ("setarch", os.uname().machine, "-R")
    if shutil.which("setarch") and not subprocess.run([*fixed, "true"], check=False).returncode:
        return fixed
    return ()


@functools.cache
def loaded(path: Path) -> ctypes.PyDLL:
    """Return a compiled library. Calls hold the interpreter's lock: one launch at a time."""
    library = ctypes.PyDLL(str(path))
    library.fault_message.restype = ctypes.c_char_p
    return library
