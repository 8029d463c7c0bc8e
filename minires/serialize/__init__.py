"""Arrays to disk and back: safetensors, PyTorch's archives, any file whole or not at all."""

from __future__ import annotations

from .atomic import atomic_write
from .recognise import is_torch_archive
from .safetensors_file import load, load_metadata, save
from .torch_archive import load_torch
from .torch_pickle import TorchArchiveError

__all__ = [
    "TorchArchiveError",
    "atomic_write",
    "is_torch_archive",
    "load",
    "load_metadata",
    "load_torch",
    "save",
]
