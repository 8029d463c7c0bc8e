"""Parts of a network that keep only their inputs: the same bits, in less memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.autograd import AutogradError
from minires.devices.buffers import pool
from minires.training import DivergedError, Trainer


def images(size: int = 6, dtype: str = "float32") -> mr.Tensor:
    return mr.tensor(np.random.default_rng(0).standard_normal((size, 1, 8, 8)).astype(dtype))


def labels(size: int = 6) -> mr.Tensor:
    return mr.tensor(np.random.default_rng(1).integers(0, 10, size))


NETWORKS: dict[str, Callable[[], mr.nn.Module]] = {
    "original": lambda: mr.models.cifar_resnet(8, width=4, in_channels=1, seed=0),
    "projected": lambda: mr.models.cifar_resnet(8, "B", width=4, in_channels=1, seed=0),
    "plain": lambda: mr.models.cifar_plain(8, width=4, in_channels=1, seed=0),
    "pre-activation": lambda: mr.models.create("cifar_preact_resnet20", in_channels=1, seed=0),
    "dropout": lambda: mr.models.create("wrn_16_2", in_channels=1, dropout=0.3, seed=0),
}


def after_two_steps(model: mr.nn.Module) -> dict[str, Any]:
    """Losses, gradients, weights and running statistics of a short training."""
    mr.manual_seed(5)
    model.train()
    optimizer = mr.optim.SGD(model.parameters(), lr=0.1)
    found: dict[str, Any] = {}
    for step in range(2):
        optimizer.zero_grad()
        loss = mr.ops.cross_entropy(model(images()), labels())
        loss.backward()
        optimizer.step()
        found[f"loss {step}"] = loss.item()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        found[f"gradient of {name}"] = parameter.grad.numpy().copy()
    found |= {name: value.numpy().copy() for name, value in model.state_dict().items()}
    found["random numbers"] = mr.randn(3).numpy().copy()
    return found


@pytest.mark.parametrize("name", list(NETWORKS))
def test_gradients_statistics_and_random_numbers_are_the_same_to_the_bit(name: str) -> None:
    expected = after_two_steps(NETWORKS[name]())
    model = NETWORKS[name]()
    assert mr.nn.checkpoint_blocks(model) >= 3

    found = after_two_steps(model)

    assert found.keys() == expected.keys()
    for part, value in expected.items():
        np.testing.assert_array_equal(found[part], value, err_msg=part)


@pytest.mark.parametrize("graph", [False, True])
def test_on_a_gpu_as_well_also_in_a_graph(device: Any, graph: bool) -> None:
    data = [(images().to(device), labels().to(device)) for _ in range(4)]
    histories = []
    for checkpointed in (False, True):
        model = NETWORKS["original"]().to(device)
        if checkpointed:
            mr.nn.checkpoint_blocks(model)
        trainer = Trainer(model, mr.optim.SGD(model.parameters(), lr=0.1), graph=graph)
        histories.append(trainer.fit(data, 1).loss)

    assert histories[0] == histories[1]


def test_between_the_passes_only_the_inputs_of_blocks_are_kept() -> None:
    def kept(checkpointed: bool) -> int:
        model = mr.models.cifar_resnet(20, width=8, seed=0)
        if checkpointed:
            mr.nn.checkpoint_blocks(model)
        x = mr.zeros(64, 3, 32, 32)
        before = pool.lent
        loss = mr.ops.cross_entropy(model(x), labels(64))
        found = pool.lent - before
        loss.backward()
        return found

    assert kept(True) < 0.5 * kept(False)


def test_the_gradient_of_an_input_that_is_checked_numerically() -> None:
    mr.manual_seed(0)
    part = mr.nn.Sequential(mr.nn.Linear(3, 4), mr.nn.Tanh(), mr.nn.Linear(4, 2)).to("float64")

    def through(x: mr.Tensor, *_: mr.Tensor) -> mr.Tensor:
        return mr.nn.checkpoint(part, x)

    x = mr.tensor(np.random.default_rng(0).standard_normal((5, 3)))
    assert mr.gradcheck(through, [x])
    assert mr.gradcheck(lambda a, b: mr.nn.checkpoint(lambda p, q: p * q + p, a, b), [x, x * 2.0])


def test_the_second_derivative_passes_through() -> None:
    found = []
    mr.manual_seed(0)
    part = mr.nn.Sequential(mr.nn.Linear(3, 4), mr.nn.Tanh(), mr.nn.Linear(4, 2)).to("float64")
    for checkpointed in (False, True):
        x = mr.tensor(np.random.default_rng(0).standard_normal((5, 3)), requires_grad=True)
        y = mr.nn.checkpoint(part, x) if checkpointed else part(x)
        (first,) = mr.grad((y * y).sum(), x, create_graph=True)
        assert first is not None
        sources = [x, *part.parameters()]
        seconds = mr.grad((first * first).sum(), sources, allow_unused=True)
        found.append([None if g is None else g.numpy() for g in seconds])

    for one, other in zip(*found, strict=True):
        if one is None or other is None:  # the last bias has none
            assert not np.any(one if other is None else other)
        else:
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


def test_a_parameter_that_is_used_before_and_inside_is_refused_where_it_would_count_twice() -> None:
    shared = mr.nn.Linear(3, 3)
    x = mr.ones(2, 3, requires_grad=True)

    once = mr.nn.checkpoint(shared, shared(x)).sum()
    (weight,) = mr.grad(once, shared.weight, retain_graph=True)
    (expected,) = mr.grad(shared(shared(x)).sum(), shared.weight)
    assert weight is not None
    assert expected is not None
    np.testing.assert_allclose(weight.numpy(), expected.numpy(), rtol=1e-6)
    with pytest.raises(AutogradError, match="may not be used before it as well"):
        mr.grad(once, x, create_graph=True)


def test_a_function_that_learns_something_else_is_refused_rather_than_robbed_of_it() -> None:
    layer = mr.nn.Linear(3, 3)
    x = mr.ones(2, 3, requires_grad=True)

    y = mr.nn.checkpoint(lambda x: layer(x), x)

    with pytest.raises(AutogradError, match="is none of its inputs, so its gradient would be lost"):
        y.sum().backward()
    with pytest.raises(TypeError, match="returned a tuple; it must return one"):
        mr.nn.checkpoint(lambda x: (x, x), x)


def test_a_mode_that_changes_between_the_passes_changes_no_gradient() -> None:
    """As when a network is evaluated behind the forward pass."""
    part = mr.nn.Sequential(mr.nn.Linear(6, 6), mr.nn.BatchNorm1d(6), mr.nn.Dropout(0.5))
    part[1].eval()
    x = mr.randn(4, 6)

    def gradient(compute: Any) -> Any:
        with mr.devices.random.seeded(3):
            leaf = x.detach().requires_grad_(True)
            y = compute(leaf)
            part.eval()
            y.sum().backward()
            assert not any(module.training for module in part.modules())
            part.train()
            part[1].eval()
            return leaf.grad.numpy()

    np.testing.assert_array_equal(gradient(lambda x: mr.nn.checkpoint(part, x)), gradient(part))


def test_statistics_that_move_between_the_passes_change_no_gradient() -> None:
    """As when a frozen normalisation is trained again before the backward pass."""

    def gradient(compute: Any) -> Any:
        norm = mr.nn.BatchNorm1d(6).eval()
        leaf = mr.ones(4, 6).requires_grad_(True)
        y = compute(norm, leaf)
        norm.train()(images(24).reshape(-1, 6) * 9)
        moved = norm.running_var.numpy().copy()
        y.sum().backward()
        np.testing.assert_array_equal(norm.running_var.numpy(), moved)
        return leaf.grad.numpy()

    expected = gradient(lambda norm, x: norm(x))
    np.testing.assert_array_equal(gradient(mr.nn.checkpoint), expected)


class Scaled(mr.nn.Module):
    """Multiplies by a buffer, which the tape keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", mr.tensor([2.0, 3.0]))

    def forward(self, x: mr.Tensor) -> mr.Tensor:
        return x * self.scale


@pytest.mark.parametrize("first", [False, True])
def test_a_buffer_may_be_used_beside_the_part_too(first: bool) -> None:
    part, x = Scaled(), mr.ones(2, requires_grad=True)
    both = [part(x), mr.nn.checkpoint(part, x)]

    (both[first] + both[not first]).sum().backward()

    np.testing.assert_array_equal(x.grad.numpy(), [4.0, 6.0])


def test_frozen_parameters_and_inputs_get_no_gradient() -> None:
    part = mr.nn.Linear(3, 2)
    part.weight.requires_grad_(False)

    mr.nn.checkpoint(part, mr.ones(4, 3)).sum().backward()

    assert part.weight.grad is None
    assert part.bias.grad is not None
    np.testing.assert_array_equal(part.bias.grad.numpy(), [4.0, 4.0])


def test_where_nothing_is_recorded_nothing_is_done_twice() -> None:
    model = NETWORKS["original"]()
    mr.nn.checkpoint_blocks(model)
    with mr.no_grad():
        assert not model(images()).requires_grad


def test_a_copy_of_a_checkpointed_model_computes_with_its_own_weights() -> None:
    model = NETWORKS["original"]()
    mr.nn.checkpoint_blocks(model)
    other = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.copy_(0.0)

    other(images()).sum().backward()

    gradients = [parameter.grad for parameter in other.parameters()]
    assert all(gradient is not None for gradient in gradients)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert any(np.abs(g.numpy()).max() > 0 for g in gradients if g is not None)


def test_a_divergence_inside_of_a_block_is_traced_to_its_module() -> None:
    model = NETWORKS["original"]()
    mr.nn.checkpoint_blocks(model)
    dict(model.named_parameters())["layer2.0.conv1.weight"].copy_(3e38)
    trainer = Trainer(model, mr.optim.SGD(model.parameters(), lr=0.1))

    with pytest.raises(DivergedError) as caught:
        trainer.fit([(images(), labels())], 1)

    assert (caught.value.op, caught.value.module) == ("conv2d", "layer2.0.conv1")


def test_a_model_without_blocks_says_so() -> None:
    with pytest.raises(ValueError, match="Sequential has no ResidualBlock"):
        mr.nn.checkpoint_blocks(mr.nn.Sequential(mr.nn.Linear(1, 1)))
