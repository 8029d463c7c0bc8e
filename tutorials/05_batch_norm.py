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
# # 5. Batch normalisation and its three roads
#
# **25 minutes** · you need: [1](01_tape.py) and [2](02_broadcasting.py), mean and variance
#
# Batch normalisation (Ioffe and Szegedy 2015, [arXiv 1502.03167](https://arxiv.org/abs/1502.03167)) stands behind
# nearly every convolution of a residual network. Its forward is four lines. Its backward is where most
# people err, since each number acts on the result in three ways. In this tutorial you
#
# - write the forward, in training and in evaluation;
# - take the gradient apart into its three roads: direct, by the mean, by the variance;
# - see what is lost if one forgets a road, and why a careless test does not notice.
#
# The letters: $M = N \cdot H \cdot W$ numbers to a channel, $\mu$ and $\sigma^2$ their mean and variance.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires.tutorials import show
from minires.tutorials.checks import batch_norm as check

plt.style.use("minires.tutorials.sheet")
mr.manual_seed(0)
rng = np.random.default_rng(0)

# %% [markdown]
# ## Forward
#
# For each channel
#
# $$\hat x = \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}}, \qquad y = \gamma\,\hat x + \beta .$$
#
# $\gamma$ and $\beta$ are learned. $\varepsilon$ keeps the root away from zero.


# %%
def forward(x, gamma, beta, eps=1e-5):
    mean = x.mean(axis=(0, 2, 3), keepdims=True)
    variance = x.var(axis=(0, 2, 3), keepdims=True)  # divided by M, not by M - 1
    x_hat = (x - mean) / np.sqrt(variance + eps)
    return gamma[:, None, None] * x_hat + beta[:, None, None]


x = rng.standard_normal((8, 2, 4, 4)) * np.array([0.2, 5.0])[:, None, None] + 3
y = forward(x, np.ones(2), np.zeros(2))

figure, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
for ax, array, title in zip(axes, (x, y), ("before", "after"), strict=True):
    for channel in (0, 1):
        ax.hist(
            array[:, channel].ravel(),
            bins=np.arange(array.min(), array.max(), 0.5),
            alpha=0.6,
            label=f"channel {channel}",
            hatch=["", "//"][channel],
        )
    ax.set(title=title, xlabel="value")
axes[0].set_ylabel("how often")
axes[0].legend()
show(
    figure,
    "Before, one channel is narrow and one wide, both around 3; after, both lie alike around 0.",
)

# %% [markdown]
# ## One number acts in three ways
#
# Move a single $x_i$. Its own $\hat x_i$ changes, *directly*. But the mean moves as well, and the variance,
# and with them *every* $\hat x_j$ of the channel. By the chain rule all three add up. With
# $g_i$ the gradient of $\hat x_i$, and $\langle\cdot\rangle$ the mean over the channel,
#
# $$\frac{\partial\mathcal L}{\partial x_i} = \frac{1}{\sqrt{\sigma^2+\varepsilon}}\Big(\underbrace{g_i}_{\text{direct}} \;\underbrace{-\;\langle g\rangle}_{\text{by the mean}}\;\underbrace{-\;\hat x_i\,\langle g\,\hat x\rangle}_{\text{by the variance}}\Big).$$
#
# The derivation is short. $\partial\mu/\partial x_i = 1/M$, so the mean carries $-\frac1M\sum_j g_j$; and
# $\partial\sigma/\partial x_i = \hat x_i / M$, so the variance carries $-\hat x_i\,\frac1M\sum_j g_j \hat x_j$.
#
# A trace measures the three in a network:

# %%
model = mr.models.cifar_resnet(depth=8, width=4, seed=0)
images, labels = mr.randn(8, 3, 16, 16), mr.tensor(np.arange(8))
with mr.trace.record(model) as trace:
    mr.ops.cross_entropy(model(images), labels).backward()
terms = trace.batch_norm_terms("layer2.0.bn1")
for name, norm in terms.norms.items():
    print(f"{name:9} norm {norm:.4f}, share of the gradient {terms.shares[name]:+.3f}")
gap = abs(terms.direct + terms.mean + terms.variance - terms.total).max() / abs(terms.total).max()
print(f"the three add up to what the engine sent, to {gap:.0e} of it")

# %% [markdown]
# Two facts follow from the formula. Add a constant to a channel, and nothing behind the batch norm changes; so
# the gradient sums to zero over each channel. Stretch a channel, and (up to $\varepsilon$) nothing changes;
# so the gradient is perpendicular to $x - \mu$. (That is why the shares of mean and variance above are
# zero. They are not idle: they take away from the direct road all that points the wrong way.)

# %%
x_tensor = mr.tensor(x, requires_grad=True)
g = mr.tensor(rng.standard_normal(x.shape))
bn = mr.nn.BatchNorm2d(2).to(mr.float64)
bn(x_tensor).backward(g)
gradient = x_tensor.grad.numpy()
centred = x - x.mean(axis=(0, 2, 3), keepdims=True)
scale = abs(gradient).sum()
print(
    f"sum over a channel:       {abs(gradient.sum(axis=(0, 2, 3))).max() / scale:.1e} of its size"
)
print(
    f"product with x - mean:    {abs((gradient * centred).sum(axis=(0, 2, 3))).max() / scale:.1e}"
)

# %% [markdown]
# ## Forgetting a road
#
# **Predict, then run.** You drop the roads by mean and variance, and test your gradient with an incoming
# gradient of all ones. What does your version return, and what is right?
#
# <details><summary>Answer</summary>
#
# Right is zero: with $g = 1$ the loss is $\sum_i \hat x_i$, which is always zero, whatever $x$ is. The
# three roads cancel: $1 - 1 - \hat x_i \langle\hat x\rangle = 0$. The direct road alone returns
# $1/\sigma$. That is wrong and would be noticed; but a version that returns zero *always* would pass, and so
# does one that forgets only the road by the variance.
#
# </details>


# %%
def vjp(g, x, roads=("direct", "mean", "variance"), eps=1e-5):
    axes = (0, 2, 3)
    std = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=axes, keepdims=True)) / std
    parts = {
        "direct": g,
        "mean": -g.mean(axis=axes, keepdims=True),
        "variance": -x_hat * (g * x_hat).mean(axis=axes, keepdims=True),
    }
    return sum(parts[road] for road in roads) / std


def whiten(x):
    return forward(x, np.ones(x.shape[1]), np.zeros(x.shape[1]))


small = rng.standard_normal((3, 2, 2, 2))
print("roads                   with ones   with a random gradient")
for roads in [
    ("direct", "mean", "variance"),
    ("direct", "mean"),
    ("direct", "variance"),
    ("direct",),
]:
    found = []
    for cotangent in (np.ones(small.shape), rng.standard_normal(small.shape)):
        tensor = mr.tensor(small, requires_grad=True)
        mr.nn.BatchNorm2d(2).to(mr.float64)(tensor).backward(mr.tensor(cotangent))
        found.append(np.allclose(vjp(cotangent, small, roads), tensor.grad.numpy(), atol=1e-8))
    told = ["looks right" if each else "wrong" for each in found]
    print(f"{' + '.join(roads):23} {told[0]:11} {told[1]}")

# %% [markdown]
# Without the road by the variance, a test with all ones sees nothing. That is why minires' checker draws
# the incoming gradient at random; [tutorial 6](06_gradient_checks.py) has more ways to be fooled.
#
# ## Training and evaluation
#
# In training each image is normalised with the others of its batch. An answer must not depend on who
# else asks, so for evaluation running averages of mean and variance are kept:
#
# $$\mu_{\text{run}} \leftarrow (1 - m)\,\mu_{\text{run}} + m\,\mu_{\text{batch}},$$
#
# where $m$, `momentum`, is the share of the *new* batch, 0.1. (For the variance the batch's unbiased one is
# taken, divided by $M - 1$.) In evaluation mean and variance are constants: two of the three roads are
# closed.

# %%
bn = mr.nn.BatchNorm2d(1)
running = []
for _ in range(60):
    bn(mr.randn(16, 1, 4, 4) * 2 + 3)
    running.append((bn.running_mean.item(), bn.running_var.item()))

figure, ax = plt.subplots()
ax.plot(running, label=["running mean", "running variance"])
ax.axhline(3, color="#56606B", linestyle=":", linewidth=1)
ax.axhline(4, color="#56606B", linestyle=":", linewidth=1)
ax.set(xlabel="batch", ylabel="value", title="Running statistics arrive after some tens of batches")
ax.legend()
show(figure, "Two curves rise from 0 and 1 and settle around 3 and 4, the true mean and variance.")

# %%
for mode in ("training", "evaluation"):
    bn.train(mode == "training")
    batch = mr.tensor(
        (rng.standard_normal((4, 1, 4, 4)) * 2 + 3).astype(np.float32), requires_grad=True
    )
    with mr.trace.record() as trace:
        out = bn(batch)
        (out * mr.randn(*out.shape)).sum().backward()
    norms = trace.batch_norm_terms("batch_norm").norms
    print(f"{mode}: " + ", ".join(f"{road} {norm:.3f}" for road, norm in norms.items()))

# %% [markdown]
# **Predict, then run.** Somebody forgets `model.eval()` and asks for the class of one image, alone. What
# happens in a batch norm behind a 1×1 feature map?
#
# <details><summary>Answer</summary>
#
# There is one number to a channel: it is its own mean, and $\hat x$ is zero. Everything about the image is
# gone. minires, as PyTorch, refuses to do that.
#
# </details>

# %%
try:
    mr.nn.BatchNorm2d(3)(mr.randn(1, 3, 1, 1))
except ValueError as error:
    print(error)

# %% [markdown]
# ## Exercises
#
# ### Exercise 1. The backward pass
#
# Return the gradients of `x` (N, C, H, W), `gamma` (C,) and `beta` (C,), given `g`, the gradient of the
# output, in training.


# %% tags=["exercise"]
def backward(g, x, gamma, beta, eps=1e-5):
    return ...


check.backward(backward)


# %% tags=["solution"]
def backward(g, x, gamma, beta, eps=1e-5):
    axes = (0, 2, 3)
    std = np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    x_hat = (x - x.mean(axis=axes, keepdims=True)) / std
    inner = g * gamma[:, None, None]
    mean = inner.mean(axis=axes, keepdims=True)
    projected = (inner * x_hat).mean(axis=axes, keepdims=True)
    return (inner - mean - x_hat * projected) / std, (g * x_hat).sum(axis=axes), g.sum(axis=axes)


check.backward(backward)


# %% tags=["wrong-answers"]
def without_the_variance(g, x, gamma, beta, eps=1e-5):
    return vjp(g * gamma[:, None, None], x, ("direct", "mean")), *backward(g, x, gamma, beta)[1:]


def forgets_gamma(g, x, gamma, beta, eps=1e-5):
    return vjp(g, x), *backward(g, x, gamma, beta)[1:]


def gamma_times_x(g, x, gamma, beta, eps=1e-5):
    dx, _, dbeta = backward(g, x, gamma, beta)
    return dx, (g * x).sum(axis=(0, 2, 3)), dbeta


check.backward(without_the_variance)
check.backward(forgets_gamma)
check.backward(gamma_times_x)

# %% [markdown]
# ### Exercise 2. The running variance
#
# Return the new running statistics after a batch `x` (N, C, H, W): a pair of arrays (C,). The variance
# that is kept is the unbiased one.


# %% tags=["exercise"]
def update(running_mean, running_var, x, momentum=0.1):
    return ...


check.update(update)


# %% tags=["solution"]
def update(running_mean, running_var, x, momentum=0.1):
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3), ddof=1)
    keep = 1 - momentum
    return keep * running_mean + momentum * mean, keep * running_var + momentum * var


check.update(update)


# %% tags=["wrong-answers"]
def momentum_of_the_old(running_mean, running_var, x, momentum=0.1):
    return update(running_mean, running_var, x, 1 - momentum)


def biased(running_mean, running_var, x, momentum=0.1):
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    keep = 1 - momentum
    return keep * running_mean + momentum * mean, keep * running_var + momentum * var


check.update(momentum_of_the_old)
check.update(biased)

# %% [markdown]
# ## Recap
#
# - Each number of a channel acts directly, through the mean, and through the variance; the three
#   contributions add up.
# - The gradient sums to zero over a channel, and is perpendicular to $x - \mu$.
# - A test with all ones hides a forgotten road. Draw the incoming gradient at random.
# - Evaluation uses running statistics, which are constants: one road is left.
#
# Next: [6. Checking gradients](06_gradient_checks.py).
