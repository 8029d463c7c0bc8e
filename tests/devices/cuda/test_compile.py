"""Every kernel compiles with CUDA's own compilers, without a warning and without spilling."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable
from types import ModuleType

import pytest

from minires.devices import cuda
from minires.devices.cuda.kernel import Kernel
from tests.devices.cuda import compilers, samples
from tests.devices.cuda.compilers import ARCHITECTURES, Refused
from tests.devices.cuda.host import mutated


def kernels_of(module: ModuleType) -> list[Kernel]:
    """Kernels that a module names, or has in its tuples, lists and dicts."""
    found: list[Kernel] = []
    for value in vars(module).values():
        inside = value.values() if isinstance(value, dict) else value
        within = inside if isinstance(inside, tuple | list | type({}.values())) else [value]
        found += [kernel for kernel in within if isinstance(kernel, Kernel)]
    return found


def all_kernels() -> list[Kernel]:
    modules = pkgutil.walk_packages(cuda.__path__, f"{cuda.__name__}.")
    found = [k for m in modules for k in kernels_of(importlib.import_module(m.name))]
    return [*dict.fromkeys([*found, *kernels_of(samples)])]


def meant_for(kernel: Kernel) -> list[str]:
    """Stored dtypes of a kernel: one is enough where the source does not depend on it."""
    depends = re.search(r"\b[TA]\b", kernel.source)
    return ["float16", "float32", "float64"] if depends else ["float32"]


CASES = [(kernel, T) for kernel in all_kernels() for T in meant_for(kernel)]


@pytest.fixture(params=ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def nvrtc(architecture: str) -> compilers.Nvrtc:
    knowing = [library for library in compilers.nvrtcs() if library.supports(architecture)]
    if not knowing:
        names = ", ".join([library.name for library in compilers.nvrtcs()]) or "there is none"
        pytest.skip(f"no NVRTC for {architecture}: {names}; MINIRES_NVRTC may name libraries")
    return knowing[0]


def test_the_collector_finds_kernels_by_name_and_in_containers():
    module = ModuleType("sample")
    module.one, module.several = samples.SCALE, {"total": samples.TOTAL, "other": 1}
    assert kernels_of(module) == [samples.SCALE, samples.TOTAL]


def test_names_of_kernels_are_their_own():
    names = [kernel.name for kernel in all_kernels()]
    assert len(names) == len(set(names))


def test_kernels_compile_with_nvrtc(nvrtc, architecture):
    if not compilers.headers():
        pytest.skip("cuda_fp16.h, of the CUDA toolkit or the nvidia-cuda-runtime wheel, is missing")
    for kernel, T in CASES:
        nvrtc.compile(kernel.code(T), kernel.name, architecture)


@pytest.mark.long
def test_kernels_compile_with_nvcc(architecture):
    program = compilers.nvcc()
    if program is None or not program.supports(architecture):
        pytest.skip(f"no nvcc for {architecture}: {program.name if program else 'there is none'}")
    program.compile(compilers.together(CASES), "kernels", architecture)


WRONG = {
    "a variable that nothing uses": ("A sum = 0;", "A sum = 0; int unused;"),
    "a name that nothing has": ("A sum = 0;", "A sum = missing;"),
    "more shared memory than a block may have": ("sums[BLOCK]", "sums[16 * 1024]"),
}


@pytest.fixture
def strict() -> Callable[[Kernel, str], str]:
    """Compile a wrong kernel; one compiler and one architecture are enough for those."""
    if not compilers.nvrtcs():
        pytest.skip("there is no NVRTC; MINIRES_NVRTC may name libraries")
    nvrtc = compilers.nvrtcs()[0]
    return lambda kernel, T: nvrtc.compile(kernel.code(T), kernel.name, "sm_80")


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_nvrtc_refuses(strict, change):
    with pytest.raises(Refused, match="for sm_80"):
        strict(mutated(samples.TOTAL, *change), "float32")


def test_spilt_registers_are_refused(strict):
    held = range(300)
    values = "".join([f"A v{i} = x[i + {i}];" for i in held])
    used = "".join([f"y[{i}] = v{i} * v{i * 7 % 300}; y[{i + 300}] = v{i};" for i in held])
    greedy = Kernel(
        'extern "C" __global__ void greedy(const T* x, T* y, int i) {'
        f"{values} __syncthreads(); {used} }}",
        plain=lambda *args: None,
    )
    with pytest.raises(Refused, match="bytes spill"):
        strict(greedy, "float64")
