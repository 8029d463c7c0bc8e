"""The stepper: what its commands do, what it shows, and its two ways to be used."""

from __future__ import annotations

import contextlib
import io
import os
import re
import select
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

import minires as mr
from minires import ops
from minires.trace.views.commands import HELP, KEYS, obey, press
from minires.trace.views.patch import patch_of
from minires.trace.views.stepper import step_through
from minires.trace.views.walk import State, Walk
from minires.trace.views.words import number, percent


def traced(model: Any = None, expand: tuple[str, ...] = (), **options: Any) -> Any:
    """One recorded training step on four small images."""
    model = model or mr.models.cifar_resnet(8, width=2, in_channels=1, seed=0)
    graph = options.pop("create_graph", False)
    mr.manual_seed(1)
    spelled = mr.expand(*expand) if expand else contextlib.nullcontext()
    with mr.trace.record(model, **options) as trace, spelled:
        loss = ops.cross_entropy(model(mr.randn(4, 1, 8, 8)), mr.arange(4))
        loss.backward(create_graph=graph)
    return trace


@pytest.fixture(scope="module")
def trace() -> Any:
    return traced()


@pytest.fixture(scope="module")
def spelled_out() -> Any:
    return traced(expand=("conv2d", "batch_norm"), save="full")


@pytest.fixture
def walk(trace: Any) -> Walk:
    return Walk(trace)


def after(walk: Walk, *commands: str) -> State:
    state = walk.start
    for command in commands:
        state = obey(walk, state, command)
    return state


def here(walk: Walk, state: State) -> Any:
    """The forward or backward step that a walk stands at."""
    stop = walk.stop(state)
    records = walk.trace.records
    return (records.forward if stop.kind == "forward" else records.backward)[stop.steps[0]]


def shown(trace: Any, *commands: str, beside: Any = None) -> str:
    """What the stepper writes in a pipe that sends these commands."""
    out = io.StringIO()
    step_through(trace, beside, io.StringIO("".join(f"{c}\n" for c in commands)), out)
    return out.getvalue()


# -- the walk ------------------------------------------------------------------------------------


def test_a_walk_goes_through_every_step_in_the_order_in_which_they_happened(
    walk: Walk, trace: Any
) -> None:
    seen, state = [], walk.start
    while not state.message:
        stop = walk.stop(state)
        seen.append((stop.kind, stop.steps[0]))
        state = obey(walk, state, "n")

    assert seen == trace.records.steps
    assert state.message == "that is the last step"


def test_back_undoes_forward(walk: Walk) -> None:
    assert after(walk, "n 5", "p 2").at.number == 3
    assert after(walk, "p").message == "that is the first step"


def test_fork_stops_at_each_place_where_contributions_meet(walk: Walk, trace: Any) -> None:
    state, found = obey(walk, walk.start, "fork"), []
    while not state.message:
        found.append(here(walk, state).value)
        state = obey(walk, state, "fork")

    assert found == [fork.value for fork in trace.forks()]
    assert here(walk, obey(walk, state, "-fork")).value == found[-2]


def test_block_stops_where_a_block_begins_in_both_directions(walk: Walk, trace: Any) -> None:
    ahead = after(walk, "block", "block", "block")
    block = trace.structure.block_of(here(walk, ahead).index)

    assert here(walk, ahead).index == block.steps.start
    assert block.path == "layer1.0"
    assert after(walk, "block", "block", "block", "block", "-block") == ahead


def test_turn_goes_to_the_first_step_of_backward(walk: Walk, trace: Any) -> None:
    state = after(walk, "turn")

    assert trace.records.steps[state.at.number] == ("backward", 0)


def test_breakpoints_stop_where_they_are_hit_and_nowhere_else(walk: Walk, trace: Any) -> None:
    largest = max(t.stats.norm for t in trace.records.backward if t.index)
    limit = f"norm>{largest * 0.999:g}"
    state = after(walk, f"break {limit}", "c", "c")

    assert here(walk, state).stats.norm == largest
    assert obey(walk, state, "c").message == "no breakpoint is hit after this step"
    assert after(walk, "break fork", "c").at == after(walk, "fork").at


def test_a_breakpoint_at_a_module_is_set_and_cleared_by_one_key(walk: Walk) -> None:
    state = press(walk, after(walk, "n 4"), "b")

    assert [str(b) for b in state.breakpoints] == ["at:layer1.0.bn1"]
    assert press(walk, state, "b").breakpoints == ()


def test_find_goes_to_the_next_value_of_that_name_and_around(walk: Walk, trace: Any) -> None:
    state = after(walk, "find layer2.0/residual_add")

    assert here(walk, state).op == "residual_add"
    assert here(walk, obey(walk, state, "find fc.weight")).value == trace.value("fc.weight").index
    assert here(walk, obey(walk, after(walk, "goto end"), "find conv1.weight")).value is not None


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("frob", "there is no command 'frob'; help lists them all"),
        ("goto 9999", "goto: steps are 0 to "),
        ("goto there", "found 'there'"),
        ("goto " + "9" * 5000, "found '99"),
        ("n " + "9" * 5000, "expected a number of steps"),
        ("pixel 1," + "9" * 5000, "expected row,column"),
        ("n many", "expected a number of steps"),
        ("find", "find: what?"),
        ("find unheard-of", "no other step has 'unheard-of' in its name"),
        ("c", "there is no breakpoint"),
        ("break norm=3", "unknown breakpoint 'norm=3'"),
        ("break at:layer9", "no module and no value of that name"),
        ("clear fork", "there is no breakpoint fork"),
        ("pixel 3", "expected row,column"),
        ("out", "not inside of another"),
        ("into", 'record under mr.expand("conv2d")'),
        ("-fork", "there is no fork before this"),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_why_and_moves_nothing(
    walk: Walk, command: str, told: str
) -> None:
    state = after(walk, command)

    assert told in state.message
    assert state.at == walk.start.at


def test_a_trace_of_nothing_cannot_be_walked() -> None:
    with mr.trace.record() as empty:
        pass

    with pytest.raises(ValueError, match="nothing was recorded"):
        empty.step()


def test_without_backward_there_are_no_forks() -> None:
    with mr.trace.record() as trace:
        ops.sum(mr.randn(3, requires_grad=True) * 2)

    assert "backward has not run" in after(Walk(trace), "fork").message
    assert "backward has not run" in after(Walk(trace), "turn").message


def test_every_command_of_a_key_is_known_and_told_in_the_help(walk: Walk) -> None:
    for command in KEYS.values():
        assert "there is no command" not in obey(walk, walk.start, command).message
        assert command.split()[0].removeprefix("-") in HELP


def test_keys_type_a_command_until_enter_or_escape(walk: Walk) -> None:
    state = walk.start
    for key in ("g", "1", "7", "backspace", "2", "enter"):
        state = press(walk, state, key)

    assert state.at.number == 12
    assert state.typed is None
    typing = press(walk, press(walk, state, "/"), "x")
    assert press(walk, typing, "escape").typed is None
    assert press(walk, state, "~").message == "'~' does nothing; ? tells the keys"


def test_the_end_of_the_input_ends_the_walk_also_while_a_command_is_typed(walk: Walk) -> None:
    assert press(walk, walk.start, "ctrl-d").done
    assert press(walk, press(walk, walk.start, ":"), "ctrl-d").done


# -- steps within steps --------------------------------------------------------------------------


def test_a_spelled_out_convolution_is_one_stop_that_opens(spelled_out: Any) -> None:
    walk = Walk(spelled_out)
    records = spelled_out.records
    folded = walk.stop(walk.start)
    state = after(walk, "into")

    assert folded.twin == "conv2d"
    assert [records.forward[step].op for step in folded.steps] == [
        "im2col", "reshape", "reshape", "matmul", "reshape",
    ]  # fmt: skip
    assert walk.stop(obey(walk, walk.start, "n")).twin == "batch_norm"
    assert here(walk, state).op == "im2col"
    assert here(walk, obey(walk, state, "n 3")).op == "matmul"
    assert obey(walk, obey(walk, state, "n 3"), "out") == walk.start
    assert walk.stop(obey(walk, state, "n 5")).twin == "batch_norm"


def test_goto_opens_what_a_step_lies_in(spelled_out: Any) -> None:
    walk = Walk(spelled_out)

    assert here(walk, after(walk, "goto 3")).op == "matmul"


def test_forks_inside_of_what_is_folded_are_passed_by(spelled_out: Any) -> None:
    walk = Walk(spelled_out)
    state, shortcuts = obey(walk, walk.start, "fork"), []
    while not state.message:
        shortcuts.append(here(walk, state).value)
        state = obey(walk, state, "fork")

    assert shortcuts == [fork.value for fork in spelled_out.forks() if fork.block]


def test_the_ops_of_a_vjp_lie_beneath_its_backward_step() -> None:
    trace = traced(create_graph=True)
    walk = Walk(trace)
    turn = after(walk, "turn")
    inside = obey(walk, turn, "into")
    seen, state = [], inside
    while here(walk, state).__class__.__name__ == "Forward":
        seen.append(here(walk, state).index)
        state = obey(walk, state, "n")

    assert seen == [step.index for step in trace.records.forward if step.vjp_of == 0]
    assert walk.stop(obey(walk, turn, "n")).steps == (1,)
    assert "inside, the VJP ran 3 ops: div, reshape, broadcast_to" in shown(trace, "turn")
    assert "run by the VJP at mean" in shown(trace, "turn", "into")


def test_the_patch_times_the_filter_sums_to_the_convolution_s_output(spelled_out: Any) -> None:
    records = spelled_out.records
    step = next(s for s in records.forward if s.op == "im2col" and s.module == "layer2.0.conv1")
    output = spelled_out.arrays[f"value/{records.forward[step.index + 4].output}"]

    for pixel in ((0, 0), (1, 3, 2), (3, 2, 3, 1)):
        patch = patch_of(spelled_out, step.index, pixel)
        n, o, y, x = patch.place
        assert (y, x) == pixel[:2]
        assert patch.total == pytest.approx(output[n, o, y, x], rel=1e-4, abs=1e-6)
        image = spelled_out.arrays[f"value/{step.operands[0].value}"]
        row, column = patch.corner
        padded = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
        cut = padded[n, :, row + 1 : row + 4, column + 1 : column + 4]
        assert (patch.image == cut).all()


def test_the_patch_is_shown_from_what_a_replay_keeps_or_it_is_said_how_to_keep_it() -> None:
    kept = traced(expand=("conv2d",))
    lost = traced(expand=("conv2d",), replay=False)

    assert "the output's entry" in shown(kept, "into", "pixel 3,4")
    assert "output entry [image 0, filter 0, row 3, column 4]" in shown(kept, "into", "pixel 3,4")
    assert 'record with save="full"' in shown(lost, "into")


# -- what is shown -------------------------------------------------------------------------------


def test_a_forward_step_shows_operands_output_and_source(trace: Any) -> None:
    text = shown(trace, "find layer1.0/residual_add").split("step ")[-1]
    step = next(s for s in trace.records.forward if s.op == "residual_add")
    values = trace.records.values

    assert f"forward: residual_add in layer1.0 {' ' * 3}" in text
    assert step.source in text
    for operand in step.operands:
        value = values[operand.value]
        assert re.search(
            rf"{operand.edge} +{value.name} +4×2×8×8 +{number(value.stats.norm)}", text
        )
    assert re.search(rf"output +\S+ +4×2×8×8 +{number(values[step.output].stats.norm)}", text)


def test_a_fork_shows_contributions_that_add_up_and_what_the_vjp_sent(trace: Any) -> None:
    text = shown(trace, "fork").split("step ")[-1]
    fork = trace.forks()[0]

    assert "2 contributions met here and were added up:" in text
    for part in fork.parts:
        line = next(line for line in text.splitlines() if line.startswith(part.side))
        assert part.consumer in line
        assert number(part.norm) in line
        assert number(part.cosine) in line
        assert percent(part.share) in line
    assert re.search(rf"sum +{number(fork.norm)} +100%", text)
    assert "exact: bit for bit the gradient that the engine used" in text
    assert "the VJP of relu then sent:" in text


def test_the_same_step_of_the_twin_is_named_or_that_it_has_none(trace: Any) -> None:
    plain = traced(mr.models.cifar_plain(8, width=2, in_channels=1, seed=0))
    plain.records.title = "plain"
    text = shown(trace, "find layer1.0/residual_add", "n", beside=plain)

    assert "plain: no shortcut here" in text
    norm = number(plain.value("layer1.0.relu/relu:2").stats.norm)
    assert f"plain: |value| of layer1.0.relu/relu:2 is {norm}, here" in " ".join(text.split())


def test_where_one_stands_is_marked_in_the_network(trace: Any) -> None:
    marked = [line for line in shown(trace, "block").splitlines() if line.startswith("▶")]

    assert ["conv1" in marked[0], "bn1" in marked[1]] == [True, True]


# -- in a pipe and in a terminal -----------------------------------------------------------------

PROGRAM = """
import minires as mr
model = mr.models.cifar_resnet(8, width=2, in_channels=1, seed=0)
with mr.trace.record(model) as trace:
    mr.ops.cross_entropy(model(mr.randn(4, 1, 8, 8)), mr.arange(4)).backward()
trace.step()
print("left")
"""


def test_a_pipe_is_answered_with_plain_text_until_it_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="n\nfork\nbreak norm<1e-9\nhelp\nnonsense\n",
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "80", "FORCE_COLOR": "1"},
        check=True,
    )

    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    first = next(line for line in done.stdout.splitlines() if line.startswith("step "))
    assert first.startswith("step 0 of 86, forward: conv2d in conv1")
    for told in ("2 contributions met here", "break CONDITION", "there is no command 'nonsense'"):
        assert told in done.stdout
    assert done.stdout.endswith("left\n")


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
def test_single_keys_work_in_a_terminal_which_is_left_as_it_was() -> None:
    import pty
    import termios

    pid, terminal = pty.fork()
    if not pid:
        os.environ |= {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM])
    before = termios.tcgetattr(terminal)
    try:
        assert "step 0 of 86" in _read(terminal, "step 0 of")
        assert "step 1 of 86" in _press(terminal, b"\x1b[C", "step 1 of")
        assert "step 2 of 86" in _press(terminal, b".", "step 2 of")
        assert "contributions met" in _press(terminal, b"n", "contributions met")
        assert "goto 1_" in _press(terminal, b"g1", "goto 1_")
        assert "step 12 of 86" in _press(terminal, b"2\r", "step 12 of")
        assert "block by block" in _press(terminal, b"?", "block by block")
        assert "step 12 of 86" in _press(terminal, b"\x1b", "step 12 of")
        assert "left" in _press(terminal, b"q", "left")
        assert termios.tcgetattr(terminal)[3] == before[3]
        assert os.waitpid(pid, 0)[1] == 0
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(terminal)


def _press(terminal: int, keys: bytes, until: str) -> str:
    os.write(terminal, keys)
    return _read(terminal, until)


def _read(terminal: int, until: str) -> str:
    """Read what a program shows until a text has come, without colours."""
    text, end = b"", time.monotonic() + 30
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):  # it has ended
                text += os.read(terminal, 65536)
        plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.decode("utf-8", "replace"))
        if until in plain:
            break
    return plain


def test_commands_given_are_obeyed_and_nothing_is_asked(trace: Any, capsys: Any) -> None:
    trace.step(commands=["turn", "fork"])

    shown = capsys.readouterr().out
    assert "contributions met here and were added up" in shown
    assert shown.count("backward: the gradient of") == 2


def test_a_comparison_obeys_commands_for_both(trace: Any, capsys: Any) -> None:
    plain = traced(mr.models.cifar_plain(8, width=2, in_channels=1, seed=0))

    trace.compare(plain).step(commands=["next"])

    assert "batch_norm in bn1" in capsys.readouterr().out


def test_the_cell_of_a_notebook_is_not_called_by_its_temporary_file() -> None:
    from minires.trace.source import _short

    assert _short("/somewhere/ipykernel_17724/1419016466.py") == "notebook cell"
