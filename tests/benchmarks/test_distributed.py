from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.distributed import Link, Model, fitted_link
from benchmarks.distributed_page import write_distributed_page
from tests.training.distributed.launching import launcher


def times(seconds):
    return {"minimum": 1e3 * seconds, "median": 2e3 * seconds}


def test_a_link_is_read_off_the_shortest_and_the_longest_message():
    link = Link(latency=5e-6, bandwidth=2e9)
    sizes = (8, 1_000_000, 100_000_000)
    found = fitted_link({str(size): times(link.all_reduce(2, size)) for size in sizes})
    np.testing.assert_allclose(found, link, rtol=1e-3)


def test_a_sum_over_ranks_takes_what_its_formula_says():
    link = Link(latency=1e-5, bandwidth=1e9)
    assert link.all_reduce(1, 1e9) == 0
    np.testing.assert_allclose(link.all_reduce(4, 1e6), 4e-5 + 1.5e-3)
    np.testing.assert_allclose(link.all_reduce(5, 1e6), 6e-5 + 1.6e-3)


def test_computing_is_laid_into_a_line():
    compute = {str(b): times(0.02 + 0.005 * b) for b in (8, 32, 128)}
    model = Model.fitted(compute, parameters=1000, norms=3)
    np.testing.assert_allclose(model, (0.02, 0.005, 4000, 3), rtol=1e-9)
    slow = Link(latency=1e-3, bandwidth=1e12)
    np.testing.assert_allclose(model.step(2, 10, slow), 0.07 + 3 * 2e-3, rtol=1e-6)
    np.testing.assert_allclose(model.step(2, 10, slow, sync=True), 0.07 + 9 * 2e-3, rtol=1e-6)
    np.testing.assert_allclose(model.step(1, 10, slow, sync=True), 0.07)


def test_a_page_of_ranks_that_were_not_measured_is_refused(tmp_path):
    with pytest.raises(ValueError, match="lacks distributed"):
        write_distributed_page({}, tmp_path / "page.md")


@pytest.mark.long
@pytest.mark.mpi
def test_ranks_are_measured_and_the_page_is_written(tmp_path, monkeypatch):
    launcher()
    arguments = ["run", "--only", "distributed", "--rounds", "1", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    (result,) = tmp_path.glob("*.json")
    measured = json.loads(result.read_text())["distributed"]
    assert measured["1"]["parameters"] == 269_722
    assert measured["1"]["norms"] == 19
    done = CliRunner().invoke(app, ["ranks", str(result), "--out", str(tmp_path)])
    assert done.exit_code == 0
    page = (tmp_path / "distributed-measured.md").read_text()
    assert "| 64 |" in page
    assert "SyncBatchNorm |" in page
