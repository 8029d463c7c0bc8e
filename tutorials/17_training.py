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
# # 17. Training well
#
# **30 minutes** · you need: [losses](04_heads_and_losses.py) and [plain stacks](08_plain_stacks.py)
#
# "Network A is better than network B" is only worth something if both were trained well, and measured
# on images that neither has seen. In this tutorial you
#
# - split the data, and choose a learning rate by a test instead of by luck;
# - see what weight decay does to the weights;
# - tell *overfitting* from *degradation*, by looking at two curves;
# - break a run off, resume it, and get the same bits; and share a batch between processes.

# %%
import copy

import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires import ops
from minires.training import Callback, Trainer, lr_find
from minires.tutorials import recorded, show
from minires.tutorials.checks import training as check

plt.style.use("minires.tutorials.sheet")

# %% [markdown]
# ## Three parts
#
# The *training part* is what gradients come from. The *validation part* decides between choices: rates,
# depths, when to stop. The *test part* is looked at once, at the end. Why three? Whoever tries twenty rates and
# keeps the one that is best on the validation part has chosen a little by luck. The test part has not been
# asked, so its answer is honest.

# %%
digits = mr.data.digits()
order = np.random.default_rng(0).permutation(len(digits.train))
train_part = mr.data.TensorDataset(*digits.train.take(order[:1000]))
validation_part = mr.data.TensorDataset(*digits.train.take(order[1000:]))
train = mr.data.DataLoader(train_part, batch_size=64, shuffle=True, seed=0)
validation = mr.data.DataLoader(validation_part, batch_size=256)
print(f"train {len(train_part)}, validation {len(validation_part)}, test {len(digits.test)} images")


def network(shortcut="A", depth=8):
    return mr.models.cifar_resnet(depth, shortcut, width=8, in_channels=1, seed=0)


def trainer_of(model, lr, weight_decay=0.0, **options):
    sgd = mr.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=weight_decay)
    return Trainer(model, sgd, **options)


# %% [markdown]
# ## The learning rate
#
# A *range test* takes steps with a rate that rises a little each time, until the loss explodes. Then
# `lr_find` puts everything back as it was. It suggests the rate at which the loss fell fastest.

# %%
model = network()
sgd = mr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
curve = lr_find(model, sgd, train, start=1e-4, end=10.0, steps=60)
figure, ax = plt.subplots()
ax.semilogx(curve.lrs, curve.losses, color="C5", linewidth=1, label="loss of a step")
ax.semilogx(curve.lrs, curve.smoothed, color="C0", label="smoothed")
ax.axvline(curve.suggestion, color="C1", linestyle="--", label="suggestion")
ax.set(xlabel="learning rate", ylabel="loss", title="A learning-rate range test")
ax.set(ylim=(0, min(6, max(curve.losses) * 1.05)))
ax.legend()
show(
    figure,
    "The loss against a rising learning rate: flat at first, then falling, and rising at the end. A"
    " vertical line marks the suggestion.",
)
print(f"suggested rate: {curve.suggestion:.3f}")

# %% [markdown]
# **Predict, then run.** Three runs follow: with a hundredth of the suggestion, with the suggestion, and
# with thirty times it. Which validation curve ends lowest? What does the small rate look like?

# %%
runs = {}
for factor in (0.01, 1, 30):
    trainer = trainer_of(network(), lr=factor * curve.suggestion)
    runs[factor] = trainer.fit(train, epochs=6, validation=validation)
figure, axes = plt.subplots(1, 2, sharey=True)
for factor, history in runs.items():
    epochs = range(1, len(history.epoch_error) + 1)
    axes[0].plot(epochs, 100 * np.array(history.epoch_error), label=f"{factor:g} x suggestion")
    axes[1].plot(epochs, 100 * np.array(history.validation_error))
axes[0].set(xlabel="epoch", ylabel="error, %", title="Training", ylim=(0, 100))
axes[1].set(xlabel="epoch", title="Validation")
axes[0].legend()
show(figure, "Training and validation error over six epochs for three learning rates.")
ends = {factor: history.validation_error[-1] for factor, history in runs.items()}
for factor, error in ends.items():
    print(f"{factor:5g} x suggestion: validation error {error:.1%} at the end")
print(f"lowest: {min(ends, key=ends.get):g} x suggestion")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The usual picture: the suggested rate is lowest. The small rate still falls when the run ends: it is not
# wrong, it is slow, and on the fixed budget of a comparison slow looks like bad. The large rate bounces or
# fails. Two networks compared at one rate may only show for which of them the rate was good.
#
# </details>
#
# Most recipes then let the rate *fall*, by ten at a half and three quarters of the steps, say.
# [The trainer's page](../docs/trainer.md#learning-rates) lists the schedules.
#
# ## Weight decay
#
# Weight decay pulls every weight towards zero: the optimiser adds $\lambda w$ to the gradient. A
# linear layer becomes tamer by it. But behind a convolution with batch normalisation the *size* of the
# weights does not change the output at all, as [13](13_what_batch_norm_does.py) shows. There decay acts
# on the size of the steps, relative to the weights.

# %%
small = mr.data.TensorDataset(*digits.train.take(order[:100]))
few = mr.data.DataLoader(small, batch_size=25, shuffle=True, seed=0)
decays = (0.0, 1e-3, 1e-2)
norms, errors = [], []
for decay in decays:
    model = network()
    trainer = trainer_of(model, lr=0.05, weight_decay=decay)
    trainer.fit(few, epochs=25)
    norms.append(sum(float((p.numpy() ** 2).sum()) for p in model.parameters()) ** 0.5)
    errors.append(trainer.evaluate(validation).error)
    print(
        f"decay {decay:<6g} norm of all weights {norms[-1]:5.2f}  validation error {errors[-1]:.1%}"
    )
best = decays[int(np.argmin(errors))]
print(
    f"lowest validation error here with {best:g}; smallest weights with {decays[np.argmin(norms)]:g}"
)

# %% [markdown]
# One run for each value, one seed: the norm is a sure effect, the differences in error may well be chance.
# The [lab](../docs/lab.md) asks several seeds before it says anything.
#
# ## Overfitting is not degradation
#
# Two things go wrong in training, and they are mixed up all the time.
#
# - **Overfitting**: the *training* error is low and the *validation* error is much higher. The
#   network has learned its examples by heart. More data, decay or a smaller network help.
# - **Degradation**: a *deeper* network has a higher *training* error than a shallower one. It cannot even
#   fit what it is shown. More data does not help. Shortcuts do.
#
# So we provoke both. A plain network of 8 layers sees only 100 images, and one of 32 layers the same
# 100 images.
#
# **Predict, then run.** For each of the two: which of its curves comes down?

# %%
cases = {"plain-8": (None, 8), "plain-32": (None, 32), "ResNet-32": ("A", 32)}
histories = {}
for name, (shortcut, depth) in cases.items():
    trainer = trainer_of(network(shortcut, depth), lr=0.05)
    histories[name] = trainer.fit(few, epochs=20, validation=validation)
figure, axes = plt.subplots(1, 3, figsize=(7.2, 3.2), sharey=True)
for ax, (name, history) in zip(axes, histories.items(), strict=True):
    epochs = range(1, len(history.epoch_error) + 1)
    ax.plot(epochs, 100 * np.array(history.epoch_error), label="training")
    ax.plot(epochs, 100 * np.array(history.validation_error), label="validation")
    ax.set(xlabel="epoch", title=name, ylim=(0, 100))
axes[0].set(ylabel="error, %")
axes[0].legend()
show(
    figure,
    "Three panels of training and validation error: plain-8, plain-32 and ResNet-32, each trained on"
    " 100 images.",
)
final = {
    name: (np.mean(h.epoch_error[-3:]), h.validation_error[-1]) for name, h in histories.items()
}
for name, (own, unseen) in final.items():
    print(f"{name:9}: training error {own:6.1%}, validation error {unseen:6.1%}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Where the training curve reaches the ground and the validation curve hangs above it, the gap is
# overfitting. Where the training curve itself stays high while a shallower network's does not, that is
# degradation. ResNet-32 has the same depth and the same first weights as plain-32: only shortcuts are added.
#
# </details>
#
# Twenty epochs are few, and a slow network might only be late. The lab trained longer, with three seeds
# ([degradation](../docs/lab-measured.md); `minires lab run degradation --scale small` measures it again,
# and takes minutes). Below is what it recorded: the training error over the epochs.

# %%
result = recorded("degradation")
figure, axes = plt.subplots(1, 2, sharey=True)
for ax, kind in zip(axes, ("plain", "residual"), strict=True):
    for depth in result["settings"]["depths"]:
        trials = result["trials"][f"{kind}-{depth}"]
        curves = np.array([trial["train_error"] for trial in trials])
        ax.plot(trials[0]["epochs"], 100 * np.median(curves, axis=0), label=f"{depth} layers")
    ax.set(xlabel="epoch", title=kind, ylim=(0, 100))
axes[0].set(ylabel="training error, %")
axes[1].legend()
show(figure, "Median training errors of three depths: plain networks left, residual ones right.")
print(f"outcome of the record, by rules written before it was measured: {result['outcome']}")

# %% [markdown]
# ## Broken off, and resumed
#
# Long runs get interrupted. `state_dict()` of a `Trainer` holds everything that the next steps depend
# on: weights, running statistics, momentum, random numbers, and the place in the epoch. Forget one of
# them and the run goes on, but to *other* numbers. Nobody would notice.


# %%
class Keep(Callback):
    """Keep the trainer's state in the midst of an epoch."""

    def on_step(self, trainer, step):
        if step == 5:
            self.state = copy.deepcopy(trainer.state_dict())


keep = Keep()
whole = trainer_of(network(), lr=0.05, callbacks=[keep])
whole.fit(train, epochs=2)

resumed = trainer_of(network(), lr=0.05)
resumed.load_state_dict(keep.state)
resumed.fit(train, epochs=2)

forgetful = trainer_of(network(), lr=0.05)  # gets all of it but the optimiser's momentum
fresh = forgetful.optimizer.state_dict()
forgetful.load_state_dict({**keep.state, "optimizer": fresh})
forgetful.fit(train, epochs=2)


def same_bits(one, other):
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return all(np.array_equal(a.numpy(), b.numpy()) for a, b in pairs)


print(f"resumed from its state: same bits {same_bits(whole, resumed)}")
print(f"all but the momentum restored: same bits {same_bits(whole, forgetful)}")

# %% [markdown]
# On the command line this is `minires train --resume`: see [its page](../docs/training.md).
#
# ## Many processes
#
# With $n$ processes, the *ranks*, each one has a part of every batch. They add up their gradients, and all take
# the same step. `mpiexec -n 4 minires train --distributed ...` does that
# ([how](../docs/distributed.md)). We do not start any processes here. We compute what two ranks would, one after
# the other, and compare with one process that has the whole batch of 48 images.


# %%
def gradient(model, images, labels):
    for parameter in model.parameters():
        parameter.grad = None
    ops.cross_entropy(model(mr.tensor(images)), mr.tensor(labels)).backward()
    return np.concatenate([p.grad.numpy().ravel() for p in model.parameters()])


images, labels = train_part.take(range(48))
for norm in ("fixup", "batch"):
    model = mr.models.cifar_resnet(8, width=8, in_channels=1, norm=norm, seed=0)
    if norm == "fixup":  # whose branches begin at 0: move them away from there
        mr.manual_seed(1)
        for parameter in model.parameters():
            parameter.data[...] += 0.1 * mr.randn(*parameter.shape).numpy()
    one = gradient(model, images, labels)
    parts = [gradient(model, images[:24], labels[:24]), gradient(model, images[24:], labels[24:])]
    two = sum(parts) / 2
    gap = np.linalg.norm(two - one) / np.linalg.norm(one)
    print(f"norm={norm!r:8} two halves against the whole batch: relative difference {gap:.1e}")

# %% [markdown]
# Without batch normalisation only rounding differs. With it each half is normalised by its *own* mean
# and variance, and the two ranks compute another function. `SyncBatchNorm` shares the statistics, and
# rounding alone remains. Note also that the mean of two means is right only for halves of equal size.
#
# ## Exercises
#
# ### Exercise 1. Split
#
# Return three arrays of indices, for training, validation and test: about 70, 15 and 15 % of `count`.


# %% tags=["exercise"]
def split(count, seed):
    return ...


check.split(split)


# %% tags=["solution"]
def split(count, seed):
    shuffled = np.random.default_rng(seed).permutation(count)
    return np.split(shuffled, [int(0.7 * count), int(0.85 * count)])


check.split(split)


# %% tags=["wrong-answers"]
def in_the_order_of_the_file(count, seed):
    return np.split(np.arange(count), [int(0.7 * count), int(0.85 * count)])


def draws_each_part_anew(count, seed):
    rng = np.random.default_rng(seed)
    sizes = (int(0.7 * count), int(0.15 * count), int(0.15 * count))
    return [rng.choice(count, size, replace=False) for size in sizes]


def without_the_seed(count, seed):
    shuffled = np.random.permutation(count)
    return np.split(shuffled, [int(0.7 * count), int(0.85 * count)])


def three_equal_parts(count, seed):
    return np.array_split(np.random.default_rng(seed).permutation(count), 3)


check.split(in_the_order_of_the_file)
check.split(draws_each_part_anew)
check.split(three_equal_parts)
check.split(without_the_seed)

# %% [markdown]
# ### Exercise 2. Diagnose
#
# `shallow` and `deep` are pairs (training error, validation error) of two networks. Return
# `"degradation"`, `"overfitting"` or `"neither"`: what makes the deep network worse than the shallow one?


# %% tags=["exercise"]
def diagnose(shallow, deep):
    return ...


check.diagnose(diagnose)


# %% tags=["solution"]
def diagnose(shallow, deep):
    if deep[0] > shallow[0]:
        return "degradation"
    return "overfitting" if deep[1] > shallow[1] else "neither"


check.diagnose(diagnose)


# %% tags=["wrong-answers"]
def looks_at_validation_alone(shallow, deep):
    return "overfitting" if deep[1] > shallow[1] else "neither"


def any_gap_is_overfitting(shallow, deep):
    return "overfitting" if deep[1] > deep[0] else "neither"


check.diagnose(looks_at_validation_alone)
check.diagnose(any_gap_is_overfitting)

# %% [markdown]
# ### Exercise 3. Ranks with parts of different size
#
# `gradients` has one array for each rank, of the *mean* loss over its images; `counts` says how many
# images each had. Return the gradient of the mean loss over all images.


# %% tags=["exercise"]
def sum_of_ranks(gradients, counts):
    return ...


check.sum_of_ranks(sum_of_ranks)


# %% tags=["solution"]
def sum_of_ranks(gradients, counts):
    weighed = [count * gradient for count, gradient in zip(counts, gradients, strict=True)]
    return sum(weighed) / sum(counts)


check.sum_of_ranks(sum_of_ranks)


# %% tags=["wrong-answers"]
def only_adds(gradients, counts):
    return sum(gradients)


def mean_of_means(gradients, counts):
    return sum(gradients) / len(gradients)


check.sum_of_ranks(only_adds)
check.sum_of_ranks(mean_of_means)

# %% [markdown]
# ## Recap
#
# - Train on one part, choose by the second, report the third once.
# - Test the learning rate. A comparison at one rate may only compare how well the rate suits.
# - Overfitting: low training error, high validation error. Degradation: deeper, and a higher *training* error.
# - A state that can be resumed holds the optimiser, the random numbers and the place in the epoch.
# - Ranks add up gradients, weighed by their share of the images; batch statistics are not shared by themselves.
#
# Next: [18. The same on a GPU](18_gpu.py), and where the time goes.
