"""safetensors: a JSON header, then raw numbers, which are read where they lie."""

from __future__ import annotations

import json
import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.numerics import BFLOAT16
from pandq.errors import InputError
from pandq.read.places import state
from pandq.read.stored import FileBytes, StoredArray

if TYPE_CHECKING:
    from pandq.read.places import Place

_TYPES: dict[str, Any] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": BFLOAT16,
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
}
_LONGEST_HEADER = 100_000_000


def safetensors(file: Place) -> dict[str, StoredArray]:
    """The arrays of one to three dimensions in a safetensors file, without reading their numbers.

    Args:
        file: its path.

    Returns:
        Arrays by name, in the file; bfloat16 as bits of BFLOAT16.

    Raises:
        InputError: it is no safetensors file, is truncated, or lies about its lengths.

    Source: the format's description, https://huggingface.co/docs/safetensors.
    """
    size = state(file).size
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(size - 8, _LONGEST_HEADER):
            raise InputError(what="is no safetensors file, or is truncated", where=str(file))
        try:
            header = json.loads(stream.read(length), object_pairs_hook=_once)
            tensors = {name: x for name, x in header.items() if name != "__metadata__"}
            stored = {
                name: _stored(file, name, x, 8 + length, size)
                for name, x in tensors.items()
                if x["dtype"] in _TYPES and len(x["shape"]) in (1, 2, 3)
            }
            told = 8 + length + max((x["data_offsets"][1] for x in tensors.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if isinstance(error, InputError):
                raise
            got = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                what="has a header that is no safetensors header", where=str(file), got=got
            ) from None
    if told < size:
        got = f"{size:,} bytes where it tells of {told:,}"
        raise InputError(what="is longer than its header says", where=str(file), got=got)
    return stored


def _stored(file: Place, name: str, about: Any, offset: int, size: int) -> StoredArray:
    first, last = about["data_offsets"]
    dtype, shape = np.dtype(_TYPES[about["dtype"]]), tuple(about["shape"])
    if any(type(n) is not int for n in (*shape, first, last)):
        raise ValueError(f"lengths of {name!r} that are no whole numbers")  # noqa: EM102
    expected = dtype.itemsize * math.prod(shape)
    if last - first != expected or first < 0 or offset + last > size:
        raise InputError(
            what=f"tensor {name!r} does not lie where the header says",
            where=str(file),
            got=f"bytes {first} to {last} for {expected}, in a file of {size}",
            remedy="It may be truncated.",
        )
    return StoredArray(FileBytes(file, offset + first), dtype, shape, room=expected)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of the header, in which no name is a duplicate."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a duplicate name")  # noqa: EM101
    return found
