"""Fetch a file from the network: the one place of minires that does."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from .atomic import atomic_write

__all__ = ["DownloadError", "fetch", "home", "is_there", "sha256_of"]

_CHUNK = 2**18
_LONGEST = 2**33  # of a file whose size only the server says, if anybody

Progress = Callable[[int, int | None], None]


class DownloadError(OSError):
    """A file could not be fetched; the message says from where it can be, and where it belongs."""


def home() -> Path:
    """Return the folder for what is downloaded: that of MINIRES_HOME, or ``~/.cache/minires``."""
    named = os.environ.get("MINIRES_HOME")
    return Path(named) if named else Path.home() / ".cache" / "minires"


def fetch(
    address: str,
    sha256: str,
    path: str | os.PathLike[str],
    licence: str,
    *,
    size: int | None = None,
    progress: Progress | None = None,
    timeout: float = 30.0,
    allow_http: bool = False,
) -> Path:
    """Download a file, unless it is there already.

    What arrives is written beside its place, and gets its name only when its SHA-256 is right.
    Nothing is resumed: a transfer that breaks off leaves nothing behind.

    Parameters
    ----------
    address : str
        Of the file, with https; it may lead on to other addresses with https.
    sha256 : str
        The right sum, in 64 hexadecimal digits.
    path : str or os.PathLike
        Where the file goes; folders on the way are made, and go again if it fails.
    licence : str
        Under which the file is given, for the message to whom must fetch it by hand.
    size : int, optional
        Bytes that the file has; no more are accepted.
    progress : callable, optional
        Called with the number of bytes so far, and with all of them, or None if nobody knows.
    timeout : float
        Seconds to wait for the server's next sign of life.
    allow_http : bool
        Also without encryption, for tests with a server on the same machine.

    Returns
    -------
    pathlib.Path
        Of the file.

    Raises
    ------
    DownloadError
        The file cannot be had, or is not the right one; an `OSError`.
    """
    target = Path(path)
    if is_there(target, sha256):
        return target
    made = [folder for folder in target.parents if not folder.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    schemes = ("https", "http") if allow_http else ("https",)
    try:
        with atomic_write(target) as file:
            summed = hashlib.sha256()
            for chunk in _chunks(address, schemes, size, progress, timeout):
                summed.update(chunk)
                file.write(chunk)
            if summed.hexdigest() != sha256:
                raise DownloadError(
                    f"what arrived is another file: its SHA-256 is {summed.hexdigest()}"
                )
    except DownloadError as error:
        raise DownloadError(
            f"cannot download {address}: {error}. Try again, or fetch it in another way, put it at"
            f" '{target}' (licence {licence}, SHA-256 {sha256}), and run this again"
        ) from error.__cause__
    finally:
        if not target.exists():
            for folder in made:
                with suppress(OSError):  # somebody else has put something there
                    folder.rmdir()
    return target


def is_there(target: Path, sha256: str) -> bool:
    """Tell whether a file is there already.

    Raises
    ------
    DownloadError
        If another one has its name.
    """
    if target.exists() and (target.is_dir() or sha256_of(target) != sha256):
        raise DownloadError(
            f"'{target}' is there already, but its SHA-256 is not {sha256}; move it away"
        )
    return target.exists()


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _chunks(
    address: str,
    schemes: tuple[str, ...],
    size: int | None,
    progress: Progress | None,
    timeout: float,
) -> Iterator[bytes]:
    """Yield what the server sends; raise a DownloadError with half a sentence."""
    _require_scheme(address, schemes)
    # urllib.request.urlopen would also follow a redirection to http or ftp.
    opener = urllib.request.build_opener(_Redirections(schemes))
    try:
        with opener.open(address, timeout=timeout) as response:
            stated = response.headers.get("Content-Length", "")
            total = size or (int(stated) if stated.isdecimal() else None)
            done = 0
            while chunk := response.read(_CHUNK):
                done += len(chunk)
                if done > (size or _LONGEST):
                    raise DownloadError(f"more than the {size or _LONGEST:,} bytes of it arrived")
                yield chunk
                if progress is not None:
                    progress(done, total)
            if total is not None and done < total:
                raise DownloadError(f"the connection broke off after {done:,} of {total:,} bytes")
    except DownloadError:
        raise
    except urllib.error.HTTPError as error:
        error.close()
        reason = "".join(letter if letter.isprintable() else " " for letter in str(error.reason))
        raise DownloadError(f"the server answered {error.code} {reason}") from error
    except urllib.error.URLError as error:
        raise DownloadError(f"no connection ({error.reason})") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DownloadError(f"the connection failed ({error or type(error).__name__})") from error


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
