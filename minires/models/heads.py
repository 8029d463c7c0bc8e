"""Training networks that have auxiliary heads."""

from __future__ import annotations

from collections.abc import Callable

from minires.autograd import Tensor


def total_loss(
    outputs: Tensor | tuple[Tensor, ...], loss: Callable[[Tensor], Tensor], share: float = 0.3
) -> Tensor:
    """Return the loss of the logits, and `share` times that of each auxiliary head.

    Parameters
    ----------
    outputs : Tensor or tuple of Tensor
        What a network returns in training: logits (N, num_classes), or before those of its heads,
        as in `GoogLeNetOutputs` and `InceptionOutputs`.
    loss : callable
        Maps logits to their loss.
    share : float
        0.3 in Szegedy et al. 2014.

    Examples
    --------
    >>> import minires as mr
    >>> model = mr.models.create("googlenet_aux", width=4, num_classes=10)
    >>> outputs, labels = model(mr.randn(2, 3, 32, 32)), mr.tensor([1, 2])
    >>> mr.models.total_loss(outputs, lambda logits: mr.ops.cross_entropy(logits, labels)).shape
    ()
    """
    if isinstance(outputs, Tensor):
        return loss(outputs)
    logits, *heads = outputs
    total = loss(logits)
    for head in heads:
        total = total + share * loss(head)
    return total
