"""The parent's side of the conversation: children that wait, and rounds that ask each in turn.

A child first says its version. Then it makes one training step for every line "step", and answers
with a line of JSON: wall and CPU seconds, the loss, and its peak of memory. `steps/child.py` is
the other side.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any


class ChildError(RuntimeError):
    """A child ended, or said something that is no answer."""


@dataclass
class Contender:
    """Who runs, how, and how often.

    Parameters
    ----------
    name : str
    command : sequence of str
    variables : dict
        Environment variables beside those of this process; its Python's own are not passed on.
    warm_up : int
        Steps before the first timed one.
    at_most : int, optional
        Timed steps at most, for whom every round would take too long.
    """

    name: str
    command: Sequence[str]
    variables: dict[str, str] = field(default_factory=dict)
    warm_up: int = 1
    at_most: int | None = None

    def takes_part(self, turn: int, rounds: int) -> bool:
        """Tell whether round `turn` of `rounds` is one of its, which are spread over them all."""
        times = min(rounds, self.at_most or rounds)
        return (turn + 1) * times // rounds > turn * times // rounds


class Child:
    """A process that makes a training step whenever it is asked to.

    Raises
    ------
    ChildError
        If it ends before it has said its version.
    """

    def __init__(self, contender: Contender) -> None:
        self.name = contender.name
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        # A file, because a pipe that nobody reads fills up and stops the child.
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                contender.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=inherited | contender.variables,
                text=True,
            )
        except OSError:
            self._errors.close()
            raise
        self.steps: list[dict[str, Any]] = []
        try:
            self.facts = self._answer()
        except BaseException:
            self.close()
            raise

    def step(self) -> dict[str, Any]:
        """Ask for a step; return, and keep, its answer.

        Raises
        ------
        ChildError
            If none comes.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("step\n")
            self._process.stdin.flush()
        except OSError:
            pass  # it has ended; what it said last tells more than the broken pipe
        self.steps.append(self._answer())
        return self.steps[-1]

    def close(self) -> None:
        """End the process, gently if it listens."""
        try:
            self._process.communicate(timeout=5)  # closes its input, at whose end it ends
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
        except OSError:
            self._process.wait()
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().strip().splitlines() or ["nothing"]
            raise ChildError(f"ended with status {status}, saying: {said[-1].strip()}")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ChildError(f"said {line!r}, which is no answer in JSON")
        return answer


def converse(
    contenders: Sequence[Contender],
    rounds: int,
    progress: Callable[[str], object] = lambda line: None,
) -> tuple[dict[str, Child], dict[str, str]]:
    """Start all, warm them up, and time a step of each in every round that it takes part in.

    So all share the machine's moods. A timed step follows on another one, as in training. The first
    contender takes part in every round, as the one that the others are compared with.

    Parameters
    ----------
    contenders : sequence of Contender
    rounds : int
    progress : callable
        Called with a line about every step.

    Returns
    -------
    children : dict of Child
        Those that answered to the end, with their facts and steps; their processes have ended.
        A timed step's answer has ``round``, its round.
    reasons : dict of str
        Why the others did not.

    Raises
    ------
    ChildError
        If the first contender fails.
    """
    children: dict[str, Child] = {}
    reasons: dict[str, str] = {}

    with ExitStack() as stack:

        def start(contender: Contender) -> None:
            children[contender.name] = child = Child(contender)
            stack.callback(child.close)
            for turn in range(contender.warm_up):
                seconds = child.step()["wall"]
                progress(f"{child.name}: warm-up step {turn + 1}, {seconds:.2f} s")

        def step(contender: Contender, turn: int) -> None:
            # Not timed: what the others' turns drove out of the caches, a step in training finds.
            children[contender.name].step()
            answer = children[contender.name].step()
            answer["round"] = turn
            progress(f"{contender.name}: round {turn + 1} of {rounds}, {answer['wall']:.2f} s")

        def attempt(act: Callable[..., None], contender: Contender, *turn: int) -> None:
            try:
                act(contender, *turn)
            except (ChildError, OSError) as error:
                if contender is contenders[0]:
                    raise ChildError(f"{contender.name} {error}") from error
                children.pop(contender.name, None)
                reasons[contender.name] = str(error)
                progress(f"{contender.name}: {error}")

        for contender in contenders:
            attempt(start, contender)
        for turn in range(rounds):
            for contender in contenders:
                if contender.name in children and contender.takes_part(turn, rounds):
                    attempt(step, contender, turn)
    return children, reasons
