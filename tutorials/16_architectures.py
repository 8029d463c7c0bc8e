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
# # 16. Seven architectures side by side
#
# **25 minutes** · you need: [the paper's table](15_resnets.py) and [vanishing
# gradients](07_vanishing_gradients.py)
#
# From AlexNet to DenseNet it took four years, and each network is remembered for one idea. Side by
# side one sees which ideas save parameters, which save work, and which let the gradient through. In
# this tutorial you
#
# - count parameters and MACs of seven famous networks, and see where AlexNet's parameters are;
# - look at the ideas one by one: grouped convolution, gate, concatenation;
# - follow the gradient through all seven, and learn what such a picture can *not* prove.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires import nn, ops
from minires.tutorials import show
from minires.tutorials.checks import architectures as check

plt.style.use("minires.tutorials.sheet")

# %% [markdown]
# ## Seven networks, seven ideas
#
# | network | its idea | source |
# |---|---|---|
# | AlexNet | a deep network of ReLUs, trained on GPUs | Krizhevsky et al. 2012; [1404.5997](https://arxiv.org/abs/1404.5997) |
# | VGG | $3\times3$ kernels and nothing else, more layers of them | Simonyan and Zisserman 2014, [1409.1556](https://arxiv.org/abs/1409.1556) |
# | GoogLeNet | several kernels in parallel, made cheap by $1\times1$ convolutions | Szegedy et al. 2014, [1409.4842](https://arxiv.org/abs/1409.4842) |
# | ResNet | add the input back | He et al. 2015, [1512.03385](https://arxiv.org/abs/1512.03385) |
# | DenseNet | keep everything: concatenate instead of adding | Huang et al. 2016, [1608.06993](https://arxiv.org/abs/1608.06993) |
# | ResNeXt | many narrow paths in a block: a grouped convolution | Xie et al. 2016, [1611.05431](https://arxiv.org/abs/1611.05431) |
# | SE-ResNet | a gate that scales each channel | Hu et al. 2017, [1709.01507](https://arxiv.org/abs/1709.01507) |
#
# **Predict, then run.** Which has more parameters, AlexNet with 8 layers or ResNet-50? And which costs
# more work?

# %%
names = {
    "alexnet": "AlexNet",
    "vgg16": "VGG-16",
    "googlenet": "GoogLeNet",
    "resnet50": "ResNet-50",
    "densenet121": "DenseNet-121",
    "resnext50_32x4d": "ResNeXt-50",
    "se_resnet50": "SE-ResNet-50",
}
counts = {name: mr.models.counts_of(name) for name in names}
print(f"{'':13} depth   parameters            MACs")
for name, count in counts.items():
    print(f"{names[name]:13} {count.depth:5} {count.params:12,} {count.macs:15,}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# AlexNet has more than twice the parameters of ResNet-50, and less than a fifth of its MACs. Depth,
# parameters and work are three different things. The next cell shows where AlexNet keeps its parameters.
#
# </details>

# %%
sides = ["top", "top", "left", "bottom", "left", "top left", "right"]
offsets = {
    "top": (0, 9),
    "bottom": (0, -17),
    "left": (-9, -4),
    "right": (9, -4),
    "top left": (-4, 9),
}
figure, ax = plt.subplots(figsize=(7.2, 4))
for marker, side, (name, count) in zip("osD^vP*", sides, counts.items(), strict=True):
    at = (count.params / 1e6, count.macs / 1e9)
    ax.loglog(*at, marker, color="C0", markersize=9)
    align = {"left": "right", "top left": "right", "right": "left"}.get(side, "center")
    ax.annotate(names[name], at, offsets[side], textcoords="offset points", ha=align)
ax.set(xlabel="parameters, in millions", ylabel="MACs, in thousand millions", xlim=(2, 250))
ax.set(ylim=(0.4, 30), title="What seven networks cost, one image of 224 x 224")
show(
    figure,
    "Seven marks on logarithmic axes: AlexNet low and right, VGG-16 high and right, GoogLeNet and"
    " DenseNet left, and the three relatives of ResNet-50 close together in the middle.",
)

# %%
for name in ("alexnet", "vgg16", "googlenet", "resnet50"):
    rows = mr.models.summary(name).rows
    linear = sum(row.params for row in rows if row.kind == "Linear") / counts[name].params
    work = sum(row.macs for row in rows if row.kind == "Linear") / counts[name].macs
    print(
        f"{names[name]:10} linear layers: {linear:4.0%} of the parameters, {work:4.0%} of the MACs"
    )

# %% [markdown]
# AlexNet and VGG end with linear layers that see every pixel of the last feature map. GoogLeNet and all
# later networks average each channel first (*global average pooling*), and one thin linear layer follows.
#
# ## GoogLeNet and ResNeXt: the same outputs with fewer weights
#
# GoogLeNet puts a $1\times1$ convolution before an expensive kernel. It *reduces* the channels first. You
# have met the same trick in ResNet's bottleneck. ResNeXt goes another way: in a *grouped* convolution the
# channels are dealt into $G$ groups, and an output sees only its own group. That divides the weights by $G$.

# %%
figure, axes = plt.subplots(1, 3, figsize=(7.2, 2.8))
for ax, groups in zip(axes, (1, 4, 16), strict=True):
    layer = nn.Conv2d(16, 16, 3, padding=1, groups=groups, bias=False)
    x = mr.randn(1, 16, 6, 6)
    x.requires_grad_(True)
    sees = []
    for channel in range(16):  # which inputs have a gradient from this output?
        (gradient,) = mr.grad(layer(x)[0, channel].sum(), x)
        sees.append(np.abs(gradient.numpy()).sum(axis=(0, 2, 3)) > 0)
    ax.imshow(np.array(sees), cmap="Greys", vmin=0, vmax=1.4)
    ax.set(title=f"{groups} group{'s' * (groups > 1)}", xlabel="input channel")
    ax.grid(False)
    print(f"{groups:2} groups: {math.prod(layer.weight.shape):5,} weights")
axes[0].set(ylabel="output channel")
show(
    figure,
    "Three squares. With one group every output channel depends on every input channel; with 4 groups"
    " there are four blocks on the diagonal; with 16 only the diagonal is left.",
)

# %% [markdown]
# Between groups nothing is exchanged. So ResNeXt places its grouped $3\times3$ between two $1\times1$
# convolutions that mix all channels. With the weights saved, its middle is twice as wide as ResNet's:

# %%
for name in ("resnet50", "resnext50_32x4d"):
    block = mr.models.create(name, device="meta").layer1[1]
    shapes = " ".join(str(layer.weight.shape) for layer in (block.conv1, block.conv2, block.conv3))
    print(f"{names[name]:10} {shapes}")

# %% [markdown]
# ## SE: a gate on each channel
#
# *Squeeze and excitation* averages each channel over the image (squeeze), lets two small linear
# layers look at the $C$ means, and multiplies each channel by a number between 0 and 1 (excite). The gate
# stands on the *branch*, before the addition. The shortcut stays clean.

# %%
plain_block = mr.models.create("resnet50", device="meta").layer1[1]
gated_block = mr.models.create("se_resnet50", device="meta").layer1[1]
print("ResNet-50:   ", plain_block.extra_repr())
print("SE-ResNet-50:", gated_block.extra_repr())
more = counts["se_resnet50"].params / counts["resnet50"].params - 1
work = counts["se_resnet50"].macs / counts["resnet50"].macs - 1
print(f"the gates add {more:.1%} parameters and {work:.2%} MACs")

# %% [markdown]
# ## DenseNet: concatenate instead of adding
#
# A dense layer puts its few new channels *behind* all earlier ones. So every layer reads every earlier
# layer directly. What does that do to the gradient? Each later reader of a value sends a contribution back
# to it, and they add up: the fork of a residual block, with more than two roads.
#
# **Predict, then run.** A dense block has 12 layers. How many contributions arrive at the output of the
# first layer, how many at that of the last but one?

# %%
network = mr.models.create("densenet_40_12", seed=0)
mr.manual_seed(0)
images, labels = mr.randn(4, 3, 32, 32), mr.tensor([0, 1, 2, 3])
with mr.trace.record(network) as trace:
    ops.cross_entropy(network(images), labels).backward()
forks = {
    int(fork.name.split("denselayer")[1].split(".")[0]): fork
    for fork in trace.forks()
    if fork.name.startswith("features.denseblock3.denselayer")
}
layers = sorted(forks)
figure, ax = plt.subplots()
ax.bar(layers, [len(forks[layer].parts) for layer in layers])
ax.set(xlabel="layer of the last dense block", ylabel="contributions", xticks=layers)
ax.set(title="How many roads lead back to a layer's output")
show(figure, "Bars that fall by one from each layer to the next, down to two.")
print(
    f"layer 1: {len(forks[1].parts)} contributions, layer 11: {len(forks[11].parts)};"
    f" verdicts of the trace: {', '.join(sorted({fork.verdict for fork in forks.values()}))}"
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# The output of layer 1 is read by layers 2 to 12 and by what follows the block: 12 contributions. That of
# layer 11 is read by layer 12 and by what follows: 2. The last layer has one reader, and is no fork.
#
# </details>
#
# ## The gradient through all of them
#
# Now one backward pass through each network, at the start of training, made small: 16 channels in the first
# convolution, 4 random images of $64\times64$. For each convolution we draw $\|\partial L/\partial W\| / \|W\|$,
# the gradient relative to the weights. Where it is tiny, a step changes little. Where it differs
# a thousandfold between layers, one learning rate can hardly suit all. The plain network of 34 layers
# and its residual twin are drawn as well.


# %%
def gradient_by_layer(name):
    """Return gradient norm over weight norm, of each convolution from first to last."""
    network = mr.models.create(name, num_classes=10, width=16, seed=0)
    mr.manual_seed(0)
    images, labels = mr.randn(4, 3, 64, 64), mr.tensor([0, 1, 2, 3])
    ops.cross_entropy(network(images), labels).backward()
    weights = [
        module.weight
        for path, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and "downsample" not in path and ".se." not in path
    ]
    return [np.linalg.norm(w.grad.numpy()) / np.linalg.norm(w.numpy()) for w in weights]


flows = {name: gradient_by_layer(name) for name in [*names, "plain34", "resnet34_a"]}
titles = names | {"plain34": "plain, 34 layers", "resnet34_a": "ResNet-34 (A), its twin"}
figure, axes = plt.subplots(3, 3, figsize=(7.2, 6), sharex=True, sharey=True)
for ax, (name, flow) in zip(axes.flat, flows.items(), strict=True):
    ax.semilogy(np.linspace(0, 1, len(flow)), flow, linewidth=1.5)
    ax.set_title(titles[name], fontsize=10)
for ax in axes[2]:
    ax.set(xlabel="first to last layer")
for ax in axes[:, 0]:
    ax.set(ylabel="gradient / weights")
show(
    figure,
    "Nine small panels on one logarithmic axis, the gradient relative to the weights from the first"
    " convolution to the last.",
)
for name, flow in flows.items():
    slope = np.mean(flow[: len(flow) // 4]) / np.mean(flow[-(len(flow) // 4) or -1 :])
    print(f"{titles[name]:24} first quarter / last quarter of the layers: {slope:9.3g}")

# %% [markdown]
# Read it with care. A falling curve means that early layers get *larger* gradients than late ones. In deep
# networks with batch normalisation and no shortcuts, gradients at the start explode backwards, they do not
# vanish (Yang et al. 2019, [1902.08129](https://arxiv.org/abs/1902.08129)). AlexNet and VGG have no
# normalisation: there, how the weights were drawn decides.
#
# What the picture cannot prove: *why* two panels differ. By the printed ratio ResNet-50, shortcuts and all, looks
# no better than the plain network. But these two differ in depth, blocks and width, and AlexNet and SE-ResNet in
# normalisation and initialisation as well. Only the last two panels are twins, with the same
# weights and only the shortcuts taken away. Whatever differs there, the shortcuts did:

# %%
ratios = np.array(flows["plain34"]) / np.array(flows["resnet34_a"])
weights_agree = all(
    np.array_equal(one.numpy(), other.numpy())
    for one, other in zip(
        mr.models.create("plain34", num_classes=10, width=16, seed=0).parameters(),
        mr.models.create("resnet34_a", num_classes=10, width=16, seed=0).parameters(),
        strict=True,
    )
)
print(f"the twins start from the same weights: {weights_agree}")
print(f"gradient of the first convolution, plain / residual: {ratios[0]:.3g}")
print(f"gradient of the last convolution,  plain / residual: {ratios[-1]:.3g}")

# %% [markdown]
# ## Exercises
#
# ### Exercise 1. Weights of a grouped convolution
#
# From `before` to `after` channels, a square kernel, `groups` groups, no bias. Return the number of weights.


# %% tags=["exercise"]
def grouped_weights(before, after, kernel, groups):
    return ...


check.grouped_weights(grouped_weights)


# %% tags=["solution"]
def grouped_weights(before, after, kernel, groups):
    return after * (before // groups) * kernel * kernel


check.grouped_weights(grouped_weights)


# %% tags=["wrong-answers"]
def divides_twice(before, after, kernel, groups):
    return (after // groups) * (before // groups) * kernel * kernel


def ignores_groups(before, after, kernel, groups):
    return after * before * kernel * kernel


check.grouped_weights(divides_twice)
check.grouped_weights(ignores_groups)

# %% [markdown]
# ### Exercise 2. Squeeze and excite
#
# `x` has shape $(N, C, H, W)$, `down` $(C/r, C)$ and `up` $(C, C/r)$. Average over the image, apply
# `down`, ReLU, `up`, a sigmoid, and scale the channels. `ops.linear(h, weight)` is $h\,\mathrm{weight}^T$.


# %% tags=["exercise"]
def squeeze_and_excite(x, down, up):
    return ...


check.squeeze_and_excite(squeeze_and_excite)


# %% tags=["solution"]
def squeeze_and_excite(x, down, up):
    means = ops.mean(x, (2, 3))
    gates = ops.sigmoid(ops.linear(ops.relu(ops.linear(means, down)), up))
    return x * gates.reshape(*gates.shape, 1, 1)


check.squeeze_and_excite(squeeze_and_excite)


# %% tags=["wrong-answers"]
def softmax_gates(x, down, up):
    means = ops.mean(x, (2, 3))
    gates = ops.softmax(ops.linear(ops.relu(ops.linear(means, down)), up), 1)
    return x * gates.reshape(*gates.shape, 1, 1)


def one_gate_for_the_whole_batch(x, down, up):
    means = ops.mean(x, (0, 2, 3)).reshape(1, -1)
    gates = ops.sigmoid(ops.linear(ops.relu(ops.linear(means, down)), up))
    return x * gates.reshape(*gates.shape, 1, 1)


def adds_the_gate(x, down, up):
    means = ops.mean(x, (2, 3))
    gates = ops.sigmoid(ops.linear(ops.relu(ops.linear(means, down)), up))
    return x + gates.reshape(*gates.shape, 1, 1)


check.squeeze_and_excite(softmax_gates)
check.squeeze_and_excite(one_gate_for_the_whole_batch)
check.squeeze_and_excite(adds_the_gate)

# %% [markdown]
# ### Exercise 3. How wide a dense block becomes
#
# `first` channels come in; each of `layers` layers adds `growth`. Return the channels at the end.


# %% tags=["exercise"]
def dense_channels(first, growth, layers):
    return ...


check.dense_channels(dense_channels)


# %% tags=["solution"]
def dense_channels(first, growth, layers):
    return first + growth * layers


check.dense_channels(dense_channels)


# %% tags=["wrong-answers"]
def doubles_like_a_resnet(first, growth, layers):
    return first * 2


def only_what_is_new(first, growth, layers):
    return growth * layers


check.dense_channels(doubles_like_a_resnet)
check.dense_channels(only_what_is_new)

# %% [markdown]
# ## Recap
#
# - Depth, parameters and work are three things: only VGG has more parameters than the shallowest network here.
# - Global average pooling removed the huge linear layers.
# - Groups and $1\times1$ reducers save weights; gates scale channels; concatenation gives a value many readers.
# - Many readers mean many contributions to one gradient, as at a residual fork.
# - Networks that differ in ten things prove nothing about one of them. Compare twins.
#
# Next: [17. Training well](17_training.py), so that a comparison is worth something.
