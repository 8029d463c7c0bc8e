"""The Tensor itself: making, reading, printing, copying, and what it refuses."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import numpy as np
import pytest

import minires as mr
from minires.autograd import tensor as tensor_module
from minires.ops import methods
from tests.helpers import leaves, share_memory


def test_tensor_copies_what_it_is_made_of():
    values = np.ones(3)
    x = mr.tensor(values)
    values[0] = 5.0
    assert x.tolist() == [1.0, 1.0, 1.0]
    assert not share_memory(mr.tensor(x).numpy(), x.numpy())


def test_tensor_keeps_the_memory_order():
    x = mr.tensor(np.zeros((2, 3, 4, 5)).transpose(0, 3, 1, 2))
    assert x.numpy().transpose(0, 2, 3, 1).flags["C_CONTIGUOUS"]


def test_numpy_is_a_view_of_the_memory():
    x = mr.ones(2)
    x.numpy()[0] = 7.0
    assert x.tolist() == [7.0, 1.0]


@pytest.mark.parametrize("wrong", ["abc", [[1.0], [2.0, 3.0]], 1 + 2j, [object()]])
def test_what_is_no_array_of_numbers_is_refused(wrong):
    with pytest.raises((TypeError, ValueError)):
        mr.tensor(wrong)


def test_integers_cannot_require_a_gradient():
    with pytest.raises(TypeError, match=r"only floating Tensors have gradients.*int64.*float32"):
        mr.tensor([1, 2], requires_grad=True)
    with pytest.raises(TypeError, match="int64"):
        mr.arange(3).requires_grad_()
    (x,) = leaves([1.0])
    with pytest.raises(TypeError, match="int64"):
        x.data = np.arange(3)
    assert x.tolist() == [1.0]


def test_writing_into_a_tensor_is_refused_with_advice():
    x = mr.ones(3)
    with pytest.raises(TypeError, match=r"mr\.where.*t\.data"):
        x[0] = 5.0


def test_augmented_assignment_binds_a_new_tensor():
    x = y = mr.ones(2)
    x += 1
    assert x.tolist() == [2.0, 2.0]
    assert y.tolist() == [1.0, 1.0]


def test_a_misspelt_attribute_is_an_error():
    x = mr.ones(2)
    with pytest.raises(AttributeError):
        x.requires_gard = True
    with pytest.raises(AttributeError):
        x.shpae  # noqa: B018


def test_an_array_times_a_tensor_is_a_tensor():
    (x,) = leaves([1.0, 2.0])
    values = np.array([3.0, 4.0])
    for product in (values * x, np.float64(3) * x, values + x, values @ x, values > x):
        assert isinstance(product, mr.Tensor)
    (values * x).sum().backward()
    assert x.grad.tolist() == [3.0, 4.0]


def test_numpy_functions_do_not_silently_cut_the_graph():
    (x,) = leaves([1.0, 4.0])
    with pytest.raises(TypeError, match=r"cut the graph.*t\.detach\(\)"):
        np.asarray(x)
    with pytest.raises(TypeError):
        np.sqrt(x)
    assert np.asarray(x.detach()).tolist() == [1.0, 4.0]
    assert np.asarray(mr.ones(2), dtype="float64").dtype == "float64"
    assert share_memory(np.asarray(constant := mr.ones(2)), constant.numpy())
    assert not share_memory(np.array(constant), constant.numpy())
    with mr.no_grad():
        assert np.asarray(x).tolist() == [1.0, 4.0]


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (mr.tensor([1.0, 2.5]), "tensor([1. , 2.5])"),
        (mr.tensor([[1, 2], [3, 4]]), "tensor([[1, 2],\n        [3, 4]])"),
        (mr.tensor(True), "tensor(True)"),
        (mr.tensor([1.0], dtype="float64"), "tensor([1.], dtype=float64)"),
        (mr.tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
        (mr.tensor([1.0], requires_grad=True) * 2, "tensor([2.], grad_fn=<mul>)"),
    ],
)
def test_a_tensor_prints_as_in_pytorch(tensor, text):
    assert repr(tensor) == text


def test_single_values_become_python_numbers():
    assert mr.tensor([[2.5]]).item() == float(mr.tensor(2.5)) == 2.5
    assert int(mr.tensor(3)) == 3
    assert [10, 20, 30][mr.tensor(1)] == 20
    assert bool(mr.tensor(0.0)) is False
    assert mr.tensor([[1, 2]]).tolist() == [[1, 2]]


def test_many_values_do_not():
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        mr.ones(2).item()
    with pytest.raises(ValueError, match=r"truth value.*shape \(2,\).*\.all\(\)"):
        bool(mr.ones(2))
    with pytest.raises(TypeError, match="integer"):
        [1, 2][mr.tensor(1.0)]
    with pytest.raises(TypeError, match="0-d"):
        len(mr.tensor(1.0))


def test_a_tensor_can_be_walked_and_unpacked():
    assert len(mr.ones(3, 2)) == 3
    first, second = mr.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert second.tolist() == [3.0, 4.0]
    assert first.shape == (2,)


def test_tensors_are_told_apart_by_identity_in_sets():
    a, b = mr.ones(2), mr.ones(2)
    assert len({a, b, a}) == 2
    assert (a == b).all()
    assert (a == None) is False  # noqa: E711


def test_deep_copies_of_leaves_share_nothing():
    (x,) = leaves(np.asfortranarray(np.ones((2, 3))))
    (x * 2).sum().backward()
    twin = copy.deepcopy(x)
    (twin * 5).sum().backward()
    assert x.grad.tolist() == [[2.0] * 3] * 2
    assert twin.grad.tolist() == [[7.0] * 3] * 2
    assert twin.numpy().flags["F_CONTIGUOUS"]
    assert not share_memory(x.numpy(), twin.numpy(), x.grad.numpy(), twin.grad.numpy())


def test_deep_copies_of_computed_values_are_refused():
    (x,) = leaves([1.0])
    with pytest.raises(ValueError, match=r"only leaf.*detach"):
        copy.deepcopy(x * 2)


def test_requires_grad_can_be_switched_on_leaves_only():
    x = mr.ones(2)
    assert x.requires_grad_() is x
    y = x * 2
    with pytest.raises(ValueError, match=r"output of 'mul'.*detach"):
        y.requires_grad = False
    x.requires_grad = False
    assert not x.requires_grad


def test_data_of_a_computed_value_keeps_its_shape_and_dtype():
    (x,) = leaves([1.0, 2.0])
    y = x * 2
    with pytest.raises(ValueError, match=r"shape \(3,\).*only a leaf"):
        y.data = np.ones(3, "float32")
    with pytest.raises(ValueError, match="dtype float64"):
        y.data = np.ones(2)
    x.data = np.ones((3, 1))
    assert (x.shape, x.dtype) == ((3, 1), "float64")


def test_a_0d_tensor_can_be_rebound_and_written_again():
    (x,) = leaves(2.0)
    x.data = x.data - 0.5
    x.copy_(x.detach() * 2)
    assert x.item() == 3.0


def test_copy_writes_into_the_same_memory_and_keeps_dtype_and_order():
    x = mr.tensor(np.zeros((2, 3), "float32", order="F"))
    memory = x.numpy()
    assert x.copy_(mr.tensor(np.arange(6.0).reshape(2, 3))) is x
    assert memory.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert x.dtype == "float32"
    with pytest.raises(ValueError, match=r"copy_: shape \(3,\) into a Tensor of shape \(2, 3\)"):
        x.copy_(np.ones(3))


def test_to_returns_the_same_tensor_where_nothing_changes():
    (x,) = leaves([1.0])
    assert x.to("float32") is x
    assert x.to("cpu") is x
    assert x.to(mr.float64).dtype == "float64"
    x.to("float64").sum().backward()
    assert x.grad.dtype == "float32"
    with pytest.raises(ValueError, match="unknown device 'cuda:x'"):
        x.to("cuda:x")
    with pytest.raises(ValueError, match="unknown device"):
        mr.ones(1, device="tpu")


def test_a_tensor_is_made_by_tensor_not_by_its_class():
    with pytest.raises(TypeError, match=r"found list.*minires\.tensor"):
        mr.Tensor([1.0])


def test_the_operators_and_methods_declared_are_those_attached():
    stub = Path(tensor_module.__file__).with_name("methods.pyi").read_text(encoding="utf-8")
    declared = set(re.findall(r"    def (\w+)", stub))
    assert declared - {"__hash__", "T"} == set(methods.OPERATORS) | set(methods.METHODS)
