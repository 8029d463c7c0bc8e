"""Writes an answer with wrong values as the harness would, and ends."""

import os
import sys

import numpy as np

main = sys.modules["__main__"]
calls = main.load(sys.argv[-2])["calls"]
outcomes = [
    {
        "arguments": each["arguments"],
        "shared": False,
        "result": (np.ones_like(each["arguments"][0]), {"mask": np.ones(3)}),
    }
    for each in calls
]
main.dump(sys.argv[-1], {"outcomes": outcomes, "said": "passed", "noted": []})
os._exit(0)
