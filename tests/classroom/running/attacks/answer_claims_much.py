"""Lets its answer say that it holds 8 TB."""

import os
import sys
import zipfile

header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
header += b" " * (118 - len(header) - 1) + b"\n"
with zipfile.ZipFile(sys.argv[-1], "w") as archive:
    archive.writestr("structure.npy", b"\x93NUMPY\x01\x00\x76\x00" + header + bytes(8))
os._exit(0)
