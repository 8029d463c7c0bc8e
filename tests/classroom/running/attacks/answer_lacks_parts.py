"""Lets its answer have the form of an answer, and calls that lack what calls have."""

import os
import sys

sys.modules["__main__"].dump(
    sys.argv[-1], {"outcomes": [{"error": 1}, {"arguments": []}], "said": "", "noted": []}
)
os._exit(0)
