"""no_grad, enable_grad and hooks: nested, as decorators, per thread, and after errors."""

from __future__ import annotations

import asyncio
import threading

import pytest

import minires as mr
from minires.autograd import is_grad_enabled
from tests.helpers import Onlooker, leaves


def test_no_grad_computes_without_recording():
    (x,) = leaves([1.0])
    with mr.no_grad():
        y = x * 2
    assert y.is_leaf
    assert not y.requires_grad


def test_modes_nest_and_come_back():
    seen = [is_grad_enabled()]
    with mr.no_grad():
        seen.append(is_grad_enabled())
        with mr.enable_grad():
            seen.append(is_grad_enabled())
            with mr.no_grad():
                seen.append(is_grad_enabled())
            seen.append(is_grad_enabled())
        seen.append(is_grad_enabled())
    seen.append(is_grad_enabled())
    assert seen == [True, False, True, False, True, False, True]


def test_modes_are_decorators_that_can_be_called_again():
    (x,) = leaves([1.0])

    @mr.no_grad()
    def double(x):
        """Two times x."""
        return x * 2

    @mr.enable_grad()
    def treble(x):
        return x * 3

    assert [double(x).requires_grad for _ in range(2)] == [False, False]
    assert double.__doc__ == "Two times x."
    with mr.no_grad():
        assert treble(x).requires_grad


def test_an_error_inside_a_mode_brings_the_old_one_back():
    def fail():
        with mr.no_grad():
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert is_grad_enabled()


def test_backward_works_inside_no_grad():
    (x,) = leaves([3.0])
    y = (x * x).sum()
    with mr.no_grad():
        y.backward()
    assert x.grad.tolist() == [6.0]
    assert not x.grad.requires_grad


def test_an_error_in_backward_leaves_recording_on():
    (x,) = leaves([1.0, 2.0])
    with pytest.raises(mr.AutogradError):
        (x * 2).backward()
    assert is_grad_enabled()


def run_in_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_another_thread_records_while_this_one_does_not():
    (x,) = leaves([1.0])
    with mr.no_grad():
        assert run_in_thread(lambda: (x * 2).requires_grad)
        assert not (x * 2).requires_grad


def test_another_threads_ops_are_not_shown_to_this_ones_onlooker():
    with Onlooker() as seen:
        run_in_thread(lambda: mr.ones(1) * 2)
        mr.ones(1) + 2
    assert seen.ops == ["add"]


def test_threads_can_differentiate_at_the_same_time():
    start = threading.Barrier(4)
    found = {}

    def work(factor):
        (x,) = leaves([1.0, 2.0])
        start.wait()
        for _ in range(50):
            (factor * x).sum().backward()
        found[factor] = x.grad.tolist()

    threads = [threading.Thread(target=work, args=(factor,)) for factor in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {factor: [50.0 * factor] * 2 for factor in (1, 2, 3, 4)}


def test_tasks_of_one_thread_have_modes_of_their_own():
    async def without(ready, go):
        with mr.no_grad():
            ready.set()
            await go.wait()
            return is_grad_enabled()

    async def both():
        ready, go = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(without(ready, go))
        await ready.wait()
        here = is_grad_enabled()
        go.set()
        return here, await task

    assert asyncio.run(both()) == (True, False)
