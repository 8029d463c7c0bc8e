"""The page docs/conformance-onnx.md; `python -m tests.conformance onnx` writes it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import onnx

import minires as mr

from .onnx_adapter import check
from .onnx_out_of_scope import operator_reason, reason
from .onnx_suite import Case, load

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance-onnx.md"

HEAD = """\
# Conformance with ONNX

The node tests of the ONNX project (`onnx.backend.test`, onnx {version}) are small graphs with
values for their inputs and the values that must come out. minires reads no ONNX files;
`tests/conformance/onnx_adapter` says each operator in minires' public ops, and the tests run every
case of the suite through it: shape and dtype must be those that ONNX expects, and values within its
tolerances. The suite has no gradients.

Of {total} cases {passed} pass. The other {out} are out of scope, each for a reason that stands
below; a test sees to it that none of them would pass. `python -m tests.conformance onnx` writes
this page, and with `--list` says of every single case what becomes of it."""

OPERATORS = """\
## What passes

*Single* are the cases of one node, *spelled out* those in which ONNX writes the operator as a graph
of others; each as passed / all. The ops are those of minires that ran in the single cases; where
there are none, a Tensor is made or measured, or an optimiser of `mr.optim` takes a step."""

FOREIGN = """\
## Operators out of scope

What minires lacks by PyTorch's name for it, or what is not its subject. Where the cases that spell
out such an operator are graphs of others that minires has, they run and stand above."""

REST = """\
## Cases out of scope

Of operators that minires has, or in the graphs that spell one out."""


class _Ran(mr.autograd.EngineHook):
    """Notes the names of the ops that ran."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def op_ran(self, op, inputs, output, node) -> None:
        self.names.add(op.name)


def ops_of(cases: Iterable[Case]) -> set[str]:
    """Which of minires' ops the cases, which must pass, consist of."""
    with _Ran() as ran:
        for case in cases:
            check(case)
    return ran.names


def listing() -> str:
    """Return a line about every case."""
    reasons = {name: reason(case) for name, case in sorted(load().items())}
    return "".join(
        f"{name}: {'passes' if why is None else 'out of scope: ' + why}\n"
        for name, why in reasons.items()
    )


def render() -> str:
    """Return the page as it should be."""
    cases = load()
    reasons = {name: reason(case) for name, case in cases.items()}
    passed = [case for name, case in cases.items() if reasons[name] is None]
    rest = {
        name: why
        for name, why in reasons.items()
        if why is not None and why != operator_reason(cases[name].operator)
    }
    foreign = sorted({c.operator for c in cases.values() if operator_reason(c.operator)})
    counts = Counter(case.operator for case in cases.values() if not case.expanded)
    head = HEAD.format(
        version=onnx.__version__,
        total=len(cases),
        passed=len(passed),
        out=len(cases) - len(passed),
    )
    chapters = (
        head,
        OPERATORS,
        _table(["operator", "minires", "single", "spelled out"], _rows(cases, passed)),
        FOREIGN,
        _table(
            ["operator", "why", "cases"],
            ([name, operator_reason(name) or "", str(counts[name])] for name in foreign),
        ),
        REST,
        _table(["why", "cases"], _grouped(cases, rest)),
    )
    return "\n\n".join(chapters) + "\n"


def _rows(cases: Mapping[str, Case], passed: Sequence[Case]) -> Iterable[Sequence[str]]:
    every = Counter((case.operator, case.expanded) for case in cases.values())
    good = defaultdict(list)
    for case in passed:
        good[case.operator, case.expanded].append(case)
    for operator in sorted({case.operator for case in passed}):
        ran = sorted(ops_of(good[operator, False]))
        yield (
            operator,
            ", ".join(f"`{name}`" for name in ran),
            *(
                f"{len(good[operator, expanded])} / {every[operator, expanded]}"
                if every[operator, expanded]
                else ""
                for expanded in (False, True)
            ),
        )


def _grouped(cases: Mapping[str, Case], rest: Mapping[str, str]) -> Iterable[Sequence[str]]:
    """Each reason, and how many cases of which operators it holds for; a few are named."""
    names = defaultdict(list)
    for name, why in rest.items():
        names[why].append(name)
    for why, found in sorted(names.items()):
        if len(found) <= 6:
            yield why, ", ".join(f"`{name.removeprefix('test_')}`" for name in found)
        else:
            counts = Counter(cases[name].operator for name in found)
            yield why, ", ".join(f"{operator} {count}" for operator, count in counts.items())


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
