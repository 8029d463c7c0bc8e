"""Moving Tensors and modules: to a device, to a dtype, to both, in PyTorch's ways to say it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import minires as mr
from tests.devices.cuda import fake


@pytest.fixture(autouse=True)
def device() -> Iterator[Any]:
    with fake.installed() as device:
        yield device


def tensor() -> mr.Tensor:
    return mr.ones(2, 3, requires_grad=True)


MAKERS: list[Callable[[], Any]] = [tensor, lambda: mr.nn.Linear(3, 2)]
both = pytest.mark.parametrize("make", MAKERS, ids=["Tensor", "Module"])


def kind_of(value: Any) -> tuple[str, str]:
    if isinstance(value, mr.nn.Module):
        (kind,) = {kind_of(parameter) for parameter in value.parameters()}
        return kind
    return str(value.device), str(value.dtype)


@both
@pytest.mark.parametrize(
    ("move", "place", "dtype"),
    [
        (lambda x: x.to("cuda"), "cuda:0", "float32"),
        (lambda x: x.to(device="cuda"), "cuda:0", "float32"),
        (lambda x: x.to("float16"), "cpu", "float16"),
        (lambda x: x.to(dtype=mr.float16), "cpu", "float16"),
        (lambda x: x.to("cuda:0", mr.float16), "cuda:0", "float16"),
        (lambda x: x.to("cuda", dtype="float64"), "cuda:0", "float64"),
        (lambda x: x.to(mr.float16, device="cuda"), "cuda:0", "float16"),
        (lambda x: x.to(device="cuda", dtype=mr.float64), "cuda:0", "float64"),
        (lambda x: x.to(mr.float64, device=None), "cpu", "float64"),
        (lambda x: x.cuda(), "cuda:0", "float32"),
        (lambda x: x.cuda(0), "cuda:0", "float32"),
        (lambda x: x.cuda().cpu(), "cpu", "float32"),
    ],
)
def test_a_device_and_a_dtype_by_place_and_by_keyword(
    make: Callable[[], Any], move: Callable[[Any], Any], place: str, dtype: str
) -> None:
    assert kind_of(move(make())) == (place, dtype)


@both
@pytest.mark.parametrize("target", ["gpu", "CUDA", "mps", 0])
def test_what_is_no_target_is_told_what_there_is_of_both_kinds(
    make: Callable[[], Any], target: Any
) -> None:
    told = rf"{target!r} is neither a device nor a dtype; .*'cpu', 'cuda', 'cuda:0'.*mr\.float32"
    with pytest.raises(TypeError, match=told):
        make().to(target)


@both
@pytest.mark.parametrize(
    ("targets", "keywords", "told"),
    [
        ((), {}, r"takes a device, a dtype, or one of each.*found the devices \[\]"),
        (("cpu", "cuda"), {}, r"the devices \['cpu', 'cuda'\]"),
        (("float16",), {"dtype": "float64"}, r"the dtypes \['float16', 'float64'\]"),
    ],
)
def test_two_of_a_kind_or_none_are_refused(
    make: Callable[[], Any], targets: Any, keywords: Any, told: str
) -> None:
    with pytest.raises(TypeError, match=told):
        make().to(*targets, **keywords)


def test_a_keyword_names_its_own_kind() -> None:
    with pytest.raises(ValueError, match="unknown device 'gpu'"):
        tensor().to(device="gpu")
    with pytest.raises(TypeError, match="'cuda' is no dtype"):
        tensor().to(dtype="cuda")


def test_where_nothing_changes_the_tensor_itself_comes_back() -> None:
    x = tensor()
    assert x.to("cpu", mr.float32) is x
    assert x.cpu() is x


def test_a_gradient_finds_its_way_back_from_another_device_and_dtype() -> None:
    x = tensor()
    x.to("cuda", mr.float64).sum().backward()
    assert kind_of(x.grad) == ("cpu", "float32")


def test_a_modules_gradients_come_along_and_its_counts_stay_integers() -> None:
    net = mr.nn.Sequential(mr.nn.Conv2d(1, 2, 3), mr.nn.BatchNorm2d(2))
    net(mr.ones(2, 1, 4, 4)).sum().backward()

    net.to("cuda", mr.float64)

    state = {name: kind_of(value) for name, value in net.state_dict().items()}
    assert state.pop("1.num_batches_tracked") == ("cuda:0", "int64")
    assert set(state.values()) == {("cuda:0", "float64")}
    assert {kind_of(p.grad) for p in net.parameters()} == {("cuda:0", "float64")}
