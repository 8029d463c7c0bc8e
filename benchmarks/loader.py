"""The input pipeline: images a second, decoding a second, and what training loses by it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from minires.autograd import Tensor
from minires.data import DataLoader, ImageFolder, TensorDataset, transforms
from minires.devices import get_num_threads
from minires.lab import timing
from minires.models import cifar_resnet
from minires.ops import cross_entropy
from minires.optim import SGD

BATCH = 128
WORKERS: dict[str, dict[str, Any]] = {
    "no worker": {},
    "1 thread": {"num_workers": 1},
    "2 threads": {"num_workers": 2},
    "2 processes": {"num_workers": 2, "worker_kind": "process"},
}


def small_images(count: int = 12_800) -> TensorDataset:
    """Return bytes of CIFAR's shape; what they show makes no difference."""
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), np.uint8)
    return TensorDataset(images, np.arange(count) % 10)


def augmentation() -> transforms.Compose:
    """Return what the recipes for CIFAR do to training images."""
    return transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.Normalize(mean=[0.49, 0.48, 0.45], std=[0.25, 0.24, 0.26]),
        ]
    )


def pipeline(rounds: int) -> dict[str, Any]:
    """Measure padding, cropping, mirroring and normalising of images in memory, in one thread."""
    dataset = small_images()
    loader = DataLoader(dataset, BATCH, shuffle=True, transform=augmentation())
    return {"batch": BATCH} | _rates({"no worker": loader}, rounds)


def decoding(size: tuple[int, int], count: int, rounds: int) -> dict[str, Any]:
    """Measure reading JPEGs of (H, W), alone and on their way into batches of images to train on.

    Of large ones a random part is made 224x224. What two processes take to begin is measured by
    itself, for it is a matter of each epoch, not of each image.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        written = write_photographs(folder, size, count)
        dataset = ImageFolder(folder)
        settings = {"size": list(size), "bytes_per_image": written / count}
        alone = _rates({"decoded": DataLoader(dataset, 32)}, rounds)
        augment = augmentation()
        if size != (32, 32):
            parts = transforms.RandomResizedCrop(224), *augment.transforms[1:]
            augment = transforms.Compose(parts)
        loaders = {
            f"in batches, {name}": DataLoader(dataset, 32, transform=augment, **options)
            for name, options in WORKERS.items()
        }
        rest = _rates(loaders, rounds)
        begin = _rates({"2 processes begin": _first_two(dataset)}, rounds)
    jobs = alone["jobs"] | rest["jobs"] | begin["jobs"]
    rates = {
        rate: alone[rate] | rest[rate] for rate in ("images_per_second", "images_per_core_second")
    }
    return settings | {"unit": "ms", "jobs": jobs} | rates


def write_photographs(folder: Path, size: tuple[int, int], count: int) -> int:
    """Write JPEGs of quality 75 that are about as hard to decode as photographs; return the bytes.

    Waves of all lengths, the shorter ones the fainter: so are the spectra of photographs.
    """
    random = np.random.default_rng(0)
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    fainter = 1 / np.maximum(frequency, 1 / max(size))
    (folder / "photographs").mkdir()
    written = 0
    for number in range(count):
        noise = random.normal(size=(2, *fainter.shape))
        waves = np.fft.irfft2((noise[0] + 1j * noise[1]) * fainter, size)
        light = 128 + 50 * waves[:, :, None] / waves.std()
        tint = random.normal(0, 12, 3) + random.normal(0, 2, (height, width, 3))
        pixels = (light + tint).clip(0, 255).astype(np.uint8)
        file = folder / "photographs" / f"{number:05}.jpg"
        Image.fromarray(pixels).save(file, quality=75)
        written += file.stat().st_size
    return written


def _first_two(dataset: ImageFolder) -> DataLoader:
    return DataLoader(dataset.subset([0, 1]), **WORKERS["2 processes"])


def slowdown(rounds: int, steps: int = 4) -> dict[str, Any]:
    """Measure steps of ResNet-20 on batches that are there, and on batches from a loader.

    The batches that are there are measured twice: by how much the two differ is what a ratio here
    may be off.
    """
    dataset = small_images(steps * BATCH)
    model = cifar_resnet(20, seed=0)
    optimizer = SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def train(batches: Any) -> None:
        for x, y in batches:
            optimizer.zero_grad()
            cross_entropy(model(x), y).backward()
            optimizer.step()

    def loader(workers: int) -> DataLoader:
        return DataLoader(dataset, BATCH, True, transform=augmentation(), num_workers=workers)

    ready: list[tuple[Tensor, Tensor]] = list(loader(0))
    sources = {"ready": ready, "ready again": ready, "no worker": loader(0), "1 thread": loader(1)}
    jobs = {name: (lambda source=source: train(source)) for name, source in sources.items()}
    jobs["loader alone"] = lambda: [None for _ in loader(0)]
    measured = timing.interleaved(jobs, rounds)
    return {
        "batch": BATCH,
        "steps": steps,
        "threads": get_num_threads(),
        "unit": "ms",
        "jobs": {name: measured.times(name, 1e3) for name in jobs},
        "ratios": {
            name: {"ready": measured.ratio(name, to="ready")} for name in jobs if name != "ready"
        },
    }


def _rates(loaders: dict[str, DataLoader], rounds: int) -> dict[str, Any]:
    """Go through loaders in turns; return milliseconds, and images a second.

    By the clock, the median; and by the time of this process's processors, the least, which other
    work on the machine disturbs less: how many one core makes.
    """

    def go_through(loader: DataLoader) -> None:
        for _ in loader:
            pass

    jobs = {name: (lambda loader=loader: go_through(loader)) for name, loader in loaders.items()}
    measured = timing.interleaved(jobs, rounds, warm_up=1)
    times = {name: measured.times(name, 1e3) for name in jobs}
    counts = {name: len(loader.dataset) for name, loader in loaders.items()}
    here = [name for name, loader in loaders.items() if loader.worker_kind == "thread"]
    return {
        "unit": "ms",
        "jobs": times,
        "images_per_second": {
            name: count / times[name]["median"] * 1e3 for name, count in counts.items()
        },
        "images_per_core_second": {
            name: counts[name] / times[name]["cpu_minimum"] * 1e3 for name in here
        },
    }
