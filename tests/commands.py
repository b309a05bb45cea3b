"""The command line in a process of its own, which costs its own work and no start of Python.

One process has imported everything that pandq needs, and forks one for each command: what it is
told are its arguments, its folder, its environment and its standard streams, what comes back is
what it wrote and its exit code. What Python itself reads as it starts is told to a process that is
started; so is every command where there is no such forking.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
import threading
import traceback
import weakref
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pandq as library

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What pandq imports only when it needs it; of its own modules, all but those of other processes.
NEEDED = (
    "scipy.optimize",
    "scipy.special",
    "duckdb",
    "pyarrow.parquet",
    "pyarrow.feather",
    "rich.console",
    "rich.table",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
    "safetensors.numpy",
    "PIL.Image",
    "threadpoolctl",
    "sklearn.linear_model",
)
APART = ("torch", "networks", "loops", "dask", "__main__", "tasks")
# What networks need besides, as large as all else: other commands are not forked with it.
NETWORKS = ("torch", "torch._dynamo", "pandq.fit.networks.training")
OF_NETWORKS = {"fit", "predict"}
# A message, environment and all.
ROOM = 1 << 18


def pandq(
    *arguments: object,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """`python -m pandq` with these arguments."""
    words, env = [str(x) for x in arguments], dict(os.environ if env is None else env)
    folder = str(cwd or Path.cwd())
    if _starting(env) != _starting(os.environ) or not hasattr(os, "pidfd_open"):
        started = [sys.executable, "-m", "pandq", *words]
        return subprocess.run(
            started, cwd=folder, env=env, capture_output=True, text=True, check=check
        )
    networks = find_spec("torch") is not None and not OF_NETWORKS.isdisjoint(words[:1])
    told = {"words": words, "cwd": folder, "env": env}
    done = subprocess.CompletedProcess(words, *_server(networks=networks)(told))
    if check:
        done.check_returncode()
    return done


def _starting(env: Mapping[str, str]) -> dict[str, str]:
    """What an interpreter reads of its environment as it starts."""
    return {name: value for name, value in env.items() if name.startswith("PYTHON")}


@functools.cache
def _server(*, networks: bool) -> Callable[[dict[str, Any]], tuple[int, str, str]]:
    """What answers a command; it is started for the first one, and ends as the tests do."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", __name__, str(its.fileno()), *(NETWORKS if networks else ())]
    root = Path(__file__).parents[1]
    running = subprocess.Popen(command, pass_fds=[its.fileno()], cwd=root, stdin=subprocess.DEVNULL)
    its.close()
    atexit.register(running.wait)
    atexit.register(ours.close)

    def ask(told: dict[str, Any]) -> tuple[int, str, str]:
        pipes = [os.pipe() for _ in range(2)]
        socket.send_fds(ours, [json.dumps(told).encode()], [writes for _, writes in pipes])
        for _, writes in pipes:
            os.close(writes)
        said = ["", ""]

        def read(place: int) -> None:
            with os.fdopen(pipes[place][0], encoding="utf-8") as stream:
                said[place] = stream.read()

        aside = threading.Thread(target=read, args=(1,))
        aside.start()
        read(0)
        aside.join()
        return int(ours.recv(ROOM)), *said

    return ask


def imported(*more: str) -> None:
    """Everything that commands need is imported, and not gone through by those that are forked."""
    house = Path(library.__file__).parent
    rooms = [file.relative_to(house).with_suffix("").parts for file in house.rglob("*.py")]
    own = [".".join(("pandq", *parts)) for parts in rooms if not set(parts) & set(APART)]
    for name in (*NEEDED, *own, *more):
        importlib.import_module(name.removesuffix(".__init__"))
    for finalizer in weakref.finalize._registry:
        finalizer.atexit = False  # no command's own; torch has a hundred
    gc.collect()
    gc.freeze()


def exit_code(call: Callable[[], Any]) -> int:
    """What an interpreter would exit with after `call`."""
    code: Any = 0
    try:
        call()
    except SystemExit as ended:
        code = 0 if ended.code is None else ended.code
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        code = 1
    for end in (threading._shutdown, atexit._run_exitfuncs, _flushed):
        try:
            end()
        except Exception:  # noqa: BLE001
            code = 120
        except BaseException:  # noqa: BLE001, S110 - a signal that comes too late
            pass
    return code if isinstance(code, int) else 1


def _flushed() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _become(told: dict[str, Any], streams: list[int]) -> NoReturn:
    """Be `python -m pandq`, from its first line to the end of the interpreter."""
    os.chdir(told["cwd"])
    os.environ.clear()
    os.environ.update(told["env"])
    for number, pipe in zip((1, 2), streams, strict=True):
        os.dup2(pipe, number)
        os.close(pipe)
    out, err = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
    err.reconfigure(line_buffering=True, errors="backslashreplace")
    sys.stdout, sys.stderr = out, err
    sys.argv = ["pandq", *told["words"]]
    run = functools.partial(runpy.run_module, "pandq", run_name="__main__", alter_sys=True)
    os._exit(exit_code(run))


def serve(line: socket.socket) -> None:
    """Answer each command with its exit code, as a shell's parent knows it."""
    imported(*sys.argv[2:])
    while True:
        told, streams, _, _ = socket.recv_fds(line, ROOM, 2)
        if not told:
            return
        pid = os.fork()
        if pid == 0:
            line.close()
            _become(json.loads(told), streams)
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(BrokenPipeError):
            line.send(str(os.waitstatus_to_exitcode(status)).encode())


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
