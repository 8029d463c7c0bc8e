"""What the functions are called with: for each check a function of its name.

`rng` is a NumPy generator, another one at each grading; `reference` has the solved functions.
Sizes differ from each other, and the gradient that comes in is random: with ones, or with one
sample, much that is wrong looks right.
"""

import numpy as np


def shortcut_alone(rng, reference):
    x = rng.uniform(0.5, 1.5, (3, 4))
    yield rng.standard_normal((3, 4)), x, -rng.uniform(0.5, 1.5, (4, 4))


def gradient_values(rng, reference):
    for N, D in ((3, 4), (5, 2)):
        g, x = rng.standard_normal((2, N, D))
        yield g, x, rng.standard_normal((D, D)) / np.sqrt(D)
