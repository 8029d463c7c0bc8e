from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from minires.lab import Comparison
from minires.lab.drawing import draw_final_errors, draw_gradients, draw_losses, gradient_scale
from minires.lab.picture import by_depth, gradients_panel, overview, to_png
from minires.lab.theme import DARK, LIGHT, Theme


def test_the_overview_has_the_errors_and_for_each_depth_two_curves_and_two_heat_maps(
    comparison: Comparison,
) -> None:
    figure = overview(comparison)
    titles = [ax.get_title(loc="left") for ax in figure.axes]

    assert len([title for title in titles if title.endswith("layers")]) == 2
    for run in comparison.runs:
        assert f"{run.name}, gradient norms" in titles
    written = " ".join(text.get_text() for part in figure.findobj() for text in texts_of(part))
    assert " ".join(comparison.verdict.headline.split()) in " ".join(written.split())


def texts_of(part: Any) -> list[Any]:
    return list(getattr(part, "texts", []))


def test_the_same_comparison_gives_the_same_bytes(comparison: Comparison) -> None:
    runs = by_depth(comparison.runs)[8]

    assert to_png(gradients_panel(runs, LIGHT)) == to_png(gradients_panel(runs, LIGHT))


def test_twins_share_one_logarithmic_colour_scale_that_covers_both(
    comparison: Comparison,
) -> None:
    runs = by_depth(comparison.runs)[14]
    scale = gradient_scale(runs)
    figure = gradients_panel(runs, LIGHT)
    norms = np.concatenate([np.ravel(run.gradient_norms) for run in runs])

    assert (scale.vmin, scale.vmax) == (norms.min(), norms.max())
    scales = {(mesh.norm.vmin, mesh.norm.vmax) for ax in figure.axes[:2] for mesh in ax.collections}
    assert scales == {(norms.min(), norms.max())}


def test_a_heat_map_has_a_row_per_layer_with_the_input_on_top(comparison: Comparison) -> None:
    run = comparison.runs[0]
    ax = Figure().subplots()
    draw_gradients(ax, run, gradient_scale([run]), LIGHT)
    (mesh,) = ax.collections

    np.testing.assert_array_equal(mesh.get_array(), np.transpose(run.gradient_norms))
    bottom, top = ax.get_ylim()
    assert bottom > top
    assert ax.get_yticklabels()[0].get_text() == "conv1"
    assert ax.get_xscale() == "log"


@pytest.mark.parametrize("odd", [0.0, float("inf"), float("nan")])
def test_norms_without_a_place_on_a_logarithmic_scale_stay_empty(make_run: Any, odd: float) -> None:
    run = make_run("plain-8", 0.5)
    run.gradient_norms = [[odd, 2.0], [4.0, 8.0]]
    ax = Figure().subplots()
    scale = gradient_scale([run])
    draw_gradients(ax, run, scale, LIGHT)
    (mesh,) = ax.collections

    assert (scale.vmin, scale.vmax) == (2.0, 8.0)
    np.testing.assert_array_equal(
        np.ma.getmaskarray(mesh.get_array()), [[True, False], [False] * 2]
    )


def test_bars_have_the_height_of_the_error_and_say_it(make_comparison: Any) -> None:
    ax = Figure().subplots()
    draw_final_errors(ax, make_comparison(plain_8=0.125, residual_8=None).runs, LIGHT)

    assert [bar.get_height() for bar in ax.patches] == [12.5, 0.0]
    assert [text.get_text() for text in ax.texts] == ["12.5%", "diverged"]


def test_the_loss_is_drawn_per_step_and_as_the_mean_of_each_epoch(comparison: Comparison) -> None:
    run = comparison.runs[0]
    ax = Figure().subplots()
    draw_losses(ax, [run], LIGHT)
    steps, means = ax.lines

    np.testing.assert_array_equal(steps.get_ydata(), run.loss)
    assert means.get_ydata() == pytest.approx([np.mean(run.loss[:23]), np.mean(run.loss[23:])])
    assert ax.get_yscale() == "log"


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_lines_and_text_stand_out_from_the_ground(theme: Theme) -> None:
    def luminance(colour: str) -> float:
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    def contrast(colour: str) -> float:
        low, high = sorted([luminance(colour), luminance(theme.ground)])
        return (high + 0.05) / (low + 0.05)

    # WCAG 2: 7 for text of the highest grade, 3 for graphics.
    assert contrast(theme.ink) >= 7
    assert contrast(theme.plain) >= 3
    assert contrast(theme.residual) >= 3


def test_a_picture_is_a_png_of_the_asked_resolution(comparison: Comparison) -> None:
    figure = gradients_panel(by_depth(comparison.runs)[8], DARK)
    image = Image.open(io.BytesIO(to_png(figure, dpi=50)))

    assert image.format == "PNG"
    assert image.size == tuple(int(50 * inches) for inches in figure.get_size_inches())


def test_drawing_needs_no_pyplot() -> None:
    program = (
        "import sys\n"
        "from minires.lab import Comparison, Run, Settings\n"
        "from minires.lab.picture import overview, to_png\n"
        "assert 'matplotlib' not in sys.modules and 'sklearn' not in sys.modules\n"
        "comparison = Comparison(Settings(depths=(8,), epochs=1))\n"
        "comparison.runs = [Run(8, twin, loss=[1.0], train_error=[0.5], learning_rate=[0.1],"
        " layers=['fc'], gradient_norms=[[1.0]]) for twin in ('plain', 'residual')]\n"
        "to_png(overview(comparison), 20)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_the_verdict_ends_above_the_curves(make_comparison: Any) -> None:
    comparison = make_comparison(
        plain_8=0.0,
        residual_8=0.0,
        plain_20=0.005,
        residual_20=0.0,
        plain_56=0.6,
        residual_56=0.001,
    )
    for run in comparison.runs:
        run.layers[:], run.gradient_norms[:] = ["conv1", "fc"], [[120.0, 0.37], [1.0, 1.0]]

    figure = overview(comparison)
    figure.canvas.draw()
    head, curves, _ = figure.subfigs

    lowest = min(text.get_window_extent().y0 for text in head.subfigs[1].texts)
    assert lowest > max(ax.get_tightbbox().y1 for ax in curves.axes)
