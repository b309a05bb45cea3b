"""A query that makes one row of each item's answers, over more answers than memory should hold.

Lists that are gathered cannot leave memory while a query runs. So the answers are first written
apart by the hash of their item, the query is run over one part after the other, and what it made is
put back into the order of the file: duckdb sorts on the disk where memory ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.read.database import database, literal, quoted
from pandq.read.laying import ROW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Answers of a part, and the memory in which parts are put into order.
ANSWERS, MEMORY = 1 << 20, "512MB"
_PART = "pandq_part"


def split(connection: Any, rows: str, item: str, n: int, room: Path) -> Iterator[str]:
    """The rows in parts, each a SELECT, no item in two of them; as they are where they are few.

    Args:
        connection: that may write to the room.
        rows: a SELECT.
        item: the column of what belongs together.
        n: how many rows there are.
        room: a folder for the parts.
    """
    n_parts = -(-n // ANSWERS)
    if n_parts < 2:
        yield rows
        return
    place = room / "answers"
    part = f"hash({quoted(item)}) % {n_parts} AS {_PART}"
    connection.execute(
        f"COPY (SELECT *, {part} FROM ({rows})) TO {literal(place)}"
        f" (FORMAT parquet, PARTITION_BY ({_PART}))"
    )
    for folder in sorted(place.iterdir()):
        files = literal(folder / "*.parquet")
        yield f"SELECT * FROM read_parquet({files}, hive_partitioning = false)"


def in_order(made: list[Path], out: Path, room: Path) -> None:
    """Parts of a table that have the number of their rows, as one in its order and without."""
    if len(made) == 1:
        made[0].rename(out)
        return
    listed = ", ".join(map(literal, made))
    with database(made, room, memory=MEMORY) as connection:
        connection.execute(
            f"COPY (SELECT * EXCLUDE ({ROW}) FROM read_parquet([{listed}]) ORDER BY {ROW})"
            f" TO {literal(out)} (FORMAT parquet, COMPRESSION zstd)"
        )
