from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from minires.data import Split
from minires.lab.images import Images
from minires.lab.learning import PUBLISHED, Learned, Recipe, learn
from minires.models import cifar_resnet
from minires.serialize.json_text import strict


@pytest.fixture(scope="module")
def split() -> Split:
    return Images("digits", train=128, test=50).read()


def network(seed: int = 0):
    return cifar_resnet(8, width=4, in_channels=1, seed=seed)


def test_a_network_learns_and_is_measured(split: Split) -> None:
    run = learn(network(), split, Recipe(16, norms_every=2))

    assert run.measured == list(range(1, 17))
    assert run.final_train_error < 0.5
    assert len(run.loss) == 32
    assert run.norm_steps == list(range(1, 33, 2))
    assert len(run.gradient_norms[0]) == len(run.layers)
    json.dumps(run.record(), allow_nan=False)


def test_the_same_seed_learns_the_same_and_another_does_not(split: Split) -> None:
    first, again, other = (learn(network(), split, Recipe(1), seed=seed).loss for seed in (0, 0, 1))

    assert first == again
    assert first != other


def test_errors_are_measured_as_often_as_asked_and_at_the_end(split: Split) -> None:
    assert learn(network(), split, Recipe(5, measure_every=2)).measured == [2, 4, 5]


def test_augmented_images_are_others(split: Split) -> None:
    plain, augmented = (
        learn(network(), split, replace(Recipe(1), augment=augment)).loss
        for augment in (False, True)
    )
    assert plain != augmented


def test_a_warm_up_lasts_until_the_network_has_begun_to_learn(split: Split) -> None:
    run = learn(network(), split, Recipe(12, batch_size=8, warm_up=True))

    warm = [error > 0.8 for error in run.batch_error]
    begun = warm.index(False)
    assert run.learning_rate[: begun + 1] == [pytest.approx(0.01)] * (begun + 1)
    assert run.learning_rate[begun + 1 : 6] == [pytest.approx(0.1)] * (5 - begun)


def test_a_network_that_diverges_counts_as_guessing(split: Split) -> None:
    images, labels = split.train.arrays
    images = images.copy()
    images[3] = np.nan
    broken = replace(split, train=type(split.train)(images, labels))

    run = learn(network(), broken, Recipe(2))
    record = strict(run.record())

    assert run.diverged
    assert run.final_train_error is None
    assert record["final_train_error"] == 0.9
    json.dumps(record, allow_nan=False)


def test_a_record_that_was_given_is_filled(split: Split) -> None:
    mine = Learned()
    assert learn(network(), split, Recipe(1), into=mine) is mine
    assert mine.parameters > 0


def test_the_published_recipe_is_that_of_the_paper() -> None:
    steps = PUBLISHED.epochs * -(-50_000 // PUBLISHED.batch_size)

    assert abs(steps - 64_000) < 400
    assert PUBLISHED.milestones == [82, 123]  # some 32,000 and 48,000 steps
    assert (PUBLISHED.learning_rate, PUBLISHED.momentum, PUBLISHED.weight_decay) == (0.1, 0.9, 1e-4)


def test_the_learning_rate_falls_where_and_as_far_as_the_recipe_says(split: Split) -> None:
    recipe = Recipe(10, falls=(0.3, 0.6, 0.8), factor=0.2)
    run = learn(network(), split, replace(recipe, epochs=5))

    assert recipe.milestones == [3, 6, 8]
    assert run.learning_rate == pytest.approx([0.1, 0.1, 0.02, 0.004, 0.0008])


def test_the_momentum_may_be_nesterov_s(split: Split) -> None:
    one, other = (learn(network(), split, Recipe(1, nesterov=each)).loss for each in (False, True))

    assert one[0] == other[0]
    assert one != other
