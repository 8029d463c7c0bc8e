"""Lets its answer be lists in lists in lists."""

import os
import sys

import numpy as np

told = '{"list": [' * 50_000 + "]}" * 50_000
np.savez(sys.argv[-1], structure=np.frombuffer(told.encode(), np.uint8))
os._exit(0)
