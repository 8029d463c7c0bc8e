"""Local response normalisation: a unit is held down by its neighbours among the channels.

Krizhevsky, Sutskever and Hinton 2012, section 3.3. Letters: x (N, C, *spatial). With S(v), the sum
of v over the `size` channels around each one, d = k + scale * S(x^2) and y = x * d^-beta, a
cotangent g gives dx = g * d^-beta - 2 * scale * beta * x * S'(g * x * d^(-beta - 1)): what passes
straight, and what passes through every neighbour's d. S' is the transpose of S.
"""

from __future__ import annotations

from numbers import Integral

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array

from .arithmetic import add, div, mul, pow, sub
from .shapes import cast, floating

CONVENTIONS = ("mean", "sum")


@op
def _channel_sums(x: Array, *, before: int, after: int) -> Array:
    # One shifted addition per neighbour: a difference of running sums would cancel digits.
    total = x.copy(order="K")
    for shift in range(1, before + 1):
        total[:, shift:] += x[:, :-shift]
    for shift in range(1, after + 1):
        total[:, :-shift] += x[:, shift:]
    return total


@_channel_sums.vjp
def _(g: Array, before: int, after: int) -> Array:
    return _channel_sums(g, before=after, after=before)


@op(name="local_response_norm")
def _local_response_norm(
    x: Array, *, before: int, after: int, scale: float, beta: float, k: float
) -> Array:
    device = devices.of(x)
    wide = device.astype(x, devices.accumulator(x.dtype))  # squares leave float16's range
    d = _channel_sums(device.apply("multiply", wide, wide), before=before, after=after)
    d *= scale
    d += k
    y = device.apply("power", d, -beta)
    y *= wide
    return device.astype(y, x.dtype)


@_local_response_norm.vjp
def _(g: Array, x: Array, before: int, after: int, scale: float, beta: float, k: float) -> Array:
    wide = devices.accumulator(x.dtype)
    g, x = cast(g, wide), cast(x, wide)
    d = _held_down_by(x, before, after, scale, k)
    straight = mul(g, pow(d, -beta))
    through = _channel_sums(div(mul(straight, x), d), before=after, after=before)
    return sub(straight, mul(mul(x, through), 2 * scale * beta))


@_local_response_norm.twin
def _(x: Tensor, *, before: int, after: int, scale: float, beta: float, k: float) -> Tensor:
    wide = cast(x, devices.accumulator(x.dtype))
    return cast(mul(wide, pow(_held_down_by(wide, before, after, scale, k), -beta)), x.dtype)


def _held_down_by(x: Tensor, before: int, after: int, scale: float, k: float) -> Tensor:
    """k + scale * S(x^2)."""
    return add(mul(_channel_sums(mul(x, x), before=before, after=after), scale), k)


def local_response_norm(
    input: Tensor,
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    convention: str = "mean",
) -> Tensor:
    """input / (k + alpha * (mean or sum of squares over neighbouring channels)) ** beta.

    Parameters
    ----------
    input : Tensor, (N, C, *spatial)
    size : int
        How many channels count, from size // 2 before to (size - 1) // 2 behind each; there is
        nothing beyond the first and the last.
    alpha, beta, k : float
    convention : {"mean", "sum"}
        What alpha multiplies: "mean", as in PyTorch and ONNX, the sum of the squares divided by
        `size`, at the edges too; "sum", as in the paper of 2012 (n = 5, alpha = 1e-4,
        beta = 0.75, k = 2), the sum itself.

    Returns
    -------
    Tensor
        Of the input's shape.

    Raises
    ------
    ValueError
        If the input has no axis of channels, or an argument is out of range.

    Examples
    --------
    >>> import minires as mr
    >>> x = mr.tensor([[3.0, 4.0]])
    >>> mr.ops.local_response_norm(x, 3, alpha=1.0, beta=1.0, k=0.0, convention="sum")
    tensor([[0.12, 0.16]])
    """
    shape = tuple(input.shape)
    if len(shape) < 2:
        raise ValueError(
            located(f"local_response_norm: input must have shape (N, C, ...), found {shape}")
        )
    if not isinstance(size, Integral) or size < 1:
        raise ValueError(located(f"local_response_norm: size must be >= 1, found {size!r}"))
    if convention not in CONVENTIONS:
        raise ValueError(
            located(
                f"local_response_norm: convention must be 'mean' or 'sum', found {convention!r}"
            )
        )
    size = int(size)
    return _local_response_norm(
        floating(input),
        before=size // 2,
        after=(size - 1) // 2,
        scale=alpha / size if convention == "mean" else alpha,
        beta=beta,
        k=k,
    )
