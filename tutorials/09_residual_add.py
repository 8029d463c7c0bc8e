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
# # 9. The residual add: two roads for one gradient
#
# **25 minutes** · you need: [1](01_tape.py), [8](08_plain_stacks.py)
#
# One line makes a residual network: $y = x + F(x)$ (He et al. 2015,
# [arXiv 1512.03385](https://arxiv.org/abs/1512.03385)). Backwards it gives the gradient a second road. In
# this tutorial you
#
# - follow a gradient through a block by hand, and see where it is copied and where it is summed;
# - measure how much comes through the shortcut and how much through the branch, exactly;
# - learn what a shortcut does *not* promise.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires.tutorials import show
from minires.tutorials.checks import residual_add as check

plt.style.use("minires.tutorials.sheet")
mr.manual_seed(0)

# %% [markdown]
# ## Copied at the addition, summed at the fork
#
# Forwards $x$ goes two ways: around the block (the *shortcut*), and through it (the *branch*, $F$). At the
# end they are added. Backwards the order is reversed:
#
# 1. At the **addition** the gradient $\bar y$ is *copied*: $y = s + f$ changes as much with $s$ as with
#    $f$. Both sides receive the same array.
# 2. The copy in the branch goes back through $F$, and becomes $J_F^\top\,\bar y$. The copy in the shortcut stays
#    as it is.
# 3. At the **fork**, where $x$ was used twice, the two are *summed* ([tutorial 1](01_tape.py)):
#
# $$\bar x = \bar y + J_F^\top\, \bar y .$$
#
# **Predict, then run.** $F(x) = 3x$ for a vector of two numbers, and $\bar y = (1, 1)$. What are both
# contributions, and their sum?
#
# <details><summary>Answer</summary>
#
# Through the shortcut (1, 1), through the branch (3, 3); together (4, 4).
#
# </details>

# %%
x = mr.tensor([1.0, 2.0], requires_grad=True)
with mr.trace.record() as trace:
    y = mr.ops.residual_add(x, 3 * x)
    y.backward(mr.tensor([1.0, 1.0]))
print("gradient of x:", x.grad.numpy())
(fork,) = trace.forks()
for part in fork.parts:
    print(f"  {part.side:8} norm {part.norm:.4f}, share {part.share:.2f}")
print("the parts add up, bit for bit:", fork.verdict)

# %% [markdown]
# `residual_add` is an addition that knows the names of its two sides. It computes nothing else than `+`; but from
# the names the trace finds out which contribution came by which road.
#
# ## In a network
#
# Now a real one: ResNet-20, at its first step.

# %%
model = mr.models.cifar_resnet(depth=20, width=8, seed=0)
images, labels = mr.randn(16, 3, 16, 16), mr.tensor(np.arange(16) % 10)
with mr.trace.record(model) as trace:
    mr.ops.cross_entropy(model(images), labels).backward()

forks = trace.forks()[::-1]  # from the first block to the last
names = [fork.block for fork in forks]
share = {side: [100 * fork.share(side) for fork in forks] for side in ("shortcut", "branch")}

figure, ax = plt.subplots()
ax.bar(names, share["shortcut"], label="shortcut")
ax.bar(names, share["branch"], bottom=share["shortcut"], label="branch", hatch="//")
ax.set(
    ylabel="share of the gradient, %",
    title="What comes back at each fork of an untrained ResNet-20",
)
ax.tick_params(axis="x", rotation=45)
ax.set_ylim(0, 120)
ax.legend(loc="upper center", ncols=2)
show(
    figure,
    "A bar for each block, divided into what came through the shortcut and through the branch.",
)
print(
    "every sum was bit for bit the engine's gradient:",
    all(fork.verdict == "exact" for fork in forks),
)

# %% [markdown]
# ## How to measure a share
#
# Norms do not add up: two arrows of length 1 make a sum of length 2, or 0, or anything between. What does add
# up is each part's *projection* on the sum, measured in lengths of the sum:
#
# $$\text{share}(p) = \frac{\langle p,\, g\rangle}{\langle g,\, g\rangle}, \qquad \sum_p \text{share}(p) = 1 .$$

# %%
arrows = [
    ("they reinforce", np.array([1.0, 0.4]), np.array([0.8, 0.9])),
    ("one works against", np.array([1.6, 0.6]), np.array([-0.5, 0.3])),
    ("they nearly cancel", np.array([1.0, 0.5]), np.array([-0.9, -0.3])),
]
figure, axes = plt.subplots(1, 3, figsize=(9, 3))
for ax, (title, shortcut, branch) in zip(axes, arrows, strict=True):
    total = shortcut + branch
    looks = [(shortcut, "C0", "-"), (branch, "C1", "--"), (total, "k", "-")]
    for (vector, colour, line), name in zip(looks, ("shortcut", "branch", "sum"), strict=True):
        ax.annotate(
            "",
            vector,
            (0, 0),
            arrowprops={"arrowstyle": "->", "color": colour, "linestyle": line, "linewidth": 2},
        )
        ax.text(vector[0] + 0.05, vector[1] + 0.1, name, color=colour)
    shares = [vector @ total / (total @ total) for vector in (shortcut, branch)]
    ax.set(
        title=f"{title}\nshares {shares[0]:.2f} and {shares[1]:.2f}",
        xlim=(-1.2, 2.3),
        ylim=(-0.6, 1.6),
        aspect="equal",
    )
show(figure, "Three pairs of arrows and their sums, with shares; one pair has a negative share.")
for title, shortcut, branch in arrows:
    total = shortcut + branch
    ratio = np.linalg.norm(shortcut) + np.linalg.norm(branch)
    print(
        f"{title}: the norms sum to {ratio:.2f}, the norm of the sum is {np.linalg.norm(total):.2f}"
    )

# %% [markdown]
# **Predict, then run.** Where would you measure how much the branch matters: at the addition, or at the
# fork?
#
# <details><summary>Answer</summary>
#
# At the fork. At the addition both sides receive the same array, whatever the branch is: half and half, for
# every network, always. That says nothing.
#
# </details>

# %%
forward, backward = trace.records.forward, trace.records.backward
additions = [
    step for step in backward if step.op is not None and forward[step.op].op == "residual_add"
]
print("norms sent at the last addition:", [f"{sent.stats.norm:.6f}" for sent in additions[0].sent])

# %% [markdown]
# ## What a shortcut does not promise
#
# It is often said that since $\mathrm{d}y/\mathrm{d}x = 1 + F'(x)$, the gradient "cannot vanish" or "is at least 1". Look at
# the formula again. $F'$ may be negative.

# %%
slopes = np.linspace(-3, 3, 121)
figure, ax = plt.subplots()
for blocks in (1, 5, 20):
    ax.semilogy(slopes, np.maximum(np.abs(1 + slopes) ** blocks, 1e-12), label=f"L = {blocks}")
ax.axhline(1, color="#56606B", linewidth=1, linestyle=":")
ax.set(
    xlabel="slope of every branch, F'",
    ylabel="|gradient| through all",
    title="(1 + F')^L: it vanishes between -2 and 0, and explodes outside",
)
ax.set_ylim(1e-8, 1e12)
ax.legend()
show(
    figure,
    "Curves with a deep notch at -1 and steep flanks on both sides, steeper for more blocks.",
)

# %% [markdown]
# What is true: the shortcut gives one *term* of the gradient that nothing has multiplied. The others are added to
# it, and they may help, dominate, or cancel. In networks as they are initialised, branches' slopes are neither
# $-1$ nor aligned, and the sum grows, but far more slowly than in the plain stack. That has to be looked at, and now you can.
#
# Nor is the identity untouched in the original network: a ReLU *follows* each addition, and sets some of the
# gradient to zero there. Pre-activation networks (He et al. 2016,
# [arXiv 1603.05027](https://arxiv.org/abs/1603.05027)) move it into the branch. How much of the gradient behind a
# block gets through its shortcut?

# %%
figure, ax = plt.subplots()
for name, make in [
    ("ResNet", mr.models.cifar_resnet),
    ("pre-activation", mr.models.cifar_preact_resnet),
]:
    mr.manual_seed(0)
    model = make(depth=56, width=4)
    with mr.trace.record(model, replay=True) as deep:
        mr.ops.cross_entropy(model(images), labels).backward()
    forks = deep.forks()[::-1]
    through = [part.norm for fork in forks for part in fork.parts if part.side == "shortcut"]
    stages = [fork.block.split(".")[0] for fork in forks]
    passed = [  # not where the shape changes: there the shortcut is no identity
        through[i] / forks[i + 1].norm if stages[max(i - 1, 0)] == stages[i + 1] else np.nan
        for i in range(26)
    ]
    ax.plot(range(1, len(passed) + 1), passed, marker=".", label=name)
ax.set(
    xlabel="block",
    ylabel="through the shortcut / behind the block",
    title="56 layers, untrained",
)
ax.legend()
show(
    figure,
    "In the pre-activation network a line at 1, in the original one below; gaps between stages.",
)

# %% [markdown]
# With pre-activation all of it gets through. In the original a ReLU takes something away at every block. (There are
# gaps where the shape changes and the shortcut is no identity.)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1. A block's way back
#
# `branch_vjp(g)` sends a gradient back through the branch. Given `g`, the gradient of $y = x + F(x)$, return
# the gradient of $x$.


# %% tags=["exercise"]
def block_vjp(g, branch_vjp):
    return ...


check.block_vjp(block_vjp)


# %% tags=["solution"]
def block_vjp(g, branch_vjp):
    return g + branch_vjp(g)


check.block_vjp(block_vjp)


# %% tags=["wrong-answers"]
def forgets_the_shortcut(g, branch_vjp):
    return branch_vjp(g)


def halves_at_the_addition(g, branch_vjp):
    return g / 2 + branch_vjp(g / 2)


def one_after_the_other(g, branch_vjp):
    return branch_vjp(g + branch_vjp(g))


check.block_vjp(forgets_the_shortcut)
check.block_vjp(halves_at_the_addition)
check.block_vjp(one_after_the_other)

# %% [markdown]
# ### Exercise 2. Shares
#
# Given a list of contributions (arrays of one shape), return the list of their shares.


# %% tags=["exercise"]
def shares(parts):
    return ...


check.shares(shares)


# %% tags=["solution"]
def shares(parts):
    total = sum(parts)
    return [(part * total).sum() / (total * total).sum() for part in parts]


check.shares(shares)


# %% tags=["wrong-answers"]
def by_norms(parts):
    norms = [np.linalg.norm(part) for part in parts]
    return [norm / sum(norms) for norm in norms]


def cosines(parts):
    total = sum(parts)
    return [(p * total).sum() / np.linalg.norm(p) / np.linalg.norm(total) for p in parts]


def without_signs(parts):
    total = sum(parts)
    return [abs((part * total).sum()) / (total * total).sum() for part in parts]


check.shares(by_norms)
check.shares(cosines)
check.shares(without_signs)

# %% [markdown]
# ### Exercise 3. A block that the tracer understands
#
# Write `block(x, weight)`: a 3×3 convolution (`mr.ops.conv2d`, padding 1) and a ReLU (`mr.relu`) in the
# branch, an identity shortcut. The check traces it: at the fork there must be a shortcut and a branch, which add up.


# %% tags=["exercise"]
def block(x, weight):
    return ...


check.block(block)


# %% tags=["solution"]
def block(x, weight):
    return mr.ops.residual_add(x, mr.relu(mr.ops.conv2d(x, weight, padding=1)))


check.block(block)


# %% tags=["wrong-answers"]
def plain_plus(x, weight):
    return x + mr.relu(mr.ops.conv2d(x, weight, padding=1))


def without_a_shortcut(x, weight):
    return mr.relu(mr.ops.conv2d(x, weight, padding=1))


def sides_swapped(x, weight):
    return mr.ops.residual_add(mr.relu(mr.ops.conv2d(x, weight, padding=1)), x)


check.block(plain_plus)
check.block(without_a_shortcut)
check.block(sides_swapped)

# %% [markdown]
# ## Recap
#
# - At the addition the gradient is copied; at the fork the contributions of both roads are summed:
#   $\bar x = \bar y + J_F^\top \bar y$.
# - Shares, projections on the sum in lengths of the sum, add up to one. Norms do not.
# - $1 + F'$ may be anything: a shortcut is an unmultiplied *term*, no guarantee.
# - [Why this is exact](../docs/exactness.md).
#
# Next: [10. Step through a ResNet-8 and its plain twin](10_step_through.py).
