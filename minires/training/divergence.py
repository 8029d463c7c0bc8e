"""When the loss is no longer a number: find the first value that is not, and say where it arose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np

from minires import devices
from minires.autograd import EngineHook, Node, Op, Tensor, module_path
from minires.devices import random
from minires.nn import Module


class DivergedError(ArithmeticError):
    """Training was stopped because the loss, or a value on its way, became NaN or infinite.

    The step was not taken: parameters, running statistics and random numbers are those from
    before it.

    Attributes
    ----------
    step, epoch : int
        When, both counted from 1.
    last_finite_step : int
        The last step whose loss was finite; 0 if there was none.
    loss : float
        The loss that is no number, or NaN if it was not reached; where anomalies are looked for,
        and the gradient is what is wrong, the loss is finite.
    cause : {"op", "gradient", "parameter", "batch", "unknown"}
        What held the first non-finite value; the batch also if one of its labels is no class.
    op : str
        The op that made it of finite inputs, or, of a gradient, whose backward pass made it of a
        finite gradient; "" if no op did.
    module : str
        The module in which it arose, such as ``"layer1.0.conv1"``; "" outside of the model.
    parameter : str
        The parameter or buffer that was already non-finite; "" if none was.
    """

    def __init__(self, message: str, finding: Finding, step: int, epoch: int, loss: float) -> None:
        super().__init__(message)
        self.step = step
        self.epoch = epoch
        self.last_finite_step = step - 1
        self.loss = loss
        self.cause = finding.cause
        self.op = finding.op
        self.module = finding.module
        self.parameter = finding.parameter


class Finding(NamedTuple):
    """Where the first non-finite value is, and a sentence about it."""

    cause: Literal["op", "gradient", "parameter", "batch", "unknown"]
    sentence: str
    op: str = ""
    module: str = ""
    parameter: str = ""


class Before:
    """What a forward pass changes: BatchNorm's running statistics and the random numbers.

    Parameters
    ----------
    model : Module
        The state is kept from now on.
    """

    def __init__(self, model: Module) -> None:
        self._buffers = [(buffer, buffer.detach().data.copy()) for buffer in model.buffers()]
        self._random = random.generator().bit_generator.state

    def restore(self) -> None:
        """Go back to the state that was kept."""
        for buffer, values in self._buffers:
            buffer.copy_(values)
        random.generator().bit_generator.state = self._random


def diverged(
    model: Module,
    forward: Callable[[], Any],
    images: Tensor,
    before: Before,
    *,
    step: int,
    epoch: int,
    loss: float,
) -> DivergedError:
    """Find out why the loss of a step is not finite.

    Parameters
    ----------
    model : Module
        Put back to the state `before`.
    forward : callable
        Computes the loss of the same batch again.
    images : Tensor
        The batch.
    before : Before
        The state before the forward pass, so that it can be repeated to the bit.
    step, epoch : int
        Of the failed step, counted from 1.
    loss : float

    Returns
    -------
    DivergedError
        To be raised.
    """
    before.restore()
    finding = (
        _look_at_batch(images)
        or _look_at_state(model, step)
        or _look_at_ops(forward)
        or Finding(
            "unknown",
            "Run again on the same batch, every op's output is finite: the loss became"
            " non-finite outside of minires' ops, or the model is not deterministic.",
        )
    )
    before.restore()
    last = f"the loss was last finite at step {step - 1}" if step > 1 else "this is the first step"
    message = (
        f"training diverged at step {step} (epoch {epoch}): the loss is {loss}; {last}."
        f" {finding.sentence}"
    )
    return DivergedError(message, finding, step, epoch, loss)


def stopped(finding: Finding, step: int, epoch: int, loss: float) -> DivergedError:
    """Return the error of an anomaly that was found before, or although the loss is finite."""
    where = f"step {step} (epoch {epoch})"
    message = f"training was stopped at {where} by an anomaly. {finding.sentence}"
    return DivergedError(message, finding, step, epoch, loss)


def measured_too_late(step: int, epoch: int, finding: str) -> DivergedError:
    """Return the error of what no step's loss has shown: weights or another loss, not finite."""
    message = (
        f"training diverged by step {step} (epoch {epoch}): {finding}; weights or running"
        " statistics have grown beyond all bounds, which a lower learning rate may prevent"
    )
    return DivergedError(message, Finding("unknown", ""), step, epoch, float("nan"))


def _look_at_batch(images: Tensor) -> Finding | None:
    array = _host(images)
    if _is_finite(array):
        return None
    first = int(np.argwhere(~np.isfinite(array))[0][0])
    return Finding(
        "batch",
        f"The input batch itself holds {_count(array)}, the first in its image {first} (counted"
        " from 0); look at how the data are read and scaled.",
    )


def _look_at_state(model: Module, step: int) -> Finding | None:
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        array = _host(value)
        if _is_finite(array):
            continue
        module, _, _ = name.rpartition(".")
        if step == 1:
            origin = "it was so before the first step; look at how it was initialised or loaded."
        else:
            origin = (
                f"the update after step {step - 1} made it so. Either the gradient of that step"
                " overflowed, or the learning rate is too large: try a smaller one, or a warm-up."
            )
        kind = "parameter" if value.requires_grad else "buffer"
        sentence = f"The {kind} '{name}' holds {_count(array)}; {origin}"
        return Finding("parameter", sentence, module=module, parameter=name)
    return None


def _look_at_ops(forward: Callable[[], Any]) -> Finding | None:
    try:
        with FirstNonFinite():
            forward()
    except FoundError as found:
        return found.finding
    return None


class FoundError(Exception):
    """Leaves the computation as soon as the culprit is known."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.sentence)
        self.finding = finding


class FirstNonFinite(EngineHook):
    """Stops at the first op that makes a non-finite value, or gradient, of finite ones.

    Raises
    ------
    FoundError
        Inside the block, with what was found.
    """

    def op_ran(self, op: Op[Any], inputs: tuple[Any, ...], output: Any, node: Node | None) -> None:
        """Look at a value."""
        made = _host(output)
        if _is_finite(made):
            return
        arrays = {
            op.input_name(i): _host(value) for i, value in enumerate(inputs) if value is not None
        }
        given = {name: array for name, array in arrays.items() if array.dtype.kind == "f"}
        if not all(_is_finite(array) for array in given.values()):
            return
        module = module_path()
        if told := _wrong_label(op, inputs, node):
            raise FoundError(Finding("batch", told, op=op.name, module=module))
        place = f"in module '{module}'" if module else "outside of the model's modules"
        sizes = ", ".join(
            f"'{name}' {array.shape} up to {np.abs(array).max(initial=0.0):.3g}"
            for name, array in given.items()
        )
        sentence = (
            f"The first non-finite value came out of op '{op.name}' {place}: {_count(made)} of its"
            f" output {made.shape}, made of finite inputs (largest magnitudes: {sizes}). Try a"
            " smaller learning rate, a warm-up, or a normalisation before this place."
        )
        raise FoundError(Finding("op", sentence, op=op.name, module=module))

    def vjp_ran(self, node: Node, g: Any, contributions: tuple[Any, ...]) -> None:
        """Look at the gradients for an op's inputs."""
        assert node.op is not None
        given = _host(g)
        if not _is_finite(given):
            return
        for index, contribution in enumerate(contributions):
            if contribution is None or _is_finite(made := _host(contribution)):
                continue
            module = node.module_path
            place = f" in module '{module}'" if module else " outside of the model's modules"
            sentence = (
                f"The first non-finite gradient came out of the backward pass of op"
                f" '{node.name}'{place}: {_count(made)} of the gradient for its input"
                f" '{node.op.input_name(index)}' {made.shape}, made of a finite gradient (up to"
                f" {np.abs(given).max(initial=0.0):.3g}). The op is too steep there, as a root or a"
                " logarithm is at 0: keep its input away from that place."
            )
            raise FoundError(Finding("gradient", sentence, op=node.name, module=module))


def _wrong_label(op: Op[Any], inputs: tuple[Any, ...], node: Node | None) -> str:
    """Name a label that is no class, which makes a loss nan where nobody waits for the labels.

    Devices that can be looked at for free refuse it before the loss is computed.
    """
    if op.name != "cross_entropy" or node is None:
        return ""
    classes, labels = inputs[0].shape[1], _host(node.called_with["target"])
    counts = labels != node.called_with["ignore_index"]
    wrong = np.flatnonzero(counts & ((labels < 0) | (labels >= classes)))
    if not len(wrong):
        return ""
    return (
        f"cross_entropy: label {labels[wrong[0]]} is out of range; with {classes} logits labels go"
        f" from 0 to {classes - 1}. It belongs to row {wrong[0]} of the logits (counted from 0);"
        " look at how the labels are read."
    )


def _host(value: Any) -> Any:
    """Return an input or output of an op as a host array."""
    array = value.detach().data if isinstance(value, Tensor) else value
    return np.asarray(devices.of(array).to_numpy(array))


def _is_finite(array: Any) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _count(array: Any) -> str:
    """Say how many of the values are NaN and how many infinite."""
    nan, infinite = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    found = [f"{n} {kind}" for n, kind in ((nan, "NaN"), (infinite, "infinite")) if n]
    return f"{' and '.join(found)} among {array.size} values"
