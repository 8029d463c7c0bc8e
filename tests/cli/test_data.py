"""`minires data`: what there is, fetched from a server on this machine, and verified."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minires.data import sources as sources_module
from minires.data.sources import find_source
from tests.data.makers import compressed, idx, pixels, png, tree, zipped
from tests.local_server import LocalServer, serving

Run = Callable[..., "Done"]  # type: ignore[name-defined] # noqa: F821

FILES = {
    "train-images-idx3-ubyte.gz": compressed(idx(pixels(60, 28, 28))),
    "train-labels-idx1-ubyte.gz": compressed(idx(np.arange(60) % 10)),
    "t10k-images-idx3-ubyte.gz": compressed(idx(pixels(20, 28, 28, seed=1))),
    "t10k-labels-idx1-ubyte.gz": compressed(idx(np.arange(20) % 10)),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    """Have a small KMNIST at its second address; the first one is out of order."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("MINIRES_DATA", raising=False)
    with serving(FILES) as running:
        known = find_source("kmnist")
        changed = replace(
            known,
            files=tuple(
                replace(file, md5=hashlib.md5(FILES[file.name], usedforsecurity=False).hexdigest())
                for file in known.files
            ),
            addresses=(running.address("rude/"), running.address("good/")),
        )
        every = {**sources_module.sources(), "kmnist": changed}
        monkeypatch.setattr(sources_module, "sources", lambda: every)
        yield running


def test_the_list_says_what_there_is_and_where_it_would_go(
    minires: Run, tmp_path: Path, shared_data: Path
) -> None:
    listed = minires("data", "list", MINIRES_DATA=str(tmp_path))
    told = json.loads(minires("data", "list", "--json", "--root", shared_data).stdout)

    lines = {line.split()[0]: line for line in listed.stdout.splitlines()}
    assert listed.returncode == 0
    assert lines["digits"].endswith("built in")
    assert lines["mnist"].endswith(f"not in {tmp_path / 'mnist'}")
    assert "60,000  10,000       10  1x28x28  CC BY-SA 3.0" in lines["mnist"]
    assert "none stated, lossy" in lines["cifar10-jpeg"]
    assert (told["schema"], told["root"]) == ("minires.data.list/1", str(shared_data))
    found = {each["name"]: each for each in told["datasets"]}
    assert found["mnist"]["present"]
    assert found["mnist"]["folder"] == str(shared_data / "mnist")
    assert found["cifar10-jpeg"]["folder"] == str(shared_data)
    assert not found["tiny-imagenet-200"]["present"]
    assert found["tiny-imagenet-200"]["images"] == [100_000, 10_000]


def test_the_list_says_which_files_a_data_set_lacks(minires: Run, tmp_path: Path) -> None:
    first, second, third, fourth = FILES
    tree(tmp_path / "mnist", {first: b"", second: b"", f"{third}.part": b""})
    tree(tmp_path / "kmnist", {f"{first}.part": b""})

    lines = minires("data", "list", "--root", tmp_path, COLUMNS="300").stdout.splitlines()
    told = json.loads(minires("data", "list", "--root", tmp_path, "--json").stdout)["datasets"]

    places = {line.split()[0]: line for line in lines}
    assert places["mnist"].endswith(
        f"  in {tmp_path / 'mnist'}, without {third}, {fourth}; fetched in part: {third}"
    )
    assert places["kmnist"].endswith(f"  not in {tmp_path / 'kmnist'}; fetched in part: {first}")
    (mnist,) = (each for each in told if each["name"] == "mnist")
    assert (mnist["present"], mnist["files"]) == (False, [first, second])
    assert (mnist["missing"], mnist["parts"]) == ([third, fourth], [third])


def test_a_data_set_is_fetched_once_and_its_progress_told_line_by_line(
    minires: Run, server: LocalServer, tmp_path: Path
) -> None:
    fetched = minires("data", "get", "kmnist", "--root", "here")
    asked = len(server.asked)
    again = minires("data", "get", "kmnist", MINIRES_DATA="here")

    paths = [f"here/kmnist/{name}" for name in FILES]
    assert (fetched.returncode, fetched.stdout.splitlines()) == (0, paths)
    size = len(FILES["train-images-idx3-ubyte.gz"])
    assert f"train-images-idx3-ubyte.gz  100% of {size:,} bytes" in fetched.stderr.splitlines()
    assert {path.name: path.read_bytes() for path in (tmp_path / "here/kmnist").iterdir()} == FILES
    assert (again.returncode, again.stdout, again.stderr) == (0, fetched.stdout, "")
    assert len(server.asked) == asked == 8
    verified = minires("data", "verify", "kmnist", "digits", "--root", "here")
    assert verified.returncode == 0
    assert verified.stdout.splitlines()[-2:] == [
        "kmnist  t10k-labels-idx1-ubyte.gz  right",
        "digits  built in",
    ]


def test_what_broke_off_goes_on_and_what_cannot_be_had_says_how_to_get_it(
    minires: Run, server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = sources_module.sources()
    cut = replace(every["kmnist"], addresses=(server.address("cut/"),))
    monkeypatch.setattr(sources_module, "sources", lambda: {"kmnist": cut})

    broken = minires("data", "get", "kmnist", "--root", "here")

    assert broken.returncode == 1
    assert "broke off after 1,000 of" in broken.stderr
    assert "put it at 'here/kmnist/train-images-idx3-ubyte.gz'" in broken.stderr
    for file in cut.files[1:]:
        assert f"{file.name} (MD5 {file.md5})" in broken.stderr
    assert [each.name for each in tmp_path.rglob("*.*")] == ["train-images-idx3-ubyte.gz.part"]
    monkeypatch.setattr(sources_module, "sources", lambda: every)
    assert minires("data", "get", "kmnist", "--root", "here").returncode == 0
    assert ("/good/train-images-idx3-ubyte.gz", "bytes=1000-") in server.asked


def test_verify_tells_what_is_wrong_and_what_is_missing(
    minires: Run, server: LocalServer, tmp_path: Path
) -> None:
    changed = bytearray(FILES["t10k-images-idx3-ubyte.gz"])
    changed[100] ^= 1
    tree(tmp_path / "kmnist", {**FILES, "t10k-images-idx3-ubyte.gz": bytes(changed)})
    (tmp_path / "kmnist" / "t10k-labels-idx1-ubyte.gz").unlink()

    done = minires("data", "verify", "kmnist", "--root", tmp_path)

    assert done.returncode == 1
    first, _, third, fourth = done.stdout.splitlines()
    assert first == "kmnist  train-images-idx3-ubyte.gz  right"
    assert "is another file than t10k-images-idx3-ubyte.gz, or a damaged one: its MD5 is" in third
    assert fourth.endswith(f"'{tmp_path / 'kmnist/t10k-labels-idx1-ubyte.gz'}' is not there")
    getting = minires("data", "get", "kmnist", "--root", tmp_path)
    assert getting.returncode == 1
    assert "move it away, then run: minires data get kmnist" in getting.stderr
    assert (tmp_path / "kmnist/t10k-images-idx3-ubyte.gz").read_bytes() == changed


def test_verify_without_names_looks_at_all_that_are_there(
    minires: Run, server: LocalServer, tmp_path: Path
) -> None:
    tree(tmp_path / "kmnist", FILES)

    done = minires("data", "verify", "--root", tmp_path)

    assert done.returncode == 0, done.stderr
    assert {line.split()[0] for line in done.stdout.splitlines()} == {"digits", "kmnist"}


def test_verify_goes_on_after_a_file_that_cannot_be_read(
    minires: Run, server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path / "kmnist", FILES)
    opened = Path.open

    def locked(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name.startswith("train-labels"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", locked)
    done = minires("data", "verify", "kmnist", "--root", tmp_path)

    assert done.returncode == 1
    first, second, *others = done.stdout.splitlines()
    assert "Permission denied" in second
    assert all(line.endswith("right") for line in (first, *others))


def test_your_own_images_are_decoded_and_what_is_left_out_of_them_is_told(
    minires: Run, tmp_path: Path
) -> None:
    images = {f"{each}/{number}.png": png() for each in ("cat", "dog") for number in range(5)}
    tree(tmp_path / "whole", {**images, "cat/IMG_1.HEIC": b"", "dog/notes.txt": b""})
    tree(tmp_path / "damaged", {**images, "dog/4.png": b"junk"})
    np.savez(tmp_path / "gap.npz", x=pixels(20, 4, 4), y=np.arange(20) % 2 * 3)

    done = minires("data", "verify", "whole/", "gap.npz", "digits", "--root", "there")
    wrong = minires("data", "verify", "damaged/")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "digits  built in",
        "whole/  8 images to train on, 2 to test with, 2 classes; files of other kinds, 2, are left"
        " out, such as 'cat/IMG_1.HEIC'",
        "gap.npz  16 images to train on, 4 to test with, 4 classes; there are no images of 2 of the"
        " classes, such as '1'",
    ]
    assert (wrong.returncode, wrong.stderr) == (1, "")
    assert "damaged/  'dog/4.png' in 'damaged': it is no image" in wrong.stdout


def test_what_is_built_in_need_not_be_fetched(minires: Run, tmp_path: Path) -> None:
    done = minires("data", "get", "digits")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "digits is built in\n"


def test_a_root_that_is_a_file_is_refused_wherever_it_is_named(
    minires: Run, tmp_path: Path
) -> None:
    (tmp_path / "a-file").write_bytes(b"")
    for command in (["list"], ["get", "mnist"], ["verify", "mnist"]):
        done = minires("data", *command, MINIRES_DATA="a-file")
        assert done.returncode == 2
        assert "MINIRES_DATA: 'a-file' is no folder" in done.stderr


def test_zips_without_an_official_sum_are_verified_by_their_own(
    minires: Run, tmp_path: Path
) -> None:
    contents = zipped({"cat/1.jpg": b"picture" * 10})
    damaged = contents.replace(b"picturepicture", b"picturePicture", 1)
    tree(tmp_path, {"cifar10_jpeg_train.zip": contents, "cifar10_jpeg_test.zip": damaged})

    done = minires("data", "verify", "cifar10-jpeg", "--root", tmp_path)

    assert done.returncode == 1
    assert "cifar10_jpeg_train.zip  right" in done.stdout
    assert "'cat/1.jpg' in" in done.stdout
    assert "cannot be read: Bad CRC-32" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["get", "minst"], 2, "unknown data set 'minst'; there are: cifar10, "),
        (["verify", "cifar"], 2, "unknown data set 'cifar'"),
        (["get"], 2, "Missing argument"),
        (["get", "mnist", "--root", "a-file"], 2, "--root: 'a-file' is no folder"),
        (["verify", "mnist", "--root", "nowhere"], 1, ""),
        (["get", "cifar10-jpeg", "--root", "."], 1, "'cifar10-jpeg' is not in '.'; it has no addr"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    minires: Run, tmp_path: Path, arguments: list[str], code: int, told: str
) -> None:
    (tmp_path / "a-file").write_bytes(b"")

    done = minires("data", *arguments)

    assert done.returncode == code
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == bool(told)
    assert [each.name for each in tmp_path.iterdir()] == ["a-file"]


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("varied", 2, "--dataset: 'cat/1.png' has (5, 4) pixels and 'cat/0.png' (4, 4): ima"),
        ("damaged", 1, "'dog/8.png' in 'damaged': it is no image"),
        ("pictures", 2, "--dataset: unknown data set 'pictures'; there are: cifar10, "),
    ],
)
def test_a_comparison_of_your_own_images_says_what_is_wrong_with_them(
    minires: Run, tmp_path: Path, name: str, code: int, told: str
) -> None:
    images = {
        f"{each}/{number}.png": png((4, 4), "L", 20 * number)
        for each in ("cat", "dog")
        for number in range(9)
    }
    tree(tmp_path / "varied", {**images, "cat/1.png": png((4, 5))})
    tree(tmp_path / "damaged", {**images, "dog/8.png": b"junk"})

    done = minires("compare", "--dataset", name, "--out", "out")

    assert done.returncode == code
    assert told in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_comparison_of_missing_data_says_how_to_get_them(minires: Run, tmp_path: Path) -> None:
    done = minires("compare", "--dataset", "mnist", "--out", "out", MINIRES_DATA=str(tmp_path))

    assert done.returncode == 1
    assert "run: minires data get mnist" in done.stderr
    assert not (tmp_path / "out").exists()
