"""A trace: what was recorded of a forward and a backward pass, and what it can tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minires.devices import Array

from .comparison import TraceComparison, compare
from .explanation import Explanation, explain
from .forks import Fork, Gain, forks, gains
from .norm_terms import BatchNormTerms, batch_norm_terms
from .places import value_at
from .recorder import Recorder, Save, Select
from .records import Records, Value
from .spectrum import Omission, PathSpectrum, leave_one_out, path_spectrum
from .structure import Structure
from .tape import Tape


class Trace:
    """What was recorded; made by `record`, or read from a file by `load`.

    Parameters
    ----------
    records : Records
    arrays : mapping of str to ndarray
    recorder : Recorder, optional
        The one that is at work, or was.

    Attributes
    ----------
    records : Records
        Values, forward and backward steps: see `minires.trace.records`.
    arrays : mapping of str to ndarray
        "value/3", "gradient/3" and "part/7/0" for traces of ``save="full"``.
    """

    def __init__(
        self, records: Records, arrays: Mapping[str, Array], recorder: Recorder | None = None
    ) -> None:
        self.records = records
        self.arrays = arrays
        self._recorder = recorder

    @property
    def tape(self) -> Tape | None:
        """What a replay needs; None if it was not kept."""
        return None if self._recorder is None else self._recorder.tape

    @property
    def structure(self) -> Structure:
        """Forks, blocks and the main road of the recorded graph."""
        size = len(self.records.steps)
        if self._structured is None or self._structured[0] != size:
            self._structured = (size, Structure(self.records))
        return self._structured[1]

    _structured: tuple[int, Structure] | None = None

    def value(self, at: Any = None) -> Value:
        """Return the record of the value that `at` names.

        Parameters
        ----------
        at : Tensor, str or int, optional
            A recorded Tensor; the name of a parameter; the path of a module, which stands for its
            input; the name of a value such as ``"layer1.0/residual_add"``; a value's index. By
            default the input of the first residual block.

        Returns
        -------
        Value

        Raises
        ------
        KeyError
            If nothing is called so; near names are suggested.
        ValueError
            If the trace is empty.
        """
        return value_at(self, at)

    def forks(self) -> list[Fork]:
        """Return every value that was used several times, with the contributions that met there.

        Returns
        -------
        list of Fork
            In the order of the backward pass.

        Examples
        --------
        >>> import minires as mr
        >>> x = mr.tensor([1.0, 2.0], requires_grad=True)
        >>> with mr.trace.record() as trace:
        ...     mr.ops.residual_add(x, 3 * x).sum().backward()
        >>> [(part.side, part.share) for part in trace.forks()[0].parts]
        [('shortcut', 0.25), ('branch', 0.75)]
        """
        return forks(self)

    def gains(self) -> list[Gain]:
        """Return what each block does to the gradient's size, from the loss to the stem.

        Returns
        -------
        list of Gain
            Their `log_gain` add up to that of the whole way.
        """
        return gains(self)

    def path_spectrum(self, at: Any = None) -> PathSpectrum:
        """Split a gradient by the number of residual branches that it crossed.

        Exact, without sampling: a replay of the backward pass carries all paths that crossed k
        branches as one. Blocks within the branch of another count as well.

        Parameters
        ----------
        at : Tensor, str or int, optional
            See `value`.

        Returns
        -------
        PathSpectrum

        Raises
        ------
        ReplayError
            If the trace has no tape (``record(..., replay=True)`` keeps it), backward has not
            run, or a value that a VJP needs was overwritten since.

        Examples
        --------
        >>> import minires as mr
        >>> x = mr.tensor([1.0], requires_grad=True)
        >>> with mr.trace.record() as trace:
        ...     y = mr.ops.residual_add(x, 3 * x)
        ...     mr.ops.residual_add(y, 2 * y).sum().backward()
        >>> [part.item() for part in trace.path_spectrum(x).parts]
        [1.0, 5.0, 6.0]
        """
        return path_spectrum(self, at)

    def leave_one_out(self, at: Any = None, block: str | None = None) -> list[Omission]:
        """Return what a gradient would be without one branch's share in the backward pass.

        The forward pass stays as it was.

        Parameters
        ----------
        at : Tensor, str or int, optional
            See `value`.
        block : str, optional
            Only the branch of this block; by default each in turn.

        Returns
        -------
        list of Omission
            One for each residual addition that the gradient comes by.

        Raises
        ------
        ReplayError
            As `path_spectrum`.
        KeyError
            If no residual addition ran in `block`.
        """
        return leave_one_out(self, at, block)

    def compare(self, other: Trace) -> TraceComparison:
        """Put this trace beside another, such as that of the plain twin.

        Parameters
        ----------
        other : Trace

        Returns
        -------
        TraceComparison
            Aligned by module path and op; its `differences` name what has changed.

        Raises
        ------
        ValueError
            If a trace is empty, or they have no step in common.
        """
        return compare(self, other)

    def batch_norm_terms(self, module: str) -> BatchNormTerms:
        """Split what a batch norm sends back: directly, through the mean, through the variance.

        Parameters
        ----------
        module : str
            Path of the BatchNorm.

        Returns
        -------
        BatchNormTerms

        Raises
        ------
        ReplayError
            As `path_spectrum`.
        KeyError
            If no batch norm ran in `module`.
        """
        return batch_norm_terms(self, module)

    def explain(self, at: Any) -> Explanation:
        """Say why a gradient is small, large, NaN or missing, by what was measured.

        Parameters
        ----------
        at : Tensor, str or int
            See `value`.

        Returns
        -------
        Explanation
            Its `causes` are named: "backward_not_run", "no_gradient_required", "detached",
            "no_grad", "not_differentiable", "not_reached" and "not_used" where there is no
            gradient, or only a part of it; "not_finite"; "wrong_sum" and "wrong_side" (of a
            residual addition); "dead_relu", "kink", "zero_gamma", "gamma_over_sigma",
            "batch_norm_projection", "constant_input", "weight_gain", "zero_value", "saturation",
            "underflow", "cancellation" and "blocked". A healthy gradient has none of these, only
            what its size is made of: "loss_mean" (the 1/N of the loss), "factor" and "fork".

        Raises
        ------
        KeyError
            If nothing is called so; near names are suggested.
        ValueError
            If the trace is empty.

        Examples
        --------
        >>> import minires as mr
        >>> x = mr.tensor([-1.0, -2.0], requires_grad=True)
        >>> with mr.trace.record() as trace:
        ...     mr.ops.relu(x).sum().backward()
        >>> trace.explain(x).causes[0].sentence
        '100.0% of the outputs of the ReLU relu behind input 0 are 0: it lets no gradient through.'
        """
        return explain(self, at)


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
        if not budget_mb >= 0:
            raise ValueError(f"record: budget_mb must not be negative, found {budget_mb}")
        self._recorder = Recorder(model, save, select, budget_mb, replay)

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
        if error is not None:
            self._recorder.records.error = f"{type(error).__name__}: {error}"
