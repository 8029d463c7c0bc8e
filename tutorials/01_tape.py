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
# # 1. A value, its gradient, and the tape
#
# **20 minutes** · you need: Python, and the derivative of a product
#
# A framework for deep learning does one thing that Python does not: it remembers how a number was
# computed, and walks back along that memory. In this tutorial you
#
# - compute a gradient by hand, and check it with differences;
# - write the memory, the *tape*, in thirty lines;
# - see the classic wrong answer, which appears as soon as a value is used twice, and why the order of
#   the walk decides it. A residual network uses the input of each block twice: this is where its
#   story begins.

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires as mr
from minires.tutorials import show
from minires.tutorials.checks import tape as check

plt.style.use("minires.tutorials.sheet")

# %% [markdown]
# ## A gradient by hand
#
# Take $y = x^2 + 3x$. The *gradient* of $y$ with respect to $x$ says how fast $y$ changes when $x$
# does: $\mathrm{d}y/\mathrm{d}x = 2x + 3$. Whoever does not trust the formula takes a small step $h$
# to both sides and measures the slope:
#
# $$\frac{\mathrm{d}y}{\mathrm{d}x} \approx \frac{y(x+h) - y(x-h)}{2h}.$$


# %%
def y(x):
    return x * x + 3 * x


x, h = 2.0, 1e-5
slope = (y(x + h) - y(x - h)) / (2 * h)
print(f"by formula {2 * x + 3}, by differences {slope:.9f}")

# %%
xs = np.linspace(-1, 4, 100)
figure, ax = plt.subplots()
ax.plot(xs, y(xs), label="y = x² + 3x")
ax.plot(xs, y(x) + slope * (xs - x), label="the line with the measured slope")
ax.plot([x], [y(x)], "ko")
ax.set(xlabel="x", ylabel="y", title="A gradient is a slope")
ax.legend()
show(figure, "A parabola, and a straight line that touches it at x = 2.")

# %% [markdown]
# ## Steps, and what each of them knows
#
# A network is far too long for one formula. But it is made of small steps, and of each step we know
# the slope. Write the same computation in steps:
#
# $$a = x \cdot x, \qquad b = 3 \cdot x, \qquad y = a + b.$$
#
# Now go *backwards*. Let $\bar v$ be the gradient of $y$ with respect to the value $v$, so that
# $\bar y = 1$. Each step turns the gradient of what it returned into gradients of what it was given.
# That is its *vector-Jacobian product*, its VJP:
#
# | step | what it sends back |
# |---|---|
# | $y = a + b$ | to $a$: $\bar y$; to $b$: $\bar y$ |
# | $b = 3 \cdot x$ | to $x$: $3\,\bar b$ |
# | $a = x \cdot x$ | to its first $x$: $x\,\bar a$; to its second $x$: $x\,\bar a$ |
#
# Three *contributions* arrive at $x$, for $x$ is used three times. Its gradient is their **sum**:
# $3 + x + x = 2x + 3$. Remember that sum; most of these tutorials are about the one at the input of a block.

# %%
x = 2.0
a, b = x * x, 3 * x
grad_y = 1.0
grad_a, grad_b = grad_y, grad_y
contributions = [3 * grad_b, x * grad_a, x * grad_a]
print("contributions at x:", contributions, "and their sum:", sum(contributions))

# %% [markdown]
# ## The tape in thirty lines
#
# A `Value` holds a number, and remembers which values it was made of and how to send a gradient back
# to each of them.


# %%
class Value:
    def __init__(self, data, made_of=()):
        self.data = data
        self.grad = 0.0
        self.made_of = made_of  # pairs: a value, and what to multiply a gradient by for it

    def __add__(self, other):
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        return Value(self.data * other.data, [(self, other.data), (other, self.data)])


# %% [markdown]
# The walk back looks easy: begin at the result, hand the gradient on to what it was made of, and let
# these do the same.
#
# **Predict, then run.** It should say 7. What does it say, and why?


# %%
def backward_at_once(value, gradient=1.0):
    value.grad = gradient
    for parent, factor in value.made_of:
        backward_at_once(parent, gradient * factor)


x = Value(2.0)
backward_at_once(x * x + Value(3.0) * x)
print("the gradient says", x.grad)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Each contribution *replaced* the one before it: what remains is the last one that arrived, the 3 of
# $3 \cdot x$. A gradient must be **added** to what has arrived already. This is the first half of the
# classic wrong answer.
#
# </details>
#
# ## The second half
#
# So we add. And to hand on, a value uses what it has gathered so far:


# %%
def backward_too_early(value):
    for parent, factor in value.made_of:
        parent.grad += value.grad * factor
        backward_too_early(parent)


def gradient_of(function, walk, at=2.0):
    x = Value(at)
    result = function(x)
    result.grad = 1.0
    walk(result)
    return x.grad


print("x² + 3x: ", gradient_of(lambda x: x * x + Value(3.0) * x, backward_too_early))

# %% [markdown]
# Right! So let us try it on something with a value *inside* that is used twice, as $a$ is here:
#
# $$a = x \cdot x, \qquad y = a + a = 2x^2, \qquad \mathrm{d}y/\mathrm{d}x = 4x.$$
#
# **Predict, then run.** At $x = 2$ the gradient is 8. What will the walk say?


# %%
def reused(x):
    a = x * x
    return a + a


print("2x²:     ", gradient_of(reused, backward_too_early))

# %% [markdown]
# <details><summary>Answer</summary>
#
# It says 12. When the first contribution reached $a$, its gradient was 1, and $a$ handed 1 on at once: 4 arrived
# at $x$. Then the second contribution came, the gradient of $a$ rose to 2, and $a$ handed 2 on, *with the
# first one in it again*: 8 more. A value must hand on **once**, when **all** contributions have arrived.
#
# </details>
#
# ## Why the order matters
#
# A value's gradient is complete when everything that was made of it has had its turn. An order in which
# each value comes after all that it is made of is a *topological order*, and the walk back takes it in
# reverse. There is a free one: values cannot be used before they exist, so the order of creation is
# always one. Or one walks the graph once:


# %%
def in_order(value, seen=None):
    """All values that `value` depends on, each after all that it is made of."""
    seen = set() if seen is None else seen
    order = []
    if id(value) not in seen:
        seen.add(id(value))
        for parent, _ in value.made_of:
            order += in_order(parent, seen)
        order.append(value)
    return order


def backward(value):
    for each in reversed(in_order(value)):
        for parent, factor in each.made_of:
            parent.grad += each.grad * factor


for name, function, right in [
    ("x² + 3x", lambda x: x * x + Value(3.0) * x, 7.0),
    ("2x²", reused, 8.0),
]:
    early, ordered = gradient_of(function, backward_too_early), gradient_of(function, backward)
    print(f"{name:8} right {right:4}   too early {early:4}   in order {ordered:4}")

# %% [markdown]
# How wrong does the early walk get? Let each value be used twice, $L$ times in a row: that is the
# shape of a residual network, where the input of each block goes through the block *and* around it.


# %%
def chain(x, length):
    for _ in range(length):
        x = x + x
    return x


lengths = range(1, 11)
right = [gradient_of(lambda x, n=n: chain(x, n), backward) for n in lengths]
early = [gradient_of(lambda x, n=n: chain(x, n), backward_too_early) for n in lengths]
figure, ax = plt.subplots()
ax.semilogy(lengths, right, marker="o", label="in order: $2^L$")
ax.semilogy(lengths, early, marker="s", label="too early")
ax.set(xlabel="L, how many times a value is used twice", ylabel="gradient of x")
ax.set_title("A walk in the wrong order counts contributions again and again")
ax.legend()
show(figure, "On a logarithmic axis the wrong gradient rises faster with depth than the right one.")
print(f"at L = 10: right {right[-1]:.0f}, too early {early[-1]:.0f}")

# %% [markdown]
# ## The same in minires
#
# A `Tensor` is a `Value` with an array in it, and `backward()` is the ordered walk; it is written
# without recursion, so that thousands of blocks are no trouble. It is one file to read:
# `minires/autograd/tape.py`.

# %%
x = mr.tensor(2.0, requires_grad=True)
with mr.trace.record() as trace:
    a = x * x
    (a + a).backward()
print("minires:", x.grad.item())
for fork in trace.forks():
    parts = " + ".join(f"{part.norm:g}" for part in fork.parts)
    print(f"{fork.name}: contributions {parts} = {fork.norm:g}, {fork.verdict}")

# %% [markdown]
# The trace shows each *fork*, a value that was used more than once, with the contributions that met
# there. `exact` says that they add up, to the last bit, to the gradient that was handed on.
#
# ## Exercises
#
# Write your answer where the dots are, and run the cell. Solutions are folded in below each.
#
# ### Exercise 1. One more step
#
# Give the tape a new step, $\tanh$. Its derivative is $1 - \tanh^2$. Return a `Value` made of one value.
# The check compares with minires' own gradient.


# %% tags=["exercise"]
def tanh(value):
    return ...


check.tanh(tanh)


# %% tags=["solution"]
def tanh(value):
    t = np.tanh(value.data)
    return Value(t, [(value, 1 - t * t)])


check.tanh(tanh)


# %% tags=["wrong-answers"]
def derivative_of_the_argument(value):
    return Value(np.tanh(value.data), [(value, 1 - value.data**2)])


def forgets_what_it_is_made_of(value):
    return Value(np.tanh(value.data))


check.tanh(derivative_of_the_argument)
check.tanh(forgets_what_it_is_made_of)

# %% [markdown]
# ### Exercise 2. What arrives at a value
#
# `uses` is a list of pairs, one for each use of a value: the gradient of what the use returned, and
# the factor of that use. Return the gradient of the value.


# %% tags=["exercise"]
def gather(uses):
    return ...


check.gather(gather)


# %% tags=["solution"]
def gather(uses):
    return sum(gradient * factor for gradient, factor in uses)


check.gather(gather)


# %% tags=["wrong-answers"]
def takes_the_last(uses):
    return uses[-1][0] * uses[-1][1]


def averages(uses):
    return sum(gradient * factor for gradient, factor in uses) / len(uses)


check.gather(takes_the_last)
check.gather(averages)

# %% [markdown]
# ### Exercise 3. An order that works
#
# The graph is a dictionary that says of each name what it is made of. Return a list of all names in
# which each one comes *before* everything that it is made of, so that a backward walk may follow it.


# %% tags=["exercise"]
def backward_order(made_of):
    return ...


check.backward_order(backward_order)


# %% tags=["solution"]
def backward_order(made_of):
    waiting = dict.fromkeys(made_of, 0)  # how many uses have not had their turn
    for parents in made_of.values():
        for parent in parents:
            waiting[parent] += 1
    ready, order = [name for name, uses in waiting.items() if uses == 0], []
    for name in ready:  # which grows meanwhile
        order.append(name)
        for parent in made_of[name]:
            waiting[parent] -= 1
            if waiting[parent] == 0:
                ready.append(parent)
    return order


check.backward_order(backward_order)


# %% tags=["wrong-answers"]
def as_first_met(made_of):
    order = ["y"]
    for name in order:
        order += [parent for parent in dict.fromkeys(made_of[name]) if parent not in order]
    return order


def in_order_of_creation(made_of):
    return list(made_of)


check.backward_order(as_first_met)
check.backward_order(in_order_of_creation)

# %% [markdown]
# ## Recap
#
# - A step knows how to send a gradient back to what it was given: its VJP.
# - Contributions that meet at a value are **added**.
# - A value hands on **once**, when all of them are there: that is why the walk takes a topological
#   order in reverse.
# - Where a value is used twice the gradient has two roads. A residual shortcut is such a second road.
#
# Next: [2. Broadcasting](02_broadcasting.py), where the values become arrays.
