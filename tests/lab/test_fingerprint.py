"""What makes trials out of date, and what does not."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from minires.lab.experiment import Scale
from minires.lab.experiments import experiments
from minires.lab.fingerprint import _parts, fingerprint, source_of
from tests.lab import odd_experiments

SOURCE = '''
"""An experiment."""
from minires.lab.experiment import Claim, Experiment
from minires.lab.learning import learn
from minires.lab.seeds import paired

LIMIT = 3
TIMES = LIMIT + 1
NAME = "difference"

def helped(number):
    """Say how often."""
    return number * TIMES

def judged(trials):
    return paired(trials, trials)

class Helper:
    def help(self):
        return helped(2)

class Odd(Experiment):
    name = "odd"
    title = "Title"
    claims = (Claim(NAME, "", "", None),)

    def conditions(self, scale):
        return ["one"]

    def run(self, condition, scale, seed, device):
        """Run it."""
        return {"value": Helper().help(), "learned": learn}

    def measure(self, trials, scale):
        return judged(trials)

    def draw(self, trials, measured, theme):
        return 5
'''


def source_after(
    folder: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str] | None = None
) -> str:
    text = SOURCE
    for old, new in (changes or {}).items():
        assert old in text
        text = text.replace(old, new)
    (folder / "made_up.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "made_up", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.invalidate_caches()
    _parts.cache_clear()
    sys.modules.pop("made_up", None)
    return source_of(importlib.import_module("made_up").Odd())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Helper().help()", "Helper().help() + 1"),
        ("helped(2)", "helped(3)"),
        ("LIMIT = 3", "LIMIT = 4"),
        ("number * TIMES", "TIMES"),
    ],
)
def test_what_trials_run_makes_them_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    before = source_after(tmp_path, monkeypatch)

    assert source_after(tmp_path, monkeypatch, {old: new}) != before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Run it.", "Carry it out."),
        ('    """Run it."""\n', ""),
        ("Say how often.", "Tell how often."),
        ("LIMIT = 3", "LIMIT = 3  # layers"),
        ("Title", "Words"),
        ("difference", "another name"),
        ("paired(trials, trials)", "trials"),
        ("return 5", "return 6"),
        ('["one"]', '["one", "two"]'),
    ],
)
def test_words_rules_and_figures_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    before = source_after(tmp_path, monkeypatch)

    assert source_after(tmp_path, monkeypatch, {old: new}) == before


def test_what_is_reached_in_other_rooms_of_the_lab_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    known = experiments()
    before = {name: source_of(each) for name, each in known.items()}
    learning = _parts("minires.lab.learning").defined
    _parts("minires.lab.seeds")

    monkeypatch.setitem(learning, "learn", [])
    changed = {name for name, each in known.items() if source_of(each) != before[name]}
    assert "degradation" in changed
    assert not {"bottleneck-cost", "shattered-gradients"} & changed
    monkeypatch.setitem(_parts("minires.lab.seeds").defined, "paired", [])
    assert {name for name, each in known.items() if source_of(each) != before[name]} == changed
    assert len(set(before.values())) == len(before)


FORMS = {
    "a file": "from minires.lab import learning",
    "a part": "from minires.lab.learning import learn as learning",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("within", [False, True])
def test_whatever_form_an_import_has_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, within: bool
) -> None:
    changes = {
        "from minires.lab.learning import learn": "" if within else FORMS[form],
        '"learned": learn}': '"learned": learning}',
        '"""Run it."""': FORMS[form] if within else "",
    }
    before = source_after(tmp_path, monkeypatch, changes)

    monkeypatch.setitem(_parts("minires.lab.learning").defined, "learn", [])
    assert source_of(sys.modules["made_up"].Odd()) != before


def test_what_an_experiment_is_given_besides_counts() -> None:
    lesions = experiments()["lesions"]
    given = lesions.given(lesions.scales["tiny"])

    assert given["weights"] == "cifar_resnet20_digits"
    assert len(given["sha256"]) == 64
    assert "digits" in given["name"]


@dataclass(frozen=True, kw_only=True)
class _Scale(Scale):
    depth: int = 8


def test_settings_images_and_device_count_but_not_how_many_or_how_long() -> None:
    sane, scale = odd_experiments.SANE, _Scale(seconds=1)
    first = fingerprint(sane, scale, {"digest": "a"}, "cpu")

    assert fingerprint(sane, replace(scale, depth=20), {"digest": "a"}, "cpu") != first
    assert fingerprint(sane, scale, {"digest": "b"}, "cpu") != first
    assert fingerprint(sane, scale, {"digest": "a"}, "cuda") != first
    assert fingerprint(sane, scale, {"digest": "a"}, "cpu", given="weights") != first
    assert fingerprint(odd_experiments.RAISES, scale, {"digest": "a"}, "cpu") != first
    again = replace(scale, seconds=2, seeds=5)
    assert fingerprint(sane, again, {"digest": "a"}, "cpu") == first
