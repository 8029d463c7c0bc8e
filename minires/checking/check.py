"""The two ways in: `gradcheck` for functions, `gradcheck_module` for networks."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from minires.autograd import OverwriteError, Tensor
from minires.nn import Module
from minires.ops import cross_entropy, mse_loss

from .examination import examine
from .numerical import Settings
from .report import Finding, GradcheckReport, InputReport
from .subjects import ModuleLoss, NumpyPair, Subject, TensorFunction, gradient_function

Array = np.ndarray[Any, Any]
Function = Callable[..., Any] | tuple[Callable[..., Any], Callable[..., Any]]

_DEFAULT_STEP = Settings().step


def gradcheck(
    fn: Function,
    inputs: Any,
    eps: float | None = None,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    seed: int = 0,
    order: int = 1,
    max_entries: int | None = None,
) -> GradcheckReport:
    """Compare the gradient of a function with differences of its values.

    The cotangent is drawn from a normal distribution: one of all ones does not see, for example,
    that a batch normalisation's gradient was forgotten. Every input is checked; put constants,
    such as labels, into the function: ``lambda x: cross_entropy(x, labels)``.

    Parameters
    ----------
    fn : callable, Module, or pair of callables
        From Tensors to a Tensor or a tuple of them; of a module, a float64 copy is checked. Or two
        NumPy functions: ``forward(*inputs)``, and ``vjp(g, *inputs)``, which returns one gradient
        per input (`g` is a tuple if there are several outputs).
    inputs : Tensor or array, float64, or a sequence of them
        Where to check. Prefer random values: special ones such as 0 hide mistakes.
    eps : float, optional
        Step, relative to max(1, abs(x)); by default the cube root of float64's epsilon, 6e-6.
    rtol, atol : float
        An entry is right if |analytic - numeric| <= atol + rtol * max(|analytic|, |numeric|).
    seed : int
        Of the cotangent.
    order : {1, 2}
        With 2, the gradient's own gradient is checked as well (functions of Tensors only).
    max_entries : int, optional
        Look at no more entries per input than this, chosen at random.

    Returns
    -------
    GradcheckReport
        True if right; ``.explain()`` says what was found.

    Raises
    ------
    TypeError
        If an input is not float64: differences in float32 have three digits at best.
    ValueError
        If there is no input, or `order` is not possible. What `fn` raises comes through.

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
    values = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    arrays = [_float64(value, number) for number, value in enumerate(values)]
    if not arrays:
        raise ValueError("gradcheck: there are no inputs to differentiate by")
    if order not in (1, 2):
        raise ValueError(f"gradcheck: order must be 1 or 2, found {order!r}")
    settings = Settings(_DEFAULT_STEP if eps is None else eps, rtol, atol, seed, max_entries)
    if isinstance(fn, (tuple, list)):
        if order == 2:
            raise ValueError("gradcheck: order=2 needs a function of Tensors, not a NumPy pair")
        names = _names(fn[0], len(arrays))
        return _reported(NumpyPair(*fn), arrays, names, settings)
    function = copy.deepcopy(fn).to("float64") if isinstance(fn, Module) else fn
    names = _names(function.forward if isinstance(function, Module) else function, len(arrays))
    return _reported(TensorFunction(function), arrays, names, settings, order)


def gradcheck_module(
    model: Module,
    x: Any,
    y: Any,
    eps: float | None = None,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    seed: int = 0,
    max_entries: int | None = 64,
) -> GradcheckReport:
    """Check the gradient of a network's loss in every parameter.

    A float64 copy is checked, in the mode (training or evaluation) that the model is in; the model
    itself stays as it is.

    Parameters
    ----------
    model : Module
    x : Tensor or array
        A batch of inputs; three or more, of different sizes along each axis, see most mistakes.
    y : Tensor or array
        Labels (integers) for the cross-entropy, or targets of the output's shape for the mean
        squared error.
    eps, rtol, atol, seed
        As for `gradcheck`.
    max_entries : int or None
        Look at no more entries per parameter than this, chosen at random.

    Returns
    -------
    GradcheckReport
        ``.inputs`` has one row per parameter that requires a gradient, under its path.

    Raises
    ------
    ValueError
        If no parameter requires a gradient.

    Examples
    --------
    >>> import minires as mr
    >>> model = mr.nn.Sequential(mr.nn.Linear(3, 4), mr.nn.Tanh(), mr.nn.Linear(4, 2))
    >>> report = mr.gradcheck_module(model, mr.randn(5, 3), mr.tensor([0, 1, 1, 0, 1]))
    >>> bool(report), report.inputs[0].name
    (True, '0.weight')
    """
    model = copy.deepcopy(model).to("float64")
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not parameters:
        raise ValueError("gradcheck_module: no parameter of the model requires a gradient")
    batch, target = _constant(x), _constant(y)
    loss = mse_loss if target.dtype.kind == "f" else cross_entropy
    subject = ModuleLoss(lambda: loss(model(batch), target), list(parameters.values()))
    arrays = [parameter.detach().numpy() for parameter in parameters.values()]
    settings = Settings(_DEFAULT_STEP if eps is None else eps, rtol, atol, seed, max_entries)
    hint = (
        "Gradients travel from the last layer to the first: look at the last wrong one, and at"
        " what comes after it."
    )
    return _reported(subject, arrays, list(parameters), settings, hint=hint)


def _reported(
    subject: Subject,
    inputs: list[Array],
    names: list[str],
    settings: Settings,
    order: int = 1,
    hint: str = "",
) -> GradcheckReport:
    try:
        # Near an edge, such as that of a logarithm, a step leads outside: that is dealt with.
        with np.errstate(all="ignore"):
            rows, cotangents = examine(subject, inputs, names, settings)
            report = GradcheckReport.of(rows, hint)
            if order == 2 and report:
                rows += _second_order(subject, inputs + cotangents, names, settings)
                report = GradcheckReport.of(rows, hint)
            return report
    except OverwriteError as error:
        return GradcheckReport((), "unfit", str(error))
    except Finding as finding:
        return GradcheckReport((), finding.status, str(finding))


def _second_order(
    subject: Subject, inputs: list[Array], names: list[str], settings: Settings
) -> tuple[InputReport, ...]:
    """Check the gradient's gradient in the function's inputs and in the cotangents."""
    assert isinstance(subject, TensorFunction)
    gradient = TensorFunction(gradient_function(subject.function, len(names)))
    count = len(inputs) - len(names)
    every = [*names, *(f"incoming gradient {number}" for number in range(count))]
    rows, _ = examine(gradient, inputs, [f"2nd order: {name}" for name in every], settings)
    return rows


def _float64(value: Any, number: int) -> Array:
    dtype = getattr(value, "dtype", type(value).__name__)
    if dtype != np.float64:
        raise TypeError(
            f"gradcheck: input {number} is {dtype}; numerical differences need float64. Convert it,"
            " as in x.to('float64') or x.astype('float64'); what is not to be differentiated"
            " belongs into the function: lambda x: f(x, labels)"
        )
    return np.asarray(value.detach().numpy() if isinstance(value, Tensor) else value)


def _constant(value: Any) -> Tensor:
    array = np.asarray(value.detach().numpy() if isinstance(value, Tensor) else value)
    return Tensor(array.astype(np.float64) if array.dtype.kind == "f" else array)


def _names(function: Callable[..., Any], count: int) -> list[str]:
    """Name the inputs by the function's parameters, where it has names for them."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [f"input {i} ({plain[i]})" if i < len(plain) else f"input {i}" for i in range(count)]
