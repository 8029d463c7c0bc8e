"""What the runs of a sweep say beside each other: a table, and a page with a plot."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from minires.pages import Axis, Cell, Colour, Curve, chart, definitions, escape, page, short, table
from minires.serialize import atomic_write
from minires.training.runs.report import REPORT

from .outcome import Outcome, ranked
from .seeds import SEED, Combination, over_seeds

__all__ = ["PAGE", "TABLE", "headline", "mean_of", "named", "row_of", "write_sweep", "written"]

TABLE, PAGE = "sweep.csv", "sweep.html"

_COLOURS: tuple[Colour, ...] = ("blue", "orange", "green", "purple", "ink", "soft")


def write_sweep(outcomes: Sequence[Outcome], folder: str | os.PathLike[str]) -> list[Path]:
    """Write ``sweep.csv`` and ``sweep.html`` into a sweep's folder, the best run first.

    Parameters
    ----------
    outcomes : sequence of Outcome
        At least one.
    folder : path

    Returns
    -------
    list of Path
        Of the table and the page.
    """
    best_first = ranked(outcomes)
    files = [Path(folder) / TABLE, Path(folder) / PAGE]
    for file, text in zip(files, (_csv(best_first), _page(best_first)), strict=True):
        with atomic_write(file, "w") as opened:
            opened.write(text)
    return files


def row_of(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as a row of the table, ready for JSON."""
    best = outcome.best
    return {
        **{f"option.{name}": value for name, value in outcome.varied.items()},
        "validation_error": best and best.validation_error,
        "validation_loss": best and best.validation_loss,
        "train_error": best and best.train_error,
        "best_epoch": best and best.epoch,
        "epochs": len(outcome.epochs),
        "seconds": round(outcome.seconds, 3),
        "run": outcome.name,
        "failure": outcome.failure or None,
    }


def headline(outcomes: Sequence[Outcome]) -> str:
    """Say which run is the best."""
    first = ranked(outcomes)[0]
    if first.best is None:
        return "No run has a result."
    combinations = over_seeds(outcomes)
    if combinations:
        best, seeds = combinations[0], len(combinations[0].errors)
        return (
            f"Lowest mean validation error over {seeds} {'seed' if seeds == 1 else 'seeds'}:"
            f" {mean_of(best)}, with {named(best.varied)}."
        )
    return f"Lowest validation error: {_error(first)}, with {named(first.varied)}."


def mean_of(combination: Combination) -> str:
    """Write a mean, and how far it scatters.

    Examples
    --------
    >>> mean_of(Combination({}, [0.05, 0.06, 0.07], failures=1))
    '6.00% ± 1.00, 1 failed'
    """
    if combination.mean is None:
        return "failed"
    told = f"{combination.mean:.2%}"
    if combination.scatter is not None:
        told += f" ± {100 * combination.scatter:.2f}"
    return told + (f", {combination.failures} failed" if combination.failures else "")


def named(varied: Mapping[str, Any]) -> str:
    """Say what distinguishes a run.

    Examples
    --------
    >>> named({"lr": 0.1, "freeze": ("layer1.*", "layer2.*")})
    'lr 0.1, freeze layer1.* layer2.*'
    """
    told = [f"{name} {written(value)}" for name, value in varied.items()]
    return ", ".join(told) or "the only options"


def written(value: Any) -> str:
    """Write the value of an option, which may have several parts."""
    return " ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)


def _error(outcome: Outcome) -> str:
    best = outcome.best
    return "–" if best is None else f"{best.validation_error:.2%}"


def _csv(outcomes: Sequence[Outcome]) -> str:
    text = io.StringIO()
    rows = [row_of(outcome) for outcome in outcomes]
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _page(outcomes: Sequence[Outcome]) -> str:
    title = f"A sweep of {len(outcomes)} {'run' if len(outcomes) == 1 else 'runs'}"
    chance = (
        "Differences that are not much larger than those between seeds may be chance."
        if SEED in outcomes[0].varied
        else "Small differences may be chance; with several seeds in the grid it would tell how"
        " small."
    )
    failed = [outcome for outcome in outcomes if outcome.failure]
    told = f" {len(failed)} of the runs failed; why stands below." if failed else ""
    verdict = (
        '<section class="verdict" aria-labelledby="verdict">\n'
        f'<h2 id="verdict">{escape(headline(outcomes))}</h2>\n<p>It is judged by the validation'
        f" part alone; the test part has no say. {chance}{told}</p>\n</section>"
    )
    return page(
        title,
        [f"<h1>{title}</h1>", verdict, _plots(outcomes), *_seeds(outcomes), _runs(outcomes),
         *_failures(failed)],
    )  # fmt: skip


def _failures(failed: Sequence[Outcome]) -> list[str]:
    if not failed:
        return []
    told = definitions([(outcome.name, outcome.failure) for outcome in failed])
    return [
        '<section aria-labelledby="failures">\n<h2 id="failures">What went wrong</h2>\n'
        f'<div class="card failures">{told}</div>\n</section>'
    ]


def _plots(outcomes: Sequence[Outcome]) -> str:
    drawn = {"Validation error by epoch, the best runs": _by_epoch(outcomes)}
    for name in outcomes[0].varied:
        points = [
            (outcome.varied[name], 100 * outcome.best.validation_error)
            for outcome in outcomes
            if outcome.best is not None and outcome.best.validation_error is not None
        ]
        if points and name != SEED and all(type(x) in (int, float) for x, _ in points):
            drawn[f"The lowest validation error, by {name}"] = _by_value(name, points)
    cards = "".join(
        f'<figure class="card"><h3>{escape(title)}</h3>{svg}</figure>'
        for title, svg in drawn.items()
    )
    return (
        '<section aria-labelledby="plots">\n<h2 id="plots">How do they compare?</h2>\n'
        f'<div class="grid wide">{cards}</div>\n</section>'
    )


def _by_epoch(outcomes: Sequence[Outcome]) -> str:
    curves = [
        Curve(
            f"{rank}: {named(outcome.varied)}",
            [(e.epoch, 100 * e.validation_error) for e in outcome.epochs
             if e.validation_error is not None],
            colour,
            "line" if rank % 2 else "dashed",
        )
        for rank, (outcome, colour) in enumerate(zip(outcomes, _COLOURS, strict=False), 1)
        if outcome.best is not None
    ]  # fmt: skip
    about = "The validation error after every epoch, of the best runs; the table has the lowest."
    return chart(
        about, curves, Axis("epoch", low=0, whole=True), Axis("validation error, %", low=0)
    )


def _by_value(name: str, points: Sequence[tuple[float, float]]) -> str:
    """Draw the error of each run over a number, and the best run of each number as a line."""
    values = sorted({x for x, _ in points})
    best = [(value, min(error for x, error in points if x == value)) for value in values]
    log = values[0] > 0 and values[-1] > 5 * values[0]
    return chart(
        f"The lowest validation error of each run by {name}; the table has the values.",
        [Curve("each run", sorted(points), "soft", "dots"), Curve("the best", best, "blue")],
        Axis(f"{name} (log scale)" if log else name, log=log),
        Axis("validation error, %", low=0),
    )


def _seeds(outcomes: Sequence[Outcome]) -> list[str]:
    combinations = over_seeds(outcomes)
    if not combinations:
        return []
    head = ["", *combinations[0].varied, "runs", "mean validation error ± standard deviation"]
    rows = [
        [str(rank), *map(written, each.varied.values()), str(len(each.errors) + each.failures),
         mean_of(each)]
        for rank, each in enumerate(combinations, 1)
    ]  # fmt: skip
    return [
        '<section aria-labelledby="seeds">\n<h2 id="seeds">Over the seeds</h2>\n'
        f'<div class="card results">{table("The lowest mean first.", head, rows)}</div>\n</section>'
    ]


def _runs(outcomes: Sequence[Outcome]) -> str:
    head = ["", *outcomes[0].varied, "validation error", "validation loss", "training error",
            "best epoch", "epochs", "seconds", "run"]  # fmt: skip
    rows: list[list[str | Cell]] = []
    for rank, outcome in enumerate(outcomes, 1):
        best = outcome.best
        measured = ["failed", "–", "–", "–"]
        if best is not None:
            loss = "–" if best.validation_loss is None else short(best.validation_loss)
            measured = [_error(outcome), loss, f"{best.train_error:.2%}", str(best.epoch)]
        rows.append([
            str(rank), *map(written, outcome.varied.values()), *measured, str(len(outcome.epochs)),
            f"{outcome.seconds:.1f}",
            Cell(outcome.name[-8:], link=f"{quote(outcome.name)}/{REPORT}"),
        ])  # fmt: skip
    return (
        '<section aria-labelledby="runs">\n<h2 id="runs">All runs</h2>\n<div class="card">'
        f"{table('The best first. Values are those of its best epoch.', head, rows)}</div>\n"
        "</section>"
    )
