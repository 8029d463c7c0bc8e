"""A second set of weights: the moving average of those that are trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from minires.autograd import Tensor
from minires.nn import Module


class EMA:
    """The exponential moving average of a model's weights, often better than the last ones.

    After each step, average = d * average + (1 - d) * weight (Polyak and Juditsky 1992). In the
    beginning d is smaller than `decay`, min(decay, (1 + n) / (10 + n)) at the n-th update, so that
    the weights drawn at random are soon forgotten. Running statistics are averaged in the same way,
    and counts are copied.

    Parameters
    ----------
    model : Module
        Where the average begins.
    decay : float
        In [0, 1).

    Attributes
    ----------
    updates : int
        How many there were.
    averages : dict of str to Tensor
        By the names of the model's `state_dict`.

    Raises
    ------
    ValueError
        If `decay` makes no sense.

    Examples
    --------
    >>> import minires as mr
    >>> model = mr.nn.Linear(1, 1, bias=False)
    >>> _ = model.weight.copy_(0.0)
    >>> ema = EMA(model, decay=0.5)
    >>> _ = model.weight.copy_(1.0)
    >>> for _ in range(2):
    ...     ema.update(model)
    >>> round(ema.averages["weight"].item(), 3)  # 1 - 2/11 * 3/12
    0.955
    >>> with ema.swapped(model):
    ...     model(mr.ones(1, 1)).item() == ema.averages["weight"].item()
    True
    """

    def __init__(self, model: Module, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"EMA: decay must lie in [0, 1), found {decay!r}")
        self.decay = decay
        self.updates = 0
        self.averages = {name: _copied(value) for name, value in model.state_dict().items()}

    def update(self, model: Module) -> None:
        """Take a step towards the weights that the model has now."""
        self.updates += 1
        share = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in model.state_dict().items():
            average = self.averages[name]
            if average.device is not value.device:
                average = self.averages[name] = average.to(value.device)
            if value.dtype.kind == "f":
                average.copy_(average._data + (value._data - average._data) * share)
            else:
                average.copy_(value)

    @contextmanager
    def swapped(self, model: Module) -> Iterator[Module]:
        """Give the model the averages inside the block, and its own values back afterwards."""
        own = {name: _copied(value) for name, value in model.state_dict().items()}
        try:
            model.load_state_dict(self.averages)
            yield model
        finally:
            model.load_state_dict(own)

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on later: ``"updates"``, and ``"averages"`` as Tensors."""
        return {"updates": self.updates, "averages": dict(self.averages)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned; everything is copied.

        Raises
        ------
        ValueError
            If names or shapes are not those of the model. Nothing is changed then.
        """
        saved = state_dict["averages"]
        wrong = sorted(set(saved) ^ set(self.averages)) or [
            name for name, own in self.averages.items() if tuple(saved[name].shape) != own.shape
        ]
        if wrong:
            raise ValueError(
                f"EMA: the saved averages do not fit the model's state, for example {wrong[0]!r};"
                " were they saved for another model?"
            )
        for name, own in self.averages.items():
            own.copy_(saved[name])
        self.updates = state_dict["updates"]


def _copied(value: Tensor) -> Tensor:
    return Tensor._wrap(value.detach()._data.copy(order="K"))
