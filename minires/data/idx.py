"""IDX files, the format of MNIST: a magic number, the shape, and the bytes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from .archives import uncompressed
from .errors import DatasetDamaged

Array = np.ndarray[Any, Any]

_UNSIGNED_BYTES = 8


def read_idx(path: Path, dimensions: int) -> Array:
    """Read an IDX file of unsigned bytes, compressed or not.

    Parameters
    ----------
    path : Path
        Its first bytes, not its name, tell whether it is compressed with gzip.
    dimensions : int
        How many axes it must have: 3 for images (N, H, W), 1 for labels (N,).

    Returns
    -------
    array, uint8

    Raises
    ------
    DatasetDamaged
        If it is another file, or one cut short or too long.
    """
    contents = uncompressed(path)
    begin = 4 + 4 * dimensions
    if len(contents) < begin or contents[:3] != bytes([0, 0, _UNSIGNED_BYTES]):
        raise DatasetDamaged(
            f"'{path}' is no IDX file of bytes: it begins with {contents[:4].hex(' ') or 'nothing'}"
            f", not with 00 00 08 {dimensions:02x}"
        )
    if contents[3] != dimensions:
        raise DatasetDamaged(
            f"'{path}' holds an array of {contents[3]} dimensions, and {dimensions} were expected;"
            " are images and labels exchanged?"
        )
    shape = tuple(np.frombuffer(contents, ">u4", dimensions, offset=4).tolist())
    if len(contents) - begin != math.prod(shape):
        raise DatasetDamaged(
            f"'{path}' says its shape is {shape}, {math.prod(shape):,} bytes, but"
            f" {len(contents) - begin:,} follow; it was cut short or damaged"
        )
    return np.frombuffer(contents, np.uint8, offset=begin).reshape(shape)
