"""The gallery's traces: a training step of each network, as pages of the viewer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import minires as mr
from minires.nn import Module


def _step(model: Module, *, size: int = 16, save: str = "thumbs") -> mr.trace.Trace:
    """Record one training step on random images."""
    mr.manual_seed(0)
    images, labels = mr.randn(8, 3, size, size), mr.tensor([0, 1, 2, 3, 4, 5, 6, 7])
    with mr.trace.record(model, save=save) as trace:
        mr.ops.cross_entropy(model(images), labels).backward()
    trace.path_spectrum()
    return trace


def _twins(path: Path) -> None:
    residual = _step(mr.models.cifar_resnet(depth=20, width=8, seed=0))
    residual.compare(_step(mr.models.cifar_plain(depth=20, width=8, seed=0))).to_html(path)


def _projections(path: Path) -> None:
    _step(mr.models.cifar_resnet(depth=14, width=8, shortcut="B", seed=0)).to_html(path)


def _pre_activation(path: Path) -> None:
    mr.manual_seed(0)
    _step(mr.models.cifar_preact_resnet(depth=14, width=8)).to_html(path)


def _step_inside(path: Path) -> None:
    mr.manual_seed(0)
    model = mr.models.cifar_resnet(depth=8, width=4, seed=0)
    images, labels = mr.randn(2, 3, 8, 8), mr.tensor([0, 1])
    with mr.expand("conv2d", "batch_norm"), mr.trace.record(model, save="full") as trace:
        mr.ops.cross_entropy(model(images), labels).backward()
    trace.to_html(path)


def _zero_gamma(path: Path) -> None:
    model = mr.models.cifar_resnet(depth=8, width=4, seed=0)
    gamma = model.layer2[0].bn2.weight
    gamma.copy_(mr.zeros_like(gamma))
    _step(model).to_html(path)


TRACES: dict[str, Callable[[Path], None]] = {
    "twins": _twins,
    "projections": _projections,
    "pre-activation": _pre_activation,
    "step-inside": _step_inside,
    "zero-gamma": _zero_gamma,
}


def write_gallery(folder: Path) -> None:
    """Write all pages, in a second or two.

    Parameters
    ----------
    folder : pathlib.Path
        It is made if it is not there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, record in TRACES.items():
        record(folder / f"{name}.html")
