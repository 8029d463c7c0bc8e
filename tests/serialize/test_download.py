from __future__ import annotations

import hashlib
import http.server
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from minires.serialize.download import DownloadError, fetch, home

CONTENTS = b"weights" * 100_000
SUM = hashlib.sha256(CONTENTS).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """A server with one good file and several bad manners."""

    def do_GET(self) -> None:
        place = self.path.removeprefix("/")
        if place == "missing":
            self.send_error(404)
            return
        if place == "rude":
            self.send_error(500, "\x1b[2J")
            return
        if place.startswith("to:"):
            self.send_response(302)
            address = place.removeprefix("to:")
            self.send_header("Location", self.path if address == "loop" else address)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if place == "silent":
            self.server.released.wait(10)  # type: ignore[attr-defined]
            return
        self.send_response(200)
        if place != "unmeasured":
            self.send_header("Content-Length", str(len(CONTENTS)))
        self.end_headers()
        self.wfile.write(CONTENTS[:1000] if place == "cut" else CONTENTS)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[http.server.HTTPServer]:
    monkeypatch.setenv("no_proxy", "*")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.released = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.released.set()  # type: ignore[attr-defined]
        running.shutdown()
        thread.join()


def local(server: http.server.HTTPServer, place: str, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{server.server_port}/{place}"


def test_a_file_arrives_whole_in_a_folder_made_for_it(
    server: http.server.HTTPServer, tmp_path: Path
) -> None:
    told: list[tuple[int, int | None]] = []

    path = fetch(
        local(server, "good"),
        SUM,
        tmp_path / "new" / "weights.th",
        "MIT",
        progress=lambda done, total: told.append((done, total)),
        allow_http=True,
    )

    assert path == tmp_path / "new" / "weights.th"
    assert path.read_bytes() == CONTENTS
    assert [each.name for each in path.parent.iterdir()] == ["weights.th"]
    assert told[-1] == (len(CONTENTS), len(CONTENTS))
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_file_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "weights.th").write_bytes(CONTENTS)

    path = fetch("https://nowhere.invalid/weights.th", SUM, tmp_path / "weights.th", "MIT")

    assert path.read_bytes() == CONTENTS


def test_another_file_of_that_name_is_neither_used_nor_overwritten(tmp_path: Path) -> None:
    (tmp_path / "weights.th").write_bytes(b"precious")

    with pytest.raises(DownloadError, match=r"weights.th' is there already, .* move it away"):
        fetch("https://nowhere.invalid/weights.th", SUM, tmp_path / "weights.th", "MIT")

    assert (tmp_path / "weights.th").read_bytes() == b"precious"


def test_a_redirection_is_followed(server: http.server.HTTPServer, tmp_path: Path) -> None:
    address = local(server, "to:" + local(server, "unmeasured"))

    path = fetch(address, SUM, tmp_path / "weights.th", "MIT", allow_http=True)

    assert path.read_bytes() == CONTENTS


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("cut", "the connection broke off after 1,000 of 700,000 bytes"),
        ("missing", "the server answered 404 Not Found"),
        ("rude", r"the server answered 500  \[2J\."),
        ("to:ftp://127.0.0.1/weights", "only https and http is trusted, .*'ftp://127.0.0.1"),
        ("to:file:///etc/passwd", "the server answered 302 .*'file:///etc/passwd' is not allowed"),
        ("to:loop", "the server answered 302 .* infinite loop"),
    ],
)
def test_what_goes_wrong_is_told_with_how_to_go_on_and_leaves_nothing(
    server: http.server.HTTPServer, tmp_path: Path, place: str, told: str
) -> None:
    target = tmp_path / "weights.th"

    with pytest.raises(
        DownloadError,
        match=rf"cannot download http://.*{told}[\s\S]*put it at '{target}' \(licence MIT, SHA-256",
    ):
        fetch(local(server, place), SUM, target, "MIT", allow_http=True)

    assert list(tmp_path.iterdir()) == []


def test_another_file_than_meant_is_refused(server: http.server.HTTPServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=f"another file: its SHA-256 is {SUM}"):
        fetch(local(server, "good"), "0" * 64, tmp_path / "w", "MIT", allow_http=True)

    assert list(tmp_path.iterdir()) == []


def test_more_than_the_size_is_not_waited_for(
    server: http.server.HTTPServer, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError, match="more than the 1,000 bytes of it arrived"):
        fetch(local(server, "good"), SUM, tmp_path / "w", "MIT", size=1000, allow_http=True)

    assert list(tmp_path.iterdir()) == []


def test_a_server_that_states_an_endless_size_is_not_believed(
    server: http.server.HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minires.serialize.download._LONGEST", 1000)
    with pytest.raises(DownloadError, match="more than the 1,000 bytes of it arrived"):
        fetch(local(server, "good"), SUM, tmp_path / "w", "MIT", allow_http=True)


def test_two_at_once_fetch_the_same_file(server: http.server.HTTPServer, tmp_path: Path) -> None:
    address, target = local(server, "good"), tmp_path / "w"
    together = threading.Barrier(2)

    def meet(done: int, total: int | None) -> None:
        if done == total:
            together.wait(10)

    def get(_: int) -> Path:
        return fetch(address, SUM, target, "MIT", progress=meet, allow_http=True)

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(get, range(2))) == [target] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["w"]
    assert target.read_bytes() == CONTENTS


def test_a_server_that_says_nothing_is_given_up(
    server: http.server.HTTPServer, tmp_path: Path
) -> None:
    with pytest.raises(DownloadError, match="timed out"):
        fetch(local(server, "silent"), SUM, tmp_path / "w", "MIT", timeout=0.1, allow_http=True)

    assert list(tmp_path.iterdir()) == []


def test_without_a_network_it_is_said_where_the_file_is_from_and_belongs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as closed:
        address = local(closed, "good", "https")

    with pytest.raises(
        DownloadError,
        match=rf"cannot download {address}: no connection .* or fetch it .* put it at",
    ):
        fetch(address, SUM, tmp_path / "w", "MIT")


def test_folders_made_for_a_file_that_cannot_be_had_go_again(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()

    with pytest.raises(DownloadError):
        fetch("ftp://nowhere.invalid/w.th", SUM, tmp_path / "mine" / "a" / "b" / "w.th", "MIT")

    assert [each.name for each in tmp_path.rglob("*")] == ["mine"]


@pytest.mark.parametrize("address", ["http://a.org/w", "file:///etc/passwd", "ftp://a.org/w", "w"])
def test_only_https_is_trusted(tmp_path: Path, address: str) -> None:
    with pytest.raises(DownloadError, match=f"only https is trusted, and this is '{address}'"):
        fetch(address, SUM, tmp_path / "w", "MIT")


def test_a_full_disk_is_told_as_itself(
    server: http.server.HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"^no space left"):
        fetch(local(server, "good"), SUM, tmp_path / "w", "MIT", allow_http=True)

    assert list(tmp_path.iterdir()) == []


def test_https_needs_a_certificate_that_is_trusted(
    server: http.server.HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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
    address = local(server, "good", "https")

    with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(address, SUM, tmp_path / "w", "MIT")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch(address, SUM, tmp_path / "w", "MIT").read_bytes() == CONTENTS
    leaving = local(server, "to:" + local(server, "good"), "https")
    with pytest.raises(DownloadError, match="only https is trusted, and this is 'http://"):
        fetch(leaving, SUM, tmp_path / "other", "MIT")


def test_the_folder_of_downloads_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIRES_HOME", "elsewhere")
    assert home() == Path("elsewhere")
    monkeypatch.delenv("MINIRES_HOME")
    assert home() == Path.home() / ".cache" / "minires"
