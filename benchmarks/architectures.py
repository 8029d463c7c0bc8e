"""Forward and backward of every family of architectures, beside the same network in PyTorch.

Time in interleaved rounds, and memory in fresh processes. Neither engine uses dropout, so that both
come to the same loss.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from minires import models
from minires.lab.floor import Floor, convolutions_of

from .footprint import footprints
from .in_torch import LAYOUTS, TorchStep
from .measure import paired
from .statement import Statement, state
from .steps import MiniresStep, certain, numbers_of
from .training import TOLERANCE


class Architecture(NamedTuple):
    """A network by its name, its builder's options, and how many images it sees at a time."""

    name: str
    batch: int = 1
    options: dict[str, Any] = {}  # noqa: RUF012 - nothing writes to it

    @property
    def title(self) -> str:
        """Such as "resnet152", or "cifar_resnet110_a, batch 16"."""
        return self.name if self.batch == 1 else f"{self.name}, batch {self.batch}"


SMALL_IMAGES = 16  # at a time: one image of 32x32 is no work

ARCHITECTURES = (
    *(Architecture(name) for name in ("alexnet_2012", "alexnet", "vgg11_lrn", "vgg16", "vgg16_bn")),
    *(Architecture(name) for name in ("googlenet_2014_aux", "googlenet")),
    # Where its head has a single value per channel there is nothing to normalise.
    Architecture("inception_v3", options={"aux_logits": False}),
    *(Architecture(name) for name in ("plain34", "resnet18", "resnet34", "resnet50", "resnet152")),
    *(Architecture(name) for name in ("wide_resnet50_2", "resnext50_32x4d", "se_resnet50")),
    *(Architecture(name) for name in ("densenet121", "densenet201")),
    *(
        Architecture(name, SMALL_IMAGES)
        for name in (
            "cifar_plain110",
            "cifar_resnet20_a",
            "cifar_resnet110_a",
            "cifar_preact_resnet164",
            "wrn_28_10",
            "densenet_40_12",
            "densenet_bc_100_12",
        )
    ),
)


def architecture(case: Architecture, rounds: int) -> dict[str, Any]:
    """Measure one.

    Raises
    ------
    RuntimeError
        If the engines' losses differ by more than `TOLERANCE`: then they did not do the same.
    """
    image = models.input_of(case.name)
    random = np.random.default_rng(0)
    images = random.standard_normal((case.batch, *image), np.float32)
    labels = np.arange(case.batch) % 10
    ours = MiniresStep(models.create(case.name, seed=0, **case.options), images, labels)
    statement = state(ours.model, images.shape)
    numbers = numbers_of(ours.model)
    steps: dict[str, Any] = {"minires": ours}
    for name, layout in LAYOUTS.items():
        given = torch.tensor(images), torch.tensor(labels)
        steps[name] = TorchStep(statement._asdict(), layout, *given, numbers)
    losses = {name: step() for name, step in steps.items()}
    agreement = agree(losses, gradients(steps))
    floor = Floor(convolutions_of(ours.model, image), case.batch)
    jobs = {**steps, "products": floor.products, "traffic": floor.traffic}
    measured = paired(jobs, rounds, {"floor": ("products", "traffic")}, warm_up=1)
    return {
        "batch": case.batch,
        "image": list(image),
        "macs": models.counts_of(case.name, **case.options).macs,
        "agreement": agreement,
        "time": measured,
        "memory": memory(case, statement),
    }


def gradients(steps: dict[str, Any]) -> dict[str, float]:
    """Return by how much each engine's whole gradient differs from minires', relative to that."""
    parameters = dict(steps["minires"].model.named_parameters())
    ours = {name: parameter.grad.numpy() for name, parameter in parameters.items()}
    length = float(np.sqrt(sum(np.vdot(g, g) for g in ours.values())))
    differences = {}
    for engine, step in steps.items():
        if engine != "minires":
            theirs = {name: p.grad.numpy() for name, p in step.network.learned.items()}
            squares = (float(((theirs[name] - g) ** 2).sum()) for name, g in ours.items())
            differences[engine] = float(np.sqrt(sum(squares))) / length
    return differences


def agree(losses: dict[str, float], gradients: dict[str, float]) -> dict[str, Any]:
    """Return by how much the losses differ, and the gradients.

    Raises
    ------
    RuntimeError
        If the losses differ by more than `TOLERANCE`. Of the gradients of deep plain networks
        nobody can ask that: they amplify rounding.
    """
    ours = losses["minires"]
    largest = max(abs(loss - ours) / max(abs(ours), 1) for loss in losses.values())
    if not largest <= TOLERANCE:
        raise RuntimeError(f"the engines' losses differ by more than {TOLERANCE}: {losses}")
    return {"losses": losses, "largest_difference": largest, "gradients": gradients}


def memory(case: Architecture, statement: Statement) -> dict[str, Any]:
    """Measure what the network takes, beside a tiny one of the same kinds of layers."""
    normalises = any(call.function == "batch_norm" for call in statement.calls)
    tiny = "cifar_resnet8_a" if normalises else "vgg11"
    small = {"width": 4}
    stated = state(certain(models.create(tiny, **small)), (2, 3, 32, 32))
    job = {"name": case.name, "options": case.options, "statement": statement._asdict()}
    warm = {"name": tiny, "options": small, "statement": stated._asdict()}
    return footprints(["minires", *LAYOUTS], job, warm)
