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
# # 4. From feature maps to a loss
#
# **20 minutes** · you need: [3](03_convolution.py), and logarithms
#
# Convolutions return maps. A classifier needs one number for each class, and training needs a single
# number that says how wrong these are. In this tutorial you
#
# - shrink maps by pooling, and see where each kind of pooling sends the gradient;
# - turn maps into class scores by a fully connected layer;
# - see why classifiers are trained with softmax and cross-entropy and not with squared errors: the
#   difference is in the gradient, where an answer is confidently wrong.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires.tutorials import grid, show
from minires.tutorials.checks import heads_and_losses as check

plt.style.use("minires.tutorials.sheet")
mr.manual_seed(0)

# %% [markdown]
# ## Pooling: fewer places
#
# A 2×2 pooling keeps one number of four: their mean, or the largest. Backwards the difference shows.
# The mean used all four alike, so each gets a quarter. The maximum was moved by one of them alone:
# that one gets everything.
#
# **Predict, then run.** With the maximum, how many of 16 pixels receive a gradient from four outputs?
#
# <details><summary>Answer</summary>
#
# Four: one winner in each window. The others receive zero. (A tie is a kink; minires gives all of it to
# the first.)
#
# </details>

# %%
values = np.random.default_rng(0).permutation(16.0 * np.arange(16) / 16).reshape(1, 1, 4, 4)
figure, axes = plt.subplots(1, 3, figsize=(8.4, 2.9))
panels = [("x", values[0, 0])]
for name, pool in [("average", mr.ops.avg_pool2d), ("maximum", mr.ops.max_pool2d)]:
    x = mr.tensor(values, requires_grad=True)
    pool(x, 2).sum().backward()
    panels.append((f"gradient, {name}", x.grad.numpy()[0, 0]))
    print(f"{name}: {int((x.grad.numpy() != 0).sum())} of 16 pixels receive a gradient")
for ax, (title, array) in zip(axes, panels, strict=True):
    grid(ax, array, title, low=0, high=max(array.max(), 1))
    ax.axhline(1.5, color="w", linestyle="-")
    ax.axvline(1.5, color="w", linestyle="-")
show(figure, "A 4×4 grid; an average sends a quarter everywhere, a maximum one to each winner.")

# %% [markdown]
# Residual networks end with *global average pooling*: the mean of each map. It has no weights, and takes
# images of any size.
#
# ## A fully connected layer
#
# Each class has a row of weights, one for each feature: $z = x W^\top + b$, of shape (N, C) for C classes.
# The numbers $z$ are called *logits*. It is a matrix product, and you know its way back already.

# %%
maps = mr.randn(4, 8, 5, 5)
head = mr.nn.Linear(8, 3)
features = maps.mean(dim=(2, 3))
logits = head(features)
print("maps", maps.shape, "→ features", features.shape, "→ logits", logits.shape)

# %% [markdown]
# ## Softmax: scores become probabilities
#
# $$p_c = \frac{e^{z_c}}{\sum_k e^{z_k}}$$
#
# All are positive and sum to one. Written just so it overflows; one subtracts the largest logit first, which
# changes nothing but the rounding:

# %%
z = np.array([1000.0, 1001.0, 1002.0], dtype=np.float32)
with np.errstate(over="ignore", invalid="ignore"):
    print("as written:          ", np.exp(z) / np.exp(z).sum())
shifted = np.exp(z - z.max())
print("with the largest off:", shifted / shifted.sum())

# %% [markdown]
# ## Two ways to be wrong
#
# Let the right class be $y$, and $t$ the vector with a one there and zeros elsewhere.
#
# - *Squared error*: $\tfrac1C \sum_c (p_c - t_c)^2$.
# - *Cross-entropy*: $-\log p_y$: how surprised one is by the right answer.
#
# Their gradients with respect to the logits can be worked out:
#
# $$\frac{\partial\,(-\log p_y)}{\partial z_c} = p_c - t_c .$$
#
# Nothing else: the difference of what was said and what is right. The squared error has the slope of
# the softmax as a further factor, $p_c (1 - p_c)$ for two classes, and that is nearly zero where the
# network is *sure*, rightly or wrongly.
#
# **Predict, then run.** A network is sure of the wrong class: $p_y$ is nearly 0. Which loss corrects it
# more strongly?

# %%
gap = np.linspace(-10, 10, 201)  # logit of the right class minus that of the wrong one


def gradient_sizes(loss):
    z = mr.tensor(np.stack([gap, np.zeros_like(gap)], axis=1), requires_grad=True)
    loss(z).sum().backward()
    return abs(z.grad.numpy()[:, 0])


right = np.zeros(len(gap), dtype=np.int64)
one_hot = mr.tensor(np.stack([np.ones_like(gap), np.zeros_like(gap)], axis=1))
entropy = gradient_sizes(lambda z: mr.ops.cross_entropy(z, mr.tensor(right), reduction="none"))
squared = gradient_sizes(lambda z: ((mr.softmax(z, dim=1) - one_hot) ** 2).mean(dim=1))

figure, ax = plt.subplots()
ax.plot(gap, entropy, label="cross-entropy")
ax.plot(gap, squared, label="squared error")
ax.axvspan(-10, -4, color="#56606B", alpha=0.12, lw=0)
ax.text(-9.8, 0.55, "surely wrong", color="#56606B")
ax.set(xlabel="logit of the right class minus the other", ylabel="size of the gradient")
ax.set_title("Where an answer is surely wrong, squared error has stopped caring")
ax.legend()
show(figure, "Cross-entropy's gradient goes to one on the left, that of squared error to zero.")
print(f"at a gap of -10: cross-entropy {entropy[0]:.4f}, squared error {squared[0]:.2e}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Cross-entropy. Its gradient goes to 1 there; that of the squared error vanishes, since softmax is flat. This
# is a *vanishing gradient* before any depth comes into it. More of them follow in
# [tutorial 7](07_vanishing_gradients.py).
#
# </details>
#
# ## Does it matter in training?
#
# Start a small classifier of digits from weights that are sure of wrong answers, as a badly scaled
# initialisation makes them, and train it with both losses, at the same learning rates.

# %%
split = mr.data.digits()
images = mr.tensor(np.stack([split.train[i][0].ravel() for i in range(512)]))
labels = mr.tensor(np.array([split.train[i][1] for i in range(512)]))
targets = mr.tensor(np.eye(10, dtype=np.float32)[labels.numpy()])


def errors(loss, rate, steps=60):
    mr.manual_seed(1)
    model = mr.nn.Linear(64, 10)
    model.weight.copy_(model.weight.detach() * 20)
    optimizer = mr.optim.SGD(model.parameters(), lr=rate)
    curve = []
    for _ in range(steps):
        logits = model(images)
        curve.append(100 * float((logits.argmax(dim=1) != labels).numpy().mean()))
        optimizer.zero_grad()
        loss(logits).backward()
        optimizer.step()
    return curve


def squared_error(logits):
    return mr.ops.mse_loss(mr.softmax(logits, dim=1), targets)


def cross_entropy(logits):
    return mr.ops.cross_entropy(logits, labels)


figure, ax = plt.subplots()
last = {}
for name, loss in [("cross-entropy", cross_entropy), ("squared error", squared_error)]:
    curves = {rate: errors(loss, rate) for rate in (0.1, 1, 10, 100, 1000)}
    best = min(curves, key=lambda rate: curves[rate][-1])
    ax.plot(curves[best], label=f"{name}, learning rate {best:g}")
    last[name] = curves[best][-1]
ax.set(xlabel="step", ylabel="training error, %", ylim=(0, 100))
ax.set_title("Each loss with the best of five learning rates")
ax.legend()
show(figure, "Training error over 60 steps with cross-entropy and with squared error.")
for name, error in last.items():
    print(f"{name}: {error:.1f} % wrong after 60 steps")

# %% [markdown]
# ## Exercises
#
# ### Exercise 1. Cross-entropy's gradient
#
# Return the gradient of the *mean* cross-entropy over the batch, with respect to `logits` (N, C), given
# `labels` (N,), integers.


# %% tags=["exercise"]
def cross_entropy_gradient(logits, labels):
    return ...


check.cross_entropy_gradient(cross_entropy_gradient)


# %% tags=["solution"]
def cross_entropy_gradient(logits, labels):
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return p / len(labels)


check.cross_entropy_gradient(cross_entropy_gradient)


# %% tags=["wrong-answers"]
def forgets_the_mean(logits, labels):
    return cross_entropy_gradient(logits, labels) * len(labels)


def softmax_over_the_batch(logits, labels):
    e = np.exp(logits - logits.max(axis=0))
    p = e / e.sum(axis=0)
    p[np.arange(len(labels)), labels] -= 1
    return p / len(labels)


def overflows(logits, labels):
    with np.errstate(over="ignore", invalid="ignore"):
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return p / len(labels)


check.cross_entropy_gradient(forgets_the_mean)
check.cross_entropy_gradient(softmax_over_the_batch)
check.cross_entropy_gradient(overflows)

# %% [markdown]
# ### Exercise 2. The way back through a maximum
#
# `x` has shape (H, W), both even, and was pooled by the maximum of each 2×2 window. `g` has shape
# (H/2, W/2). Return the gradient of `x`. In the check no window has a tie.


# %% tags=["exercise"]
def max_pool_vjp(g, x):
    return ...


check.max_pool_vjp(max_pool_vjp)


# %% tags=["solution"]
def max_pool_vjp(g, x):
    h, w = g.shape
    windows = x.reshape(h, 2, w, 2)
    wins = windows == windows.max(axis=(1, 3), keepdims=True)
    return (wins * g[:, None, :, None]).reshape(x.shape)


check.max_pool_vjp(max_pool_vjp)


# %% tags=["wrong-answers"]
def sends_to_all(g, x):
    return np.repeat(np.repeat(g, 2, axis=0), 2, axis=1)


def sends_quarters(g, x):
    return np.repeat(np.repeat(g, 2, axis=0), 2, axis=1) / 4


def sends_to_the_largest_of_all(g, x):
    return np.where(x == x.max(), g.sum(), 0.0)


check.max_pool_vjp(sends_to_all)
check.max_pool_vjp(sends_quarters)
check.max_pool_vjp(sends_to_the_largest_of_all)

# %% [markdown]
# ## Recap
#
# - An average sends a gradient to all, a maximum to the winner alone.
# - Softmax makes probabilities; subtract the largest logit first.
# - Cross-entropy's gradient is $p - t$. Squared error behind a softmax has a factor that vanishes where
#   the network is sure, also where it is surely wrong.
#
# Next: [5. Batch normalisation](05_batch_norm.py): keeping numbers in a range where gradients live.
