"""Adam and AdamW: steps scaled by running averages of the gradient and of its square."""

from __future__ import annotations

from typing import Any

from minires.autograd import Tensor
from minires.devices import Array, Device, of

from .optimizer import Optimizer, Parameters, State, check_not_negative
from .together import gradients


class Adam(Optimizer):
    """Step along the running mean of the gradient, divided by its running root mean square.

    With gradient g (plus weight_decay * p), step number t and parameter p:

    m = beta1 * m + (1 - beta1) * g, v = beta2 * v + (1 - beta2) * g^2,
    p = p - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps).

    The divisions by 1 - beta^t make up for m and v starting at 0. Source: Kingma and Ba 2015
    (arXiv 1412.6980).

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What to update; a dict is a group with options of its own.
    lr : float
        Learning rate.
    betas : (float, float)
        How much of the two running averages is kept in each step.
    eps : float
        Added to the denominator.
    weight_decay : float
        Factor of the penalty weight_decay/2 * |p|^2, whose gradient is averaged like the rest.

    Raises
    ------
    ValueError
        If an option is negative, or a beta is not in [0, 1).

    Examples
    --------
    The first step has the length `lr`, whatever the gradient's.

    >>> import minires as mr
    >>> p = mr.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = mr.optim.Adam([p], lr=0.5)
    >>> (p * mr.tensor([3.0, -100.0])).sum().backward()
    >>> optimizer.step()
    >>> p.detach()
    tensor([0.5, 2.5])
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    def check(self, options: dict[str, Any]) -> None:
        """Refuse negative options, and averages that never forget."""
        check_not_negative(self, options, "lr", "eps", "weight_decay")
        if len(options["betas"]) != 2 or not all(0 <= beta < 1 for beta in options["betas"]):
            raise ValueError(
                f"{type(self).__name__}: betas must be two numbers in [0, 1), found"
                f" {options['betas']!r}"
            )

    def decay(self, data: Array, grad: Array, options: dict[str, Any]) -> Array:
        """Return the gradient with the penalty's added."""
        return grad + options["weight_decay"] * data if options["weight_decay"] else grad

    def update(self, data: Array, grad: Array, state: State, options: dict[str, Any]) -> None:
        """Apply the rule to one parameter."""
        xp = of(data).xp
        beta1, beta2 = options["betas"]
        grad = self.decay(data, grad, options)
        if not state:
            state.update(step=0, exp_avg=xp.zeros_like(data), exp_avg_sq=xp.zeros_like(data))
        state["step"] += 1
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        mean += (1 - beta1) * (grad - mean)
        square *= beta2
        square += (1 - beta2) * (grad * grad)
        # The corrections are numbers: the root of the second one stands outside of the array.
        mean_share, square_share = 1 - beta1 ** state["step"], 1 - beta2 ** state["step"]
        scale = xp.sqrt(square) / square_share**0.5 + options["eps"]
        data -= options["lr"] / mean_share * (mean / scale)

    def update_together(
        self, device: Device, parameters: list[Tensor], options: dict[str, Any]
    ) -> bool:
        """Apply the rule to all parameters in two launches, where the device can.

        The counts of steps are kept on the device, where replays of a graph count on.
        """
        own = type(self).update, type(self).decay
        if device.fused_adam is None or own not in (
            (Adam.update, Adam.decay),
            (Adam.update, AdamW.decay),
        ):
            return False
        xp = device.xp
        states = [self.state.setdefault(parameter, {}) for parameter in parameters]
        grads = gradients(parameters)
        for parameter, grad, state in zip(parameters, grads, states, strict=True):
            remembered = [state[key] for key in ("exp_avg", "exp_avg_sq") if key in state]
            if not device.can_fuse(parameter._data, grad, *remembered):
                return False
        rate = self._rate(device, options)
        for parameter, state in zip(parameters, states, strict=True):
            if not state:
                for key in ("exp_avg", "exp_avg_sq"):
                    state[key] = xp.zeros_like(parameter._data)
            if isinstance(state.get("step", 0), int):
                state["step"] = xp.full((), state.get("step", 0), "int32")
        device.fused_adam(
            [parameter._data for parameter in parameters],
            grads,
            *([state[key] for state in states] for key in ("exp_avg", "exp_avg_sq", "step")),
            rate,
            options["betas"],
            options["eps"],
            options["weight_decay"],
            type(self).decay is AdamW.decay,
        )
        return True


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameter itself, outside of the running averages.

    p = p - lr * weight_decay * p comes first, then Adam's rule with the bare gradient. Source:
    Loshchilov and Hutter 2019 (arXiv 1711.05101).

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What to update; a dict is a group with options of its own.
    lr, betas, eps
        As for `Adam`.
    weight_decay : float
        Share of the parameter, times `lr`, that is taken away in each step.

    Examples
    --------
    >>> import minires as mr
    >>> p = mr.tensor([1.0], requires_grad=True)
    >>> optimizer = mr.optim.AdamW([p], lr=0.5, weight_decay=0.5)
    >>> (0 * p).sum().backward()
    >>> optimizer.step()
    >>> p.detach()
    tensor([0.75])
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def decay(self, data: Array, grad: Array, options: dict[str, Any]) -> Array:
        """Shrink the parameter; return the bare gradient."""
        data *= 1 - options["lr"] * options["weight_decay"]
        return grad
