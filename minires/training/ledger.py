"""What batches cost, noted on the device and read when somebody wants to know."""

from __future__ import annotations

from typing import Any, NamedTuple

from minires.autograd import Tensor
from minires.devices import Device


class Measured(NamedTuple):
    """A batch's mean loss, how many of its images were misclassified, and how many there are."""

    loss: float
    mistakes: int
    images: int


class Ledger:
    """Losses and mistakes of batches, in the memory of the device.

    Writing starts a kernel and returns; only reading waits for the device.

    Parameters
    ----------
    device : Device
    capacity : int
        How many batches can be noted before the ledger must be read.

    Examples
    --------
    >>> import minires as mr
    >>> from minires.devices import cpu
    >>> ledger = Ledger(cpu, capacity=2)
    >>> ledger.add(mr.tensor(0.5), mr.tensor([[1.0, 0.0], [1.0, 0.0]]), mr.tensor([0, 1]))
    >>> ledger.read()
    [Measured(loss=0.5, mistakes=1, images=2)]
    """

    def __init__(self, device: Device, capacity: int) -> None:
        self.device = device
        self.capacity = capacity
        self._rows: Any = device.xp.zeros((capacity, 2), "float64")
        self._filled: Any = device.xp.zeros(1, "int32")
        self._images: list[int] = []

    def __len__(self) -> int:
        return len(self._images)

    @property
    def is_full(self) -> bool:
        """Whether it must be read before anything else can be noted."""
        return len(self) == self.capacity

    def refuse_if_full(self) -> None:
        """Raise RuntimeError if no row is left: a GPU would write beyond the last one."""
        if self.is_full:
            raise RuntimeError(
                f"Ledger: all of its {self.capacity} rows are written; read() them before the next"
                " batch"
            )

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Note a batch: its loss, and its mistakes by logits (N, C) and labels (N,)."""
        self.launch(loss, logits, labels)
        self.count(len(labels.data))

    def launch(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Do the device's part of `add`, which a graph can hold."""
        self.refuse_if_full()
        self.device.tally(
            self._rows, self._filled, loss.detach().data, logits.detach().data, labels.data
        )

    def count(self, images: int) -> None:
        """Do the host's part of `add`: remember how many images the batch has."""
        self._images.append(images)

    def read(self) -> list[Measured]:
        """Wait for the device; return what was noted since the last time, and begin anew."""
        noted = len(self._images)
        rows = self.device.to_numpy(self._rows[:noted]).tolist() if noted else []
        measured = [
            Measured(loss, int(mistakes), images)
            for (loss, mistakes), images in zip(rows, self._images, strict=True)
        ]
        self._images = []
        self._filled[...] = 0  # also of a batch that was interrupted before it was counted
        return measured
