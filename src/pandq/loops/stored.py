"""A state as bytes, and back: numbers and names, of which nothing is taken on trust."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pandq.documents import Value
from pandq.engines.packing import packed, rebuilt
from pandq.errors import InputError
from pandq.loops.batches import FLAGS, Like, chunk_of, columns_of, names_of_codes
from pandq.loops.distinct import Distinct
from pandq.loops.kept import KeptRows
from pandq.loops.state import State
from pandq.sealed import sealed, unsealed
from pandq.sums.summary import Summary
from pandq.sums.tallies import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk

S = TypeVar("S", bound=Summary)

REMEDY = "Bytes are read by the version of pandq that made them."


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """Rows that are yet to be summed, as arrays."""

    start: int = 0
    keys: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ids: Any = None

    @classmethod
    def of(cls, chunk: Chunk) -> Waiting:
        """The rows of a chunk."""
        ids = tuple(plain(x) for x in chunk.ids)
        return cls(chunk.start, chunk.keys, columns_of(chunk), names_of_codes(chunk), ids)

    def chunk(self, like: Like) -> Chunk:
        """The chunk again."""
        ids = np.array(self.ids)
        return chunk_of(self.columns, like, self.names, start=self.start, keys=self.keys, ids=ids)


def state_bytes(state: State[Any], schema: str, options: Mapping[str, Any]) -> bytes:
    """A state and what was asked for as bytes.

    Args:
        state: what has come.
        schema: what it is a state of.
        options: as JSON values.
    """
    arrays: dict[str, Any] = {}
    like = state.like
    runs = () if state.ids is None else state.ids.runs
    document = {
        "schema": schema,
        "pandq_version": metadata.version("pandq"),
        "options": dict(options),
        "n": state.n,
        "again": state.again,
        "like": None if like is None else packed(like, arrays),
        "sums": packed(state.sums, arrays),
        "kept": packed(state.all_kept, arrays),
        "waiting": [packed(Waiting.of(chunk), arrays) for chunk in state.waiting],
        "ids": [packed(run, arrays) for run in runs],
    }
    return b"".join(sealed(arrays, document))


def read_bytes(stored: bytes, kind: str, schema: str) -> tuple[dict[str, Any], Value]:
    """The arrays and the document of bytes that `state_bytes` made.

    Args:
        stored: the bytes.
        kind: what they are a state of, for errors.
        schema: as it was given.

    Raises:
        InputError: they are damaged, of something else, or of another version.
    """
    if not isinstance(stored, bytes | bytearray | memoryview):
        raise InputError(
            what=f"a state is read from bytes, and no {kind} is in this", got=type(stored).__name__
        )
    arrays, told = unsealed(bytes(stored), Value(None, "", kind, REMEDY))
    told.schema(schema)
    told["pandq_version"].one_of(metadata.version("pandq"))
    return arrays, told


def like_of(told: Value, arrays: dict[str, Any]) -> Like | None:
    """What the batches were like that a document tells of; None where there was none."""
    nothing = Like(0, (), None, **dict.fromkeys(FLAGS, False))
    given = told.get("like")
    found: Like | None = None if given is None else rebuilt(given, arrays, nothing)
    return found


def state_of(
    told: Value, arrays: dict[str, Any], like: Like | None, blank: S, *, unique: bool
) -> State[S]:
    """The state of a document.

    Args:
        told: from `read_bytes`.
        arrays: likewise.
        like: from `like_of`.
        blank: the sums of no rows.
        unique: whether ids are kept.

    Raises:
        InputError: it is no such state.
    """
    sums: S = rebuilt(told["sums"], arrays, blank)
    kept: KeptRows = rebuilt(told["kept"], arrays, KeptRows.empty(0))
    try:
        with np.errstate(all="ignore"):
            blank.merge(sums), sums.merge(sums), kept.merge(kept)
    except Exception as error:  # noqa: BLE001 - whatever stands there may be nonsense
        told["sums"].refuse("does not fit together", got=str(error))
    waiting = []
    for item in told["waiting"].items():
        try:
            found: Waiting = rebuilt(item, arrays, Waiting())
            if like is not None:
                waiting.append(found.chunk(like))
        except LookupError as error:
            item.refuse("lacks a column", got=str(error))
    none = np.zeros(0, np.uint64)
    runs = tuple(rebuilt(item, arrays, none) for item in told["ids"].items())
    return State(
        sums,
        (kept,),
        tuple(waiting),
        like,
        told["n"].whole(),
        told["again"].whole(),
        Distinct(runs) if unique else None,
    )
