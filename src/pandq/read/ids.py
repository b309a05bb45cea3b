"""Ids name rows: with a duplicate id a row would be counted twice."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.hashing import hash_ids
from pandq.errors import InputError
from pandq.read import columns as cols
from pandq.read.parts import located
from pandq.read.scan import Scan
from pandq.sums.tallies import as_python

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from numpy.typing import NDArray

    from pandq.read.chunks import MemoryScan
    from pandq.read.parts import Batch

    Keys = NDArray[np.uint64]

# Keys that are sorted at once; there may be any number of them.
AT_ONCE = 1 << 23
_BATCH = 1 << 16


def refuse_duplicates(rows: Scan | MemoryScan) -> None:
    """Refuse rows of which two have one id; those without an id are no duplicates.

    Raises:
        InputError: there are some; it says how many, and names one.
    """
    if (rows.id if isinstance(rows, Scan) else rows.ids) is None:
        return
    with tempfile.TemporaryFile(prefix="pandq-ids-") as kept:
        n = 0
        for _, keys, _ in _keyed(rows):
            kept.write(keys.tobytes())
            n += len(keys)
        extra, example = _repeated(kept, n)
    if extra:
        raise _refusal(rows, extra, example)


def _keyed(rows: Scan | MemoryScan) -> Iterator[tuple[NDArray[np.intp], Keys, Any]]:
    """Row numbers, keys and ids of consecutive rows, of those that have an id."""
    if not isinstance(rows, Scan):
        yield np.arange(rows.n_rows), hash_ids(np.asarray(rows.ids)), rows.ids
        return
    name = str(rows.id)

    def keyed(start: int, batch: Batch) -> tuple[NDArray[np.intp], Keys, Any]:
        column = batch[name]
        numbers = np.arange(start, start + len(column))
        if not isinstance(column, np.ndarray) and column.null_count:
            present = column.is_valid()
            numbers = numbers[present.to_numpy(zero_copy_only=False)]
            column = column.filter(present)
        return numbers, cols.hashed(name, column), column

    yield from (found for _, found in located(rows.source, [name], _BATCH, keyed))


def _repeated(kept: BinaryIO, n: int) -> tuple[int, int]:
    """How many keys stand there too often, and one of them."""
    shares = np.uint64(n // AT_ONCE + 1)
    extra, example = 0, 0
    for share in range(int(shares)):
        some = np.sort(np.concatenate([x[x % shares == share] for x in _blocks(kept)]))
        again = some[1:][some[1:] == some[:-1]]
        extra += len(again)
        example = int(again[0]) if len(again) else example
    return extra, example


def _blocks(kept: BinaryIO) -> Iterator[Keys]:
    kept.seek(0)
    while raw := kept.read(8 * AT_ONCE):
        yield np.frombuffer(raw, np.uint64)
    yield np.zeros(0, np.uint64)


def _refusal(rows: Scan | MemoryScan, extra: int, example: int) -> InputError:
    places: list[int] = []
    value: Any = None
    for numbers, keys, ids in _keyed(rows):
        for place in np.flatnonzero(keys == np.uint64(example)).tolist():
            places.append(int(numbers[place]))
            value = ids[place]
    value = as_python(value)
    return InputError(
        what=f"id {value!r} is a duplicate ({extra:,} rows too many in all)",
        where=rows.source.name if isinstance(rows, Scan) else "",
        got=f"rows {', '.join(map(str, places[:3]))}" + (" ..." if len(places) > 3 else ""),
        remedy="Leave such rows out; what several rows have in common is --cluster.",
    )
