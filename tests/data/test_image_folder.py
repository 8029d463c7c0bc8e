"""Trees of image files: in folders and in zips, in ImageNet's layout and in Tiny-ImageNet's."""

from __future__ import annotations

import os
import pickle
import random
import stat
import threading
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minires.data import DatasetDamaged, ImageFolder, Split, get_dataset
from tests.data.makers import png, tiny_imagenet, tree, zipped

IMAGENET = {
    "train/dog/1.png": png((8, 6), value=1),
    "train/dog/2.PNG": png((5, 9), value=2),
    "train/dog/notes.txt": b"not an image",
    "train/cat/deeper/3.png": png((8, 6), "L", value=3),
    "train/cat/.hidden.png": png(),
    "train/lonely.png": png(),
    "val/cat/1.png": png((8, 6), value=4),
    "readme.txt": b"",
}
PLAIN = {f"{name}/{number}.png": png() for name in ("cat", "dog") for number in range(5)}
SIZES = {"train": (8, 6), "val": (6, 8)}


def put(folder: Path, files: dict[str, bytes], kind: str) -> Path:
    if kind == "folder":
        return tree(folder / "mine", files)
    (folder / "mine.zip").write_bytes(zipped(files))
    return folder / "mine.zip"


@pytest.fixture(params=["folder", "zip", "folder in a zip"])
def imagenet(request: pytest.FixtureRequest, tmp_path: Path) -> Split:
    files = IMAGENET
    if request.param == "folder in a zip":
        files = {f"top/{name}": contents for name, contents in files.items()}
        files["__MACOSX/top/._1.png"] = b""
    return get_dataset(put(tmp_path, files, request.param))


def test_folders_are_classes_in_the_order_of_their_names(imagenet: Split) -> None:
    assert (imagenet.name, imagenet.class_names) == ("mine", ("cat", "dog"))
    assert [name.split("train/")[1] for name in imagenet.train.names] == [
        "cat/deeper/3.png",
        "dog/1.png",
        "dog/2.PNG",
    ]
    assert imagenet.train.labels.tolist() == [0, 1, 1]
    assert imagenet.test.labels.tolist() == [0]
    assert (imagenet.channels, imagenet.image_size, imagenet.lossy) == (3, None, False)


def test_images_are_bytes_in_their_own_size_and_grey_ones_have_three_channels(
    imagenet: Split,
) -> None:
    sizes = [image.shape for image, _ in (imagenet.train[index] for index in range(3))]
    grey, label = imagenet.train[0]
    coloured, _ = imagenet.train[1]

    assert sizes == [(3, 6, 8), (3, 6, 8), (3, 9, 5)]
    assert (grey.dtype, int(label)) == (np.uint8, 0)
    assert np.unique(grey).tolist() == [3]
    assert coloured[:, 0, 0].tolist() == [1, 2, 7]


def test_statistics_are_those_of_all_pixels_whatever_the_sizes(imagenet: Split) -> None:
    grey = np.concatenate([imagenet.train[index][0].reshape(3, -1) for index in range(3)], axis=1)

    np.testing.assert_allclose(imagenet.mean, grey.mean(axis=1) / 255, rtol=1e-12)
    np.testing.assert_allclose(imagenet.std, grey.std(axis=1) / 255, rtol=1e-12)
    with pytest.raises(ValueError, match=r"has \(9, 5\) pixels and .* resize or crop"):
        imagenet.normalized()


@pytest.mark.parametrize("names", [("train", "val"), ("Train", "TEST"), ("TRAIN", "Validation")])
@pytest.mark.parametrize("top", ["", "top/"])
def test_what_lies_beside_and_upper_case_do_not_change_the_layout(
    tmp_path: Path, names: tuple[str, str], top: str
) -> None:
    files = {f"{top}{name}/{each}/1.png": png() for name in names for each in ("cat", "dog")}

    split = get_dataset(put(tmp_path, {**files, "README.md": b"", "licence/MIT": b""}, "zip"))

    assert split.class_names == ("cat", "dog")
    assert split.train.names == tuple(list(files)[:2])
    assert split.test.names == tuple(list(files)[2:])


def test_a_training_part_alone_is_divided(tmp_path: Path) -> None:
    files = {f"train/{name}": contents for name, contents in PLAIN.items()}

    split = get_dataset(put(tmp_path, {**files, "README.md": b""}, "folder"))

    assert (len(split.train), len(split.test), split.class_names) == (8, 2, ("cat", "dog"))


def test_modes_of_pictures_all_become_rgb(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    palette = Image.new("P", (8, 6))
    palette.putpalette([1, 2, 3] * 256)
    palette.save(tmp_path / "c" / "palette.PNG", transparency=bytes(range(256)))
    Image.new("CMYK", (8, 6)).save(tmp_path / "c" / "print.JPG")
    Image.new("I;16", (8, 6), 0x4321).save(tmp_path / "c" / "deep.png")
    Image.new("LA", (8, 6), (7, 0)).save(tmp_path / "c" / "glass.png")

    images = ImageFolder(tmp_path)

    assert [images[index][0][:, 5, 7].tolist() for index in range(4)] == [
        [0x43] * 3,
        [7] * 3,
        [1, 2, 3],
        [255] * 3,
    ]


def test_a_plain_folder_of_classes_is_divided(tmp_path: Path) -> None:
    split = get_dataset(put(tmp_path, PLAIN, "folder"))

    assert (len(split.train), len(split.test), split.image_size) == (8, 2, (6, 8))
    assert sorted(split.train.names + split.test.names) == sorted(PLAIN)
    assert split.train.decoded().arrays[0].shape == (8, 3, 6, 8)
    with pytest.raises(ValueError, match=r"channel 0 .* same grey value everywhere"):
        split.normalized()
    assert split.validation(2).validation.labels.tolist() == [0, 1]


def test_the_digest_follows_names_labels_and_contents(tmp_path: Path) -> None:
    for kind in ("folder", "zip"):
        (tmp_path / kind).mkdir()
        digests = []
        changed = {**PLAIN, "cat/1.png": png(value=99)}
        renamed = {("bird" + name[3:] if "cat" in name else name): PLAIN[name] for name in PLAIN}
        for files in (PLAIN, PLAIN, changed, renamed):
            place = tmp_path / kind / str(len(digests))
            place.mkdir()
            digests.append(get_dataset(put(place, files, kind)).digest)
        assert digests[0] == digests[1]
        assert len(set(digests)) == 3


def test_of_a_very_large_folder_sizes_count_and_contents_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minires.data.image_folder._LARGEST_SUMMED", 100)
    folder = put(tmp_path, PLAIN, "folder")
    image = folder / "cat" / "1.png"
    before = ImageFolder(folder).digest

    image.write_bytes(bytes(image.stat().st_size))
    same_sizes = ImageFolder(folder).digest
    image.write_bytes(b"other")

    assert before == same_sizes != ImageFolder(folder).digest


def test_a_test_part_of_another_size_counts_too(tmp_path: Path) -> None:
    files = {f"{part}/{c}/1.png": png(size) for part, size in SIZES.items() for c in "cd"}

    split = get_dataset(put(tmp_path, files, "zip"))

    assert (split.train.image_size, split.test.image_size) == ((6, 8), (8, 6))
    assert split.image_size is None


def test_of_many_images_some_are_measured_evenly_spaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minires.data.split._MEASURED", 3)
    files = {f"train/{'cccdddd'[n]}/{n}.png": png(value=10 * n) for n in range(7)}
    split = get_dataset(put(tmp_path, {**files, "test/c/1.png": png()}, "folder"))

    np.testing.assert_allclose(split.mean[0], (0 + 30 + 60) / 3 / 255)


def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    files = {**PLAIN, "dog/4.png": PLAIN["dog/4.png"][:50]}
    images = ImageFolder(put(tmp_path, files, "zip"))

    with pytest.raises(DatasetDamaged, match=r"'dog/4.png' in '.*mine.zip': it is a damaged image"):
        images[9]
    with pytest.raises(DatasetDamaged, match=r"'dog/4.png'"):
        images.decoded()


def test_a_member_whose_bytes_were_changed_is_noticed(tmp_path: Path) -> None:
    path = put(tmp_path, PLAIN, "zip")
    contents = path.read_bytes()
    place = contents.index(b"IDAT")
    path.write_bytes(contents[: place + 6] + b"\0\0" + contents[place + 8 :])

    with pytest.raises(DatasetDamaged, match=r"'cat/0.png' in '.*' cannot be read: Bad CRC-32"):
        ImageFolder(path)[0]


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_it_goes_to_another_process_without_its_images(tmp_path: Path, kind: str) -> None:
    images = ImageFolder(put(tmp_path, PLAIN, kind))

    again = pickle.loads(pickle.dumps(images))

    np.testing.assert_array_equal(again[7][0], images[7][0])
    assert again.names == images.names


def test_many_threads_read_the_same_zip(tmp_path: Path) -> None:
    files = {f"c/{number}.png": png(value=number) for number in range(64)}
    images = ImageFolder(put(tmp_path, files, "zip"))
    together = threading.Barrier(4)

    def read(begin: int) -> list[tuple[str, int]]:
        together.wait()
        return [(images.names[i], int(images[i][0][0, 0, 0])) for i in range(begin, 64, 4)]

    with ThreadPoolExecutor(4) as pool:
        for rows in pool.map(read, range(4)):
            assert all(name == f"c/{value}.png" for name, value in rows)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize(("note", "size"), [(1, (6, 8)), (3, (6, 8)), (6, (8, 6)), (99, (6, 8))])
def test_the_size_takes_the_cameras_note_into_account(
    tmp_path: Path, suffix: str, note: int, size: tuple[int, int]
) -> None:
    (tmp_path / "c").mkdir()
    exif = Image.Exif()
    exif[0x0112] = note
    Image.new("RGB", (8, 6)).save(tmp_path / "c" / f"1.{suffix}", exif=exif)

    images = ImageFolder(tmp_path)

    assert images.image_size == images[0][0].shape[1:] == size


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_tiny_imagenet_has_words_and_boxes(tmp_path: Path, kind: str) -> None:
    split = get_dataset(put(tmp_path, tiny_imagenet(), kind))

    assert split.class_names == ("goldfish, Carassius auratus", "fire salamander", "n01641577")
    assert split.train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert split.test.labels.tolist() == [0, 1, 2]
    assert split.train.boxes is not None
    assert split.train.boxes[3].tolist() == [1, 1, 62, 63]
    assert split.test.boxes[2].tolist() == [0, 32, 44, 2]
    assert split.image_size == (64, 64)
    assert split.train[3][0][0, 0, 0] == 11
    assert split.validation(3).validation.boxes.shape == (3, 4)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({}, "there are no images in folders of classes, as in train/cat/1.jpg"),
        ({"1.png": png()}, "there are no images in folders"),
        ({"cat/1.png": png()}, "has no test part, and no class of 3 images or"),
        ({"cat/1.png": png(), "dog/1.png": png()}, "has no test part, and no class of 3 images or"),
        ({f"cat/{n}.png": png() for n in "123"}, "has one class, 'cat', and there is nothing to t"),
        (
            {"cat/1.HEIC": b""},
            r"no images .*, but files of other kinds, such as 'cat/1.HEIC': BMP,",
        ),
        (
            {**PLAIN, "cow/a.txt": b"", "cow/1.HEIC": b""},
            "'cow' would be a class, and has no images, but files of other kinds, such as 'cow/1.H",
        ),
        ({**IMAGENET, "val/dog/a": b""}, "'val/dog' would be a class, and has no images, but fil"),
        (
            {"train/cat/1.png": png(), "train/dog/1.png": png(), "b/1.png": png()},
            "a folder 'train', but",
        ),
        ({**IMAGENET, "val/cow/1.png": png()}, "val has a class 'cow' that is none of 2 known one"),
        (
            {name: each for name, each in tiny_imagenet().items() if "annotations" not in name},
            "lacks 'tiny-imagenet-200/val/val_annotations.txt', which Tiny-ImageNet's layout has",
        ),
        (
            {name: each for name, each in tiny_imagenet().items() if "27_1" not in name[-8:]}
            | {"tiny-imagenet-200/train/n01443537/n01443537_boxes.txt": b"no.JPEG\t0\t0\t1\t1\n"},
            "lacks 'tiny-imagenet-200/train/n01443537/images/no.JPEG', which its lists name",
        ),
        (
            tiny_imagenet() | {"tiny-imagenet-200/val/val_annotations.txt": b"what is this\n"},
            "'tiny-imagenet-200/val/val_annotations.txt', line 1: 'what is this'",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_trees_in_no_known_layout_are_refused(
    tmp_path: Path, files: dict[str, bytes], told: str, kind: str
) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(DatasetDamaged, match=told):
        get_dataset(put(tmp_path, files, kind))


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("top", ["", "top/", "train/"])
def test_a_folder_of_a_class_that_is_empty_is_refused(tmp_path: Path, kind: str, top: str) -> None:
    path = put(tmp_path, {f"{top}{name}": each for name, each in PLAIN.items()}, kind)
    for hidden in (".cache", "__MACOSX"):
        add_folder(path, f"{top}{hidden}")
    add_folder(path, f"{top}cat/deeper")
    assert get_dataset(path).classes == 2

    add_folder(path, f"{top}cow")
    with pytest.raises(DatasetDamaged, match=rf"'{top}cow' would be a class, .*s; put some"):
        get_dataset(path)


def add_folder(path: Path, name: str) -> None:
    if path.is_dir():
        (path / name).mkdir()
        return
    with zipfile.ZipFile(path, "a") as archive:
        archive.mkdir(name)


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../b.png", "C:/evil.png"])
def test_a_zip_with_a_name_that_leads_out_of_it_is_refused(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, {**PLAIN, name: png()}, "zip")

    with pytest.raises(DatasetDamaged, match=rf"its member '{name}' leads out of the archive"):
        get_dataset(path)


def test_a_zip_with_a_link_or_a_secret_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, PLAIN, "zip")
    link = zipfile.ZipInfo("cat/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DatasetDamaged, match=r"'cat/link.png' is a link or no file"):
        get_dataset(path)

    contents = bytearray(zipped(PLAIN))
    contents[contents.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(contents)
    with pytest.raises(DatasetDamaged, match=r"is encrypted"):
        get_dataset(path)


def test_a_zip_that_swells_without_end_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minires.data.archives._LARGEST", 50)

    with pytest.raises(DatasetDamaged, match=r"'cat/0.png' has more than 50 bytes"):
        get_dataset(put(tmp_path, PLAIN, "zip"))


def test_a_member_that_holds_more_than_the_zip_states_swells_no_further(tmp_path: Path) -> None:
    path = tmp_path / "mine.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/1.png", bytes(30_000_000))
        archive.writestr("dog/1.png", png())
    contents = bytearray(path.read_bytes())
    entry = contents.index(b"PK\1\2")  # of the first in the list of all
    contents[entry + 24 : entry + 28] = (100).to_bytes(4, "little")
    path.write_bytes(contents)
    images = ImageFolder(path)

    tracemalloc.start()
    try:
        with pytest.raises(DatasetDamaged, match=r"'cat/1.png' in '.*' cannot be read: Bad CRC"):
            images[0]
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_python_would_unpack_without_end_is_refused(
    tmp_path: Path, compression: int
) -> None:
    path = tmp_path / "mine.zip"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("cat/1.png", png())

    with pytest.raises(DatasetDamaged, match=r"'cat/1.png' is compressed otherwise"):
        ImageFolder(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_however_a_zip_is_damaged_that_is_what_is_said(tmp_path: Path, compression: int) -> None:
    path, rng = tmp_path / "mine.zip", random.Random(0)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name in ("cät/1.png", "dög/1.png", "dög/2.png", "dög/3.png"):
            archive.writestr(name, png())
    contents, refused = path.read_bytes(), 0
    for _ in range(100):
        damaged = bytearray(contents)
        damaged[rng.randrange(len(contents))] = rng.choice([0, 128, 255])
        path.write_bytes(damaged)
        try:
            images = ImageFolder(path)
            for number in range(len(images)):
                images.image(number)
        except DatasetDamaged:
            refused += 1
    assert refused > 20


def test_a_zip_that_is_none_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, PLAIN, "zip")
    for contents in (b"", b"hello", path.read_bytes()[:-10]):
        path.write_bytes(contents)
        with pytest.raises(DatasetDamaged, match=r"is no zip, or a damaged one"):
            get_dataset(path)


def test_linked_folders_are_read_and_links_that_go_round_in_a_circle_are_not(
    tmp_path: Path,
) -> None:
    tree(tmp_path / "disk", {"a/1.png": png(), "b/1.png": png(), "b/2.png": png()})
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("train", "val"):
        (mine / name).symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "b" / "round").symlink_to(mine)
    (tmp_path / "disk" / "b" / "gone.png").symlink_to(tmp_path / "nowhere")

    split = get_dataset(mine)

    assert split.class_names == ("a", "b")
    assert split.train.names == ("train/a/1.png", "train/b/1.png", "train/b/2.png")


@pytest.mark.skipif(os.name != "posix", reason="elsewhere names are text")
def test_names_that_are_no_text_count_in_the_digest_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    digests = set()
    for name in (b"\xff.png", b"\xfe.png"):
        path = tmp_path / "c" / os.fsdecode(name)
        try:
            path.write_bytes(png())
        except OSError:
            pytest.skip("this disk takes no such names")
        digests.add(ImageFolder(tmp_path).digest)
        path.unlink()
    assert len(digests) == 2
