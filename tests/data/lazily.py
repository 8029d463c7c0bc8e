"""Data sets that make their samples one by one, for processes to import."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np

from minires.data import Dataset, read_image


class Photographs(Dataset):
    """Image files of all sizes."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted(folder.glob("*.jpg"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Any:
        return np.moveaxis(np.asarray(read_image(self.files[index])), -1, 0), index % 3


class CameraError(Exception):
    """Cannot be pickled: it needs two arguments, and keeps one."""

    def __init__(self, what: str, where: int) -> None:
        super().__init__(what)


class Failing(Dataset):
    """One of the samples cannot be had."""

    def __init__(self, wrong: int, pickles: bool = True) -> None:
        self.wrong = wrong
        self.pickles = pickles

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> int:
        if index == self.wrong:
            if not self.pickles:
                raise CameraError("the lens is dirty", index)
            raise ValueError("it is a damaged image")
        return index


class WhereMade(Dataset):
    """Samples that are the number of the process that made them."""

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, index: int) -> int:
        return os.getpid()


class Unfinished(Dataset):
    """Tells how many samples were made."""

    def __init__(self) -> None:
        self.made = 0
        self.changed = threading.Condition()

    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> int:
        with self.changed:
            self.made += 1
            self.changed.notify_all()
        return index

    def wait_for(self, count: int) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.made >= count, timeout=30)
