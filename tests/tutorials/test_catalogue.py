"""The list of tutorials, and what their first lines must say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minires.tutorials import all_tutorials, recorded
from minires.tutorials.catalogue import _read

ROOT = Path(__file__).resolve().parents[2]


def test_tutorials_are_numbered_without_gaps() -> None:
    numbers = [each.number for each in all_tutorials()]

    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("tutorial", all_tutorials(), ids=lambda each: each.name)
def test_a_tutorial_has_what_a_learner_is_promised(tutorial: object) -> None:
    text = tutorial.path.read_text(encoding="utf-8")  # type: ignore[attr-defined]

    assert 10 <= tutorial.minutes <= 30  # type: ignore[attr-defined]
    assert "you need:" in text
    assert len(re.findall(r"\*\*Predict, then run\.\*\*", text)) >= 2
    assert text.count("<details><summary>Answer</summary>") == text.count("# </details>") >= 2
    assert len(re.findall(r"^# ### Exercise \d\.", text, re.MULTILINE)) in (2, 3)
    assert "# ## Recap" in text


@pytest.mark.parametrize("tutorial", all_tutorials(), ids=lambda each: each.name)
def test_links_between_tutorials_lead_somewhere(tutorial: object) -> None:
    text = tutorial.path.read_text(encoding="utf-8")  # type: ignore[attr-defined]

    for target in re.findall(r"\]\(((?:\.\./docs/)?[\w/-]+\.(?:py|md))(?:#[\w-]+)?\)", text):
        assert (ROOT / "tutorials" / target).is_file(), target


@pytest.mark.parametrize(
    ("first_lines", "fault"),
    [
        ("# # 2. Title\n# **20 minutes**", "with the file's number"),
        ("# # 1. Title\n", "minutes"),
        ("# # Title\n# **20 minutes**", "a title"),
    ],
)
def test_a_tutorial_without_title_or_minutes_is_refused(
    first_lines: str, fault: str, tmp_path: Path
) -> None:
    path = tmp_path / "01_name.py"
    path.write_text(f"# %% [markdown]\n{first_lines}\n")

    with pytest.raises(ValueError, match=fault):
        _read(path)


def test_a_result_that_was_not_recorded_is_named_with_those_that_were() -> None:
    with pytest.raises(LookupError, match=r"no result of 'depth' was recorded.*degradation"):
        recorded("depth")
