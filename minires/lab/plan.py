"""The trials of an experiment: which are there, which must be run, and what follows from all."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .experiment import Experiment, ScaleName
from .fingerprint import fingerprint, source_of
from .results import Failure, Judged, Kept, Result, commit, origins, read_trial, write_trial
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
        count = 1 if self.scale.seeds == 1 else seeds or self.scale.seeds
        self.seeds = list(range(count))
        self.failures: list[Failure] = []
        self.conditions: list[str] = []
        self.images: dict[str, Any] | None = None
        given = None
        try:
            self.conditions = list(experiment.conditions(self.scale))
            self.images = self.scale.images and self.scale.images.about
            given = experiment.given(self.scale)
        except Exception as error:  # it stops no other; and images tell what is not there
            self._fail("", 0, f"{type(error).__name__}: {error}")
        self.source = source_of(experiment)
        self.fingerprint = fingerprint(experiment, self.scale, self.images, device, given)
        # Trials of other settings lie beside these, and stay.
        self.folder = folder / experiment.name / self.fingerprint
        self.found: dict[tuple[str, int], Kept] = {}
        for condition, seed in self._all():
            kept = read_trial(self.folder, condition, seed)
            if kept is not None:
                self.found[condition, seed] = kept
        self.missing = [] if self.failures else [t for t in self._all() if t not in self.found]
        self._awaited = set(self.missing)

    @property
    def is_complete(self) -> bool:
        """Whether all trials are there, or have failed."""
        return not self._awaited

    def keep(self, condition: str, seed: int, value: Any, failure: str, details: str) -> None:
        """Keep what came of a trial."""
        self._awaited.discard((condition, seed))
        if not failure:
            kept, source = value
            if source != self.source:
                self._fail(condition, seed, "the lab's source was changed meanwhile; run it again")
                return
            try:
                self.found[condition, seed] = write_trial(self.folder, condition, seed, kept)
                return
            except (TypeError, ValueError) as error:
                failure = f"what it returned is no JSON: {error}"
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
            origins=origins(self.found.values()),
            judged={
                "commit": commit(),
                "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            seconds=sum(kept.seconds for kept in self.found.values()),
            fingerprint=self.fingerprint,
            source=self.source,
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
            condition: [self.found[condition, seed].trial for seed in self.seeds]
            for condition in self.conditions
        }
        measured = self.experiment.measure(result.trials, self.scale)
        json.dumps(dict(measured))  # raises here, and not when it is written, if it is no JSON
        claims: list[Judged] = []
        for claim in self.experiment.claims:
            judged = claim.rule.judge(measured)
            claims.append(
                {
                    "claim": claim.statement,
                    "source": claim.source,
                    "paper": claim.paper,
                    "rule": claim.rule.text,
                    "outcome": judged.outcome,
                    "because": judged.because,
                    "measured": {name: measured[name] for name in claim.rule.quantities},
                    "shows_at": claim.shows_at,
                }
            )
        result.measured, result.claims = dict(measured), claims
        result.outcome = joint(claim["outcome"] for claim in result.claims)

    def _all(self) -> list[tuple[str, int]]:
        return [(condition, seed) for seed in self.seeds for condition in self.conditions]

    def _fail(self, condition: str, seed: int, failure: str, details: str = "") -> None:
        self.failures.append(
            {"condition": condition, "seed": seed, "failure": failure, "details": details}
        )
