"""A trace's file: what goes in comes out, and nothing else comes out, whatever the bytes."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minires as mr
from minires.trace import Trace, TraceFileError
from minires.trace.schema import to_json
from tests.trace import networks

Program = list[tuple[str, int, int]]


def traced(program: Program, save: str) -> Trace:
    """Run a drawn program: each line takes two of the values so far."""
    values = [mr.tensor(np.linspace(-1, k, 6).reshape(2, 3), requires_grad=True) for k in (1, 2)]
    with np.errstate(all="ignore"), mr.trace.record(save=save) as trace:
        for name, left, right in program:
            x, y = values[left % len(values)], values[right % len(values)]
            values.append(
                {
                    "mul": lambda x=x, y=y: x * y,
                    "residual_add": lambda x=x, y=y: mr.ops.residual_add(x, y),
                    "relu": lambda x=x: mr.relu(x),
                    "detach": lambda x=x, y=y: x.detach() + y,
                    "log": lambda x=x: mr.log(x),  # NaN and infinity
                }[name]()
            )
        (values[-1] * values[-1]).sum().backward()
    return trace


programs = st.lists(
    st.tuples(
        st.sampled_from(["mul", "residual_add", "relu", "detach", "log"]),
        st.integers(0, 9),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=8,
)
modes = st.sampled_from(["summary", "thumbs", "full"])


@pytest.fixture
def small() -> Trace:
    return traced([("relu", 0, 0), ("residual_add", 0, 2), ("log", 3, 0)], "full")


@pytest.fixture
def saved(small: Trace, tmp_path: Path) -> Path:
    path = tmp_path / "step.trace"
    small.save(path)
    return path


def without_tape(trace: Trace) -> str:
    """Write a trace as JSON, as if its tape had stayed behind, which alone a file changes."""
    records = trace.records
    if records.budget.replay_state == "kept":
        told = "not in a file: compute what needs it before save()"
        records = replace(records, budget=replace(records.budget, replay=0, replay_state=told))
    return to_json(records)


def same(one: Trace, other: Trace) -> bool:
    return without_tape(one) == without_tape(other) and all(
        np.array_equal(one.arrays[name], other.arrays[name], equal_nan=True)
        and one.arrays[name].dtype == other.arrays[name].dtype
        for name in {*one.arrays, *other.arrays}
    )


def loaded_or_refused(path: Path) -> Trace | None:
    """Load a file that may be broken; None where that was said as it should be."""
    try:
        return mr.trace.load(path)
    except TraceFileError as error:
        if path.name not in str(error):
            raise
        return None


def edited(path: Path, change: Callable[[dict[str, bytes]], Any]) -> Path:
    """Pack an archive again after its members were changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def with_records(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    def in_text(members: dict[str, bytes]) -> None:
        records = json.loads(members["trace.json"])
        change(records)
        members["trace.json"] = json.dumps(records).encode()

    return edited(path, in_text)


@given(program=programs, save=modes)
def test_a_saved_trace_comes_back_equal(tmp_path_factory, program, save):
    path = tmp_path_factory.mktemp("saved") / "step.trace"
    trace = traced(program, save)
    trace.save(path)
    assert same(mr.trace.load(path), trace)


@given(program=programs, save=modes)
def test_equal_traces_give_equal_bytes(tmp_path_factory, program, save):
    folder = tmp_path_factory.mktemp("saved")
    trace = traced(program, save)
    trace.save(folder / "one")
    trace.save(folder / "two")
    assert (folder / "one").read_bytes() == (folder / "two").read_bytes()
    mr.trace.load(folder / "one").save(folder / "three")
    mr.trace.load(folder / "three").save(folder / "four")
    assert (folder / "three").read_bytes() == (folder / "four").read_bytes()


def test_a_loaded_trace_says_that_its_tape_stayed_behind(saved, small):
    budget = mr.trace.load(saved).records.budget
    assert small.records.budget.replay_state == "kept"
    assert budget.replay_state.startswith("not in a file: ")
    assert budget.replay == 0
    assert budget.limit == small.records.budget.limit


def test_memory_order_is_no_part_of_the_bytes(tmp_path, small):
    small.save(tmp_path / "rows")
    small.arrays = {k: np.asarray(array, order="F") for k, array in small.arrays.items()}
    small.save(tmp_path / "columns")
    assert (tmp_path / "rows").read_bytes() == (tmp_path / "columns").read_bytes()


def test_arrays_of_any_shape_and_number_type_come_back(tmp_path, small):
    small.arrays = {
        "extra/scalar": np.array(1.5),
        "extra/empty": np.zeros((0, 3), "float16"),
        "extra/complex": np.array([1j], "complex64"),
        "extra/flags": np.array([[True], [False]]),
        "extra/columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    }
    small.save(tmp_path / "step.trace")
    found = mr.trace.load(tmp_path / "step.trace")
    assert same(found, small)
    assert found.arrays["extra/scalar"].shape == ()
    assert all(array.flags.writeable for array in found.arrays.values())


def test_numpy_opens_the_file_as_an_npz(saved, small):
    with np.load(saved, allow_pickle=False) as opened:
        np.testing.assert_array_equal(opened["value/0"], small.arrays["value/0"])


def test_a_real_network_with_its_spectrum_comes_back_equal(tmp_path):
    model = mr.models.cifar_resnet(depth=8)
    with mr.trace.record(model, save="thumbs") as trace:
        mr.ops.cross_entropy(model(mr.randn(2, 3, 8, 8)), mr.tensor([1, 2])).backward()
    spectrum = trace.path_spectrum()
    trace.save(tmp_path / "step.trace")
    found = mr.trace.load(tmp_path / "step.trace")
    assert same(found, trace)
    assert found.records.spectra[0].norms == spectrum.norms
    assert [fork.parts for fork in found.forks()] == [fork.parts for fork in trace.forks()]


@pytest.mark.parametrize(
    "model",
    [
        networks.Stack("bottleneck", "B"),
        networks.Stack("pre-activation", "A"),
        networks.Head(networks.DenseLayer(4, 2), networks.DenseLayer(6, 2)),
        networks.Head(networks.Inception(4)),
    ],
    ids=["bottleneck", "pre-activation", "concatenation", "inception"],
)
@pytest.mark.parametrize("spelled_out", [(), ("conv2d", "batch_norm")], ids=["fused", "expanded"])
def test_networks_of_every_kind_come_back_equal(tmp_path, model, spelled_out):
    with mr.expand(*spelled_out):
        trace = networks.recorded(model, networks.images(dtype="float32"), save="full")
    trace.save(tmp_path / "step.trace")
    assert same(mr.trace.load(tmp_path / "step.trace"), trace)


def test_a_gradient_that_a_hook_replaced_comes_back(tmp_path):
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record(save="full") as trace:
        y = x * x
        y.register_hook(lambda gradient: gradient * 2)
        y.sum().backward()
    trace.save(tmp_path / "step.trace")
    assert same(mr.trace.load(tmp_path / "step.trace"), trace)


def test_a_recorded_second_derivative_comes_back_equal(tmp_path):
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        (slope,) = mr.grad((x * x * x).sum(), [x], create_graph=True)
        slope.sum().backward()
    trace.save(tmp_path / "step.trace")
    assert same(mr.trace.load(tmp_path / "step.trace"), trace)


def test_values_made_before_recording_come_back(tmp_path):
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    with mr.trace.record() as trace:
        (y * 3).sum().backward()
    trace.save(tmp_path / "step.trace")
    assert same(mr.trace.load(tmp_path / "step.trace"), trace)


def test_a_trace_of_nothing_comes_back(tmp_path):
    with mr.trace.record() as trace:
        pass
    trace.save(tmp_path / "step.trace")
    assert same(mr.trace.load(tmp_path / "step.trace"), trace)


def test_text_that_utf8_lacks_is_saved_as_question_marks(tmp_path, small):
    small.records.error = "FileNotFoundError: 'caf\udce9.png'"
    small.save(tmp_path / "step.trace")
    found = mr.trace.load(tmp_path / "step.trace")
    assert found.records.error == "FileNotFoundError: 'caf?.png'"


def test_a_file_cut_short_anywhere_is_refused_by_name(saved):
    content = saved.read_bytes()
    for length in range(0, len(content), 37):
        saved.write_bytes(content[:length])
        with pytest.raises(TraceFileError, match=r"step\.trace"):
            mr.trace.load(saved)


@pytest.fixture(scope="module")
def flippable(tmp_path_factory) -> tuple[Path, bytearray, Trace]:
    path = tmp_path_factory.mktemp("flipped") / "step.trace"
    trace = traced([("relu", 0, 0), ("residual_add", 0, 2)], "full")
    trace.save(path)
    return path, bytearray(path.read_bytes()), trace


@given(flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=40))
def test_a_changed_byte_is_refused_or_changes_nothing(flippable, flips):
    path, content, trace = flippable
    for place, flip in flips:
        at = int(place * (len(content) - 1))
        content[at] ^= flip
        path.write_bytes(content)
        content[at] ^= flip
        found = loaded_or_refused(path)
        assert found is None or same(found, trace)


@given(data=st.data())
def test_edited_json_is_refused_or_still_holds_together(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("edited") / "step.trace"
    traced([("relu", 0, 0), ("residual_add", 0, 2)], "thumbs").save(path)

    def somewhere(records: dict[str, Any]) -> None:
        holder: Any = records
        while True:
            key = data.draw(
                st.sampled_from(sorted(holder))
                if isinstance(holder, dict)
                else st.integers(0, len(holder) - 1)
            )
            if not isinstance(holder[key], dict | list) or not holder[key]:
                break
            holder = holder[key]
        holder[key] = data.draw(
            st.sampled_from([None, -1, 10**30, 3, 0.5, "", "NaN", "x", True, [], {}, [3, 4]])
        )

    with_records(path, somewhere)
    found = loaded_or_refused(path)
    if found is not None:  # then nothing that reads it fails, or goes round in circles
        assert found.structure.roles is not None
        found.forks()
        found.gains()
        assert str(found.table())
        assert found.to_svg(expand=True)
        assert found.to_dot()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r: r.pop("values"), r"forward\[0\].output: there is no value"),
        (lambda r: r.pop("budget"), r"budget: it is missing"),
        (
            lambda r: r["values"][0]["stats"].update(n=1),
            r"values\[0\].stats.n: there is no such key",
        ),
        (lambda r: r.update(surprise=1), r"surprise: there is no such key"),
        (lambda r: r.update(schema="minires.trace/2"), r"its schema is 'minires.trace/2'.* only"),
        (lambda r: r["values"][0].update(index="0"), r"values\[0\].index: .* integer, found '0'"),
        (lambda r: r["values"][0].update(kind="x"), r"values\[0\].kind: it should be 'result'"),
        (lambda r: r["values"][0].update(index=1), r"values\[0\].index: must be 0, found 1"),
        (lambda r: r["values"][0]["stats"].update(norm="1"), r"values\[0\].stats.norm: .* number"),
        (lambda r: r["values"][0]["shape"].append(-1), r"values\[0\].shape: no array"),
        (lambda r: r["values"][0].update(detached_from=99), r"values\[0\].detached_from: there is"),
        (lambda r: r["values"][0].update(kind="result"), r"values\[0\].op: a result needs"),
        (
            lambda r: r["forward"][0]["operands"][0].update(value=3),
            r"forward\[0\].operands\[0\].value: value 3 is made by forward step 2",
        ),
        (
            lambda r: r["forward"][0].update(output=0),
            r"values\[1\].op: forward step 0 made value 0",
        ),
        (
            lambda r: r["values"][5].update(op=None, kind="input"),
            r"forward\[4\].output: value 5 was not made by this step",
        ),
        (lambda r: r["forward"][0].update(vjp_of=77), r"forward\[0\].vjp_of: there is no backward"),
        (lambda r: r["backward"][0].update(run=-1), r"backward\[0\].run: must not be negative"),
        (lambda r: r["backward"][1].update(op=0), r"backward\[1\].op: forward step 0 did not make"),
        (
            lambda r: r["backward"][1]["parts"][0].update(consumer=99),
            r"backward\[1\].parts\[0\].consumer: there is no forward step 99",
        ),
        (
            lambda r: r["backward"][1]["parts"][0].update(slot=9),
            r"backward\[1\].parts\[0\].slot: forward step \d+ does not use value \d+ in slot 9",
        ),
        (lambda r: r["backward"][0]["sent"][0].update(value=0), r"backward\[0\].sent\[0\].slot"),
        (lambda r: r["forward"][0].update(seconds="NaN"), r"forward\[0\].seconds: must not be nan"),
        (
            lambda r: r["forward"][0]["operands"][0].update(value=r["forward"][0]["output"]),
            r"forward\[0\].operands\[0\].value: value 1 is made by forward step 0",
        ),
        (
            lambda r: r["values"][1].update(kind="input"),
            r"values\[1\].op: forward step 0 made value 1",
        ),
        (
            lambda r: [step.update(vjp_of=0) for step in r["forward"]],
            r"forward\[0\].vjp_of: backward step 0 comes only after this step",
        ),
        *[
            (
                lambda r, to=dtype: r["values"][0].update(dtype=to),
                r"values\[0\].dtype: .* is no dtype of gradients",
            )
            for dtype in ("float99", "", "O", "f4,f4", "f4," * 10_000, "<U4")
        ],
        (lambda r: r["values"][0].update(dtype="int64"), r"'int64' is no dtype of gradients"),
        *[
            (
                lambda r, name=name, to=to: r["values"][0]["stats"].update({name: to}),
                rf"values\[0\].stats.{name}: ",
            )
            for name, to in [
                ("norm", -3.0),
                ("rms", -1e-9),
                ("std", -1.0),
                ("zeros", 1.1),
                ("zeros", "NaN"),
                ("tiny", -0.1),
                ("nans", -1),
                ("infs", -1),
                ("sample", -1),
                ("nans", 10**400),
            ]
        ],
        (
            lambda r: r["values"][0]["gradient"].update(norm=-1.0),
            r"values\[0\].gradient.norm: must not be negative",
        ),
        (
            lambda r: r["backward"][0]["stats"].update(norm=-1.0),
            r"backward\[0\].stats.norm: must not be negative",
        ),
        (
            lambda r: r["backward"][0]["parts"][0]["stats"].update(norm=-1.0),
            r"backward\[0\].parts\[0\].stats.norm: must not be negative",
        ),
        (
            lambda r: r["backward"][0]["sent"][0]["stats"].update(norm=-1.0),
            r"backward\[0\].sent\[0\].stats.norm: must not be negative",
        ),
        (lambda r: r["forward"][0].update(flops=10**400), r"forward\[0\].flops: must be 0 to"),
        (lambda r: r["forward"][0].update(bytes=2**63), r"forward\[0\].bytes: must be 0 to"),
        (lambda r: r["budget"].update(arrays=-1), r"budget.arrays: must be 0 to"),
        (
            lambda r: r["forward"][0].update(op="batch_norm", notes={"gamma_zeros": 0.0}),
            r"forward\[0\].notes: those of a batch_norm have 'gamma_over_sigma', too",
        ),
        (
            lambda r: r["forward"][0].update(
                op="batch_norm",
                notes={"gamma_over_sigma": -1.0, "gamma_zeros": 0.0, "smallest_std": 1.0},
            ),
            r"forward\[0\].notes.gamma_over_sigma: must not be negative",
        ),
        (
            lambda r: r["spectra"].append(
                {"at": "", "value": 0, "norms": [-1], "shares": [1], "total": 1, "paths": [1]}
            ),
            r"spectra\[0\].norms\[0\]: must not be negative",
        ),
        (lambda r: r.update(title="x" * 70_000), r"title: .* at most 65536 characters"),
        (
            lambda r: r.update(schema="minires.trace/2", more=[], values={}),
            r"its schema is 'minires.trace/2'",
        ),
        (lambda r: r["steps"].pop(), r"steps: 1 backward steps are missing"),
        (lambda r: r["steps"].insert(0, ["forward", 9]), r"steps\[0\]: forward step 9 stands"),
        (
            lambda r: r["spectra"].append(
                {"at": "", "value": 0, "norms": [1], "shares": [], "total": 1, "paths": [1]}
            ),
            r"spectra\[0\]: 1 norms, 0 shares",
        ),
        (
            lambda r: r["values"][0].update(
                thumbnail={"rows": 1, "columns": 2, "scale": 1, "pixels": "AA=="}
            ),
            r"values\[0\].thumbnail.pixels: 1 x 2 pixels expected, found 1",
        ),
        (
            lambda r: r["values"][0].update(
                thumbnail={"rows": 1, "columns": 999, "scale": 1, "pixels": ""}
            ),
            r"values\[0\].thumbnail: a thumbnail has at most 32 x 32",
        ),
    ],
)
def test_edited_records_are_refused_by_place(saved, change, told):
    with_records(saved, change)
    with pytest.raises(TraceFileError, match=rf"step\.trace' as a trace: in its .*{told}"):
        mr.trace.load(saved)


class Trap:
    """Unpickling this would leave a mark."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("trapped"),)


def npy(array: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def huge_header() -> bytes:
    stream = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2**40)}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m.pop("trace.json"), "it is an npz of arrays, not a trace"),
        (lambda m: m.clear(), "the archive is empty"),
        (lambda m: m.update({"../evil.npy": b""}), "neither 'trace.json' nor the name of an array"),
        (lambda m: m.update({"/evil.npy": b""}), "neither 'trace.json' nor the name of an array"),
        (lambda m: m.update({"notes.txt": b""}), "neither 'trace.json' nor the name of an array"),
        (lambda m: m.update({"value/0.npy": b"x"}), "its array 'value/0.npy' is damaged"),
        (lambda m: m.update({"value/0.npy": huge_header()}), "does not fit its"),
        (
            lambda m: m.update({"value/0.npy": npy(np.array([Trap()]), allow_pickle=True)}),
            "does not open like an .npy of numbers",
        ),
        (lambda m: m.update({"value/0.npy": npy(np.zeros(2))}), "its 'trace.json' says float64"),
        (lambda m: m.update({"value/0.npy": m["value/0.npy"] + b"more"}), "does not fit its"),
        (lambda m: m.update({"value/999.npy": npy(np.zeros(2))}), "belongs to nothing"),
        (lambda m: m.update({"part/0/9.npy": npy(np.zeros(2))}), "belongs to nothing"),
        (lambda m: m.update({"trace.json": b"{"}), "it is not JSON"),
        (lambda m: m.update({"trace.json": b"\xff"}), "it is not JSON"),
        (lambda m: m.update({"trace.json": b"[" * 10**5}), "it is not JSON: recursion limit"),
        (
            lambda m: m.update({"trace.json": b'{"schema":NaN}'}),
            "schema: it should be a valid string",
        ),
    ],
)
def test_edited_archives_are_refused_and_nothing_runs(saved, change, told, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    edited(saved, change)
    with pytest.raises(TraceFileError, match=told):
        mr.trace.load(saved)
    assert sorted(tmp_path.iterdir()) == [saved]


def test_more_text_than_any_trace_has_is_refused_unread(saved, monkeypatch):
    monkeypatch.setattr("minires.trace.file._LARGEST", 999)
    with pytest.raises(TraceFileError, match=r"bytes; at most 999 are read"):
        mr.trace.load(saved)


def test_millions_of_empty_lists_are_refused_unread(saved):
    with_records(saved, lambda records: records.update(values=[[]] * (1 << 20)))
    with pytest.raises(TraceFileError, match="lists and records"):
        mr.trace.load(saved)


def test_the_first_of_a_million_faults_is_enough(saved):
    with_records(saved, lambda records: records.update(values=[1] * 10**6))
    with pytest.raises(TraceFileError, match=r"values\[0\]: .{1,200}$"):
        mr.trace.load(saved)


def test_the_schema_may_stand_anywhere_in_the_text(saved, small):
    with_records(saved, lambda records: records.update(schema=records.pop("schema")))
    assert same(mr.trace.load(saved), small)
    with_records(saved, lambda records: (records.pop("schema"), records.update(schema="other/1")))
    with pytest.raises(TraceFileError, match="its schema is 'other/1'"):
        mr.trace.load(saved)


def test_a_text_of_any_length_is_saved_as_far_as_it_is_read(tmp_path, small):
    small.records.error = "x" * 70_000
    small.save(tmp_path / "step.trace")
    assert mr.trace.load(tmp_path / "step.trace").records.error == "x" * 65_536


def test_text_that_unpacks_to_a_thousandfold_is_refused_unread(saved):
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("trace.json", b" " * 10**8)
    with pytest.raises(TraceFileError, match=r"would unpack 9.... bytes to 100000000"):
        mr.trace.load(saved)


def test_compressed_arrays_are_refused_unread(saved):
    with zipfile.ZipFile(saved, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("extra/0.npy", b" " * 10**8)
    with pytest.raises(TraceFileError, match=r"'extra/0\.npy' is not stored as it is"):
        mr.trace.load(saved)


def test_an_array_hidden_in_the_remark_of_another_is_refused(saved):
    content = saved.read_bytes()
    # The directory stands at the end; its last entry but one swallows the last as its comment.
    entries = [found.start() for found in re.finditer(b"PK\x01\x02", content)]
    end = content.index(b"PK\x05\x06")
    longer = bytearray(content)
    longer[entries[-2] + 32 : entries[-2] + 34] = (end - entries[-1]).to_bytes(2, "little")
    saved.write_bytes(longer)
    with pytest.raises(TraceFileError, match="has remarks, which hide what follows it"):
        mr.trace.load(saved)


def test_two_members_of_one_name_are_refused(saved):
    with zipfile.ZipFile(saved, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("trace.json", b"{}")
    with pytest.raises(TraceFileError, match="same name"):
        mr.trace.load(saved)


@pytest.mark.parametrize("content", [b"", b"not a zip", npy(np.zeros(3))])
def test_files_of_another_kind_are_refused(tmp_path, content):
    path = tmp_path / "step.trace"
    path.write_bytes(content)
    with pytest.raises(TraceFileError, match=r"step\.trace' as a trace: it is no zip archive"):
        mr.trace.load(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        mr.trace.load(tmp_path / "nowhere.trace")
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        mr.trace.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "array", "told"),
    [
        ("../x", np.zeros(2), "has no place for an array named"),
        ("x", np.array(["text"]), "dtype <U4"),
        ("x", np.array([None]), "dtype object"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(tmp_path, small, name, array, told):
    small.arrays = {name: array}
    with pytest.raises(ValueError, match=told):
        small.save(tmp_path / "step.trace")
    assert not list(tmp_path.iterdir())


def test_a_saved_spectrum_is_told_again_without_a_replay(tmp_path):
    model, x = networks.made(networks.Stack("basic", "B")), networks.images()
    trace = networks.recorded(model, x)
    spectrum = trace.path_spectrum(x)
    trace.save(tmp_path / "step.trace")
    loaded = mr.trace.load(tmp_path / "step.trace")
    again = loaded.path_spectrum("input 0")
    np.testing.assert_array_equal(again.total, x.grad.numpy())
    for part, saved in zip(spectrum.parts, again.parts, strict=True):
        np.testing.assert_array_equal(part, saved)
    assert (again.norms, again.shares, again.paths) == (
        spectrum.norms,
        spectrum.shares,
        spectrum.paths,
    )
    with pytest.raises(mr.trace.ReplayError, match="not in a file"):
        loaded.path_spectrum("blocks.1")
