"""Ops that ranks compute together, with two ranks that hold the same numbers."""

from __future__ import annotations

from typing import Any

import minires as mr
from minires.checking.op_cases.collectives import Mirrored

from .case import Case, Dice, Row
from .products import batch_norm_case


def all_reduce(dice: Dice) -> Case:
    return Case(
        lambda x: mr.ops.all_reduce(x, Mirrored()),
        (dice.normal(*dice.shape()),),
        lambda x: 2 * x,
        lambda t, x: 2 * x,
    )


def sync_batch_norm(dice: Dice) -> Case:
    def op(*args: Any, **options: Any) -> mr.Tensor:
        return mr.ops.sync_batch_norm(*args, **options, communicator=Mirrored())

    return batch_norm_case(dice, op, training=True)


ROWS: dict[str, Row] = {"all_reduce": all_reduce, "sync_batch_norm": sync_batch_norm}
