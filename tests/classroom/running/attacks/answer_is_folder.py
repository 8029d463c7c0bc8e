"""Lets its answer be a folder."""

import os
import sys

os.mkdir(sys.argv[-1])
os._exit(0)
