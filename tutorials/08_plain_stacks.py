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
# # 8. The plain stack: depth hurts training
#
# **20 minutes** · you need: [3](03_convolution.py), [5](05_batch_norm.py), [7](07_vanishing_gradients.py)
#
# More layers can compute more. So a deeper network should fit its training images at least as well as a
# shallow one: it could copy the shallow one, and let the other layers do nothing. In 2015 He et al. and
# others saw the opposite. This observation is called *degradation*, and residual networks are the answer to it. In this
# tutorial you
#
# - train plain networks of growing depth, and see their *training* error rise;
# - rule out the two explanations that come to mind: overfitting, and vanishing gradients;
# - see that the solution exists, and is not found.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires.tutorials import recorded, show
from minires.tutorials.checks import plain_stacks as check

plt.style.use("minires.tutorials.sheet")

# %% [markdown]
# ## Twins
#
# `cifar_plain(depth)` is a stack of 3×3 convolutions, each with batch normalisation and ReLU. Its twin
# `cifar_resnet(depth)` has the same layers and the same first weights, and a shortcut around every two
# convolutions, which adds no parameters.

# %%
plain = mr.models.cifar_plain(depth=20, width=4, in_channels=1, seed=0)
residual = mr.models.cifar_resnet(depth=20, width=4, in_channels=1, seed=0)
print("parameters:", mr.nn.parameter_count(plain), "and", mr.nn.parameter_count(residual))
same = all(
    np.array_equal(a.numpy(), b.numpy())
    for a, b in zip(plain.parameters(), residual.parameters(), strict=True)
)
print("all of them begin equal:", same)

# %% [markdown]
# ## Deeper and deeper
#
# The images are 1,438 handwritten digits of 8×8 pixels, small but real. All networks see
# the same batches in the same order.
#
# **Predict, then run.** Three plain networks have 8, 20 and 44 layers. Which has the lowest *training* error
# after eight epochs?

# %%
split = mr.data.digits()
EPOCHS = 8


def train(make, depth):
    model = make(depth=depth, width=4, in_channels=1, seed=0)
    batches = mr.data.DataLoader(split.train, 64, shuffle=True, seed=0)
    optimizer = mr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    trainer = mr.Trainer(model, optimizer)
    history = trainer.fit(batches, epochs=EPOCHS)
    test = trainer.evaluate(mr.data.DataLoader(split.test, 64))
    return 100 * np.array(history.epoch_error), 100 * test.error


depths = (8, 20, 44)
plain_errors = {depth: train(mr.models.cifar_plain, depth) for depth in depths}

figure, ax = plt.subplots()
for depth, (curve, _) in plain_errors.items():
    ax.plot(range(1, EPOCHS + 1), curve, marker="o", label=f"plain, {depth} layers")
ax.set(
    xlabel="epoch",
    ylabel="training error, %",
    title="Plain networks: deeper is worse",
    ylim=(0, 100),
)
ax.legend()
show(figure, "Three falling curves; the deeper the network, the higher its curve.")
for depth, (curve, test) in plain_errors.items():
    print(f"plain, {depth:2} layers: training error {curve[-1]:5.1f} %, test error {test:5.1f} %")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The shallowest, as the printed errors say. The deepest is far from having learned the digits that the
# shallowest knows nearly by heart.
#
# </details>
#
# ## Is it overfitting?
#
# A network *overfits* if it does well on what it was trained with, and badly on anything else. Here it is the
# *training* error that is high. That is the reverse. Overfitting is a low training error with a high test
# error.
#
# ## Do gradients vanish?
#
# [Tutorial 7](07_vanishing_gradients.py) says how to look. Take the plain network with 44 layers at its
# first step.

# %%
mr.manual_seed(0)
images = mr.tensor(np.stack([split.train[i][0] for i in range(64)]))
labels = mr.tensor(np.array([split.train[i][1] for i in range(64)]))
traces = {}
for name, make in [("residual", mr.models.cifar_resnet), ("plain", mr.models.cifar_plain)]:
    model = make(depth=44, width=4, in_channels=1, seed=0)
    with mr.trace.record(model) as traces[name]:
        mr.ops.cross_entropy(model(images), labels).backward()

figure, ax = plt.subplots(figsize=(9, 4))
mr.trace.plot_gradient_flow(traces["residual"], ax, traces["plain"])
show(
    figure,
    "The plain network's gradient grows towards the first layer; the residual one's far less.",
)

# %% [markdown]
# The gradient does not vanish, it *explodes*: towards the first layers it grows far more than the twin's. He
# et al. report that with batch normalisation forward and backward signals do not vanish (2015,
# [arXiv 1512.03385](https://arxiv.org/abs/1512.03385), section 4.1). Whether the growth or something else
# hinders training is still being studied. Another thing can be measured: gradients of a deep plain network
# with respect to the image resemble white noise, and those of two images that hardly differ point in
# unrelated directions (Balduzzi et al. 2017,
# [arXiv 1702.08591](https://arxiv.org/abs/1702.08591); `minires lab run shattered-gradients`).
#
# ## The solution exists
#
# Take a trained shallow network. Put further layers in that return what they are given, and you have a
# deeper network with the same error. So good weights for the deep network *exist*. Let us build them.
#
# **Predict, then run.** A 3×3 convolution should return its input. What does its kernel look like? And can a
# ReLU follow?
#
# <details><summary>Answer</summary>
#
# For each channel a kernel with a 1 in the centre for that channel, and zeros elsewhere. A ReLU may follow
# if no input is negative, and behind another ReLU none is. A batch norm between them changes nothing if its
# scale is the deviation that it divides by, and its shift the mean that it takes away.
#
# </details>

# %%
weight = np.zeros((4, 4, 3, 3))
weight[np.arange(4), np.arange(4), 1, 1] = 1.0
x = np.maximum(np.random.default_rng(0).standard_normal((2, 4, 8, 8)), 0)
y = x
for _ in range(36):
    y = mr.ops.conv2d(y, weight, padding=1)
    mean, deviation = y.mean(axis=(0, 2, 3)), np.sqrt(y.var(axis=(0, 2, 3)) + 1e-5)
    y = np.maximum(mr.ops.batch_norm(y, None, None, deviation, mean, training=True), 0)
print(f"36 more layers change the result by {abs(y - x).max():.0e}")

# %% [markdown]
# Nobody trains a network to *find* this kernel; it has to come out of random numbers in small steps. A
# residual block need not find it: its shortcut *is* the identity, and its weights need only learn what is
# to be different, the *residual*. That is the whole idea.

# %%
residual_errors = {depth: train(mr.models.cifar_resnet, depth) for depth in depths}

figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.6), sharey=True)
for ax, errors, name in [(left, plain_errors, "plain"), (right, residual_errors, "residual")]:
    for depth, (curve, _) in errors.items():
        ax.plot(range(1, EPOCHS + 1), curve, marker="o", label=f"{depth} layers")
    ax.set(xlabel="epoch", title=name, ylim=(0, 100))
    ax.legend()
left.set_ylabel("training error, %")
show(figure, "Left, plain networks whose error rises with depth; right, residual ones that agree.")
for depth in depths:
    before, after = plain_errors[depth][0][-1], residual_errors[depth][0][-1]
    print(f"{depth:2} layers: training error plain {before:5.1f} %, with shortcuts {after:5.1f} %")

# %% [markdown]
# ## On photographs, and longer
#
# This was one seed, tiny images and eight epochs. The lab has trained twins of 20, 32 and 56 layers on
# photographs (CIFAR-10, a part of it, 16×16 pixels), three seeds each. What follows was recorded by
# `minires lab run degradation --scale small`, which measures it again.

# %%
result = recorded("degradation")
figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.6), sharey=True)
for ax, kind in [(left, "plain"), (right, "residual")]:
    for depth in result["settings"]["depths"]:
        trials = result["trials"][f"{kind}-{depth}"]
        curves = 100 * np.array([trial["train_error"] for trial in trials])
        (line,) = ax.plot(trials[0]["epochs"], curves.mean(axis=0), label=f"{depth} layers")
        ax.fill_between(
            trials[0]["epochs"],
            curves.min(axis=0),
            curves.max(axis=0),
            color=line.get_color(),
            alpha=0.15,
        )
    ax.set(xlabel="epoch", title=kind, ylim=(0, 100))
    ax.legend()
left.set_ylabel("training error, %")
show(figure, "The same on photographs, mean and range of three seeds.")
for claim in result["claims"]:
    print(f"{claim['outcome']}: {claim['claim']}")

# %% [markdown]
# ## Exercises
#
# ### Exercise 1. Which is it?
#
# Given training and test error (in per cent) of a shallow network and of a deeper one, return `"degradation"`,
# `"overfitting"`, or `"neither"`. Degradation: the deeper one has the higher training error. Overfitting:
# its training error is no higher, but its test error is.


# %% tags=["exercise"]
def what_is_it(shallow_train, shallow_test, deep_train, deep_test):
    return ...


check.what_is_it(what_is_it)


# %% tags=["solution"]
def what_is_it(shallow_train, shallow_test, deep_train, deep_test):
    if deep_train > shallow_train:
        return "degradation"
    return "overfitting" if deep_test > shallow_test else "neither"


check.what_is_it(what_is_it)


# %% tags=["wrong-answers"]
def by_the_test_error(shallow_train, shallow_test, deep_train, deep_test):
    return "overfitting" if deep_test > shallow_test else "neither"


def by_the_gap(shallow_train, shallow_test, deep_train, deep_test):
    return "overfitting" if deep_test - deep_train > 5 else "degradation"


check.what_is_it(by_the_test_error)
check.what_is_it(by_the_gap)

# %% [markdown]
# ### Exercise 2. A layer that does nothing
#
# Return weights of shape (C, C, K, K), K odd, for a convolution with padding (K - 1)/2 that returns its
# input.


# %% tags=["exercise"]
def identity_kernel(channels, size):
    return ...


check.identity_kernel(identity_kernel)


# %% tags=["solution"]
def identity_kernel(channels, size):
    weight = np.zeros((channels, channels, size, size))
    weight[np.arange(channels), np.arange(channels), size // 2, size // 2] = 1.0
    return weight


check.identity_kernel(identity_kernel)


# %% tags=["wrong-answers"]
def all_channels_mixed(channels, size):
    weight = np.zeros((channels, channels, size, size))
    weight[:, :, size // 2, size // 2] = 1.0
    return weight


def in_the_corner(channels, size):
    weight = np.zeros((channels, channels, size, size))
    weight[np.arange(channels), np.arange(channels), 0, 0] = 1.0
    return weight


def all_zeros(channels, size):
    return np.zeros((channels, channels, size, size))


check.identity_kernel(all_channels_mixed)
check.identity_kernel(in_the_corner)
check.identity_kernel(all_zeros)

# %% [markdown]
# ## Recap
#
# - Degradation: a deeper plain network has a higher *training* error. It is not overfitting.
# - With batch normalisation gradients do not vanish; going back they grow. That they vanish is not the reason.
# - Good weights exist: a shallow network and layers that do nothing. They are not found.
# - A shortcut makes "do nothing" easy: the branch's weights need only become zero. Residual twins, with as many
#   parameters, train well at any of these depths.
#
# Next: [9. The residual add](09_residual_add.py): what the shortcut does to the gradient.
