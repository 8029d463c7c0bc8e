"""Every residual family beside the same network in PyTorch, in float64.

The gradient is compared as a whole, of all parameters and the images: where single entries cancel,
any two ways of adding up differ.
"""

from __future__ import annotations

import itertools
from functools import partial

import pytest

import minires as mr
from minires import models, nn
from minires.models import cifar_plain, cifar_preact_resnet, cifar_resnet, wide_resnet
from tests.models import residual_in_torch as t
from tests.models.beside_torch import batch, distance, drawn, of_minires, of_torch

pytestmark = pytest.mark.oracle

ALIKE = 1e-9


def assert_alike(ours, theirs, shape=(4, 3, 16, 16), training=True, kept=None):
    model = ours().train(training)
    arrays, (images, cotangent) = drawn(model), batch(shape)
    mr.manual_seed(0)
    found = of_minires(model, arrays, images, cotangent)
    mr.manual_seed(0)
    expected = of_torch(theirs, arrays, images, cotangent, training, kept)
    for what in expected._fields:
        assert distance(getattr(found, what), getattr(expected, what)) <= ALIKE, what


def cases(table, long=()):
    """Names of a table's rows, some of them for `-m long`."""
    return [pytest.param(name, marks=[pytest.mark.long] * (name in long)) for name in table]


both_modes = pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])


def cifar(add, unit=t.basic, blocks=1, net=t.cifar):
    return partial(net, blocks=blocks, unit=partial(unit, add=add))


def preactivated(add, unit=t.full_preactivation, blocks=1):
    return cifar(add, unit, blocks, t.cifar_preactivated)


def small(shortcut="A", depth=8, **options):
    return partial(cifar_resnet, depth, shortcut, width=4, **options)


def small_preactivated(depth=8, **options):
    return partial(cifar_preact_resnet, depth, width=4, **options)


def scaled(alpha, beta):
    ours = partial(nn.ScaledShortcut, alpha=alpha, beta=beta)
    return small(ours), cifar(partial(t.constant_scaling, shortcut=alpha, branch=beta))


at_the_end = partial(t.option_a, where="end")
excited_a = partial(t.excited, add=t.option_a)

CIFAR = {
    "plain": (partial(cifar_plain, 14, width=4), cifar(t.plain, blocks=2)),
    "option A": (small("A", 14), cifar(t.option_a, blocks=2)),
    "option A, zeros at the end": (small("A", 14, pad="end"), cifar(at_the_end, blocks=2)),
    "option B": (small("B", 14), cifar(t.option_b, blocks=2)),
    "option C": (small("C", 14), cifar(t.option_c, blocks=2)),
    "squeeze and excitation": (small(reduction=2), cifar(excited_a)),
    "Fixup": (small(norm="fixup"), cifar(t.option_a, t.fixup, net=t.cifar_fixup)),
    "SkipInit": (small(norm="skipinit"), cifar(t.option_a, t.skipinit, net=t.cifar_skipinit)),
    # He et al. 2016, table 1.
    "scaled, 0.5 and 1": scaled(0.5, 1.0),
    "scaled, 0.5 and 0.5": scaled(0.5, 0.5),
    "scaled, 0 and 1": scaled(0.0, 1.0),
    "exclusive gating": (small("exclusive_gating"), cifar(t.exclusive_gating)),
    "shortcut-only gating": (small("shortcut_only_gating"), cifar(t.shortcut_only_gating)),
    # Its table 2; with option A as in the paper, and with projections.
    "BN after addition": (
        small(order="norm_after_addition"),
        cifar(t.option_a, t.bn_after_addition),
    ),
    "BN after addition, B": (
        small("B", order="norm_after_addition"),
        cifar(t.option_b, t.bn_after_addition),
    ),
    "ReLU before addition": (
        small(order="act_before_addition"),
        cifar(t.option_a, t.relu_before_addition),
    ),
    "ReLU-only pre-activation": (
        small("A", 14, order="act_only_preactivation"),
        preactivated(t.option_a, t.relu_only_preactivation, 2),
    ),
    "full pre-activation, A": (
        small("A", 14, order="full_preactivation"),
        preactivated(t.option_a, blocks=2),
    ),
    "full pre-activation, C": (
        small("C", 14, order="full_preactivation"),
        preactivated(t.option_c, blocks=2),
    ),
    "pre-activation": (small_preactivated(14), preactivated(t.option_b, blocks=2)),
    "pre-activation bottleneck": (
        small_preactivated(20, block=nn.Bottleneck),
        preactivated(t.option_b, t.preactivation_bottleneck, 2),
    ),
    "Wide ResNet": (partial(wide_resnet, 16, 2, width=4), preactivated(t.option_b, blocks=2)),
}


@both_modes
@pytest.mark.parametrize("name", CIFAR)
def test_a_network_for_small_images_is_pytorchs(name, training):
    assert_alike(*CIFAR[name], training=training)


def kept(p, shape):
    """The factors of the next dropout of minires."""
    return mr.ops.dropout(mr.ones(*shape, dtype="float64"), p).numpy()


@both_modes
def test_a_dropout_shortcut_is_pytorchs_with_the_same_values_kept(training):
    ours, theirs = small("dropout"), cifar(t.dropout_shortcut)
    assert_alike(ours, theirs, training=training, kept=partial(kept, 0.5))


@both_modes
def test_a_wide_resnet_with_dropout_is_pytorchs_with_the_same_values_kept(training):
    ours = partial(wide_resnet, 16, 2, width=4, dropout=0.3)
    theirs = preactivated(t.option_b, partial(t.full_preactivation, dropout=True), 2)
    assert_alike(ours, theirs, training=training, kept=partial(kept, 0.3))


@both_modes
def test_stochastic_depth_is_pytorchs_with_the_same_branches_kept(training):
    # The l-th of 6 branches is dropped with probability l / 6 * 0.6.
    chances = itertools.count(1)
    ours, theirs = small("A", 14, stochastic_depth=0.6), cifar(t.with_stochastic_depth, blocks=2)
    assert_alike(
        ours, theirs, training=training, kept=lambda shape: kept(next(chances) / 10, shape)
    )


# By their registered names.
IMAGENET = {
    "resnet18": t.resnet(18),
    "resnet18_a": t.resnet(18, t.option_a),
    "resnet18_c": t.resnet(18, t.option_c),
    "resnet34": t.resnet(34),
    "resnet50": t.resnet(50),
    "resnet50_v1": t.resnet(50, version=1),
    "resnet101": t.resnet(101),
    "resnet152_v1": t.resnet(152, version=1),
    "plain18": t.resnet(18, t.plain),
    "plain34": t.resnet(34, t.plain),
    "se_resnet18": t.resnet(18, t.excited),
    "se_resnet50": t.resnet(50, t.excited),
    "se_resnet50_v1": t.resnet(50, t.excited, version=1),
    "resnext50_32x4d": t.resnet(50, groups=32),
    "se_resnext50_32x4d": t.resnet(50, t.excited, groups=32),
    "wide_resnet50_2": t.resnet(50),
}
USUAL = {"resnet18", "resnet50", "resnet50_v1", "plain18", "se_resnet50", "resnext50_32x4d"}


@both_modes
@pytest.mark.parametrize("name", cases(IMAGENET, IMAGENET.keys() - USUAL))
def test_a_network_for_large_images_is_pytorchs(name, training):
    small = {"width": 16 if "resnext" in name else 4, "num_classes": 10}
    if name.startswith("se_"):
        small["reduction"] = 4
    ours = partial(models.create, name, **small)
    assert_alike(ours, IMAGENET[name], (4, 3, 64, 64), training)


DEEP = {
    "plain-32": (partial(cifar_plain, 32, width=4), cifar(t.plain, blocks=5)),
    "plain-44": (partial(cifar_plain, 44, width=4), cifar(t.plain, blocks=7)),
    "plain-56": (partial(cifar_plain, 56, width=4), cifar(t.plain, blocks=9)),
    "ResNet-56": (small("A", 56), cifar(t.option_a, blocks=9)),
    "ResNet-56, option C": (small("C", 56), cifar(t.option_c, blocks=9)),
    "ResNet-110": (small("A", 110), cifar(t.option_a, blocks=18)),
    "ResNet-110, option B": (small("B", 110), cifar(t.option_b, blocks=18)),
    "pre-activation ResNet-56": (small_preactivated(56), preactivated(t.option_b, blocks=9)),
    "pre-activation ResNet-110": (small_preactivated(110), preactivated(t.option_b, blocks=18)),
    "pre-activation ResNet-164": (
        partial(models.create, "cifar_preact_resnet164", width=4),
        preactivated(t.option_b, t.preactivation_bottleneck, 18),
    ),
    "Wide ResNet-40-4": (partial(wide_resnet, 40, 4, width=2), preactivated(t.option_b, blocks=6)),
}


@both_modes
@pytest.mark.parametrize("name", cases(DEEP, DEEP.keys() - {"plain-56", "ResNet-56"}))
def test_a_deep_network_is_pytorchs(name, training):
    assert_alike(*DEEP[name], training=training)


# With statistics that are not the batch's, so many blocks grow out of all proportion.
@pytest.mark.long
def test_1202_layers_with_shortcuts_are_pytorchs():
    assert_alike(partial(cifar_resnet, 1202, width=2), cifar(t.option_a, blocks=200))


@pytest.mark.long
def test_1001_layers_of_bottlenecks_are_pytorchs():
    ours = partial(models.create, "cifar_preact_resnet1001", width=4)
    assert_alike(ours, preactivated(t.option_b, t.preactivation_bottleneck, 111))


AMPLIFYING = {
    "plain-110": (partial(cifar_plain, 110, width=4), cifar(t.plain, blocks=18)),
    "ResNet-110, option C": (small("C", 110), cifar(t.option_c, blocks=18)),
}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", cases(AMPLIFYING, {"ResNet-110, option C"}))
def test_what_amplifies_rounding_is_pytorchs_as_far_as_pytorch_is_certain_of_it(name, seed):
    # Each of a hundred norms without an identity around it makes differences a little larger.
    ours, theirs = AMPLIFYING[name]
    model = ours()
    arrays, (images, cotangent) = drawn(model, seed), batch((4, 3, 16, 16))
    nudged = images * (1 + 1e-15 * batch(images.shape, seed + 10)[0])
    expected = of_torch(theirs, arrays, images, cotangent).gradient
    uncertainty = distance(of_torch(theirs, arrays, nudged, cotangent).gradient, expected)
    found = of_minires(model, arrays, images, cotangent).gradient
    assert distance(found, expected) <= 100 * uncertainty
    assert uncertainty < 1e-5


@pytest.mark.long
def test_a_plain_network_of_1202_layers_can_be_built():
    assert nn.parameter_count(cifar_plain(1202)) == 19_421_274
