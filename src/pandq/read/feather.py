"""Arrow IPC files (feather)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pandq.read.files import TableFiles, require, types

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


class ArrowFiles(TableFiles):
    """Arrow IPC (feather), memory-mapped: batches are views of the file."""

    def read_schema(self, file: Path) -> Mapping[str, pa.DataType]:
        """From the file's own schema."""
        with pa.memory_map(str(file)) as mapped:
            return types(_open_ipc(mapped).schema)

    def read_piece(
        self, file: Path, piece: Any, columns: Sequence[str], rows: int
    ) -> Iterator[pa.RecordBatch]:
        """The file's own batches."""
        del piece, rows
        with pa.memory_map(str(file)) as mapped:
            reader = _open_ipc(mapped)
            require(columns, types(reader.schema))
            if isinstance(reader, pa.RecordBatchFileReader):
                yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
            else:
                yield from reader


def _open_ipc(mapped: pa.MemoryMappedFile) -> Any:
    try:
        return pa.ipc.open_file(mapped)
    except pa.ArrowInvalid:
        mapped.seek(0)
        return pa.ipc.open_stream(mapped)
