"""Checkpoints: all that a training depends on, in one file that appears whole or not at all.

A state is a tree of dicts, lists, numbers, text and arrays. The arrays go into a safetensors file,
and the rest, as JSON, into its header: so one rename moves a run from one checkpoint to the next,
and no kill can come between weights and what belongs to them. `last.json` beside it repeats the
state for whoever reads it by eye, with what must not be in `last.safetensors`, whose bytes tell
whether two runs are equal: threads, versions and kernels.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minires.autograd import Tensor
from minires.serialize import atomic_write, load, load_metadata, save

from .errors import CheckpointError

__all__ = ["LAST", "read_checkpoint", "write_checkpoint"]

LAST = "last.safetensors"
FORMAT = "minires.checkpoint/1"

Array = np.ndarray[Any, Any]


def write_checkpoint(
    folder: str | os.PathLike[str],
    state: Mapping[str, Any],
    circumstances: Mapping[str, Any],
    *,
    seconds: float = 0.0,
    keep: int = 1,
) -> None:
    """Write ``last.safetensors`` and ``last.json``; those before are there until these are.

    Parameters
    ----------
    folder : path
        Of the run.
    state : dict
        Of dicts, lists, tuples, numbers, text, None, arrays and Tensors. It has ``"step"``, and
        holds no times, paths or names of machines: equal states are equal bytes.
    circumstances : dict
        Goes into ``last.json`` alone; fit for JSON.
    seconds : float
        Likewise: how long the present epoch has taken so far.
    keep : int
        With more than 1, so many of the last checkpoints are kept as ``step-<step>.safetensors``.

    Raises
    ------
    OSError
        If it cannot be written, as on a full disk; the checkpoint from before is still there.
    """
    target = Path(folder) / LAST
    arrays: dict[str, Array] = {}
    told = json.dumps(_without_arrays(state, "", arrays), allow_nan=False)
    notes = {"format": FORMAT, "state": told, "sha256": _digest(arrays, told)}
    save(arrays, target, metadata=notes)
    readable = {
        "format": FORMAT,
        "step": state["step"],
        "sha256": hashlib.sha256(target.read_bytes()).hexdigest(),
        "seconds": round(seconds, 3),
        "circumstances": dict(circumstances),
        "state": json.loads(told),
    }
    with atomic_write(target.with_suffix(".json"), "w") as file:
        file.write(json.dumps(readable, indent=2, allow_nan=False) + "\n")
    if keep > 1:
        _keep_last(target, int(state["step"]), keep)


def _keep_last(target: Path, step: int, keep: int) -> None:
    """Give the present checkpoint a second name that the next one does not take from it."""
    kept = target.with_name(f"step-{step:08d}.safetensors")
    kept.unlink(missing_ok=True)
    try:
        os.link(target, kept)
    except OSError:  # a file system without links
        shutil.copyfile(target, kept)
    for old in sorted(target.parent.glob("step-*.safetensors"))[:-keep]:
        old.unlink()


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the state that `write_checkpoint` was given.

    Parameters
    ----------
    path : path
        Of the safetensors file.

    Returns
    -------
    dict
        With arrays where there were arrays and Tensors.

    Raises
    ------
    FileNotFoundError
        If there is none.
    CheckpointError
        If the file is damaged, or is no checkpoint.
    """
    file = Path(path)
    try:
        arrays, notes = load(file), load_metadata(file)
    except ValueError:  # its advice is for what was downloaded
        raise CheckpointError(
            f"'{file}' is damaged: it cannot be read{_what_to_do(file)}"
        ) from None
    if "format" not in notes or "state" not in notes:
        raise CheckpointError(f"'{file}' holds weights, but no state to go on from")
    if notes["format"] != FORMAT:
        raise CheckpointError(
            f"'{file}' has the format {notes['format']!r}, and this version of minires reads"
            f" {FORMAT!r}; go on with the version that wrote it"
        )
    if _digest(arrays, notes["state"]) != notes.get("sha256"):
        raise CheckpointError(
            f"'{file}' is damaged: its contents are not those that were written{_what_to_do(file)}"
        )
    state: dict[str, Any] = _with_arrays(json.loads(notes["state"]), arrays)
    return state


def read_circumstances(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Return how the checkpoint was computed, which ``last.json`` alone says.

    Where the file is missing that is {}; where a kill left the one before, it may be a little old.
    """
    told = _beside(folder).get("circumstances", {})
    return told if isinstance(told, dict) else {}


def read_seconds(folder: str | os.PathLike[str]) -> float:
    """Return how long the epoch of the checkpoint had taken, likewise; 0 if nothing says."""
    told = _beside(folder).get("seconds", 0.0)
    return float(told) if isinstance(told, int | float) else 0.0


def _beside(folder: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        told = json.loads((Path(folder) / LAST).with_suffix(".json").read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _what_to_do(file: Path) -> str:
    """Say which other checkpoints there are; a second name of this one is as damaged."""
    kept = sorted(file.parent.glob("step-*.safetensors"))
    others = [path.name for path in kept if not path.samefile(file)]
    if not others:
        return "; no older one was kept, as --keep does: begin the run again in another folder"
    return f"; to go on from an older one, rename it to {LAST}: there is {', '.join(others)}"


def _digest(arrays: Mapping[str, Array], told: str) -> str:
    summed = hashlib.sha256(told.encode())
    for name, array in sorted(arrays.items()):
        summed.update(f"{name} {array.dtype} {array.shape}".encode())
        summed.update(array.tobytes())
    return summed.hexdigest()


# What JSON does not have is written as a dict with one of these keys alone.
_ARRAY, _PAIRS, _TUPLE, _FLOAT = "$array", "$pairs", "$tuple", "$float"


def _without_arrays(value: Any, path: str, arrays: dict[str, Array]) -> Any:
    """Return what JSON can hold of a state; its arrays are put into `arrays` by their paths."""
    if isinstance(value, Tensor):
        value = value.detach().to("cpu").numpy()
    if isinstance(value, np.ndarray):
        arrays[path] = value
        return {_ARRAY: path}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {_FLOAT: str(value)}
    if isinstance(value, Mapping):
        below = {
            key: _without_arrays(each, _join(path, key), arrays) for key, each in value.items()
        }
        if all(isinstance(key, str) for key in below):
            return below
        return {_PAIRS: [[key, each] for key, each in below.items()]}
    if isinstance(value, list | tuple):
        items = [_without_arrays(each, _join(path, i), arrays) for i, each in enumerate(value)]
        return {_TUPLE: items} if isinstance(value, tuple) else items
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"checkpoint: {path} is a {type(value).__name__}, which has no place in a file")


def _with_arrays(value: Any, arrays: Mapping[str, Array]) -> Any:
    """Undo `_without_arrays`."""
    if isinstance(value, list):
        return [_with_arrays(each, arrays) for each in value]
    if not isinstance(value, dict):
        return value
    match list(value.items()):
        case [(key, name)] if key == _ARRAY:
            return arrays[name]
        case [(key, text)] if key == _FLOAT:
            return float(text)
        case [(key, items)] if key == _TUPLE:
            return tuple(_with_arrays(each, arrays) for each in items)
        case [(key, pairs)] if key == _PAIRS:
            return {name: _with_arrays(each, arrays) for name, each in pairs}
    return {name: _with_arrays(each, arrays) for name, each in value.items()}


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)
