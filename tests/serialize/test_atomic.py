from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from minires.serialize import atomic_write


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_finished_block_leaves_the_file_and_nothing_else(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "report.bin") as file:
        file.write(b"whole")

    assert (tmp_path / "report.bin").read_bytes() == b"whole"
    assert names_in(tmp_path) == ["report.bin"]


def test_text_is_utf8_with_newline_ends_on_every_system(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "report.md", "w") as file:
        file.write("‖g‖ = 1\n")

    assert (tmp_path / "report.md").read_bytes() == "‖g‖ = 1\n".encode()


def test_the_target_stays_old_until_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "report.txt"
    target.write_text("old")

    with atomic_write(target, "w") as file:
        file.write("new")
        file.flush()
        assert target.read_text() == "old"

    assert target.read_text() == "new"


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_block_that_fails_keeps_the_old_file_and_leaves_no_temporary_one(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    target = tmp_path / "report.txt"
    target.write_text("old")

    def fail_half_way() -> None:
        with atomic_write(target, "w") as file:
            file.write("half of the ne")
            raise failure

    with pytest.raises(failure):
        fail_half_way()

    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["report.txt"]


def test_a_block_that_fails_writes_no_file_where_there_was_none(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "report.txt", "w"):
        raise RuntimeError

    assert names_in(tmp_path) == []


def test_a_rename_that_fails_keeps_the_old_file_and_leaves_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "report.txt"
    target.write_text("old")

    def refuse(*_: object) -> None:
        raise PermissionError("another program has the file open")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError), atomic_write(target, "w") as file:
        file.write("new")

    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["report.txt"]


def test_a_name_as_long_as_a_name_may_be_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 120)
    with atomic_write(target, "w") as file:
        file.write("text")

    assert target.read_text() == "text"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permission bits")
def test_permissions_are_those_of_any_new_file_or_of_the_file_replaced(tmp_path: Path) -> None:
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    (tmp_path / "ordinary").touch()
    with atomic_write(tmp_path / "new"):
        pass
    assert mode(tmp_path / "new") == mode(tmp_path / "ordinary")

    (tmp_path / "new").chmod(0o640)
    with atomic_write(tmp_path / "new"):
        pass
    assert mode(tmp_path / "new") == 0o640


def test_a_symbolic_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    try:
        link.symlink_to(real)
    except OSError:
        pytest.skip("this system lets this user make no symbolic links")

    with atomic_write(link, "w") as file:
        file.write("new")

    assert link.is_symlink()
    assert real.read_text() == "new"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match=r"folder '.*runs' does not exist; create it"),
        atomic_write(tmp_path / "runs" / "report.txt"),
    ):
        pass


def test_a_folder_as_the_target_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="it is a folder"), atomic_write(tmp_path):
        pass


def test_appending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mode must be 'wb' or 'w', got 'a'"):
        atomic_write(tmp_path / "log.txt", "a")  # type: ignore[call-overload]
