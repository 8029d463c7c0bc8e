"""bfloat16, which NumPy does not have: the upper half of a float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def widened(bits: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the values whose bfloat16 has these 16 bits, as float32."""
    wide = bits.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)
