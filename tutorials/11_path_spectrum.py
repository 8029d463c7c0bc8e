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
# # 11. The path spectrum: where the gradient really flows
#
# **25 minutes** · you need: [9](09_residual_add.py), [10](10_step_through.py)
#
# At each block the gradient goes two ways. After $L$ blocks there are $2^L$ ways from the loss to the first
# block: each goes around or through every block (Veit et al. 2016,
# [arXiv 1605.06431](https://arxiv.org/abs/1605.06431)). In this tutorial you
#
# - walk all eight paths of a small network one by one, and add them up;
# - sort paths by the number of branches they cross, and get the same without walking them: that is the
#   *path spectrum*;
# - see which paths carry the gradient, and what that does and does not prove.

# %%
from itertools import product
from math import comb

import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires.tutorials import recorded, show
from minires.tutorials.checks import path_spectrum as check

plt.style.use("minires.tutorials.sheet")
rng = np.random.default_rng(0)

# %% [markdown]
# ## Two to the power of L
#
# Let each block be $x_{l} = x_{l-1} + A_l\,x_{l-1}$ with a matrix $A_l$. Backwards, the gradient is multiplied
# by $(I + A_l^\top)$ for each block, from the last to the first. With three blocks, multiplied out:
#
# $$(I + A_1^\top)(I + A_2^\top)(I + A_3^\top) = I + A_1^\top + A_2^\top + A_3^\top + A_1^\top A_2^\top + \dots + A_1^\top A_2^\top A_3^\top .$$
#
# Eight terms: for each block either $I$, the way around, or $A_l^\top$, the way through.
#
# **Predict, then run.** How many of the eight cross exactly one branch? And with $L$ blocks, how many cross $k$?
#
# <details><summary>Answer</summary>
#
# Three, and in general $\binom{L}{k}$: choose which $k$ blocks to go through. Most paths cross about half of the
# blocks.
#
# </details>

# %%
blocks = [0.5 * rng.standard_normal((4, 4)) for _ in range(3)]
g = rng.standard_normal(4)  # the gradient behind the last block

parts = np.zeros((4, 4))  # parts[k]: the sum of all paths that cross k branches
for through in product([False, True], repeat=3):
    path = g
    for matrix, cross in zip(reversed(blocks), reversed(through), strict=True):
        path = matrix.T @ path if cross else path
    parts[sum(through)] += path
    print("".join("through " if cross else "around  " for cross in through), np.round(path, 3))

whole = g
for matrix in reversed(blocks):
    whole = whole + matrix.T @ whole
print("sum of all paths: ", np.round(parts.sum(axis=0), 6))
print("backward pass:    ", np.round(whole, 6))

# %% [markdown]
# ## Without walking them
#
# With 54 blocks there are $1.8 \cdot 10^{16}$ paths. But all paths that have crossed $k$ branches so far can travel
# *together*, because a VJP is linear: what it does to a sum is the sum of what it does to the parts. So send
# a list of $L + 1$ gradients back instead of one. At each block entry $k$ of the new list is the old entry $k$
# (around) plus the old entry $k - 1$, sent through the branch.

# %%
spectrum = [g] + [np.zeros(4)] * 3
for matrix in reversed(blocks):
    around, through = spectrum, [np.zeros(4)] + [matrix.T @ part for part in spectrum[:-1]]
    spectrum = [a + t for a, t in zip(around, through, strict=True)]
print("largest difference from the walk over all paths:", abs(np.array(spectrum) - parts).max())

# %% [markdown]
# A trace does just that on a recorded network, whatever its branches are: convolutions, batch norms, ReLUs. It
# needs no assumption, because a *backward* pass is linear in the gradient even where the forward pass is not.

# %%
mr.manual_seed(0)
images, labels = mr.randn(8, 3, 16, 16), mr.tensor(np.arange(8))


def spectrum_of(depth):
    model = mr.models.cifar_resnet(depth=depth, width=4, seed=0)
    with mr.trace.record(model) as trace:
        mr.ops.cross_entropy(model(images), labels).backward()
    return trace.path_spectrum()


found = spectrum_of(56)
print(f"{len(found.parts)} parts for {sum(found.paths):,} paths")
print(f"the parts add up to the engine's gradient, to {found.residual:.0e} of their size")
print(f"their shares add up to {sum(found.shares):.6f}")

# %% [markdown]
# ## Which paths carry it?
#
# **Predict, then run.** Of the paths of ResNet-56, 95 % cross 9 to 18 of its 27 blocks. Do those carry nearly all of
# the gradient?

# %%
k = np.arange(len(found.parts))
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
left.bar(k, [comb(27, i) / 2**27 for i in k], alpha=0.45, label="of the paths")
left.plot(k, found.distribution, marker="o", color="C1", label="of the gradient")
left.set(xlabel="branches crossed, k", ylabel="part of the whole", title="ResNet-56, untrained")
left.legend()
right.semilogy(k, np.maximum(found.per_path, 1e-30), marker="o")
right.set(
    xlabel="branches crossed, k",
    ylabel="norm / number of paths",
    title="Each part, divided by its paths",
)
show(
    figure,
    "Left, paths lie around k = 13, the gradient further left; right, a curve that falls steeply.",
)
paths_mean = 27 / 2
gradient_mean = sum(i * d for i, d in enumerate(found.distribution))
print(
    f"mean length of a path {paths_mean:.1f}; weighed by the gradient that it carries {gradient_mean:.1f}"
)
middle = slice(9, 19)
print(
    f"paths of 9 to 18 branches: {sum(comb(27, i) for i in range(9, 19)) / 2**27:.0%} of all,"
    f" {sum(found.distribution[middle]):.0%} of the norms, {sum(found.shares[middle]):.0%} of the shares"
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# No, less than half of it, as is printed above. Two things are at work: a path carries less with every branch that it
# crosses, and long paths, of which there are millions, point in different directions and cancel in their sum.
#
# </details>
#
# The right picture shows both at once, for it divides the norm of a *sum* of paths by their number. Where paths
# are most, in the middle, a single one carries far more than the curve says. Where few are left, at the far right,
# little cancels, and the curve rises again.
#
# The curve in the left picture, the *distribution*, divides the *norms*. They do not add up, so it is a
# description; what adds up are the signed shares:

# %%
figure, ax = plt.subplots()
ax.bar(k, found.shares)
ax.axhline(0, color="#56606B", linewidth=1)
ax.set(
    xlabel="branches crossed, k",
    ylabel="share of the gradient",
    title="Shares add up to one; some may be negative",
)
show(figure, "Signed bars over the number of branches; their sum is one.")

# %% [markdown]
# ## Trained, and deeper
#
# Veit et al. looked at a *trained* network of 54 blocks, and found almost all of the gradient in paths of 5 to 17
# blocks. The lab has repeated it with ResNet-110, three seeds (`minires lab run path-lengths --scale small`
# measures it again). It is a narrow network, trained briefly: look at what holds, and where its paths are.

# %%
result = recorded("path-lengths")
figure, (single, together) = plt.subplots(1, 2, figsize=(9, 3.6))
for state in ("initial", "trained"):
    trials = result["trials"][state]
    norms = np.array([trial["norms"] for trial in trials])
    single.semilogy(trials[0]["lengths"], np.exp(np.log(norms).mean(axis=0)), label=state)
    shares = np.array([trial["shares"] for trial in trials])
    together.plot(np.arange(55), shares.mean(axis=0), label=state)
single.set(xlabel="branches crossed, k", ylabel="norm", title="A single path of ResNet-110")
together.axvspan(5, 17, color="#56606B", alpha=0.12, lw=0)
together.text(17.5, together.get_ylim()[1] * 0.75, "5 to 17 blocks", color="#56606B")
together.set(
    xlabel="branches crossed, k", ylabel="share of the gradient", title="All paths of a length"
)
together.legend()
show(
    figure,
    "Left, what a single path carries falls in a straight line on a logarithmic axis, more steeply after"
    " training. Right, shares by path length before and after training, with the paper's range shaded.",
)
for state in ("initial", "trained"):
    shares = np.array([trial["shares"] for trial in result["trials"][state]])
    print(
        f"{state:8} shares of paths below 5:", [f"{part:.0%}" for part in shares[:, :5].sum(axis=1)]
    )
    print(
        f"{state:8} of 5 to 17:            ",
        [f"{part:.0%}" for part in shares[:, 5:18].sum(axis=1)],
    )
for claim in result["claims"]:
    print(f"{claim['outcome']}: {claim['claim']}")

# %% [markdown]
# On the left are single paths, drawn at random: what one carries falls exponentially with its length. But up to the
# middle there are more and more of them, and what all of a length carry together has its top in between (right).
# After this brief training the paths are even shorter than in the paper, and so a part of the gradient lies below
# its range: hence `inconclusive`.
#
# ## What follows from it, and what does not
#
# The split is exact: it says of what *this step's* gradient is made. It is tempting to conclude that a
# residual network *is* an ensemble of short networks. But the paths share their weights, and the spectrum
# holds the forward pass fixed. What a network without its long paths would compute is another question, and
# has to be asked by taking them out ([tutorial 14](14_lesions.py)).
#
# ## Exercises
#
# ### Exercise 1. How many paths?
#
# Return the fraction of all $2^L$ paths that cross between `low` and `high` branches, both included.


# %% tags=["exercise"]
def fraction_of_paths(blocks, low, high):
    return ...


check.fraction_of_paths(fraction_of_paths)


# %% tags=["solution"]
def fraction_of_paths(blocks, low, high):
    return sum(comb(blocks, k) for k in range(low, high + 1)) / 2**blocks


check.fraction_of_paths(fraction_of_paths)


# %% tags=["wrong-answers"]
def all_lengths_alike(blocks, low, high):
    return (high - low + 1) / (blocks + 1)


def without_the_last(blocks, low, high):
    return sum(comb(blocks, k) for k in range(low, high)) / 2**blocks


check.fraction_of_paths(all_lengths_alike)
check.fraction_of_paths(without_the_last)

# %% [markdown]
# ### Exercise 2. Write the spectrum
#
# `branches` are functions, from the first block to the last; each sends a gradient back through one branch.
# Given `g`, the gradient behind the last block, return the list of $L + 1$ parts at the first block's input.


# %% tags=["exercise"]
def path_spectrum(g, branches):
    return ...


check.path_spectrum(path_spectrum)


# %% tags=["solution"]
def path_spectrum(g, branches):
    parts = [g]
    for branch in reversed(branches):
        through = [np.zeros_like(g), *(branch(part) for part in parts)]
        around = [*parts, np.zeros_like(g)]
        parts = [a + t for a, t in zip(around, through, strict=True)]
    return parts


check.path_spectrum(path_spectrum)


# %% tags=["wrong-answers"]
def from_the_first(g, branches):
    return path_spectrum(g, branches[::-1])


def one_block_at_a_time(g, branches):
    parts = [g]
    for branch in reversed(branches):
        parts.append(branch(parts[-1]))
    return parts


check.path_spectrum(from_the_first)
check.path_spectrum(one_block_at_a_time)

# %% [markdown]
# ### Exercise 3. A branch turned down
#
# If the backward pass of *every* branch is multiplied by a number $a$, the gradient at the first block becomes
# another one. Given the parts of a spectrum, return it, for any $a$.


# %% tags=["exercise"]
def turned_down(parts, a):
    return ...


check.turned_down(turned_down)


# %% tags=["solution"]
def turned_down(parts, a):
    return sum(a**k * part for k, part in enumerate(parts))


check.turned_down(turned_down)


# %% tags=["wrong-answers"]
def all_alike(parts, a):
    return a * sum(parts)


def linearly(parts, a):
    return parts[0] + a * sum(parts[1:])


check.turned_down(all_alike)
check.turned_down(linearly)

# %% [markdown]
# ## Recap
#
# - $L$ blocks make $2^L$ paths; $\binom{L}{k}$ of them cross $k$ branches.
# - A backward pass is linear in the gradient, so $L + 1$ parts are the exact answer
#   ([proof](../docs/exactness.md)).
# - A path carries less for every branch it crosses: the gradient comes by shorter paths than most paths are.
# - It describes one step; it is no experiment about other networks.
#
# Next: [12. Six shortcuts, and why identity wins](12_shortcuts.py).
