"""What optimisers do to the parameters, on plain arrays.

The rules stand in `minires.optim`, one parameter at a time. A device on which each small operation
costs a launch overrides `fused_sgd` and `fused_adam`, which take many parameters at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class UpdateKernels:
    """The device's kernels for optimisers: none, unless it can do better than one by one."""

    fused_sgd: Callable[..., None] | None = None
    fused_adam: Callable[..., None] | None = None

    def can_fuse(self, data: Any, grad: Any, *remembered: Any) -> bool:
        """Tell whether the fused kernels can update a parameter with these arrays."""
        return False
