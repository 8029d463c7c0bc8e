from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.data import Split, TensorDataset
from minires.lab import Comparison, Run, Settings, Watcher, compare_twins, twins
from minires.lab.twins import check_twins, make_twins, train_twin


@pytest.fixture(scope="module")
def digits() -> Split:
    return mr.data.digits()


def state_of(model: mr.nn.Module) -> dict[str, Any]:
    return {name: value.numpy() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("depth", [8, 20, 56])
def test_twins_have_equal_parameters_in_name_number_and_value(depth: int, digits: Split) -> None:
    made = make_twins(depth, Settings(width=4, seed=3), digits)
    plain, residual = state_of(made["plain"]), state_of(made["residual"])

    assert plain.keys() == residual.keys()
    for name, values in plain.items():
        np.testing.assert_array_equal(values, residual[name], err_msg=name)


def test_twins_differ_in_what_they_compute(digits: Split) -> None:
    made = make_twins(8, Settings(width=4), digits)
    images = mr.tensor(digits.test.take(range(4))[0])
    plain, residual = (model.eval()(images).numpy() for model in made.values())

    assert not np.allclose(plain, residual)


def test_networks_that_are_no_twins_are_refused() -> None:
    plain = mr.models.cifar_plain(8, width=2, seed=0)

    with pytest.raises(RuntimeError, match=r"start with different 'conv1.weight'"):
        check_twins(plain, mr.models.cifar_resnet(8, width=2, seed=1))
    with pytest.raises(RuntimeError, match=r"only one of them has 'layer2\.0\.downsample"):
        check_twins(plain, mr.models.cifar_resnet(8, "B", width=2, seed=0))
    check_twins(plain, mr.models.cifar_resnet(8, "A", width=2, seed=0))


def test_a_comparison_of_networks_that_are_no_twins_does_not_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def other_weights(depth: int, shortcut: str, seed: int, **sizes: int) -> Any:
        return mr.models.cifar_resnet(depth, shortcut, seed=seed + 1, **sizes)

    monkeypatch.setattr(twins, "cifar_resnet", other_weights)
    with pytest.raises(RuntimeError, match="these networks are no twins"):
        compare_twins([8], epochs=1, width=2)


def test_twins_learn_from_the_same_batches_in_the_same_order(digits: Split) -> None:
    class Noted(TensorDataset):
        def take(self, indices: Any) -> Any:
            taken.append(np.asarray(indices).tolist())
            return super().take(indices)

    split = Split(
        train=Noted(*(array[:100] for array in digits.train.arrays)),
        test=Noted(*(array[:10] for array in digits.test.arrays)),
        name="digits",
        class_names=digits.class_names,
    )
    settings = Settings(width=2, epochs=2)
    orders = []
    for twin, model in make_twins(8, settings, split).items():
        taken: list[list[int]] = []
        train_twin(model, twin, settings, split, Watcher())
        orders.append(taken)

    assert orders[0] == orders[1]
    assert sorted(orders[0][0] + orders[0][1]) == list(range(100))
    assert orders[0][:2] != orders[0][4:6], "each epoch has an order of its own"


def test_the_record_of_a_run_has_every_step_and_epoch(comparison: Comparison) -> None:
    for run in comparison.runs:
        steps = 2 * 23  # 1,438 images in batches of 64
        assert len(run.loss) == len(run.gradient_norms) == steps
        assert {len(norms) for norms in run.gradient_norms} == {run.depth}
        assert np.isfinite(run.gradient_norms).all()
        for per_epoch in (run.train_error, run.test_error, run.batch_error, run.learning_rate):
            assert len(per_epoch) == 2
        assert run.images_per_second > 0
        assert run.seconds > 0


def test_the_training_error_is_that_of_the_trained_network_on_every_training_image(
    comparison: Comparison, digits: Split
) -> None:
    run = comparison.runs[-1]
    model = mr.models.cifar_resnet(14, width=2, in_channels=1)
    model.load_state_dict(run.weights)
    images, labels = digits.train.arrays
    answers = model.eval()(mr.tensor(images)).numpy().argmax(axis=1)

    assert run.final_train_error == pytest.approx(np.mean(answers != labels), abs=1.5 / 1438)


def test_gradient_sizes_are_those_of_the_first_step_and_the_median_of_the_last_epoch(
    comparison: Comparison,
) -> None:
    run = comparison.runs[0]
    size = run.gradient_size(-1)

    assert size is not None
    assert size.layer == "fc"
    assert size.first_step == run.gradient_norms[0][-1]
    assert size.last_epoch == np.median([norms[-1] for norms in run.gradient_norms[23:]])


def test_the_same_settings_give_the_same_numbers_and_another_seed_others(
    comparison: Comparison,
) -> None:
    again = compare_twins([8], epochs=2, width=2)
    other = compare_twins([8], epochs=1, width=2, seed=1)

    for run, twin in zip(again.runs, comparison.runs, strict=False):
        assert run.loss == twin.loss
        assert run.gradient_norms == twin.gradient_norms
        assert run.train_error == twin.train_error
    assert other.runs[0].loss[0] != comparison.runs[0].loss[0]


def test_a_twin_that_diverges_is_recorded_and_the_comparison_goes_on() -> None:
    heard: list[str] = []

    class Listener(Watcher):
        def twin_ended(self, run: Run) -> None:
            heard.append(run.name)

    diverged = compare_twins([8], Listener(), epochs=1, width=2, learning_rate=1e30)

    assert heard == ["plain-8", "residual-8"]
    assert not diverged.missing
    for run in diverged.runs:
        assert run.diverged_at is not None
        assert f"training diverged at step {run.diverged_at}" in run.diverged
        assert len(run.loss) == run.diverged_at - 1
        assert run.final_train_error is None
        assert run.final_test_error is None
        assert run.weights.keys() >= {"conv1.weight", "fc.bias"}


def test_what_was_finished_before_an_interruption_is_kept_and_the_rest_can_follow() -> None:
    class Impatient(Watcher):
        def twin_began(self, run: Run) -> None:
            self.name = run.name

        def step_done(self, epoch: int, step: int, loss: float) -> None:
            if self.name == "residual-8" and step == 5:
                raise KeyboardInterrupt

    comparison = Comparison(Settings(depths=(8,), epochs=1, width=2))
    with pytest.raises(KeyboardInterrupt):
        comparison.train(Impatient())

    assert [run.name for run in comparison.runs] == ["plain-8"]
    assert comparison.missing == [(8, "residual")]
    comparison.train()
    assert [run.name for run in comparison.runs] == ["plain-8", "residual-8"]
    assert comparison.missing == []


def test_watchers_hear_of_everything_in_order() -> None:
    heard: list[str] = []

    class Listener(Watcher):
        def comparison_began(self, settings: Settings, steps_per_epoch: int) -> None:
            heard.append(f"began, {steps_per_epoch} steps")

        def twin_began(self, run: Run) -> None:
            heard.append(f"{run.name} began")

        def step_done(self, epoch: int, step: int, loss: float) -> None:
            if step == 23:
                heard.append(f"epoch {epoch}, step {step}")

        def epoch_done(self, run: Run) -> None:
            heard.append(f"{len(run.train_error)} epoch done, {len(run.loss)} steps")

        def twin_ended(self, run: Run) -> None:
            heard.append(f"{run.name} ended")

    compare_twins([8], Listener(), epochs=1, width=1)

    one = ["epoch 1, step 23", "1 epoch done, 23 steps"]
    plain = ["plain-8 began", *one, "plain-8 ended"]
    residual = ["residual-8 began", *one, "residual-8 ended"]
    assert heard == ["began, 23 steps", *plain, *residual]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"depths": ()}, "depths: none given"),
        ({"depths": (8, 9)}, "depths: 9 is not possible"),
        ({"depths": (2,)}, "depths: 2 is not possible"),
        ({"epochs": 0}, "epochs: must be at least 1, found 0"),
        ({"width": 0}, "width: must be at least 1, found 0"),
        ({"batch_size": 0}, "batch_size: must be at least 1, found 0"),
        ({"seed": -1}, "seed: must be 0 or more, found -1"),
        ({"device": "abacus"}, "device: unknown device 'abacus'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Settings(**wrong)


def test_depths_are_trained_once_each_shallow_before_deep() -> None:
    assert Settings(depths=(20, 8, 20)).depths == (8, 20)


@pytest.mark.parametrize(
    ("epochs", "milestones"), [(1, [1, 1]), (2, [1, 2]), (12, [6, 9]), (164, [82, 123])]
)
def test_the_rate_falls_after_one_half_and_three_quarters(
    epochs: int, milestones: list[int]
) -> None:
    assert Settings(epochs=epochs).milestones == milestones
