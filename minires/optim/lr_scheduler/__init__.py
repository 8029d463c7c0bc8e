"""Learning-rate schedules: the rate as a function of the epoch, or of what was measured.

A scheduler's `step`, called once per epoch after the optimiser's steps, writes the next rate into
the optimiser's groups. (It may as well be called once per step of the optimiser; what is called an
epoch here is then a step.) Most schedules are a pure function of the epoch and the group's initial
rate, so that going on from a saved epoch gives the same rates. One optimiser takes one scheduler:
`SequentialLR` chains several, `WarmUp` and `WarmUpUntil` begin another one gently.
"""

from __future__ import annotations

from .base import LRScheduler
from .fixed import CosineAnnealingLR, LinearLR, MultiStepLR, SequentialLR
from .plateau import ReduceLROnPlateau
from .warm_up import WarmUp, WarmUpUntil

__all__ = [
    "CosineAnnealingLR",
    "LRScheduler",
    "LinearLR",
    "MultiStepLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "WarmUp",
    "WarmUpUntil",
]
