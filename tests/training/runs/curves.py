"""Planted curves: what a run would have logged."""

from __future__ import annotations

from collections.abc import Sequence

from minires.training.runs import EpochLine, Metrics, RunConfig, StepLine

STEPS = 4  # of an epoch


def config(model: str = "cifar_plain20", **options: object) -> RunConfig:
    return RunConfig.checked(
        **{"model": model, "dataset": "digits", "epochs": 40, "val_split": 0.1, **options}
    )


def planted(
    train_loss: Sequence[float],
    validation_loss: Sequence[float | None] | None = None,
    train_error: Sequence[float] | None = None,
    validation_error: Sequence[float | None] | None = None,
    lr: Sequence[float] | None = None,
) -> Metrics:
    """By default errors are a tenth of the losses, and there is no validation part."""
    count = len(train_loss)
    validation = [None] * count if validation_loss is None else list(validation_loss)
    metrics = Metrics()
    for i, loss in enumerate(train_loss):
        rate = 0.1 if lr is None else lr[i]
        metrics.steps += [
            StepLine(STEPS * i + step, i + 1, loss, 10, 1, rate) for step in range(1, STEPS + 1)
        ]
        missed = validation[i]
        metrics.epochs.append(
            EpochLine(
                epoch=i + 1,
                step=STEPS * (i + 1),
                train_loss=loss,
                train_error=loss / 10 if train_error is None else train_error[i],
                validation_loss=missed,
                validation_error=(None if missed is None else missed / 10)
                if validation_error is None
                else validation_error[i],
                lr=rate,
                seconds=1.5,
                images_per_second=1000.0,
            )
        )
    return metrics
