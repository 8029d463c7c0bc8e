"""What the step-through tutorials lean on: checks of exercises, figures, recorded results.

The tutorials themselves are the files ``tutorials/NN_name.py`` of the project, notebooks written as
Python (Jupytext's percent format).
"""

from __future__ import annotations

from .catalogue import Tutorial, all_tutorials
from .figures import grid, show
from .lab_results import recorded

__all__ = ["Tutorial", "all_tutorials", "grid", "recorded", "show"]
