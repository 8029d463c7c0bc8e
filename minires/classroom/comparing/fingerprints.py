"""What a mistake's outcome looks like, in a few numbers that give no solution away.

A leaf becomes its shape, its length as a vector, and its products with a few random directions. Two
arrays that agree in these are, but for chance, equal; and the array cannot be had back.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from .leaves import TOLERANCE, precision

__all__ = ["Fingerprint", "alike", "fingerprint"]

Fingerprint = dict[str, Any]
_DIRECTIONS = 4


def fingerprint(leaves: Mapping[str, Any]) -> Fingerprint:
    """Return the fingerprint of the leaves of an outcome, for JSON."""
    return {name: _of(name, leaf) for name, leaf in leaves.items()}


def _of(name: str, leaf: Any) -> Any:
    if leaf is None or isinstance(leaf, str):
        return leaf
    array = np.asarray(leaf)
    with np.errstate(all="ignore"):
        flat = array.real.astype(float).ravel()
        rng = np.random.default_rng([zlib.crc32(name.encode()), flat.size])
        finite = np.where(np.isfinite(flat), flat, 0)
        seen = rng.standard_normal((_DIRECTIONS, flat.size)) @ finite
        length = float(np.linalg.norm(finite))
    bad = int((~np.isfinite(flat)).sum())
    return {
        "shape": list(array.shape),
        "bad": bad,
        "length": length,
        "seen": seen.tolist(),
        "exact": precision(array),
    }


def alike(a: Fingerprint, b: Fingerprint) -> bool:
    """Return whether two outcomes agree in all leaves."""
    return a.keys() == b.keys() and all(_agree(a[name], b[name]) for name in a)


def _agree(a: Any, b: Any) -> bool:
    if not isinstance(a, dict) or not isinstance(b, dict):
        return bool(a == b)
    if (a["shape"], a["bad"]) != (b["shape"], b["bad"]):
        return False
    exact = min((a["exact"], b["exact"]))  # float32 comes before float64
    room = TOLERANCE[exact] * max(a["length"], b["length"]) + 1e-12
    if not math.isfinite(room):  # of numbers beyond 1e154, beside which all are alike
        return False
    return bool(np.abs(np.subtract(a["seen"], b["seen"])).max() <= room)
