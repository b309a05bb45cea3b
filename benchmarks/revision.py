"""This tree or another revision in a process of its own, which answers lines of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUSE = Path(__file__).parent.parent


class Answers:
    """A process that runs `code` with the pandq of a tree, on all cores or on the first alone."""

    def __init__(self, code: str, tree: Path = HOUSE, *, alone: bool = False) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONPATH": str(tree / "src")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if alone:
            # its threads, which are all yet to start, inherit this
            os.sched_setaffinity(self.process.pid, {min(os.sched_getaffinity(0))})

    def __call__(self, asked: Any) -> Any:
        """What it answers."""
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.wait()


@contextmanager
def revision(name: str | None, folder: Path, code: str) -> Iterator[Answers | None]:
    """The same of another revision, built in a folder of which nothing is left; None of none."""
    if name is None:
        yield None
        return
    tree, git = folder / "revision", ["git", "-C", str(HOUSE), "worktree"]
    build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    with ExitStack() as left:
        subprocess.run([*git, "add", "-q", "--detach", tree, name], check=True)
        left.callback(subprocess.run, [*git, "remove", "--force", tree], check=True)
        subprocess.run(build, cwd=tree, check=True, capture_output=True)
        yield left.enter_context(Answers(code, tree))
