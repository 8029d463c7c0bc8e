"""`gradcheck`: the gradient of a function against differences of its values."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minires import devices
from minires.autograd import Tensor
from minires.nn import Module

from .engines import Engine, Minires, Torch
from .examination import Examination, examine
from .numerical import Settings
from .point import failure
from .report import GradcheckReport
from .subjects import GradientOf, NumpyPair, Subject, TensorFunction

Array = np.ndarray[Any, Any]
# How many wrong inputs are looked at closely.
_EXPLAINED = 4
Function = Callable[..., Any] | tuple[Callable[..., Any], Callable[..., Any]]


def gradcheck(
    fn: Function,
    inputs: Any,
    *,
    order: int = 1,
    mode: str = "auto",
    eps: float | None = None,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    seed: int = 0,
    samples: int = 4,
) -> GradcheckReport:
    """Compare the gradient of a function with differences of its values.

    The cotangent is drawn from a normal distribution: one of all ones does not see, for example,
    that a batch normalisation's gradient was forgotten. Every input is checked; put constants,
    such as labels, into the function: ``lambda x: cross_entropy(x, labels)``.

    Parameters
    ----------
    fn : callable, Module, or pair of callables
        From Tensors to a Tensor or a tuple of them. Or a Module: a float64 copy is checked, in its
        inputs and its parameters. Or two NumPy functions: ``forward(*inputs)``, and
        ``vjp(g, *inputs)``, which returns one gradient per input (`g` is a tuple if there are
        several outputs). Or, where PyTorch is installed and the inputs are its Tensors (or `fn`
        one of its modules), a function of those.
    inputs : Tensor or array of floats, or a sequence of them
        Where to check; taken in float64. A list or tuple means several inputs. Prefer random
        values: special ones such as 0 hide mistakes. Where Tensors, or the Module, are on a GPU,
        it is what the GPU computes that is checked.
    order : {1, 2}
        With 2, the gradient's own gradient is checked as well (not for NumPy functions).
    mode : {"auto", "full", "random"}
        "full" compares every entry of every gradient, by two or more evaluations each. "random"
        compares the derivatives along `samples` random directions per input, and the report says
        with what probability that misses an error (``.miss_probability``). "auto" is "full" up to
        4096 entries in all.
    eps : float, optional
        Step, relative to the larger of abs(x) and the input's size (its root mean square, between
        0.001 and 1); by default the cube root of float64's epsilon, 6e-6. Where one step does not
        settle it, others are tried.
    rtol, atol : float
        An entry is right if |analytic - numeric| <= rtol * max(|analytic|, |numeric|) + atol *
        (what its slopes sum to without cancelling, and a thousandth of the input's largest
        gradient) + (the rounding error of differences and gradient). Where that rounding error is
        more than a thousandth of the gradient, the entry is not compared.
    seed : int
        Of the cotangent and the directions.
    samples : int
        How many random directions.

    Returns
    -------
    GradcheckReport
        True if right; ``.explain()`` says what was found. Whatever `fn` does wrong (it raises, it
        is random, its gradient has another shape, ...) is in the report.

    Raises
    ------
    TypeError
        If an input does not hold floats: there is no derivative by an integer.
    ValueError
        If there is no input, or `order`, `mode` or a number is not possible.

    Examples
    --------
    >>> import numpy as np
    >>> import minires as mr
    >>> x = np.array([0.5, -2.0])
    >>> bool(mr.gradcheck(mr.ops.tanh, x, order=2))
    True

    A forgotten factor 2:

    >>> report = mr.gradcheck((lambda x: x * x, lambda g, x: g * x), x)
    >>> report.status, report.inputs[0].wrong
    ('wrong', 2)
    """
    settings = settings_of("gradcheck", eps, rtol, atol, seed, mode, samples)
    if order not in (1, 2):
        raise ValueError(f"gradcheck: order must be 1 or 2, found {order!r}")
    values = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    if not values:
        raise ValueError("gradcheck: there are no inputs to differentiate by")
    arrays = [_float64(value, number) for number, value in enumerate(values)]
    if isinstance(fn, (tuple, list)):
        if len(fn) != 2 or not all(map(callable, fn)):
            raise ValueError("gradcheck: a pair must be two functions, (forward, vjp)")
        if order == 2:
            raise ValueError("gradcheck: order=2 needs a function of Tensors, not a NumPy pair")
        return check(NumpyPair(*fn), arrays, _names(fn[0], len(arrays)), settings)
    if not callable(fn):
        raise TypeError(f"gradcheck: fn must be a function, found {type(fn).__name__}")
    engine, is_module = _engine_of(fn, values)
    if not is_module:
        names = _names(fn, len(arrays))
        return check(TensorFunction(fn, engine=engine), arrays, names, settings, order)
    try:
        module: Any = engine.doubled(fn)
    except Exception as error:
        return GradcheckReport((), "unfit", str(failure("to copy the module", error)))
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    arrays += [engine.array(p) for p in trained.values()]
    names = [*_names(module.forward, len(values)), *trained]
    subject = TensorFunction(module, list(trained.values()), engine)
    return check(subject, arrays, names, settings, order)


def check(
    subject: Subject,
    inputs: list[Array],
    names: list[str],
    settings: Settings,
    order: int = 1,
) -> GradcheckReport:
    """Examine a subject, to second order if wanted, and report."""
    done = []
    try:
        # Near an edge, such as that of a logarithm, a step leads outside: that is dealt with.
        with np.errstate(all="ignore"):
            done.append(examine(subject, inputs, names, settings))
            report = reported(done)
            if order == 1 or not report:
                return report
            assert isinstance(subject, TensorFunction)
            cotangents = done[0].cotangents
            every = [*names, *(f"incoming gradient {k}" for k in range(len(cotangents)))]
            gradient = GradientOf(subject, len(names))
            done.append(examine(gradient, inputs + cotangents, every, settings, group="2nd order"))
            return reported(done)
    except Exception as error:
        # What the code under check returns may be anything, and fail anywhere.
        finding = failure("the check of it", error)
        rows = tuple(row for one in done for row in one.rows)
        message = f"2nd order: {finding}" if done else str(finding)
        return GradcheckReport(rows, finding.status, message)


def reported(
    done: Sequence[Examination], chosen: int | None = None, hint: str = ""
) -> GradcheckReport:
    """Join examinations, and look closely at the row that is chosen, or at those most wrong."""
    rows = [row for one in done for row in one.rows]
    problem = "\n".join(problem for one in done for problem in one.problems)
    notes = tuple(note for one in done for note in one.notes)
    sources = [(c, one.cotangents) for one in done for c in one.comparisons]
    wrong = [number for number, row in enumerate(rows) if row.wrong]
    wrong = sorted(wrong, key=lambda n: -rows[n].margin)[:_EXPLAINED]
    if chosen is not None:
        wrong = [chosen]
    for number in wrong:
        comparison, cotangents = sources[number]
        assert comparison is not None
        rows[number] = comparison.explained(rows[number], cotangents)
    worst = rows[wrong[0]] if wrong else None
    return GradcheckReport.of(tuple(rows), problem, worst, hint, notes)


def settings_of(
    name: str,
    eps: float | None,
    rtol: float,
    atol: float,
    seed: int,
    mode: str,
    samples: int,
) -> Settings:
    """Return the settings, or say which of them is not possible."""
    if mode not in ("auto", "full", "random"):
        raise ValueError(f"{name}: mode must be 'auto', 'full' or 'random', found {mode!r}")
    for option, value, least in (("samples", samples, 1), ("seed", seed, 0)):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name}: {option} must be an integer >= {least}, found {value!r}")
    step = Settings().step if eps is None else eps
    if not 0 < step < 1:
        raise ValueError(f"{name}: eps must lie between 0 and 1, found {eps!r}")
    if not (0 <= rtol < 1 and 0 <= atol < 1):
        raise ValueError(f"{name}: rtol and atol must be from 0 to 1, found {rtol!r}, {atol!r}")
    return Settings(step, rtol, atol, seed, mode, samples)


def _float64(value: Any, number: int) -> Array:
    array = np.asarray(value.detach().numpy() if hasattr(value, "detach") else value)
    if array.dtype.kind != "f":
        raise TypeError(
            f"gradcheck: input {number} is {array.dtype}; there is no derivative by anything but"
            " real numbers, so give floats, as in x.astype('float64'). What is not to be"
            " differentiated belongs into the function: lambda x: f(x, labels)"
        )
    return array.astype(np.float64, copy=False)


def _engine_of(fn: Any, inputs: list[Any]) -> tuple[Engine, bool]:
    """Return whose function it is, and whether it is a module."""
    ours = [value for value in inputs if isinstance(value, Tensor)]
    if isinstance(fn, Module):
        ours += fn.parameters()
    engine = Minires(ours[0].device if ours else devices.cpu)
    if isinstance(fn, Module):
        return engine, True
    torch = sys.modules.get("torch")  # who passes a Tensor of PyTorch's has imported it
    if torch is None or ours:
        return engine, False
    if isinstance(fn, torch.nn.Module):
        return Torch(), True
    theirs = any(isinstance(value, torch.Tensor) for value in inputs)
    return (Torch() if theirs else engine), False


def _names(function: Any, count: int) -> list[str]:
    """Name the inputs by the function's parameters, where it has names for them."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except Exception:  # some have no signature, and some a broken one
        parameters = []
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [f"input {i} ({plain[i]})" if i < len(plain) else f"input {i}" for i in range(count)]
