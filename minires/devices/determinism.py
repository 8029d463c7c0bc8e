"""Whether results must be the same bits in every run, where that costs something."""

from __future__ import annotations

_wanted = [False]


def use_deterministic_algorithms(mode: bool) -> None:
    """Ask for the same bits in every run on the same machine.

    On the CPU that is so anyway, for one number of threads. On a GPU it changes one thing:
    adding at repeated indices (the gradients of indexing, `gather` and embeddings) sorts the
    indices first, where it would otherwise add in the order in which the threads happen to come.

    Everything else on a GPU is deterministic in any case: the kernels of minires use no atomic
    additions, and products of matrices have a workspace of their own on each stream.

    Parameters
    ----------
    mode : bool

    Raises
    ------
    TypeError
        If `mode` is no bool.

    Examples
    --------
    >>> import minires as mr
    >>> mr.use_deterministic_algorithms(True)
    >>> mr.are_deterministic_algorithms_enabled()
    True
    >>> mr.use_deterministic_algorithms(False)
    """
    if not isinstance(mode, bool):
        raise TypeError(f"use_deterministic_algorithms: mode must be True or False, found {mode!r}")
    _wanted[:] = [mode]


def are_deterministic_algorithms_enabled() -> bool:
    """Return what `use_deterministic_algorithms` was last told; False at first."""
    return _wanted[0]
