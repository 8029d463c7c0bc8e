"""What is done to images on their way into a batch: cut, mirrored, coloured, normalised, mixed."""

from __future__ import annotations

from .crops import CenterCrop, RandomCrop, RandomHorizontalFlip
from .mixup import MixUp
from .normalize import Normalize
from .transform import Compose, Transform

__all__ = [
    "CenterCrop",
    "Compose",
    "MixUp",
    "Normalize",
    "RandomCrop",
    "RandomHorizontalFlip",
    "Transform",
]
