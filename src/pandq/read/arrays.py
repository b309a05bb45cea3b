"""Arrays in files as columns side by side: npy, npz, safetensors, and llama.cpp's logits files.

They are memory-mapped wherever the bytes lie uncompressed in the file.
"""

from __future__ import annotations

import struct
import zipfile
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from pandq.core.numerics import BFLOAT16
from pandq.errors import InputError, near_names
from pandq.read.files import readable
from pandq.read.kld import CodedLogProbs, kld
from pandq.read.parts import Part, Source
from pandq.read.paths import has_suffix
from pandq.read.tensors import safetensors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pandq.read.parts import Batch

# A part has at most this many rows, and at most this many numbers in its widest column.
PART_ROWS = 1 << 20
PART_NUMBERS = 1 << 26

# Local header of a zip member: 30 bytes, of which the last two pairs are name and extra lengths.
_ZIP_HEADER = struct.Struct("<26xHH")


class ArrayColumns(Source):
    """Arrays of equal length as a Source.

    A file of one array is a column by the file's stem. Of the others each array is a column by its
    own name, or by stem.name where two files have one of the same name.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = list(files)
        self.name = ", ".join(map(str, files))
        found: list[tuple[str, str, Any]] = []
        for file in files:
            with readable(file):
                found += [(file.stem, name, array) for name, array in _arrays(file).items()]
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
        self.notes = tuple(
            f"{name}: {array.rounding()}"
            for name, array in self.arrays.items()
            if isinstance(array, CodedLogProbs)
        )
        lengths = {name: array.shape[0] for name, array in self.arrays.items() if array.ndim}
        if len(set(lengths.values())) > 1:
            got = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise InputError(what="arrays of different lengths", where=self.name, got=got)
        self.schema: Mapping[str, pa.DataType] = {
            name: _arrow_type(array) for name, array in self.arrays.items() if array.ndim
        }
        self._length = next(iter(lengths.values()), 0)
        widths = [int(np.prod(array.shape[1:])) for array in self.arrays.values() if array.ndim]
        self._step = max(1, min(PART_ROWS, PART_NUMBERS // max(1, *widths, 1)))

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker maps the files anew."""
        return ArrayColumns, ([file.absolute() for file in self.files],)

    def parts(self) -> Sequence[Part]:
        """Ranges of rows."""
        starts = range(0, self._length, self._step)
        return [
            Part(i, self.name, None, start, 0, min(self._step, self._length - start))
            for i, start in enumerate(starts)
        ]

    def read(self, part: Part, columns: Sequence[str], rows: int) -> Iterator[Batch]:
        """Views of the mapped files."""
        for name in columns:
            if name not in self.schema:
                raise InputError(
                    what=f"no column {name!r}",
                    where=self.name,
                    remedy=near_names(name, self.schema),
                )
        first, last = part.start or 0, (part.start or 0) + (part.n_rows or 0)
        for start in range(first, last, rows):
            some = slice(start, min(start + rows, last))
            yield {name: self.arrays[name][some] for name in columns}


def _arrays(file: Path) -> dict[str, Any]:
    if has_suffix(file, (".npz",)):
        return _npz(file)
    if has_suffix(file, (".safetensors",)):
        return safetensors(file)
    return kld(file) if has_suffix(file, (".kld",)) else {file.stem: _npy(file)}


def _npy(file: Path) -> NDArray[Any]:
    try:
        mapped: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise InputError(what="cannot be read as npy", got=str(error).splitlines()[0]) from None
    return mapped


def _npz(file: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
        with np.load(file, allow_pickle=False) as loaded:
            return {
                member.filename.removesuffix(".npy"): _mapped(file, member)
                if member.compress_type == zipfile.ZIP_STORED
                else loaded[member.filename.removesuffix(".npy")]
                for member in members
            }
    except (zipfile.BadZipFile, ValueError, KeyError) as error:
        raise InputError(what="cannot be read as npz", got=str(error).splitlines()[0]) from None


def _mapped(file: Path, member: zipfile.ZipInfo) -> NDArray[Any]:
    """An uncompressed member of a zip file, mapped where it lies."""
    with file.open("rb") as stream:
        stream.seek(member.header_offset)
        name_length, extra_length = _ZIP_HEADER.unpack(stream.read(_ZIP_HEADER.size))
        stream.seek(name_length + extra_length, 1)
        version = np.lib.format.read_magic(stream)
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read_header(stream)
        if dtype.hasobject:
            raise ValueError("it holds Python objects")  # noqa: EM101
        order: Literal["F", "C"] = "F" if fortran else "C"
        return np.memmap(str(file), dtype, mode="r", offset=stream.tell(), shape=shape, order=order)


def _arrow_type(array: NDArray[Any]) -> pa.DataType:
    if array.dtype.kind in "US":
        kind = pa.string()
    else:
        # Arrow has no bfloat16: it is a float32 of fewer digits
        kind = pa.float32() if array.dtype == BFLOAT16 else pa.from_numpy_dtype(array.dtype)
    return pa.list_(kind, array.shape[1]) if array.ndim == 2 else kind
