"""An epoch's batches: what each of them is, whoever makes it and whenever.

Nothing here remembers anything. A batch is a function of the epoch and the batch's number, so that
threads, processes and ranks may make them in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .dataset import Array, batch_of, collate
from .measures import in_memory
from .transforms import Compose, MixUp


class WorkerError(RuntimeError):
    """A batch could not be made; the error that was raised is its cause.

    Attributes
    ----------
    sample : int or None
        The sample's number in the data set, where it was one sample's fault.
    epoch : int or None
    """

    def __init__(self, message: str, sample: int | None = None, epoch: int | None = None) -> None:
        super().__init__(message)
        self.sample = sample
        self.epoch = epoch


@dataclass(frozen=True)
class Epoch:
    """What an epoch's batches are made of.

    Attributes
    ----------
    dataset : Dataset
    order : array of int, (N,)
        The samples' numbers, in the order of this epoch.
    batch_size : int
        Of all ranks together.
    seed, number : int
        The loader's, and that of the epoch.
    transform : Compose or None
    mixup : MixUp or None
    rank, ranks : int
        A rank makes every `ranks`-th sample of a batch, from number `rank` on; of a last batch with
        fewer samples than ranks, perhaps none.
    """

    dataset: Any
    order: Array
    batch_size: int
    seed: int
    number: int
    transform: Compose | None
    mixup: MixUp | None
    rank: int
    ranks: int

    def batch(self, number: int) -> Any:
        """Return this rank's part of a batch: arrays, one for each part of a sample.

        Raises
        ------
        WorkerError
            If a sample cannot be made.
        """
        start = number * self.batch_size
        everyones = self.order[start : start + self.batch_size]
        # A rank without samples makes another one's, and leaves it away: an empty batch, too, has
        # the shape and dtype that samples have once they are transformed.
        empty = self.rank >= len(everyones)
        share = slice(1) if empty else slice(self.rank, None, self.ranks)
        needed = mine = everyones[share]
        try:
            if self.mixup is None:
                batch = self._transformed(mine)
            else:
                weight, partner = self.mixup.draw(self.seed, self.number, number, len(everyones))
                both = np.concatenate([mine, everyones[partner][share]])
                needed, places = np.unique(both, return_inverse=True)
                batch = self._mixed(self.mixup, needed, np.split(places, 2), weight)
        except Exception as error:
            self._find_sample(needed)
            raise WorkerError(
                f"batch {number} of epoch {self.number} could not be made: {_told(error)}",
                epoch=self.number,
            ) from error
        return _emptied(batch) if empty else batch

    def _transformed(self, samples: Array) -> Any:
        if self.transform is None:
            return batch_of(self.dataset, samples)
        told: dict[str, Any] = {"seed": self.seed, "epoch": self.number, "samples": samples}
        if in_memory(self.dataset):
            batch = self.dataset.take(samples)
            if not isinstance(batch, tuple):
                return self.transform(batch, **told)
            return self.transform(batch[0], **told), *batch[1:]
        rest: list[Any] = []

        def images() -> Iterator[Array]:
            """Return one image after the other: a batch of photographs is never held whole."""
            for sample in samples:
                parts = self.dataset[int(sample)]
                if isinstance(parts, (tuple, list)):
                    rest.append(tuple(parts[1:]))
                    parts = parts[0]
                yield np.asarray(parts)

        transformed = self.transform(images(), **told)
        return (transformed, *collate(rest)) if rest else transformed

    def _mixed(self, mixup: MixUp, samples: Array, places: list[Array], weight: float) -> Any:
        batch = self._transformed(samples)
        if not isinstance(batch, tuple) or len(batch) != 2:
            raise ValueError("MixUp: needs samples that are pairs, (image, label)")
        images, labels = batch
        first, second = places
        return mixup.mix(images[first], labels[first], images[second], labels[second], weight)

    def _find_sample(self, samples: Array) -> None:
        """Raise a WorkerError that names the sample, if one of them cannot be had even alone."""
        for place, sample in enumerate(samples):
            try:
                self._transformed(samples[place : place + 1])
            except Exception as error:
                raise WorkerError(
                    f"sample {sample} could not be made, in epoch {self.number}: {_told(error)}",
                    sample=int(sample),
                    epoch=self.number,
                ) from error


def _emptied(batch: Any) -> Any:
    return tuple(part[:0] for part in batch) if isinstance(batch, tuple) else batch[:0]


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
