"""Several processes, the ranks, that train one network together.

``mpiexec -n 4 python train.py`` starts a program four times. Each process `join`s the others, and
gives what it gets to the `DataLoader`, which deals out the batches, and to the `Trainer`, which
adds up the gradients. From then on all do the same steps; what is said and written is rank 0's
part. `docs/distributed.md` goes through all of it.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from minires import devices
from minires.autograd import Tensor
from minires.devices import set_num_threads
from minires.devices.communicator import Alone, Communicator
from minires.nn import Module

from .divergence import DivergedError
from .mpi import MPICommunicator

__all__ = [
    "Alone",
    "Communicator",
    "DistributedError",
    "MPICommunicator",
    "aborting",
    "check_alike",
    "digest",
    "join",
    "on_any",
    "start_alike",
    "together",
]


class DistributedError(RuntimeError):
    """Something is wrong with a rank; raised by all of them, so that none waits for another."""


def join(threads: int | None = None, device: str = "cpu") -> MPICommunicator:
    """Meet the other ranks that `mpiexec` started, and share the machine with them.

    Parameters
    ----------
    threads : int, optional
        Of each rank's kernels; by default the cores of the machine, divided by the ranks on it.
    device : {"cpu", "cuda"}
        Where the ranks compute. Each takes the GPU with its number on this machine, and NCCL where
        CuPy has it.

    Returns
    -------
    MPICommunicator
        A `Communicator`; its `device` is this rank's own, such as ``"cuda:1"``. Without `mpiexec`
        it is one of a single rank.

    Raises
    ------
    ImportError, RuntimeError
        As `MPICommunicator`; RuntimeError also if there are fewer GPUs than ranks on the machine.
    """
    communicator = MPICommunicator()
    share = max(1, communicator.cores // communicator.local_size)
    set_num_threads(share if threads is None else threads)
    if device == "cpu":
        return communicator
    gpus = devices.cuda.device_count()
    with together(communicator):  # for another machine may have enough of them
        if communicator.local_size > gpus:
            raise RuntimeError(
                f"{communicator.local_size} ranks on this machine need a GPU each; there are"
                f" {gpus}. {devices.cuda.missing() or 'Start fewer ranks'}"
            )
    name = devices.get(f"cuda:{communicator.local_rank}").name
    from cupy.cuda import nccl

    if nccl.available:
        from .nccl import NCCLCommunicator

        communicator = NCCLCommunicator()
    communicator.device = name
    return communicator


@contextmanager
def aborting(communicator: Communicator) -> Iterator[None]:
    """End all ranks if the block fails on this one, instead of letting them wait for it for ever.

    The rank tells its number and the traceback; a `Trainer` adds how many steps it had taken. What
    all ranks raise alike, a `DistributedError` or `DivergedError`, goes on as it is, and so does an
    exit by `SystemExit`, which all must make then: MPI lets no rank go before the others.

    Examples
    --------
    >>> with aborting(Alone()):
    ...     1 + 1
    2
    """
    try:
        yield
    except (DistributedError, DivergedError, SystemExit):
        raise
    except BaseException as error:
        if communicator.size == 1:
            raise
        # One write, lest the ranks' lines mix.
        sys.stderr.write(
            f"rank {communicator.rank} of {communicator.size} failed; all ranks end.\n"
            + traceback.format_exc()
        )
        sys.stderr.flush()
        communicator.abort(130 if isinstance(error, KeyboardInterrupt) else 1)
        raise


@contextmanager
def together(communicator: Communicator) -> Iterator[None]:
    """Run the block on every rank; if it fails on one, all raise.

    For preparations that need no word between the ranks, such as opening files, of which one
    machine may lack some. All ranks meet at the block's end.

    Raises
    ------
    DistributedError
        If the block fails on some ranks, by an `Exception`; it tells which, and their errors. If
        all fail in the same way each raises its own error, which rank 0 can tell for all.

    Examples
    --------
    >>> with together(Alone()):
    ...     raise OSError("no such file")
    Traceback (most recent call last):
    OSError: no such file
    """
    caught: Exception | None = None
    try:
        yield
    except Exception as error:
        caught = error
    told = communicator.gather(None if caught is None else f"{type(caught).__name__}: {caught}")
    told = communicator.tell(told)
    assert told is not None
    if len(set(told)) > 1:
        lines = [f"rank {rank} of {len(told)}: {line}" for rank, line in enumerate(told) if line]
        raise DistributedError("\n".join(lines)) from caught
    if caught is not None:
        raise caught


def on_any(communicator: Communicator, flag: bool) -> bool:
    """Tell whether the flag is set on any rank: the same answer everywhere.

    A signal reaches the ranks at different moments. Asked after every step, this lets all of them
    stop behind the same one.

    Examples
    --------
    >>> on_any(Alone(), flag=False)
    False
    """
    (count,) = summed(communicator, float(flag))
    return count > 0


def summed(communicator: Communicator, *numbers: float) -> list[float]:
    """Return the sums of some numbers over all ranks."""
    if communicator.size == 1:
        return list(numbers)
    sums: list[float] = communicator.all_reduce(devices.cpu.array(numbers, "float64")).tolist()
    return sums


def start_alike(model: Module, communicator: Communicator) -> None:
    """Give every rank the parameters and buffers of rank 0.

    Parameters
    ----------
    model : Module
        Built alike on all ranks.
    communicator : Communicator

    Raises
    ------
    DistributedError
        If the models differ in the names, shapes or dtypes of what they are made of.
    """
    named = [*model.named_parameters(), *model.named_buffers()]
    layout = [f"{name} {tensor.shape} {tensor.dtype}" for name, tensor in named]
    check_alike(communicator, "the model's parameters and buffers", "; ".join(layout))
    for _, tensor in named:
        tensor.copy_(communicator.broadcast(tensor.detach().data.copy()))


def check_alike(communicator: Communicator, what: str, value: str) -> None:
    """Refuse ranks that do not agree.

    Parameters
    ----------
    communicator : Communicator
    what : str
        What must be alike: ``"the configuration"``.
    value : str
        This rank's.

    Raises
    ------
    DistributedError
        On all ranks; it tells what differs where.

    Examples
    --------
    >>> check_alike(Alone(), "the configuration", "batch_size=32")
    """
    values = communicator.gather(value)
    others = [] if values is None else [r for r, found in enumerate(values) if found != value]
    told = ""
    if values is not None and others:
        here, there = _difference(value, values[others[0]])
        told = f"{what} of rank 0 and rank {others[0]} differ: {here!r} is not {there!r}"
        told += f" (also on ranks {others[1:]})" if others[1:] else ""
    told = communicator.tell(told)
    if told:
        raise DistributedError(f"{told}. Start all ranks with the same command and files")


def _difference(a: str, b: str, around: int = 60) -> tuple[str, str]:
    """Return what two texts say where they first differ."""
    differ = (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
    first = next(differ, min(len(a), len(b)))
    start = max(0, first - around // 2)
    return a[start : start + around], b[start : start + around]


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return a checksum of Tensors by name, for `check_alike`.

    Examples
    --------
    >>> import minires as mr
    >>> digest({"a": mr.zeros(2)}) == digest({"a": mr.ones(2)})
    False
    """
    summary = hashlib.sha256()
    for name, tensor in tensors.items():
        host = tensor.device.to_numpy(tensor.detach().data)
        summary.update(f"{name} {tensor.shape} {tensor.dtype} ".encode())
        summary.update(host.tobytes())
    return summary.hexdigest()
