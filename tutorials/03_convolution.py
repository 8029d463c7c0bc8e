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
# # 3. A convolution is a matrix product
#
# **25 minutes** · you need: [2](02_broadcasting.py), and the product of two matrices
#
# A convolution slides a small kernel over an image. Written as loops it is slow, and its gradient is a
# puzzle of indices. Written as a matrix product both become one line each. In this tutorial you
#
# - cut an image into patches, lay them out as columns (`im2col`), and multiply;
# - go back: `col2im` adds patches into an image, and is the VJP of cutting;
# - compute output sizes and receptive fields, and see why stacks of 3×3 won, and what 1×1 is for.
#
# Letters: $N$ images, $C$ channels, $H, W$ height and width, $O$ output channels, $KH, KW$ the kernel,
# $OH, OW$ the output, $L = OH \cdot OW$ places.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires.tutorials import grid, show
from minires.tutorials.checks import convolution as check

plt.style.use("minires.tutorials.sheet")
mr.manual_seed(0)
rng = np.random.default_rng(0)

# %% [markdown]
# ## Slowly, with loops
#
# At each place the kernel is laid on the image, numbers are multiplied in pairs, and summed. (Strictly
# speaking this is a cross-correlation: the kernel is not turned. All frameworks call it convolution.)


# %%
def conv_by_loops(x, weight):
    n, _, h, w = x.shape
    o, _, kh, kw = weight.shape
    oh, ow = h - kh + 1, w - kw + 1
    y = np.zeros((n, o, oh, ow))
    for row in range(oh):
        for column in range(ow):
            patch = x[:, :, row : row + kh, column : column + kw]  # (N, C, KH, KW)
            for filter in range(o):
                y[:, filter, row, column] = (patch * weight[filter]).sum(axis=(1, 2, 3))
    return y


digit = mr.data.digits().train[0][0].astype(np.float64)  # (1, 8, 8), a handwritten 0
edges = np.array([[-1.0, 0.0, 1.0]] * 3).reshape(1, 1, 3, 3)
mapped = conv_by_loops(digit[None], edges)

figure, axes = plt.subplots(1, 3, figsize=(8.4, 3))
for ax, array, title in zip(
    axes,
    (digit[0], edges[0, 0], mapped[0, 0]),
    ("x, 8×8", "kernel, 3×3", "y, 6×6"),
    strict=True,
):
    grid(ax, array, title, numbers=False)
show(figure, "A handwritten zero, a kernel of three columns, and the edges that it finds.")

# %% [markdown]
# ## Patch by patch into a matrix
#
# The inner line multiplies a patch with each filter. Lay every patch out as a *column* of
# $C \cdot KH \cdot KW$ numbers, and all columns side by side. That matrix is `im2col(x)`, of shape
# $(C \cdot KH \cdot KW, L)$ for each image. Lay each filter out as a *row*. Then the convolution is
#
# $$\underbrace{Y}_{O \times L} \;=\; \underbrace{W}_{O \times C\,KH\,KW}\;\underbrace{\mathrm{im2col}(x)}_{C\,KH\,KW \times L}.$$
#
# Watch a 3×3 image with a 2×2 kernel: four places, four columns.

# %%
small = np.arange(9.0).reshape(1, 1, 3, 3)
columns = mr.ops.im2col(small, 2)  # (N, C*KH*KW, L)

figure, axes = plt.subplots(1, 6, figsize=(9, 2.4), width_ratios=[3, 2, 2, 2, 2, 4])
pieces = [small[0, 0]] + [small[0, 0, r : r + 2, c : c + 2] for r in (0, 1) for c in (0, 1)]
titles = ["x", "place 0", "place 1", "place 2", "place 3", "im2col(x)"]
for ax, array, title in zip(axes, [*pieces, columns[0]], titles, strict=True):
    grid(ax, array, title, low=0, high=8)
show(figure, "The numbers 0 to 8 in a grid, its four patches, and the patches as four columns.")

# %%
x, weight = rng.standard_normal((2, 3, 6, 6)), rng.standard_normal((4, 3, 3, 3))
columns = mr.ops.im2col(x, 3)  # (N, C*KH*KW, L)
product = weight.reshape(4, -1) @ columns  # (O, C*KH*KW) @ (N, C*KH*KW, L) = (N, O, L)
y = product.reshape(2, 4, 4, 4)

print("im2col:", x.shape, "→", columns.shape, "and the product:", product.shape)
print("largest difference from the loops:", f"{abs(y - conv_by_loops(x, weight)).max():.1e}")

# %% [markdown]
# The price is memory: with a 3×3 kernel almost every pixel stands in nine columns. What is gained is
# that all arithmetic is one large matrix product, which processors do best. That is how minires computes
# it, block by block so that the columns never stand in memory all at once.
#
# ## Backwards
#
# **Predict, then run.** Of $Y = W X$ the gradients are $\bar W = \bar Y X^\top$ and $\bar X = W^\top \bar Y$. Here $X$ is
# `im2col(x)`. $\bar W$ is finished. But $\bar X$ is the gradient of *columns*, and the centre pixel of
# the 3×3 image above stands in all four of them. What is the gradient of that pixel?
#
# <details><summary>Answer</summary>
#
# The pixel was used four times. Contributions are added ([tutorial 1](01_tape.py)): its gradient is the
# sum of the gradients of the four entries that are its copies. Doing that for all pixels is called `col2im`.
#
# </details>
#
# Cutting out patches only copies. So it is linear, and its VJP is the transpose: add each number of a
# column back where it was copied from. If all columns are 1, `col2im` counts how often each pixel was
# used:

# %%
counts = mr.ops.col2im(np.ones_like(mr.ops.im2col(np.zeros((1, 1, 8, 8)), 3)), 8, 3)[0, 0]
figure, ax = plt.subplots(figsize=(4.4, 4))
grid(ax, counts, "In how many 3×3 patches a pixel lies")
show(figure, "An 8×8 grid of counts: 1 in the corners, 9 in the middle.")

# %%
random_columns = rng.standard_normal((1, 9, 36))
image = rng.standard_normal((1, 1, 8, 8))
left = (mr.ops.im2col(image, 3) * random_columns).sum()
right = (image * mr.ops.col2im(random_columns, 8, 3)).sum()
print(f"<im2col(x), c> = {left:.12f}\n<x, col2im(c)> = {right:.12f}")

# %% [markdown]
# Beware: `col2im` is not the *inverse* of `im2col`. It returns every pixel multiplied by how often it
# was used, as the picture shows.
#
# Now the whole backward pass stands on three lines, and minires' own agrees:

# %%
g = rng.standard_normal(y.shape)
rows = g.reshape(2, 4, -1)  # (N, O, L)
grad_weight = (rows @ columns.swapaxes(1, 2)).sum(axis=0).reshape(weight.shape)
grad_x = mr.ops.col2im(weight.reshape(4, -1).T @ rows, 6, 3)

tx, tw = mr.tensor(x, requires_grad=True), mr.tensor(weight, requires_grad=True)
mr.ops.conv2d(tx, tw).backward(mr.tensor(g))
print("weight:", f"{abs(grad_weight - tw.grad.numpy()).max():.1e}", "from minires'")
print("x:     ", f"{abs(grad_x - tx.grad.numpy()).max():.1e}", "from minires'")

# %% [markdown]
# In minires the spelled-out convolution is the *twin* of the fast one. Inside `mr.expand` it runs in its
# place, and a trace steps into it:

# %%
with mr.expand("conv2d"), mr.trace.record() as trace:
    mr.ops.conv2d(tx, tw).sum().backward()
steps = trace.records.forward
print("forwards: ", " → ".join(step.op for step in steps))
print(
    "backwards, the VJPs of:",
    " → ".join(steps[back.op].op for back in trace.records.backward if back.op is not None),
)

# %% [markdown]
# ## How large is the output?
#
# With padding $P$ on each side, stride $S$ and a kernel of $K$, along one axis
#
# $$OH = \left\lfloor \frac{H + 2P - K}{S} \right\rfloor + 1 .$$
#
# The kernel fits at one place in any case, and at one more for each stride that is left. A 3×3 kernel with padding 1
# keeps the size, and with stride 2 halves it: apart from 1×1, residual networks use little else.

# %%
for name, size, kernel, stride, padding in [
    ("3×3, padding 1", 32, 3, 1, 1),
    ("3×3, padding 1, stride 2", 32, 3, 2, 1),
    ("1×1, stride 2", 32, 1, 2, 0),
    ("7×7, padding 3, stride 2 (ResNet's first)", 224, 7, 2, 3),
]:
    out = mr.ops.conv2d(
        np.zeros((1, 1, size, size)), np.zeros((1, 1, kernel, kernel)), None, stride, padding
    )
    print(f"{name}: {size} → {out.shape[-1]}")

# %% [markdown]
# ## What does an output see?
#
# One output of a 3×3 convolution depends on 3×3 pixels. Put another 3×3 on top: its output sees 3×3 of
# those, together 5×5 pixels. This is the *receptive field*. After $n$ convolutions with stride 1 it is
# $1 + n\,(K - 1)$ wide.
#
# **Predict, then run.** Three 3×3 convolutions see as much as one of which size? Which needs fewer weights,
# for $C$ channels in and out?
#
# <details><summary>Answer</summary>
#
# As one 7×7: $1 + 3 \cdot 2 = 7$. Three 3×3 have $3 \cdot 9\,C^2 = 27\,C^2$ weights, one 7×7 has $49\,C^2$. And there
# are three nonlinearities instead of one. (Simonyan and Zisserman 2014,
# [arXiv 1409.1556](https://arxiv.org/abs/1409.1556).)
#
# </details>
#
# To *see* a receptive field no formula is needed: send a gradient back from one output, and look at the
# pixels where it arrives.

# %%
figure, axes = plt.subplots(1, 4, figsize=(9, 2.6))
for ax, layers in zip(axes, (1, 2, 3, 5), strict=True):
    image = mr.zeros(1, 1, 15, 15, requires_grad=True)
    y = image
    for _ in range(layers):
        y = mr.ops.conv2d(y, mr.ones(1, 1, 3, 3), padding=1)
    y[0, 0, 7, 7].backward()
    seen = image.grad.numpy()[0, 0]
    width = int((seen != 0).any(axis=0).sum())
    grid(ax, np.log1p(seen), f"{layers} × conv 3×3: {width} wide", numbers=False)
show(figure, "Squares of 3, 5, 7 and 11 pixels, brightest in the middle, which more ways lead to.")

# %% [markdown]
# And 1×1? It sees a single pixel: there are no patches to cut, `im2col` only reshapes, and the convolution
# *is* a matrix product over channels. It mixes channels and changes how many there are, cheaply. The
# *projection shortcuts* and *bottlenecks* of residual networks are made of it.

# %%
x, weight = rng.standard_normal((2, 64, 8, 8)), rng.standard_normal((16, 64, 1, 1))
mixed = np.einsum("oc,nchw->nohw", weight[:, :, 0, 0], x)
print("1×1 against a product over channels:", f"{abs(mr.ops.conv2d(x, weight) - mixed).max():.1e}")
print(f"weights: 1×1 {weight.size:,}, 3×3 would be {9 * weight.size:,}")

# %% [markdown]
# ## Exercises
#
# ### Exercise 1. The output size
#
# Return the length of the output along one axis.


# %% tags=["exercise"]
def output_size(size, kernel, stride, padding):
    return ...


check.output_size(output_size)


# %% tags=["solution"]
def output_size(size, kernel, stride, padding):
    return (size + 2 * padding - kernel) // stride + 1


check.output_size(output_size)


# %% tags=["wrong-answers"]
def pads_one_side(size, kernel, stride, padding):
    return (size + padding - kernel) // stride + 1


def rounds_up(size, kernel, stride, padding):
    return -(-(size + 2 * padding - kernel) // stride) + 1


def forgets_the_first_place(size, kernel, stride, padding):
    return (size + 2 * padding - kernel) // stride


check.output_size(pads_one_side)
check.output_size(rounds_up)
check.output_size(forgets_the_first_place)

# %% [markdown]
# ### Exercise 2. Back into the image
#
# Write `col2im` for stride 1 and no padding: `columns` has shape (N, C·KH·KW, L); return an image of
# shape (N, C, H, W). Two loops over the kernel are enough: all places at once for one entry of the
# kernel.


# %% tags=["exercise"]
def col2im(columns, channels, height, width, kh, kw):
    return ...


check.col2im(col2im)


# %% tags=["solution"]
def col2im(columns, channels, height, width, kh, kw):
    oh, ow = height - kh + 1, width - kw + 1
    columns = columns.reshape(-1, channels, kh, kw, oh, ow)
    image = np.zeros((len(columns), channels, height, width))
    for i in range(kh):
        for j in range(kw):
            image[:, :, i : i + oh, j : j + ow] += columns[:, :, i, j]
    return image


check.col2im(col2im)


# %% tags=["wrong-answers"]
def overwrites(columns, channels, height, width, kh, kw):
    oh, ow = height - kh + 1, width - kw + 1
    columns = columns.reshape(-1, channels, kh, kw, oh, ow)
    image = np.zeros((len(columns), channels, height, width))
    for i in range(kh):
        for j in range(kw):
            image[:, :, i : i + oh, j : j + ow] = columns[:, :, i, j]
    return image


def averages(columns, channels, height, width, kh, kw):
    ones = np.ones_like(columns)
    args = channels, height, width, kh, kw
    return col2im(columns, *args) / col2im(ones, *args)


check.col2im(overwrites)
check.col2im(averages)

# %% [markdown]
# ### Exercise 3. The gradient of the kernel
#
# Given `g` (N, O, OH, OW) and `columns` (N, C·KH·KW, L), return the gradient of the weight, of shape
# (O, C, KH, KW).


# %% tags=["exercise"]
def weight_gradient(g, columns, channels, kh, kw):
    return ...


check.weight_gradient(weight_gradient)


# %% tags=["solution"]
def weight_gradient(g, columns, channels, kh, kw):
    rows = g.reshape(*g.shape[:2], -1)  # (N, O, L)
    gradient = np.einsum("nol,nkl->ok", rows, columns)
    return gradient.reshape(-1, channels, kh, kw)


check.weight_gradient(weight_gradient)


# %% tags=["wrong-answers"]
def averages_over_images(g, columns, channels, kh, kw):
    rows = g.reshape(*g.shape[:2], -1)
    gradient = np.einsum("nol,nkl->ok", rows, columns) / len(g)
    return gradient.reshape(-1, channels, kh, kw)


def turns_the_kernel(g, columns, channels, kh, kw):
    rows = g.reshape(*g.shape[:2], -1)
    gradient = np.einsum("nol,nkl->ok", rows, columns)
    return gradient.reshape(-1, channels, kh, kw)[:, :, ::-1, ::-1]


check.weight_gradient(averages_over_images)
check.weight_gradient(turns_the_kernel)

# %% [markdown]
# ## Recap
#
# - `im2col` lays patches out as columns; the convolution is one matrix product.
# - Backwards: two matrix products, and `col2im`, which *adds* patches where they overlap.
# - $OH = \lfloor (H + 2P - K)/S \rfloor + 1$; $n$ layers with stride 1 see a window $1 + n(K-1)$ wide.
# - 3×3 is cheap for what a stack of it sees; 1×1 mixes channels.
#
# Next: [4. Heads and losses](04_heads_and_losses.py): from feature maps to a number that says how wrong.
