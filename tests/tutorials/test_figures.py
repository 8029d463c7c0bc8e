"""Figures of tutorials: in a script a file, and never without a text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from minires.tutorials import grid, show


def test_a_script_gets_a_picture_and_its_text(capsys: Any) -> None:
    figure = Figure()
    grid(figure.subplots(), [[1, 2], [3, 4]])

    show(figure, "four numbers")

    found = re.fullmatch(r"\[figure: four numbers; (.+\.png)\]\n", capsys.readouterr().out)
    assert found is not None
    assert Path(found[1]).read_bytes().startswith(b"\x89PNG")


def test_a_figure_without_a_text_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a text"):
        show(Figure(), "  ")


def test_the_style_is_one_that_matplotlib_finds() -> None:
    import matplotlib as mpl
    import matplotlib.style

    with mpl.style.context("minires.tutorials.sheet"):
        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"][0] == "#0072B2"
