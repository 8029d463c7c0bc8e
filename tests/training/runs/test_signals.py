from __future__ import annotations

import os
import signal
import threading

import pytest

from minires.training.runs import StoppedError
from minires.training.runs.signals import noted_stops


def test_the_first_ctrl_c_is_noted_and_the_second_one_obeyed_at_once() -> None:
    with noted_stops() as stops:
        os.kill(os.getpid(), signal.SIGINT)
        assert stops.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_are_afterwards_what_they_were() -> None:
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with noted_stops():
        os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with noted_stops() as stops:
            os.kill(os.getpid(), signal.SIGINT)
            assert stops.number is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "the second one is obeyed"
            os.kill(os.getpid(), signal.SIGINT)  # still ignored, also behind the first that was not
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_of_the_main_thread_nothing_is_noted_and_nothing_breaks() -> None:
    found: list[int | None] = []

    def work() -> None:
        with noted_stops() as stops:
            found.append(stops.number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [None]


def test_a_terminal_that_breaks_off_is_noted_as_well() -> None:
    with noted_stops() as stops:
        os.kill(os.getpid(), signal.SIGHUP)
        assert stops.number == signal.SIGHUP
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL


def test_the_message_names_the_signal_and_the_step() -> None:
    assert str(StoppedError(signal.SIGTERM, 7)) == "stopped by SIGTERM after step 7"
    assert str(StoppedError(signal.SIGINT, 7)) == "stopped by Ctrl-C after step 7"
