"""Write the page about conformance; with `--list`, print every case and what becomes of it."""

from __future__ import annotations

import sys

from .onnx_suite import load
from .out_of_scope import reason
from .page import PAGE, render

# What this says of a case is what the tests hold.
if "--list" in sys.argv[1:]:
    for name, case in sorted(load().items()):
        why = reason(case)
        sys.stdout.write(f"{name}: {'passes' if why is None else 'out of scope: ' + why}\n")
else:
    PAGE.write_text(render(load()), encoding="utf-8")
    sys.stdout.write(f"written: {PAGE}\n")
