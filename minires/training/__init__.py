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
from .precise_bn import precise_batch_norm
from .range_test import LRCurve, lr_find
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
    "LRCurve",
    "Ledger",
    "Measured",
    "Trainer",
    "Update",
    "average_precision",
    "box_iou",
    "class_average_precision",
    "class_iou",
    "confusion_matrix",
    "lr_find",
    "mean_average_precision",
    "mean_iou",
    "precise_batch_norm",
]
