"""Capture and replay: many launches recorded once, then started by one call.

Between `begin` and `end` of a capture CUDA notes launches instead of running them. What is noted
are addresses and numbers: a replay starts the same kernels on the same memory, whatever Python
objects have become of it. So all memory of a captured computation comes from a pool of its own,
which lives as long as the graph and gives nothing back; and a Python number is what it was at the
capture, for ever. What is to change between replays must be read from the device's memory.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .launching import Launching

# How many lines of the way to what was refused an error names.
_LINES = 3
_MINIRES = str(Path(__file__).parents[2])


class CaptureError(RuntimeError):
    """Something was done inside a capture that a GPU cannot record."""


class Graph:
    """What was captured; made by `CudaDevice.capture`.

    Attributes
    ----------
    pool
        The memory pool that everything allocated inside the capture came from. The graph keeps it:
        memory that Python has given back is still written by a replay.
    """

    def __init__(self, cuda: Any) -> None:
        self.pool = cuda.MemoryPool(_allocator(cuda))
        self._graph: Any = None

    def replay(self) -> None:
        """Start all that was captured, on the current stream; do not wait for it.

        Raises
        ------
        RuntimeError
            If the capture has not ended, or failed.
        """
        if self._graph is None:
            raise RuntimeError(
                "replay: there is nothing to replay; the graph is complete after the with-block of"
                " device.capture(), if that ended without an error"
            )
        self._graph.launch()


def _allocator(cuda: Any) -> Any:
    """Return what a pool gets memory from: holding it, so that no want of memory frees it.

    It knows the pool's memory and not the graph, which so goes with its last user, and does not
    wait for Python's garbage collector with the memory of a whole step.
    """
    chunks: list[Any] = []

    def allocate(size: int) -> Any:
        chunk = cuda.MemoryPointer(cuda.Memory(size), 0)
        chunks.append(chunk)
        return chunk

    return allocate


class CudaGraphs(Launching):
    """Capturing what would be launched on a GPU."""

    @contextlib.contextmanager
    def capture(self) -> Iterator[Graph]:
        """Record, inside the block, every launch instead of running it.

        Nothing is computed inside: results hold garbage until the first `Graph.replay`. Run the
        same code once or twice before, so that kernels are compiled and lazily made arrays exist.
        All that the code reads or writes and that was made outside of the block must be kept alive
        by the caller, at the same place, as long as the graph is replayed.

        Yields
        ------
        Graph
            Complete when the block has ended.

        Raises
        ------
        CaptureError
            If the block copies to or from the host, waits for the device, or calls what CuPy
            cannot capture (its own cuBLAS calls, cuRAND); it says where. The capture is over then.
        """
        if self.is_capturing():
            raise CaptureError("capture: a capture is under way; graphs cannot be nested")
        # The memory of the eager steps before would lie idle beside the graph's own.
        self.xp.get_default_memory_pool().free_all_blocks()
        cuda = self.xp.cuda
        graph, stream = Graph(cuda), self._recording_stream
        with cuda.using_allocator(graph.pool.malloc), stream:
            stream.begin_capture()
            try:
                yield graph
            except BaseException as error:
                # The interrupted recording is thrown away, and with it what it complains of.
                with contextlib.suppress(RuntimeError):
                    stream.end_capture()
                if _is_refusal(error):
                    raise self._explained(error) from error
                raise
            else:
                try:
                    captured = stream.end_capture()
                except RuntimeError as error:
                    raise CaptureError(
                        f"capture: CUDA threw the recording away ({error}); something inside was"
                        " refused, and the refusal was not passed on"
                    ) from error
        captured.upload()
        graph._graph = captured

    @functools.cached_property
    def _recording_stream(self) -> Any:
        """The stream of all captures: for each stream, cuBLAS keeps a workspace for ever."""
        return self.xp.cuda.Stream(non_blocking=True)

    def _explained(self, error: BaseException) -> CaptureError:
        return CaptureError(
            f"capture: what cannot be captured was done at {self._place(error)}"
            f" ({type(error).__name__}: {error}). While a step is captured nothing runs, so no"
            " value can be copied to the host or looked at (item(), float(), if, print), nothing"
            " can be waited for, and nothing be uploaded: keep values on the device, and make"
            " arrays from host data before the capture. Or run without a graph"
        )

    def _place(self, error: BaseException) -> str:
        """Name the line that asked for it: the innermost one that is not of minires comes first."""
        library = str(Path(inspect.getfile(self.xp.ndarray)).parent)
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if not frame.filename.startswith((library, __file__, contextlib.__file__))
            and not frame.filename.endswith(".pyx")
        ]
        users = [i for i, frame in enumerate(frames) if not frame.filename.startswith(_MINIRES)]
        rest = frames[users[-1] + 1 :] if users else frames
        first = [frames[users[-1]]] if users else []
        named = first + rest[len(first) - _LINES :]
        lines = [f"{frame.filename}:{frame.lineno} ({frame.line})" for frame in named]
        return ", which led to ".join(lines)

    def refuse_upload(self) -> None:
        """Raise if a capture is under way: CuPy records the copy of memory that it soon reuses.

        Raises
        ------
        CaptureError
        """
        if self.is_capturing():
            raise CaptureError("an array made of host data: the stream is capturing")


def _is_refusal(error: BaseException) -> bool:
    """Tell CUDA's and CuPy's objections to being captured from all other errors."""
    return isinstance(error, RuntimeError) and "captur" in str(error).lower()
