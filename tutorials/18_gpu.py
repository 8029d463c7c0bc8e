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
# # 18. The same on a GPU, and where the time goes
#
# **20 minutes** · you need: [convolutions](03_convolution.py) and [training](17_training.py)
#
# A GPU changes no formula. It changes how long things take, and which habits cost. In this tutorial you
#
# - write a step that runs on either device, by one line;
# - measure where a training step spends its time here;
# - learn the *roofline*, two numbers of a device that tell what it can do at best;
# - see why a small network may gain little from a large GPU.
#
# **What this page does and does not show.** It runs with or without a GPU. Its measurements are made on
# the CPU in any case, and the cell below says whether a GPU was there. What it says about speed on a GPU
# is a model with numbers of a data sheet, marked as such, and no measurement.
# [The page on GPUs](../docs/gpu.md) says what has been tried on hardware and what not.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires import ops
from minires.autograd import EngineHook
from minires.tutorials import show
from minires.tutorials.checks import gpu as check

plt.style.use("minires.tutorials.sheet")

device = "cuda" if mr.cuda.is_available() else "cpu"
print(f"the first run below is on: {device}")
if device == "cpu":
    print(f"no GPU was used to make this page; what is missing: {mr.cuda.missing()}")

# %% [markdown]
# ## One line decides
#
# Everything that has values is told where to live: the model by `.to(device)`, data by `device=`. All
# else stays as it is.


# %%
def losses_on(device, steps=5):
    model = mr.models.cifar_resnet(8, width=8, seed=0).to(device)
    sgd = mr.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    mr.manual_seed(0)
    images = mr.randn(32, 3, 16, 16, device=device)
    labels = mr.tensor(np.arange(32) % 10, device=device)
    losses = []
    for _ in range(steps):
        sgd.zero_grad()
        loss = ops.cross_entropy(model(images), labels)
        loss.backward()
        sgd.step()
        losses.append(loss.detach())
    return [loss.item() for loss in losses]  # look once, at the end


print(f"losses on {device}: {', '.join(f'{loss:.4f}' for loss in losses_on(device))}")

# %% [markdown]
# Initial weights and batches are drawn on the host, so both devices begin with the same numbers. The results
# then differ by *rounding*: sums are formed in another order. That needs no GPU to be seen:

# %%
numbers = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
forwards, backwards = np.float32(0), np.float32(0)
for one, other in zip(numbers, numbers[::-1], strict=True):
    forwards, backwards = forwards + one, backwards + other
print(f"the same numbers added from the front {forwards:.6f}, from the back {backwards:.6f}")
print(f"equal to the bit: {bool(forwards == backwards)}")

# %% [markdown]
# ## Where the time goes
#
# The engine tells a *hook* when an op has run, when a vector-Jacobian product has run, and when contributions
# met. A profiler is such a hook. It credits the time since the last moment to what has just run.


# %%
class Profile(EngineHook):
    keeps_fused = True  # do not make blocks step by step because we look on

    def __init__(self):
        self.seconds = {}
        self.last = time.perf_counter()

    def credit(self, name):
        now = time.perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self.last
        self.last = now

    def op_ran(self, op, inputs, output, node):
        self.credit(op.name)

    def vjp_ran(self, node, g, contributions):
        self.credit(f"{node.op.name}, back")

    def contributions_met(self, node, contributions, total):
        self.credit("sums at forks")


model = mr.models.cifar_resnet(20, seed=0)
sgd = mr.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def step(batch):
    images = mr.tensor(np.zeros((batch, 3, 32, 32), np.float32) + 0.5)
    labels = mr.tensor(np.arange(batch) % 10)
    sgd.zero_grad()
    ops.cross_entropy(model(images), labels).backward()
    sgd.step()


step(32)  # the first one is slower: memory is fetched, kernels are prepared
profiles = []
for _ in range(3):
    with Profile() as profile:
        step(32)
        profile.credit("optimiser")
    profiles.append(profile.seconds)
seconds = min(profiles, key=lambda each: sum(each.values()))

# %% [markdown]
# **Predict, then run.** ResNet-20, 32 images of $32\times32$. What takes longest: convolutions forward,
# convolutions backward, batch normalisation, or the optimiser?

# %%
total = sum(seconds.values())
rows = sorted(seconds.items(), key=lambda pair: -pair[1])[:8]
figure, ax = plt.subplots()
ax.barh([name for name, _ in rows], [1e3 * value for _, value in rows])
for row, (_, value) in enumerate(rows):
    ax.text(1e3 * value, row, f" {value / total:.0%}", va="center")
ax.invert_yaxis()
ax.set_xlim(right=1.1e3 * rows[0][1])
ax.set(xlabel="milliseconds in one step", title="Where a training step's time goes, on this CPU")
show(figure, "Bars, longest first: milliseconds that each op of a training step took.")
convolution = sum(value for name, value in seconds.items() if "conv2d" in name)
back = sum(v for name, v in seconds.items() if "conv2d" in name and "back" in name)
print(
    f"convolutions, with what is fused to them: {convolution / total:.0%} of {1e3 * total:.0f} ms"
)
print(f"their way back takes {back / (convolution - back):.1f} times as long as their way forward")

# %% [markdown]
# <details><summary>Answer</summary>
#
# As a rule convolutions, and backward more than forward. Backward there are two products instead of one: for the
# gradient of the input, and for that of the weights. (`batch_norm_relu_conv2d` is one op that does three
# steps without writing down what is in between.)
#
# </details>
#
# ## The roofline
#
# Two numbers describe a device: how many operations it does in a second, and how many bytes it moves
# from memory in a second. An op that does $F$ operations (*FLOPs*, two for each MAC) and moves $B$ bytes takes
# at least
#
# $$t \ge \max\left(\frac{F}{\text{operations per second}},\ \frac{B}{\text{bytes per second}}\right).$$
#
# The ratio $F/B$ is its *intensity*. Convolutions have much of it: each value is used in many products.
# ReLU and normalisation have almost none: read a number, do a thing or two, write it. They wait for memory.
# Let us measure the two numbers of this machine, and put some ops beside them, all on one thread.


# %%
def best_of(function, rounds=7):
    function()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


mr.set_num_threads(1)
square, large = mr.randn(1024, 1024), np.ones(2**24, np.float32)
other = np.empty_like(large)
speed = 2 * 1024**3 / best_of(lambda: ops.matmul(square, square))
bandwidth = 2 * large.nbytes / best_of(lambda: np.copyto(other, large))
print(
    f"one thread: {speed / 1e9:.0f} GFLOP/s in a matrix product, {bandwidth / 1e9:.0f} GB/s copying"
)

n, side = 32, 32
x = {c: mr.randn(n, c, side, side) for c in (16, 64)}
w = {(o, c, k): mr.randn(o, c, k, k) for o, c, k in [(16, 16, 3), (64, 64, 3), (16, 64, 1)]}
points = []
with mr.no_grad():
    for (o, c, k), weight in w.items():
        flops = 2 * n * side * side * o * c * k * k
        moved = 4 * (n * c * side * side + o * c * k * k + n * o * side * side)
        took = best_of(lambda c=c, k=k, weight=weight: ops.conv2d(x[c], weight, padding=k // 2))
        points.append((f"{k}x{k} conv, {c} to {o}", flops, moved, took))
    size = 2**24  # 64 MB, so that it does not fit into a cache
    v = mr.ones(size)
    for name, op in [("ReLU", ops.relu), ("times a number", lambda v: 0.5 * v)]:
        points.append((name, size, 8 * size, best_of(lambda op=op: op(v))))

# %%
intensities = np.logspace(-1.3, 3.2, 100)
figure, ax = plt.subplots(figsize=(7.2, 4))
ax.loglog(intensities, np.minimum(speed, intensities * bandwidth) / 1e9, label="roof: at best")
for marker, (name, flops, moved, took) in zip("osD^v", points, strict=True):
    at = (flops / moved, flops / took / 1e9)
    ax.loglog(*at, marker, color="C1", markersize=8, linestyle="none", label=name)
ax.set(xlabel="intensity, operations for each byte", ylabel="thousand million operations / s")
ax.set_title("A roofline of one thread of this machine")
ax.legend(loc="lower right")
show(
    figure,
    "A line that rises and then is flat, and five ops: ReLU and scaling far to the left where the line"
    " rises, convolutions to the right.",
)
for name, flops, moved, took in points:
    least = max(flops / speed, moved / bandwidth)
    bound = "computing" if flops / speed > moved / bandwidth else "memory"
    print(f"{name:20} at best bound by {bound:9}  took {took / least:4.1f} times the least time")

# %% [markdown]
# A point far below the roof is an op that could be faster: its products are small, or its numbers are copied
# around first. A point *above* it would mean that the roof was measured too low, or that numbers came from a
# cache, which is faster than memory.
#
# The same two numbers for a GPU, from a data sheet: NVIDIA's A100 (40 GB) does 19.5 TFLOP/s in float32, and moves
# 1,555 GB/s (NVIDIA, *A100 Tensor Core GPU Architecture*, 2020). What the roofline then says is a
# *lower bound by arithmetic*. Nothing below was measured on a GPU.

# %%
sheet_speed, sheet_bandwidth = 19.5e12, 1.555e12
print(f"where the roof bends: here at {speed / bandwidth:.0f} operations for a byte,", end=" ")
print(f"by the data sheet at {sheet_speed / sheet_bandwidth:.0f}")
for name, flops, moved, _ in points:
    here = max(flops / speed, moved / bandwidth)
    there = max(flops / sheet_speed, moved / sheet_bandwidth)
    print(
        f"{name:20} least time here {1e3 * here:6.3f} ms, by the data sheet {1e3 * there:7.4f} ms"
    )

# %% [markdown]
# ## Why a small network gains little
#
# A GPU runs *behind* Python: an op orders work and returns. Ordering has its price, however small the
# work is. If each piece of work is tiny, the time is the time of ordering. You can see the same on a CPU:
# make the batch small, and the time of a step does not shrink with it.
#
# **Predict, then run.** A step with 1 image instead of 16: will it take a sixteenth of the time?

# %%
batches = (1, 2, 4, 8, 16, 32)
times = [best_of(lambda b=b: step(b), rounds=5) for b in batches]
each, fixed = np.polyfit(batches, times, 1)
figure, ax = plt.subplots()
ax.plot(batches, 1e3 * np.array(times), "o", label="measured")
ax.plot(
    batches, 1e3 * (fixed + each * np.array(batches)), "--", color="C1", label="a line through them"
)
ax.set(xlabel="images in a batch", ylabel="milliseconds for a step", ylim=(0, None))
ax.set_title("A step has a price that does not depend on the batch")
ax.legend()
show(figure, "The time of a step rises along a line that does not begin at zero.")
print(f"fixed price {1e3 * fixed:.1f} ms, and {1e3 * each:.2f} ms for each image")
print(f"one image takes 1/{times[4] / times[0]:.1f} of the time of 16")

# %% [markdown]
# <details><summary>Answer</summary>
#
# No. A part of the time is paid for each op and not for each image: Python, shapes, memory. A GPU makes the
# price of an image far smaller and leaves that of ordering, so it needs larger batches or wider networks. Or one
# records the whole step once, as a *graph*, and starts it with one call: `Trainer(..., graph=True)`.
#
# </details>
#
# And one habit: to *look* at a value (`item()`, `print(loss)`, `if loss > 3`) waits until all ordered work is
# done. A training loop that prints each loss makes a GPU wait in each step. The loop at the top of this
# page keeps losses and looks at the end.
#
# ## Exercises
#
# ### Exercise 1. Intensity of a convolution
#
# N images of C channels and `side` x `side` pixels, O channels out, a square kernel, "same" padding, float32.
# Return operations (two for each MAC) for each byte, if inputs, weights and outputs move once.


# %% tags=["exercise"]
def conv_intensity(n, c, o, side, kernel):
    return ...


check.conv_intensity(conv_intensity)


# %% tags=["solution"]
def conv_intensity(n, c, o, side, kernel):
    weights = o * c * kernel**2
    flops = 2 * n * side**2 * weights
    return flops / (4 * (n * c * side**2 + weights + n * o * side**2))


check.conv_intensity(conv_intensity)


# %% tags=["wrong-answers"]
def takes_macs_for_operations(n, c, o, side, kernel):
    weights = o * c * kernel**2
    return n * side**2 * weights / (4 * (n * c * side**2 + weights + n * o * side**2))


def forgets_the_weights(n, c, o, side, kernel):
    return 2 * n * side**2 * o * c * kernel**2 / (4 * (n * c * side**2 + n * o * side**2))


check.conv_intensity(takes_macs_for_operations)
check.conv_intensity(forgets_the_weights)

# %% [markdown]
# ### Exercise 2. What a faster part gains
#
# A `share` of the time (0 to 1) becomes `factor` times as fast. Return how many times as fast the whole
# becomes. (Amdahl's law.)


# %% tags=["exercise"]
def speed_up(share, factor):
    return ...


check.speed_up(speed_up)


# %% tags=["solution"]
def speed_up(share, factor):
    return 1 / (1 - share + share / factor)


check.speed_up(speed_up)


# %% tags=["wrong-answers"]
def an_average(share, factor):
    return 1 - share + share * factor


def the_part_alone(share, factor):
    return factor


check.speed_up(an_average)
check.speed_up(the_part_alone)

# %% [markdown]
# ### Exercise 3. A step without looking
#
# Compute the loss of a batch (`ops.cross_entropy`) and its gradients, and return the loss, in a way that never
# waits for a GPU. The check runs it on the device `"meta"`, where nothing can be looked at, and then on the CPU.


# %% tags=["exercise"]
def without_looking(model, images, labels):
    return ...


check.without_looking(without_looking)


# %% tags=["solution"]
def without_looking(model, images, labels):
    loss = ops.cross_entropy(model(images), labels)
    loss.backward()
    return loss.detach()


check.without_looking(without_looking)


# %% tags=["wrong-answers"]
def prints_each_loss(model, images, labels):
    loss = ops.cross_entropy(model(images), labels)
    print(f"loss {loss.item():.3f}")
    loss.backward()
    return loss


def asks_whether_it_exploded(model, images, labels):
    loss = ops.cross_entropy(model(images), labels)
    if loss < 100:
        loss.backward()
    return loss


def sums_instead_of_averaging(model, images, labels):
    loss = ops.cross_entropy(model(images), labels, reduction="sum")
    loss.backward()
    return loss


check.without_looking(prints_each_loss)
check.without_looking(asks_whether_it_exploded)
check.without_looking(sums_instead_of_averaging)

# %% [markdown]
# ## Recap
#
# - The device is one word in the program. Results agree up to rounding.
# - Measure before you hurry something: a profiler is a hook of a few lines.
# - The roofline gives the least time from two numbers of a device. Element by element ops wait for memory.
# - Fixed prices for each op do not shrink with the batch. Larger batches, fused ops and recorded steps help.
# - Do not look at values in the loop.
#
# Next: [19. Segmentation and detection](19_segmentation_and_detection.py), a residual network with other heads.
