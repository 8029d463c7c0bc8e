"""Checking a residual block, beside PyTorch's own `gradcheck` of the same block."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import minires as mr

from .measure import paired
from .steps import numbers_of
from .twin import Block

CHANNELS, SIZE, BATCH = 8, 8, 3


class Blocks:
    """A basic block of minires and of PyTorch with the same numbers, and an input (N, C, H, W)."""

    def __init__(self, seed: int = 0) -> None:
        mr.manual_seed(seed)
        self.ours = mr.nn.BasicBlock(CHANNELS, CHANNELS).to("float64")
        self.theirs = Block(CHANNELS, CHANNELS, 1).double()
        state = {name: torch.tensor(v) for name, v in numbers_of(self.ours).items()}
        self.theirs.load_state_dict(state)
        self.x = np.random.default_rng(seed).standard_normal((BATCH, CHANNELS, SIZE, SIZE))
        self.entries = self.x.size + mr.nn.parameter_count(self.ours)

    def check_ours(self, mode: str) -> None:
        """Check the input's and all parameters' gradients; everything must be right."""
        report = mr.gradcheck(self.ours, self.x, mode=mode)
        if not report:
            raise RuntimeError(report.explain())

    def check_theirs(self, fast: bool) -> None:
        """Do the same by `torch.autograd.gradcheck`, which raises if it finds a mistake."""
        names, parameters = zip(*self.theirs.named_parameters(), strict=True)

        def run(x: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
            named = dict(zip(names, values, strict=True))
            return torch.func.functional_call(self.theirs, named, x)

        x = torch.from_numpy(self.x).requires_grad_()
        torch.autograd.gradcheck(run, (x, *parameters), fast_mode=fast)

    def forwards(self) -> None:
        """Run what no check by differences can do without: two forward passes for each entry."""
        for _ in range(2 * self.entries):
            self.ours(mr.tensor(self.x))


def block_check(rounds: int) -> dict[str, Any]:
    """Time the checks of a block: full ones, and along random directions."""
    blocks = Blocks()
    full = paired(
        {
            "minires": lambda: blocks.check_ours("full"),
            "torch": lambda: blocks.check_theirs(fast=False),
            "floor": blocks.forwards,
        },
        rounds,
    )
    random = paired(
        {
            "minires": lambda: blocks.check_ours("random"),
            "torch": lambda: blocks.check_theirs(fast=True),
        },
        rounds,
    )
    block = f"{CHANNELS} channels, {SIZE}×{SIZE}, batch {BATCH}"
    return {"block": block, "entries": blocks.entries, "full": full, "random": random}
