"""A training step, beside PyTorch's from equal weights and data, and beside its floor."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from minires.devices.threads import get_num_threads, set_num_threads
from minires.lab.floor import Floor, convolutions_of
from minires.lab.speed import TrainingStep, breakdown, parts_of
from minires.models import cifar_resnet

from .in_torch import LAYOUTS
from .measure import paired
from .twin import torch_twin

# Float32 sums in another order, and a step's difference grows over the following ones.
TOLERANCE = 0.005


class Case(NamedTuple):
    """What is trained: `rounds` is the share of the rounds that it gets, for some take long."""

    depth: int = 20
    batch: int = 128
    size: int = 32
    threads: int = 0
    rounds: float = 1.0

    @property
    def title(self) -> str:
        """Such as "ResNet-20, batch 128, 32x32, 2 threads"."""
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"ResNet-{self.depth}, batch {self.batch}, {self.size}x{self.size}, {threads}"


def cases(threads: int) -> list[Case]:
    """Return the cases: the main one, then depths, batches, image sizes and a single thread."""
    varied = [
        *(Case(depth=56, rounds=0.4), Case(depth=110, rounds=0.25)),
        *(Case(batch=batch, rounds=0.5) for batch in (16, 32, 64, 256)),
        *(
            Case(size=size, batch=batch, rounds=0.4)
            for size, batch in ((64, 32), (112, 8), (224, 4))
        ),
        *(Case(threads=1, rounds=0.5) for _ in range(threads > 1)),
    ]
    return [case._replace(threads=case.threads or threads) for case in (Case(), *varied)]


class TorchStep:
    """The same step as `minires.lab.speed.TrainingStep`, in PyTorch's eager mode."""

    def __init__(self, ours: TrainingStep, layout: torch.memory_format) -> None:
        self.model = torch_twin(ours.model).to(memory_format=layout)
        self._x = torch.tensor(ours.images).to(memory_format=layout)
        self._y = torch.tensor(ours.labels)
        self._optimizer = torch.optim.SGD(self.model.parameters(), lr=0.002, momentum=0.9)
        self.losses: list[float] = []

    def __call__(self) -> None:
        """Take a step."""
        self._optimizer.zero_grad()
        loss = functional.cross_entropy(self.model(self._x), self._y)
        loss.backward()
        self._optimizer.step()
        self.losses.append(loss.item())


def training(case: Case, rounds: int) -> dict[str, Any]:
    """Measure one case on its number of threads.

    Raises
    ------
    RuntimeError
        If the engines' losses differ by more than TOLERANCE: then they did not do the same.
    """
    before = get_num_threads(), torch.get_num_threads()
    set_num_threads(case.threads)
    torch.set_num_threads(case.threads)
    try:
        ours = TrainingStep(cifar_resnet(case.depth, seed=0), case.batch, case.size)
        steps = {name: TorchStep(ours, layout) for name, layout in LAYOUTS.items()}
        image = (3, case.size, case.size)
        floor = Floor(convolutions_of(cifar_resnet(case.depth, seed=0), image), case.batch)
        jobs = {"minires": ours, **steps, "products": floor.products, "traffic": floor.traffic}
        sums = {"floor": ("products", "traffic")}
        measured = paired(jobs, max(round(case.rounds * rounds), 1), sums)
    finally:
        set_num_threads(before[0])
        torch.set_num_threads(before[1])
    losses = {name: step.losses for name, step in {"minires": ours, **steps}.items()}
    settings = {key: value for key, value in case._asdict().items() if key != "rounds"}
    return settings | measured | {"losses": losses, "agreement": agreement(losses)}


def agreement(losses: dict[str, list[float]]) -> dict[str, float]:
    """Return by how much the losses of any engine differ from minires', beside what is allowed.

    Raises
    ------
    RuntimeError
        If they differ by more.
    """
    ours = np.array(losses["minires"])
    differences = [
        np.abs(theirs - ours) / np.maximum(np.abs(ours), 1) for theirs in losses.values()
    ]
    largest = float(np.max(differences))  # NaN if there is one anywhere
    if not largest <= TOLERANCE:
        raise RuntimeError(
            f"the engines' losses differ by {largest:.3g}, more than {TOLERANCE}: {losses}"
        )
    return {"largest_difference": largest, "tolerance": TOLERANCE}


def where_time_goes(rounds: int) -> dict[str, Any]:
    """Measure the milliseconds of each op in the step of the main case."""
    case = Case()
    step = TrainingStep(cifar_resnet(case.depth, seed=0), case.batch)
    breakdown(step, 2)
    by_op = breakdown(step, rounds)
    return {"unit": "ms", "steps": rounds, "ops": by_op, "parts": parts_of(step, rounds)}
