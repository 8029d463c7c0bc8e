"""A static lint: what code asks of `xp` is held against the record of what CuPy 14.2 offers.

It follows chains of attributes that begin at a name or an attribute called `xp`
(``xp.linalg.norm``, ``self.xp.exp``, ``devices.of(x).xp.add.at``), and keywords of array methods
that NumPy knows and CuPy does not.
"""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

from tests.devices.cuda import api

# Keywords that only NumPy's methods take. Tensors have methods of these names as well, but with
# keywords of their own (dim=), so that these can be told by themselves.
_REDUCTION = frozenset({"initial", "where"})
_NUMPY_KEYWORDS = {
    "all": frozenset({"where"}),
    "any": frozenset({"where"}),
    "argsort": frozenset({"order", "stable"}),
    "clip": frozenset({"casting", "dtype", "where"}),
    "max": _REDUCTION,
    "mean": frozenset({"where"}),
    "min": _REDUCTION,
    "prod": _REDUCTION,
    "sort": frozenset({"order", "stable"}),
    "std": frozenset({"correction", "mean", "where"}),
    "sum": _REDUCTION,
    "take": frozenset({"mode"}),
    "var": frozenset({"correction", "mean", "where"}),
}
_NUMPY_ATTRIBUTES = {
    "__array_interface__", "ctypes", "getfield", "newbyteorder", "setfield", "setflags",
    "to_device", "writeable",
}  # fmt: skip


class Finding(NamedTuple):
    """One line that CuPy would refuse."""

    line: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}"


def findings(source: str, methods: bool = True) -> list[Finding]:
    """Return what CuPy would refuse in a text of Python.

    Parameters
    ----------
    source : str
    methods : bool
        Whether to look at the methods and attributes of arrays, too; False for files in which host
        arrays abound.
    """
    found: list[Finding] = []
    tree = ast.parse(source)
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            found += _of_names(node)
        if isinstance(node, ast.Attribute) and methods and node.attr in _NUMPY_ATTRIBUTES:
            found.append(Finding(node.lineno, f"a cupy.ndarray has no .{node.attr}"))
        if isinstance(node, ast.Call):
            found += _of_call(node, methods)
    return sorted(set(found))


def _chain(node: ast.AST) -> list[str] | None:
    """Return the names after `xp` in ``a.b.xp.c.d``: ["c", "d"]; None if there is no `xp`."""
    names: list[str] = []
    while isinstance(node, ast.Attribute) and node.attr != "xp":
        names.insert(0, node.attr)
        node = node.value
    is_xp = isinstance(node, ast.Attribute) or (isinstance(node, ast.Name) and node.id == "xp")
    return names if is_xp else None


def _resolve(names: list[str]) -> tuple[str, str | None]:
    """Return the path as far as it is known, and what is wrong with the next name, if anything."""
    path = "cupy"
    for name in names:
        if api.is_room(path):
            if name not in api.names(path):
                return path, f"{path} has no {name!r}"
        elif _is_ufunc(path):
            facts = api.UFUNCS[path.removeprefix("cupy.")]
            if facts.get(name) is False:
                return path, f"{path}.{name} is not supported"
        else:
            return path, None
        path += f".{name}"
    return path, None


def _is_ufunc(path: str) -> bool:
    return path.removeprefix("cupy.") in api.UFUNCS


def _of_names(node: ast.Attribute) -> list[Finding]:
    names = _chain(node)
    wrong = _resolve(names)[1] if names else None
    return [] if wrong is None else [Finding(node.lineno, wrong)]


def _of_call(call: ast.Call, methods: bool) -> list[Finding]:
    function = call.func
    keywords = [k.arg for k in call.keywords if k.arg is not None]
    names = _chain(function)
    if names:
        path, wrong = _resolve(names)
        return [] if wrong else [Finding(call.lineno, w) for w in _arguments(path, call, keywords)]
    if isinstance(function, ast.Name) and function.id == "getattr":
        return _of_getattr(call)
    if not methods or not isinstance(function, ast.Attribute):
        return []
    # `np.sum(x, where=...)` is NumPy's own business.
    if isinstance(function.value, ast.Name) and function.value.id in ("np", "numpy"):
        return []
    unknown = _NUMPY_KEYWORDS.get(function.attr, frozenset()) & set(keywords)
    return [
        Finding(call.lineno, f"cupy.ndarray.{function.attr} takes no {k}=") for k in sorted(unknown)
    ]


def _of_getattr(call: ast.Call) -> list[Finding]:
    owner, name = (*call.args, None, None)[:2]
    names = None if owner is None else _chain(owner)
    if names is None or not isinstance(name, ast.Constant):
        return []
    wrong = _resolve([*names, name.value])[1]
    return [] if wrong is None else [Finding(call.lineno, wrong)]


def _arguments(path: str, call: ast.Call, keywords: list[str]) -> list[str]:
    """Return what is wrong with the arguments of a call of `path`."""
    if _is_ufunc(path):
        wrong = [f"{path} takes no {k}=" for k in keywords if k not in api.UFUNC_KEYWORDS]
        if any(isinstance(a, ast.List | ast.Tuple) for a in call.args):
            wrong.append(f"{path} takes no lists")
        return wrong
    owner, _, method = path.rpartition(".")
    signature = api.signature(f"cupy.ufunc.{method}" if _is_ufunc(owner) else path)
    if signature is None:
        return []
    unknown = [k for k in keywords if k not in signature.parameters]
    if unknown:
        return [f"{path} takes no {k}=" for k in unknown]
    starred = any(isinstance(a, ast.Starred) for a in call.args) or len(keywords) < len(
        call.keywords
    )
    given: tuple[Any, ...] = tuple(call.args)
    try:
        if not starred:
            signature.bind(*given, **dict.fromkeys(keywords))
    except TypeError as error:
        return [f"{path}: {error}"]
    return []
