"""What is compared of results that may be written in several ways."""

from __future__ import annotations

import numpy as np


def view_gradient_norms(arguments, result):
    """See the norms as one array, whether they are a tuple, a list or an array."""
    return np.asarray(result)  # of float32 in float32, which is held to fewer digits
