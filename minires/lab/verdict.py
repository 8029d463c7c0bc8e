"""What the numbers of a comparison say, in words: no conclusion that was not measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from minires.pages import percent, short

from .run import Run, TwinKind

# Smaller differences in error are called none: a single seed cannot tell them from chance.
MARGIN = 0.01
_DIVERGED = 2.0  # ranks behind every error


class Verdict(NamedTuple):
    """The outcome of a comparison.

    Attributes
    ----------
    headline : str
        One sentence.
    details : list of str
        Sentences with the numbers behind it.
    degradation : bool or None
        Whether the deepest plain network trains worse than a shallower one, by more than a
        percentage point; None if that was not measured.
    residual_better : bool or None
        Whether the deepest residual network trains better than its plain twin, by more than a
        percentage point; None if that was not measured.
    """

    headline: str
    details: list[str]
    degradation: bool | None
    residual_better: bool | None


def judge(runs: Sequence[Run], epochs: int) -> Verdict:
    """Draw conclusions from the final training errors.

    The deepest twins are compared with each other, and each with the best of its shallower kin. A
    network that diverged counts as worse than any that did not.

    Parameters
    ----------
    runs : sequence of Run
        The finished networks, in any order.
    epochs : int
        For how long they were trained.

    Returns
    -------
    Verdict
    """
    plain, residual = _errors(runs, "plain"), _errors(runs, "residual")
    pairs = plain.keys() & residual.keys()
    if not pairs:
        return Verdict("No pair of twins was trained to its end: no verdict.", [], None, None)
    deep = max(pairs)
    gap = plain[deep] - residual[deep]
    plain_rise, plain_sentence = _rise("plain", plain, deep)
    residual_rise, residual_sentence = _rise("residual", residual, deep)
    degradation = None if plain_rise is None else plain_rise > MARGIN

    details = [_twins_sentence(deep, plain[deep], residual[deep], epochs)]
    if plain_sentence and residual_sentence:
        details += [plain_sentence, residual_sentence]
    else:
        details.append("One depth cannot show degradation; compare several, such as 8, 20 and 56.")
    details += _gradient_sentences([run for run in runs if run.depth == deep])
    if degradation and plain[deep] < _DIVERGED:
        details.append(
            "This is not overfitting: the error is measured on the very images it learns from."
        )
    details.append(
        f"One seed was run, so differences of up to {100 * MARGIN:g} percentage point are called"
        " none."
    )
    if plain[deep] == residual[deep] == _DIVERGED:
        headline = f"With {deep} layers, both twins diverged."
    else:
        headline = _headline(deep, degradation, gap, (residual_rise or 0.0) > MARGIN)
    return Verdict(headline, details, degradation, gap > MARGIN)


def _errors(runs: Sequence[Run], twin: TwinKind) -> dict[int, float]:
    errors = {run.depth: run.final_train_error for run in runs if run.twin == twin}
    return {depth: _DIVERGED if error is None else error for depth, error in errors.items()}


def _twins_sentence(deep: int, plain: float, residual: float, epochs: int) -> str:
    when = f"After {epochs} {'epoch' if epochs == 1 else 'epochs'}"
    if plain < _DIVERGED and residual < _DIVERGED:
        return (
            f"{when} the plain {deep}-layer network gets {percent(plain)} of its own training"
            f" images wrong, its residual twin {percent(residual)}."
        )
    twins = [
        f"the {twin} network "
        + ("diverged" if error >= _DIVERGED else f"has a training error of {percent(error)}")
        for twin, error in (("plain", plain), ("residual", residual))
    ]
    return f"With {deep} layers {twins[0]} and {twins[1]}."


def _gradient_sentences(runs: Sequence[Run]) -> list[str]:
    """Say how the gradient's size changed on its way back to the first layer."""
    ratios = []
    for run in runs:
        first, last = run.gradient_size(0), run.gradient_size(-1)
        if first is not None and last is not None and last.first_step > 0:
            ratios.append(f"{short(first.first_step / last.first_step, 2)} in {run.name}")
    if not ratios:
        return []
    return [
        "At the first step, the norm of the first layer's gradient divided by the last layer's is"
        f" {' and '.join(ratios)}. A gradient that explodes on its way back makes this number"
        " huge, one that vanishes makes it tiny."
    ]


def _rise(twin: str, errors: dict[int, float], deep: int) -> tuple[float | None, str]:
    """Compare the deepest network of a kind with the best shallower one."""
    shallower = [depth for depth in errors if depth < deep]
    if not shallower:
        return None, ""
    best = min(shallower, key=lambda depth: (errors[depth], depth))
    kind = twin.capitalize()
    if errors[best] >= _DIVERGED:
        return None, f"{kind} networks with fewer than {deep} layers: all diverged."
    if errors[deep] >= _DIVERGED:
        return _DIVERGED, (
            f"{kind} networks: the training error is {percent(errors[best])} with {best} layers;"
            f" with {deep} the network diverged."
        )
    rise = errors[deep] - errors[best]
    change = "rises" if rise > MARGIN else "falls" if rise < -MARGIN else "hardly changes"
    return rise, (
        f"{kind} networks: the training error {change}, from {percent(errors[best])} with {best}"
        f" layers to {percent(errors[deep])} with {deep}."
    )


def _headline(deep: int, degradation: bool | None, gap: float, residual_too: bool) -> str:
    better, worse = gap > MARGIN, gap < -MARGIN
    if degradation is None:
        if better:
            return f"With {deep} layers, the residual network trains better than its plain twin."
        if worse:
            return f"With {deep} layers, the residual network trains worse than its plain twin."
        return f"With {deep} layers, plain and residual network train alike."
    if degradation:
        if better and not residual_too:
            return (
                f"Degradation, and its repair: at {deep} layers the plain network trains worse than"
                " a shallower one; with shortcuts it does not."
            )
        if better:
            return (
                f"At {deep} layers both twins train worse than shallower ones; the residual one"
                " trains better than the plain one."
            )
        if worse:
            return (
                f"Degradation without repair: at {deep} layers the residual network trains even"
                " worse than the plain one."
            )
        return (
            f"Degradation without repair: at {deep} layers plain and residual network train alike,"
            " worse than shallower ones."
            if residual_too
            else f"The {deep}-layer plain network trains worse than a shallower one, but no worse"
            " than its residual twin."
        )
    beginning = (
        f"No degradation in this run: the {deep}-layer plain network trains no worse than shallower"
        " ones"
    )
    if better:
        return f"{beginning}; its residual twin trains better still."
    if worse:
        return f"{beginning}; its residual twin trains worse."
    return f"{beginning}; its residual twin trains alike."
