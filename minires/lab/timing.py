"""Timing jobs beside each other, in rounds, so that a machine's moods meet all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from minires.devices import Device

Job = Callable[[], object]


def wait(device: Device) -> None:
    """Return when the device has done what it was told to do."""
    if not device.synchronous:
        device.xp.cuda.get_current_stream().synchronize()


def finished(job: Job, device: Device) -> Job:
    """Return the job as one that ends when the device has done the work, not when it is ordered."""

    def waited() -> None:
        job()
        wait(device)

    return waited


@dataclass
class Rounds:
    """What `interleaved` measured, in seconds.

    Attributes
    ----------
    wall, cpu : dict
        For each job its times, one per round: by the clock, and summed over the processors.
    """

    wall: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)

    def add_sum(self, name: str, parts: Sequence[str]) -> None:
        """Add a job that takes, in each round, what the named ones take together."""
        for times in (self.wall, self.cpu):
            times[name] = [sum(each) for each in zip(*(times[part] for part in parts), strict=True)]

    def times(self, name: str, scale: float = 1.0) -> dict[str, float]:
        """Return minimum and median by the clock, and the minimum of processor time."""
        return {
            "minimum": scale * min(self.wall[name]),
            "median": scale * median(self.wall[name]),
            "cpu_minimum": scale * min(self.cpu[name]),
        }

    def ratio(self, name: str, to: str) -> dict[str, float]:
        """Return median, lowest and highest of the rounds' ratios of one job to another.

        Both sides of a ratio share a moment: where single times wander, their ratio does not.
        """
        ratios = [a / b for a, b in zip(self.wall[name], self.wall[to], strict=True)]
        return {"median": median(ratios), "low": min(ratios), "high": max(ratios)}


def interleaved(jobs: Mapping[str, Job], rounds: int, warm_up: int = 2) -> Rounds:
    """Run every job once per round, one after the other.

    Parameters
    ----------
    jobs : mapping of str to callable
    rounds : int
        How many rounds are measured, at least 1.
    warm_up : int
        How many rounds go before them and are not measured.

    Returns
    -------
    Rounds

    Raises
    ------
    ValueError
        If no round would be measured.

    Examples
    --------
    >>> measured = interleaved({"list": lambda: [0] * 9, "tuple": lambda: (0,) * 9}, rounds=3)
    >>> len(measured.wall["list"]), sorted(measured.ratio("list", to="tuple"))
    (3, ['high', 'low', 'median'])
    """
    if rounds < 1:
        raise ValueError(f"interleaved: rounds must be at least 1, found {rounds}")
    measured = Rounds({name: [] for name in jobs}, {name: [] for name in jobs})
    for number in range(-warm_up, rounds):
        for name, job in jobs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            job()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if number >= 0:
                measured.cpu[name].append(cpu)
                measured.wall[name].append(wall)
    return measured
