"""Where a student's code runs: a program of its own, of Python and NumPy alone.

It is started as ``python -I child.py JOB OUT``: reads from JOB, an .npz, which functions of which
file to call with what, and writes to OUT what they returned. It judges nothing, and knows no right
answer; whoever started it compares. Nothing here may import minires, for the code that runs here
may not either.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import io
import json
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["dump", "load"]

Packed = Any
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


def dump(path: str | os.PathLike[str], value: Any) -> None:
    """Write a value to an .npz file, which needs no pickle.

    Parameters
    ----------
    path : path
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
        return {"array": key, "contiguous": bool(array.flags.c_contiguous)}
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
        outcomes = list(_outcomes(file, asked["calls"]))
    dump(out, {"outcomes": outcomes, "said": said.getvalue(), "noted": noted})


def _outcomes(file: Path, calls: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what each call came to: a result, or an error."""
    try:
        module = _imported(file)
    except BaseException as error:
        yield _told(error, file)
        return
    for call in calls:
        function = getattr(module, call["function"], None)
        if not callable(function):
            yield {"missing": call["function"]}
            continue
        try:
            yield _outcome(function, call["arguments"])
        except BaseException as error:
            yield _told(error, file)


def _outcome(function: Callable[..., Any], arguments: list[Any]) -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always")
        result = function(*arguments)
    outcome = {
        "arguments": arguments,
        "shared": _shared(result, arguments),
        "warnings": sorted({str(each.message)[:MOST_TEXT] for each in noted})[:MOST_NOTED],
    }
    try:
        _pack(result, {})
    except TypeError as error:
        return outcome | {"unreadable": str(error)}
    # A later call may change what this one returned.
    return outcome | {"result": copy.deepcopy(result)}


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
    if isinstance(error, SyntaxError) and error.lineno:
        where = Path(error.filename or file).name
        frames.append(f"{where}, line {error.lineno}: {(error.text or '').strip()}")
    message = str(error)[:MOST_TEXT]
    return {"error": type(error).__name__, "message": message, "frames": frames[-MOST_NOTED:]}


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

    So a process can be started before it is known what for.
    """
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
