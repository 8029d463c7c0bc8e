"""A server on this machine that has one file, and many manners of giving it."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class LocalServer(http.server.ThreadingHTTPServer):
    """Answers ``/MANNER/NAME``; see `Handler`.

    Attributes
    ----------
    files : dict of str to bytes
        What it has, by name.
    asked : list of (str, str or None)
        The paths that were asked for, each with its Range.
    released : threading.Event
        Ends the silence of ``silent``.
    """

    daemon_threads = False

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.asked: list[tuple[str, str | None]] = []
        self.released = threading.Event()

    def address(self, place: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.server_port}/{place}"


class Handler(http.server.BaseHTTPRequestHandler):
    """``good``: as it should be, with ranges. ``deaf``: always the whole file.

    The others misbehave: ``cut`` breaks off after 1,000 bytes, ``short`` and ``long`` lie about the
    length, ``wrong`` sends other bytes, ``shifted`` another range than was asked for,
    ``unmeasured`` no length, ``to:ADDRESS`` leads there (``to:loop`` back again), ``silent`` waits,
    ``rude`` answers 500, ``babbling`` no HTTP.
    """

    server: LocalServer

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append((self.path, asked))
        manner, _, name = self.path.removeprefix("/").partition("/")
        if self.path.startswith("/to:"):
            target = self.path.removeprefix("/to:")
            self.send_response(302)
            self.send_header("Location", self.path if target == "loop" else target)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if manner == "silent":
            self.server.released.wait(10)
            return
        if manner == "babbling":
            self.wfile.write(b"\x1b[2J\r\n\r\n")
            return
        if manner == "rude":
            self.send_error(500, "\x1b[2J")
            return
        if name not in self.server.files:
            self.send_error(404)
            return
        contents = self.server.files[name]
        begin = 0
        if asked and manner != "deaf":
            begin = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # type: ignore[index]
            if begin >= len(contents):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(contents)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            begin += manner == "shifted"
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(contents) - 1}/{len(contents)}")
        else:
            self.send_response(200)
        body = contents[begin:]
        if manner == "wrong":
            body = bytes(len(body))
        stated = len(body) + {"short": -10, "long": 10}.get(manner, 0)
        if manner != "unmeasured":
            self.send_header("Content-Length", str(stated))
        self.end_headers()
        self.wfile.write(body[:1000] if manner == "cut" else body)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[LocalServer]:
    """Run a server in a thread while the block lasts."""
    with LocalServer(files) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()
