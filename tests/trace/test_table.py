"""The table of a trace: what it says, how it is drawn, and how it fits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

import minires as mr
from minires import ops
from minires.trace.views.lanes import Bow, draw_lanes
from minires.trace.views.rows import json_of
from minires.trace.views.table import table_of
from minires.trace.views.words import ASCII, amount, number, percent, scale_of

from .networks import Inception, images, made, recorded
from .pages import adding_twice, gated

SIDES = ("shortcut", "branch")


def step_of(model: Any, title: str = "", **options: Any) -> Any:
    """One recorded training step on eight small images."""
    mr.manual_seed(1)
    with mr.trace.record(model, **options) as trace:
        ops.cross_entropy(model(mr.randn(8, 1, 8, 8)), mr.arange(8)).backward()
    trace.records.title = title or trace.records.title
    return trace


@pytest.fixture(scope="module")
def twins() -> tuple[Any, Any]:
    residual = mr.models.cifar_resnet(20, width=4, in_channels=1, seed=0)
    plain = mr.models.cifar_plain(20, width=4, in_channels=1, seed=0)
    return step_of(residual, "residual"), step_of(plain, "plain")


def line_with(text: str, word: str) -> str:
    (line,) = [line for line in text.splitlines() if f" {word} " in f" {line} "]
    return line


def shares_in(line: str) -> list[str]:
    return [word for word in line.split() if word.endswith("%")]


# -- what it says --------------------------------------------------------------------------------


def test_each_block_is_one_line_with_the_shares_of_its_own_fork(twins: tuple[Any, Any]) -> None:
    text = table_of(twins[0]).text(100)

    for fork in twins[0].forks():
        line = line_with(text, fork.block)
        shares = {part.side: part.share for part in fork.parts}
        assert line.split().count(percent(shares["shortcut"])) >= 1
        assert f"{percent(shares['shortcut'])}  " in line
        assert percent(shares["branch"]) in line
    assert "74 forward and 133 backward steps" in text
    assert "all 9 sums at forks are bit for bit the engine's gradient" in text


def test_of_a_gated_block_the_shares_are_those_at_its_input_not_at_its_gate() -> None:
    trace = gated()
    text = table_of(trace).text(100)

    for block in ("layer1.0", "layer2.0", "layer3.0"):
        at_gate, at_input = (fork for fork in trace.forks() if fork.block == block)
        assert "sigmoid" in at_gate.name
        shares = [at_input.share(side) for side in SIDES]
        assert shares_in(line_with(text, block)) == [percent(share) for share in shares]
        assert at_gate.share("shortcut") != pytest.approx(at_input.share("shortcut"), abs=0.1)


def test_of_a_block_with_two_additions_the_shares_are_those_at_the_blocks_input() -> None:
    trace = adding_twice()
    inside, at_input = trace.forks()
    assert (inside.name, at_input.name) == ("layer1.first/linear", "stem/linear")
    shares = [at_input.share(side) for side in SIDES]
    assert shares_in(line_with(table_of(trace).text(100), "layer1")) == list(map(percent, shares))


def test_an_addition_whose_sum_is_used_twice_has_its_shares_all_the_same() -> None:
    x = mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record() as trace:
        y = ops.residual_add(x, x * 3.0)
        ops.sum(y * y).backward()

    addition = line_with(table_of(trace).text(100), "residual_add")

    assert shares_in(addition) == ["25%", "75%"]


def test_a_parameter_of_both_sides_is_not_taken_for_the_block_s_input() -> None:
    class Tied(mr.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = mr.nn.Parameter(mr.tensor([2.0, 0.5]))

        def forward(self, x: Any) -> Any:
            return ops.residual_add(x * self.scale, ops.exp(x * self.scale))

    model, x = Tied(), mr.tensor([1.0, 2.0], requires_grad=True)
    with mr.trace.record(model) as trace:
        ops.sum(model(x)).backward()
    at_input, at_scale = trace.forks()
    assert at_scale.name == "scale"

    addition = line_with(table_of(trace).text(100), "residual_add")

    assert shares_in(addition) == [percent(at_input.share(side)) for side in SIDES]


def test_a_line_shows_norm_of_value_and_gradient_of_the_block_s_output(
    twins: tuple[Any, Any],
) -> None:
    line = line_with(table_of(twins[0]).text(100), "layer2.1")
    block = next(b for b in twins[0].structure.blocks if b.path == "layer2.1")
    records = twins[0].records
    value = records.values[records.forward[block.steps[-1]].output]

    assert f" {number(value.stats.norm)} " in line
    assert f" {number(value.gradient.norm)} " in line
    assert "8×8×4×4" in line


def test_an_opened_block_shows_its_steps_and_the_arc_of_its_shortcut(
    twins: tuple[Any, Any],
) -> None:
    lines = table_of(twins[0], expand="layer1.1").text(100).splitlines()
    first = next(i for i, line in enumerate(lines) if "layer1.1" in line)

    assert [line.split()[0] for line in lines[first - 1 : first + 8]] == [
        "├→⊕", "┆", "┆", "┆", "┆", "┆", "┆", "╰→⊕", "╭─●",
    ]  # fmt: skip
    assert lines[first + 5].split()[1:4] == ["●", "bn2", "batch_norm"]


def test_a_pattern_opens_several_blocks_and_one_that_fits_none_is_refused(
    twins: tuple[Any, Any],
) -> None:
    opened = table_of(twins[0], expand=["layer1.*"]).text(100)

    assert opened.count("residual_add") == 3
    with pytest.raises(KeyError, match=r"no block of the trace is called 'layer1\.9'; near: layer"):
        twins[0].table(expand="layer1.9")


def test_a_block_that_one_network_lacks_is_no_missing_shortcut() -> None:
    residual, plain = (
        recorded(model, images(3, 32, "float32"))
        for model in (
            mr.models.create("resnet18_a", width=2, seed=0),
            mr.models.create("cifar_plain20", width=2, seed=0),
        )
    )
    for expand in (False, "layer*"):
        comparison = residual.compare(plain)
        text = comparison.table(expand).text(140)
        beyond = text.partition("layer4.0")[2]
        assert "no step" in beyond
        assert "no shortcut" not in beyond
    assert "no shortcut" in text
    assert str(comparison.to_svg(expand=True)).count("no shortcut here") == 6


def test_long_names_keep_their_ends_and_are_whole_where_there_is_room() -> None:
    model = mr.models.DenseNet(4, (2, 2), stem=8, num_classes=10)
    trace = recorded(model, images(3, 32, "float32"))
    narrow, wide = (table_of(trace).text(width) for width in (60, 140))

    for block in (1, 2):
        for layer in (1, 2):
            assert f"ures.denseblock{block}.denselayer{layer} " in narrow
            assert f" features.denseblock{block}.denselayer{layer} " in wide
        assert f" features.denseblock{block} " in wide
        assert f" features.denseblock{block}." not in narrow
    assert max(map(len, wide.splitlines())) <= 140


def test_twins_stand_side_by_side_on_one_scale_with_ghosts_for_what_one_lacks(
    twins: tuple[Any, Any],
) -> None:
    text = table_of(*twins, expand="layer1.0").text(110)
    head = next(line for line in text.splitlines() if "residual" in line and "plain" in line)
    addition = line_with(text, "residual_add")
    block = line_with(text, "layer3.1").split()

    assert head.split() == ["residual", "plain"]
    assert "no shortcut" in addition
    left, right = (
        trace.records.values[
            trace.records.forward[trace.structure.blocks[10].steps[-1]].output
        ].gradient.norm
        for trace in twins
    )
    assert {number(left), number(right), f"×{number(left / right)}"} <= set(block)
    assert table_of(*twins).scale == scale_of(
        [
            v.gradient.norm
            for t in twins
            for v in t.records.values
            if v.op is not None and v.gradient
        ]
    )


def test_uses_that_belong_to_no_residual_block_are_counted() -> None:
    with mr.trace.record() as trace:
        x = mr.randn(2, 4, 6, 6, requires_grad=True) * 2
        ops.sum(Inception(4)(x)).backward()

    text = trace.table(expand=True).text(100)
    assert "4 uses" in line_with(text, "mul")
    assert "shortcut" not in text
    assert "the one sum at a fork is bit for bit the engine's gradient" in text


# -- empty states and trouble --------------------------------------------------------------------


def test_nothing_recorded_is_said() -> None:
    with mr.trace.record() as trace:
        pass

    assert "nothing was recorded" in repr(trace)


def test_backward_that_has_not_run_is_said_and_no_gradient_shown_as_zero() -> None:
    with mr.trace.record() as trace:
        ops.sum(mr.randn(3, requires_grad=True) * 2)

    text = repr(trace)
    assert "backward has not run inside the with-block" in text
    assert line_with(text, "mul").split()[-1 - text.count("µs") :][0] != "0"
    assert "–" in line_with(text, "mul")


def test_an_exception_in_the_block_is_named() -> None:
    recording = mr.trace.record()
    trace = recording.__enter__()
    ops.sum(mr.randn(3, requires_grad=True) * 2)
    recording.__exit__(ZeroDivisionError, ZeroDivisionError("division by zero"), None)

    assert "ended by ZeroDivisionError: division by zero; what ran before is kept" in repr(trace)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_first_nan_is_named() -> None:
    x = mr.tensor([1.0, -1.0], requires_grad=True)
    with mr.trace.record() as trace:
        ops.sum(ops.log(x)).backward()

    assert "the first NaN or infinity is in the value of log (forward step 0): 1 NaN" in repr(trace)


def test_a_wrong_sum_is_said(twins: tuple[Any, Any]) -> None:
    trace = step_of(mr.models.cifar_resnet(8, width=2, in_channels=1, seed=0))
    turn = next(turn for turn in trace.records.backward if len(turn.parts) > 1)
    turn.verdict = "wrong"

    assert "do not add up to the gradient that the engine used" in " ".join(repr(trace).split())
    assert "2 of 3 sums" in repr(trace)


def test_names_cannot_steer_the_terminal() -> None:
    with mr.trace.record() as trace:
        ops.sum(mr.randn(3, requires_grad=True) * 2).backward()
    trace.records.title = "\x1b[31mred\n"

    assert "\x1b" not in repr(trace)
    assert "\\x1b[31mred\\n" in repr(trace)


# -- how it fits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
@pytest.mark.parametrize("count", [1, 2])
def test_no_line_is_wider_than_the_terminal(twins: tuple[Any, Any], width: int, count: int) -> None:
    text = table_of(*twins[:count], expand="layer2.0").text(width)

    assert max(map(len, text.splitlines())) <= width
    assert "layer3.2" in text


def test_wide_terminals_see_more_columns(twins: tuple[Any, Any]) -> None:
    heads = [table_of(twins[0]).text(width).splitlines() for width in (60, 120)]
    narrow, wide = ({word for line in head[:8] for word in line.split()} for head in heads)

    assert {"|gradient|", "shortcut", "branch"} <= narrow
    assert {"|value|", "output", "time", "FLOP"} <= wide
    assert not {"time", "FLOP"} & narrow


def test_ascii_alone_is_written_where_the_encoding_has_no_more(twins: tuple[Any, Any]) -> None:
    for traces in (twins[:1], twins):
        text = table_of(*traces, expand=True).text(100, "ascii")
        assert text.isascii()
    assert ".-o" in text
    assert "'>+" in text


def test_repr_is_plain_text_in_a_pipe_and_in_ascii() -> None:
    program = (
        "import minires as mr\n"
        "x = mr.randn(3, requires_grad=True)\n"
        "with mr.trace.record() as trace:\n"
        "    mr.ops.residual_add(x * 2, 3 * x).sum().backward()\n"
        "print(trace)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        check=True,
    )

    assert done.stdout.isascii()
    assert b"\x1b" not in done.stdout
    assert b"residual_add" in done.stdout


# -- arcs ----------------------------------------------------------------------------------------


def drawn(count: int, *bows: tuple[int, int, bool], **options: Any) -> list[str]:
    lanes = draw_lanes(count, [Bow(*bow) for bow in bows], **options)
    return ["".join(letter for letter, _ in line) for line in lanes.lines]


def test_a_shortcut_is_a_dashed_arc_and_another_use_a_solid_one() -> None:
    assert drawn(3, (0, 2, True)) == ["╭─", "┆ ", "╰→"]
    assert drawn(3, (0, 2, False)) == ["╭─", "│ ", "╰→"]


def test_arcs_that_touch_share_a_lane_and_arcs_that_overlap_do_not() -> None:
    assert drawn(3, (0, 1, True), (1, 2, True)) == ["╭─", "├→", "╰→"]
    assert drawn(4, (0, 3, True), (1, 2, True)) == ["╭───", "┆ ╭─", "┆ ╰→", "╰──→"]


def test_uses_of_one_value_share_a_lane() -> None:
    assert drawn(4, (0, 2, False), (0, 3, False)) == ["╭─", "│ ", "├→", "╰→"]


def test_arcs_beyond_the_room_are_left_out_and_counted() -> None:
    bows = [Bow(start, 20 - start, False) for start in range(8)]
    lanes = draw_lanes(21, bows, most=3)

    assert lanes.left_out == 5
    assert {len(line) for line in lanes.lines} == {6}


# -- for programs --------------------------------------------------------------------------------


def test_rows_for_programs_are_strict_json_with_every_step_of_both(twins: tuple[Any, Any]) -> None:
    record = json.loads(json.dumps(json_of(*twins), allow_nan=False))

    assert record["schema"] == "minires.trace.table/1"
    assert [t["title"] for t in record["traces"]] == ["residual", "plain"]
    cells = [row["cells"] for row in record["rows"]]
    for side, trace in enumerate(twins):
        assert [c[side]["step"] for c in cells if c[side]] == list(
            range(len(trace.records.forward))
        )
    forks = [left["fork"] for left, _ in cells if left and left["fork"]]
    assert len(forks) == 9
    assert sum(part["share"] for part in forks[0]["parts"]) == pytest.approx(1, abs=1e-5)
    assert {"rows", "share", "fork"} <= record["definitions"].keys()


def test_a_spectrum_that_was_computed_is_shown_and_told() -> None:
    trace = recorded(made(mr.models.cifar_resnet(8, width=2, in_channels=4, seed=0)), images())
    spectrum = trace.path_spectrum()
    text = " ".join(trace.table().text(80).split())

    assert "path spectrum at relu/relu" in text
    for norm, share in zip(spectrum.norms, spectrum.shares, strict=True):
        assert f"{number(norm)} {percent(share)}" in text
    (told,) = json_of(trace)["spectra"][0]
    assert len(told["norms"]) == 4


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1.00"), (0, "0"), (-0.5, "-0.500"), (999.6, "1.00e3"), (1e-30, "1.00e-30"),
     (float("inf"), "inf"), (None, "-")],
)  # fmt: skip
def test_numbers_have_three_digits(value: Any, text: str) -> None:
    assert number(value, ASCII) == text


def test_amounts_have_a_prefix() -> None:
    assert [amount(v, "B") for v in (0, 999, 1000, 1.5e6, 2e13)] == [
        "0 B", "999 B", "1 kB", "1.5 MB", "20 TB",
    ]  # fmt: skip
    assert amount(0.0000004, "s") == "0.4 µs"
