"""What is compared of results that may be written in several ways."""

from __future__ import annotations

import numpy as np

_VALUES = ("inner1", "inner2", "branch", "shortcut", "sum")


def _has_cache(result):
    return isinstance(result, tuple | list) and len(result) == 2 and isinstance(result[1], dict)


def _block(result):
    """Of a block's cache its own values; the given layers' caches are not the student's work."""
    if not _has_cache(result):
        return result
    return result[0], {name: result[1][name] for name in _VALUES if name in result[1]}


def view_max_pool(arguments, result):
    """See the shape as a list, whether it is a tuple, a list or an array."""
    if not _has_cache(result) or "shape" not in result[1]:
        return result
    return result[0], result[1] | {"shape": np.ravel(result[1]["shape"]).tolist()}


def view_basic_block(arguments, result):
    return _block(result)


def view_bottleneck(arguments, result):
    return _block(result)
