"""What docs/gpu.md shows and claims is so, on the stand-in."""

from __future__ import annotations

import doctest
import math
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires.devices import cuda
from minires.training import CapturedStep
from tests.devices.cuda import fake
from tests.devices.cuda.test_training_step import launches

PAGE = Path(__file__).parents[3] / "docs" / "gpu.md"


TEXT = PAGE.read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The cells of the rows below a heading, which begins a row itself."""
    found = re.search(rf"^\| ?{re.escape(heading)} ?\|.*\n\|[-:| ]+\n((?:\|.*\n)+)", TEXT, re.M)
    assert found, heading
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found[1].splitlines()]


TRAPS = table("do not")


@pytest.fixture
def device() -> Iterator[Any]:
    with fake.installed() as device:
        yield device


@pytest.mark.long
@pytest.mark.usefixtures("device")
def test_the_examples_run_as_on_a_gpu_with_the_step_as_a_graph(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cuda, "is_available", lambda: True)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    page = doctest.DocTestParser().get_doctest(TEXT, {}, PAGE.name, str(PAGE), 0)
    runner, told = doctest.DocTestRunner(optionflags=flags), []
    runner.run(page, out=told.append, clear_globs=False)

    assert not runner.failures, "".join(told)
    assert page.globs["device"] == "cuda"
    step = page.globs["trainer"]._steps.step
    assert isinstance(step, CapturedStep)
    assert step.is_captured


def code(cell: str) -> list[str]:
    return [part for part in re.findall(r"`([^`]+)`", cell) if not part.isidentifier()]


def names(device: Any) -> dict[str, Any]:
    x = device.array(np.array([1, 2, 3], "f4"))
    i, far = (device.array(np.array(values)) for values in ([0, 0], [7]))
    given = {"x": x, "s": x.sum(), "mask": x > 1, "i": i, "far": far, "xp": device.xp}
    return {**given, "device": device, "np": np, "math": math}


@pytest.mark.parametrize("row", TRAPS, ids=[row[0] for row in TRAPS])
def test_a_trap_is_one_on_the_stand_in_as_the_table_says_and_its_remedy_none(
    device: Any, row: list[str]
) -> None:
    wrong, _, right, outcome = row
    for line in code(wrong):
        with fake.strict("strict" in outcome):
            if outcome.startswith("lets it pass"):
                exec(line, names(device))
                continue
            with pytest.raises(Exception) as caught:  # noqa: PT011
                exec(line, names(device))
            assert not isinstance(caught.value, (NameError, SyntaxError))
    with fake.strict():
        for line in code(right):
            exec(line, names(device))


def test_what_tensors_take_care_of(device: Any) -> None:
    t = mr.tensor([1.0, 2.0, 3.0], device=device)

    assert (np.sqrt(2.0) * t).dtype == mr.float32
    assert t[np.array([0, 2])].numpy().tolist() == [1, 3]


def images(device: Any, *shape: int) -> mr.Tensor:
    """Images in the device's memory order."""
    n, c, *spatial = shape
    values = np.random.default_rng(0).standard_normal((c, n, *spatial)).astype("f4")
    return mr.tensor(values.swapaxes(0, 1), device=device, requires_grad=True)


@pytest.mark.parametrize("row", table("kernels"), ids=lambda row: row[0])
def test_ops_launch_as_many_kernels_as_the_table_says(device: Any, row: list[str]) -> None:
    kind = row[0].partition(",")[0].partition(":")[0]
    one = "1×1" in row[0]
    x, shortcut = images(device, 2, 3, 8, 8), images(device, 2, 3, 8, 8)
    weight = mr.randn(4, 3, *((1, 1) if one else (3, 3)), device=device).requires_grad_()
    vectors = [mr.ones(3, device=device).requires_grad_() for _ in range(2)]
    logits = mr.randn(2, 10, device=device).requires_grad_()
    labels = mr.tensor(np.array([1, 2]), device=device)
    compute = {
        "convolution": lambda: mr.ops.conv2d(x, weight, padding=0 if one else 1),
        "batch norm": lambda: mr.ops.batch_norm_relu(x, None, None, *vectors, shortcut, True),
        "cross-entropy": lambda: mr.ops.cross_entropy(logits, labels, reduction="none"),
        "ReLU": lambda: mr.ops.relu(x),
        "max pooling": lambda: mr.ops.max_pool2d(x, 2),
    }[kind]
    with fake.counting() as forward:
        y = compute()
    g = mr.ones(2, device=device) if y.ndim == 1 else images(device, *y.shape).detach()
    with fake.counting() as backward:
        y.backward(g)

    # Labels are copied, lest they change before the way back; a leaf's gradient is its own.
    copies = "astype", "copy"
    counted = [[k for k in c.launches if k not in copies] for c in (forward, backward)]
    assert [len(kernels) for kernels in counted] == list(map(int, row[1:])), counted


@pytest.mark.usefixtures("device")
def test_a_step_launches_as_many_kernels_as_the_table_says() -> None:
    counted = table("")[0]

    assert counted == ["launches", *(str(launches(depth)) for depth in (20, 56, 110))]


def test_the_map_of_the_rooms_names_each() -> None:
    rooms = {module.name for module in pkgutil.iter_modules(cuda.__path__)}
    told = re.search(r"^=+ =+\n(.*)^=+ =+\n", cuda.__doc__ or "", re.M | re.S)

    assert told
    named = re.findall(r"\w+", "".join(line[:31] + " " for line in told[1].splitlines()))
    assert sorted(named) == sorted(rooms)
