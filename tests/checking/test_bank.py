"""The bank: what it calls wrong is wrong, what it calls right is right, and the checker agrees."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.checking.bank import EXCLUDED, RIGHT, WRONG, Case, Solution

Array = np.ndarray[Any, Any]

EVERY = (*RIGHT, *WRONG)
LISTED = {
    *(f"A{number}" for number in range(1, 17)),
    *(f"R{number}" for number in range(1, 8)),
    *(f"C{number}" for number in range(1, 21)),
    *(f"B{number}" for number in range(1, 20)),
    *(f"L{number}" for number in range(1, 5)),
}
# `python -m benchmarks checking` looks at 200.
THOROUGH = range(25)
ONE_STEP = 1e-30j


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def title(solution: Solution) -> str:
    return solution.title


def as_op(case: Case) -> Any:
    """The same function and gradient as an op of the engine."""
    planted = mr.op(name="planted")(lambda *values: case.forward(*values))

    @planted.vjp
    def _(g: Array, inputs: tuple[Array, ...]) -> Any:
        return case.vjp(g, *inputs)

    return planted


def is_an_op(solution: Solution) -> bool:
    """An op has one output."""
    case = solution.case(0)
    return not isinstance(case.forward(*case.inputs), tuple)


def status(solution: Solution, seed: int) -> str:
    case = solution.case(seed)
    return mr.gradcheck((case.forward, case.vjp), case.inputs, seed=seed).status


def differentiated(case: Case, cotangents: list[Array]) -> list[Array]:
    """The exact gradient: a step into the complex plane is so small that nothing is cut off."""
    gradients = []
    for number, array in enumerate(case.inputs):
        gradient = np.zeros(array.shape)
        for index in np.ndindex(*array.shape):
            moved = [np.array(value, dtype=complex) for value in case.inputs]
            moved[number][index] += ONE_STEP
            for output, cotangent in zip(listed(case.forward(*moved)), cotangents, strict=True):
                gradient[index] += (np.imag(output) * cotangent).sum() / ONE_STEP.imag
        gradients.append(gradient)
    return gradients


def answer(case: Case, cotangents: list[Array]) -> list[Array] | None:
    """A solution's gradients, or None if it writes into what it was given."""
    inputs = [array.copy() for array in case.inputs]
    given = [cotangent.copy() for cotangent in cotangents]
    case.forward(*inputs)
    found = listed(case.vjp(given[0] if len(given) == 1 else tuple(given), *inputs))
    intact = all(map(np.array_equal, [*inputs, *given], [*case.inputs, *cotangents]))
    return found if intact else None


def random_cotangents(case: Case, seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    outputs = listed(case.forward(*(array.copy() for array in case.inputs)))
    return [np.asarray(rng.standard_normal(np.shape(output))) for output in outputs]


def error(solution: Solution, seed: int) -> float:
    """How far a solution's gradient is from the exact one, in terms of that one's largest entry.

    Infinite if it has another shape or dtype, is not finite, or something given was written into.
    """
    case = solution.case(seed)
    cotangents = random_cotangents(case, seed)
    found = answer(case, cotangents)
    if found is None:
        return np.inf
    largest = 0.0
    for exact, gradient in zip(differentiated(case, cotangents), found, strict=True):
        if gradient.shape != exact.shape or gradient.dtype != exact.dtype:
            return np.inf
        if not np.isfinite(gradient).all():
            return np.inf
        largest = max(largest, np.abs(gradient - exact).max() / np.abs(exact).max())
    return float(largest)


def test_every_listed_mistake_is_in_the_bank_or_excluded_with_a_reason() -> None:
    planted = {solution.id for solution in WRONG if solution.id}

    assert planted.isdisjoint(EXCLUDED)
    assert planted | set(EXCLUDED) == LISTED
    assert all(EXCLUDED.values())


def test_the_bank_is_large_and_every_mistake_has_a_name_of_its_own() -> None:
    assert len(WRONG) >= 60
    assert len(RIGHT) >= 15
    assert not any(solution.id for solution in RIGHT)
    numbered = [solution.id for solution in WRONG if solution.id]
    assert not [id for id, count in Counter(numbered).items() if count > 1]
    assert not [name for name, count in Counter(map(title, EVERY)).items() if count > 1]


def test_a_seed_draws_the_same_case_again_and_successive_ones_take_turns_in_geometry() -> None:
    for solution in EVERY:
        first, again = solution.case(3), solution.case(3)
        assert all(type(array) is np.ndarray for array in first.inputs)
        assert all(map(np.array_equal, first.inputs, again.inputs))
        count = len(solution.geometries)
        shapes = [tuple(a.shape for a in solution.case(seed).inputs) for seed in range(count)]
        assert shapes == [geometry.shapes for geometry in solution.geometries]


@pytest.mark.parametrize("solution", RIGHT, ids=title)
def test_right_solutions_are_right(solution: Solution) -> None:
    for seed in range(len(solution.geometries)):
        assert error(solution, seed) < 1e-9


@pytest.mark.parametrize("solution", WRONG, ids=title)
def test_wrong_solutions_are_wrong_in_every_geometry(solution: Solution) -> None:
    for seed in range(len(solution.geometries)):
        assert error(solution, seed) > 1e-4


def test_no_two_mistakes_are_the_same_gradient() -> None:
    by_geometry: dict[tuple[str, int], list[tuple[Solution, list[Array]]]] = {}
    shared: Counter[tuple[str, str]] = Counter()
    equal: Counter[tuple[str, str]] = Counter()
    for solution in WRONG:
        for number, geometry in enumerate(solution.geometries):
            inputs = solution.sample(np.random.default_rng(0), geometry)
            case = solution.case(number)._replace(inputs=inputs)
            found = answer(case, random_cotangents(case, seed=1))
            # Some are known by something else than their values.
            if found is None or any(gradient.dtype != np.float64 for gradient in found):
                continue
            by_geometry.setdefault((solution.function, id(geometry)), []).append((solution, found))
    for answers in by_geometry.values():
        for (one, first), (other, second) in itertools.combinations(answers, 2):
            pair = (one.title, other.title)
            shared[pair] += 1
            same_shapes = [d.shape for d in first] == [d.shape for d in second]
            equal[pair] += same_shapes and all(map(np.allclose, first, second))

    assert not [pair for pair, count in shared.items() if equal[pair] == count]


@pytest.mark.parametrize("solution", RIGHT, ids=title)
def test_right_solutions_are_accepted(solution: Solution) -> None:
    assert status(solution, seed=0) == "right"


@pytest.mark.parametrize("solution", WRONG, ids=title)
def test_wrong_solutions_are_rejected(solution: Solution) -> None:
    assert status(solution, seed=0) in ("wrong", "unfit")


@pytest.mark.parametrize("solution", [*filter(is_an_op, RIGHT)], ids=title)
def test_right_solutions_are_accepted_as_ops(solution: Solution) -> None:
    case = solution.case(1)

    assert mr.gradcheck(as_op(case), case.inputs).status == "right"


@pytest.mark.parametrize("solution", [*filter(is_an_op, WRONG)], ids=title)
def test_wrong_solutions_are_rejected_as_ops(solution: Solution) -> None:
    case = solution.case(1)

    try:
        verdict = mr.gradcheck(as_op(case), case.inputs).status
    except ValueError as refused:  # the engine sees a wrong shape before anything is compared
        verdict = str(refused)

    assert verdict in ("wrong", "unfit") or "returned a gradient of shape" in verdict


@pytest.mark.long
@pytest.mark.parametrize("solution", RIGHT, ids=title)
def test_right_solutions_are_right_and_accepted_for_many_seeds(solution: Solution) -> None:
    assert max(error(solution, seed) for seed in THOROUGH) < 1e-9
    verdicts = Counter(status(solution, seed) for seed in THOROUGH)

    assert verdicts == {"right": len(THOROUGH)}, f"false alarms: {dict(verdicts)}"


@pytest.mark.long
@pytest.mark.parametrize("solution", WRONG, ids=title)
def test_wrong_solutions_are_wrong_and_rejected_for_many_seeds(solution: Solution) -> None:
    assert min(error(solution, seed) for seed in THOROUGH) > 1e-4
    verdicts = Counter(status(solution, seed) for seed in THOROUGH)

    assert verdicts["wrong"] + verdicts["unfit"] == len(THOROUGH), f"missed: {dict(verdicts)}"
