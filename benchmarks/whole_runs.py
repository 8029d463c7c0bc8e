"""Whole trainings, by the commands that docs/training.md shows: MNIST, and fine-tuning."""

from __future__ import annotations

import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

# Kept, so that a measurement which was broken off goes on where it was; git ignores it.
RUNS = Path("runs") / "benchmarks"
# The schedule was chosen with other seeds than those that are recorded.
MNIST = "minires train --model cifar_resnet8 --dataset mnist"
MNIST_SEEDS = 1, 2, 3
FEW = "--recipe mnist --epochs 30 --batch-size 48 --val-split 0.2"
FEW_SEEDS = tuple(range(5))
RATES = 0.03, 0.1


def mnist(runs: Path = RUNS) -> Iterator[tuple[str, Any]]:
    """Train a small ResNet on MNIST with each seed, and judge it by the 10,000 test images."""
    results = []
    for seed in MNIST_SEEDS:
        results.append(_run(f"{MNIST} --seed {seed}", runs / f"mnist-{seed}"))
        yield f"seed {seed}", results[-1]
    errors = [result["test_error"] for result in results]
    yield (
        "all seeds",
        {
            "command": f"{MNIST} --seed SEED",
            "mean_test_accuracy": 1 - statistics.mean(errors),
            "least_test_accuracy": 1 - max(errors),
            "longest_seconds": max(result["seconds"] for result in results),
        },
    )


def fine_tuning(images: Path, cifar: str, runs: Path = RUNS) -> Iterator[tuple[str, Any]]:
    """Train on few images, from scratch and from what was learned on others, in two pairs.

    Each way may take the learning rate with which it does better on the validation images.

    Parameters
    ----------
    images : Path
        An .npz of grey images like MNIST's, of which a fifth is kept for the test.
    cifar : str
        Weights of a cifar_resnet20, as ``--weights`` takes them.
    runs : Path
        `mnist` has run there.
    """
    runs.mkdir(parents=True, exist_ok=True)
    coloured = runs / "coloured.npz"
    with np.load(images, allow_pickle=False) as grey:
        np.savez(coloured, x=np.repeat(grey["x"][:, None], 3, axis=1), y=grey["y"])
    digits = str(runs / f"mnist-{MNIST_SEEDS[0]}")
    yield from _beside("MNIST", f"--model cifar_resnet8 --dataset {images}", digits, runs)
    network = f"--model cifar_resnet20 --size 32 --dataset {coloured}"
    yield from _beside("CIFAR-10", network, cifar, runs)


def _beside(source: str, network: str, weights: str, runs: Path) -> Iterator[tuple[str, Any]]:
    """Train from scratch, and from the weights learned on other images, the `source`."""
    begun = {"from scratch": "", "fine-tuned": f" --weights {weights}"}
    best = {}
    for way, option in begun.items():
        tried = []
        for rate in RATES:
            command = f"minires train {network} {FEW}{option} --lr {rate}"
            results = [
                _run(f"{command} --seed {seed}", runs / f"few-{source}-{way}-{rate}-{seed}")
                for seed in FEW_SEEDS
            ]
            tried.append(
                {
                    "lr": rate,
                    "validation_error": [result["validation_error"] for result in results],
                    "test_error": [result["test_error"] for result in results],
                    "mean_validation_error": _mean(results, "validation_error"),
                    "mean_test_error": _mean(results, "test_error"),
                    "seconds": sum(result["seconds"] for result in results),
                }
            )
            yield f"{source}: {way}, rate {rate}", tried[-1]
        best[way] = min(tried, key=lambda each: each["mean_validation_error"])
    scratch, tuned = (best[way]["test_error"] for way in begun)
    yield (
        f"{source}: fine-tuned beside from scratch",
        {
            "from_scratch_test_error": statistics.mean(scratch),
            "fine_tuned_test_error": statistics.mean(tuned),
            "seeds_in_which_fine_tuning_is_better": sum(
                after < before for before, after in zip(scratch, tuned, strict=True)
            ),
            "seeds": len(FEW_SEEDS),
        },
    )


def _run(command: str, folder: Path) -> dict[str, Any]:
    """Run a command of minires that trains, in a process of its own; return its outcome."""
    begun = (folder / "config.json").is_file()
    _, *options = shlex.split(command)
    where = ["train", "--resume"] if begun else [*options, "--out"]
    done = subprocess.run(
        [sys.executable, "-m", "minires", *where, str(folder), "--json"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    result = json.loads(done.stdout)
    del result["folder"], result["schema"]
    return dict(result)


def _mean(results: list[dict[str, Any]], name: str) -> float:
    return statistics.mean(result[name] for result in results)
