from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from tests.devices.cuda import fake


@pytest.fixture(autouse=True)
def device():
    with fake.installed() as device:
        yield device


def tensors(shape=(2, 2)):
    return mr.ones(*shape), mr.ones(*shape, device="cuda")


@pytest.mark.parametrize(
    ("compute", "told"),
    [
        (lambda h, d: d + h, r"add: input 'a' is on cuda:0, 'b' is on cpu.*b\.to\('cuda:0'\)"),
        (lambda h, d: h * d, r"mul: input 'a' is on cpu, 'b' is on cuda:0.*a\.to\('cuda:0'\)"),
        (lambda h, d: mr.maximum(d, h), "maximum: input 'a' is on cuda:0, 'b' is on cpu"),
        (lambda h, d: d @ h, "matmul: input 'a' is on cuda:0, 'b' is on cpu"),
        (lambda h, d: h @ d, "matmul: input 'a' is on cpu, 'b' is on cuda:0"),
        (
            lambda h, d: mr.ops.linear(d, d, h[0]),
            "linear: input 'x' is on cuda:0, 'bias' is on cpu",
        ),
        (lambda h, d: mr.cat([d, h]), "is on cuda:0, .* is on cpu"),
        (lambda h, d: mr.where(h > 0, d, d), "is on cpu, .* is on cuda:0"),
        (lambda h, d: mr.einsum("ij,jk->ik", d, h), "einsum: input .* is on cuda:0, .* is on cpu"),
    ],
)
def test_operands_of_two_devices_are_told_with_what_to_do(compute, told):
    with pytest.raises(TypeError, match=told):
        compute(*tensors())


def test_arrays_that_meet_without_tensors_are_told_too(device):
    with pytest.raises(TypeError, match="is on cuda:0, 'b' is on cpu"):
        mr.ops.add(device.xp.ones(2), np.ones(2))


def test_the_message_names_the_module():
    class Net(mr.nn.Module):
        def __init__(self):
            super().__init__()
            self.last = mr.nn.Linear(2, 2)

        def forward(self, x):
            return self.last(x)

    with pytest.raises(TypeError, match=r"is on cuda:0, .* is on cpu.*; in 'last'"):
        Net()(tensors()[1])


def test_other_errors_stay_what_they_are():
    _, d = tensors()
    with pytest.raises(ValueError, match="do not broadcast"):
        d + mr.ones(3, device="cuda")
    with pytest.raises(TypeError, match="expected a Tensor"):
        mr.ops.add(d._data, "text")
