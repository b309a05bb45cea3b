"""A Dask cluster: one task per part, read where it runs; only Summaries come back.

Tasks are handed out in the order of the parts, a window of them at a time, and their Summaries are
fetched as they come, so that nothing is lost with a worker but what it was doing just then.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import time
import uuid
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.kernels import build_name
from pandq.engines.tasks import Failed, counted, handed, kept_chunks, summed
from pandq.errors import EngineError, InputError, MissingLibraryError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from pandq.engines.contract import C, Rows, S
    from pandq.read.parts import Part

# Tries of a task after an error that is not the data's.
RETRIES = 2
# Tasks that are out at a time, for each thread of the cluster: enough that none waits.
WINDOW, LEAST_WINDOW = 8, 64
# Seconds between two looks at who is still there, and without a worker before giving up.
LOOK, PATIENCE = 2.0, 60.0
CONNECT = 10.0
# Of a cluster that is started here: nobody looks at the dashboard, for which workers would watch
# what they do, and what NumPy warns its workers of is not for this terminal.
OF_OUR_OWN = {
    "distributed.worker.profile.enabled": False,
    "distributed.nanny.pre-spawn-environ.PYTHONWARNINGS": "ignore",
}


@dataclass(slots=True)
class Dask:
    """A cluster of dask.distributed.

    Args:
        client: a `distributed.Client`.
        cache: whether chunks stay in the workers' memory from one pass to the next.

    Raises:
        InputError: the workers have other versions than this process, or no pandq.
    """

    client: Any
    cache: bool = False

    def __post_init__(self) -> None:
        _refuse_others(self.client)

    @property
    def needs_row_offsets(self) -> bool:
        """A part is read by whoever has time, who must know its place."""
        return True

    def counts(self, rows: Rows[Any], parts: Sequence[Part]) -> list[int]:
        """How many rows each part has."""
        with self._connected():
            work = self._sent((rows, None))
        known = {part.index: part.n_rows for part in parts if part.n_rows is not None}
        unknown = [part for part in parts if part.index not in known]
        for part, n in self._each(counted, unknown, work, {}):
            known[part.index] = n
        return [known[part.index] for part in parts]

    def over(
        self,
        rows: Rows[C],
        parts: Sequence[Part],
        of: Callable[[C], S],
        tick: Callable[[int], None],
        kept: dict[int, Any] | None,
    ) -> Generator[tuple[Part, S | None]]:
        """Each part's Summary, in order; None where a part has no rows."""
        chunks: dict[int, Any] = {}
        with self._connected():
            if self.cache and kept is not None:
                chunks = kept.setdefault(id(rows), {})
                missing = [part for part in parts if part.index not in chunks]
                reading, token = self._sent((rows, None)) if missing else None, _token()
                for part in missing:
                    chunks[part.index] = self._submit(token, kept_chunks, part, reading)
            work = self._sent((rows, of))
        for part, summary in self._each(summed, parts, work, chunks):
            tick(part.n_rows or 0)
            yield part, summary

    def _sent(self, work: tuple[Any, Any]) -> Any:
        """Rows and what to do with them, on the cluster; computed anew where they are lost."""
        import cloudpickle  # type: ignore[import-untyped]

        token = _token()
        stored = cloudpickle.dumps(work, protocol=5)
        return self.client.submit(handed, token, stored, key=f"pandq-work-{token}", pure=False)

    def _submit(self, token: str, task: Callable[..., Any], part: Part, *given: Any) -> Any:
        key, first = f"pandq-{token}-{part.index}", -part.index
        return self.client.submit(
            task, part, *given, key=key, priority=first, retries=RETRIES, pure=False
        )

    def _each(
        self,
        task: Callable[..., Any],
        parts: Sequence[Part],
        work: Any,
        chunks: dict[int, Any],
    ) -> Iterator[tuple[Part, Any]]:
        """What a task makes of each part, in order, fetched as it comes."""
        token, given = _token(), 0
        ready: queue.SimpleQueue[Any] = queue.SimpleQueue()
        out: dict[str, tuple[int, Any]] = {}
        found: dict[int, Any] = {}
        with self._connected(), self._called_back(out):
            threads = sum(self.client.nthreads().values())
            window = max(LEAST_WINDOW, WINDOW * threads)
            for place, part in enumerate(parts):
                while place not in found:
                    while given < min(len(parts), place + window):
                        there = parts[given]
                        future = self._submit(token, task, there, work, chunks.get(there.index))
                        out[future.key] = given, future
                        future.add_done_callback(ready.put)
                        given += 1
                    for future in self._finished(ready):
                        where, _ = out.pop(future.key)
                        found[where] = self._result(future, parts[where])
                yield part, found.pop(place)

    @contextlib.contextmanager
    def _called_back(self, out: dict[str, tuple[int, Any]]) -> Iterator[None]:
        """Tasks that are still out at the end are wanted no more."""
        try:
            yield
        finally:
            if self.client.status == "running":
                for _, future in out.values():
                    future.cancel()

    def _finished(self, ready: queue.SimpleQueue[Any]) -> list[Any]:
        """Tasks that have ended, at least one.

        Raises:
            EngineError: the scheduler or all workers are gone.
        """
        since = time.monotonic()
        while True:
            try:
                found = [ready.get(timeout=LOOK)]
            except queue.Empty:
                if self.client.status != "running":
                    raise self._lost() from None
                if self.client.nthreads():
                    since = time.monotonic()
                elif time.monotonic() - since > PATIENCE:
                    raise EngineError(
                        what=f"no worker has been there for {PATIENCE:.0f} seconds",
                        where=_address(self.client),
                        remedy="Start workers, or look at their logs: did they run out of memory?",
                    ) from None
                continue
            while not ready.empty():
                found.append(ready.get())
            return found

    def _result(self, future: Any, part: Part) -> Any:
        """What a task brought back.

        Raises:
            InputError: the part cannot be used, as its task found.
            EngineError: its worker died again and again, or the scheduler is gone.
        """
        from distributed import KilledWorker

        try:
            found = future.result()
        except KilledWorker as error:
            raise EngineError(
                what=f"{error.allowed_failures + 1} workers died on {_called(part)}, or beside it",
                got=f"the last at {error.last_worker.address}",
                remedy="A worker that outgrows its memory limit is killed: give workers more, or"
                " write the file in smaller row groups.",
            ) from None
        except Exception as error:
            # a task that failed has that status; any other is of one that could not be fetched
            if future.status != "error":
                raise self._lost() from None
            reason = " ".join(str(error).split())[:300]
            raise EngineError(
                what=f"{type(error).__name__} on {_called(part)}", got=reason or "no reason"
            ) from error
        if isinstance(found, Failed):
            at = f"{found.error.got} " if found.error.got else ""
            found.error.got = f"{at}(on worker {found.worker})".strip()
            raise found.error
        return found

    @contextlib.contextmanager
    def _connected(self) -> Iterator[None]:
        """What the client says where nobody answers any more, as one error."""
        from distributed.client import ClosedClientError

        try:
            yield
        except (OSError, ClosedClientError):
            raise self._lost() from None

    def _lost(self) -> EngineError:
        return EngineError(
            what="the scheduler was lost",
            where=_address(self.client),
            remedy="With --checkpoint DIR a second run goes on after what was finished.",
        )


def _token() -> str:
    return uuid.uuid4().hex[:16]


def _called(part: Part) -> str:
    """A part as an error names it."""
    rows = "" if part.start is None or not part.n_rows else (
        f", rows {part.start:,} to {part.start + part.n_rows - 1:,} of the whole"
    )  # fmt: skip
    return f"{part.name}{rows}"


def _address(client: Any) -> str:
    scheduler = client.scheduler
    return str(scheduler.address) if scheduler is not None else "the scheduler"


def _versions() -> dict[str, str]:
    return {"pandq": metadata.version("pandq"), "numpy": np.__version__, "kernels": build_name()}


def _refuse_others(client: Any) -> None:
    """Refuse workers whose results might differ from each other's or from this process's."""
    mine = _versions()
    try:
        found = client.run(_versions)
    except Exception as error:  # noqa: BLE001
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise InputError(
            what="the workers cannot run pandq",
            where=_address(client),
            got=reason[0],
            remedy="Install the same pandq on all of them.",
        ) from None
    for worker, theirs in found.items():
        for name in ("pandq", "numpy"):
            if theirs[name] != mine[name]:
                raise InputError(
                    what=f"worker {worker} has another {name}",
                    got=f"{theirs[name]}; here it is {mine[name]}",
                    remedy="Install the same on all of them: last bits could differ.",
                )


@contextlib.contextmanager
def cluster(
    scheduler: str | None = None, *, workers: int | None = None, cache: bool = False
) -> Iterator[Dask]:
    """The Dask cluster at an address, or one of this machine that is closed at the end.

    Args:
        scheduler: its address, such as tcp://10.0.0.1:8786.
        workers: processes of a cluster of one's own; one per core when left out.
        cache: as for `Dask`.

    Raises:
        MissingLibraryError: dask.distributed, or what its TLS needs, is not installed.
        InputError: nobody answers at the address, or no worker has joined.
    """
    try:
        import distributed
    except ImportError:
        raise MissingLibraryError.of(library="dask", what="--engine dask") from None
    dask: Any = distributed
    _silence()
    if scheduler is None:
        import dask.config as settings

        try:
            # whoever connects can run code: nobody does without the keys, which are made here
            security = dask.Security.temporary()
        except ImportError:
            msg = (
                "a cluster that is started here speaks TLS, which needs cryptography. Install it:"
                " pip install 'pandq[dask]'"
            )
            raise MissingLibraryError(msg) from None
        with settings.set(OF_OUR_OWN):
            own = dask.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                # without a place of its own it would take a port that everybody may reach
                dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False},
                host="127.0.0.1",
                security=security,
            )
        with own, dask.Client(own, security=security) as client:
            yield Dask(client, cache)
        return
    try:
        dask.comm.get_address_host_port(scheduler, strict=True)
        client = dask.Client(scheduler, timeout=CONNECT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            what="no Dask scheduler answers", where=scheduler, got=reason or "a timeout"
        ) from None
    try:
        _require_worker(client)
        yield Dask(client, cache)
    finally:
        client.close(timeout=2)


def _silence() -> None:
    """What Dask has to say of lost connections is said by EngineError, in one line."""
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _require_worker(client: Any) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT)
    except TimeoutError:
        raise InputError(
            what=f"no worker has joined in {CONNECT:.0f} seconds",
            where=_address(client),
            remedy="Start some: dask worker ADDRESS.",
        ) from None
