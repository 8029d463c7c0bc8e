"""Data sets, and loaders that draw batches from them in a reproducible order."""

from __future__ import annotations

from . import transforms as transforms
from .canvases import compose_canvases
from .dataset import Dataset, Subset, TensorDataset
from .epochs import WorkerError
from .errors import DatasetDamaged, DatasetMissing
from .handwriting import digits
from .image_folder import ImageFolder
from .images import prepare, read_image
from .loader import DataLoader
from .measures import mean_image, measure
from .on_device import DeviceLoader
from .registry import dataset_names, get_dataset
from .split import Split, ValidatedSplit

__all__ = [
    "DataLoader",
    "Dataset",
    "DatasetDamaged",
    "DatasetMissing",
    "DeviceLoader",
    "ImageFolder",
    "Split",
    "Subset",
    "TensorDataset",
    "ValidatedSplit",
    "WorkerError",
    "compose_canvases",
    "dataset_names",
    "digits",
    "get_dataset",
    "mean_image",
    "measure",
    "prepare",
    "read_image",
    "transforms",
]
