"""A comparison on disk: the record, the weights, the picture, the traces, the report."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from minires.models.weights.catalogue import Card, Preprocessing, write_card
from minires.serialize import atomic_write, save
from minires.serialize.json_text import to_json

from .comparison import Comparison
from .metrics import metrics_of, weights_file
from .run import Run

METRICS, PICTURE, REPORT = "metrics.json", "compare.png", "report.html"
WEIGHTS, TRACES = "weights", "traces"


def holds_comparison(folder: str | os.PathLike[str]) -> bool:
    """Tell whether `folder` has something that a comparison would overwrite."""
    return any(
        (Path(folder) / name).exists() for name in (METRICS, PICTURE, REPORT, WEIGHTS, TRACES)
    )


def write_comparison(
    comparison: Comparison, folder: str | os.PathLike[str], half: bool = False
) -> list[Path]:
    """Write a comparison to a folder, all of it or nothing.

    With it goes, for each depth, a page that traces the first training step of both twins. It is
    run anew for that, with networks of its own.

    Parameters
    ----------
    comparison : Comparison
        With at least one finished run.
    folder : path
        Made if it does not exist.
    half : bool
        Keep the weights as float16.

    Returns
    -------
    list of Path
        The report, the picture, the metrics, and the folder of the weights.

    Raises
    ------
    ValueError
        If nothing was trained yet.
    FileExistsError
        If the folder already holds a comparison.
    """
    from minires.trace.views.page import page_of

    from .picture import overview, to_png
    from .report import render_report, trace_file
    from .tracing import traced_twins

    target = Path(folder)
    if not comparison.runs:
        raise ValueError("write_comparison: nothing was trained yet; call comparison.train() first")
    if holds_comparison(target):
        raise FileExistsError(f"'{target}' already holds a comparison; choose another folder")
    picture, report = to_png(overview(comparison)), render_report(comparison)
    pages = {
        trace_file(depth): page_of(traced_twins(depth, comparison.settings, comparison.split))
        for depth in sorted({run.depth for run in comparison.runs})
    }
    written: list[Path] = []
    for folder in (WEIGHTS, TRACES):
        (target / folder).mkdir(parents=True)
    try:
        for run in comparison.runs:
            file = target / weights_file(run)
            written += [file, file.with_suffix(".json")]
            weights = {
                name: value.astype(np.float16) if half and value.dtype.kind == "f" else value
                for name, value in run.weights.items()
            }
            save(weights, file, metadata=_about(run, comparison))
            write_card(_card(run, comparison), file)
        for name, contents in (
            (METRICS, to_json(metrics_of(comparison)).encode()),
            (PICTURE, picture),
            *((name, page.encode()) for name, page in pages.items()),
            (REPORT, report.encode()),
        ):
            written.append(target / name)
            with atomic_write(written[-1]) as opened:
                opened.write(contents)
    except BaseException:  # a part would pass for the whole
        for path in written:
            path.unlink(missing_ok=True)
        for folder in (WEIGHTS, TRACES):
            (target / folder).rmdir()
        raise
    return [target / name for name in (REPORT, PICTURE, METRICS, WEIGHTS)]


def _about(run: Run, comparison: Comparison) -> dict[str, str]:
    """Say in a weights file's header what it takes to build the network again."""
    return {
        "network": _network(run),
        "shortcut": "none" if run.twin == "plain" else "A",
        "depth": str(run.depth),
        "width": str(comparison.settings.width),
        "in_channels": str(comparison.split.channels),
        "num_classes": str(comparison.split.classes),
        "dataset": comparison.settings.dataset,
        "status": "diverged" if run.diverged else "finished",
    }


def _card(run: Run, comparison: Comparison) -> Card:
    """Say beside the weights what it takes to ask the network, for `minires predict`."""
    split = comparison.split
    side = min(split.train.arrays[0].shape[2:])
    return Card(
        model=f"{_network(run)}{run.depth}",
        options={"width": comparison.settings.width},
        classes=split.class_names,
        preprocessing=Preprocessing(
            size=side,
            crop=side,
            mean=split.mean,
            std=split.std,
        ),
        source=f"minires compare, {comparison.dataset}",
    )


def _network(run: Run) -> str:
    return "cifar_plain" if run.twin == "plain" else "cifar_resnet"
