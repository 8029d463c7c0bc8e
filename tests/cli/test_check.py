"""`minires check`: what it can be given, what it prints, and how it ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minires.checking import OpRow, gradcheck
from minires.cli import main
from minires.cli.check_ops import margin_bar

GRADIENTS = """
import numpy as np
import minires as mr

print("a greeting")

def cube(x):
    print("called")
    return x**3

def forward(a, b, scale=2.0):
    return scale * a * b

def backward(g, a, b):
    return 2.0 * g * b, 2.0 * g * a

def wrong(g, a, b):
    return 2.0 * g * b, g * a

pair = (forward, backward)
model = mr.nn.Linear(4, 2)

def case():
    return cube, np.random.default_rng(1).standard_normal((5, 2))

def case_of_a_pair():
    return (forward, wrong), [np.ones((2, 3)), np.full((2, 3), 3.0)]

def no_case():
    return cube

def many(*xs):
    return sum(xs)

def some(a, b, *more):
    return a * b

class Class:
    pass

def at_kinks():
    return mr.ops.relu, np.zeros((3, 4))

def raising(x):
    return x.no_such_attribute

def leaving(x):
    exit(0)

number = 3
"""


def minires(*arguments: str, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    return subprocess.run(
        [sys.executable, "-m", "minires", "check", *arguments],
        capture_output=True,
        encoding="utf-8",
        cwd=cwd,
        env=environment | {"PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8"} | changes,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.py").write_text(GRADIENTS, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def check(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process: its exit code, and what it printed."""

    def check(*arguments: str) -> tuple[int, str, str]:
        before = list(sys.path), set(sys.modules)
        code = main(["check", *arguments])
        assert sys.path == before[0]
        assert not [n for n in set(sys.modules) - before[1] if n.startswith("_checked_by_minires")]
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return check


def test_a_case_is_checked_in_a_process_and_what_it_prints_is_no_part_of_the_report(
    folder: Path,
) -> None:
    done = minires("mine.py::case", cwd=folder)

    assert done.returncode == 0
    assert done.stdout.startswith("gradcheck: right")
    assert "(5, 2)" in done.stdout
    *prints, checked = done.stderr.splitlines()
    assert set(prints) == {"a greeting", "called"}
    assert checked == (
        "checked: the gradient that minires computes of cube(x), at the inputs that case() returned"
    )


def test_with_json_stdout_holds_nothing_but_the_json_whatever_the_code_prints(
    folder: Path,
) -> None:
    (folder / "prints.py").write_text(
        "import sys\nprint('at the top')\nsys.stdout.write('written\\n')\n\n"
        "def f(x):\n    print('in f')\n    return x * x\n"
    )
    done = minires("prints.py::f", "--json", cwd=folder)
    told = json.loads(done.stdout)

    assert told["checked"].startswith("the gradient that minires computes of f(x), at random")
    assert f"checked: {told['checked']}" in done.stderr.splitlines()
    assert {"at the top", "written", "in f"} < set(done.stderr.splitlines())


def test_a_wrong_gradient_ends_with_code_1_and_json_holds_the_report(folder: Path) -> None:
    done = minires("mine.py::case_of_a_pair", "--json", cwd=folder)
    told = json.loads(done.stdout)

    assert done.returncode == 1
    assert (told["schema"], told["status"]) == ("minires.gradcheck/1", "wrong")
    assert told["target"] == "mine.py::case_of_a_pair"
    assert [row["shape"] for row in told["inputs"]] == [[2, 3], [2, 3]]


@pytest.mark.parametrize(
    ("arguments", "shapes"),
    [
        (["mine.py::cube"], ["(3, 4)"]),
        (["mine.py::cube", "--shape", "2,1,3", "--order", "2"], ["(2, 1, 3)"]),
        (["mine.py::cube", "--shape", ""], ["()"]),
        (["mine.py::pair"], ["(3, 4)", "(3, 4)"]),
        (["mine.py::forward"], ["(3, 4)", "(3, 4)"]),
        (["mine.py::forward", "--vjp", "backward", "--shape", "(2, 3)", "--shape", "2 3"], ["(2"]),
        (["mine.py::model"], ["(3, 4)"]),
        (["mine.py::model", "--shape", "5,4"], ["(5, 4)"]),
        (["mine.py::many", "--shape", "2", "--shape", "3,2"], ["(2,)", "(3, 2)"]),
        (["./mine.py::case"], ["(5, 2)"]),
    ],
    ids=" ".join,
)
def test_right_gradients_of_all_that_can_be_named(
    check: Any, arguments: list[str], shapes: list[str]
) -> None:
    if arguments[0].endswith("forward") and "--vjp" not in arguments:
        arguments = [*arguments, "--vjp", "backward"]
    code, out, err = check(*arguments)

    assert code == 0, err
    assert out.startswith("gradcheck: right")
    for shape in shapes:
        assert shape in out


@pytest.mark.parametrize(
    ("arguments", "about"),
    [
        (
            ["mine.py::forward", "--shape", "2", "--shape", "2"],
            "the gradient that minires computes of forward(a, b), at random inputs of shape (2,)"
            " and (2,); its gradient may be 'backward': --vjp backward",
        ),
        (
            ["mine.py::forward", "--vjp", "backward"],
            "backward, the gradient of forward(a, b), at random inputs of shape (3, 4) and (3, 4),"
            " the default",
        ),
        (
            ["mine.py::pair", "--shape", "3", "--shape", "3"],
            "backward, the gradient of forward(a, b), at random inputs of shape (3,) and (3,)",
        ),
        (
            ["mine.py::case_of_a_pair"],
            "wrong, the gradient of forward(a, b), at the inputs that case_of_a_pair() returned",
        ),
        (
            ["mine.py::model", "--shape", "4"],
            "the gradient that minires computes of model (Linear), by its input and its parameters,"
            " at random inputs of shape (4,)",
        ),
        (
            ["mine.py::many", "--shape", "0,4", "--shape", "0,4"],
            "the gradient that minires computes of many(...), at random inputs of shape (0, 4) and"
            " (0, 4), which hold no value: there is nothing to compare; its gradient may be"
            " 'backward': --vjp backward",
        ),
        (
            ["two.py::square", "--shape", "3"],
            "the gradient that minires computes of square(x), at random inputs of shape (3,); its"
            " gradient may be 'vjp_of_square': --vjp vjp_of_square",
        ),
        (
            ["two.py::vjp_of_square", "--shape", "3", "--shape", "3"],
            "the gradient that minires computes of vjp_of_square(g, x), at random inputs of shape"
            " (3,) and (3,)",
        ),
        (
            ["one.py::square", "--shape", "3"],
            "the gradient that minires computes of square(x), at random inputs of shape (3,)",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_one_line_says_what_was_checked_and_what_may_have_been_forgotten(
    check: Any, folder: Path, arguments: list[str], about: str
) -> None:
    one = "from minires import gradcheck, no_grad\n\ndef square(x):\n    return x * x\n\n"
    (folder / "one.py").write_text(one + "def test_gradients():\n    pass\n")
    (folder / "two.py").write_text(
        one + "def cube_vjp(g, x):\n    return 3 * g * x * x\n\n"
        "def vjp_of_square(g, x):\n    return 2 * g * x\n"
    )
    _, _, err = check(*arguments)

    assert err.splitlines()[-1] == f"checked: {about}"


@pytest.mark.oracle
def test_a_module_of_pytorch_is_told_as_such(check: Any, folder: Path) -> None:
    pytest.importorskip("torch")
    (folder / "torchs.py").write_text(
        "import torch\n\nmodel = torch.nn.Linear(4, 2)\n\n"
        "def case():\n    return torch.tanh, torch.rand(3)\n"
    )

    for target, told in (("model", "model (Linear), by its"), ("case", "tanh(")):
        code, out, err = check(f"torchs.py::{target}")
        assert code == 0, err
        assert out.startswith("gradcheck: right")
        assert f"checked: the gradient that PyTorch computes of {told}" in err


def test_a_picture_is_drawn_of_what_is_wrong_and_else_it_is_told_that_there_is_none(
    check: Any, folder: Path
) -> None:
    wrong = check("mine.py::case_of_a_pair", "--png", "wrong.png")
    right = check("mine.py::cube", "--png", "right.png")

    assert wrong[2].splitlines()[-1] == "picture  wrong.png"
    assert (folder / "wrong.png").read_bytes().startswith(b"\x89PNG")
    assert right[2].splitlines()[-1].startswith("no picture: no gradient was found wrong")
    assert not (folder / "right.png").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["mine.py::forward", "--vjp", "wrong"], "gradcheck: WRONG"),
        (["mine.py::at_kinks"], "gradcheck: undecided"),
    ],
    ids=["wrong", "undecided"],
)
def test_what_is_not_right_ends_with_code_1(check: Any, arguments: list[str], told: str) -> None:
    code, out, _ = check(*arguments)

    assert code == 1
    assert out.startswith(told)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["mine.py"], "'mine.py': name a file and what to check in it, FILE.py::NAME"),
        (["::case"], "name a file and what to check in it"),
        (["mine.py::"], "name a file and what to check in it"),
        (["yours.py::case"], "yours.py: there is no such file"),
        (["mine.py::cubed"], "mine.py: there is no 'cubed' in it; did you mean 'cube'?"),
        (["mine.py::nope"], "no 'nope' in it; there are: cube, forward, backward, wrong, pair, m"),
        (["empty.py::f"], "there is no 'f' in it; nor anything else that could be checked"),
        (["mine::cube"], "mine: there is no such file; did you mean mine.py::cube?"),
        (["mine.py::forward", "--vjp", "backwards"], "there is no 'backwards' in it; did you"),
        (["mine.py::forward", "--vjp", "number"], "number is an int; with --vjp, both are functi"),
        (["mine.py::Class"], "Class is the class Class; what can be checked is a function"),
        (["mine.py::number"], "number is an int; what can be checked is a function, a module"),
        (["mine.py::no_case"], "no_case() has no parameters, so it should return"),
        (["mine.py::many"], "many: how many inputs it takes is not plain; give --shape"),
        (["mine.py::case", "--shape", "3,4"], "--shape: case() returns its inputs itself"),
        (
            ["mine.py::cube", "--shape", "3,x"],
            "--shape: expected lengths, such as 3,4; found '3,x'",
        ),
        (["mine.py::cube", "--shape", "-3"], "--shape: expected lengths"),
        (["mine.py::cube", "--shape", "3", "--shape", "3"], "cube takes 1 input (x), 2 --shape gi"),
        (["mine.py::forward", "--shape", "3"], "forward takes 2 to 3 inputs (a, b, scale=), 1 -"),
        (
            ["mine.py::wrong", "--vjp", "wrong", "--shape", "3"],
            "wrong takes 3 inputs (g, a, b), 1 --shape given",
        ),
        (["mine.py::some", "--shape", "3"], "some takes at least 2 inputs (a, b, ...), 1 --shape"),
        (["mine.py::cube", "--png", "no/a.png"], "--png: there is no folder 'no'"),
        (["mine.py::cube", "--png", "a.jpg"], "--png: expected the name of a .png file, found 'a."),
        (["mine.py::cube", "--png", "folder.png"], "--png: 'folder.png' is a folder"),
        (["mine.py::cube", "--order", "3"], "order must be 1 or 2, found 3"),
        (["mine.py::pair", "--order", "2"], "order=2 needs a function of Tensors"),
        (["mine.py::cube", "other"], "'other': one FILE.py::NAME is checked at a time"),
        (["ops", "bogus"], "there is no op 'bogus'; there are: add, "),
        (["ops", "conv2"], "there is no op 'conv2'; did you mean 'conv2d'?"),
        (["ops", "--order", "0"], "order must be 1 or 2, found 0"),
        (["ops", "--rtol", "1"], "--rtol has no place with `ops`"),
        (["ops", "--shape", "3"], "--shape has no place with `ops`"),
        ([], "Missing argument"),
    ],
    ids=" ".join,
)
def test_a_mistake_costs_one_line_and_code_2(
    check: Any, folder: Path, arguments: list[str], told: str
) -> None:
    (folder / "empty.py").write_text("from minires.nn import Linear, init\nfrom math import sin\n")
    (folder / "folder.png").mkdir()
    code, out, err = check(*arguments)
    line = err.splitlines()[-1]

    assert (code, out) == (2, "")
    assert set(err.splitlines()[:-1]) <= {"a greeting", "called"}
    assert told in line
    assert line.endswith("Help: minires check --help")


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("broken.py::f", "broken.py, line 2: importing it raised ZeroDivisionError: division by"),
        ("syntax.py::f", "syntax.py, line 1: importing it raised SyntaxError: "),
        ("exits.py::f", "exits.py: importing it called sys.exit(0)"),
    ],
    ids=lambda value: value.split(":")[0] if "::" in value else "",
)
def test_a_file_that_raises_or_exits_costs_one_line_and_code_1(
    check: Any, folder: Path, target: str, told: str
) -> None:
    (folder / "broken.py").write_text("x = 0\ny = 1 / x\n")
    (folder / "syntax.py").write_text("def f(:\n")
    (folder / "exits.py").write_text("import sys\nsys.exit(0)\n")
    code, out, err = check(target)

    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith(f"minires check: {told}")


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("mine.py::raising", "raised AttributeError: 'Tensor' object has no attribute"),
        ("mine.py::leaving", "raised SystemExit: 0"),
    ],
)
def test_a_function_that_raises_or_exits_makes_a_report_and_code_1(
    check: Any, target: str, told: str
) -> None:
    code, out, _ = check(target)

    assert code == 1
    assert out.startswith("gradcheck: this function cannot be checked")
    assert f"the forward pass {told}" in out


def test_a_file_finds_its_neighbours_and_its_name_hides_no_library(
    check: Any, folder: Path
) -> None:
    (folder / "its_neighbour.py").write_text("def square(x):\n    return x * x\n")
    (folder / "json.py").write_text(
        "import json, sys\nfrom dataclasses import dataclass\n"
        "from its_neighbour import square\n\n"
        "@dataclass\nclass Point:\n    x: float\n\n"
        "assert __name__ != '__main__'\nassert json.dumps({}) == '{}'\n"
    )
    code, out, err = check("json.py::square")
    sys.modules.pop("its_neighbour", None)

    assert code == 0, err
    assert out.startswith("gradcheck: right")


def test_all_options_reach_the_checker(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"order": 2, "mode": "random", "eps": 1e-5, "rtol": 1e-4, "atol": 1e-7}
    options |= {"seed": 3, "samples": 7}
    came: list[dict[str, Any]] = []

    def recording(fn: Any, inputs: Any, **given: Any) -> Any:
        came.append(given)
        return gradcheck(fn, inputs)

    monkeypatch.setattr("minires.cli.check_file.gradcheck", recording)
    check("mine.py::cube", *(f"--{name}={value}" for name, value in options.items()))
    check("mine.py::cube")

    assert came == [options, {}]


def test_the_seed_decides_where_it_is_checked(check: Any) -> None:
    first, again, other = (check("mine.py::cube", "--seed", seed)[1] for seed in "112")

    assert first == again != other


def test_ops_are_told_in_a_table_and_as_json(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    code, out, err = check("ops", "tanh", "less")
    code_of_json, as_json, err_of_json = check("ops", "tanh", "less", "--order", "1", "--json")
    told = json.loads(as_json)

    assert (code, err) == (code_of_json, err_of_json) == (0, "")
    for heading in ("op", "cases", "layouts", "entries", "order", "error / allowed", "status"):
        assert heading in out.splitlines()[0]
    assert "no gradient: a comparison" in out
    assert "\x1b" not in out
    assert (told["schema"], told["right"]) == ("minires.check-ops/1", True)
    tanh, less = told["ops"]
    assert (tanh["op"], tanh["status"], tanh["order"]) == ("tanh", "right", 1)
    assert (less["op"], less["status"], less["entries"]) == ("less", "no gradient", 0)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("unicode", [True, False])
def test_an_op_that_is_not_right_ends_with_code_1_in_terminals_of_all_widths(
    check: Any, monkeypatch: pytest.MonkeyPatch, width: int, unicode: bool
) -> None:
    rows = [
        OpRow("batch_norm_relu_conv2d", "right", 6, 5, 3178, 2, 0.01),
        OpRow("gelu", "wrong", 3, 4, 30, 2, float("inf"), "a case\ngradcheck: WRONG"),
        OpRow("new", "unchecked", why="no cases; add some"),
    ]
    monkeypatch.setattr("minires.cli.check_ops.check_ops", lambda names, order: iter(rows))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    if not unicode:
        monkeypatch.setattr("rich.console.Console.encoding", "ascii")
    code, out, _ = check("ops")
    out = re.sub(r"\x1b\[[0-9;]*m", "", out)

    assert code == 1
    assert "batch_norm_relu_conv2d" in out
    assert "gelu: wrong; a case\ngradcheck: WRONG" in out
    assert "new: unchecked; no cases; add some" in out
    assert "2 ops in 9 cases, 3,208 entries compared: 2 not right" in out
    table = out.split("\n\n")[0]
    assert max(map(len, table.splitlines())) <= width
    assert json.loads(check("ops", "--json")[1])["ops"][1]["margin"] is None


def test_the_bar_grows_with_each_power_of_ten() -> None:
    bars = [margin_bar(margin, unicode=False) for margin in (0.0, 1e-12, 1e-4, 0.9, 3.0)]

    assert bars == [
        "........ 0",
        "........ 1e-12",
        "####.... 1e-04",
        "######## 9e-01",
        "######## 3e+00",
    ]


def test_the_help_shows_examples(check: Any) -> None:
    code, out, _ = check("--help")

    assert code == 0
    for told in ("minires check ops conv2d batch_norm", "--shape", "--vjp", "--samples"):
        assert told in out
