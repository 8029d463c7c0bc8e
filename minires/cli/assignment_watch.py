"""`minires assignment watch`: check after each change, in a terminal or a pipe."""

from __future__ import annotations

import queue
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from .assignment_shown import (
    console_of_text,
    print_indented,
    print_line,
    print_list,
    print_submission,
    print_verdict,
)

if TYPE_CHECKING:
    from minires.classroom.assignment import Sheet
    from minires.classroom.release import Handed
    from minires.classroom.results import GradedCheck
    from minires.classroom.watching import Changes, Watch

_PAUSE = 0.04  # between two looks at the files, in seconds
_MOST_SPARES = 12
# Windows has no SIGHUP.
_SIGNALS = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
_KEYS = "n next  r run  h hint  l list  c check all  x reset  q quit"


def watch(handed: Handed, manual_run: bool) -> None:
    """Show what is said of an assignment's files after each change, until q is pressed.

    Parameters
    ----------
    handed : Handed
    manual_run : bool
        Whether to leave it to the key r to check.
    """
    from minires.classroom.running.processes import WarmRunner
    from minires.classroom.watching import Changes, Watch

    in_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
    if manual_run and not in_terminal:
        raise typer.BadParameter("--manual-run needs a terminal, in which r can be pressed")
    with ExitStack() as stack:
        stack.enter_context(_ended_by_signals())
        runner = stack.enter_context(WarmRunner(_spares(handed.sheet)))
        keys = _Keys()
        if in_terminal:
            stack.enter_context(_listening(keys))
        stack.callback(_hear_no_signals)
        changes = Changes(handed.folder, handed.sheet.files)
        screen = _Screen(Watch(handed, runner), keys.are_heard)
        screen.check()
        while not screen.left:
            keys.forget()  # what was typed while something ran
            runner.warm_up()
            _wait(screen, changes, keys, manual_run)


def _spares(sheet: Sheet) -> int:
    """Return how many processes may be needed at once: the most checks that a file has."""
    checks = Counter(sheet.file_of(check.function) for check in sheet.settings.checks)
    return min(max(checks.values()), _MOST_SPARES)


def _wait(screen: _Screen, changes: Changes, keys: _Keys, manual_run: bool) -> None:
    """Wait for a change or a key, until something was run for it or it is the end."""
    while True:
        key = keys.next(_PAUSE)
        changed = changes.look()
        if changed and not manual_run:
            return screen.check(changed)
        if key and screen.pressed(key):
            return None


class _Screen:
    """What is seen of an assignment that is watched, and what keys do to it."""

    def __init__(self, watch: Watch, has_keys: bool) -> None:
        self.left = False
        self._watch = watch
        self._has_keys = has_keys
        self._console = console_of_text()
        self._asks = False
        self._lists = ""  # the key that a list was asked for with
        self._news = ""

    def check(self, changed: list[str] | None = None, *, again: bool = False) -> None:
        """Check, and show what came of it."""
        self._asks = False
        if self._has_keys:
            self._console.print("checking ...", style="dim")
        self._watch.check(changed or (), again=again)
        self._show()

    def pressed(self, key: str) -> bool:
        """Do what a key stands for; return whether something was run, or it is to end."""
        self._news = ""
        asked, self._asks = self._asks, False
        self._lists = key if key == "c" or (key == "l" and not self._lists) else ""
        if key in ("q", "ctrl-d"):
            self.left = True
            return True
        if asked:
            self._answered(key == "y")
            return False
        if key in ("r", "c"):
            self.check(again=True)
            return True
        if key == "x":
            self._asks = True
        elif key == "n":
            before = self._watch.shown
            self._watch.next()
            self._news = "no other check fails" if self._watch.shown == before else ""
        elif key == "h":
            self._news = self._watch.hint()
        elif key != "l":
            self._news = f"{key!r} is no key here"
        self._show()
        return False

    def _answered(self, sure: bool) -> None:
        """Reset the file, if that is sure; as any change of it, this is seen and checked then."""
        from minires.classroom.assignment import AssignmentError

        if sure:
            try:
                kept = self._watch.reset()
                self._news = f"what it was is in {kept.name}" if kept else ""
            except AssignmentError as error:
                self._news = str(error)
        self._show()

    def _show(self) -> None:
        if self._has_keys:
            self._console.clear()
        else:
            self._console.print()
        watch, print_ = self._watch, self._console.print
        submission = watch.submission
        passed = sum(check.passed for check in submission.checks)
        print_(
            f"{watch.file}  {passed} of {len(submission.checks)} checks,"
            f" {submission.score} of {submission.max_score} points",
            style="bold",
        )
        hidden = watch.handed.sheet.settings.hidden_points
        if self._lists == "c":
            print_submission(submission, hidden)
        elif self._lists:
            print_list(submission, hidden)
        elif check := watch.shown:
            self._show_one(check)
        elif watch.done:
            whole = passed == len(submission.checks)
            what = "all checks are passed" if whole else "all that can be checked is passed"
            print_(what, style="green")
        else:
            print_(f"{watch.file} is done: n goes on", style="green")
        if self._news:
            print_(self._news)
        if self._asks:
            print_(f"make {watch.file} what it was at the start? y or n")
        elif self._has_keys:
            print_(f"\n{_KEYS}", style="dim")

    def _show_one(self, check: GradedCheck) -> None:
        print_line(self._console, check)
        print_verdict(self._console, check, 6)
        hints = self._watch.hints()
        for level, hint in enumerate(hints, 1):
            print_indented(self._console, f"hint {level} of 3: {hint}", 0, "cyan")
        if not hints and not self._has_keys:
            where = f"{check.name} {self._watch.handed.folder}"
            self._console.print(f"a hint: minires assignment hint {where}", style="dim")


class _Keys:
    """Keys, as they are pressed; none, where nobody listens."""

    def __init__(self) -> None:
        self.are_heard = False
        self._pressed: queue.SimpleQueue[str] = queue.SimpleQueue()

    def put(self, key: str) -> None:
        """Take in a key."""
        self._pressed.put(key)

    def next(self, seconds: float) -> str:
        """Return a key, or nothing if none is pressed for so long."""
        try:
            key = self._pressed.get(timeout=seconds)
        except queue.Empty:
            return ""
        if key == "ctrl-c":
            raise KeyboardInterrupt
        return key

    def forget(self) -> None:
        """Leave out what was pressed so far, but for the end, after which nothing comes."""
        key = "all"
        while key not in ("", "ctrl-d"):
            key = self.next(0)
        if key:
            self.put(key)


@contextmanager
def _listening(keys: _Keys) -> Iterator[None]:
    """Read keys in a thread, for who waits for a key waits for nothing else."""
    from minires.trace.views.keys import single_keys

    def listen() -> None:
        try:
            while (key := read()) != "ctrl-d":
                keys.put(key)
        except KeyboardInterrupt:  # on Windows it comes here
            return keys.put("ctrl-c")
        except OSError:  # the terminal is gone
            pass
        return keys.put("ctrl-d")

    with ExitStack() as stack:
        # Without termios, on a system that is not Windows either, there are no single keys.
        with suppress(ImportError):
            read = stack.enter_context(single_keys())
            keys.are_heard = True
            threading.Thread(target=listen, daemon=True).start()
        yield


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Leave the block, and clean up, also when this process is told to end."""

    def leave(number: int, _: Any) -> NoReturn:
        sys.exit(128 + number)

    before = {each: signal.getsignal(each) for each in _SIGNALS}
    try:
        for each in _SIGNALS - {signal.SIGINT}:
            signal.signal(each, leave)
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _hear_no_signals() -> None:
    """Let no second Ctrl-C break off what is done at the end."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
