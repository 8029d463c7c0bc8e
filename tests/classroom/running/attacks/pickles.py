"""Puts into its answer what runs when it is unpickled."""

import os
import sys

import numpy as np


class Runs:
    def __reduce__(self):
        return os.mkdir, ("@MARK@",)


np.savez(sys.argv[-1], structure=np.array([Runs()], dtype=object))
os._exit(0)
