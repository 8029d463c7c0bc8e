from __future__ import annotations

import io
import pickle
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minires.serialize import TorchArchiveError, load_torch, torch_archive, torch_pickle
from tests.serialize.archives import (
    SIX,
    STORAGE_OF,
    call,
    legacy,
    mapping,
    name,
    number,
    program,
    storage,
    tensor,
    text,
    tuple_of,
    zipped,
)

CONTAINERS: list[Callable[..., bytes]] = [zipped, legacy]
BOTH = pytest.mark.parametrize("container", CONTAINERS)


def read(folder: Path, contents: bytes) -> Any:
    path = folder / "weights.pth"
    path.write_bytes(contents)
    return load_torch(path)


@BOTH
def test_a_tensor_comes_back_with_its_strides_and_offset_in_c_order(
    tmp_path: Path, container: Callable[..., bytes]
) -> None:
    value = mapping(whole=tensor(), turned=tensor((3, 2), (1, 3)), last=tensor((2,), (2,), 3))

    found = read(tmp_path, container(value))

    whole = np.arange(6, dtype="float32").reshape(2, 3)
    assert list(found) == ["whole", "turned", "last"]
    np.testing.assert_array_equal(found["whole"], whole, strict=True)
    np.testing.assert_array_equal(found["turned"], whole.T, strict=True)
    np.testing.assert_array_equal(found["last"], whole[1, ::2], strict=True)
    for array in found.values():
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.flags.owndata


@BOTH
@pytest.mark.parametrize(
    "dtype", ["float64", "float16", "int64", "int32", "int16", "int8", "uint8"]
)
def test_every_dtype_comes_back(
    tmp_path: Path, container: Callable[..., bytes], dtype: str
) -> None:
    values = np.array([0, 1, 2, 127, 100, 3], dtype)
    kept = storage(kind=STORAGE_OF[dtype])
    options = {"width": values.itemsize} if container is legacy else {}

    found = read(
        tmp_path, container(tensor((6,), (1,), 0, kept), {"0": values.tobytes()}, **options)
    )

    np.testing.assert_array_equal(found, values, strict=True)


def test_every_bfloat16_becomes_the_float32_of_the_same_value(tmp_path: Path) -> None:
    halves = np.arange(2**16, dtype="<u2")
    kept = storage(count=2**16, kind="BFloat16Storage")

    found = read(tmp_path, zipped(tensor((2**16,), (1,), 0, kept), {"0": halves.tobytes()}))

    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.view("u4"), halves.astype("u4") << 16)
    assert found[0x3FC0] == 1.5


def test_a_bool_is_true_whatever_its_byte(tmp_path: Path) -> None:
    kept = storage(kind="BoolStorage")

    found = read(tmp_path, zipped(tensor((6,), (1,), 0, kept), {"0": b"\0\1\2\xff\0\1"}))

    np.testing.assert_array_equal(found, [False, True, True, True, False, True], strict=True)


def test_a_big_endian_archive_has_the_same_values(tmp_path: Path) -> None:
    big = np.arange(6, dtype=">f4").tobytes()

    found = read(tmp_path, zipped(tensor(), {"0": big}, {"archive/byteorder": b"big"}))

    np.testing.assert_array_equal(found, np.arange(6, dtype="float32").reshape(2, 3), strict=True)


@BOTH
def test_tensors_that_share_a_storage_are_read_and_share_nothing(
    tmp_path: Path, container: Callable[..., bytes]
) -> None:
    first, second = read(tmp_path, container(tuple_of(tensor(), tensor())))

    np.testing.assert_array_equal(first, second)
    assert not np.shares_memory(first, second)


def test_a_folder_may_have_a_name_with_a_time_in_it(tmp_path: Path) -> None:
    contents = zipped(tensor()).replace(b"archive/", b"T12:00:/")

    assert read(tmp_path, contents).shape == (2, 3)


def test_tensors_without_axes_and_without_values_are_read(tmp_path: Path) -> None:
    scalar, empty = read(tmp_path, zipped(tuple_of(tensor((), (), 4), tensor((0, 3), (3, 1)))))

    assert (scalar.shape, scalar) == ((), 4)
    assert empty.shape == (0, 3)


@BOTH
def test_parameters_plain_values_and_nested_containers_are_read(
    tmp_path: Path, container: Callable[..., bytes]
) -> None:
    parameter = call(
        name("torch._utils", "_rebuild_parameter"),
        tensor(),
        b"\x88",
        call(name("collections", "OrderedDict")),
    )
    ordered = call(name("collections", "OrderedDict")) + b"(" + text("w") + parameter + b"u"
    with_versions = ordered + mapping(_metadata=mapping(version=number(2))) + b"b"
    size = call(name("torch", "Size"), tuple_of(number(2), number(3)))
    plain = {"a": [1, 2.5, None, True, "é", (3, -(2**70))], 7: b"bytes"}
    value = tuple_of(with_versions, size, pickle.dumps(plain, protocol=4)[11:-1])

    state, shape, others = read(tmp_path, container(value))

    assert list(state) == ["w"]
    assert state["w"].shape == shape == (2, 3)
    assert others == plain


def test_a_file_of_python_2_with_the_items_in_a_list_is_read(tmp_path: Path) -> None:
    pair = b"](U\x01w" + tensor().replace(b"_v2", b"") + b"e"
    value = call(name("collections", "OrderedDict"), b"]" + pair + b"a")

    found = read(tmp_path, legacy(value))

    assert list(found) == ["w"]


def test_protocol_4_is_read(tmp_path: Path) -> None:
    long_names = b"\x8c\x05torch\x8c\x0cFloatStorage\x93\x94"
    value = tensor().replace(name("torch", "FloatStorage"), long_names)

    found = read(tmp_path, zipped(value))

    assert found.shape == (2, 3)


@pytest.mark.parametrize(
    ("file", "best", "tensors", "values"),
    [
        ("resnet20-12fca82f.th", 91.78, 97, 269_722 + 1_376),
        ("resnet56-4bfd9763.th", 93.62, 277, 853_018 + 4_064),
    ],
)
def test_checkpoints_that_others_published_are_read(
    shared_data: Path, file: str, best: float, tensors: int, values: int
) -> None:
    found = load_torch(shared_data / "pretrained" / file)

    assert found["best_prec1"] == pytest.approx(best)
    assert len(found["state_dict"]) == tensors
    assert sum(array.size for array in found["state_dict"].values()) == values
    assert all(np.isfinite(array).all() for array in found["state_dict"].values())


@pytest.mark.oracle
@pytest.mark.parametrize("zip_format", [True, False], ids=["zip", "legacy"])
def test_what_pytorch_writes_is_read_as_pytorch_reads_it(tmp_path: Path, zip_format: bool) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    base = torch.randn(4, 6)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    saved = {
        "state_dict": network.state_dict(),
        "parameters": list(network.parameters()),
        "views": (base, base.t(), base[1:, ::2], base[2, 3], base.expand(2, 4, 6)),
        "half": base.half(),
        "brain": base.bfloat16(),
        "double": base.double(),
        "wholes": [base.to(getattr(torch, kind)) for kind in ("int64", "int32", "int16", "int8")],
        "bytes": base.to(torch.uint8),
        "signs": base > 0,
        "empty": torch.zeros(0, 3),
        "epoch": 3,
        "lr": 0.1,
        "shape": base.shape,
        "nothing": None,
        "optimizer": torch.optim.SGD(network.parameters(), 0.1, momentum=0.9).state_dict(),
    }
    path = tmp_path / "saved.pth"
    torch.save(saved, path, _use_new_zipfile_serialization=zip_format)

    def assert_same(found: Any, expected: Any) -> None:
        if isinstance(expected, torch.Tensor):
            if expected.dtype == torch.bfloat16:
                expected = expected.float()
            np.testing.assert_array_equal(found, expected.detach().numpy(), strict=True)
        elif isinstance(expected, dict):
            assert list(found) == list(expected)
            for key in expected:
                assert_same(found[key], expected[key])
        elif isinstance(expected, list | tuple):
            assert len(found) == len(expected)
            for one, other in zip(found, expected, strict=True):
                assert_same(one, other)
        else:
            assert found == expected

    assert_same(load_torch(path), torch.load(path, weights_only=True))


def doubling(levels: int) -> bytes:
    """A list in a list twice, in a list twice, ...: a file of 500 bytes, a value of 2 ** levels."""
    value = b"]"
    for level in range(levels):
        put, get = b"q" + bytes([level]), b"h" + bytes([level])
        value = b"](" + value + put + get + b"e"
    return value


REFUSED = {
    "contains itself": (b"]q\x00h\x00a", "nested more than 100 deep"),
    "nested too deep": (b"(" * 5000 + b"t" * 5000, "nested more than 100 deep"),
    "a key that is a tuple": (b"})Ns", "has the key a tuple; only names"),
    "a key that is huge": (b"}" + number(2**61) + b"Ns", "has the key 2305843009213693952"),
    "a key as long as a book": (b"}" + text("k" * 2000) + b"Ns", "has the key 'kkk"),
    "a memo that was never written": (b"h\x07", "needs again what it never had: 7"),
    "an extension": (b"\x82\x01", "the instruction EXT1"),
    "another extension": (b"\x84\x01\x00\x00\x00", "the instruction EXT4"),
    "a buffer from elsewhere": (b"\x97", "the instruction NEXT_BUFFER"),
    "a textual persistent id": (b"Pstorage\n", "the instruction PERSID"),
    "a number that is text": (b"I" + b"9" * 10_000 + b"\n", "cut short or damaged"),
    "an unknown instruction": (b"\xff", r"cut short or damaged \(.*unknown"),
    "an unknown protocol": (b"\x80\x09N", "the unknown protocol 9"),
    "nothing left": (b"", "what is needed is not on the stack"),
    "a mark alone": (b"(", "what is needed is not on the stack"),
    "no mark": (b"Nt", "a mark is missing"),
    "an item for no list": (b"NNa", "not on the stack"),
    "attributes of no dictionary": (name("torch", "Size") + b"}b", "not on the stack"),
    "half an item": (b"}(Nu", "key has no value"),
    "a call of a number": (number(3) + b")R", "calls what is no function"),
    "a call of a dtype": (call(name("torch", "FloatStorage")), "FloatStorage', which is no funct"),
    "a call with too few": (call(name("torch._utils", "_rebuild_tensor_v2"), storage()), "with"),
    "a class by itself": (name("torch", "FloatStorage"), "holds 'torch.FloatStorage' by itself"),
    "a storage by itself": (storage(), "holds a Storage by itself"),
    "a persistent id that is text": (text("storage") + b"Q", "refers to 'storage', which is no"),
    "a persistent id that is a list": (b"]Q", "refers to a list"),
    "a module": (tuple_of(text("module"), b"N", text("source"), text("")) + b"Q", "refers to"),
    "a storage of no dtype": (
        tuple_of(text("storage"), name("torch", "Size"), text("0"), text("cpu"), number(6)) + b"Q",
        "refers to a tuple, which is no storage",
    ),
    "a storage of a negative count": (storage(count=-1), "which is no storage"),
    "a storage in two ways": (
        tuple_of(storage(), storage(kind="IntStorage")),
        "speaks of the storage '0' in two ways",
    ),
    "a part of a storage": (
        storage().replace(b"tQ", tuple_of(text("1"), number(0), number(3)) + b"tQ"),
        "as part of another",
    ),
    "a storage longer than the file": (
        tensor(values=storage(count=2**40)),
        "should have 1099511627776 values",
    ),
    "a storage shorter than the file": (tensor((2,), (1,), values=storage(count=2)), "have 2 valu"),
    "an offset beyond the storage": (tensor(offset=1), r"offset 1 reaches beyond its storage of 6"),
    "a stride beyond the storage": (tensor(stride=(4, 1)), "reaches beyond its storage"),
    "a size beyond the storage": (tensor((7,), (1,)), "reaches beyond its storage"),
    "a negative size": (tensor((-2, 3)), "calls 'torch._utils._rebuild_tensor_v2' with"),
    "a negative stride": (tensor(stride=(3, -1)), "_rebuild_tensor_v2' with"),
    "a negative offset": (tensor(offset=-1), "_rebuild_tensor_v2' with"),
    "values kept as the negative ones": (
        tensor()[:-2] + mapping(neg=b"\x88") + b"tR",
        "by other values, such as the negative ones; save it anew, after tensor.resolve_neg",
    ),
    "strides of another length": (tensor(stride=(3,)), "_rebuild_tensor_v2' with"),
    "too many axes": (tensor((1,) * 65, (1,) * 65), "_rebuild_tensor_v2' with"),
    "one value, repeated": (tensor((10**6, 10), (0, 0)), "more than 8 times the file's own size"),
    "no value, in a huge shape": (
        tensor((0, *[2**40] * 3), (1,) * 4),
        "more than 8 times the file's own size",
    ),
}


@BOTH
@pytest.mark.parametrize("case", REFUSED)
def test_a_program_that_no_weights_need_is_refused(
    tmp_path: Path, container: Callable[..., bytes], case: str
) -> None:
    value, message = REFUSED[case]

    with pytest.raises(TorchArchiveError, match=rf"(?s)cannot load '.*weights.pth': .*{message}"):
        read(tmp_path, container(value))


ENDLESS = {
    "_MOST_INSTRUCTIONS": (torch_pickle, b"(" + b"N" * 10**6 + b"t", "instructions, or calls"),
    "_MOST_VALUES": (torch_archive, doubling(60), "counting what stands in several places"),
}


@pytest.mark.parametrize("limit", ENDLESS)
@pytest.mark.parametrize("most", [1000, pytest.param(None, marks=pytest.mark.long)])
def test_a_program_that_hardly_ends_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int | None
) -> None:
    module, value, message = ENDLESS[limit]
    if most is not None:
        monkeypatch.setattr(module, limit, most)
        message = f"more than {most:,}.*{message}"

    with pytest.raises(TorchArchiveError, match=message):
        read(tmp_path, zipped(value))


@pytest.mark.parametrize(
    "value",
    [
        b"]("
        + b"(K\x01Nt" * 100
        + b"eq\x00("
        + (name("collections", "OrderedDict") + b"h\x00\x85R") * 999,
        b"(" + b"K\x01" * 100 + b"tq\x00(" + (name("torch", "Size") + b"h\x00\x85R") * 999,
    ],
    ids=["a list, made a dictionary", "a size"],
)
def test_calls_that_look_at_long_lists_count_as_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: bytes
) -> None:
    monkeypatch.setattr(torch_pickle, "_MOST_INSTRUCTIONS", 5000)

    with pytest.raises(TorchArchiveError, match="more than 5,000 instructions, or calls that"):
        read(tmp_path, zipped(value + b"t"))


def test_lengths_that_a_pickle_states_allocate_nothing(tmp_path: Path) -> None:
    for opcode in (b"X\xff\xff\xff\x7f", b"\x8d" + b"\xff" * 7 + b"\x00", b"\x8e" + b"\x7f" * 8):
        with pytest.raises(TorchArchiveError, match="cut short or damaged"):
            read(tmp_path, zipped(opcode))
    with pytest.raises(TorchArchiveError, match=r"BYTEARRAY8|cut short or damaged"):
        read(tmp_path, zipped(b"\x96" + (2**40).to_bytes(8, "little")))


def test_a_place_in_the_memo_may_be_any_number_at_no_cost(tmp_path: Path) -> None:
    far = (2**31 - 1).to_bytes(4, "little")

    assert read(tmp_path, zipped(b"Nr" + far + b"j" + far + b"\x86", {})) == (None, None)


@pytest.mark.parametrize(
    "case", ["a storage longer than the file", "one value, repeated", "nested too deep"]
)
def test_what_a_small_file_claims_takes_little_memory(tmp_path: Path, case: str) -> None:
    contents = zipped(REFUSED[case][0])
    tracemalloc.start()
    try:
        with pytest.raises(TorchArchiveError):
            read(tmp_path, contents)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 32e6


def running(place: Path) -> dict[str, bytes]:
    """Pickles that would write the file `place`, were they unpickled."""
    code = f"open({str(place)!r}, 'w').close()"
    execute = name("builtins", "exec")
    return {
        "reduce": call(execute, text(code)),
        "reduce, Python 2": call(name("__builtin__", "exec"), text(code)),
        "named on the stack": text("builtins")
        + text("exec")
        + b"\x93"
        + tuple_of(text(code))
        + b"R",
        "system": call(name("os", "system"), text(f"touch {place}")),
        "inst": b"(" + text(code) + b"ibuiltins\nexec\n",
        "obj": b"(" + execute + text(code) + b"o",
        "newobj": execute + tuple_of(text(code)) + b"\x81",
        "newobj_ex": execute + tuple_of(text(code)) + b"}\x92",
        "a dotted name": call(name("torch._utils", "os.system"), text(f"touch {place}")),
        "behind a tensor": tuple_of(tensor(), call(execute, text(code))),
        "in a hook": tensor().replace(
            call(name("collections", "OrderedDict")), call(execute, text(code))
        ),
        "setstate": name("collections", "OrderedDict")
        + b")R"
        + mapping(__setstate__=execute)
        + b"b"
        + text(code)
        + b"b",
        "within a persistent id": call(execute, text(code)) + b"Q",
    }


@BOTH
@pytest.mark.parametrize("way", running(Path("canary")))
def test_no_way_of_running_code_from_a_file_runs_anything(
    tmp_path: Path, container: Callable[..., bytes], way: str
) -> None:
    canary = tmp_path / "canary"

    with pytest.raises(TorchArchiveError) as raised:
        read(tmp_path, container(running(canary)[way]))

    assert not canary.exists()
    assert any(word in str(raised.value) for word in ("asks for '", "uses the instruction"))


def test_the_canary_sings_where_python_unpickles(tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    for way in ("reduce", "named on the stack", "inst", "obj"):
        pickle.loads(program(running(canary)[way]))
        assert canary.exists()
        canary.unlink()


def test_a_refused_name_is_told_with_what_to_do(tmp_path: Path) -> None:
    value = mapping(args=call(name("argparse", "Namespace")))

    with pytest.raises(
        TorchArchiveError,
        match=r"asks for 'argparse.Namespace', .* alone, .* torch.save\(model.state_dict\(\), path",
    ):
        read(tmp_path, zipped(value))


def test_a_name_from_the_file_cannot_steer_a_terminal(tmp_path: Path) -> None:
    with pytest.raises(TorchArchiveError) as raised:
        read(tmp_path, zipped(name("\x1b[2Jos", "x" * 100_000)))

    assert "\x1b" not in str(raised.value)
    assert len(str(raised.value)) < 600


def edited(contents: bytes, old: bytes, new: bytes) -> bytes:
    assert contents.count(old) >= 1
    return contents.replace(old, new)


def twice_the_same(contents: bytes) -> bytes:
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        zipfile.ZipFile(file := io.BytesIO(contents), "a") as archive,
    ):
        archive.writestr("archive/data/0", SIX)
    return file.getvalue()


def npz(save: Callable[..., None]) -> bytes:
    save(file := io.BytesIO(), np.zeros(3), np.ones(2))
    return file.getvalue()


GOOD = zipped(tensor())
BAD_ZIPS: dict[str, tuple[Callable[[], bytes], str]] = {
    "compressed": (lambda: zipped(tensor(), compression=zipfile.ZIP_DEFLATED), "is compressed"),
    "a bomb": (
        lambda: zipped(tensor(), {"0": bytes(10**7)}, compression=zipfile.ZIP_DEFLATED),
        "is compressed, which torch.save never does",
    ),
    "NumPy's, compressed": (
        lambda: npz(np.savez_compressed),
        "it is a NumPy .npz archive; read it with numpy.load, and save its arrays with minires.sa",
    ),
    "NumPy's": (lambda: npz(np.savez), "it is a NumPy .npz archive"),
    "a path upwards": (
        lambda: zipped(tensor(), members={"archive/../../evil": b"x"}),
        "has the name 'archive/../../evil'",
    ),
    "an absolute path": (lambda: zipped(tensor(), members={"/evil": b"x"}), "has the name '/evil'"),
    "a Windows path": (
        lambda: zipped(tensor(), members={"C:\\evil": b"x"}),
        r"has the name 'C:",
    ),
    "the same name twice": (lambda: twice_the_same(GOOD), "have the same name"),
    "two pickles": (
        lambda: zipped(tensor(), members={"other/data.pkl": program(b"N")}),
        "with 2 files data.pkl",
    ),
    "no pickle": (lambda: edited(GOOD, b"data.pkl", b"data.txt"), "with 0 files data.pkl"),
    "a program": (
        lambda: zipped(tensor(), members={"archive/constants.pkl": program(b")")}),
        "a TorchScript archive",
    ),
    "a missing storage": (lambda: zipped(tensor(), {}), "the storage '0' is missing"),
    "a storage cut short": (lambda: zipped(tensor(), {"0": SIX[:-1]}), "but has 23 bytes"),
    "an unknown byte order": (
        lambda: zipped(tensor(), members={"archive/byteorder": b"middle"}),
        "states the byte order b'middle'",
    ),
    "something behind the pickle": (
        lambda: zipped(tensor() + b"." + b"N"),
        "2 bytes follow its pickle",
    ),
    "a value changed": (lambda: edited(GOOD, SIX, SIX[::-1]), "Bad CRC-32"),
    "encrypted": (
        lambda: edited(GOOD, b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"),
        "cut short or damaged",
    ),
}


@pytest.mark.parametrize("case", BAD_ZIPS)
def test_a_zip_archive_that_pytorch_would_not_write_is_refused(tmp_path: Path, case: str) -> None:
    make, message = BAD_ZIPS[case]

    with pytest.raises(TorchArchiveError, match=rf"cannot load '.*weights.pth': .*{message}"):
        read(tmp_path, make())

    assert [path.name for path in tmp_path.iterdir()] == ["weights.pth"]


def test_sizes_that_a_zip_archive_declares_are_not_believed(tmp_path: Path) -> None:
    size, huge = (24).to_bytes(4, "little") * 2, (2**31).to_bytes(4, "little") * 2

    with pytest.raises(TorchArchiveError, match=r"should have 2,147,4\d\d,\d+ bytes, but the arch"):
        read(tmp_path, edited(GOOD, size, huge))


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "the file is empty"),
        (b"weights of a network", "no PyTorch archive opens with its first bytes, b'weights '"),
        (b"\x50\x01\0\0\0\0\0\0{", "looks like a safetensors file; read it with minires.load"),
        (pickle.dumps({"w": 1}, protocol=2), "a pickle, but torch.save did not write it"),
        (legacy(b"N")[:14], "cut short"),
        (legacy(b"N").replace(b"M\xe9\x03", b"M\xe8\x03", 1), "of version 1000; 1001 is known"),
        (legacy(tensor()) + b"more", "4 bytes follow the last storage"),
        (legacy(tensor())[:-1], "should have 6 values of 4 bytes, but has 23 bytes"),
        (legacy(tensor(), {}), "lists 0 storages, but its tensors need 1"),
        (legacy(tensor(), {"1": SIX}), "lists 1 storages, but its tensors need 1, or others"),
        (legacy(tensor(), {"0": SIX + SIX}), "should have 6 values, but states 12"),
    ],
)
def test_a_file_that_is_no_archive_or_a_damaged_one_is_refused(
    tmp_path: Path, contents: bytes, message: str
) -> None:
    with pytest.raises(TorchArchiveError, match=message):
        read(tmp_path, contents)


def outcomes(folder: Path, damaged: list[bytes]) -> list[bool]:
    """Whether each is still read; anything raised but the one error fails the test."""
    read_still = []
    for contents in damaged:
        try:
            read(folder, contents)
        except TorchArchiveError:
            read_still.append(False)
        else:
            read_still.append(True)
    return read_still


@BOTH
def test_an_archive_cut_anywhere_is_refused(
    tmp_path: Path, container: Callable[..., bytes]
) -> None:
    whole = container(mapping(weight=tensor(), epoch=number(3)))

    assert not any(outcomes(tmp_path, [whole[:end] for end in range(0, len(whole), 3)]))
    assert not any(outcomes(tmp_path, [whole[:-1], whole[:-2]]))


@BOTH
def test_a_changed_byte_raises_the_one_error_or_none(
    tmp_path: Path, container: Callable[..., bytes]
) -> None:
    whole = container(mapping(weight=tensor(), epoch=number(3)))
    dice = np.random.default_rng(0)
    damaged = [
        whole[:place] + bytes([whole[place] ^ dice.integers(1, 256)]) + whole[place + 1 :]
        for place in range(0, len(whole), 2)
    ]

    refused = outcomes(tmp_path, damaged).count(False)

    # The rest changed a value, a name, or what is not read, such as a time.
    assert refused > len(damaged) / 2


@pytest.mark.long
@BOTH
def test_bits_and_many_bytes_changed_raise_the_one_error_or_none(
    tmp_path: Path, container: Callable[..., bytes]
) -> None:
    whole = container(mapping(weight=tensor(), epoch=number(3)))
    for bit in range(8):
        outcomes(
            tmp_path,
            [
                whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :]
                for place in range(len(whole))
            ],
        )
    dice = np.random.default_rng(1)
    for _ in range(3_000):
        damaged = np.frombuffer(whole, np.uint8).copy()
        places = dice.integers(0, len(whole), dice.integers(2, 12))
        damaged[places] = dice.integers(0, 256, places.size)
        outcomes(tmp_path, [damaged.tobytes()])
