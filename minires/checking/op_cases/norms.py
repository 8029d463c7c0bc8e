"""Cases of batch normalisation, alone and with what follows it, in training and evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minires import ops
from minires.autograd import no_grad

from .case import Array, Case, Draw


def cases() -> Iterator[Case]:
    """Yield all of them."""
    draw = Draw(5)
    for training in (True, False):
        about = "training" if training else "evaluation"
        for shape in ((5, 2), (3, 2, 2, 3)):
            yield from _normalised(draw, shape, training, f"{about}, {len(shape)} dimensions")
        yield from _before_a_convolution(draw, training, about)


def _options(draw: Draw, channels: int, training: bool) -> dict[str, Any]:
    mean, var = ops.tensor(draw.normal(channels)), ops.tensor(draw.positive(channels))
    return {"running_mean": mean, "running_var": var, "training": training}


def _normalised(draw: Draw, shape: tuple[int, ...], training: bool, about: str) -> Iterator[Case]:
    options = _options(draw, shape[1], training)

    def batch_norm(x: Any, weight: Any = None, bias: Any = None) -> Any:
        return ops.batch_norm(x, weight=weight, bias=bias, **options)

    def batch_norm_relu(x: Any, weight: Any = None, bias: Any = None, shortcut: Any = None) -> Any:
        return ops.batch_norm_relu(x, weight=weight, bias=bias, shortcut=shortcut, **options)

    def before_relu(x: Array, *others: Array) -> Any:
        with no_grad():
            y = batch_norm(*map(ops.tensor, (x, *others[:2]))).numpy()
        return y + others[2] if others[2:] else y

    shapes = shape, shape[1:2], shape[1:2]
    inputs = draw.beside(before_relu, *shapes)
    yield Case("batch_norm", f"{about}, weight and bias", batch_norm, inputs)
    yield Case("batch_norm", f"{about}, neither", batch_norm, inputs[:1])
    yield Case("batch_norm_relu", f"{about}, weight and bias", batch_norm_relu, inputs)
    with_shortcut = draw.beside(before_relu, *shapes, shape)
    yield Case("batch_norm_relu", f"{about}, with a shortcut", batch_norm_relu, with_shortcut)


def _before_a_convolution(draw: Draw, training: bool, about: str) -> Iterator[Case]:
    for convolution, filters in (
        ({"stride": 1}, (3, 2, 2, 1)),
        ({"stride": 2, "padding": 1}, (1, 2, 3, 2)),
        ({"groups": 2, "padding": (0, 1)}, (2, 1, 1, 2)),
    ):
        options = _options(draw, 2, training)

        def run(
            x: Any,
            norm_weight: Any,
            norm_bias: Any,
            weight: Any,
            bias: Any = None,
            options: Any = options | convolution,
        ) -> Any:
            return ops.batch_norm_relu_conv2d(
                x,
                norm_weight=norm_weight,
                norm_bias=norm_bias,
                weight=weight,
                bias=bias,
                **options,
            )

        def before_relu(x: Array, weight: Array, bias: Array, options: Any = options) -> Any:
            with no_grad():
                vectors = ops.tensor(weight), ops.tensor(bias)
                y = ops.batch_norm(ops.tensor(x), weight=vectors[0], bias=vectors[1], **options)
            return y.numpy()

        inputs = draw.beside(before_relu, (3, 2, 2, 3), (2,), (2,))
        told = ", ".join(f"{name} {value}" for name, value in convolution.items())
        weight, bias = draw.normal(*filters), draw.normal(filters[0])
        yield Case("batch_norm_relu_conv2d", f"{about}, {told}", run, (*inputs, weight, bias))
