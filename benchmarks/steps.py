"""Forward and backward of a network of minires, to be timed and weighed."""

from __future__ import annotations

import functools
from typing import Any

import minires as mr
from minires import nn


class MiniresStep:
    """Forward and backward in training, without an update.

    Parameters
    ----------
    model : Module
        Its dropout is switched off, so that any engine comes to the same numbers.
    images : ndarray, (N, C, H, W)
    labels : ndarray, (N,)
    """

    def __init__(self, model: nn.Module, images: Any, labels: Any) -> None:
        self.model = certain(model)
        self._x, self._y = mr.tensor(images), mr.tensor(labels)

    def __call__(self) -> float:
        """Go forward and backward; return the loss. Gradients are new."""
        self.model.zero_grad()
        of_logits = functools.partial(mr.ops.cross_entropy, target=self._y)
        loss = mr.models.total_loss(self.model(self._x), of_logits)
        loss.backward()
        return loss.item()


def certain(model: nn.Module) -> nn.Module:
    """Switch a model's dropout off."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def numbers_of(model: nn.Module) -> dict[str, Any]:
    """Return a copy of all numbers of a model.

    Not its arrays themselves: values whose arrays were handed out are checked for overwriting from
    then on, in every step, and that takes time.
    """
    return {name: value.clone().numpy() for name, value in model.state_dict().items()}
