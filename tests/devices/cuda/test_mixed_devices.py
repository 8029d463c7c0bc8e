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
        (
            lambda h, d: d + h,
            r"add: its operands .*, 'a' on cuda:0 and 'b' on cpu.*b\.to\('cuda:0'\)",
        ),
        (
            lambda h, d: h * d,
            r"mul: its operands are on different devices, .*a\.to\('cuda:0'\)",
        ),
        (
            lambda h, d: mr.maximum(d, h),
            "maximum: its operands are on different devices, 'a' on cuda:0 and 'b' on cpu",
        ),
        (
            lambda h, d: d @ h,
            "matmul: its operands are on different devices, 'a' on cuda:0 and 'b' on cpu",
        ),
        (
            lambda h, d: h @ d,
            "matmul: its operands are on different devices, 'a' on cpu and 'b' on cuda:0",
        ),
        (
            lambda h, d: mr.ops.linear(d, d, h[0]),
            "linear: its operands are on different devices, 'x' on cuda:0 and 'bias' on cpu",
        ),
        (lambda h, d: mr.cat([d, h]), "on cuda:0 and .* on cpu"),
        (lambda h, d: mr.where(h > 0, d, d), "on cpu and .* on cuda:0"),
        (
            lambda h, d: h[mr.tensor([0], device="cuda")],
            r"getitem: its operands .*'input' on cpu and 'index' on cuda:0.*input\.to\('cuda:0'\)",
        ),
        (
            lambda h, d: mr.ops.gather(h, 0, mr.tensor([[0, 1]], device="cuda")),
            "gather: its operands .* 'input' on cpu and 'index' on cuda:0",
        ),
        (
            lambda h, d: mr.ops.cross_entropy(h, mr.tensor([0, 1], device="cuda")),
            "cross_entropy: its operands .* 'input' on cpu and 'target' on cuda:0",
        ),
        (
            lambda h, d: mr.ops.cross_entropy(h, [0, 1], weight=d[0]),
            "cross_entropy: its operands .* 'input' on cpu and 'weight' on cuda:0",
        ),
        (
            lambda h, d: mr.einsum("ij,jk->ik", d, h),
            "einsum: its operands .* on cuda:0 and .* on cpu",
        ),
    ],
)
def test_operands_of_two_devices_are_told_with_what_to_do(compute, told):
    with pytest.raises(TypeError, match=told):
        compute(*tensors())


def test_arrays_that_meet_without_tensors_are_told_too(device):
    with pytest.raises(TypeError, match="'a' on cuda:0 and 'b' on cpu"):
        mr.ops.add(device.xp.ones(2), np.ones(2))


def test_the_message_names_the_module():
    class Net(mr.nn.Module):
        def __init__(self):
            super().__init__()
            self.last = mr.nn.Linear(2, 2)

        def forward(self, x):
            return self.last(x)

    with pytest.raises(TypeError, match=r"on cuda:0 and .* on cpu.*; in 'last'"):
        Net()(tensors()[1])


def test_other_errors_stay_what_they_are():
    _, d = tensors()
    with pytest.raises(ValueError, match="do not broadcast"):
        d + mr.ones(3, device="cuda")
    with pytest.raises(TypeError, match="expected a Tensor"):
        mr.ops.add(d._data, "text")


def test_numbers_of_numpy_are_indices_without_an_upload():
    _, d = tensors()
    with fake.counting() as counts, fake.strict():
        row, element = d[np.int64(1)], d[np.int64(0), np.int32(1)]
    assert (row.shape, element.shape) == ((2,), ())
    assert counts.uploads == []


def test_a_number_is_written_without_an_upload():
    _, d = tensors()
    with fake.counting() as counts, fake.strict():
        d.copy_(3.0)
    assert counts.uploads == []
    assert d.tolist() == [[3.0, 3.0], [3.0, 3.0]]


def test_what_was_brought_to_a_device_may_be_overwritten_before_backward():
    h, _ = tensors()
    h.requires_grad_()
    moved = h * 2
    loss = (moved.to("cuda") ** 2).sum()
    moved.copy_(0.0)
    loss.backward()
    assert h.grad.tolist() == [[8.0, 8.0], [8.0, 8.0]]
