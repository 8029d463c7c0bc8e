"""Six shortcuts, options A to C, orders of activation, identity starts: what is made of trials."""

from __future__ import annotations

from typing import Any

import pytest

from minires.lab.experiments import activation_orders, identity_starts, shortcut_options
from minires.lab.experiments import six_shortcuts as six
from tests.lab.experiments.made import learned, outcomes, seeds


def rows(errors: dict[str, float], law: float = 0.0, living_law: float = 0.0) -> dict[str, Any]:
    """Return trials of the six shortcuts in which all but some rows have the same error."""
    told = {"layers": ["conv1", "layer1.0.conv2", "fc"], "gradient_norms": [[1.0, 2.0, 3.0]]}
    trials = {row: seeds(learned(errors.get(row, 0.3), **told)) for row in six.ROWS}
    living = {str(each): each**17 for each in six.SCALES}
    return {
        "lambda law": seeds({six.LAW: law}),
        "living networks": seeds({"alone": living, "whole": living, six.LIVING_LAW: living_law}),
        **trials,
    }


def test_the_identity_is_best_if_every_row_is_worse() -> None:
    assert outcomes(six.EXPERIMENT, rows({six.ORIGINAL: 0.1})) == ["supports"] * 4
    assert outcomes(six.EXPERIMENT, rows({six.ORIGINAL: 0.5})) == ["supports"] + ["contradicts"] * 3
    assert outcomes(six.EXPERIMENT, rows({six.ORIGINAL: 0.1}, law=0.1))[0] == "contradicts"
    assert outcomes(six.EXPERIMENT, rows({}, living_law=0.1))[0] == "contradicts"
    one_better = rows({six.ORIGINAL: 0.1, "shortcut gate, bias -6": 0.05})
    assert outcomes(six.EXPERIMENT, one_better)[-1] == "contradicts"


@pytest.mark.parametrize("scale", six.SCALES)
def test_silent_blocks_multiply_the_gradient_by_lambda(scale: float) -> None:
    norms = six._through_shortcuts(scale, seed=0)

    assert len(norms) == 55
    assert norms[54] == pytest.approx(scale**54, rel=1e-12)


def test_every_row_of_the_table_is_another_network() -> None:
    scale = six.EXPERIMENT.scales["tiny"]
    errors = [six.EXPERIMENT.run(row, scale, 0, "cpu")["train_loss"][-1] for row in six.ROWS]

    assert len(set(errors)) == len(six.ROWS) == 11


def test_living_networks_obey_the_law_by_their_shortcuts_alone() -> None:
    living = six._living(seed=0)

    assert six._product_error(living["alone"]) < 1e-12
    assert six._product_error(living["whole"]) > 1
    assert six._product_error({str(each): each**18 for each in six.SCALES}) == pytest.approx(0.5)


def test_the_last_convolution_is_the_blocks_own_and_no_gate() -> None:
    trial = six.EXPERIMENT.run("shortcut gate, bias 0", six.EXPERIMENT.scales["tiny"], 0, "cpu")
    (norms,) = trial["gradient_norms"]
    assert trial["layers"][-3:] == ["layer3.1.conv2", "layer3.1.downsample.gate", "fc"]

    assert six._first_over_last(trial) == norms[0] / norms[-3]
    assert six._first_over_last({**trial, "gradient_norms": []}) is None


def options(plain: float, a: float, b: float, c: float, extra: int = 0) -> dict[str, Any]:
    trials = {"plain": plain, "A": a, "B": b, "C": c}
    made = {name: seeds(learned(error)) for name, error in trials.items()}
    made["A"][0]["parameters"] += extra
    return made


def test_options_are_compared_with_plain_and_with_each_other() -> None:
    experiment = shortcut_options.EXPERIMENT

    assert outcomes(experiment, options(0.5, 0.3, 0.2, 0.1)) == ["supports"] * 3
    reversed_ = ["contradicts", "contradicts", "contradicts"]
    assert outcomes(experiment, options(0.1, 0.2, 0.3, 0.4, extra=1)) == reversed_
    # One that has not begun to learn tells nothing of how quickly it does.
    one_guesses = options(0.9, 0.3, 0.4, 0.88)
    assert outcomes(experiment, one_guesses) == ["inconclusive", "supports", "inconclusive"]


def orders(original: float, others: float, full: float) -> dict[str, Any]:
    made = dict.fromkeys(activation_orders.ORDERS, others)
    made |= {"original": original, "full_preactivation": full}
    made[activation_orders.ONE_LAYER] = others
    return {name: seeds(learned(error)) for name, error in made.items()}


def test_orders_are_compared_with_the_original() -> None:
    experiment = activation_orders.EXPERIMENT

    assert outcomes(experiment, orders(0.2, 0.3, 0.1)) == ["supports"] * 4
    assert outcomes(experiment, orders(0.2, 0.1, 0.3)) == ["contradicts"] * 4


def test_a_skip_over_one_convolution_keeps_the_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def learn(model: Any, *arguments: Any, **options: Any) -> Any:
        made.append(sum(p.ndim == 4 for p in model.parameters()))
        raise InterruptedError

    monkeypatch.setattr(activation_orders, "learn", learn)
    for condition in ("original", activation_orders.ONE_LAYER):
        with pytest.raises(InterruptedError):
            activation_orders.EXPERIMENT.run(
                condition, activation_orders.EXPERIMENT.scales["tiny"], 0, "cpu"
            )

    assert made == [13, 13]  # and a linear layer: 14


def starts(unchanged: int, ordinary: float, zero: float, others: float, none: float) -> Any:
    trained = {
        identity_starts.ONES: ordinary,
        identity_starts.ZERO: zero,
        identity_starts.SKIPINIT: others,
        identity_starts.FIXUP: others,
        identity_starts.NONE: none,
    }
    names = (identity_starts.ZERO, identity_starts.SKIPINIT, identity_starts.FIXUP)
    return {
        "step 0": seeds(dict.fromkeys(names, unchanged)),
        **{name: seeds(learned(error, guessing=0.9)) for name, error in trained.items()},
    }


def test_identity_starts_can_be_supported_and_contradicted() -> None:
    experiment = identity_starts.EXPERIMENT

    assert outcomes(experiment, starts(54, 0.2, 0.2, 0.1, 0.9)) == ["supports"] * 4
    assert outcomes(experiment, starts(53, 0.2, 0.4, 0.91, 0.1)) == ["contradicts"] * 4


def test_starts_from_which_nothing_learns_are_not_compared() -> None:
    nothing = starts(54, 0.9, 0.9, 0.9, 0.9)

    assert outcomes(identity_starts.EXPERIMENT, nothing)[2:] == ["inconclusive"] * 2
    # One start that learns is enough to blame those that do not.
    one = starts(54, 0.9, 0.9, 0.1, 0.9)
    assert outcomes(identity_starts.EXPERIMENT, one)[1:] == [
        "supports",
        "supports",
        "inconclusive",
    ]


def test_an_ordinary_block_is_not_the_identity() -> None:
    assert identity_starts._unchanged(identity_starts.ONES, seed=0) == 0
