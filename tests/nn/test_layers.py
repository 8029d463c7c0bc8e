"""Layers against their formulas, initialisers against their variances."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minires as mr
from minires import nn
from minires.nn import init


def test_batch_norm_tracks_the_unbiased_variance_and_counts_batches():
    layer = nn.BatchNorm2d(2, momentum=0.25)
    x = mr.randn(3, 2, 4, 5, dtype="float64").to("float32")
    layer(x)
    values = x.numpy().transpose(1, 0, 2, 3).reshape(2, -1)
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.25 * values.mean(1), rtol=1e-5)
    expected = 0.75 + 0.25 * values.var(1, ddof=1)
    np.testing.assert_allclose(layer.running_var.numpy(), expected, rtol=1e-5)
    assert layer.num_batches_tracked.item() == 1


def test_batch_norm_without_momentum_averages_all_batches():
    layer = nn.BatchNorm1d(1, momentum=None)
    for value in (1.0, 2.0, 6.0):
        layer(mr.tensor([[value - 1], [value + 1]]))
    assert layer.running_mean.item() == pytest.approx(3.0)


def test_batch_norm_in_eval_mode_uses_and_keeps_its_statistics():
    layer = nn.BatchNorm2d(1).eval()
    x = mr.randn(2, 1, 3, 3, requires_grad=True)
    y = layer(x)
    np.testing.assert_allclose(y.detach().numpy(), x.detach().numpy(), rtol=1e-4)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 1 / math.sqrt(1 + 1e-5), rtol=1e-5)
    assert layer.running_mean.item() == 0
    assert layer.num_batches_tracked.item() == 0


def test_a_training_step_between_forward_and_backward_does_not_change_an_eval_gradient():
    layer = nn.BatchNorm1d(1)
    x = mr.tensor([[1.0], [2.0]], requires_grad=True)
    y = layer.eval()(x)
    layer.train()(mr.tensor([[100.0], [300.0]]))
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 1 / math.sqrt(1 + 1e-5), rtol=1e-6)


def test_batch_norm_refuses_one_value_per_channel_in_training():
    with pytest.raises(ValueError, match="one value per channel"):
        nn.BatchNorm1d(3)(mr.ones(1, 3))


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(3), nn.BatchNorm1d(3)])
def test_batch_norm_refuses_the_wrong_number_of_axes(layer):
    with pytest.raises(ValueError, match="axes"):
        layer(mr.ones(2, 3, 1, 1, 1))


@pytest.mark.parametrize(
    "layer", [nn.Dropout(0.5), nn.Dropout2d(0.5), nn.StochasticDepth(0.5, "batch")], ids=repr
)
def test_what_leaves_out_is_the_identity_in_eval_mode(layer):
    x = mr.ones(10, 2)
    assert layer.eval()(x) is x
    assert set(layer.train()(x).flatten().tolist()) <= {0.0, 2.0}


@pytest.mark.parametrize("make", [nn.Dropout, nn.Dropout2d, lambda p: nn.StochasticDepth(p, "row")])
def test_what_is_no_probability_is_refused_when_the_layer_is_made(make):
    with pytest.raises(ValueError, match="p must lie between 0 and 1, found 2"):
        make(2)


def test_layers_of_the_classic_networks_apply_their_ops():
    x = mr.randn(2, 4, 6, 5, dtype="float64") * 4
    same = {
        nn.ReLU6(): mr.ops.relu6(x),
        nn.AdaptiveMaxPool2d(2): mr.ops.adaptive_max_pool2d(x, 2),
        nn.AdaptiveMaxPool2d((1, None)): mr.ops.amax(x, 2, keepdim=True),
        nn.Upsample((3, 9)): mr.ops.interpolate(x, (3, 9)),
        nn.Upsample(None, 2, "bilinear", True): mr.ops.interpolate(x, None, 2, "bilinear", True),
        nn.LocalResponseNorm(3, 1e-2, 0.5, 2.0): mr.ops.local_response_norm(x, 3, 1e-2, 0.5, 2.0),
        nn.LocalResponseNorm(3, convention="sum"): mr.ops.local_response_norm(
            x, 3, convention="sum"
        ),
    }
    for layer, expected in same.items():
        assert layer(x).tolist() == expected.tolist(), layer
    assert nn.AdaptiveMaxPool2d(2, return_indices=True)(x).indices.shape == (2, 4, 2, 2)
    assert repr(nn.Upsample(scale_factor=2)) == "Upsample(scale_factor=2, mode='nearest')"


def test_layers_pass_their_arguments_on():
    x = mr.randn(2, 4, 9, 9)
    assert nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), 2, groups=2)(x).shape == (2, 6, 4, 7)
    assert nn.ConvTranspose2d(4, 6, 3, 2, 1, 1)(x).shape == (2, 6, 18, 18)
    assert nn.Conv2d(4, 6, (3, 2), padding="same")(x).shape == (2, 6, 9, 9)
    assert nn.Conv2d(4, 6, 3, padding="valid")(x).shape == (2, 6, 7, 7)
    assert nn.MaxPool2d(3, 2, ceil_mode=True)(x).shape == (2, 4, 4, 4)
    assert nn.MaxPool2d(3, 2, return_indices=True)(x).indices.shape == (2, 4, 4, 4)
    assert nn.AvgPool2d(2)(x).shape == (2, 4, 4, 4)
    assert nn.AdaptiveAvgPool2d((2, 3))(x).shape == (2, 4, 2, 3)
    assert nn.Flatten()(x).shape == (2, 324)


def test_groups_that_do_not_divide_the_channels_are_refused_when_the_layer_is_made():
    with pytest.raises(ValueError, match="groups=2"):
        nn.Conv2d(3, 4, 3, groups=2)


@pytest.mark.parametrize(
    ("initialiser", "variance"),
    [
        (init.kaiming_normal_, 2 / (200 * 9)),
        (init.kaiming_uniform_, 2 / (200 * 9)),
        (init.xavier_normal_, 2 / ((200 + 300) * 9)),
        (init.xavier_uniform_, 2 / ((200 + 300) * 9)),
    ],
)
def test_initialisers_have_the_variance_of_their_paper(initialiser, variance):
    mr.manual_seed(0)
    weight = initialiser(mr.zeros(300, 200, 3, 3))
    assert abs(weight.numpy().mean()) < 3 * math.sqrt(variance / weight.numpy().size)
    assert weight.numpy().var() == pytest.approx(variance, rel=0.02)


def test_fan_out_keeps_the_variance_of_the_backward_pass():
    mr.manual_seed(0)
    weight = init.kaiming_normal_(mr.zeros(300, 200, 3, 3), mode="fan_out")
    assert weight.numpy().var() == pytest.approx(2 / (300 * 9), rel=0.02)


def test_a_truncated_normal_lies_within_its_bounds_and_has_their_variance():
    mr.manual_seed(0)
    weight = init.trunc_normal_(mr.zeros(300, 400), mean=1.0, std=0.5, a=0.0, b=2.0).numpy()
    assert 0 <= weight.min() < 0.01
    assert 1.99 < weight.max() <= 2
    # Cut at two deviations on either side, a normal variable keeps 0.7737 of its variance.
    assert weight.var() == pytest.approx(0.7737 * 0.25, rel=0.02)
    assert weight.mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("wrong", [{"std": 0.0}, {"mean": 9.0}, {"a": 1.0, "b": 1.001}])
def test_bounds_that_leave_out_a_normal_distribution_are_refused(wrong):
    with pytest.raises(ValueError, match="trunc_normal_: "):
        init.trunc_normal_(mr.zeros(2), **wrong)


def test_default_weights_and_biases_are_uniform_within_one_over_root_fan_in():
    mr.manual_seed(0)
    layer = nn.Linear(400, 500)
    for parameter in (layer.weight, layer.bias):
        assert abs(parameter.numpy()).max() <= 1 / 20
        assert abs(parameter.numpy()).max() > 0.95 / 20


def test_unknown_modes_and_activations_are_named():
    with pytest.raises(ValueError, match="fan_sideways"):
        init.kaiming_normal_(mr.zeros(2, 2), mode="fan_sideways")
    with pytest.raises(ValueError, match="swish"):
        init.kaiming_normal_(mr.zeros(2, 2), nonlinearity="swish")
    with pytest.raises(ValueError, match="two axes"):
        init.xavier_normal_(mr.zeros(2))


def test_the_slope_of_leaky_relu_counts_in_he_initialisation():
    mr.manual_seed(0)
    weight = init.kaiming_normal_(mr.zeros(500, 500), a=1.0)
    assert weight.numpy().std() == pytest.approx(1 / math.sqrt(500), rel=0.02)


@pytest.mark.parametrize("wrong", [{"kernel_size": (3, 3, 9)}, {"padding": "full"}, {"stride": 0}])
def test_impossible_windows_are_refused_when_the_layer_is_made(wrong):
    arguments = {"kernel_size": 3} | wrong
    with pytest.raises(ValueError, match=f"Conv2d: {next(iter(wrong))}"):
        nn.Conv2d(1, 1, **arguments)


def test_the_cross_entropy_layer_hands_its_options_on_and_saves_its_weights():
    x, labels = mr.randn(4, 3, 2), np.array([[0, 1], [2, 1], [-1, 0], [1, 1]])
    weight = mr.tensor([1.0, 2.0, 0.5])
    options = {"ignore_index": -1, "reduction": "sum", "label_smoothing": 0.25}
    layer = mr.nn.CrossEntropyLoss(weight, **options)
    assert layer(x, labels).item() == mr.ops.cross_entropy(x, labels, weight, **options).item()
    assert list(layer.state_dict()) == ["weight"]
    assert not mr.nn.CrossEntropyLoss().state_dict()
