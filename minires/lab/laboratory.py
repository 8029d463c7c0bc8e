"""Running experiments: trials in processes, kept one by one, and judged when all are there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from minires import devices
from minires.devices import random
from minires.serialize.locking import alone_in
from minires.training.machine import environment

from .experiment import Experiment, Scale, ScaleName
from .experiments import experiments
from .fingerprint import settings_of, source_of
from .plan import Plan
from .results import Kept, Result, as_kept, commit, read_result, write_result
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
        """Return the result of an experiment that is there, whatever it was made with.

        Raises
        ------
        ValueError
            If it is damaged.
        """
        return read_result(self.folder, name)

    def out_of_date(self, result: Result) -> str:
        """Return why a result is none of this laboratory as it is now, or ""."""
        experiment = self.known[result.experiment]
        settings = as_kept(settings_of(experiment.scales[self.scale]))
        if result.scale != self.scale:
            return f"of the scale {result.scale}"
        if self.seeds not in (None, len(result.seeds)) and len(result.seeds) > 1:
            return f"of {len(result.seeds)} seeds"
        if (
            result.source != source_of(experiment)
            or not settings.items() <= result.settings.items()
        ):
            return "out of date"
        return ""

    def measured(self, experiment: str) -> Measured:
        """Return what an experiment has measured.

        Raises
        ------
        NotMeasuredError
            If it has no result, one that is out of date, or has failed.
        """
        result = self.result(experiment)
        if result is None:
            raise NotMeasuredError(experiment)
        if why := self.out_of_date(result):
            raise NotMeasuredError(experiment, f"that which is there is {why}")
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
            name, result = plan.experiment.name, plan.result()
            judged = self._judged(name) if result.outcome == "failed" else None
            # One that was judged stays, and tells of the failure that followed.
            write_result(
                replace(judged, failures=result.failures) if judged else result, self.folder
            )
            results[name] = result
            finished(result)

        for plan in plans.values():
            if plan.is_complete:
                close(plan)
        for done in carry_out(self._jobs(plans), self.jobs):
            experiment, condition, _, seed, _ = done.job.arguments
            plan = plans[experiment.name]
            plan.keep(condition, seed, done.value, done.failure, done.details)
            told(Trial(experiment.name, condition, seed, done.seconds, done.failure))
            if plan.is_complete:
                close(plan)
        return {name: results[name] for name in plans}

    def _judged(self, name: str) -> Result | None:
        """Return a result of now that one which failed must not replace."""
        try:
            result = self.result(name)
        except ValueError:  # a damaged one
            return None
        if result is None or result.outcome == "failed" or self.out_of_date(result):
            return None
        return result

    def missing(self, names: Sequence[str]) -> int:
        """Return how many trials of some experiments must be run."""
        return sum(len(self._plan(self.known[name]).missing) for name in names)

    def _jobs(self, plans: Mapping[str, Plan]) -> list[Job]:
        return [
            Job(
                f"{name}, {condition}, seed {seed}",
                run_trial,
                (plan.experiment, condition, plan.scale, seed, self.device),
            )
            for name, plan in plans.items()
            for condition, seed in plan.missing
        ]

    def _plan(self, experiment: Experiment) -> Plan:
        return Plan(experiment, self.scale, self.device, self.seeds, self.folder / "trials")


def run_trial(
    experiment: Experiment, condition: str, scale: Scale, seed: int, device: str
) -> tuple[Kept, str]:
    """Carry out one trial of an experiment; return also by which source, as this process has it."""
    start = time.perf_counter()
    with random.seeded(seed):  # also noise is the same, whatever ran in this process before
        trial = experiment.run(condition, scale, seed, device)
    kept = Kept(
        trial=trial,
        seconds=time.perf_counter() - start,
        commit=commit(),
        environment=environment(device),
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    return kept, source_of(experiment)
