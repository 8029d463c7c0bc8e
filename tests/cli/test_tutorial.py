"""`minires tutorial` and `minires docs`."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from minires.tutorials import all_tutorials, catalogue

TUTORIALS = all_tutorials()


def test_the_list_names_number_minutes_title_and_file(minires: Any) -> None:
    done = minires("tutorial")

    assert done.returncode == 0
    first = next(line for line in done.stdout.splitlines() if line.startswith("1 "))
    assert "A value, its gradient, and the tape" in first
    assert first.split()[-1].endswith("01_tape.py")
    assert len(done.stdout.splitlines()) == len(TUTORIALS) + 2
    assert "\x1b" not in done.stdout


def test_the_list_as_json(minires: Any) -> None:
    told = json.loads(minires("tutorial", "--json").stdout)

    assert [row["number"] for row in told["tutorials"]] == [each.number for each in TUTORIALS]
    assert all(Path(row["path"]).is_file() for row in told["tutorials"])


def test_an_unknown_number_is_wrong_usage(minires: Any) -> None:
    done = minires("tutorial", "99")

    assert done.returncode == 2
    assert f"there is no tutorial 99; there are 1 to {len(TUTORIALS)}" in done.stderr


def test_json_goes_with_the_list_alone(minires: Any) -> None:
    assert minires("tutorial", "1", "--json").returncode == 2


def test_without_the_source_it_says_what_to_do(minires: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(catalogue, "__file__", "/elsewhere/minires/tutorials/catalogue.py")
    catalogue.all_tutorials.cache_clear()
    for command in (["tutorial"], ["docs"]):
        done = minires(*command)
        assert done.returncode == 1
        assert "get minires' source" in done.stderr
    monkeypatch.undo()
    catalogue.all_tutorials.cache_clear()


def without(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == library else found(name)
    )


def test_a_folder_of_other_things_is_not_made_a_site(minires: Any) -> None:
    pytest.importorskip("myst_nb", reason="needs the extra docs")
    Path("mine").mkdir()
    Path("mine/conv.py").touch()

    done = minires("docs", "--no-serve", "--out", "mine")

    assert done.returncode == 2
    assert "has other things in it" in done.stderr
    assert [path.name for path in Path("mine").iterdir()] == ["conv.py"]


def test_a_port_in_use_is_told_before_anything_is_built(minires: Any) -> None:
    pytest.importorskip("myst_nb", reason="needs the extra docs")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = minires("docs", "--port", str(taken.getsockname()[1]), "--out", "site")

    assert done.returncode == 1
    assert "cannot be used" in done.stderr
    assert not Path("site").exists()


def test_the_site_without_sphinx_names_the_extra(minires: Any, monkeypatch: Any) -> None:
    without(monkeypatch, "sphinx")

    done = minires("docs", "--no-serve")

    assert done.returncode == 1
    assert "pip install -e '.[docs]'" in done.stderr


class TestWithJupytext:
    @pytest.fixture(autouse=True)
    def jupytext(self) -> None:
        pytest.importorskip("jupytext", reason="needs the extra tutorials")

    def test_a_notebook_is_written_with_folded_solutions(self, minires: Any) -> None:
        done = minires("tutorial", "1", "--folder", "mine", "--no-open")

        assert done.returncode == 0
        notebook = json.loads(Path("mine/01_tape.ipynb").read_text(encoding="utf-8"))
        solutions = [c for c in notebook["cells"] if "solution" in c["metadata"].get("tags", [])]
        assert solutions
        assert all(c["metadata"]["jupyter"]["source_hidden"] for c in solutions)
        assert all(c["source"][0] == "# A solution\n" for c in solutions)
        assert all(not c.get("outputs") for c in notebook["cells"])

    def test_what_a_notebook_links_to_is_a_notebook_beside_it(self, minires: Any) -> None:
        minires("tutorial", "10", "--folder", "mine", "--no-open")

        text = Path("mine/10_step_through.ipynb").read_text(encoding="utf-8")
        links = re.findall(r"\]\(((?!http)[^)#\s]+)", text)
        assert len(links) > 3
        assert [link for link in links if "/" in link or not (Path("mine") / link).exists()] == []
        assert "gallery (`docs/gallery.md` of minires)" in text

    def test_answers_in_a_notebook_are_not_overwritten(self, minires: Any) -> None:
        minires("tutorial", "1", "--folder", "mine", "--no-open")
        Path("mine/01_tape.ipynb").write_text("my answers")

        done = minires("tutorial", "1", "--folder", "mine", "--no-open")

        assert (done.returncode, Path("mine/01_tape.ipynb").read_text()) == (0, "my answers")
        assert "stays as it is" in done.stderr

    def test_without_jupyterlab_it_says_how_else(self, minires: Any, monkeypatch: Any) -> None:
        without(monkeypatch, "jupyterlab")

        done = minires("tutorial", "1", "--folder", "mine")

        assert done.returncode == 1
        assert "pip install" in done.stderr
        assert "01_tape.py" in done.stderr
        assert Path("mine/01_tape.ipynb").is_file()


def test_a_tutorial_without_jupytext_names_the_extra(minires: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "jupytext", None)

    done = minires("tutorial", "1", "--no-open")

    assert done.returncode == 1
    assert "minires[tutorials]" in done.stderr
    assert not Path("minires-tutorials").exists()


@pytest.mark.long
@pytest.mark.timeout(400)
def test_the_site_is_built_and_served_until_ctrl_c(tmp_path: Path) -> None:
    pytest.importorskip("myst_nb", reason="needs the extra docs")
    command = [sys.executable, "-m", "minires", "docs", "--out", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        address = served.stdout.readline().split()[0]
        with urllib.request.urlopen(f"{address}tutorials/01_tape.html") as page:
            text = page.read().decode()
        served.send_signal(signal.SIGINT)
        code = served.wait(20)

    assert "A value, its gradient, and the tape" in text
    assert code == 0
