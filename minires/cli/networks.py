"""Networks by name, for the command line."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minires.models import CifarResNet

_NAME = re.compile(r"cifar_(?:plain(\d+)|resnet(\d+)(?:_([abc]))?)")
_EXAMPLES = [
    f"cifar_{kind}{depth}" for depth in (8, 14, 20, 32, 44, 56, 110) for kind in ("plain", "resnet")
]


def network(name: str, width: int, in_channels: int, num_classes: int, seed: int) -> CifarResNet:
    """Make the network of a name.

    Parameters
    ----------
    name : str
        ``cifar_resnetD`` or ``cifar_plainD`` with the depth D, 6n + 2; a residual one may say its
        shortcuts: ``cifar_resnet20_b``; without it is option A.
    width : int
        Channels of the first stage.
    in_channels, num_classes : int
    seed : int
        Of the weights; networks that differ only in their shortcuts begin with the same.

    Raises
    ------
    ValueError
        If there is no such network, or it cannot have the depth or width.
    """
    from minires.models import cifar_resnet

    found = _NAME.fullmatch(name.lower())
    if found is None:
        near = difflib.get_close_matches(name.lower(), _EXAMPLES, 2, 0.5)
        advice = f"; near: {', '.join(near)}" if near else ""
        raise ValueError(
            f"there is no network {name!r}{advice}; there are cifar_resnetD, cifar_resnetD_a, _b,"
            " _c and cifar_plainD, with D layers, such as 8, 20, 56"
        )
    plain, residual, option = found.groups()
    shortcut = None if plain else (option or "a").upper()
    return cifar_resnet(int(plain or residual), shortcut, width, in_channels, num_classes, seed)
