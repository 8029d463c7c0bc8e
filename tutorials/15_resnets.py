# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 15. ResNet-18, 50 and 152: the paper's table, read from code
#
# **20 minutes** · you need: [convolutions](03_convolution.py) and [the residual
# addition](09_residual_add.py)
#
# Table 1 of He et al. 2015 ([1512.03385](https://arxiv.org/abs/1512.03385)) describes five networks on
# half a page. Whoever can read it can read most papers on networks for images. In this tutorial you
#
# - print that table from the networks themselves;
# - see what a *bottleneck* is, and what it saves;
# - learn when a shortcut needs a *projection*, and what the options A, B and C cost;
# - find out where the parameters are, and where the work is.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires import nn
from minires.tutorials import show
from minires.tutorials.checks import resnets as check

plt.style.use("minires.tutorials.sheet")

# %% [markdown]
# ## The table
#
# Here are three of the five networks. They are made on the device `"meta"`, where a Tensor has a shape
# and no numbers ([more on it](../docs/models.md#tensors-without-values)): we only want to look at shapes.

# %%
depths = (18, 50, 152)
networks = {depth: mr.models.create(f"resnet{depth}", device="meta") for depth in depths}


def convolutions(block):
    """Tell a block's branch as the paper does: kernel, and channels that come out."""
    layers = [getattr(block, name, None) for name in ("conv1", "conv2", "conv3")]
    return ", ".join(
        f"{layer.kernel_size[0]}x{layer.kernel_size[1]} {layer.weight.shape[0]}"
        for layer in layers
        if layer is not None
    )


image = mr.zeros(1, 3, 224, 224, device="meta")
for depth, network in networks.items():
    print(f"\nResNet-{depth}, images 224 x 224")
    h = network.maxpool(network.relu(network.bn1(network.conv1(image))))
    print(f"  conv1, maxpool   {convolutions(network):38} {h.shape[2]:3} x {h.shape[3]}")
    for number in range(1, 5):
        stage = getattr(network, f"layer{number}")
        h = stage(h)
        what = f"[{convolutions(stage[1])}] x {len(stage)}"
        print(f"  layer{number}           {what:38} {h.shape[2]:3} x {h.shape[3]}")
    print(f"  mean, linear     {network.fc.weight.shape[1]} -> {network.fc.weight.shape[0]}")

# %% [markdown]
# Compare with the paper. A row `[3x3 64, 3x3 64] x 2` is two *blocks* one after the other. Each block
# has two convolutions with $3\times3$ kernels and 64 channels, and a shortcut around both. A *stage* is
# the blocks between two changes of size. The paper calls the stages conv2_x to conv5_x; in code they
# are `layer1` to `layer4`.
#
# All five networks share one plan. The first convolution and the max-pool make the image four times
# smaller. Then four stages follow. From each stage to the next, height and width halve and channels
# double. At the end each channel is averaged over the image, and one linear layer makes 1000 scores.
#
# **Predict, then run.** The name counts layers with weights on the way from image to scores. Where do
# the 18 of ResNet-18 come from?
#
# <details><summary>Answer</summary>
#
# One first convolution, $2 + 2 + 2 + 2 = 8$ blocks of two convolutions each, and the linear layer:
# $1 + 16 + 1 = 18$. Batch normalisation, ReLU and pooling do not count, nor do convolutions on shortcuts.
#
# </details>

# %%
for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"):
    print(f"{name:10} longest way through layers with weights: {mr.models.counts_of(name).depth}")

# %% [markdown]
# ## The bottleneck
#
# ResNet-18 and 34 use the *basic block*: $3\times3$, $3\times3$. From ResNet-50 on it is the
# *bottleneck*: a $1\times1$ convolution makes 64 channels of 256, a $3\times3$ works on these 64, and
# a $1\times1$ makes 256 of them again. The expensive kernel sees few channels.
#
# A convolution from $C$ to $C'$ channels with a kernel $KH \times KW$ has $C' \cdot C \cdot KH \cdot KW$
# weights. Each weight is used once at each place of the output, so the *MACs* (multiplications, each with
# its addition) are weights times $OH \cdot OW$. The first figure draws three blocks of the networks above, in
# which batch normalisation and the ReLUs within are left out. The second compares what blocks cost at $56\times56$.


# %%
def cost(block):
    """Return each convolution's kernel, channels before and after, and number of weights."""
    layers = [getattr(block, name, None) for name in ("conv1", "conv2", "conv3")]
    for layer in layers:
        if layer is not None:
            after, before, rows, columns = layer.weight.shape
            yield f"{rows}x{columns}, {before} to {after}", math.prod(layer.weight.shape)


def draw(ax, block, title):
    """Draw a block: its branch as boxes from above to below, its shortcut as a line around them."""
    steps = [what for what, _ in cost(block)]
    for row, what in enumerate(steps):
        ax.annotate("", (0, -row - 0.7), (0, -row - 0.25), arrowprops={"arrowstyle": "->"})
        ax.text(0, -row - 0.95, what, ha="center", va="center", bbox={"fc": "white", "ec": "C0"})
    end = -len(steps) - 0.75
    ax.annotate("", (0, end), (0, end + 0.5), arrowprops={"arrowstyle": "->"})
    ax.text(0, end - 0.2, "add, ReLU", ha="center", va="center", bbox={"fc": "#D9DEE4"})
    ax.plot([0, 1.2, 1.2, 0.42], [-0.25, -0.25, end - 0.2, end - 0.2], color="C1", linestyle="--")
    projected = not isinstance(block.downsample, nn.Identity)
    ax.text(1.25, end / 2, "projection" if projected else "identity", rotation=90, va="center")
    ax.set(xlim=(-0.9, 1.5), ylim=(-4.3, 0), title=title)
    ax.axis("off")


drawn = {
    "basic": networks[18].layer1[0],
    "bottleneck": networks[50].layer1[1],
    "first of a stage": networks[50].layer2[0],
}
figure, axes = plt.subplots(1, 3, figsize=(7.2, 3.6))
for ax, (title, block) in zip(axes, drawn.items(), strict=True):
    draw(ax, block, title)
show(
    figure,
    "Three blocks from above to below: a basic block of two convolutions, a bottleneck of three, and the"
    " first bottleneck of a stage, whose shortcut is a projection; the others have the identity.",
)

# %%
blocks = {
    "basic, 64 channels": nn.BasicBlock(64, 64),
    "bottleneck, 256 channels": nn.Bottleneck(256, 64),
    "basic, 256 channels": nn.BasicBlock(256, 256),
}
figure, ax = plt.subplots(figsize=(7.2, 3.2))
for row, (name, block) in enumerate(blocks.items()):
    left = 0
    for number, (what, weights) in enumerate(cost(block)):
        macs = weights * 56 * 56 / 1e6
        ax.barh(row, macs, left=left, color=f"C{number}", edgecolor="white", linewidth=2)
        if macs > 200:
            ax.text(left + macs / 2, row, what, ha="center", va="center", color="white")
        left += macs
    ax.text(left + 30, row, f"{left:.0f}", va="center")
    print(f"{name}: {'; '.join(what for what, _ in cost(block))}")
ax.set_yticks(range(len(blocks)), list(blocks))
ax.invert_yaxis()
ax.set(xlabel="MACs of a block at 56 x 56, in millions", xlim=(0, 4200), title="What a block costs")
show(
    figure,
    "Bars: the basic block of 64 channels and the bottleneck of 256 are about equally long, the basic"
    " block of 256 channels is many times longer.",
)

# %% [markdown]
# The bottleneck carries four times the channels for about the price of the narrow basic block. This
# is why ResNet-50 can be deeper than ResNet-34 without being much more expensive. A bottleneck is a
# saving; it is the *shortcut* that keeps the depth trainable.
#
# ## When a shortcut is not the identity
#
# The addition needs two arrays of one shape. In most blocks input and output agree, and the shortcut
# is the identity: no weights, no work. Where a stage begins they do not agree. The paper tries three ways:
#
# | option | where the shape changes | elsewhere | weights |
# |---|---|---|---|
# | A | every second pixel, zeros for the new channels | identity | none |
# | B | a $1\times1$ convolution with stride, the *projection* | identity | some |
# | C | projection | projection | many |

# %%
block = networks[50].layer2[0]
for path, module in block.named_modules():
    if isinstance(module, nn.Conv2d):
        after, before, rows, columns = module.weight.shape
        where = "shortcut" if path.startswith("downsample") else "branch"
        print(
            f"{where:8} {before:3} to {after:3} channels, {rows}x{columns}, stride {module.stride[0]}"
        )

# %% [markdown]
# **Predict, then run.** How many of the 16 shortcuts of ResNet-50 are projections under option B? In
# ResNet-34, which has 16 blocks as well, there are only 3.
#
# <details><summary>Answer</summary>
#
# Four. In ResNet-34 the first stage begins with 64 channels and keeps 64. In ResNet-50 it begins with 64, and
# its bottlenecks put out 256: the first block needs a projection too, although its stride is 1.
#
# </details>

# %%
for name in ("resnet34", "resnet50"):
    network = mr.models.create(name, device="meta")
    kinds = [
        isinstance(module.downsample, nn.Identity)
        for module in network.modules()
        if isinstance(module, (nn.BasicBlock, nn.Bottleneck))
    ]
    print(f"{name}: {kinds.count(True)} identities, {kinds.count(False)} projections")

options = {"plain": "plain34", "A": "resnet34_a", "B": "resnet34", "C": "resnet34_c"}
params = [mr.models.counts_of(name).params / 1e6 for name in options.values()]
macs = [mr.models.counts_of(name).macs / 1e9 for name in options.values()]
figure, axes = plt.subplots(1, 2, sharey=True)
for ax, values, label in [
    (axes[0], params, "parameters, in millions"),
    (axes[1], macs, "MACs, in thousand millions"),
]:
    ax.barh(list(options), values, color=["C5", "C0", "C0", "C0"])
    for row, value in enumerate(values):
        ax.text(value * 0.98, row, f"{value:.3f}", ha="right", va="center", color="white")
    ax.set(xlabel=label)
axes[0].invert_yaxis()
axes[0].set(title="34 layers: what shortcuts cost", ylabel="option")
show(
    figure,
    "Two panels of bars, parameters and MACs of the plain network and options A, B and C: plain and A"
    " are equal, B is a little more, C a little more still.",
)

# %% [markdown]
# The plain network and option A agree to the last parameter: that makes them fair twins. B and C differ by
# a few per cent. In the paper's table 3, ResNet-34 with options A, B and C has top-1 errors of 25.03, 24.52
# and 24.19 % on ImageNet, against 28.54 % of the plain network: of the 4.35 points that C gains, 3.51 are
# there with A, which has no weights at all.
#
# ## Where the numbers live

# %%
places = ["conv1", "layer1", "layer2", "layer3", "layer4", "fc"]
figure, axes = plt.subplots(2, 1, figsize=(7.2, 4.8), sharex=True)
for shift, (depth, hatch) in enumerate(zip(depths, ("", "//", ".."), strict=True)):
    rows = mr.models.summary(f"resnet{depth}").rows
    for ax, kind in zip(axes, ("params", "macs"), strict=True):
        sums = [sum(getattr(r, kind) for r in rows if r.path.startswith(p)) for p in places]
        share = 100 * np.array(sums) / sum(sums)
        xs = np.arange(len(places)) + 0.27 * (shift - 1)
        ax.bar(xs, share, 0.25, hatch=hatch, edgecolor="white", label=f"ResNet-{depth}")
        print(f"ResNet-{depth}: most {kind} are in {places[int(np.argmax(sums))]}")
axes[0].set(ylabel="parameters, %", title="Parameters live late; work is where the blocks are")
axes[1].set(ylabel="MACs, %", xlabel="part of the network")
axes[1].set_xticks(range(len(places)), places)
axes[0].legend()
show(
    figure,
    "Bars for each part of three networks: above, the share of parameters, which lie mostly in the last"
    " two stages; below, the share of MACs, which follows the number of blocks.",
)

# %% [markdown]
# Why? From stage to stage channels double, so the weights of a block become four times as many. The places
# become four times fewer. So a block costs the same number of MACs in every stage (the first block of a stage
# aside).
#
# ## A small print that matters
#
# The paper's bottleneck halves the image in its first $1\times1$ convolution. Most code of today, such
# as torchvision's, does it in the $3\times3$ (often called "v1.5"). The weights have the same shapes, so
# a file for one loads into the other *without an error*, and gives wrong answers.

# %%
for name in ("resnet50_v1", "resnet50"):
    counts = mr.models.counts_of(name)
    block = mr.models.create(name, device="meta").layer2[0]
    strides = [block.conv1.stride[0], block.conv2.stride[0], block.conv3.stride[0]]
    print(
        f"{name:12} strides {strides}  {counts.params:,} parameters  {counts.macs / 1e9:.3f} GMACs"
    )

# %% [markdown]
# The paper's table says $3.8 \times 10^9$ "FLOPs" for ResNet-50. They are MACs (a MAC is two floating-point
# operations), and they fit the first variant. So one number of a table told which code made it.
#
# ## Exercises
#
# ### Exercise 1. The number in the name
#
# `blocks` has the number of blocks in each stage, `convolutions` the number of convolutions in a block.
# Return the depth.


# %% tags=["exercise"]
def depth(blocks, convolutions):
    return ...


check.depth(depth)


# %% tags=["solution"]
def depth(blocks, convolutions):
    return 1 + convolutions * sum(blocks) + 1


check.depth(depth)


# %% tags=["wrong-answers"]
def forgets_both_ends(blocks, convolutions):
    return convolutions * sum(blocks)


def counts_projections(blocks, convolutions):
    return 1 + convolutions * sum(blocks) + 1 + len(blocks)


check.depth(forgets_both_ends)
check.depth(counts_projections)

# %% [markdown]
# ### Exercise 2. The weights of a bottleneck
#
# `channels` come in and go out, `middle` are inside. Return how many weights the three convolutions
# have together. They have no bias; leave batch normalisation aside.


# %% tags=["exercise"]
def bottleneck_weights(channels, middle):
    return ...


check.bottleneck_weights(bottleneck_weights)


# %% tags=["solution"]
def bottleneck_weights(channels, middle):
    return channels * middle + 3 * 3 * middle * middle + middle * channels


check.bottleneck_weights(bottleneck_weights)


# %% tags=["wrong-answers"]
def three_kernels_of_nine(channels, middle):
    return 9 * (channels * middle + middle * middle + middle * channels)


def a_kernel_without_channels(channels, middle):
    return channels * middle + 3 * 3 * middle + middle * channels


check.bottleneck_weights(three_kernels_of_nine)
check.bottleneck_weights(a_kernel_without_channels)

# %% [markdown]
# ### Exercise 3. Identity or projection
#
# Return whether option B puts a projection on the shortcut of a block that makes `after` channels of
# `before`, with this stride.


# %% tags=["exercise"]
def is_projected(before, after, stride):
    return ...


check.is_projected(is_projected)


# %% tags=["solution"]
def is_projected(before, after, stride):
    return before != after or stride != 1


check.is_projected(is_projected)


# %% tags=["wrong-answers"]
def only_where_the_image_shrinks(before, after, stride):
    return stride != 1


def only_where_channels_change(before, after, stride):
    return before != after


check.is_projected(only_where_the_image_shrinks)
check.is_projected(only_where_channels_change)

# %% [markdown]
# ## Recap
#
# - A residual network is a first convolution, four stages of blocks, a mean and a linear layer.
# - The name counts convolutions and linear layers on the longest way: shortcuts are not in it.
# - A bottleneck lets the $3\times3$ kernel see few channels. It saves work; it is no shortcut.
# - A shortcut is projected where channels or size change, and is the identity elsewhere. Option A has no
#   parameters, so it is the fair twin of the plain network.
# - Two networks with equal weights need not be equal functions: look at the strides.
#
# Next: [16. Architectures side by side](16_architectures.py), the networks before and after this one.
