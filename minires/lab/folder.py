"""A comparison on disk: the record, the weights, the picture, the report."""

from __future__ import annotations

import os
from pathlib import Path

from minires.serialize import atomic_write, save

from .comparison import Comparison
from .metrics import metrics_of, to_json, weights_file
from .run import Run

METRICS, PICTURE, REPORT, WEIGHTS = "metrics.json", "compare.png", "report.html", "weights"


def holds_comparison(folder: str | os.PathLike[str]) -> bool:
    """Tell whether `folder` has something that a comparison would overwrite."""
    return any((Path(folder) / name).exists() for name in (METRICS, PICTURE, REPORT, WEIGHTS))


def write_comparison(comparison: Comparison, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a comparison to a folder, all of it or nothing.

    Parameters
    ----------
    comparison : Comparison
        With at least one finished run.
    folder : path
        Made if it does not exist.

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
    from .picture import overview, to_png
    from .report import render_report

    target = Path(folder)
    if not comparison.runs:
        raise ValueError("write_comparison: nothing was trained yet; call comparison.train() first")
    if holds_comparison(target):
        raise FileExistsError(f"'{target}' already holds a comparison; choose another folder")
    picture, report = to_png(overview(comparison)), render_report(comparison)
    written: list[Path] = []
    (target / WEIGHTS).mkdir(parents=True)
    try:
        for run in comparison.runs:
            written.append(target / weights_file(run))
            save(run.weights, written[-1], metadata=_about(run, comparison))
        for name, contents in (
            (METRICS, to_json(metrics_of(comparison)).encode()),
            (PICTURE, picture),
            (REPORT, report.encode()),
        ):
            written.append(target / name)
            with atomic_write(written[-1]) as file:
                file.write(contents)
    except BaseException:  # a part would pass for the whole
        for path in written:
            path.unlink(missing_ok=True)
        (target / WEIGHTS).rmdir()
        raise
    return [target / name for name in (REPORT, PICTURE, METRICS, WEIGHTS)]


def _about(run: Run, comparison: Comparison) -> dict[str, str]:
    """Say in a weights file's header what it takes to build the network again."""
    return {
        "network": "cifar_plain" if run.twin == "plain" else "cifar_resnet",
        "depth": str(run.depth),
        "width": str(comparison.settings.width),
        "in_channels": str(comparison.split.channels),
        "num_classes": str(comparison.split.classes),
        "dataset": comparison.settings.dataset,
        "status": "diverged" if run.diverged else "finished",
    }
