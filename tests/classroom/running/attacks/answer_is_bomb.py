"""Lets its answer be small, and 100 MB when it is unpacked."""

import os
import sys
import zipfile

with zipfile.ZipFile(sys.argv[-1], "w", zipfile.ZIP_DEFLATED) as archive:
    with archive.open("structure.npy", "w", force_zip64=True) as file:
        for _ in range(100):
            file.write(bytes(2**20))
os._exit(0)
