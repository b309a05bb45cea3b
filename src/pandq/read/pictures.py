"""Pictures as numbers, and folders of them as tables: one folder per class."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pandq.errors import InputError
from pandq.read.parts import Part, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pandq.read.parts import Batch

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
# Decoding takes memory by the pixel, however few the bytes are: 8,192 x 8,192.
MOST_PIXELS = 1 << 26
# A broken file makes each decoder fail in its own way.
BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, ArithmeticError, MemoryError)
IMAGE, PATH, CLASS = "image", "path", "class"
_STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def holds_pictures(kind: pa.DataType) -> bool:
    """Does a column of this type hold encoded pictures, as {bytes, path} or as bytes?

    >>> holds_pictures(pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    True
    """
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
    return any(is_kind(kind) for is_kind in kinds)


def encoded_in(column: pa.Array) -> list[bytes | None]:
    """The encoded pictures of a column."""
    if pa.types.is_struct(column.type):
        column = column.field("bytes") if not column.null_count else _field(column)
    found: list[bytes | None] = column.to_pylist()
    return found


def _field(column: pa.Array) -> pa.Array:
    return pa.array([(value or {}).get("bytes") for value in column.to_pylist()], pa.binary())


def picture(encoded: bytes | None) -> Any:
    """A decoded picture in red, green and blue, the right way up; None if it cannot be decoded."""
    from PIL import ImageOps

    if complaint(encoded) or not encoded:
        return None
    try:
        with _opened(encoded) as opened:
            ImageOps.exif_transpose(opened, in_place=True)
            return opened.convert("RGB")
    except BROKEN:
        return None


def _opened(encoded: bytes) -> Any:
    """A picture whose pixels are not decoded yet.

    Of the formats that are named alone: others start programs, as EPS starts Ghostscript.
    """
    from PIL import Image

    return Image.open(io.BytesIO(encoded), formats=FORMATS)


def oversize(size: tuple[int, int]) -> str:
    """What is wrong with a picture's (width, height), or nothing."""
    width, height = size
    if width * height <= MOST_PIXELS:
        return ""
    return f"{width:,} x {height:,} pixels, more than {MOST_PIXELS:,}"


def complaint(encoded: bytes | None) -> str:
    """Why a picture is not to be decoded, as far as its header says it; nothing where it may be.

    >>> complaint(None), complaint(b"%!PS-Adobe-3.0 EPSF-3.0")
    ('no bytes', 'not one of JPEG, PNG, WEBP, GIF, BMP, TIFF')
    """
    from PIL import Image, UnidentifiedImageError

    if not encoded:
        return "no bytes"
    try:
        with _opened(encoded) as opened:
            return oversize(opened.size)
    except UnidentifiedImageError:
        return f"not one of {', '.join(FORMATS)}"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return f"more than {MOST_PIXELS:,} pixels"
    except BROKEN:
        return "broken"


def pixels(encoded: bytes | None, size: tuple[int, int]) -> NDArray[np.uint8] | None:
    """A picture of `size` (height, width), (h, w, 3) uint8; None if it cannot be decoded."""
    found = picture(encoded)
    if found is None:
        return None
    height, width = size
    if found.size != (width, height):
        found = found.resize((width, height))
    return np.asarray(found, dtype=np.uint8)


class PictureFolder(Source):
    """A folder of pictures as a Source: image and path, and class by the folders' names.

    Names alone: numbers by the folders that are there would mean something else in another folder.
    """

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        found = sorted(x for x in folder.rglob("*") if x.suffix.lower() in SUFFIXES and x.is_file())
        inside = [file.relative_to(folder).parts for file in found]
        if not found:
            raise InputError(
                what="no table and no picture in this folder",
                where=self.name,
                remedy=f"Pictures are {', '.join(SUFFIXES)}.",
            )
        flat = [len(parts) == 1 for parts in inside]
        if any(flat) and not all(flat):
            raise InputError(
                what="some pictures lie beside the folders of the classes",
                where=str(found[flat.index(True)]),
                remedy="Put each into the folder of its class.",
            )
        self.files = found
        self.classes = () if flat[0] else tuple(sorted({parts[0] for parts in inside}))
        self._class_of = [parts[0] for parts in inside]
        more = {CLASS: pa.string()} if self.classes else {}
        self.schema: Mapping[str, pa.DataType] = {IMAGE: _STRUCT, PATH: pa.string(), **more}

    def parts(self) -> Sequence[Part]:
        """All pictures; one is one row."""
        return [Part(0, self.name, None, 0, 0, len(self.files))]

    def file_of(self, row: int) -> str:
        """The picture that a row is."""
        return str(self.files[row])

    def read(self, part: Part, columns: Sequence[str], rows: int) -> Iterator[Batch]:
        """The named columns in batches of at most `rows`; a file is read when `image` is wanted.

        Raises:
            InputError: a file cannot be read.
        """
        del part
        for start in range(0, len(self.files), rows):
            files = self.files[start : start + rows]
            batch = {
                PATH: pa.array([str(file) for file in files]),
                CLASS: pa.array(self._class_of[start : start + rows], pa.string()),
            }
            if IMAGE in columns:
                batch[IMAGE] = pa.array([_read(file) for file in files], _STRUCT)
            yield {name: batch[name] for name in columns}


def _read(file: Path) -> dict[str, Any]:
    try:
        return {"bytes": file.read_bytes(), "path": str(file)}
    except OSError as error:
        raise InputError(what="cannot be read", where=str(file), got=str(error.strerror)) from None
