"""Mistakes that teaching frameworks have made, above all at a residual fork: one test for each."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import minires as mr
from tests.helpers import Onlooker, assert_close, leaves, numerical_vjp, share_memory, vjp_of


@pytest.mark.parametrize(
    ("block", "slope"),
    [(lambda x: x + x, 2.0), (lambda x: x + 0.5 * x, 1.5), (lambda x: x + mr.ops.relu(x), 2.0)],
)
def test_backward_through_a_fork_neither_crashes_nor_counts_twice(block, slope):
    (x,) = leaves([1.0, 2.0])
    block(x).sum().backward()
    assert x.grad.tolist() == [slope, slope]


def test_gradients_at_a_fork_are_2_2_2_and_3_and_share_no_memory():
    (x,) = leaves([1.0, 4.0])
    h = x * 1.0
    branch = 0.5 * h
    total = h + branch
    for value in (h, branch, total):
        value.retain_grad()
    with Onlooker() as seen:
        (2 * total).sum().backward()
    shortcut = seen.met_at(h)[0]["a"]
    gradients = [total.grad.numpy(), branch.grad.numpy(), h.grad.numpy(), x.grad.numpy()]
    assert [g.tolist() for g in gradients] == [[2, 2], [2, 2], [3, 3], [3, 3]]
    assert shortcut.tolist() == [2, 2]
    assert not share_memory(*gradients)


def test_5000_residual_blocks_visit_each_node_once_and_never_recurse():
    (x,) = leaves([1.0])
    y = x
    for _ in range(5000):
        y = mr.ops.residual_add(y, 0.5 * y - 0.5 * y)
    with Onlooker() as seen:
        y.sum().backward()
    assert len(seen.vjps) == 4 * 5000 + 1
    assert x.grad.tolist() == [1.0]


def test_weight_decay_on_two_parameters_joined_by_an_add_decays_each_once():
    a, b = leaves([1.0], [1.0])
    optimizer = mr.optim.SGD([a, b], lr=1.0, weight_decay=0.1)
    (a + b).sum().backward()
    optimizer.step()
    assert a.tolist() == b.tolist() == pytest.approx([1.0 - 1.1])


def test_the_recorded_shortcut_contribution_is_not_the_total():
    (x,) = leaves([3.0])
    with Onlooker() as seen:
        mr.ops.residual_add(x, x * x).sum().backward()
    contributions, total = seen.met_at(x)
    assert contributions["shortcut"].tolist() == [1.0]
    assert total.tolist() == [7.0]


def test_no_branch_of_a_shared_tensor_is_dropped():
    (x,) = leaves([2.0])
    h = x * x
    (h * 3 + h * h + h).sum().backward()
    assert x.grad.tolist() == [(3 + 2 * 4 + 1) * 2 * 2.0]


@pytest.mark.parametrize("index", [slice(1, 3), [1, 2], np.array([False, True, True, False])])
def test_backward_through_a_slice_is_not_zero(index):
    (x,) = leaves(np.arange(4.0))
    (x[index] ** 2).sum().backward()
    assert x.grad.tolist() == [0.0, 2.0, 4.0, 0.0]


def test_batch_norm_has_a_gradient_in_eval_mode_too():
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(shape) for shape in ((2, 3, 2, 2), (3,), (3,))]

    def evaluated(x, weight, bias):
        running = mr.zeros(3, dtype="float64"), mr.full((3,), 2.0, dtype="float64")
        return mr.ops.batch_norm(x, *running, weight, bias, training=False)

    cotangent = rng.standard_normal((2, 3, 2, 2))
    found, expected = (f(evaluated, inputs, cotangent) for f in (vjp_of, numerical_vjp))
    for gradient, difference in zip(found, expected, strict=True):
        assert_close(gradient, difference)


def test_batch_norm_takes_its_statistics_per_channel():
    x = np.random.default_rng(0).standard_normal((4, 3, 5, 5)) * [[[1]], [[10]], [[100]]]
    y = mr.ops.batch_norm(mr.tensor(x), None, None, training=True).numpy()
    np.testing.assert_allclose(y.std((0, 2, 3)), 1.0, rtol=1e-4)


def test_max_pool_padding_does_not_win_against_negative_numbers():
    y = mr.ops.max_pool2d(mr.full((1, 1, 2, 2), -5.0), 2, padding=1)
    assert y.tolist() == [[[[-5.0, -5.0], [-5.0, -5.0]]]]


def test_average_pool_takes_a_rectangular_kernel():
    (x,) = leaves(np.arange(36.0).reshape(1, 1, 6, 6))
    y = mr.ops.avg_pool2d(x, (2, 3))
    y.backward(np.ones(y.shape))
    assert y.tolist() == [[[[4.0, 7.0], [16.0, 19.0], [28.0, 31.0]]]]
    np.testing.assert_allclose(x.grad.numpy(), 1 / 6)


def test_an_identity_shortcut_has_no_parameters():
    residual = mr.models.cifar_resnet(8, shortcut="A", seed=0)
    plain = mr.models.cifar_plain(8, seed=0)
    shapes = [{name: p.shape for name, p in net.named_parameters()} for net in (residual, plain)]
    assert shapes[0] == shapes[1]


def test_images_are_halved_by_the_first_block_of_each_later_stage_and_by_no_other():
    model = mr.models.cifar_resnet(20, width=4, seed=0)
    strides = [
        [block.conv1.stride for block in stage]
        for stage in (model.layer1, model.layer2, model.layer3)
    ]
    assert strides == [[(1, 1)] * 3, [(2, 2), (1, 1), (1, 1)], [(2, 2), (1, 1), (1, 1)]]


def test_a_residual_network_computes_shortcut_plus_branch_before_its_last_relu():
    block = mr.nn.BasicBlock(2, 2, shortcut="A").eval()
    x = mr.randn(1, 2, 4, 4)
    branch = block.bn2(block.conv2(mr.ops.relu(block.bn1(block.conv1(x)))))
    np.testing.assert_allclose(block(x).tolist(), mr.ops.relu(x + branch).tolist(), rtol=1e-6)


ORDER = """
import minires as mr
print([name for name, _ in mr.models.cifar_resnet(8, "B", 4).named_parameters()])
"""


def test_the_order_of_parameters_does_not_depend_on_the_hash_seed():
    orders = set()
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", ORDER],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        orders.add(done.stdout)
    assert len(orders) == 1
    assert "layer3.0.downsample" in orders.pop()


def test_saving_leaves_the_live_model_as_it_was(tmp_path):
    model = mr.models.cifar_resnet(8, width=4, seed=0)
    before = {name: (p.device, p._data) for name, p in model.named_parameters()}
    mr.save(model.state_dict(), tmp_path / "model.safetensors")
    for name, p in model.named_parameters():
        assert p.device is before[name][0]
        assert p._data is before[name][1]


def test_the_gradient_checker_fails_on_a_planted_wrong_gradient():
    def forward(x):
        return x * x

    x = np.array([0.5, -1.5])
    assert mr.gradcheck((forward, lambda g, x: 2 * x * g), [x])
    assert not mr.gradcheck((forward, lambda g, x: 1234 * x * g), [x])


def test_relu_at_exactly_zero_is_neither_failure_nor_silent_pass():
    report = mr.gradcheck(mr.ops.relu, [np.array([0.0, 0.0, 1.0])])
    assert report.status == "undecided"
    assert "kink" in report.explain()


def test_float64_inputs_stay_float64_and_may_require_a_gradient():
    x, w = leaves(np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3)))
    y = mr.ops.relu(mr.ops.conv2d(x, w)).mean()
    y.backward()
    assert y.dtype == x.grad.dtype == w.grad.dtype == "float64"


@pytest.mark.parametrize("reset", [0, 0.0, None])
def test_assigning_to_grad_replaces_and_does_not_accumulate(reset):
    (p,) = leaves([1.0, 2.0])
    (5 * p).sum().backward()
    p.grad = reset
    (2 * p).sum().backward()
    assert p.grad.tolist() == [2.0, 2.0]


def test_a_misspelt_attribute_raises():
    with pytest.raises(AttributeError, match="no_such"):
        mr.nn.Linear(1, 1).no_such  # noqa: B018
    with pytest.raises(AttributeError):
        mr.ones(1).no_such  # noqa: B018


def test_backward_on_a_graph_that_was_let_go_is_a_clear_error():
    (x,) = leaves([1.0])
    y = (x * x).sum()
    y.backward()
    with pytest.raises(mr.AutogradError, match=r"a second time.*retain_graph=True"):
        y.backward()
    assert x.grad.tolist() == [2.0]
