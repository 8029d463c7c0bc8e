"""SGD, Adam and AdamW: the rules by hand, and PyTorch step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr

OPTIMIZERS = {"SGD": mr.optim.SGD, "Adam": mr.optim.Adam, "AdamW": mr.optim.AdamW}

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.4}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.4, "weight_decay": 0.2}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}),
    ("SGD", {"lr": 0.0, "momentum": 0.5}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.7)}),
    ("Adam", {"lr": 0.1, "betas": (0.0, 0.0)}),
    ("Adam", {"lr": 0.1, "eps": 0.1, "weight_decay": 0.3}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.0}),
    ("AdamW", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.3}),
]


def parameter(values: Any) -> mr.Tensor:
    return mr.tensor(values, dtype="float64", requires_grad=True)


def after_steps(
    optimizer: str, options: dict[str, Any], start: float, gradients: list[float]
) -> list[float]:
    """Values of one parameter after each step."""
    p = parameter([start])
    made = OPTIMIZERS[optimizer]([p], **options)
    values = []
    for gradient in gradients:
        p.grad = np.array([gradient])
        made.step()
        values.append(float(p.detach().item()))
    return values


def test_sgd_subtracts_the_gradient_times_the_rate() -> None:
    assert after_steps("SGD", {"lr": 0.1}, 1.0, [2.0, -4.0]) == pytest.approx([0.8, 1.2], rel=1e-15)


def test_sgd_momentum_starts_with_the_gradient_and_then_decays() -> None:
    # v: 2, then 0.5 * 2 + 4 = 5
    values = after_steps("SGD", {"lr": 0.1, "momentum": 0.5}, 1.0, [2.0, 4.0])

    assert values == pytest.approx([0.8, 0.3], rel=1e-15)


def test_sgd_dampening_spares_the_first_gradient() -> None:
    # v: 2, then 0.5 * 2 + 0.75 * 4 = 4
    values = after_steps("SGD", {"lr": 0.1, "momentum": 0.5, "dampening": 0.25}, 1.0, [2.0, 4.0])

    assert values == pytest.approx([0.8, 0.4], rel=1e-15)


def test_sgd_nesterov_looks_ahead_along_the_velocity() -> None:
    # v: 2, then 5; steps: 2 + 0.5 * 2 = 3, then 4 + 0.5 * 5 = 6.5
    values = after_steps("SGD", {"lr": 0.1, "momentum": 0.5, "nesterov": True}, 1.0, [2.0, 4.0])

    assert values == pytest.approx([0.7, 0.05], rel=1e-14)


def test_sgd_weight_decay_adds_to_the_gradient_before_the_velocity() -> None:
    # g': 2 + 0.5 * 1 = 2.5; p = 0.75; g': 4 + 0.5 * 0.75 = 4.375; v = 1.25 + 4.375
    options = {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.5}

    values = after_steps("SGD", options, 1.0, [2.0, 4.0])

    assert values == pytest.approx([0.75, 0.1875], rel=1e-14)


def test_adam_divides_corrected_averages() -> None:
    # m: 1, then 2.5; v: 3, then 0.25 * 3 + 0.75 * 16 = 12.75; both corrected by 1 - beta^t
    first = 1.0 - 0.1 * (1 / 0.5) / (np.sqrt(3 / 0.75) + 1)
    second = first - 0.1 * (2.5 / 0.75) / (np.sqrt(12.75 / 0.9375) + 1)

    values = after_steps("Adam", {"lr": 0.1, "betas": (0.5, 0.25), "eps": 1.0}, 1.0, [2.0, 4.0])

    assert values == pytest.approx([first, second], rel=1e-14)


def test_adam_decay_passes_through_the_averages_and_adamw_decay_does_not() -> None:
    options = {"lr": 0.1, "eps": 0.0, "weight_decay": 0.5}

    # g' = 2 + 0.5 * 1, and a first step is lr * g' / |g'|, however large the decay.
    assert after_steps("Adam", options, 1.0, [2.0]) == pytest.approx([0.9], rel=1e-14)
    # 1 - lr * decay first, then the same step.
    assert after_steps("AdamW", options, 1.0, [2.0]) == pytest.approx([0.85], rel=1e-14)


@pytest.mark.oracle
@pytest.mark.parametrize(("name", "options"), SETTINGS)
def test_every_step_is_that_of_pytorch(name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="the oracle of this test")
    rng = np.random.default_rng(0)
    starts = [rng.standard_normal(shape) for shape in [(3, 2, 3, 3), (5,), ()]]
    ours = [parameter(value) for value in starts]
    theirs = [torch.tensor(value, requires_grad=True) for value in starts]
    optimizer = OPTIMIZERS[name](ours, **options)
    oracle = getattr(torch.optim, name)(theirs, **options)

    for step in range(12):
        for position, (p, q) in enumerate(zip(ours, theirs, strict=True)):
            gradient = rng.standard_normal(p.shape)
            idle = position == 1 and step % 3 == 0
            p.grad = None if idle else gradient
            q.grad = None if idle else torch.tensor(gradient)
        optimizer.step()
        oracle.step()

        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.oracle
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_two_groups_each_follow_their_own_options_as_in_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch", reason="the oracle of this test")
    rng = np.random.default_rng(1)
    starts = [rng.standard_normal(4), rng.standard_normal((2, 3)), rng.standard_normal(3)]
    ours = [parameter(value) for value in starts]
    theirs = [torch.tensor(value, requires_grad=True) for value in starts]

    def groups(params: list[Any]) -> list[dict[str, Any]]:
        return [
            {"params": params[:2], "weight_decay": 0.4},
            {"params": params[2:], "lr": 0.7, "weight_decay": 0.0},
        ]

    optimizer = OPTIMIZERS[name](groups(ours), lr=0.05)
    oracle = getattr(torch.optim, name)(groups(theirs), lr=0.05)
    for _ in range(5):
        for p, q in zip(ours, theirs, strict=True):
            gradient = rng.standard_normal(p.shape)
            p.grad, q.grad = gradient, torch.tensor(gradient)
        optimizer.step()
        oracle.step()

    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.oracle
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_arguments_and_defaults_are_those_of_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch", reason="the oracle of this test")
    optimizer = OPTIMIZERS[name]([parameter([1.0])])
    oracle = getattr(torch.optim, name)([torch.zeros(1, requires_grad=True)])

    assert optimizer.defaults == {key: oracle.defaults[key] for key in optimizer.defaults}


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
@given(shape=st.lists(st.integers(0, 3), max_size=3), seed=st.integers(0, 99))
def test_a_step_reads_the_gradient_and_shares_nothing_with_it(
    name: str, shape: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    p = parameter(rng.standard_normal(shape))
    optimizer = OPTIMIZERS[name]([p], lr=0.1, **({"momentum": 0.9} if name == "SGD" else {}))
    memory = p.data
    p.grad = rng.standard_normal(shape)
    gradient = p.grad
    before = gradient.numpy().copy()

    optimizer.step()

    assert p.data is memory
    assert p.grad is gradient
    np.testing.assert_array_equal(gradient.numpy(), before)
    for remembered in optimizer.state[p].values():
        assert isinstance(remembered, int) or not np.shares_memory(remembered, gradient.numpy())
        assert isinstance(remembered, int) or not np.shares_memory(remembered, memory)


def test_weight_decay_on_two_parameters_joined_by_an_add_decays_each_once() -> None:
    a, b = parameter([1.0, 1.0]), parameter([1.0, 1.0])
    optimizer = mr.optim.SGD([a, b], lr=1.0, weight_decay=0.1)

    (a + b).sum().backward()
    optimizer.step()

    for p in (a, b):
        np.testing.assert_allclose(p.data, 1 - (1 + 0.1), rtol=1e-15)
        assert p.grad is not None
        np.testing.assert_array_equal(p.grad.numpy(), 1.0)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_a_parameter_without_gradient_is_left_alone(name: str) -> None:
    used, idle = parameter([1.0]), parameter([1.0])
    optimizer = OPTIMIZERS[name]([used, idle], lr=0.1, weight_decay=0.5)

    (used * 2).sum().backward()
    optimizer.step()

    assert used.detach().item() != 1.0
    assert idle.detach().item() == 1.0
    assert idle not in optimizer.state


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_channels_last_memory_keeps_its_strides(name: str) -> None:
    values = np.random.default_rng(0).standard_normal((4, 3, 3, 2)).transpose(0, 3, 1, 2)
    p, q = parameter(values), parameter(np.ascontiguousarray(values))
    assert p.data.strides != q.data.strides
    strides, memory = p.data.strides, p.data
    optimizer = OPTIMIZERS[name]([p, q], lr=0.1, **({"momentum": 0.9} if name == "SGD" else {}))
    gradient = np.random.default_rng(1).standard_normal(p.shape)

    for _ in range(3):
        p.grad, q.grad = gradient, gradient
        optimizer.step()

    assert p.data is memory
    assert p.data.strides == strides
    for remembered in optimizer.state[p].values():
        assert isinstance(remembered, int) or remembered.strides == strides
    np.testing.assert_array_equal(p.data, q.data)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_float32_parameters_stay_float32(name: str) -> None:
    p = mr.ones(2, 2, requires_grad=True)
    optimizer = OPTIMIZERS[name]([p], lr=0.1)

    (p * p).sum().backward()
    optimizer.step()

    assert p.dtype == mr.float32
    assert all(
        isinstance(remembered, int) or remembered.dtype == mr.float32
        for remembered in optimizer.state[p].values()
    )


def test_backward_through_weights_that_a_step_overwrote_is_refused() -> None:
    x, w = parameter([2.0]), parameter([3.0])
    optimizer = mr.optim.SGD([w], lr=0.1)
    loss = (x * w).sum()

    w.grad = np.array([1.0])
    optimizer.step()

    with pytest.raises(mr.AutogradError, match="was overwritten after the op ran"):
        loss.backward()


@pytest.mark.parametrize(("name", "options"), SETTINGS)
def test_a_saved_state_resumes_bit_for_bit(name: str, options: dict[str, Any]) -> None:
    rng = np.random.default_rng(3)
    gradients = rng.standard_normal((6, 2, 3))

    def train(p: mr.Tensor, optimizer: mr.optim.Optimizer, steps: range) -> None:
        for step in steps:
            p.grad = gradients[step]
            optimizer.step()

    straight = parameter(np.ones((2, 3)))
    train(straight, OPTIMIZERS[name]([straight], **options), range(6))

    first = parameter(np.ones((2, 3)))
    stopped = OPTIMIZERS[name]([first], **options)
    train(first, stopped, range(3))
    resumed_from = parameter(first.data.copy())
    resumed = OPTIMIZERS[name]([resumed_from], lr=123.0)
    resumed.load_state_dict(stopped.state_dict())
    train(first, stopped, range(3, 4))  # what was loaded must not share memory with its source
    train(resumed_from, resumed, range(3, 6))

    np.testing.assert_array_equal(resumed_from.data, straight.data)


def test_a_state_of_arrays_read_from_a_file_loads_too() -> None:
    p = parameter([1.0, 2.0])
    optimizer = mr.optim.Adam([p])
    p.grad = np.array([3.0, 4.0])
    optimizer.step()
    saved = optimizer.state_dict()
    as_arrays = {
        number: {k: np.asarray(v.numpy() if hasattr(v, "numpy") else v) for k, v in items.items()}
        for number, items in saved["state"].items()
    }

    fresh = mr.optim.Adam([p])
    fresh.load_state_dict({"state": as_arrays, "param_groups": saved["param_groups"]})

    assert fresh.state[p]["step"] == 1
    np.testing.assert_array_equal(fresh.state[p]["exp_avg"], optimizer.state[p]["exp_avg"])


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(2,), (3,)], r"the saved groups have \[1\] parameters, this optimiser's \[2\]"),
        ([(3,)], r"the saved 'momentum_buffer' of parameter 0 has shape \(2,\)"),
    ],
)
def test_a_state_of_another_model_is_refused_and_changes_nothing(
    shapes: list[tuple[int, ...]], message: str
) -> None:
    p = parameter([1.0, 2.0])
    saved = mr.optim.SGD([p], lr=0.5, momentum=0.9)
    p.grad = np.ones(2)
    saved.step()
    other = mr.optim.SGD([parameter(np.zeros(shape)) for shape in shapes], lr=0.1)

    with pytest.raises(ValueError, match=message):
        other.load_state_dict(saved.state_dict())

    assert other.param_groups[0]["lr"] == 0.1
    assert other.state == {}


def test_zero_grad_forgets_gradients_or_makes_them_zero() -> None:
    p, q = parameter([1.0, 2.0]), parameter([1.0])
    optimizer = mr.optim.SGD([p, q], lr=0.1)

    (p * p).sum().backward(create_graph=True)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is not None
    np.testing.assert_array_equal(p.grad.numpy(), 0.0)
    assert not p.grad.requires_grad
    assert q.grad is None

    optimizer.zero_grad()
    assert p.grad is None


def test_a_group_added_later_is_updated_too() -> None:
    p, q = parameter([1.0]), parameter([1.0])
    optimizer = mr.optim.SGD([p], lr=0.5)

    optimizer.add_param_group({"params": q, "lr": 0.25})
    (p + q).sum().backward()
    optimizer.step()

    assert (p.detach().item(), q.detach().item()) == (0.5, 0.75)


@pytest.mark.parametrize("params", [[], iter(()), [{"params": []}]])
def test_an_empty_list_of_parameters_is_refused(params: Any) -> None:
    with pytest.raises(ValueError, match="SGD: there are no parameters to update"):
        mr.optim.SGD(params)


@pytest.mark.parametrize("params", [parameter([1.0]), {"weight": parameter([1.0])}, None])
def test_what_is_no_list_of_parameters_is_refused(params: Any) -> None:
    with pytest.raises(TypeError, match=r"params must be an iterable of parameters, as in model"):
        mr.optim.Adam(params)


def test_a_parameter_named_twice_is_refused_within_and_across_groups() -> None:
    p, q = parameter([1.0]), parameter([2.0])

    with pytest.raises(ValueError, match=r"parameter 2, shape \(1,\), is the same .* parameter 0"):
        mr.optim.SGD([p, q, p])
    with pytest.raises(ValueError, match=r"parameter 1, shape \(1,\), is the same .* parameter 0"):
        mr.optim.SGD([{"params": [p]}, {"params": [p]}])


def test_only_leaf_tensors_can_be_optimised() -> None:
    p = parameter([1.0])

    with pytest.raises(ValueError, match=r"parameter 1, shape \(1,\), is the output of <mul>"):
        mr.optim.SGD([p, p * 2])
    with pytest.raises(TypeError, match="parameter 0 is a ndarray, not a Tensor"):
        mr.optim.SGD([np.ones(2)])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("SGD", {"lr": -0.1}, "SGD: lr must be a number >= 0, found -0.1"),
        ("SGD", {"lr": float("nan")}, "SGD: lr must be a number >= 0, found nan"),
        ("SGD", {"lr": float("inf")}, "SGD: lr must be a number >= 0, found inf"),
        ("SGD", {"momentum": -1}, "SGD: momentum must be"),
        ("SGD", {"weight_decay": -1}, "SGD: weight_decay must be"),
        ("SGD", {"nesterov": True}, "nesterov=True needs momentum > 0 and dampening = 0"),
        ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "dampening=0.1"),
        ("Adam", {"eps": -1e-8}, "Adam: eps must be"),
        ("Adam", {"betas": (0.9, 1.0)}, r"Adam: betas must be two numbers in \[0, 1\)"),
        ("AdamW", {"betas": (-0.1, 0.9)}, r"AdamW: betas must be two numbers in \[0, 1\)"),
        ("AdamW", {"betas": (0.9,)}, "AdamW: betas must be two numbers"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        OPTIMIZERS[name]([parameter([1.0])], **options)
    with pytest.raises(ValueError, match=message):
        OPTIMIZERS[name]([{"params": [parameter([1.0])], **options}])


def test_a_misspelt_option_of_a_group_is_refused() -> None:
    with pytest.raises(TypeError, match=r"unknown options \['learning_rate'\]; there are: \['damp"):
        mr.optim.SGD([{"params": [parameter([1.0])], "learning_rate": 0.1}])
    with pytest.raises(TypeError, match="a group is a dict with the key 'params'"):
        mr.optim.SGD([{"lr": 0.1}])


def test_the_optimizer_tells_its_options() -> None:
    text = repr(mr.optim.SGD([parameter([1.0])], lr=0.5))

    assert "SGD (" in text
    assert "group 0: 1 parameters, lr=0.5, momentum=0.0" in text
