"""A whole training step on the fake: pure, in the device's memory order, within its launches."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from minires.devices.cuda.layout import is_laid_out, order_of
from tests.devices.cuda import fake

# One with a convolution in it, and one without; the others at times.
SHORTCUTS = ["A", "B", *[pytest.param(s, marks=pytest.mark.long) for s in ("C", None)]]


def batch(count=4, size=8):
    rng = np.random.default_rng(3)
    images = rng.standard_normal((count, 3, size, size)).astype("float32")
    return images, rng.integers(0, 10, count)


def trained(device, make, steps=3, optimizer=mr.optim.SGD, look=None, **options):
    """Train on one batch; return the model and the losses, read when all steps are done."""
    mr.manual_seed(0)
    model = make().to(device)
    optimiser = optimizer(model.parameters(), **{"lr": 0.1, **options})
    images, labels = (mr.tensor(part, device=device) for part in batch())
    losses = []
    for _ in range(steps):
        with look() if look else mr.enable_grad():
            loss = mr.ops.cross_entropy(model(images), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        losses.append(loss)
    return model, [loss.item() for loss in losses]


def small(shortcut="A", depth=8):
    return lambda: mr.models.cifar_resnet(depth, shortcut=shortcut, width=4)


@pytest.fixture
def cuda():
    with fake.installed() as device:
        yield device


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_a_training_step_copies_nothing_and_computes_what_the_cpu_does(cuda, shortcut):
    _, expected = trained("cpu", small(shortcut))
    with fake.counting() as counts, fake.strict():
        model, losses = trained(cuda, small(shortcut), look=fake.strict)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    # What was copied are the losses, as they were asked for.
    assert len(counts.downloads) == len(losses), counts.downloads
    host = len(list(model.parameters())) + len(list(model.buffers())) + 2
    assert len(counts.uploads) <= host, counts.uploads


def op_makes_view(what):
    return what in mr.autograd.registry and mr.autograd.registry[what].is_view


class Layouts(mr.autograd.EngineHook):
    """Collects images, and gradients of images, that are not in the device's memory order."""

    keeps_fused = True

    def __init__(self):
        self.seen, self.wrong = 0, []

    def op_ran(self, op, inputs, output, node):
        self._look(op.name, output._data)

    def vjp_ran(self, node, g, contributions):
        is_weight = [parent is not None and parent.op is None for parent in node.parents]
        for gradient, weight in zip(contributions, is_weight, strict=True):
            if gradient is not None and not weight:
                self._look(f"the gradient of {node.name}", gradient)

    def _look(self, what, array):
        # A view that repeats values has them at no places of their own.
        if array.ndim == 4 and 0 not in array.strides:
            self.seen += 1
            is_view = op_makes_view(what)
            laid_out = order_of(array) == (1, 0, 2, 3) if is_view else is_laid_out(array)
            if not laid_out:
                self.wrong.append(f"{what}: shape {array.shape}, strides {array.strides}")


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_every_activation_has_the_devices_memory_order(cuda, shortcut, fused):
    layouts = Layouts()
    layouts.keeps_fused = fused
    trained(cuda, small(shortcut), steps=1, look=lambda: layouts)
    assert not layouts.wrong, "\n".join(layouts.wrong)
    assert layouts.seen > 20


def launches(depth):
    images, labels = batch()
    mr.manual_seed(0)
    model = mr.models.cifar_resnet(depth, width=2).to("cuda")
    optimizer = mr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    images, labels = mr.tensor(images, device="cuda"), mr.tensor(labels, device="cuda")
    counted = []
    for _ in range(2):
        with fake.counting() as counts, fake.strict():
            loss = mr.ops.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert not counts.uploads
        assert not counts.downloads
        counted.append(len(counts.launches))
    return counted[-1]


@pytest.mark.usefixtures("cuda")
def test_a_step_launches_no_more_than_twelve_kernels_for_each_convolution():
    # A convolution has six (the first of a network four), its batch norm five, a fork one.
    assert launches(20) <= 12 * 19 + 20
    assert launches(32) - launches(20) <= 12 * 12
