"""The fixed cases of minires' own ops: all ops have them, and they notice what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.autograd import registry
from minires.checking import all_ops, check_ops
from minires.checking.all_ops import EXPLAINED, LAYOUTS, laid_out, layouts_of, own_ops
from minires.checking.op_cases import Case, op_cases

CASES = op_cases()


def test_every_differentiable_op_of_the_registry_has_cases() -> None:
    assert {name for name in own_ops() if registry[name].differentiable} == set(CASES)


def test_every_op_without_a_gradient_says_why() -> None:
    rows = list(check_ops([name for name in own_ops() if not registry[name].differentiable]))

    assert all(rows)
    assert {row.status for row in rows} == {"no gradient"}
    assert {row.why for row in rows} <= set(EXPLAINED.values())
    assert set(EXPLAINED) <= set(own_ops())


def test_the_cases_are_the_same_at_every_call_and_none_is_there_twice() -> None:
    for name, cases in op_cases().items():
        titles = [case.about for case in cases]
        assert len(set(titles)) == len(titles)
        for case, again in zip(cases, CASES[name], strict=True):
            for array, before in zip(case.inputs, again.inputs, strict=True):
                np.testing.assert_array_equal(array, before)
                assert array.dtype == np.float64


@pytest.mark.long
def test_all_ops_are_right_in_both_orders_and_all_memory_orders() -> None:
    rows = list(check_ops())

    assert [row.op for row in rows if not row] == []
    assert max(row.margin for row in rows) < 1
    # Rounding takes a part of what is allowed only where a function is flat.
    close = {row.op for row in rows if row.margin > 0.1}
    assert close <= {"sigmoid", "softmax", "std", "tanh", "erf"}


@pytest.mark.parametrize("name", ["add", "gelu", "getitem", "matmul", "avg_pool2d"])
def test_an_op_of_each_family_is_right_in_both_orders(name: str) -> None:
    (row,) = check_ops([name])

    assert (row.status, row.order, row.cases) == ("right", 2, len(CASES[name]))
    assert 0 <= row.margin < 0.1
    assert row.entries > 100


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_op_is_right_in_its_first_case(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_ops, "op_cases", lambda: {name: CASES[name][:1]})
    (row,) = check_ops([name], order=1)

    assert row.status == "right", row.why


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Put ops into the registry, as if they were minires' own."""

    def plant(forward: Any, vjp: Any = None, run: Any = None, *shapes: tuple[int, ...]) -> str:
        forward.__module__ = "minires.ops.planted"
        op = mr.op(name="planted")(forward)
        if vjp is not None:
            op.vjp(vjp)
        if run is not None:
            inputs = tuple(np.random.default_rng(0).standard_normal(shape) for shape in shapes)
            monkeypatch.setattr(
                all_ops, "op_cases", lambda: {"planted": [Case("planted", "a case", run, inputs)]}
            )
        return "planted"

    yield plant
    registry.pop("planted", None)


def test_an_op_without_cases_is_unchecked_and_no_success(planted: Any) -> None:
    (row,) = check_ops([planted(lambda x: x * 2)])

    assert not row
    assert (row.status, row.cases) == ("unchecked", 0)
    assert "no cases" in row.why
    assert "planted" in own_ops()


def test_an_op_whose_vjp_never_ran_in_its_cases_is_unchecked(planted: Any) -> None:
    name = planted(lambda x: x * 2, lambda g: g * 2, lambda x: x + x, (3, 4))
    (row,) = check_ops([name])

    assert not row
    assert (row.status, row.why) == ("unchecked", "a case: its VJP did not run")


def test_a_wrong_gradient_is_reported_with_its_case_and_its_table(planted: Any) -> None:
    name = planted(lambda x: x**2, lambda g, x: g * x, lambda x: registry["planted"](x), (3, 4))
    (row,) = check_ops([name])

    assert not row
    assert row.status == "wrong"
    assert row.margin > 1
    assert row.why.startswith("a case, memory order C\ngradcheck: WRONG")


@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_a_gradient_that_is_wrong_in_one_memory_order_only_is_found(
    planted: Any, layout: str
) -> None:
    """It scales the gradient where the incoming one lies in memory as the layout has it.

    One in Fortran order is a part of every check already.
    """
    strides = laid_out(np.zeros((3, 2, 4, 5)), layout).strides

    def vjp(g: Any, x: Any) -> Any:
        plain = g._data if isinstance(g, mr.Tensor) else g
        return 2 * x * g * (3 if plain.strides == strides else 1)

    name = planted(lambda x: x * x, vjp, lambda x: registry["planted"](x), (3, 2, 4, 5))
    (row,) = check_ops([name], order=1)

    assert row.status == "wrong"
    assert f"memory order {'C' if layout == 'Fortran' else layout}" in row.why


@pytest.mark.parametrize("shape", [(), (3,), (3, 4), (3, 2, 4), (3, 2, 4, 5)])
def test_layouts_keep_the_values_and_change_their_order(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).standard_normal(shape)
    layouts = layouts_of(Case("op", "about", abs, (array,)))
    arrays = {layout: laid_out(array, layout) for layout in LAYOUTS}

    for laid in arrays.values():
        np.testing.assert_array_equal(laid, array)
        assert not np.shares_memory(laid, array)
    assert len({arrays[layout].strides for layout in layouts}) == len(layouts)
    assert len(layouts) == {0: 1, 1: 3, 2: 4, 3: 4, 4: 5}[len(shape)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [((["bogus"],), "there is no op 'bogus'; there are: add, "), ((None, 3), "order must be 1")],
)
def test_mistakes_are_told_before_the_first_row(arguments: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_ops(*arguments)
