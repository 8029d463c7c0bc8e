"""Operators of networks and their training: products, normalisation, losses, optimisers."""

from __future__ import annotations

import math
from typing import Any

import minires as mr
from minires import ops

from .node import Adapter, Node, plain, refuse


def _gemm(node: Node, a: mr.Tensor, b: mr.Tensor, c: mr.Tensor | None = None) -> mr.Tensor:
    a = a.T if node["transA"] else a
    b = b.T if node["transB"] else b
    product = node["alpha"] * ops.matmul(a, b)
    return product if c is None else product + node["beta"] * c


def _batch_norm(
    node: Node, x: mr.Tensor, scale: mr.Tensor, b: mr.Tensor, mean: mr.Tensor, var: mr.Tensor
) -> Any:
    # ONNX's momentum is the share that is kept, minires' (as PyTorch's) the new one's.
    share, eps = 1 - node["momentum"], node["epsilon"]
    training = bool(node["training_mode"])
    mean, kept = ops.clone(mean), (1 - share) * var
    y = ops.batch_norm(x, mean, var, scale, b, training, share, eps)
    if not training:
        return y
    # ONNX keeps the variance of the batch, minires (as PyTorch) its unbiased estimate.
    count = x.numel() / x.shape[1]
    return y, mean, kept + (var - kept) * ((count - 1) / count)


def _normalized(x: mr.Tensor, axes: tuple[int, ...], eps: float) -> Any:
    """Return x with mean 0 and variance 1 along the axes, the mean, and the inverse deviation."""
    mean = ops.mean(x, axes, keepdim=True)
    inverse = 1 / ops.sqrt(ops.var(x, axes, correction=0, keepdim=True) + eps)
    return (x - mean) * inverse, mean, inverse


def _local_response_norm(node: Node, x: mr.Tensor) -> mr.Tensor:
    size = node["size"]
    if size % 2 == 0:
        refuse("an even size: the odd channel is the one behind, minires' (as PyTorch's) before")
    return ops.local_response_norm(x, size, node["alpha"], node["beta"], node["bias"])


def _layer_norm(node: Node, x: mr.Tensor, scale: mr.Tensor, b: Any = None) -> Any:
    axes = tuple(range(node["axis"] % x.ndim, x.ndim))
    y, mean, inverse = _normalized(x, axes, node["epsilon"])
    y = scale * y
    return (y if b is None else y + b, mean, inverse)[: node.outputs]


def _instance_norm(node: Node, x: mr.Tensor, scale: mr.Tensor, b: mr.Tensor) -> mr.Tensor:
    y, _, _ = _normalized(x, tuple(range(2, x.ndim)), node["epsilon"])
    channels = (-1,) + (1,) * (x.ndim - 2)
    return ops.reshape(scale, channels) * y + ops.reshape(b, channels)


def _group_norm(node: Node, x: mr.Tensor, scale: mr.Tensor, b: mr.Tensor) -> mr.Tensor:
    grouped = ops.reshape(x, x.shape[0], node["num_groups"], -1)
    y, _, _ = _normalized(grouped, (2,), node["epsilon"])
    channels = (-1,) + (1,) * (x.ndim - 2)
    return ops.reshape(scale, channels) * ops.reshape(y, x.shape) + ops.reshape(b, channels)


def _lp_norm(node: Node, x: mr.Tensor) -> mr.Tensor:
    axis = node["axis"]
    if node["p"] == 1:
        norm = ops.sum(ops.abs(x), axis, keepdim=True)
    else:
        norm = ops.sqrt(ops.sum(x * x, axis, keepdim=True))
    return x / ops.where(ops.equal(norm, 0), 1, norm)


def _rms_norm(node: Node, x: mr.Tensor, scale: mr.Tensor) -> mr.Tensor:
    axes = tuple(range(node["axis"] % x.ndim, x.ndim))
    return scale * x / ops.sqrt(ops.mean(x * x, axes, keepdim=True) + node["epsilon"])


def _mean_variance(node: Node, x: mr.Tensor) -> mr.Tensor:
    return _normalized(x, tuple(node["axes"]), 1e-9)[0]


def _dropout(node: Node, x: mr.Tensor, ratio: Any = None, training: Any = None) -> Any:
    usual, seed = node["ratio"] or 0.5, node["seed"]
    p = usual if ratio is None else ratio.item()
    active = training is not None and bool(training.item())
    if active and p > 0:
        refuse(f"the random numbers of another generator, from seed {seed}")
    kept = ops.cast(ops.ones_like(x), bool)
    return (ops.dropout(x, p, active), kept)[: node.outputs]


def _cross_entropy(node: Node, x: mr.Tensor, labels: mr.Tensor, weight: Any = None) -> Any:
    options = {"reduction": node["reduction"]}
    if node["ignore_index"] is not None:
        options["ignore_index"] = node["ignore_index"]
    loss = ops.cross_entropy(x, labels, weight, **options)
    return (loss, ops.log_softmax(x, 1))[: node.outputs]


def _nll(node: Node, x: mr.Tensor, labels: mr.Tensor, weight: Any = None) -> mr.Tensor:
    """The loss of log-probabilities: picked by the labels, weighed, and reduced."""
    ignored, reduction = node["ignore_index"], node["reduction"]
    counts = ops.not_equal(labels, math.nan if ignored is None else ignored)
    classes = ops.where(counts, labels, 0)
    weights = ops.cast(counts, x.dtype) if weight is None else weight[classes] * counts
    losses = -ops.squeeze(ops.gather(x, 1, ops.unsqueeze(classes, 1)), 1) * weights
    if reduction == "mean":
        return ops.sum(losses) / ops.sum(weights)
    return ops.sum(losses) if reduction == "sum" else losses


def _stepped(optimizer: type, options: Any, x: mr.Tensor, g: mr.Tensor, state: Any) -> Any:
    """Take one step from a state; return the parameter and its new state."""
    parameter = mr.tensor(x, requires_grad=True)
    parameter.grad = g
    stepping = optimizer([parameter], **options)
    stepping.state[parameter] = state
    stepping.step()
    return parameter.detach(), stepping.state[parameter]


def _momentum(node: Node, r: mr.Tensor, t: mr.Tensor, *tensors: mr.Tensor) -> Any:
    count, beta = len(tensors) // 3, node["beta"]
    # The first step takes the whole gradient.
    share = beta if t.item() > 0 else 1.0
    options = {
        "lr": r.item(),
        "momentum": node["alpha"],
        "dampening": 1 - share,
        "weight_decay": node["norm_coefficient"],
        "nesterov": node["mode"] == "nesterov",
    }
    steps = [
        _stepped(mr.optim.SGD, options, x, g, {"momentum_buffer": v.numpy().copy()})
        for x, g, v in zip(*(tensors[i * count : (i + 1) * count] for i in range(3)), strict=True)
    ]
    return *(x for x, _ in steps), *(mr.tensor(s["momentum_buffer"]) for _, s in steps)


def _adam(node: Node, r: mr.Tensor, t: mr.Tensor, *tensors: mr.Tensor) -> Any:
    """ONNX adds epsilon before it corrects the root for starting at 0, minires after it.

    And ONNX's step 0 is corrected not at all: it is undone in minires' first step.
    """
    count, t = len(tensors) // 4, int(t.item())
    if node["norm_coefficient_post"]:
        refuse("a decay of the parameter behind the step")
    beta1, beta2 = node["alpha"], node["beta"]
    step = max(t, 1)
    root = math.sqrt(1 - beta2**step)
    options = {
        "lr": r.item() if t else r.item() * (1 - beta1) / root,
        "betas": (beta1, beta2),
        "eps": node["epsilon"] / root,
        "weight_decay": node["norm_coefficient"],
    }
    steps = []
    for x, g, v, h in zip(*(tensors[i * count : (i + 1) * count] for i in range(4)), strict=True):
        averages = {"exp_avg": v.numpy().copy(), "exp_avg_sq": h.numpy().copy()}
        steps.append(_stepped(mr.optim.Adam, options, x, g, {"step": step - 1, **averages}))
    return (
        *(x for x, _ in steps),
        *(mr.tensor(state["exp_avg"]) for _, state in steps),
        *(mr.tensor(state["exp_avg_sq"]) for _, state in steps),
    )


OPERATORS: dict[str, Adapter] = {
    "BatchNormalization": _batch_norm,
    "Dropout": _dropout,
    "Einsum": lambda node, *inputs: ops.einsum(node["equation"], *inputs),
    "Gemm": _gemm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LRN": _local_response_norm,
    "LayerNormalization": _layer_norm,
    "LpNormalization": _lp_norm,
    "MatMul": plain(ops.matmul),
    "MeanVarianceNormalization": _mean_variance,
    "NegativeLogLikelihoodLoss": _nll,
    "RMSNormalization": _rms_norm,
    "SoftmaxCrossEntropyLoss": _cross_entropy,
    "ai.onnx.preview.training.Adam": _adam,
    "ai.onnx.preview.training.Momentum": _momentum,
}
