"""`gradcheck_module`: a whole network, every parameter and buffer by its path."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from minires.autograd import Tensor
from minires.devices import Device
from minires.devices.random import seeded
from minires.nn import Module
from minires.ops import cross_entropy, mse_loss

from .check import reported, settings_of
from .engines import Minires
from .examination import Examination, examine
from .numerical import Settings
from .point import failure, running
from .report import Finding, GradcheckReport, InputReport
from .subjects import TensorFunction

Array = np.ndarray[Any, Any]


def gradcheck_module(
    model: Module,
    x: Any,
    y: Any,
    *,
    modes: Sequence[str] = ("train", "eval"),
    mode: str = "auto",
    eps: float | None = None,
    rtol: float = 1e-6,
    atol: float = 1e-8,
    seed: int = 0,
    samples: int = 4,
) -> GradcheckReport:
    """Check the gradient of a network's loss in every parameter, and that buffers behave.

    A float64 copy is checked, on the model's device; the model itself stays as it is. Random
    numbers, as of Dropout, are drawn anew from the same seed in every pass.

    Parameters
    ----------
    model : Module
    x : Tensor or array
        A batch of inputs; three or more, of different sizes along each axis, see most mistakes.
    y : Tensor or array
        Labels (integers) for the cross-entropy, or targets of the output's shape for the mean
        squared error.
    modes : sequence of {"train", "eval"}
        In which modes of the model.
    mode, eps, rtol, atol, seed, samples
        As for `gradcheck`; `mode` "auto" looks along random directions in networks of more than
        4096 parameters.

    Returns
    -------
    GradcheckReport
        ``.inputs`` has a row for every parameter and every buffer in each mode, under its path.
        A frozen parameter has a row that says so. A buffer must not require a gradient, must keep
        its shape and dtype and hold finite numbers, and in evaluation must not change at all.

    Raises
    ------
    ValueError
        If no parameter requires a gradient, or an argument is not possible.

    Examples
    --------
    >>> import minires as mr
    >>> model = mr.nn.Sequential(mr.nn.Linear(3, 4), mr.nn.Tanh(), mr.nn.Linear(4, 2))
    >>> report = mr.gradcheck_module(model, mr.randn(5, 3), mr.tensor([0, 1, 1, 0, 1]))
    >>> bool(report), report.inputs[0].title
    (True, 'train: 0.weight')
    """
    modes = (modes,) if isinstance(modes, str) else modes
    settings = settings_of("gradcheck_module", eps, rtol, atol, seed, mode, samples)
    if not modes or not set(modes) <= {"train", "eval"}:
        raise ValueError(f"gradcheck_module: modes must be 'train', 'eval' or both, found {modes}")
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError("gradcheck_module: no parameter of the model requires a gradient")
    device = next(iter(model.parameters())).device
    done: list[Examination] = []
    others: list[InputReport] = []
    for name in modes:
        try:
            with running("to copy the model"):
                network = copy.deepcopy(model).to("float64").train(name == "train")
            with np.errstate(all="ignore"):
                given = _constant(x, device), _constant(y, device)
                done.append(_examined(network, *given, settings, name))
                others += _other_rows(network, name)
                _check_buffers(model, network, name)
        except Exception as error:
            finding = failure("the check of it", error)
            rows = tuple(row for one in done for row in one.rows)
            return GradcheckReport((*rows, *others), finding.status, f"{name}: {finding}")
    report = reported(done, *_last_wrong([row for one in done for row in one.rows]))
    rows = tuple(sorted((*report.inputs, *others), key=lambda row: modes.index(row.group)))
    return replace(report, inputs=rows)


def _last_wrong(rows: list[InputReport]) -> tuple[int | None, str]:
    """Return the last wrong row of the first mode that has one, and what to make of it."""
    wrong = [number for number, row in enumerate(rows) if row.wrong]
    wrong = [number for number in wrong if rows[number].group == rows[wrong[0]].group]
    if not wrong:
        return None, ""
    last, after = rows[wrong[-1]], rows[wrong[-1] + 1 : wrong[-1] + 2]
    right = [row.name for row in after if row.group == last.group]
    return wrong[-1], (
        f"Gradients travel from the last layer to the first, and {last.name} is the last wrong one:"
        f" look between it and {right[0] if right else 'the loss'}."
    )


def _examined(network: Module, x: Tensor, y: Tensor, settings: Settings, group: str) -> Examination:
    parameters = {name: p for name, p in network.named_parameters() if p.requires_grad}
    criterion = mse_loss if y.dtype.kind == "f" else cross_entropy

    def loss() -> Any:
        with seeded(settings.seed):
            return criterion(network(x), y)

    engine = Minires(x.device)
    subject = TensorFunction(loss, list(parameters.values()), engine)
    arrays = [p.detach().numpy() for p in parameters.values()]
    return examine(subject, arrays, list(parameters), settings, group)


def _other_rows(network: Module, group: str) -> list[InputReport]:
    """Return a row for what has no gradient: frozen parameters, and buffers."""
    frozen = [(n, p, "frozen") for n, p in network.named_parameters() if not p.requires_grad]
    buffers = [(n, b, "buffer") for n, b in network.named_buffers()]
    return [
        InputReport(name, tuple(tensor.shape), group=group, note=what)
        for name, tensor, what in (*frozen, *buffers)
    ]


def _check_buffers(model: Module, network: Module, mode: str) -> None:
    before = dict(model.named_buffers())
    for name, buffer in network.named_buffers():
        if name not in before:
            continue  # made by the forward pass
        array, start = buffer.detach().numpy(), before[name].detach().numpy()
        if buffer.requires_grad:
            problem = "requires a gradient: it keeps the graph of earlier passes alive"
        elif array.shape != start.shape or array.dtype.kind != start.dtype.kind:
            problem = f"became {array.dtype} of shape {array.shape}, from {start.shape}"
        elif not np.isfinite(array).all():
            problem = "is not finite any more"
        elif mode == "eval" and not np.array_equal(array, start.astype(array.dtype)):
            problem = "changed in evaluation mode, in which nothing may learn"
        else:
            continue
        raise Finding("wrong", f"the buffer {name} {problem}")


def _constant(value: Any, device: Device) -> Tensor:
    array = np.asarray(value.detach().numpy() if isinstance(value, Tensor) else value)
    host = array.astype(np.float64) if array.dtype.kind == "f" else array
    return Tensor(device.array(host))
