"""What a user meets before the first line of their own: the installed package and its import."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import pkgutil
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import minires

PACKAGE = Path(minires.__file__).parent

# Each is imported by the function that needs it.
LOADED_ON_FIRST_USE = {
    "cupy",
    "matplotlib",
    "mpi4py",
    "rich",
    "safetensors",
    "scipy",
    "sklearn",
    "threadpoolctl",
    "typer",
}
ARRAY_FREE_FLOORS = ["autograd", "models", "nn", "ops", "optim"]
ARRAY_LIBRARIES = {"numpy", "cupy"}


def output_of(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "program",
    [
        "import minires",
        "import minires as mr; x = mr.tensor([[1.0, 2.0]], requires_grad=True);"
        " (mr.nn.Linear(2, 2)(x) * x).sum().backward()",
        "import minires as mr; mr.models.cifar_resnet(depth=8, width=2); mr.optim.SGD",
    ],
    ids=["import", "a backward pass", "a model"],
)
def test_heavy_libraries_load_on_first_use_only(program: str) -> None:
    loaded = set(output_of(f"{program}\nimport sys; print(*sys.modules)").split())

    assert loaded & LOADED_ON_FIRST_USE == set()


def test_importing_minires_takes_at_most_half_as_long_again_as_numpy() -> None:
    program = (
        "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
    )
    seconds: dict[str, list[float]] = {"numpy": [], "minires": []}
    # Interleaved, and the best of each: whatever else the machine does meets both alike.
    for _ in range(9):
        for library, times in seconds.items():
            times.append(float(output_of(program.format(library))))

    assert min(seconds["minires"]) <= 1.5 * min(seconds["numpy"])


def test_the_version_in_the_source_is_a_literal_and_the_installed_one() -> None:
    source = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    (literal,) = re.findall(r'^__version__(?:: \w+)? = "([^"]+)"$', source, flags=re.MULTILINE)

    assert literal == minires.__version__
    assert literal == importlib.metadata.version("minires")


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()


def array_libraries_named_in(source: str) -> list[str]:
    """Each import or use of numpy or cupy, `np` for short included, as `line: name`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Name):
            names = [node.id]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in {"import_module", "__import__"}:
                names = [str(node.args[0].value)]
        found += [
            f"{node.lineno}: {name}"  # type: ignore[attr-defined]
            for name in names
            if name.split(".")[0] in ARRAY_LIBRARIES | {"np"}
        ]
    return found


@pytest.mark.parametrize("floor", ARRAY_FREE_FLOORS)
def test_the_core_names_neither_numpy_nor_cupy(floor: str) -> None:
    rooms = sorted((PACKAGE / floor).rglob("*.py"))
    found = {
        room.relative_to(PACKAGE).as_posix(): named
        for room in rooms
        if (named := array_libraries_named_in(room.read_text(encoding="utf-8")))
    }

    assert rooms
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import numpy",
        "import numpy.linalg as la",
        "from cupy import asarray",
        "from minires.devices.numpy_device import np",
        "def f(x):\n    import numpy as xp",
        "x: np.ndarray",
        "importlib.import_module('cupy')",
    ],
)
def test_naming_numpy_or_cupy_in_the_core_would_be_noticed(source: str) -> None:
    assert array_libraries_named_in(source)


def test_a_method_called_numpy_is_not_the_library() -> None:
    assert array_libraries_named_in("def numpy(self):\n    return self.numpy()") == []


def packages() -> Iterator[types.ModuleType]:
    yield minires
    for found in pkgutil.walk_packages(minires.__path__, "minires."):
        if found.ispkg:
            yield importlib.import_module(found.name)


def names_shared_with_a_submodule(package: types.ModuleType) -> set[str]:
    """Names that are a submodule, and also a function or class that the package offers."""
    submodules = {found.name for found in pkgutil.iter_modules(package.__path__)}
    offered = set(getattr(package, "__all__", ()))
    return {
        name
        for name in submodules & (offered | set(dir(package)))
        if not isinstance(getattr(package, name), types.ModuleType)
        # A lazy package answers with whichever of the two was imported first.
        or (name in offered and defines(f"{package.__name__}.{name}", name))
    }


def defines(module_name: str, name: str) -> bool:
    value = getattr(importlib.import_module(module_name), name, None)
    return callable(value) and getattr(value, "__module__", None) == module_name


def test_no_public_name_is_also_the_name_of_a_submodule() -> None:
    clashes = {package.__name__: names_shared_with_a_submodule(package) for package in packages()}

    assert {name: shared for name, shared in clashes.items() if shared} == {}


@pytest.mark.parametrize(
    "init",
    [
        "from clashing.relu import relu",
        "__all__ = ['relu']\nfrom clashing import relu",
    ],
    ids=["the function hides the module", "the module hides the function"],
)
def test_a_function_that_shares_the_name_of_a_submodule_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, init: str
) -> None:
    package = tmp_path / "clashing"
    package.mkdir()
    (package / "__init__.py").write_text(init)
    (package / "relu.py").write_text("def relu(x): ...")
    (package / "tanh.py").write_text("def hyperbolic_tangent(x): ...")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("clashing", "clashing.relu"):
        monkeypatch.delitem(sys.modules, name, raising=False)

    assert names_shared_with_a_submodule(importlib.import_module("clashing")) == {"relu"}
