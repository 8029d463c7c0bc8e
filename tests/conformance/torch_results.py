"""Every sample of an op of PyTorch's database: agreed, out of scope, or failed."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

import minires as mr

from .torch_rows import ROWS
from .torch_rules import OTHER, RANDOM, REFUSED, RULES, rule_for
from .torch_samples import REFUSALS, DisagreementError, Sample, compare, database, samples_of


@dataclass
class Result:
    """What became of the samples of an op.

    `out_of_scope` counts by place in `RULES`; `ran` holds the ops of minires that took part in a
    forward or backward pass of an agreeing sample.
    """

    agreed: int = 0
    gradients: int = 0
    second_order: int = 0
    out_of_scope: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    ran: set[str] = field(default_factory=set)

    @property
    def samples(self) -> int:
        """How many there were."""
        return self.agreed + self.out_of_scope.total() + len(self.failures)


class _Names(mr.autograd.EngineHook):
    """Notes which ops run."""

    keeps_fused = True

    def __init__(self) -> None:
        self.seen: set[str] = set()

    def op_ran(self, op: Any, inputs: Any, output: Any, node: Any) -> None:
        self.seen.add(op.name)


def results_of(name: str) -> dict[str, Result]:
    """Results by the op's variants in the database."""
    variants = [variant for known, variant in database() if known == name]
    return {variant: _result_of(name, variant) for variant in variants}


def all_results() -> dict[tuple[str, str], Result]:
    """Results of every op with a counterpart, by name and variant, in the order of the names."""
    return {
        (name, variant): result
        for name in sorted(ROWS, key=lambda name: name.removeprefix("nn.functional."))
        for variant, result in results_of(name).items()
    }


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let PyTorch work on one thread: of its others each small sample waits for milliseconds."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@functools.cache
@_one_thread()
def _result_of(name: str, variant: str) -> Result:
    """Run all samples of an op."""
    info, result = database()[name, variant], Result()
    for sample in samples_of(info):
        place = rule_for(name, sample)
        try:
            if place is not None:
                hold_out_of_scope(info, sample, place)
                result.out_of_scope[place] += 1
                continue
            with _Names() as names:
                agreement = compare(info, sample, ROWS[name])
        except (DisagreementError, *REFUSALS) as error:
            result.failures.append(f"{sample}\n    {type(error).__name__}: {error}")
            continue
        result.agreed += 1
        result.gradients += agreement.gradients
        result.second_order += agreement.second_order
        result.ran |= names.seen
    return result


def hold_out_of_scope(info: Any, sample: Sample, place: int) -> None:
    """Hold that minires does with the sample what the rule says: no rule is too wide.

    Raises
    ------
    DisagreementError
        If it does something else, or the very same as PyTorch.
    """
    rule, row = RULES[place], ROWS[info.name]
    if rule.outcome == RANDOM:
        compare(info, sample, row, drawn=True)
        return
    try:
        compare(info, sample, row)
    except DisagreementError:
        met = OTHER
    except REFUSALS:
        met = REFUSED
    else:
        met = "equal to PyTorch's"
    if met != rule.outcome:
        raise DisagreementError(
            f"by the rule {rule.reason!r} minires' answer is {rule.outcome}, and it was {met}"
        )
