"""Going on with a run: whether a checkpoint is its own, and all else is as it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from minires.models.weights.catalogue import card_of
from minires.models.weights.loading import read_weights

from .best import BEST
from .checkpoint import LAST, read_checkpoint, read_circumstances
from .circumstances import DATA, differences, refuse_other_data
from .config import CONFIG, INDIFFERENT, RunConfig, read_config
from .errors import CheckpointError
from .metrics_log import LOG

__all__ = ["decisive", "saved_state"]

# What may be another when a run is gone on with; paths, for what is there is looked at itself.
_FREE = INDIFFERENT | {"dataset", "weights"}


def decisive(config: RunConfig) -> dict[str, Any]:
    """Return the options that decide what is computed; no paths are among them.

    Examples
    --------
    >>> config = RunConfig.checked(model="cifar_resnet8", dataset="digits", epochs=1, workers=2)
    >>> "lr" in decisive(config), "workers" in decisive(config)
    (True, False)
    """
    told = config.model_dump(mode="json", by_alias=True)
    return {name: value for name, value in told.items() if name not in _FREE}


def saved_state(
    folder: Path,
    config: RunConfig,
    circumstances: Mapping[str, Any],
    noted: Callable[[str], None],
) -> dict[str, Any] | None:
    """Read the last checkpoint of a run, and make sure that it is this run's.

    Parameters
    ----------
    folder : Path
        Of the run.
    config : RunConfig
    circumstances : dict
        As they are now.
    noted : callable
        Is told what is no longer as it was.

    Returns
    -------
    dict or None
        The state to go on from; None where there is none yet.

    Raises
    ------
    CheckpointError
        If it is damaged or lost, of another configuration, or of other data.
    """
    path = folder / LAST
    _refuse_other(folder / CONFIG, decisive(read_config(folder)), config)
    if not path.exists():
        _refuse_lost(path)
        noted("there is no checkpoint yet; the run begins again")
        return None
    state = read_checkpoint(path)
    _refuse_other(path, state["run"], config)
    refuse_other_data(state["data"], circumstances[DATA])
    # Those of the present epoch will be written again, if they are the best.
    if state["epoch"] > (not state["batch"]):
        _check_best(folder / BEST)
    for difference in differences(read_circumstances(folder), circumstances):
        noted(f"{difference}; from here on, bits may differ from those of an uninterrupted run")
    return state


def _refuse_lost(path: Path) -> None:
    """Raise CheckpointError if there was a checkpoint: to begin again would overwrite the run.

    All that is looked for is written after the first one: the file beside it, the older ones, the
    best weights, and the second epoch's lines. The first epoch's own line comes before it.
    """
    kept = sorted(path.parent.glob("step-*.safetensors"))
    if kept:
        raise CheckpointError(
            f"'{path}' is gone; bring it back, or, to go on from the newest one that was kept,"
            f" rename {kept[-1].name} to {LAST}"
        )
    log = path.with_name(LOG)
    later = log.exists() and b'"epoch": 2,' in log.read_bytes()
    if later or path.with_suffix(".json").exists() or path.with_name(BEST).exists():
        raise CheckpointError(
            f"'{path}' is gone; bring it back, or begin another run in another folder"
        )


def _refuse_other(path: Path, was: Mapping[str, Any], config: RunConfig) -> None:
    now = decisive(config)
    for name, value in was.items():
        if now.get(name) != value:
            raise CheckpointError(
                f"'{path}' is of a run with {name} {value!r}, not {now.get(name)!r}: a run is gone"
                " on with as it was begun; bring the file back that was changed, or begin another"
                " run"
            )


def _check_best(path: Path) -> None:
    """Raise CheckpointError now, and not after days, if the best weights cannot be tested."""
    try:
        read_weights(path)
        card_of(path)
    except (FileNotFoundError, ValueError) as error:
        raise CheckpointError(
            f"{error}; they are a part of the run: bring the file back, or begin another run"
        ) from None
