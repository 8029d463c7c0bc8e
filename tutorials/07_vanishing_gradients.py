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
# # 7. Vanishing and exploding gradients
#
# **25 minutes** · you need: [1](01_tape.py), [5](05_batch_norm.py)
#
# A gradient goes through every layer on its way back, and each layer multiplies it by something. Fifty
# factors a little below one leave nothing, fifty a little above one leave infinity. In this tutorial
# you
#
# - measure the gradient layer by layer in deep stacks, and see what the activation does to it;
# - choose the size of the first weights so that neither happens;
# - see what clipping, batch normalisation and shortcuts can do, and what they cannot.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires.tutorials import show
from minires.tutorials.checks import vanishing_gradients as check

plt.style.use("minires.tutorials.sheet")

# %% [markdown]
# ## Fifty layers
#
# Each layer is $x_{l+1} = \phi(W_l x_l)$. Backwards, $\bar x_l = W_l^\top(\phi'(\cdot)\,\bar x_{l+1})$: a
# matrix, and the slope of the activation. Both count.
#
# | activation | largest slope |
# |---|---|
# | sigmoid | 1/4, at 0 |
# | tanh | 1, at 0 |
# | ReLU | 1, on one half; 0 on the other |
#
# **Predict, then run.** All weights are drawn with standard deviation $1/\sqrt{D}$ for $D$ inputs, so that
# $W^\top$ alone keeps the length of a vector, on average. Which activations lose the gradient over 50
# layers?


# %%
def gradient_by_layer(activation, scale, depth=50, width=128, shortcut=False):
    """Norms of the gradients at the outputs of all layers, at random weights."""
    mr.manual_seed(0)
    x = mr.randn(64, width, requires_grad=True)
    values = [x]
    for _ in range(depth):
        weight = mr.randn(width, width) * (scale / np.sqrt(width))
        y = activation(values[-1] @ weight)
        y = mr.ops.residual_add(values[-1], y) if shortcut else y
        values.append(y)
    grads = mr.grad(values[-1].sum(), values)
    return [float(np.linalg.norm(each.numpy().astype(float))) for each in grads]


activations = {"sigmoid": mr.sigmoid, "tanh": mr.tanh, "ReLU": mr.relu}
figure, ax = plt.subplots()
for name, activation in activations.items():
    norms = gradient_by_layer(activation, 1.0)
    ax.semilogy(np.maximum(norms, 1e-45), label=name)
    print(
        f"{name:8} last layer {norms[-1]:.1e}, first layer {norms[0]:.1e}, ratio {norms[0] / norms[-1]:.1e}"
    )
ax.set(xlabel="layer", ylabel="norm of the gradient", title="Weights with standard deviation 1/√D")
ax.legend()
show(figure, "Towards the first layer all three curves fall; sigmoid's by far the steepest.")

# %% [markdown]
# <details><summary>Answer</summary>
#
# All of them, at very different speed. Sigmoid multiplies by at most 1/4 per layer. ReLU passes one half of
# the entries, so the squared length halves: a factor of $1/\sqrt2$ per layer. tanh has a slope below one
# wherever its input is not zero.
#
# </details>
#
# ## The size of the first weights
#
# For ReLU the remedy is now plain: multiply weights by $\sqrt2$. That is He's initialisation (He et al.
# 2015, [arXiv 1502.01852](https://arxiv.org/abs/1502.01852)): standard deviation $\sqrt{2/D}$. For tanh Glorot
# and Bengio (2010) keep $1/\sqrt D$ and its relatives. How narrow is the road between vanishing and exploding?

# %%
scales = [1.0, 1.2, np.sqrt(2), 1.6, 2.0]
figure, ax = plt.subplots()
for scale in scales:
    norms = gradient_by_layer(mr.relu, scale)
    ax.semilogy(norms, label=f"{scale:.2f}/√D" + (" (He)" if scale == np.sqrt(2) else ""))
ax.set(
    xlabel="layer",
    ylabel="norm of the gradient",
    title="ReLU: a little too small or too large, to the 50th power",
)
ax.legend(ncols=2)
show(figure, "Five straight lines in a logarithmic picture: only He's is level.")

# %% [markdown]
# And sigmoid? Larger weights make up for its slope; but they also drive its inputs to where it is flat.
# Such a unit is *saturated*: it says 0 or 1 whatever comes, and learns next to nothing.


# %%
def sigmoid_stack(scale, depth=20, width=128):
    """How much of the gradient reaches the first layer, and the share of saturated units."""
    mr.manual_seed(0)
    x = mr.randn(64, width, requires_grad=True)
    y, flat = x, []
    for _ in range(depth):
        y = mr.sigmoid(y @ (mr.randn(width, width) * (scale / np.sqrt(width))))
        flat.append((y.numpy() * (1 - y.numpy()) < 0.025).mean())  # a tenth of the largest slope
    last, first = mr.grad(y.sum(), [y, x])
    return np.linalg.norm(first.numpy()) / np.linalg.norm(last.numpy()), 100 * np.mean(flat)


trials = np.logspace(-0.5, 1.5, 17)
ratios, saturated = zip(*[sigmoid_stack(scale) for scale in trials], strict=True)
figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4))
left.loglog(trials, ratios, marker="o")
left.axhline(1, color="#56606B", linestyle=":", linewidth=1)
left.set(
    xlabel="weights, times 1/√D", ylabel="first layer / last layer", title="Gradient over 20 layers"
)
right.semilogx(trials, saturated, marker="o")
right.set(
    xlabel="weights, times 1/√D",
    ylabel="saturated units, %",
    title="Saturated units",
    ylim=(0, 100),
)
show(
    figure, "Left, the ratio rises with the weights and crosses one; right, so do saturated units."
)
level = int(np.argmin(np.abs(np.log(ratios))))
print(
    f"the gradient is kept best with {trials[level]:.1f}/√D; there {saturated[level]:.0f} % are saturated"
)

# %% [markdown]
# ## Clipping: against explosions only
#
# An exploded gradient makes one huge step, and everything learned is gone. *Clipping* shortens a gradient
# that is longer than a limit, and keeps its direction. It never lengthens one: against vanishing it does nothing.
# And since all parameters are clipped together, one that explodes makes the others' gradients shorter as well.

# %%
parameters = [mr.nn.Parameter(mr.zeros(3)), mr.nn.Parameter(mr.zeros(3))]
for parameter, gradient in zip(parameters, ([300.0, 0.0, 400.0], [1e-6, 0.0, 0.0]), strict=True):
    parameter.grad = mr.tensor(gradient)
total = mr.nn.utils.clip_grad_norm_(parameters, max_norm=1.0)
print(f"the norm of all was {float(total):.0f}; now the gradients are")
for parameter in parameters:
    print("  ", parameter.grad.numpy())

# %% [markdown]
# ## Batch normalisation
#
# It divides by the standard deviation of what comes in. If a layer's output is twice as large, the gradient
# on the way back is halved: whatever the size of the weights, forward it is undone. So initialisation
# matters much less.
#
# **Predict, then run.** Plain convolutional networks of 20 layers, with batch normalisation and without. All
# weights are multiplied by a factor. What happens to the gradient of the first layer, measured against that
# of the last?


# %%
def ratio_of_plain(norm, factor):
    model = mr.models.cifar_plain(depth=20, width=8, norm=norm, seed=0)
    for name, parameter in model.named_parameters():
        if name.endswith(("conv1.weight", "conv2.weight")):
            parameter.copy_(parameter.detach() * factor)
    mr.manual_seed(0)
    with mr.trace.record(model, replay=False) as trace:
        mr.ops.cross_entropy(model(mr.randn(8, 3, 16, 16)), mr.tensor(np.arange(8))).backward()
    norms = {}
    for value in trace.records.values:
        if value.kind != "parameter" and value.gradient is not None:
            norms[value.name] = value.gradient.norm
    layers = [norms[name] for name in norms if name.startswith("layer")]
    return layers[0] / layers[-1]


factors = [0.5, 0.7, 1.0, 1.4, 2.0]
figure, ax = plt.subplots()
for norm, name in [("none", "without"), ("batch", "with batch norm")]:
    ratios = [ratio_of_plain(norm, factor) for factor in factors]
    ax.loglog(factors, ratios, marker="o", label=name)
    print(f"{name}: ratios from {min(ratios):.1e} to {max(ratios):.1e}")
ax.set(xlabel="weights multiplied by", ylabel="gradient: first layer / last layer")
ax.set_title("Plain networks of 20 layers")
ax.set_xticks(factors, [f"{factor:g}" for factor in factors])
ax.set_xticks([], minor=True)
ax.legend()
show(figure, "Without batch norm a steep line over many decades; with it nearly level.")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Without, it changes by many powers of ten. With batch normalisation it hardly changes: it makes a network
# indifferent to the size of its weights.
#
# Keep this in mind: the deep plain networks of the next tutorial *have* batch normalisation. Their gradients
# do not vanish (at the very beginning they grow towards the first layer, the more so the deeper the network), and
# still they train worse. (He et al. 2015 say so themselves,
# [arXiv 1512.03385](https://arxiv.org/abs/1512.03385), section 4.1.)
#
# </details>
#
# ## Shortcuts
#
# Add the input to what a layer computes: $x_{l+1} = x_l + \phi(W_l x_l)$. Backwards the gradient is copied
# *around* the layer, and whatever comes through the layer is added. Nothing has to be multiplied.

# %%
figure, ax = plt.subplots()
for name in ("sigmoid", "ReLU"):
    norms = gradient_by_layer(activations[name], 1, shortcut=True)
    ax.semilogy(norms, label=f"{name} with shortcuts")
ax.semilogy(gradient_by_layer(mr.sigmoid, 1), label="sigmoid without")
ax.set(
    xlabel="layer", ylabel="norm of the gradient", title="With a road around, and weights of 1/√D"
)
ax.set_ylim(1e-20, None)
ax.legend()
show(
    figure,
    "With shortcuts sigmoid is level and ReLU rises towards the first layer; without, a steep fall.",
)

# %% [markdown]
# Something is added at every layer, so that residual gradients may *grow* instead, as with ReLU here. A shortcut
# helps against vanishing. It does not help against exploding; for that residual networks have batch norms in
# their branches. What exactly the two roads carry is the subject of [tutorial 9](09_residual_add.py).
#
# ## Exercises
#
# ### Exercise 1. The right size
#
# Weights (O, I, KH, KW) of a convolution before a ReLU: return the standard deviation by which the size of
# the *forward* signal stays the same from layer to layer, by He's rule. One output sums over how many
# products?


# %% tags=["exercise"]
def he_std(shape):
    return ...


check.he_std(he_std)


# %% tags=["solution"]
def he_std(shape):
    return np.sqrt(2 / np.prod(shape[1:]))


check.he_std(he_std)


# %% tags=["wrong-answers"]
def without_the_relu(shape):
    return np.sqrt(1 / np.prod(shape[1:]))


def forgets_the_kernel(shape):
    return np.sqrt(2 / shape[1])


def by_outputs(shape):
    return np.sqrt(2 / (shape[0] * shape[2] * shape[3]))


check.he_std(without_the_relu)
check.he_std(forgets_the_kernel)
check.he_std(by_outputs)

# %% [markdown]
# ### Exercise 2. Clip the norm of all
#
# Given a list of gradients (arrays) and a limit, return new ones: all multiplied by the same number, so that
# the norm of *all together* is at most the limit. Shorter ones stay as they are.


# %% tags=["exercise"]
def clip(gradients, limit):
    return ...


check.clip(clip)


# %% tags=["solution"]
def clip(gradients, limit):
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    factor = min(1.0, limit / norm) if norm else 1.0
    return [g * factor for g in gradients]


check.clip(clip)


# %% tags=["wrong-answers"]
def each_alone(gradients, limit):
    return [clip([g], limit)[0] for g in gradients]


def by_entries(gradients, limit):
    return [np.clip(g, -limit, limit) for g in gradients]


def always_scales(gradients, limit):
    norm = np.sqrt(sum((g**2).sum() for g in gradients))
    return [g * limit / norm for g in gradients]


check.clip(each_alone)
check.clip(by_entries)
check.clip(always_scales)

# %% [markdown]
# ## Recap
#
# - Each layer multiplies the gradient; fifty times. Slopes below one make it vanish.
# - He's size of weights, $\sqrt{2/D}$, is right for ReLU. Sigmoid keeps a gradient only where most units
#   are saturated.
# - Clipping is against explosions alone. Batch norm makes the size of weights nearly indifferent.
# - A shortcut adds a road on which nothing is multiplied.
#
# Next: [8. The plain stack](08_plain_stacks.py): gradients are fine, and depth still hurts.
