"""The place of a check: a function at its inputs, and the lines that lead away from there."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minires.autograd import OverwriteError

from .numerical import Line, Settings
from .report import Finding, Index
from .subjects import Subject
from .winners import Winners

Array = np.ndarray[Any, Any]

_NUMPY_HINT = (
    ". NumPy's functions take no Tensors: write it with mr.ops, or check a pair of NumPy functions,"
    " (forward, vjp)"
)
_PACKAGE = str(Path(__file__).parents[1])
# So small that its square is lost beside 1: a complex step has no truncation error at all.
_COMPLEX_STEP = 1e-20


@contextmanager
def running(what: str, status: str = "unfit") -> Iterator[None]:
    """Turn whatever the code under check raises into a finding that says where."""
    try:
        yield
    except Finding:
        raise
    except OverwriteError as error:
        raise Finding("unfit", str(error)) from error
    except (Exception, SystemExit) as error:
        raise failure(what, error, status) from error


def failure(what: str, error: BaseException, status: str = "unfit") -> Finding:
    """Return a finding about an exception of the code under check; one that is, as it is."""
    if isinstance(error, Finding):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith(_PACKAGE)]
    where = ""
    if theirs:
        file = Path(theirs[-1].filename).name
        where = f" (in {theirs[-1].name}, {file}, line {theirs[-1].lineno})"
    try:
        told = str(error)
    except Exception:
        told = "a message that cannot be printed"
    hint = _NUMPY_HINT if "does not support ufuncs" in told else ""
    return Finding(status, f"{what} raised {type(error).__name__}: {told}{where}{hint}")


def as_vector(arrays: Sequence[Array]) -> Array:
    """Return all arrays one after another, copied."""
    return np.concatenate([np.zeros(0), *map(np.ravel, arrays)])


class Point:
    """A subject at its inputs.

    Parameters
    ----------
    subject : Subject
    inputs : list of array
        Moved in place while a check goes on, and put back.
    names : sequence of str
    base, cotangent : array, (M,)
        All outputs at the inputs, one after another, and the weights of their sum.
    settings : Settings
    epsilon : float
        Relative rounding error of the outputs: float64's, or that of what they are computed in.
    """

    def __init__(
        self,
        subject: Subject,
        inputs: list[Array],
        names: Sequence[str],
        base: Array,
        cotangent: Array,
        settings: Settings,
        epsilon: float,
    ) -> None:
        self.subject = subject
        self.inputs = inputs
        self.names = names
        self.base = base
        self.cotangent = cotangent
        self.settings = settings
        self.epsilon = epsilon
        # A step is relative to the size of what is moved: 1 where nothing is known of it.
        sizes = [float(np.sqrt(np.mean(np.square(x)))) if x.size else 0.0 for x in inputs]
        self.scales = [float(np.clip(size, 1e-3, 1.0)) if size else 1.0 for size in sizes]

    def entry(self, number: int, index: Index, analytic: float) -> Line:
        """Return the line along one entry of input `number`."""
        array = self.inputs[number]
        x = float(array[index])
        width = max(abs(x), self.scales[number])
        step = self.settings.step * width
        near = self.settings.step * abs(x) if x else step

        def move(t: float) -> None:
            array[index] = x + t

        def direction() -> Array:
            unit = np.zeros(array.shape)
            unit[index] = 1.0
            return unit

        return self._line(number, direction, move, analytic, (x + step) - x, near, width)

    def direction(self, number: int, direction: Array, analytic: float) -> Line:
        """Return the line along a direction, of the shape of input `number`."""
        array = self.inputs[number]
        start = array.copy()

        def move(t: float) -> None:
            np.add(start, t * direction, out=array)

        width = self.scales[number]
        step = self.settings.step * width
        return self._line(number, lambda: direction, move, analytic, step, step, width)

    def _line(
        self,
        number: int,
        direction: Callable[[], Array],
        move: Callable[[float], None],
        analytic: float,
        step: float,
        near: float,
        width: float,
    ) -> Line:
        array, name = self.inputs[number], self.names[number]

        def moved(t: float, observe: Callable[[], Any]) -> Any:
            move(t)
            try:
                with running(f"the forward pass, at a step of {t:.1g} from {name},"):
                    return observe()
            finally:
                move(0.0)

        def winners(t: float) -> Winners | None:
            found: Winners | None = moved(t, lambda: self.subject.winners(self.inputs))
            return found

        def complex_slope() -> Array | None:
            inputs: list[Array] = [*self.inputs]
            inputs[number] = array + 1j * _COMPLEX_STEP * direction()
            outputs = self.subject.complex_forward(inputs)
            if outputs is None:
                return None
            return as_vector([output.imag / _COMPLEX_STEP for output in outputs])

        def at(t: float) -> Array:
            outputs: Array = moved(t, self._outputs)
            return outputs

        return Line(at, analytic, step, near, width, winners, complex_slope)

    def _outputs(self) -> Array:
        outputs = as_vector(self.subject.forward(self.inputs))
        if outputs.shape != self.base.shape:
            raise Finding(
                "unfit",
                f"after a small step the outputs have {outputs.size} values, before it"
                f" {self.base.size}: their shape depends on the inputs' values",
            )
        return outputs
