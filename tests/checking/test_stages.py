"""The checker's stages, each with a claim that only it upholds: without the stage, it is false.

This is the mutation test of the checker: every stage is switched off in turn, and its claim must
then fail. A stage whose absence nobody would notice has no place in it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import minires as mr
from minires.checking import (
    Kink,
    check,
    comparison,
    engines,
    examination,
    ladder,
    module,
    numerical,
    point,
    report,
)
from tests.helpers import cube_of_constant_slope

Array = np.ndarray[Any, Any]
ops = mr.ops
X = np.random.default_rng(5).standard_normal((4, 5))


def with_a_zero(count: int = 20) -> Array:
    x = np.random.default_rng(1).standard_normal(count)
    x[count // 2] = 0.0
    return x


def square(x: Array) -> Array:
    return np.asarray(x * x)


def square_vjp(g: Array, x: Array) -> Array:
    return np.asarray(2 * x * g)


def explained(*arguments: Any, **options: Any) -> str:
    return mr.gradcheck(*arguments, **options).explain()


# Claims, one for each stage; an assertion that fails, or an error, says that a stage is missing.


def inputs_must_be_finite() -> None:
    x = np.array([1.0, np.nan])
    assert "input 0 (x) is nan at (1,)" in explained((square, square_vjp), x)


def outputs_must_be_float64() -> None:
    halved = (lambda x: x.astype("f4"), lambda g, x: g.astype("f8"))
    assert "output 0 is float32" in explained(halved, X)


def a_forward_pass_that_writes_is_named() -> None:
    def forward(x: Array) -> Array:
        x[0] = 0.0
        return square(x)

    assert "the forward pass wrote into input 0" in explained((forward, square_vjp), X)


def a_random_function_is_named() -> None:
    rng = np.random.default_rng(0)
    noisy = (lambda x: x + rng.standard_normal(x.shape), lambda g, x: g)
    assert "the function is random or remembers" in explained(noisy, X)


def gradients_that_pile_up_are_named() -> None:
    kept = np.zeros(X.shape)

    def vjp(g: Array, x: Array) -> Array:
        kept[...] += square_vjp(g, x)
        return kept

    assert "two backward passes" in explained((square, vjp), X)


def a_cotangent_is_never_all_ones() -> None:
    def centred(x: Array) -> Array:
        return np.asarray(x - x.mean(0))

    assert not mr.gradcheck((centred, lambda g, x: np.zeros(x.shape)), X)


def a_gradient_of_another_shape_is_named() -> None:
    pair = (lambda a, b: a + b, lambda g, a, b: (g, g))
    assert "has shape (4, 5), not (5,)" in explained(pair, [X, X[0]])


def shared_memory_is_noted() -> None:
    assert mr.gradcheck((lambda a, b: a + b, lambda g, a, b: (g, g)), [X, X + 1]).notes


def a_cut_graph_is_named() -> None:
    assert "no gradient reached it" in explained(lambda x: x.detach() * 2.0, X)


def whatever_is_raised_makes_a_report() -> None:
    assert "the forward pass raised ZeroDivisionError" in explained(lambda x: 1 // 0, X)


def a_wrong_entry_is_found() -> None:
    assert mr.gradcheck((square, lambda g, x: x * g), X).status == "wrong"


def a_wrong_gradient_is_found_along_directions() -> None:
    assert mr.gradcheck((square, lambda g, x: x * g), X, mode="random").status == "wrong"


def one_entry(g: Array, x: Array) -> Array:
    right = square_vjp(g, x)
    right[3, 1] += 1.0
    return right


def an_error_is_followed_to_its_entry() -> None:
    worst = mr.gradcheck((square, one_entry), X, mode="random").inputs[0].worst
    assert worst is not None
    assert worst.index == (3, 1)


def missing_is_given_a_probability() -> None:
    assert 0 < mr.gradcheck((square, square_vjp), X, mode="random").miss_probability < 1e-6


def the_worst_entry_is_the_wrong_one() -> None:
    worst = mr.gradcheck((square, one_entry), X).inputs[0].worst
    assert worst is not None
    assert worst.index == (3, 1)


def a_kink_is_told_by_its_two_slopes() -> None:
    halves = (lambda x: np.maximum(x, 0), lambda g, x: g * np.where(x == 0, 0.3, x > 0))
    found = mr.gradcheck(halves, with_a_zero())
    assert found
    assert found.inputs[0].excluded == (((10,), Kink.SIDES),)


def a_slope_outside_of_both_sides_is_wrong() -> None:
    outside = (lambda x: np.maximum(x, 0), lambda g, x: g * np.where(x == 0, 3.0, x > 0))
    assert mr.gradcheck(outside, with_a_zero()).status == "wrong"


def a_kink_is_told_by_its_winners() -> None:
    found = mr.gradcheck(lambda x: ops.relu(x) - ops.relu(-x), with_a_zero())
    assert found
    assert found.inputs[0].excluded == (((10,), Kink.WINNER),)


def steep_places_are_settled_by_other_steps() -> None:
    assert mr.gradcheck(ops.log, np.array([3e-5, 1e-5, 1.0]))


def a_complex_step_settles_what_differences_cannot() -> None:
    far = (lambda x: np.sin(x) + 1e9, lambda g, x: np.cos(x) * g)
    assert mr.gradcheck(far, X / 3)


def edges_are_left_out() -> None:
    x = np.append(np.linspace(1, 2, 19), 0.0)
    found = mr.gradcheck((np.sqrt, lambda g, x: g / (2 * np.sqrt(x))), x)
    assert found.inputs[0].excluded == (((19,), Kink.EDGE),)


def a_nan_in_a_gradient_is_wrong() -> None:
    assert mr.gradcheck((square, lambda g, x: g * np.nan), X).status == "wrong"


def a_tiny_gradient_is_measured_by_its_own_size() -> None:
    tiny = (lambda x: 1e-9 * square(x), lambda g, x: 1e-9 * x * g)
    assert mr.gradcheck(tiny, X).status == "wrong"


def a_forgotten_gradient_beside_large_numbers_is_found() -> None:
    rng = np.random.default_rng(0)
    data, w, penalty = rng.standard_normal((50, 4)) * 1e3, rng.standard_normal(4), np.full(3, 1e-3)

    def loss(w: Array, penalty: Array) -> Array:
        return np.asarray(((data @ w) ** 2).sum() + (penalty * w[:3]).sum())

    def vjp(g: Array, w: Array, penalty: Array) -> tuple[Array, Array]:
        return g * (2 * data.T @ (data @ w) + np.append(penalty, 0)), np.zeros(3)

    assert not mr.gradcheck((loss, vjp), [w, penalty])


def a_backward_pass_is_linear() -> None:
    def clipped(g: Array, x: Array) -> Array:
        return np.asarray(np.clip(g, -10, 10) * np.cos(x))

    assert "no linear function of the incoming" in explained((np.sin, clipped), X)


def an_edge_near_by_is_stepped_around() -> None:
    x = np.array([1e-9, 0.3, 1.5, 2.0])
    assert mr.gradcheck((np.sqrt, lambda g, x: g / (2 * np.sqrt(x))), x)


def coarse_differences_prove_nothing() -> None:
    coarse = mr.op(name="planted_far")(lambda x: np.sin(x) + 1e13)
    coarse.vjp(lambda g, x: g * 2)
    assert mr.gradcheck(coarse, X).status == "undecided"


def rounding_is_no_mistake_where_a_gradient_vanishes() -> None:
    x = np.random.default_rng(0).standard_normal((16, 3, 8, 8)) + 2
    assert mr.gradcheck(
        lambda b: ops.batch_norm(mr.tensor(x) + b.reshape(1, 3, 1, 1), None, None, training=True),
        np.array([0.5, -1.0, 0.2]),
    )


def the_step_follows_the_size_of_the_input() -> None:
    calls = []

    def forward(x: Array) -> Array:
        calls.append(1)
        return np.asarray(np.sin(1e3 * x))

    assert mr.gradcheck((forward, lambda g, x: 1e3 * np.cos(1e3 * x) * g), X * 1e-3)
    assert len(calls) <= 3 * X.size  # two for each entry: the first step settles it


def nine_in_ten_must_be_compared() -> None:
    x = with_a_zero()
    x[:3] = 0.0
    assert mr.gradcheck(ops.relu, x).status == "undecided"


def the_pattern_is_named() -> None:
    assert "analytic = 1/2 × numeric" in explained((square, lambda g, x: x * g), X)


def the_second_order_is_checked() -> None:
    assert mr.gradcheck(cube_of_constant_slope(), X, order=2).status == "wrong"


def an_op_that_answers_in_float32_is_named() -> None:
    planted = mr.op(name="planted_float32")(lambda x: x * x)
    planted.vjp(lambda g, x: (2 * x * g).astype(np.float32))
    assert "returned a float32 gradient" in explained(planted, X)


def a_module_is_checked_in_its_parameters() -> None:
    assert len(mr.gradcheck(mr.nn.Linear(5, 2), X).inputs) == 3


def a_buffer_must_not_learn_in_evaluation() -> None:
    class Learning(mr.nn.Linear):
        def __init__(self) -> None:
            super().__init__(5, 2)
            self.register_buffer("seen", mr.zeros(1))

        def forward(self, x: mr.Tensor) -> mr.Tensor:
            self.seen.data = self.seen.numpy() + 1
            return super().forward(x)

    assert not mr.gradcheck_module(Learning(), mr.tensor(X), mr.zeros(4, 2))


def dropout_repeats_itself_in_a_module() -> None:
    model = mr.nn.Sequential(mr.nn.Linear(5, 20), mr.nn.Dropout(0.5), mr.nn.Linear(20, 2))
    assert mr.gradcheck_module(model, mr.tensor(X), mr.zeros(4, 2))


class Stage(NamedTuple):
    """A claim, and what switches off the stage that upholds it."""

    claim: Callable[[], None]
    where: Any
    name: str
    instead: Any


def nothing(*_: Any, **__: Any) -> None:
    """Stands in the place of a stage that only refuses."""


def all_right(self: comparison.Comparison) -> report.InputReport:
    return report.InputReport("input", self.shape, 1, directions=True)


def settled(self: numerical.Judge, line: Any, first: Any) -> numerical.Judgement:
    return numerical.Judgement("wrong", 0.0, np.inf)


def only_first_order(*arguments: Any, group: str = "") -> Any:
    if group:
        return examination.Examination((), (), [])
    return examination.examine(*arguments)


def all_ones(outputs: list[Array], seed: int) -> list[Array]:
    return [np.ones(output.shape) for output in outputs]


def unscaled(self: point.Point, *arguments: Any) -> None:
    ORIGINAL_POINT(self, *arguments)
    self.scales = [1.0 for _ in self.scales]


def blind(evidence: Any) -> list[str]:
    return []


def trusting(
    self: numerical.Judge, line: Any, numeric: float, rounding: float, steepness: float
) -> float:
    return ORIGINAL_ALLOWED(self, line, numeric, rounding, steepness) + rounding


def generous(
    self: numerical.Judge, line: Any, numeric: float, rounding: float, steepness: float
) -> float:
    return ORIGINAL_ALLOWED(self, line, numeric, rounding, steepness) + self.settings.atol


def far_from_edges(self: point.Point, *arguments: Any) -> numerical.Line:
    line = ORIGINAL_ENTRY(self, *arguments)
    return dataclasses.replace(line, near=line.step)


def no_kinks(self: numerical.Judge, *_: Any) -> float:
    return 0.0


def endless_kinks(self: numerical.Judge, *_: Any) -> float:
    return 1e9


def uncut(subject: Any, inputs: Any, cotangents: Any) -> list[Array]:
    gradients = ORIGINAL_VJP(subject, inputs, cotangents)
    return [np.zeros(x.shape) if g is None else g for g, x in zip(gradients, inputs, strict=True)]


def first_of_all(self: comparison.Comparison, judgements: dict[Any, Any]) -> report.Entry:
    index = next(iter(judgements))
    return report.Entry(index, 0.0, 0.0)


def finite(self: numerical.Judge, line: Any, patient: bool = True) -> numerical.Judgement:
    bad = not np.isfinite(line.analytic)
    return numerical.Judgement("right", 0.0, 0.0) if bad else ORIGINAL(self, line, patient)


def always_finite(self: numerical.Judge, line: Any, rung: int = 0) -> Any:
    return ladder.Probes(line.step, self.base, self.base)


ORIGINAL = numerical.Judge.judge
ORIGINAL_ALLOWED = numerical.Judge.allowed
ORIGINAL_ENTRY = point.Point.entry
ORIGINAL_POINT = point.Point.__init__
ORIGINAL_VJP = examination.vjp

STAGES = [
    Stage(inputs_must_be_finite, examination, "require_finite", nothing),
    Stage(outputs_must_be_float64, examination, "require_float64", nothing),
    Stage(a_forward_pass_that_writes_is_named, examination, "require_unchanged", nothing),
    Stage(a_random_function_is_named, examination, "require_repeatable", nothing),
    Stage(gradients_that_pile_up_are_named, examination, "require_same_gradients", nothing),
    Stage(a_cotangent_is_never_all_ones, examination, "draw_cotangents", all_ones),
    Stage(a_gradient_of_another_shape_is_named, examination, "unlike", lambda *_: ""),
    Stage(shared_memory_is_noted, examination, "aliases", lambda *_: ()),
    Stage(a_cut_graph_is_named, examination, "vjp", uncut),
    Stage(
        whatever_is_raised_makes_a_report,
        examination,
        "running",
        lambda *_: contextlib.nullcontext(),
    ),
    Stage(a_wrong_entry_is_found, comparison.Comparison, "every_entry", all_right),
    Stage(
        a_wrong_gradient_is_found_along_directions,
        comparison.Comparison,
        "random_directions",
        all_right,
    ),
    Stage(an_error_is_followed_to_its_entry, comparison.Comparison, "_followed", lambda *_: (0, 0)),
    Stage(
        missing_is_given_a_probability,
        comparison.Comparison,
        "_miss_probability",
        lambda *_: 0.0,
    ),
    Stage(the_worst_entry_is_the_wrong_one, comparison.Comparison, "_worst", first_of_all),
    Stage(a_kink_is_told_by_its_two_slopes, numerical.Judge, "_kink", no_kinks),
    Stage(a_slope_outside_of_both_sides_is_wrong, numerical.Judge, "_kink", endless_kinks),
    Stage(
        a_kink_is_told_by_its_winners,
        numerical.Judge,
        "_another_wins",
        staticmethod(lambda *_: False),
    ),
    Stage(steep_places_are_settled_by_other_steps, numerical.Judge, "_look_closer", settled),
    Stage(
        a_complex_step_settles_what_differences_cannot,
        numerical.Judge,
        "_by_complex_step",
        nothing,
    ),
    Stage(edges_are_left_out, numerical.Judge, "probes", always_finite),
    Stage(a_nan_in_a_gradient_is_wrong, numerical.Judge, "judge", finite),
    Stage(a_tiny_gradient_is_measured_by_its_own_size, numerical.Judge, "allowed", generous),
    Stage(coarse_differences_prove_nothing, numerical.Judge, "allowed", trusting),
    Stage(
        rounding_is_no_mistake_where_a_gradient_vanishes,
        numerical.Judge,
        "_is_zero",
        lambda *_: False,
    ),
    Stage(
        a_forgotten_gradient_beside_large_numbers_is_found,
        ladder.Ladder,
        "fades",
        lambda *_: True,
    ),
    Stage(a_backward_pass_is_linear, examination, "not_linear", lambda *_: []),
    Stage(an_edge_near_by_is_stepped_around, point.Point, "entry", far_from_edges),
    Stage(the_step_follows_the_size_of_the_input, point.Point, "__init__", unscaled),
    Stage(nine_in_ten_must_be_compared, report, "ENOUGH", 0.0),
    Stage(the_pattern_is_named, comparison, "patterns", blind),
    Stage(the_second_order_is_checked, check, "examine", only_first_order),
    Stage(an_op_that_answers_in_float32_is_named, engines._GradientDtypes, "vjp_ran", nothing),
    Stage(
        a_module_is_checked_in_its_parameters,
        mr.nn.Module,
        "named_parameters",
        lambda self: iter(()),
    ),
    Stage(a_buffer_must_not_learn_in_evaluation, module, "_check_buffers", nothing),
    Stage(dropout_repeats_itself_in_a_module, module, "seeded", lambda _: contextlib.nullcontext()),
]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.claim.__name__)
def test_the_claim_holds_with_the_stage_and_fails_without_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.claim()

    monkeypatch.setattr(stage.where, stage.name, stage.instead)

    with pytest.raises(Exception):  # noqa: B017, PT011
        stage.claim()
