"""Arrays to disk and back: safetensors files, and writing any file whole or not at all."""

from __future__ import annotations

from .atomic import atomic_write
from .safetensors_file import load, load_metadata, save

__all__ = ["atomic_write", "load", "load_metadata", "save"]
