"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from typing import Any

from minires.autograd import Tensor
from minires.devices import Array, Device, of

from .optimizer import Optimizer, Parameters, State, check_not_negative
from .together import gradients


class SGD(Optimizer):
    """Step against the gradient, perhaps with momentum.

    With gradient g, parameter p and velocity v:

    g' = g + weight_decay * p, v = momentum * v + (1 - dampening) * g' (at first v = g'),
    p = p - lr * v. With Nesterov's momentum, p = p - lr * (g' + momentum * v). Without momentum,
    p = p - lr * g'.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What to update; a dict is a group with options of its own.
    lr : float
        Learning rate.
    momentum : float
        Share of the velocity that is kept; 0 for none.
    dampening : float
        Share of the gradient that is kept from the velocity.
    weight_decay : float
        Factor of the penalty weight_decay/2 * |p|^2 on each parameter.
    nesterov : bool
        Look ahead along the velocity (Sutskever et al. 2013, in PyTorch's form).

    Raises
    ------
    ValueError
        If an option is negative, or `nesterov` lacks momentum or has dampening.

    Examples
    --------
    >>> import minires as mr
    >>> p = mr.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = mr.optim.SGD([p], lr=0.5)
    >>> (3 * p).sum().backward()
    >>> optimizer.step()
    >>> p.detach()
    tensor([-0.5,  0.5])
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        super().__init__(params, defaults)

    def check(self, options: dict[str, Any]) -> None:
        """Refuse negative options, and Nesterov's momentum without momentum."""
        check_not_negative(self, options, "lr", "momentum", "weight_decay")
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError(
                "SGD: nesterov=True needs momentum > 0 and dampening = 0, found"
                f" momentum={options['momentum']!r}, dampening={options['dampening']!r}"
            )

    def update(self, data: Array, grad: Array, state: State, options: dict[str, Any]) -> None:
        """Apply the rule to one parameter."""
        momentum, decay = options["momentum"], options["weight_decay"]
        step = grad + decay * data if decay else grad
        if momentum:
            if "momentum_buffer" in state:
                velocity = state["momentum_buffer"]
                velocity *= momentum
                velocity += (1 - options["dampening"]) * step
            else:
                velocity = state["momentum_buffer"] = of(data).xp.empty_like(data)
                velocity[...] = step
            step = step + momentum * velocity if options["nesterov"] else velocity
        data -= options["lr"] * step

    def update_together(
        self, device: Device, parameters: list[Tensor], options: dict[str, Any]
    ) -> bool:
        """Apply the rule to all parameters in one launch, where the device can."""
        if device.fused_sgd is None or type(self).update is not SGD.update:
            return False
        momentum, key = options["momentum"], "momentum_buffer"
        states = [self.state.setdefault(parameter, {}) for parameter in parameters]
        grads = gradients(parameters)
        for parameter, grad, state in zip(parameters, grads, states, strict=True):
            remembered = [state[key]] if key in state else []
            if not device.can_fuse(parameter._data, grad, *remembered):
                return False
        rate = self._rate(device, options)
        numbers = momentum, options["dampening"], options["weight_decay"], options["nesterov"]
        begun = [bool(momentum) and key in state for state in states]
        for fresh in (True, False):
            some = [i for i in range(len(states)) if begun[i] != fresh]
            if not some:
                continue
            if fresh and momentum:
                for i in some:
                    states[i][key] = device.xp.empty_like(parameters[i]._data)
            device.fused_sgd(
                [parameters[i]._data for i in some],
                [grads[i] for i in some],
                [states[i][key] for i in some] if momentum else [],
                fresh,
                rate,
                *numbers,
            )
        return True
