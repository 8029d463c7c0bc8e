"""The vocabulary of blocks: every order, norm and shortcut against its formula, spelled out."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import minires as mr
from minires import nn, ops
from minires.autograd import EngineHook


def assert_equal(found, expected, rtol=1e-12):
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol, 1e-13)


def images(channels=4, size=6, seed=0):
    random = np.random.default_rng(seed)
    return mr.tensor(random.standard_normal((3, channels, size, size)), requires_grad=True)


def shaken(module, seed=1):
    """Give every parameter a value of its own: what starts at 0 or 1 would hide a mistake."""
    random = np.random.default_rng(seed)
    module.to("float64")
    for parameter in module.parameters():
        parameter.copy_(random.standard_normal(parameter.shape) * 0.5)
    return module


FIGURES = {
    "original": lambda b, x: ops.relu(x + b.bn2(b.conv2(ops.relu(b.bn1(b.conv1(x)))))),
    "norm_after_addition": lambda b, x: ops.relu(b.bn2(x + b.conv2(ops.relu(b.bn1(b.conv1(x)))))),
    "act_before_addition": lambda b, x: x + ops.relu(b.bn2(b.conv2(ops.relu(b.bn1(b.conv1(x)))))),
    "act_only_preactivation": lambda b, x: (
        x + b.bn2(b.conv2(ops.relu(b.bn1(b.conv1(ops.relu(x))))))
    ),
    "full_preactivation": lambda b, x: x + b.conv2(ops.relu(b.bn2(b.conv1(ops.relu(b.bn1(x)))))),
    "linear": lambda b, x: x + b.bn2(b.conv2(ops.relu(b.bn1(b.conv1(x))))),
}


@pytest.mark.parametrize("looked_on", [False, True], ids=["fused", "op by op"])
@pytest.mark.parametrize("order", nn.ORDERS)
def test_an_order_is_its_figure(order, looked_on):
    block = shaken(nn.BasicBlock(4, 4, shortcut="A", order=order))
    x = images()
    if looked_on:
        with EngineHook():
            found = block(x)
    else:
        found = block(x)
    assert_equal(found, FIGURES[order](block, x))
    found.sum().backward()
    assert all(parameter.grad is not None for parameter in block.parameters())


def test_there_is_a_figure_for_every_order():
    assert FIGURES.keys() == nn.ORDERS.keys()


@pytest.mark.parametrize("order", nn.ORDERS)
@pytest.mark.parametrize("shortcut", [*nn.SHORTCUTS, None])
@pytest.mark.parametrize(("channels", "stride"), [(4, 1), (8, 2)])
def test_every_order_goes_with_every_shortcut(order, shortcut, channels, stride):
    block = nn.Bottleneck(4, channels, stride, shortcut, order=order, norm="batch")
    x = mr.randn(2, 4, 6, 6, requires_grad=True)
    y = block(x)
    assert y.shape == (2, 4 * channels, 6 // stride, 6 // stride)
    y.sum().backward()
    assert x.grad is not None
    assert all(parameter.grad is not None for parameter in block.parameters())


def test_a_pre_activation_is_shared_with_a_shortcut_that_changes_the_shape_and_when_asked():
    x = images()

    block = shaken(nn.PreActBlock(4, 8, 2, "B"))
    active = ops.relu(block.bn1(x))
    branch = block.conv2(ops.relu(block.bn2(block.conv1(active))))
    assert_equal(block(x), block.downsample(active) + branch)

    block = shaken(nn.PreActBlock(4, 4, 1, "A", share=True))
    active = ops.relu(block.bn1(x))
    branch = block.conv2(ops.relu(block.bn2(block.conv1(active))))
    assert_equal(block(x), active + branch)


def branch_of(block, x):
    return block.bn2(block.conv2(ops.relu(block.bn1(block.conv1(x)))))


@pytest.mark.parametrize(("alpha", "beta"), [(0.5, 1.0), (0.5, 0.5), (0.0, 1.0)])
def test_constant_scaling(alpha, beta):
    shortcut = partial(nn.ScaledShortcut, alpha=alpha, beta=beta)
    block, x = shaken(nn.BasicBlock(4, 4, shortcut=shortcut)), images()
    assert_equal(block(x), ops.relu(alpha * x + beta * branch_of(block, x)))


def test_scaling_by_zero_is_the_plain_network():
    twins = [
        nn.BasicBlock(4, 4, shortcut=kind).to("float64")
        for kind in (partial(nn.ScaledShortcut, alpha=0.0), None)
    ]
    twins[1].load_state_dict(twins[0].state_dict())
    assert_equal(twins[0](images()), twins[1](images()))


@pytest.mark.parametrize("kind", ["exclusive_gating", "shortcut_only_gating"])
def test_gating(kind):
    block, x = shaken(nn.BasicBlock(4, 8, 2, kind)), images()
    gate = ops.sigmoid(block.downsample.gate(x))
    assert gate.shape == (3, 8, 3, 3)
    shortcut = (1 - gate) * block.downsample.through(x)
    branch = branch_of(block, x)
    expected = shortcut + (gate * branch if kind == "exclusive_gating" else branch)
    assert_equal(block(x), ops.relu(expected))


@pytest.mark.parametrize(
    "shortcut", [nn.GatedShortcut, nn.ScaledShortcut, nn.DropoutShortcut], ids=lambda s: s.__name__
)
@pytest.mark.parametrize(
    ("options", "normed"),
    [
        ({}, True),
        ({"order": "full_preactivation"}, False),
        ({"norm": "none"}, False),
        ({"norm": "fixup"}, False),
    ],
)
@pytest.mark.parametrize("through", ["B", "C"])
def test_a_projection_within_a_shortcut_has_a_norm_where_others_have(
    shortcut, options, normed, through
):
    block = nn.BasicBlock(4, 8, 2, partial(shortcut, through=through), **options)
    norms = [part for part in block.downsample.modules() if isinstance(part, nn.BatchNorm2d)]
    assert bool(norms) == normed


def test_what_a_shortcut_says_of_its_norm_itself_counts():
    said = partial(nn.ScaledShortcut, through="C", norm=True)
    block = nn.PreActBlock(4, 8, 2, said)
    assert isinstance(block.downsample.through[1], nn.BatchNorm2d)


def test_a_projection_within_a_shortcut_starts_behind_the_pre_activation():
    block = shaken(nn.PreActBlock(4, 4, 1, partial(nn.ScaledShortcut, through="C")))
    x = images()
    active = ops.relu(block.bn1(x))
    branch = block.conv2(ops.relu(block.bn2(block.conv1(active))))
    assert_equal(block(x), 0.5 * block.downsample.through(active) + branch)


def test_a_gate_begins_with_its_bias():
    block = nn.BasicBlock(4, 4, shortcut=partial(nn.GatedShortcut, bias=-3.0))
    np.testing.assert_array_equal(block.downsample.gate.bias.numpy(), np.full(4, -3.0))


def test_dropout_on_the_shortcut_is_there_in_training_only():
    block, x = shaken(nn.BasicBlock(4, 4, shortcut="dropout")), images()
    mr.manual_seed(0)
    mask = ops.dropout(mr.ones(3, 4, 6, 6), 0.5).to("float64")
    mr.manual_seed(0)
    assert_equal(block(x), ops.relu(mask * x + branch_of(block, x)))
    block.eval()
    assert_equal(block(x), ops.relu(x + branch_of(block, x)))


def test_the_tape_knows_both_sides_of_a_gated_addition():
    class Sides(EngineHook):
        edges = ()

        def op_ran(self, op, inputs, output, node):
            if op.name == "residual_add":
                self.edges = op.input_names

    with Sides() as sides:
        nn.BasicBlock(4, 4, shortcut="exclusive_gating")(mr.randn(2, 4, 6, 6))
    assert sides.edges == ("shortcut", "branch")


def test_what_a_shortcut_does_to_both_sides_bears_its_name():
    class Places(EngineHook):
        def __init__(self):
            self.seen = []

        def op_ran(self, op, inputs, output, node):
            self.seen.append((op.name, mr.autograd.module_path()))

    with Places() as places:
        nn.Sequential(nn.BasicBlock(4, 4, shortcut="exclusive_gating"))(mr.randn(2, 4, 6, 6))
    at = "0.downsample"
    gate, products = ("conv2d", f"{at}.gate"), [("mul", at)] * 2
    assert places.seen[-7:] == [
        *(gate, ("sigmoid", at), ("sub", at), *products),
        *(("residual_add", "0"), ("relu", "0.relu")),
    ]


def test_squeeze_and_excitation_scales_channels_before_the_addition():
    block, x = shaken(nn.BasicBlock(4, 4, shortcut="A", reduction=2)), images()
    branch = branch_of(block, x)
    inner = ops.relu(block.se.fc1(ops.mean(branch, (2, 3), keepdim=True)))
    scale = ops.sigmoid(block.se.fc2(inner))
    assert scale.shape == (3, 4, 1, 1)
    assert_equal(block(x), ops.relu(x + branch * scale))


def test_fixup_has_scalars_around_its_convolutions():
    block, x = shaken(nn.BasicBlock(4, 4, shortcut="A", norm="fixup")), images()
    inner = ops.relu(block.conv1(x + block.shift1.bias) + block.bn1.bias)
    branch = block.conv2(inner + block.shift2.bias) * block.bn2.weight + block.bn2.bias
    assert_equal(block(x), ops.relu(x + branch))


@pytest.mark.parametrize("order", ["original", "full_preactivation"])
def test_skipinit_has_one_scalar_at_the_end_of_its_branch(order):
    block = nn.BasicBlock(4, 4, shortcut="A", norm="skipinit", order=order)
    x = images()
    relu = ops.relu if order == "original" else lambda x: x
    assert_equal(block.to("float64")(x), relu(x))

    shaken(block)
    first = x if order == "original" else ops.relu(x)
    branch = block.bn1.weight * block.conv2(ops.relu(block.conv1(first)))
    assert_equal(block(x), relu(x + branch))


def test_a_fixup_network_starts_as_its_shortcuts():
    net = mr.models.cifar_resnet(14, norm="fixup", width=4)
    assert not net(mr.randn(2, 3, 8, 8)).detach().numpy().any()
    bare = mr.models.cifar_resnet(14, norm="none", width=4, seed=0)
    scaled = mr.models.cifar_resnet(14, norm="fixup", width=4, seed=0)
    factor = 6**-0.5  # six blocks of two convolutions
    assert_equal(scaled.layer2[0].conv1.weight, factor * bare.layer2[0].conv1.weight, 1e-6)


@pytest.mark.parametrize("shortcut", ["A", None])
@pytest.mark.parametrize("order", nn.ORDERS)
@pytest.mark.parametrize("norm", ["fixup", "skipinit"])
def test_branches_that_start_at_0_learn_sooner_or_later(norm, order, shortcut):
    """What is 0 lets others learn from the second step on, or from the third."""
    options = {"order": order, "norm": norm, "width": 4, "num_classes": 3}
    if (norm, order, shortcut) == ("fixup", "act_before_addition", "A"):
        with pytest.raises(ValueError, match=r"gives no gradient at 0.* take another order, or"):
            mr.models.cifar_resnet(8, shortcut, **options)
        return
    model = mr.models.cifar_resnet(8, shortcut, seed=0, **options)
    idle = {name for name, _ in model.named_parameters()}
    optimizer = mr.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        ops.cross_entropy(model(images(3, 8).to("float32")), mr.tensor([0, 1, 2])).backward()
        optimizer.step()
        idle -= {name for name, p in model.named_parameters() if p.grad.numpy().any()}
    assert not idle


def test_zero_init_starts_every_block_as_its_shortcut():
    net = mr.models.ResNet(50, width=4, num_classes=3, zero_init_residual=True)
    ends = [block.bn3.weight.numpy() for stage in (net.layer1, net.layer4) for block in stage]
    assert not np.concatenate(ends).any()
    assert net.layer1[0].bn2.weight.numpy().all()


@pytest.mark.parametrize("options", [{"reduction": 4}, {"stochastic_depth": 0.5}])
def test_zero_init_finds_the_norm_behind_which_more_is_done_to_the_branch(options):
    net = mr.models.ResNet(18, width=4, num_classes=3, zero_init_residual=True, **options)
    assert not net.layer3[1].bn2.weight.numpy().any()
    assert net.layer3[1].bn1.weight.numpy().all()


@pytest.mark.parametrize(
    "options",
    [
        {"order": "full_preactivation"},
        {"order": "act_before_addition"},
        {"norm": "skipinit"},
        {"shortcut": None},
    ],
)
def test_zero_init_says_where_there_is_no_norm_for_it(options):
    with pytest.raises(ValueError, match="no branch ends in a BatchNorm"):
        mr.models.ResNet(18, width=4, zero_init_residual=True, **options)


@pytest.mark.parametrize("strided", [1, 2])
def test_the_paths_of_resnext_are_its_grouped_convolution_drawn_apart(strided):
    grouped = nn.Bottleneck(8, 8, 2, groups=4, base_width=16, strided=strided)
    shaken(grouped)
    apart = nn.split_transform_merge(grouped)
    assert len(apart.conv1.paths) == 4
    assert nn.parameter_count(apart) == nn.parameter_count(grouped)
    ours, theirs = images(8), images(8)
    for _ in range(2):  # the second time with running statistics that have moved
        found, expected = apart(ours), grouped(theirs)
        assert_equal(found, expected, 1e-9)
    (found * found).sum().backward()
    (expected * expected).sum().backward()
    assert_equal(ours.grad, theirs.grad, 1e-9)
    assert_equal(apart.eval()(ours), grouped.eval()(theirs), 1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"reduction": 4},
        {"stochastic_depth": 0.5},
        {"order": "full_preactivation"},
        {"activation": nn.ReLU6},
    ],
)
def test_only_the_papers_block_is_drawn_apart(options):
    with pytest.raises(ValueError, match="split_transform_merge: expected a block of the steps"):
        nn.split_transform_merge(nn.Bottleneck(8, 8, groups=4, base_width=16, **options))


def test_separable_and_inverted_blocks_are_convolutions_of_single_channels_and_pixels():
    block, x = shaken(nn.SeparableBlock(4, 6, 2)), images()
    assert block.conv1.groups == 4
    assert block.conv2.kernel_size == (1, 1)
    inner = ops.relu(block.bn1(block.conv1(x)))
    assert_equal(block(x), ops.relu(block.bn2(block.conv2(inner))))

    block = shaken(nn.InvertedResidual(4, 4, expand_ratio=3))
    assert [block.conv1.out_channels, block.conv2.groups, block.conv3.out_channels] == [12, 12, 4]
    act = block.relu
    inner = act(block.bn2(block.conv2(act(block.bn1(block.conv1(x))))))
    assert_equal(block(x), x + block.bn3(block.conv3(inner)))
    assert nn.InvertedResidual(4, 6).downsample is None


class Alone(nn.MeetingShortcut):
    def meet(self, x, branch):
        return self.through(x) + branch


def test_a_meeting_that_returns_one_tensor_is_told():
    """Of a batch of two images, one would be the shortcut and the other the branch."""
    told = r"^Alone\.meet must return \(shortcut, branch\), .*; found a Tensor; in '0\.downsample'$"
    with pytest.raises(TypeError, match=told):
        nn.Sequential(nn.BasicBlock(4, 4, shortcut=Alone))(mr.randn(2, 4, 6, 6))


class Unfinished(nn.MeetingShortcut):
    pass


@pytest.mark.parametrize(
    ("shortcut", "told"),
    [
        (Unfinished, r"^Unfinished does not define meet\(self, x, branch\)"),
        (
            nn.ScaledShortcut(4, 4, 1),
            r"found a ScaledShortcut that is made already.* give the class",
        ),
        (nn.Identity, "calls Identity with its in_channels, channels and stride.* does not take"),
        (lambda *shape: shape, "<lambda> must make a Module, or None .*; found a tuple of 3"),
    ],
)
def test_what_makes_no_shortcut_is_told_before_it_is_run(shortcut, told):
    with pytest.raises(TypeError, match=told):
        nn.BasicBlock(4, 4, shortcut=shortcut)


@pytest.mark.parametrize("norm", nn.NORMS)
def test_what_does_not_tell_its_arguments_is_no_shortcut(norm):
    with pytest.raises(TypeError, match="calls dict with its in_channels, channels and stride"):
        nn.BasicBlock(4, 4, shortcut=dict, norm=norm)


def test_a_block_shows_its_steps_and_what_its_shortcut_does():
    half = partial(nn.ScaledShortcut, alpha=0.5)
    for shortcut, told in (
        (half, "ScaledShortcut(\n    alpha=0.5, beta=1.0\n"),
        ("shortcut_only_gating", "GatedShortcut(\n    exclusive=False, bias=-6.0\n"),
    ):
        shown = repr(nn.BasicBlock(4, 4, shortcut=shortcut))
        assert shown.startswith("BasicBlock(\n  conv1, bn1, relu, conv2, bn2, + downsample, relu\n")
        assert f"  (downsample): {told}    (through): Identity()\n" in shown


def test_a_branch_may_do_nothing():
    x = images()
    assert_equal(nn.sequential.run([nn.Identity()], x, lambda: x, [nn.ReLU()]), ops.relu(x + x))


def test_a_block_tells_its_steps():
    text = nn.PreActBlock(4, 8, 2).extra_repr()
    assert text == "bn1, relu, fork, conv1, bn2, relu, conv2, + downsample"
    assert nn.BasicBlock(4, 4, shortcut=None).extra_repr() == "conv1, bn1, relu, conv2, bn2, relu"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "reversed"}, "unknown order 'reversed'; known: 'original'"),
        ({"norm": "layer"}, "unknown norm 'layer'; known: 'batch'"),
        ({"shortcut": "D"}, "unknown shortcut 'D'; known: 'A'"),
        ({"shortcut": 1}, "unknown shortcut 1; known: 'A'"),
        ({"reduction": 16}, "4 channels divided by reduction=16"),
    ],
)
def test_what_is_unknown_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        nn.BasicBlock(4, 4, **options)


def test_stochastic_depth_leaves_out_the_branches_of_some_images():
    block = nn.BasicBlock(4, 4, shortcut="A", order="full_preactivation", stochastic_depth=0.5)
    shaken(block)
    x = images()
    mr.manual_seed(0)
    kept = ops.stochastic_depth(mr.ones(3, 1, 1, 1), 0.5, "row").to("float64")
    assert 0 < float(kept.sum()) < 6
    branch = FIGURES["full_preactivation"](block, x) - x
    mr.manual_seed(0)
    assert_equal(block(x), x + kept * branch)

    averaged = FIGURES["full_preactivation"]
    assert_equal(block.eval()(x), averaged(block, x))


def test_branches_are_left_out_more_often_the_deeper_they_are():
    net = mr.models.cifar_resnet(20, stochastic_depth=0.45, width=4)
    blocks = [block for stage in (net.layer1, net.layer2, net.layer3) for block in stage]
    found = [block.stochastic_depth.p for block in blocks]
    np.testing.assert_allclose(found, 0.05 * np.arange(1, 10))


def test_a_dropout_of_wide_networks_stands_before_the_second_convolution():
    block = nn.PreActBlock(4, 4, shortcut="A", dropout=0.3)
    assert block.extra_repr() == "bn1, relu, conv1, bn2, relu, dropout1, conv2, + downsample"
