"""The gradient checker on the bank of right and wrong gradients, beside simpler ways to check."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich import box
from rich.table import Table
from scipy.stats import beta

import minires as mr
from minires.checking.bank import RIGHT, WRONG, Case, Solution

Array = np.ndarray[Any, Any]

_STEP, _RTOL, _ATOL = 1e-5, 1e-5, 1e-7


class Evidence(NamedTuple):
    """What the simpler checks look at; they share it, as it takes most of their time.

    Attributes
    ----------
    inputs : list of array
    ones, random : pair of lists of array
        For a cotangent of ones and for a random one: the gradients, and what differences give.
    rng : Generator
        Chooses entries.
    """

    inputs: list[Array]
    ones: tuple[list[Array], list[Array]]
    random: tuple[list[Array], list[Array]]
    rng: np.random.Generator


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def _evidence(case: Case, seed: int) -> Evidence:
    rng = np.random.default_rng([seed, 1])
    shapes = [np.shape(output) for output in _listed(case.forward(*_copies(case.inputs)))]
    jacobians = _differences(case)

    def answers(cotangents: list[Array]) -> tuple[list[Array], list[Array]]:
        given = _copies(cotangents)
        g = given[0] if len(given) == 1 else tuple(given)
        found = [np.asarray(value) for value in _listed(case.vjp(g, *_copies(case.inputs)))]
        whole = np.concatenate([cotangent.ravel() for cotangent in cotangents])
        expected = [
            (whole @ jacobian).reshape(array.shape)
            for jacobian, array in zip(jacobians, case.inputs, strict=True)
        ]
        return found, expected

    ones = [np.ones(shape) for shape in shapes]
    random = [np.asarray(rng.standard_normal(shape)) for shape in shapes]
    return Evidence(case.inputs, answers(ones), answers(random), rng)


def _copies(arrays: Sequence[Array]) -> list[Array]:
    return [array.copy() for array in arrays]


def _differences(case: Case) -> list[Array]:
    """Return the Jacobian by central differences, (M, size), of each input."""

    def outputs(number: int, index: tuple[int, ...], step: float) -> Array:
        moved = _copies(case.inputs)
        moved[number][index] += step
        return np.concatenate([np.ravel(output) for output in _listed(case.forward(*moved))])

    return [
        np.stack(
            [
                (outputs(number, index, _STEP) - outputs(number, index, -_STEP)) / (2 * _STEP)
                for index in np.ndindex(*array.shape)
            ],
            axis=1,
        )
        for number, array in enumerate(case.inputs)
    ]


def _agree(
    found: Sequence[Array], expected: Sequence[Array], tolerance: tuple[float, float]
) -> bool:
    try:  # without a look at the shapes, as such checks are written
        return all(np.allclose(a, b, *tolerance) for a, b in zip(found, expected, strict=True))
    except ValueError:
        return False


def _all_entries(answers: tuple[list[Array], list[Array]]) -> bool:
    return _agree(*answers, (_RTOL, _ATOL))


def _one_entry(evidence: Evidence) -> bool:
    """Look at one entry of each input, with a cotangent of ones."""
    for found, expected in zip(*evidence.ones, strict=True):
        index = tuple(int(evidence.rng.integers(size)) for size in expected.shape)
        try:
            agree = np.allclose(found[index], expected[index], 1e-2, 1e-2)
        except IndexError:
            return False
        if not agree:
            return False
    return True


def _shapes(evidence: Evidence) -> bool:
    return [found.shape for found in evidence.ones[0]] == [x.shape for x in evidence.inputs]


OURS = "minires"
SIMPLER: dict[str, Callable[[Evidence], bool]] = {
    "random cotangent": lambda evidence: _all_entries(evidence.random),
    "cotangent of ones": lambda evidence: _all_entries(evidence.ones),
    "one random entry": _one_entry,
    "shapes only": _shapes,
}
CHECKS = (OURS, *SIMPLER)


def verdicts(solution: Solution, seed: int) -> tuple[dict[str, str], float]:
    """Return what each check says about a solution, and the seconds that ours took."""
    case = solution.case(seed)
    start = time.perf_counter()
    status = mr.gradcheck((case.forward, case.vjp), case.inputs, seed=seed).status
    seconds = time.perf_counter() - start
    evidence = _evidence(case, seed)
    simpler = {name: "right" if check(evidence) else "wrong" for name, check in SIMPLER.items()}
    return {OURS: status} | simpler, seconds


def upper_bound(events: int, trials: int) -> float:
    """Return the 95 % upper bound of a rate (Clopper and Pearson; about 3 / trials for none)."""
    return 1.0 if events == trials else float(beta.ppf(0.95, events + 1, trials - events))


def judged(solutions: Sequence[Solution], seeds: int, failures: frozenset[str]) -> dict[str, Any]:
    """Check all solutions with all seeds; `failures` are the verdicts that a check should not give.

    Returns
    -------
    dict
        By check: the rate of failures. ``"totals"``: their number, their rate's upper bound and
        the number of undecided checks. ``"by_solution"``: failures and undecided ones of each.
    """
    said = {solution.title: {check: Counter[str]() for check in CHECKS} for solution in solutions}
    times = []
    for solution in solutions:
        for seed in range(seeds):
            told, seconds = verdicts(solution, seed)
            times.append(1e3 * seconds)
            for check, verdict in told.items():
                said[solution.title][check][verdict] += 1

    def failed(verdicts: Counter[str]) -> int:
        return sum(verdicts[failure] for failure in failures)

    trials = seeds * len(solutions)
    totals = {}
    for check in CHECKS:
        whole = sum((row[check] for row in said.values()), Counter[str]())
        totals[check] = {
            "failures": failed(whole),
            "upper_bound": upper_bound(failed(whole), trials),
            "undecided": whole["undecided"],
        }
    return {
        **{check: total["failures"] / trials for check, total in totals.items()},
        "solutions": len(solutions),
        "seeds": seeds,
        "totals": totals,
        "by_solution": {
            title: {
                check: {"failures": failed(row[check]), "undecided": row[check]["undecided"]}
                for check in CHECKS
            }
            for title, row in said.items()
        },
        "ms_per_check": {"shortest": min(times), "median": float(np.median(times))},
    }


def checking(seeds: int) -> Iterator[tuple[str, Any]]:
    """Measure the rates of false alarms and of misses."""
    yield "false alarms", judged(RIGHT, seeds, frozenset({"wrong", "unfit"}))
    yield "misses", judged(WRONG, seeds, frozenset({"right"}))


def table(name: str, measured: dict[str, Any]) -> Table:
    """Return the failures of each check: in total, and of each solution, in seeds."""
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    drawn.add_column(f"{name}, of {measured['seeds']} seeds (? undecided)")
    for check in CHECKS:
        drawn.add_column(check, justify="right")

    def row(heading: str, counts: dict[str, Any]) -> None:
        drawn.add_row(heading, *(_told(counts[check]) for check in CHECKS))

    for title, counts in measured["by_solution"].items():
        row(title, counts)
    drawn.add_section()
    row(f"all {measured['solutions']}", measured["totals"])
    drawn.add_row("rate", *(f"{measured[check]:.2%}" for check in CHECKS))
    bounds = [measured["totals"][check]["upper_bound"] for check in CHECKS]
    drawn.add_row("95 % upper bound", *(f"{bound:.2%}" for bound in bounds))
    return drawn


def _told(counts: dict[str, Any]) -> str:
    undecided = counts["undecided"]
    return f"{counts['failures']}" + (f" (? {undecided})" if undecided else "")
