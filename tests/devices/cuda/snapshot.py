"""Record what the installed CuPy offers, for the lint and for the fake. No GPU is needed.

python tests/devices/cuda/snapshot.py > tests/devices/cuda/cupy_snapshot.json
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from typing import Any

# Where names are looked up; a class's names are those of its methods and attributes.
ROOMS = (
    "cupy",
    "cupy.linalg",
    "cupy.lib",
    "cupy.lib.stride_tricks",
    "cupy.ndarray",
    "cupy.random",
    "cupy.random.Generator",
    "cupy.cuda",
    "cupy.cuda.Device",
    "cupy.cuda.Event",
    "cupy.cuda.Graph",
    "cupy.cuda.MemoryPool",
    "cupy.cuda.PinnedMemoryPool",
    "cupy.cuda.Stream",
    "cupy.cuda.runtime",
    "cupyx",
)


def take() -> dict[str, Any]:
    """Return the snapshot: names, signatures and ufuncs."""
    import cupy

    names: dict[str, list[str]] = {}
    signatures: dict[str, str] = {}
    for room in ROOMS:
        owner = find(room)
        names[room] = sorted(name for name in dir(owner) if public(room, owner, name))
        for name in names[room]:
            member = getattr(owner, name)
            text = None if isinstance(member, type | cupy.ufunc) else spell(member)
            if text is not None and "**" not in text:
                signatures[f"{room}.{name}"] = text
    for method in ("reduce", "accumulate", "at", "outer", "reduceat"):
        text = spell(getattr(cupy.ufunc, method))
        if text is not None and "**" not in text:
            signatures[f"cupy.ufunc.{method}"] = text
    ufuncs = {name: describe(f) for name, f in vars(cupy).items() if isinstance(f, cupy.ufunc)}
    return {
        "version": cupy.__version__,
        "names": names,
        "signatures": dict(sorted(signatures.items())),
        "ufunc": ufunc_keywords(cupy.add),
        "ufuncs": dict(sorted(ufuncs.items())),
    }


def find(path: str) -> Any:
    """Return what a dotted path names."""
    import importlib

    module, *rest = path.split(".")
    found = importlib.import_module(module)
    for name in rest:
        if not hasattr(found, name):
            importlib.import_module(f"{found.__name__}.{name}")
        found = getattr(found, name)
    return found


def public(room: str, owner: Any, name: str) -> bool:
    """Tell whether a name is to be recorded: `runtime`'s hundreds of constants are not."""
    if name.startswith("_"):
        return False
    return room != "cupy.cuda.runtime" or callable(getattr(owner, name))


def spell(function: Any) -> str | None:
    """Spell a signature as ``a, axis=, /, *, out=``; None where it cannot be read."""
    if not callable(function):
        return None
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return spell_docstring(function)
    if parameters and parameters[0].name == "self":
        parameters = parameters[1:]
    parts: list[str] = []
    for position, p in enumerate(parameters):
        before = parameters[position - 1].kind if position else None
        if before == p.POSITIONAL_ONLY and p.kind != p.POSITIONAL_ONLY:
            parts.append("/")
        if p.kind == p.KEYWORD_ONLY and before not in (p.KEYWORD_ONLY, p.VAR_POSITIONAL):
            parts.append("*")
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        parts.append(f"{stars}{p.name}" + ("=" if p.default is not p.empty else ""))
        if p.kind == p.POSITIONAL_ONLY and position == len(parameters) - 1:
            parts.append("/")
    return ", ".join(parts)


def spell_docstring(function: Any) -> str | None:
    """Spell the signature that Cython writes into the first line of a docstring."""
    first = (function.__doc__ or "").strip().split("\n")[0]
    found = re.match(r"[\w.]+\((.*)\)(\s*->.*)?$", first)
    if found is None:
        return None
    parts = []
    for text in re.split(r",\s*", found[1]):
        name, has_default, _ = text.partition("=")
        name = name.split()[-1] if name else ""  # drops C types such as Py_ssize_t
        if name and name != "self":
            parts.append(name + has_default)
    return ", ".join(parts)


def ufunc_keywords(ufunc: Any) -> list[str]:
    """Read the keywords of a ufunc's call from its docstring."""
    first = ufunc.__doc__.strip().split("\n")[0]
    return sorted(re.findall(r"(\w+)=", first))


def describe(ufunc: Any) -> dict[str, Any]:
    """Return a ufunc's numbers of operands, its types, and which of its methods it has."""
    return {
        "nin": ufunc.nin,
        "nout": ufunc.nout,
        # E is bfloat16, which is there where ml_dtypes is installed.
        "types": [types for types in ufunc.types if "E" not in types],
        **{method: has_method(ufunc, method) for method in ("reduce", "accumulate", "at")},
    }


def has_method(ufunc: Any, method: str) -> bool:
    """Ask by calling: what is missing raises before the device is touched."""
    import cupy
    import numpy as np

    host = np.zeros(2, np.float32)
    memory = cupy.cuda.UnownedMemory(host.ctypes.data, host.nbytes, host, device_id=0)
    x = cupy.ndarray(host.shape, host.dtype, cupy.cuda.MemoryPointer(memory, 0))
    try:
        getattr(ufunc, method)(*((x, 0, 1) if method == "at" else (x,)))
    except NotImplementedError:
        return False
    except Exception:  # no driver, or a type it has no loop for: the method itself was found
        return True
    return True


if __name__ == "__main__":
    json.dump(take(), sys.stdout, indent=1)
    sys.stdout.write("\n")
