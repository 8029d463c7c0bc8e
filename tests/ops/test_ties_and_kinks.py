"""Where a function has no derivative, or a value is no number: one rule each, held here."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from tests.helpers import leaves


def gradient_of(function, *values):
    tensors = leaves(*values)
    function(*tensors).sum().backward()
    return [t.grad.tolist() for t in tensors]


@pytest.mark.parametrize(
    ("function", "slopes"),
    [
        (mr.ops.relu, [0.0, 0.0, 1.0]),
        (mr.ops.relu6, [0.0, 0.0, 1.0]),
        (lambda x: mr.ops.relu6(6 - x), [0.0, 0.0, -1.0]),
        (lambda x: mr.ops.leaky_relu(x, 0.5), [0.5, 0.5, 1.0]),
        (abs, [-1.0, 0.0, 1.0]),
        (lambda x: mr.clip(x, 0.0, 2.0), [0.0, 1.0, 1.0]),
        (lambda x: mr.clip(x, -1.0, 0.0), [1.0, 1.0, 0.0]),
        (lambda x: mr.where(x > 0, x, 0), [0.0, 0.0, 1.0]),
    ],
)
def test_slopes_left_of_at_and_right_of_zero(function, slopes):
    assert gradient_of(function, [-1.0, 0.0, 1.0]) == [slopes]


def test_a_tensor_that_limits_gets_the_gradient_only_where_it_cut():
    below, at, above = gradient_of(mr.clip, [-1.0, 0.0, 1.0], [0.0] * 3, [0.0] * 3)
    assert (below, at, above) == ([0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0])


def test_a_limit_that_is_nan_spreads():
    for limits in ((np.nan, None), (None, np.nan)):
        tensors = [None if limit is None else mr.tensor(limit) for limit in limits]
        assert np.isnan(mr.clip(mr.zeros(1), *limits).item())
        assert np.isnan(mr.clip(mr.zeros(1), *tensors).item())


def test_equal_values_share_the_gradient_of_maximum_and_minimum():
    for function in (mr.maximum, mr.minimum):
        assert gradient_of(function, [1.0, 5.0], [1.0, 5.0]) == [[0.5, 0.5], [0.5, 0.5]]
    assert gradient_of(lambda x: mr.maximum(x, 0.0), [-1.0, 0.0, 1.0]) == [[0.0, 0.5, 1.0]]


def test_equal_winners_share_the_gradient_of_amax_and_amin():
    assert gradient_of(mr.ops.amax, [3.0, 1.0, 3.0]) == [[0.5, 0.0, 0.5]]
    assert gradient_of(mr.ops.amin, [3.0, 1.0, 1.0]) == [[0.0, 0.5, 0.5]]
    assert gradient_of(lambda x: x.max(), [2.0, 2.0]) == [[0.5, 0.5]]
    assert gradient_of(lambda x: x.min(), [2.0, 1.0]) == [[0.0, 1.0]]


def test_the_first_of_equal_winners_gets_the_gradient_of_max_along_a_dim():
    assert gradient_of(lambda x: x.max(0).values, [1.0, 3.0, 3.0]) == [[0.0, 1.0, 0.0]]
    assert gradient_of(lambda x: x.min(0).values, [1.0, 1.0, 3.0]) == [[1.0, 0.0, 0.0]]


def test_a_nan_wins_over_everything_and_gets_the_gradient():
    values = [1.0, np.nan, 3.0]
    assert np.isnan(mr.ops.amax(mr.tensor(values)).item())
    assert gradient_of(mr.ops.amax, values) == [[0.0, 1.0, 0.0]]
    assert mr.tensor(values).max(0).indices.item() == 1


@pytest.mark.parametrize(
    ("base", "exponent", "slope"),
    [
        (0.0, 0, 0.0),
        (0.0, 1, 1.0),
        (0.0, 2, 0.0),
        (-2.0, 3, 12.0),
        (-2.0, -1, -0.25),
        (3.0, 0, 0.0),
    ],
)
def test_whole_powers_have_their_slope_at_zero_and_below(base, exponent, slope):
    assert gradient_of(lambda x: x**exponent, [base]) == [[slope]]
    fixed = mr.tensor([float(exponent)])
    assert gradient_of(lambda x: x**fixed, [base]) == [[slope]]


def test_zero_to_any_power_is_flat_in_the_exponent():
    _, at_exponent = gradient_of(lambda a, b: a**b, [0.0, 0.0, 0.0], [0.0, 1.0, 2.5])
    assert at_exponent == [0.0, 0.0, 0.0]


def test_second_derivative_of_a_square_at_zero():
    (x,) = leaves([0.0, 1.0])
    (slope,) = mr.grad((x**2).sum(), x, create_graph=True)
    assert mr.grad(slope.sum(), x)[0].tolist() == [2.0, 2.0]


def test_softmax_and_its_logarithm_do_not_overflow():
    (x,) = leaves([[1e4, 0.0, -1e4], [3e38, 3e38, 0.0]])
    assert mr.ops.softmax(x, 1).tolist() == [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]
    assert np.isfinite(mr.ops.log_softmax(x, 1).detach().numpy()[0]).all()
    mr.ops.log_softmax(x[:1], 1).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_a_row_of_minus_infinity_alone_has_no_probabilities():
    x = mr.tensor([[-np.inf, -np.inf], [-np.inf, 0.0]])
    assert np.isnan(mr.ops.softmax(x)[0].numpy()).all()
    assert np.isnan(mr.ops.log_softmax(x)[0].numpy()).all()
    assert mr.ops.softmax(x)[1].tolist() == [0.0, 1.0]


def test_logsumexp_of_infinities():
    values = [[-np.inf, -np.inf], [np.inf, 0.0], [-np.inf, 2.0], [1e3, 1e3]]
    found = mr.ops.logsumexp(mr.tensor(values), 1).tolist()
    assert found == [-np.inf, np.inf, 2.0, pytest.approx(1e3 + np.log(2))]


def test_where_no_label_counts_the_mean_loss_is_nan_and_no_gradient_flows():
    (x,) = leaves(np.zeros((2, 3)))
    labels = np.array([-100, -100])
    assert np.isnan(mr.ops.cross_entropy(x, labels).item())
    mr.ops.cross_entropy(x, labels, reduction="sum").backward()
    assert not x.grad.numpy().any()


def test_cross_entropy_of_huge_logits_is_finite():
    (x,) = leaves([[1e4, -1e4], [-1e4, 1e4]])
    loss = mr.ops.cross_entropy(x, np.array([0, 0]), reduction="sum")
    loss.backward()
    assert loss.item() == 2e4
    assert x.grad.tolist() == [[0.0, 0.0], [-1.0, 1.0]]


def test_sigmoid_does_not_overflow():
    (x,) = leaves([-1e4, 0.0, 1e4])
    y = mr.ops.sigmoid(x)
    y.sum().backward()
    assert y.tolist() == [0.0, 0.5, 1.0]
    assert x.grad.tolist() == [0.0, 0.25, 0.0]


def test_logarithms_and_roots_outside_their_domain_are_quietly_not_finite():
    assert mr.log(mr.tensor([0.0])).tolist() == [-np.inf]
    assert np.isnan(mr.log(mr.tensor([-1.0])).numpy()).all()
    assert np.isnan(mr.sqrt(mr.tensor([-1.0])).numpy()).all()


def test_reductions_over_nothing():
    empty = mr.zeros(0, 2)
    assert empty.sum(0).tolist() == [0.0, 0.0]
    assert np.isnan(empty.mean(0).numpy()).all()
    assert np.isnan(mr.ops.var(mr.ones(1)).numpy())
    assert mr.ops.logsumexp(empty, 0).tolist() == [-np.inf, -np.inf]
    assert empty.all().item() is True
    with pytest.raises(ValueError, match=r"amax: no values.*\(0, 2\)"):
        empty.amax()
    with pytest.raises(ValueError, match="argmin: no values"):
        empty.argmin(0)
