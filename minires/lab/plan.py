"""The trials of an experiment: which are there, which must be run, and what follows from all."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from minires.training.machine import environment

from .experiment import Experiment, ScaleName
from .results import Result, commit, read_trial, write_trial
from .rules import joint


class Plan:
    """The trials of one experiment: those that are there, and those that must be run.

    Parameters
    ----------
    experiment : Experiment
    scale : {"tiny", "small", "paper"}
    device : str
    seeds : int or None
        How many, of an experiment with randomness; None for what the scale says.
    folder : path
        Of the trials of all experiments.

    Attributes
    ----------
    module : str
        Where the experiment is defined.
    missing : list of tuple
        Condition and seed of each trial that must be run.
    """

    def __init__(
        self,
        experiment: Experiment,
        scale: ScaleName,
        device: str,
        seeds: int | None,
        folder: Path,
    ) -> None:
        self.experiment, self.scale_name, self.device = experiment, scale, device
        self.scale = experiment.scales[scale]
        self.module = type(experiment).__module__
        self.conditions = list(experiment.conditions(self.scale))
        count = 1 if self.scale.seeds == 1 else seeds or self.scale.seeds
        self.seeds = list(range(count))
        self.folder = folder / experiment.name
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
        """Whether all trials are there, or have failed."""
        return not self._awaited

    def keep(
        self, condition: str, seed: int, value: Any, seconds: float, failure: str, details: str
    ) -> None:
        """Keep what came of a trial."""
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
        """Return what follows from the trials."""
        experiment = self.experiment
        result = Result(
            experiment=experiment.name,
            title=experiment.title,
            scale=self.scale_name,
            device=self.device,
            settings=asdict(self.scale),
            seeds=self.seeds,
            images=self.images,
            environment=environment(self.device),
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
        json.dumps(dict(measured))  # raises here, and not when it is written, if it is no JSON
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
            "device": self.device,
            "source": source_of_trials(inspect.getsource(import_module(self.module))),
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


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
