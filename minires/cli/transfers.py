"""How downloads are getting on: bars in a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[str, int, int | None], None]


@contextmanager
def bars_on_stderr(lines: bool = False) -> Iterator[Progress | None]:
    """Show a bar for each file while it arrives, where somebody sees it.

    Parameters
    ----------
    lines : bool
        Elsewhere, print a line for each tenth of a file.

    Yields
    ------
    callable or None
        To be told a file's name, its bytes so far, and all of them, or None if nobody knows.
    """
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        yield _lines(console.print) if lines else None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

    columns = TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def show(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=None)
            bar.update(tasks[name], completed=done, total=total)

        yield show


def _lines(write: Callable[..., None]) -> Progress:
    told: dict[str, int] = {}

    def tell(name: str, done: int, total: int | None) -> None:
        tenths = 10 * done // total if total else done >> 24  # a line for each 16 MiB
        if tenths > told.get(name, 0):
            told[name] = tenths
            share = f"{done / total:4.0%} of {total:,}" if total else f"{done:,}"
            write(f"{name}  {share} bytes", markup=False, soft_wrap=True)

    return tell
