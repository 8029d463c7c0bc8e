"""What a network's graph tells of it: the sizes in it, and how its ways part and meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minires.models.counting import Counts, Step, count, without_values
from minires.models.registry import create, input_of
from minires.nn import Module


def counted(model: str | Module, image: tuple[int, ...] | None = None, **options: Any) -> Counts:
    """Count what a network does with an image, and note its ops.

    Parameters
    ----------
    model : str or Module
        One of ``mr.models.list()``, or a network.
    image : tuple of int, optional
        (C, H, W); by default what a network of this name is made for.
    **options
        As for ``mr.models.create``.

    Returns
    -------
    Counts
    """
    if isinstance(model, str):
        return count(create(model, device="meta", **options), image or input_of(model))
    assert image is not None
    return count(without_values(model), image)


def numbers(steps: Sequence[Step], op: str) -> list[int]:
    """Return which steps ran an op.

    Examples
    --------
    >>> len(numbers(counted("cifar_resnet20").steps, "residual_add"))
    9
    """
    return [number for number, step in enumerate(steps) if step.op == op]


def before(steps: Sequence[Step], number: int) -> set[int]:
    """Return the steps that have a part in what a step makes, and the step itself."""
    found: set[int] = set()
    open_ = [number]
    while open_:
        if (one := open_.pop()) not in found:
            found.add(one)
            open_ += [source for source in steps[one].sources if source is not None]
    return found


def ways(steps: Sequence[Step], meeting: int) -> list[list[int]]:
    """Return for each input of a step the steps that lead to it, and not to all its inputs.

    Of a residual addition these are its shortcut and its branch, without what came before the fork.
    """
    sources = [source for source in steps[meeting].sources if source is not None]
    each = [before(steps, source) for source in sources]
    common = set.intersection(*each)
    return [sorted(way - common) for way in each]


def meetings(steps: Sequence[Step]) -> list[int]:
    """Return the steps, whatever their op, where two ways from one step or the image meet.

    Examples
    --------
    >>> len(meetings(counted("cifar_resnet20").steps)), meetings(counted("cifar_plain20").steps)
    (9, [])
    """
    return [
        number
        for number, step in enumerate(steps)
        if len([source for source in step.sources if source is not None]) > 1
    ]


def kernels(steps: Sequence[Step], among: Sequence[int]) -> list[int]:
    """Return the side of the kernel of each convolution among some steps.

    Examples
    --------
    >>> steps = counted("resnet18").steps
    >>> kernels(steps, range(len(steps)))[:3]
    [7, 3, 3]
    """
    return [steps[number].shapes[1][-1] for number in among if steps[number].op == "conv2d"]
