from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any

import pytest

from minires.serialize.locking import lock

fcntl = pytest.importorskip("fcntl", reason="Windows has no such locks")


def test_the_second_one_waits_for_the_end_of_the_first(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with (tmp_path / "lock").open("ab") as file:
            lock(file)
            order.append("second")

    with (tmp_path / "lock").open("ab") as file:
        lock(file)
        with (tmp_path / "lock").open("ab") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        thread = threading.Thread(target=second)
        thread.start()
        order.append("first")
    thread.join(60)

    assert order == ["first", "second"]


def test_a_file_system_without_locks_is_no_hindrance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(file: Any, operation: int) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with (tmp_path / "lock").open("ab") as file:
        lock(file)
