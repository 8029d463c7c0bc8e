"""How exactly float32 matrices are multiplied, where a device can trade digits for speed."""

from __future__ import annotations

PRECISIONS = ("highest", "high", "medium")

_chosen = ["highest"]


def set_float32_matmul_precision(precision: str) -> None:
    """Choose how exact products of float32 matrices are, convolutions among them.

    The CPU always computes with all digits of float32. A GPU may read the factors with the 10 bits
    behind the point that TF32 has (float32 has 23) and add up in float32, several times as fast.

    Parameters
    ----------
    precision : {"highest", "high", "medium"}
        ``"highest"``, the default: all digits. ``"high"``: TF32 on GPUs that have it.
        ``"medium"`` means the same as ``"high"``, as it does in PyTorch on GPUs.

    Raises
    ------
    ValueError
        If `precision` is none of these.

    Notes
    -----
    PyTorch has a second switch for convolutions, ``torch.backends.cudnn.allow_tf32``, which is
    *on* by default. Here a convolution is a product of matrices, and obeys this switch.

    Examples
    --------
    >>> import minires as mr
    >>> mr.set_float32_matmul_precision("high")
    >>> mr.get_float32_matmul_precision()
    'high'
    >>> mr.set_float32_matmul_precision("highest")
    """
    if precision not in PRECISIONS:
        raise ValueError(
            f"float32 matmul precision {precision!r} is unknown; there are {', '.join(PRECISIONS)}"
        )
    _chosen[:] = [precision]


def get_float32_matmul_precision() -> str:
    """Return what `set_float32_matmul_precision` chose."""
    return _chosen[0]


def tf32_is_allowed() -> bool:
    """Tell whether float32 matrices may be read as TF32."""
    return _chosen[0] != "highest"
