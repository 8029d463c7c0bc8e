"""Networks that others trained, with images: what is said of them."""

from __future__ import annotations

import numpy as np

from minires.lab.pretrained import pretrained
from minires.ops import tensor

DIGITS = "cifar_resnet20_digits"


def test_another_seed_has_other_images_and_they_are_told_apart() -> None:
    first, again, other = (pretrained(DIGITS, 20, seed) for seed in (0, 0, 1))

    assert first.about == again.about
    assert other.about["from"] == 20
    assert first.about["digest"] != other.about["digest"]
    assert len(first.about["sha256"]) == 64


def test_the_images_are_those_that_the_network_knows() -> None:
    model, images, _ = pretrained(DIGITS, 50, seed=0)
    pixels, labels = images.arrays

    assert np.mean(model(tensor(pixels)).numpy().argmax(1) == labels) > 0.9
