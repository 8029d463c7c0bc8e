"""Workers: they make the batches that the loop itself would make, and leave nothing behind."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import minires as mr
from minires.data import DataLoader, Dataset, ImageFolder, TensorDataset, WorkerError, transforms
from minires.data import workers as module
from tests.data.lazily import Failing, Photographs, Tallied, Unfinished, WhereMade

ROOT = Path(__file__).resolve().parents[2]


def workers_alive() -> list[Any]:
    threads = [each for each in threading.enumerate() if each.name == "minires-loader"]
    return threads + multiprocessing.active_children()


@pytest.fixture(autouse=True)
def _nobody_is_left_behind() -> Iterator[None]:
    yield
    assert workers_alive() == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    for number in range(14):
        pixels = random.integers(0, 256, (20 + number, 40 - number, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.jpg")
    return folder


def in_memory() -> TensorDataset:
    images = np.random.default_rng(0).integers(0, 256, (14, 3, 12, 12), np.uint8)
    return TensorDataset(images, np.arange(14) % 3)


def zipped(folder: Path) -> ImageFolder:
    path = folder / "photographs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, file in enumerate(sorted(folder.glob("*.jpg"))):
            archive.write(file, f"class{number % 3}/{file.name}")
    return ImageFolder(path)


def loader(dataset: Any, **options: Any) -> DataLoader:
    augment = transforms.Compose(
        [
            transforms.RandomShortestSize(12, 16),
            transforms.RandomCrop(10),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(0.4, 0.4, 0.4),
            transforms.Normalize([0.5] * 3, [0.2] * 3),
            transforms.Cutout(3),
        ]
    )
    mixup = transforms.MixUp(0.5, classes=3)
    told = {"shuffle": True, "seed": 4, "transform": augment, "mixup": mixup} | options
    return DataLoader(dataset, 3, **told)


def arrays_of(loader: DataLoader) -> list[Any]:
    return [(x.numpy().copy(), y.numpy().copy()) for _ in range(2) for x, y in loader]


@pytest.mark.parametrize(
    ("kept", "kind", "workers"),
    [
        *((kept, "thread", n) for kept in ("in memory", "in files", "in a zip") for n in (1, 2, 7)),
        ("in a zip", "process", 2),
    ],
)
def test_any_workers_make_the_same_batches_in_the_same_order(
    folder: Path, kept: str, kind: str, workers: int
) -> None:
    dataset = {
        "in memory": in_memory,
        "in files": lambda: Photographs(folder),
        "in a zip": lambda: zipped(folder),
    }[kept]()
    expected = arrays_of(loader(dataset))

    found = arrays_of(loader(dataset, num_workers=workers, worker_kind=kind))

    assert len(found) == len(expected) == 10
    for (x, y), (its_x, its_y) in zip(expected, found, strict=True):
        np.testing.assert_array_equal(x, its_x)
        np.testing.assert_array_equal(y, its_y)


def test_processes_make_the_batches_and_not_this_one() -> None:
    batches = DataLoader(WhereMade(), 400, num_workers=2, worker_kind="process")

    made_by = [set(batch.tolist()) for batch in batches]

    assert [len(each) for each in made_by] == [1, 1, 1]
    assert made_by[0] == made_by[2] != made_by[1]
    assert {os.getpid()} not in made_by


@pytest.mark.parametrize(
    ("kind", "workers", "prefetch"),
    [("thread", 1, 1), ("thread", 1, 3), ("thread", 2, 1), ("thread", 2, 3), ("process", 1, 2)],
)
def test_workers_are_so_many_batches_ahead_and_no_more(
    tmp_path: Path, kind: str, workers: int, prefetch: int
) -> None:
    dataset: Any = Unfinished() if kind == "thread" else Tallied(tmp_path / "made")
    batches = DataLoader(dataset, 2, num_workers=workers, worker_kind=kind, prefetch=prefetch)

    for taken, _ in enumerate(batches, 1):
        ahead = 2 * (taken + workers * prefetch)
        assert dataset.made <= ahead
        assert dataset.wait_for(min(ahead, 100))


@pytest.mark.parametrize("workers", [1, 5])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_more_workers_than_batches_do_no_harm(workers: int, count: int) -> None:
    batches = DataLoader(TensorDataset(np.arange(count)), num_workers=workers)
    assert [x.item() for (x,) in batches] == list(range(count))


@pytest.mark.parametrize("kind", ["none", "thread", "process"])
def test_an_error_names_the_sample_and_the_epoch(kind: str) -> None:
    options = {} if kind == "none" else {"num_workers": 2, "worker_kind": kind}
    batches = DataLoader(Failing(wrong=23), 5, **options)  # type: ignore[arg-type]
    batches.set_epoch(6, batch=2)
    taken: list[list[int]] = []

    with pytest.raises(WorkerError, match=r"^sample 23 .* epoch 6: ValueError: .*damaged") as told:
        taken.extend(batch.tolist() for batch in batches)

    assert taken == [[10, 11, 12, 13, 14], [15, 16, 17, 18, 19]]
    assert (told.value.sample, told.value.epoch) == (23, 6)
    assert repr(told.value.__cause__) == "ValueError('it is a damaged image')"
    assert ("In the worker process" in "".join(getattr(told.value, "__notes__", []))) == (
        kind == "process"
    )
    assert workers_alive() == []


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_names_the_sample_where_it_was_to_be_mixed_in(rank: int) -> None:
    class Damaged(Dataset):
        def __len__(self) -> int:
            return 8

        def __getitem__(self, index: int) -> Any:
            if index == 5:
                raise ValueError("it is a damaged image")
            return np.zeros((1, 2, 2), np.float32), index % 2

    mixup = transforms.MixUp(1.0, classes=2)
    batches = DataLoader(Damaged(), 8, mixup=mixup, seed=1, rank=rank, ranks=2)
    with pytest.raises(WorkerError) as told:
        next(iter(batches))
    assert told.value.sample == 5


def test_an_error_that_pickle_cannot_send_is_told_in_words() -> None:
    batches = DataLoader(Failing(0, pickles=False), 5, num_workers=1, worker_kind="process")

    with pytest.raises(WorkerError, match=r"sample 0 .*CameraError: the lens is dirty") as told:
        next(iter(batches))

    assert repr(told.value.__cause__) == "RuntimeError('CameraError: the lens is dirty')"
    assert "lazily.py" in told.value.__notes__[0]


def test_samples_that_fail_together_only_name_the_batch() -> None:
    batches = DataLoader([np.zeros(2), np.zeros(3)], 2)
    with pytest.raises(WorkerError, match=r"batch 0 of epoch 0 .* different shapes") as told:
        next(iter(batches))
    assert told.value.sample is None


def test_a_data_set_that_cannot_be_sent_is_told_with_what_to_do() -> None:
    dataset = Failing(0)
    dataset.wrong = lambda: None  # type: ignore[assignment]
    with pytest.raises(WorkerError, match=r"could not be started .*worker_kind=\"thread\""):
        next(iter(DataLoader(dataset, num_workers=1, worker_kind="process")))


def test_a_process_that_is_killed_is_told() -> None:
    batches = iter(DataLoader(WhereMade(), 1, num_workers=1, worker_kind="process", prefetch=1))
    os.kill(next(batches).item(), signal.SIGKILL)

    with pytest.raises(WorkerError, match=r"process ended with exit code -9 in epoch 0"):
        list(batches)


def test_a_process_that_is_killed_in_the_midst_of_a_batch_is_told() -> None:
    class Killed:
        exitcode = -9

        def join(self) -> None:
            pass

    here, there = multiprocessing.Pipe()
    os.write(there.fileno(), struct.pack("!i", 1000) + b"the first bytes of a thousand")
    there.close()

    with here, pytest.raises(WorkerError, match="ended with exit code -9 in epoch 3"):
        module._received(here, Killed(), epoch=3)


def test_processes_end_where_what_terminates_them_is_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        next(iter(DataLoader(WhereMade(), 1, num_workers=1, worker_kind="process")))
    finally:
        signal.signal(signal.SIGTERM, before)

    assert workers_alive() == []


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        *(("thread", how) for how in ("break", "raise", "close", "collect", "never begun")),
        ("process", "raise"),
        ("process", "collect"),
    ],
)
def test_a_loop_that_is_left_leaves_nobody(kind: str, how: str) -> None:
    batches = DataLoader(WhereMade(), 1, num_workers=2, worker_kind=kind)
    if how == "break":
        for _ in batches:
            assert len(workers_alive()) >= 2
            break
    elif how == "raise":
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            for _ in batches:
                raise ZeroDivisionError
    elif how == "collect":
        ring: list[Any] = [iter(batches)]
        next(ring[0])
        ring.append(ring)
        del ring
        gc.collect()
    else:
        iterator: Any = iter(batches)
        if how == "close":
            next(iterator)
        iterator.close()

    assert workers_alive() == []


class Collecting(Dataset):
    """A sample that collects garbage, once the loop is garbage."""

    def __init__(self) -> None:
        self.dropped = threading.Event()

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> int:
        if index == 1:
            assert self.dropped.wait(timeout=30)
            gc.collect()
        return index


def test_a_loop_may_be_collected_by_its_own_worker() -> None:
    dataset = Collecting()
    gc.disable()
    try:
        ring: list[Any] = [iter(DataLoader(dataset, num_workers=1))]
        next(ring[0])
        ring.append(ring)
        (thread,) = workers_alive()
        del ring
        dataset.dropped.set()
        thread.join(timeout=30)
    finally:
        gc.enable()

    assert not thread.is_alive()


def test_a_trainer_that_fails_leaves_no_worker() -> None:
    class Fails(mr.training.Callback):
        def on_step(self, trainer: Any, step: Any) -> None:
            raise ZeroDivisionError

    dataset = TensorDataset(np.zeros((40, 3), np.float32), np.zeros(40, np.int64))
    model = mr.nn.Linear(3, 2)
    trainer = mr.Trainer(model, mr.optim.SGD(model.parameters(), lr=0.1), callbacks=[Fails()])

    # The exception is kept, and with it the frames that it went through.
    with pytest.raises(ZeroDivisionError) as kept:
        trainer.fit(DataLoader(dataset, 4, num_workers=2), 1)

    assert workers_alive() == []
    assert kept.tb is not None


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_open_files_and_threads_stay_few(kind: str) -> None:
    batches = DataLoader(WhereMade(), 400, num_workers=2, worker_kind=kind)
    # From the first process on, Python keeps one that looks after what they share.
    next(iter(batches))
    gc.collect()  # lest what earlier tests left open is closed while we count
    counts = set()
    for _ in range(2 if kind == "process" else 50):
        next(iter(batches))
        counts.add((len(os.listdir("/proc/self/fd")), threading.active_count()))  # noqa: PTH208

    assert len(counts) == 1


def test_the_zips_of_cifar_10_load_alike_with_and_without_workers(shared_data: Path) -> None:
    path = shared_data / "cifar10_jpeg_test.zip"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    dataset = ImageFolder(path).subset(range(0, 10_000, 100))
    expected, found = (
        [
            (x.numpy().copy(), y.tolist())
            for x, y in DataLoader(
                dataset,
                16,
                True,
                transform=transforms.RandomCrop(32, padding=4),
                num_workers=workers,
            )
        ]
        for workers in (0, 2)
    )

    for (x, y), (its_x, its_y) in zip(expected, found, strict=True):
        np.testing.assert_array_equal(x, its_x)
        assert y == its_y


def test_memory_over_a_thousand_steps_stays_as_it_is() -> None:
    cut = transforms.Compose(
        [transforms.RandomCrop(10), transforms.Normalize([0.5] * 3, [1.0] * 3)]
    )
    batches = loader(in_memory(), num_workers=2, transform=cut, mixup=None)
    held = []
    tracemalloc.start()
    try:
        for _ in range(4):
            for _ in range(50):
                list(batches)
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()

    # A batch that stayed would be 2,700,000 bytes in 750 steps; Python's own stores fill a little.
    assert held[-1] - held[0] < 100_000


def test_a_script_that_starts_processes_while_it_is_imported_is_told_how_not_to(
    tmp_path: Path,
) -> None:
    script = tmp_path / "script.py"
    lines = (
        "from minires.data import DataLoader",
        "list(DataLoader([1, 2], num_workers=1, worker_kind='process'))",
    )
    script.write_text("\n".join(lines))
    ran = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode == 1
    assert 'below `if __name__ == "__main__":`' in ran.stderr.splitlines()[-1]


SCRIPT = """
    import signal, sys
    from minires.data import DataLoader
    from tests.data.lazily import Arriving, WhereMade

    if __name__ == "__main__":
        options = dict(num_workers=2, worker_kind=sys.argv[1])
        BEGIN
        batches = iter(DataLoader(WhereMade(), 1, **options))
        pids = [next(batches).item() for _ in range(2)]
        sys.stdout.write(" ".join(map(str, pids)) + "\\n")
        sys.stdout.flush()
        END
"""


def run(tmp_path: Path, kind: str, end: str, begin: str = "pass") -> subprocess.Popen[str]:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).replace("END", end).replace("BEGIN", begin))
    return subprocess.Popen(
        [sys.executable, str(script), kind],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_the_interpreter_ends_quietly_in_the_middle_of_a_loop(tmp_path: Path, kind: str) -> None:
    process = run(tmp_path, kind, end="pass")
    out, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (0, "")
    assert all(ended(int(pid)) for pid in out.split())


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_ctrl_c_ends_the_loop_and_its_workers(tmp_path: Path, kind: str) -> None:
    process = run(
        tmp_path, kind, end="[next(batches) if i < 5 else signal.pause() for i in range(6)]"
    )
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all of them
    _, err = process.communicate(timeout=60)

    assert process.returncode == -signal.SIGINT
    assert err.count("Traceback") == 1
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert all(ended(pid) for pid in pids)


def test_ctrl_c_is_told_once_while_a_process_begins(tmp_path: Path) -> None:
    process = run(
        tmp_path, "process", end="pass", begin="next(iter(DataLoader(Arriving(), **options)))"
    )
    assert process.stdout is not None
    # It unpickles the data set, and no line of ours has run in it yet.
    pid = int(process.stdout.readline())
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == -signal.SIGINT
    assert err.count("Traceback") == 1
    assert ended(pid)
