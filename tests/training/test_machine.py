from __future__ import annotations

from pathlib import Path

import pytest

from minires.training.machine import environment


@pytest.mark.parametrize("numpys", ["numpy.libs/libopenblas.so", "numpy/.dylibs/libopenblas.dylib"])
def test_the_blas_is_numpys_and_not_the_one_that_scipy_brings(
    numpys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def library(path: str, version: str) -> dict[str, object]:
        place = Path("site-packages", path)
        return {
            "user_api": "blas",
            "internal_api": "openblas",
            "version": version,
            "num_threads": 1,
            "filepath": str(place),
        }

    loaded = [library("scipy.libs/libopenblas.so", "0.3.30"), library(numpys, "0.3.31")]
    for order in (loaded, loaded[::-1]):
        monkeypatch.setattr("threadpoolctl.threadpool_info", lambda order=order: order)
        assert environment()["blas"] == "openblas 0.3.31"


def test_any_blas_is_better_than_none(monkeypatch: pytest.MonkeyPatch) -> None:
    system = {"user_api": "blas", "internal_api": "mkl", "version": "1", "num_threads": 1}
    found = [{**system, "filepath": "/usr/lib/libmkl.so"}]
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: found)
    assert environment()["blas"] == "mkl 1"
    monkeypatch.setattr("threadpoolctl.threadpool_info", list)
    assert "blas" not in environment()
