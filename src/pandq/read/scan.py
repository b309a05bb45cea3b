"""Scan: a Source, and what its columns mean; it yields chunks of views."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.hashing import hash_ids
from pandq.errors import InputError, RowError, near_names
from pandq.read import columns as cols
from pandq.read.arrays import ArrayColumns
from pandq.read.recognise import Spec, recognised, resolved
from pandq.read.sources import (
    ARRAYS,
    ARROW,
    Source,
    Table,
    expanded,
    filtered,
    has_suffix,
    open_tables,
)
from pandq.views import VIEWS, Labels, Logits, Probs, View, paired, require_view

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from pandq.read.columns import Column

# A chunk has at most this many rows, and at most this many numbers in Q.
CHUNK_ROWS = 1 << 16
CHUNK_NUMBERS = 1 << 22


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of P and Q with all that is known of them."""

    start: int
    p: View
    q: View
    keys: NDArray[np.uint64]
    ids: Any
    groups: Mapping[str, tuple[NDArray[np.intp], tuple[str, ...]]]
    clusters: NDArray[np.uint64] | None = None
    weights: NDArray[np.float64] | None = None
    best_q: View | None = None

    def __len__(self) -> int:
        return len(self.q)


@dataclass(frozen=True, slots=True)
class Scan:
    """Rows of P and Q that can be gone through again and again, in constant memory.

    Made by `pandq.scan(...)` from files and tables, or inside `pandq.audit(p, q)` from views.
    """

    source: Source
    p: Spec
    q: Spec
    classes: tuple[str, ...] | None = None
    by: tuple[str, ...] = ()
    cluster: str | None = None
    id: str | None = None
    weights: str | None = None
    normalise: tuple[str, ...] = ()
    tolerance: float | None = None
    best_q: Spec | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def n_rows(self) -> int | None:
        """How many rows there are, if that is known without reading them."""
        return self.source.n_rows

    def chunks(self) -> Iterator[Chunk]:
        """The rows in order; the boundaries depend on the data's layout alone.

        Raises:
            InputError: a row is no law, with its number in the whole.
        """
        wanted = [*self.p.columns, *self.q.columns, *self.by]
        wanted += [name for name in (self.cluster, self.id, self.weights) if name]
        wanted += self.best_q.columns if self.best_q else ()
        per_row = self._numbers_per_row()
        rows = max(1, min(CHUNK_ROWS, CHUNK_NUMBERS // per_row))
        for start, batch in self.source.batches(list(dict.fromkeys(wanted)), rows):
            try:
                yield self._chunk(start, batch)
            except RowError as error:
                raise error.moved(start).at(self.source.name) from None
            except InputError as error:
                located = error.where.startswith(self.source.name)
                raise error if located else error.at(self.source.name) from None

    def _numbers_per_row(self) -> int:
        if self.q.wide:
            return len(self.q.columns)
        kind = self.source.schema[self.q.column]
        if getattr(kind, "list_size", 0):
            return int(kind.list_size)
        for _, batch in self.source.batches(self.q.columns, 1):
            return int(np.size(cols.numbers(self.q.column, batch[self.q.column]))) or 1
        return 1

    def _chunk(self, start: int, batch: Mapping[str, Column]) -> Chunk:
        p, q = self._view("p", self.p, batch), self._view("q", self.q, batch)
        p, q = paired(p, q)
        n = len(q)
        ids = np.arange(start, start + n) if self.id is None else batch[self.id]
        keys = hash_ids(cols.scalars(ids))
        clusters = None
        if self.cluster is not None:
            codes, names = cols.encoded(batch[self.cluster])
            clusters = hash_ids(np.array(names, dtype=np.str_))[codes]
        weights = None if self.weights is None else _weights(self.weights, batch[self.weights])
        groups = {name: cols.encoded(batch[name]) for name in self.by}
        best_q = None
        if self.best_q is not None:
            _, best_q = paired(p, self._view("best-q", self.best_q, batch))
        return Chunk(start, p, q, keys, ids, groups, clusters, weights, best_q)

    def _view(self, role: str, spec: Spec, batch: Mapping[str, Column]) -> View:
        try:
            if spec.kind == "labels":
                return Labels(cols.labels(spec.column, batch[spec.column]), classes=self.classes)
            parts = [cols.numbers(name, batch[name]) for name in spec.columns]
            array = cols.stacked(parts) if spec.wide else parts[0]
            if role in self.normalise:
                array = Probs.normalised(array).array
            if array.ndim == 1 and spec.kind in ("probs", "logits"):
                return (Probs if spec.kind == "probs" else Logits).binary(array)
            if array.ndim == 1:
                what = f"column {spec.column!r} holds one number per row, not one per class"
                raise InputError(
                    what, remedy="Give a column of lists, or wide columns: KIND:name_*."
                )
            options = (
                {}
                if self.tolerance is None or spec.kind == "counts"
                else {"tolerance": self.tolerance}
            )
            return VIEWS[spec.kind](array, **options)
        except InputError as error:
            where = f"column {spec.column!r}"
            if where not in str(error):
                error.at(where)
            if "normalised" in error.remedy:
                column = f"{role} logits:{spec.column}"
                error.remedy += f" (on the command line: --{column}; --normalise {role})"
            raise


def scan(
    data: Any,
    *,
    p: str | None = None,
    q: str | None = None,
    classes: Sequence[str] | None = None,
    by: Sequence[str] = (),
    cluster: str | None = None,
    id: str | None = None,  # noqa: A002
    weights: str | None = None,
    where: str | None = None,
    normalise: Sequence[str] = (),
    tolerance: float | None = None,
    best_q: str | None = None,
) -> Scan:
    """Rows of P and Q from files, globs, folders, or any table in memory.

    Args:
        data: a path or several (parquet, feather, csv, tsv, jsonl, npy, npz; globs and folders),
            or an object with `__arrow_c_stream__` (polars, pandas, pyarrow, duckdb).
        p: "KIND:COLUMN" of what is true, KIND one of labels, counts, probs, logprobs, logits;
            recognised by the usual names when left out.
        q: "KIND:COLUMN" of what is predicted; "probs:prob_*" takes one column per class.
        classes: the class names in the order of Q's columns, for labels that are names.
        by: columns whose values make the groups of a report.
        cluster: a column that says which rows belong together; intervals then allow for it.
        id: a column that names the rows; their numbers, from 0, when left out.
        weights: a column of row weights.
        where: a SQL condition on the rows.
        normalise: of "p" and "q", those whose rows are to be divided by their sums.
        tolerance: how far from one a row's sum may lie.
        best_q: "KIND:COLUMN" of a better model, for the upper bound on the floor.

    Returns:
        A Scan; nothing but the columns' names and types has been read yet.

    Raises:
        InputError: a file or column is missing, or P or Q is ambiguous.

    >>> import pyarrow as pa
    >>> table = pa.table({"label": [0, 1], "probs": [[0.9, 0.1], [0.2, 0.8]]})
    >>> rows = scan(table)
    >>> str(rows.p), str(rows.q), rows.n_rows
    ('labels:label', 'probs:probs', 2)
    """
    source = open_source(data, where=where)
    schema = source.schema
    chosen: list[str] = []
    try:
        p_spec = resolved(p, schema, option="--p") if p else _recognised(schema, "p", chosen)
        q_spec = resolved(q, schema, option="--q") if q else _recognised(schema, "q", chosen)
        best = resolved(best_q, schema, option="--best-q") if best_q else None
        named = [("--by", name) for name in by] + [
            (option, name)
            for option, name in (("--cluster", cluster), ("--id", id), ("--weights", weights))
            if name
        ]
        for option, name in named:
            if name not in schema:
                raise InputError(
                    what=f"{option}: no column {name!r}", remedy=near_names(name, schema)
                )
    except InputError as error:
        raise error.at(source.name) from None
    names = tuple(classes) if classes else (q_spec.classes or p_spec.classes)
    return Scan(
        source=source,
        p=p_spec,
        q=q_spec,
        classes=names,
        by=tuple(by),
        cluster=cluster,
        id=id,
        weights=weights,
        normalise=tuple(normalise),
        tolerance=tolerance,
        best_q=best,
        notes=tuple(chosen),
    )


def open_source(data: Any, *, where: str | None = None) -> Source:
    """The Source for paths or a table in memory.

    Raises:
        InputError: it is neither, or cannot be opened.
    """
    if hasattr(data, "__arrow_c_stream__"):
        table = Table(data)
        return filtered(table, where) if where else table
    if isinstance(data, str | Path):
        data = [data]
    if not (
        isinstance(data, list | tuple) and data and all(isinstance(x, str | Path) for x in data)
    ):
        raise InputError(
            what="scan needs paths, or a table with __arrow_c_stream__ (polars, pandas, pyarrow, duckdb)",
            got=type(data).__name__,
            remedy="Arrays go to pandq.audit(p, q) as views.",
        )
    files = expanded(data)
    if has_suffix(files[0], ARRAYS):
        if where:
            raise InputError(what="--where needs a table, not arrays", where=str(files[0]))
        return ArrayColumns(files)
    source = open_tables(files, where=None if has_suffix(files[0], ARROW) else where)
    if where and has_suffix(files[0], ARROW):
        import pyarrow.dataset as ds

        table = ds.dataset(files, format="feather").to_table()
        return filtered(Table(table, source.name), where)
    return source


@dataclass(frozen=True, slots=True)
class MemoryScan:
    """P and Q that are views already: the same chunks as a Scan, without files."""

    p: View
    q: View
    classes: tuple[str, ...] | None = None
    by: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    cluster: NDArray[Any] | None = None
    ids: NDArray[Any] | None = None
    weights: NDArray[np.float64] | None = None
    best_q: View | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.q)

    def chunks(self) -> Iterator[Chunk]:
        """The rows in order."""
        step = max(1, min(CHUNK_ROWS, CHUNK_NUMBERS // (self.q.n_classes or 1)))
        clusters = None if self.cluster is None else hash_ids(self.cluster.astype(np.str_))
        groups = {name: cols.encoded(values) for name, values in self.by.items()}
        ids = np.arange(self.n_rows) if self.ids is None else self.ids
        keys = hash_ids(ids)
        for start in range(0, self.n_rows, step):
            rows = slice(start, min(start + step, self.n_rows))
            yield Chunk(
                start,
                self.p[rows],
                self.q[rows],
                keys[rows],
                ids[rows],
                {name: (codes[rows], names) for name, (codes, names) in groups.items()},
                None if clusters is None else clusters[rows],
                None if self.weights is None else self.weights[rows],
                None if self.best_q is None else self.best_q[rows],
            )


def views_scan(
    p: object,
    q: object,
    *,
    classes: Sequence[str] | None = None,
    by: Mapping[str, ArrayLike] | None = None,
    cluster: ArrayLike | None = None,
    ids: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    best_q: object = None,
) -> MemoryScan:
    """P and Q in memory as rows to go through.

    Raises:
        ViewTypeError: P or Q is not a view.
        InputError: lengths or classes differ, or a weight is negative or not finite.
    """
    p_view, q_view = paired(require_view("p", p), require_view("q", q))
    n = len(q_view)
    if by is not None and not isinstance(by, MappingABC):
        raise InputError(
            what="by must name its arrays", got=type(by).__name__, remedy="by={'site': site}"
        )

    def column(name: str, values: ArrayLike | None) -> NDArray[Any] | None:
        if values is None:
            return None
        array = np.asarray(values)
        if array.shape != (n,):
            raise InputError(
                what=f"{name} needs one value per row ({n})", got=f"shape {array.shape}"
            )
        return array

    groups = {name: column(f"by[{name!r}]", values) for name, values in (by or {}).items()}
    raw = column("weights", weights)
    return MemoryScan(
        p_view,
        q_view,
        tuple(classes) if classes else None,
        {name: array for name, array in groups.items() if array is not None},
        column("cluster", cluster),
        column("ids", ids),
        None if raw is None else _weights("weights", raw),
        None if best_q is None else paired(p_view, best_q)[1],
    )


def _recognised(schema: Any, role: str, chosen: list[str]) -> Spec:
    spec = recognised(schema, role)
    chosen.append(f"--{role} {spec} was chosen by its name")
    return spec


def _weights(name: str, column: Column) -> NDArray[np.float64]:
    values = cols.scalars(column)
    if values.dtype.kind not in "iufb":
        raise InputError(what=f"weights {name!r} are no numbers", got=str(values.dtype))
    weights = values.astype(np.float64)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        row = int(bad.argmax())
        raise RowError(
            view="weights", row=row, problem="is negative or not finite", got=str(weights[row])
        )
    return weights
