"""Data sets that make their samples one by one, for processes to import."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
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


class Tallied(Dataset):
    """Tells through a file how many samples were made, by whichever process."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.file.touch()

    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> int:
        with self.file.open("ab") as file:
            file.write(b"1")
        return index

    @property
    def made(self) -> int:
        return self.file.stat().st_size

    def wait_for(self, count: int) -> bool:
        end = time.monotonic() + 30
        while self.made < count and time.monotonic() < end:
            time.sleep(0.001)
        return self.made >= count


class Arriving(WhereMade):
    """Tells the number of the process that unpickles it, and never gets there."""

    def __getstate__(self) -> Any:
        return "nothing"

    def __setstate__(self, state: Any) -> None:
        sys.stdout.write(f"{os.getpid()}\n")
        sys.stdout.flush()
        signal.pause()
