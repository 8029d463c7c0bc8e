"""Write the page about a suite: `python -m tests.conformance onnx`, or `torch`."""

from __future__ import annotations

import argparse
import importlib
import sys

parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
suites = parser.add_subparsers(dest="suite", required=True)
onnx = suites.add_parser("onnx", help="docs/conformance-onnx.md")
onnx.add_argument("--list", action="store_true", help="print what becomes of every case instead")
suites.add_parser("torch", help="docs/conformance-pytorch.md")
asked = parser.parse_args()

# Either suite needs a library that the other does not.
page = importlib.import_module(f"tests.conformance.{asked.suite}_page")
if getattr(asked, "list", False):
    sys.stdout.write(page.listing())
else:
    page.PAGE.write_text(page.render(), encoding="utf-8")
    sys.stdout.write(f"written: {page.PAGE}\n")
