"""Running experiments: trials in processes, kept one by one, and judged when all are there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from minires import devices
from minires.devices import random
from minires.serialize.locking import alone_in

from .experiment import Experiment, ScaleName
from .experiments import experiments
from .plan import Plan
from .results import Result, read_result, write_result
from .rules import Measured
from .workers import Job, carry_out


class NotMeasuredError(LookupError):
    """An experiment has no result yet that could be read."""

    def __init__(self, experiment: str, why: str = "it has not been run") -> None:
        super().__init__(f"the experiment {experiment!r} has no result: {why}")
        self.experiment = experiment


class Trial(NamedTuple):
    """One run of an experiment, and how it ended.

    Attributes
    ----------
    experiment, condition : str
    seed : int
    seconds : float
    failure : str
        "" if it did not fail.
    """

    experiment: str
    condition: str
    seed: int
    seconds: float
    failure: str


class Laboratory:
    """A folder of results at one scale.

    Parameters
    ----------
    folder : path
    scale : {"tiny", "small", "paper"}
    seeds : int, optional
        How many, for experiments with randomness; by default what the scale says.
    device : str
        What networks are trained on.
    jobs : int, optional
        How many trials at a time; by default as many as there are processors, or 1 on a GPU.
    known : dict of Experiment, optional
        By default all there are.

    Raises
    ------
    ValueError
        If an argument is out of range, or the device is not there.

    Examples
    --------
    >>> import tempfile
    >>> lab = Laboratory(tempfile.mkdtemp(), "tiny")
    >>> lab.result("degradation") is None
    True
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        scale: ScaleName = "small",
        *,
        seeds: int | None = None,
        device: str = "cpu",
        jobs: int | None = None,
        known: Mapping[str, Experiment] | None = None,
    ) -> None:
        for name, number in (("seeds", seeds), ("jobs", jobs)):
            if number is not None and number < 1:
                raise ValueError(f"{name}: must be at least 1, found {number}")
        try:
            devices.get(device)
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"device: {error}") from None
        self.folder = Path(folder)
        self.scale: ScaleName = scale
        self.seeds = seeds
        self.device = device
        self.jobs = jobs or (1 if device.startswith("cuda") else devices.threads.available())
        self.known = experiments() if known is None else known

    def result(self, name: str) -> Result | None:
        """Return the result of an experiment that is there, whatever it was made with."""
        return read_result(self.folder, name)

    def measured(self, experiment: str) -> Measured:
        """Return what an experiment has measured.

        Raises
        ------
        NotMeasuredError
            If it has no result, or has failed.
        """
        result = self.result(experiment)
        if result is None:
            raise NotMeasuredError(experiment)
        if result.outcome == "failed":
            raise NotMeasuredError(experiment, "it has failed")
        return result.measured

    def run(
        self,
        names: Sequence[str],
        told: Callable[[Trial], None] = lambda trial: None,
        finished: Callable[[Result], None] = lambda result: None,
    ) -> dict[str, Result]:
        """Run experiments, but for the trials that are there already; judge each, and keep it.

        An experiment that fails does not stop the others.

        Parameters
        ----------
        names : sequence of str
        told : callable
            Called with each trial that was run.
        finished : callable
            Called with each result.

        Returns
        -------
        dict of Result
            By name.

        Raises
        ------
        BlockingIOError
            If another process runs experiments in the same folder.
        """
        if not names:
            return {}
        self.folder.mkdir(parents=True, exist_ok=True)
        with alone_in(self.folder) as alone:
            if not alone:
                raise BlockingIOError(
                    f"another process runs experiments in '{self.folder}'; wait for it, or name"
                    " another folder"
                )
            return self._run(names, told, finished)

    def _run(
        self,
        names: Sequence[str],
        told: Callable[[Trial], None],
        finished: Callable[[Result], None],
    ) -> dict[str, Result]:
        plans = {name: self._plan(self.known[name]) for name in names}
        results: dict[str, Result] = {}

        def close(plan: Plan) -> None:
            write_result(plan.result(), self.folder)
            kept = read_result(self.folder, plan.experiment.name)
            assert kept is not None
            results[plan.experiment.name] = kept
            finished(kept)

        for plan in plans.values():
            if plan.is_complete:
                close(plan)
        for done in carry_out(self._jobs(plans), self.jobs):
            name, condition, seed = done.job.arguments[1:4]
            plan = plans[name]
            plan.keep(condition, seed, done.value, done.seconds, done.failure, done.details)
            told(Trial(name, condition, seed, done.seconds, done.failure))
            if plan.is_complete:
                close(plan)
        return {name: results[name] for name in plans}

    def missing(self, names: Sequence[str]) -> int:
        """Return how many trials of some experiments must be run."""
        return sum(len(self._plan(self.known[name]).missing) for name in names)

    def _jobs(self, plans: Mapping[str, Plan]) -> Iterator[Job]:
        for name, plan in plans.items():
            for condition, seed in plan.missing:
                arguments = plan.module, name, condition, seed, self.scale, self.device
                yield Job(f"{name}, {condition}, seed {seed}", run_trial, arguments)

    def _plan(self, experiment: Experiment) -> Plan:
        return Plan(experiment, self.scale, self.device, self.seeds, self.folder / "trials")


def run_trial(
    module: str, name: str, condition: str, seed: int, scale: ScaleName, device: str
) -> dict[str, Any]:
    """Carry out one trial of the experiment that a module has."""
    found = import_module(module)
    experiment = next(
        value
        for value in vars(found).values()
        if isinstance(value, Experiment) and value.name == name
    )
    with random.seeded(seed):  # also noise is the same, whatever ran in this process before
        return experiment.run(condition, experiment.scales[scale], seed, device)
