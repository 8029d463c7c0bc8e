"""Where a student's code runs: a program of its own, of Python and NumPy alone.

It is started as ``python -I child.py JOB OUT``: reads from JOB, an .npz, which functions of which
file to call with what, and writes to OUT what they returned. It judges nothing, and knows no right
answer; whoever started it compares. Nothing here may import minires, for the code that runs here
may not either.

A job may say ``given``: what functions return that an earlier part got wrong, locked so that only
who comes to their arguments can read it. It may say ``measure``: ``calls``, how many functions a
call may call; ``memory``, whether to look what it holds on to.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import importlib.util
import inspect
import io
import json
import os
import sys
import threading
import traceback
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

__all__ = ["dump", "leaves", "load", "outcomes_of", "positional", "stand_in"]

Packed = Any
Lock = Mapping[str, Any]
# How finely arguments are looked at, as a part of their length: what float32 rounds is far smaller.
_GRID = 1e-3
# So far may what stands for a function be from where it was computed.
_NEAR = 1e-6
# So many times more calls than there may be are enough to see where it leads.
FAR = 20
MOST_OUTPUT = 10_000
MOST_TEXT = 2_000
MOST_NOTED = 20
STRUCTURE = "structure"
_FOREIGN = frozenset({"autograd", "cupy", "jax", "minires", "tensorflow", "tinygrad", "torch"})
_BEYOND = {
    "os.exec": "becomes another program",
    "os.fork": "starts a process",
    "os.forkpty": "starts a process",
    "os.kill": "sends a signal",
    "os.killpg": "sends a signal",
    "os.posix_spawn": "starts a program",
    "os.system": "starts a program",
    "socket.bind": "uses the network",
    "socket.connect": "uses the network",
    "socket.getaddrinfo": "uses the network",
    "subprocess.Popen": "starts a program",
}


def dump(path: str | os.PathLike[str] | io.BytesIO, value: Any) -> None:
    """Write a value to an .npz file, which needs no pickle.

    Parameters
    ----------
    path : path or io.BytesIO
    value : None, bool, int, float, str, array, or list, tuple or dict of such
        Arrays are of numbers or truth values.

    Raises
    ------
    TypeError
        If it is anything else.
    """
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(_pack(value, arrays))
    arrays[STRUCTURE] = np.frombuffer(text.encode(), np.uint8)
    np.savez(path, **arrays)  # type: ignore[arg-type]


def load(path: str | os.PathLike[str] | io.BytesIO) -> Any:
    """Return what `dump` wrote."""
    with np.load(path, allow_pickle=False) as file:
        structure = json.loads(file[STRUCTURE].tobytes().decode())
        return _unpack(structure, file)


def _pack(value: Any, arrays: dict[str, np.ndarray]) -> Packed:
    if value is None or value.__class__ in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.dtype.kind not in "biufc":
            raise TypeError(f"an array of {array.dtype}")
        key = f"array {len(arrays)}"
        arrays[key] = array.view(np.ndarray)
        return {"array": key}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_pack(each, arrays) for each in value]}
    if isinstance(value, dict):
        return {"dict": [[str(key), _pack(each, arrays)] for key, each in value.items()]}
    raise TypeError(f"a {type(value).__name__}")


def _unpack(packed: Packed, arrays: Mapping[str, np.ndarray]) -> Any:
    if not isinstance(packed, dict):
        return packed
    if "array" in packed:
        return arrays[packed["array"]]
    if "dict" in packed:
        return {key: _unpack(each, arrays) for key, each in packed["dict"]}
    [(kind, parts)] = packed.items()
    values = [_unpack(each, arrays) for each in parts]
    return values if kind == "list" else tuple(values)


def leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the arrays, numbers and strings of a value, with their names in it."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from leaves(f"{name}.{key}", each)
    elif isinstance(value, list | tuple):
        for place, each in enumerate(value):
            yield from leaves(f"{name}[{place}]", each)
    else:
        yield name, value


def main(job: str, out: str) -> None:
    """Do a job, and write down what came of it."""
    asked = load(job)
    file = Path(asked["file"])
    # Behind everything else, lest a file of the student's stands in for one of Python's.
    sys.path.append(str(file.parent))
    said = _Said(MOST_OUTPUT)
    noted: list[str] = []
    _note(noted)
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        also = {name: asked[name] for name in ("given", "measure") if name in asked}
        outcomes = list(_outcomes(file, asked["calls"], **also))
    dump(out, {"outcomes": outcomes, "said": said.getvalue(), "noted": noted})


def _outcomes(
    file: Path,
    calls: list[dict[str, Any]],
    given: Mapping[str, Sequence[Lock]] | None = None,
    measure: Mapping[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield what each call came to: a result, or an error."""
    try:
        module = _imported(file)
        for name, locks in (given or {}).items():
            _replace(module, file, name, locks)
    except BaseException as error:
        yield _told(error, file) | {"unread": True}
        return
    yield from outcomes_of(module, file, calls, measure)


def outcomes_of(
    module: Any,
    file: Path,
    calls: list[dict[str, Any]],
    measure: Mapping[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield what each call of a module's function came to.

    Parameters
    ----------
    module : object
        Has the functions.
    file : Path
        That they are in; where an error came up is told of the files beside it.
    calls : list of dict
        function, by its name, and arguments.
    measure : dict or None
        What is measured beside values.
    """
    for call in calls:
        function = getattr(module, call["function"], None)
        if not callable(function):
            yield {"missing": call["function"]}
            continue
        try:
            yield _outcome(function, call["arguments"], file, **(measure or {}))
        except BaseException as error:
            yield _told(error, file)


def _outcome(
    function: Callable[..., Any],
    arguments: list[Any],
    file: Path,
    calls: int | None = None,
    memory: bool = False,
) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as noted, _counting(file, calls) as counted:
        warnings.simplefilter("always")
        result = function(*arguments)
    for said in sorted({str(each.message)[:MOST_TEXT] for each in noted})[:MOST_NOTED]:
        sys.stdout.write(f"warning: {said}\n")
    outcome = {"arguments": arguments, "shared": _shared(result, arguments)}
    try:
        _pack(result, {})
    except TypeError as error:
        return outcome | {"unreadable": str(error)}
    # A later call may change what this one returned.
    outcome |= {"result": copy.deepcopy(result)}
    if calls is not None:
        outcome["calls"] = sum(counted)
    if memory:
        outcome["kept"] = _kept(function, arguments)
    return outcome


class TooManyCallsError(BaseException):
    """A call has called far more functions than it may."""


@contextlib.contextmanager
def _counting(file: Path, most: int | None) -> Iterator[list[int]]:
    """Count the functions that are called by what stands in the folder of a file.

    At far more than `most`, such as an exponential algorithm comes to, it is broken off.
    """
    counted = [0]
    folder = str(file.parent)

    def count(frame: FrameType, event: str, argument: Any) -> None:
        if event in ("call", "c_call") and frame.f_code.co_filename.startswith(folder):
            counted[0] += 1
            if most is not None and counted[0] > FAR * most:
                raise TooManyCallsError(f"more than {FAR * most}")

    before = sys.getprofile()
    if most is not None:
        sys.setprofile(count)
    try:
        yield counted
    finally:
        sys.setprofile(before)


def _kept(function: Callable[..., Any], arguments: list[Any]) -> int:
    """Return how many bytes more each call leaves behind, when what it returned is let go."""
    import tracemalloc

    held = []
    gc.freeze()  # what is there already is not looked through each time
    tracemalloc.start()
    try:
        with contextlib.redirect_stdout(_Said(0)), contextlib.redirect_stderr(_Said(0)):
            for _ in range(4):
                function(*copy.deepcopy(arguments))
                gc.collect()
                held.append(tracemalloc.get_traced_memory()[0])
    finally:  # in a notebook, this process goes on
        tracemalloc.stop()
        gc.unfreeze()
    # What is kept once, such as a table that is made when it is needed first, does not grow.
    return min(after - before for before, after in pairwise(held))


def _replace(module: Any, file: Path, name: str, locks: Sequence[Lock]) -> None:
    """Put in the place of a function one that returns what it should, where that is given."""
    folder = f"{file.parent}{os.sep}"
    own = [
        each
        for each in list(sys.modules.values())
        if str(getattr(each, "__file__", "")).startswith(folder) and hasattr(each, name)
    ]
    for each in own or [module]:
        setattr(each, name, stand_in(name, getattr(each, name, None), locks))


def stand_in(name: str, own: Any, locks: Sequence[Lock]) -> Callable[..., Any]:
    """Return what stands in for a function: it opens locks, and leaves the rest to the function."""

    def given(*arguments: Any, **named: Any) -> Any:
        found = dict(leaves("", positional(own, arguments, named)))
        keys: dict[tuple[str, ...], bytes] = {}
        for lock in locks:
            names = tuple(lock["leaves"])
            if names not in keys:
                keys[names] = key_of(name, found, names)
            if label_of(keys[names]) == lock["label"]:
                opened = load(io.BytesIO(turned(keys[names], lock["data"]).tobytes()))
                single = any(getattr(each, "dtype", None) == np.float32 for each in found.values())
                # Who comes near to the arguments has the key, and is not where the solution is.
                if _is_near(opened["seen"], found, _GRID if single else _NEAR):
                    return _as_single(opened["result"]) if single else opened["result"]
        return own(*arguments, **named)

    return given


def positional(function: Any, arguments: Sequence[Any], named: Mapping[str, Any]) -> list[Any]:
    """Return all arguments of a call in the order of its parameters, whichever were named.

    A list of numbers is as good as an array of them.
    """
    try:
        bound = inspect.signature(function).bind(*arguments, **named)
    except (TypeError, ValueError):
        found = (*arguments, *named.values())
    else:
        bound.apply_defaults()
        found = bound.args
    numbers = (int, float, np.number)
    return [
        np.array(each)
        if isinstance(each, list | tuple) and each and all(isinstance(n, numbers) for n in each)
        else each
        for each in found
    ]


def _as_single(value: Any) -> Any:
    """Return a value with its numbers in float32, as who computes in it would have them."""
    if isinstance(value, np.ndarray) and value.dtype == np.float64:
        return value.astype(np.float32)
    if isinstance(value, dict):
        return {key: _as_single(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_as_single, value))
    return value


def key_of(name: str, found: Mapping[str, Any], names: Sequence[str]) -> bytes:
    """Return what arguments are, up to rounding.

    Parameters
    ----------
    name : str
        Of the function.
    found : mapping of str to value
        Leaves of the arguments.
    names : sequence of str
        Of the leaves there have to be. A cache, which is a dict, may have more.
    """
    import hashlib

    total = hashlib.sha256(name.encode())
    for each in (*names, *(more for more in found if more not in names and "." not in more)):
        total.update(f"{each} {_rounded(each, found.get(each))}\n".encode())
    return total.digest()


def _rounded(name: str, value: Any) -> str:
    """Return a value, or of an array its shape, length and direction, on a grid."""
    if value is None or isinstance(value, str):
        return repr(value)
    try:
        shape = np.shape(value)
        seen = seen_of(name, value)
    except (TypeError, ValueError):  # of what is no number, but something of the student's
        return type(value).__name__
    return f"{shape} {np.rint(seen / _GRID).tolist()}"


def seen_of(name: str, value: Any) -> np.ndarray:
    """Return a number's or an array's length and direction, in a few numbers.

    Raises
    ------
    TypeError, ValueError
        If it is neither.
    """
    array = np.asarray(value)
    if array.dtype.kind == "c":
        raise TypeError("a complex number has no direction here")
    flat = array.astype(float).ravel()
    length = float(np.linalg.norm(flat))
    if length == 0.0 or not np.isfinite(length):
        return np.array([length])
    rng = np.random.default_rng([zlib.crc32(name.encode()), flat.size])
    direction = rng.standard_normal((8, flat.size)) @ (flat / length)
    return np.append(direction, np.log(length))


def _is_near(seen: Mapping[str, np.ndarray], found: Mapping[str, Any], most: float) -> bool:
    each = ((there, seen_of(name, found[name])) for name, there in seen.items())
    return all(a.shape == b.shape and np.allclose(a, b, 0, most, True) for a, b in each)


def label_of(key: bytes) -> str:
    import hashlib

    return hashlib.sha256(b"label" + key).hexdigest()


def turned(key: bytes, data: np.ndarray) -> np.ndarray:
    """Make data unreadable, or readable again."""
    import hashlib

    stream = hashlib.shake_256(b"data" + key).digest(data.size)
    return data ^ np.frombuffer(stream, np.uint8)


def _shared(result: Any, arguments: list[Any]) -> bool:
    """Return whether an array of the result lies in the memory of an argument.

    What is in a dict is a cache, which may well keep what the function was called with.
    """
    parts = result if isinstance(result, list | tuple) else [result]
    ours = [a for part in parts if not isinstance(part, dict) for a in _arrays(part)]
    theirs = list(_arrays(arguments))
    return any(np.shares_memory(a, b) for a in ours for b in theirs)


def _arrays(value: Any) -> Iterator[np.ndarray]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict):
        yield from _arrays(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _arrays(each)


def _told(error: BaseException, file: Path) -> dict[str, Any]:
    """Return an error as its kind, its message, and where in the student's files it came up."""
    frames = [
        f"{Path(frame.filename).name}, line {frame.lineno}: {(frame.line or '')[:MOST_TEXT]}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent == file.parent
    ]
    message = str(error)
    if isinstance(error, SyntaxError) and error.lineno:
        where = Path(error.filename or file).name
        text = (error.text or "").strip()[:MOST_TEXT]
        frames.append(f"{where}, line {error.lineno}: {text}")
        message = str(error.msg)  # without the place, which is told beside
    return {
        "error": type(error).__name__,
        "kinds": [each.__name__ for each in type(error).__mro__][:MOST_NOTED],
        "message": message[:MOST_TEXT],
        "frames": frames[-MOST_NOTED:],
    }


def _imported(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def _note(noted: list[str]) -> None:
    """Write down, from now on, what no solution needs.

    It stops nobody, and who means to can silence it: it tells of what was tried. What counts, that
    there is nothing to be had, is another's care.
    """
    here = (str(Path.cwd()), os.devnull)
    readable = (*here, *sys.path, str(Path(__file__).absolute()), "/dev/urandom")

    def hook(event: str, details: tuple[Any, ...]) -> None:
        fact = _BEYOND.get(event, "")
        if event == "open" and isinstance(details[0], str):
            path, flags = os.path.abspath(details[0]), details[2]  # noqa: PTH100  (opens nothing)
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if not path.startswith(here if writes else readable):
                fact = f"{'writes' if writes else 'opens'} {path[:200]}"
        note(fact)

    def note(fact: str) -> None:
        if fact and fact not in noted and len(noted) < MOST_NOTED:
            noted.append(fact)

    class Finder:
        """Finds nothing, and so leaves it to the next; sees every way of importing."""

        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> None:
            if name in _FOREIGN:
                note(f"imports {name}")

    sys.meta_path.insert(0, Finder)
    sys.addaudithook(hook)


class _Said(io.StringIO):
    """What was printed, as far as there is room for it."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._room = most

    def write(self, text: str) -> int:
        super().write(text[: self._room])
        self._room -= min(len(text), self._room)
        return len(text)


def _wait() -> None:
    """Wait for a line on stdin before the job is read; end as soon as who has its other end does.

    So a process can be started before it is known what for. That it waits is told by a letter on
    stdout, which leads nowhere from then on.
    """
    os.write(1, b"\n")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    if not os.read(0, 1):
        sys.exit()

    def listen() -> None:
        # Not by sys.stdin, the lock of which would hold up the end of this process.
        if not os.read(0, 1):
            os._exit(1)

    threading.Thread(target=listen, daemon=True).start()
    sys.stdin = io.StringIO()


if __name__ == "__main__":
    if sys.argv[3:] == ["--wait"]:
        _wait()
    main(*sys.argv[1:3])
