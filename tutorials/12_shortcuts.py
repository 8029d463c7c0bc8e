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
# # 12. Six shortcuts, and why identity wins
#
# **20 minutes** · you need: [9](09_residual_add.py), [11](11_path_spectrum.py)
#
# If a shortcut is good, would a cleverer one be better? One that is scaled, gated, convolved? He et al. tried
# six (2016, [arXiv 1603.05027](https://arxiv.org/abs/1603.05027)). The identity won, and the reason fits in one
# product. In this tutorial you
#
# - see what a factor on every shortcut does to the gradient;
# - compare them, in an untrained network and in training;
# - learn what to do where the identity does not fit, and how blocks can begin as nothing.

# %%
from functools import partial

import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires.tutorials import recorded, show
from minires.tutorials.checks import shortcuts as check

plt.style.use("minires.tutorials.sheet")

# %% [markdown]
# ## A factor on every shortcut
#
# Let $x_{l+1} = \lambda\, x_l + F(x_l)$. Of the $2^L$ paths of [tutorial 11](11_path_spectrum.py) look at the one that
# goes around all blocks. It carries
#
# $$\lambda^L\,\bar x_L .$$
#
# **Predict, then run.** $L = 54$, and $\lambda = 0.9$: that is nearly one. How much is left?
#
# <details><summary>Answer</summary>
#
# $0.9^{54} \approx 0.003$. And with $\lambda = 1.1$ it is $172$ times as large.
#
# </details>

# %%
depths = np.arange(0, 55)
figure, ax = plt.subplots()
for factor in (0.5, 0.9, 0.99, 1.0, 1.1):
    ax.semilogy(depths, factor**depths, label=f"λ = {factor:g}")
ax.set(
    xlabel="blocks",
    ylabel="gradient along the shortcuts",
    title="λ to the power of L",
    ylim=(1e-8, 1e4),
)
ax.legend(ncols=2)
show(figure, "Straight lines in a logarithmic picture; only for λ = 1 the line is level.")

# %% [markdown]
# Measured, in a network of 18 blocks whose branches are alive. `parts[0]` of the path spectrum is that path:

# %%
mr.manual_seed(0)
WIDTH, BLOCKS = 8, 18
images, g = mr.randn(4, WIDTH, 8, 8), mr.randn(4, WIDTH, 8, 8)
g = g / np.linalg.norm(g.numpy())  # the gradient behind the last block, of norm 1


class Scaled(mr.nn.Module):
    """Blocks of equal shape, each with its shortcut multiplied by a factor."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor
        self.convs = mr.nn.ModuleList(
            [mr.nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False) for _ in range(BLOCKS)]
        )
        self.norms = mr.nn.ModuleList([mr.nn.BatchNorm2d(WIDTH) for _ in range(BLOCKS)])

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = mr.ops.residual_add(self.factor * x, conv(mr.relu(norm(x))))
        return x


for factor in (0.5, 0.9, 1.0, 1.1):
    mr.manual_seed(0)
    model = Scaled(factor)
    x = images.detach().requires_grad_()
    with mr.trace.record(model) as trace:
        model(x).backward(g)
    spectrum = trace.path_spectrum(x)
    whole = np.linalg.norm(spectrum.total)
    print(
        f"λ = {factor:3}: around all blocks {spectrum.norms[0]:.2e}, λ^18 = {factor**18:.2e}; whole gradient {whole:.2e}"
    )

# %% [markdown]
# The path follows the law. The *whole* gradient does not: branches make up for it, at $\lambda = 0.5$ more than that, since a batch norm
# divides a smaller signal by a smaller deviation. "$\lambda = 0.9$, so the gradient vanishes" would be wrong; what
# vanishes is the road on which nothing is changed.
#
# ## The six
#
# | shortcut | what it does |
# |---|---|
# | identity | $x$ |
# | constant scaling | $\lambda x$ |
# | exclusive gating | $(1 - g(x))\,x$, and the branch times $g(x)$ (a highway network); $g(x) = \sigma(W x + b)$ |
# | shortcut-only gating | $(1 - g(x))\,x$, branch as it is |
# | 1×1 convolution | $W x$ |
# | dropout | each entry of $x$ is zero with probability 1/2, or doubled |
#
# The gates and the convolution *can* express the identity or something near it, and more. If expressing were what
# matters, they could not be worse. First the gradient:

# %%
names = {
    "identity": "A",
    "scaling, λ = 1/2": partial(mr.nn.ScaledShortcut, alpha=0.5),
    "exclusive gating": "exclusive_gating",
    "shortcut-only gating": "shortcut_only_gating",
    "1×1 convolution": "C",
    "dropout": "dropout",
}
pixels = mr.randn(8, 3, 16, 16)
targets = mr.tensor(np.arange(8))
figure, ax = plt.subplots(figsize=(8.6, 3.8))
for name, kind in names.items():
    mr.manual_seed(0)
    model = mr.models.cifar_resnet(depth=56, width=4, shortcut=kind, seed=0)
    with mr.trace.record(model) as trace:
        mr.ops.cross_entropy(model(pixels), targets).backward()
    before = {fork.block: fork.norm for fork in trace.forks() if fork.has_sides}  # last: the input
    norms = list(before.values())[::-1]
    ax.semilogy(range(1, len(norms) + 1), norms, label=name)
ax.set(
    xlabel="block",
    ylabel="norm of the gradient",
    title="ResNet-56, untrained: the gradient before each block",
)
ax.legend(ncols=2)
show(
    figure,
    "Six curves over 27 blocks; for a 1×1 convolution and for halved shortcuts the gradient grows most"
    " towards the first.",
)

# %% [markdown]
# **Predict, then run.** The six in training, 56 layers, the same recipe for all. Which come close to the identity?
#
# The results were recorded by `minires lab run six-shortcuts --scale small`: photographs of 16×16 pixels, six
# epochs, three seeds. That is short; the paper trained to the end. `0.5 : 1` is half the shortcut and the whole
# branch, `original` the identity; a gate's bias is where its $b$ begins: with $-6$ it is nearly shut, $g \approx 0.0025$.

# %%
result = recorded("six-shortcuts")
errors = {
    name: [100 * trial["final_test_error"] for trial in trials]
    for name, trials in result["trials"].items()
    if "final_test_error" in trials[0]
}
order = sorted(errors, key=lambda name: np.mean(errors[name]))
figure, ax = plt.subplots(figsize=(8, 4.2))
ax.barh(
    order,
    [np.mean(errors[name]) for name in order],
    color=["C0" if name == "original" else "C1" for name in order],
)
for place, name in enumerate(order):
    ax.plot(errors[name], [place] * 3, "k|", markersize=9)
ax.axvline(90, color="#56606B", linestyle=":", linewidth=1)
ax.text(89.5, 0.1, "guessing", ha="right", color="#56606B")
ax.invert_yaxis()
ax.set(xlabel="test error, %", title="Six epochs on photographs; a line for each seed")
show(
    figure,
    "Bars of test errors; the original, with identity shortcuts, is at the top with the lowest mean.",
)
for claim in result["claims"]:
    print(f"{claim['outcome']}: {claim['claim']}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The shortcut-only gate with bias $-6$, which leaves shortcut *and* branch nearly alone. An exclusive gate that opens the
# shortcut shuts the branch. The 1×1 convolution, which *can* be the identity, and has the most parameters, is far behind.
# What a shortcut can express does not decide; He et al. explain it by what the gradient meets on its way.
#
# One claim is `inconclusive`: on average the identity has the lowest error, but in one of three seeds the gate that is
# nearly an identity has a lower one. There the title of this tutorial rests on the paper.
#
# </details>
#
# ## Where the identity does not fit
#
# When the number of channels doubles and the image is halved, something has to be done. Option A takes every second
# pixel and pads zero channels; B projects there with a 1×1 convolution; C projects at every block.

# %%
rows = {}
for option in ("A", "B", "C"):
    model = mr.models.cifar_resnet(depth=20, shortcut=option)
    rows[option] = mr.nn.parameter_count(model)
    print(f"option {option}: {rows[option]:,} parameters")
print(f"B adds {rows['B'] - rows['A']:,}: two projections; C adds {rows['C'] - rows['A']:,}: nine")

# %% [markdown]
# ## Blocks that begin as nothing
#
# The same thought turned to the branch: let each *branch* be zero at the start, so that each block begins as its
# shortcut, and grows from there. The last batch norm's $\gamma$ is set to zero (Goyal et al. 2017,
# [arXiv 1706.02677](https://arxiv.org/abs/1706.02677)), or a learned factor that begins at zero replaces
# normalisation (SkipInit, De and Smith 2020, [arXiv 2002.10444](https://arxiv.org/abs/2002.10444); Fixup, Zhang et al.
# 2019, [arXiv 1901.09321](https://arxiv.org/abs/1901.09321), scales the weights down instead). A very deep network, five
# epochs on digits, three seeds (`minires lab run identity-starts --scale small`):

# %%
result = recorded("identity-starts")
for name, trials in result["trials"].items():
    if "final_train_error" in trials[0]:
        found = ", ".join(f"{100 * trial['final_train_error']:.0f} %" for trial in trials)
        diverged = sum(bool(trial["diverged"]) for trial in trials)
        note = f" ({diverged} of {len(trials)} diverged)" if diverged else ""
        print(f"{result['settings']['depth']} layers, {name}: training error {found}{note}")

# %% [markdown]
# Without norms and at full scale it always diverges; SkipInit and Fixup train without norms. Whether a zero $\gamma$ beats
# the ordinary start cannot be told from three seeds.
#
# ## Exercises
#
# ### Exercise 1. The path around
#
# `factors` has the factor of each block's shortcut, from the first block to the last. Return what the path that goes
# around all blocks *from block number `start`* (0 is the first) to the end multiplies the gradient by.


# %% tags=["exercise"]
def around(factors, start):
    return ...


check.around(around)


# %% tags=["solution"]
def around(factors, start):
    return np.prod(factors[start:])


check.around(around)


# %% tags=["wrong-answers"]
def mean_to_the_power(factors, start):
    return np.mean(factors) ** len(factors[start:])


def the_blocks_before(factors, start):
    return np.prod(factors[:start])


def summed(factors, start):
    return np.sum(factors[start:])


check.around(mean_to_the_power)
check.around(the_blocks_before)
check.around(summed)

# %% [markdown]
# ### Exercise 2. Option A
#
# Write the padding shortcut: `x` is (N, C, H, W); take every second pixel along H and W, and put zero channels
# before and behind, half each (of an odd number one more behind), so that there are `channels` in all.


# %% tags=["exercise"]
def option_a(x, channels):
    return ...


check.option_a(option_a)


# %% tags=["solution"]
def option_a(x, channels):
    extra = channels - x.shape[1]
    front = extra // 2
    return np.pad(x[:, :, ::2, ::2], ((0, 0), (front, extra - front), (0, 0), (0, 0)))


check.option_a(option_a)


# %% tags=["wrong-answers"]
def averages(x, channels):
    n, c, h, w = x.shape
    pooled = x.reshape(n, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5))
    extra = channels - c
    return np.pad(pooled, ((0, 0), (extra // 2, extra - extra // 2), (0, 0), (0, 0)))


def repeats_channels(x, channels):
    return np.tile(x[:, :, ::2, ::2], (1, -(-channels // x.shape[1]), 1, 1))[:, :channels]


def all_behind(x, channels):
    extra = channels - x.shape[1]
    return np.pad(x[:, :, ::2, ::2], ((0, 0), (0, extra), (0, 0), (0, 0)))


check.option_a(averages)
check.option_a(repeats_channels)
check.option_a(all_behind)

# %% [markdown]
# ## Recap
#
# - A factor $\lambda$ on every shortcut leaves $\lambda^L$ on the road around; 1 is the only one that lasts.
# - Batch norms in the branches can make up for it: the whole gradient need not vanish.
# - Shortcuts that do anything to $x$ train worse on average, also those that could learn to do nothing.
# - Where shapes change: pad (A) or project (B). Branches may begin at zero.
#
# Next: [13. What batch normalisation does, and what it does not](13_what_batch_norm_does.py).
