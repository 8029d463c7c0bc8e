from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minires.devices.threads import available, get_num_threads
from minires.lab import workers
from minires.lab.workers import Job, _hired, _Worker, carry_out
from tests.lab import odd_experiments

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]


def test_jobs_are_carried_out_in_other_processes_and_failures_are_told() -> None:
    jobs = [
        Job("good", os.getpid, ()),
        Job("raises", odd_experiments.RAISES.happen, ("2", 1)),
        Job("dies", odd_experiments.DIES.happen, ("1", 0)),
        Job("exits", os._exit, (3,)),
        Job("good again", os.getpid, ()),
    ]

    found = {done.job.name: done for done in carry_out(jobs, 2)}

    assert sorted(found) == sorted(job.name for job in jobs)
    assert found["good"].value not in (None, os.getpid())
    assert found["good again"].failure == ""
    assert found["raises"].failure == "ArithmeticError: two and two is five"
    assert "Traceback" in found["raises"].details
    assert "SIGKILL" in found["dies"].failure
    assert "exit code 3" in found["exits"].failure


def test_a_process_is_used_again() -> None:
    pids = [done.value for done in carry_out([Job("pid", os.getpid, ())] * 4, 1)]

    assert len(set(pids)) == 1


def test_a_process_that_ended_before_it_had_something_to_do_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ended(share: int) -> _Worker:
        worker = _hired(share)
        worker.process.kill()
        worker.process.join()
        return worker

    monkeypatch.setattr(workers, "_hired", ended)
    (done,) = carry_out([Job("pid", os.getpid, ())], 1)
    assert "SIGKILL" in done.failure


def test_what_cannot_be_sent_back_is_told_with_its_reason() -> None:
    (done,) = carry_out([Job("lambda", odd_experiments.made, ())], 1)

    assert "what it returned cannot be sent" in done.failure


def test_few_jobs_have_all_processors() -> None:
    (done,) = carry_out([Job("threads", get_num_threads, ())], 64)

    assert done.value == available()
    assert list(carry_out([], 2)) == []


def test_a_ctrl_c_of_the_terminal_is_the_callers_alone(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\n"
        "from minires.lab.workers import Job, carry_out\n"
        "if __name__ == '__main__':\n"
        "    print('here', flush=True)\n"
        "    for done in carry_out([Job('long', time.sleep, (600,))] * 2, 2):\n"
        "        pass\n"
    )
    for delay in (0.0, 0.3, 1.5):  # while they start, or work
        caller = subprocess.Popen(
            [sys.executable, script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert caller.stdout is not None
        caller.stdout.readline()
        time.sleep(delay)
        os.killpg(caller.pid, signal.SIGINT)
        _, told = caller.communicate()
        assert told.count("Traceback") <= told.count("KeyboardInterrupt") == 1, told


def test_processes_end_when_the_caller_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time\n"
        "from minires.lab.workers import Job, carry_out\n"
        "if __name__ == '__main__':\n"
        "    jobs = [Job('pid', os.getpid, ()), Job('long', time.sleep, (600,))]\n"
        "    for done in carry_out(jobs, 1):\n"
        "        print(done.value, flush=True)\n"
    )
    caller = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    with caller.stdout as told:
        assert int(told.readline()) != caller.pid
        caller.kill()
        caller.wait()
        # The worker, too, has the other end: this waits for as long as it lives.
        assert told.read() == ""


def test_processes_end_with_those_who_look_on() -> None:
    jobs = [Job("pid", os.getpid, ()), Job("long", time.sleep, (600,))]
    looking = carry_out(jobs, 1)
    pid = next(looking).value

    looking.close()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
