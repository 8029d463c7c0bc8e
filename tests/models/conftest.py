"""Networks at full size for nothing: what only counts or names their tensors draws no weights."""

from __future__ import annotations

import pytest

from minires.nn import init


@pytest.fixture
def undrawn(monkeypatch):
    """Initialisers do nothing: memory that nobody writes costs neither time nor space."""
    for name in ("normal_", "uniform_", "trunc_normal_", "constant_"):
        monkeypatch.setattr(init, name, lambda tensor, *arguments, **options: tensor)
