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
# # 20. Build your own op in five steps
#
# **25 minutes** · you need: [the tape](01_tape.py), [broadcasting](02_broadcasting.py) and [checking
# gradients](06_gradient_checks.py)
#
# All of minires is made of ops: a forward, and its vector-Jacobian product (VJP) beside it. There is one
# public way to write an op, and yours is then as good as any other: it is checked, traced and used in
# blocks. In this tutorial you
#
# - write an op with a learned parameter;
# - write its VJP, and get it wrong on purpose;
# - let the gradient checker judge it to second order;
# - give it a *twin*, so that a trace can step inside;
# - put it into a residual block, and train.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires import nn, ops
from minires.training import Trainer
from minires.tutorials import show
from minires.tutorials.checks import own_op as check

plt.style.use("minires.tutorials.sheet")

# %% [markdown]
# ## Step 1. The forward
#
# Our op is *Swish* (Ramachandran et al. 2017, [1710.05941](https://arxiv.org/abs/1710.05941)), a smooth relative of
# ReLU, with a parameter $\beta$ that can be learned:
#
# $$y = x\,\sigma(\beta x), \qquad \sigma(z) = \frac{1}{1 + e^{-z}} = \tfrac12\left(1 + \tanh\tfrac z2\right).$$
#
# A forward gets plain arrays. `xp` is the array library of their device, NumPy here. Positional parameters may
# have gradients; constants would be keyword-only. `broadcasts=True` says that $\beta$ may be repeated to
# fit $x$.


# %%
@mr.op(broadcasts=True)
def swish(x, beta):
    xp = mr.devices.of(x).xp
    return 0.5 * x * (1 + xp.tanh(0.5 * beta * x))  # tanh never overflows, as exp(-z) would


xs = np.linspace(-5, 5, 200)
figure, ax = plt.subplots()
for beta in (0.0, 1.0, 5.0):
    ax.plot(xs, swish(xs, beta), label=f"Swish, β = {beta:g}")
ax.plot(xs, np.maximum(xs, 0), label="ReLU")
ax.set(xlabel="x", ylabel="y", title="Swish: β decides how sharp the bend is")
ax.legend()
show(figure, "Curves of Swish for three betas: a straight line, a smooth bend, and almost ReLU.")

# %% [markdown]
# An op called on arrays just computes. Called on Tensors, it computes and is recorded. But to go back, it
# lacks something:

# %%
x = mr.tensor([-1.0, 0.5, 2.0], requires_grad=True)
beta = mr.tensor(1.0, requires_grad=True)
try:
    swish(x, beta).sum().backward()
except Exception as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# ## Step 2. The VJP, right beside it
#
# With $s = \sigma(\beta x)$ and $s' = s(1-s)$:
#
# $$\frac{\partial y}{\partial x} = s + \beta x\,s(1-s), \qquad \frac{\partial y}{\partial \beta} = x^2 s(1-s).$$
#
# The names of a VJP's parameters say what the tape keeps for it: `g`, the gradient that comes in, and any input
# by its name. It is written in *ops*, not in NumPy. So it can itself be differentiated, and second
# derivatives come for free.
#
# **Predict, then run.** Someone forgets that $x$ appears twice in $x\,\sigma(\beta x)$, and returns $g\,s$ for
# $x$. At which $x$ will the checker notice first: near 0, or far away?


# %%
@mr.op(broadcasts=True)
def careless_swish(x, beta):
    return 0.5 * x * (1 + np.tanh(0.5 * beta * x))


@careless_swish.vjp
def _(g, x, beta):
    s = mr.sigmoid(beta * x)
    return g * s, g * x * x * s * (1 - s)


at = mr.tensor(np.linspace(-6, 6, 61))
report = mr.gradcheck(lambda x: careless_swish(x, 1.0), at)
print(f"the checker says: {report.status}")

# %%
line = mr.tensor(at.numpy(), requires_grad=True)
careless_swish(line, 1.0).sum().backward()
h = 1e-6
slopes = (swish(at.numpy() + h, 1.0) - swish(at.numpy() - h, 1.0)) / (2 * h)
figure, axes = plt.subplots(1, 2)
axes[0].plot(at.numpy(), slopes, label="by differences")
axes[0].plot(at.numpy(), line.grad.numpy(), label="careless VJP")
axes[0].set(xlabel="x", ylabel="gradient of y", title="β = 1")
axes[0].legend()
axes[1].plot(at.numpy(), np.abs(line.grad.numpy() - slopes), color="C1")
axes[1].set(xlabel="x", ylabel="error of the gradient", title="Where it is wrong")
show(
    figure,
    "Left, two curves that meet at 0 and far away; right, the error: two humps, zero in the middle.",
)
worst = at.numpy()[np.argmax(np.abs(line.grad.numpy() - slopes))]
print(f"the error is largest at x = {worst:.1f} (or at the same distance on the other side)")

# %% [markdown]
# <details><summary>Answer</summary>
#
# At neither. What is missing is $\beta x\,s(1-s)$: zero at $x = 0$, and small far away, where $s$ is flat. It
# is largest in between. A check at $x = 0$ alone would have passed. That is why one checks at random places.
#
# </details>
#
# Here is the right one:


# %%
@swish.vjp
def _(g, x, beta):
    s = mr.sigmoid(beta * x)
    slope = s * (1 - s)
    return g * (s + beta * x * slope), g * x * x * slope


swish(x, beta).sum().backward()
print("gradient of x:   ", x.grad)
print("gradient of beta:", beta.grad)

# %% [markdown]
# $\beta$ is one number and was used three times, so three contributions were added. `broadcasts=True` makes the
# engine do that sum. Without it the VJP has to.
#
# ## Step 3. Check it
#
# `gradcheck` compares with differences, in float64, with a random $g$ (all ones would hide mistakes). `order=2` checks
# the gradient of the gradient, too.

# %%
mr.manual_seed(0)
report = mr.gradcheck(swish, [mr.randn(3, 4), mr.tensor(0.7)], order=2)
print(report)

# %% [markdown]
# ## Step 4. A twin
#
# A *twin* spells the same function out in ops that exist already. It has three uses: it is the documentation, the fast
# version can be tested against it, and a trace can step into it.


# %%
@swish.twin
def _(x, beta):
    return x * mr.sigmoid(beta * x)


mr.manual_seed(0)
values = mr.randn(1000, dtype="float64")
slope = mr.tensor(1.3, dtype="float64")
with mr.expand("swish"):
    spelled_out = swish(values, slope)
gap = np.abs(spelled_out.numpy() - swish(values, slope).numpy()).max()
print(f"largest difference between the op and its twin: {gap:.1e}")

x = mr.randn(2, 3, requires_grad=True)
with mr.trace.record() as closed:
    swish(x, beta).sum().backward()
with mr.expand("swish"), mr.trace.record() as opened:
    swish(x, beta).sum().backward()
print("closed:", " → ".join(step.op for step in closed.records.forward))
print("opened:", " → ".join(step.op for step in opened.records.forward))

# %% [markdown]
# **Predict, then run.** With the twin the input `x` is used twice, so the trace finds a fork. How
# many contributions meet there, and which term of the formula is each?

# %%
for fork in opened.forks():
    parts = " + ".join(f"{part.norm:.3f} by {part.consumer}" for part in fork.parts)
    print(f"{fork.name}: {parts}, norm of the sum {fork.norm:.3f}, {fork.verdict}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Two. Through the product with $\sigma$ comes $g\,s$, and through $\beta x$ comes $g\,\beta x\,s(1-s)$. They are
# the two terms of the derivative. The careless VJP knew the first road only: the same mistake as forgetting
# the shortcut, or the branch, of a residual block.
#
# </details>
#
# ## Step 5. Use it
#
# A module holds the parameter, and a residual block holds the module. Everything else works as with any op: the
# optimiser learns $\beta$, and the trace takes the forks apart.


# %%
class Swish(nn.Module):
    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(mr.tensor(1.0))

    def forward(self, x):
        return swish(x, self.beta)


class Block(nn.Module):
    def __init__(self, channels, activation):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.activation = activation()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x):
        return ops.residual_add(x, self.conv(self.activation(self.norm(x))))


def network(activation):
    mr.manual_seed(0)
    blocks = [Block(12, activation) for _ in range(4)]
    stem = nn.Conv2d(1, 12, 3, padding=1)
    return nn.Sequential(stem, *blocks, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(192, 10))


digits = mr.data.digits()
histories, models = {}, {}
for name, activation in [("Swish", Swish), ("ReLU", nn.ReLU)]:
    models[name] = network(activation)
    sgd = mr.optim.SGD(models[name].parameters(), lr=0.02, momentum=0.9)
    batches = mr.data.DataLoader(digits.train, batch_size=64, shuffle=True, seed=0)
    histories[name] = Trainer(models[name], sgd).fit(batches, epochs=5)
    print(f"{name}: training loss {histories[name].epoch_loss[-1]:.3f} in the last epoch")

figure, axes = plt.subplots(1, 2)
for name, history in histories.items():
    axes[0].semilogy(range(1, 6), history.epoch_loss, label=name)
axes[0].set(xlabel="epoch", ylabel="training loss", title="Four residual blocks on digits")
axes[0].legend()
betas = [block.activation.beta.item() for block in list(models["Swish"].children())[1:5]]
axes[1].plot(range(1, 5), betas, "o", color="C0", markersize=9, label="after training")
axes[1].axhline(1, color="C5", linestyle="--", label="at first")
axes[1].margins(0.15, 0.25)
axes[1].set(xlabel="block", ylabel="learned β", xticks=range(1, 5), title="Each block's β")
axes[1].legend()
show(
    figure,
    "Left, falling training losses of Swish and ReLU; right, the beta that each of four blocks learned,"
    " beside the 1 that they began with.",
)

# %% [markdown]
# One seed on small images says nothing about which is *better*. It shows that the op trains, and that $\beta$
# moves. And its gradients in the whole network? `gradcheck_module` looks at every parameter, in training and in
# evaluation mode, and the trace at every fork.

# %%
images, labels = digits.train.take(range(3))
small = nn.Sequential(
    nn.Conv2d(1, 3, 3, padding=1), Block(3, Swish), nn.Flatten(), nn.Linear(192, 10)
)
print(f"gradcheck of a small network with it: {mr.gradcheck_module(small, images, labels).status}")
with mr.trace.record(models["Swish"]) as trace:
    ops.cross_entropy(models["Swish"](mr.tensor(images)), mr.tensor(labels)).backward()
for fork in trace.forks():
    if fork.has_sides:
        shares = ", ".join(f"{part.side} {part.share:.0%}" for part in fork.parts)
        print(f"{fork.name}: {shares} ({fork.verdict})")

# %% [markdown]
# To give an op to everybody, more is needed: export it, add cases to the table that `minires check ops`
# goes through, and tests. [Contributing](../docs/contributing.md#add-an-op-in-five-steps) has the list.
#
# ## Exercises
#
# ### Exercise 1. A VJP
#
# The forward is $y = x / (1 + |x|)$. Return the gradient of `x`, given `g` and `x` as arrays.


# %% tags=["exercise"]
def softsign_vjp(g, x):
    return ...


check.softsign_vjp(softsign_vjp)


# %% tags=["solution"]
def softsign_vjp(g, x):
    return g / (1 + abs(x)) ** 2


check.softsign_vjp(softsign_vjp)


# %% tags=["wrong-answers"]
def one_use_of_x_forgotten(g, x):
    return g / (1 + abs(x))


def derivative_without_g(g, x):
    return 1 / (1 + abs(x)) ** 2


check.softsign_vjp(one_use_of_x_forgotten)
check.softsign_vjp(derivative_without_g)

# %% [markdown]
# ### Exercise 2. A VJP that sums
#
# The forward multiplies `x` $(N, C, H, W)$ by `s` $(C,)$, one number for each channel. Return the gradients of both, as
# arrays of their shapes.


# %% tags=["exercise"]
def channel_scale_vjp(g, x, s):
    return ...


check.channel_scale_vjp(channel_scale_vjp)


# %% tags=["solution"]
def channel_scale_vjp(g, x, s):
    return g * s[:, None, None], (g * x).sum(axis=(0, 2, 3))


check.channel_scale_vjp(channel_scale_vjp)


# %% tags=["wrong-answers"]
def does_not_sum(g, x, s):
    return g * s[:, None, None], g * x


def takes_the_mean(g, x, s):
    return g * s[:, None, None], (g * x).mean(axis=(0, 2, 3))


def scales_x_instead_of_g(g, x, s):
    return x * s[:, None, None], (g * x).sum(axis=(0, 2, 3))


check.channel_scale_vjp(does_not_sum)
check.channel_scale_vjp(takes_the_mean)
check.channel_scale_vjp(scales_x_instead_of_g)

# %% [markdown]
# ### Exercise 3. A twin
#
# Spell $\log \sum_i e^{x_i}$ over the last axis out in ops (`ops.exp`, `ops.log`, `ops.max`, ...), for a Tensor `x`. It must
# also be right where $x$ is 1000.


# %% tags=["exercise"]
def log_sum_exp_twin(x):
    return ...


check.log_sum_exp_twin(log_sum_exp_twin)


# %% tags=["solution"]
def log_sum_exp_twin(x):
    top = x.detach().max(-1, keepdim=True).values  # a constant: what is taken out is added again
    return ops.log(ops.exp(x - top).sum(-1)) + top.reshape(x.shape[:-1])


check.log_sum_exp_twin(log_sum_exp_twin)


# %% tags=["wrong-answers"]
def overflows(x):
    return ops.log(ops.exp(x).sum(-1))


def forgets_to_add_it_again(x):
    top = x.detach().max(-1, keepdim=True).values
    return ops.log(ops.exp(x - top).sum(-1))


def leaves_the_tape(x):
    top = x.numpy().max(-1, keepdims=True)
    return mr.tensor(np.log(np.exp(x.numpy() - top).sum(-1)) + top[..., 0])


check.log_sum_exp_twin(overflows)
check.log_sum_exp_twin(forgets_to_add_it_again)
check.log_sum_exp_twin(leaves_the_tape)

# %% [markdown]
# ## Recap
#
# - Forward on arrays, VJP in ops, side by side.
# - A VJP counts *every* use of an input, and sums where an input was repeated.
# - Check at random places, with a random $g$, to second order. Break it once to see the check fail.
# - A twin is documentation, test and the inside that a trace shows.
#
# Next: [21. Myths, tested](21_myths.py).
