"""Arrays in files as columns side by side: npy, npz, safetensors, pt, llama.cpp's logits files.

They stay in their files, and rows are read as they are asked for.
"""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pandq.core.numerics import BFLOAT16
from pandq.errors import InputError, near_names
from pandq.read.files import readable
from pandq.read.kld import WINDOW, CodedLogProbs, kld
from pandq.read.parts import Part, Source
from pandq.read.paths import KLD, has_suffix
from pandq.read.places import handle, state
from pandq.read.saved import saved
from pandq.read.sequences import HOW, SEQUENCE, sequences
from pandq.read.stored import FileBytes, StoredArray, ZippedBytes
from pandq.read.tensors import safetensors
from pandq.read.unchanged import Version, unchanged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.read.parts import Batch
    from pandq.read.places import Place

# A part has at most this many rows, and at most this many numbers in its widest column.
PART_ROWS = 1 << 20
PART_NUMBERS = 1 << 26
# Bytes of a member of a zip file that is unpacked once; a larger one is anew in each pass.
MOST_UNPACKED = 1 << 28

# Local header of a zip member: 30 bytes, of which the last two pairs are name and extra lengths.
_ZIP_HEADER = struct.Struct("<26xHH")


class ArrayColumns(Source):
    """Arrays of equal length as a Source.

    A file of one array is a column by the file's stem. Of the others each array is a column by its
    own name, or by stem.name where two files have one of the same name; files of the same stem are
    told apart by their folders. `windows` is the column that says which window of a logits file, or
    which sequence, a token is in: tokens of one are not independent. Of sequences `condition` is
    the SQL of those tokens that count.
    """

    def __init__(self, files: Sequence[Place]) -> None:
        self.files = list(files)
        self.versions = [Version.of(file) for file in files]
        self.name = ", ".join(map(str, files))
        found: list[tuple[str, str, Any]] = []
        self.stems = told_apart(files)
        for stem, file in zip(self.stems, files, strict=True):
            with readable(file):
                found += [(stem, name, array) for name, array in arrays_in(file, stem).items()]
        times = Counter(name for _, name, _ in found)
        called = [name if times[name] == 1 else f"{stem}.{name}" for stem, name, _ in found]
        self.arrays: dict[str, Any] = dict(
            zip(called, (array for _, _, array in found), strict=True)
        )
        if len(self.arrays) < len(found):
            twice = next(name for name, n in Counter(called).items() if n > 1)
            remedy = "Give the files different names."
            raise InputError(
                what=f"two arrays are called {twice!r}", where=self.name, remedy=remedy
            )
        of_codes = {stem for stem, _, array in found if isinstance(array, CodedLogProbs)}
        self.windows = next(
            (
                column
                for column, (stem, name, _) in zip(called, found, strict=True)
                if stem in of_codes and name == WINDOW
            ),
            None,
        )
        coded: dict[str, list[str]] = {}
        for name, array in self.arrays.items():
            if isinstance(array, CodedLogProbs):
                coded.setdefault(array.rounding(), []).append(name)
        self.notes = tuple(f"{', '.join(names)}: {what}" for what, names in coded.items())
        self.condition: str | None = None
        self.units = "windows"
        try:
            self._take_sequences()
        except InputError as error:
            raise error.at(self.name) from None
        lengths = {name: array.shape[0] for name, array in self.arrays.items() if array.ndim}
        if len(set(lengths.values())) > 1:
            got = ", ".join(f"{name} {length}" for name, length in lengths.items())
            deep = any(array.ndim == 3 for array in self.arrays.values())
            remedy = HOW if deep and self.condition is None else ""
            what = "arrays of different lengths"
            raise InputError(what, where=self.name, got=got, remedy=remedy)
        self.schema: Mapping[str, pa.DataType] = {
            name: _arrow_type(array) for name, array in self.arrays.items() if array.ndim
        }
        self._length = next(iter(lengths.values()), 0)
        widths = [int(np.prod(array.shape[1:])) for array in self.arrays.values() if array.ndim]
        self._step = max(1, min(PART_ROWS, PART_NUMBERS // max(1, *widths, 1)))

    def _take_sequences(self) -> None:
        """Where arrays are of sequences, a row is a token."""
        found = sequences(self.arrays)
        shapes = [array.shape for array in self.arrays.values()]
        untold = found is None and any(len(x) == 3 and x[:2] in shapes for x in shapes)
        self.hint = f" {HOW}" if untold else ""
        if found is not None:
            self.arrays, self.condition = found.arrays, found.counts
            self.windows, self.units = SEQUENCE, "sequences"
            self.notes = (*self.notes, found.note)

    def place_of(self, row: int) -> dict[str, int]:
        """The window and the position in it of a row of logits files; nothing of others."""
        coded = (x for x in self.arrays.values() if isinstance(x, CodedLogProbs))
        return next((x.place_of(row) for x in coded), {})

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker opens the files anew."""
        there = [version.elsewhere() for version in self.versions]
        return _opened_again, ([version.file for version in there], there)

    def parts(self) -> Sequence[Part]:
        """Ranges of rows."""
        starts = range(0, self._length, self._step)
        return [
            Part(i, self.name, start, start, 0, min(self._step, self._length - start))
            for i, start in enumerate(starts)
        ]

    def read(self, part: Part, columns: Sequence[str], rows: int) -> Iterator[Batch]:
        """The rows as they lie in the files."""
        for name in columns:
            if name not in self.schema:
                raise InputError(
                    what=f"no column {name!r}",
                    where=self.name,
                    remedy=near_names(name, self.schema),
                )
        # a part of which a condition leaves some rows has no number of rows, and another place
        first, last = part.piece, min(part.piece + self._step, self._length)
        with unchanged(self.versions), readable(self.files[0]):
            for start in range(first, last, rows):
                some = slice(start, min(start + rows, last))
                yield {name: self.arrays[name][some] for name in columns}


def _opened_again(files: Sequence[Place], versions: Sequence[Version]) -> ArrayColumns:
    found = ArrayColumns(files)
    found.versions = list(versions)
    return found


# What readers of broken files raise, from the header's parser down to what unpacks.
_SPOILED = (
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    SyntaxError,
    MemoryError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


def told_apart(files: Sequence[Place]) -> list[str]:
    """A name for each file: its stem, with as many of its folders as tell it from the others.

    A logits file that is given again, as to compare a model with itself, is numbered.

    >>> from pathlib import Path
    >>> told_apart([Path("old/base.kld"), Path("new/base.kld"), Path("new/q4.kld")])
    ['old/base', 'new/base', 'q4']
    >>> told_apart([Path("base.kld"), Path("base.kld")])
    ['base', 'base-2']
    """
    parts = [(*Path(str(file.absolute())).parts[1:-1], file.stem) for file in files]
    found = []
    for place, mine in enumerate(parts):
        others = [other for other in parts if other != mine]
        sizes = (k for k in range(1, len(mine)) if all(x[-k:] != mine[-k:] for x in others))
        again = parts[:place].count(mine) if files[place].suffix == KLD else 0
        found.append("/".join(mine[-next(sizes, len(mine)) :]) + (f"-{again + 1}" if again else ""))
    return found


def arrays_in(file: Place, stem: str | None = None) -> dict[str, Any]:
    """The arrays of one file by name, without their numbers.

    Args:
        file: where it lies.
        stem: what a file of one array is called, if not by its own stem.

    Raises:
        InputError: it cannot be read as what its name says that it is.
    """
    try:
        return _read(file, file.stem if stem is None else stem)
    except InputError:
        raise
    except _SPOILED as error:
        got = (str(error).splitlines() or [type(error).__name__])[0][:200]
        got = got.partition(": <ast.")[0]  # of Python's own parser
        what = f"cannot be read as {file.suffix.lstrip('.')}"
        raise InputError(what=what, got=got) from None


def _read(file: Place, stem: str) -> dict[str, Any]:
    if has_suffix(file, (".npz",)):
        return _npz(file)
    if has_suffix(file, (".safetensors",)):
        return safetensors(file)
    if has_suffix(file, (".pt",)):
        return saved(file, stem)
    return kld(file) if has_suffix(file, (".kld",)) else {stem: _npy(file)}


def _npy(file: Place) -> StoredArray:
    with file.open("rb") as stream:
        shape, fortran, dtype = _header(stream)
        start, room = stream.tell(), state(file).size - stream.tell()
    return StoredArray(FileBytes(file, start), dtype, shape, room=room, fortran=fortran)


def _npz(file: Place) -> dict[str, Any]:
    with zipfile.ZipFile(handle(file)) as archive:
        found: dict[str, Any] = {}
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name in found:
                raise InputError(what=f"two arrays are called {name!r}")
            found[name] = _member(file, archive, member)
        return found


def _member(file: Place, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Any:
    """An array of a zip file: where it lies, or unpacked, at once or as it is read."""
    with archive.open(member) as stream:
        shape, fortran, dtype = _header(stream)
        start = stream.tell()
    name = f"array {member.filename.removesuffix('.npy')!r}"
    kind: dict[str, Any] = {"name": name, "fortran": fortran}
    if member.compress_type == zipfile.ZIP_STORED:
        room = min(member.file_size, state(file).size) - start
        lies = FileBytes(file, _beginning(file, member) + start)
        return StoredArray(lies, dtype, shape, room=room, **kind)
    packed = ZippedBytes(file, member, start)
    found = StoredArray(packed, dtype, shape, room=member.file_size - start, **kind)
    if member.file_size <= MOST_UNPACKED:
        return found[:]
    if found.fortran:
        raise InputError(
            what=f"{name} is compressed column by column",
            got=f"{member.file_size:,} bytes, which would all have to be in memory",
            remedy="Save it uncompressed: np.savez.",
        )
    return found


_NPY_VERSIONS = ((1, 0), (2, 0), (3, 0))


def _header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of the array that begins here."""
    version = np.lib.format.read_magic(stream)
    if version not in _NPY_VERSIONS:
        raise ValueError(f"a header of version {version[0]}.{version[1]}")  # noqa: EM102
    first = version == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise InputError(
            what="holds Python objects, a pickle, which runs the code in it when it is read",
            remedy="Write plain numbers or text: np.save(PATH, np.array(x.tolist())).",
        )
    return shape, fortran, dtype


def _beginning(file: Place, member: zipfile.ZipInfo) -> int:
    """Where an uncompressed member's bytes begin."""
    with file.open("rb") as stream:
        stream.seek(member.header_offset)
        name_length, extra_length = _ZIP_HEADER.unpack(stream.read(_ZIP_HEADER.size))
        return stream.tell() + int(name_length) + int(extra_length)


def _arrow_type(array: Any) -> pa.DataType:
    dtype = array.dtype
    if dtype.kind in "US":
        kind = pa.string()
    elif dtype == BFLOAT16:  # which Arrow does not have: a float32 of fewer digits
        kind = pa.float32()
    elif dtype.kind in "iub":
        kind = pa.from_numpy_dtype(dtype)
    elif dtype.kind == "f":
        kind = pa.from_numpy_dtype(dtype) if dtype.itemsize <= 8 else pa.float64()
    else:  # complex, structured: refused where it is asked for
        kind = pa.null()
    for size in array.shape[:0:-1]:
        kind = pa.list_(kind, size)
    return kind
