"""How messages call options: as the command line does."""

from __future__ import annotations

import re

# Options of two words or more; what has no underscore might be a word as any other.
_OPTIONS = re.compile(
    r"\b(?:val_split|warm_up_(?:lr|steps|error)|early_stop|batch_size|weight_decay|"
    r"label_smoothing|crop_padding(?:_mode)?|sync_bn|precise_bn|checkpoint_steps)\b"
)


def as_option(message: str) -> str:
    """Name options as the command line does.

    Examples
    --------
    >>> as_option("schedule: 'plateau' looks at the validation part; set val_split")
    "--schedule: 'plateau' looks at the validation part; set --val-split"
    """
    name, colon, rest = message.partition(": ")
    if colon and name.replace("_", "").isalpha() and name.islower():
        message = f"--{name.replace('_', '-')}: {rest}"
    return _OPTIONS.sub(lambda found: f"--{found[0].replace('_', '-')}", message)
