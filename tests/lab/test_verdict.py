from __future__ import annotations

from typing import Any

import pytest


def verdict_of(make_comparison: Any, **errors: float | None) -> Any:
    return make_comparison(**errors).verdict


def test_degradation_that_shortcuts_repair_is_called_so_with_its_numbers(
    make_comparison: Any,
) -> None:
    verdict = verdict_of(
        make_comparison, plain_8=0.0, residual_8=0.0, plain_56=0.626, residual_56=0.001
    )

    assert verdict.headline.startswith("Degradation, and its repair: at 56 layers")
    assert (verdict.degradation, verdict.residual_better) == (True, True)
    told = " ".join(verdict.details)
    assert "plain 56-layer network gets 62.6% of its own training images wrong" in told
    assert "residual twin 0.1%" in told
    assert "Plain networks: the training error rises, from 0.0% with 8 layers to 62.6% with 56" in (
        told
    )
    assert "Residual networks: the training error hardly changes" in told
    assert "not overfitting" in told


def test_a_deep_plain_network_that_trains_well_is_not_talked_down(make_comparison: Any) -> None:
    verdict = verdict_of(
        make_comparison, plain_8=0.05, residual_8=0.05, plain_56=0.01, residual_56=0.012
    )

    assert verdict.headline.startswith("No degradation in this run")
    assert verdict.headline.endswith("its residual twin trains alike.")
    assert (verdict.degradation, verdict.residual_better) == (False, False)
    assert "overfitting" not in " ".join(verdict.details)


@pytest.mark.parametrize(
    ("plain_8", "plain_20", "residual_8", "residual_20", "headline"),
    [
        (0.1, 0.1, 0.1, 0.0, "No degradation in this run"),
        (0.1, 0.1, 0.1, 0.3, "its residual twin trains worse"),
        (0.0, 0.5, 0.0, 0.2, "both twins train worse than shallower ones; the residual one trains"),
        (0.0, 0.5, 0.0, 0.5, "Degradation without repair"),
        (0.0, 0.5, 0.0, 0.9, "even worse than the plain one"),
        (0.2, 0.5, 0.5, 0.5, "no worse than its residual twin"),
    ],
)
def test_every_other_outcome_has_words_of_its_own(
    make_comparison: Any,
    plain_8: float,
    plain_20: float,
    residual_8: float,
    residual_20: float,
    headline: str,
) -> None:
    verdict = verdict_of(
        make_comparison,
        plain_8=plain_8,
        plain_20=plain_20,
        residual_8=residual_8,
        residual_20=residual_20,
    )

    assert headline in verdict.headline
    assert "its repair" not in verdict.headline


def test_the_deepest_is_compared_with_the_best_shallower_one(make_comparison: Any) -> None:
    verdict = verdict_of(
        make_comparison,
        plain_8=0.3,
        plain_20=0.1,
        plain_32=0.2,
        residual_8=0.3,
        residual_20=0.1,
        residual_32=0.1,
    )

    assert verdict.degradation is True
    assert "from 10.0% with 20 layers to 20.0% with 32" in " ".join(verdict.details)


@pytest.mark.parametrize(("rise", "degradation"), [(0.009, False), (0.011, True)])
def test_one_percentage_point_is_the_smallest_difference_that_counts(
    make_comparison: Any, rise: float, degradation: bool
) -> None:
    verdict = verdict_of(
        make_comparison, plain_8=0.1, residual_8=0.1, plain_20=0.1 + rise, residual_20=0.1
    )

    assert verdict.degradation is degradation
    assert verdict.residual_better is degradation


@pytest.mark.parametrize(
    ("residual", "words"),
    [(0.0, "trains better"), (0.5, "trains worse"), (0.2, "train alike")],
)
def test_one_depth_alone_shows_no_degradation(
    make_comparison: Any, residual: float, words: str
) -> None:
    verdict = verdict_of(make_comparison, plain_20=0.2, residual_20=residual)

    assert verdict.degradation is None
    assert words in verdict.headline
    assert "One depth cannot show degradation" in " ".join(verdict.details)


def test_a_network_that_diverged_counts_as_worse_than_any_other(make_comparison: Any) -> None:
    verdict = verdict_of(
        make_comparison, plain_8=0.1, residual_8=0.1, plain_20=None, residual_20=0.99
    )

    assert (verdict.degradation, verdict.residual_better) == (True, True)
    told = " ".join(verdict.details)
    assert "the plain network diverged and the residual network has a training error of" in told
    assert "overfitting" not in told


def test_twins_that_both_diverged_are_not_said_to_train(make_comparison: Any) -> None:
    verdict = verdict_of(make_comparison, plain_8=None, residual_8=None)

    assert verdict.headline == "With 8 layers, both twins diverged."
    assert verdict.degradation is None
    assert verdict.residual_better is False


def test_a_network_without_its_twin_decides_nothing(make_comparison: Any) -> None:
    alone = verdict_of(make_comparison, plain_20=0.5)
    beside_a_pair = verdict_of(make_comparison, plain_8=0.1, residual_8=0.1, plain_20=0.9)

    assert "no verdict" in alone.headline
    assert (alone.degradation, alone.residual_better) == (None, None)
    assert "8 layers" in beside_a_pair.headline
    assert beside_a_pair.degradation is None
