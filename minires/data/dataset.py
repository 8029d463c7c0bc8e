"""Data sets: a length, samples by number, and whole batches of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minires.autograd import Tensor
from minires.devices import cpu

Array = np.ndarray[Any, Any]
Indices = Sequence[int] | Array


class Dataset:
    """Base of data sets: a subclass defines ``__len__`` and ``__getitem__``.

    A sample is a tuple such as (image, label), or a single value; its parts are arrays, Tensors or
    numbers, whose shapes are the same in all samples.

    Examples
    --------
    >>> import minires as mr
    >>> class Squares(mr.data.Dataset):
    ...     def __len__(self):
    ...         return 3
    ...
    ...     def __getitem__(self, index):
    ...         return float(index), index**2
    >>> Squares().take([1, 2])
    (array([1., 2.], dtype=float32), array([1, 4]))
    """

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not define __len__")

    def __getitem__(self, index: int) -> Any:
        """Return the sample with this number, 0 to len - 1."""
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def take(self, indices: Indices) -> Any:
        """Return a batch: the samples with these numbers, each part stacked along a new axis 0.

        A data set that has its samples in one array overrides this with one indexing operation.
        """
        return collate([self[int(index)] for index in indices])


class TensorDataset(Dataset):
    """Samples that are the rows of arrays in memory.

    Parameters
    ----------
    *arrays : array, Tensor or list
        Of equal length along axis 0, for example images (N, C, H, W) and labels (N,). Arrays and
        Tensors are not copied and keep their dtype.

    Raises
    ------
    ValueError
        If there is no array, one has no axis, or the lengths differ.

    Examples
    --------
    >>> import minires as mr
    >>> dataset = mr.data.TensorDataset(mr.zeros(4, 1, 8, 8), [0, 1, 2, 3])
    >>> dataset
    TensorDataset(4 samples of float32 (1, 8, 8), int64 ())
    >>> image, label = dataset[2]
    >>> image.shape, int(label)
    ((1, 8, 8), 2)
    """

    arrays: tuple[Array, ...]

    def __init__(self, *arrays: Any) -> None:
        self.arrays = tuple(_as_array(array) for array in arrays)
        shapes = [array.shape for array in self.arrays]
        if not shapes or () in shapes:
            raise ValueError(
                "TensorDataset: needs arrays with one sample per row, such as images and labels;"
                f" found shapes {shapes}"
            )
        if len({shape[0] for shape in shapes}) > 1:
            raise ValueError(
                "TensorDataset: the arrays must have equal lengths, found"
                f" {[shape[0] for shape in shapes]} (shapes {shapes})"
            )

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __repr__(self) -> str:
        rows = ", ".join(f"{each.dtype} {each.shape[1:]}" for each in self.arrays)
        return f"TensorDataset({len(self)} samples of {rows})"

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        """Return one row of each array."""
        return tuple(array[index] for array in self.arrays)

    def take(self, indices: Indices) -> tuple[Array, ...]:
        """Return the rows `indices` of each array, copied in one go."""
        chosen = np.asarray(indices, np.intp)
        return tuple(array[chosen] for array in self.arrays)


class Subset(Dataset):
    """Some samples of another data set.

    Parameters
    ----------
    dataset : Dataset
        Or anything with a length and samples by number.
    indices : sequence of int
        Which samples, in this order.

    Raises
    ------
    IndexError
        If there is no such sample.

    Examples
    --------
    >>> import minires as mr
    >>> letters = mr.data.Subset(mr.data.TensorDataset([10, 11, 12]), [2, 0])
    >>> len(letters), int(letters[0][0])
    (2, 12)
    """

    def __init__(self, dataset: Any, indices: Indices) -> None:
        self.dataset = dataset
        self.indices = np.asarray(indices, np.intp)
        wrong = (self.indices < 0) | (self.indices >= len(dataset))
        if wrong.any():
            raise IndexError(
                f"Subset: no sample {int(self.indices[wrong][0])} in a data set of {len(dataset)}"
            )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        """Return the sample at `index` of the subset."""
        return self.dataset[int(self.indices[index])]

    def take(self, indices: Indices) -> Any:
        """Return a batch; as fast as the data set's own."""
        return batch_of(self.dataset, self.indices[np.asarray(indices, np.intp)])


def batch_of(dataset: Any, indices: Indices) -> Any:
    """Return a batch of a Dataset, or of anything with samples by number, such as a list."""
    if isinstance(dataset, Dataset):
        return dataset.take(indices)
    return collate([dataset[int(index)] for index in indices])


def collate(samples: Sequence[Any]) -> Any:
    """Stack samples into a batch, part by part.

    Parameters
    ----------
    samples : sequence
        Tuples (or lists) of arrays, Tensors or numbers, or such values themselves.

    Returns
    -------
    tuple of arrays, or array
        Each part with a new axis 0. Python floats become float32, as in `minires.tensor`.

    Raises
    ------
    ValueError
        If the samples differ in their number of parts or in a part's shape.
    """
    if not isinstance(samples[0], (tuple, list)):
        return _stack(samples, "samples")
    counts = sorted({len(sample) for sample in samples})
    if len(counts) > 1:
        raise ValueError(f"collate: samples of one batch have {counts} parts; all need the same")
    parts = zip(*samples, strict=True)
    return tuple(_stack(part, f"part {number} of the samples") for number, part in enumerate(parts))


def _as_array(value: Any) -> Array:
    if isinstance(value, Tensor):
        return value.detach().numpy()  # type: ignore[no-any-return]
    return value if isinstance(value, np.ndarray) else cpu.array(value)


def _stack(values: Sequence[Any], name: str) -> Array:
    arrays = [_as_array(value) for value in values]
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise ValueError(
            f"collate: {name} have different shapes, {shapes[0]} and {shapes[1]}, and do not stack"
            " into a batch; crop or pad them in the data set, or use batch_size=1"
        )
    return np.stack(arrays)
