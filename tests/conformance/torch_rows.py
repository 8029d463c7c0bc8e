"""Which op of minires answers to which of PyTorch's op database, and how it is called."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import minires as mr


def _as_it_is(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)


class Row(NamedTuple):
    """A counterpart: the public name in minires, and how the database's arguments reach it."""

    minires: str
    adapt: Callable[..., Any] = _as_it_is

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call minires with a sample's arguments."""
        function = reduce(getattr, self.minires.split("."), mr)
        return self.adapt(function, *args, **kwargs)


def _swapped(function: Any, first: Any, second: Any) -> Any:
    return function(second, first)


def _condition_first(where: Any, a: Any, condition: Any, b: Any) -> Any:
    return where(condition, a, b)


def _equation_first(einsum: Any, operands: Any, equation: str) -> Any:
    return einsum(equation, *operands)


def _value_by_name(pad: Any, x: Any, widths: Any, value: float = 0.0) -> Any:
    return pad(x, widths, value=value)


def _by_size_where_it_is_recomputed(
    interpolate: Any, x: Any, *args: Any, recompute_scale_factor: Any = None, **kwargs: Any
) -> Any:
    """PyTorch can be asked to make a size of a factor, and then to go by that."""
    if recompute_scale_factor:
        factor = kwargs.pop("scale_factor")
        kwargs["size"] = tuple(int(n * factor) for n in x.shape[2:])
    return interpolate(x, *args, **kwargs)


def _upper(clip: Any, x: Any, limit: Any) -> Any:
    return clip(x, max=limit)


_SAME_NAME = (
    *("abs", "add", "sub", "mul", "div", "neg", "pow", "maximum", "minimum", "remainder"),
    *("exp", "log", "sqrt", "sin", "cos", "tanh", "erf", "sigmoid", "sign", "isnan", "isfinite"),
    *("logical_and", "logical_or", "logical_not"),
    *("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not"),
    *("sum", "mean", "std", "var", "all", "any", "amax", "amin", "argmax", "argmin", "logsumexp"),
    *("softmax", "log_softmax", "gather", "cat", "stack", "matmul"),
    *("broadcast_to", "expand", "clone", "flip", "permute", "reshape", "transpose"),
    *("flatten", "squeeze", "unsqueeze", "equal"),
    *("arange", "eye", "full", "ones", "ones_like", "randn", "zeros", "zeros_like"),
)

# By name in the database, all variants: those that do something else are out of scope by a rule.
ROWS: dict[str, Row] = {
    **{name: Row(f"ops.{name}") for name in _SAME_NAME},
    **{
        f"nn.functional.{name}": Row(f"ops.{name}")
        for name in (
            *("adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d", "batch_norm", "conv2d"),
            *("conv_transpose2d", "cross_entropy", "dropout", "dropout2d", "gelu", "leaky_relu"),
            *("linear", "local_response_norm", "max_pool2d", "mse_loss", "pad", "relu", "relu6"),
        )
    },
    "nn.functional.unfold": Row("ops.im2col"),
    "nn.functional.interpolate": Row("ops.interpolate", _by_size_where_it_is_recomputed),
    "constant_pad_nd": Row("ops.pad", _value_by_name),
    "true_divide": Row("ops.div"),
    "floor_divide": Row("ops.floor_div"),
    "clamp": Row("ops.clip"),
    "clamp_max": Row("ops.clip", _upper),
    "clamp_min": Row("ops.clip"),
    "max": Row("ops.max"),
    "min": Row("ops.min"),
    "where": Row("ops.where", _condition_first),
    "einsum": Row("ops.einsum", _equation_first),
    "eq": Row("ops.equal"),
    "ne": Row("ops.not_equal"),
    "lt": Row("ops.less"),
    "le": Row("ops.less_equal"),
    "gt": Row("ops.greater"),
    "ge": Row("ops.greater_equal"),
    **{name: Row("ops.matmul") for name in ("mm", "bmm", "mv", "dot")},
    "rsub": Row("ops.sub", _swapped),
    "__getitem__": Row("Tensor.__getitem__"),
    "__radd__": Row("Tensor.__radd__"),
    "__rsub__": Row("Tensor.__rsub__"),
    "__rmul__": Row("Tensor.__rmul__"),
    "__rdiv__": Row("Tensor.__rtruediv__"),
    "__rmod__": Row("Tensor.__rmod__"),
    "__rpow__": Row("Tensor.__rpow__"),
    "__rmatmul__": Row("Tensor.__rmatmul__"),
    "__rand__": Row("Tensor.__rand__"),
    "__ror__": Row("Tensor.__ror__"),
    "__rxor__": Row("Tensor.__rxor__"),
    "T": Row("Tensor.T.__get__"),
    "double": Row("Tensor.double"),
    "float": Row("Tensor.float"),
    "item": Row("Tensor.item"),
    "to": Row("Tensor.to"),
    "view": Row("Tensor.view"),
}
