"""What a transform is, and several in a row.

Letters: N images, C channels, H and W height and width.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .draws import uniform

Array = np.ndarray[Any, Any]

_AT_ONCE = 16


class Transform:
    """Base of transforms: a subclass defines `apply`, and says how many random numbers it needs.

    A transform gets its random numbers, and draws none: that is why a batch does not depend on who
    makes it. It is written for batches of equal images; images of different sizes are batches of
    one, until a transform makes them equal.

    Attributes
    ----------
    draws : int
        How many random numbers `apply` needs for each image.
    fixes_size : bool
        Whether images of any sizes come out in one.
    varies_size : bool
        Whether equal images may come out in several: then it gets one at a time.

    Examples
    --------
    >>> class Darken(Transform):
    ...     draws = 1
    ...
    ...     def apply(self, images, draws):
    ...         return (images * draws[:, :, None, None]).astype(images.dtype)
    >>> white = np.full((2, 1, 1, 1), 255, np.uint8)
    >>> Darken()(white, seed=0).ravel().tolist() == Darken()(white, seed=0).ravel().tolist()
    True
    """

    draws: int = 0
    fixes_size: bool = False
    varies_size: bool = False

    def apply(self, images: Array, draws: Array) -> Array:
        """Return other images; those given stay as they are.

        Parameters
        ----------
        images : array, (N, C, H, W)
            uint8, or floating: grey values in 0..1.
        draws : array, (N, self.draws), float64
            Random numbers in [0, 1), independent and equally distributed.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define apply")

    def __call__(self, images: Any, *, seed: int = 0, epoch: int = 0, samples: Any = None) -> Array:
        """Transform images as a loader does.

        Parameters
        ----------
        images : array, (N, C, H, W), or iterable of arrays (C, H, W)
            Of any sizes, if a transform makes them one; taken a few at a time.
        seed, epoch : int
            Of the loader.
        samples : sequence of int, (N,), optional
            The images' numbers in the data set; 0, 1, ... by default.

        Returns
        -------
        array, (N, C, H, W)

        Raises
        ------
        ValueError
            If images of different sizes are left so.
        """
        return Compose([self])(images, seed=seed, epoch=epoch, samples=samples)


class Compose(Transform):
    """Transforms, one after the other.

    Each has random numbers of its own, by its place: what one of them needs does not change what
    those after it get.

    Parameters
    ----------
    transforms : sequence of Transform

    Raises
    ------
    TypeError
        If one of them is no Transform.

    Examples
    --------
    >>> from minires.data import transforms
    >>> images = np.zeros((4, 3, 40, 60), np.uint8)
    >>> augment = transforms.Compose([transforms.RandomCrop(32), transforms.RandomHorizontalFlip()])
    >>> augment(images, seed=1).shape
    (4, 3, 32, 32)
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms: list[Transform] = []
        for each in transforms:
            if not isinstance(each, Transform):
                raise TypeError(
                    "Compose: needs transforms, such as those of minires.data.transforms; found"
                    f" {each!r}"
                )
            self.transforms += each.transforms if isinstance(each, Compose) else [each]

    @property
    def draws(self) -> int:  # type: ignore[override]
        """How many random numbers all of them need for each image."""
        return sum(each.draws for each in self.transforms)

    def apply(self, images: Array, draws: Array) -> Array:
        """Apply each to what the one before it returned."""
        start = 0
        for each in self.transforms:
            images = each.apply(images, draws[:, start : start + each.draws])
            start += each.draws
        return images

    def __call__(self, images: Any, *, seed: int = 0, epoch: int = 0, samples: Any = None) -> Array:
        """Transform images as a loader does; see `Transform`."""
        if samples is None:
            images = images if isinstance(images, np.ndarray) else list(images)
            samples = range(len(images))
        draws = uniform(seed, epoch, samples, [each.draws for each in self.transforms])
        if isinstance(images, np.ndarray) and not any(t.varies_size for t in self.transforms):
            if images.ndim != 4:
                raise ValueError(
                    f"transforms need images (N, C, H, W); found an array {images.shape}"
                )
            return self.apply(images, draws)
        return self._apply_to_each(iter(images), draws)

    def __repr__(self) -> str:
        return f"Compose({self.transforms})"

    def _apply_to_each(self, images: Iterator[Array], draws: Array) -> Array:
        """Bring images to one size; what is left to do is done to all of them at once."""
        varied = max((i for i, each in enumerate(self.transforms) if each.varies_size), default=-1)
        fixed = [i for i, each in enumerate(self.transforms) if each.fixes_size and i > varied]
        apart = Compose(self.transforms[: fixed[0] + 1 if fixed else varied + 1])
        done = []
        start = 0
        # Photographs are large: few of them are held before they are cut.
        while some := list(itertools.islice(images, _AT_ONCE)):
            theirs = draws[start : start + len(some), : apart.draws]
            start += len(some)
            for image in some:
                if image.ndim != 3:
                    raise ValueError(
                        f"transforms need an image (C, H, W); found an array {image.shape}"
                    )
            if varied < 0 and len({image.shape for image in some}) == 1:
                done.append(apart.apply(np.stack(some), theirs))
                continue
            done += [apart.apply(image[None], theirs[i : i + 1]) for i, image in enumerate(some)]
        if not done:
            raise ValueError("transforms: there is no image to make a batch of")
        if len({each.shape[1:] for each in done}) > 1:
            first, *_, last = sorted({each.shape[1:] for each in done})
            raise ValueError(
                f"the images of a batch differ in their shapes, {first} and {last}; a transform has"
                " to make them equal, such as RandomResizedCrop, CenterCrop or Resize((H, W))"
            )
        rest = Compose(self.transforms[len(apart.transforms) :])
        return rest.apply(np.concatenate(done), draws[:, apart.draws :])
