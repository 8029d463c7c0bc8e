"""What is done to images on their way into a batch: cut, mirrored, coloured, normalised, mixed."""

from __future__ import annotations

from .colour import ColorJitter, Lighting
from .crops import CenterCrop, RandomCrop, RandomHorizontalFlip
from .cutout import Cutout
from .mixup import MixUp
from .normalize import Normalize
from .resizing import RandomResizedCrop, RandomShortestSize, Resize
from .transform import Compose, Transform

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "Cutout",
    "Lighting",
    "MixUp",
    "Normalize",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomShortestSize",
    "Resize",
    "Transform",
]
