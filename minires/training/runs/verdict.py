"""What the curves of a run say, by rules that the report states: no word that is not measured.

An error that is high on the validation part has two causes that call for opposite cures. The
network may have learned its training images by heart (overfitting), or it may not even manage those
(which, if a shallower network manages them, is the degradation of He et al. 2015, section 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

from minires.pages import percent, short

from .config import RunConfig
from .metrics_log import EpochLine, Metrics
from .shallower import Shallower, kind_and_depth

Kind = Literal["overfitting", "degradation", "underfitting", "neither", "diverged", "too short"]

FEWEST = 5  # epochs below which nothing is concluded
MARGIN = 0.01  # of an error: smaller differences are chance, in a single run
RISE = 0.05  # of the validation loss, as a share of its lowest value
GAP = 0.1  # between training and validation error: more than what regularisation leaves
HIGH = 0.1  # a training error above which a network has not learned its images
BLOWN = 10  # times the loss of the first step: what no training recovers from
PATIENCE = 3  # epochs, of which medians are taken and for which a rise must last

MEASURED = (
    "Single epochs jump about, so a value below is the median of three epochs, the last ones or"
    " those about the lowest, where no single epoch is named. The rules are tried in this order;"
    " the first that fits is told."
)
RULES = (
    "Diverged: a loss was no number, or the training loss is more than half above that of the first"
    f" epoch, or more than {BLOWN:g} times that of the first step.",
    f"Too short to tell: fewer than {FEWEST} epochs.",
    f"Overfitting: each of the last {PATIENCE} validation losses is more than {100 * RISE:g} %"
    " above the lowest, and the rise is more than twice the usual change from one epoch to the"
    " next, while the training loss has fallen. Or the validation error is more than"
    f" {100 * GAP:g} percentage points above the training error, and has fallen by less than"
    f" {100 * MARGIN:g} over the last quarter of the epochs (at least {PATIENCE}).",
    "Degradation: a run beside this one, of the same options but for its warm-up and where it is"
    " computed, has fewer layers and a training error that is lower by more than"
    f" {100 * MARGIN:g} percentage point at the last epoch that both have.",
    f"Underfitting: the training error is above {100 * HIGH:g} %, and over the last quarter of the"
    f" epochs (at least {PATIENCE}) it has fallen by less than {100 * MARGIN:g} percentage point."
    " Degradation looks like this, but so does a network that is too small, or a learning rate that"
    " does not suit it.",
)


class Verdict(NamedTuple):
    """What the curves say.

    Attributes
    ----------
    kind : str
    headline : str
        One sentence.
    details : list of str
        Sentences with the numbers behind it.
    """

    kind: Kind
    headline: str
    details: list[str]


def judge(
    metrics: Metrics, config: RunConfig, shallower: Sequence[Shallower] = (), diverged: str = ""
) -> Verdict:
    """Tell overfitting, degradation and their like apart by `RULES`.

    Parameters
    ----------
    metrics : Metrics
    config : RunConfig
    shallower : sequence of Shallower
        What to compare with; see `shallower_beside`.
    diverged : str
        What was found, if the run was stopped for a loss that is no number.

    Returns
    -------
    Verdict
    """
    epochs = metrics.epochs
    if diverged:
        return Verdict("diverged", "The training diverged, and was stopped.", [diverged])
    rose = _rose_from_the_start(metrics)
    if rose:
        return Verdict(
            "diverged", "The training goes the wrong way: it diverges.", [rose, _numbers(epochs)]
        )
    if len(epochs) < FEWEST:
        done = f"{len(epochs)} {'epoch is' if len(epochs) == 1 else 'epochs are'} done"
        return Verdict("too short", f"Too short to tell: {done}.", [])
    numbers = _numbers(epochs)
    comparable = not config.mixup  # of mixed images no single class is right
    overfitted = _rising(epochs) or (_parted(epochs) if comparable else "")
    if overfitted:
        return Verdict(
            "overfitting",
            "Overfitting: what it learns of its training images does not help with others.",
            [overfitted, numbers, "More data, augmentation or weight decay are the usual cures;"
             " early stopping saves the time."],
        )  # fmt: skip
    degraded = _degraded(config, epochs, shallower) if comparable else ""
    if degraded:
        return Verdict(
            "degradation",
            "Degradation: with more layers it learns even its own training images worse.",
            [degraded, numbers, "This is not overfitting: the error is measured on the very images"
             " that it learns from. Where there are none, shortcuts around every few layers are"
             " the cure of He et al."],
        )  # fmt: skip
    stuck = _stuck(epochs) if comparable else ""
    if stuck:
        return Verdict(
            "underfitting",
            "Underfitting, perhaps degradation: it does not manage its own training images.",
            [stuck, numbers, _how_to_decide(config, shallower)],
        )
    if all(line.validation_error is None for line in epochs):
        headline = "No degradation; overfitting cannot be told without a validation part."
    else:
        headline = "Neither overfitting nor degradation."
    return Verdict("neither", headline, [numbers])


def _medians(values: Sequence[float]) -> list[float]:
    """Return the median of three about each value; at the ends, the mean of two."""
    return [median(values[max(i - 1, 0) : i + 2]) for i in range(len(values))]


def _last(values: Sequence[float]) -> float:
    return median(values[-PATIENCE:])


def _quarter(values: Sequence[float]) -> int:
    return max(len(values) // 4, PATIENCE)


def _rose_from_the_start(metrics: Metrics) -> str:
    epochs = metrics.epochs
    if not epochs:
        return ""
    last = _last([line.train_loss for line in epochs])
    beginnings = [(epochs[0].train_loss, 1.5, "epoch")]
    beginnings += [(line.loss, BLOWN, "step") for line in metrics.steps[:1]]
    for first, factor, what in beginnings:
        if last > factor * first:
            return (
                f"The training loss was {short(first)} in the first {what} and is {short(last)}"
                " now; a lower learning rate or a warm-up is what usually helps."
            )
    return ""


def _rising(epochs: Sequence[EpochLine]) -> str:
    validated = [line for line in epochs if line.validation_loss is not None]
    if len(validated) < FEWEST:
        return ""
    losses = [line.validation_loss or 0.0 for line in validated]
    trained = _medians([line.train_loss for line in validated])
    smooth = _medians(losses)
    best = min(range(len(smooth)), key=smooth.__getitem__)
    now = _last(losses)
    rise = now - smooth[best]
    usual = median(abs(b - a) for a, b in pairwise(losses))
    falling = _last([line.train_loss for line in validated]) < trained[best]
    lasting = min(losses[-PATIENCE:]) > (1 + RISE) * smooth[best]
    if not (lasting and falling and rise > 2 * usual):
        return ""
    return (
        f"The validation loss was lowest, {short(smooth[best])}, about epoch"
        f" {validated[best].epoch}; now it is {short(now)}, {100 * rise / smooth[best]:.0f} % more."
        f" Meanwhile the training loss fell from {short(trained[best])} to"
        f" {short(_last([line.train_loss for line in validated]))}."
    )


def _parted(epochs: Sequence[EpochLine]) -> str:
    validated = [line for line in epochs if line.validation_error is not None]
    if len(validated) < FEWEST:
        return ""
    errors = [line.validation_error or 0.0 for line in validated]
    now, trained = _last(errors), _last([line.train_error for line in validated])
    back = _quarter(errors)
    before = _medians(errors)[-1 - back]
    if now - trained <= GAP or before - now >= MARGIN:
        return ""
    return (
        f"The validation error is {percent(now)}, and was {percent(before)} {back} epochs before;"
        f" the training error is {percent(trained)}."
    )


def _degraded(
    config: RunConfig, epochs: Sequence[EpochLine], shallower: Sequence[Shallower]
) -> str:
    """Compare with the shallower run that gains most, at the last epoch that both have."""
    best, told = MARGIN, ""
    for other in shallower:
        common = min(len(epochs), len(other.epochs))
        if common >= FEWEST:
            here = _last([line.train_error for line in epochs[:common]])
            there = _last([line.train_error for line in other.epochs[:common]])
            if here - there > best:
                best = here - there
                told = (
                    f"After {common} epochs {config.model} has a training error of"
                    f" {percent(here)}; '{other.name}', the same run with {other.depth} layers, has"
                    f" {percent(there)}."
                )
    return told


def _stuck(epochs: Sequence[EpochLine]) -> str:
    errors = _medians([line.train_error for line in epochs])
    now = _last([line.train_error for line in epochs])
    back = _quarter(errors)
    if now <= HIGH or errors[-1 - back] - now >= MARGIN:
        return ""
    return (
        f"The training error is {percent(now)}, and was {percent(errors[-1 - back])} {back} epochs"
        " before: it stands still."
    )


def _how_to_decide(config: RunConfig, shallower: Sequence[Shallower]) -> str:
    if any(len(other.epochs) >= FEWEST for other in shallower):
        return (
            "Depth alone is hardly the cause: with fewer layers the training error is lower by no"
            f" more than {100 * MARGIN:g} percentage point at the last epoch that both have."
        )
    if kind_and_depth(config.model) is None:
        return "A larger network or another learning rate would tell."
    return (
        "Whether its depth is the cause, a run with fewer layers tells: of the same options, in a"
        " folder beside this one."
    )


def _numbers(epochs: Sequence[EpochLine]) -> str:
    error = _last([line.train_error for line in epochs])
    told = f"Training error {percent(error)}"
    validated = [e.validation_error for e in epochs if e.validation_error is not None]
    if not validated:
        return (
            f"{told}. There is no validation part, so overfitting cannot be seen; see --val-split."
        )
    gap = 100 * (_last(validated) - error)
    return (
        f"{told}, validation error {percent(_last(validated))}: a gap of {gap:.1f} percentage"
        f" points (medians of the last {PATIENCE} epochs)."
    )
