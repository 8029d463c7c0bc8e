"""Training: the loop, what looks on, and what to say when the loss is no longer a number."""

from __future__ import annotations

from .callbacks import Callback
from .detection import average_precision, class_average_precision, mean_average_precision
from .divergence import DivergedError
from .ema import EMA
from .evaluation import Evaluation
from .gradient_norms import GradientNorms
from .graph import CapturedStep
from .history import History
from .ledger import Ledger, Measured
from .overlap import box_iou, class_iou, confusion_matrix, mean_iou
from .steps import EagerStep
from .trainer import Trainer
from .update import Update

__all__ = [
    "EMA",
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
    "Update",
    "average_precision",
    "box_iou",
    "class_average_precision",
    "class_iou",
    "confusion_matrix",
    "mean_average_precision",
    "mean_iou",
]
