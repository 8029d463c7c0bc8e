"""Figures: they draw into what they are given, and what they draw is what was recorded."""

from __future__ import annotations

import io
import math
import subprocess
import sys

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure

import minires as mr
from minires.trace import (
    PathSpectrum,
    plot_gradient_flow,
    plot_graph,
    plot_heat_map,
    plot_path_spectrum,
    plot_waterfall,
)
from minires.trace.layout import layout_of

PLOTS = [plot_gradient_flow, plot_heat_map, plot_path_spectrum, plot_waterfall, plot_graph]


def step(model):
    images = mr.tensor(np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype("float32"))
    with mr.trace.record(model) as trace:
        mr.ops.cross_entropy(model(images), mr.tensor([1, 2])).backward()
    return trace


@pytest.fixture(scope="module")
def residual():
    mr.manual_seed(0)
    return step(mr.models.cifar_resnet(depth=8))


@pytest.fixture(scope="module")
def plain():
    mr.manual_seed(0)
    return step(mr.models.cifar_plain(depth=8))


@pytest.fixture
def ax():
    return Figure().subplots()


def written(ax) -> bytes:
    buffer = io.BytesIO()
    ax.figure.savefig(buffer, format="png", dpi=40)
    return buffer.getvalue()


def words(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def line(ax, label):
    (found,) = [each for each in ax.lines if each.get_label() == label]
    return found


@pytest.mark.parametrize("plot", PLOTS)
def test_it_draws_into_the_axes_it_is_given_and_returns_them(residual, ax, plot):
    assert plot(residual, ax=ax) is ax
    assert written(ax)


@pytest.mark.parametrize("style", ["default", "dark_background"])
@pytest.mark.parametrize("plot", PLOTS)
def test_without_axes_it_makes_a_figure_that_pyplot_does_not_keep(residual, plot, style):
    import matplotlib.pyplot as plt

    with mpl.style.context(style):
        found = plot(residual)
        assert written(found)
    assert plt.get_fignums() == []


def test_matplotlib_is_loaded_on_first_use_only():
    code = "import sys, minires.trace; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_flow_is_the_norms_along_the_main_road(residual, ax):
    plot_gradient_flow(residual, ax)
    drawn = line(ax, "CifarResNet").get_ydata()
    values = [residual.records.values[v] for v in residual.structure.main_road]
    expected = [v.gradient.norm for v in values if v.op is not None][::-1]
    np.testing.assert_array_equal(drawn, expected)
    assert ax.get_yscale() == "log"


def test_the_flow_marks_what_came_through_shortcut_and_branch(residual, ax):
    plot_gradient_flow(residual, ax)
    for side, style in (("shortcut", "--"), ("branch", "-")):
        drawn = line(ax, f"through the {side}")
        norms = [part.norm for fork in residual.forks() for part in fork.parts if part.side == side]
        assert sorted(drawn.get_ydata()) == sorted(norms)
        assert drawn.get_linestyle() == style


def test_twins_share_one_scale_and_their_steps_one_place(residual, plain, ax):
    plot_gradient_flow(residual, ax, other=plain)
    with_, without = (line(ax, f"CifarResNet, {kind}") for kind in ("residual", "plain"))
    assert without.get_linestyle() == "-."
    assert with_.get_xdata()[-1] == without.get_xdata()[-1]
    blocks = len(layout_of(residual.structure, plain.structure).groups)
    assert len(with_.get_xdata()) <= blocks  # where one has one value, the other may have many
    assert len(without.get_xdata()) <= blocks
    low, high = ax.get_ylim()
    assert low <= min(without.get_ydata())
    assert high >= max(without.get_ydata())


def test_text_and_lines_stand_out_on_dark_ground(residual):
    with mpl.style.context("dark_background"):
        found = plot_gradient_flow(residual)
    assert same_color(line(found, "CifarResNet").get_color(), "white")


def test_a_zero_gradient_is_a_mark_below_the_axis_and_nan_is_named(ax):
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        ((x * 2) * 0.0).sum().backward()
    plot_gradient_flow(trace, ax)
    assert "0" in words(ax)
    (marks,) = [each for each in ax.lines if each.get_marker() == "v"]
    assert all(height < 0 for height in marks.get_ydata())
    other = Figure().subplots()
    with mr.trace.record() as trace:
        ((x * 2) * 3.0).sum().backward(mr.tensor(math.nan))
    plot_gradient_flow(trace, other)
    assert "NaN" in words(other)
    written(other)


def test_the_heat_map_has_a_row_for_each_weight_and_a_column_for_each_step(ax):
    model = mr.models.cifar_resnet(depth=8)
    traces = [step(model) for _ in range(3)]
    plot_heat_map(traces, ax)
    drawn = np.asarray(ax.collections[0].get_array()).reshape(-1, 3)
    weights = [v for v in traces[0].records.values if v.kind == "parameter" and len(v.shape) > 1]
    assert drawn.shape == (len(weights), 3)
    assert drawn[0, 0] == traces[0].value("conv1.weight").gradient.norm
    assert drawn[-1, 2] == traces[2].value("fc.weight").gradient.norm


def test_one_trace_of_two_passes_is_two_columns_and_zeros_are_written(ax):
    weight = mr.nn.Linear(2, 2)
    with mr.trace.record(weight) as trace:
        weight(mr.randn(3, 2)).sum().backward()
        (weight(mr.randn(3, 2)) * 0.0).sum().backward()
    plot_heat_map(trace, ax)
    drawn = ax.collections[0].get_array()
    assert drawn.shape == (1, 2)
    assert drawn.mask.tolist() == [[False, True]]
    assert "0" in words(ax)


def test_the_spectrum_fills_each_frame_with_its_signed_share(residual, ax):
    spectrum = residual.path_spectrum()
    plot_path_spectrum(spectrum, ax)
    frames, shares = ([bar.get_height() for bar in bars] for bars in ax.containers)
    assert shares == list(spectrum.shares)
    whole = np.linalg.norm(np.asarray(spectrum.total, "float64"))
    np.testing.assert_allclose(np.abs(frames), np.array(spectrum.norms) / whole, rtol=1e-6)


def test_the_spectrum_of_a_loaded_trace_looks_the_same(residual, ax, tmp_path):
    residual.path_spectrum()
    residual.save(tmp_path / "step.trace")
    loaded = mr.trace.load(tmp_path / "step.trace")
    assert written(plot_path_spectrum(loaded)) == written(plot_path_spectrum(residual))


def test_the_spectrum_of_a_zero_gradient_says_so(ax):
    zero = np.zeros(2)
    plot_path_spectrum(PathSpectrum("x", (zero,), zero, (0.0,), (None,), (1,)), ax)
    assert words(ax) == ["the gradient at x is zero or not finite"]


def test_the_waterfall_reaches_from_the_loss_to_the_stem(residual, ax):
    plot_waterfall(residual, ax)
    gains = residual.gains()
    bars = [bars[0] for bars in ax.containers[: len(gains)]]
    for gain, bar in zip(gains, bars, strict=True):
        ends = bar.get_y(), bar.get_y() + bar.get_height()
        np.testing.assert_allclose(sorted((gain.before, gain.after)), ends, rtol=1e-12)


def test_the_graph_draws_an_arc_for_each_shortcut_dashed(residual, ax):
    plot_graph(residual, ax, expand=False)
    assert [arc.get_linestyle() for arc in ax.patches] == ["dashed"] * 3
    assert "layer1.0  7 ops" in words(ax)


def test_large_graphs_are_drawn_collapsed():
    found = plot_graph(step(mr.models.cifar_resnet(depth=56)))
    assert found.figure.get_figheight() < 12
    assert written(found)


@pytest.mark.parametrize("plot", [plot_gradient_flow, plot_heat_map, plot_waterfall])
def test_without_a_backward_pass_the_axes_say_why_they_are_empty(ax, plot):
    with mr.trace.record() as trace:
        mr.tensor([1.0], requires_grad=True) * 2
    plot(trace, ax)
    assert words(ax) == ["backward has not run: there is no gradient to see"]


def test_a_trace_of_nothing_has_an_empty_graph(ax):
    with mr.trace.record() as trace:
        pass
    plot_graph(trace, ax)
    assert words(ax) == ["nothing was recorded"]


@pytest.mark.parametrize("factors", [(5e-324, 1.0), (1e300, 1e-320), (1e-300, 1e300), (1e306, 1e2)])
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_norms_at_the_ends_of_float64_are_drawn_and_written(factors):
    x = mr.tensor(np.array([1.0, 2.0]), requires_grad=True)
    with np.errstate(all="ignore"), mr.trace.record() as trace:
        y = x * factors[0]
        mr.ops.residual_add(y, y * 1.0).sum().backward(mr.tensor(np.float64(factors[1])))
    for plot in (plot_gradient_flow, plot_heat_map, plot_waterfall, plot_graph):
        assert written(plot(trace))
    assert str(trace.table())
    assert trace.to_svg(expand=True)


def test_names_with_dollar_signs_are_no_formulas():
    model = mr.nn.Sequential(mr.nn.Linear(2, 2), mr.nn.ReLU())
    model.add_module("$x^{", mr.nn.Linear(2, 2))
    with mr.trace.record(model) as trace:
        model(mr.randn(3, 2)).sum().backward()
    for plot in (plot_gradient_flow, plot_heat_map, plot_waterfall, plot_graph):
        assert written(plot(trace))
