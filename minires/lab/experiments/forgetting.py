"""Catastrophic forgetting: it comes with the second task, not with depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from minires.data import DataLoader, Split, TensorDataset
from minires.lab.experiment import Claim, Experiment, Scale, ScaleName, Trials
from minires.lab.figures import label_epochs, name_curves, panels, spread
from minires.lab.images import Images
from minires.lab.learning import Recipe, learn
from minires.lab.networks import network_for
from minires.lab.rules import Above, Every, Given, Measured, Within
from minires.training import Callback, Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minires.lab.theme import Theme

MCCLOSKEY = "McCloskey and Cohen 1989; French 1999"
SHALLOW, DEEP = "rise of the error on 0 to 4, shallow network", "the same, deep network"
SPEED = "steps until half of the first task is forgotten, deep network over shallow one"
KNEW = "what the network that knew less knew of 0 to 4: error of guessing less its own"
# Who errs in more than half of the first task before the second cannot forget half of it.
FORGETS = Given(Above(KNEW, 0.3), Every(Above(SHALLOW, 0.5), Above(DEEP, 0.5)))
ALIKE = Given(Above(KNEW, 0.3), Within(SPEED, 0.5, 2.0))
_GUESSING = 0.8  # of five digits
_EVERY = 2  # steps of the second task, after which the error on the first is measured


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    images: Images
    depths: tuple[int, int]
    width: int
    recipe: Recipe
    second: Recipe  # so gentle that forgetting takes many steps


class _Forgetting(Experiment):
    """Two tasks, one after the other, at two depths."""

    name = "forgetting"
    title = "Does catastrophic forgetting depend on depth?"
    about = (
        "Residual networks of two depths learn the digits 0 to 4, and then 5 to 9 without seeing"
        " the first again, at a lower learning rate, so that forgetting takes more than a few"
        " steps. The error on test images of the first task is measured before, meanwhile and"
        " after."
    )
    caption = (
        "Error on the first task, 0 to 4, thin for each seed: by epoch, at the dotted line training"
        " goes on with the second task alone; and by the steps of that."
    )
    claims = (
        Claim(
            "A network that learns a second task forgets the first, shallow or deep.",
            MCCLOSKEY,
            "no number",
            FORGETS,
        ),
        Claim(
            "Depth is not its cause: both forget about as quickly.",
            "claims audit, C2; a phenomenon of continual learning, French 1999",
            "no number",
            ALIKE,
        ),
    )
    scales: ClassVar[dict[ScaleName, _Scale]] = {
        "tiny": _Scale(
            seconds=4,
            images=Images("digits", train=400, test=200),
            depths=(8, 20),
            width=4,
            recipe=Recipe(3),
            second=Recipe(4, learning_rate=0.01),
        ),
        "small": _Scale(
            seconds=45,
            images=Images("digits"),
            depths=(8, 32),
            width=8,
            recipe=Recipe(6),
            second=Recipe(16, learning_rate=0.005),
        ),
        "paper": _Scale(
            seconds=9e3,
            images=Images("mnist"),
            depths=(8, 56),
            width=16,
            recipe=Recipe(6),
            second=Recipe(6, learning_rate=0.005),
        ),
    }

    def conditions(self, scale: _Scale) -> Sequence[str]:
        return [f"ResNet-{depth}" for depth in scale.depths]

    def run(self, condition: str, scale: _Scale, seed: int, device: str) -> dict[str, Any]:
        split = scale.images.read()
        first, second = _only(split, range(5)), _only(split, range(5, 10))
        model = network_for(split, int(condition.partition("-")[2]), scale.width, seed)
        errors, diverged = [], ""
        for task, recipe in ((first, scale.recipe), (second, scale.second)):
            seen = _Errors(first)
            learned = learn(model, task, recipe, seed=seed, device=device, callbacks=[seen])
            errors.append(seen.errors)
            diverged = diverged or learned.diverged
        forgotten = [step for step, error in seen.steps if error > 0.5]
        half = None if diverged or not forgotten else forgotten[0]
        return {"errors": errors, "steps": seen.steps, "half": half, "diverged": diverged}

    def measure(self, trials: Trials, scale: _Scale) -> Measured:
        rises = [[_rise(trial) for trial in trials[name]] for name in self.conditions(scale)]
        shallow, deep = ([t["half"] for t in trials[name]] for name in self.conditions(scale))
        speed = [
            None if one is None or other is None else other / one
            for one, other in zip(shallow, deep, strict=True)
        ]
        known = zip(*([_known(t) for t in trials[n]] for n in self.conditions(scale)), strict=True)
        knew = [None if None in each else min(each) for each in known]
        return {SHALLOW: rises[0], DEEP: rises[1], KNEW: knew, SPEED: speed}

    def draw(self, trials: Trials, measured: Measured, theme: Theme) -> Figure:
        figure, (ax, steps) = panels(theme, 2, width=5, sharey=True)
        before = 0
        for number, (name, seeds) in enumerate(trials.items()):
            curves = [
                [100 * error for task in trial["errors"] for error in task] for trial in seeds
            ]
            epochs = range(1, max(map(len, curves)) + 1)
            spread(ax, epochs, curves, name, number, theme)
            longest = max((trial["steps"] for trial in seeds), key=len)
            curves = [[100 * error for _, error in trial["steps"]] for trial in seeds]
            spread(steps, [step for step, _ in longest], curves, name, number, theme)
            before = max(before, *(len(trial["errors"][0]) for trial in seeds))
        steps.set_xlabel("step of the second task")
        ax.axvline(before, color=theme.ink, linewidth=0.9, linestyle=(0, (1, 2)))
        ax.set_ylim(-2, 102)
        label_epochs(ax)
        ax.set_ylabel("error on 0 to 4, %")
        name_curves(ax, theme)
        return figure


def _known(trial: Mapping[str, Any]) -> float | None:
    """Return what a network knew of the first task before the second; None if it diverged."""
    before = trial["errors"][0]
    return None if trial["diverged"] or not before else _GUESSING - before[-1]


def _rise(trial: Mapping[str, Any]) -> float | None:
    """Return by how much the error on the first task has risen; None if the network diverged."""
    before, after = trial["errors"]
    return None if trial["diverged"] else after[-1] - before[-1]


def _only(split: Split, classes: range) -> Split:
    """Return the images of some classes, with their labels as they are."""

    def part(dataset: TensorDataset) -> TensorDataset:
        images, labels = dataset.arrays
        chosen = np.isin(labels, list(classes))
        return TensorDataset(images[chosen], labels[chosen])

    return replace(split, train=part(split.train), test=part(split.test))


class _Errors(Callback):
    """Measures the error on one task, whatever is being learned."""

    def __init__(self, task: Split) -> None:
        self.images = DataLoader(task.test, 256)
        self.errors: list[float] = []
        self.steps: list[tuple[int, float]] = []

    def on_step(self, trainer: Trainer, step: int) -> None:
        if step % _EVERY == 0:
            self.steps.append((step, trainer.evaluate(self.images).error))

    def on_epoch(self, trainer: Trainer, epoch: int) -> None:
        self.errors.append(trainer.evaluate(self.images).error)


EXPERIMENT = _Forgetting()
