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
# # 19. Segmentation and detection with a residual backbone
#
# **25 minutes** · you need: [heads and losses](04_heads_and_losses.py) and [the residual
# addition](09_residual_add.py)
#
# A classifier says *what* is in an image. Two further questions are *which pixels* (segmentation) and
# *where, in boxes* (detection). The same residual network answers them, if its last layer is replaced. It
# is then called the *backbone*, and what is put on it a *head*. In this tutorial you
#
# - put a head for pixels on a small ResNet, train it, and look at its masks;
# - see that the skips of a segmentation network are residual additions, and trace them;
# - put a head for objects on it, and read boxes off a heat map;
# - measure both in the field's way, by intersection over union.

# %%
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

import minires as mr
from minires import ops
from minires.tutorials import show
from minires.tutorials.checks import segmentation_and_detection as check

plt.style.use("minires.tutorials.sheet")

# %% [markdown]
# ## Pictures with answers for free
#
# To label pixels by hand is slow. We compose pictures from real scanned digits instead: then we know which
# pixel came from which digit. Digits of the test part appear in the test pictures only.

# %%
digits = mr.data.digits()
small = {"size": (32, 32), "zooms": (1,)}
canvases = mr.data.compose_canvases(*digits.train.arrays, count=768, seed=0, **small)
unseen = mr.data.compose_canvases(*digits.test.arrays, count=100, seed=1, **small)
print(canvases)


def draw_boxes(ax, boxes, labels, style="-"):
    for (x0, y0, x1, y1), label in zip(boxes, labels, strict=True):
        if label >= 0:
            box = Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False)
            box.set(edgecolor="#D55E00", linestyle=style, linewidth=1.5)
            ax.add_patch(box)
            ax.text(x1, y0, str(label), color="#D55E00", fontsize=8)


def draw_mask(ax, mask):
    """Draw the classes of pixels, leave the background white, and name the classes below."""
    ax.imshow(
        np.ma.masked_equal(mask, 0) - 1, cmap="tab10", vmin=0, vmax=9, interpolation="nearest"
    )
    ax.set(xlabel=" ".join(str(c - 1) for c in range(1, 11) if np.sum(mask == c) >= 5))


figure, axes = plt.subplots(2, 5, figsize=(7.2, 3.4))
for column in range(5):
    image, mask, boxes, labels = canvases[column]
    axes[0, column].imshow(image[0], cmap="Greys")
    draw_boxes(axes[0, column], boxes, labels)
    draw_mask(axes[1, column], mask)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
axes[0, 0].set(ylabel="image, boxes")
axes[1, 0].set(ylabel="class of pixels")
show(
    figure,
    "Five pictures with up to four small digits each. Above with a box and its digit around each, below"
    " as masks in which each digit has the colour of its class, and the classes are written beneath.",
)

# %% [markdown]
# ## A class for each pixel
#
# The `Segmenter` is the fully convolutional network of Long et al. 2015
# ([1411.4038](https://arxiv.org/abs/1411.4038)). The three stages of the backbone have 32, 16 and 8 cells
# on a side. Coarse cells have seen more of the image: they know *what*. Fine cells know *where*. Each
# stage gives scores for 11 classes (the background is one) by a $1\times1$ convolution. Coarse scores are enlarged
# twice and **added** to finer ones:
#
# $$s_2 = \mathrm{score}_2(h_2) + \mathrm{up}(\mathrm{score}_3(h_3)), \qquad
# s_1 = \mathrm{score}_1(h_1) + \mathrm{up}(s_2).$$
#
# The loss is the cross-entropy of every pixel. More than nine of ten pixels are background, so that class counts a fifth.


# %%
def train(model, loss, epochs, rate):
    """Train with Adam and a falling rate; return the mean loss of each epoch."""
    adam = mr.optim.Adam(model.parameters(), lr=rate)
    schedule = mr.optim.lr_scheduler.CosineAnnealingLR(adam, T_max=epochs)
    batches = mr.data.DataLoader(canvases, batch_size=16, shuffle=True, seed=0)
    means = []
    for _ in range(epochs):
        losses = []
        for batch in batches:
            adam.zero_grad()
            value = loss(model(batch[0]), batch)
            value.backward()
            adam.step()
            losses.append(value.item())
        schedule.step()
        means.append(np.mean(losses))
    return means


mr.manual_seed(0)
backbone = mr.models.cifar_resnet(8, width=8, in_channels=1, seed=0)
segmenter = mr.models.Segmenter(backbone, num_classes=11)
weight = mr.tensor([0.2] + [1.0] * 10)
pixel_losses = train(
    segmenter, lambda scores, batch: ops.cross_entropy(scores, batch[1], weight), 10, 0.02
)
print(f"loss of the first epoch {pixel_losses[0]:.2f}, of the last {pixel_losses[-1]:.2f}")

# %% [markdown]
# **Predict, then run.** How good is 90 % of the pixels right?
#
# <details><summary>Answer</summary>
#
# Worth nothing here: whoever answers "background" everywhere has about that. So segmentation is measured by
# *intersection over union* (IoU): of a class, the pixels that are its own *and* were given to it, divided by
# those that are its own *or* were given to it. The mean over classes does not let one large class hide the rest.
#
# </details>

# %%
images, masks, boxes, labels = (mr.tensor(part) for part in unseen.arrays)
segmenter.eval()
with mr.no_grad():
    answers = segmenter(images).argmax(1).numpy()


def judge(answers):
    counts = mr.training.confusion_matrix(answers, masks, 11)
    return np.trace(counts) / counts.sum(), mr.training.mean_iou(counts)


for name, each in [("background everywhere", np.zeros_like(answers)), ("the segmenter", answers)]:
    right, iou = judge(each)
    print(f"{name:22} pixels right {right:6.1%}   mean IoU {iou:.2f}")

# %% [markdown]
# What do the skips give? (Numbers under a mask are the digits that have five pixels or more in it.) We take the trained network and set the two finer score layers to zero. Only
# the coarse scores are left, enlarged four times. (This is a lesion, as in [14](14_lesions.py). A network
# trained without skips would do better than this.)

# %%
kept = {name: value.numpy().copy() for name, value in segmenter.state_dict().items()}
for layer in (segmenter.score1, segmenter.score2):
    layer.weight.data[...] = 0
with mr.no_grad():
    coarse_answers = segmenter(images).argmax(1).numpy()
segmenter.load_state_dict({name: mr.tensor(value) for name, value in kept.items()})
print(
    f"mean IoU: with skips {judge(answers)[1]:.2f}, coarse scores alone {judge(coarse_answers)[1]:.2f}"
)

rows = [(images.numpy()[:, 0], "image"), (masks.numpy(), "truth")]
rows += [(answers, "segmenter"), (coarse_answers, "coarse alone")]
figure, axes = plt.subplots(4, 5, figsize=(7.2, 6.6))
for row, (pictures, name) in zip(axes, rows, strict=True):
    row[0].set(ylabel=name)
    for ax, picture in zip(row, pictures, strict=False):
        if name == "image":
            ax.imshow(picture, cmap="Greys")
        else:
            draw_mask(ax, picture)
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
show(
    figure,
    "Five unseen pictures in four rows: the image, the true classes of its pixels, those of the segmenter,"
    " and those of its coarse scores alone. Under each mask stand the classes in it.",
)

# %% [markdown]
# ## Skips are residual additions
#
# The sum of coarse and fine scores is the same `residual_add` as in a block. So at the end of each stage the
# gradient forks: into the score layer right there, and into the deeper stages. The trace tells how much comes
# from where, and that the contributions sum to the whole.

# %%
segmenter.train()
with mr.trace.record(segmenter) as trace:
    ops.cross_entropy(segmenter(images[:16]), masks[:16], weight).backward()
segmenter.eval()
ends = {"end of stage 1": "backbone.layer1", "end of stage 2": "backbone.layer2"}
figure, ax = plt.subplots(figsize=(7.2, 3))
for row, (name, path) in enumerate(ends.items()):
    fork = next(each for each in trace.forks() if each.name.startswith(path))
    skip = sum(part.share for part in fork.parts if part.consumer.startswith("score"))
    deeper = sum(part.share for part in fork.parts if not part.consumer.startswith("score"))
    ax.barh(row - 0.18, skip, 0.34, color="C0", label="" if row else "from the score layer here")
    ax.barh(
        row + 0.18, deeper, 0.34, color="C1", hatch="//", label="" if row else "from deeper stages"
    )
    print(f"{name}: score layer {skip:5.1%}, deeper stages {deeper:5.1%}, {fork.verdict}")
ax.set_yticks(range(len(ends)), list(ends))
ax.set(xlabel="share of the gradient", title="Two roads into each stage")
figure.legend(loc="outside lower center", ncols=2)
show(figure, "For the ends of stages 1 and 2 two bars each: the share of gradient by either road.")

# %% [markdown]
# ## A box for each object
#
# The second head is the centre-point detector, *Objects as Points* (Zhou et al. 2019,
# [1904.07850](https://arxiv.org/abs/1904.07850)). For each cell of $4\times4$ pixels it answers three questions:
# is the centre of an object of class $c$ here (a *heat map* for each class)? Where in the cell exactly? How wide and high
# is it? An object is a *peak* of a heat map.

# %%
mr.manual_seed(0)
backbone = mr.models.cifar_resnet(8, width=8, in_channels=1, seed=0)
detector = mr.models.CenterPointDetector(backbone, num_classes=10, channels=32)
box_losses = train(
    detector, lambda maps, batch: mr.models.center_point_loss(maps, batch[2], batch[3]), 8, 0.005
)
print(f"loss of the first epoch {box_losses[0]:.2f}, of the last {box_losses[-1]:.2f}")
detector.eval()
with mr.no_grad():
    maps = detector(images)
found = mr.models.find_objects(maps, threshold=0.3)
heat = ops.sigmoid(maps.heat).numpy()
print(f"heat maps {maps.heat.shape}, offsets {maps.offset.shape}, sizes {maps.size.shape}")

# %% [markdown]
# **Predict, then run.** The figure shows, for four unseen pictures with four digits each, the largest of the ten heat maps in each
# cell. What do you see where two digits stand close to each other?

# %%
crowded = [n for n, row in enumerate(labels.numpy()) if np.sum(row >= 0) == 4][:4]
figure, axes = plt.subplots(2, 4, figsize=(7.2, 3.9))
for column, number in enumerate(crowded):
    above, below = axes[:, column]
    above.imshow(heat[number].max(axis=0), vmin=0, vmax=1)
    below.imshow(images.numpy()[number, 0], cmap="Greys")
    draw_boxes(below, found[number].boxes, found[number].labels)
    below.set(xlabel="truth: " + " ".join(str(v) for v in labels.numpy()[number] if v >= 0))
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
axes[0, 0].set(ylabel="heat")
axes[1, 0].set(ylabel="found")
show(
    figure,
    "Above, heat maps of 8 x 8 cells with bright spots; below, the pictures with the boxes and digits that"
    " were found, and the true digits written beneath.",
)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Each object has a spot of its own, a cell or two wide, as long as their centres are some cells apart. The
# wrong class may win in a spot: then the box is right and the digit wrong. Two digits written at one box are
# two classes that both have a peak there. Centres of the same class in
# neighbouring cells would melt into one peak.
#
# </details>
#
# A box counts as found if its class is right and its IoU with the true box is at least 0.5. Sorting all boxes by their
# score, from sure to unsure, one gets *precision* (how many of the boxes are right) against *recall* (how many objects
# were found). The area under that curve, averaged over classes, is the *mean average precision*.

# %%
all_found = mr.models.find_objects(maps, threshold=0.01)
precision = mr.training.mean_average_precision(all_found, boxes, labels, 10)
mr.manual_seed(0)
untrained = mr.models.CenterPointDetector(
    mr.models.cifar_resnet(8, width=8, in_channels=1, seed=0), num_classes=10, channels=32
)
with mr.no_grad():
    guesses = mr.models.find_objects(untrained.eval()(images), threshold=0.01)
chance = mr.training.mean_average_precision(guesses, boxes, labels, 10)
print(f"mean average precision on 100 unseen pictures: {precision:.2f}; untrained: {chance:.2f}")

# %% [markdown]
# Both heads learned for seconds, from a few hundred pictures. [Networks](../docs/models.md#heads-for-pixels-and-for-objects)
# tells what longer training gives.
#
# ## Exercises
#
# ### Exercise 1. IoU of two boxes
#
# A box is `x0, y0, x1, y1`. Return the area that two boxes share, divided by the area that they cover.


# %% tags=["exercise"]
def box_iou(one, other):
    return ...


check.box_iou(box_iou)


# %% tags=["solution"]
def box_iou(one, other):
    wide = max(0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, other)]
    return wide * high / (sum(areas) - wide * high)


check.box_iou(box_iou)


# %% tags=["wrong-answers"]
def counts_the_shared_part_twice(one, other):
    wide = max(0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, other)]
    return wide * high / sum(areas)


def lets_sides_be_negative(one, other):
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, other)]
    return wide * high / (sum(areas) - wide * high)


check.box_iou(counts_the_shared_part_twice)
check.box_iou(lets_sides_be_negative)

# %% [markdown]
# ### Exercise 2. IoU of a class of pixels
#
# `counts[i, j]` is how many pixels of class $i$ were given the class $j$. Return the IoU of class `c`.


# %% tags=["exercise"]
def iou_of_class(counts, c):
    return ...


check.iou_of_class(iou_of_class)


# %% tags=["solution"]
def iou_of_class(counts, c):
    both = counts[c, c]
    return both / (counts[c].sum() + counts[:, c].sum() - both)


check.iou_of_class(iou_of_class)


# %% tags=["wrong-answers"]
def share_of_its_own_pixels(counts, c):
    return counts[c, c] / counts[c].sum()


def accuracy(counts, c):
    return np.trace(counts) / counts.sum()


check.iou_of_class(share_of_its_own_pixels)
check.iou_of_class(accuracy)

# %% [markdown]
# ### Exercise 3. Peaks
#
# Return a list of the cells `(row, column)` of a heat map (h, w) that are above `threshold` and not below any
# of their up to eight neighbours.


# %% tags=["exercise"]
def peaks(heat, threshold):
    return ...


check.peaks(peaks)


# %% tags=["solution"]
def peaks(heat, threshold):
    padded = np.pad(heat, 1, constant_values=-np.inf)
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).max(axis=(2, 3))
    return list(zip(*np.nonzero((heat == around) & (heat > threshold)), strict=True))


check.peaks(peaks)


# %% tags=["wrong-answers"]
def everything_that_is_hot(heat, threshold):
    return list(zip(*np.nonzero(heat > threshold), strict=True))


def the_hottest_cell(heat, threshold):
    return [np.unravel_index(heat.argmax(), heat.shape)]


def forgets_the_margin(heat, threshold):
    inner = np.lib.stride_tricks.sliding_window_view(heat, (3, 3)).max(axis=(2, 3))
    hot = (heat[1:-1, 1:-1] == inner) & (inner > threshold)
    return [(i + 1, j + 1) for i, j in zip(*np.nonzero(hot), strict=True)]


check.peaks(everything_that_is_hot)
check.peaks(the_hottest_cell)
check.peaks(forgets_the_margin)

# %% [markdown]
# ## Recap
#
# - A backbone can carry any head: for classes, for pixels, for objects.
# - Deep stages know what, early stages know where. Skips add the two, and they are residual additions.
# - Accuracy over pixels flatters. IoU does not.
# - A centre-point detector reads objects off the peaks of a heat map.
#
# Next: [20. An op of your own](20_own_op.py), in five steps.
