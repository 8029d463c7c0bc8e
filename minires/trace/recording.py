"""The with-block that records."""

from __future__ import annotations

from typing import Any

from .looks import Select
from .recorder import Recorder, Save
from .trace import Trace


class record:  # noqa: N801
    """Record what happens in a ``with`` block: every op, every VJP, every sum of gradients.

    Parameters
    ----------
    model : Module or callable, optional
        Gives modules and parameters their names.
    save : {"summary", "thumbs", "full"}
        What is kept of each array: a summary; also a small picture; or everything.
    select : str, iterable of str or callable, optional
        Which values are looked at; by default all. Patterns such as ``"layer1.*"`` for their
        names, or a function that gets the `Value`. The others are recorded without statistics.
    budget_mb : float
        Bound of the memory for arrays, and for what a replay needs.
    replay : bool, optional
        Keep the values that the VJPs need, so that gradients can be taken apart afterwards; the
        residual blocks then run op by op. By default it is done for small steps.

    Returns
    -------
    context manager of Trace

    Raises
    ------
    ValueError
        If `save` is unknown or the budget negative.
    TypeError
        If `model` is neither a Module nor a function.

    Examples
    --------
    >>> import minires as mr
    >>> x = mr.tensor([1.0, 2.0], requires_grad=True)
    >>> with mr.trace.record() as trace:
    ...     mr.ops.residual_add(x, 3 * x).sum().backward()
    >>> [step.op for step in trace.records.forward]
    ['mul', 'residual_add', 'sum']
    """

    def __init__(
        self,
        model: Any = None,
        save: Save = "summary",
        select: Select = None,
        budget_mb: float = 1024,
        replay: bool | None = None,
    ) -> None:
        if save not in ("summary", "thumbs", "full"):
            raise ValueError(f"record: save must be 'summary', 'thumbs' or 'full', found {save!r}")
        if model is not None and not callable(model):
            raise TypeError(
                f"record: model must be a Module, a function or None, found {type(model).__name__}"
            )
        if not budget_mb >= 0:
            raise ValueError(f"record: budget_mb must not be negative, found {budget_mb}")
        self._recorder = Recorder(model, save, select, budget_mb, replay)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"a recording has no {name!r}; the trace is what the block gives:"
            " with mr.trace.record(model) as trace: ..."
        )

    def __enter__(self) -> Trace:
        """Begin to record."""
        recorder = self._recorder
        if recorder.records.steps:
            raise RuntimeError("a recording is made once; call mr.trace.record(...) again")
        recorder.__enter__()
        return Trace(recorder.records, recorder.arrays, recorder)

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        """Stop recording; an exception is noted, and passes on."""
        self._recorder.__exit__(kind, error, traceback)
        self._recorder.settle()
        if error is not None:
            self._recorder.records.error = f"{type(error).__name__}: {error}"
