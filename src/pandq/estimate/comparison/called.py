"""What the models of a comparison are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandq.errors import InputError
from pandq.read.arrays import told_apart
from pandq.read.scan import Scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.read.chunks import MemoryScan


def names_of(rows: Scan | MemoryScan, names: Sequence[str] | None) -> tuple[str, ...]:
    """What each Q is called: as given, by its column, or A, B, ..."""
    size = 1 + len(rows.rivals)
    if names is None and isinstance(rows, Scan):
        if rows.names is not None:
            return rows.names
        called = [str(spec) for spec in (rows.q, *rows.rivals)]
        repeated = len(set(called)) != size
        return tuple(f"{name} ({i + 1})" if repeated else name for i, name in enumerate(called))
    return named(size, names)


def named(size: int, names: Sequence[str] | None) -> tuple[str, ...]:
    """What so many models are called: as given, or A, B, ..."""
    if names is not None:
        if len(names) != size or len(set(names)) != size:
            raise InputError(
                what=f"{size} models need as many different names", got=str(list(names))
            )
        return tuple(names)
    return tuple(chr(ord("A") + i) if size <= 26 else f"Q{i + 1}" for i in range(size))


def names_of_files(scans: Sequence[Scan], names: Sequence[str] | None) -> tuple[str, ...]:
    """What models with files of their own are called: as given, by the files, or A, B, ..."""
    files = [getattr(rows.source, "files", None) for rows in scans]
    if names is None and all(files):
        names = told_apart([some[0] for some in files if some])
    return named(len(scans), names)
