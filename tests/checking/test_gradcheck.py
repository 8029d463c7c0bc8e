"""The checker accepts what is right, rejects what is wrong, and says so when it cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.checking import Kink
from tests.helpers import cube_of_constant_slope

Array = np.ndarray[Any, Any]
ops = mr.ops


def normal(*shape: int) -> Array:
    return np.asarray(np.random.default_rng(sum(shape)).standard_normal(shape))


def as_op(forward: Callable[..., Any], vjp: Callable[..., Any]) -> Callable[..., Any]:
    """The function and gradient of a NumPy pair as an op of the engine."""
    planted = mr.op(name="planted")(lambda *values: forward(*values))

    @planted.vjp
    def _(g: Array, inputs: tuple[Array, ...]) -> Any:
        return vjp(g, *inputs)

    return planted


ACCEPTED: dict[str, tuple[Callable[..., Any], list[Array]]] = {
    "arithmetic": (lambda a, b: (a + b) * a - b / a, [normal(3, 4), normal(4)]),
    "power": (lambda a: (a * a + 0.5) ** 1.5, [normal(5)]),
    "exp": (ops.exp, [normal(5)]),
    "log": (lambda x: ops.log(x * x + 0.1), [normal(5)]),
    "log near its edge": (ops.log, [np.array([1e-3, 1e-2, 1.0, 1e3])]),
    "reciprocal near its pole": (lambda x: 1.0 / x, [np.array([1e-3, -2e-3, 5.0])]),
    "tanh": (ops.tanh, [normal(5)]),
    "sigmoid": (ops.sigmoid, [normal(5)]),
    "gelu": (ops.gelu, [normal(5)]),
    "relu": (ops.relu, [normal(4, 4)]),
    "matmul": (ops.matmul, [normal(2, 3, 4), normal(4, 2)]),
    "einsum": (lambda a, b: mr.einsum("ij,kj->ik", a, b), [normal(3, 4), normal(2, 4)]),
    "softmax": (ops.softmax, [normal(3, 4)]),
    "log_softmax": (ops.log_softmax, [normal(3, 4)]),
    "cross_entropy": (lambda x: ops.cross_entropy(x, np.array([0, 2, 1])), [normal(3, 4)]),
    "mse_loss": (ops.mse_loss, [normal(3, 4), normal(3, 4) * 2]),
    "a view of its input": (lambda x: x.reshape(-1), [normal(3, 4)]),
    "the input itself": (lambda x: x, [normal(3)]),
    "transposed and sliced": (lambda x: x.T[1:, ::2], [normal(3, 4)]),
    "repeated index": (lambda x: x[[0, 1, 1, 1]], [normal(3, 2)]),
    "several outputs": (lambda x: (x * x, ops.tanh(x)), [normal(4)]),
    "a constant output among others": (lambda x: (x * x, mr.ones(2).to("float64")), [normal(4)]),
    "what does not depend on it": (lambda a, b: a * 2.0, [normal(3), normal(3)]),
    "a single value": (lambda x: x * x, [np.array(1.5)]),
    "conv2d": (
        lambda x, w, b: ops.conv2d(x, w, b, stride=2, padding=1),
        [normal(3, 2, 5, 4), normal(4, 2, 3, 2), normal(4)],
    ),
    "batch_norm": (
        lambda x, w, b: ops.batch_norm(x, None, None, w, b, training=True),
        [normal(4, 3, 2, 2) + 3, normal(3), normal(3)],
    ),
    "max_pool2d": (lambda x: ops.max_pool2d(x, 2), [normal(2, 2, 4, 4)]),
    "residual_add": (lambda x: ops.residual_add(x, ops.tanh(x)), [normal(3, 4)]),
    "conv, batch norm and relu": (
        lambda x, w: ops.relu(
            ops.batch_norm(ops.conv2d(x, w, padding=1), None, None, training=True)
        ),
        [normal(3, 2, 4, 4), normal(2, 2, 3, 3)],
    ),
}


@pytest.mark.parametrize("name", sorted(ACCEPTED))
def test_right_gradients_of_ops_are_accepted_to_second_order(name: str) -> None:
    function, inputs = ACCEPTED[name]

    report = mr.gradcheck(function, inputs, order=2)

    assert report


def test_a_gradient_right_in_first_but_not_in_second_order_is_rejected() -> None:
    cube = cube_of_constant_slope()

    assert mr.gradcheck(cube, normal(4))
    report = mr.gradcheck(cube, normal(4), order=2)

    assert report.status == "wrong"
    assert [row.title for row in report.inputs if row.wrong] == ["2nd order: input 0 (x)"]


def test_a_graph_that_was_cut_is_rejected_and_named() -> None:
    report = mr.gradcheck(lambda x: x * x.detach(), normal(3))
    assert report.status == "wrong"

    report = mr.gradcheck(lambda x: x.detach() * 2.0, normal(3))
    assert report.status == "wrong"
    assert "no gradient reached it; was the graph cut" in report.explain()


def test_a_forgotten_gradient_of_a_numpy_pair_counts_as_zeros() -> None:
    report = mr.gradcheck((lambda a, b: a + 0 * b, lambda g, a, b: (None, None)), [normal(2)] * 2)

    assert [row.wrong for row in report.inputs] == [2, 0]


def test_relu_at_exactly_0_is_a_kink_neither_failure_nor_silent_pass() -> None:
    x = np.array([0.0, 1.0, -1.0, 0.0])

    report = mr.gradcheck(ops.relu, x)

    assert report.status == "undecided"
    assert not report
    assert report.inputs[0].kinks == ((0,), (3,))
    assert "only 2 of 4 entries could be compared (90% are needed" in report.explain()
    assert "not compared, kink or edge at (0,), (3,)" in report.explain()


def test_few_kinks_are_listed_and_the_rest_decides() -> None:
    x = normal(4, 5)
    x[1, 2] = 0.0

    right = mr.gradcheck(ops.relu, x)
    wrong = mr.gradcheck((lambda x: np.maximum(x, 0), lambda g, x: 2 * g * (x > 0)), x)

    assert right
    assert right.inputs[0].kinks == wrong.inputs[0].kinks == ((1, 2),)
    assert right.inputs[0].compared == 19
    assert "kink or edge at (1, 2)" in right.explain()
    assert wrong.status == "wrong"


def test_an_input_of_kinks_alone_is_not_outvoted_by_a_large_smooth_one() -> None:
    report = mr.gradcheck(lambda a, b: ops.tanh(a) + ops.relu(b), [normal(50), np.zeros(1)])

    assert report.status == "undecided"
    assert [row.compared for row in report.inputs] == [50, 0]


@pytest.mark.parametrize("slope", [0.0, 0.3, 0.5, 1.0])
def test_any_slope_between_the_two_sides_is_only_a_kink(slope: float) -> None:
    pair = (lambda x: np.maximum(x, 0), lambda g, x: g * np.where(x == 0, slope, x > 0))

    assert mr.gradcheck(pair, np.array([0.0, 2.0])).status == "undecided"


@pytest.mark.parametrize("slope", [-0.1, 1.1, 5.0])
def test_a_slope_outside_of_the_two_sides_is_wrong_also_at_a_kink(slope: float) -> None:
    pair = (lambda x: np.maximum(x, 0), lambda g, x: g * np.where(x == 0, slope, x > 0))

    assert mr.gradcheck(pair, np.array([0.0, 2.0])).status == "wrong"


@given(share=st.floats(-0.999, 0.999), scale=st.floats(0.01, 100))
def test_a_kink_within_the_step_never_makes_a_right_gradient_wrong(
    share: float, scale: float
) -> None:
    step = float(np.cbrt(np.finfo(float).eps))
    x = np.array([share * step])

    report = mr.gradcheck(lambda x: ops.relu(x) * scale, x)

    assert report.status in {"right", "undecided"}
    assert report.inputs[0].kinks in {(), ((0,),)}


@pytest.mark.parametrize(
    ("function", "x"),
    [
        (ops.abs, [0.0]),
        (lambda x: mr.where(x > 0, x + 1.0, x), [0.0]),
        (ops.sqrt, [0.0]),
        (lambda x: mr.maximum(x[0], x[1]), [1.5, 1.5]),
        (lambda x: ops.max_pool2d(x.reshape(1, 1, 2, 2), 2), [3.0, 3.0, 3.0, 3.0]),
    ],
    ids=["abs", "jump", "edge", "tie", "tie in a pool"],
)
def test_kinks_jumps_edges_and_ties_are_undecided(
    function: Callable[..., Any], x: list[float]
) -> None:
    assert mr.gradcheck(function, np.array(x)).status == "undecided"


def test_curves_are_not_taken_for_kinks() -> None:
    for function in (lambda x: x * x, lambda x: x * x * x, lambda x: ops.exp(30 * x)):
        report = mr.gradcheck(function, np.array([0.0, 1e-7, 0.5]))

        assert report
        assert report.inputs[0].kinks == ()


def test_rounding_is_not_taken_for_a_kink_where_the_gradient_vanishes() -> None:
    # A batch normalisation takes away what a bias before it adds.
    x = normal(16, 3, 8, 8) + 2

    report = mr.gradcheck(
        lambda b: ops.batch_norm(mr.tensor(x) + b.reshape(1, 3, 1, 1), None, None, training=True),
        normal(3),
    )

    assert report
    assert report.inputs[0].kinks == ()


def test_steep_and_curved_places_are_decided_by_smaller_steps() -> None:
    report = mr.gradcheck(ops.log, np.array([3e-5, 1e-5, 1.0]))

    assert report
    assert report.inputs[0].kinks == ()


@pytest.mark.parametrize("factor", [1e9, 3e10])
def test_what_is_too_rough_for_differences_is_undecided_rather_than_wrong(factor: float) -> None:
    def wave(x: Array) -> Array:
        return np.asarray(np.sin(factor * x))

    def slope(g: Array, x: Array) -> Array:
        return np.asarray(g * factor * np.cos(factor * x))

    report = mr.gradcheck((wave, slope), np.array([0.1, 0.2, 0.3]))

    assert report.status == "undecided"
    assert {why for _, why in report.inputs[0].excluded} == {Kink.ROUGH}
    assert "too steep or too rough for differences" in report.explain()


@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_an_empty_input_decides_nothing(shape: tuple[int, ...]) -> None:
    assert mr.gradcheck(lambda x: x * 2.0, np.zeros(shape)).status == "undecided"


def test_a_random_function_is_named() -> None:
    report = mr.gradcheck(lambda x: ops.dropout(x, 0.5, training=True), normal(30))

    assert report.status == "unfit"
    assert not report
    assert "two calls with the same inputs gave different values of output 0" in report.explain()


def test_a_function_that_remembers_is_named() -> None:
    calls: list[int] = []

    def growing(x: mr.Tensor) -> mr.Tensor:
        calls.append(1)
        return x * float(len(calls))

    assert "remembers something" in mr.gradcheck(growing, normal(3)).explain()


def _halve_in_place(x: Array) -> Array:
    x *= 0.5
    return x + 0.0


def _write_into(which: int) -> Callable[..., Array]:
    def vjp(g: Array, x: Array) -> Array:
        right = 2 * x * g
        (g, x)[which][...] = 0
        return right

    return vjp


@pytest.mark.parametrize("route", ["NumPy pair", "op"])
@pytest.mark.parametrize(
    ("forward", "vjp", "message"),
    [
        (_halve_in_place, lambda g, x: g / 2, "the forward pass wrote into input 0"),
        (np.square, _write_into(0), "the backward pass wrote into its incoming gradient"),
        (np.square, _write_into(1), "the backward pass wrote into input 0"),
    ],
)
def test_writing_into_inputs_or_the_incoming_gradient_is_named(
    forward: Callable[..., Array], vjp: Callable[..., Array], message: str, route: str
) -> None:
    x = normal(3)
    before = x.copy()

    report = mr.gradcheck(as_op(forward, vjp) if route == "op" else (forward, vjp), x)

    assert report.status == "unfit"
    assert ("wrote into an array" if route == "op" else message) in report.explain()
    np.testing.assert_array_equal(x, before)


def test_outputs_that_are_not_finite_are_found_first() -> None:
    report = mr.gradcheck(ops.log, np.array([1.0, 0.0]))

    assert report.status == "unfit"
    assert "output 0 is -inf at (1,)" in report.explain()


def test_inputs_that_are_not_finite_are_found_first() -> None:
    report = mr.gradcheck(ops.exp, np.array([[1.0, np.nan]]))

    assert report.status == "unfit"
    assert "input 0 (x) is nan at (0, 1)" in report.explain()


def test_a_function_that_computes_in_float32_is_named() -> None:
    report = mr.gradcheck(lambda x: (x * x).to("float32"), normal(3))

    assert report.status == "unfit"
    assert "output 0 is float32, although all inputs are float64" in report.explain()


@pytest.mark.parametrize("value", [np.arange(3), np.ones(3, bool), 2, np.ones(3) * 1j])
def test_inputs_that_are_not_real_numbers_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"input 1 is .*; there is no derivative by anything but"):
        mr.gradcheck(lambda a, b: a * b, [normal(3), value])


@pytest.mark.parametrize("value", [normal(3).astype(np.float32), mr.ones(3), 1.5, [0.5, 1.0, 2.0]])
def test_every_float_is_taken_in_float64(value: Any) -> None:
    seen = set()

    def product(a: mr.Tensor, b: mr.Tensor) -> mr.Tensor:
        seen.update([a.dtype, b.dtype])
        return a * b

    assert mr.gradcheck(product, [normal(3), value])
    assert seen == {mr.float64}


@pytest.mark.parametrize(
    ("vjp", "message"),
    [
        (lambda g, a, b: (g, g), "the gradient of input 1 (b) has shape (4, 3), not (3,)"),
        (
            lambda g, a, b: (g, g.sum(0, keepdims=True)),
            "the gradient of input 1 (b) has shape (1, 3), not (3,)",
        ),
        (
            lambda g, a, b: (g.astype(np.float32), g.sum(0)),
            "the gradient of input 0 (a) is float32, not float64",
        ),
        (lambda g, a, b: g, "the vjp returned 1 gradients for 2 inputs"),
    ],
)
def test_a_gradient_of_another_shape_or_dtype_is_named(
    vjp: Callable[..., Any], message: str
) -> None:
    report = mr.gradcheck((lambda a, b: a + b, vjp), [normal(4, 3), normal(3)])

    assert report.status == "wrong"
    assert message in report.explain()


def test_an_op_that_answers_in_float32_is_named_before_the_engine_casts_it_back() -> None:
    square = as_op(np.square, lambda g, x: (2 * x * g).astype(np.float32))

    report = mr.gradcheck(square, normal(3))

    assert report.status == "wrong"
    assert "the VJP of 'planted' returned a float32 gradient for its float64" in report.explain()


def test_an_op_whose_gradient_has_another_shape_is_stopped_by_the_engine() -> None:
    add = as_op(np.add, lambda g, a, b: (g, g))

    report = mr.gradcheck(add, [normal(4, 3), normal(3)])

    assert report.status == "wrong"
    assert "the VJP of 'planted' returned a gradient of shape (4, 3)" in report.explain()


def test_numpy_pairs_with_several_outputs_get_one_cotangent_for_each() -> None:
    def forward(x: Array) -> tuple[Array, Array]:
        return x * x, np.sin(x)

    assert mr.gradcheck((forward, lambda g, x: 2 * x * g[0] + np.cos(x) * g[1]), normal(4))
    assert not mr.gradcheck((forward, lambda g, x: 2 * x * g[0]), normal(4))


def test_inputs_are_named_by_number_where_the_function_does_not_name_them() -> None:
    report = mr.gradcheck(lambda *values: values[0] * values[1], [normal(2), normal(2)])

    assert [row.name for row in report.inputs] == ["input 0", "input 1"]


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_order_and_gaps_make_no_difference(order: Any) -> None:
    x = np.asarray(normal(6, 4)[::2, ::-1], order=order)

    assert mr.gradcheck(lambda x: ops.tanh(x) * x, x)


def test_tensors_are_left_as_they_are() -> None:
    x = mr.tensor(normal(3), requires_grad=True)
    before = x.numpy().copy()

    assert mr.gradcheck(lambda x: x * x, x)

    np.testing.assert_array_equal(x.numpy(), before)
    assert x.grad is None


def test_a_check_works_under_no_grad_too() -> None:
    with mr.no_grad():
        assert mr.gradcheck(ops.tanh, normal(3), order=2)


def test_the_same_seed_gives_the_same_report() -> None:
    first, again = (mr.gradcheck(ops.exp, normal(4), seed=3) for _ in range(2))

    assert first == again


def test_a_module_is_checked_in_its_inputs_and_parameters_on_a_float64_copy() -> None:
    layer = mr.nn.Linear(3, 2)
    weight = layer.weight.numpy().copy()

    report = mr.gradcheck(layer, normal(4, 3), order=2)

    assert report
    first = [row.name for row in report.inputs if not row.group]
    assert first == ["input 0 (x)", "weight", "bias"]
    assert layer.weight.dtype == mr.float32
    np.testing.assert_array_equal(layer.weight.numpy(), weight)


def test_a_module_whose_parameter_has_a_wrong_gradient_is_rejected() -> None:
    twice = as_op(lambda w: w + 0, lambda g, w: 2 * g)

    class Scale(mr.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = mr.nn.Parameter(mr.randn(3))

        def forward(self, x: mr.Tensor) -> mr.Tensor:
            return x * twice(self.weight)

    report = mr.gradcheck(Scale(), normal(4, 3))

    assert [row.wrong for row in report.inputs] == [0, 3]


def test_a_report_shows_itself_in_one_line_and_prints_all_of_it() -> None:
    report = mr.gradcheck(
        (lambda a, b: a * b, lambda g, a, b: (b * g / 2, -a * g)), [normal(9)] * 2
    )

    assert repr(report) == (
        "<gradcheck: WRONG: input 1 (b): The sign is wrong everywhere: analytic = -numeric>"
    )
    assert str(report) == report.explain()
    assert "input 0 (a): analytic = 1/2 × numeric everywhere" in str(report)
    assert repr(mr.gradcheck(ops.tanh, normal(3))) == "<gradcheck: right>"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": []}, "there are no inputs"),
        ({"order": 3}, "order must be 1 or 2, found 3"),
        ({"mode": "fast"}, "mode must be 'auto', 'full' or 'random', found 'fast'"),
        ({"samples": 0}, "samples must be an integer >= 1, found 0"),
        ({"eps": 0.0}, "eps must lie between 0 and 1, found 0.0"),
        ({"rtol": -1.0}, "rtol and atol must be from 0 to 1, found -1.0"),
        ({"rtol": np.inf}, "rtol and atol must be from 0 to 1, found inf"),
        ({"seed": -1}, "seed must be an integer >= 0, found -1"),
        ({"fn": (np.square,)}, r"a pair must be two functions, \(forward, vjp\)"),
        ({"fn": (np.square, np.square), "order": 2}, "order=2 needs a function of Tensors"),
    ],
)
def test_a_check_that_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mr.gradcheck(**{"fn": ops.tanh, "inputs": normal(2), **arguments})


@given(seed=st.integers(0, 1000))
def test_a_cotangent_is_not_the_user_s_own_random_numbers(seed: int) -> None:
    """With the inputs' signs it would let a mask by the gradient pass for one by the input."""
    x = np.random.default_rng(seed).standard_normal((4, 5))
    masked = (lambda x: np.maximum(x, 0), lambda g, x: g * (g > 0))

    assert mr.gradcheck(masked, x, seed=seed).status == "wrong"
