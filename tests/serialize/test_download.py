from __future__ import annotations

import errno
import hashlib
import http.server
import os
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from minires.serialize.download import DownloadError, fetch, home
from tests.local_server import LocalServer, serving

CONTENTS = b"#" + b"weights" * 100_000
SUM = hashlib.sha256(CONTENTS).hexdigest()
MD5 = hashlib.md5(CONTENTS, usedforsecurity=False).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    monkeypatch.setenv("no_proxy", "*")
    with serving({"w": CONTENTS}) as running:
        yield running


def get(addresses: str | list[str], path: Path, **options: Any) -> Path:
    return fetch(
        addresses, path, **{"sha256": SUM, "licence": "MIT", "allow_http": True, **options}
    )


def left(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def test_a_file_arrives_whole_in_a_folder_made_for_it(server: LocalServer, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []

    path = get(
        server.address("good/w"),
        tmp_path / "new" / "weights.th",
        progress=lambda done, total: told.append((done, total)),
    )

    assert path == tmp_path / "new" / "weights.th"
    assert left(path.parent) == {"weights.th": CONTENTS}
    assert told[-1] == (len(CONTENTS), len(CONTENTS))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_file_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(CONTENTS)

    assert get("https://nowhere.invalid/w", tmp_path / "w").read_bytes() == CONTENTS


def test_another_file_of_that_name_is_neither_used_nor_overwritten(tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(b"precious")

    with pytest.raises(DownloadError, match=rf"w' is there already, .* not {SUM}; move it away"):
        get("https://nowhere.invalid/w", tmp_path / "w")

    assert left(tmp_path) == {"w": b"precious"}


def test_a_redirection_is_followed(server: LocalServer, tmp_path: Path) -> None:
    address = server.address("to:" + server.address("unmeasured/w"))

    assert get(address, tmp_path / "w").read_bytes() == CONTENTS


@pytest.mark.parametrize(
    ("place", "told", "kept"),
    [
        ("cut/w", "the connection broke off after 1,000 of 700,001 bytes", 1000),
        ("long/w", "the connection broke off after 700,001 of 700,011 bytes", 700_001),
        ("short/w", "another file: its SHA-256 is [0-9a-f]{64}, not", 0),
        ("wrong/w", "another file: its SHA-256 is [0-9a-f]{64}, not", 0),
        ("good/missing", "the server answered 404 Not Found", 0),
        ("rude/w", r"the server answered 500  \[2J\.", 0),
        ("babbling/w", r"the connection failed \( \[2J", 0),
        ("to:ftp://127.0.0.1/w", "only https and http is trusted, .*'ftp://127.0.0.1", 0),
        ("to:file:///etc/passwd", "the server answered 302 .*'file:///etc/passwd' is not", 0),
        ("to:loop", "the server answered 302 .* infinite loop", 0),
    ],
)
def test_what_goes_wrong_is_told_with_how_to_go_on_and_never_gets_the_name(
    server: LocalServer, tmp_path: Path, place: str, told: str, kept: int
) -> None:
    target, address = tmp_path / "weights.th", server.address(place)

    with pytest.raises(
        DownloadError,
        match=rf"cannot download {address}: .*{told}[\s\S]*put it at '{target}' \(licence MIT, SHA",
    ) as caught:
        get(address, target)

    assert left(tmp_path) == ({"weights.th.part": CONTENTS[:kept]} if kept else {})
    assert ("goes on where it ended" in str(caught.value)) == bool(kept)


def test_a_transfer_that_broke_off_goes_on_where_it_ended(
    server: LocalServer, tmp_path: Path
) -> None:
    for _ in range(2):
        with pytest.raises(DownloadError, match="broke off"):
            get(server.address("cut/w"), tmp_path / "w")
    assert left(tmp_path) == {"w.part": CONTENTS[:2000]}

    told: list[int] = []
    get(server.address("good/w"), tmp_path / "w", progress=lambda done, _: told.append(done))

    assert left(tmp_path) == {"w": CONTENTS}
    assert [asked for _, asked in server.asked] == [None, "bytes=1000-", "bytes=2000-"]
    assert min(told) > 2000


def test_mirrors_are_tried_in_turn_and_each_goes_on_with_what_the_last_one_sent(
    server: LocalServer, tmp_path: Path
) -> None:
    places = ["good/missing", "cut/w", "rude/w", "good/w"]

    get([server.address(place) for place in places], tmp_path / "w")

    assert left(tmp_path) == {"w": CONTENTS}
    assert server.asked[-1] == ("/good/w", "bytes=1000-")


def test_if_all_mirrors_fail_each_is_told(server: LocalServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"missing: .* 404 .*; nor .*/rude/w: .* 500"):
        get([server.address("good/missing"), server.address("rude/w")], tmp_path / "w")


def test_a_server_without_ranges_sends_all_of_it_again(server: LocalServer, tmp_path: Path) -> None:
    (tmp_path / "w.part").write_bytes(CONTENTS[:5000])

    get(server.address("deaf/w"), tmp_path / "w")

    assert left(tmp_path) == {"w": CONTENTS}


@pytest.mark.parametrize("part", [bytes(5000), bytes(len(CONTENTS)), bytes(800_000)])
def test_a_part_of_another_file_is_thrown_away_and_it_begins_anew(
    server: LocalServer, tmp_path: Path, part: bytes
) -> None:
    (tmp_path / "w.part").write_bytes(part)

    get(server.address("good/w"), tmp_path / "w")

    assert left(tmp_path) == {"w": CONTENTS}


def test_a_part_that_is_complete_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / "w.part").write_bytes(CONTENTS)

    get("https://nowhere.invalid/w", tmp_path / "w")

    assert left(tmp_path) == {"w": CONTENTS}


def test_another_range_than_was_asked_for_is_refused(server: LocalServer, tmp_path: Path) -> None:
    (tmp_path / "w.part").write_bytes(CONTENTS[:5000])

    with pytest.raises(DownloadError, match="another range of the file"):
        get(server.address("shifted/w"), tmp_path / "w")

    assert left(tmp_path) == {"w.part": CONTENTS[:5000]}


def test_a_killed_download_goes_on(server: LocalServer, tmp_path: Path) -> None:
    program = f"""
import sys
from minires.serialize.download import fetch
def told(done, total):
    print(done, flush=True)
    sys.stdin.read()
fetch({server.address("good/w")!r}, {str(tmp_path / "w")!r}, sha256={SUM!r}, licence="",
      allow_http=True, progress=told)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) > 0
        process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)

    assert list(left(tmp_path)) == ["w.part"]
    get(server.address("good/w"), tmp_path / "w")
    assert left(tmp_path) == {"w": CONTENTS}


def test_either_sum_is_enough_and_without_one_nothing_is_trusted(
    server: LocalServer, tmp_path: Path
) -> None:
    address = server.address("good/w")

    get(address, tmp_path / "w", sha256=None, md5=MD5)
    with pytest.raises(DownloadError, match=f"its MD5 is {MD5}, not {'0' * 32}"):
        get(address, tmp_path / "other", md5="0" * 32)
    with pytest.raises(ValueError, match="needs the file's sha256 or md5"):
        get(address, tmp_path / "other", sha256=None)

    assert left(tmp_path) == {"w": CONTENTS}


def test_a_file_of_another_sum_may_be_accepted(server: LocalServer, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(CONTENTS)
    for name in ("there", "w"):
        get(
            server.address("good/w"),
            tmp_path / name,
            sha256="0" * 64,
            accept=lambda path: path.read_bytes() == CONTENTS,
        )

    assert left(tmp_path) == {"there": CONTENTS, "w": CONTENTS}
    assert len(server.asked) == 1


def test_more_than_the_size_is_not_waited_for(server: LocalServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="more than the 1,000 bytes of it arrived"):
        get(server.address("unmeasured/w"), tmp_path / "w", size=1000)

    assert left(tmp_path) == {}


def test_a_page_in_the_files_place_spoils_no_part_of_it(
    server: LocalServer, tmp_path: Path
) -> None:
    server.files["page"] = b"<html>Log in to this network"
    (tmp_path / "w.part").write_bytes(CONTENTS[:5000])
    places = server.address("deaf/page"), server.address("good/w")

    with pytest.raises(DownloadError, match="is another file, of 28 bytes, not 700,001"):
        get(places[0], tmp_path / "w", size=len(CONTENTS))
    assert left(tmp_path) == {"w.part": CONTENTS[:5000]}
    get(list(places), tmp_path / "w", size=len(CONTENTS))

    assert left(tmp_path) == {"w": CONTENTS}
    assert server.asked[-1] == ("/good/w", "bytes=5000-")


def test_a_server_that_states_an_endless_size_is_not_believed(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minires.serialize.download._LONGEST", 1000)
    with pytest.raises(DownloadError, match="more than the 1,000 bytes of it arrived"):
        get(server.address("good/w"), tmp_path / "w")


@pytest.mark.skipif(sys.platform == "win32", reason="nothing locks a file there")
def test_of_two_at_once_one_fetches_and_the_other_waits(
    server: LocalServer, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: get(server.address("good/w"), tmp_path / "w"), range(4)))

    assert paths == [tmp_path / "w"] * 4
    assert left(tmp_path) == {"w": CONTENTS}
    assert len(server.asked) == 1


def test_a_file_that_another_names_meanwhile_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w.part").write_bytes(CONTENTS)
    looked: list[bool] = []

    def look(target: Path, wanted: Any) -> bool:
        looked.append(target.exists())
        if len(looked) == 2:  # with the lock; whoever had it before is only now getting there
            (tmp_path / "w.part").rename(target)
        return looked[-1]

    monkeypatch.setattr("minires.serialize.download._is_there", look)

    assert get("https://nowhere.invalid/w", tmp_path / "w") == tmp_path / "w"
    assert (looked, left(tmp_path)) == ([False, False], {"w": CONTENTS})


def test_a_part_that_another_throws_away_meanwhile_is_begun_anew(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = os.fstat

    def gone_meanwhile(descriptor: int) -> os.stat_result:
        monkeypatch.setattr("os.fstat", look)
        (tmp_path / "w.part").unlink()
        return look(descriptor)

    monkeypatch.setattr("os.fstat", gone_meanwhile)

    get(server.address("good/w"), tmp_path / "w")

    assert left(tmp_path) == {"w": CONTENTS}


def test_a_server_that_says_nothing_is_given_up(server: LocalServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="timed out"):
        get(server.address("silent/w"), tmp_path / "w", timeout=0.1)

    assert left(tmp_path) == {}


def test_without_a_network_it_is_said_where_the_file_is_from_and_belongs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as closed:
        address = f"https://127.0.0.1:{closed.server_port}/w"

    with pytest.raises(
        DownloadError,
        match=rf"cannot download {address}: no connection .* or fetch it .* put it at",
    ):
        get(address, tmp_path / "w")


def test_folders_made_for_a_file_that_cannot_be_had_go_again(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()

    with pytest.raises(DownloadError):
        get("ftp://nowhere.invalid/w.th", tmp_path / "mine" / "a" / "b" / "w.th")

    assert [each.name for each in tmp_path.rglob("*")] == ["mine"]


@pytest.mark.parametrize("address", ["http://a.org/w", "file:///etc/passwd", "ftp://a.org/w", "w"])
def test_only_https_is_trusted(tmp_path: Path, address: str) -> None:
    with pytest.raises(DownloadError, match=f"only https is trusted, and this is '{address}'"):
        get(address, tmp_path / "w", allow_http=False)


def test_a_full_disk_is_told_with_the_file_that_fills_it(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"no space left on device: '.*w.part'$") as told:
        get(server.address("good/w"), tmp_path / "w")
    assert told.value.errno == errno.ENOSPC

    assert list(left(tmp_path)) == ["w.part"]


def test_ctrl_c_keeps_what_has_arrived(server: LocalServer, tmp_path: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(server.address("good/w"), tmp_path / "w", progress=stop)

    (name,) = left(tmp_path)
    assert name == "w.part"
    assert CONTENTS.startswith(left(tmp_path)[name])


def test_https_needs_a_certificate_that_is_trusted(
    server: LocalServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *made, *subject, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    address = server.address("good/w", "https")

    with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
        get(address, tmp_path / "w")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert get(address, tmp_path / "w").read_bytes() == CONTENTS
    leaving = server.address("to:" + server.address("good/w"), "https")
    with pytest.raises(DownloadError, match="only https is trusted, and this is 'http://"):
        get(leaving, tmp_path / "other", allow_http=False)


def test_the_folder_of_downloads_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIRES_HOME", "elsewhere")
    assert home() == Path("elsewhere")
    monkeypatch.delenv("MINIRES_HOME")
    assert home() == Path.home() / ".cache" / "minires"
