"""Activation checkpointing: memory for time, by computing values twice instead of keeping them.

Chen et al. 2016 (arXiv 1604.06174): of a part of the network only its input is kept. When the
backward pass comes to it, the part is computed once more, now with its tape, which is then walked
and dropped. One op does this: its inputs are those of the part and all of its parameters, so that
gradients reach them on the ordinary way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from minires.autograd import AutogradError, Node, Tensor, enable_grad, grad, no_grad, op
from minires.autograd.context import changed, current, is_grad_enabled
from minires.devices import Array, random

from .module import Module
from .residual import ResidualBlock

Function = Callable[..., Tensor]


class _Part:
    """A part of a network that can be computed again as it was the first time.

    Parameters
    ----------
    function : callable
        From `count` Tensors to one.
    module : Module or None
        Whose parameters and buffers the function uses.
    count : int
    """

    def __init__(self, function: Function, module: Module | None, count: int) -> None:
        self.function = function
        self.count = count
        self.is_pure = module is None
        self.parameters: list[Tensor] = [] if module is None else list(module.parameters())
        buffers = () if module is None else module.buffers()
        self._buffers = [(each, *_as_now(each)) for each in buffers]
        below = () if module is None else module.modules()
        self._modes = [(each, each.training) for each in below]
        self._random = random.state()
        context = current.get()
        self._surroundings = {
            name: getattr(context, name) for name in ("module_path", "module_names", "expanded")
        }

    def first(self, arrays: tuple[Array, ...]) -> Array:
        """Compute the output without a tape."""
        with no_grad():
            output = self.function(*map(Tensor._wrap, arrays[: self.count]))
        if not isinstance(output, Tensor):
            raise TypeError(
                f"checkpoint: the function returned a {type(output).__name__}; it must return one"
                " Tensor"
            )
        return output._data

    def again(self, given: list[Tensor]) -> Tensor:
        """Compute it with its tape."""
        with self._as_before(), enable_grad():
            return self.function(*given)

    @contextmanager
    def _as_before(self) -> Iterator[None]:
        """Have the same modes, buffers and random numbers; leave all of them as they are."""
        now = [(buffer, *_as_now(buffer)) for buffer, *_ in self._buffers]
        modes = [(module, module.training) for module, _ in self._modes]
        _set_modes(self._modes)
        try:
            _set_buffers(self._buffers)
            with changed(**self._surroundings), random.replayed(self._random):
                yield
        finally:
            _set_modes(modes)
            _set_buffers(now)


def _as_now(buffer: Tensor) -> tuple[Array, int]:
    """Return a buffer's values, copied, and when they were written."""
    return buffer._data.copy(), buffer._versioned().written


def _set_buffers(buffers: list[tuple[Tensor, Array, int]]) -> None:
    """Give buffers earlier values; those that were not written since keep their place in time.

    The tape may have kept such a one, and would refuse it if it counted as written.
    """
    for buffer, values, written in buffers:
        if buffer._versioned().written == written:
            buffer._data[...] = values
        else:
            buffer.copy_(values)


def _set_modes(modes: list[tuple[Module, bool]]) -> None:
    for module, mode in modes:
        vars(module)["training"] = mode


@op(name="checkpoint")
def _checkpoint(*values: Array, part: _Part) -> Array:
    return part.first(values)


@_checkpoint.vjp
def _(g: Array, inputs: tuple[Any, ...], needs: tuple[bool, ...], part: _Part) -> Any:
    recorded = isinstance(g, Tensor)
    given = list(inputs[: part.count])
    if recorded:
        _refuse_shared(given, part.parameters)
    else:
        # Leaves of their own: the second tape begins here.
        leaves = zip(given, needs, strict=False)
        given = [Tensor._wrap(array).requires_grad_(needed) for array, needed in leaves]
    output = part.again(given)
    if part.is_pure and not recorded:
        _refuse_others(output, given)
    sources = [*given, *part.parameters]
    wanted = [source for source, needed in zip(sources, needs, strict=True) if needed]
    start = g if recorded else Tensor._wrap(g)
    found = iter(grad(output, wanted, start, create_graph=recorded, allow_unused=True))
    gradients: list[Any] = []
    for source, needed in zip(sources, needs, strict=True):
        gradient = next(found) if needed else None
        if needed and gradient is None:
            gradient = Tensor._wrap(source.device.xp.zeros_like(source._data))
        gradients.append(gradient if recorded or gradient is None else gradient._data)
    return tuple(gradients)


def _refuse_others(output: Tensor, given: list[Tensor]) -> None:
    """Raise AutogradError if the function learns what is none of its inputs."""
    own = {source._node for source in given}
    seen: set[Node] = set()
    ahead = [] if output._node is None else [output._node]
    while ahead:
        node = ahead.pop()
        if node in own or node in seen:
            continue
        seen.add(node)
        if node.op is None:
            raise AutogradError(
                f"checkpoint: the function uses a Tensor of shape {node.shape} that requires a"
                " gradient and is none of its inputs, so its gradient would be lost; pass the"
                " module itself as the function, or the Tensor as an input"
            )
        ahead += [parent for parent in node.parents if parent is not None]


def _refuse_shared(given: list[Tensor], parameters: list[Tensor]) -> None:
    """Raise AutogradError if a gradient that is recorded would reach a parameter on two ways."""
    learned = [parameter for parameter in parameters if parameter.requires_grad]
    roots = [source for source in given if source.requires_grad]
    if not learned or not roots:
        return
    starts = [source.device.xp.zeros_like(source._data) for source in roots]
    earlier = grad(roots, learned, starts, retain_graph=True, allow_unused=True)
    if any(gradient is not None for gradient in earlier):
        raise AutogradError(
            "checkpoint: with create_graph=True a parameter of the part may not be used before it"
            " as well; leave one of the two away"
        )


def _checkpointed(function: Function, module: Module | None, inputs: tuple[Any, ...]) -> Tensor:
    part = _Part(function, module, len(inputs))
    learns = any(source.requires_grad for source in (*inputs, *part.parameters))
    if not learns or not is_grad_enabled():
        return function(*inputs)
    return _checkpoint(*inputs, *part.parameters, part=part)


def checkpoint(function: Module | Function, *inputs: Tensor) -> Tensor:
    """Compute ``function(*inputs)``, keeping only the inputs for the backward pass.

    There it is computed once more. Values and gradients are the same to the bit: dropout draws the
    same numbers, and running statistics move only once.

    Parameters
    ----------
    function : Module, or callable
        From Tensors to one Tensor. A callable that is no module may learn only from its inputs.
    inputs : Tensor

    Returns
    -------
    Tensor

    Raises
    ------
    AutogradError
        In the backward pass, if a callable uses something else that requires a gradient.

    Examples
    --------
    >>> import minires as mr
    >>> block = mr.nn.Sequential(mr.nn.Linear(4, 64), mr.nn.ReLU(), mr.nn.Linear(64, 4))
    >>> y = mr.nn.checkpoint(block, mr.ones(2, 4))
    >>> y.grad_fn, bool((y == block(mr.ones(2, 4))).all())
    (<checkpoint>, True)
    """
    return _checkpointed(function, function if isinstance(function, Module) else None, inputs)


def checkpoint_blocks(model: Module) -> int:
    """Let every residual block of a model keep only its input, as with `checkpoint`.

    Parameters
    ----------
    model : Module
        Changed; names and values of its state are not.

    Returns
    -------
    int
        How many blocks there are.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> import minires as mr
    >>> mr.nn.checkpoint_blocks(mr.models.cifar_resnet(20))
    9
    """
    blocks = [module for module in model.modules() if isinstance(module, ResidualBlock)]
    if not blocks:
        raise ValueError(
            f"checkpoint_blocks: {type(model).__name__} has no ResidualBlock; use"
            " mr.nn.checkpoint(part, x) in its forward"
        )
    for block in blocks:
        vars(block)["forward"] = partial(_block_forward, block)
    return len(blocks)


def _block_forward(block: ResidualBlock, x: Tensor) -> Tensor:
    return _checkpointed(partial(type(block).forward, block), block, (x,))
