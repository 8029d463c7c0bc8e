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
# # 10. Step through a ResNet-8 and its plain twin
#
# **20 minutes** · you need: [3](03_convolution.py), [5](05_batch_norm.py), [9](09_residual_add.py)
#
# Everything is in place. Now walk through one training step of a whole network, op by op, forwards and
# back, with the same network without shortcuts beside it. In this tutorial you
#
# - read the table of a trace, in which shortcuts look like shortcuts;
# - stop at forks, and see the contributions add up;
# - step into a convolution, and ask why a gradient has the size it has;
# - find a fault that somebody put into the network.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires.tutorials import show
from minires.tutorials.checks import step_through as check

plt.style.use("minires.tutorials.sheet")
os.environ["COLUMNS"] = "96"  # how wide tables may be

# %% [markdown]
# ## One step of both
#
# ResNet-8 has a first convolution, three residual blocks of two convolutions each, and a linear layer:
# eight layers with weights. Sixteen digits go through, and the loss's gradient comes back.

# %%
split = mr.data.digits()
images = mr.tensor(np.stack([split.train[i][0] for i in range(16)]))
labels = mr.tensor(np.array([split.train[i][1] for i in range(16)]))


def one_step(model):
    with mr.trace.record(model, save="full") as trace:
        mr.ops.cross_entropy(model(images), labels).backward()
    return trace


residual = one_step(mr.models.cifar_resnet(depth=8, width=4, in_channels=1, seed=0))
plain = one_step(mr.models.cifar_plain(depth=8, width=4, in_channels=1, seed=0))
print(residual)

# %% [markdown]
# Read it from top to bottom for the forward pass, from bottom to top for the gradient. A dot is a value,
# ⊕ an addition, and the arc on the left is the shortcut that ends there. The columns: how large the values
# are, how large their gradient, and, on a block's line, in which shares the gradient of the block's input came
# through shortcut and branch.
#
# **Predict, then run.** Both networks begin with the same weights. Are their *gradients* equal anywhere, and why do
# they part on the way up?

# %%
twins = residual.compare(plain)
print(twins)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Nowhere to the last digit: the shortcuts change the *values* that go forward, and with them all that follows. Around
# the loss they are nearly the same. Further up they differ, because other values went forward, and because one has
# two roads and the other one. (In three blocks that is not much; in tutorial 8's 44 layers it is.)
#
# </details>

# %%
figure, ax = plt.subplots(figsize=(8.6, 3.8))
mr.trace.plot_gradient_flow(residual, ax, plain)
show(
    figure, "Norm of the gradient layer by layer, of both networks, with shortcut and branch apart."
)

# %% [markdown]
# ## Step by step
#
# In a terminal `trace.step()` opens a stepper: arrow keys go on and back, `n` jumps to the next fork, `?` tells
# the rest. In a notebook a last line `twins` shows the viewer, which does the same in the page. Here we give
# the stepper its commands in advance. The first convolution, forwards:

# %%
twins.step(commands=["quit"])

# %% [markdown]
# `turn` goes to where forward ends and backward begins; `fork` to the first place where contributions meet.

# %%
residual.step(commands=["turn", "fork", "quit"])

# %% [markdown]
# Look at the last screen. The contributions have norms whose sum is larger than the norm of their sum: they
# do not point the same way, as the column `cosine` says. The shares add up to 100 %. And `exact` says that the
# parts, added again, are bit for bit the gradient that the engine went on with.
#
# The table of contributions says where each came from: the shortcut in its first row, the branch in its second. In
# this block the number of channels doubles, so the shortcut is no plain identity: it takes every second pixel and
# pads with zero channels (option A of the paper).
#
# ## Into a convolution
#
# Inside `mr.expand` ops run spelled out, so that a trace steps into them ([tutorial 3](03_convolution.py)):

# %%
model = mr.models.cifar_resnet(depth=8, width=4, in_channels=1, seed=0)
with mr.expand("conv2d"):
    inside = one_step(model)
steps = [step for step in inside.records.forward if step.module == "conv1"]
print("conv1 is made of:", " → ".join(step.op for step in steps))
inside.step(commands=["into", "next 3", "quit"])

# %% [markdown]
# ## Why has it this size?
#
# `explain` follows a gradient from the loss to a value and says what made it small, large, or NaN.

# %%
print(residual.explain("layer1.0.conv1.weight"))

# %% [markdown]
# Now somebody has sabotaged the network: one parameter, a bias, was set to what it should not be. Find it.

# %%
model = mr.models.cifar_resnet(depth=8, width=4, in_channels=1, seed=0)
bias = model.layer2[0].bn1.bias
bias.copy_(bias.detach() - 20)
sabotaged = one_step(model)
print(sabotaged)

# %% [markdown]
# **Predict, then run.** In which block do you look, and what will `explain` name?

# %%
print(sabotaged.explain("layer2.0.conv1.weight").causes[0].sentence)

# %% [markdown]
# <details><summary>Answer</summary>
#
# At the second block the branch's share is 0: everything comes through the shortcut. A bias of -20 in front of
# the ReLU makes all its units zero, so the branch sends nothing back. And note what did *not* happen: the first
# block still gets a gradient. In a plain network this one fault would have cut off all layers before it:
#
# </details>

# %%
model = mr.models.cifar_plain(depth=8, width=4, in_channels=1, seed=0)
bias = model.layer2[0].bn1.bias
bias.copy_(bias.detach() - 20)
cut = one_step(model)


def gradient_at_the_first_layer(trace):
    (value,) = [value for value in trace.records.values if value.name == "conv1.weight"]
    return value.gradient.norm


for name, trace in [
    ("residual", residual),
    ("residual, sabotaged", sabotaged),
    ("plain", plain),
    ("plain, sabotaged", cut),
]:
    print(
        f"{name:20} gradient of the first layer's weight: {gradient_at_the_first_layer(trace):.4f}"
    )

# %% [markdown]
# ## As a page
#
# `to_html` writes the viewer as one file that needs no network. Open it in a browser, or look at those of
# the [gallery](../docs/gallery.md).

# %%
page = Path(tempfile.mkdtemp()) / "twins.html"
twins.to_html(page)
print(f"{page.name}: {page.stat().st_size / 1000:.0f} kB")

# %% [markdown]
# ## Exercises
#
# ### Exercise 1. Read a trace
#
# Given a trace, return the name of the block (such as `"layer1.0"`) at whose fork the *shortcut* has the
# largest share. `trace.forks()` has what you need: `fork.block`, `fork.share("shortcut")`.


# %% tags=["exercise"]
def most_by_the_shortcut(trace):
    return ...


check.most_by_the_shortcut(most_by_the_shortcut)


# %% tags=["solution"]
def most_by_the_shortcut(trace):
    return max(trace.forks(), key=lambda fork: fork.share("shortcut")).block


check.most_by_the_shortcut(most_by_the_shortcut)


# %% tags=["wrong-answers"]
def by_the_norm(trace):
    def norm(fork):
        return max(part.norm for part in fork.parts if part.side == "shortcut")

    return max(trace.forks(), key=norm).block


def the_last_one(trace):
    return trace.forks()[0].block


check.most_by_the_shortcut(by_the_norm)
check.most_by_the_shortcut(the_last_one)

# %% [markdown]
# ### Exercise 2. Find the dead branch
#
# Given a trace, return a list of the blocks whose branch sends nothing back.


# %% tags=["exercise"]
def dead_branches(trace):
    return ...


check.dead_branches(dead_branches)


# %% tags=["solution"]
def dead_branches(trace):
    return [
        fork.block
        for fork in trace.forks()
        if all(part.norm == 0 for part in fork.parts if part.side == "branch")
    ]


check.dead_branches(dead_branches)


# %% tags=["wrong-answers"]
def small_shares(trace):
    return [fork.block for fork in trace.forks() if fork.share("branch") < 0.5]


def all_blocks(trace):
    return [fork.block for fork in trace.forks()]


check.dead_branches(small_shares)
check.dead_branches(all_blocks)

# %% [markdown]
# ## Recap
#
# - A trace is a record of one step: values, gradients, and what met at every fork.
# - `print(trace)`, `trace.step()`, `trace.compare(other)`, `trace.explain(name)`, `trace.to_html(path)`.
# - A dead branch in a residual network loses a block; in a plain one it cuts off all layers before it.
#
# Next: [11. The path spectrum](11_path_spectrum.py): all roads through all blocks at once.
