"""Whole steps as graphs, and steps that run ahead of Python: the same as one by one."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.autograd import EngineHook
from minires.checking.op_cases.collectives import Mirrored
from minires.devices.cuda.graph import CaptureError
from minires.training import Callback, CapturedStep, Ledger, Trainer
from tests.devices.cuda import fake
from tests.devices.cuda.fake.graphs import DiedError

Batch = tuple[mr.Tensor, mr.Tensor]


def network(device: Any = "cpu") -> mr.nn.Module:
    return mr.models.cifar_resnet(8, width=2, in_channels=1, seed=0).to(device)


def small(device: Any = "cpu") -> mr.nn.Module:
    """A network that is quickly trained, and has running statistics."""
    mr.manual_seed(0)
    layers = mr.nn.Conv2d(1, 2, 3), mr.nn.BatchNorm2d(2), mr.nn.ReLU(), mr.nn.Flatten()
    return mr.nn.Sequential(*layers, mr.nn.Linear(72, 10)).to(device)


def batches(count: int = 4, size: int = 5, last: int = 5) -> list[Batch]:
    rng = np.random.default_rng(0)
    sizes = [size] * (count - 1) + [last]
    return [
        (
            mr.tensor(rng.standard_normal((n, 1, 8, 8)).astype(np.float32)),
            mr.tensor(rng.integers(0, 10, n)),
        )
        for n in sizes
    ]


def optimizer_of(model: mr.nn.Module, kind: str = "SGD") -> Any:
    options = {"momentum": 0.9} if kind == "SGD" else {}
    return getattr(mr.optim, kind)(model.parameters(), lr=0.05, weight_decay=1e-3, **options)


def trainer_of(model: mr.nn.Module, kind: str = "SGD", **options: Any) -> Trainer:
    optimizer = optimizer_of(model, kind)
    decay = mr.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2], gamma=0.5)
    return Trainer(model, optimizer, decay, **options)


def captured(trainer: Trainer) -> CapturedStep:
    step: Any = trainer._steps.step  # type: ignore[union-attr]
    assert isinstance(step, CapturedStep)
    return step


def state_of(model: mr.nn.Module) -> dict[str, Any]:
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def assert_same(one: mr.nn.Module, other: mr.nn.Module) -> None:
    theirs = state_of(other)
    for name, values in state_of(one).items():
        np.testing.assert_array_equal(values, theirs[name], err_msg=name)


@pytest.mark.parametrize(("kind", "make"), [("SGD", network), ("Adam", small)])
def test_replayed_steps_are_the_eager_ones_to_the_bit_while_the_rate_decays(
    device: Any, kind: str, make: Any
) -> None:
    eager = trainer_of(make(device), kind)
    graphed = trainer_of(make(device), kind, graph=True)

    expected = eager.fit(batches(last=3), 3)
    found = graphed.fit(batches(last=3), 3)

    assert captured(graphed).is_captured
    assert found.loss == expected.loss
    assert found.epoch_error == expected.epoch_error
    assert found.learning_rate == [0.05, 0.025, 0.0125]
    # Batch normalisation's running statistics and counts of batches are among them.
    assert_same(graphed.model, eager.model)


@pytest.mark.long
def test_the_sources_of_the_kernels_are_replayed_as_their_plain_versions_are() -> None:
    losses = []
    with fake.installed("host") as device:
        for graph in (False, True):
            trainer = trainer_of(network(device), graph=graph)
            losses.append(trainer.fit(batches(last=3), 2).loss)

    assert losses[0] == losses[1]


def test_a_replayed_step_is_few_launches_and_no_transfer(device: Any) -> None:
    trainer = trainer_of(small(device), graph=True)
    trainer.fit(batches(), 1)
    images, labels = (tensor.to(device) for tensor in batches()[0])
    captured(trainer)(images, labels)  # which learns the rate that the scheduler set

    with fake.counting() as counts, fake.strict():
        captured(trainer)(images, labels)

    assert counts.launches == ["setitem", "setitem", "graph"]
    assert counts.uploads == counts.downloads == []


def test_an_epoch_ahead_of_python_is_read_once(device: Any) -> None:
    data = [tuple(tensor.to(device) for tensor in batch) for batch in batches()]
    trainer = trainer_of(small(device))

    with fake.counting() as counts, fake.strict():
        history = trainer.fit(data, 1)
        evaluation = trainer.evaluate(data)

    assert len(history.loss) == 4
    assert evaluation.images == 20
    assert len(counts.downloads) == 2


def test_a_gpu_ahead_of_python_measures_what_the_cpu_does(device: Any) -> None:
    there, here = trainer_of(small(device)), trainer_of(small())

    found, expected = there.fit(batches(), 2), here.fit(batches(), 2)

    assert found.loss == pytest.approx(expected.loss, rel=1e-4)
    assert found.epoch_error == expected.epoch_error
    assert there.evaluate(batches()).error == here.evaluate(batches()).error


def test_gradients_can_be_looked_at_after_a_replay(device: Any) -> None:
    eager, graphed = trainer_of(small(device)), trainer_of(small(device), graph=True)
    # The last replay comes after a batch whose size makes it an eager one.
    for trainer in (eager, graphed):
        trainer.fit([*batches(last=3), *batches(1)], 2)

    for ours, theirs in zip(graphed.model.parameters(), eager.model.parameters(), strict=True):
        np.testing.assert_array_equal(ours.grad.numpy(), theirs.grad.numpy())


def test_a_batch_of_another_size_is_trained_on_eagerly_and_the_graph_goes_on(device: Any) -> None:
    trainer = trainer_of(small(device), graph=True)
    trainer.fit(batches(last=3), 1)
    graph = captured(trainer)._graph

    trainer.fit(batches(last=3), 2)

    assert captured(trainer)._graph is graph is not None


CHANGES = {
    "a parameter replaced": lambda t: setattr(t.model[4].bias, "data", t.model[4].bias.data * 2),
    "another dtype": lambda t: (
        t.model.to("float64"),
        t.optimizer.load_state_dict(t.optimizer.state_dict()),
    ),
    "a parameter frozen": lambda t: t.model[0].weight.requires_grad_(False),
    "another momentum": lambda t: t.optimizer.param_groups[0].update(momentum=0.5),
    "a state emptied": lambda t: t.optimizer.state.clear(),
    "a group replaced": lambda t: t.optimizer.param_groups.insert(
        0, dict(t.optimizer.param_groups.pop(), lr=0.5)
    ),
    "a state loaded": lambda t: t.optimizer.load_state_dict(t.optimizer.state_dict()),
    "a part in evaluation mode": lambda t: t.model[1].eval(),
    "forgotten": lambda t: t._steps.step.forget() if t.graph else None,
}


class Once(Callback):
    """Changes something after the first step that it sees."""

    def __init__(self, change: Any) -> None:
        self.change = change

    def on_step(self, trainer: Trainer, step: int) -> None:
        change, self.change = self.change, lambda trainer: None
        change(trainer)


# Some are enough to know in every run that changes are looked for.
FIRST = ("a parameter replaced", "another momentum", "a state loaded")


@pytest.mark.parametrize(
    "change",
    [pytest.param(c, marks=() if c in FIRST else pytest.mark.long) for c in CHANGES],
)
def test_a_changed_model_or_optimizer_is_captured_anew(device: Any, change: str) -> None:
    dtypes = ["float32"] + ["float64" if change == "another dtype" else "float32"] * 4
    trainers = [trainer_of(small(device)), trainer_of(small(device), graph=True)]
    for trainer in trainers:
        trainer.fit(batches(), 1)
        trainer.callbacks.append(Once(CHANGES[change]))
    graph = captured(trainers[1])._graph

    for trainer in trainers:
        pairs = zip(batches(5), dtypes, strict=True)
        trainer.fit([(images.to(dtype), labels) for (images, labels), dtype in pairs], 1)

    assert captured(trainers[1])._graph is not graph
    assert captured(trainers[1]).is_captured
    assert trainers[0].history.loss == trainers[1].history.loss
    assert_same(*(trainer.model for trainer in trainers))


def test_who_looks_on_sees_every_op_although_there_is_a_graph(device: Any) -> None:
    class Count(EngineHook):
        ops = 0

        def op_ran(self, *args: Any) -> None:
            self.ops += 1

    trainer = trainer_of(small(device), graph=True)
    trainer.fit(batches(), 1)
    graph = captured(trainer)._graph

    with Count() as count:
        trainer.fit(batches(), 1)
    assert count.ops >= 4 * 6
    assert captured(trainer)._graph is graph


def test_a_look_inside_the_step_is_named_and_ends_the_capture(device: Any) -> None:
    def curious(logits: mr.Tensor, labels: mr.Tensor) -> mr.Tensor:
        loss = mr.ops.cross_entropy(logits, labels)
        assert loss.item() > 0
        return loss

    trainer = trainer_of(small(device), graph=True, loss=curious)

    with pytest.raises(CaptureError, match="cannot be captured") as caught:
        trainer.fit(batches(), 1)

    # The user's own line comes first, and then what it led to.
    place = (
        r"done at \S*test_graph\.py:\d+ \(assert loss\.item\(\) > 0\), which led to \S*tensor\.py"
    )
    assert re.search(place, str(caught.value))
    assert not device.is_capturing()


def test_host_drawn_numbers_inside_the_step_are_refused(device: Any) -> None:
    model = mr.nn.Sequential(mr.nn.Flatten(), mr.nn.Dropout(0.5), mr.nn.Linear(64, 10)).to(device)

    with pytest.raises(CaptureError, match="an array made of host data") as caught:
        trainer_of(model, graph=True).fit(batches(), 1)

    assert re.search(r"done at \S*minires.*which led to \S*minires", str(caught.value))


class BakedRate(mr.optim.SGD):
    """Forgets that a captured number stays what it was."""

    def step(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                self.update(p._data, p.grad._data, self.state.setdefault(p, {}), group)

    def refresh(self) -> None:
        pass


def test_a_rate_that_is_baked_into_the_graph_shows_in_the_comparison_with_eager(
    device: Any,
) -> None:
    losses = []
    for graph in (False, True):
        model = small(device)
        optimizer = BakedRate(model.parameters(), lr=0.05, momentum=0.9)
        decay = mr.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2], gamma=0.5)
        losses.append(Trainer(model, optimizer, decay, graph=graph).fit(batches(), 3).loss)

    assert losses[0][:5] == losses[1][:5]
    assert losses[0][-1] != losses[1][-1]


class OwnRule(mr.optim.SGD):
    """Updates in a way of its own, which reads the learning rate as a number."""

    def update(self, *args: Any) -> None:
        super().update(*args)


def test_a_rule_that_would_freeze_the_learning_rate_is_refused(device: Any) -> None:
    model = small(device)
    with pytest.raises(RuntimeError, match=r"OwnRule: .* a rule of its own cannot be captured"):
        Trainer(model, OwnRule(model.parameters(), lr=0.1), graph=True).fit(batches(), 1)


def test_a_parameter_that_would_freeze_the_learning_rate_is_refused(device: Any) -> None:
    model = small(device)
    gaps = mr.Tensor(mr.ones(20, device=device).data[::2]).requires_grad_()
    groups = [{"params": model.parameters()}, {"params": gaps}]
    optimizer = mr.optim.SGD(groups, lr=0.1)

    def scaled(logits: mr.Tensor, labels: mr.Tensor) -> mr.Tensor:
        return mr.ops.cross_entropy(logits * gaps, labels)

    with pytest.raises(CaptureError, match=r"shape \(10,\) is updated by itself"):
        Trainer(model, optimizer, loss=scaled, graph=True).fit(batches(), 1)


def test_a_parameter_of_the_loss_is_trained_and_captured_anew_when_it_is_replaced(
    device: Any,
) -> None:
    found = []
    for graph in (False, True):
        model, scale = small(device), mr.tensor(1.0, device=device, requires_grad=True)
        optimizer = mr.optim.SGD([*model.parameters(), scale], lr=0.1, momentum=0.9)

        def scaled(logits: mr.Tensor, labels: mr.Tensor, scale: mr.Tensor = scale) -> mr.Tensor:
            return mr.ops.cross_entropy(logits * scale, labels)

        trainer = Trainer(model, optimizer, loss=scaled, graph=graph)
        trainer.fit(batches(), 1)
        scale.data = scale.data * 2
        trainer.fit(batches(), 1)
        found.append((trainer.history.loss, scale.item(), scale.grad.item()))

    assert found[0] == found[1]


def test_a_gradient_that_the_optimizer_does_not_reset_is_that_of_the_last_step(device: Any) -> None:
    losses = []
    for graph in (False, True):
        model = small(device)
        optimizer = mr.optim.SGD(model[4].parameters(), lr=0.1)
        trainer = Trainer(model, optimizer, graph=graph)
        losses.append(trainer.fit(batches(6), 1).loss)

    assert losses[0] == losses[1]
    replayed = model[0].weight.grad.numpy()
    model.zero_grad()
    for images, labels in batches(6)[-1:]:
        mr.ops.cross_entropy(model(images.to(device)), labels.to(device)).backward()
    assert replayed.shape == model[0].weight.grad.shape
    assert np.linalg.norm(replayed) < 3 * np.linalg.norm(model[0].weight.grad.numpy())


def test_a_ledger_that_dies_before_a_replay_is_noticed(device: Any) -> None:
    trainer = trainer_of(small(device), graph=True)
    trainer.fit(batches(), 1)
    step = captured(trainer)
    other = Ledger(device, 8)

    step.ledger._rows = other._rows

    with pytest.raises(DiedError, match="tally"):
        trainer.fit(batches(), 1)


def test_a_graph_on_the_cpu_is_refused(device: Any) -> None:
    told = r"graph=True, but the model is on 'cpu'.*model\.to\('cuda'\)"
    with pytest.raises(ValueError, match=f"Trainer: {told}"):
        trainer_of(small(), graph=True)
    trainer = trainer_of(small("cuda"), graph=True)
    trainer.model.to("cpu")
    with pytest.raises(ValueError, match=f"fit: {told}"):
        trainer.fit(batches(), 1)
    with pytest.raises(ValueError, match="look_every must be at least 1, found 0"):
        trainer_of(small(), look_every=0)


def test_ranks_exchange_gradients_on_their_devices_step_by_step(device):
    """Two ranks with equal images compute what one does; no graph holds their messages."""
    alone, shared = (
        trainer_of(small(place), **options)
        for place, options in (("cpu", {}), (device, {"communicator": Mirrored()}))
    )
    for trainer in (alone, shared):
        trainer.fit(batches(), 2)
    np.testing.assert_allclose(shared.history.loss, alone.history.loss, rtol=1e-5)
    assert shared.history.images == [2 * images for images in alone.history.images]
    for ours, theirs in zip(shared.model.parameters(), alone.model.parameters(), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=1e-5)
    with pytest.raises(ValueError, match="graph=True, but there are several ranks"):
        trainer_of(small(device), communicator=Mirrored(), graph=True).fit(batches(), 1)
