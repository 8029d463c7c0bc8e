"""Checks of tutorial 10, on reading traces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minires import ops
from minires.models import cifar_resnet
from minires.trace import Trace, record

from ..exercise import Wrong, check


def _trace(seed: int, *, dead: tuple[int, ...] = (), quiet: tuple[int, ...] = ()) -> Trace:
    """Record a step of a ResNet-14, of whose six branches some let nothing through, or little."""
    model = cifar_resnet(14, width=4, in_channels=1, seed=seed)
    blocks = [block for layer in (model.layer1, model.layer2, model.layer3) for block in layer]
    for number in dead:
        bias = blocks[number].bn1.bias
        bias.copy_(bias.detach() - 100)
    for number in quiet:
        weight = blocks[number].bn2.weight
        weight.copy_(weight.detach() / 50)
    rng = np.random.default_rng(seed)
    images = ops.tensor(rng.standard_normal((6, 1, 8, 8)).astype(np.float32))
    with record(model, replay=False) as trace:
        ops.cross_entropy(model(images), ops.tensor(np.arange(6))).backward()
    return trace


@check
def most_by_the_shortcut(answer: Callable[..., Any]) -> str:
    """The block at whose fork the shortcut has the largest share."""
    cases = [(0, (), ()), (1, (), ()), (2, (1,), ()), (3, (3,), ()), (1, (2,), (3,)), (4, (), ())]
    for seed, dead, quiet in cases:
        trace = _trace(seed, dead=dead, quiet=quiet)
        by_block = {fork.block: fork.share("shortcut") or 0.0 for fork in trace.forks()}
        expected = max(by_block, key=lambda block: by_block[block])
        found = answer(trace)
        if found != expected:
            told = ", ".join(f"{block} {100 * share:.0f} %" for block, share in by_block.items())
            raise Wrong(f"The shortcuts' shares are {told}: {expected!r}; found {found!r}.")
    return "Six traces of a ResNet-14."


@check
def dead_branches(answer: Callable[..., Any]) -> str:
    """The blocks whose branch sends nothing back."""
    names = ["layer1.0", "layer1.1", "layer2.0", "layer2.1", "layer3.0", "layer3.1"]
    for seed, dead, quiet in [(0, (), (4,)), (1, (2,), (3,)), (2, (0, 5), (1, 2))]:
        expected = sorted(names[number] for number in dead)
        found = sorted(answer(_trace(seed, dead=dead, quiet=quiet)))
        if found != expected:
            raise Wrong(
                f"In a trace where the branches of {expected or 'no block'} send nothing, found"
                f" {found}. A small share is not nothing."
            )
    return "Three traces: without a dead branch, with one, and with two."
