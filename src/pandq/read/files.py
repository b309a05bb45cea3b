"""Files of one format as a Source, and what is said of one that cannot be read."""

from __future__ import annotations

import zipfile
import zlib
from abc import abstractmethod
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa

from pandq.core.threads import over_cores
from pandq.errors import InputError, near_names
from pandq.read.parts import Part, Source
from pandq.read.paths import copies
from pandq.read.unchanged import Version, unchanged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.read.parts import Batch
    from pandq.read.places import Place


class TableFiles(Source):
    """Several files of one format, one after the other; a file is a part."""

    def __init__(self, files: Sequence[Place]) -> None:
        self.files = list(files)
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        self.name = f"{files[0]}{more}"
        self.versions = [Version.of(file) for file in files]
        with readable(self.files[0]):
            self.schema = self.read_schema(self.files[0])
        self._parts: list[Part] = []

    def __getstate__(self) -> dict[str, Any]:
        """What a worker gets: it may run in another folder, and is told its parts."""
        there = {
            "files": [file.absolute() for file in self.files],
            "versions": [version.elsewhere() for version in self.versions],
            "_parts": [],
        }
        return {**self.__dict__, **there}

    def __copy__(self) -> Self:
        """A copy for this process, which knows more of the files than a worker does."""
        found = object.__new__(type(self))
        found.__dict__.update(self.__dict__, _parts=[])
        return found

    def parts(self) -> Sequence[Part]:
        """The parts in the order of the files; found once."""
        if not self._parts:
            start: int | None = 0
            for place, pieces in enumerate(over_cores(self.pieces, range(len(self.files)))):
                first = start
                for piece, n in pieces:
                    index, name = len(self._parts), self.called(place)
                    self._parts.append(Part(index, name, (place, piece), start, first, n))
                    start = None if start is None or n is None else start + n
        return self._parts

    def called(self, place: int) -> str:
        """What to call a file where a row of it is wrong."""
        return str(self.files[place])

    def pieces(self, place: int) -> list[tuple[Any, int | None]]:
        """What a file is read by, and the rows of each piece where its metadata says so."""
        del place
        return [(None, None)]

    def read(self, part: Part, columns: Sequence[str], rows: int) -> Iterator[Batch]:
        """One file's columns, or some of its rows'."""
        place, piece = part.piece
        file = self.files[place]
        with readable(file), unchanged([self.versions[place]]):
            for batch in self.read_piece(file, piece, columns, rows):
                for start in range(0, batch.num_rows, rows):
                    some = batch.slice(start, rows)
                    yield {name: some.column(name) for name in columns}

    @abstractmethod
    def read_schema(self, file: Place) -> Mapping[str, pa.DataType]:
        """Column names and types of one file."""

    @abstractmethod
    def read_piece(
        self, file: Place, piece: Any, columns: Sequence[str], rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The columns of a piece of a file."""


def refuse_copies(source: TableFiles) -> None:
    """Refuse a file that is a copy of another, unless it has no rows.

    Raises:
        InputError: its rows would count twice.
    """
    for first, copy in copies(source.files):
        place = source.files.index(copy)
        some = list(source.schema)[:1]
        parts = (Part(0, str(copy), (place, piece), 0, 0, n) for piece, n in source.pieces(place))
        if any(len(batch[some[0]]) for part in parts for batch in source.read(part, some, 1)):
            raise InputError(
                what=f"repeats the rows of {first}",
                where=str(copy),
                remedy="Leave one of the two out.",
            )


# What the readers of pyarrow, NumPy and Python raise of bytes that are not what they should be.
_BROKEN = (
    pa.ArrowException,
    OSError,
    EOFError,
    UnicodeDecodeError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextmanager
def readable(file: Place) -> Iterator[None]:
    """What a reader says of a broken file, as one line that names the file."""
    try:
        yield
    except InputError as error:
        if not error.where.startswith(str(file)):
            error.at(str(file))
        raise
    except PermissionError:
        raise InputError(what="cannot be read: permission denied", where=str(file)) from None
    except _BROKEN as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            what=f"cannot be read as {file.suffix.lstrip('.')}",
            where=str(file),
            got=reason.rstrip("."),
            remedy="It may be truncated or of another format.",
        ) from None


def require(columns: Sequence[str], schema: Mapping[str, pa.DataType]) -> None:
    """Refuse a column that is not there."""
    for name in columns:
        if name not in schema:
            raise InputError(what=f"no column {name!r}", remedy=near_names(name, schema))


def types(schema: pa.Schema) -> dict[str, pa.DataType]:
    """Names and types in order.

    Raises:
        InputError: two columns have one name.
    """
    twice = next((name for name, n in Counter(schema.names).items() if n > 1), None)
    if twice is not None:
        remedy = "Give each column a name of its own."
        raise InputError(what=f"two columns are called {twice!r}", remedy=remedy)
    return dict(zip(schema.names, schema.types, strict=True))
