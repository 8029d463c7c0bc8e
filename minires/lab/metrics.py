"""A comparison as strict JSON: the whole record, and the short table."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from minires.serialize.json_text import strict

from .comparison import Comparison
from .learning import GradientSize
from .run import Run
from .verdict import MARGIN

SCHEMA = "minires.compare/1"
TABLE_SCHEMA = "minires.compare.table/1"

_DEFINITIONS = {
    "error": "share of images that are misclassified, 0 to 1",
    "epochs.train_error": "on the whole training set, of the network as it is after that epoch, in"
    " evaluation mode (BatchNorm with its running statistics)",
    "epochs.test_error": "the same on the test set, from which nothing is learned",
    "epochs.batch_error": "over the epoch's batches, in training mode, each just before it is"
    " learned from",
    "steps.loss": "mean cross-entropy of each step's batch, before the step",
    "steps.gradient_norm": "one row per layer, one column per step: Euclidean norm of the gradient"
    " of the layer's weight",
    "gradient_norm.last_epoch": "median over the steps of the last epoch",
    "lossy": "the images were compressed with loss: compare nothing with results on the originals",
    "null": "not measured, or not a finite number",
}


def metrics_of(comparison: Comparison) -> dict[str, Any]:
    """Return everything that was measured, ready for strict JSON.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    dict
        With ``"schema": "minires.compare/1"``; what is not finite has become None.
    """
    settings = comparison.settings
    record: dict[str, Any] = strict(
        {
            "schema": SCHEMA,
            **_outcome(comparison),
            "settings": {**asdict(settings), "milestones": settings.milestones},
            "lossy": comparison.split.lossy,
            "environment": comparison.environment,
            "definitions": _DEFINITIONS,
            "runs": [_run(run) for run in comparison.runs],
        }
    )
    return record


def table_of(comparison: Comparison) -> dict[str, Any]:
    """Return the table of results and the verdict, ready for strict JSON."""
    rows = [_row(run) for run in comparison.runs]
    record: dict[str, Any] = strict({"schema": TABLE_SCHEMA, **_outcome(comparison), "rows": rows})
    return record


def weights_file(run: Run) -> str:
    """Return the name of the file of a run's weights, inside the comparison's folder."""
    return f"weights/{run.name}.safetensors"


def _outcome(comparison: Comparison) -> dict[str, Any]:
    verdict = comparison.verdict
    return {
        "created": comparison.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "complete": not comparison.missing,
        "missing": [f"{twin}-{depth}" for depth, twin in comparison.missing],
        "verdict": {
            "headline": verdict.headline,
            "details": verdict.details,
            "degradation": verdict.degradation,
            "residual_better": verdict.residual_better,
            "margin": MARGIN,
        },
    }


def _row(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "depth": run.depth,
        "twin": run.twin,
        "status": "diverged" if run.diverged else "finished",
        "diverged": run.diverged or None,
        "diverged_at_step": run.diverged_at,
        "parameters": run.parameters,
        "train_error": run.final_train_error,
        "test_error": run.final_test_error,
        "gradient_norm": {
            "first_layer": _size(run.gradient_size(0)),
            "last_layer": _size(run.gradient_size(-1)),
        },
        "images_per_second": run.images_per_second,
        "seconds": run.seconds,
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        **_row(run),
        "weights": weights_file(run),
        "epochs": {
            "learning_rate": run.learning_rate,
            "batch_error": run.batch_error,
            "train_error": run.train_error,
            "train_loss": run.train_loss,
            "test_error": run.test_error,
            "test_loss": run.test_loss,
        },
        "layers": run.layers,
        "steps": {
            "loss": run.loss,
            "gradient_norm": [list(row) for row in zip(*run.gradient_norms, strict=True)],
        },
    }


def _size(size: GradientSize | None) -> dict[str, Any] | None:
    return None if size is None else size._asdict()
