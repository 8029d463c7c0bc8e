"""mr.grad: gradients handed back instead of accumulated, and derivatives of derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from tests.helpers import leaves, share_memory


def test_grad_leaves_every_grad_attribute_as_it_was():
    x, w = leaves([1.0, 2.0], [3.0, 4.0])
    x.grad = 7
    (found,) = mr.grad((x * w).sum(), x)
    assert found.tolist() == [3.0, 4.0]
    assert x.grad.tolist() == [7.0, 7.0]
    assert w.grad is None


def test_the_gradients_handed_back_share_memory_with_nothing():
    x, w = leaves([1.0, 2.0], [3.0, 4.0])
    cotangent = mr.tensor([1.0, 1.0])
    found = mr.grad(x + w, [x, w], grad_outputs=cotangent)
    assert not share_memory(cotangent.numpy(), *(g.numpy() for g in found))


def test_grad_of_intermediate_values_and_leaves_together():
    (x,) = leaves([1.0, 2.0])
    h = x * x
    y = (h * h).sum()
    at_x, at_h, at_y = mr.grad(y, [x, h, y])
    assert at_h.tolist() == [2.0, 8.0]
    assert at_x.tolist() == [4.0, 32.0]
    assert at_y.item() == 1.0


def test_gradients_of_several_outputs_add_up():
    (x,) = leaves([1.0, 2.0])
    cotangents = [None, mr.tensor([10.0, 100.0])]
    (found,) = mr.grad([x.sum(), x * x], x, grad_outputs=cotangents)
    assert found.tolist() == [21.0, 401.0]


def test_the_same_output_twice_counts_twice():
    (x,) = leaves([1.0])
    y = (3 * x).sum()
    (found,) = mr.grad([y, y], x)
    assert found.tolist() == [6.0]


def test_an_unused_input_is_an_error_or_none():
    x, unused = leaves([1.0], [1.0])
    with pytest.raises(mr.AutogradError, match="do not depend on input 1; pass allow_unused"):
        mr.grad(x.sum(), [x, unused])
    found, nothing = mr.grad((2 * x).sum(), [x, unused], allow_unused=True)
    assert found.tolist() == [2.0]
    assert nothing is None


def test_an_input_without_gradient_is_refused():
    (x,) = leaves([1.0])
    with pytest.raises(mr.AutogradError, match="input 1 does not require a gradient"):
        mr.grad(x.sum(), [x, mr.ones(1)])


def test_as_many_cotangents_as_outputs():
    (x,) = leaves([1.0])
    with pytest.raises(mr.AutogradError, match="2 outputs, but 1 grad_outputs"):
        mr.grad([x, x * 2], x, grad_outputs=[mr.ones(1)])


def test_grad_uses_the_graph_up_unless_told_to_retain_it():
    (x,) = leaves([1.0])
    y = mr.exp(x).sum()
    mr.grad(y, x, retain_graph=True)
    mr.grad(y, x)
    with pytest.raises(mr.AutogradError, match="a second time"):
        mr.grad(y, x)


def test_grad_up_to_an_intermediate_value_leaves_the_rest_of_the_graph_usable():
    (x,) = leaves([3.0])
    h = x * x
    (at_h,) = mr.grad((2 * h).sum(), h)
    h.backward(at_h)
    assert x.grad.tolist() == [12.0]


def test_only_paths_to_the_inputs_are_walked():
    ran = []

    class Names(mr.autograd.EngineHook):
        def vjp_ran(self, node, g, contributions):
            ran.append((node.name, [c is not None for c in contributions]))

    x, w = leaves([1.0], [2.0])
    y = (mr.exp(w) * mr.ops.sin(x)).sum()
    with Names():
        mr.grad(y, x)
    assert ran == [("sum", [True]), ("mul", [False, True]), ("sin", [True])]


def test_derivatives_of_a_polynomial_to_the_third_order():
    (x,) = leaves([1.0, -2.0])
    y = (x**4).sum()
    for expected in ([4.0, -32.0], [12.0, 48.0], [24.0, -48.0]):
        (slope,) = mr.grad(y, x, create_graph=True)
        assert slope.tolist() == expected
        y = slope.sum()


def test_derivatives_of_a_chain_of_functions_to_the_third_order():
    (x,) = leaves(np.array([0.3, -0.7]))
    tanh = np.tanh(x.detach().numpy())
    rate = 1 - tanh**2
    y = mr.tanh(x)
    for expected in (rate, -2 * tanh * rate, rate * (6 * tanh**2 - 2)):
        (y,) = mr.grad(y, x, grad_outputs=mr.ones(2, dtype="float64"), create_graph=True)
        np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-12)


def test_the_gradient_depends_on_its_cotangent_too():
    x, v = leaves([1.0, 2.0], [3.0, 4.0])
    (slope,) = mr.grad(mr.exp(x), x, grad_outputs=v, create_graph=True)
    (back,) = mr.grad(slope.sum(), v)
    np.testing.assert_allclose(back.numpy(), np.exp([1.0, 2.0]), rtol=1e-6)


def test_backward_with_create_graph_leaves_a_grad_that_can_be_differentiated():
    (x,) = leaves([2.0])
    (x * x * x).sum().backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.sum().backward()
    assert first.tolist() == [12.0]
    assert x.grad.tolist() == [12.0]


def test_without_create_graph_gradients_are_constants():
    (x,) = leaves([2.0])
    (slope,) = mr.grad((x * x).sum(), x)
    assert not slope.requires_grad


def test_a_hessian_vector_product_of_a_shared_value():
    """y = (x . x)^2 has Hessian 4 (x . x) I + 8 x x^T."""
    values, direction = np.array([1.0, 2.0, -1.0]), np.array([0.5, -1.0, 2.0])
    (x,) = leaves(values)
    s = (x * x).sum()
    (slope,) = mr.grad(s * s, x, create_graph=True)
    (product,) = mr.grad((slope * mr.tensor(direction)).sum(), x)
    expected = 4 * values @ values * direction + 8 * values * (values @ direction)
    np.testing.assert_allclose(product.numpy(), expected, rtol=1e-12)
