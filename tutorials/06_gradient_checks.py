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
# # 6. Checking gradients: how to be wrong and notice
#
# **20 minutes** · you need: [1](01_tape.py) to [5](05_batch_norm.py), a few of them
#
# A wrong gradient raises nothing. Training goes on, a little worse, and one blames the learning rate. So
# every gradient is compared with differences of the function. That, too, can be done wrong, in ways that
# always say "right". In this tutorial you
#
# - choose the step of a difference, and see that neither small nor large is good;
# - see how all ones, float32 and kinks fool a check, and what helps;
# - let minires' checker name the mistake.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires.checking.bank import WRONG
from minires.tutorials import show
from minires.tutorials.checks import gradient_checks as check

plt.style.use("minires.tutorials.sheet")
rng = np.random.default_rng(0)

# %% [markdown]
# ## The step
#
# The slope to one side, $(f(x+h) - f(x))/h$, is off by about $h\,|f''|/2$; the slope to both sides,
# $(f(x+h) - f(x-h))/2h$, by about $h^2\,|f'''|/6$. So $h$ should be small. But $f$ is computed with a
# relative rounding of $\epsilon \approx 10^{-16}$, and dividing by $h$ turns that into $\epsilon/h$. So
# $h$ should be large.
#
# **Predict, then run.** Where is the best $h$ for both sides, roughly?
#
# <details><summary>Answer</summary>
#
# Where both errors are alike: $h^2 \approx \epsilon/h$, so $h \approx \epsilon^{1/3} \approx 6 \cdot 10^{-6}$. For one
# side $h \approx \epsilon^{1/2} \approx 10^{-8}$, and the best error is worse. In float32 $\epsilon \approx 10^{-7}$: the
# best that two sides can do is about $10^{-5}$. Check in float64.
#
# </details>

# %%
steps = np.logspace(-14, 0, 113)
exact = np.cos(1.0)
one_side = [abs((np.sin(1 + h) - np.sin(1)) / h - exact) for h in steps]
two_sides = [abs((np.sin(1 + h) - np.sin(1 - h)) / (2 * h) - exact) for h in steps]
one, hs = np.float32(1), steps.astype(np.float32)
single = [abs((np.sin(one + h) - np.sin(one - h)) / (2 * h) - exact) for h in hs]

figure, ax = plt.subplots()
ax.loglog(steps, np.maximum(two_sides, 1e-16), label="two sides, float64")
ax.loglog(steps, np.maximum(one_side, 1e-16), label="one side, float64")
ax.loglog(steps, np.maximum(single, 1e-16), label="two sides, float32")
ax.set(
    xlabel="step h",
    ylabel="error of the slope",
    title="Too small a step is as bad as too large a one",
)
ax.legend()
show(figure, "Three curves shaped like a V: rounding on the left, curvature on the right.")
print(f"two sides, best h {steps[np.argmin(two_sides)]:.0e}, error {min(two_sides):.0e}")
print(f"one side,  best h {steps[np.argmin(one_side)]:.0e}, error {min(one_side):.0e}")
print(f"float32,   best h {hs[np.argmin(single)]:.0e}, error {min(single):.0e}")

# %% [markdown]
# ## A check in ten lines
#
# An op has many outputs. A VJP turns one incoming gradient $c$ (the *cotangent*) into gradients of the
# inputs. So weigh the outputs by $c$, and differentiate that single number.


# %%
def check_by_hand(forward, vjp, x, cotangent, h=6e-6):
    numeric = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = h
        numeric[place] = ((forward(x + step) - forward(x - step)) * cotangent).sum() / (2 * h)
    return np.allclose(vjp(cotangent, x), numeric, rtol=1e-6, atol=1e-8)


x = rng.standard_normal((3, 4))
print(
    check_by_hand(np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2), x, rng.standard_normal((3, 4)))
)

# %% [markdown]
# ## The cotangent: never all ones
#
# `f(x).sum().backward()` is what everybody types first, and it means a cotangent of all ones. A softmax's
# outputs sum to one, a normalisation's to zero: under all ones their right gradient is *zero*.
#
# **Predict, then run.** minires keeps a bank of mistakes that people really make. Through how many of them
# does a check with all ones let the wrong gradient pass?


# %%
def copies(arrays):
    return [array.copy() for array in arrays]


def slope_at(case, number, place, cotangent, h=6e-6):
    sides = []
    for step in (h, -h):
        inputs = copies(case.inputs)
        inputs[number][place] += step
        sides.append((case.forward(*inputs) * cotangent).sum())
    return (sides[0] - sides[1]) / (2 * h)


def passes(case, cotangent):
    gradients = case.vjp(cotangent.copy(), *copies(case.inputs))
    for number, (gradient, x) in enumerate(zip(gradients, case.inputs, strict=True)):
        numeric = [slope_at(case, number, place, cotangent) for place in np.ndindex(x.shape)]
        if np.shape(gradient) != x.shape or not np.allclose(
            np.ravel(gradient), numeric, 1e-5, 1e-6
        ):
            return False
    return True


fooled, tried = {"all ones": [], "random": []}, 0
for solution in WRONG:
    case = solution.case(seed=0)
    y = case.forward(*copies(case.inputs))
    if isinstance(y, tuple):
        continue  # several outputs
    tried += 1
    for name, cotangent in [
        ("all ones", np.ones(y.shape)),
        ("random", rng.standard_normal(y.shape)),
    ]:
        try:
            if passes(case, cotangent):
                fooled[name].append(solution.title)
        except (TypeError, ValueError):
            pass  # it raises: any check notices
for name, passed in fooled.items():
    print(f"{name}: {len(passed)} of {tried} wrong gradients pass")
for title in sorted(set(fooled["all ones"]) - set(fooled["random"])):
    print("  only with all ones:", title)

# %% [markdown]
# <details><summary>Answer</summary>
#
# The numbers are above. Many of those that only all ones let pass are normalisations: their outputs always
# have the same sum, so a cotangent of ones sees nothing of their gradient. Others exchange what comes from
# different outputs, such as a batch that was reversed: where all cotangents are equal, that does not show. minires' own checker was
# measured [on the whole bank](../docs/gradient-checks-measured.md).
#
# </details>
#
# ## Kinks
#
# A ReLU has no derivative at 0. If a step crosses the kink, the difference is the mean of two slopes, and a right
# gradient looks wrong. With many inputs some are always near. Loosening the tolerance hides real
# mistakes; leaving the kinks out, and saying so, does not.

# %%
near = np.array([-1.0, -1e-7, 0.0, 1e-7, 2.0])
h = 6e-6
slopes = (np.maximum(near + h, 0) - np.maximum(near - h, 0)) / (2 * h)
figure, ax = plt.subplots()
line = np.linspace(-2, 2, 101)
ax.plot(line * 1e-5, np.where(line > 0, 1.0, 0.0), label="the gradient that ReLU has")
ax.plot(line * 1e-5, np.clip((line * 1e-5 + h) / (2 * h), 0, 1), label="what differences say")
ax.set(xlabel="x", ylabel="slope", title=f"Differences with h = {h:g} around the kink")
ax.legend()
show(figure, "A step at zero, and a ramp: within h of the kink differences are between 0 and 1.")
report = mr.gradcheck(mr.ops.relu, near)
print("minires:", report.status, "- left out as kinks:", report.inputs[0].excluded)

# %% [markdown]
# ## What does the mistake look like?
#
# "Wrong" is a poor answer. The pattern of a disagreement often tells the mistake: a constant ratio, a
# transposition, a missing sum. The checker looks for these:


# %%
def linear(x, w):
    return x @ w


def careless(g, x, w):
    return g @ w.T, (x.T @ g) / len(x)  # averages over the batch


report = mr.gradcheck(
    (linear, careless), [rng.standard_normal((4, 3)), rng.standard_normal((3, 2))]
)
print(report.explain())


# %%
def conv(x, w):
    return mr.ops.conv2d(x, w)


def not_turned(g, x, w):
    # The input's gradient correlates g with the kernel; here nobody turned it.
    pad = w.shape[-1] - 1
    wide = np.pad(g, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    return mr.ops.conv2d(wide, w.transpose(1, 0, 2, 3)), mr.ops.conv2d(
        x.transpose(1, 0, 2, 3), g.transpose(1, 0, 2, 3)
    ).transpose(1, 0, 2, 3)


report = mr.gradcheck(
    (conv, not_turned), [rng.standard_normal((1, 1, 5, 5)), rng.standard_normal((1, 1, 3, 3))]
)
print(report.explain().split("\n\n")[2])

# %% [markdown]
# ## Exercises
#
# ### Exercise 1. Write a checker
#
# Return True if `vjp(g, x)` is the gradient of `forward(x)`, else False. You may call both as often as you
# like. The check gives your checker right gradients, and wrong ones of the kinds above.


# %% tags=["exercise"]
def is_right(forward, vjp, x):
    return ...


check.is_right(is_right)


# %% tags=["solution"]
def is_right(forward, vjp, x):
    cotangent = np.random.default_rng(1).standard_normal(forward(x).shape)
    return check_by_hand(forward, vjp, x, cotangent)


check.is_right(is_right)


# %% tags=["wrong-answers"]
def with_all_ones(forward, vjp, x):
    return check_by_hand(forward, vjp, x, np.ones(forward(x).shape))


def with_a_tiny_step(forward, vjp, x):
    cotangent = np.random.default_rng(1).standard_normal(forward(x).shape)
    return check_by_hand(forward, vjp, x, cotangent, h=1e-13)


def generous(forward, vjp, x):
    cotangent = np.random.default_rng(1).standard_normal(forward(x).shape)
    return np.allclose(vjp(cotangent, x), vjp(cotangent, x + 1e-3), rtol=0.1)


check.is_right(with_all_ones)
check.is_right(with_a_tiny_step)
check.is_right(generous)

# %% [markdown]
# ### Exercise 2. Find an input that gives it away
#
# This gradient of `abs` is wrong, and most inputs do not show it. Return an array `x` at which
# `mr.gradcheck` says that it is wrong.


# %%
def wrong_abs(g, x):
    return g * np.where(x > -3, np.sign(x), 1.0)


# %% tags=["exercise"]
x = ...

check.gives_away(x)

# %% tags=["solution"]
x = np.linspace(-5, 5, 10)

check.gives_away(x)

# %% tags=["wrong-answers"]
check.gives_away(np.array([0.5, 1.0, 2.0]))
check.gives_away(np.array([-1.0, -2.0]))
check.gives_away(np.array([0.0]))

# %% [markdown]
# ## Recap
#
# - Two sides, $h \approx 6 \cdot 10^{-6}$, float64.
# - A random cotangent: all ones hide exactly the gradients that are hard.
# - Kinks are left out and counted, not tolerated.
# - A check at a few inputs is a check of these inputs. Draw several, with all sizes different.
# - `mr.gradcheck` does this, and says what a mistake looks like.
#
# Next: [7. Vanishing and exploding gradients](07_vanishing_gradients.py).
