"""The device "meta": arrays that have a shape and a dtype, and no values."""

from __future__ import annotations

import copy
import itertools
import operator
import re
import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minires as mr
from minires import devices, nn, ops
from minires.autograd import registry
from minires.devices.without_values import MetaArray
from tests.ops.table import ROWS, Case, cases
from tests.ops.test_bad_input import SHAPES

few = settings(max_examples=max(settings().max_examples // 5, 6))
# What only the values betray.
UNSEEN = "negative powers|label .* out of range"
DTYPES = ["float16", "float32", "float64", "int64", "int32", "bool"]


def outcome(run: Any, *inputs: Any) -> Any:
    """Shapes and dtypes of what comes out, and of the gradients; or the error there is instead."""
    try:
        with np.errstate(all="ignore"):
            result = run(*inputs)
            if any(x.requires_grad for x in inputs):
                result.backward(mr.zeros_like(result))
                result = (result, *(x.grad for x in inputs if x.requires_grad))
    except (TypeError, ValueError, IndexError) as error:
        return type(error), str(error)
    except RuntimeError as error:
        return re.search("picks where they are true", str(error))
    results = result if isinstance(result, tuple) else (result,)
    assert len({each.device for each in results}) == 1
    return [(tuple(each.shape), each.dtype) for each in results]


def agree(case: Case, kinds: Sequence[str]) -> bool:
    """Whether both devices make the same of a case; one that needs values is passed over."""
    arrays = [x.astype(kind) for x, kind in zip(case.inputs, kinds, strict=False)]
    found = []
    for device in ("cpu", "meta"):
        inputs = [mr.tensor(x, None, x.dtype.kind == "f", device) for x in arrays]
        found.append(outcome(case.run, *inputs))
    only_values_tell = isinstance(found[1], re.Match) or re.search(UNSEEN, str(found[0]))
    return bool(only_values_tell) or found[0] == found[1]


@pytest.mark.parametrize("name", ROWS)
@few
@given(st.data())
def test_every_op_and_its_gradients_have_the_shapes_dtypes_and_errors_of_the_cpu(name, data):
    case = data.draw(cases(name))
    count = len(case.inputs)
    alike = st.sampled_from(DTYPES).map(lambda kind: [kind] * count)
    mixed = st.lists(st.sampled_from(DTYPES), min_size=count, max_size=count)
    assert agree(case, data.draw(alike | mixed))


@pytest.mark.parametrize("kinds", list(itertools.product(DTYPES, repeat=2)))
def test_what_changes_in_place_keeps_its_dtype_or_is_refused_as_on_the_cpu(kinds):
    def changed(change, *arrays):
        try:
            return change(*arrays).dtype
        except TypeError as error:
            return str(error)

    for change in (operator.iadd, operator.isub, operator.imul, operator.itruediv):
        real = [np.ones((2, 3), kinds[0]), np.ones(3, kinds[1])]
        assert changed(change, *(MetaArray(x.shape, x.dtype) for x in real)) == changed(
            change, *real
        )


def test_what_changes_in_place_keeps_its_shape():
    with pytest.raises(ValueError, match=r"shape \(3,\) cannot take on values of \(2, 3\)"):
        operator.iadd(MetaArray((3,), np.dtype("f4")), MetaArray((2, 3), np.dtype("f4")))


def test_a_planted_mistake_is_seen(monkeypatch):
    def unpadded(self, x, weight, window, groups, bias=None):
        size = window._replace(padding=((0, 0), (0, 0))).output_size(x.shape[2:])
        return MetaArray((x.shape[0], weight.shape[0], *size), x.dtype)

    inputs = np.ones((2, 3, 8, 8)), np.ones((4, 3, 3, 3))
    case = Case(lambda x, w: ops.conv2d(x, w, padding=1), inputs, np.add)
    assert agree(case, ["float32"] * 2)
    monkeypatch.setattr(type(devices.meta), "conv2d", unpadded)
    assert not agree(case, ["float32"] * 2)


@pytest.mark.parametrize("call", [call for call, told in SHAPES if not re.search(UNSEEN, told)])
def test_bad_input_gets_the_same_words(call):
    on_the_cpu = outcome(call)
    with devices.default("meta"):
        on_meta = outcome(call)
    assert on_meta == on_the_cpu


OTHER_OPS = {
    "argmax": lambda x: ops.argmax(x, 1),
    "argmin": lambda x: ops.argmin(x, keepdim=True),
    "all": lambda x: ops.all(x, 0),
    "any": lambda x: ops.any(x, (0, 1), keepdim=True),
    "equal": lambda x: x == 1,
    "not_equal": lambda x: x != x,
    "less": lambda x: x < 2.5,
    "less_equal": lambda x: x[0] <= x,
    "greater": lambda x: x > 0,
    "greater_equal": lambda x: x >= x,
    "floor_div": lambda x: x // 2,
    "sign": ops.sign,
    "isnan": ops.isnan,
    "isfinite": ops.isfinite,
    "logical_not": ops.logical_not,
    "logical_and": lambda x: ops.logical_and(x, True),
    "logical_or": lambda x: ops.logical_or(x, x),
    "bitwise_and": lambda x: x & 1,
    "bitwise_or": lambda x: x | x,
    "bitwise_xor": lambda x: x ^ x,
    "bitwise_not": lambda x: ~x,
    "max with positions": lambda x: tuple(x.max(dim=1)),
    "pool with positions": lambda x: tuple(
        ops.max_pool2d(x.reshape(1, 1, 3, 4), 2, return_indices=True)
    ),
    "ones_like": mr.ones_like,
    "zeros_like": lambda x: mr.zeros_like(x, dtype="float64"),
}


def test_no_op_is_left_out():
    own = {name for name, op in registry.items() if op.forward.__module__.startswith("minires.")}
    assert own <= {*ROWS, *OTHER_OPS}


@pytest.mark.parametrize("name", OTHER_OPS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_ops_without_a_gradient_agree_with_the_cpu(name, dtype):
    run = OTHER_OPS[name]
    on_the_cpu, on_meta = (
        outcome(run, mr.zeros(3, 4, dtype=dtype, device=device)) for device in ("cpu", "meta")
    )
    assert on_meta == on_the_cpu


MAKERS = [
    lambda: mr.zeros(2, 3),
    lambda: mr.ones((2,), dtype="int8"),
    lambda: mr.full((2, 0), 3.5),
    lambda: mr.full((2,), 1, dtype="bool"),
    lambda: mr.arange(7),
    lambda: mr.arange(1, 2, 0.3),
    lambda: mr.arange(5, 1, -2, dtype="float64"),
    lambda: mr.arange(5, 1),
    lambda: mr.eye(3),
    lambda: mr.eye(3, 2, dtype="int64"),
    lambda: mr.randn(2, 3),
    lambda: mr.rand(4, dtype="float64"),
    lambda: mr.tensor([[1, 2], [3, 4]]),
    lambda: mr.tensor(1.5),
    lambda: mr.tensor(np.ones(3), dtype="float32"),
    lambda: mr.tensor(np.float64(3)),
    lambda: mr.tensor([True]),
]


@pytest.mark.parametrize("make", MAKERS)
def test_whatever_makes_a_tensor_makes_it_on_the_default_device(make):
    on_the_cpu = make()
    with devices.default("meta"):
        made = make()
    assert (made.shape, made.dtype) == (on_the_cpu.shape, on_the_cpu.dtype)
    assert (made.device.name, on_the_cpu.device.name) == ("meta", "cpu")


def test_a_device_that_is_asked_for_wins_over_the_default_which_ends_with_its_block():
    with devices.default("meta"):
        assert mr.zeros(1, device="cpu").device is devices.cpu
        with devices.default("cpu"):
            assert mr.zeros(1).device is devices.cpu
        assert mr.zeros(1).device is devices.meta
    assert mr.zeros(1).device is devices.cpu


def test_nothing_is_drawn_where_there_are_no_values():
    mr.manual_seed(0)
    expected = mr.randn(3).numpy()
    mr.manual_seed(0)
    with devices.default("meta"):
        nn.BasicBlock(4, 4)
        ops.dropout(mr.randn(5) + mr.rand(5))
    np.testing.assert_array_equal(mr.randn(3).numpy(), expected)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1, ceil_mode=True),
        nn.BasicBlock(8, 16, 2, "A"),
        nn.PreActBottleneck(16, 8, 1, "B"),
        nn.ConvTranspose2d(32, 8, 2, stride=2),
        nn.AvgPool2d(2),
        nn.Dropout(),
        nn.AdaptiveAvgPool2d((3, 2)),
        nn.Flatten(),
        nn.Linear(48, 10),
        nn.BatchNorm1d(10, momentum=None),
        nn.Softmax(1),
    )


@pytest.mark.parametrize("training", [True, False])
def test_a_step_of_a_network_leaves_gradients_of_the_parameters_shapes(training):
    model = network().to("meta").train(training)
    images = mr.zeros(4, 4, 32, 32, device="meta")
    if training:
        model[12].momentum = 0.1
    y = model(images)
    ops.cross_entropy(y, np.arange(4), label_smoothing=0.1).backward()
    assert (y.shape, y.device) == ((4, 10), devices.meta)
    for parameter in model.parameters():
        assert parameter.grad.shape == parameter.shape
    mr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9).step()


def test_nothing_is_allocated_for_what_is_not_there():
    tracemalloc.start()
    with devices.default("meta"):
        layer = nn.Linear(100_000, 100_000)
        x = mr.randn(100_000, 100_000, requires_grad=True)
        y = ops.dropout(layer(x)).T.reshape(-1, 50_000).relu()
        y = mr.concatenate([y, y[::2]])[mr.zeros(10, dtype="int64")]
        (y * 2.0 + y).sum().backward()
        images = mr.zeros(1000, 3, 10_000, 10_000)
        ops.max_pool2d(nn.Conv2d(3, 64, 3)(ops.pad(images, (1, 1, 1, 1))), 2)
    copy.deepcopy(layer)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert x.grad.shape == (100_000, 100_000)
    assert peak < 1_000_000


LOOKS = [
    lambda x: x.item(),
    lambda x: x.numpy(),
    lambda x: x.tolist(),
    lambda x: bool(x),
    lambda x: float(x),
    lambda x: int(x),
    lambda x: range(x.to("int64")),
    lambda x: f"{x:.3f}",
    lambda x: np.asarray(x),
    lambda x: np.asarray(x.data),
    lambda x: x.data.item(),
    lambda x: bool(x.data > 0),
    lambda x: x.to("cpu"),
    lambda x: mr.tensor(x, device="cpu"),
    lambda x: mr.zeros(()).copy_(x),
    lambda x: nn.Parameter(x).to("cpu"),
]


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_at_values_is_refused_with_advice(look):
    with pytest.raises(RuntimeError, match=r"'meta' has a shape.*no values; make it.*'cpu'"):
        look(mr.zeros((), device="meta"))


def test_a_model_does_not_come_back_from_where_it_left_its_values():
    model = nn.Linear(2, 3)
    model.weight.grad = mr.ones(3, 2)
    model.to("meta")
    assert model.weight.grad.device is devices.meta
    with pytest.raises(RuntimeError, match=r"\(3, 2\), float32.*no values"):
        model.cpu()
    assert model.weight.device is devices.meta


def test_a_tensor_without_values_says_so():
    x = mr.zeros(2, 3, dtype="float64", device="meta", requires_grad=True)
    assert repr(x) == (
        "tensor(no values, shape=(2, 3), device='meta', dtype=float64, requires_grad=True)"
    )


def test_what_holds_values_does_not_meet_what_holds_none():
    with_values, without = mr.ones(2), mr.ones(2, device="meta")
    for run in (lambda a, b: a + b, lambda a, b: b * a, lambda a, b: mr.where(a > 0, b, b)):
        with pytest.raises(TypeError, match=r"different devices.*\.to\('meta'\)"):
            run(with_values, without)


def test_values_may_be_written_where_none_are_held_if_the_shape_fits():
    x = mr.zeros(2, 3, device="meta")
    x.copy_(np.ones((2, 3))).copy_(1.5)
    x.data[:, 0] = 1.0
    with pytest.raises(ValueError, match=r"copy_: shape \(3, 2\)"):
        x.copy_(np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"from shape \(3,\) into \(2,\)"):
        x.data[:, 0] = np.ones(3)


@pytest.mark.parametrize(
    "index",
    [
        (0,),
        (..., 0),
        (None, slice(None, None, -2)),
        np.array([0, 1, 1]),
        (slice(None), np.array([[0, 1], [1, 2]])),
        (0, slice(None), np.array([0, 3])),
        (np.array([0, 1]), np.array([2, 0]), slice(1, 3)),
        (np.array([1]), ..., np.array([0, 1, 2])),
        (None, np.array([0]), slice(None), 1),
        (np.array([0]), None, np.array([1])),
        (slice(0, 0), np.array([], dtype=int)),
        np.array(1),
        (0, 1, 2, 3),
        (np.array([0]), 0, 0, 0),
        (np.array([0]), 3),
        (slice(None), np.array([0, 1, 1]), ..., 0),
        (np.array([0, 1]), np.array([0, 1, 2])),
        5,
    ],
    ids=str,
)
def test_an_index_picks_the_shape_that_numpy_picks(index):
    on_the_cpu, on_meta = (
        outcome(lambda x: x[index], mr.zeros(2, 3, 4, device=device)) for device in ("cpu", "meta")
    )
    if on_the_cpu[0] is IndexError:
        assert on_meta[0] is IndexError
    else:
        assert on_meta == on_the_cpu


def test_statistics_of_half_precision_are_as_wide_as_on_the_cpu():
    x = mr.zeros(2, 3, 4, 4, dtype="float16")
    for device in (devices.cpu, devices.meta):
        found = device.batch_statistics(device.array(x.numpy()))
        assert [(each.shape, each.dtype) for each in found] == [((3,), devices.float32)] * 2


def test_a_trace_needs_values():
    model = nn.Linear(2, 3).to("meta")
    with (
        pytest.raises(devices.NoValuesError, match=r"\(1, 2\), float32.*no values"),
        mr.trace.record(model),
    ):
        model(mr.zeros(1, 2, device="meta")).sum().backward()


def test_a_function_of_numpys_that_is_not_known_is_named():
    with pytest.raises(AttributeError, match=r"'meta' does not know NumPy's 'convolve'"):
        devices.meta.xp.convolve  # noqa: B018
    assert devices.meta.xp.inf == np.inf
