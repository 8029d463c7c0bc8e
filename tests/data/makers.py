"""Small data sets in the formats of the large ones."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

TINY_CLASSES = ("n01443537", "n01629819", "n01641577")


def idx(array: np.ndarray, magic: int = 8) -> bytes:
    shape = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, magic, array.ndim]) + shape + array.astype(np.uint8).tobytes()


def compressed(contents: bytes) -> bytes:
    return gzip.compress(contents, 1, mtime=0)


def pixels(count: int, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), np.uint8)


def png(size: tuple[int, int] = (8, 6), mode: str = "RGB", value: int = 100) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, value if mode == "L" else (value, 2 * value % 256, 7)).save(file, "PNG")
    return file.getvalue()


def cifar_records(labels: list[int], coarse: bool = False, seed: int = 0) -> bytes:
    images = pixels(len(labels), 3 * 32 * 32, seed=seed)
    columns = [np.full((len(labels), 1), 19, np.uint8)] * coarse
    return np.hstack([*columns, np.array(labels, np.uint8)[:, None], images]).tobytes()


def cifar10_files() -> dict[str, bytes]:
    """Return the files of a CIFAR-10 of two images a batch; image i of batch b has label 2b + i."""
    files = {
        f"data_batch_{number + 1}.bin": cifar_records([2 * number, 2 * number + 1], seed=number)
        for number in range(5)
    }
    names = [
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ]
    return {
        **files,
        "test_batch.bin": cifar_records([3, 9], seed=9),
        "batches.meta.txt": ("\n".join(names) + "\n\n").encode(),
        "readme.html": b"<html>",
    }


def tar_gz(files: Mapping[str, bytes], folder: str = "cifar-10-batches-bin") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as archive:
        for name, contents in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(contents)
            archive.addfile(member, io.BytesIO(contents))
    return made.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, contents in files.items():
            archive.writestr(name, contents)
    return made.getvalue()


def tree(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, contents in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents)
    return folder


def tiny_imagenet() -> dict[str, bytes]:
    """Return the files of a Tiny-ImageNet: in each of three classes two images, and one to test."""
    files = {
        "wnids.txt": "\n".join(reversed(TINY_CLASSES)).encode(),
        "words.txt": b"n01443537\tgoldfish, Carassius auratus\nn01629819\tfire salamander\n",
        "test/images/test_0.JPEG": png(),
    }
    annotations = []
    for number, wnid in enumerate(TINY_CLASSES):
        lines = []
        for image in range(2):
            name = f"{wnid}_{image}.JPEG"
            files[f"train/{wnid}/images/{name}"] = png((64, 64), value=10 * number + image)
            lines.append(f"{name}\t{image}\t{number}\t62\t63\n")
        files[f"train/{wnid}/{wnid}_boxes.txt"] = "".join(lines).encode()
        files[f"val/images/val_{number}.JPEG"] = png((64, 64), "L")
        annotations.append(f"val_{number}.JPEG\t{wnid}\t0\t32\t44\t{number}\n")
    files["val/val_annotations.txt"] = "".join(annotations).encode()
    return {f"tiny-imagenet-200/{name}": contents for name, contents in files.items()}
