"""What local response normalisation promises beyond its row in the table."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr


def test_the_sum_convention_is_the_papers_formula():
    """The sum of a_j^2 over j from max(0, i - n/2) to min(N - 1, i + n/2)."""
    n, alpha, beta, k = 5, 0.1, 0.75, 2.0
    a = np.random.default_rng(0).standard_normal(8)
    expected = [
        a[i] / (k + alpha * sum(a[max(0, i - n // 2) : min(7, i + n // 2) + 1] ** 2)) ** beta
        for i in range(8)
    ]
    found = mr.ops.local_response_norm(mr.tensor(a[None]), n, alpha, beta, k, convention="sum")
    np.testing.assert_allclose(found.numpy()[0], expected, rtol=1e-14)


def test_the_mean_convention_is_the_sum_with_a_smaller_alpha():
    x = mr.randn(2, 7, 3, 3, dtype="float64")
    mean = mr.ops.local_response_norm(x, 5, alpha=0.5)
    total = mr.ops.local_response_norm(x, 5, alpha=0.1, convention="sum")
    assert mean.numpy() == pytest.approx(total.numpy(), rel=1e-14)
    assert abs(mean - mr.ops.local_response_norm(x, 5, 0.5, convention="sum")).max().item() > 0.01


def test_of_an_even_size_the_odd_neighbour_is_the_one_before():
    x = mr.tensor([[1.0, 10.0, 100.0]])
    y = mr.ops.local_response_norm(x, 2, alpha=1.0, beta=1.0, k=0.0, convention="sum")
    np.testing.assert_allclose(y.numpy(), [[1 / 1, 10 / 101, 100 / 10100]], rtol=1e-6)


def test_squares_beyond_float16_do_not_overflow():
    x = mr.tensor(np.full((1, 5, 1, 1), 1000.0, "float16"), requires_grad=True)
    y = mr.ops.local_response_norm(x, 5, alpha=1e-4, k=2.0)
    y.sum().backward()
    expected = 1000 / (2 + 1e-4 * 1e6) ** 0.75
    assert y[0, 2, 0, 0].item() == pytest.approx(expected, rel=1e-3)
    assert np.isfinite(x.grad.numpy()).all()
