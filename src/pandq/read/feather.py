"""Arrow IPC files (feather)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pandq.read.files import TableFiles, readable, require, types
from pandq.read.named import names_in
from pandq.read.places import handle
from pandq.read.remote import Remote
from pandq.read.unchanged import unchanged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.read.places import Place


class ArrowFiles(TableFiles):
    """Arrow IPC (feather): the columns that are wanted of one of its batches after the other.

    What is read is checked in full before it is used: offsets and dictionary codes that lie would
    be followed to anywhere.
    """

    def read_schema(self, file: Place) -> Mapping[str, pa.DataType]:
        """Read the schema that the file has."""
        with _stream(file) as stream:
            return types(_opened(stream).schema)

    @property
    def class_names(self) -> Mapping[str, tuple[str, ...]]:  # type: ignore[override]
        """Those in the metadata of the schema."""
        with readable(self.files[0]), _stream(self.files[0]) as stream:
            return names_in(_opened(stream).schema.metadata)

    def pieces(self, place: int) -> list[tuple[Any, int | None]]:
        """The whole, and how many rows its batches have.

        Arrow reads a batch to say how many rows it has, and so it is given the narrowest column,
        if there is one of numbers. A stream must be read to its end, and of a file elsewhere every
        batch is a request: there the first pass counts.
        """
        file = self.files[place]
        if isinstance(file, Remote):
            return [(None, None)]
        with readable(file), unchanged([self.versions[place]]), _stream(file) as stream:
            widths = [_width(kind) for kind in _opened(stream).schema.types]
            if min(widths, default=math.inf) == math.inf:
                return [(None, None)]
            reader = _opened(stream, [widths.index(min(widths))])
            if not isinstance(reader, pa.RecordBatchFileReader):
                return [(None, None)]
            return [(None, sum(batch.num_rows for batch in _batches(reader)))]

    def read_piece(
        self, file: Place, piece: Any, columns: Sequence[str], rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The file's own batches."""
        del piece, rows
        with _stream(file) as stream:
            schema = _opened(stream).schema
            require(columns, types(schema))
            reader = _opened(stream, [schema.get_field_index(name) for name in columns])
            for batch in _batches(reader):
                batch.validate(full=True)
                yield batch


def _stream(file: Place) -> pa.NativeFile:
    return pa.PythonFile(handle(file)) if isinstance(file, Remote) else pa.OSFile(str(file))


def _width(kind: pa.DataType) -> float:
    """The bits of a number of a column; infinite of what is not one."""
    return kind.bit_width if pa.types.is_primitive(kind) else math.inf


def _batches(reader: Any) -> Iterator[pa.RecordBatch]:
    if isinstance(reader, pa.RecordBatchFileReader):
        yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
    else:
        yield from reader


def _opened(stream: pa.NativeFile, fields: Sequence[int] = ()) -> Any:
    options = pa.ipc.IpcReadOptions(included_fields=list(fields))
    stream.seek(0)
    try:
        return pa.ipc.open_file(stream, options=options)
    except pa.ArrowInvalid:
        stream.seek(0)
        return pa.ipc.open_stream(stream, options=options)
