"""The report of a run, `report.html`: one file that is written anew after every epoch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from minires.models.weights.catalogue import Card, card_of
from minires.pages import definitions, details, escape, page, table
from minires.serialize import atomic_write

from .best import BEST, best_in_validation
from .checkpoint import read_circumstances
from .config import RunConfig, read_config
from .confusion import confusion_section
from .curves import curves_section, share
from .metrics_log import EpochLine, Metrics, read_metrics
from .result import early_end
from .shallower import shallower_beside
from .verdict import MEASURED, RULES, Verdict, judge

__all__ = ["REPORT", "render_report", "write_report"]

REPORT = "report.html"
_LOSSY = (
    '<p class="note">The images were compressed with loss: what is measured on them says nothing'
    " about the originals.</p>"
)
_SECONDS = 30  # after which an open page of a run that is not finished is read again


def write_report(folder: str | os.PathLike[str], *, diverged: str = "", stopped: str = "") -> Path:
    """Write ``report.html`` into a run's folder, from what stands there.

    Parameters
    ----------
    folder : path
        With ``config.json`` and, once a step is done, ``metrics.jsonl``.
    diverged : str
        What was found, if the run was stopped for a loss that is no number.
    stopped : str
        What stopped it, if it was asked to: a browser then waits for nothing more.

    Returns
    -------
    Path
        Of the report.

    Raises
    ------
    FileNotFoundError
        If the folder holds no run.

    Examples
    --------
    >>> import tempfile
    >>> from minires.training.runs import RunConfig, write_config
    >>> folder = tempfile.mkdtemp()
    >>> config = RunConfig.checked(model="cifar_resnet8", dataset="digits", epochs=5)
    >>> _ = write_config(config, folder)
    >>> "Too short to tell: 0 epochs are done." in write_report(folder).read_text()
    True
    """
    config, metrics = read_config(folder), read_metrics(folder)
    verdict = judge(metrics, config, shallower_beside(folder, config), diverged)
    name, best, path = Path(folder).resolve().name, Path(folder) / BEST, Path(folder) / REPORT
    # A kill may have come between the weights and their card, which the next best epoch writes.
    card = card_of(best) if best.with_suffix(".json").exists() else None
    text = render_report(
        name,
        config,
        metrics,
        verdict,
        card,
        read_circumstances(folder),
        over=bool(metrics.test or diverged),
        stopped=stopped,
    )
    with atomic_write(path, "w") as file:
        file.write(text)
    return path


def render_report(
    name: str,
    config: RunConfig,
    metrics: Metrics,
    verdict: Verdict,
    card: Card | None,
    circumstances: Mapping[str, object],
    *,
    over: bool = False,
    stopped: str = "",
) -> str:
    """Write the page of a run as HTML.

    Parameters
    ----------
    name : str
        The run's.
    config : RunConfig
    metrics : Metrics
    verdict : Verdict
    card : Card, optional
        Of the best weights; it names the classes.
    circumstances : dict
        Of the last checkpoint: threads, versions, kernels.
    over : bool
        Nothing more is to come.
    stopped : str
        What stopped the run for now, if it was asked to.
    """
    classes = card.classes if card is not None else ()
    sections = [
        _opening(name, config, metrics, verdict, card, over, stopped),
        curves_section(metrics, config),
        *([confusion_section(metrics.test.confusion, classes)] if metrics.test else []),
        _method(config, circumstances),
    ]
    return page(
        f"{name}: a training run", sections, reload_after=0 if over or stopped else _SECONDS
    )


def _opening(
    name: str,
    config: RunConfig,
    metrics: Metrics,
    verdict: Verdict,
    card: Card | None,
    over: bool,
    stopped: str,
) -> str:
    said = "\n".join(f"<li>{escape(sentence)}</li>" for sentence in verdict.details)
    rules = "\n".join(f"<li>{escape(rule)}</li>" for rule in RULES)
    rules = f"<p>{escape(MEASURED)}</p><ol>{rules}</ol>"
    so_far = "" if over else "So far: "
    progress = _progress(config, metrics) + (
        f" It was {escape(stopped)}; minires train --resume goes on with it." if stopped else ""
    )
    return (
        f'<header>\n<h1>{escape(name)}</h1>\n<p class="lede">{escape(config.model)} learns'
        f" {escape(Path(config.dataset).name)}. {progress}</p>\n</header>\n"
        f'<section class="verdict {verdict.kind.replace(" ", "-")}" aria-labelledby="verdict">\n'
        f'<h2 id="verdict">{so_far}{escape(verdict.headline)}</h2>\n<ul>\n{said}\n</ul>\n'
        f"{details('The rules by which this is said', rules)}\n</section>\n"
        + _results(metrics)
        + (_LOSSY if card is not None and card.training.get("lossy_images") else "")
    )


def _progress(config: RunConfig, metrics: Metrics) -> str:
    done = f"{_count(len(metrics.epochs), 'epoch')}, {_count(len(metrics.steps), 'step')}"
    if metrics.test is not None:
        early = early_end(config, metrics)
        return f"It was trained for {done}." + (f" {early.capitalize()}." if early else "")
    planned = _count(config.epochs, "epoch") if config.epochs else _count(config.steps or 0, "step")
    return f"Done so far: {done}, of {planned}."


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _results(metrics: Metrics) -> str:
    """Tell the numbers that the run is about: of the last epoch, of the best one, and the test."""
    if not metrics.epochs:
        return ""
    last, best, test = metrics.epochs[-1], best_in_validation(metrics.epochs), metrics.test
    rows = [["last epoch", str(last.epoch), *_errors(last), "–"]]
    if best is not None:
        rows.append(["best in validation", str(best.epoch), *_errors(best), "–"])
    if test is not None:
        rows.append(["test, read once", str(test.epoch), "–", "–", share(test.error)])
    head = ["", "epoch", "training error", "validation error", "test error"]
    caption = "Errors are shares of images that are misclassified."
    return f'<div class="card results">{table(caption, head, rows)}</div>'


def _errors(line: EpochLine) -> list[str]:
    return [share(line.train_error), share(line.validation_error)]


def _method(config: RunConfig, circumstances: Mapping[str, object]) -> str:
    options = [
        (name.replace("_", " "), _written(value))
        for name, value in config.model_dump(exclude={"schema_"}).items()
        if value or name == "seed"
    ]
    computed = [(key.replace("_", " "), str(value)) for key, value in circumstances.items()]
    lists = [options, computed] if computed else [options]  # nothing before the first checkpoint
    cards = [f'<div class="card">{definitions(each)}</div>' for each in lists]
    return (
        '<section aria-labelledby="method">\n<h2 id="method">How it is trained</h2>\n'
        f'<div class="grid">{"".join(cards)}</div>\n'
        '<p class="note">Options that are 0, off or empty are left out. Everything measured is in'
        ' <a href="metrics.jsonl">metrics.jsonl</a>, the epochs also in'
        ' <a href="metrics.csv">metrics.csv</a>, the options in'
        ' <a href="config.json">config.json</a>.</p>\n</section>'
    )


def _written(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
