"""What a student's file says, read and never run."""

from __future__ import annotations

import ast
import warnings

__all__ = ["NotPythonError", "imported_by", "names_in", "parsed"]


class NotPythonError(ValueError):
    """Text that Python cannot read."""


def parsed(code: bytes) -> ast.Module:
    """Return the syntax tree of a file.

    Raises
    ------
    NotPythonError
        If it has none; with the line.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is odd, and works
        try:
            return ast.parse(code)
        except SyntaxError as error:
            where = f"line {error.lineno}: " if error.lineno else ""
            raise NotPythonError(f"{where}{error.msg}") from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise NotPythonError(str(error) or "it is nested too deep") from None


def names_in(tree: ast.Module) -> set[str]:
    r"""Return what a file gives a name to, outside functions and classes.

    Examples
    --------
    >>> tree = parsed(b"import numpy as np\ndef f(x):\n    y = x\nif f:\n    g, h = f, f")
    >>> sorted(names_in(tree))
    ['f', 'g', 'h', 'np']
    """
    found: set[str] = set()
    todo: list[ast.AST] = [*tree.body]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue
        if isinstance(node, ast.alias):
            found.add(node.asname or node.name.split(".")[0])
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        todo.extend(ast.iter_child_nodes(node))
    return found


def imported_by(tree: ast.Module) -> set[str]:
    r"""Return the modules that a file imports, by the first part of their names.

    Examples
    --------
    >>> sorted(imported_by(parsed(b"import numpy.linalg\nfrom units import relu")))
    ['numpy', 'units']
    """
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.name.split(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found
