"""How far single precision is from double, beside PyTorch: the whole gradient of ResNet-20."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from minires.models import cifar_resnet


def gradient(model, loss_of):
    """All gradients of a loss, in float64, end to end."""
    model.zero_grad()
    loss_of(model).backward()
    return np.concatenate([np.asarray(p.grad.detach()).ravel() for p in model.parameters()])


@pytest.mark.oracle
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_whole_gradient_is_at_most_twice_as_far_from_float64_as_pytorchs(seed):
    torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
    from benchmarks.twin import TorchResNet

    rng = np.random.default_rng(seed)
    images = rng.standard_normal((32, 3, 32, 32)).astype("float32")
    labels = rng.integers(0, 10, 32)
    ours = cifar_resnet(20, seed=seed)
    theirs = TorchResNet(20)
    theirs.load_state_dict(
        {name: torch.tensor(value.numpy().copy()) for name, value in ours.state_dict().items()}
    )

    def our_loss(dtype):
        return lambda m: mr.ops.cross_entropy(m(mr.tensor(images.astype(dtype))), labels)

    def their_loss(model):
        logits = model(torch.tensor(images).to(next(model.parameters()).dtype))
        return torch.nn.functional.cross_entropy(logits, torch.tensor(labels))

    single = gradient(ours, our_loss("float32"))
    torch_single = gradient(theirs, their_loss)
    exact = gradient(ours.to("float64"), our_loss("float64"))
    torch_exact = gradient(theirs.double(), their_loss)

    size = np.linalg.norm(exact)
    assert np.linalg.norm(exact - torch_exact) < 1e-10 * size
    error, torch_error = np.linalg.norm(single - exact), np.linalg.norm(torch_single - exact)
    assert error < 2 * torch_error
    assert error < 1e-2 * size
