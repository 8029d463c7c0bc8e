"""Loading the states of several objects that belong together: all of them, or none."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from minires.devices import random

# What the parts of a trainer are called where one is missing.
_CALLED = {
    "model": "a model",
    "optimizer": "an optimiser",
    "scheduler": "a scheduler",
    "ema": "a moving average",
}


def load_all(parts: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    """Give each part its saved state, and minires' random numbers theirs; or change nothing.

    Parameters
    ----------
    parts : mapping of str to object
        With ``state_dict`` and ``load_state_dict``, which loads all or nothing; or None for one
        that there is not.
    saved : mapping
        The parts' states, by the same names, and that of ``"random"``.

    Raises
    ------
    ValueError
        If there is a part without a state or a state without a part, or one does not fit.
    """
    for name, part in parts.items():
        if (saved[name] is None) != (part is None):
            has, lacks = ("saved state", "trainer") if part is None else ("trainer", "saved state")
            raise ValueError(
                f"Trainer.load_state_dict: the {has} has {_CALLED[name]}, the {lacks} has none;"
                " build the trainer as it was built when the state was saved"
            )
    present = {name: part for name, part in parts.items() if part is not None}
    before = {name: copy.deepcopy(part.state_dict()) for name, part in present.items()}
    drawn = random.state()
    try:
        for name, part in present.items():
            part.load_state_dict(saved[name])
        random.restore(saved["random"])
    except BaseException:
        # The part that refuses has changed nothing, but those before it have; the optimiser's
        # rates are put back behind the scheduler, which sets them.
        for name, part in reversed(present.items()):
            part.load_state_dict(before[name])
        random.restore(drawn)
        raise
