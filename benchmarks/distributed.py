"""Training by several ranks: what a step takes, what a message takes, and a model of both.

``mpiexec -n 2 python -m benchmarks.distributed ROUNDS`` is what the ranks do; rank 0 prints, as
JSON, what they measured. `python -m benchmarks run --only distributed` starts them.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minires import models, nn, optim
from minires.devices.threads import available, set_num_threads
from minires.lab.speed import noise
from minires.ops import tensor
from minires.training import Trainer, distributed

DEPTH, BATCH = 20, 128
RANKS = (1, 2)
# Batches per rank of which the time of a step is measured, on one rank with one thread.
COMPUTE = (8, 16, 32, 64, 128)
# Of messages, in bytes. The gradients of ResNet-20 are 1.08 MB, those of ResNet-50 102 MB.
MESSAGES = (8, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
STEPS = 2
MESSAGE_ROUNDS = 30


def measured(rounds: int) -> Iterator[tuple[str, Any]]:
    """Start ranks, and yield what each number of them measured; before that, how busy it is."""
    yield "load", {"last minute": os.getloadavg()[0]}
    launcher = Path(sys.executable).with_name("mpiexec")
    for ranks in RANKS:
        done = subprocess.run(
            [
                launcher,
                "-n",
                str(ranks),
                sys.executable,
                "-m",
                "benchmarks.distributed",
                str(rounds),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{ranks} ranks ended with {done.returncode}:\n{done.stderr}")
        yield str(ranks), json.loads(done.stdout)


def of_ranks(ranks: distributed.MPICommunicator, rounds: int) -> dict[str, Any]:
    """Measure a step in several ways, all ranks together, and messages."""
    threads = max(1, available() // ranks.size)
    steps = {
        f"{BATCH} images together": (BATCH // ranks.size, False),
        f"{BATCH} images together, SyncBatchNorm": (BATCH // ranks.size, True),
        f"{BATCH} images each": (BATCH, False),
        f"{BATCH} images each, SyncBatchNorm": (BATCH, True),
    }
    found: dict[str, Any] = {"threads": threads, "parameters": 0}
    set_num_threads(threads)
    jobs = {name: _training(ranks, *how) for name, how in steps.items()}
    found["steps"] = _timed(jobs, rounds, ranks)
    if ranks.size == 1:
        set_num_threads(1)
        jobs = {str(images): _training(ranks, images, False) for images in COMPUTE}
        found["compute, one thread"] = _timed(jobs, rounds, ranks)
    else:
        found["all_reduce"] = {str(size): _message(ranks, size) for size in MESSAGES}
    model = models.cifar_resnet(DEPTH)
    found["parameters"] = nn.parameter_count(model)
    found["norms"] = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    return found


def _training(ranks: Any, images: int, sync: bool) -> Callable[[], object]:
    model = models.cifar_resnet(DEPTH, seed=0)
    if sync:
        nn.convert_sync_batchnorm(model, ranks)
    optimizer = optim.SGD(model.parameters(), lr=0.002, momentum=0.9)
    trainer = Trainer(model, optimizer, communicator=ranks)
    batches = [tuple(map(tensor, noise(images, 32)))] * STEPS
    return lambda: trainer.fit(batches, 1)


def _timed(jobs: dict[str, Callable[[], object]], rounds: int, ranks: Any) -> dict[str, Any]:
    """Milliseconds of a step of each job; all jobs take turns, and all ranks begin together."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name, job in jobs.items():
            ranks.barrier()
            start = time.perf_counter()
            job()
            if number:  # the first round warms up
                times[name].append(1e3 * (time.perf_counter() - start) / STEPS)
    return {
        name: {"minimum": min(some), "median": statistics.median(some)}
        for name, some in times.items()
    }


def _message(ranks: Any, size: int) -> dict[str, float]:
    """Milliseconds of the sum of an array of so many bytes over all ranks."""
    array, some = np.ones(max(1, size // 4), np.float32), []
    for _ in range(MESSAGE_ROUNDS if size < 1e7 else 5):
        ranks.barrier()
        start = time.perf_counter()
        ranks.all_reduce(array)
        some.append(1e3 * (time.perf_counter() - start))
        array[:] = 1
    return {"minimum": min(some), "median": statistics.median(some)}


class Link(NamedTuple):
    """How ranks are connected: seconds that a message takes at least, and bytes per second."""

    latency: float
    bandwidth: float

    def all_reduce(self, ranks: int, size: float) -> float:
        """Seconds of a sum over ranks, halving and doubling (Thakur et al. 2005, section 4).

        2 log2(n) messages, in which each rank sends 2 (n - 1) / n of the array.
        """
        if ranks == 1:
            return 0.0
        sent = 2 * (ranks - 1) / ranks * size
        return 2 * math.ceil(math.log2(ranks)) * self.latency + sent / self.bandwidth


# Of their kind, taken from data sheets and not measured here.
NETWORKS = {
    "10 Gbit/s Ethernet": Link(30e-6, 1.25e9),
    "100 Gbit/s InfiniBand": Link(2e-6, 12.5e9),
}


def fitted_link(messages: dict[str, dict[str, float]]) -> Link:
    """The link between two ranks: latency by the shortest message, bandwidth by the longest."""
    shortest, longest = min(messages, key=int), max(messages, key=int)
    latency = 1e-3 * messages[shortest]["minimum"] / 2
    return Link(latency, int(longest) / (1e-3 * messages[longest]["minimum"] - 2 * latency))


class Model(NamedTuple):
    """What a step takes: computing, and the messages that no computing hides.

    Attributes
    ----------
    fixed, per_image : float
        Seconds of computing on one core: of a step, and of each image in it.
    nbytes : int
        Size of the gradients.
    norms : int
        How many batch normalisations the network has.
    """

    fixed: float
    per_image: float
    nbytes: int
    norms: int

    @classmethod
    def fitted(cls, compute: dict[str, dict[str, float]], parameters: int, norms: int) -> Model:
        """Lay a line through the measured times, where each counts by its relative error."""
        images = np.array([float(number) for number in compute])
        seconds = np.array([1e-3 * each["minimum"] for each in compute.values()])
        columns = np.stack([np.ones_like(images), images], 1) / seconds[:, None]
        fixed, per_image = np.linalg.lstsq(columns, np.ones_like(images), rcond=None)[0]
        return cls(float(fixed), float(per_image), 4 * parameters, norms)

    def step(self, ranks: int, images: float, link: Link, sync: bool = False) -> float:
        """Seconds of a step with so many images per rank."""
        compute = self.fixed + self.per_image * images
        # The images of each rank, and what its part of the batch cost.
        small = 2 + (2 * self.norms if sync else 0)
        messages = link.all_reduce(ranks, self.nbytes) + small * link.all_reduce(ranks, 64)
        return compute + messages


def main() -> None:
    """Measure as one of the ranks."""
    ranks = distributed.join()
    with distributed.aborting(ranks):
        found = of_ranks(ranks, int(sys.argv[1]))
    if ranks.rank == 0:
        sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
