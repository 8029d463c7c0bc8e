"""Checks of tutorial 14, on lesions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from minires import ops
from minires.models import cifar_resnet

from ..exercise import Wrong, check


@check
def fraction_left(answer: Callable[..., Any]) -> str:
    """How many of all paths do not cross a deleted block."""
    for blocks, deleted in [(3, 1), (5, 0), (6, 2), (9, 9)]:
        ways = list(product([False, True], repeat=blocks))
        expected = sum(not any(way[:deleted]) for way in ways) / len(ways)
        found = float(answer(blocks, deleted))
        if not np.isclose(found, expected):
            raise Wrong(
                f"Of {len(ways)} paths through {blocks} blocks, without {deleted} of them"
                f" {expected * len(ways):.0f} remain: {expected:.4g}, found {found:.4g}."
            )
    return "All paths counted, for four networks."


@check
def shortcut_only(answer: Callable[..., Any]) -> str:
    """A residual block without its branch."""
    model = cifar_resnet(8, width=4, seed=0).eval()
    rng = np.random.default_rng(0)
    for block, channels in [(model.layer1[0], 4), (model.layer2[0], 4)]:
        x = ops.tensor(rng.standard_normal((2, channels, 6, 6)).astype(np.float32))
        found = answer(block, x)
        found = found.numpy() if hasattr(found, "numpy") else np.asarray(found)
        gamma = block.bn2.weight
        kept = gamma.numpy().copy()
        gamma.copy_(ops.zeros_like(gamma))
        expected = block(x).numpy()
        gamma.copy_(ops.tensor(kept))
        if found.shape != expected.shape:
            raise Wrong(
                f"It has shape {found.shape}, and the block's output {expected.shape}:"
                " where the"
                " shape changes, the shortcut changes it as well."
            )
        if not np.allclose(found, expected, atol=1e-6):
            negative = (found < 0).any()
            why = (
                "A ReLU follows the addition." if negative else "Nothing of the branch may be left."
            )
            raise Wrong(f"It is not what the block returns without its branch. {why}")
    return "The same as blocks whose last batch norm is zero."
