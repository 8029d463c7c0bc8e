"""What of PyTorch's op database is out of minires' scope: samples by rule, names by table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from .torch_samples import Sample

# What minires does with a sample that is out of scope.
REFUSED = "refused"  # it says so, by an error
OTHER = "otherwise"  # it answers, knowingly, something else
RANDOM = "random"  # it draws numbers of its own, of the same shape and dtype


class Rule(NamedTuple):
    """Samples of some ops that are out of scope, and why."""

    ops: tuple[str, ...]
    applies: Callable[[Sample], bool]
    reason: str
    outcome: str = REFUSED


def _has(name: str) -> Callable[[Sample], bool]:
    return lambda sample: name in sample.kwargs


def _one_image(sample: Sample) -> bool:
    return sample.input.ndim == 3


def _second(sample: Sample) -> Any:
    """The argument behind the input, by position."""
    return sample.args[0] if sample.args else None


def _pads_too_far(sample: Sample) -> bool:
    extra, stride = (sample.kwargs.get(name, 0) for name in ("output_padding", "stride"))
    return isinstance(extra, tuple) and any(e >= s for e, s in zip(extra, stride, strict=True))


def _is_random(sample: Sample) -> bool:
    return sample.kwargs.get("training", True) and 0 < sample.kwargs.get("p", 0.5) < 1


RULES = (
    Rule(("add", "sub", "rsub"), _has("alpha"), "no `alpha`: multiply first"),
    Rule(("div",), _has("rounding_mode"), "no `rounding_mode`: `floor_div` rounds down"),
    Rule(("softmax", "log_softmax"), _has("dtype"), "no `dtype`: `x.to(dtype)` comes first"),
    Rule(
        tuple(
            f"nn.functional.{name}"
            for name in (
                *("conv2d", "conv_transpose2d", "max_pool2d"),
                *("adaptive_avg_pool2d", "adaptive_max_pool2d"),
            )
        ),
        _one_image,
        "a single image without the axis N: the error advises `unsqueeze(0)`",
    ),
    Rule(
        ("nn.functional.interpolate",),
        lambda sample: sample.input.ndim != 4,
        "minires resizes images, neither rows nor volumes",
    ),
    Rule(
        ("nn.functional.interpolate",),
        lambda sample: sample.kwargs["mode"] not in ("nearest", "bilinear"),
        "no mode but `nearest` and `bilinear`; `area` is `adaptive_avg_pool2d`",
    ),
    Rule(
        ("nn.functional.conv_transpose2d",),
        _pads_too_far,
        "`output_padding` is smaller than `stride`, also where the kernel is dilated",
    ),
    Rule(
        ("nn.functional.avg_pool2d",),
        lambda sample: sample.args[-1] == -2,
        "a negative divisor, and an empty stride for the default one",
    ),
    Rule(
        ("nn.functional.avg_pool2d",),
        lambda sample: sample.dtype == torch.int64,
        "integers are averaged in float32, not cut to integers",
        OTHER,
    ),
    Rule(
        ("nn.functional.local_response_norm",),
        # Of one value alone the average is whole.
        lambda sample: sample.dtype == torch.int64 and sample.input.shape[:2] != (1, 1),
        "squares of integers are averaged in float32, not cut to integers",
        OTHER,
    ),
    Rule(
        ("nn.functional.batch_norm",),
        lambda sample: sample.input.ndim == 1,
        "input without an axis of channels",
    ),
    Rule(
        ("nn.functional.dropout", "nn.functional.dropout2d"),
        _is_random,
        "random: another generator draws the mask",
        RANDOM,
    ),
    Rule(("randn",), lambda sample: True, "random: another generator draws the numbers", RANDOM),
    Rule(
        ("max", "min"),
        lambda sample: isinstance(_second(sample), torch.Tensor),
        "two Tensors are compared by `maximum` and `minimum`, as the error says",
    ),
    Rule(
        ("std", "var"),
        lambda sample: "unbiased" in sample.kwargs or isinstance(_second(sample), bool),
        "no `unbiased`, the former name of `correction`",
    ),
    Rule(
        ("to", "float", "double"),
        _has("memory_format"),
        "no `memory_format`: the order in memory is the device's business",
    ),
    Rule(
        ("gather",),
        lambda sample: sample.args[1].ndim > max(sample.input.ndim, 1),
        "an empty index of any number of axes",
    ),
    Rule(
        ("cat",),
        lambda sample: len({x.ndim for x in sample.input}) > 1,
        "an empty Tensor of one axis beside Tensors of more",
    ),
    Rule(
        ("__rpow__",),
        lambda sample: sample.dtype == torch.int64 and bool((sample.input < 0).any()),
        "negative powers of integers are refused, not rounded to 0",
    ),
    Rule(
        ("equal",),
        lambda sample: sample.args[0].ndim > 0 or sample.input.ndim > 0,
        "PyTorch's `equal` asks about whole Tensors; minires' is its `eq`, element by element",
        OTHER,
    ),
)


def rule_for(name: str, sample: Sample) -> int | None:
    """Place in `RULES` of the first rule that a sample falls under."""
    for place, rule in enumerate(RULES):
        if name in rule.ops and rule.applies(sample):
            return place
    return None


# Ops of minires' registry that no sample reaches, and public functions that no row names.
NO_COUNTERPART = {
    "residual_add": "minires' own: the addition that knows its two sides",
    "batch_norm_relu": "fused; the parts of its twin, such as `batch_norm`, are compared",
    "batch_norm_relu_conv2d": "fused; the parts of its twin are compared",
    "conv2d_relu": "fused; the parts of its twin are compared",
    "sync_batch_norm": "`batch_norm` of several processes, of which the database knows nothing",
    "all_reduce": "a sum over processes",
    "checkpoint": "any other ops, computed again on the way back",
    "clip": "the database's limits are Tensors; the op in the registry is for limits of numbers",
    "window_sums": "an inner op, by which the gradient of `avg_pool2d` is differentiated once more",
    "stochastic_depth": "torchvision's, which has no database; it is `dropout` of whole samples",
    "cast": "compared as `Tensor.float` and `Tensor.double`",
    "col2im": "the database has no `fold`; it runs as the gradient of `im2col`",
    "unbroadcast": "the engine's own; it runs in the gradient of whatever broadcasts",
    "rand": "random numbers, as `randn`",
    "tensor": "makes a Tensor of data, as every sample of this comparison is made",
    "to": "compared where it changes the dtype; the op in the registry is for another device",
    "cpu": "`to` with a device",
    "cuda": "`to` with a device",
    "is_device": "a question about names",
    "dim": "a question about a shape; PyTorch's database has computations only",
    "numel": "a question about a shape",
    "size": "a question about a shape",
}
