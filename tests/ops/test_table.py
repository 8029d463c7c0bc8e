"""Every op of the table: its values, its gradient, its second order, its manners."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minires as mr
from minires.autograd import registry
from tests.helpers import (
    LAYOUTS,
    Onlooker,
    along,
    assert_close,
    laid_out,
    leaves,
    numerical_vjp,
    random_like,
    share_memory,
    value_of,
    vjp_of,
)
from tests.ops.table import ROWS, Case, cases

OWN = {n: op for n, op in registry.items() if op.forward.__module__.startswith("minires.")}
EVERY_ROW = pytest.mark.parametrize("name", ROWS)
TWINS = pytest.mark.parametrize("name", [n for n, op in OWN.items() if op.twin_function])
# A cast changes the dtype; half a variance of two near values has no digit to trust.
FLOATING = pytest.mark.parametrize("name", [n for n in ROWS if n != "cast"])
HALVES = pytest.mark.parametrize("name", [n for n in ROWS if n != "cast" and "batch_norm" not in n])
fewer = settings(max_examples=max(settings().max_examples // 4, 12))


def test_every_differentiable_op_has_a_row():
    assert {name for name, op in OWN.items() if op.differentiable} <= set(ROWS)


def cotangent_of(case: Case) -> np.ndarray:
    return random_like(value_of(case.run, case.inputs), seed=1)


@EVERY_ROW
@given(st.data())
def test_value_is_the_reference(name, data):
    case = data.draw(cases(name))
    found = value_of(case.run, case.inputs)
    assert_close(found, case.reference(*case.inputs), rtol=1e-10, atol=1e-12)


@EVERY_ROW
@given(st.data())
def test_gradient_is_the_central_difference(name, data):
    case = data.draw(cases(name))
    cotangent = cotangent_of(case)
    with Onlooker() as seen:
        found = vjp_of(case.run, case.inputs, cotangent)
    assert name not in registry or name in seen.vjps
    expected = numerical_vjp(case.run, case.inputs, cotangent, case.step)
    for gradient, difference in zip(found, expected, strict=True):
        assert_close(gradient, difference)


@EVERY_ROW
@fewer
@given(st.data())
def test_second_order_is_the_central_difference_of_the_first(name, data):
    """With L = <c, f(x)> and a direction u: d<dL/dx, u>/dx by differences along u, d/dc too."""
    case = data.draw(cases(name))
    cotangent = cotangent_of(case)
    xs, (c,) = leaves(*case.inputs), leaves(cotangent)
    directions = [random_like(x, seed) for seed, x in enumerate(case.inputs, 2)]

    y = case.run(*xs)
    first = mr.grad(y, xs, grad_outputs=c.to(y.dtype), create_graph=True)
    slope = sum((g * mr.tensor(u)).sum() for g, u in zip(first, directions, strict=True))
    second = [
        np.zeros(x.shape) if gradient is None else gradient.numpy()
        for x in (*xs, c)
        for gradient in mr.grad(slope, x, retain_graph=True, allow_unused=True)
    ]

    for recorded, plain in zip(first, vjp_of(case.run, case.inputs, cotangent), strict=True):
        assert_close(recorded.detach(), plain, rtol=1e-9, atol=1e-10)
    there, back = (along(case.inputs, directions, t) for t in (case.step, -case.step))
    sides = vjp_of(case.run, there, cotangent), vjp_of(case.run, back, cotangent)
    for found, plus, minus in zip(second, *sides, strict=False):
        assert_close(found, (plus - minus) / (2 * case.step))
    values = value_of(case.run, there), value_of(case.run, back)
    if case.step == 1e-6:
        assert_close(second[-1], (values[0] - values[1]) / (2 * case.step))


@TWINS
@fewer
@given(st.data())
def test_twin_agrees_to_rounding(name, data):
    case = data.draw(cases(name))
    cotangent = cotangent_of(case)
    with mr.expand(name), Onlooker() as seen:
        twin, gradients = value_of(case.run, case.inputs), vjp_of(case.run, case.inputs, cotangent)
    assert name not in seen.ops
    assert_close(twin, value_of(case.run, case.inputs), rtol=1e-11, atol=1e-12)
    for found, fused in zip(gradients, vjp_of(case.run, case.inputs, cotangent), strict=True):
        assert_close(found, fused, rtol=1e-9, atol=1e-10)


@EVERY_ROW
@fewer
@given(st.data())
def test_memory_order_changes_neither_value_nor_gradient(name, data):
    case = data.draw(cases(name))
    assume(any(x.ndim for x in case.inputs))
    layout, cotangent = data.draw(st.sampled_from(LAYOUTS)), cotangent_of(case)
    xs = [
        mr.Tensor(laid_out(x, layout) if x.ndim else x.copy()).requires_grad_() for x in case.inputs
    ]
    y = case.run(*xs)
    y.backward(mr.Tensor(laid_out(cotangent, layout) if cotangent.ndim else cotangent))

    assert_close(y.detach(), value_of(case.run, case.inputs), rtol=1e-10, atol=1e-12)
    for x, plain in zip(xs, vjp_of(case.run, case.inputs, cotangent), strict=True):
        assert_close(x.grad, plain, rtol=1e-10, atol=1e-12)


@EVERY_ROW
@fewer
@given(st.data())
def test_inputs_stay_as_they_were_and_results_own_their_memory(name, data):
    case = data.draw(cases(name))
    cotangent = mr.tensor(cotangent_of(case))
    before = cotangent.numpy().copy()
    xs = leaves(*case.inputs)
    y = case.run(*xs)
    y.backward(cotangent)

    for x, given_values in zip(xs, case.inputs, strict=True):
        np.testing.assert_array_equal(x.detach().numpy(), given_values)
    np.testing.assert_array_equal(cotangent.numpy(), before)
    arrays = [x._data for x in xs]
    assert not share_memory(*(x.grad._data for x in xs), cotangent._data, *arrays)
    if name in registry and not registry[name].is_view:
        assert not any(share_memory(y._data, array) for array in arrays)


@FLOATING
@fewer
@given(st.data())
def test_float32_stays_float32_and_float64_stays_float64(name, data):
    case = data.draw(cases(name))
    cotangent = cotangent_of(case)
    for dtype, rtol in (("float32", 1e-3), ("float64", 1e-10)):
        xs = leaves(*(x.astype(dtype) for x in case.inputs))
        y = case.run(*xs)
        y.backward(cotangent.astype(dtype))
        assert y.dtype == dtype
        assert_close(y.detach(), value_of(case.run, case.inputs), rtol=rtol, atol=1e-4)
        assert all(x.grad.dtype == dtype for x in xs)


@HALVES
@fewer
@given(st.data())
def test_float16_values_come_near(name, data):
    case = data.draw(cases(name))
    halves = [x.astype("float16") for x in case.inputs]
    found = case.run(*map(mr.tensor, halves))
    expected = value_of(case.run, [x.astype("float64") for x in halves])
    assert found.dtype == "float16"
    assert_close(found, expected, rtol=0.02, atol=0.02)
