"""Which ops are of which kind, and what they were given."""

from __future__ import annotations

from ..records import Forward, Operand, Records, Stats

RELUS = ("relu", "batch_norm_relu", "conv2d_relu")
NORMS = ("batch_norm", "batch_norm_relu", "batch_norm_relu_conv2d")
# What these send back is a product with another operand.
PRODUCTS = ("mul", "div", "matmul", "linear", "conv2d", "conv2d_relu", "batch_norm_relu_conv2d")


def operand(step: Forward, *edges: str) -> Operand | None:
    """Return the first operand by one of these names that is a value."""
    return next((o for o in step.operands if o.edge in edges and o.value is not None), None)


def stats_at(records: Records, found: Operand | None) -> Stats | None:
    """Return the statistics of an operand."""
    return None if found is None or found.value is None else records.values[found.value].stats


def zero_share(stats: Stats) -> float:
    """Share of zeros; the norm knows of every element, where the share is of a sample."""
    return 1.0 if stats.norm == 0 else stats.zeros


def is_zero(records: Records, found: Operand) -> bool:
    """Tell whether an operand is all zeros."""
    stats = stats_at(records, found)
    return stats is not None and stats.norm == 0
