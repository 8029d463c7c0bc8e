"""Fetch a file from the network: the one place of minires that does."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from .locking import lock

__all__ = ["DownloadError", "fetch", "home", "is_there", "sum_of"]

_CHUNK = 2**18
_LONGEST = 2**33  # of a file whose size only the server says, if anybody

Progress = Callable[[int, int | None], None]


class DownloadError(OSError):
    """A file could not be fetched; the message says from where it can be, and where it belongs."""


def home() -> Path:
    """Return the folder for what is downloaded: that of MINIRES_HOME, or ``~/.cache/minires``."""
    named = os.environ.get("MINIRES_HOME")
    return Path(named) if named else Path.home() / ".cache" / "minires"


@dataclass(frozen=True)
class _Wanted:
    """How to know the right file."""

    sha256: str | None
    md5: str | None
    accept: Callable[[Path], bool] | None

    def why_not(self, path: Path) -> str | None:
        """Say how a file shows that it is another one; None if it is the right one."""
        for kind, expected in (("sha256", self.sha256), ("md5", self.md5)):
            if expected is not None and (found := sum_of(path, kind)) != expected:
                if self.accept is not None and self.accept(path):
                    return None
                name = "SHA-256" if kind == "sha256" else "MD5"
                return f"its {name} is {found}, not {expected}"
        return None

    def __str__(self) -> str:
        sums = {"SHA-256": self.sha256, "MD5": self.md5}
        return ", ".join(f"{name} {value}" for name, value in sums.items() if value)


def fetch(
    addresses: str | Sequence[str],
    path: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    md5: str | None = None,
    accept: Callable[[Path], bool] | None = None,
    size: int | None = None,
    licence: str,
    progress: Progress | None = None,
    timeout: float = 30.0,
    allow_http: bool = False,
) -> Path:
    """Download a file, unless it is there already.

    What arrives is written to ``NAME.part`` beside its place, and gets its name only when its sums
    are right. If the transfer breaks off, the part stays, and the next call, or the next address,
    goes on where it ended; a server that cannot do so sends all of it again. Of several processes
    that fetch the same file, one does and the others wait for it; on Windows they do not.

    Parameters
    ----------
    addresses : str or sequence of str
        Of the file, with https; they may lead on to other addresses with https. They are tried in
        turn.
    path : str or os.PathLike
        Where the file goes; folders on the way are made, and go again if nothing arrives.
    sha256, md5 : str, optional
        The right sums, in hexadecimal digits; at least one of them.
    accept : callable, optional
        Asked about a file whose sum is another one: whether it is right all the same.
    size : int, optional
        Bytes that the file has; no more are accepted.
    licence : str
        Under which the file is given, for the message to whom must fetch it by hand.
    progress : callable, optional
        Called with the number of bytes so far, and with all of them, or None if nobody knows.
    timeout : float
        Seconds to wait for the server's next sign of life.
    allow_http : bool
        Also without encryption, where the sums are known from elsewhere.

    Returns
    -------
    pathlib.Path
        Of the file.

    Raises
    ------
    DownloadError
        The file cannot be had, or is not the right one; an `OSError`.
    OSError
        It cannot be written.
    ValueError
        No sum is given.
    """
    if sha256 is None and md5 is None:
        raise ValueError("fetch: needs the file's sha256 or md5; without one nothing is trusted")
    target, wanted = Path(path), _Wanted(sha256, md5, accept)
    if _is_there(target, wanted):
        return target
    schemes = ("https", "http") if allow_http else ("https",)
    transfer = _Transfer(wanted, schemes, size, progress, timeout)
    made = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    try:
        with _locked(part) as file:
            # Whoever had the lock before may have brought it.
            if not (there := _is_there(target, wanted)):
                named = [addresses] if isinstance(addresses, str) else addresses
                _bring(named, transfer, file, part)
        if not there:
            part.replace(target)
    except FileNotFoundError:
        if not target.exists():  # else whoever had the lock before or after has just named it
            raise
    except DownloadError as error:
        kept = ", which goes on where it ended" if part.exists() else ""
        raise DownloadError(
            f"cannot download {error}. Try again{kept}, or fetch it in another way, put it at"
            f" '{target}' (licence {licence}, {wanted}), and run this again"
        ) from error.__cause__
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        # A full disk: of a file that is open, nobody has said which it is.
        raise OSError(error.errno, error.strerror, str(part)) from error
    finally:
        if not target.exists():
            for folder in made:
                with suppress(OSError):  # something has arrived, or somebody else has put it there
                    folder.rmdir()
    return target


def is_there(target: Path, sha256: str) -> bool:
    """Tell whether a file is there already.

    Raises
    ------
    DownloadError
        If another one has its name.
    """
    return _is_there(target, _Wanted(sha256, None, None))


def sum_of(path: Path, kind: str = "sha256") -> str:
    """Return a file's SHA-256, or another sum that `hashlib` knows, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.new(kind, usedforsecurity=False)
        ).hexdigest()


def _is_there(target: Path, wanted: _Wanted) -> bool:
    if not target.exists():
        return False
    why = "it is a folder" if target.is_dir() else wanted.why_not(target)
    if why is not None:
        raise DownloadError(f"'{target}' is there already, but {why}; move it away")
    return True


@contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    """Open a partial file that no other process writes to; wait until that is so."""
    while True:
        with part.open("ab") as file:
            lock(file)  # Windows lets nobody rename a file that another has open
            # Whoever had it until now may have given it its name, or thrown it away.
            try:
                if not os.path.samestat(os.fstat(file.fileno()), part.stat()):
                    continue
            except FileNotFoundError:
                continue
            try:
                yield file
            finally:
                file.flush()
                if not os.fstat(file.fileno()).st_size:
                    with suppress(PermissionError):  # Windows removes no open file
                        part.unlink()
            return


def _bring(addresses: Sequence[str], transfer: _Transfer, file: IO[bytes], part: Path) -> None:
    """Fill the partial file from one of the addresses; raise a DownloadError with what went wrong.

    A sum that is wrong after going on with an older part says nothing about the address: the part
    may be of another file. Then it begins anew.
    """
    if file.seek(0, os.SEEK_END) and transfer.wanted.why_not(part) is None:
        return
    told = []
    cause: BaseException | None = None
    for address in addresses:
        try:
            resumed = transfer.run(address, file)
            why = transfer.wanted.why_not(part)
            if why is not None and resumed:
                file.truncate(0)
                transfer.run(address, file)
                why = transfer.wanted.why_not(part)
            if why is None:
                return
            file.truncate(0)
            raise DownloadError(f"what arrived is another file: {why}")
        except DownloadError as error:
            told.append(f"{address}: {_printable(error)}")
            cause = error.__cause__
    raise DownloadError("; nor ".join(told)) from cause


@dataclass(frozen=True)
class _Transfer:
    """From an address into an open file, which has its beginning already or is empty."""

    wanted: _Wanted
    schemes: tuple[str, ...]
    size: int | None
    progress: Progress | None
    timeout: float

    def run(self, address: str, file: IO[bytes]) -> bool:
        """Append what is missing, to the disk; tell whether there was a beginning."""
        begin = file.seek(0, os.SEEK_END)
        done = begin
        with closing(self._chunks(address, begin)) as chunks:
            for chunk, start, total in chunks:
                if start != done:  # the server begins anew
                    file.truncate(0)
                    begin = done = 0
                most = self.size or _LONGEST
                if done + len(chunk) > most:
                    file.truncate(0)
                    raise DownloadError(f"more than the {most:,} bytes of it arrived")
                file.write(chunk)
                done += len(chunk)
                if self.progress is not None:
                    self.progress(done, total)
        file.flush()
        os.fsync(file.fileno())
        return begin > 0

    def _chunks(
        self, address: str, begin: int
    ) -> Generator[tuple[bytes, int, int | None], None, None]:
        """Yield what the server sends, where in the file it belongs, and how much there will be.

        Raise a DownloadError with half a sentence.
        """
        _require_scheme(address, self.schemes)
        # urllib.request.urlopen would also follow a redirection to http or ftp.
        opener = urllib.request.build_opener(_Redirections(self.schemes))
        request = urllib.request.Request(address)
        if begin:
            request.add_header("Range", f"bytes={begin}-")
        try:
            with opener.open(request, timeout=self.timeout) as response:
                done, total = _place_of(response, begin)
                if self.size is not None and total not in (None, self.size):
                    raise DownloadError(
                        f"what it has is another file, of {total:,} bytes, not {self.size:,}"
                    )
                total = self.size or total
                while chunk := response.read(_CHUNK):
                    yield chunk, done, total
                    done += len(chunk)
        except DownloadError:
            raise
        except urllib.error.HTTPError as error:
            error.close()
            if begin and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # all of it is there, or more: the sum will tell
            raise DownloadError(f"the server answered {error.code} {error.reason}") from error
        except urllib.error.URLError as error:
            raise DownloadError(f"no connection ({error.reason})") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DownloadError(
                f"the connection failed ({error or type(error).__name__})"
            ) from error
        if total is not None and done < total:
            raise DownloadError(f"the connection broke off after {done:,} of {total:,} bytes")


def _printable(error: DownloadError) -> str:
    """Return what an error says, from which a server may not steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in str(error))


def _place_of(response: Any, begin: int) -> tuple[int, int | None]:
    """Return where an answer's first byte belongs, and how many the file has, if it is said."""
    stated = response.headers.get("Content-Length", "")
    length = int(stated) if stated.isdecimal() else None
    if response.status != http.client.PARTIAL_CONTENT:
        return 0, length
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != begin:
        raise DownloadError("the server answered with another range of the file than was asked for")
    return begin, None if found[2] == "*" else int(found[2])


def _require_scheme(address: str, schemes: tuple[str, ...]) -> None:
    scheme = urlsplit(address).scheme
    if scheme not in schemes:
        raise DownloadError(f"only {' and '.join(schemes)} is trusted, and this is {address!r}")


class _Redirections(urllib.request.HTTPRedirectHandler):
    """Follows a redirection to the same schemes only."""

    def __init__(self, schemes: tuple[str, ...]) -> None:
        self.schemes = schemes

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> Any:
        """Return the request that follows, or refuse."""
        try:
            _require_scheme(newurl, self.schemes)
        except DownloadError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)
