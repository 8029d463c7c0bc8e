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
# # 13. What batch normalisation does, and what it does not
#
# **20 minutes** · you need: [5](05_batch_norm.py), [9](09_residual_add.py)
#
# Much is said of batch normalisation: that it keeps every layer's input at mean 0 and variance 1, that it makes
# distributions normal, that it cures "internal covariate shift". Some of it is true. In this tutorial you
#
# - see that $N(0, 1)$ is neither what comes out nor what stays;
# - measure what it does: it makes a network indifferent to the size of weights, and images dependent on each
#   other;
# - see how it makes residual blocks begin near the identity.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires.tutorials import recorded, show
from minires.tutorials.checks import what_batch_norm_does as check

plt.style.use("minires.tutorials.sheet")
rng = np.random.default_rng(0)

# %% [markdown]
# ## It shifts and stretches, and nothing else
#
# **Predict, then run.** Numbers with a very skewed distribution go through a batch normalisation. Is what comes out
# normally distributed?

# %%
skewed = rng.exponential(size=(4096, 1, 1, 1)) * 3 + 2
bn = mr.nn.BatchNorm2d(1).to(mr.float64)
out = bn(mr.tensor(skewed)).numpy()


def skewness(x):
    return (((x - x.mean()) / x.std()) ** 3).mean()


figure, axes = plt.subplots(1, 2, figsize=(8.4, 3))
for ax, array, title in zip(axes, (skewed, out), ("before", "after"), strict=True):
    ax.hist(array.ravel(), bins=60, density=True, alpha=0.7)
    ax.set(title=title, xlabel="value")
line = np.linspace(-4, 6, 200)
axes[1].plot(line, np.exp(-(line**2) / 2) / np.sqrt(2 * np.pi), color="C1", label="N(0, 1)")
axes[1].legend()
axes[0].set_ylabel("density")
show(
    figure, "A steep slope with a long tail, before and after; the bell of N(0, 1) does not fit it."
)
print(
    f"mean {out.mean():+.1e}, variance {out.var():.4f}; skewness before {skewness(skewed):.3f}, after {skewness(out):.3f}"
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# No. Mean and variance are set; the shape stays, as the equal skewness shows. To subtract a number and divide by
# another cannot do more.
#
# </details>
#
# ## Not for ever
#
# After normalising comes $\gamma\hat x + \beta$, and both are *learned*. They begin at 1 and 0. So the output has mean
# $\beta$ and standard deviation $|\gamma|$, whatever these become.
#
# **Predict, then run.** After five epochs of training, how far from 1 and 0 are they?

# %%
split = mr.data.digits()
model = mr.models.cifar_resnet(depth=14, width=8, in_channels=1, seed=0)
batches = mr.data.DataLoader(split.train, 64, shuffle=True, seed=0)
optimizer = mr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
mr.Trainer(model, optimizer).fit(batches, epochs=5)
gammas = np.concatenate(
    [p.numpy() for name, p in model.named_parameters() if "bn" in name and name.endswith("weight")]
)
betas = np.concatenate(
    [p.numpy() for name, p in model.named_parameters() if "bn" in name and name.endswith("bias")]
)

figure, ax = plt.subplots(figsize=(5.2, 4))
ax.scatter(betas, gammas, s=14, alpha=0.7, label="a channel, after training")
ax.plot([0], [1], "k*", markersize=14, label="all of them, before")
ax.set(
    xlabel="β, mean of the output",
    ylabel="γ, its standard deviation",
    title="N(0, 1) is where it begins",
)
ax.legend()
show(
    figure,
    "A cloud of points around the star at (0, 1), from which training has moved all channels.",
)
print(
    f"γ from {gammas.min():.2f} to {gammas.max():.2f}, β from {betas.min():.2f} to {betas.max():.2f}"
)

# %% [markdown]
# ## The size of weights no longer matters
#
# Multiply the weights in front by 10: everything that comes in is 10 times as large, so are its mean and its
# deviation, and the output is the same. So the *gradient* of these weights is divided by 10. Weight decay in front of a
# batch norm therefore does not make the function smoother; it makes weights smaller, and with them each step
# relatively larger (van Laarhoven 2017, [arXiv 1706.05350](https://arxiv.org/abs/1706.05350)).

# %%
x = mr.tensor(rng.standard_normal((16, 3, 8, 8)))
weight = rng.standard_normal((8, 3, 3, 3))
pull = mr.tensor(rng.standard_normal((16, 8, 8, 8)))
for factor in (1, 10, 100):
    w = mr.tensor(weight * factor, requires_grad=True)
    y = mr.nn.BatchNorm2d(8, eps=1e-12).to(mr.float64)(mr.ops.conv2d(x, w, padding=1))
    (y * pull).sum().backward()
    size = np.linalg.norm(w.grad.numpy())
    along = (w.grad.numpy() * w.numpy()).sum() / size / np.linalg.norm(w.numpy())
    print(
        f"weights × {factor:3}: output norm {np.linalg.norm(y.numpy()):.4f}, gradient {size:.6f}, cosine with the weights {along:+.0e}"
    )

# %% [markdown]
# The gradient is perpendicular to the weights: along them nothing changes. And a *bias* in front of a batch norm is
# subtracted with the mean at once; it does nothing, and residual networks leave it out.
#
# ## Images depend on each other
#
# In training, mean and variance are those of the batch. So the output for an image changes when *another* image
# of the batch is exchanged.

# %%
for module in model.modules():
    if isinstance(module, mr.nn.BatchNorm2d):
        module.momentum = 0.0  # from here on the running statistics stay as they are
batch = mr.randn(8, 1, 8, 8).numpy()
changed = batch.copy()
changed[7] = 5 * batch[7]
for mode in ("training", "evaluation"):
    model.train(mode == "training")
    with mr.no_grad():
        before, after = model(mr.tensor(batch)).numpy(), model(mr.tensor(changed)).numpy()
    moved = np.abs(before[0] - after[0]).max()
    print(f"{mode}: image 0's scores change by up to {moved:.3f} when image 7 is exchanged")

# %% [markdown]
# **Predict, then run.** The smaller the batch, the noisier its mean and variance. By how much does the network of
# training differ from that of evaluation, for batches of 2, 8, 32, 128?

# %%
images = mr.tensor(np.stack([split.train[i][0] for i in range(128)]))
model.eval()
with mr.no_grad():
    steady = model(images).numpy()
sizes, distances = (2, 4, 8, 16, 32, 64, 128), []
model.train()
for size in sizes:
    with mr.no_grad():
        noisy = np.concatenate([model(images[i : i + size]).numpy() for i in range(0, 128, size)])
    distances.append(np.sqrt(((noisy - steady) ** 2).mean()))
figure, ax = plt.subplots()
ax.loglog(sizes, distances, marker="o")
ax.set(
    xlabel="images in a batch", ylabel="distance of the scores", title="Training against evaluation"
)
ax.set_xticks(sizes, sizes)
ax.set_xticks([], minor=True)
show(figure, "A falling line: the larger the batch, the nearer training is to evaluation.")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The larger the batch, the smaller the difference, roughly by the root of its size, as for any mean. With batches of 2 it
# is another network. This noise can also help, as a kind of regularisation; with small batches it mostly hurts.
#
# </details>
#
# ## In a residual network: blocks that begin small
#
# Add up blocks, and the variance on the main road grows: 1, 2, 3, ... But the batch norm in each branch sets the
# branch's variance to about 1, whatever comes in. So the deeper a block, the smaller its branch *relative* to the
# shortcut: about $1/l$ of the variance in block $l$ (De and Smith 2020,
# [arXiv 2002.10444](https://arxiv.org/abs/2002.10444)). Deep *blocks* begin close to the identity, though the whole network
# does not; that is part of why it trains.

# %%
mr.manual_seed(0)
main, ratios = mr.randn(64, 8, 8, 8), []
for _ in range(24):
    weight = mr.randn(8, 8, 3, 3) * np.sqrt(2 / 72)
    branch = mr.ops.conv2d(mr.relu(mr.nn.BatchNorm2d(8)(main)), weight, padding=1)
    ratios.append(float(branch.numpy().var() / main.numpy().var()))
    main = main + branch
figure, ax = plt.subplots()
places = np.arange(1, 25)
ax.loglog(places, ratios, marker="o", linestyle="none", label="measured")
ax.loglog(places, ratios[0] / places, label="1/l")
ax.set(xlabel="block l", ylabel="variance of branch / shortcut", title="24 blocks, untrained")
ax.set_xticks([1, 2, 5, 10, 24], [1, 2, 5, 10, 24])
ax.set_xticks([], minor=True)
ax.legend()
show(figure, "Points that fall with the block's number, along the line 1/l.")

# %% [markdown]
# ## And covariate shift?
#
# The paper's own explanation was that inputs of layers keep their distribution while others learn. Santurkar et al.
# (2018, [arXiv 1805.11604](https://arxiv.org/abs/1805.11604)) put noise behind each batch norm, so that distributions
# jumped at every step, and networks trained nearly as well. The lab has tried the same, at small scale
# (`minires lab run batch-norm --scale small`):

# %%
result = recorded("batch-norm")
for name, trials in result["trials"].items():
    if "final_train_error" in trials[0]:
        found = ", ".join(f"{100 * trial['final_train_error']:.1f} %" for trial in trials)
        print(f"{name:28} training error {found}")
for claim in result["claims"]:
    print(f"{claim['outcome']:12} {claim['claim']}")

# %% [markdown]
# That is not what the paper saw: here the noise takes away most of what batch norm had gained. The network is small,
# and trained for eight epochs of few images, so this neither confirms the paper nor refutes it: `inconclusive`.
#
# ## Exercises
#
# ### Exercise 1. What will come out?
#
# A channel has mean `mean` and standard deviation `std` before a batch norm with $\gamma$ and $\beta$ ($\varepsilon = 0$).
# Return mean and standard deviation after it.


# %% tags=["exercise"]
def after(mean, std, gamma, beta):
    return ...


check.after(after)


# %% tags=["solution"]
def after(mean, std, gamma, beta):
    return beta, abs(gamma)


check.after(after)


# %% tags=["wrong-answers"]
def always_standard(mean, std, gamma, beta):
    return 0.0, 1.0


def scales_what_was(mean, std, gamma, beta):
    return gamma * mean + beta, gamma * std


def negative_deviation(mean, std, gamma, beta):
    return beta, gamma


check.after(always_standard)
check.after(scales_what_was)
check.after(negative_deviation)

# %% [markdown]
# ### Exercise 2. Fold it away
#
# In evaluation a batch norm is a fixed scale and shift, and can be put into the convolution before it. `weight` is
# (O, C, KH, KW); the others are (O,). Return a weight and a bias that do both at once.


# %% tags=["exercise"]
def fold(weight, gamma, beta, mean, var, eps=1e-5):
    return ...


check.fold(fold)


# %% tags=["solution"]
def fold(weight, gamma, beta, mean, var, eps=1e-5):
    scale = gamma / np.sqrt(var + eps)
    return weight * scale[:, None, None, None], beta - mean * scale


check.fold(fold)


# %% tags=["wrong-answers"]
def forgets_the_mean(weight, gamma, beta, mean, var, eps=1e-5):
    scale = gamma / np.sqrt(var + eps)
    return weight * scale[:, None, None, None], beta


def divides_by_the_variance(weight, gamma, beta, mean, var, eps=1e-5):
    scale = gamma / (var + eps)
    return weight * scale[:, None, None, None], beta - mean * scale


check.fold(forgets_the_mean)
check.fold(divides_by_the_variance)

# %% [markdown]
# ## Recap
#
# - It sets mean and variance, not the shape; then $\gamma$ and $\beta$ set them anew, as training likes.
# - It makes a network indifferent to the size of the weights before it.
# - In training images depend on each other; in small batches a lot.
# - In residual networks it makes deep blocks begin near the identity.
#
# Next: [14. Lesions](14_lesions.py).
