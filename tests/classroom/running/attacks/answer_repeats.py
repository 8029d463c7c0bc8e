"""Lets its answer name one large array twenty thousand times."""

import json
import os
import sys

import numpy as np

one = {"array": "large"}
told = {"dict": [["outcomes", {"list": [one] * 20_000}], ["said", ""], ["noted", {"list": []}]]}
structure = np.frombuffer(json.dumps(told).encode(), np.uint8)
np.savez(sys.argv[-1], structure=structure, large=np.zeros(2**22))
os._exit(0)
