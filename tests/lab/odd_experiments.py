"""Experiments that do what experiments should not, for the laboratory's tests."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, ClassVar

import numpy as np

import minires as mr
from minires.devices import threads
from minires.lab.experiment import Claim, Experiment, Scale
from minires.lab.figures import panels
from minires.lab.rules import Above


def made() -> Any:
    """Return what cannot be sent to another process."""
    return lambda: 1


class _Odd(Experiment):
    title = "Odd numbers"
    about = "Seeds are added to what a condition is called."
    caption = "Nothing."
    claims = (Claim("Two is more than one.", "arithmetic", "1", Above("two less one")),)
    scales: ClassVar[Any] = dict.fromkeys(("tiny", "small", "paper"), Scale(seconds=1))

    def conditions(self, scale: Any) -> list[str]:
        return ["1", "2"]

    def run(self, condition: str, scale: Any, seed: int, device: str) -> dict[str, Any]:
        self.happen(condition, seed)
        return {"number": int(condition) + seed, "process": os.getpid(), "at": time.time()}

    def happen(self, condition: str, seed: int) -> None:
        pass

    def measure(self, trials: Any, scale: Any) -> dict[str, Any]:
        pairs = zip(trials["1"], trials["2"], strict=True)
        return {"two less one": [two["number"] - one["number"] for one, two in pairs]}

    def draw(self, trials: Any, measured: Any, theme: Any) -> Any:
        figure, axes = panels(theme)
        axes[0].plot(measured["two less one"])
        return figure


class _Sane(_Odd):
    name = "sane"


class _Raises(_Odd):
    name = "raises"

    def happen(self, condition: str, seed: int) -> None:
        if (condition, seed) == ("2", 1):
            raise ArithmeticError("two and two is five")


class _Dies(_Odd):
    name = "dies"

    def happen(self, condition: str, seed: int) -> None:
        if (condition, seed) == ("1", 0):
            os.kill(os.getpid(), signal.SIGKILL)


class _ReturnsNoJson(_Odd):
    name = "no-json"

    def run(self, condition: str, scale: Any, seed: int, device: str) -> dict[str, Any]:
        return {"number": {1, 2}}


class _CannotPrepare(_Odd):
    name = "cannot-prepare"

    def conditions(self, scale: Any) -> list[str]:
        raise LookupError("no such network")


class _CannotMeasure(_Odd):
    name = "cannot-measure"

    def measure(self, trials: Any, scale: Any) -> dict[str, Any]:
        raise ZeroDivisionError("no seeds")


class _MeasuresNoJson(_Odd):
    name = "measures-no-json"

    def measure(self, trials: Any, scale: Any) -> dict[str, Any]:
        return {"two less one": np.int64(1)}


class _CannotDraw(_Odd):
    name = "cannot-draw"

    def draw(self, trials: Any, measured: Any, theme: Any) -> Any:
        raise RuntimeError("no <ink>")


class _Draws(_Odd):
    """Its trials return what chance says, and how many threads they have."""

    name = "draws"

    def run(self, condition: str, scale: Any, seed: int, device: str) -> dict[str, Any]:
        drawn = mr.randn((1,)).numpy()[0]
        return {"number": float(drawn), "threads": threads.get_num_threads()}


class _TakesLong(_Odd):
    """Its first trial is quick; the others take for ever, unless a file is there."""

    name = "takes-long"

    def happen(self, condition: str, seed: int) -> None:
        while (condition, seed) != ("1", 0) and not os.path.exists(os.environ["GO_ON"]):  # noqa: PTH110
            time.sleep(0.05)


SANE = _Sane()
RAISES = _Raises()
DIES = _Dies()
NO_JSON = _ReturnsNoJson()
CANNOT_PREPARE = _CannotPrepare()
DRAWS = _Draws()
CANNOT_MEASURE = _CannotMeasure()
MEASURES_NO_JSON = _MeasuresNoJson()
CANNOT_DRAW = _CannotDraw()
TAKES_LONG = _TakesLong()

_ALL = (
    SANE,
    RAISES,
    DIES,
    NO_JSON,
    CANNOT_PREPARE,
    CANNOT_MEASURE,
    MEASURES_NO_JSON,
    CANNOT_DRAW,
    DRAWS,
    TAKES_LONG,
)
ALL = {each.name: each for each in _ALL}
