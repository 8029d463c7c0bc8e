"""What a training step does with memory: its order, its reuse, and nothing that grows."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

import minires as mr
from minires.devices import buffers


def setting(depth=8, batch=64, size=32, shortcut="A"):
    """A model, an optimiser, and images large enough for the kernels' own buffers."""
    model = mr.models.cifar_resnet(depth, shortcut=shortcut, width=8, seed=0)
    optimizer = mr.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    rng = np.random.default_rng(0)
    images = mr.tensor(rng.standard_normal((batch, 3, size, size)).astype("float32"))
    return model, optimizer, images, mr.tensor(rng.integers(0, 10, batch))


def step(model, optimizer, images, labels):
    optimizer.zero_grad()
    loss = mr.ops.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


class Layouts(mr.autograd.EngineHook):
    """Which images came by that were not dense channels-last.

    Slices and what is broadcast are views: they cannot be dense, but must keep the order.
    """

    views = ("pad", "getitem", "mean")

    def __init__(self, keeps_fused: bool) -> None:
        self.keeps_fused = keeps_fused
        self.odd: list[str] = []
        self.count = 0

    def look(self, array, maker, what):
        if getattr(array, "ndim", 0) != 4:
            return
        self.count += 1
        if maker in self.views:
            steps = [step for step in array.strides if step]
            kept = array.strides[1] == min(steps)
        else:
            kept = array.transpose(0, 2, 3, 1).flags.c_contiguous
        if not kept:
            self.odd.append(f"{what} {maker} {array.shape} {array.strides}")

    def op_ran(self, op, inputs, output, node):
        self.look(output._data, op.name, "output of")

    def contributions_met(self, node, contributions, total):
        if len(contributions) > 1 and node.op is not None:
            self.look(total, "", "sum of contributions")

    def vjp_ran(self, node, g, contributions):
        for parent, contribution in zip(node.parents, contributions, strict=True):
            if parent is not None and parent.op is not None:
                self.look(contribution, node.name, "contribution of")


@pytest.mark.parametrize("keeps_fused", [True, False])
@pytest.mark.parametrize("shortcut", ["A", "B", "C", None])
def test_every_activation_and_gradient_is_dense_channels_last(shortcut, keeps_fused):
    model, _, images, labels = setting(shortcut=shortcut)
    with Layouts(keeps_fused) as seen:
        mr.ops.cross_entropy(model(images), labels).backward()
    assert seen.count > 20
    assert seen.odd == []


def test_a_third_step_asks_for_little_new_memory():
    """What a step computes lives in buffers of the step before; only small things are new."""
    run = setting()
    step(*run)
    step(*run)
    lent = buffers.pool.lent
    tracemalloc.start()
    try:
        step(*run)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert buffers.pool.lent == lent
    activation = 64 * 8 * 32 * 32 * 4
    assert peak < 6 * activation  # a step handles some forty of them


def test_memory_stays_as_it_is_over_many_steps():
    run = setting(batch=32, size=16)
    for _ in range(3):
        step(*run)
    gc.collect()
    before = buffers.pool.lent, buffers.pool.free
    for _ in range(20):
        step(*run)
    assert (buffers.pool.lent, buffers.pool.free) == before


def test_what_is_held_keeps_its_values_through_backward_and_the_next_step():
    """Every intermediate, as Tensor, array, view and NumPy array, held by an onlooker."""

    class Holder(mr.autograd.EngineHook):
        keeps_fused = True

        def __init__(self) -> None:
            self.held: list[tuple[np.ndarray, np.ndarray]] = []

        def keep(self, array):
            self.held.append((array, array.copy()))

        def op_ran(self, op, inputs, output, node):
            kinds = (lambda t: t.detach()._data, lambda t: t.numpy(), lambda t: t.numpy()[..., ::2])
            self.keep(kinds[len(self.held) % 3](output) if output.ndim else output._data)

        def vjp_ran(self, node, g, contributions):
            # Gradients belong to the engine: to be kept they must be copied. Views are no copies.
            self.keep(g[..., ::2] if g.ndim else g)

    model, optimizer, images, labels = setting()
    with Holder() as holder:
        optimizer.zero_grad()
        mr.ops.cross_entropy(model(images), labels).backward()
    optimizer.step()
    for _ in range(2):
        step(model, optimizer, images, labels)
    assert len(holder.held) > 30
    for array, values in holder.held:
        np.testing.assert_array_equal(array, values)


def test_a_step_is_the_same_to_the_bit_again_and_under_a_hook():
    class Silent(mr.autograd.EngineHook):
        """Looks on, so that blocks are spelled out, and does nothing."""

    def losses(hooks):
        run = setting()
        found = []
        for _ in range(3):
            if hooks:
                with Silent():
                    found.append(step(*run))
            else:
                found.append(step(*run))
        return found, [p.numpy().tobytes() for p in run[0].parameters()]

    assert losses(hooks=False) == losses(hooks=False) == losses(hooks=True)
