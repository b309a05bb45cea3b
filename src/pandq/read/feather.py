"""Arrow IPC files (feather)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pandq.read.files import TableFiles, require, types
from pandq.read.places import handle
from pandq.read.remote import Remote

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
