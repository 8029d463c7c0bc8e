"""Mistakes that NumPy forgives and a GPU does not, each a small function; and code that is sound.

The fake must flag every one of them. With a GPU the same bank is run against CuPy itself, and
`Bug.cupy` says what it does: it raises as well, or it goes on in silence, which is what the fake is
for.
"""

from __future__ import annotations

from . import mixing, names, silent, sound, waiting
from .bench import BUGS, FINE, Bench, Bug

__all__ = ["BUGS", "FINE", "Bench", "Bug", "mixing", "names", "silent", "sound", "waiting"]
