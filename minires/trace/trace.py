"""A trace: what was recorded of a forward and a backward pass, and what it can tell."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from minires.devices import Array

from .comparison import TraceComparison, compare
from .explanation import Explanation, explain
from .forks import Fork, Gain, forks, gains
from .norm_terms import BatchNormTerms, batch_norm_terms
from .places import value_at
from .recorder import Recorder
from .records import Records, Value
from .spectrum import Omission, PathSpectrum, leave_one_out, path_spectrum
from .structure import Structure
from .tape import Tape

if TYPE_CHECKING:
    from .verification import Verification
    from .views.lines import Expand
    from .views.svg import StaticPicture
    from .views.table import Table


class Trace:
    """What was recorded; made by `record`, or read from a file by `load`.

    Parameters
    ----------
    records : Records
    arrays : dict of str to ndarray
    recorder : Recorder, optional
        The one that is at work, or was.

    Attributes
    ----------
    records : Records
        Values, forward and backward steps: see `minires.trace.records`.
    arrays : dict of str to ndarray
        "value/3", "gradient/3" and "part/7/0" for traces of ``save="full"``; "spectrum/3/0" for
        path spectra that were computed.
    """

    def __init__(
        self, records: Records, arrays: dict[str, Array], recorder: Recorder | None = None
    ) -> None:
        self.arrays = arrays
        self._records = records
        self._recorder = recorder

    @property
    def records(self) -> Records:
        """What was recorded; inside the with-block, what was until now."""
        if self._recorder is not None:
            self._recorder.settle()
        return self._records

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
            "dropout", "underflow", "cancellation", "hook" and "blocked". A healthy gradient has
            none of these, only what its size is made of: "loss_mean" (the 1/N of the loss),
            "factor" (an alarm where it is extreme) and "fork".

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

    def check(self, samples: int = 2, seed: int = 0) -> Verification:
        """Gradient-check the recorded step: every VJP, every sum, and the whole pass once more.

        Each VJP is compared with differences of its op's forward, in float64, with a random
        incoming gradient, along random directions, at the inputs of the recorded step; an input
        that no VJP needs, and that is gone, is replaced by numbers like it. Each sum at a fork must
        have been that of its contributions, bit for bit. And a second run of the backward pass
        must give the recorded gradients, bit for bit.

        Parameters
        ----------
        samples : int
            How many random directions for each input of each op.
        seed : int
            Of the directions and the incoming gradients.

        Returns
        -------
        Verification
            True if something was compared and nothing is wrong; `first` is the first step that is,
            in the order of the backward pass, with its place and both numbers.

        Raises
        ------
        ReplayError
            If the trace has no tape (``record(..., replay=True)`` keeps it), backward has not run,
            or values that a VJP needs were overwritten since, as by an optimizer.

        Examples
        --------
        >>> import minires as mr
        >>> x = mr.tensor([1.0, 2.0], requires_grad=True)
        >>> with mr.trace.record() as trace:
        ...     mr.ops.residual_add(x, mr.ops.tanh(x)).sum().backward()
        >>> bool(trace.check())
        True
        """
        from .verification import verify

        return verify(self, samples, seed)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace to one file, whole or not at all.

        It is a zip of ``trace.json`` and, in ``save="full"``, an ``.npy`` for each array: NumPy
        opens it as an npz. The same trace gives the same bytes. The tape stays behind.

        Parameters
        ----------
        path : str or os.PathLike
            By custom it ends in ``.trace``; `minires.trace.load` reads it.

        Raises
        ------
        FileNotFoundError
            If the folder of `path` does not exist.
        """
        from . import file

        file.save(self, path)

    def to_json(self) -> str:
        """Return the records as JSON, of the schema that docs/trace.schema.json publishes.

        Returns
        -------
        str
            On one line; NaN and infinity are the strings "NaN", "Infinity" and "-Infinity".
        """
        from . import schema

        return schema.to_json(self.records)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the viewer as one HTML file that needs no network.

        Parameters
        ----------
        path : str or os.PathLike

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> from pathlib import Path
        >>> import minires as mr
        >>> with mr.trace.record() as trace:
        ...     mr.tensor([1.0], requires_grad=True).sum().backward()
        >>> page = Path(tempfile.mkdtemp()) / "trace.html"
        >>> trace.to_html(page)
        >>> page.stat().st_size < 100_000
        True
        """
        from .views.page import write_page

        write_page([self], path)

    def _repr_html_(self) -> str:
        """Show the viewer in a notebook."""
        from .views.page import frame_of

        return frame_of([self])

    def to_svg(
        self, path: str | os.PathLike[str] | None = None, expand: Expand = False
    ) -> StaticPicture:
        """Draw the trace as a static picture: lines, arcs, and norms of gradients as bars.

        It follows the reader's light or dark theme, and a notebook shows it.

        Parameters
        ----------
        path : str or os.PathLike, optional
            Write it there as well.
        expand : bool, str or iterable of str
            Which blocks are opened; see `table`.

        Returns
        -------
        str
            The text of an SVG file.
        """
        from .views.svg import write_svg

        return write_svg(self, path=path, expand=expand)

    def show(self, static: bool = False) -> Trace | StaticPicture:
        """Return what a notebook shows: the viewer, or a picture that needs no script.

        Parameters
        ----------
        static : bool
            The picture of `to_svg`, which also stands where scripts are taken out.

        Returns
        -------
        Trace or str
        """
        return self.to_svg() if static else self

    def to_dot(self) -> str:
        """Return the recorded graph in Graphviz's language; nothing needs to be installed.

        Returns
        -------
        str
            Steps in clusters of blocks; the edges of shortcuts are dashed.
        """
        from .views.dot import dot_of

        return dot_of(self)

    def table(self, expand: Expand = False) -> Table:
        """Return the readable table of the trace; ``print`` shows it.

        Parameters
        ----------
        expand : bool, str or iterable of str
            Which blocks are opened, step by step: none, all, or those whose path matches a pattern
            such as ``"layer1.*"``.

        Raises
        ------
        KeyError
            If a pattern matches no block; near ones are suggested.
        """
        from .views.table import table_of

        return table_of(self, expand=expand)

    def step(self, beside: Trace | None = None, commands: Iterable[str] | None = None) -> None:
        """Step through the trace in the terminal, forward and backward, op by op.

        Single keys move (``?`` tells which); where the input is no terminal, commands are read
        line by line (``help`` lists them).

        Parameters
        ----------
        beside : Trace, optional
            Another trace, such as that of the plain twin, whose same step is shown as well.
        commands : iterable of str, optional
            Obey these, print what they show, and end, instead of asking.

        Raises
        ------
        ValueError
            If the trace is empty.
        """
        import io

        from .views.stepper import step_through

        typed = None if commands is None else io.StringIO("".join(f"{c}\n" for c in commands))
        step_through(self, beside, typed)

    def __repr__(self) -> str:
        return str(self.table())
