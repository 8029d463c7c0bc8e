"""Random numbers that belong to a sample: whoever draws them, and when, they are the same.

A generator that keeps a state gives numbers in turn, so that what a sample gets depends on who drew
before it: on the number of workers, on where batches begin. A generator that *counts* has no state.
Its numbers are a scrambling of a key (here: seed and epoch) and a counter (sample, transform), and
those of a whole batch are scrambled at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_KEY_STEPS = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(counter: tuple[Array, ...], key: tuple[int, int]) -> tuple[Array, ...]:
    """Return Philox4x32-10 of counters under one key.

    Parameters
    ----------
    counter : four arrays of uint64
        Below 2**32, of shapes that broadcast.
    key : (int, int)
        Below 2**32.

    Returns
    -------
    four arrays of uint64
        32 random bits each.

    References
    ----------
    Salmon, Moraes, Dror and Shaw, Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011.
    """
    a, b, c, d = counter
    for number in range(_ROUNDS):
        first, second = (
            np.uint64((k + number * step) & 0xFFFFFFFF)
            for k, step in zip(key, _KEY_STEPS, strict=True)
        )
        left, right = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]  # 64 bits of 32 by 32
        a, b, c, d = (
            (right >> _HALF) ^ b ^ first,
            right & _LOW,
            (left >> _HALF) ^ d ^ second,
            left & _LOW,
        )
    return a, b, c, d


def uniform(seed: int, epoch: int, samples: Any, draws: Sequence[int]) -> Array:
    """Return numbers in [0, 1) for each sample, some for each of several transforms.

    Parameters
    ----------
    seed, epoch : int
    samples : array of int, (N,)
        The samples' numbers in the data set.
    draws : sequence of int
        How many numbers each transform needs. Those of one do not depend on how many others get.

    Returns
    -------
    array, (N, sum of draws), float64

    Examples
    --------
    >>> together = uniform(seed=0, epoch=1, samples=[7, 8, 9], draws=[2, 1])
    >>> bool((uniform(seed=0, epoch=1, samples=[9], draws=[2, 1]) == together[2:]).all())
    True
    """
    samples = np.asarray(samples, np.uint64)
    # A scramble of a counter is four numbers: a transform that needs more counts on.
    blocks = [
        (place, block) for place, count in enumerate(draws) for block in range(-(-count // 4))
    ]
    if not blocks:
        return np.empty((len(samples), 0))
    place, block = np.array(blocks, np.uint64).T  # (B,) each
    first, second = (int(word) for word in np.random.SeedSequence([seed, epoch]).generate_state(2))
    counter = samples[:, None], place, block, np.zeros(1, np.uint64)
    words = np.stack(np.broadcast_arrays(*philox(counter, (first, second))), -1)  # (N, B, 4)
    wanted = np.concatenate([np.arange(-(-count // 4) * 4) < count for count in draws])
    return words.reshape(len(samples), len(wanted))[:, wanted] * 2.0**-32
