"""All items, in the order of their codes."""

from __future__ import annotations

from importlib import import_module

from .item import Item

# Four articles: a general introduction, a history, a short explanation with code, a longer one
# with numerical examples.
_FILES = ("general", "history", "short_explanation", "numerical_explanation")


def audited_items() -> dict[str, Item]:
    """Return all items by their codes."""
    package = __name__.rpartition(".")[0]
    return {
        code: item
        for file in _FILES
        for code, item in import_module(f"{package}.{file}").ITEMS.items()
    }
