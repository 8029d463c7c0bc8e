"""Put weights from a file into a model: every name and shape accounted for, or nothing copied."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minires import nn
from minires.autograd import Tensor
from minires.devices import cpu, is_float
from minires.serialize import is_torch_archive, load, load_metadata, load_torch
from minires.serialize.existing import existing_file
from minires.serialize.torch_pickle import shown

from .dialects import AUXILIARY_HEADS, DIALECTS, Dialect, flat

__all__ = ["LoadReport", "MisfitError", "load_weights"]

_SHOWN = 6  # names in a message; a ResNet-152 has 932
_COUNTED_BATCHES = "num_batches_tracked"
_TWINS = ("cifar_plain", "cifar_resnet")  # as `minires compare` calls them in a file's header


class MisfitError(ValueError):
    """Weights are of another network.

    Attributes
    ----------
    problems : list of str
        What is missing, unexpected, or of another shape.
    """

    def __init__(self, message: str, problems: Sequence[str]) -> None:
        super().__init__(message + "\n  " + ";\n  ".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class LoadReport:
    """What `load_weights` did; as text, a sentence.

    Attributes
    ----------
    dialect : str
        In which the file was found to be.
    tensors : int
        How many were copied.
    left_out : tuple of str
        In the file, but of an auxiliary head that the model is without.
    kept : tuple of str
        In the model, but not in the file: the batches counted, which old files lack, and an
        auxiliary head.
    new_head : tuple of str
        In both, but for other classes: they are as they were drawn.
    """

    dialect: str
    tensors: int
    left_out: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    new_head: tuple[str, ...] = ()

    def __str__(self) -> str:
        told = f"{self.tensors} tensors were copied from a file in the dialect {self.dialect!r}"
        if self.kept:
            told += f"; not in the file, and as they were: {_counted(self.kept, 2)}"
        if self.left_out:
            told += f"; not in the model, and left out: {_counted(self.left_out, 2)}"
        if self.new_head:
            told += f"; for other classes, and begun anew: {', '.join(self.new_head)}"
        return told + "."


@dataclass(frozen=True)
class Fit:
    """How a file's weights, read in one dialect, fit the model."""

    dialect: str
    state: Mapping[str, Any]
    missing: Sequence[str] = ()
    unexpected: Sequence[str] = ()
    misshapen: Sequence[str] = ()
    left_out: Sequence[str] = ()
    kept: Sequence[str] = ()
    new_head: Sequence[str] = ()
    unlike: str = ""  # why it is not this dialect at all

    def problems(self) -> list[str]:
        """Lines for a message; empty where all is well."""
        lines = [self.unlike] if self.unlike else []
        for what, names in (("missing", self.missing), ("unexpected", self.unexpected)):
            if names:
                lines.append(f"{what}: {_counted(names)}")
        if self.misshapen:
            lines.append("; ".join(self.misshapen[:_SHOWN]) + _and_more(self.misshapen))
        return lines

    def distance(self) -> tuple[bool, int]:
        """How far the names are from fitting; shapes do not tell dialects apart."""
        return bool(self.unlike), len(self.missing) + len(self.unexpected)

    def copied_into(self, model: nn.Module) -> LoadReport:
        """Copy the weights, which fit."""
        copied = {name: self.state[name] for name in model.state_dict() if name in self.state}
        model.load_state_dict(copied, strict=False)
        return LoadReport(
            self.dialect,
            len(copied),
            tuple(self.left_out),
            tuple(self.kept),
            tuple(self.new_head),
        )


def load_weights(
    model: nn.Module,
    path: str | os.PathLike[str],
    dialect: str | Callable[[Any], Mapping[str, Any]] | None = None,
    *,
    new_head: bool = False,
) -> LoadReport:
    """Copy trained weights from a safetensors file or a PyTorch archive into a model.

    All of them or, with an error, none. Nothing in an archive can run: see
    `minires.serialize.load_torch`. Values are cast to the model's dtype.

    Parameters
    ----------
    model : Module
    path : str or os.PathLike
        A safetensors file, or a PyTorch archive (.pth, .pt, .th); its first bytes tell.
    dialect : {"torchvision", "akamaster"} or callable, optional
        How the file names the weights. By default it is recognised, by the names fitting the
        model's exactly (see `LoadReport` for what may be without a counterpart).
        ``"torchvision"``: as minires does, and as torchvision's files do.
        ``"akamaster"``: as github.com/akamaster/pytorch_resnet_cifar10 does, with the prefix
        ``module.`` and the head ``linear``, in ``state_dict``. A callable takes what the file holds
        and returns arrays by minires' names.
    new_head : bool
        Take also weights that were trained on other classes: a linear layer whose number of outputs
        differs stays as it was drawn.

    Returns
    -------
    LoadReport

    Raises
    ------
    ValueError
        The file does not fit the model; every name that is missing or unexpected is counted, and
        every wrong shape. Or it holds values too large for the model's dtype, or is of the model's
        twin (see below). Or there is no such dialect, or the model holds no values (device "meta").
    TorchArchiveError
        The archive is damaged, or holds more than weights; a ValueError.
    FileNotFoundError, IsADirectoryError
        There is no such file.

    Notes
    -----
    Weights of the same names and shapes may belong to different networks, and nothing in most
    files tells. Make the model as that of the file's was:

    - a plain network, or its residual twin with option A; what `minires compare` wrote does tell,
      and is refused by the other;
    - option A's zero channels: half on each side (minires, akamaster), or all at the end
      (fb.resnet.torch); the wrong side gives 25 % instead of 100 %;
    - the stride of a bottleneck: in its 3x3 (torchvision, "v1.5") or its first 1x1 ("v1");
    - the epsilon of batch normalisation: 1e-5 in most networks of PyTorch, 1e-3 in torchvision's
      GoogLeNet and Inception; and its momentum, for further training;
    - the pixels' order, mean and standard deviation.

    The reduction of squeeze-and-excitation shows in the shapes.

    Examples
    --------
    >>> import tempfile
    >>> import minires as mr
    >>> from pathlib import Path
    >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> trained = mr.models.cifar_resnet(8, width=2)
    >>> mr.save(trained.state_dict(), path)
    >>> print(mr.models.load_weights(mr.models.cifar_resnet(8, width=2), path))
    44 tensors were copied from a file in the dialect 'torchvision'.
    """
    if not all(value.device.holds_values for value in model.state_dict().values()):
        raise ValueError(
            f"load_weights: {type(model).__name__} is on a device that holds no values; make it on"
            " another"
        )
    return fitting(model, read_weights(path), dialect, new_head=new_head).copied_into(model)


@dataclass(frozen=True)
class WeightsFile:
    """What a file of weights holds, and the notes in its header."""

    path: Path
    contents: Any
    notes: Mapping[str, str]


def read_weights(path: str | os.PathLike[str]) -> WeightsFile:
    """Read a safetensors file or a PyTorch archive; see `load_weights`."""
    file = existing_file(path)
    if is_torch_archive(file):
        return WeightsFile(file, load_torch(file), {})
    return WeightsFile(file, load(file), load_metadata(file))


def fitting(
    model: nn.Module,
    file: WeightsFile,
    dialect: str | Callable[[Any], Mapping[str, Any]] | None = None,
    *,
    new_head: bool = False,
) -> Fit:
    """Say how weights fit a model, which may be without values; ValueError if they do not."""
    candidates = _candidates(dialect)
    _refuse_twin(file, model)
    own = model.state_dict()
    heads = _linear_names(model) if new_head else ()
    best = min((_fit(each, file.contents, own, heads) for each in candidates), key=Fit.distance)
    problems = best.problems()
    if problems:
        tried = ", ".join(repr(each.name) for each in candidates)
        how = f"in the dialect {best.dialect!r}"
        if dialect is None:
            how = f"{how}, the nearest (tried: {tried}; for others, dialect= takes a function)"
        raise MisfitError(
            f"load_weights: '{file.path}' does not fit {type(model).__name__} {how}; nothing was"
            " copied:",
            problems,
        )
    return best


def _candidates(dialect: str | Callable[[Any], Mapping[str, Any]] | None) -> Sequence[Dialect]:
    if dialect is None:
        return DIALECTS
    if callable(dialect):
        return [Dialect(getattr(dialect, "__name__", "yours"), dialect)]
    named = [each for each in DIALECTS if each.name == dialect]
    if not named:
        known = ", ".join(repr(each.name) for each in DIALECTS)
        raise ValueError(
            f"load_weights: there is no dialect {dialect!r}; known: {known}, or a callable that"
            " takes what the file holds and returns arrays by the model's names"
        )
    return named


def _fit(dialect: Dialect, contents: Any, own: Mapping[str, Tensor], heads: Sequence[str]) -> Fit:
    try:
        state = dict(flat(dialect.read(contents)))
    except ValueError as error:
        return Fit(dialect.name, {}, unlike=str(error))
    # Of other classes: only the number of outputs differs.
    new = [
        name
        for name in heads
        if name in state
        and tuple(state[name].shape) != own[name].shape
        and tuple(state[name].shape[1:]) == own[name].shape[1:]
    ]
    for name in new:
        del state[name]
    missing = [name for name in own if name not in state and name not in new]
    unexpected = sorted(name for name in state if name not in own)
    is_old = not any(name.endswith(_COUNTED_BATCHES) for name in state)
    kept = [
        name
        for name in missing
        if (is_old and name.endswith(_COUNTED_BATCHES)) or _in_head_unknown_to(state, name)
    ]
    left_out = [name for name in unexpected if _in_head_unknown_to(own, name)]
    misshapen = []
    for name, value in own.items():
        if name in state:
            misshapen += _mismatch(name, state[name], value)
    return Fit(
        dialect.name,
        state,
        [name for name in missing if name not in kept],
        [name for name in unexpected if name not in left_out],
        misshapen,
        left_out,
        kept,
        new,
    )


def _linear_names(model: nn.Module) -> list[str]:
    """Return the names of linear layers' parameters."""
    return [
        f"{path}.{name}" if path else name
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear)
        for name in ("weight", "bias")
        if getattr(module, name) is not None
    ]


def _in_head_unknown_to(names: Mapping[str, Any], name: str) -> bool:
    """Whether a name is in an auxiliary head of which there is nothing among the others."""
    heads = [head for head in AUXILIARY_HEADS if name.startswith(head)]
    return bool(heads) and not any(other.startswith(heads[0]) for other in names)


def _mismatch(name: str, found: Any, expected: Tensor) -> list[str]:
    if tuple(found.shape) != expected.shape:
        return [f"{name} has shape {tuple(found.shape)}, and {expected.shape} in the model"]
    if is_float(found.dtype) != is_float(expected.dtype):
        return [f"{name} has dtype {found.dtype}, and {expected.dtype} in the model"]
    xp = cpu.xp
    if not xp.can_cast(found.dtype, expected.dtype):
        values = found.numpy() if isinstance(found, Tensor) else found
        with cpu.quiet():
            cast = values.astype(expected.dtype)
        is_lost = (
            xp.isfinite(values) & ~xp.isfinite(cast) if is_float(cast.dtype) else cast != values
        )
        if is_lost.any():
            return [f"{name} has values too large for {expected.dtype}, its dtype in the model"]
    return []


def _refuse_twin(file: WeightsFile, model: nn.Module) -> None:
    """Raise ValueError if the file's header says that the weights are of the model's twin."""
    blocks = [part for part in model.modules() if isinstance(part, nn.ResidualBlock)]
    is_plain = all(block.downsample is None for block in blocks)
    said, own = file.notes.get("network"), _TWINS[0 if is_plain else 1]
    if blocks and said in _TWINS and said != own:
        raise ValueError(
            f"load_weights: '{file.path}' is of a {said}, its header says, and the model is a"
            f" {own}, which has the same names and would answer wrongly; nothing was copied"
            " (model.load_state_dict(mr.load(path)) copies all the same)"
        )


def _counted(names: Sequence[str], most: int = _SHOWN) -> str:
    listed = ", ".join(
        name if name.isprintable() and len(name) <= 200 else shown(name) for name in names[:most]
    )
    return f"{len(names)} ({listed}{_and_more(names, most)})"


def _and_more(items: Sequence[str], most: int = _SHOWN) -> str:
    return f", and {len(items) - most} more" if len(items) > most else ""
