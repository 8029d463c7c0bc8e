"""Data sets, and loaders that draw batches from them in a reproducible order."""

from __future__ import annotations

from .canvases import compose_canvases
from .dataset import Dataset, Subset, TensorDataset
from .handwriting import digits
from .images import prepare, read_image
from .loader import DataLoader
from .on_device import DeviceLoader
from .registry import dataset_names, get_dataset
from .split import Split

__all__ = [
    "DataLoader",
    "Dataset",
    "DeviceLoader",
    "Split",
    "Subset",
    "TensorDataset",
    "compose_canvases",
    "dataset_names",
    "digits",
    "get_dataset",
    "prepare",
    "read_image",
]
