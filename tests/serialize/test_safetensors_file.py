from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minires import serialize

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
STORABLE = ["bool", *INTEGERS, "float16", "float32", "float64", "complex64"]

Array = np.ndarray[Any, np.dtype[Any]]

NAMES = st.text().filter(lambda name: name != "__metadata__")  # which the format reserves


def stepped_backwards(array: Array) -> Array:
    return array[(slice(None, None, -1),) * array.ndim]


def every_other_of_a_larger_array(array: Array) -> Array:
    doubled = array
    for axis in range(array.ndim):
        doubled = np.repeat(doubled, 2, axis=axis)
    return doubled[(slice(None, None, 2),) * array.ndim]


def channels_last_in_memory(array: Array) -> Array:
    if array.ndim < 3:
        return array.copy(order="F")
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def broadcast_read_only(array: Array) -> Array:
    return np.broadcast_to(array, (3, *array.shape))


MEMORY_ORDERS: list[Callable[[Array], Array]] = [
    lambda array: array,
    np.asfortranarray,
    np.transpose,
    stepped_backwards,
    every_other_of_a_larger_array,
    channels_last_in_memory,
    broadcast_read_only,
]


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    dtype = np.dtype(draw(st.sampled_from(STORABLE)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    array = draw(hnp.arrays(dtype, shape))
    return draw(st.sampled_from(MEMORY_ORDERS))(array)


def saved_and_loaded(state: dict[str, Any]) -> dict[str, Array]:
    # Not tmp_path: Hypothesis runs many examples within one test, hence in one tmp_path.
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        serialize.save(state, path)
        return serialize.load(path)


@given(state=st.dictionaries(NAMES, arrays(), max_size=4))
def test_every_array_comes_back_whatever_its_memory_order(state: dict[str, Array]) -> None:
    loaded = saved_and_loaded(state)

    assert loaded.keys() == state.keys()
    for name, array in state.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array, strict=True)


@given(array=arrays())
def test_loaded_arrays_are_writable_and_own_their_memory(array: Array) -> None:
    loaded = saved_and_loaded({"x": array})["x"]

    assert loaded.flags.c_contiguous
    assert loaded.flags.writeable
    assert loaded.flags.owndata


@given(array=arrays())
def test_saving_leaves_the_array_as_it_was(array: Array) -> None:
    before = array.copy()
    strides = array.strides

    saved_and_loaded({"x": array})

    assert array.strides == strides
    np.testing.assert_array_equal(array, before, strict=True)


@pytest.mark.parametrize("order", [">f8", ">f2", ">i4", "<f8", ">c8"])
def test_either_byte_order_comes_back_native_with_the_same_values(order: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(order)

    loaded = saved_and_loaded({"x": array, "transposed": array.T})

    assert loaded["x"].dtype.isnative
    np.testing.assert_array_equal(loaded["x"], array)
    np.testing.assert_array_equal(loaded["transposed"], array.T)


def test_numpy_scalars_come_back_as_arrays_without_axes() -> None:
    loaded = saved_and_loaded({"steps": np.int64(3), "flag": np.bool_(True)})

    assert loaded["steps"].shape == ()
    assert loaded["steps"] == 3
    assert loaded["flag"].dtype == np.bool_


def test_whatever_has_a_numpy_method_is_saved_as_what_that_returns() -> None:
    class Box:
        def numpy(self) -> Array:
            return np.arange(6.0).reshape(2, 3).T

    np.testing.assert_array_equal(
        saved_and_loaded({"x": Box()})["x"], np.arange(6.0).reshape(2, 3).T
    )


def test_a_matrix_comes_back_as_a_plain_array() -> None:
    assert type(saved_and_loaded({"x": np.ones((2, 2)).view(np.matrix)})["x"]) is np.ndarray


def test_the_reference_library_reads_what_minires_writes_and_the_other_way_round(
    tmp_path: Path,
) -> None:
    array = np.arange(24.0).reshape(2, 3, 4)

    serialize.save({"x": array.transpose(2, 0, 1)}, tmp_path / "ours")
    theirs = safetensors.numpy.load_file(tmp_path / "ours")["x"]
    np.testing.assert_array_equal(theirs, array.transpose(2, 0, 1))

    safetensors.numpy.save_file({"x": array}, tmp_path / "theirs")
    np.testing.assert_array_equal(serialize.load(tmp_path / "theirs")["x"], array)


@given(notes=st.dictionaries(st.text(), st.text(), max_size=5))
def test_metadata_comes_back_beside_the_arrays(notes: dict[str, str]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        serialize.save({"x": np.arange(3), "é": np.float16(1)}, path, metadata=notes)

        assert serialize.load_metadata(path) == notes
        np.testing.assert_array_equal(serialize.load(path)["x"], np.arange(3))


def test_the_same_state_gives_the_same_bytes_whatever_the_order_of_its_names(
    tmp_path: Path,
) -> None:
    state = {name: np.full(3, index, np.float32) for index, name in enumerate("cab")}
    notes = {letter: letter for letter in "qwertyuiop"}

    for attempt, (names, keys) in enumerate([("cab", "qwertyuiop"), ("abc", "poiuytrewq")] * 3):
        serialize.save(
            {name: state[name] for name in names},
            tmp_path / str(attempt),
            metadata={key: notes[key] for key in keys},
        )

    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_a_save_that_fails_keeps_the_old_file_and_leaves_no_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    serialize.save({"x": np.arange(3)}, path)

    with pytest.raises(TypeError):
        serialize.save({"x": np.zeros(3), "bad": np.array([object()])}, path)

    np.testing.assert_array_equal(serialize.load(path)["x"], np.arange(3))
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_keeps_the_old_file_and_leaves_no_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.safetensors"
    serialize.save({"x": np.arange(3)}, path)

    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space left"):
        serialize.save({"x": np.zeros(3)}, path)

    np.testing.assert_array_equal(serialize.load(path)["x"], np.arange(3))
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"folder '.*missing' does not exist; create it"):
        serialize.save({}, tmp_path / "missing" / "state.safetensors")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"layer1.mask": np.array(["a"])}, "'layer1.mask' has dtype <U1"),
        ({"layer1.parts": np.array([None])}, "'layer1.parts' has dtype object"),
        ({"z": np.zeros(2, complex)}, "'z' has dtype complex128"),
        ({"when": np.zeros(2, "M8[s]")}, "'when' has dtype datetime64"),
        ({"pair": np.zeros(2, "i4,f4")}, "'pair' has dtype"),
        ({"optimizer": {"lr": 0.1}}, "'optimizer' is a nested dict; flatten .* 'optimizer.lr'"),
        ({"empty": {}}, "'empty' is a nested dict; flatten"),
        ({"epoch": 3}, "'epoch' is a int, not an array or Tensor; wrap it with numpy.asarray"),
        ({"name": "resnet"}, "'name' is a str, not an array .* metadata="),
        ({"nothing": None}, "'nothing' is a NoneType"),
        ({"m": np.ma.masked_array([1, 2], [0, 1])}, "'m' is a masked array"),
        ({3: np.zeros(2)}, "every name must be a string, found 3 of type int"),
        ([np.zeros(2)], "expected a mapping of names to arrays, got list"),
    ],
)
def test_what_a_file_cannot_hold_is_refused_by_name(
    tmp_path: Path, state: Any, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        serialize.save(state, tmp_path / "state.safetensors")

    assert list(tmp_path.iterdir()) == []


def test_a_module_instead_of_its_state_gets_advice(tmp_path: Path) -> None:
    class Model:
        def state_dict(self) -> dict[str, Array]:
            return {}

    with pytest.raises(TypeError, match=r"got Model; pass its state_dict\(\)"):
        serialize.save(Model(), tmp_path / "state.safetensors")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "message"), [("__metadata__", "reserved"), ("\ud800", "cannot be written as UTF-8")]
)
def test_names_that_the_format_has_no_room_for_are_refused(
    tmp_path: Path, name: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        serialize.save({name: np.zeros(2)}, tmp_path / "state.safetensors")


def test_metadata_that_is_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="metadata holds strings only, found 'epoch': 3"):
        serialize.save({}, tmp_path / "s", metadata={"epoch": 3})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="cannot be written as UTF-8"):
        serialize.save({}, tmp_path / "s", metadata={"file": "\udcff"})


def zip_of(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"contents")
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize("read", [serialize.load, serialize.load_metadata])
@pytest.mark.parametrize(
    ("contents", "found"),
    [
        (b"", "the file is empty"),
        (b"\x80", "no safetensors file opens with"),
        (b"PK", "opens like a zip archive .* cut short"),
        (b"weights of a ResNet-20", "its first bytes are b'weights ', which no safetensors"),
        (
            zip_of("model/data.pkl", "model/data/0"),
            "a PyTorch archive .* torch.save; .*load_weights",
        ),
        (zip_of("a.npy", "b.npy"), "a NumPy .npz archive; read it with numpy.load"),
        (zip_of("readme.txt"), "a zip archive; unpack it first"),
        (zip_of("model/data.pkl")[:-30], "cut short"),
        (pickle.dumps({"fc.weight": [1.0]}, protocol=2), "Python pickle, perhaps an older PyTorch"),
        (pickle.dumps({"fc.weight": [1.0]}, protocol=4), "Python pickle, perhaps an older PyTorch"),
        (npy(), r"a NumPy \.npy array; read it with numpy.load"),
        (b"\x89HDF\r\n\x1a\n....", "HDF5"),
    ],
)
def test_a_file_of_another_kind_is_recognised(
    tmp_path: Path, read: Callable[[Path], object], contents: bytes, found: str
) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(contents)

    with pytest.raises(ValueError, match=rf"cannot load '.*weights.safetensors'.*{found}"):
        read(path)


@given(data=st.data())
def test_a_file_cut_anywhere_is_refused_and_said_to_be_cut(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        # Names long enough that the header's length has more than one byte that is not zero.
        serialize.save({"weight" * 50: np.arange(10), "b": np.zeros(3)}, path)
        whole = path.read_bytes()
        path.write_bytes(whole[: data.draw(st.integers(9, len(whole) - 1))])

        with pytest.raises(ValueError, match="cut short"):
            serialize.load(path)


@pytest.mark.parametrize("opening", [b"\x80\x02", b"PK"], ids=["a pickle", "a zip archive"])
def test_a_header_whose_length_opens_as_another_format_is_not_taken_for_it(
    tmp_path: Path, opening: bytes
) -> None:
    path = tmp_path / "state.safetensors"
    serialize.save({"n" * (int.from_bytes(opening, "little") - 57): np.zeros(1)}, path)
    whole = path.read_bytes()
    assert whole.startswith(opening)
    assert not serialize.is_torch_archive(path)
    with pytest.raises(ValueError, match="it looks like a safetensors file"):
        serialize.load_torch(path)
    path.write_bytes(whole[:-1])

    with pytest.raises(ValueError, match="cut short or damaged"):
        serialize.load(path)


def test_bytes_after_the_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    serialize.save({"x": np.zeros(3)}, path)
    path.write_bytes(path.read_bytes() + b"more")

    with pytest.raises(ValueError, match="does not fit the bytes that follow"):
        serialize.load(path)


@pytest.mark.parametrize(
    ("shape", "told"), [("0,4611686018427387904,8", "too big"), ("0" + ",1" * 64, "dimension")]
)
def test_a_shape_that_numpy_lacks_is_refused_with_the_files_name(
    tmp_path: Path, shape: str, told: str
) -> None:
    header = f'{{"x":{{"dtype":"F32","shape":[{shape}],"data_offsets":[0,0]}}}}'.encode()
    path = tmp_path / "state.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)

    with pytest.raises(ValueError, match=f"cannot load '.*state.safetensors': .*{told}"):
        serialize.load(path)


def written(path: Path, dtype: str, shape: list[int], data: bytes) -> Path:
    """Write a file of one array, ``x``."""
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, len(data)]}
    header = json.dumps({"x": entry}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def test_a_dtype_that_numpy_lacks_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "state.safetensors", "F8_E4M3", [2], bytes(2))

    with pytest.raises(ValueError, match="dtype F8_E4M3, which NumPy does not have; convert it"):
        serialize.load(path)


def test_every_bfloat16_is_read_as_the_float32_of_the_same_value(tmp_path: Path) -> None:
    bits = np.arange(2**16, dtype="<u2")
    path = written(tmp_path / "state.safetensors", "BF16", [256, 256], bits.tobytes())

    found = serialize.load(path)["x"]

    assert (found.dtype, found.shape) == (np.float32, (256, 256))
    np.testing.assert_array_equal(found.ravel().view(np.uint32), bits.astype(np.uint32) << 16)
    assert serialize.load(written(path, "BF16", [], b"\x80\x3f"))["x"] == 1


def test_any_byte_but_zero_is_true(tmp_path: Path) -> None:
    found = serialize.load(written(tmp_path / "state.safetensors", "BOOL", [3], b"\x00\x01\x02"))

    assert found["x"].view(np.uint8).tolist() == [0, 1, 1]


@pytest.mark.parametrize("read", [serialize.load, serialize.load_metadata])
def test_a_missing_file_is_named_with_those_that_are_there(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such file$"):
        read(tmp_path / "resnet20.safetensors")

    serialize.save({}, tmp_path / "resnet56.safetensors")
    with pytest.raises(FileNotFoundError, match=r"beside it there are: resnet56\.safetensors"):
        read(tmp_path / "resnet20.safetensors")


@pytest.mark.parametrize("read", [serialize.load, serialize.load_metadata])
def test_a_folder_is_not_a_file(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        read(tmp_path)
