from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.data import DataLoader, Split
from minires.training import Callback, Trainer

Batch = tuple[mr.Tensor, mr.Tensor]


@pytest.fixture(scope="module")
def digits() -> Split:
    return mr.data.digits()


def small_network(seed: int = 0) -> mr.nn.Module:
    return mr.models.cifar_resnet(8, width=4, in_channels=1, seed=seed)


def trainer_of(model: mr.nn.Module, **options: Any) -> Trainer:
    return Trainer(model, mr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), **options)


def two_batches(classes: int = 10) -> list[Batch]:
    rng = np.random.default_rng(0)
    return [
        (
            mr.tensor(rng.standard_normal((6, 1, 8, 8)).astype(np.float32)),
            mr.tensor(rng.integers(0, classes, 6)),
        )
        for _ in range(2)
    ]


def state_of(model: mr.nn.Module) -> dict[str, Any]:
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def test_two_epochs_on_digits_teach_more_than_half_of_them(digits: Split) -> None:
    model = small_network()
    trainer = trainer_of(model)
    before = trainer.evaluate(DataLoader(digits.test, 256))

    trainer.fit(DataLoader(digits.train, 64, shuffle=True), epochs=2)
    after = trainer.evaluate(DataLoader(digits.test, 256))

    assert before.error > 0.8
    assert after.error < 0.4
    assert after.loss < before.loss
    assert after.images == 359


def test_the_same_seed_gives_the_same_history_and_weights_to_the_bit(digits: Split) -> None:
    runs = []
    for _ in range(2):
        model = small_network()
        history = trainer_of(model).fit(DataLoader(digits.train, 64, shuffle=True), epochs=1)
        runs.append((history.loss, history.epoch_error, state_of(model)))

    assert runs[0][0] == runs[1][0]
    assert runs[0][1] == runs[1][1]
    for name, values in runs[0][2].items():
        np.testing.assert_array_equal(values, runs[1][2][name], err_msg=name)


def test_a_callback_hears_of_each_step_with_its_gradients_and_then_of_the_epoch() -> None:
    class Diary(Callback):
        def __init__(self) -> None:
            self.pages: list[str] = []

        def on_step(self, trainer: Trainer, step: int) -> None:
            assert all(parameter.grad is not None for parameter in trainer.model.parameters())
            assert len(trainer.history.loss) == step == trainer.step
            self.pages.append(f"step {step}")

        def on_epoch(self, trainer: Trainer, epoch: int) -> None:
            assert len(trainer.history.epoch_loss) == epoch == trainer.epoch
            self.pages.append(f"epoch {epoch}")

    diary = Diary()
    trainer = trainer_of(small_network(), callbacks=[diary])
    trainer.fit(two_batches(), epochs=1)
    trainer.fit(two_batches(), epochs=1)

    assert diary.pages == ["step 1", "step 2", "epoch 1", "step 3", "step 4", "epoch 2"]


def test_callbacks_are_called_in_the_order_given() -> None:
    heard: list[str] = []

    class Named(Callback):
        def __init__(self, name: str) -> None:
            self.name = name

        def on_epoch(self, trainer: Trainer, epoch: int) -> None:
            heard.append(self.name)

    trainer_of(small_network(), callbacks=[Named("a"), Named("b")]).fit(two_batches(), epochs=2)

    assert heard == ["a", "b", "a", "b"]


def test_the_scheduler_is_stepped_once_per_epoch_and_the_history_has_the_rate_used() -> None:
    model = small_network()
    optimizer = mr.optim.SGD(model.parameters(), lr=0.1)
    scheduler = mr.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1], gamma=0.1)

    history = Trainer(model, optimizer, scheduler).fit(two_batches(), epochs=3)

    assert history.learning_rate == pytest.approx([0.1, 0.01, 0.01])


def test_the_epochs_loss_and_error_are_means_over_images_not_over_batches() -> None:
    class Fixed(mr.nn.Module):
        """Always answers 0, and learns nothing."""

        def __init__(self) -> None:
            super().__init__()
            self.idle = mr.nn.Parameter(mr.zeros(1))

        def forward(self, x: mr.Tensor) -> mr.Tensor:
            favourite = np.array([0.0] + [-3.0] * 9, np.float32)
            return mr.tensor(np.tile(favourite, (x.shape[0], 1))) + self.idle

    batches = [
        (mr.zeros(3, 1, 8, 8), mr.tensor([0, 0, 0])),
        (mr.zeros(1, 1, 8, 8), mr.tensor([1])),
    ]
    trainer = trainer_of(Fixed())
    history = trainer.fit(batches, epochs=1)
    right = np.log(1 + 9 * np.exp(-3.0))

    assert history.epoch_error == [0.25]
    assert history.epoch_loss == pytest.approx([right + 3 / 4])
    assert trainer.evaluate(batches).error == 0.25
    assert trainer.evaluate(batches).loss == pytest.approx(right + 3 / 4)


def test_evaluating_changes_nothing_and_records_nothing() -> None:
    model = small_network()
    trainer = trainer_of(model)
    trainer.fit(two_batches(), epochs=1)
    before = state_of(model)
    random_before = mr.devices.random.generator().bit_generator.state

    class Watchful(mr.autograd.EngineHook):
        recorded = 0

        def op_ran(self, op: Any, inputs: Any, output: Any, node: Any) -> None:
            self.recorded += node is not None

    with Watchful() as hook:
        trainer.evaluate(two_batches())

    assert isinstance(hook, Watchful)
    assert hook.recorded == 0
    assert mr.devices.random.generator().bit_generator.state == random_before
    for name, values in state_of(model).items():
        np.testing.assert_array_equal(values, before[name], err_msg=name)


def test_evaluating_leaves_each_module_in_its_own_mode_even_when_it_fails() -> None:
    model = small_network().train()
    model.get_submodule("layer1").eval()
    modes = {name: module.training for name, module in model.named_modules()}
    trainer = trainer_of(model)

    def broken() -> Iterator[Batch]:
        assert not any(module.training for module in model.modules())
        yield two_batches()[0]
        raise ConnectionError

    trainer.evaluate(two_batches())
    assert {name: module.training for name, module in model.named_modules()} == modes
    with pytest.raises(ConnectionError):
        trainer.evaluate(broken())
    assert {name: module.training for name, module in model.named_modules()} == modes


def test_an_answer_that_is_no_number_counts_as_a_mistake() -> None:
    class Undecided(mr.nn.Module):
        def forward(self, x: mr.Tensor) -> mr.Tensor:
            return mr.full((x.shape[0], 10), float("nan"))

    model = Undecided()
    optimizer = mr.optim.SGD([mr.zeros(1, requires_grad=True)], lr=0.1)
    images = mr.zeros(2, 1, 8, 8)

    evaluation = Trainer(model, optimizer).evaluate([(images, mr.tensor([0, 0]))])

    assert evaluation.error == 1.0
    assert np.isnan(evaluation.loss)


def test_another_loss_can_be_given() -> None:
    def smoothed(logits: mr.Tensor, labels: mr.Tensor) -> mr.Tensor:
        return mr.ops.cross_entropy(logits, labels, label_smoothing=0.5)

    batches = two_batches()
    plain, other = trainer_of(small_network()), trainer_of(small_network(), loss=smoothed)

    assert plain.fit(batches, 1).loss[0] != other.fit(batches, 1).loss[0]
    assert plain.evaluate(batches).loss != other.evaluate(batches).loss


def test_nothing_to_train_on_is_refused() -> None:
    trainer = trainer_of(small_network())

    with pytest.raises(ValueError, match="epochs must be at least 1, found 0"):
        trainer.fit(two_batches(), epochs=0)
    with pytest.raises(ValueError, match="the loader yields no batch"):
        trainer.fit([], epochs=1)
    with pytest.raises(ValueError, match="the loader yields no batch"):
        trainer.evaluate([])


NUMPY = [(np.zeros((6, 1, 8, 8), np.float32), np.zeros(6, np.int64))]


@pytest.mark.parametrize(
    ("batches", "found"),
    [
        (NUMPY, r"\(ndarray, ndarray\)"),
        (mr.data.TensorDataset(*NUMPY[0]), r"\(ndarray, int64\)"),
        ([NUMPY[0][0]], r"\(ndarray\)"),
        ([two_batches()[0] + two_batches()[0]], r"\(Tensor, Tensor, Tensor, Tensor\)"),
    ],
)
def test_what_are_no_batches_of_tensors_is_told_in_a_sentence(batches: Any, found: str) -> None:
    trainer = trainer_of(small_network())
    told = (
        rf"a batch should be \(images, labels\), two Tensors; found {found}. A data set goes into"
    )

    with pytest.raises(TypeError, match=f"fit: {told}"):
        trainer.fit(batches, 1)
    with pytest.raises(TypeError, match=f"evaluate: {told}"):
        trainer.evaluate(batches)


def test_it_says_in_a_line_what_it_trains_and_how_far() -> None:
    trainer = trainer_of(small_network())
    trainer.fit(two_batches(), 3)

    assert repr(trainer) == "Trainer(CifarResNet, SGD; 3 epochs and 6 steps done)"
