"""Modules: registration, names, state, modes, paths."""

from __future__ import annotations

import copy
import os
import subprocess
import sys

import numpy as np
import pytest

import minires as mr
from minires import nn


def small_net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten())


def test_a_sequential_of_a_dict_has_its_names_and_so_have_its_parts():
    net = nn.Sequential({"fc1": nn.Linear(2, 3), "relu": nn.ReLU(), "fc2": nn.Linear(3, 1)})
    x = mr.randn(4, 2)
    assert list(net.state_dict()) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    np.testing.assert_array_equal(net(x).numpy(), net[1:](net[:1](x)).numpy())
    assert list(net[1:].state_dict()) == ["fc2.weight", "fc2.bias"]
    assert net[-1] is net.fc2


def test_what_is_appended_replaces_nothing():
    net = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())[1:].append(nn.GELU())
    assert [(name, type(part).__name__) for name, part in net.named_children()] == [
        *(("1", "Tanh"), ("2", "Sigmoid"), ("3", "GELU")),
    ]


@pytest.mark.parametrize("wrong", [[nn.ReLU()], {"a": nn.ReLU()}, 3])
def test_what_is_no_module_is_told(wrong):
    found = type(wrong).__name__
    with pytest.raises(TypeError, match=f"Sequential: '1' should be a Module, found {found}; "):
        nn.Sequential(nn.ReLU(), wrong)


def test_parameters_and_buffers_come_in_the_order_of_their_making():
    names = [name for name, _ in small_net().named_parameters()]
    assert names == ["0.weight", "0.bias", "1.weight", "1.bias"]
    buffers = [name for name, _ in small_net().named_buffers()]
    assert buffers == ["1.running_mean", "1.running_var", "1.num_batches_tracked"]


def test_parameter_order_does_not_depend_on_the_hash_seed():
    program = (
        "import minires as mr;"
        "print([n for n, _ in mr.models.cifar_resnet(8, 'C').named_parameters()])"
    )
    lists = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(lists) == 1


def test_a_misspelt_attribute_raises_and_names_the_class():
    with pytest.raises(AttributeError, match="Linear has no attribute 'wieght'"):
        _ = nn.Linear(2, 2).wieght


def test_attributes_before_super_init_are_refused():
    class Forgetful(nn.Module):
        def __init__(self):
            self.layer = nn.ReLU()

    with pytest.raises(AttributeError, match=r"super\(\).__init__"):
        Forgetful()


def test_a_parameter_cannot_be_silently_replaced_by_a_tensor():
    layer = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="is a parameter"):
        layer.weight = mr.zeros(2, 2)
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


def test_replacing_a_submodule_keeps_its_place_and_drops_the_old_parameters():
    net = small_net()
    setattr(net, "0", nn.Identity())
    assert [name for name, _ in net.named_parameters()] == ["1.weight", "1.bias"]
    assert isinstance(net[0], nn.Identity)


def test_a_shared_parameter_is_listed_once():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    names = [name for name, _ in nn.Sequential(first, second).named_parameters()]
    assert names == ["0.weight", "0.bias", "1.bias"]


def test_state_dict_shares_memory_and_load_writes_into_it():
    net = small_net()
    state = net.state_dict()
    assert np.shares_memory(state["0.weight"].numpy(), net[0].weight.numpy())
    memory = net[0].weight.numpy()
    net.load_state_dict({name: np.full(v.shape, 7.0) for name, v in state.items()})
    assert net[0].weight.numpy() is memory
    assert (memory == 7).all()
    assert net[1].num_batches_tracked.item() == 7
    assert net[1].num_batches_tracked.dtype == mr.int64


def test_loading_keeps_the_memory_order_of_the_parameter():
    layer = nn.Conv2d(2, 3, 3)
    values = np.arange(54, dtype="float32").reshape(3, 2, 3, 3)
    layer.weight.data = np.zeros((3, 3, 3, 2), "float32").transpose(0, 3, 1, 2)
    strides = layer.weight.data.strides
    layer.load_state_dict({"weight": values, "bias": np.zeros(3)})
    assert layer.weight.data.strides == strides
    np.testing.assert_array_equal(layer.weight.data, values)


def test_loading_names_everything_that_does_not_fit_and_copies_nothing():
    net = small_net()
    before = {name: value.numpy().copy() for name, value in net.state_dict().items()}
    state = {name: np.ones(v.shape) for name, v in net.state_dict().items()}
    state["1.bias"] = np.ones(5)
    state["extra"] = state.pop("0.bias")
    with pytest.raises(ValueError, match="nothing was copied") as error:
        net.load_state_dict(state)
    message = str(error.value)
    assert "missing: 0.bias" in message
    assert "unexpected: extra" in message
    assert "1.bias: shape (5,) does not fit (2,)" in message
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_not_strict_loads_what_fits():
    net = small_net()
    net.load_state_dict({"0.bias": np.full(2, 3.0), "extra": np.ones(1)}, strict=False)
    assert (net[0].bias.numpy() == 3).all()


def test_train_and_eval_reach_every_module():
    net = small_net()
    assert not any(module.training for module in net.eval().modules())
    assert all(module.training for module in net.train().modules())


def test_to_dtype_converts_floating_state_only():
    net = small_net().to("float64")
    assert all(parameter.dtype == mr.float64 for parameter in net.parameters())
    assert net[1].running_mean.dtype == mr.float64
    assert net[1].num_batches_tracked.dtype == mr.int64
    assert net(mr.ones(2, 1, 4, 4, dtype="float64")).dtype == mr.float64
    with pytest.raises(TypeError, match="floating"):
        net.to("int64")


def test_to_an_unknown_device_says_what_there_is():
    with pytest.raises(ValueError, match=r"unknown device 'cuda:one'; there are 'cpu', 'cuda'"):
        small_net().to("cuda:one")


def test_a_deep_copy_shares_nothing_and_computes_the_same():
    net = small_net().eval()
    twin = copy.deepcopy(net)
    x = mr.randn(2, 1, 4, 4)
    np.testing.assert_array_equal(twin(x).numpy(), net(x).numpy())
    for ours, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        assert not np.shares_memory(ours.numpy(), theirs.numpy())
    twin(x).sum().backward()
    assert net[0].weight.grad is None


def test_a_copy_of_a_model_that_has_run_knows_its_own_paths():
    net = small_net()
    net(mr.ones(2, 1, 4, 4))
    with Paths() as paths:
        copy.deepcopy(net)(mr.ones(2, 1, 4, 4))
    assert paths.seen[0] == ("conv2d", "0")


def test_repr_shows_the_tree():
    text = repr(nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU())))
    assert text.splitlines() == [
        "Sequential(",
        "  (0): Linear(2, 3, bias=True)",
        "  (1): Sequential(",
        "    (0): ReLU()",
        "  )",
        ")",
    ]


class Paths(mr.autograd.EngineHook):
    def __init__(self):
        self.seen = []

    def op_ran(self, op, inputs, output, node):
        self.seen.append((op.name, mr.autograd.module_path()))


def test_every_op_knows_the_module_that_called_it():
    net = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 1)))
    with Paths() as paths:
        net(mr.ones(1, 2)).sum()
    assert paths.seen == [("linear", "0"), ("relu", "1.0"), ("linear", "1.1"), ("sum", "")]


def test_paths_follow_an_edit_of_the_tree_and_reach_through_module_lists():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleList([nn.ReLU()])

        def forward(self, x):
            for part in self.parts:
                x = part(x)
            return x

    net = Net()
    net(mr.ones(1))
    net.parts.append(nn.Tanh())
    with Paths() as paths:
        net(mr.ones(1))
    assert paths.seen == [("relu", "parts.0"), ("tanh", "parts.1")]


def test_errors_name_the_module_they_arose_in():
    net = mr.models.cifar_resnet(8, width=4)
    net.layer2[0].conv1 = nn.Conv2d(5, 8, 3)
    message = r"conv2d: input has 4 channels, weight expects 5 .*; in 'layer2.0.conv1'"
    with pytest.raises(ValueError, match=message):
        net(mr.zeros(2, 3, 8, 8))


def test_the_path_is_forgotten_after_an_error():
    with pytest.raises(ValueError, match="'0'"):
        nn.Sequential(nn.Linear(2, 2))(mr.ones(1, 3))
    assert mr.autograd.module_path() == ""


def test_nodes_remember_their_module():
    net = nn.Sequential(nn.Linear(2, 1))
    assert net(mr.ones(1, 2)).grad_fn.module_path == "0"


def test_a_shared_module_is_saved_under_each_of_its_names():
    shared = nn.Linear(2, 2)
    net = nn.Sequential(shared, shared)
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    net.load_state_dict({name: np.ones(v.shape) for name, v in net.state_dict().items()})
    assert len(list(net.parameters())) == 2


def test_buffers_are_tensors_and_submodules_hide_no_method():
    net = small_net()
    with pytest.raises(TypeError, match="must be a Tensor"):
        net.register_buffer("table", np.ones(2))
    with pytest.raises(KeyError, match="forward"):
        net.add_module("forward", nn.ReLU())
