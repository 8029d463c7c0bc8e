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
# # 14. Lesions: take a block out of a trained network
#
# **20 minutes** · you need: [11](11_path_spectrum.py)
#
# Neurologists learn from lesions what a part of the brain is for. Veit et al. did the same to networks (2016,
# [arXiv 1605.06431](https://arxiv.org/abs/1605.06431)): they trained one, and then deleted a layer. A plain network is
# destroyed by that. A deep residual one hardly notices. In this tutorial you
#
# - train twins, and delete one block of each, and then several;
# - swap blocks, as if they were interchangeable;
# - see which blocks matter most, and what this does and does not say.

# %%
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires.tutorials import recorded, show
from minires.tutorials.checks import lesions as check

plt.style.use("minires.tutorials.sheet")

# %% [markdown]
# ## Twins to operate on

# %%
split = mr.data.digits()
images = mr.tensor(np.stack([split.test[i][0] for i in range(len(split.test))]))
labels = np.array([split.test[i][1] for i in range(len(split.test))])


def train(make):
    model = make(depth=20, width=8, in_channels=1, seed=0)
    batches = mr.data.DataLoader(split.train, 64, shuffle=True, seed=0)
    optimizer = mr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    schedule = mr.optim.lr_scheduler.MultiStepLR(optimizer, [8])
    mr.Trainer(model, optimizer, schedule).fit(batches, epochs=12)
    return model.eval()


def error(model):
    with mr.no_grad():
        return 100 * (model(images).numpy().argmax(axis=1) != labels).mean()


residual, plain = train(mr.models.cifar_resnet), train(mr.models.cifar_plain)
print(f"test error: residual {error(residual):.1f} %, plain {error(plain):.1f} %")

# %% [markdown]
# ## One block
#
# To delete a residual block means to leave its shortcut: the input goes around what is no longer there. In the plain
# network there is nothing around; the nearest to it is to pass the input on.
#
# **Predict, then run.** There are nine blocks. How many of them can be deleted, one at a time, before the test error
# of each network rises by more than five points?


# %%
class Deleted(mr.nn.Module):
    """What is left of a block without its branch: the shortcut, or for a plain block the input."""

    def __init__(self, block):
        super().__init__()
        self.shortcut = block.downsample or mr.nn.PadShortcut(
            block.conv1.weight.shape[1], block.conv2.weight.shape[0], block.conv1.stride[0]
        )

    def forward(self, x):
        return mr.relu(self.shortcut(x))


def blocks_of(model):
    stages = [model.layer1, model.layer2, model.layer3]
    return [(stage, place) for stage in stages for place in range(len(stage))]


def without(model, numbers):
    """The test error with some blocks deleted; the network is put together again afterwards."""
    places = blocks_of(model)
    kept = [(stage, str(place), stage[place]) for stage, place in places]
    try:
        for number in numbers:
            stage, name, block = kept[number]
            setattr(stage, name, Deleted(block).eval())
        return error(model)
    finally:
        for stage, name, block in kept:
            setattr(stage, name, block)


names = [f"{1 + i // 3}.{i % 3}" for i in range(9)]
found = {
    name: [without(model, [number]) for number in range(9)]
    for name, model in [("plain", plain), ("residual", residual)]
}
figure, ax = plt.subplots()
for offset, (name, errors) in zip((-0.2, 0.2), found.items(), strict=True):
    ax.bar(np.arange(9) + offset, errors, 0.4, label=name, hatch="//" if name == "plain" else "")
ax.axhline(90, color="#56606B", linestyle=":", linewidth=1)
ax.set_xticks(range(9), names)
ax.set(
    xlabel="deleted block (stage.number)",
    ylabel="test error, %",
    title="Without one block",
    ylim=(0, 118),
)
ax.legend(ncols=2, loc="upper center")
show(
    figure,
    "Bars for each deleted block: high for the plain network, mostly low for the residual one.",
)
for name, model in [("plain", plain), ("residual", residual)]:
    little = sum(each - error(model) <= 5 for each in found[name])
    print(f"{name}: {little} of 9 blocks can be deleted at a cost of at most five points")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The counts are printed above. In the residual network some blocks matter more, the first ones above all. Of the plain network little is left, whichever layer is taken: each later layer
# expects what this one computes. Nine blocks are few: of the 27 in the network at the
# end of this page most can go almost without a trace.
#
# </details>
#
# ## Why?
#
# Count paths ([tutorial 11](11_path_spectrum.py)). A plain network has one path; without a layer it is broken. A residual network
# of nine blocks has $2^9 = 512$; deleting one block removes the half that goes through it, and leaves 256 intact.
#
# **Predict, then run.** How many paths remain without three blocks? And what will the error do as more and more are deleted:
# jump at some point, or rise smoothly?

# %%
counts = range(8)
figure, ax = plt.subplots()
for name, model in [("plain", plain), ("residual", residual)]:
    errors = [
        np.mean([without(model, chosen) for chosen in combinations(range(9), count)])
        for count in counts
    ]
    ax.plot(counts, errors, marker="o", label=name)
ax.axhline(90, color="#56606B", linestyle=":", linewidth=1)
ax.set(
    xlabel="deleted blocks",
    ylabel="test error, %",
    title="Without several blocks: mean of all choices",
)
ax.legend()
show(
    figure,
    "The plain network's error jumps up with the first block, the residual one's rises step by step.",
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# $2^6 = 64$ of 512. On average over all choices the error of the residual network rises step by step with the number of
# deleted blocks; that of the plain one jumps at the first.
#
# </details>
#
# ## Swapped
#
# Within a stage all blocks have the same shape (in the later stages all but the first), so that two can be exchanged. In
# a plain network that should be fatal: the second
# layer speaks a language that the first does not understand.

# %%
for name, model in [("residual", residual), ("plain", plain)]:
    for number, stage, one, two in [(1, model.layer1, 0, 1), (3, model.layer3, 1, 2)]:
        first, second = stage[one], stage[two]
        setattr(stage, str(one), second)
        setattr(stage, str(two), first)
        print(
            f"{name:8} {number}.{one} and {number}.{two} swapped: test error {error(model):.1f} %"
        )
        setattr(stage, str(one), first)
        setattr(stage, str(two), second)

# %% [markdown]
# ## A network that others trained
#
# The lab has done all this to a ResNet-56 with the weights that are published for CIFAR-10, on some of the
# images that it was trained with, all of which it gets right (`minires lab run lesions --scale small`).

# %%
result = recorded("lesions")
trials = result["trials"]["pretrained"]
lost = 100 * np.mean([trial["lost"] for trial in trials], axis=0)
changes = trials[0]["changes"]
figure, ax = plt.subplots(figsize=(8.6, 3.6))
ax.bar(
    range(1, 28),
    lost,
    color=["C1" if change else "C0" for change in changes],
    hatch=["//" if change else "" for change in changes],
)
ax.set(
    xlabel="deleted block of 27 (hatched: where the shape changes)",
    ylabel="training error, %",
    title="A published ResNet-56 without one block",
)
show(
    figure,
    "Low bars and a few high ones; the two highest stand where the number of channels changes.",
)
for claim in result["claims"]:
    print(f"{claim['outcome']}: {claim['claim']}")

# %% [markdown]
# ## What it does not say
#
# That a block can be deleted does not mean that it did nothing while *learning*: a network trained without it from the
# start would have other weights in all other blocks, and was never trained here. And "ensemble" is a picture. The paths share weights and were trained
# together; members of an ensemble are not.
#
# ## Exercises
#
# ### Exercise 1. What remains
#
# Of a residual network with `blocks` blocks, `deleted` are taken out. Return the fraction of its paths that remain.


# %% tags=["exercise"]
def fraction_left(blocks, deleted):
    return ...


check.fraction_left(fraction_left)


# %% tags=["solution"]
def fraction_left(blocks, deleted):
    return 2.0**-deleted


check.fraction_left(fraction_left)


# %% tags=["wrong-answers"]
def by_blocks(blocks, deleted):
    return (blocks - deleted) / blocks


def one_path_each(blocks, deleted):
    return 1 - deleted / 2**blocks


check.fraction_left(by_blocks)
check.fraction_left(one_path_each)

# %% [markdown]
# ### Exercise 2. Delete a branch
#
# Write a function that returns what a residual block gives *without its branch*, in evaluation: `x` goes through
# `block.downsample` (the shortcut), and through the ReLU that follows the addition. The check compares it with a block
# whose branch's last batch norm is all zero.


# %% tags=["exercise"]
def shortcut_only(block, x):
    return ...


check.shortcut_only(shortcut_only)


# %% tags=["solution"]
def shortcut_only(block, x):
    return mr.relu(block.downsample(x))


check.shortcut_only(shortcut_only)


# %% tags=["wrong-answers"]
def forgets_the_relu(block, x):
    return block.downsample(x)


def returns_the_input(block, x):
    return x


def keeps_half_of_the_branch(block, x):
    return mr.relu(block.downsample(x) + block.bn1(block.conv1(x)))


check.shortcut_only(forgets_the_relu)
check.shortcut_only(returns_the_input)
check.shortcut_only(keeps_half_of_the_branch)

# %% [markdown]
# ## Recap
#
# - Without one block a residual network loses half of its paths and, if it is deep, little of what it knows; a plain one
#   loses its only path.
# - On average the error rises with the number of deleted blocks, and does not jump at the first. Which blocks they are
#   matters.
# - In the published network the blocks that change the shape matter most.
# - A lesion is an experiment about a finished network, not about learning.
#
# Next: [15. ResNet-18, 50 and 152](15_resnets.py): the networks of the paper.
