"""What is done to the gradients of all parameters at once."""

from __future__ import annotations

import math
from collections.abc import Iterable

from minires.autograd import Tensor
from minires.ops import zeros


def clip_grad_norm_(parameters: Iterable[Tensor] | Tensor, max_norm: float) -> Tensor:
    """Shorten the gradient of all parameters together, if it is longer than `max_norm`.

    Every ``.grad`` is multiplied, in place, by min(1, max_norm / (total + 1e-6)), where total is
    the Euclidean norm of all gradients seen as one vector (Pascanu et al. 2013, in PyTorch's
    form). A GPU is not waited for.

    Parameters
    ----------
    parameters : iterable of Tensor, or Tensor
        Those without a gradient are passed over; all on one device.
    max_norm : float
        Above 0.

    Returns
    -------
    Tensor, (), float64
        The norm before it was clipped.

    Raises
    ------
    ValueError
        If `max_norm` is no number above 0.

    Examples
    --------
    >>> import minires as mr
    >>> p = mr.tensor([0.0, 0.0], requires_grad=True)
    >>> (p * mr.tensor([30.0, 40.0])).sum().backward()
    >>> mr.nn.utils.clip_grad_norm_([p], max_norm=1.0).item()
    50.0
    >>> [round(value, 4) for value in p.grad.numpy().tolist()]
    [0.6, 0.8]
    """
    if not (max_norm > 0 and math.isfinite(max_norm)):
        raise ValueError(f"clip_grad_norm_: max_norm must be a number above 0, found {max_norm!r}")
    given = [parameters] if isinstance(parameters, Tensor) else parameters
    gradients = [parameter.grad for parameter in given if parameter.grad is not None]
    if not gradients:
        return zeros((), dtype="float64")
    # Squares are summed in float64, in which those of float32 neither over- nor underflow.
    squares = [(wide * wide).sum() for wide in (g._data.astype("float64") for g in gradients)]
    xp = gradients[0].device.xp
    total = xp.sqrt(xp.stack(squares).sum())
    share = xp.minimum(max_norm / (total + 1e-6), 1.0)
    for gradient in gradients:
        gradient.copy_(gradient._data * share.astype(gradient.dtype))
    return Tensor._wrap(total)
