"""Running statistics that belong to the weights as they are, not to those of the last steps."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from minires.autograd import Tensor, no_grad
from minires.nn import Module
from minires.nn.layers import _BatchNorm

from .divergence import Before
from .evaluation import device_of, evaluation_mode


def precise_batch_norm(
    model: Module, loader: Iterable[tuple[Any, ...]], batches: int | None = None
) -> int:
    """Measure the statistics of every batch normalisation anew, with the weights left as they are.

    During training the running statistics follow weights that change meanwhile. Here they become
    the means of the statistics of some batches, all met by the same weights (Wu and Johnson 2021,
    arXiv 2105.07576, section 3): after large steps, or for a moving average of weights, the network
    is then measured more truly. All other layers, such as dropout, are in evaluation mode.

    Parameters
    ----------
    model : Module
    loader : iterable of tuples that begin with images
        Training images, as training sees them; every batch counts alike.
    batches : int, optional
        How many to use; by default all.

    Returns
    -------
    int
        How many batches were used; 0 if the model has no such statistics.

    Raises
    ------
    ValueError
        If `batches` is not positive, or the loader yields nothing. Then, and whenever it is broken
        off, nothing is changed.

    Examples
    --------
    >>> import minires as mr
    >>> model = mr.nn.BatchNorm1d(1)
    >>> precise_batch_norm(model, [(mr.tensor([[1.0], [3.0]]),), (mr.tensor([[5.0], [7.0]]),)])
    2
    >>> model.running_mean, model.running_var
    (tensor([4.]), tensor([2.]))
    """
    if batches is not None and batches < 1:
        raise ValueError(f"precise_batch_norm: batches must be at least 1, found {batches}")
    norms = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats
    ]
    if not norms:
        return 0
    device, used = device_of(model), 0
    before, momenta = Before(model), [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked.detach()._data.copy() for norm in norms]
    try:
        with evaluation_mode(model), no_grad():
            for norm in norms:
                norm.train()
            for batch in islice(loader, batches):
                used += 1
                for norm in norms:
                    norm.momentum = 1 / used  # the first batch replaces what was there
                images: Tensor = batch[0]
                model(images.to(device))
    except BaseException:
        before.restore()
        raise
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(count)
    if not used:
        raise ValueError("precise_batch_norm: the loader yields no batch; is its data set empty?")
    return used
