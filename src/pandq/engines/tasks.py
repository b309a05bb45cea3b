"""What runs on a worker: it counts, keeps or sums one part that it reads itself."""

from __future__ import annotations

import pickle
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pandq.core.memory import reuse_freed_memory
from pandq.core.threads import alone
from pandq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandq.read.parts import Part


class Failed(NamedTuple):
    """What a task brings back where the data cannot be used: trying again would not help."""

    error: InputError
    worker: str


def handed(token: str, stored: bytes) -> tuple[str, bytes]:
    """Rows and what to do with them, as they cross from worker to worker."""
    return token, stored


@lru_cache(maxsize=8)
def _loaded(token: str, stored: bytes) -> tuple[Any, Any]:
    del token
    found: tuple[Any, Any] = pickle.loads(stored)  # noqa: S301
    return found


def counted(part: Part, work: tuple[str, bytes], _: None) -> int | Failed:
    """How many rows a part has."""
    rows, _ = _loaded(*work)
    try:
        n: int = rows.count(part)
    except InputError as error:
        return Failed(error, _worker())
    return n


def kept_chunks(part: Part, work: tuple[str, bytes]) -> bytes | Failed:
    """A part's chunks, to stay where they were read.

    As bytes: arrays that cross between workers as they are may lie where no float64 can, and
    products of those are rounded otherwise.
    """
    rows, _ = _loaded(*work)
    try:
        return pickle.dumps([chunk for _, chunk in rows.pieces([part])], protocol=4)
    except InputError as error:
        return Failed(error, _worker())


def summed(part: Part, work: tuple[str, bytes], stored: bytes | Failed | None) -> Any:
    """A part's Summary: `of` of its chunks, merged in order."""
    if isinstance(stored, Failed):
        return stored
    _settled()
    rows, of = _loaded(*work)
    total = None
    with alone():
        try:
            for chunk in _chunks(rows, part, stored):
                found = of(chunk)
                total = found if total is None else total.merge(found)
        except InputError as error:
            return Failed(error, _worker())
    return total


def _chunks(rows: Any, part: Part, stored: bytes | None) -> Iterator[Any]:
    """A part's chunks, from the file or as they were kept."""
    if stored is None:
        return (chunk for _, chunk in rows.pieces([part]))
    kept: list[Any] = pickle.loads(stored)  # noqa: S301
    return iter(kept)


@lru_cache(maxsize=1)
def _settled() -> Any:
    """What a worker's process keeps to from its first task on.

    BLAS has one thread, as the worker's other threads are at other parts.
    """
    from threadpoolctl import threadpool_limits

    reuse_freed_memory()
    return threadpool_limits(limits=1, user_api="blas")


def _worker() -> str:
    from distributed import get_worker

    address: str = get_worker().address
    return address
