from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.training import Callback, DivergedError, Trainer

Batch = tuple[mr.Tensor, mr.Tensor]


def network() -> mr.nn.Module:
    return mr.models.cifar_plain(8, width=2, in_channels=1, seed=0)


def batches(count: int = 3) -> list[Batch]:
    rng = np.random.default_rng(0)
    images = rng.standard_normal((count, 6, 1, 8, 8)).astype(np.float32)
    labels = rng.integers(0, 10, (count, 6))
    return [(mr.tensor(x), mr.tensor(y)) for x, y in zip(images, labels, strict=True)]


def trainer_of(model: mr.nn.Module, *callbacks: Callback) -> Trainer:
    return Trainer(model, mr.optim.SGD(model.parameters(), lr=0.1), callbacks=callbacks)


class AfterStep(Callback):
    """Does something to the model after a given step."""

    def __init__(self, step: int, act: Any) -> None:
        self.step = step
        self.act = act

    def on_step(self, trainer: Trainer, step: int) -> None:
        if step == self.step:
            self.act(trainer.model)


def filled(name: str, value: float) -> Any:
    return lambda model: dict(model.named_parameters())[name].copy_(value)


def state_of(model: mr.nn.Module) -> dict[str, Any]:
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "module", "op"),
    [
        ("layer2.0.conv1.weight", "layer2.0.conv1", "conv2d"),
        ("layer3.0.bn2.weight", "layer3.0.bn2", "batch_norm"),
        ("fc.weight", "fc", "linear"),
    ],
)
def test_an_overflow_is_traced_to_its_step_module_and_op(name: str, module: str, op: str) -> None:
    # Finite in itself: the overflow arises in the layer that multiplies by it.
    huge = AfterStep(4, filled(name, 3e38))

    with pytest.raises(DivergedError) as caught:
        trainer_of(network(), huge).fit(batches(), epochs=2)

    error = caught.value
    assert (error.step, error.epoch, error.last_finite_step) == (5, 2, 4)
    assert (error.cause, error.module, error.op) == ("op", module, op)
    assert not np.isfinite(error.loss)
    for part in ("step 5 (epoch 2)", "last finite at step 4", f"'{module}'", f"'{error.op}'"):
        assert part in str(error)


def test_a_parameter_that_is_no_number_is_named_with_the_last_finite_step() -> None:
    poison = AfterStep(2, filled("layer1.0.conv2.weight", float("nan")))

    with pytest.raises(DivergedError) as caught:
        trainer_of(network(), poison).fit(batches(), epochs=1)

    error = caught.value
    assert (error.cause, error.parameter) == ("parameter", "layer1.0.conv2.weight")
    assert (error.step, error.last_finite_step, error.module) == (3, 2, "layer1.0.conv2")
    assert "parameter 'layer1.0.conv2.weight' holds 36 NaN among 36 values" in str(error)
    assert "the update after step 2" in str(error)


def test_a_parameter_that_was_no_number_from_the_beginning_is_said_to_be_so() -> None:
    model = network()
    dict(model.named_parameters())["fc.bias"].copy_(float("inf"))

    with pytest.raises(DivergedError, match=r"10 infinite .* before the first step"):
        trainer_of(model).fit(batches(), epochs=1)


def test_an_image_that_is_no_number_is_named() -> None:
    data = batches()
    images = data[1][0].numpy()
    images[4, 0, 2, 2] = np.inf

    with pytest.raises(DivergedError) as caught:
        trainer_of(network()).fit(data, epochs=1)

    assert (caught.value.cause, caught.value.step) == ("batch", 2)
    assert "1 infinite among 384 values, the first in its image 4" in str(caught.value)


def test_a_loss_that_is_no_number_of_its_own_accord_is_not_blamed_on_an_op() -> None:
    model = network()
    optimizer = mr.optim.SGD(model.parameters(), lr=0.1)
    trainer = Trainer(model, optimizer, loss=lambda logits, labels: mr.tensor(float("nan")))

    with pytest.raises(DivergedError) as caught:
        trainer.fit(batches(), epochs=1)

    assert (caught.value.cause, caught.value.op, caught.value.module) == ("unknown", "", "")


def test_the_failed_step_and_its_diagnosis_leave_the_model_and_the_dice_as_they_were() -> None:
    model = network()
    seen: dict[str, Any] = {}

    def overflow_and_remember(model: mr.nn.Module) -> None:
        dict(model.named_parameters())["layer3.0.conv2.weight"].copy_(3e38)
        seen["state"] = state_of(model)
        seen["random"] = mr.devices.random.generator().bit_generator.state

    with pytest.raises(DivergedError):
        trainer_of(model, AfterStep(2, overflow_and_remember)).fit(batches(), epochs=1)

    for name, values in state_of(model).items():
        np.testing.assert_array_equal(values, seen["state"][name], err_msg=name)
    assert mr.devices.random.generator().bit_generator.state == seen["random"]
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize("seed", range(6))
def test_the_diagnosis_meets_the_same_dropout_as_the_failed_step(seed: int) -> None:
    class Brittle(mr.nn.Module):
        """Overflows when Dropout keeps, and doubles, the one huge value."""

        def __init__(self) -> None:
            super().__init__()
            self.dropout = mr.nn.Dropout(0.5)
            self.bias = mr.nn.Parameter(mr.zeros(2))

        def forward(self, x: mr.Tensor) -> mr.Tensor:
            return self.dropout(x) * 0.0 + self.bias

    model = Brittle()
    huge = mr.tensor(np.array([[3e38, 1.0]], np.float32))
    mr.manual_seed(seed)

    with pytest.raises(DivergedError) as caught:
        trainer_of(model).fit([(huge, mr.tensor([0]))], epochs=30)

    assert (caught.value.cause, caught.value.module) == ("op", "dropout")


def test_infinity_put_in_on_purpose_is_not_what_is_blamed() -> None:
    class Masked(mr.nn.Module):
        """Hides a class by an infinite logit, which softmax turns into 0; then overflows."""

        def __init__(self) -> None:
            super().__init__()
            self.late = mr.nn.Linear(3, 2)
            self.late.weight.copy_(3e38)

        def forward(self, x: mr.Tensor) -> mr.Tensor:
            hidden = mr.tensor(np.array([0.0, 0.0, -np.inf], np.float32))
            return self.late((x + hidden).softmax(dim=1) * 4.0)

    with pytest.raises(DivergedError) as caught:
        trainer_of(Masked()).fit([(mr.ones(2, 3), mr.tensor([0, 1]))], epochs=1)

    assert (caught.value.module, caught.value.op) == ("late", "linear")


def test_a_finite_run_raises_no_error_and_a_diverged_one_leaves_no_hook_behind() -> None:
    trainer_of(network()).fit(batches(), epochs=1)
    with pytest.raises(DivergedError):
        trainer_of(network(), AfterStep(1, filled("fc.weight", 3e38))).fit(batches(), epochs=1)

    log = mr.log(mr.zeros(2))  # non-finite of finite inputs: an installed hook would object

    assert np.isinf(log.numpy()).all()
