"""A stated network in PyTorch's eager mode; nothing here needs minires, which would weigh much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

LAYOUTS = {
    "torch NCHW": torch.contiguous_format,
    "torch channels_last": torch.channels_last,
}


def _batch_norm(x: Any, weight: Any, bias: Any, mean: Any, variance: Any, **options: Any) -> Any:
    return functional.batch_norm(x, mean, variance, weight, bias, training=True, **options)


def _getitem(x: Any, steps: list[int]) -> Any:
    return x[tuple(slice(None, None, step) for step in steps)]


def _cat(*parts: Any, dim: int) -> Any:
    return torch.cat(parts, dim)


def _flatten(x: Any) -> Any:
    return x.flatten(1)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "conv2d": functional.conv2d,
    "linear": functional.linear,
    "batch_norm": _batch_norm,
    "local_response_norm": functional.local_response_norm,
    "relu": functional.relu,
    "sigmoid": torch.sigmoid,
    "max_pool2d": functional.max_pool2d,
    "avg_pool2d": functional.avg_pool2d,
    "adaptive_avg_pool2d": functional.adaptive_avg_pool2d,
    "mean": torch.mean,
    "flatten": _flatten,
    "cat": _cat,
    "add": torch.add,
    "mul": torch.mul,
    "pad": functional.pad,
    "getitem": _getitem,
}


class TorchNetwork:
    """The network of a `Statement`, in training.

    What a call takes for the last time is let go of, as a local variable would be, and as in
    torchvision's networks a ReLU writes over what nobody else needs.

    Parameters
    ----------
    statement : mapping
        A `Statement`'s fields.
    layout : torch.memory_format
    numbers : mapping of str to ndarray, optional
        Parameters and buffers by name; drawn here where they are not given.

    Attributes
    ----------
    learned : dict of str to Tensor
    """

    def __init__(
        self,
        statement: Mapping[str, Any],
        layout: torch.memory_format,
        numbers: Mapping[str, Any] | None = None,
    ) -> None:
        self.learned: dict[str, torch.Tensor] = {}
        held: dict[str, torch.Tensor] = {}
        for name, shape in (statement["learned"] | statement["buffers"]).items():
            held[name] = _drawn(name, shape) if numbers is None else torch.tensor(numbers[name])
            if len(shape) == 4:
                held[name] = held[name].contiguous(memory_format=layout)
            if name in statement["learned"]:
                self.learned[name] = held[name].requires_grad_()
        self._held = held
        self._outputs = statement["outputs"]
        calls = statement["calls"]
        last = {source: place for place, call in enumerate(calls) for source in call[1]}
        uses = Counter(source for call in calls for source in call[1])
        self._calls = []
        for place, (name, inputs, options) in enumerate(calls):
            gone = {s for s in inputs if last[s] == place and isinstance(s, int)}
            function, more = FUNCTIONS[name], dict(options)
            if name == "relu" and uses[inputs[0]] == 1:
                more["inplace"] = True
            self._calls.append((function, inputs, more, gone.difference(self._outputs)))

    def __call__(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Map images to the logits, and those of auxiliary heads."""
        made: dict[Any, Any] = {0: x, None: None, **self._held}
        for number, (function, inputs, options, gone) in enumerate(self._calls, 1):
            made[number] = function(*[made[source] for source in inputs], **options)
            for source in gone:
                del made[source]
        return [made[number] for number in self._outputs]


class TorchStep:
    """Forward and backward in training, without an update; see `benchmarks.steps.MiniresStep`."""

    def __init__(
        self,
        statement: Mapping[str, Any],
        layout: torch.memory_format,
        images: torch.Tensor,
        labels: torch.Tensor,
        numbers: Mapping[str, Any] | None = None,
    ) -> None:
        self.network = TorchNetwork(statement, layout, numbers)
        self._x, self._y = images.contiguous(memory_format=layout), labels

    def __call__(self) -> float:
        """Go forward and backward; return the loss. Gradients are new."""
        for parameter in self.network.learned.values():
            parameter.grad = None
        outputs = self.network(self._x)
        loss, *heads = (functional.cross_entropy(logits, self._y) for logits in outputs)
        for head in heads:
            loss = loss + 0.3 * head
        loss.backward()
        return loss.item()


def _drawn(name: str, shape: list[int]) -> torch.Tensor:
    """Make numbers: those of a network that is about to be trained, more or less."""
    if len(shape) > 1:
        return torch.empty(shape).normal_(0, (2 / torch.tensor(shape[1:]).prod().item()) ** 0.5)
    return torch.ones(shape) if name.endswith(("weight", "var")) else torch.zeros(shape)
