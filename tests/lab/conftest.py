"""A small comparison, trained once, and made-up ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from minires.lab import Comparison, Run, Settings, compare_twins, write_comparison

MakeRun = Callable[..., Run]


@pytest.fixture(scope="session")
def comparison() -> Comparison:
    """Two depths, trained in two or three seconds; not to be changed."""
    return compare_twins([8, 14], epochs=2, width=2)


@pytest.fixture(scope="session")
def written(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of the comparison, in a new folder below a new one; not to be changed."""
    return write_comparison(comparison, tmp_path_factory.mktemp("written") / "made" / "on the way")


@pytest.fixture
def make_run() -> MakeRun:
    """Make up the record of a network from its final training error; None: it diverged."""

    def make(name: str, error: float | None) -> Run:
        twin, _, depth = name.partition("-")
        run = Run(int(depth), "plain" if twin == "plain" else "residual", parameters=100)
        run.layers = ["conv1", "fc"]
        if error is None:
            run.diverged, run.diverged_at = "the loss is nan", 1
        else:
            run.train_error = run.test_error = run.batch_error = [error]
            run.train_loss = run.test_loss = run.loss = [1.0]
            run.learning_rate = [0.1]
            run.gradient_norms = [[2.0, 0.5]]
        return run

    return make


@pytest.fixture
def make_comparison(make_run: MakeRun) -> Callable[..., Comparison]:
    """Make up a comparison of one epoch from final training errors by name."""

    def make(**errors: float | None) -> Comparison:
        runs = [make_run(name.replace("_", "-"), error) for name, error in errors.items()]
        depths = tuple(run.depth for run in runs)
        made = Comparison(Settings(depths=depths, epochs=1))
        made.runs = sorted(runs, key=lambda run: (run.depth, run.twin))
        return made

    return make
