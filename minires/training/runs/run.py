"""Carrying out a run: from its configuration, or its last checkpoint, to its result."""

from __future__ import annotations

import errno
import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from minires.data import WorkerError
from minires.data.sources import data_root
from minires.devices.communicator import Alone, Communicator
from minires.training.distributed import together

from .best import BEST
from .checkpoint import LAST
from .config import CONFIG, RunConfig, read_config, write_config
from .course import Course
from .errors import RunError
from .lock import locked
from .making import threads_of
from .metrics_log import LOG
from .result import RESULT, Result, read_result
from .watching import RunWatcher

__all__ = ["holds_run", "train"]


def holds_run(folder: str | os.PathLike[str]) -> bool:
    """Tell whether a folder has something of a run."""
    return any((Path(folder) / name).exists() for name in (CONFIG, LOG, LAST, BEST, RESULT))


def train(
    config: RunConfig,
    folder: str | os.PathLike[str],
    *,
    resume: bool = False,
    watcher: RunWatcher | None = None,
    communicator: Communicator | None = None,
    allow_reshard: bool = False,
) -> Result:
    """Train a network as a configuration says, and keep everything in a folder.

    Parameters
    ----------
    config : RunConfig
    folder : path
        Made if it is not there. It gets ``config.json``, ``metrics.jsonl`` and ``.csv``,
        ``last.safetensors`` and ``best.safetensors`` with their ``.json``, ``report.html``, and
        ``result.json``.
    resume : bool
        Go on with the run that is in the folder, from its last checkpoint, to the same weights as
        if nothing had happened. One that has no checkpoint yet begins again; one that is finished
        is left as it is.
    watcher : RunWatcher, optional
    communicator : Communicator, optional
        The ranks that train together, as from `minires.training.distributed.join`; all call this
        function with the same arguments, and rank 0 alone reads and writes the folder.
    allow_reshard : bool
        Go on with another number of ranks than the checkpoint is of.

    Returns
    -------
    Result

    Raises
    ------
    FileExistsError
        If there is a run in the folder, and it is not to be gone on with.
    ConfigError
        If the options do not fit the data, or each other. A folder that was made is gone again.
    CheckpointError
        If the checkpoint is damaged, or belongs to something else; nothing was changed.
    StoppedError
        If SIGTERM, SIGHUP or Ctrl-C came; a checkpoint was written.
    DivergedError
        If a loss, or weights, are not finite; the last finite weights are in the checkpoint.
    RunError
        If another process is training in the folder; if images can no more be read.
    DistributedError
        If something is wrong on some ranks; raised on all of them.
    OSError
        If the data set is not there, or the disk is full: the last checkpoint still is.

    Examples
    --------
    >>> import tempfile
    >>> from minires.training.runs.recipes import configured
    >>> folder = Path(tempfile.mkdtemp()) / "run"
    >>> config = configured("cifar_resnet8", "digits", epochs=1, model_options={"width": 2})
    >>> result = train(config, folder)
    >>> result.steps, sorted(path.name for path in folder.iterdir())[:3]
    (12, ['best.json', 'best.safetensors', 'config.json'])
    >>> train(config, folder, resume=True) == result
    True
    """
    folder, ranks, config = Path(folder), communicator or Alone(), _with_root(config)
    watcher = watcher if watcher is not None and ranks.rank == 0 else RunWatcher()
    finished = None
    with together(ranks):
        if ranks.rank == 0 and resume:
            finished = read_result(folder)
    finished = ranks.tell(finished)
    if finished is not None:
        watcher.noted(f"the run in '{folder}' is finished; nothing is changed")
        return finished
    with _folder_of(config, folder, ranks, resume), threads_of(config):
        course, state = Course(config, folder, watcher, ranks), None
        with together(ranks):
            if ranks.rank == 0 and resume:
                state = course.saved_state()
                _keep_where_the_data_are(config, folder)
                for torn in folder.glob(".*.tmp"):  # of writes that a kill broke off
                    torn.unlink()
        with _told_what_is_left(folder):
            return course.carried_out(ranks.tell(state), allow_reshard)


def _with_root(config: RunConfig) -> RunConfig:
    """Keep where the data sets are, which another shell may have no variable for."""
    if config.root is not None or not os.environ.get("MINIRES_DATA"):
        return config
    if config.dataset == "digits" or Path(config.dataset).is_absolute():  # they need no root
        return config
    return config.changed(root=str(data_root().absolute()))


@contextmanager
def _folder_of(
    config: RunConfig, folder: Path, ranks: Communicator, resume: bool
) -> Iterator[None]:
    """Write the configuration first; take it away again if it turns out to make no sense."""
    made, is_new, taken = [], False, None
    with ExitStack() as held:
        try:
            with together(ranks):
                if ranks.rank == 0:
                    made = [each for each in (folder, *folder.parents) if not each.exists()]
                    try:
                        _make(folder)
                        held.enter_context(locked(folder))
                        _refuse_to_overwrite(folder, resume)
                    except FileExistsError as error:
                        taken = error
                    else:
                        is_new = not (folder / CONFIG).exists()
                        if is_new:
                            write_config(config, folder)
            taken = ranks.tell(taken)
            if taken is not None:  # wrong usage, as of one rank alone
                raise taken
            yield
        except BaseException:
            if is_new and not (folder / LOG).exists():
                (folder / CONFIG).unlink(missing_ok=True)
                with suppress(OSError):  # another run may be in a folder above by now
                    for each in made:
                        each.rmdir()
            raise


def _refuse_to_overwrite(folder: Path, resume: bool) -> None:
    if not resume and holds_run(folder):
        raise FileExistsError(
            f"there is a run in '{folder}' already, which is not overwritten; go on with it by"
            " --resume, or name another folder"
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise FileExistsError(f"'{folder}' is a file, and a run is a folder") from None
    except OSError as error:
        raise OSError(f"the folder '{folder}' cannot be made ({error.strerror})") from None


def _keep_where_the_data_are(config: RunConfig, folder: Path) -> None:
    """Write down where the data set, which is the same, was moved to."""
    written = read_config(folder)
    if (written.dataset, written.root) != (config.dataset, config.root):
        write_config(written.changed(dataset=config.dataset, root=config.root), folder)


@contextmanager
def _told_what_is_left(folder: Path) -> Iterator[None]:
    """Say what is still there when nothing more can be written, or images can no more be read."""

    def advice(mend: str) -> str:
        if not (folder / LAST).exists():
            return f"{mend}, and begin again"
        return (
            f"the last checkpoint is whole: {mend}, then minires train --resume"
            f" {shlex.quote(str(folder))} goes on from it"
        )

    try:
        yield
    except WorkerError as error:
        raise RunError(f"{error}; {advice('put the image right')}") from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG):
            raise
        raise OSError(
            f"'{folder}' cannot be written to ({error.strerror}); {advice('make room')}"
        ) from error
