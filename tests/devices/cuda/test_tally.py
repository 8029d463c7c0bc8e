"""Noting a batch's loss and mistakes: the kernel against its plain version and plain counting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minires.devices.cuda.kernel import Kernel
from minires.devices.cuda.tally import TALLY
from tests.devices.cuda import fake, host
from tests.devices.plain import plain


@pytest.fixture(scope="module")
def compiler() -> None:
    host.needs_compiler()


SPECIAL = [np.nan, np.inf, -np.inf]


def data(N: int, C: int, T: str, seed: int) -> list[Any]:
    """Logits with a tie and some values that are no numbers, labels that are often right, loss."""
    random = np.random.default_rng(seed)
    logits = random.integers(-3, 3, (N, C)).astype(T)
    spoilt = random.random(N) < 0.2
    logits[spoilt, random.integers(0, C)] = random.choice(SPECIAL)
    labels = np.where(random.random(N) < 0.6, logits.argmax(1), random.integers(0, C, N))
    return [logits, labels, np.array(random.standard_normal(), T)]


def cases(*dtypes: str) -> st.SearchStrategy[list[Any]]:
    numbers = st.integers(1, 600), st.integers(1, 12)
    return st.builds(data, *numbers, st.sampled_from(dtypes), st.integers(0, 99))


CASES = cases("float32", "float64")


def launched(case: list[Any], at: int = 1) -> tuple[int, list[Any], Any]:
    logits, labels, loss = case
    rows, filled = np.full((3, 2), np.nan), np.array([at], np.int32)
    return 1, [logits, labels, loss, rows, filled, *logits.shape], logits.dtype


@pytest.mark.property
@given(case=CASES)
def test_mistakes_are_the_rows_whose_answer_is_wrong_or_no_number(case: Any) -> None:
    logits, labels, _ = case
    expected = sum(
        not np.isfinite(row).all() or row.argmax() != label
        for row, label in zip(logits, labels, strict=True)
    )

    assert int(plain.mistakes(logits, labels)) == expected


@pytest.mark.property
@given(case=CASES)
def test_each_batch_gets_the_next_row_on_every_device(case: Any) -> None:
    logits, labels, loss = case
    rows, filled = np.zeros((3, 2)), np.zeros(1, np.int32)
    plain.tally(rows, filled, loss, logits, labels)
    plain.tally(rows, filled, loss, logits, labels)

    with fake.installed() as device:
        given_ = [device.array(x) for x in (loss, logits, labels)]
        table, count = device.xp.zeros((3, 2), "float64"), device.xp.zeros(1, "int32")
        with fake.counting() as counts, fake.strict():
            device.tally(table, count, *given_)
            device.tally(table, count, *given_)
        np.testing.assert_array_equal(table.get(), rows)
        assert count.get() == 2
    assert counts.launches == ["tally", "tally"]
    assert rows[0, 0] == loss
    assert rows[0, 1] == plain.mistakes(logits, labels)
    assert not rows[2].any()


@pytest.mark.property
@pytest.mark.usefixtures("compiler")
@settings(max_examples=20)
@pytest.mark.parametrize("T", ["float32", pytest.param("float64", marks=pytest.mark.long)])
@given(draw=st.data(), at=st.integers(0, 2))
def test_the_kernels_source_computes_what_its_plain_version_does(
    T: str, draw: Any, at: int
) -> None:
    grid, args, _ = launched(draw.draw(cases(T)), at)

    host.check(TALLY, grid, args, T)


@pytest.mark.long
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    "change",
    [
        ("int wrong = 0", "int wrong = 1"),
        ("!finite || ", ""),
        ("score > largest", "score >= largest"),
        ("n += BLOCK", "n += 2 * BLOCK"),
        ("block_sum(wrong)", "wrong"),
        ("half_way];\n        __syncthreads();", "half_way];"),
        ("half_way > 0", "half_way > 1"),
        ("rows[2 * at]", "rows[at]"),
        ("filled[0] = at + 1;", ""),
        ("if (threadIdx.x == 0) {", "{"),
        ("largest = score;", ""),
    ],
)  # fmt: skip
def test_a_wrong_source_is_noticed(change: tuple[str, str]) -> None:
    (mutant,) = host.mutants(TALLY, [change])

    assert host.caught(mutant, [launched(data(300, 5, "float32", seed)) for seed in range(3)])


@pytest.mark.long
@pytest.mark.usefixtures("compiler")
def test_its_threads_do_not_race() -> None:
    small = Kernel(TALLY.source, TALLY.plain, block=8)
    grid, args, T = launched(data(30, 4, "float32", 0))
    host.check(small, grid, args, T, sanitize="thread")

    loose = host.mutated(small, "parts[t] = mine;\n    __syncthreads();", "parts[t] = mine;")
    with pytest.raises(host.Unsanitary, match="data race"):
        host.run(loose, grid, args, T, sanitize="thread")
