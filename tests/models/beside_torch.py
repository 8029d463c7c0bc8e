"""A network of minires and a function of PyTorch, on the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

import minires as mr
from minires import nn
from tests.models.residual_in_torch import Numbers, torch

Arrays = Mapping[str, np.ndarray]
Kept = Callable[[tuple[int, ...]], np.ndarray]


class Outcome(NamedTuple):
    """What a network makes of a batch.

    Attributes
    ----------
    logits : ndarray, (N, classes)
    gradient : ndarray
        Of <cotangent, logits>, by all parameters and the images, end to end.
    statistics : ndarray
        The running means and variances afterwards, end to end.
    """

    logits: np.ndarray
    gradient: np.ndarray
    statistics: np.ndarray


def drawn(model: nn.Module, seed: int = 0) -> dict[str, np.ndarray]:
    """Draw all parameters and buffers; what starts at 0 or 1 would hide mistakes."""
    random = np.random.default_rng(seed)

    def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
        normal = random.standard_normal(shape)
        if len(shape) > 1:
            return normal * np.sqrt(2 / np.prod(shape[1:]))
        return 0.2 * normal + name.endswith(("weight", "running_var"))

    state = model.state_dict().items()
    return {name: draw(name, value.shape) for name, value in state if value.dtype.kind == "f"}


def batch(shape: tuple[int, ...], seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Images of this shape (N, C, H, W), and a cotangent of their ten logits."""
    random = np.random.default_rng(seed)
    return random.standard_normal(shape), random.standard_normal((shape[0], 10))


def of_minires(
    model: nn.Module, arrays: Arrays, images: np.ndarray, cotangent: np.ndarray
) -> Outcome:
    """What minires makes of it."""
    model.to(images.dtype.name).load_state_dict(arrays, strict=False)
    model.zero_grad()
    x = mr.tensor(images, requires_grad=True)
    logits = model(x)
    logits.backward(mr.tensor(cotangent))
    learned = [*(parameter for _, parameter in sorted(model.named_parameters())), x]
    moving = [buffer for _, buffer in sorted(model.named_buffers()) if buffer.ndim]
    return _outcome(logits.detach(), [tensor.grad for tensor in learned], moving)


def of_torch(
    function: Callable[..., torch.Tensor],
    arrays: Arrays,
    images: np.ndarray,
    cotangent: np.ndarray,
    training: bool = True,
    kept: Kept | None = None,
) -> Outcome:
    """What PyTorch makes of it."""
    arrays = {name: array.astype(images.dtype) for name, array in arrays.items()}
    net = Numbers(arrays, training, kept)
    x = torch.tensor(images, requires_grad=True)
    with _one_thread():
        logits = function(net, x)
        logits.backward(torch.tensor(cotangent))
    learned = [*(tensor for _, tensor in sorted(net.learned.items())), x]
    moving = [tensor for name, tensor in sorted(net.of.items()) if name not in net.learned]
    return _outcome(logits.detach(), [tensor.grad for tensor in learned], moving)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Small networks take PyTorch ten times as long where its threads wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def distance(found: np.ndarray, expected: np.ndarray) -> float:
    """L2 norm of the difference, relative to the norm of what is expected."""
    assert found.shape == expected.shape
    if not expected.size:
        return 0.0
    found, expected = found.astype("float64"), expected.astype("float64")
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def _outcome(logits, gradients, statistics) -> Outcome:
    joined = [
        np.concatenate([np.zeros(0), *(np.asarray(part).ravel() for part in parts)])
        for parts in (gradients, statistics)
    ]
    return Outcome(np.asarray(logits), *joined)
