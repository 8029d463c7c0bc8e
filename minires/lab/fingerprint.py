"""What the trials of an experiment depend on, as digests: when it changes, they are out of date."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cache
from importlib import import_module
from importlib.util import resolve_name
from typing import Any, NamedTuple

from .experiment import Experiment, Scale

_LAB = __name__.rpartition(".")[0]
# Words, rules, and what is made of trials afterwards.
_NOT_OF_TRIALS = {"name", "title", "about", "caption", "claims", "scales"}
_NOT_OF_TRIALS |= {"measure", "draw", "conditions", "given"}


def fingerprint(
    experiment: Experiment,
    scale: Scale,
    images: Mapping[str, Any] | None,
    device: str,
    given: Any = None,
) -> str:
    """Return a digest of all that a trial depends on, besides its condition and its seed.

    Parameters
    ----------
    experiment : Experiment
    scale : Scale
    images : dict or None
        Which these are.
    device : str
    given : JSON value
        What the experiment says that it is given besides.
    """
    depends_on = {
        "experiment": experiment.name,
        "settings": settings_of(scale),
        "images": images,
        "device": device,
        "given": given,
        "source": source_of(experiment),
    }
    return digest(depends_on)


def settings_of(scale: Scale) -> dict[str, Any]:
    """Return what of a scale matters to a trial: not how many there are, or how long they take."""
    settings = asdict(scale)
    del settings["seeds"], settings["seconds"]
    return settings


def source_of(experiment: Experiment) -> str:
    """Return a digest of the source that an experiment's trials run, as far as it is the lab's.

    That is the experiment's ``run``, and whatever is reached from there by name: in its own file
    and in those of `minires.lab`, of which also a whole file may be imported. Comments, docstrings,
    layout, claims, rules, what is made of the trials and the figure do not matter. Of all the rest
    of minires a trial tells the commit.
    """
    kind = type(experiment)
    waiting = [(kind.__module__, kind.__name__)]
    reached: dict[str, Any] = {}
    while waiting:
        module, name = waiting.pop()
        parts = _parts(module)
        if name in parts.imported:
            waiting.append(parts.imported[name])
        elif name in parts.defined and f"{module}.{name}" not in reached:
            reached[f"{module}.{name}"] = [_shape(node) for node in parts.defined[name]]
            waiting += [(module, used) for node in parts.defined[name] for used in _used(node)]
        elif module == _LAB and name not in parts.defined:
            file = f"{module}.{name}"
            waiting += [(file, each) for each in _parts(file).defined]
    return digest(reached)


class _Parts(NamedTuple):
    """What a module defines, by name, and what it has from other modules of the lab."""

    defined: dict[str, list[ast.stmt]]
    imported: dict[str, tuple[str, str]]


@cache
def _parts(module: str) -> _Parts:
    found = import_module(module)
    defined: dict[str, list[ast.stmt]] = {}
    imported: dict[str, tuple[str, str]] = {}
    tree = ast.parse(inspect.getsource(found))
    for each in ast.walk(tree):  # within functions, too
        if isinstance(each, ast.ImportFrom):
            source = resolve_name("." * each.level + (each.module or ""), found.__package__)
            if source == _LAB or source.startswith(f"{_LAB}."):
                imported |= {one.asname or one.name: (source, one.name) for one in each.names}
    for node in tree.body:
        for name in _names(node):
            defined.setdefault(name, []).append(_bare(node, getattr(found, name, None)))
    return _Parts(defined, imported)


def _names(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from (each.id for each in ast.walk(target) if isinstance(each, ast.Name))


def _bare(node: ast.stmt, value: object) -> ast.stmt:
    """Return a statement without docstrings, and an experiment's class without words and rules."""
    if isinstance(node, ast.ClassDef) and isinstance(value, type) and issubclass(value, Experiment):
        node.body = [each for each in node.body if _NOT_OF_TRIALS.isdisjoint(_names(each))]
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(each) is not None:
            each.body = each.body[1:]
        if isinstance(each, ast.FunctionDef | ast.ClassDef) and not each.body:
            each.body = [ast.Pass()]
    return node


def _shape(node: Any) -> Any:
    """Return a part of a syntax tree as lists, the same in every version of Python."""
    if isinstance(node, list):
        return [_shape(each) for each in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    # What a version adds is empty where older ones have no such thing.
    fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
    return [type(node).__name__, *([name, _shape(value)] for name, value in fields)]


def _used(node: ast.stmt) -> Iterator[str]:
    return (each.id for each in ast.walk(node) if isinstance(each, ast.Name))


def digest(value: Any) -> str:
    """Return a digest of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
