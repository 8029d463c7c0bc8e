"""The segmenter: the paper's sums, bilinear to begin with, and forks that a trace knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minires as mr
from minires import ops
from minires.models import Segmenter, Trunk, bilinear_, cifar_preact_resnet, cifar_resnet
from tests.models.slopes import slopes


def small(classes: int = 3, **options: Any) -> Segmenter:
    """A segmenter whose score layers have learned something already."""
    backbone = cifar_resnet(8, **{"width": 2, "in_channels": 1, "seed": 0, **options})
    model = Segmenter(backbone, classes)
    with mr.devices.random.seeded(1):
        for score in (model.score1, model.score2, model.score3):
            mr.nn.init.normal_(score.weight)
    return model


def images(*shape: int) -> mr.Tensor:
    return mr.tensor(np.random.default_rng(0).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("shortcut", ["A", "B", "C", None])
def test_a_trunk_gives_what_the_backbones_stages_give_and_has_no_classifier(shortcut):
    backbone = cifar_resnet(8, shortcut, width=4)
    trunk = Trunk(backbone).eval()
    x = images(2, 3, 8, 8)

    stages = trunk(x)

    names = {name for name, _ in backbone.named_parameters()}
    assert {name for name, _ in trunk.named_parameters()} == names - {"fc.weight", "fc.bias"}
    assert trunk.channels == tuple(stage.shape[1] for stage in stages) == (4, 8, 16)
    np.testing.assert_array_equal(backbone.fc(stages[-1].mean((2, 3))).numpy(), backbone(x).numpy())


@pytest.mark.parametrize("order", ["full_preactivation", "act_only_preactivation"])
def test_a_pre_activation_network_is_no_backbone(order):
    with pytest.raises(ValueError, match="stages end without the norm or activation"):
        Trunk(cifar_preact_resnet(8, width=2, order=order))


@pytest.mark.parametrize("name", ["resnet18", "densenet_bc_40_12"])
def test_a_network_of_other_stages_is_no_backbone(name):
    with mr.devices.default("meta"), pytest.raises(ValueError, match=r"small images.* has .*relu"):
        Trunk(mr.models.create(name))


@pytest.mark.parametrize("size", [(8, 8), (9, 11), (10, 6), (5, 4), (1, 1)])
def test_every_pixel_of_an_image_of_any_size_gets_scores(size):
    assert small()(images(2, 1, *size)).shape == (2, 3, *size)


@pytest.mark.parametrize("size", [(8, 8), (7, 10)])
def test_scores_are_the_sums_of_the_papers_figure_3(size):
    model = small().eval()
    x = images(2, 1, *size)
    fine, middle, coarse = model.backbone(x)

    scores = model(x)

    def joined(skip: mr.Tensor, enlarged: mr.Tensor) -> mr.Tensor:
        return skip + enlarged[:, :, : skip.shape[2], : skip.shape[3]]

    two = joined(model.score2(middle), model.up3(model.score3(coarse)))
    one = joined(model.score1(fine), model.up2(two))
    np.testing.assert_array_equal(scores.numpy(), one.numpy())


def test_it_begins_with_equal_scores_for_all_classes():
    model = Segmenter(cifar_resnet(8, width=2), 5)

    assert not model(images(1, 3, 8, 8)).numpy().any()


def test_enlarging_is_bilinear_within_the_image_and_keeps_classes_apart():
    y, x = np.mgrid[:5, :6]
    ramps = np.stack([3 * y + 2 * x + 1, 7 - x * y]).astype(float)[None]

    enlarged = small(classes=2).to("float64").up3(mr.tensor(ramps)).numpy()

    # The middle of a large pixel lies a quarter beside that of the small one.
    y, x = (np.mgrid[:10, :12] - 0.5) / 2
    expected = np.stack([3 * y + 2 * x + 1, 7 - x * y])[None]
    inside = np.s_[..., 1:-1, 1:-1]
    np.testing.assert_allclose(enlarged[inside], expected[inside], rtol=1e-13)


@pytest.mark.oracle
@pytest.mark.parametrize("factor", [2, 4])
def test_enlarging_is_pytorchs_within_the_image(factor):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 6))
    weight = bilinear_(mr.zeros(3, 3, 2 * factor, 2 * factor, dtype="float64"))

    enlarged = ops.conv_transpose2d(mr.tensor(x), weight, stride=factor, padding=factor // 2)

    expected = torch.nn.functional.interpolate(
        torch.tensor(x), scale_factor=factor, mode="bilinear"
    ).numpy()
    inside = np.s_[..., factor:-factor, factor:-factor]
    np.testing.assert_allclose(enlarged.numpy()[inside], expected[inside], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "shape", [(2, 3, 4, 4), (2, 2, 3, 3), (2, 2, 6, 6), (2, 2, 4, 8), (2, 2, 4)]
)
def test_weights_that_cannot_interpolate_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(C, C, K, K\), K a multiple of 4"):
        bilinear_(mr.zeros(*shape))


def test_a_segmenter_needs_a_class_beside_the_background():
    with pytest.raises(ValueError, match="num_classes must be at least 2"):
        Segmenter(cifar_resnet(8, width=2), 1)


def test_its_gradients_are_those_of_the_loss_of_all_pixels():
    model, x = small().to("float64"), images(3, 1, 6, 5).to("float64")
    masks = np.random.default_rng(1).integers(0, 3, (3, 6, 5))

    told, measured = slopes(model, lambda: ops.cross_entropy(model(x), masks))

    assert measured == pytest.approx(told, rel=1e-6)


def test_a_trace_tells_what_came_through_the_skips():
    model = small()
    masks = np.random.default_rng(1).integers(0, 3, (2, 8, 8))

    with mr.trace.record(model) as trace:
        ops.cross_entropy(model(images(2, 1, 8, 8)), masks).backward()

    skips = [fork for fork in trace.forks() if fork.parts[0].consumer.startswith("score")]
    assert len(skips) == 2
    for fork in skips:
        # The stage beyond begins with a fork of its own, at the same value; both are the branch.
        (skip,) = fork.parts[0].roles
        sides = [role.side for part in fork.parts for role in part.roles if role.join == skip.join]
        assert sides == ["shortcut", "branch", "branch"]
        assert fork.verdict == "exact"


def test_the_table_of_a_trace_has_the_shares_of_each_skip_and_of_the_blocks_within():
    model = small()
    masks = np.random.default_rng(1).integers(0, 3, (2, 8, 8))
    with mr.trace.record(model) as trace:
        ops.cross_entropy(model(images(2, 1, 8, 8)), masks).backward()
    skip = next(fork for fork in trace.forks() if fork.parts[0].consumer.startswith("score2"))
    shares = [part.share for part in skip.parts]  # the skip, and the shortcut and branch beyond it

    rows = [line.split() for line in str(trace).splitlines()]

    block = next(row for row in rows if "backbone.layer3.0" in row)
    addition = next(row for row in rows if "residual_add" in row)
    assert block[-2:] == [f"{shares[1]:.0%}", f"{shares[2]:.0%}"]
    assert addition[-2:] == [f"{shares[0]:.0%}", f"{shares[1] + shares[2]:.0%}"]


def test_of_a_fresh_segmenter_it_is_said_why_its_blocks_share_nothing():
    model = Segmenter(cifar_resnet(8, width=2, in_channels=1), 3)

    with mr.trace.record(model) as trace:
        ops.cross_entropy(model(images(2, 1, 8, 8)), mr.zeros(2, 8, 8, dtype="int64")).backward()

    assert "for the shares: the gradient at the block's input is 0" in str(trace)


def test_a_backbone_that_is_no_network_is_told():
    with pytest.raises(TypeError, match=r"the backbone is a network, .* found 'resnet18'"):
        Trunk("resnet18")
