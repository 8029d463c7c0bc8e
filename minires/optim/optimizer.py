"""What every optimiser shares: groups of parameters, their options, and a state per parameter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from minires.autograd import Tensor
from minires.devices import ARRAY_TYPES, Array, Device, of

from .together import DeviceRate, alike, gradients

Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]
State = dict[str, Any]


class Optimizer:
    """Base of the optimisers: a subclass says how one parameter is updated.

    It overrides `update`, and `check` to refuse options that make no sense.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        What to update, such as ``model.parameters()``. A dict is a group with options of its own:
        ``{"params": [...], "lr": 0.01}``.
    defaults : dict
        The options of groups that do not set them.

    Attributes
    ----------
    param_groups : list of dict
        Each group's ``"params"`` and options. Options may be changed between steps; schedulers
        change ``"lr"``.
    state : dict
        For each parameter, what the optimiser remembers of it.

    Raises
    ------
    ValueError
        If there are no parameters, a parameter occurs twice, or an option makes no sense.
    TypeError
        If a parameter is no Tensor, or a group has an option that the optimiser does not know.
    """

    def __init__(self, params: Parameters, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, State] = {}
        self._rates: dict[tuple[int, Device], DeviceRate] = {}
        if not isinstance(params, Iterable) or isinstance(params, (Tensor, Mapping)):
            raise TypeError(
                f"{self._name}: params must be an iterable of parameters, as in"
                f" model.parameters(), or a list of groups; found {type(params).__name__}"
            )
        given: list[Any] = list(params)
        groups = given if given and isinstance(given[0], dict) else [{"params": given}]
        for group in groups:
            self.add_param_group(group)
        if not any(group["params"] for group in self.param_groups):
            raise ValueError(
                f"{self._name}: there are no parameters to update. Was the iterator already used"
                " up, or are layers kept in a plain list instead of an nn.ModuleList?"
            )

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for number, group in enumerate(self.param_groups):
            options = ", ".join(f"{k}={v!r}" for k, v in group.items() if k != "params")
            lines.append(f"  group {number}: {len(group['params'])} parameters, {options}")
        return "\n".join([*lines, ")"])

    def check(self, options: dict[str, Any]) -> None:
        """Raise ValueError if the options of a group make no sense."""
        raise NotImplementedError

    def update(self, data: Array, grad: Array, state: State, options: dict[str, Any]) -> None:
        """Update one parameter in place.

        Parameters
        ----------
        data : array
            The parameter's values, to be written into.
        grad : array
            Its gradient, of the same shape; only to be read.
        state : dict
            What was remembered of this parameter; empty before its first update.
        options : dict
            The parameter's group.
        """
        raise NotImplementedError

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Add parameters with options of their own, for example layers that thaw later.

        Parameters
        ----------
        group : dict
            ``{"params": Tensor or iterable of Tensor, option: value, ...}``.
        """
        if not isinstance(group, dict) or "params" not in group:
            raise TypeError(
                f"{self._name}: a group is a dict with the key 'params', found {group!r}"
            )
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        # 'initial_lr' is where schedulers keep the rate they began with.
        unknown = set(group) - {"params", "initial_lr", *self.defaults}
        if unknown:
            raise TypeError(
                f"{self._name}: a group has the unknown options {sorted(unknown)}; there are:"
                f" {sorted(self.defaults)}"
            )
        positions = {p: i for i, p in enumerate(self._parameters())}
        for parameter in params:
            self._check_parameter(parameter, positions)
            positions[parameter] = len(positions)
        whole = {**self.defaults, **group, "params": params}
        self.check(whole)
        self.param_groups.append(whole)

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def _check_parameter(self, parameter: Any, positions: dict[Tensor, int]) -> None:
        position = len(positions)
        if not isinstance(parameter, Tensor):
            raise TypeError(
                f"{self._name}: parameter {position} is a {type(parameter).__name__}, not a"
                " Tensor; pass model.parameters()"
            )
        if not parameter.is_leaf:
            raise ValueError(
                f"{self._name}: parameter {position}, shape {parameter.shape}, is the output of"
                f" {parameter.grad_fn}; only leaves can be updated. Optimise the Tensor that it"
                " was computed from"
            )
        if parameter in positions:
            raise ValueError(
                f"{self._name}: parameter {position}, shape {parameter.shape}, is the same Tensor"
                f" as parameter {positions[parameter]}; it would be updated twice in every step."
                " Name it once"
            )

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, before the next backward pass adds to them.

        Parameters
        ----------
        set_to_none : bool
            Set each ``.grad`` to None; a parameter without gradient is skipped by `step`. With
            False, gradients become zeros, and momentum and weight decay go on.
        """
        for parameter in self._parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = parameter.grad.detach().copy_(0.0)

    def update_together(
        self, device: Device, parameters: list[Tensor], options: dict[str, Any]
    ) -> bool:
        """Update parameters of one device and dtype by fewer launches than one by one.

        Parameters
        ----------
        device : Device
            Where the parameters are.
        parameters : list of Tensor
            Each has a gradient.
        options : dict
            The parameters' group.

        Returns
        -------
        bool
            Whether they have been updated. If not, `update` is called for each.
        """
        return False

    def follow(self) -> None:
        """Bring what is remembered of each parameter to the device where the parameter is now.

        `step` does so first: a model may be moved between two steps.
        """
        for parameter, remembered in self.state.items():
            device = parameter.device
            for key, value in remembered.items():
                if type(value) in ARRAY_TYPES and of(value) is not device:
                    host = of(value).to_numpy(value)
                    # Adam's count of steps is an array on a GPU, and a number elsewhere.
                    is_count = host.ndim == 0 and host.dtype.kind == "i"
                    remembered[key] = int(host) if is_count else device.array(host)

    def step(self) -> None:
        """Update every parameter that has a gradient, in its own memory."""
        self.follow()
        for group in self.param_groups:
            ready = [p for p in group["params"] if p.grad is not None]
            for parameters in alike(ready):
                together = self.update_together(parameters[0].device, parameters, group)
                for parameter in parameters:
                    if not together:
                        self._update_alone(parameter, group)
                    # A graph that still needs the old values must notice that they are gone.
                    parameter._versioned().wrote()

    def _update_alone(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state.setdefault(parameter, {})
        if parameter.device.is_capturing():
            raise RuntimeError(
                f"{self._name}: a parameter of shape {parameter.shape} is updated by itself, with"
                " the learning rate as a number, which a captured graph would repeat for ever. SGD,"
                " Adam and AdamW do better unless the parameter's memory has gaps, or its dtype is"
                " not that of the optimiser's state; if the model was converted, bring the state"
                " along: optimizer.load_state_dict(optimizer.state_dict())"
            )
        (grad,) = gradients([parameter])
        self.update(parameter._data, grad, state, group)

    def refresh(self) -> None:
        """Make learning rates known to a captured step: call it before each of its replays.

        A replay repeats the launches of a step. It reads the learning rate, which this method
        writes to the device where it has changed, and counts Adam's steps by itself. All other
        options are frozen in the graph.

        Raises
        ------
        RuntimeError
            If there was no `step` on a GPU since the optimiser was made or loaded, or it updates
            parameters by a rule of its own, or another option has changed since: the step must be
            captured again.
        """
        if not self._rates:
            raise RuntimeError(
                f"{self._name}: no step was taken on a GPU since the optimiser was made or its"
                " state was loaded; take one, then capture the next. Where one was taken, it did"
                " not use the kernels of SGD and Adam, which read the learning rate on the GPU: an"
                " optimiser with a rule of its own cannot be captured"
            )
        for group in self.param_groups:
            for (identity, _), rate in self._rates.items():
                if identity == id(group):
                    rate.check(group)
                    rate.follow(group)

    def _rate(self, device: Device, group: dict[str, Any]) -> Array:
        """Return the group's learning rate as an array (1,) on the device."""
        rate = self._rates.get((id(group), device))
        if rate is None:
            rate = self._rates[id(group), device] = DeviceRate(device)
        rate.follow(group)
        rate.launched(group)
        return rate.array

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on later, in PyTorch's layout.

        Returns
        -------
        dict
            ``"state"``: for each parameter's number, what is remembered of it: Tensors that share
            memory with the optimiser, and Python numbers. ``"param_groups"``: the groups' options,
            ``"params"`` being the parameters' numbers.
        """
        numbers = {parameter: number for number, parameter in enumerate(self._parameters())}
        groups = [
            {**group, "params": [numbers[parameter] for parameter in group["params"]]}
            for group in self.param_groups
        ]
        state = {
            numbers[parameter]: {key: _saved(value) for key, value in remembered.items()}
            for parameter, remembered in self.state.items()
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned, for the same parameters in the same order.

        Parameters
        ----------
        state_dict : dict
            As from `state_dict`; its Tensors may also be arrays. Everything is copied.

        Raises
        ------
        ValueError
            If groups, options or shapes do not fit this optimiser. Nothing is changed then.
        """
        saved_groups, saved_state = state_dict["param_groups"], state_dict["state"]
        sizes = [len(group["params"]) for group in self.param_groups]
        saved_sizes = [len(group["params"]) for group in saved_groups]
        if sizes != saved_sizes:
            raise ValueError(
                f"{self._name}: the saved groups have {saved_sizes} parameters, this optimiser's"
                f" {sizes}; build it for the same model and groups as when it was saved"
            )
        numbers = [number for group in saved_groups for number in group["params"]]
        by_number = dict(zip(numbers, self._parameters(), strict=True))
        state = {
            by_number[number]: {
                key: self._loaded(key, value, number, by_number[number])
                for key, value in remembered.items()
            }
            for number, remembered in saved_state.items()
        }
        for saved in saved_groups:
            if missing := self.defaults.keys() - saved.keys():
                raise ValueError(
                    f"{self._name}: the saved groups lack the options {sorted(missing)}; was the"
                    " state saved by another optimiser?"
                )
            self.check(saved)
        for group, saved in zip(self.param_groups, saved_groups, strict=True):
            group.update({key: value for key, value in saved.items() if key != "params"})
        self.state = state
        self._rates = {}

    def _loaded(self, key: str, value: Any, number: int, parameter: Tensor) -> Any:
        """Copy one remembered value; an array gets the parameter's dtype and memory order."""
        if isinstance(value, (int, float)):
            return value
        if value.dtype.kind in "iu":  # a count of steps that came from a file
            return int(value)
        if tuple(value.shape) != parameter.shape:
            raise ValueError(
                f"{self._name}: the saved {key!r} of parameter {number} has shape"
                f" {tuple(value.shape)}, the parameter has {parameter.shape}; was the state saved"
                " for another model?"
            )
        empty = parameter.device.xp.empty_like(parameter._data)
        return Tensor(empty).copy_(value)._data


def _saved(value: Any) -> Any:
    """Return a remembered value for `state_dict`; a count on a device becomes a number."""
    if isinstance(value, (int, float)):
        return value
    return int(of(value).to_numpy(value)) if value.dtype.kind == "i" else Tensor(value)


def check_not_negative(optimizer: Optimizer, options: dict[str, Any], *names: str) -> None:
    """Refuse options that must be finite numbers >= 0.

    Raises
    ------
    ValueError
        Naming the optimiser, the option and its value.
    """
    for name in names:
        value = options[name]
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(
                f"{type(optimizer).__name__}: {name} must be a number >= 0, found {value!r}"
            )
