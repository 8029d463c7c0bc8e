"""Products: matmul, einsum, linear."""

from __future__ import annotations

import math
from typing import Any

from minires import devices
from minires.autograd import Tensor, located, op
from minires.devices import Array

from .arithmetic import add
from .broadcasting import broadcast_to, sum, unbroadcast
from .operands import same_dtype
from .shapes import reshape, transpose


@op
def _matmul(a: Array, b: Array) -> Array:
    a, b = same_dtype(a, b)
    return devices.of(a).matmul(a, b)


@_matmul.vjp
def _(g: Array, a: Array, b: Array, needs: tuple[bool, ...]) -> Any:
    return (
        unbroadcast(_matmul(g, transpose(b, -1, -2)), tuple(a.shape)) if needs[0] else None,
        unbroadcast(_matmul(transpose(a, -1, -2), g), tuple(b.shape)) if needs[1] else None,
    )


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product of the last two axes; leading axes broadcast; 1-d operands are vectors.

    Parameters
    ----------
    input : Tensor, (..., N, K) or (K,)
    other : Tensor, (..., K, M) or (K,)

    Returns
    -------
    Tensor, (..., N, M), without the axis of an operand that was a vector

    Raises
    ------
    ValueError
        If the inner lengths differ or the leading axes do not broadcast.

    Examples
    --------
    >>> import minires as mr
    >>> mr.ops.matmul(mr.ones(2, 3), mr.ones(3))
    tensor([3., 3.])
    """
    a_shape, b_shape = tuple(input.shape), tuple(other.shape)
    if not a_shape or not b_shape:
        raise ValueError(located(f"matmul: both operands need an axis, found {a_shape}, {b_shape}"))
    a = reshape(input, (1, *a_shape)) if len(a_shape) == 1 else input
    b = reshape(other, (*b_shape, 1)) if len(b_shape) == 1 else other
    leading = zip(reversed(a.shape[:-2]), reversed(b.shape[:-2]), strict=False)
    if a.shape[-1] != b.shape[-2] or any(n != m and 1 not in (n, m) for n, m in leading):
        raise ValueError(
            located(
                f"matmul: shapes {a_shape} and {b_shape} do not fit; the last length of the first"
                " must equal the last but one of the second"
            )
        )
    product = _matmul(a, b)
    shape = tuple(product.shape)
    if len(a_shape) == 1:
        shape = (*shape[:-2], shape[-1])
    if len(b_shape) == 1:
        shape = shape[:-1]
    return product if shape == product.shape else reshape(product, shape)


@op
def _einsum(*operands: Array, subscripts: tuple[str, ...], result: str) -> Array:
    operands = same_dtype(*operands)
    equation = ",".join(subscripts) + "->" + result
    product = devices.of(operands[0]).xp.einsum(equation, *operands, optimize=len(operands) > 2)
    # A single operand, merely transposed, comes back as a view of its own memory.
    return product if len(operands) > 1 else product.copy()


@_einsum.vjp
def _(g: Array, inputs: Any, needs: Any, subscripts: tuple[str, ...], result: str) -> Any:
    gradients: list[Any] = []
    for position, letters in enumerate(subscripts):
        if not needs[position]:
            gradients.append(None)
            continue
        others = [x for i, x in enumerate(inputs) if i != position]
        names = [s for i, s in enumerate(subscripts) if i != position]
        # A letter that only this operand has was summed away: its gradient is spread evenly.
        present = "".join(c for c in letters if c in result or any(c in s for s in names))
        gradient = _einsum(g, *others, subscripts=(result, *names), result=present)
        shape = tuple(inputs[position].shape)
        kept = tuple(n if c in present else 1 for c, n in zip(letters, shape, strict=True))
        gradients.append(broadcast_to(reshape(gradient, kept), shape))
    return tuple(gradients)


def _letters(equation: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """Write out the equation's ellipses and its result."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    subscripts = left.split(",")
    if len(subscripts) != len(shapes):
        raise ValueError(
            f"einsum: {equation!r} names {len(subscripts)} operands, found {len(shapes)}"
        )
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in equation]
    extra = [
        len(shape) - len(letters.replace("...", "")) if "..." in letters else 0
        for letters, shape in zip(subscripts, shapes, strict=True)
    ]
    batch = "".join(free[: max(extra)])
    spelled = [
        letters.replace("...", batch[len(batch) - n :])
        for letters, n in zip(subscripts, extra, strict=True)
    ]
    for letters, shape in zip(spelled, shapes, strict=True):
        if len(letters) != len(shape):
            raise ValueError(f"einsum: {letters!r} in {equation!r} does not fit shape {shape}")
    if not arrow:
        joined = "".join(spelled)
        once = sorted(c for c in set(joined) if joined.count(c) == 1 and c not in batch)
        return spelled, batch + "".join(once)
    result = result.replace("...", batch)
    if len(set(result)) != len(result) or not set(result) <= set("".join(spelled)):
        raise ValueError(f"einsum: the result of {equation!r} must name given letters once each")
    return spelled, result


def einsum(equation: str, *operands: Tensor) -> Tensor:
    """Sum of products in Einstein's notation, such as ``"nij,njk->nik"``.

    Parameters
    ----------
    equation : str
        Letters for the axes of each operand, and of the result; letters missing there are summed.
        An ellipsis stands for any further axes. A letter twice in one operand takes its diagonal.
    *operands : Tensor

    Raises
    ------
    ValueError
        If the equation does not fit the operands.

    Examples
    --------
    >>> import minires as mr
    >>> mr.einsum("ij,ij->i", mr.ones(2, 3), mr.ones(2, 3))
    tensor([3., 3.])
    """
    subscripts, result = _letters(equation, [tuple(x.shape) for x in operands])
    sizes: dict[str, int] = {}
    for letters, x in zip(subscripts, operands, strict=True):
        for letter, length in zip(letters, x.shape, strict=True):
            if sizes.setdefault(letter, length) == 1:
                sizes[letter] = length
            if length not in (1, sizes[letter]):
                raise ValueError(
                    located(
                        f"einsum: {letter!r} in {equation!r} is {sizes[letter]} in one operand"
                        f" and {length} in another"
                    )
                )
    values: list[Any] = [
        broadcast_to(x, tuple(sizes[c] for c in letters))
        for letters, x in zip(subscripts, operands, strict=True)
    ]
    # A repeated letter is renamed, and tied to its first use by an identity matrix.
    free = iter(c for c in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in sizes)
    for position, letters in enumerate(list(subscripts)):
        spelled = ""
        for letter in letters:
            renamed = letter
            if letter in spelled:
                renamed = next(free)
                tied = operands[position]
                plain = tied._data if isinstance(tied, Tensor) else tied
                values.append(devices.of(plain).xp.eye(sizes[letter], dtype=plain.dtype))
                subscripts.append(letter + renamed)
            spelled += renamed
        subscripts[position] = spelled
    return _einsum(*values, subscripts=tuple(subscripts), result=result)


@op(fresh=("weight", "bias"))
def _linear(x: Array, weight: Array, bias: Array | None) -> Array:
    x, weight = same_dtype(x, weight)
    y = devices.of(x).matmul(x, weight.T)
    return y if bias is None else y + bias


@_linear.vjp
def _(g: Array, x: Array, weight: Array, needs: tuple[bool, ...]) -> Any:
    count = math.prod(g.shape[:-1])
    rows, inputs = reshape(g, count, g.shape[-1]), reshape(x, count, x.shape[-1])
    return (
        matmul(g, weight) if needs[0] else None,
        matmul(transpose(rows, 0, 1), inputs) if needs[1] else None,
        sum(rows, 0) if needs[2] else None,
    )


@_linear.twin
def _(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    y = matmul(x, transpose(weight, 0, 1))
    return y if bias is None else add(y, bias)


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input @ weight.T + bias.

    Parameters
    ----------
    input : Tensor, (..., I)
    weight : Tensor, (O, I)
    bias : Tensor, (O,), optional

    Returns
    -------
    Tensor, (..., O)

    Raises
    ------
    ValueError
        If the lengths do not fit.
    """
    i_shape, w_shape = tuple(input.shape), tuple(weight.shape)
    if len(w_shape) != 2 or not i_shape or i_shape[-1] != w_shape[1]:
        raise ValueError(
            located(
                f"linear: input has {i_shape[-1] if i_shape else 'no'} features (shape {i_shape}),"
                f" weight (O, I) has shape {w_shape}"
            )
        )
    if bias is not None and tuple(bias.shape) != w_shape[:1]:
        raise ValueError(
            located(f"linear: bias has shape {tuple(bias.shape)}, weight {w_shape} wants (O,)")
        )
    return _linear(input, weight, bias)
