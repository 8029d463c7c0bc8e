"""A model that is not on the CPU is traced like one that is, and the recording waits for nothing.

The device is the strict stand-in for CuPy: whatever would wait for a GPU in silence raises here.
"""

from __future__ import annotations

import base64
import copy
import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import minires as mr
from minires import devices
from minires.trace import measures, statistics
from minires.trace.records import Stats, Thumbnail
from tests.devices.cuda import fake
from tests.trace.nets import batch, block_of, network


@pytest.fixture(scope="module", autouse=True)
def cuda():
    with fake.installed() as device:
        yield device


def step_on(device: str, model: Any = None, **options: Any) -> mr.trace.Trace:
    """Record one training step there; nothing is waited for but the end."""
    model = (network() if model is None else model).to(device)
    x, y = batch()
    x = x.to(device)  # labels on the host are looked at there, and the ops are the same
    with fake.strict(), mr.trace.record(model, **options) as trace:
        mr.ops.cross_entropy(model(x), y).backward()
    return trace


def assert_alike(a: Any, b: Any, place: str = "records", size: float = 0.01) -> None:
    """The same to rounding, times aside, and the numbers by which calls and gradients are known.

    A number near 0 may be off by a 10,000th of `size`.
    """
    name = place.rpartition(".")[2]
    if name in ("seconds", "replay", "spectra", "source", "twin_of") or (
        name == "checksum" and "backward" in place
    ):
        return
    assert type(a) is type(b), place
    if isinstance(a, Thumbnail):
        assert (a.rows, a.columns) == (b.rows, b.columns), place
        assert a.scale == pytest.approx(b.scale, rel=1e-4, abs=1e-6), place
        if b.scale > 1e-6:
            assert abs(pixels(a) - pixels(b)).max() <= 1, place
    elif dataclasses.is_dataclass(a):
        if isinstance(a, Stats) and math.isfinite(b.std):
            size = max(size, b.std)  # elements of either sign cancel in their mean
        for field in dataclasses.fields(a):
            parts = getattr(a, field.name), getattr(b, field.name)
            assert_alike(*parts, f"{place}.{field.name}", size)
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), place
        for number, pair in enumerate(zip(a, b, strict=True)):
            assert_alike(*pair, f"{place}[{number}]", size)
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), place
        for key in a:
            assert_alike(a[key], b[key], f"{place}.{key}", size)
    elif isinstance(a, float):
        assert a == pytest.approx(b, rel=1e-4, abs=1e-4 * size, nan_ok=True), place
    else:
        assert a == b, place


def pixels(picture: Thumbnail) -> Any:
    return np.frombuffer(base64.b64decode(picture.pixels), np.int8).astype(int)


@pytest.mark.parametrize(
    ("shortcut", "options"),
    [
        ("B", {"save": "full"}),
        ("B", {"save": "summary", "replay": False}),
        (None, {"save": "thumbs"}),
    ],
    ids=["residual", "residual and fused", "plain"],
)
def test_the_records_are_those_of_the_cpu(shortcut, options, monkeypatch):
    # A GPU keeps normalised images, where the CPU computes them again: other ops, if fused.
    monkeypatch.setattr(devices.cpu, "recomputes", False)
    here = step_on("cpu", network(shortcut=shortcut), **options)
    there = step_on("cuda", network(shortcut=shortcut), **options)
    assert_alike(there.records, here.records)
    assert there.arrays.keys() == here.arrays.keys()
    for name, array in there.arrays.items():
        np.testing.assert_allclose(array, here.arrays[name], rtol=1e-3, atol=1e-5, err_msg=name)
    # By the bytes of its parameters, too, one trace is taken for the other's.
    assert there.compare(here).differences == here.compare(here).differences


def test_what_is_recorded_is_copied_once_when_the_recording_ends():
    model = network().to("cuda")
    x, y = (tensor.to("cuda") for tensor in batch())
    optimizer = mr.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def train() -> fake.Counts:
        with fake.counting() as counts:
            for _ in range(3):
                optimizer.zero_grad()
                mr.ops.cross_entropy(model(x), y).backward()
                optimizer.step()
        return counts

    with fake.strict(), fake.counting() as counts, mr.trace.record(model, save="thumbs") as trace:
        inside = train()
    assert inside.downloads == []
    assert len(counts.downloads) == 1
    assert counts.hidden == []
    assert trace.records.backward[-1].run == 2


def test_each_array_costs_few_launches():
    model = network().to("cuda")
    x, y = (tensor.to("cuda") for tensor in batch())

    def launches(**options: Any) -> tuple[int, mr.trace.Trace | None]:
        with fake.counting() as counts:
            if not options:
                mr.ops.cross_entropy(model(x), y).backward()
                return len(counts.launches), None
            with mr.trace.record(model, **options) as trace:
                mr.ops.cross_entropy(model(x), y).backward()
        return len(counts.launches), trace

    launches()
    plain, _ = launches()
    for options, most in (
        ({"save": "summary", "replay": False}, 3.5),
        ({"save": "summary", "replay": True}, 6.5),
        ({"save": "thumbs", "replay": True}, 8),
    ):
        traced, trace = launches(**options)
        assert trace is not None
        looked_at = len({id(stats) for stats in all_stats(trace)})
        assert traced - plain <= most * looked_at, options


def all_stats(trace: mr.trace.Trace) -> list[Stats]:
    records = trace.records
    found = [value.stats for value in records.values]
    for step in records.backward:
        found += [step.stats, *(p.stats for p in step.parts), *(s.stats for s in step.sent)]
    return [stats for stats in found if stats is not None]


def test_who_looks_inside_the_block_sees_what_was_recorded_until_then():
    model = network().to("cuda")
    x, y = batch()
    with mr.trace.record(model, save="thumbs") as trace:
        loss = mr.ops.cross_entropy(model(x.to("cuda")), y)
        early = trace.records.values[0]
        assert early.stats.norm == pytest.approx(float(np.linalg.norm(x.numpy())), rel=1e-5)
        assert pixels(early.thumbnail).any()
        loss.backward()
    assert trace.records.backward[-1].stats.norm > 0
    assert all(np.isfinite(stats.norm) for stats in all_stats(trace))


def test_what_is_overwritten_before_the_end_is_recorded_as_it_was(cuda):
    layer = mr.nn.Linear(4, 3).to("cuda")
    before = layer.weight.numpy().copy()
    with mr.trace.record(layer, save="thumbs") as trace:
        layer(mr.ones(2, 4, device="cuda")).sum().backward()
        layer.weight.data[...] = 100
    value = trace.value("weight")
    assert value.stats.max == pytest.approx(before.max())
    assert value.thumbnail.scale == pytest.approx(abs(before).max())
    assert value.checksum == devices.cpu.fingerprint(before)


def test_a_step_that_fails_leaves_what_came_before_it():
    x = mr.ones(2, 3, device="cuda", requires_grad=True)
    y = x + 1
    with pytest.raises(ValueError, match="shape"), mr.trace.record() as trace:
        mr.ops.matmul(x * 2, y)
    assert trace.records.values[-1].stats.norm == pytest.approx(24**0.5)
    assert "ValueError" in trace.records.error


def test_a_gradient_is_taken_apart_as_on_the_cpu():
    here, there = step_on("cpu"), step_on("cuda")
    with fake.strict():
        for method in ("path_spectrum", "leave_one_out", "forks", "gains"):
            assert_alike_results(getattr(there, method)(), getattr(here, method)())
        terms = [trace.batch_norm_terms("layer2.0.bn1") for trace in (there, here)]
        assert_alike_results(*terms)
        assert there.path_spectrum().residual < 1e-6
    assert isinstance(there.path_spectrum().total, np.ndarray)


def assert_alike_results(a: Any, b: Any) -> None:
    """The same to rounding, arrays included."""
    if isinstance(b, np.ndarray):
        assert isinstance(a, np.ndarray)
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    elif dataclasses.is_dataclass(b):
        for field in dataclasses.fields(b):
            assert_alike_results(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(b, list | tuple):
        assert len(a) == len(b)
        for pair in zip(a, b, strict=True):
            assert_alike_results(*pair)
    elif isinstance(b, dict):
        assert a.keys() == b.keys()
        assert_alike_results(list(a.values()), list(b.values()))
    elif isinstance(b, float):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-6)
    else:
        assert a == b


def test_a_healthy_step_is_explained_and_shown_as_on_the_cpu(tmp_path):
    here, there = step_on("cpu", save="full"), step_on("cuda", save="full")
    with fake.strict():
        for at in ("conv1.weight", "layer2.0"):
            kinds = [[c.kind for c in trace.explain(at).causes] for trace in (there, here)]
            assert kinds[0] == kinds[1]
        assert len(str(there.table()).splitlines()) == len(str(here.table()).splitlines())
        there.path_spectrum()
        there.save(tmp_path / "step.trace")
        there.to_html(tmp_path / "step.html")
    loaded = mr.trace.load(tmp_path / "step.trace")
    assert_alike(loaded.records.backward, there.records.backward)
    assert loaded.path_spectrum().norms == there.path_spectrum().norms


def test_the_check_of_a_step_is_that_of_the_device():
    model = mr.nn.Sequential(
        mr.nn.Conv2d(3, 4, 3), mr.nn.BatchNorm2d(4), mr.nn.ReLU(), mr.nn.MaxPool2d(2)
    )
    model = mr.nn.Sequential(model, mr.nn.Flatten(), mr.nn.Linear(36, 10))
    here, there = step_on("cpu", copy.deepcopy(model)), step_on("cuda", model)
    with fake.strict(), fake.counting() as counts:
        found = there.check(samples=1)
    assert found
    # Of the pool, which sees many zeros, nothing can be told on either.
    told = [[(f.what, f.place, f.status) for f in each.findings] for each in (found, here.check(1))]
    assert told[0] == told[1]
    assert counts.launches.count("gemm") > 3


def test_the_check_finds_a_kernel_that_is_wrong_on_the_device_alone(cuda, monkeypatch):
    right = cuda.relu_backward
    monkeypatch.setattr(cuda, "relu_backward", lambda g, output: right(g, output) * 2)

    def step(device: str) -> mr.trace.Trace:
        x = mr.tensor(np.random.default_rng(0).standard_normal(8), device=device)
        x.requires_grad_()
        with mr.trace.record() as trace:
            mr.ops.relu(x).sum().backward()
        return trace

    assert step("cpu").check()
    found = step("cuda").check().first
    assert (found.what, found.place) == ("vjp", "relu")
    x = mr.tensor(np.random.default_rng(0).standard_normal(8), device="cuda")
    assert mr.gradcheck(mr.ops.relu, x).status == "wrong"


def test_a_module_on_the_device_is_checked_there():
    layer = mr.nn.Sequential(mr.nn.Linear(3, 4), mr.nn.Tanh(), mr.nn.Linear(4, 2)).to("cuda")
    x = mr.tensor(np.random.default_rng(0).standard_normal((5, 3)), device="cuda")
    with fake.strict(), fake.counting() as counts:
        assert mr.gradcheck_module(layer, x, mr.tensor([0, 1, 1, 0, 1]))
        assert mr.gradcheck(layer, x)
        assert mr.gradcheck(mr.ops.tanh, x, order=2)
    assert counts.launches
    assert {str(p.device) for p in layer.parameters()} == {"cuda:0"}


def test_spelled_out_and_recorded_backward_passes_have_the_steps_of_the_cpu():
    traces = []
    for device in ("cpu", "cuda"):
        model = network().layer1.to(device)
        x = mr.tensor(np.random.default_rng(0).standard_normal((2, 4, 5, 5)), "float32").to(device)
        with (
            fake.strict(),
            mr.expand("conv2d", "batch_norm"),
            mr.trace.record(model) as trace,
        ):
            model(x).sum().backward(create_graph=True)
        traces.append(trace)
    assert_alike(traces[1].records, traces[0].records)


def _zero_gamma(model: Any) -> None:
    block_of(model, 1, 0)[1].bn2.weight.data[...] = 0


def _dead_relu(model: Any) -> None:
    block_of(model, 1, 0)[1].bn1.bias.data[...] = -100


def _nan(model: Any) -> None:
    block_of(model, 1, 0)[1].conv2.weight.data[0, 0, 0, 0] = float("nan")


def _infinity(model: Any) -> None:
    block_of(model, 1, 0)[1].conv2.weight.data[...] = 1e38


def _tiny_weights(model: Any) -> None:
    model.fc.weight.data[...] *= 1e-30


@pytest.mark.parametrize(
    ("plant", "options"),
    [
        (_dead_relu, {"replay": False}),
        (_nan, {}),
        pytest.param(_zero_gamma, {}, marks=pytest.mark.long),
        pytest.param(_infinity, {}, marks=pytest.mark.long),
        pytest.param(_tiny_weights, {"replay": False}, marks=pytest.mark.long),
    ],
)
def test_a_planted_fault_is_found_as_on_the_cpu(plant, options):
    found = []
    for device in ("cpu", "cuda"):
        model = network()
        plant(model)
        with devices.cpu.quiet():
            trace = step_on(device, model, **options)
        ats = ("layer2.0.conv1.weight", "layer1.0.conv1.weight")
        found.append([[(c.kind, c.place) for c in trace.explain(at).alarms] for at in ats])
    assert any(found[0])
    assert found[0] == found[1]


def test_a_sum_that_is_none_is_seen_on_the_device(cuda, monkeypatch):
    monkeypatch.setattr(type(cuda), "add", lambda self, a, b: self.xp.add(a, b) * 2)
    x = mr.ones(3, device="cuda", requires_grad=True)
    with mr.trace.record() as trace:
        (mr.ops.relu(x).sum() + mr.ops.tanh(x).sum()).backward()
    assert [fork.verdict for fork in trace.forks() if fork.name == "input 0"] == ["wrong"]


NUMBERS = st.sampled_from([0.0, -0.0, 1.0, -2.5, 1e-40, 3e-5, 1e30, np.nan, np.inf, -np.inf])


@given(
    st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
        lambda dtype: st.lists(
            arrays(dtype, (3, 2), elements=NUMBERS.map(lambda x: dtype(min(x, 6e4)))),
            min_size=2,
            max_size=3,
        )
    ),
    st.booleans(),
)
def test_a_sum_is_weighed_as_on_the_cpu(parts, spoiled):
    with devices.cpu.quiet():
        total = sum(parts[1:], parts[0])
        if spoiled:
            total = total + total.dtype.type(1)
        expected = statistics.verify_sum(parts, total)
    there = [devices.get("cuda").array(array) for array in (*parts, total)]
    equal, shares = measures.weighed(measures.weigh_sum(there[:-1], there[-1]).get())
    assert equal == expected[0]
    for share, other in zip(shares, expected[1], strict=True):
        assert share is other is None or share == pytest.approx(other, rel=1e-4)


def test_of_a_sum_that_is_not_finite_as_much_is_told_as_on_the_cpu():
    nan, other = np.array([0x7FC00000, 0x7FC00001], np.uint32).view(np.float32)
    for parts, total in (
        ([[nan, 1], [1, 1]], [other, 2]),  # a NaN may carry any bits
        ([[np.inf, 1], [1, 1]], [2, 2]),
    ):
        host = [np.array(row, np.float32) for row in (*parts, total)]
        there = [devices.get("cuda").array(array) for array in host]
        weighed = measures.weighed(measures.weigh_sum(there[:-1], there[-1]).get())
        with devices.cpu.quiet():
            assert weighed == statistics.verify_sum(host[:-1], host[-1])


@pytest.mark.parametrize("row", [[np.nan, 1], [np.inf, 1], [-np.inf, np.nan]])
def test_norms_of_what_is_not_finite_are_those_of_the_cpu(row):
    array = np.array(row, np.float32)
    found, device = measures.unread(), devices.get("cuda")
    measures.fill(found, 2, device.summarize(device.array(array)).get())
    expected = statistics.stats_of(array)
    assert (found.nans, found.infs) == (expected.nans, expected.infs)
    assert str(found.norm) == str(expected.norm)


def test_a_count_of_labels_on_the_device_explains_the_loss():
    model = network().to("cuda")
    x, y = (tensor.to("cuda") for tensor in batch())
    with fake.strict(), mr.trace.record(model) as trace:
        mr.ops.cross_entropy(model(x), y).backward()
    assert ("loss_mean", 4) in [(c.kind, c.number) for c in trace.explain("conv1.weight").causes]


@given(
    array=arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int64, np.bool_]),
        array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=5),
    )
)
@pytest.mark.parametrize("readable", [False, True], ids=["kernel", "readable"])
def test_statistics_are_those_of_the_cpu(array, readable):
    expected = statistics.stats_of(array)
    device = devices.cpu if readable else devices.get("cuda")
    found = measures.unread()
    with devices.cpu.quiet():
        summary = device.to_numpy(device.summarize(device.array(array)))
    measures.fill(found, array.size, summary)
    if expected.infs:  # which of them are negative is not counted
        found.min, found.max = expected.min, expected.max
    for field in dataclasses.fields(Stats):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        assert a == pytest.approx(b, rel=1e-5, abs=1e-7 * abs(expected.norm), nan_ok=True)


@given(st.data())
def test_a_digest_changes_with_every_bit_and_with_the_order(data):
    dtype = data.draw(st.sampled_from([np.float16, np.float32, np.float64, np.int64, np.bool_]))
    array = data.draw(arrays(dtype, array_shapes(min_dims=1, max_dims=4, max_side=5)))
    device = devices.get("cuda")
    digest = device.fingerprint(device.array(array))
    assert digest == int(devices.cpu.digest(array)[0]) < 2**32
    assert device.fingerprint(device.array(np.asfortranarray(array))) == digest
    flat = array.reshape(-1)
    place = data.draw(st.integers(0, flat.size - 1))
    other = flat.copy()
    other.view(np.uint8)[place * flat.itemsize] ^= 1
    assert device.fingerprint(device.array(other)) != digest
    if flat[0].tobytes() != flat[-1].tobytes():
        traded = flat.copy()
        traded[[0, -1]] = traded[[-1, 0]]
        assert device.fingerprint(device.array(traded)) != digest


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_digest_changes_when_a_sign_moves(dtype):
    device = devices.get("cuda")
    signs = [np.where(np.arange(8) == place, -0.0, 0.0).astype(dtype) for place in range(8)]
    assert len({device.fingerprint(device.array(array)) for array in signs}) == 8
