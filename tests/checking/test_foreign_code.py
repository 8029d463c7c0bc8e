"""What the code under check may do wrong makes a report that names it, never an exception."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minires as mr

Array = np.ndarray[Any, Any]
X = np.array([0.5, -1.5, 2.0])


def square(x: Array) -> Array:
    return np.asarray(x * x)


def square_vjp(g: Array, x: Array) -> Array:
    return np.asarray(2 * x * g)


def raising(*_: Any) -> Any:
    raise KeyError("nothing there")


def leaving(*_: Any) -> Any:
    sys.exit(0)


def deep(*_: Any) -> Any:
    return deep()


FORWARDS: dict[str, tuple[Callable[..., Any], str]] = {
    "raises": (
        raising,
        "raised KeyError: 'nothing there' (in raising, test_foreign_code.py, line ",
    ),
    "leaves": (
        leaving,
        "the forward pass raised SystemExit: 0 (in leaving, test_foreign_code.py, line ",
    ),
    "recurses": (deep, "the forward pass raised RecursionError"),
    "returns nothing": (lambda x: None, "output 0 of the forward function is a NoneType"),
    "returns no output": (lambda x: (), "the function returned no output at all"),
    "returns a list": (lambda x: [["a"]], "output 0 of the forward function is a list"),
    "returns a Tensor": (mr.tensor, "is a Tensor; return an array or a tuple of arrays (a func"),
    "returns integers": (lambda x: np.arange(3), "output 0 is int64, although all inputs are"),
    "returns float32": (lambda x: x.astype("f4"), "output 0 is float32"),
    "returns complex numbers": (lambda x: x + 1j, "output 0 is complex128"),
    "takes no arguments": (lambda: 0, "the forward pass raised TypeError"),
    "has another shape after a step": (
        lambda x: x[x > 0.5],
        "after a small step the outputs have",
    ),
    "raises after a step": (
        lambda x: square(x) if x[0] == 0.5 else raising(),
        "the forward pass, at a step of",
    ),
}


@pytest.mark.parametrize("name", FORWARDS)
def test_a_forward_pass_that_misbehaves_is_named(name: str) -> None:
    forward, message = FORWARDS[name]

    report = mr.gradcheck((forward, square_vjp), X)

    assert not report
    assert report.status == "unfit"
    assert message in report.explain()


VJPS: dict[str, tuple[Callable[..., Any], str]] = {
    "raises": (
        raising,
        "the backward pass raised KeyError: 'nothing there' (in raising, test_",
    ),
    "leaves": (leaving, "the backward pass raised SystemExit"),
    "takes no arguments": (lambda: 0, "the backward pass raised TypeError"),
    "returns too many": (lambda g, x: (g, g), "the vjp returned 2 gradients for 1 inputs"),
    "returns text": (lambda g, x: "g", "the gradient of input 0 (x) has shape ()"),
    "returns integers": (lambda g, x: np.arange(3), "the gradient of input 0 (x) is int64"),
    "returns float32": (lambda g, x: (2 * x * g).astype("f4"), "is float32, not float64"),
    "returns a scalar": (lambda g, x: 1.0, "the gradient of input 0 (x) has shape (), not (3,)"),
}


@pytest.mark.parametrize("name", VJPS)
def test_a_backward_pass_that_misbehaves_is_named(name: str) -> None:
    vjp, message = VJPS[name]

    report = mr.gradcheck((square, vjp), X)

    assert not report
    assert report.status == "wrong"
    assert message in report.explain()


def test_a_backward_pass_that_adds_to_an_earlier_result_is_named() -> None:
    kept = np.zeros(3)

    def accumulating(g: Array, x: Array) -> Array:
        kept[...] += 2 * x * g
        return kept

    report = mr.gradcheck((square, accumulating), X)

    assert report.status == "wrong"
    assert "two backward passes with the same inputs gave different gradients" in report.explain()


def test_a_function_of_tensors_that_misbehaves_is_named_as_well() -> None:
    for function, message in (
        (raising, "the forward pass raised KeyError"),
        (lambda x: x.numpy(), "must return a Tensor or a tuple of Tensors, found ndarray"),
        (lambda x: None, "must return a Tensor or a tuple of Tensors, found NoneType"),
        (lambda x: x > 0, "output 0 is bool"),
        (lambda x: mr.ops.argmax(x), "output 0 is int64"),
        (lambda x: mr.ops.matmul(x, mr.ones(5, 5)), "the forward pass raised ValueError: matmul"),
    ):
        report = mr.gradcheck(function, X)
        assert report.status == "unfit"
        assert message in report.explain()


def test_an_interrupt_stops_the_check() -> None:
    def interrupted(x: Array) -> Array:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mr.gradcheck((interrupted, square_vjp), X)


@pytest.mark.parametrize("fn", [None, 3, "tanh", np.ones(3)])
def test_what_is_no_function_is_refused(fn: Any) -> None:
    with pytest.raises(TypeError, match="fn must be a function, found"):
        mr.gradcheck(fn, X)


def test_gradients_that_share_memory_are_a_note_and_no_failure() -> None:
    report = mr.gradcheck((lambda a, b: a + b, lambda g, a, b: (g, g)), [X, X + 1])

    assert report
    assert [note.split(":")[0] for note in report.notes] == [
        "the gradient of input 0 (a) shares its memory with the gradient of input 1 (b)",
        "the gradient of input 1 (b) shares its memory with the incoming gradient",
    ]
    assert "note: the gradient of input 0 (a) shares" in report.explain()
    assert not mr.gradcheck((square, square_vjp), X).notes


def test_inputs_come_back_as_they_were_even_after_a_failure() -> None:
    x = X.copy()

    assert not mr.gradcheck((lambda x: square(x) if x[0] == 0.5 else raising(), square_vjp), x)

    np.testing.assert_array_equal(x, X)


def test_the_other_inputs_are_compared_where_one_gradient_has_a_wrong_shape() -> None:
    pair = (lambda a, b: a * b, lambda g, a, b: (3 * g * b, g * a))

    report = mr.gradcheck(pair, [np.stack([X, 2 * X]), X])

    assert report.status == "wrong"
    assert "the gradient of input 1 (b) has shape (2, 3), not (3,)" in report.problem
    assert [(row.wrong, row.note) for row in report.inputs] == [
        (6, ""),
        (0, "wrong shape or dtype"),
    ]
    assert "3 × numeric" in report.explain()


def test_what_is_computed_in_float32_is_noted() -> None:
    def rounded(x: Array) -> Array:
        return np.asarray(x.astype(np.float32).astype(np.float64))

    forward = mr.gradcheck((lambda x: rounded(square(x)), square_vjp), X * 0.7)
    backward = mr.gradcheck((square, lambda g, x: rounded(square_vjp(g, x))), X * 0.7)

    assert forward.status == "undecided"
    assert "the outputs are float32 numbers, to the last" in forward.explain()
    assert backward.status == "right"
    assert "the gradients are float32 numbers, to the last" in backward.explain()
    assert not mr.gradcheck((np.abs, lambda g, x: g * np.sign(x)), rounded(X * 0.7)).notes


def test_numpy_s_functions_on_tensors_are_told_what_to_do() -> None:
    report = mr.gradcheck(lambda x: np.sin(x), X)

    assert report.status == "unfit"
    assert "NumPy's functions take no Tensors: write it with mr.ops, or check a pair" in str(report)


def test_an_input_that_no_output_depends_on_is_noted() -> None:
    report = mr.gradcheck(lambda a, b: a * 2.0, [X, X])

    assert report
    assert report.notes == ("no output depends on input 1 (b)",)
