"""Folding batch normalisation into the convolution before it, for inference."""

from __future__ import annotations

import copy
from typing import Any

from minires import ops
from minires.autograd import EngineHook, Tensor, module_path, no_grad
from minires.autograd.context import changed
from minires.devices import is_float

from .containers import Identity
from .layers import BatchNorm2d, Conv2d
from .module import Module, Parameter


class _Pairs(EngineHook):
    """Which batch norm got the output of which convolution, by the paths of their modules.

    A convolution whose output somebody else uses as well, or that runs twice, pairs with none.
    """

    def __init__(self) -> None:
        self.made: dict[int, str] = {}
        self.alive: list[Tensor] = []  # an id is a name only as long as its object lives
        self.uses: dict[str, list[str]] = {}
        self.runs: dict[str, int] = {}

    def op_ran(self, op: Any, inputs: tuple[Any, ...], output: Any, node: Any) -> None:
        """Note who made the inputs, and what the output is."""
        path = module_path()
        if op.name in ("conv2d", "batch_norm"):
            self.runs[path] = self.runs.get(path, 0) + 1
        for value in inputs:
            if id(value) in self.made:
                user = path if op.name == "batch_norm" else ""
                self.uses.setdefault(self.made[id(value)], []).append(user)
        if op.name == "conv2d":
            self.made[id(output)] = path
        self.alive.append(output)

    def found(self) -> list[tuple[str, str]]:
        """Return the pairs (convolution, batch norm)."""
        return [
            (conv, users[0])
            for conv, users in self.uses.items()
            if len(users) == 1 and users[0] and self.runs[conv] == self.runs[users[0]] == 1
        ]


def fold_batch_norm(model: Module, example: Tensor) -> Module:
    """Return a copy of the model for inference, its batch norms folded into convolutions.

    In evaluation mode batch normalisation is a scale and a shift per channel. Behind a
    convolution they are part of its weight and bias: w' = w * s and b' = (b - mean) * s + bias,
    with s = weight / sqrt(var + eps). Which batch norm stands behind which convolution is seen by
    running the example, so that the model must take the same way for every input. Outputs agree
    with the model's own to rounding.

    In basic and bottleneck blocks each convolution, the ReLU behind it and the addition then run
    as one op. A folded model has other parameters: save the model itself, and fold after loading.

    Parameters
    ----------
    model : Module
        Stays as it is.
    example : Tensor
        An input of the kind that the model takes; a batch of one is enough.

    Returns
    -------
    Module
        In evaluation mode, each folded batch norm replaced by an `Identity`.

    Raises
    ------
    TypeError
        If the arguments are not a Module and a Tensor.
    ValueError
        If the folded model's output for the example is not the model's own.

    Examples
    --------
    >>> import minires as mr
    >>> model = mr.models.cifar_resnet(8, width=4)
    >>> mr.nn.fold_batch_norm(model, mr.zeros(1, 3, 8, 8)).bn1
    Identity()
    """
    if not isinstance(model, Module) or not isinstance(example, Tensor):
        raise TypeError(
            "fold_batch_norm: expected a Module and a Tensor that it takes, found"
            f" {type(model).__name__} and {type(example).__name__}"
        )
    folded = copy.deepcopy(model).eval()
    with no_grad(), changed(expanded=frozenset()), _Pairs() as pairs:
        expected = folded(example)
    modules = dict(folded.named_modules())
    for conv_path, norm_path in pairs.found():
        conv, norm = modules[conv_path], modules[norm_path]
        if type(conv) is Conv2d and type(norm) is BatchNorm2d and norm.track_running_stats:
            _fold(conv, norm)
            parent, _, name = norm_path.rpartition(".")
            setattr(modules[parent], name, Identity())
    with no_grad():
        found = folded(example)
    if not _alike(found, expected):
        raise ValueError(
            "fold_batch_norm: the folded model's output is not the model's own; something beside"
            " the batch norm uses the output of a convolution, in a way that no op shows (it is"
            " returned, detached, or read as an array). Fold the parts that are plain"
        )
    return folded


def _alike(found: Any, expected: Any) -> bool:
    """Compare outputs, Tensors in whatever tuples, lists and dicts, to rounding."""
    if isinstance(expected, dict):
        return all(_alike(found[key], value) for key, value in expected.items())
    if isinstance(expected, (tuple, list)):
        return all(_alike(a, b) for a, b in zip(found, expected, strict=True))
    if not isinstance(expected, Tensor) or not is_float(expected.dtype):
        return True
    scale = float(ops.abs(expected).max()) if expected.numel() else 0.0
    error = float(ops.abs(found - expected).max()) if expected.numel() else 0.0
    return not error > 1e-3 * max(scale, 1e-30)


def _fold(conv: Conv2d, norm: BatchNorm2d) -> None:
    """Multiply the norm's scale into the weight, and its shift into the bias."""
    with no_grad():
        scale = 1 / ops.sqrt(norm.running_var + norm.eps)
        scale = scale if norm.weight is None else norm.weight * scale
        start = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
        shift = start * scale if norm.bias is None else start * scale + norm.bias
        # In memory by taps, as products take it: what is only read can lie ready.
        weight = (conv.weight * scale.reshape(-1, 1, 1, 1)).permute(2, 3, 1, 0)
        ready = weight.device.xp.ascontiguousarray(weight._data).transpose(3, 2, 0, 1)
    learns = conv.weight.requires_grad
    conv.weight = Parameter(ready, learns)
    conv.register_parameter("bias", Parameter(shift, learns))
