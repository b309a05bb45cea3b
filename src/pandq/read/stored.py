"""Arrays that stay in their files: rows are read when they are asked for.

Not mapped: a process is killed that looks at a map of a file which has become shorter.
"""

from __future__ import annotations

import math
import threading
import zipfile
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pandq.errors import InputError
from pandq.read.places import handle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import DTypeLike, NDArray

    from pandq.read.places import Place

    # where bytes begin, and what they are to fill
    Piece = tuple[int, NDArray[Any]]


class Bytes(Protocol):
    """Where numbers lie."""

    def fill(self, wanted: Iterable[Piece]) -> None:
        """Read some of them."""


class FileBytes:
    """The bytes of a file, from `start` on."""

    def __init__(self, file: Place, start: int = 0) -> None:
        self.file, self.start = file, start

    def fill(self, wanted: Iterable[Piece]) -> None:
        """Read some of them."""
        try:
            with self.file.open("rb", buffering=0) as stream:
                for place, into in wanted:
                    stream.seek(self.start + place)
                    _filled(stream, into.data)
        except EOFError as error:
            remedy = "It may be truncated, or be written to meanwhile."
            what = "cannot be read to its end"
            raise InputError(what, where=str(self.file), got=str(error), remedy=remedy) from None


class ZippedBytes:
    """What a compressed member of a zip file holds, from `start` on: unpacked as it is read."""

    def __init__(self, file: Place, member: zipfile.ZipInfo, start: int) -> None:
        self.start, self.end = start, member.file_size
        # one row after the other: whoever goes back unpacks from the beginning again
        self._stream = zipfile.ZipFile(handle(file)).open(member)  # noqa: SIM115
        self._lock = threading.Lock()

    def fill(self, wanted: Iterable[Piece]) -> None:
        """Read some of them."""
        with self._lock:
            for place, into in wanted:
                self._stream.seek(self.start + place)
                _filled(self._stream, into.data)
                if self.start + place + len(into) == self.end:
                    # the checksum is compared at the end
                    self._stream.read(1)


def _filled(stream: Any, into: memoryview) -> None:
    done = 0
    while done < len(into):
        n = stream.readinto(into[done:])
        if not n:
            raise EOFError(f"it ends {len(into) - done:,} bytes too early")  # noqa: EM102
        done += n


class StoredArray:
    """(n, ...) numbers in a file; a slice of rows is read into memory.

    Raises:
        InputError: a length is negative, or the numbers need more bytes than there are.
    """

    def __init__(
        self,
        lies: Bytes,
        dtype: DTypeLike,
        shape: tuple[int, ...],
        *,
        room: int,
        name: str = "the array",
        fortran: bool = False,
    ) -> None:
        self.lies, self.dtype, self.shape = lies, np.dtype(dtype), shape
        self.room, self.name = room, name
        self.fortran = fortran and len(shape) > 1
        needed = self.dtype.itemsize * math.prod(shape)
        if min(shape, default=0) < 0 or needed > room:
            raise InputError(
                what=f"{name} does not lie where the header says",
                got=f"{room:,} bytes for {' x '.join(map(str, shape))} {self.dtype}",
                remedy="It may be truncated.",
            )

    @property
    def ndim(self) -> int:
        """How many dimensions there are."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        first, last, _ = rows.indices(len(self))
        n, inner = max(0, last - first), self.shape[1:]
        size = self.dtype.itemsize
        found: NDArray[Any]
        if not self.fortran:
            found = np.empty((n, *inner), self.dtype)
            self._fill([(first * size * math.prod(inner), found.reshape(-1))])
            return found
        # column after column: of each some rows
        found = np.empty((*inner[::-1], n), self.dtype)
        columns = found.reshape(math.prod(inner), n)
        self._fill(((i * len(self) + first) * size, x) for i, x in enumerate(columns))
        return found.T

    def reshaped(self, shape: tuple[int, ...]) -> StoredArray:
        """The same numbers in rows of another shape, of an array that lies row by row."""
        return StoredArray(self.lies, self.dtype, shape, room=self.room, name=self.name)

    def starts(self, size: int) -> NDArray[np.uint8]:
        """(n, size) the first bytes of each row, and no others."""
        found = np.empty((len(self), size), np.uint8)
        row = self.dtype.itemsize * math.prod(self.shape[1:])
        self._fill((i * row, start) for i, start in enumerate(found))
        return found

    def _fill(self, wanted: Iterable[Piece]) -> None:
        self.lies.fill((place, x.view(np.uint8)) for place, x in wanted if x.nbytes)
