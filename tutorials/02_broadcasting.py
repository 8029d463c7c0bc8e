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
# # 2. Broadcasting, and its way back
#
# **15 minutes** · you need: [1](01_tape.py), and NumPy's arrays
#
# In a network values are arrays, and one bias is added to a thousand pixels. Forwards NumPy stretches it
# without a word. Backwards somebody has to undo the stretching, and this is where hand-written gradients
# go wrong first. In this tutorial you
#
# - see what broadcasting does with shapes, and that a stretched number is a number used many times;
# - derive its VJP: what was repeated is summed;
# - meet the wrong versions that raise no error.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires.tutorials import grid, show
from minires.tutorials.checks import broadcasting as check

plt.style.use("minires.tutorials.sheet")
mr.manual_seed(0)

# %% [markdown]
# ## One rule for shapes
#
# Write two shapes one below the other, aligned at the right. Where a length is 1, or missing, that axis
# is repeated; other lengths must agree.
#
# | | shape |
# |---|---|
# | `x` | (4, 3) |
# | `bias` | (3,) |
# | `x + bias` | (4, 3) |

# %%
for shapes in [((4, 3), (3,)), ((4, 3), (4, 1)), ((8, 1, 5), (7, 1)), ((2, 3), ())]:
    print(*shapes, "→", np.broadcast_shapes(*shapes))
try:
    np.broadcast_shapes((4, 3), (4,))
except ValueError as error:
    print("(4, 3) and (4,):", error)

# %% [markdown]
# ## A repeated number is a number used often
#
# Add a bias of shape (3,) to four rows. Each of its three numbers is used in four places. By
# [tutorial 1](01_tape.py), contributions of all uses are added: the gradient of the bias is the sum
# over the rows.

# %%
x = np.zeros((4, 3))
bias = np.array([1.0, 2.0, 3.0])
g = np.arange(12.0).reshape(4, 3)  # the gradient that comes back to x + bias

figure, axes = plt.subplots(1, 3, figsize=(8.4, 2.8), width_ratios=[3, 3, 3])
for ax, array, title in zip(
    axes,
    (np.broadcast_to(bias, (4, 3)), g, g.sum(axis=0, keepdims=True)),
    ("forwards: repeated", "the gradient g", "backwards: summed"),
    strict=True,
):
    grid(ax, array, title)
show(figure, "Three grids: a bias repeated in four rows, a gradient, and the sums of its columns.")

# %% [markdown]
# Differences say the same. Move one number of the bias, weigh the outputs by `g`, and look at the
# slope:

# %%
h = 1e-6
for place in range(3):
    step = h * np.eye(3)[place]
    slope = ((x + bias + step) * g - (x + bias - step) * g).sum() / (2 * h)
    print(f"bias[{place}]: slope {slope:.6f}, sum of the column {g[:, place].sum():g}")

# %% [markdown]
# **Predict, then run.** `scale` has shape (2, 1, 1) and multiplies feature maps of shape
# (N, C, H, W) = (5, 2, 4, 4). Over which axes is its gradient summed, and what shape has it?
#
# <details><summary>Answer</summary>
#
# Aligned at the right, `scale` is (1, 2, 1, 1): repeated along N, H and W. The sum goes over the axes 0,
# 2 and 3, and the axes of length 1 stay: the gradient of a value has always the shape of the value,
# here (2, 1, 1).
#
# </details>

# %%
maps = mr.randn(5, 2, 4, 4)
scale = mr.randn(2, 1, 1, requires_grad=True)
(maps * scale).sum().backward()
by_hand = maps.numpy().sum(axis=(0, 2, 3)).reshape(2, 1, 1)
print(
    "shape",
    scale.grad.shape,
    "equal to the sum over N, H, W:",
    np.allclose(scale.grad.numpy(), by_hand),
)

# %% [markdown]
# ## Broadcasting and summing are each other's VJP
#
# Broadcasting is linear: written as a matrix $B$ it has a 1 wherever an input is copied to an output.
# A VJP is the product with the transposed matrix, and the transpose of "copy to these places" is "add up
# from these places". For every $x$ and $g$
#
# $$\langle B x,\, g\rangle = \langle x,\, B^\top g\rangle .$$
#
# This equation is a test that needs no derivative at all, and it works for every linear op. You will see
# it again with `im2col`.

# %%
x, g = np.random.default_rng(0).standard_normal(3), np.random.default_rng(1).standard_normal((4, 3))
left = (np.broadcast_to(x, (4, 3)) * g).sum()
right = (x * g.sum(axis=0)).sum()
print(f"<Bx, g> = {left:.12f}\n<x, Bᵀg> = {right:.12f}")

# %% [markdown]
# And the other way round: what is the VJP of a sum? Each number that was summed gets the gradient of
# the sum, so it is repeated. In minires the two stand one below the other, in
# `minires/ops/broadcasting.py`, and each is the other's way back.
#
# ## Silent mistakes
#
# **Predict, then run.** Labels of shape (N,) meet predictions of shape (N, 1), and somebody computes
# the mean squared error. With N = 4, over how many numbers is the mean taken?
#
# <details><summary>Answer</summary>
#
# Over 16. (4, 1) and (4,) broadcast to (4, 4): every prediction is compared with every label. Nothing
# raises; the loss is wrong, and each gradient pulls every prediction towards the mean of all labels.
#
# </details>

# %%
labels = mr.tensor([0.0, 1.0, 2.0, 3.0])
wrong = mr.tensor([[0.0], [0.0], [0.0], [0.0]], requires_grad=True)
right = mr.tensor([0.0, 0.0, 0.0, 0.0], requires_grad=True)
difference = wrong - labels
print("shape of the difference:", difference.shape)
(difference**2).mean().backward()
((right - labels) ** 2).mean().backward()

figure, ax = plt.subplots()
places = np.arange(4)
ax.bar(places - 0.2, -right.grad.numpy(), 0.4, label="shapes (4,) and (4,)")
ax.bar(places + 0.2, -wrong.grad.numpy().ravel(), 0.4, label="shapes (4, 1) and (4,)", hatch="//")
ax.set(xlabel="prediction", ylabel="where the gradient pulls it", xticks=places)
ax.set_title("Broadcast by accident, all predictions are pulled alike")
ax.legend()
show(figure, "With equal shapes the pull grows with the label; with (4, 1) it is the same for all.")

# %% [markdown]
# Some ops are better off without broadcasting. minires' residual addition refuses it: a shortcut with
# one channel must not become 64 of them without a word.

# %%
try:
    mr.ops.residual_add(mr.randn(1, 1, 4, 4), mr.randn(1, 64, 4, 4))
except ValueError as error:
    print(error)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1. Undo the stretching
#
# `g` is the gradient of a value that was broadcast from `shape` to `g.shape`. Return the gradient of the
# value before; its shape is `shape`. Both new axes and axes of length 1 occur.


# %% tags=["exercise"]
def unbroadcast(g, shape):
    return ...


check.unbroadcast(unbroadcast)


# %% tags=["solution"]
def unbroadcast(g, shape):
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))  # axes that were new
    ones = tuple(axis for axis, length in enumerate(shape) if length == 1)
    return g.sum(axis=ones, keepdims=True)


check.unbroadcast(unbroadcast)


# %% tags=["wrong-answers"]
def sums_new_axes_only(g, shape):
    return g.sum(axis=tuple(range(g.ndim - len(shape))))


def takes_the_mean(g, shape):
    g = g.mean(axis=tuple(range(g.ndim - len(shape))))
    return g.mean(axis=tuple(a for a, n in enumerate(shape) if n == 1), keepdims=True)


def reshapes(g, shape):
    return g.ravel()[: int(np.prod(shape))].reshape(shape)


check.unbroadcast(sums_new_axes_only)
check.unbroadcast(takes_the_mean)
check.unbroadcast(reshapes)

# %% [markdown]
# ### Exercise 2. The VJP of a product that broadcasts
#
# For `a * b` return both gradients, of `a` and of `b`, given `g`. You may use your `unbroadcast`. The
# check is the gradient checker of minires.


# %% tags=["exercise"]
def mul_vjp(g, a, b):
    return ...


check.mul_vjp(mul_vjp)


# %% tags=["solution"]
def mul_vjp(g, a, b):
    return unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)


check.mul_vjp(mul_vjp)


# %% tags=["wrong-answers"]
def forgets_to_unbroadcast(g, a, b):
    return g * b, g * a


def takes_its_own_factor(g, a, b):
    return unbroadcast(g * a, a.shape), unbroadcast(g * b, b.shape)


check.mul_vjp(forgets_to_unbroadcast)
check.mul_vjp(takes_its_own_factor)

# %% [markdown]
# ### Exercise 3. A bias for each channel
#
# Feature maps have shape (N, C, H, W), the bias (C,). Aligned at the right it would be added along W!
# Write `add_bias` so that it is added to each channel, and its VJP, which returns the gradients of the
# maps and of the bias. Return both as a pair of functions.

# %% tags=["exercise"]
add_bias = ...

check.channel_bias(add_bias)


# %% tags=["solution"]
def forward(maps, bias):
    return maps + bias.reshape(1, -1, 1, 1)


def vjp(g, maps, bias):
    return g, g.sum(axis=(0, 2, 3))


check.channel_bias((forward, vjp))


# %% tags=["wrong-answers"]
def along_the_width(maps, bias):
    return maps + bias


def without_the_batch(g, maps, bias):
    return g, g[0].sum(axis=(1, 2))


check.channel_bias((along_the_width, vjp))
check.channel_bias((forward, without_the_batch))

# %% [markdown]
# ## Recap
#
# - A broadcast number is used many times; its gradient is the sum over all of them.
# - The gradient of a value has the value's shape, always.
# - For a linear op, $\langle Bx, g\rangle = \langle x, B^\top g\rangle$ tests the way back without
#   a derivative. Repeating and summing are each other's transpose.
# - Broadcasting by accident raises nothing. Look at shapes.
#
# Next: [3. Convolution](03_convolution.py), where patches overlap, and the way back has to add them.
