"""Where cases run: one process that has imported everything, and forks one for each case.

So a case costs its own work and no start of Python, and one that ends in a segmentation fault, in
the kernel's killer or in no end at all is one failed case.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fnmatch
import hashlib
import io
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pandq.errors import PandqError
from tests.commands import exit_code, imported
from tests.hostile.case import REFUSED, Case, Given, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Of addresses, above what the nursery itself has: a request for terabytes fails in the process.
ADDRESSES = 8 << 30
# What a whole case may take: its files, its truth, and its run.
CASE_SECONDS = 200.0
# Of the clock, for each second of the processor: other processes have their share of it.
WALL = 3


def command(given: Given, here: Path) -> Outcome:
    """The command line (or `given.call`), in a process of its own, in the folder `here`."""
    return watched(given, here, lambda _: None)


def watched(given: Given, here: Path, meanwhile: Callable[[int], None]) -> Outcome:
    """The same, while `meanwhile(pid)` does something to it or its files."""
    before, started = contents(here), time.monotonic()
    pipes = [os.pipe() for _ in range(2)]
    pid = os.fork()
    if pid == 0:
        _become(given, here, [writes for _, writes in pipes])
    for _, writes in pipes:
        os.close(writes)
    threading.Thread(target=meanwhile, args=(pid,), daemon=True).start()
    out, err = _read(pid, [reads for reads, _ in pipes], started + WALL * given.seconds)
    _, status, usage = os.wait4(pid, 0)
    return Outcome(
        code=os.waitstatus_to_exitcode(status),
        out=out,
        err=err,
        seconds=usage.ru_utime + usage.ru_stime,
        megabytes=usage.ru_maxrss >> 10,
        before=before,
        after=contents(here),
        document=_json(here, out),
    )


def _read(pid: int, pipes: list[int], deadline: float) -> list[str]:
    """What a process says until it ends; one that goes on beyond its deadline is killed."""
    said = dict.fromkeys(pipes, b"")
    handle = os.pidfd_open(pid)
    while True:
        ready = select.select([handle, *pipes], [], [], max(0.0, deadline - time.monotonic()))[0]
        if not ready:
            os.killpg(pid, signal.SIGKILL)
            deadline += 60
        for pipe in set(ready) & set(pipes):
            some = os.read(pipe, 1 << 16)
            said[pipe] += some
            if not some:
                pipes.remove(pipe)
        if ready == [handle]:
            break
    for descriptor in (handle, *said):
        os.close(descriptor)
    return [some.decode("utf-8", "surrogateescape") for some in said.values()]


def contents(folder: Path) -> dict[str, str]:
    """What there is below a folder: for each name what it is, its mode, and what is in it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        told = f"{path.lstat().st_mode:o}"
        if path.is_symlink():
            told += f" to {path.readlink()}"
        elif path.is_file():
            told += f" {hashlib.sha256(path.read_bytes()).hexdigest()}"
        found[os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")] = told
    return found


def apart(function: Callable[[], Any]) -> Any:
    """What a function returns, from a process of its own; None where it ends in an error."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        with contextlib.suppress(BaseException):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            os.write(writes, json.dumps(function()).encode())
            code = 0
        os._exit(code)
    os.close(writes)
    with open(reads, "rb") as stream:
        told = stream.read()
    _, status = os.waitpid(pid, 0)
    return json.loads(told) if status == 0 else None


def _become(given: Given, here: Path, pipes: list[int]) -> NoReturn:
    """Be pandq, from its first line to the end of the interpreter."""
    os.setsid()
    os.chdir(here)
    os.environ.update(given.environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, pipe, stream in zip((1, 2), pipes, given.streams, strict=True):
        _opened(number, pipe, stream)
    out, err = (None if stream == "closed" else stream for stream in given.streams)
    sys.stdout = out and io.TextIOWrapper(open(1, "wb", closefd=False), given.encoding)
    sys.stderr = err and io.TextIOWrapper(
        open(2, "wb", buffering=0, closefd=False),
        given.encoding,
        "backslashreplace",
        write_through=True,
    )
    if err:
        faulthandler.enable(2)
    here_now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = {"RLIMIT_AS": here_now + ADDRESSES, "RLIMIT_CPU": given.seconds, "RLIMIT_CORE": 0}
    for name, limit in {**limits, **given.limits}.items():
        resource.setrlimit(getattr(resource, name), (limit, limit))
    os._exit(exit_code(lambda: _ran(given)))


def _opened(number: int, pipe: int, stream: str) -> None:
    """Standard stream `number`: the pipe, a file, a pipe whose reader has gone, or closed."""
    if stream == "closed":
        os.close(number)
    elif stream == "broken pipe":
        reads, writes = os.pipe()
        os.dup2(writes, number)
        os.close(reads)
    elif stream == "pipe":
        os.dup2(pipe, number)
    else:
        os.dup2(os.open(stream, os.O_WRONLY), number)
    os.close(pipe)


def _ran(given: Given) -> None:
    """The command line, or `given.call` with its answer printed."""
    from pandq.cli.app import main

    sys.argv = ["pandq", *given.arguments]
    try:
        if given.call is None:
            main()
        else:
            print(json.dumps(given.call()))
    except PandqError as refused:
        print(f"pandq: {refused}", file=sys.stderr)
        sys.exit(REFUSED)


def _json(here: Path, out: str) -> Any:
    """The JSON that a run wrote, into out.json or as all of its output."""
    file = here / "out.json"
    with contextlib.suppress(ValueError):
        return json.loads(file.read_text("utf-8") if file.is_file() else out)


def nursed(case: Case) -> str:
    """What is wrong with a case, or nothing: built, run and judged in a process of its own."""
    here = Path(tempfile.mkdtemp(prefix="pandq-hostile-"))
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        try:
            given = case.build(here, case.rng)
            told = case.judge(given, case.run(given, here))
        except BaseException:
            told = f"the case itself is broken: {traceback.format_exc()}"
        with open(writes, "wb") as stream:
            stream.write(b"." + told.encode("utf-8", "backslashreplace"))
        os._exit(0)
    os.close(writes)
    with open(reads, "rb") as stream:
        ready = select.select([stream], [], [], CASE_SECONDS)[0]
        told = stream.read() if ready else b""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    shutil.rmtree(here, ignore_errors=True)
    return told[1:].decode() if told else "the case itself was killed"


def serve(cases: Mapping[str, Case]) -> None:
    """Answer each name on standard input with what is wrong with that case, as a line of JSON."""
    imported()
    shelf = tempfile.mkdtemp(prefix="pandq-hostile-stock-")
    os.environ["PANDQ_HOSTILE_STOCK"] = shelf
    replies = os.dup(1)
    os.dup2(2, 1)
    with open(os.dup(0), "rb", buffering=0) as asked:
        while line := asked.readline():
            case = cases[json.loads(line)]
            os.write(replies, json.dumps(nursed(case)).encode() + b"\n")
    shutil.rmtree(shelf)


class Nursery:
    """The process as others see it; `verdict(name)` of a case."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.hostile"]
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "110"}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=Path(__file__).parents[2],
        )

    def verdict(self, name: str) -> str:
        """What is wrong with the case of this name, or nothing."""
        asked, replies = self.process.stdin, self.process.stdout
        assert asked
        assert replies
        asked.write(json.dumps(name).encode() + b"\n")
        asked.flush()
        return str(json.loads(replies.readline()))

    def close(self) -> None:
        """End the process."""
        with self.process:
            assert self.process.stdin is not None
            self.process.stdin.close()


def tried(cases: Mapping[str, Case], patterns: list[str]) -> None:
    """Run the cases whose names match, and print what is wrong with which."""
    named = [name for name in cases if any(fnmatch.fnmatch(name, p) for p in patterns)]
    nursery, started, wrong = Nursery(), time.monotonic(), 0
    for name in named:
        began = time.monotonic()
        verdict = nursery.verdict(name)
        wrong += bool(verdict)
        took = time.monotonic() - began
        if verdict or took > 2:
            print(f"{name} [{took:.1f} s]: {verdict[:600]}", flush=True)
    print(f"{len(named)} cases, {wrong} wrong, {time.monotonic() - started:.0f} s")
    nursery.close()
