"""minires' ops against PyTorch's op database: samples that nobody here chose."""

from __future__ import annotations

import importlib
import os
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings

import minires as mr
from minires import ops
from minires.autograd import registry
from minires.ops.methods import METHODS, OPERATORS
from tests.conformance.torch_rows import ROWS, Row

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def torch_side() -> SimpleNamespace:
    """What needs PyTorch, and what its op database needs: imported only where a test runs."""
    for library in ("torch", "expecttest"):
        pytest.importorskip(library, reason=f"needs {library}: pip install 'minires[oracle]'")
    rooms = ("page", "results", "rules", "samples")
    return SimpleNamespace(
        **{room: importlib.import_module(f"tests.conformance.torch_{room}") for room in rooms}
    )


@pytest.mark.parametrize("name", ROWS)
def test_every_sample_agrees_or_is_out_of_scope_by_a_rule(torch_side, name):
    results = torch_side.results.results_of(name)
    failures = [failure for result in results.values() for failure in result.failures]
    assert failures == [], "\n\n".join(failures)
    assert sum(result.samples for result in results.values()) > 0


def test_every_rule_has_a_sample(torch_side):
    results = torch_side.results.all_results().values()
    used = {place for result in results for place in result.out_of_scope}
    stale = [r.reason for i, r in enumerate(torch_side.rules.RULES) if i not in used]
    assert stale == []


def test_every_op_and_public_function_is_compared_or_said_to_have_no_counterpart(torch_side):
    """What ran is looked at, not promised: an op counts if an agreeing sample went through it."""
    ran = set().union(*(result.ran for result in torch_side.results.all_results().values()))
    own = {n for n, op in registry.items() if op.forward.__module__.startswith("minires.")}
    compared = [function_of(row) for row in ROWS.values()]
    public = {name: getattr(ops, name) for name in ops.__all__} | METHODS
    without = {name for name, function in public.items() if function not in compared}
    # A public function and the op of its name are one: the one's reason is the other's.
    assert (own - ran) | without == set(torch_side.rules.NO_COUNTERPART)


def function_of(row: Row) -> object:
    """The function that a row names."""
    home, _, name = row.minires.partition(".")
    return getattr(ops, name) if home == "ops" else (METHODS | OPERATORS).get(name)


def test_no_op_of_the_database_that_minires_has_by_the_same_name_is_forgotten(torch_side):
    names = {name for name, _ in torch_side.samples.database()}
    shared = {n for n in names if n.removeprefix("nn.functional.") in {*ops.__all__, *METHODS}}
    assert shared - set(ROWS) == set()
    assert set(ROWS) - names == set()


def test_the_page_is_what_the_comparison_finds(torch_side):
    torch = importlib.import_module("torch")
    found = torch.__version__.partition("+")[0]
    if f"torch=={found}" not in pinned():
        pytest.skip(f"the page is about {pinned()}, and PyTorch {found} is installed")
    assert torch_side.page.PAGE.read_text(encoding="utf-8") == (torch_side.page.render()), (
        "run: python -m tests.conformance torch"
    )


def pinned() -> list[str]:
    """The oracle's requirements."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    return project["project"]["optional-dependencies"]["oracle"]


def test_the_databases_import_leaves_hypothesis_as_it_was(torch_side):
    torch_side.samples.database()
    ours = settings.get_profile(os.environ.get("MINIRES_HYPOTHESIS", "default"))
    assert settings.default.max_examples == ours.max_examples
    assert settings.default.derandomize


PLANTED = {
    "value": lambda a, b: a * b * (1 + 1e-8),
    "shape": lambda a, b: (a * b).unsqueeze(0),
    "dtype": lambda a, b: (a * b).to("float32"),
    "gradient": lambda a, b: a.detach() * b,
    # Right in value and slope at the point, and straight.
    "second derivative": lambda a, b: (
        a.detach() * b.detach() + (a - a.detach()) * b.detach() + (b - b.detach()) * a.detach()
    ),
    "argument, after the call,": lambda a, b: overwritten(a) * b,
}


def overwritten(x: mr.Tensor) -> mr.Tensor:
    y = x.clone()
    x.data[...] = 0
    return y


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_mistake_is_noticed(torch_side, what):
    samples = torch_side.samples
    info = samples.database()["mul", ""]
    sample = next(s for s in samples.samples_of(info) if s.input.ndim == 2)
    assert samples.compare(info, sample, lambda a, b: a * b).second_order
    where = "value: " if what in ("shape", "dtype") else ""
    with pytest.raises(samples.DisagreementError, match=f"^{where}{what}"):
        samples.compare(info, sample, PLANTED[what])


def test_a_refusal_without_a_rule_is_a_failure(torch_side, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise NotImplementedError("not built")

    monkeypatch.setitem(ROWS, "neg", Row("ops.neg", refuse))
    (failure, *_) = torch_side.results._result_of.__wrapped__("neg", "").failures
    assert failure.startswith("float64: (float64[20, 20])\n")
    assert "not built" in failure


@pytest.mark.parametrize(
    ("rule", "met"),
    [
        ("no `alpha`: multiply first", "equal to PyTorch's"),
        ("integers are averaged in float32, not cut to integers", "equal to PyTorch's"),
    ],
)
def test_a_rule_that_keeps_out_what_agrees_is_noticed(torch_side, rule, met):
    samples, results = torch_side.samples, torch_side.results
    info = samples.database()["add", ""]
    sample = next(samples.samples_of(info))
    (place,) = [i for i, r in enumerate(torch_side.rules.RULES) if r.reason == rule]
    with pytest.raises(samples.DisagreementError, match=met):
        results.hold_out_of_scope(info, sample, place)


def test_only_shape_and_dtype_of_drawn_numbers_are_compared(torch_side):
    samples = torch_side.samples
    info = samples.database()["randn", ""]
    sample = next(samples.samples_of(info))
    samples.compare(info, sample, lambda *shape, **_: mr.zeros(*shape, dtype="float64"), drawn=True)
    with pytest.raises(samples.DisagreementError, match="dtype float32 instead of float64"):
        samples.compare(info, sample, lambda *shape, **_: mr.zeros(*shape), drawn=True)
