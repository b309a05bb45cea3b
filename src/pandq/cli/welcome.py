"""What `pandq` alone says: the identity, and what to do with the file in this folder."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from pandq.cli.streams import say
from pandq.errors import PandqError
from pandq.plain import shortened

IDENTITY = (
    "Mind your P and Q: how far predictions (Q) are from what is true (P), and what can be done.",
    "",
    "    H(P, Q)       =  H(P)  +  KL(P || Q)",
    "    cross entropy    floor    what a better Q removes",
    "",
)
MORE = ("Every command: pandq --help", "See it work, offline: pandq demo")


def welcome() -> None:
    """Say it on standard output."""
    say(
        *IDENTITY, *_here(Path()), "Every command: pandq --help", "See it work, offline: pandq demo"
    )


def _here(folder: Path) -> Iterator[str]:
    """A line on the newest table in a folder, and the command to run on it."""
    from pandq.read.paths import ARRAYS, ARROW, JSON, PARQUET, TEXT, has_suffix

    # a .json is more often a document, such as a report, than a table
    known = {*PARQUET, *ARROW, *TEXT, *JSON, *ARRAYS} - {".json"}
    try:
        tables = [x for x in folder.iterdir() if x.is_file() and has_suffix(x, tuple(known))]
        newest = max(tables, key=lambda x: x.stat().st_mtime, default=None)
    except OSError:
        newest, tables = None, []
    if newest is None:
        yield "What a file's columns are: pandq inspect FILE"
        return
    others = f", the newest of {len(tables):,} tables" if len(tables) > 1 else ""
    yield f"In this folder: {shortened(newest.name)}{others}. Run:"
    yield f"    {_command(newest)}"


def _command(file: Path) -> str:
    """What an inspection proposes; where it finds no P and Q, to look at the columns."""
    from pandq.inspections import inspect

    look = f"pandq inspect {shlex.quote(file.name)}"
    try:
        found = inspect(file)
    except PandqError:
        return look
    return found.next_steps[0] if found.p and found.q else look
