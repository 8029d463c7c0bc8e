"""How long experiments take on this machine: measured on one step, then reckoned."""

from __future__ import annotations

import time

import numpy as np

from minires.devices import threads
from minires.models import cifar_resnet
from minires.ops import cross_entropy, tensor

# Milliseconds of the step below on one core of the AMD EPYC where `Scale.seconds` were measured.
_REFERENCE = 24.0
_STEPS = 6


def slowness() -> float:
    """Return how long a training step takes here on one core, as a multiple of what scales assume.

    The step is of ResNet-20 with 8 channels, on 64 images of 16x16 pixels; the quickest of six.
    """
    before = threads.get_num_threads()
    threads.set_num_threads(1)
    try:
        model = cifar_resnet(20, width=8, seed=0)
        images = np.random.default_rng(0).standard_normal((64, 3, 16, 16)).astype(np.float32)
        x, y = tensor(images), tensor(np.arange(64) % 10)
        took = []
        for _ in range(_STEPS):
            start = time.perf_counter()
            cross_entropy(model(x), y).backward()
            took.append(time.perf_counter() - start)
    finally:
        threads.set_num_threads(before)
    return 1000 * min(took) / _REFERENCE


def in_words(seconds: float) -> str:
    """Return a duration in the unit of which there are some.

    Examples
    --------
    >>> in_words(0.4), in_words(95), in_words(7000), in_words(3e6)
    ('under 1 s', '95 s', '2 h', '35 days')
    """
    if seconds < 1:
        return "under 1 s"
    for unit, size, most in (("s", 1, 120), ("min", 60, 100), ("h", 3600, 48)):
        if seconds < most * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:,.0f} days"
