"""The devices that this suite runs on: a GPU, with `-m gpu`, and always the stand-in for CuPy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from minires import devices
from minires.devices import Device, cuda
from tests.devices.cuda import fake


# Of the module, for Hypothesis would not have one of the function.
@pytest.fixture(
    params=[
        "stand-in",
        pytest.param("sources", marks=pytest.mark.long),
        pytest.param("GPU", marks=pytest.mark.gpu),
    ],
    scope="module",
)
def device(request: pytest.FixtureRequest) -> Iterator[Device]:
    """All: what is claimed of a GPU is tried on the stand-in in every run.

    Its kernels are their plain versions there, and at times their sources, compiled for the host.
    """
    if request.param == "GPU":
        yield a_gpu()
    else:
        with fake.installed("host" if request.param == "sources" else "plain") as installed:
            yield installed


@pytest.fixture(scope="module")
def gpu() -> Device:
    """A GPU alone, for what a stand-in cannot show."""
    return a_gpu()


def a_gpu() -> Device:
    if reason := cuda.missing():
        pytest.skip(f"no GPU: {reason}")
    return devices.get("cuda")
