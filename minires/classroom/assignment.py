"""An assignment: what students write, how it is checked, and which mistakes are known.

It is a folder: ``assignment.toml`` (functions, checks, points, hints), ``source/`` (the solved
files with markers), ``cases.py`` (what the functions are called with), ``mistakes.toml`` (edits of
the solution that make it wrong) and ``handout.md``. Where several results of a function are right,
``views.py`` has a function ``view_`` and its name, which returns of a result what is compared;
``traces.py`` has ``trace_`` and its name for those of whose gradients the steps are told. Where
something is to be read off and written down, too, there is ``readings.py``: see
`minires.classroom.readings`.
"""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .readings import solved_answers, unanswered
from .source import Source

__all__ = [
    "Assignment",
    "AssignmentError",
    "Check",
    "Edit",
    "Function",
    "Mistake",
    "Settings",
    "Sheet",
]


Kind = TypeVar("Kind", bound=BaseModel)
# What is to be read, and what it comes to by known mistakes.
Record = tuple[dict[str, float], dict[str, dict[str, float]]]


class AssignmentError(ValueError):
    """A folder that is no assignment, or one that contradicts itself."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Function(_Table):
    """A function that students write.

    Attributes
    ----------
    name : str
    outputs : tuple of str
        Names of what it returns, in order.
    intermediates : tuple of str
        Of leaves that it may return beside that, in the order in which they are computed.
    file : str
        That it is written in; if empty, that of the assignment.
    broken : str
        The mistake that it is given out with, to be found; if empty, it is given out unwritten.
    """

    name: str
    outputs: Annotated[tuple[str, ...], Field(min_length=1)]
    intermediates: tuple[str, ...] = ()
    file: str = ""
    broken: str = ""


class Answers(_Table):
    """What students choose, before they read off numbers: see `minires.classroom.readings`.

    Attributes
    ----------
    file : str
    largest_seed : int
    choices : dict of str to tuple of int
        For each key of the configuration, what it may be.
    """

    file: Annotated[str, Field(pattern=r"^\w[\w-]*\.toml$")] = "answers.toml"
    largest_seed: Annotated[int, Field(ge=0, le=2**31)]
    choices: dict[str, tuple[int, ...]] = {}


class Check(_Table):
    """What is looked at, of one function or one answer, for some points.

    Attributes
    ----------
    name : str
        Also that of the function in ``cases.py`` which makes its calls, or of the answer.
    kind : {"calls", "reading", "written"}
        Whether a function is called, a number was read, or a text is to be read by a human.
    function : str
        That is called; else empty.
    title : str
        What is claimed, for the student.
    points : int
    needs : tuple of str
        Checks without which this one says nothing.
    hidden : bool
        Whether it is made at grading alone.
    seconds : float
        After which it is given up.
    raises : str or None
        The kind of error that each of its calls must end in, such as ``ValueError``.
    most_calls : int or None
        How many functions a call may call: the student's own, and others from there.
    lets_go : bool
        Whether a call may hold on to nothing when what it returned is let go.
    rtol, atol : float
        How far a reading may be from what is recorded: by this share of it, and by this beside.
    hints : tuple of three str
        From a question to all but the answer.
    """

    name: str
    kind: Literal["calls", "reading", "written"] = "calls"
    function: str = ""
    title: str
    points: Annotated[int, Field(ge=0)]
    needs: tuple[str, ...] = ()
    hidden: bool = False
    seconds: Annotated[float, Field(gt=0)] = 5.0
    raises: str | None = None
    most_calls: Annotated[int, Field(gt=0)] | None = None
    lets_go: bool = False
    rtol: Annotated[float, Field(ge=0)] = 0.01
    atol: Annotated[float, Field(ge=0)] = 0.0
    hints: Annotated[tuple[str, ...], Field(min_length=3, max_length=3)]

    @property
    def measure(self) -> dict[str, Any]:
        """What is measured beside values; see `child`."""
        measure: dict[str, Any] = {} if self.most_calls is None else {"calls": self.most_calls}
        return measure | ({"memory": True} if self.lets_go else {})


class Edit(_Table):
    """Text of the solution, which stands there once, and what is put in its place."""

    find: Annotated[str, Field(min_length=1)]
    replace: str


class Mistake(_Table):
    """A mistake that is known: the solution with some edits.

    Attributes
    ----------
    id : str
    function : str
        In which it is made; empty if it is made in reading.
    caught_by : str
        The check that must see it.
    says : str
        What a student is told.
    hint : str
        What to ask oneself first; if empty, the first hint of the check that must see it.
    edits : tuple of Edit
    """

    id: str
    function: str = ""
    caught_by: str
    says: str
    hint: str = ""
    edits: Annotated[tuple[Edit, ...], Field(min_length=1)]


class Settings(_Table):
    """What ``assignment.toml`` says.

    Attributes
    ----------
    name : str
        That of the folder, if it is empty.
    title : str
    minutes : int
        That it is expected to take.
    file : str
        That of all functions which name none.
    seed : int
        Of the numbers that students see.
    answers : Answers or None
        If there is something to be read off and written down, beside the functions.
    functions : tuple of Function
    checks : tuple of Check
    hidden_points : int
        Of the hidden checks, which students' folders do not have; written where those are made.
    """

    name: str = ""
    title: str
    minutes: Annotated[int, Field(gt=0)]
    file: str = ""
    seed: int
    answers: Answers | None = None
    functions: Annotated[tuple[Function, ...], Field(min_length=1)]
    checks: Annotated[tuple[Check, ...], Field(min_length=1)]
    hidden_points: Annotated[int, Field(ge=0)] = 0


class _Mistakes(_Table):
    mistakes: tuple[Mistake, ...]


class Sheet:
    """What students know of an assignment, too: functions, checks, points and hints.

    Parameters
    ----------
    folder : Path
        With ``assignment.toml`` or, as students have it, ``assignment.json``.

    Raises
    ------
    AssignmentError
        If something is missing, misspelled, or names what is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "assignment.json"
        self.settings = _read(path if path.exists() else path.with_suffix(".toml"), Settings)
        self.functions = {each.name: each for each in self.settings.functions}
        self.checks = {each.name: each for each in self.settings.checks}
        self._records: dict[Any, Record] = {}
        self._refuse_contradictions()

    def __repr__(self) -> str:
        kind, count = type(self).__name__, len(self.checks)
        return f"{kind}({self.name!r}, {count} checks, {self.points} points)"

    @property
    def name(self) -> str:
        """Name of the assignment."""
        return self.settings.name or self.folder.name

    @property
    def points(self) -> int:
        """The most that can be had."""
        return sum(check.points for check in self.settings.checks)

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files that students write in."""
        answers = [""] if self.settings.answers else []
        return tuple(dict.fromkeys(map(self.file_of, [*self.functions, *answers])))

    def file_of(self, function: str) -> str:
        """Return the name of the file that a function is written in; of none, that of answers."""
        if not function and self.settings.answers:
            return self.settings.answers.file
        return self.functions[function].file or self.settings.file

    @property
    def choices(self) -> dict[str, tuple[int, ...]]:
        """What the configuration of the answers may be, by its keys."""
        return self.settings.answers.choices if self.settings.answers else {}

    def recorded(self, seed: int, configuration: Mapping[str, int]) -> Record:
        """Record anew what a student has recorded.

        Returns
        -------
        record : dict of str to float
            What is to be read, by the names of the checks.
        mistaken : dict of str to dict
            What it comes to with a known mistake, by its id.
        """
        key = (seed, *sorted(configuration.items()))
        if key not in self._records:
            readings = self._readings
            try:
                record = readings.record(seed, dict(configuration))
            except Exception as error:
                raise AssignmentError(
                    f"{self.name}/readings.py: record({seed}, {dict(configuration)}) ends in"
                    f" {type(error).__name__}: {error}"
                ) from error
            self._records[key] = record, readings.mistaken(record)
        return self._records[key]

    @cached_property
    def _readings(self) -> Any:
        return executed(_text(self.folder / "readings.py"), f"{self.name}_readings")

    def view(self, function: str, arguments: Sequence[Any], result: Any) -> Any:
        """Return of a result what is compared, where several are right."""
        view = getattr(self._views, f"view_{function}", None)
        return result if view is None else view(arguments, result)

    @cached_property
    def _views(self) -> Any:
        path = self.folder / "views.py"
        return executed(_text(path), f"{self.name}_views") if path.exists() else None

    def _refuse_contradictions(self) -> None:
        where = f"{self.name}/assignment.toml"
        for name in self.functions:
            if not re.fullmatch(r"\w[\w-]*\.py", file := self.file_of(name)):
                raise AssignmentError(
                    f"{where}: {name} is written in {file!r}, which should be the name of a file,"
                    " such as 'conv.py'; say so at the top, file = ..., or at the function"
                )
        seen: set[str] = set()
        for check in self.settings.checks:
            if check.name in seen:
                raise AssignmentError(f"{where}: the check {check.name!r} stands there twice")
            if check.kind != "calls":
                if check.function or check.hidden or not self.settings.answers:
                    raise AssignmentError(
                        f"{where}: the check {check.name!r} is a {check.kind} answer: it needs"
                        " [answers], has no function, and cannot be hidden"
                    )
            elif check.function not in self.functions:
                raise AssignmentError(
                    f"{where}: the check {check.name!r} is of {check.function!r}, which is no"
                    f" function of it; there are {', '.join(self.functions)}"
                )
            for need in check.needs:
                if need not in seen:
                    raise AssignmentError(
                        f"{where}: the check {check.name!r} needs {need!r}, which does not stand"
                        " before it"
                    )
                if self.checks[need].hidden and not check.hidden:
                    raise AssignmentError(
                        f"{where}: the check {check.name!r} needs {need!r}, which students do not"
                        " have, for it is hidden; hide both, or neither"
                    )
            seen.add(check.name)


class Assignment(Sheet):
    """An assignment's folder, as the instructor has it.

    Parameters
    ----------
    folder : Path
    """

    @cached_property
    def sources(self) -> dict[str, Source]:
        """The solved files by their names, which only the instructor has."""
        return {
            name: Source(_text(self.folder / "source" / name), f"{self.name}/source/{name}")
            for name in dict.fromkeys(map(self.file_of, self.functions))
        }

    @cached_property
    def _answers(self) -> dict[str, str]:
        """The solved answers with their markers, by the name of their file."""
        if not self.settings.answers:
            return {}
        name = self.file_of("")
        return {name: _text(self.folder / "source" / name)}

    @cached_property
    def solution(self) -> dict[str, str]:
        """The texts of the solved files, by their names."""
        solved = {name: source.solution() for name, source in self.sources.items()}
        return solved | {name: solved_answers(text) for name, text in self._answers.items()}

    @cached_property
    def reference(self) -> Any:
        """What has all functions of the solution, to be called."""
        functions = SimpleNamespace()
        for name in self.sources:
            module = executed(self.solution[name], Path(name).stem)
            for each, value in vars(module).items():
                # Given ones, too, of which files may have several by one name.
                elsewhere = each in self.functions and self.file_of(each) != name
                if isinstance(value, FunctionType) and not elsewhere:
                    setattr(functions, each, value)
        return functions

    def starter(self) -> dict[str, str]:
        """Return the texts of the files that students get, by their names.

        Raises
        ------
        SourceError
            If one holds a part of a solution.
        AssignmentError
            If one is given out broken, and would tell what is to be left out as well.
        """
        broken = [self.mistakes[each.broken] for each in self.settings.functions if each.broken]
        files = {self.file_of(mistake.function) for mistake in broken}
        for name in files:
            whole = [f.name for f in self.settings.functions if not f.broken]
            whole = [each for each in whole if self.file_of(each) == name]
            if whole or any(block.kind == "HIDDEN" for block in self.sources[name].blocks):
                what = f"{whole[0]}, which is not," if whole else "something that is hidden"
                raise AssignmentError(
                    f"{self.name}/source/{name} has a function that is given out broken, and"
                    f" {what} and would be given out solved; put them into two files"
                )
        wrong = self.mistaken(*broken)
        starter = {
            name: wrong[name] if name in files else source.starter()
            for name, source in self.sources.items()
        }
        return starter | {
            name: unanswered(text, f"{self.name}/source/{name}")
            for name, text in self._answers.items()
        }

    @cached_property
    def mistakes(self) -> dict[str, Mistake]:
        """All known mistakes by their ids; each edits the solution."""
        found = _read(self.folder / "mistakes.toml", _Mistakes).mistakes
        by_id: dict[str, Mistake] = {}
        for mistake in found:
            where = f"{self.name}/mistakes.toml: {mistake.id}"
            if mistake.id in by_id:
                raise AssignmentError(f"{where}: stands there twice")
            if mistake.caught_by not in self.checks:
                raise AssignmentError(f"{where}: there is no check {mistake.caught_by!r}")
            if mistake.function not in self.functions and (
                mistake.function or self.checks[mistake.caught_by].kind != "reading"
            ):
                raise AssignmentError(f"{where}: there is no function {mistake.function!r}")
            by_id[mistake.id] = mistake
            self._refuse_no_python(mistake)
        for function in self.settings.functions:
            if function.broken and function.broken not in by_id:
                raise AssignmentError(
                    f"{self.name}/assignment.toml: {function.name} is broken by"
                    f" {function.broken!r}, which is no known mistake"
                )
        return by_id

    def _refuse_no_python(self, mistake: Mistake) -> None:
        """Raise if nobody could make a mistake: any check would see what cannot be read."""
        for file, text in self.mistaken(mistake).items():
            try:
                ast.parse(text if file in self.sources else "")
            except SyntaxError as error:
                raise AssignmentError(
                    f"{self.name}/mistakes.toml: {mistake.id}: with its edits {file} is no Python:"
                    f" {error.msg} in line {error.lineno}"
                ) from None

    def mistaken(self, *mistakes: Mistake) -> dict[str, str]:
        """Return the texts of the solved files with mistakes in them."""
        texts = dict(self.solution)
        for mistake in mistakes:
            file = self.file_of(mistake.function)
            for edit in mistake.edits:
                if (count := texts[file].count(edit.find)) != 1:
                    raise AssignmentError(
                        f"{self.name}/mistakes.toml: {mistake.id}: {edit.find!r} stands"
                        f" {count} times in the solution; an edit needs text that stands there once"
                    )
                texts[file] = texts[file].replace(edit.find, edit.replace)
        return texts

    def variants(self, kind: str) -> dict[str, dict[str, str]]:
        """Return what else is known to be handed in, by its name: the texts of all files.

        Parameters
        ----------
        kind : str
            A folder: ``right``, other solutions; ``second``, mistakes in another style, whose names
            begin with their id; ``two``, files with two mistakes, likewise. Each is a file, or
            where there are several a folder of some; the rest is as in the solution.
        """
        found = {}
        for path in sorted((self.folder / kind).glob("[!_.]*")):
            if path.is_dir():
                names = [each for each in self.files if (path / each).is_file()]
                texts = {each: _text(path / each) for each in names}
            else:
                texts = {self._stands_for(path): _text(path)}
            found[path.stem] = self.solution | texts
        return found

    def _stands_for(self, path: Path) -> str:
        if len(self.files) == 1:
            return self.files[0]
        id = path.stem.split("_")[0]
        if id not in self.mistakes:
            raise AssignmentError(
                f"{self.name}/{path.parent.name}/{path.name} does not say which of"
                f" {len(self.files)} files it is: put it into a folder, under the name of that one"
            )
        return self.file_of(self.mistakes[id].function)

    def calls(self, check: str, rng: Any, reference: Any) -> Sequence[tuple[Any, ...]]:
        """Return what a check calls its function with."""
        if not hasattr(self._cases, check):
            raise AssignmentError(f"{self.name}/cases.py has no function {check!r}")
        try:
            calls = list(getattr(self._cases, check)(rng, reference))
        except Exception as error:
            where = f"{self.name}/cases.py: {check}"
            raise AssignmentError(
                f"{where} should yield the arguments of each call, and ends in"
                f" {type(error).__name__}: {error}"
            ) from error
        for each in calls:
            if not isinstance(each, tuple):
                raise AssignmentError(
                    f"{self.name}/cases.py: {check} should yield tuples of arguments, as (x,); it"
                    f" yields a {type(each).__name__}"
                )
        return calls

    def trace(self, function: str, arguments: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        """Return the steps of a call, if ``traces.py`` tells any of its function."""
        trace = getattr(self._traces, f"trace_{function}", None)
        return list(trace(self.reference, *arguments)) if trace else []

    @cached_property
    def _traces(self) -> Any:
        path = self.folder / "traces.py"
        return executed(_text(path), f"{self.name}_traces") if path.exists() else None

    @cached_property
    def _cases(self) -> Any:
        try:
            return executed(_text(self.folder / "cases.py"), f"{self.name}_cases")
        except (SyntaxError, NameError, ImportError) as error:
            line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
            raise AssignmentError(f"{self.name}/cases.py{line}: {error}") from error


def executed(text: str, name: str) -> Any:
    """Return the module that a text of the instructor's is; never of a student's."""
    module = ModuleType(name)
    exec(compile(text, f"{name}.py", "exec"), module.__dict__)
    return module


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise AssignmentError(f"{path.parent.name}: there is no {path.name}") from None
    except UnicodeDecodeError as error:
        raise AssignmentError(f"{path.parent.name}/{path.name} is not in UTF-8: {error}") from None


def _read(path: Path, kind: type[Kind]) -> Kind:
    try:
        parse = json.loads if path.suffix == ".json" else tomllib.loads
        return kind.model_validate(parse(_text(path)))
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise AssignmentError(f"{path.parent.name}/{path.name} cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise AssignmentError(
            f"{path.parent.name}/{path.name}: {where}: {first['msg'].lower()}"
        ) from None
