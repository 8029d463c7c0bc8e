"""Running experiments: trials in processes, kept one by one, and judged when all are there."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from minires import devices
from minires.devices import random
from minires.serialize.locking import alone_in
from minires.training.machine import environment

from .experiment import Experiment, ScaleName
from .experiments import experiments
from .results import Result, commit, read_result, read_trial, write_result, write_trial
from .rules import Measured, joint
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

        def close(plan: _Plan) -> None:
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

    def _jobs(self, plans: Mapping[str, _Plan]) -> Iterator[Job]:
        for name, plan in plans.items():
            for condition, seed in plan.missing:
                arguments = plan.module, name, condition, seed, self.scale, self.device
                yield Job(f"{name}, {condition}, seed {seed}", run_trial, arguments)

    def _plan(self, experiment: Experiment) -> _Plan:
        return _Plan(experiment, self)


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


def source_of_trials(source: str) -> str:
    r"""Return what of an experiment's source its trials depend on, without layout.

    Words, claims, what is made of the trials and the figure may change, and all trials stay.

    Examples
    --------
    >>> one = "class E(Experiment):\n    title = 'a'\n    def run(self): return 1"
    >>> source_of_trials(one) == source_of_trials(one.replace("'a'", "'b'"))
    True
    >>> source_of_trials(one) == source_of_trials(one.replace("1", "2"))
    False
    """
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            node.body = [each for each in node.body if not _defined(each) & _NOT_OF_TRIALS]
    tree.body = [each for each in tree.body if not isinstance(each, ast.Import | ast.ImportFrom)]
    return ast.dump(tree)


_NOT_OF_TRIALS = {"name", "title", "about", "caption", "claims", "scales", "shows_at"}
_NOT_OF_TRIALS |= {"measure", "draw", "conditions"}


def _defined(node: ast.stmt) -> set[str]:
    """Return the names that a statement of a class defines."""
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


class _Plan:
    """The trials of one experiment: those that are there, and those that must be run."""

    def __init__(self, experiment: Experiment, lab: Laboratory) -> None:
        self.experiment, self.lab = experiment, lab
        self.scale = experiment.scales[lab.scale]
        self.module = type(experiment).__module__
        self.conditions = list(experiment.conditions(self.scale))
        count = 1 if self.scale.seeds == 1 else lab.seeds or self.scale.seeds
        self.seeds = list(range(count))
        self.folder = lab.folder / "trials" / experiment.name
        self.failures: list[dict[str, Any]] = []
        self.images: dict[str, Any] | None = None
        try:
            self.images = self.scale.images and self.scale.images.about
        except Exception as error:  # what is not there, the images say
            self._fail("", 0, f"{type(error).__name__}: {error}")
        self.fingerprint = self._fingerprint()
        self.found: dict[tuple[str, int], tuple[dict[str, Any], float]] = {}
        for condition, seed in self._all():
            trial = read_trial(self.folder, self.fingerprint, condition, seed)
            if trial is not None:
                self.found[condition, seed] = trial
        self.missing = [] if self.failures else [t for t in self._all() if t not in self.found]
        self._awaited = set(self.missing)

    @property
    def is_complete(self) -> bool:
        return not self._awaited

    def keep(
        self, condition: str, seed: int, value: Any, seconds: float, failure: str, details: str
    ) -> None:
        self._awaited.discard((condition, seed))
        if not failure:
            try:
                write_trial(self.folder, self.fingerprint, condition, seed, value, seconds)
            except (TypeError, ValueError) as error:
                failure = f"what it returned is no JSON: {error}"
            else:
                kept = read_trial(self.folder, self.fingerprint, condition, seed)
                assert kept is not None
                self.found[condition, seed] = kept
                return
        self._fail(condition, seed, failure, details)

    def result(self) -> Result:
        experiment = self.experiment
        result = Result(
            experiment=experiment.name,
            title=experiment.title,
            scale=self.lab.scale,
            device=self.lab.device,
            settings=asdict(self.scale),
            seeds=self.seeds,
            images=self.images,
            environment=environment(self.lab.device),
            commit=commit(),
            created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            seconds=sum(seconds for _, seconds in self.found.values()),
            fingerprint=self.fingerprint,
        )
        if not self.failures:
            try:
                self._judge(result)
            except Exception as error:  # an experiment that cannot be judged stops no other
                self._fail("", 0, f"its measurement failed: {type(error).__name__}: {error}")
        result.failures = self.failures
        return result

    def _judge(self, result: Result) -> None:
        result.trials = {
            condition: [self.found[condition, seed][0] for seed in self.seeds]
            for condition in self.conditions
        }
        measured = self.experiment.measure(result.trials, self.scale)
        result.measured = dict(measured)
        for claim in self.experiment.claims:
            judged = claim.rule.judge(measured)
            result.claims.append(
                {
                    "claim": claim.statement,
                    "source": claim.source,
                    "paper": claim.paper,
                    "rule": claim.rule.text,
                    "outcome": judged.outcome,
                    "because": judged.because,
                    "measured": {name: measured[name] for name in claim.rule.quantities},
                }
            )
        result.outcome = joint(claim["outcome"] for claim in result.claims)

    def _all(self) -> list[tuple[str, int]]:
        return [(condition, seed) for seed in self.seeds for condition in self.conditions]

    def _fail(self, condition: str, seed: int, failure: str, details: str = "") -> None:
        self.failures.append(
            {"condition": condition, "seed": seed, "failure": failure, "details": details}
        )

    def _fingerprint(self) -> str:
        settings = asdict(self.scale)
        del settings["seeds"], settings["seconds"]
        told = {
            "experiment": self.experiment.name,
            "settings": settings,
            "images": self.images,
            "device": self.lab.device,
            "source": source_of_trials(inspect.getsource(import_module(self.module))),
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
