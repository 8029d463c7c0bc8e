"""Single keys from a terminal."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator

# What terminals send for keys that are no letter, without the leading escape.
_SEQUENCES = {
    "[A": "up", "[B": "down", "[C": "right", "[D": "left", "[H": "home", "[F": "end",
    "OA": "up", "OB": "down", "OC": "right", "OD": "left", "OH": "home", "OF": "end",
    "[1~": "home", "[4~": "end", "[7~": "home", "[8~": "end",
    "[1;2C": "shift-right", "[1;2D": "shift-left",
}  # fmt: skip
_CONTROLS = {
    "\r": "enter", "\n": "enter", "\x7f": "backspace", "\b": "backspace", "\x04": "ctrl-d",
}  # fmt: skip
# What a Windows console sends after its marker.
_WINDOWS = {"H": "up", "P": "down", "M": "right", "K": "left", "G": "home", "O": "end"}


@contextlib.contextmanager
def single_keys() -> Iterator[Callable[[], str]]:
    """Read keys one by one, unseen, until the block ends.

    Yields
    ------
    callable
        Waits for a key and returns it: a letter, or a name such as "left"; "ctrl-d" when there
        are no more; "resized" when the terminal has another size than before.
    """
    if os.name == "nt":
        yield _windows_key
        return
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)  # Ctrl-C still interrupts
        yield lambda: _resized(number) or _posix_key(number)
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _resized(number: int) -> str:
    """Wait until there is a key, or until the terminal's size has changed."""
    import select

    before = shutil.get_terminal_size()
    while not select.select([number], [], [], 0.2)[0]:
        if shutil.get_terminal_size() != before:
            return "resized"
    return ""


def _posix_key(number: int) -> str:
    import select

    letter = os.read(number, 1)
    if letter == b"\x1b":
        rest = b""
        # A key sends its whole sequence at once; Escape by itself is followed by nothing.
        while select.select([number], [], [], 0.02)[0]:
            rest += os.read(number, 1)
            if (rest[-1:].isalpha() and rest != b"O") or rest[-1:] == b"~":
                break
        return _SEQUENCES.get(rest.decode("ascii", "replace"), "escape" if not rest else "unknown")
    # One letter may be up to four bytes.
    while letter and letter[0] >= 0xC0 and len(letter) < 4:
        try:
            letter.decode()
            break
        except UnicodeDecodeError:
            letter += os.read(number, 1)
    text = letter.decode("utf-8", "replace")
    return _CONTROLS.get(text, text) or "ctrl-d"


def _windows_key() -> str:
    import msvcrt

    text = msvcrt.getwch()  # type: ignore[attr-defined]
    if text in ("\x00", "\xe0"):
        return _WINDOWS.get(msvcrt.getwch(), "unknown")  # type: ignore[attr-defined]
    if text == "\x03":
        raise KeyboardInterrupt
    return "escape" if text == "\x1b" else _CONTROLS.get(text, text)
