"""mr.op, the public way to define an op: what the VJP may ask for, and what it is told off for."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from minires.autograd import registry
from tests.helpers import Onlooker, assert_close, leaves, numerical_vjp, vjp_of


@pytest.fixture(autouse=True)
def _clean_registry():
    before = dict(registry)
    yield
    registry.clear()
    registry.update(before)


def make_cube():
    @mr.op
    def cube(x):
        """x three times over."""
        return x * x * x

    @cube.vjp
    def _(g, x):
        return 3 * x * x * g

    return cube


def test_an_op_computes_on_arrays_and_records_on_tensors():
    cube = make_cube()
    (x,) = leaves([1.0, 2.0])
    assert isinstance(cube(np.array([2.0])), np.ndarray)
    y = cube(x)
    assert repr(y.grad_fn) == "<cube>"
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 12.0]


def test_an_op_keeps_its_functions_name_and_docstring():
    cube = make_cube()
    assert cube.__name__ == "cube"
    assert cube.__doc__ == "x three times over."
    assert registry["cube"] is cube


def test_a_vjp_written_in_operators_can_be_differentiated_again():
    cube = make_cube()
    (x,) = leaves([2.0])
    y = cube(x).sum()
    for expected in ([12.0], [12.0], [6.0]):
        (slope,) = mr.grad(y, x, create_graph=True)
        assert slope.tolist() == expected
        y = slope.sum()


def test_a_vjp_gets_what_the_names_of_its_parameters_say():
    given = {}

    @mr.op(has_aux=True)
    def affine(x, weight, bias, *, power=2, unused="u"):
        scaled = weight * x**power
        return scaled + bias, scaled

    @affine.vjp
    def _(g, x, weight, output, aux, shapes, needs, inputs, power):
        given.update(locals())
        return g * weight * power * x ** (power - 1), g * x**power, None

    x, weight = leaves([1.0, 2.0], [3.0, 4.0])
    y = affine(x, weight, mr.ones(2), power=3)
    y.backward([1.0, 10.0])

    assert x.grad.tolist() == [9.0, 480.0]
    assert weight.grad.tolist() == [1.0, 80.0]
    assert given["aux"].tolist() == [3.0, 32.0]
    assert given["output"].tolist() == [4.0, 33.0]
    assert given["shapes"] == ((2,), (2,), (2,))
    assert given["needs"] == (True, True, False)
    assert given["power"] == 3
    assert [type(value) for value in given["inputs"]] == [np.ndarray] * 3


def test_a_recorded_vjp_gets_tensors_and_no_saved_arrays():
    given = {}

    @mr.op(has_aux=True)
    def square(x):
        return x * x, x + x

    @square.vjp
    def _(g, x, output, aux):
        given.update(locals())
        return g * 2 * x

    (x,) = leaves([3.0])
    mr.grad(square(x).sum(), x, create_graph=True)
    assert given["aux"] is None
    assert all(isinstance(given[name], mr.Tensor) for name in ("g", "x", "output"))


def test_constants_fall_back_to_their_defaults():
    @mr.op
    def scale(x, *, factor=10.0):
        return x * factor

    @scale.vjp
    def _(g, factor):
        return g * factor

    (x,) = leaves([1.0])
    (scale(x) + scale(x, factor=5.0)).sum().backward()
    assert x.grad.tolist() == [15.0]


def test_inputs_may_be_passed_by_name_or_left_to_their_default():
    @mr.op
    def fused(a, b=2.0, *, c=1.0):
        return a * b + c

    @fused.vjp
    def _(g, a, b, needs):
        return g * b, g * a if needs[1] else None

    x, y = leaves([3.0], [5.0])
    assert fused(x).tolist() == [7.0]
    fused(c=0.0, b=y, a=x).sum().backward()
    fused(a=x).sum().backward()
    assert x.grad.tolist() == [7.0]
    assert y.grad.tolist() == [3.0]


def test_any_number_of_inputs():
    @mr.op
    def total(*arrays, scale=1.0):
        return scale * sum(arrays)

    @total.vjp
    def _(g, inputs, scale):
        return tuple(g * scale for _ in inputs)

    x, y = leaves([1.0], [2.0])
    with Onlooker() as seen:
        total(x, y, x, scale=3.0).sum().backward()
    assert x.grad.tolist() == [6.0]
    assert y.grad.tolist() == [3.0]
    assert list(seen.met_at(x)[0]) == ["input 0", "input 2"]


def test_a_gradient_in_another_dtype_is_cast_back():
    @mr.op
    def widen(x):
        return x.astype("float64")

    @widen.vjp
    def _(g):
        return g

    (x,) = leaves(np.ones(2, "float32"))
    y = widen(x)
    y.sum().backward()
    assert y.dtype == "float64"
    assert x.grad.dtype == "float32"


def test_an_op_without_vjp_can_compute_but_not_be_recorded():
    @mr.op
    def half(x):
        return x / 2

    (x,) = leaves([1.0])
    assert half(mr.ones(1)).tolist() == [0.5]
    with pytest.raises(NotImplementedError, match=r"'half' has no VJP.*@half\.vjp"):
        half(x)


def test_an_undifferentiable_op_stops_the_gradient():
    @mr.op(differentiable=False)
    def rounded(x):
        return x.round()

    (x,) = leaves([1.4])
    assert not rounded(x).requires_grad


@pytest.mark.parametrize("name", ["g", "output", "aux", "shapes", "needs", "inputs"])
def test_names_that_mean_something_to_a_vjp_are_reserved(name):
    namespace = {}
    exec(f"def wrong(x, {name}): pass", namespace)
    with pytest.raises(TypeError, match=rf"'wrong': a parameter may not be called '{name}'"):
        mr.op(namespace["wrong"])


def test_open_ended_constants_are_refused():
    with pytest.raises(TypeError, match=r"'loose': name the constants"):

        @mr.op
        def loose(x, **options): ...


def test_a_vjp_that_asks_for_an_unknown_name_is_refused():
    cube = make_cube()
    with pytest.raises(TypeError, match=r"VJP of op 'cube' asks for 'y', which is neither"):

        @cube.vjp
        def _(g, y): ...


def product_with(vjp):
    @mr.op
    def product(a, b):
        return a * b

    product.vjp(vjp)
    a, b = leaves([1.0, 2.0], [3.0, 4.0])
    return product(a, b).sum()


def test_a_vjp_that_returns_too_few_gradients_is_told_so():
    with pytest.raises(TypeError, match="VJP of 'product' returned 1 gradients for 2 inputs"):
        product_with(lambda g, b: g * b).backward()


def test_a_vjp_that_returns_the_wrong_shape_is_told_so():
    wrong = r"VJP of 'product' returned a gradient of shape \(\) for input 'b' of shape \(2,\)"
    with pytest.raises(ValueError, match=wrong):
        product_with(lambda g, a, b: (g * b, (g * a).sum())).backward()


def test_a_gradient_that_was_not_summed_over_repeated_axes_is_told_so():
    @mr.op
    def shifted(x, b):
        return x + b

    shifted.vjp(lambda g: (g, g))
    x, b = leaves(np.ones((4, 3)), [1.0, 2.0, 3.0])
    advice = (
        r"of shape \(3,\); sum it over the axes along which .* or declare the op with broadcasts"
    )
    with pytest.raises(ValueError, match=advice):
        shifted(x, b).sum().backward()


def test_an_op_that_broadcasts_is_not_told_to():
    scaled = scaled_with(lambda g, a, b: (g * b, np.ones((2, 2, 3))))
    a, b = leaves(np.ones((2, 3)), [[2.0], [3.0]])
    with pytest.raises(ValueError, match=r"along which the input was repeated$"):
        scaled(a, b).sum().backward()


def scaled_with(vjp):
    @mr.op(broadcasts=True)
    def scaled(a, b):
        return a * b

    scaled.vjp(vjp)
    return scaled


def test_the_engine_sums_the_gradients_of_an_op_that_broadcasts():
    scaled = scaled_with(lambda g, a, b: (g * b, g * a))
    a, b = leaves(np.arange(6.0).reshape(2, 3), [[2.0], [3.0]])
    scaled(a, b).sum().backward()
    assert a.grad.tolist() == [[2.0] * 3, [3.0] * 3]
    assert b.grad.tolist() == [[3.0], [12.0]]


def test_broadcasting_can_be_differentiated_again():
    scaled = scaled_with(lambda g, a, b: (g * b, g * a))
    a, b = leaves(np.arange(6.0).reshape(2, 3), [[2.0], [3.0]])
    _, slope = mr.grad(scaled(scaled(a, b), b).sum(), [a, b], create_graph=True)
    (second,) = mr.grad(slope.sum(), b)
    assert second.tolist() == [[6.0], [24.0]]


def test_an_op_that_broadcasts_must_answer_in_the_outputs_shape_or_the_inputs():
    scaled = scaled_with(lambda g, a, b: (g * b, (g * a)[0]))
    a, b = leaves(np.ones((2, 3)), [[2.0], [3.0]])
    wrong = r"VJP of 'scaled' returned a gradient of shape \(3,\) for input 'b' of shape \(2, 1\)"
    with pytest.raises(ValueError, match=wrong):
        scaled(a, b).sum().backward()


def test_a_vjp_may_ask_for_constants_by_name_only():
    @mr.op
    def power(x, *, exponent=2):
        return x**exponent

    @power.vjp
    def _(g, *, exponent, x):
        return g * exponent * x ** (exponent - 1)

    (x,) = leaves([3.0])
    power(x, exponent=3).sum().backward()
    assert x.grad.tolist() == [27.0]


def test_a_vjp_that_forgets_to_return_is_told_so():
    with pytest.raises(TypeError, match="VJP of 'product' returned None for input 'b'"):
        product_with(lambda g, b: (g * b, None)).backward()
    with pytest.raises(TypeError, match="returned 1 gradients for 2 inputs"):
        product_with(lambda g: None).backward()


def test_a_missing_gradient_is_fine_where_none_is_needed():
    @mr.op
    def product(a, b):
        return a * b

    @product.vjp
    def _(g, b):
        return g * b

    (a,) = leaves([1.0, 2.0])
    product(a, mr.tensor([3.0, 4.0])).sum().backward()
    assert a.grad.tolist() == [3.0, 4.0]


def test_a_twin_runs_in_the_ops_place_inside_expand():
    cube = make_cube()

    @cube.twin
    def _(x):
        return x**3

    (x,) = leaves([2.0])
    with mr.expand("cube"), Onlooker() as seen:
        y = cube(x)
    y.sum().backward()
    assert seen.ops == ["pow"]
    assert x.grad.tolist() == [12.0]
    with Onlooker() as seen:
        cube(x)
    assert seen.ops == ["cube"]


def test_a_custom_op_passes_the_same_check_as_the_built_in_ones():
    x, cotangent = np.array([0.5, -1.5]), np.array([2.0, -0.3])
    cube = make_cube()
    (found,) = vjp_of(cube, [x], cotangent)
    (expected,) = numerical_vjp(cube, [x], cotangent)
    assert_close(found, expected)


def test_an_op_shows_its_signature():
    @mr.op(name="affine")
    def _hidden(x, *, scale=2.0):
        return x * scale

    assert repr(_hidden) == "<op affine(x, *, scale=2.0)>"
    assert "affine" in registry
