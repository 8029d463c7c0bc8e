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
# # 21. Myths, tested
#
# **30 minutes** · you need: [plain stacks](08_plain_stacks.py), [the residual addition](09_residual_add.py)
# and [batch normalisation](05_batch_norm.py)
#
# Introductory articles on residual networks repeat sentences that are wrong, or right for another reason. You
# do not have to believe them, nor us: most can be put to a test of a few lines. In this tutorial you
#
# - test five of them yourself;
# - read what came of an audit of 64 such statements, including where it could *not* decide;
# - learn how to turn a sentence into an experiment that could have come out otherwise.

# %%
import json
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires import nn, ops
from minires.tutorials import recorded, show
from minires.tutorials.catalogue import root
from minires.tutorials.checks import myths as check

plt.style.use("minires.tutorials.sheet")
mr.manual_seed(0)

# %% [markdown]
# ## First, your own verdict
#
# **Predict, then run.** Decide of each of these sentences: true, or not true? Write your answers down.
#
# 1. Shortcuts solve the problem that gradients vanish in deep networks.
# 2. Batch normalisation makes values normally distributed.
# 3. A residual block joins its input and its output along the channels.
# 4. The skip connection loses no information.
# 5. Weight decay makes a convolution before batch normalisation less sensitive to its input.
#
# <details><summary>Answer</summary>
#
# None of them is true as it stands. Each has a grain of truth, and that is why they live on. The rest of the
# page takes them one by one.
#
# </details>
#
# ## Myth 1: "the gradients vanish, and shortcuts solve that"
#
# Vanishing means: the further back, the smaller the gradient. So let us look at a plain network of 56 layers with
# batch normalisation and at its residual twin with the same weights, before the first step.

# %%
images = mr.tensor(np.random.default_rng(0).standard_normal((16, 3, 16, 16)).astype(np.float32))
labels = mr.tensor(np.arange(16) % 10)


def gradient_by_layer(model):
    ops.cross_entropy(model(images), labels).backward()
    return [np.linalg.norm(p.grad.numpy()) for p in model.parameters() if p.ndim == 4]


flows = {
    "plain, 56 layers": gradient_by_layer(mr.models.cifar_plain(56, width=8, seed=0)),
    "ResNet-56, its twin": gradient_by_layer(mr.models.cifar_resnet(56, width=8, seed=0)),
}
figure, ax = plt.subplots()
for name, flow in flows.items():
    ax.semilogy(range(1, len(flow) + 1), flow, label=name)
    print(
        f"{name}: first convolution {flow[0]:.3g}, last {flow[-1]:.3g}, ratio {flow[0] / flow[-1]:.3g}"
    )
ax.set(xlabel="convolution, from the image on", ylabel="norm of its gradient")
ax.set_title("Before the first step, with batch normalisation")
ax.legend()
show(
    figure,
    "Gradient norms of 55 convolutions on a logarithmic axis, of a plain network and its residual twin.",
)

# %% [markdown]
# A ratio above 1 means that gradients *grow* on their way back: they explode, they do not vanish. Yang et al. 2019
# ([1902.08129](https://arxiv.org/abs/1902.08129)) derive it. And during training? The lab recorded the ratio of the
# first convolution's gradient norm to the last one's over six epochs, with three seeds (`minires lab run gradient-norms
# --scale small` measures it again).

# %%
trials = recorded("gradient-norms")["trials"]
figure, ax = plt.subplots()
for kind in ("plain", "residual"):
    runs = trials[f"training, {kind} with BN"]
    first_over_last = np.median([run["epochs"] for run in runs], axis=0)
    ax.semilogy(range(1, len(runs[0]["epochs"]) + 1), first_over_last, marker="o", label=kind)
    error = np.median([run["error"] for run in runs])
    print(
        f"{kind:8} first / last over the epochs: {first_over_last[0]:.3g} to {first_over_last[-1]:.3g};",
        end=" ",
    )
    print(f"training error at the end {error:.0%}")
ax.axhline(1, color="C5", linewidth=1)
ax.set(
    xlabel="epoch", ylabel="first layer / last layer", title="Gradient norms in training, 56 layers"
)
ax.legend()
show(
    figure,
    "The ratio of the gradient norms of first and last convolution over six epochs, on a logarithmic axis:"
    " plain below, residual above.",
)

# %% [markdown]
# What can one say, honestly? At the start nothing vanishes. *After* a while the first layers of the plain network may get
# gradients that are smaller than the last ones', and still far from zero; whether that is a cause of bad training or its
# consequence, such a curve cannot tell. He et al. 2015 ([1512.03385](https://arxiv.org/abs/1512.03385), section 4.1)
# say that vanishing gradients are *unlikely* to be the reason. What is certain is the finding: deeper plain networks
# have a higher *training* error. It is called degradation. (Where gradients *do* vanish, without normalisation say, a
# shortcut does help them. It is the diagnosis that is wrong, not the medicine.) The lab's own verdict, by rules that were written first:

# %%
audit = {
    each["code"]: each for each in json.loads((root() / "docs/lab/claims.json").read_text("utf-8"))
}


def tell(code):
    item = audit[code]
    print(f"{code}: “{item['statement']}”")
    print(f"  is called {item['verdict']}. {item['correct']}")
    outcome = {"supports": "supports this", "cited": "was not measured, but cited"}
    print(f"  The lab's measurement {outcome.get(item['outcome'], 'is ' + item['outcome'])}.")


tell("D2")
tell("D1")

# %% [markdown]
# `inconclusive` is a result. It means: what was measured meets neither the rule for support nor the one for
# contradiction.
#
# ## Myth 2: "batch normalisation makes values normal"
#
# Take values that are anything but normal, and normalise them. What remains of their *skewness* (how lopsided
# they are: 0 for a normal distribution, 2 for an exponential one)?


# %%
def skewness(values):
    centred = values - values.mean()
    return (centred**3).mean() / (centred**2).mean() ** 1.5


before = np.random.default_rng(0).exponential(size=(64, 1, 16, 16))
norm = nn.BatchNorm2d(1).to("float64")
after = norm(mr.tensor(before)).numpy()
figure, ax = plt.subplots()
bins = np.linspace(-3, 6, 90)
ax.hist(before.ravel(), bins, histtype="step", density=True, linewidth=2, label="before")
ax.hist(
    after.ravel(), bins, histtype="step", density=True, linewidth=2, linestyle="--", label="after"
)
ax.plot(bins, np.exp(-(bins**2) / 2) / np.sqrt(2 * np.pi), ":", color="C5", label="normal")
ax.set(
    xlabel="value",
    ylabel="density",
    title="Batch normalisation shifts and scales. The shape stays.",
)
ax.legend()
show(
    figure,
    "Histograms of exponential values before and after batch normalisation: the same lopsided shape,"
    " shifted; the bell curve is another.",
)
print(
    f"before: mean {before.mean():5.2f}, variance {before.var():.2f}, skewness {skewness(before):.4f}"
)
print(
    f"after:  mean {after.mean():5.2f}, variance {after.var():.2f}, skewness {skewness(after):.4f}"
)

# %% [markdown]
# Mean and variance become 0 and 1, for each channel over the batch. To subtract one number from all values, and
# to divide them all by another, cannot change a shape. Then scale and shift are *learned*, so that not even 0 and 1 remain.
#
# ## Myth 3: "input and output are joined along the channels"
#
# Joining is DenseNet's. A residual block *adds*. Shapes and the trace both tell.

# %%
block = nn.BasicBlock(8, 8)
x = mr.randn(2, 8, 6, 6)
x.requires_grad_(True)
with mr.trace.record(block) as trace:
    y = block(x)
    (y * mr.randn(*y.shape)).sum().backward()
steps = Counter(step.op for step in trace.records.forward)
print(f"in {x.shape}, out {y.shape}; joined, it would be {ops.cat([x, y], 1).shape}")
print(f"additions {steps['residual_add']}, concatenations {steps['concatenate']}")
print(
    "contributions at its input:",
    ", ".join(f"{p.side} {p.norm:.2f}" for p in trace.forks()[0].parts),
)

# %% [markdown]
# And because it adds, shapes must agree. NumPy would help here in a bad way: it stretches one channel to 64 without
# a word. `residual_add` refuses.

# %%
one, many = mr.ones(1, 1, 4, 4), mr.ones(1, 64, 4, 4)
print(f"NumPy: 1 channel + 64 channels = {(one.numpy() + many.numpy()).shape[1]} channels")
try:
    ops.residual_add(one, many)
except ValueError as error:
    print(f"minires: {error}")

# %% [markdown]
# ## Myth 4: "the skip connection loses no information"
#
# Let a block's branch be zero. If nothing is lost, the block returns its input.
#
# **Predict, then run.** The original block has a ReLU *after* the addition. The pre-activation block has not. Which of
# them returns a signed $x$ unchanged? And what does option A pass on where the image is halved?


# %%
def with_silent_branch(block):
    for name, parameter in block.named_parameters():
        if "conv" in name:
            parameter.data[...] = 0
    return block.eval()


x = mr.randn(1, 8, 6, 6)
figure, axes = plt.subplots(1, 2, sharey=True)
for ax, (name, made) in zip(
    axes, {"original": nn.BasicBlock, "pre-activation": nn.PreActBlock}.items(), strict=True
):
    out = with_silent_branch(made(8, 8))(x).numpy()
    ax.plot(x.numpy().ravel(), out.ravel(), ".", markersize=3)
    ax.set(xlabel="x", title=name)
    print(f"{name:14} largest change of x: {np.abs(out - x.numpy()).max():.2f}")
axes[0].set(ylabel="what the block returns")
show(
    figure,
    "Two scatter plots of a block's output against its input, with a silent branch: the original block"
    " clips what is negative, the pre-activation block returns a straight line.",
)
shortcut = nn.BasicBlock(8, 16, stride=2, shortcut="A").downsample
x.requires_grad_(True)
(reached,) = mr.grad(shortcut(x).sum(), x)
print(
    f"option A with stride 2: {np.mean(reached.numpy() != 0):.0%} of the values of x reach the output"
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# The pre-activation block returns $x$. The original clips what is negative. (Between blocks nothing is negative, for
# each block ends with a ReLU.) Where the image is halved, option A takes every second pixel in both directions:
# one in four.
#
# </details>
#
# ## Myth 5: "weight decay tames every layer"
#
# Multiply the weights of a convolution by 10. Without batch normalisation the output becomes ten times as large: such weights
# matter, and decay tames them. With it?

# %%
mr.manual_seed(0)
x = mr.randn(8, 3, 6, 6, dtype="float64")
for title, layers in [("without", [nn.ReLU()]), ("with", [nn.BatchNorm2d(4), nn.ReLU()])]:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), *layers, nn.Flatten(), nn.Linear(64, 2)).to("float64")
    model[0].bias.data[...] = 0
    results = []
    for factor in (1, 10):
        model[0].weight.data[...] *= factor
        model[0].weight.grad = model[0].bias.grad = None
        scores = model(x)
        ops.cross_entropy(scores, mr.tensor([0, 1] * 4)).backward()
        results.append((scores.numpy().copy(), np.linalg.norm(model[0].weight.grad.numpy())))
    change = np.abs(results[1][0] - results[0][0]).max()
    print(f"{title:7} batch norm: weights x 10 change the scores by up to {change:.2g},", end=" ")
    print(f"and the weights' gradient by a factor of {results[1][1] / results[0][1]:.3g};", end=" ")
    print(f"gradient of the bias {np.linalg.norm(model[0].bias.grad.numpy()):.1g}")

# %% [markdown]
# With batch normalisation the function does not know how large these weights are; only the gradient shrinks, and with it the
# effective learning rate. In the same lines another myth fell: a *bias* before batch normalisation does nothing. It is taken
# away with the mean, and its gradient is 0 up to rounding.
#
# ## The audit
#
# The lab has 64 such sentences with a verdict, a rule and a check each (`minires lab claims` shows them, `minires lab
# claims D8` runs one). How many are true, and where do our measurements leave the question open?

# %%
kinds = ["true", "misleading", "false", "typo"]
outcomes = {"supports": "", "inconclusive": "//", "contradicts": "xx", "cited": ".."}
counted = Counter((each["verdict"], each["outcome"]) for each in audit.values())
figure, ax = plt.subplots(figsize=(7.2, 3))
left = np.zeros(len(kinds))
for number, (outcome, hatch) in enumerate(outcomes.items()):
    widths = np.array([counted[kind, outcome] for kind in kinds])
    if widths.any():
        ax.barh(
            kinds,
            widths,
            left=left,
            color=f"C{number}",
            hatch=hatch,
            edgecolor="white",
            label=outcome,
        )
    left += widths
for row, total in enumerate(left):
    ax.text(total + 0.4, row, f"{total:.0f}", va="center")
ax.invert_yaxis()
ax.set(
    xlabel="statements", ylabel="the statement is", title="64 sentences, and what our checks say"
)
ax.legend(title="check of the correct statement")
show(
    figure,
    "Bars by verdict: most statements are false, fewer are true or misleading; the parts of each bar show"
    " whether the check of the correct statement supports it, is inconclusive, or was only cited.",
)
opened = [code for code, each in audit.items() if each["outcome"] not in ("supports", "cited")]
print(f"not settled by our measurements: {', '.join(opened)}")

# %% [markdown]
# Some sentences are *true* and sound like myths, and some are half true for a good reason. Read a few more:

# %%
for code in ("A17", "D6", "C4", "A9"):
    tell(code)
    for name, value in list(audit[code]["measured"].items())[:4]:
        print(f"    {name}: {value}")

# %% [markdown]
# How is a sentence made testable? Ask three things. What would I *see* if it were false? What else changes at the same
# time (and is there a twin in which it does not)? Which outcome will count for what, written down *before* the run?
#
# ## Exercises
#
# ### Exercise 1. Verdicts
#
# `"true"` or `"not true"`? Look at the statements first; think of the tutorials; then answer.

# %%
for code in ("A9", "A17", "A19", "B17", "C5", "D1", "D10"):
    print(f"{code:4} {audit[code]['statement']}")

# %% tags=["exercise"]
answer = ...

check.verdicts(answer)

# %% tags=["solution"]
answer = {
    "A9": "true",
    "A17": "not true",
    "A19": "not true",
    "B17": "not true",
    "C5": "not true",
    "D1": "true",
    "D10": "true",
}

check.verdicts(answer)

# %% tags=["wrong-answers"]
believes_everything = dict.fromkeys(answer, "true")
doubts_everything = dict.fromkeys(answer, "not true")

check.verdicts(believes_everything)
check.verdicts(doubts_everything)

# %% [markdown]
# ### Exercise 2. "The residual form acts more strongly on the weights"
#
# Two forms of one layer: $y = (1 + w)\,x$ and $y = w' x$, with the loss $\tfrac12 (y - t)^2$. Both put out the same `y`. Return
# the gradients of the loss with respect to $w$ and $w'$.


# %% tags=["exercise"]
def two_gradients(x, y, target):
    return ...


check.two_gradients(two_gradients)


# %% tags=["solution"]
def two_gradients(x, y, target):
    return (y - target) * x, (y - target) * x


check.two_gradients(two_gradients)


# %% tags=["wrong-answers"]
def relative_changes(x, y, target):
    return (target - x) / 0.1, (target - x) / target


def one_more_for_the_shortcut(x, y, target):
    return (y - target) * (1 + x), (y - target) * x


check.two_gradients(relative_changes)
check.two_gradients(one_more_for_the_shortcut)

# %% [markdown]
# ### Exercise 3. A block without myths
#
# Write a block that adds its input to what `branch` (a function) makes of it, and that loses nothing: with a silent branch it is
# the identity. The tracer must be able to tell the shortcut from the branch.


# %% tags=["exercise"]
def residual_block(x, branch):
    return ...


check.residual_block(residual_block)


# %% tags=["solution"]
def residual_block(x, branch):
    return ops.residual_add(shortcut=x, branch=branch(x))


check.residual_block(residual_block)


# %% tags=["wrong-answers"]
def joins_channels(x, branch):
    return ops.cat([x, branch(x)], 1)


def relu_after_the_addition(x, branch):
    return ops.relu(ops.residual_add(shortcut=x, branch=branch(x)))


def branch_of_the_sum(x, branch):
    return branch(ops.residual_add(shortcut=x, branch=branch(x)))


check.residual_block(joins_channels)
check.residual_block(relu_after_the_addition)
check.residual_block(branch_of_the_sum)

# %% [markdown]
# ## Recap
#
# - The finding is degradation: deeper plain networks *train* worse. "Vanishing gradients" is not what is seen at the start.
# - Batch normalisation sets mean and variance, per channel and batch. It makes nothing normal.
# - A block adds. Its shortcut is clean only if nothing stands on it, or behind the addition.
# - Before batch normalisation, weights have no scale and biases no effect.
# - A test is worth something if it could have failed. "Inconclusive" is an honest outcome.
#
# Next: you have come to the end. Go on with [the lab](../docs/lab.md), whose experiments you can run again, or return to
# [1. A value, its gradient, and the tape](01_tape.py) and explain it to somebody.
