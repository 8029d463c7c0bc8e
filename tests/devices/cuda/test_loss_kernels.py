"""Cross-entropy on a GPU: against the readable kernels, hard numbers, and mutants."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minires.devices.cuda.losses import CROSS_ENTROPY, CROSS_ENTROPY_BACKWARD
from tests.devices.cuda import fake, host
from tests.devices.cuda.launches import check, launches_of, surviving
from tests.devices.plain import plain

DTYPES = ["float16", "float32", "float64"]
# The default tests compile for one of them; each takes a while.
EVERY = [pytest.param(T, marks=() if T == "float32" else pytest.mark.long) for T in DTYPES]
CLOSE = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-14}
IGNORED = -100


class Case:
    """A batch of logits with labels, and a gradient of its rows."""

    def __init__(self, rows=7, classes=10, T="float32", weighted=False, smoothing=0.0, seed=0):
        dice = np.random.default_rng(seed)
        self.T, self.smoothing = T, smoothing
        self.logits = (dice.standard_normal((rows, classes)) * 3).astype(T)
        self.labels = dice.integers(0, classes, rows)
        self.labels[dice.random(rows) < 0.2] = IGNORED
        self.weight = dice.uniform(0.5, 2, classes).astype(T) if weighted else None
        self.g = dice.standard_normal(rows).astype(T)

    def both(self, device, put=np.copy):
        weight = None if self.weight is None else put(self.weight)
        given = put(self.logits), put(self.labels), IGNORED, self.smoothing, weight
        return (
            device.cross_entropy(*given),
            device.cross_entropy_backward(put(self.g), *given),
        )

    def truth(self):
        """Both on the readable kernels, in float64."""
        wide = object.__new__(Case)
        vars(wide).update(vars(self))
        for name in ("logits", "weight", "g"):
            value = getattr(self, name)
            setattr(wide, name, value if value is None else value.astype("float64"))
        with np.errstate(all="ignore"):
            return wide.both(plain)


@st.composite
def cases(draw):
    classes = draw(st.one_of(st.integers(1, 20), st.sampled_from([127, 256, 300])))
    smoothing = draw(st.sampled_from([0.0, 0.1, 1.0]))
    size = draw(st.integers(1, 40)), classes, draw(st.sampled_from(DTYPES))
    return Case(*size, draw(st.booleans()), smoothing, draw(st.integers(0, 99)))


def agree(case, found):
    for a, b in zip(found, case.truth(), strict=True):
        assert a.dtype == case.T
        np.testing.assert_allclose(a, b, CLOSE[case.T], 10 * CLOSE[case.T])


@given(cases())
def test_kernels_equal_the_readable_ones(case):
    _, found = launches_of(case.both)
    agree(case, found)


@pytest.mark.long
@given(cases())
def test_sources_equal_their_plain_versions(case):
    host.needs_compiler()
    made, _ = launches_of(case.both)
    check(made, rtol=CLOSE[case.T], atol=10 * CLOSE[case.T])


@pytest.mark.parametrize("T", EVERY)
@pytest.mark.parametrize(("rows", "classes"), [(128, 10), (3, 1000), (300, 1), (5, 2)])
def test_few_and_many_classes(rows, classes, T):
    host.needs_compiler()
    case = Case(rows, classes, T, weighted=True, smoothing=0.1)
    made, found = launches_of(case.both)
    agree(case, found)
    check(made, rtol=CLOSE[T], atol=10 * CLOSE[T])


def test_rows_with_few_classes_share_a_block():
    made, _ = launches_of(Case(128, 10).both)
    assert [launch.grid for launch in made] == [(8,), (8,)]
    made, _ = launches_of(Case(128, 1000).both)
    assert [launch.grid for launch in made] == [(128,), (128,)]


def hard():
    case = Case(10, 4, smoothing=0.1)
    case.labels[:] = [0, 1, 2, 3, -1, 4, IGNORED, 0, 1, 2]
    case.logits[0] = [1e4, -1e4, 0, 0]
    case.logits[1, 1] = np.nan
    case.logits[2] = [-np.inf, 0, 0, 0]
    case.logits[3] = -np.inf
    case.logits[7, 2] = np.inf
    case.logits[8] = 3e38
    case.logits[9] = [-300, -301, -302, -303]
    return case


@pytest.mark.parametrize("kernels", ["plain", "host"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_huge_infinite_and_wrong_is_as_on_any_device(kernels, smoothing):
    if kernels == "host":
        host.needs_compiler()
    case = hard()
    case.smoothing = smoothing
    with fake.installed(kernels) as device:
        found = [device.to_numpy(a) for a in case.both(device, device.array)]
    agree(case, found)
    assert np.isnan(found[0][[1, 3, 4, 5, 7]]).all()
    assert found[0][6] == 0
    assert not found[1][6].any()


def test_each_direction_is_one_launch_also_from_a_mean():
    case = Case(128, 10, smoothing=0.1, weighted=True)
    with fake.installed() as device:
        there = {id(a): device.array(a) for a in (case.logits, case.labels, case.weight)}
        g = device.xp.broadcast_to(device.array(np.array([0.25], "float32")), 128)
        there[id(case.g)] = g
        with fake.counting() as counts:
            found = case.both(device, lambda a: there[id(a)])
        case.g = np.full(128, 0.25, "float32")
        agree(case, [device.to_numpy(a) for a in found])
    assert counts.launches == ["cross_entropy", "cross_entropy_backward"]


@pytest.mark.parametrize("kind", ["int8", "int32", "uint8"])
def test_labels_are_integers_of_any_kind(kind):
    case = Case()
    case.labels = abs(case.labels) % 10
    expected = launches_of(case.both)[1]
    case.labels = case.labels.astype(kind)
    for a, b in zip(launches_of(case.both)[1], expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_mixed_dtypes_are_computed_as_on_any_device():
    case = Case(weighted=True)
    case.weight = case.weight.astype("float64")
    made, found = launches_of(case.both)
    assert not made
    for a, b in zip(found, case.both(plain), strict=True):
        np.testing.assert_allclose(a, b, 1e-6)
        assert a.dtype == b.dtype


MUTANTS = {
    CROSS_ENTROPY: [
        ("half_way];\n        __syncthreads();", "half_way];"),
        ("    __syncthreads();  // only now may the next sum write", ""),
        ("row < rows ? classes : 0", "classes"),
        ("lane == 0 && row < rows", "row < rows"),
        ("threadIdx.x) / width", "threadIdx.x) / classes"),
        ("label < classes", "label <= classes"),
        ("label >= 0 && ", ""),
        ("(weight ? weight[label] : (A)1)", "1"),
        ("-sharp *", "-"),
        ("(weight ? weight[c] : (A)1)", "1"),
        ("spread, width) / classes", "spread, width) / width"),
        ("A top = -infinity()", "A top = 0"),
        ("logits[c] - top)", "logits[c])"),
        ("logit - by.top - by.rest", "logit - (by.top + by.rest)"),
        ("label == ignored", "label < 0"),
    ],
    CROSS_ENTROPY_BACKWARD: [
        ("half_way];\n        __syncthreads();", "half_way];"),
        ("    __syncthreads();  // only now may the next sum write", ""),
        ("present && label != ignored", "label != ignored"),
        ("row * g_step", "row"),
        ("c == label ? hit : missed) * weight[c]", "hit) * weight[c]"),
        ("p * whole", "p"),
        ("- by.rest", ""),
        ("logit - by.top - by.rest", "logit - (by.top + by.rest)"),
        ("row * classes + c]", "row * width + c]"),
        ("c = lane; c < present; c += width) {", "c = lane; c < present; c += classes) {"),
        ("&& label != ignored", ""),
    ],
}


@pytest.mark.long
@pytest.mark.parametrize("kernel", MUTANTS, ids=lambda kernel: kernel.name)
def test_mutants_are_caught(kernel):
    host.needs_compiler()
    mean = Case(40, 6)
    mean.g = np.broadcast_to(np.float32(0.5), 40)

    def from_mean(device, put):
        g = device.xp.broadcast_to(put(np.array([0.5], "float32")), 40)
        return mean.both(device, lambda a: g if a is mean.g else put(a))

    given = [Case(40, 6, weighted=True, smoothing=0.1).both, Case(2, 300).both, hard().both]
    made = [launch for function in [*given, from_mean] for launch in launches_of(function)[0]]
    assert surviving(kernel, MUTANTS[kernel], made, rtol=2e-6, atol=2e-5) == []


@pytest.mark.long
@pytest.mark.parametrize("sanitize", ["thread", "address"])
def test_sources_are_clean_on_real_threads(sanitize):
    host.needs_compiler()
    made, _ = launches_of(Case(20, 10, weighted=True, smoothing=0.1).both)
    check(made, rtol=2e-6, atol=2e-5, sanitize=sanitize)
