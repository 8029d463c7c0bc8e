"""The pickles in PyTorch's archives, run by a machine that can do nothing but build plain values.

A pickle is a program for a stack machine. The machine in Python's `pickle` fetches and calls
whatever object the program names, so a stranger's file can run any code. This one has only the
instructions that PyTorch's archives are made of. A name in the program stays a name, and to call
one means to run one of the few functions below.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

__all__ = ["Storage", "StridedTensor", "TorchArchiveError", "run_pickle"]

# A tensor takes about 30. Each makes at most some 100 bytes beyond what stands in the file, and
# takes a microsecond or two: whatever a program says, it ends soon, in 100 MB. A call that looks
# at a long list, which may stand once in the file and be called with often, counts as many.
_MOST_INSTRUCTIONS = 1_000_000
# To compare two long texts takes long, too.
_LONGEST_KEY = 1000
_LATEST_PROTOCOL = 5
_MOST_AXES = 64

# What is called Storage in PyTorch is an array of one axis; its class says the dtype.
_DTYPES = {
    "torch DoubleStorage": "float64",
    "torch FloatStorage": "float32",
    "torch HalfStorage": "float16",
    "torch BFloat16Storage": "bfloat16",
    "torch LongStorage": "int64",
    "torch IntStorage": "int32",
    "torch ShortStorage": "int16",
    "torch CharStorage": "int8",
    "torch ByteStorage": "uint8",
    "torch BoolStorage": "bool",
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class TorchArchiveError(ValueError):
    """A PyTorch archive is damaged, or holds what minires does not read; nothing in it has run."""


@dataclass(frozen=True)
class Storage:
    """Where a tensor's values are kept.

    Attributes
    ----------
    dtype : str
    key : str
        Its name in the archive.
    count : int
        How many values it should have.
    """

    dtype: str
    key: str
    count: int


@dataclass(frozen=True)
class StridedTensor:
    """A tensor whose values are still to be fetched; offset and strides count values, not bytes."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True)
class _Name:
    """What stands for a class or a function; nothing is imported."""

    name: str


class _Mark:
    """Where on the stack the items of a list, tuple or dictionary begin."""


_MARK = _Mark()


def run_pickle(stream: IO[bytes]) -> tuple[Any, dict[str, Storage]]:
    """Run the pickle at the stream's place, and leave the stream just behind it.

    Parameters
    ----------
    stream : binary file object
        In memory: a length that the pickle states is believed as far as there are bytes.

    Returns
    -------
    value : Any
        Of numbers, text, bytes, None, lists, tuples, dictionaries, `Storage` and `StridedTensor`.
        Parts may stand in several places, or contain themselves.
    storages : dict of str to Storage
        Those that were spoken of, by their keys.

    Raises
    ------
    TorchArchiveError
        If it is damaged, or does anything that the pickle of a PyTorch archive need not do.

    Examples
    --------
    >>> import io, pickle
    >>> run_pickle(io.BytesIO(pickle.dumps({"epoch": 3}, protocol=2)))
    ({'epoch': 3}, {})
    >>> run_pickle(io.BytesIO(pickle.dumps(print, protocol=2)))
    Traceback (most recent call last):
        ...
    minires.serialize.torch_pickle.TorchArchiveError: it asks for '__builtin__.print', ...
    """
    # A backslash in a name, which only a damaged pickle has, is warned of by pickletools.
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        return _run(stream)


def _run(stream: IO[bytes]) -> tuple[Any, dict[str, Storage]]:
    machine = _Machine()
    instructions = pickletools.genops(stream)
    while True:
        try:
            instruction, argument, _ = next(instructions)
        except ValueError as error:
            raise TorchArchiveError(f"its pickle is cut short or damaged ({error})") from None
        if instruction.name == "STOP":
            return machine.pop(), machine.storages
        machine.spend(1)
        machine.step(instruction.name, argument)


class _Machine:
    """A stack, and a memo of what will be needed again."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}
        self.left = _MOST_INSTRUCTIONS

    def spend(self, instructions: int) -> None:
        """Count instructions; there are only so many."""
        self.left -= instructions
        if self.left < 0:
            raise TorchArchiveError(
                f"its pickle has more than {_MOST_INSTRUCTIONS:,} instructions, or calls that take"
                " as long; weights need far fewer"
            )

    def step(self, instruction: str, argument: Any) -> None:
        """Carry out one instruction."""
        push = self.stack.append
        match instruction:
            case "PROTO":
                if argument > _LATEST_PROTOCOL:
                    raise TorchArchiveError(f"its pickle is of the unknown protocol {argument}")
            case "FRAME":  # speaks of reading ahead
                pass
            case "MARK":
                push(_MARK)
            case _ if instruction in _CONSTANTS:
                push(_CONSTANTS[instruction])
            case _ if instruction in _LITERALS:
                push(argument)
            case _ if instruction in _TUPLES:
                items = [self.pop() for _ in range(_TUPLES[instruction])]
                push(tuple(reversed(items)))
            case "TUPLE":
                push(tuple(self.pop_to_mark()))
            case "EMPTY_LIST":
                push([])
            case "APPEND":
                item = self.pop()
                self.top(list).append(item)
            case "APPENDS":
                items = self.pop_to_mark()
                self.top(list).extend(items)
            case "EMPTY_DICT":
                push({})
            case "SETITEM":
                value, key = self.pop(), self.pop()
                _set_items(self.top(dict), [key, value])
            case "SETITEMS":
                items = self.pop_to_mark()
                _set_items(self.top(dict), items)
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self.top(object)
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.top(object)
            case "BINGET" | "LONG_BINGET":
                if argument not in self.memo:
                    raise TorchArchiveError(f"its pickle needs again what it never had: {argument}")
                push(self.memo[argument])
            case "GLOBAL":
                push(_allowed(argument))
            case "STACK_GLOBAL":
                name, module = self.pop(), self.pop()
                if not isinstance(module, str) or not isinstance(name, str):
                    raise TorchArchiveError("its pickle is damaged: what it asks for has no name")
                push(_allowed(f"{module} {name}"))
            case "BINPERSID":
                what = self.pop()
                self.spend(_length(what))
                push(self.storage(what))
            case "REDUCE":
                arguments, function = self.pop(), self.pop()
                self.spend(_length(arguments))
                push(_call(function, arguments))
            case "BUILD":  # sets attributes; PyTorch notes versions so, in a state_dict
                self.pop()
                self.top(dict)
            case _:
                raise TorchArchiveError(
                    f"its pickle uses the instruction {instruction}, which no weights need"
                )

    def pop(self) -> Any:
        """Take the top of the stack."""
        value = self.top(object)
        self.stack.pop()
        return value

    def top(self, kind: type) -> Any:
        """Return the top of the stack, of this type, and leave it there."""
        if not self.stack or self.stack[-1] is _MARK or not isinstance(self.stack[-1], kind):
            raise TorchArchiveError("its pickle is damaged: what is needed is not on the stack")
        return self.stack[-1]

    def pop_to_mark(self) -> list[Any]:
        """Take everything down to the last mark, and the mark."""
        place = len(self.stack) - 1
        while place >= 0 and self.stack[place] is not _MARK:
            place -= 1
        if place < 0:
            raise TorchArchiveError("its pickle is damaged: a mark is missing on the stack")
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items

    def storage(self, what: Any) -> Storage:
        """Note what a persistent id speaks of."""
        match what:
            # The sixth, of old archives, says of which storage this one is a part.
            case ("storage", _Name(kind), str(key), str(), int(count), *view) if (
                kind in _DTYPES
                and _is_count(count)
                and len(key) <= _LONGEST_KEY
                and view in ([], [None])
            ):
                found = Storage(_DTYPES[kind], key, count)
            case ("storage", _, _, _, _, tuple()):
                raise TorchArchiveError("it keeps a storage as part of another, as PyTorch 0.1 did")
            case _:
                raise TorchArchiveError(f"it refers to {shown(what)}, which is no storage")
        if self.storages.setdefault(found.key, found) != found:
            raise TorchArchiveError(f"it speaks of the storage {shown(key)} in two ways")
        return found


def shown(value: Any) -> str:
    """Return a short look at a value from the file, with nothing that steers a terminal."""
    if isinstance(value, str | bytes):
        return ascii(value) if len(value) <= 60 else f"{value[:50]!a}... ({len(value)} long)"
    if isinstance(value, int | float | None):
        return str(value) if not isinstance(value, int) or abs(value) < 2**64 else "a huge number"
    if isinstance(value, _Name):
        return shown(value.name.replace(" ", "."))
    return f"a {type(value).__name__.strip('_')}"


def _length(value: Any) -> int:
    """Of a list or tuple and of those directly in it."""
    if not isinstance(value, list | tuple):
        return 0
    return len(value) + sum(len(item) for item in value if isinstance(item, list | tuple))


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**48


def _set_items(target: dict[Any, Any], items: list[Any]) -> None:
    if len(items) % 2:
        raise TorchArchiveError("its pickle is damaged: a dictionary's key has no value")
    for key, value in zip(items[::2], items[1::2], strict=True):
        # A tuple's hash, or a dictionary of huge numbers with the same one, could take for ever.
        is_name = isinstance(key, str) and len(key) <= _LONGEST_KEY
        if not is_name and not (isinstance(key, int) and abs(key) < 2**60):
            raise TorchArchiveError(
                f"a dictionary has the key {shown(key)}; only names and numbers are read"
            )
        target[key] = value


def _allowed(name: str) -> _Name:
    if name in _DTYPES or name in _FUNCTIONS:
        return _Name(name)
    raise TorchArchiveError(
        f"it asks for {shown(_Name(name))}, and minires reads tensors and plain values alone, so"
        " that nothing in a file can run. If you trust the file, open it in PyTorch and save the"
        " state_dict by itself: torch.save(model.state_dict(), path)"
    )


def _call(function: Any, arguments: Any) -> Any:
    if not isinstance(function, _Name) or not isinstance(arguments, tuple):
        raise TorchArchiveError("its pickle is damaged: it calls what is no function")
    if function.name not in _FUNCTIONS:
        raise TorchArchiveError(f"it calls {shown(function)}, which is no function")
    result = _FUNCTIONS[function.name](arguments)
    if result is None:
        found = ", ".join(map(shown, arguments[:8]))
        raise TorchArchiveError(f"it calls {shown(function)} with ({found})")
    return result


# Each returns None of arguments that it does not know.


def _ordered_dict(arguments: tuple[Any, ...]) -> dict[Any, Any] | None:
    made: dict[Any, Any] = {}
    match arguments:
        case ():
            return made
        case (list(pairs),):  # Python 2 wrote its items so
            for pair in pairs:
                if not isinstance(pair, list | tuple) or len(pair) != 2:
                    return None
                _set_items(made, list(pair))
            return made
    return None


def _tensor(arguments: tuple[Any, ...]) -> StridedTensor | None:
    match arguments:
        case (Storage() as storage, offset, tuple(size), tuple(stride), *rest) if len(size) == len(
            stride
        ) <= _MOST_AXES and all(map(_is_count, (offset, *size, *stride))):
            if any(rest[2:]):  # behind requires_grad and hooks; says such as {"neg": True}
                raise TorchArchiveError(
                    "it keeps a tensor by other values, such as the negative ones; save it anew,"
                    " after tensor.resolve_neg()"
                )
            return StridedTensor(storage, offset, size, stride)
    return None


def _parameter(arguments: tuple[Any, ...]) -> StridedTensor | None:
    match arguments:
        case (StridedTensor() as tensor, *_):  # then requires_grad and hooks
            return tensor
    return None


def _size(arguments: tuple[Any, ...]) -> tuple[int, ...] | None:
    match arguments:
        case (tuple(size),) if all(map(_is_count, size)):
            return size
    return None


_FUNCTIONS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "collections OrderedDict": _ordered_dict,
    "torch Size": _size,
    "torch._utils _rebuild_tensor": _tensor,
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
}
