"""Peers: the same training step in other frameworks on NumPy, or nearly, beside minires.

ResNet-20 on a batch of 128 images, forward, cross-entropy, backward, SGD with momentum, from the
same weights. Each framework runs in a process and an environment of its own; all take turns,
round by round. A peer counts as fair when its losses are minires's::

    python -m benchmarks.peers install
    python -m benchmarks.peers run
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minires as mr

from . import environments
from .conversation import Child, Contender, converse

# Orders of summation make 1e-6 at first and 1e-5 after 18 steps; a forgotten momentum makes 1e-2.
LOSS_TOLERANCE = 1e-4
_STEPS = Path(__file__).parent / "steps"


@dataclass(frozen=True)
class Peer:
    """A framework: its name, script, environment, and the patience it takes."""

    name: str
    script: str
    environment: str
    warm_up: int = 1
    at_most: int | None = None


PEERS = (
    Peer("Chainer", "chainer_step.py", "old-numpy"),
    Peer("DeZero", "dezero_step.py", "old-numpy"),
    # Its JIT watches one step and records another, and only then replays.
    Peer("tinygrad", "tinygrad_step.py", "modern", warm_up=3),
    # Half a minute a step.
    Peer("HIPS autograd", "autograd_step.py", "modern", at_most=3),
)


def installed() -> bool:
    """Tell whether the environment of any peer is there."""
    return any(environments.interpreter(peer.environment, environments.FOLDER) for peer in PEERS)


def run_peers(
    rounds: int = 15,
    folder: Path | None = None,
    names: Sequence[str] | None = None,
    progress: Callable[[str], object] = lambda line: None,
    batch_size: int = 128,
) -> dict[str, Any]:
    """Measure minires and every peer that is installed.

    Parameters
    ----------
    rounds : int
        Timed steps of minires, and of the peers that are not limited to fewer.
    folder : Path, optional
        Of the peers' environments.
    names : sequence of str, optional
        The peers to measure, all by default.
    progress : callable
        Called with a line about every step.
    batch_size : int

    Returns
    -------
    dict
        Ready for JSON: ``minires`` and, by name, ``peers``, whose ``status`` is "measured",
        "not measured" (with a ``reason``) or "absent" (with the command that installs).

    Raises
    ------
    ChildError
        If minires itself fails.
    ValueError
        If there is no such peer, or no round.
    """
    known = [peer.name for peer in PEERS]
    if unknown := set(names or ()) - set(known):
        raise ValueError(f"no peer is called {', '.join(sorted(unknown))}; known: {known}")
    if rounds < 1:
        raise ValueError(f"{rounds} rounds asked for; at least 1 is needed")
    folder = folder or environments.FOLDER
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        task = Path(scratch) / "task.npz"
        write_task(task, batch_size)
        package_folder = str(Path(mr.__file__).parents[1])
        contenders = [
            Contender(
                "minires",
                [sys.executable, str(_STEPS / "minires_step.py"), str(task)],
                variables={"PYTHONPATH": package_folder},
            )
        ]
        for peer in PEERS:
            if names is not None and peer.name not in names:
                continue
            python = environments.interpreter(peer.environment, folder)
            results[peer.name] = {"status": "absent", "install": environments.INSTALL}
            if python:
                command = [str(python), str(_STEPS / peer.script), str(task)]
                contenders.append(
                    Contender(peer.name, command, warm_up=peer.warm_up, at_most=peer.at_most)
                )
        # The others' losses are compared with its losses, step by step from the first.
        contenders[0].warm_up = max(contender.warm_up for contender in contenders)
        children, reasons = converse(contenders, rounds, progress)
    ours = children.pop("minires")
    results |= {name: {"status": "not measured", "reason": why} for name, why in reasons.items()}
    results |= {name: {"status": "measured", **beside(ours, it)} for name, it in children.items()}
    return {
        "task": "training step of the CIFAR ResNet-20, shortcut A, float32",
        "batch_size": batch_size,
        "unit": "ms",
        "loss_tolerance": LOSS_TOLERANCE,
        "minires": summary(ours),
        "peers": results,
    }


def write_task(path: Path, batch_size: int) -> None:
    """Write images, labels and the network's first weights, all by minires's names, as ``.npz``."""
    random = np.random.default_rng(0)
    state: dict[str, Any] = mr.models.cifar_resnet(20, seed=0).state_dict()
    np.savez(
        path,
        images=random.standard_normal((batch_size, 3, 32, 32), dtype="float32"),
        labels=random.integers(0, 10, batch_size),
        **state,
    )


def summary(child: Child) -> dict[str, Any]:
    """Return a child's versions, times in ms over its timed steps, memory, and all its losses."""
    timed = [step for step in child.steps if "round" in step]
    return {
        **child.facts,
        "timed_steps": len(timed),
        "untimed_steps": len(child.steps) - len(timed),
        "minimum": 1e3 * min(step["wall"] for step in timed),
        "median": 1e3 * statistics.median(step["wall"] for step in timed),
        "cpu_minimum": 1e3 * min(step["cpu"] for step in timed),
        "peak_rss_mb": child.steps[-1]["peak_rss_mb"],
        "losses": [step["loss"] for step in child.steps],
    }


def beside(ours: Child, theirs: Child) -> dict[str, Any]:
    """Return a peer's `summary`, its times over minires's, and whether it computes the same.

    ``ratio`` is how many times as long as minires it takes, round by round. ``losses_agree`` tells
    whether every loss is minires's but for `LOSS_TOLERANCE`, relatively; where it is False, the
    peer computes something else, and the ratio means nothing.
    """
    of_round = {step["round"]: step["wall"] for step in ours.steps if "round" in step}
    ratios = [step["wall"] / of_round[step["round"]] for step in theirs.steps if "round" in step]
    expected = np.array([step["loss"] for step in ours.steps[: len(theirs.steps)]])
    losses = np.array([step["loss"] for step in theirs.steps[: len(expected)]])
    difference = float(np.max(np.abs(losses - expected) / np.abs(expected)))
    return {
        **summary(theirs),
        "ratio": {
            "median": statistics.median(ratios),
            "minimum": min(ratios),
            "maximum": max(ratios),
        },
        "largest_loss_difference": difference,
        "losses_agree": difference <= LOSS_TOLERANCE,
    }
