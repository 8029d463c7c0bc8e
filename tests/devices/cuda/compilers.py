"""CUDA's compilers, where there are any: NVRTC as a library, and nvcc. Neither needs a GPU."""

from __future__ import annotations

import ctypes
import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from minires.devices.cuda.kernel import Kernel

# Of the oldest GPU that compilers still know, of the A100 and of the H100.
ARCHITECTURES = ("sm_70", "sm_80", "sm_90")

_SPILLS = re.compile(r"[1-9]\d* bytes spill")
_DEPRECATED = re.compile(r"^.*warning: Architectures prior to.*$", re.MULTILINE)


class Refused(Exception):  # noqa: N818
    """A compiler had an error or a warning, or put registers into memory."""


class Nvrtc:
    """The library that compiles CUDA C++ at run time; CuPy uses it.

    Parameters
    ----------
    path : Path
        Of the shared library.
    """

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
        self.name = f"NVRTC {major.value}.{minor.value}"

    def supports(self, architecture: str) -> bool:
        count = ctypes.c_int()
        self._library.nvrtcGetNumSupportedArchs(ctypes.byref(count))
        known = (ctypes.c_int * count.value)()
        self._library.nvrtcGetSupportedArchs(known)
        return int(architecture.removeprefix("sm_")) in known

    def compile(self, text: str, name: str, architecture: str) -> str:
        """Compile a text and return what the compiler says about registers and memory."""
        program, size = ctypes.c_void_p(), ctypes.c_size_t()
        source, file = text.encode(), f"{name}.cu".encode()
        library, created = self._library, ctypes.byref(program)
        library.nvrtcCreateProgram(created, source, file, 0, None, None)
        # The last two are CuPy's own additions.
        options = ["--std=c++17", f"-arch={architecture}", "--ptxas-options=-v", "-ftz=true"]
        options += ["--device-as-default-execution-space"]
        options += [f"-I{folder}" for folder in headers()]
        encoded = (ctypes.c_char_p * len(options))(*[option.encode() for option in options])
        failed = library.nvrtcCompileProgram(program, len(options), encoded)
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
        library.nvrtcDestroyProgram(created)
        return _judged(self.name, log.value.decode(), failed, architecture)


class Nvcc:
    """The compiler of the CUDA toolkit."""

    def __init__(self) -> None:
        version = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True)
        number = re.search(r"release (\S+),", version.stdout)
        self.name = f"nvcc {number[1] if number else '?'}"

    def supports(self, architecture: str) -> bool:
        asked = ["nvcc", "--list-gpu-code"]
        known = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        return architecture in known.split()

    def compile(self, text: str, name: str, architecture: str) -> str:
        """Compile a text and return what the compiler says about registers and memory."""
        options = [
            "-std=c++17",
            f"-arch={architecture}",
            "-Xptxas",
            "-v",
            "-Werror",
            "all-warnings",
        ]
        command = ["nvcc", "-cubin", *options, "-x", "cu", "-", "-o", os.devnull]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        return _judged(self.name, done.stderr, done.returncode, architecture)


def _judged(compiler: str, log: str, failed: int, architecture: str) -> str:
    log = _DEPRECATED.sub("", log)
    if failed or "warning" in log or _SPILLS.search(log):
        raise Refused(f"{compiler} for {architecture}:\n{log}")
    return log


@functools.cache
def nvrtcs() -> list[Nvrtc]:
    """Return NVRTC of NVIDIA's wheels, of the toolkit, and of the paths in MINIRES_NVRTC."""
    folders = [Path(folder) / "nvidia" for folder in sys.path]
    found = [path for folder in folders for path in folder.glob("*/lib/libnvrtc.so.1?")]
    found += [path for root in _toolkits() for path in root.glob("lib64/libnvrtc.so.1?")]
    found += [Path(path) for path in os.environ.get("MINIRES_NVRTC", "").split(":") if path]
    return [Nvrtc(path) for path in dict.fromkeys(found)]


@functools.cache
def nvcc() -> Nvcc | None:
    return Nvcc() if shutil.which("nvcc") else None


@functools.cache
def headers() -> list[Path]:
    """Return the folders of cuda_fp16.h, which NVRTC does not bring: empty where there is none."""
    wheels = [Path(folder) / "nvidia" for folder in sys.path]
    places = [path for folder in wheels for path in folder.glob("*/include")]
    places += [root / "include" for root in _toolkits()]
    return [folder for folder in places if (folder / "cuda_fp16.h").exists()][:1]


def _toolkits() -> list[Path]:
    named = [Path(os.environ[name]) for name in ("CUDA_PATH", "CUDA_HOME") if name in os.environ]
    program = shutil.which("nvcc")
    beside = [Path(program).resolve().parents[1]] if program else []
    return [*named, *beside, *sorted(Path("/usr/local").glob("cuda*"), reverse=True)]


def together(kernels: Iterable[tuple[Kernel, str]]) -> str:
    """Return one text of many kernels, for a compiler whose start takes the longest."""
    parts = ["#include <cuda_fp16.h>"]
    for kernel, T in kernels:
        code = kernel.code(T).replace("#include <cuda_fp16.h>", "").replace('extern "C"', "")
        parts.append(f"#undef BLOCK\nnamespace {kernel.name}_{T} {{\n{code}\n}}")
    return "\n".join(parts)
