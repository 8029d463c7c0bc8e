"""Values that change after the tape kept them are noticed, and named."""

from __future__ import annotations

import numpy as np
import pytest

import minires as mr
from tests.helpers import leaves


def assign(t):
    t.data = np.full(t.shape, 9.0)


def assign_numbers(t):
    t.data = [9.0, 9.0]


def assign_a_tensor(t):
    t.data = mr.tensor([9.0, 9.0])


def subtract(t):
    t.data -= 1.0


def write_one(t):
    t.data[0] = 9.0


def write_through_numpy(t):
    t.detach().numpy()[1] = 9.0


def copy_into(t):
    t.copy_(mr.tensor([9.0, 9.0]))


def fill(t):
    t.copy_(9.0)


def write_into_a_view(t):
    t[:1].data[...] = 9.0


def copy_into_a_view(t):
    t.reshape(1, 2).copy_(9.0)


def write_after_a_harmless_look(t):
    assert t[:1].detach().numpy().size == 1
    t.data[1] = 9.0


def look_again_after_a_write(t):
    t.data[0] = 9.0
    assert t.detach().numpy()[0] == 9.0


WRITES = [
    look_again_after_a_write,
    assign,
    assign_numbers,
    assign_a_tensor,
    subtract,
    write_one,
    write_through_numpy,
    copy_into,
    fill,
    write_into_a_view,
    copy_into_a_view,
    write_after_a_harmless_look,
]
EVERY_WRITE = pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)


@EVERY_WRITE
def test_an_overwritten_input_is_named(write):
    x, w = leaves([1.0, 2.0], [3.0, 4.0])
    y = (x * w).sum()
    write(w)
    with pytest.raises(mr.AutogradError, match=r"input 'b' of 'mul', shape \(2,\), was overwritt"):
        y.backward()


@EVERY_WRITE
def test_an_overwritten_output_is_named(write):
    (x,) = leaves([1.0, 2.0])
    y = mr.exp(x)
    total = y.sum()
    if write in (assign, assign_numbers):
        y.data = np.full(2, 9.0, "float32")
    else:
        write(y)
    with pytest.raises(mr.AutogradError, match=r"output of 'exp', shape \(2,\), was overwritten"):
        total.backward()


@EVERY_WRITE
def test_writing_after_backward_is_fine(write):
    x, w = leaves([1.0, 2.0], [3.0, 4.0])
    (x * w).sum().backward()
    write(w)
    assert x.grad.tolist() == [3.0, 4.0]


@EVERY_WRITE
def test_writing_before_the_forward_pass_is_fine(write):
    x, w = leaves([1.0, 2.0], [1.0, 4.0])
    (x * w).sum().backward()
    write(w)
    now = w.tolist()
    x.grad = None
    (x * w).sum().backward()
    assert x.grad.tolist() == now


@EVERY_WRITE
def test_a_written_value_that_no_gradient_needs_is_fine(write):
    x, w = leaves([1.0, 2.0], [1.0, 4.0])
    y = (x + w).sum()
    write(w)
    y.backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_an_array_taken_before_the_op_ran_is_watched_too():
    (x,) = leaves([1.0, 2.0])
    mine = x.detach().numpy()
    y = (x * x).sum()
    mine[0] = 5.0
    with pytest.raises(mr.AutogradError, match="overwritten"):
        y.backward()


def test_an_array_operand_is_watched_too():
    (x,) = leaves([1.0, 2.0])
    mine = np.array([3.0, 4.0], "float32")
    y = (x * mine).sum()
    mine[0] = 5.0
    with pytest.raises(mr.AutogradError, match="input 'b' of 'mul'"):
        y.backward()


def test_a_condition_is_watched_too():
    (x,) = leaves([1.0, 2.0])
    mask = x > 1.5
    y = mr.where(mask, x, 0.0).sum()
    mask.copy_(True)
    with pytest.raises(mr.AutogradError, match="input 'condition' of 'where'"):
        y.backward()


@pytest.mark.parametrize("wrap", [mr.tensor, np.array])
@pytest.mark.parametrize(
    "choose",
    [
        lambda x, places: x[0][places],
        lambda x, places: x.gather(1, places),
        lambda x, places: mr.ops.cross_entropy(x, places[0]),
    ],
    ids=["getitem", "gather", "cross_entropy"],
)
def test_positions_and_labels_may_be_written_after_the_forward_pass(choose, wrap):
    gradients = []
    for write in (False, True):
        (x,) = leaves([[1.0, 2.0]])
        places = wrap([[1]])
        y = choose(x, places).sum()
        if write:
            places.copy_(0) if wrap is mr.tensor else places.fill(0)
        y.backward()
        gradients.append(x.grad.tolist())
    assert gradients[0] == gradients[1]


def test_an_array_given_to_data_is_watched_too():
    (x,) = leaves([1.0, 2.0])
    mine = np.array([3.0, 4.0])
    x.data = mine
    y = (x * x).sum()
    mine[0] = 5.0
    with pytest.raises(mr.AutogradError, match="overwritten"):
        y.backward()


def test_reading_is_no_writing():
    (x,) = leaves([1.0, 2.0])
    y = (x * x).sum()
    assert x.data[0] == 1.0
    assert x.detach().numpy().sum() == 3.0
    assert x.tolist() == [1.0, 2.0]
    y.backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_a_view_whose_base_was_written_is_noticed():
    (x,) = leaves([1.0, 2.0, 3.0])
    view = x[1:]
    y = (view * view).sum()
    x.data[2] = 9.0
    with pytest.raises(mr.AutogradError, match=r"input 'a' of 'mul', shape \(2,\)"):
        y.backward()


def test_a_detached_copy_of_the_handle_is_the_same_value():
    (x,) = leaves([1.0, 2.0])
    y = (x * x).sum()
    x.detach().copy_(0.0)
    with pytest.raises(mr.AutogradError, match="overwritten"):
        y.backward()


def test_what_was_read_is_still_watched_in_the_second_backward():
    x, v = leaves([1.0, 2.0], [1.0, 1.0])
    y = mr.exp(x)
    (slope,) = mr.grad(y, x, grad_outputs=v, create_graph=True)
    y.copy_(0.0)
    with pytest.raises(mr.AutogradError, match="overwritten"):
        mr.grad(slope.sum(), v)


def test_the_module_of_the_op_is_named():
    class Square(mr.nn.Module):
        def forward(self, x):
            return x * x

    (x,) = leaves([1.0, 2.0])
    y = mr.nn.Sequential(Square())(x).sum()
    x.copy_(0.0)
    with pytest.raises(mr.AutogradError, match="of 'mul' in '0'"):
        y.backward()


def test_a_written_value_can_be_used_and_differentiated_anew():
    (x,) = leaves([1.0, 2.0])
    for step in range(3):
        x.grad = None
        (x * x).sum().backward()
        x.data[0] = step
    assert x.grad.tolist() == [2.0, 4.0]
    assert x.tolist() == [2.0, 2.0]


def test_a_look_at_a_kept_value_starts_the_watch_and_not_an_alarm():
    x, w = leaves([1.0, 2.0], [3.0, 4.0])
    y = (x * w).sum()
    array = w.detach().numpy()
    y.backward(retain_graph=True)
    array[0] = 9.0
    with pytest.raises(mr.AutogradError, match="input 'b' of 'mul'"):
        y.backward()


def test_of_two_graphs_that_kept_a_value_only_the_older_one_is_void_after_a_write():
    (x,) = leaves([1.0, 2.0])
    before = (x * x).sum()
    x.copy_([3.0, 4.0])
    after = (x * x).sum()
    after.backward()
    assert x.grad.tolist() == [6.0, 8.0]
    with pytest.raises(mr.AutogradError, match="overwritten"):
        before.backward()


def test_a_hidden_write_between_two_graphs_voids_only_the_older_one():
    (x,) = leaves([1.0, 2.0])
    before = (x * x).sum()
    x.data[0] = 3.0
    after = (x * x).sum()
    after.backward()
    assert x.grad.tolist() == [6.0, 4.0]
    with pytest.raises(mr.AutogradError, match="overwritten"):
        before.backward()


@EVERY_WRITE
def test_a_view_taken_after_the_op_ran_shares_the_watch(write):
    x, w = leaves([1.0, 2.0], [3.0, 4.0])
    y = (x * w).sum()
    view = w.reshape(2)
    write(w if write in (assign, assign_numbers, assign_a_tensor) else view)
    with pytest.raises(mr.AutogradError, match="input 'b' of 'mul'"):
        y.backward()


def test_an_optimiser_step_between_forward_and_backward_is_noticed():
    x, w = leaves([1.0, 2.0], [3.0, 4.0])
    optimizer = mr.optim.SGD([w], lr=0.1)
    (x * w).sum().backward()
    y = (x * w).sum()
    optimizer.step()
    with pytest.raises(mr.AutogradError, match="input 'b' of 'mul'"):
        y.backward()


def test_data_replaced_twice_by_equal_values_still_count_as_written():
    x, w = leaves([1.0, 2.0], [3.0, 4.0])
    y = (x * w).sum()
    w.data = w.data.copy()
    w.data = w.data.copy()
    with pytest.raises(mr.AutogradError, match="overwritten"):
        y.backward()


@pytest.mark.parametrize("order", ["array first", "array last"])
def test_beside_an_array_operand_a_tensor_is_watched_as_well(order):
    x, w = leaves([1.0, 2.0], [3.0, 4.0])
    mine = np.ones(2, "float32")
    choose = mr.op(lambda a, b, c: a * b * c, name=f"product {order}")
    choose.vjp(lambda g, a, b, c: (g * b * c, g * a * c, g * a * b))
    y = (choose(mine, x, w) if order == "array first" else choose(x, w, mine)).sum()
    w.copy_(0.0)
    with pytest.raises(mr.AutogradError, match="was overwritten"):
        y.backward()


def test_a_leaf_that_was_given_another_shape_voids_the_graphs_made_before():
    for shape in ((), (1,), (2, 2), (3, 2)):
        x, w = leaves([1.0, 2.0], [3.0, 4.0])
        y = (x + w).sum()
        x.data = np.ones(shape, "float32")
        with pytest.raises(mr.AutogradError, match="input 'a' was given data of another shape"):
            y.backward()
        assert x.grad is None
        (x * 2).sum().backward()
        assert x.grad.shape == shape


def test_a_leaf_keeps_its_hooks_when_its_data_change_their_shape():
    (x,) = leaves([1.0, 2.0])
    seen = []
    handle = x.register_hook(lambda g: seen.append(g.shape))
    x.data = np.ones(3, "float32")
    (x * 2).sum().backward()
    handle.remove()
    (x * 2).sum().backward()
    assert seen == [(3,)]


def test_the_output_of_a_recorded_vjp_is_watched_by_the_clock_of_its_own_node():
    x, v = leaves([1.0, 2.0], [1.0, 1.0])
    x.copy_([0.5, 0.25])
    y = mr.exp(x)
    (slope,) = mr.grad(y, x, grad_outputs=v, create_graph=True)
    (second,) = mr.grad(slope.sum(), v)
    np.testing.assert_array_equal(second.numpy(), np.exp(np.float32([0.5, 0.25])))
