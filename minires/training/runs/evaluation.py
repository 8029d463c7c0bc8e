"""Judging finished runs: one network or several, by one view of each image or by many.

A network's answers to several views, and those of several networks, are averaged as probabilities:
after the softmax (Krizhevsky et al. 2012, section 4.1).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from minires.autograd import no_grad
from minires.data import get_dataset
from minires.data.transforms import Normalize
from minires.devices import threads
from minires.models.weights.catalogue import card_of
from minires.nn import Module
from minires.ops import softmax, tensor
from minires.training.overlap import confusion_matrix

from .best import BEST
from .checkpoint import read_circumstances
from .circumstances import DATA, refuse_other_data
from .config import RunConfig
from .errors import ConfigError
from .loading import load_run
from .views import Views, views_of_run

__all__ = ["Score", "evaluate_runs"]

Array = np.ndarray[Any, Any]

_BATCH = 64


@dataclass(frozen=True)
class Score:
    """How well a network, or several together, did.

    Attributes
    ----------
    name : str
        Of the run's folder; ``"ensemble"`` of several.
    images : int
    loss : float
        Mean cross-entropy of the averaged probabilities.
    error : float
        Share of the images that are misclassified, 0 to 1.
    confusion : list of list of int
        Row: the right class; column: the predicted one.
    lossy_images : bool
        The images were compressed with loss.
    """

    name: str
    images: int
    loss: float
    error: float
    confusion: list[list[int]]
    lossy_images: bool


def evaluate_runs(
    folders: Sequence[str | os.PathLike[str]],
    *,
    crops: int = 1,
    scales: Sequence[int] = (),
    which: Literal["best", "last"] = "best",
    part: Literal["test", "validation"] = "test",
    dataset: str | None = None,
    root: str | None = None,
    device: str | None = None,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> list[Score]:
    """Judge runs of one data set, each by itself and all together.

    Parameters
    ----------
    folders : sequence of path
        Of the runs.
    crops, scales
        See `views_of_run`; by default what the run itself was tested with.
    which : {"best", "last"}
        The weights; see `load_run`.
    part : {"test", "validation"}
        Choose between such options, or between networks, by the validation part.
    dataset : str, optional
        Where the runs' data set was moved to.
    root, device : str, optional
        Where the data sets are, and what it is computed on; by default as in the runs.
    told : callable
        Called with how many images are done, of how many in all.

    Returns
    -------
    list of Score
        One for each run; of several runs, the last is the ensemble's.

    Raises
    ------
    ConfigError
        If the runs do not belong together, or the views do not suit them.
    CheckpointError
        If the data set that was named is another one.
    OSError
        If a run, its weights or its data set are not there.

    Examples
    --------
    >>> import tempfile
    >>> from minires.training.runs import configured, train
    >>> folder = Path(tempfile.mkdtemp()) / "run"
    >>> config = configured("cifar_resnet8", "digits", epochs=1, model_options={"width": 2})
    >>> result = train(config, folder)
    >>> (score,) = evaluate_runs([folder])
    >>> score.images, score.error == result.test_error
    (359, True)
    """
    members = [_Member(Path(folder), which, device) for folder in folders]
    if not members:
        raise ConfigError("run: none was named")
    first = members[0]
    for member in members[1:]:
        _check_alike(first, member, part, moved=dataset is not None)
    try:
        split: Any = get_dataset(dataset or first.config.dataset, root=root or first.config.root)
    except ValueError as error:
        raise ConfigError(f"dataset: {error}") from None
    if dataset is not None or root is not None:
        for folder, member in zip(folders, members, strict=True):
            _check_same_data(folder, member.config, split)
    if part == "validation":
        if not first.config.val_split:
            raise ConfigError("part: the run kept nothing for validation")
        split = split.validation(first.config.val_split, seed=first.config.seed)
    if first.classes != tuple(split.class_names):
        raise ConfigError(
            f"dataset: '{first.name}' was trained on other classes than {first.config.dataset} has"
            " now; the data have changed"
        )
    judged = getattr(split, part)
    labels = judged.arrays[1] if hasattr(judged, "arrays") else judged.labels
    total, scores = np.zeros((len(judged), split.classes)), []
    with ThreadPoolExecutor(threads.available()) as pool:
        for number, member in enumerate(members):
            views = views_of_run(member.config, split.image_size, crops, tuple(scales))
            probabilities = np.zeros_like(total)
            for start in range(0, len(judged), _BATCH):
                stop = min(start + _BATCH, len(judged))
                images = _images(judged, range(start, stop), pool)
                probabilities[start:stop] = member.probabilities(images, views)
                told(number * len(judged) + stop, len(members) * len(judged))
            scores.append(_score(member.name, probabilities, labels, split.lossy))
            total += probabilities
    if len(members) > 1:
        scores.append(_score("ensemble", total / len(members), labels, split.lossy))
    return scores


def _images(judged: Any, rows: range, pool: Executor) -> list[Array]:
    """Return some images, in order; those in files are decoded by the threads of a pool."""

    def image(row: int) -> Array:
        return np.asarray(judged[row][0])

    return list(map(image, rows) if hasattr(judged, "arrays") else pool.map(image, rows))


class _Member:
    """A run's network, and how images are normalised for it."""

    def __init__(self, folder: Path, which: str, device: str | None) -> None:
        self.model: Module
        self.model, self.config = load_run(folder, which, device)
        self.name = folder.resolve().name
        written = (folder / BEST).with_suffix(".json")
        if not written.exists():
            raise FileNotFoundError(
                f"the run in '{folder}' has no {written.name} yet, which says how images are"
                " normalised; it is written after the first epoch"
            )
        card = card_of(folder / BEST)
        self.classes = tuple(card.classes)
        preprocessing = card.preprocessing
        mean: Any = preprocessing.mean
        if preprocessing.pixel_mean:
            mean = np.reshape(preprocessing.pixel_mean, (len(mean), *[preprocessing.crop] * 2))
        self.normalize = Normalize(mean, preprocessing.std, dtype=self.config.dtype)
        self.normalizes_first = bool(preprocessing.pixel_mean)
        self.device = next(self.model.parameters()).device

    def probabilities(self, images: Sequence[Array], views: Views) -> Array:
        """Return the mean over the views of N images (C, H, W): (N, classes), float64."""
        total: Any = 0.0
        if self.normalizes_first:  # each pixel's mean is that of a place in the whole image
            images = list(self.normalize(np.stack(images)))
        with no_grad():
            for part in _parts(images, views):
                normal = part if self.normalizes_first else self.normalize(part)
                logits = self.model(tensor(normal, device=self.device))
                total = total + softmax(logits, 1).cpu().numpy().astype(np.float64)
        mean: Array = total / len(views)
        return mean


def _check_alike(one: _Member, other: _Member, part: str, *, moved: bool) -> None:
    elsewhere = one.config.dataset != other.config.dataset and not moved
    if elsewhere or one.classes != other.classes:
        rule = (
            "networks can only be averaged over the same data set; if it was only moved, --dataset"
            " says where it is"
            if elsewhere
            else "networks can only be averaged over the same classes"
        )
        raise ConfigError(
            f"ensemble: '{one.name}' was trained on {one.config.dataset}, '{other.name}' on"
            f" {other.config.dataset}; {rule}"
        )
    parts = [(member.config.val_split, member.config.seed) for member in (one, other)]
    if part == "validation" and parts[0] != parts[1]:
        raise ConfigError(
            f"part: '{one.name}' and '{other.name}' kept other images for validation (their"
            " val_split or seed differ), so each has learned some of the other's"
        )


def _check_same_data(folder: str | os.PathLike[str], config: RunConfig, split: Any) -> None:
    """Raise CheckpointError if the data are not those that a run learned from."""
    told = read_circumstances(folder)
    if config.val_split:
        split = split.validation(config.val_split, seed=config.seed)
    if DATA in told:
        refuse_other_data(told[DATA], split.digest)


def _parts(images: Sequence[Array], views: Views) -> Iterator[Array]:
    """Cut the same part out of all images, which may differ in size."""
    if len({image.shape for image in images}) == 1:
        yield from views.of(np.stack(images))
        return
    for parts in zip(*(views.of(image[None]) for image in images), strict=True):
        yield np.concatenate(parts)


def _score(name: str, probabilities: Array, labels: Array, lossy: bool) -> Score:
    predicted = probabilities.argmax(1)
    right = probabilities[np.arange(len(labels)), labels]
    return Score(
        name=name,
        images=len(labels),
        loss=float(-np.log(right.clip(np.finfo(np.float64).tiny)).mean()),
        error=float((predicted != labels).mean()),
        confusion=confusion_matrix(predicted, labels, probabilities.shape[1]).tolist(),
        lossy_images=lossy,
    )
