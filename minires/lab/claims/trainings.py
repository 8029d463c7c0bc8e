"""Short trainings on digits of 8 x 8 pixels, of a second or two each."""

from __future__ import annotations

from typing import Any

from minires.lab.images import Images
from minires.lab.learning import Learned, Recipe, learn
from minires.nn import Flatten, Linear, Module, ReLU, Sequential
from minires.ops import cross_entropy

_DIGITS = Images("digits", train=640, test=100)


def perceptron() -> Module:
    """Make a network of two linear layers, without normalisation."""
    return Sequential(Flatten(), Linear(64, 32), ReLU(), Linear(32, 10))


def taught(model: Module, recipe: Recipe, seed: int, loss: Any = cross_entropy) -> Learned:
    """Train a network on 640 digits, and return the record."""
    return learn(model, _DIGITS.read(), recipe, seed=seed, loss=loss)
