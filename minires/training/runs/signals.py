"""SIGTERM, SIGHUP and Ctrl-C while a network trains: noted, and obeyed after the step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["StoppedError", "Stops", "noted_stops"]

# SIGHUP is what is left of a terminal or an ssh that broke off; Windows has none.
_STOPS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class StoppedError(Exception):
    """The run was asked to stop, and has written a checkpoint.

    Attributes
    ----------
    signal : int
        The signal's number; a shell expects 128 more as the exit code.
    step : int
        How many steps the checkpoint has.
    """

    def __init__(self, number: int, step: int) -> None:
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        super().__init__(f"stopped by {name} after step {step}")
        self.signal = number
        self.step = step

    @property
    def exit_code(self) -> int:
        """128 and the signal's number: 143 of SIGTERM, 129 of SIGHUP, 130 of Ctrl-C."""
        return 128 + self.signal


class Stops:
    """Which signal came, if any."""

    number: int | None = None

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Be the handler of a signal. The second one is obeyed at once."""
        self.number = number
        for each in _STOPS:
            if signal.getsignal(each) == self.note:
                is_ctrl_c = each == signal.SIGINT
                signal.signal(each, signal.default_int_handler if is_ctrl_c else signal.SIG_DFL)


@contextmanager
def noted_stops() -> Iterator[Stops]:
    """Note SIGTERM, SIGHUP and Ctrl-C inside the block, instead of breaking off what runs.

    One that is ignored, as SIGHUP by `nohup`, stays so. Outside of the main thread, which alone
    gets signals, nothing is noted.
    """
    stops = Stops()
    if threading.current_thread() is not threading.main_thread():
        yield stops
        return
    before = {each: signal.getsignal(each) for each in _STOPS}
    for each, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(each, stops.note)
    try:
        yield stops
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
