"""Lets its answer be a pipe, at which a reader waits for ever."""

import os
import sys

os.mkfifo(sys.argv[-1])
os._exit(0)
