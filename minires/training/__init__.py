"""Training: the loop, what looks on, and what to say when the loss is no longer a number."""

from __future__ import annotations

from .callbacks import Callback
from .divergence import DivergedError
from .evaluation import Evaluation
from .gradient_norms import GradientNorms
from .graph import CapturedStep
from .ledger import Ledger, Measured
from .steps import EagerStep
from .trainer import History, Trainer

__all__ = [
    "Callback",
    "CapturedStep",
    "DivergedError",
    "EagerStep",
    "Evaluation",
    "GradientNorms",
    "History",
    "Ledger",
    "Measured",
    "Trainer",
]
