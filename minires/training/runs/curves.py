"""How a run got where it is: the curves of its log as a section of its report."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from minires.pages import Axis, Curve, Mark, chart, details, escape, percent, short, table

from .best import best_in_validation
from .config import RunConfig
from .metrics_log import EpochLine, Metrics


def curves_section(metrics: Metrics, config: RunConfig) -> str:
    """Draw loss, error, learning rate and speed, with a table of the values of every epoch.

    Parameters
    ----------
    metrics : Metrics
    config : RunConfig
        Its schedule says which falls of the rate are events.
    """
    epochs = metrics.epochs
    best = best_in_validation(epochs)
    # A cosine's end halves the rate in every epoch, which is no event.
    marks = [Mark(epoch) for epoch in _falls(epochs)] if config.schedule != "cosine" else []
    if best is not None and best.epoch < epochs[-1].epoch:
        marks.append(Mark(best.epoch, "lowest validation error"))
    across = Axis("epoch", low=0, high=max(len(epochs), 1), whole=True)
    told = (
        "What you see: a training value is the mean over an epoch's batches, in training mode and"
        " with the augmentation, each batch before it is learned from"
    )
    if any(line.validation_loss is not None for line in epochs):
        told += (
            "; a validation value is that of the network as it is after the epoch. Validation may"
            " therefore be the better of the two early on"
        )
    if any(not mark.name for mark in marks):
        told += ". At a dotted line without a name the learning rate falls to half or less"
    drawn = {
        "Loss": chart(
            _about("Loss", epochs, "loss"),
            [
                Curve("each step", _steps(metrics), "blue", "thin"),
                Curve("training", [(e.epoch, e.train_loss) for e in epochs], "blue"),
                Curve("validation", _validation(epochs, "loss"), "orange", "dashed"),
            ],
            across,
            Axis("loss (log scale)", log=True),
            marks=marks,
        ),
        "Error": chart(
            _about("Error", epochs, "error"),
            [
                Curve("training", [(e.epoch, 100 * e.train_error) for e in epochs], "blue"),
                Curve("validation", _validation(epochs, "error", 100), "orange", "dashed"),
            ],
            across,
            Axis("error, %", low=0),
            marks=marks,
        ),
        "Learning rate": chart(
            "The learning rate at every step. " + _rates(epochs),
            [Curve("", _steps(metrics, "lr"), "soft")],
            across,
            Axis("learning rate (log scale)", log=True),
        ),
        "Speed": chart(
            "Images per second in every epoch; the table below has the values.",
            [Curve("", [(e.epoch, e.images_per_second) for e in epochs], "soft")],
            across,
            Axis("images per second", low=0),
        ),
    }
    figures = "\n".join(
        f'<figure class="card"><h3>{escape(title)}</h3>{svg}</figure>'
        for title, svg in drawn.items()
    )
    return (
        '<section aria-labelledby="curves">\n<h2 id="curves">How did it get there?</h2>\n'
        f"<p>{told}.</p>\n"
        f'<div class="grid wide">\n{figures}\n</div>\n'
        f'<div class="card">{details("The values of every epoch", _epoch_table(epochs))}</div>\n'
        "</section>"
    )


def _steps(metrics: Metrics, value: str = "loss") -> list[tuple[float, float | None]]:
    """Place each step at the share of its epoch that is done after it."""
    ends = [0, *(line.step for line in metrics.epochs)]
    longest = max((b - a for a, b in pairwise(ends)), default=0)
    points: list[tuple[float, float | None]] = []
    for line in metrics.steps:
        if line.epoch < len(ends):
            begin, end = ends[line.epoch - 1], ends[line.epoch]
        else:  # an epoch that is not finished; the first one's length is not known
            begin, end = ends[-1], ends[-1] + (longest or len(metrics.steps))
        points.append((line.epoch - 1 + (line.step - begin) / (end - begin), getattr(line, value)))
    return points


def _validation(
    epochs: Sequence[EpochLine], what: str, factor: float = 1.0
) -> list[tuple[float, float | None]]:
    values = [(line.epoch, getattr(line, f"validation_{what}")) for line in epochs]
    return [(epoch, None if value is None else factor * value) for epoch, value in values]


def _falls(epochs: Sequence[EpochLine]) -> list[int]:
    """Return after how many epochs the learning rate fell to half or less."""
    return [before.epoch for before, after in pairwise(epochs) if after.lr <= before.lr / 2]


def _about(title: str, epochs: Sequence[EpochLine], what: str) -> str:
    write = percent if what == "error" else short
    told = [f"{title} of the training and the validation part after every epoch."]
    for part in ("train", "validation"):
        values = [v for line in epochs if (v := getattr(line, f"{part}_{what}")) is not None]
        if values:
            told.append(f"{part}: from {write(values[0])} to {write(values[-1])}.")
    return " ".join((*told, "The table below has the values of every epoch."))


def _rates(epochs: Sequence[EpochLine]) -> str:
    if not epochs:
        return ""
    return f"From {epochs[0].lr:.3g} in the first epoch to {epochs[-1].lr:.3g} in the last."


def _epoch_table(epochs: Sequence[EpochLine]) -> str:
    head = ["epoch", "training loss", "validation loss", "training error", "validation error",
            "learning rate", "seconds", "images/s"]  # fmt: skip
    rows = [
        [
            str(line.epoch),
            short(line.train_loss),
            _number(line.validation_loss),
            share(line.train_error),
            share(line.validation_error),
            f"{line.lr:.3g}",
            f"{line.seconds:.1f}",
            f"{line.images_per_second:,.0f}",
        ]
        for line in epochs
    ]
    return table("Epoch by epoch", head, rows)


def _number(value: float | None) -> str:
    return "–" if value is None else short(value)


def share(value: float | None) -> str:
    """Write an error as a percentage; a dash where there is none."""
    return "–" if value is None else f"{value:.2%}"
