"""Data sets, and loaders that draw batches from them in a reproducible order."""

from __future__ import annotations

from . import transforms as transforms
from .canvases import compose_canvases
from .dataset import Dataset, Subset, TensorDataset
from .epochs import WorkerError
from .handwriting import digits
from .images import prepare, read_image
from .loader import DataLoader
from .measures import measure
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
    "WorkerError",
    "compose_canvases",
    "dataset_names",
    "digits",
    "get_dataset",
    "measure",
    "prepare",
    "read_image",
    "transforms",
]
