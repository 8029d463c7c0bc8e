"""A network of minires as a list of calls that need no minires: so that PyTorch can make them.

A hook notes the ops that run, one of each layer, nothing fused; each is written down as a function
of `torch.nn.functional`, with the same arguments. What has no weights of its own, such as a
shortcut, is stated like everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from minires import devices
from minires.autograd import EngineHook, Node, Op, Tensor, enable_grad, expand
from minires.models.counting import without_values
from minires.nn import Module
from minires.ops import zeros

# Ops that do the work of several; they are stated as those.
_FUSED = "conv2d_relu", "batch_norm_relu", "batch_norm_relu_conv2d"


class Call(NamedTuple):
    """One call of a function.

    Attributes
    ----------
    function : str
        A key of `benchmarks.in_torch.FUNCTIONS`.
    inputs : list of int or str or None
        Numbers of the calls whose results it takes, the image being 0; names of numbers that the
        network holds; or nothing.
    options : dict
        Its other arguments, ready for JSON.
    """

    function: str
    inputs: list[int | str | None]
    options: dict[str, Any]


class Statement(NamedTuple):
    """A network in training, on images of one shape.

    Attributes
    ----------
    image : list of int
        (N, C, H, W).
    learned, buffers : dict of str to list of int
        The shapes of its numbers, by name.
    calls : list of Call
    outputs : list of int
        The calls that made the logits, and those of auxiliary heads.
    """

    image: list[int]
    learned: dict[str, list[int]]
    buffers: dict[str, list[int]]
    calls: list[Call]
    outputs: list[int]


def state(model: Module, image: tuple[int, ...]) -> Statement:
    """State what a model does in training with images (N, C, H, W).

    Raises
    ------
    ValueError
        If it runs an op that has no counterpart here.
    """
    empty = without_values(model)
    names = {id(value): name for name, value in (*empty.named_parameters(), *empty.named_buffers())}
    x = zeros(*image, device=devices.meta, requires_grad=True)
    with devices.default(devices.meta), enable_grad(), expand(*_FUSED), _Writer(x, names) as writer:
        outputs = empty.train()(x)
    listed = list(outputs) if isinstance(outputs, tuple) else [outputs]
    return Statement(
        list(image),
        {name: list(value.shape) for name, value in empty.named_parameters()},
        {name: list(value.shape) for name, value in empty.named_buffers()},
        writer.calls,
        [writer.numbers[id(output)] for output in listed],
    )


class _Writer(EngineHook):
    """Write down every op that runs."""

    def __init__(self, image: Tensor, names: Mapping[int, str]) -> None:
        self.calls: list[Call] = []
        self.numbers = {id(image): 0}
        self._names = names
        self._alive = [image]  # what is gone would leave its id to something else

    def op_ran(self, op: Op[Any], inputs: tuple[Any, ...], output: Any, node: Node | None) -> None:
        if op.name not in _WAYS:
            raise ValueError(f"no function of PyTorch is known for the op {op.name!r}")
        assert node is not None
        given = dict(node.called_with)
        taken = [self._place(value) for value in inputs]
        if op.name == "batch_norm":
            taken += [self._place(value) for value in given.pop("running")]
        function, options = _WAYS[op.name](given, inputs[0].shape, output.shape)
        self.calls.append(Call(function, taken, options))
        self.numbers[id(output)] = len(self.calls)
        self._alive.append(output)

    def _place(self, value: Any) -> int | str | None:
        if value is None:
            return None
        return self.numbers[id(value)] if id(value) in self.numbers else self._names[id(value)]


Way = Callable[[dict[str, Any], tuple[int, ...], tuple[int, ...]], tuple[str, dict[str, Any]]]


def _same(function: str) -> Way:
    """Say that it is a function of no other arguments."""
    return lambda given, before, after: (function, {})


def _convolution(given: Any, before: Any, after: Any) -> tuple[str, dict[str, Any]]:
    window = given["window"]
    padding = [front for front, _ in window.padding]
    geometry = {"stride": window.stride, "padding": padding, "dilation": window.dilation}
    return "conv2d", {**geometry, "groups": given["groups"]}


def _pool(function: str) -> Way:
    def way(given: Any, before: Any, after: Any) -> tuple[str, dict[str, Any]]:
        window = given["window"]
        return function, {
            "kernel_size": window.kernel,
            "stride": window.stride,
            "padding": [front for front, _ in window.padding],
            "ceil_mode": any(back > front for front, back in window.padding),
        }

    return way


def _pad(given: Any, before: Any, after: Any) -> tuple[str, dict[str, Any]]:
    # PyTorch tells the last axis first.
    return "pad", {"pad": [n for widths in reversed(given["widths"]) for n in widths]}


def _step(given: Any, before: Any, after: Any) -> tuple[str, dict[str, Any]]:
    return "getitem", {"steps": [each.step or 1 for each in given["index"]]}


_WAYS: dict[str, Way] = {
    "conv2d": _convolution,
    "linear": _same("linear"),
    "batch_norm": lambda given, *_: (
        "batch_norm",
        {"momentum": given["momentum"], "eps": given["eps"]},
    ),
    "local_response_norm": lambda given, *_: (
        "local_response_norm",
        {
            "size": given["before"] + given["after"] + 1,
            # Ours multiplies the sum of a window, PyTorch's its mean.
            "alpha": given["scale"] * (given["before"] + given["after"] + 1),
            "beta": given["beta"],
            "k": given["k"],
        },
    ),
    "relu": _same("relu"),
    "sigmoid": _same("sigmoid"),
    "max_pool2d": _pool("max_pool2d"),
    "avg_pool2d": _pool("avg_pool2d"),
    # An adaptive average is one product for rows, and one for columns.
    "mix": lambda given, before, after: ("adaptive_avg_pool2d", {"output_size": list(after[2:])}),
    "mean": lambda given, *_: ("mean", {"dim": given["dim"], "keepdim": given["keepdim"]}),
    "reshape": _same("flatten"),
    "concatenate": lambda given, *_: ("cat", {"dim": given["dim"]}),
    "residual_add": _same("add"),
    "mul": _same("mul"),
    "pad": _pad,
    "getitem": _step,
}
