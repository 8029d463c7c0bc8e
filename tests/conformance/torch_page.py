"""The page docs/conformance-pytorch.md; `python -m tests.conformance torch` writes it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch

from .torch_results import Result, all_results
from .torch_rows import ROWS
from .torch_rules import NO_COUNTERPART, OTHER, RANDOM, REFUSED, RULES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance-pytorch.md"

_DOES = {
    REFUSED: "refuses, by an error",
    OTHER: "answers otherwise",
    RANDOM: "draws of the same shape and dtype",
}

_OPENING = """\
# Conformance: PyTorch's op database

PyTorch tests itself with a database of ops (`torch.testing._internal`, OpInfo), each with samples
of arguments: broadcasting, 0-d and empty Tensors, negative axes, unusual strides and paddings.
Nobody at minires chose them. This page counts how minires fares with those of PyTorch {version},
for every op that both have. It is written by `python -m tests.conformance torch` (extras
`oracle` and `test`); `python -m pytest tests/conformance -m oracle` runs the same comparison as
tests, and fails where this page is out of date.

All samples in float64, int64 and bool are run. A sample **agrees** if minires accepts the same
arguments and gives the same values (to 1e-10 relative and 1e-12 absolute; 1e-6 where integers
become float32), shapes and dtypes, and writes the same into its arguments (running statistics).
**Gradients**: those of these samples in float64 for which PyTorch has gradients; minires' agree
for every input, under a normal random cotangent, to 1e-9. **Second order**: those of them whose
gradients PyTorch can differentiate again, along a random direction; minires' agree to 1e-8 (and
are zero for the others).

Any other sample is **out of scope** by a rule of `tests/conformance/torch_rules.py`, listed below
with its reason. minires must do with it what the rule says: a rule that matches no sample, or one
on which minires agrees, fails the tests, as does a sample that does not agree and has no rule.

Of {samples} samples of {ops} ops, {agreed} agree, {gradients} of them with gradients, and
{out_of_scope} are out of scope.
"""


def render() -> str:
    """Return the page as it should be."""
    results = all_results()
    opening = _OPENING.format(
        version=torch.__version__.partition("+")[0],
        samples=sum(result.samples for result in results.values()),
        ops=len(ROWS),
        agreed=sum(result.agreed for result in results.values()),
        gradients=sum(result.gradients for result in results.values()),
        out_of_scope=sum(result.out_of_scope.total() for result in results.values()),
    )
    reasons = [[f"`{name}`", reason] for name, reason in NO_COUNTERPART.items()]
    return (
        "\n".join(
            [
                opening,
                "## By op\n",
                _table(
                    ["PyTorch", "minires", *_COUNTS],
                    [_row(*key, result) for key, result in results.items()],
                    counts=len(_COUNTS),
                ),
                "## Out of scope\n",
                _table(["PyTorch", "why", "minires", "samples"], _scope(results), counts=1),
                "## Without a counterpart\n",
                "Ops of minires that the database does not reach.\n",
                _table(["minires", "why"], reasons),
            ]
        ).rstrip("\n")
        + "\n"
    )


_COUNTS = ["samples", "agree", "gradients", "second order", "out of scope"]


def _row(name: str, variant: str, result: Result) -> list[str]:
    called = f"`{name}`" + (f" ({variant.replace('_', ' ')})" if variant else "")
    minires = ROWS[name].minires.removesuffix(".__get__")
    numbers = [
        *(result.samples, result.agreed, result.gradients, result.second_order),
        result.out_of_scope.total(),
    ]
    return [called, f"`mr.{minires}`", *map(str, numbers)]


def _scope(results: dict[tuple[str, str], Result]) -> list[list[str]]:
    met: Counter[int] = Counter()
    for result in results.values():
        met += result.out_of_scope
    return [
        [", ".join(f"`{name}`" for name in rule.ops), rule.reason, _DOES[rule.outcome], str(count)]
        for place, rule in enumerate(RULES)
        if (count := met[place])
    ]


def _table(head: list[str], rows: list[list[str]], counts: int = 0) -> str:
    """Return a Markdown table; its last columns are numbers."""
    rule = ["---"] * (len(head) - counts) + ["---:"] * counts
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)) + "\n"
