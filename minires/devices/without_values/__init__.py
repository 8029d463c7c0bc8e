"""The device "meta" (PyTorch's word): arrays that have a shape and a dtype, and no values.

A network on it runs its whole forward and backward pass, and so tells the shape of all that it
would compute, without computing any of it. `arrays` has the array, `functions` what stands for
NumPy, `meta_device` the kernels.
"""

from __future__ import annotations

from .arrays import MetaArray, NoValuesError
from .meta_device import MetaDevice

__all__ = ["MetaArray", "MetaDevice", "NoValuesError"]
