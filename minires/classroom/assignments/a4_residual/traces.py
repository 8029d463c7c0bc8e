"""Step by step, how the gradients of residual blocks come about."""

from __future__ import annotations


def trace_residual_add_backward(reference, g):
    yield "the shortcut's side of the sum", "dshortcut", g
    yield "the branch's side of the sum", "dbranch", g


def trace_basic_block_backward(reference, g, cache):
    yield from _block(reference, g, cache, ["conv2", "conv1"])


def trace_bottleneck_backward(reference, g, cache):
    yield from _block(reference, g, cache, ["conv3", "conv2", "conv1"])


def trace_stage(reference, x, g, blocks, strides):
    caches = []
    for params, stride in zip(blocks, strides, strict=True):
        x, cache = reference.basic_block(x, params, stride)
        caches.append(cache)
    for number in reversed(range(len(blocks))):
        yield f"block {number}, by its own cache", f"grads[{number}]", g
        g, _ = reference.basic_block_backward(g, caches[number])
    yield "what block 0 hands on", "dx", g


def _block(reference, g, cache, layers):
    """Go back through the branch, then through the shortcut; both lead to x."""
    arrived = arriving = reference.relu_backward(g, cache["sum"])
    came = "the last ReLU and the sum"
    for layer in layers:
        yield f"{came}, to {layer}", f"grads.{layer}", arriving
        arriving, _ = _through(reference, arriving, cache[layer])
        if layer != "conv1":
            inner = f"inner{int(layer[-1]) - 1}"
            arriving = reference.relu_backward(arriving, cache[inner])
            came = f"{layer} and the ReLU of {inner}"
    around, way = arrived, "unchanged"
    if "projection" in cache:
        yield "the last ReLU and the sum, to the projection", "grads.projection", arrived
        around, _ = _through(reference, arrived, cache["projection"])
        way = "through the projection"
    yield "the branch, through conv1", "dx", arrived, arriving
    yield f"the shortcut, {way}", "dx", arrived, around


def _through(reference, g, cache):
    return reference.conv_norm_backward(g, cache)
