"""Holds one student's process: a program of its own, of Python's standard library alone.

It reads an order from standard input, which `runner` writes; makes a place for the process, with
nothing in it but Python, NumPy, the student's files and what is asked; starts `child` there as
somebody who may do nothing; ends it, with all that it started, when it is done or its time is up;
takes out the answer, unread; and writes what it saw to standard output.

With namespaces the process is the first of its own table of processes, and the kernel ends the
others with it. Its root is a folder that only this program and it can see. It has no network, and
no /proc. chroot is enough to keep it there: it holds no open folder of outside, has no capability,
and the kernel lets nobody whose root was changed make a user namespace to get one.
"""

# It starts for every check, and pathlib would take as long to import as all the rest.
# ruff: noqa: PTH101, PTH102, PTH103, PTH112, PTH118, PTH120, PTH123, PTH208, PTH211
from __future__ import annotations

import ctypes
import json
import math
import os
import resource
import select
import signal
import stat
import sys
import time
from collections.abc import Iterator
from typing import Any

BEGUN = time.monotonic()
MOST_PROCESSES = 4
MOST_MEMORY = 2**30
MOST_FILES = 64
MOST_WRITTEN = 64 * 2**20
MOST_SUBMITTED = 16 * 2**20
MOST_SUBMITTED_FILES = 1000
MOST_FACTS = 20
# Nobody's, as a rule; each process has another, for what one user may start is counted.
USERS = range(61184, 65280)
# Of what namespaces are not to be shared (sched.h), and how a mount is to be (mount.h).
NEW_MOUNTS, NEW_UTS, NEW_IPC, NEW_PIDS, NEW_NET = 0x20000, 0x4000000, 0x8000000, 0x20000000, 1 << 30
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXEC, REMOUNT, BIND = 1, 2, 4, 8, 32, 4096
RECURSIVE, PRIVATE = 1 << 14, 1 << 18
# prctl.h
DIE_WITH_PARENT, DROP_FROM_BOUND, NO_NEW_PRIVILEGES, ADOPT = 1, 24, 38, 36

# os.unshare is younger than Python 3.11, and for mounts Python has nothing.
_libc = ctypes.CDLL(None, use_errno=True)
Order = dict[str, Any]


def main() -> None:
    """Do what standard input orders."""
    order = json.load(sys.stdin)
    signal.signal(signal.SIGTERM, _ended)
    _prctl(DIE_WITH_PARENT, signal.SIGTERM)
    try:
        report = _held(order)
    except OSError as error:
        report = {"how": "broken", "says": str(error)}
    sys.stdout.write(json.dumps(report))


def _held(order: Order) -> dict[str, Any]:
    """Run the process; return how it ended, and what has to be told of it."""
    root, namespaces = os.path.join(order["place"], "root"), order["namespaces"]
    user = USERS[os.getpid() % len(USERS)] if order["another_user"] else None
    os.makedirs(root, exist_ok=True)
    if namespaces:
        _call("unshare", NEW_MOUNTS | NEW_UTS | NEW_IPC | NEW_PIDS | NEW_NET)
        _call("mount", b"none", b"/", None, RECURSIVE | PRIVATE, None)
        incidents = _furnish_apart(order, root, user)
    else:
        _prctl(ADOPT, 1)
        incidents = _furnish(order, root, user)
    pid = _started(order, root, user)
    try:
        how = _waited(pid, BEGUN + order["seconds"])
    finally:
        left = _end(pid, user, namespaces)
    if left:
        incidents.append(f"left processes behind, which were ended: {left}")
    answered, fact = _take_answer(root, os.path.join(order["place"], "answer.npz"))
    return how | {"answered": answered, "incidents": incidents + ([fact] if fact else [])}


def _furnish_apart(order: Order, root: str, user: int | None) -> list[str]:
    """Make a root that nobody else sees, of which only /scratch can be written to."""
    _tmpfs(root, NO_SUID, f"mode=755,size={2 * MOST_SUBMITTED},nr_inodes=8k")
    for path in order["shown"]:
        _show(path, root + path)
    for path in order["covered"]:
        _tmpfs(root + path, READ_ONLY, "mode=755,size=4k")
    for name, path in order["packages"].items():
        _show(path, f"{root}/packages/{name}")
    _show("/dev/null", f"{root}/dev/null", device=True)
    _show("/dev/urandom", f"{root}/dev/urandom", device=True)
    os.mkdir(f"{root}/scratch")
    incidents = _copied_in(order, root)
    _tmpfs(root, REMOUNT | READ_ONLY | NO_SUID, "")
    scratch = f"mode=700,uid={user},gid={user},size={MOST_WRITTEN},nr_inodes=1k"
    _tmpfs(f"{root}/scratch", NO_SUID | NO_DEVICES | NO_EXEC, scratch)
    return incidents


def _furnish(order: Order, root: str, user: int | None) -> list[str]:
    """Make a folder that looks like that root, as far as that goes without rights."""
    os.chmod(order["place"], 0o711)
    os.makedirs(f"{root}/packages")
    for name, path in order["packages"].items():
        os.symlink(path, f"{root}/packages/{name}")
    os.mkdir(f"{root}/scratch", 0o700)
    if user is not None:
        os.chown(f"{root}/scratch", user, user)
    return _copied_in(order, root)


def _copied_in(order: Order, root: str) -> list[str]:
    """Copy what is asked and the student's files, of which only plain ones count."""
    _copy(order["child"], f"{root}/child.py")
    _copy(os.path.join(order["place"], "job.npz"), f"{root}/job.npz")
    facts: list[str] = []
    size = 0
    for count, (path, name) in enumerate(_files(order["student"], order["place"], facts)):
        size += os.lstat(path).st_size
        if size > MOST_SUBMITTED or count >= MOST_SUBMITTED_FILES:
            facts.append("submits more than there is room for; the rest was left out")
            break
        os.makedirs(os.path.dirname(f"{root}/student/{name}"), exist_ok=True)
        _copy(path, f"{root}/student/{name}")
    return facts


def _files(folder: str, place: str, facts: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the plain files of a folder and their names in it, nearest first; none of `place`."""
    folders = [""]
    for inner in folders:
        for entry in sorted(os.scandir(os.path.join(folder, inner)), key=lambda each: each.name):
            name = os.path.join(inner, entry.name)
            if entry.is_dir(follow_symlinks=False):
                fits = len(folders) < MOST_SUBMITTED_FILES and len(name) < 1000
                if fits and entry.path != place:
                    folders.append(name)
            elif entry.is_file(follow_symlinks=False):
                yield entry.path, name
            elif len(facts) < MOST_FACTS:
                facts.append(f"submits {name}, which is no plain file; it was left out")


def _started(order: Order, root: str, user: int | None) -> int:
    """Start the process, and return once it has become the student's."""
    trouble, told = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _become(order, root, user)
        except BaseException as error:
            os.write(told, repr(error).encode())
        finally:
            os._exit(1)
    os.close(told)
    with os.fdopen(trouble, "rb") as pipe:
        if says := pipe.read().decode():
            os.waitpid(pid, 0)
            raise OSError(f"a process for the student's code cannot be started: {says}")
    return pid


def _become(order: Order, root: str, user: int | None) -> None:
    """Become the student's process; of no return."""
    nothing = os.open("/dev/null", os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(nothing, handle)
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    os.setsid()
    os.umask(0o077)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # As many beside those that there are, where somebody's own are counted with them.
    _limit(order["seconds"], MOST_PROCESSES + (0 if user is not None else _tasks(os.getuid())))
    if order["namespaces"]:
        os.chroot(root)
        root = ""
    os.chdir(f"{root}/scratch")
    if user is not None:
        # What the bound has no longer, no program can give back, whoever owns it.
        for capability in range(64):
            _libc.prctl(DROP_FROM_BOUND, capability, 0, 0, 0)
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    _prctl(NO_NEW_PRIVILEGES, 1)
    _prctl(DIE_WITH_PARENT, signal.SIGKILL)
    environment = {
        "LD_LIBRARY_PATH": ":".join(order["libraries"]),
        "PYTHONPATH": f"{root}/packages",
        "PYTHONHASHSEED": "0",
        **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")},
    }
    command = [order["python"], "-P", "-s", "-S", "-B", f"{root}/child.py"]
    os.execve(command[0], [*command, f"{root}/job.npz", f"{root}/scratch/out.npz"], environment)


def _limit(seconds: float, processes: int) -> None:
    whole = math.ceil(seconds) + 1
    for kind, most in (
        (resource.RLIMIT_CPU, whole),
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_FSIZE, MOST_WRITTEN),
        (resource.RLIMIT_NOFILE, MOST_FILES),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _tasks(user: int) -> int:
    """Return how many threads a user has."""
    count = 0
    for entry in os.scandir("/proc"):
        try:
            if entry.name.isdecimal() and entry.stat().st_uid == user:
                count += len(os.listdir(f"/proc/{entry.name}/task"))
        except OSError:
            continue  # it ended meanwhile
    return count


def _waited(pid: int, deadline: float) -> dict[str, Any]:
    """Wait for a process, until the deadline."""
    poll = select.poll()
    poll.register(os.pidfd_open(pid), select.POLLIN)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        return {"how": "time"}
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    how = "exit" if ended.si_code == os.CLD_EXITED else "signal"
    return {"how": how, "code": ended.si_status}


def _end(pid: int, user: int | None, namespaces: bool) -> int:
    """End a process and all that it started; return how many of these one could see."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    if namespaces:
        return 0  # and the kernel has ended all before it let go of the first
    left: set[int] = set()
    until = time.monotonic() + 2
    while time.monotonic() < until:
        # What lost its parents is a child of this program.
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            orphans = {int(each) for each in file.read().split()}
        left |= orphans
        for orphan in orphans:
            os.kill(orphan, signal.SIGKILL)
        if user is not None:
            _end_all_of(user)
        try:
            while os.waitpid(-1, 0 if orphans else os.WNOHANG)[0]:
                orphans = set()
        except ChildProcessError:
            break
    return len(left)


def _end_all_of(user: int) -> None:
    """End every process of a user at once, which none outruns by starting others."""
    pid = os.fork()
    if pid == 0:
        os.setresuid(user, user, user)
        os.kill(-1, signal.SIGKILL)
        os._exit(0)
    os.waitpid(pid, 0)


def _take_answer(root: str, target: str) -> tuple[bool, str]:
    """Copy the answer out, if it is a plain file; return whether, and what it is if not."""
    try:
        folder = os.open(f"{root}/scratch", os.O_DIRECTORY | os.O_NOFOLLOW)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        source = os.open("out.npz", flags, dir_fd=folder)
    except FileNotFoundError:
        return False, ""
    except OSError:
        return False, "its answer is no plain file"
    found = os.fstat(source)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        return False, "its answer is no plain file"
    with os.fdopen(source, "rb") as file, open(target, "xb") as copy:
        copy.write(file.read(MOST_WRITTEN + 1))
    return True, ""


def _copy(path: str, target: str) -> None:
    source = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(source, "rb") as file, open(target, "xb") as copy:
        copy.write(file.read())


def _show(path: str, target: str, *, device: bool = False) -> None:
    """Let a file or folder be seen, and not written to, at another path."""
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "a"):
            pass
    _call("mount", os.fsencode(path), os.fsencode(target), None, BIND, None)
    flags = BIND | REMOUNT | READ_ONLY | NO_SUID | (0 if device else NO_DEVICES)
    _call("mount", None, os.fsencode(target), None, flags, None)


def _tmpfs(path: str, flags: int, options: str) -> None:
    _call("mount", b"tmpfs", os.fsencode(path), b"tmpfs", flags, options.encode())


def _prctl(option: int, value: int) -> None:
    _call("prctl", option, value, 0, 0, 0)


def _call(name: str, *arguments: Any) -> None:
    """Call a function of the C library, which returns 0 if it did what it should."""
    converted = [ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments]
    if name == "unshare" or name == "prctl":
        converted[0] = ctypes.c_int(arguments[0])
    if getattr(_libc, name)(*converted):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}{arguments}: {os.strerror(number)}")


def _ended(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
