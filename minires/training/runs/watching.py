"""Who looks on while a run trains, for example a progress bar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .config import RunConfig
from .metrics_log import EpochLine
from .result import Result


@dataclass(frozen=True)
class Plan:
    """What is about to be done.

    Attributes
    ----------
    config : RunConfig
    folder : Path
        Of the run.
    images : (int, int, int)
        To train on, to validate with, and to test with.
    classes : int
    parameters : int
    steps, steps_per_epoch : int
        Of the whole training, and of an epoch.
    steps_done : int
        By the checkpoint from which the run goes on; 0 for a new one.
    lossy : bool
        The images were compressed with loss.
    """

    config: RunConfig
    folder: Path
    images: tuple[int, int, int]
    classes: int
    parameters: int
    steps: int
    steps_per_epoch: int
    steps_done: int
    lossy: bool


class RunWatcher:
    """Look on while a run trains; override the moments of interest."""

    def noted(self, sentence: str) -> None:
        """Observe something that is worth knowing, such as what a checkpoint lacks."""

    def run_began(self, plan: Plan) -> None:
        """Observe that the first step is about to be taken."""

    def step_done(self, epoch: int, step: int, loss: float, images: int) -> None:
        """Observe a step, which may not be done yet on a GPU; `loss` is the newest known."""

    def epoch_done(self, line: EpochLine) -> None:
        """Observe that an epoch was trained, validated and written down."""

    def run_ended(self, result: Result) -> None:
        """Observe that the test part was read, and the run is finished."""
