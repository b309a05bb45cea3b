"""duckdb that sees the files it is given and nothing else of the machine."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pandq.errors import InputError
from pandq.read.places import local

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pandq.read.places import Place

# Nothing is loaded, no name of Python's is a table, and the same text is the same time anywhere.
_SETTINGS = (
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "python_enable_replacements = false",
    "TimeZone = 'UTC'",
    "enable_progress_bar = false",
)
_LOCKS = ("enable_external_access = false", "lock_configuration = true")

_open: dict[Any, int] = {}
_lock = threading.Lock()


@contextmanager
def database(
    files: Sequence[Place] = (), room: Path | None = None, memory: str | None = None
) -> Iterator[Any]:
    """A connection whose settings are locked.

    Args:
        files: what it may read.
        room: a folder that it may also write to, and where it spills.
        memory: from where on it does, such as "512MB"; most of the machine's when left out.
    """
    import duckdb

    connection = duckdb.connect()
    with _lock:
        _open[connection] = threading.get_ident()
    try:
        limit = () if memory is None else (f"memory_limit = {literal(memory)}",)
        for setting in (*_allowed(files, room), *limit, *_SETTINGS, *_LOCKS):
            connection.execute(f"SET {setting}")
        yield connection
    except RuntimeError as error:
        # what duckdb makes of a signal that Python heard
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        raise
    finally:
        with _lock:
            del _open[connection]
        connection.close()


def interrupt(thread: int | None) -> None:
    """Stop the queries that a thread has begun."""
    with _lock:
        for connection, owner in _open.items():
            if owner == thread:
                connection.interrupt()


def _allowed(files: Sequence[Place], room: Path | None) -> Iterator[str]:
    """The settings that open files by their names, and a folder."""
    # a pattern is allowed by its text, and what it finds by its name
    names = [name for file in files for name in (literal(local(file).absolute()), place(file))]
    yield f"allowed_paths = [{', '.join(names)}]"
    if room is not None:
        yield f"allowed_directories = [{literal(room)}]"
        yield f"temp_directory = {literal(room / 'spill')}"
        # of many parts written at once few rows each wait in memory
        yield "partitioned_write_flush_threshold = 50000"


def place(file: Place) -> str:
    """A file's name in SQL, which stands for this file even where it looks like a pattern.

    >>> from pathlib import Path
    >>> place(Path("/data/a[1]*.csv"))
    "'/data/a[[]1][*].csv'"
    """
    return literal("".join(f"[{c}]" if c in "*?[" else c for c in str(local(file).absolute())))


def quoted(name: str) -> str:
    """A column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def require_apart(names: Iterable[str], where: str = "") -> None:
    """Refuse names that differ by capitals alone: SQL takes both for the first.

    Raises:
        InputError: two are such.
    """
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(name.lower(), name)
        if first != name:
            raise InputError(
                what=f"columns {first!r} and {name!r} differ by capitals alone",
                where=where,
                got="one name for SQL, which is needed here",
                remedy="Rename one of them.",
            )


def literal(value: str | Path) -> str:
    """A string in SQL, such as a file's name."""
    return "'" + str(value).replace("'", "''") + "'"
