"""Recording a training step of twins, for those who want to see where the gradient went."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Literal

from minires import ops
from minires.autograd import Tensor, expand
from minires.data import DataLoader, Split
from minires.models import total_loss
from minires.nn import Module
from minires.trace import Trace, record

from .settings import Settings
from .twins import make_twins


def first_batch(
    split: Split, batch_size: int, seed: int, size: int | None = None
) -> tuple[Tensor, Tensor]:
    """Return the images (N, C, H, W) and labels (N,) that training with this seed begins with.

    With a `size`, images are brought to it by their nearest pixels.
    """
    batches = iter(DataLoader(split.train, batch_size, shuffle=True, seed=seed))
    images, labels = next(batches)
    if size is not None:
        images = ops.interpolate(images, size)
    return images, labels


def traced_step(
    model: Module,
    batch: tuple[Tensor, Tensor],
    title: str,
    save: Literal["summary", "thumbs", "full"] = "summary",
    spectrum: bool = False,
    expanded: Sequence[str] = (),
    create_graph: bool = False,
    **options: Any,
) -> Trace:
    """Record the forward and the backward pass of a training step; no weight is changed.

    BatchNorm's running statistics and the parameters' gradients are the model's, and change as they
    do in training: trace a network that is made for it.

    Parameters
    ----------
    model : Module
        Gets images and returns logits, or logits and those of auxiliary heads.
    batch : tuple of Tensor
        Images (N, C, H, W) and labels (N,).
    title : str
        What the trace shall be called.
    save : {"summary", "thumbs", "full"}
    spectrum : bool
        Compute the path spectrum at the first residual block, so that it is saved as well.
    expanded : sequence of str
        Ops to spell out, such as "conv2d".
    create_graph : bool
        Record what the VJPs do, too.
    **options
        Others of `minires.trace.record`.

    Returns
    -------
    Trace

    Raises
    ------
    ValueError
        If an op cannot be spelled out.
    """
    device = next(iter(model.parameters())).device
    # Labels that are on the host are looked at there: so the steps are the same on every device.
    images, labels = batch[0].to(device), batch[1]
    model.train()
    spelled = expand(*expanded) if expanded else contextlib.nullcontext()
    with spelled, record(model, save=save, **options) as trace:
        loss = total_loss(model(images), lambda logits: ops.cross_entropy(logits, labels))
        loss.backward(create_graph=create_graph)
    trace.records.title = title
    if spectrum and trace.structure.joins:
        trace.path_spectrum()
    return trace


def traced_twins(depth: int, settings: Settings, split: Split) -> list[Trace]:
    """Record the first training step of a plain and of a residual network.

    The twins are made anew, with the numbers that the trained ones began with: at no other step do
    they differ in their shortcuts alone.

    Parameters
    ----------
    depth : int
    settings : Settings
    split : Split

    Returns
    -------
    list of Trace
        The residual network's, then the plain one's.
    """
    twins = make_twins(depth, settings, split)
    batch = first_batch(split, settings.batch_size, settings.seed)
    return [
        traced_step(
            twins[twin].to(settings.device),
            batch,
            f"{twin}-{depth}",
            save="thumbs",
            spectrum=True,
            replay=True,
        )
        for twin in ("residual", "plain")
    ]
