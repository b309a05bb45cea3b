"""Chunks: consecutive rows of P and Q, from views that are in memory already."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from pandq.core.checks import as_array
from pandq.core.classes import names_beside
from pandq.core.hashing import hash_ids
from pandq.errors import InputError, RowError, ViewTypeError
from pandq.read import columns as cols
from pandq.read.parts import Part
from pandq.views import (
    PARTIAL_KINDS,
    Labels,
    MultiLabel,
    Rounded,
    Sampled,
    TopK,
    Votes,
    formed,
    matched,
    paired,
    require_sampled,
    require_view,
    rows_at_once,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from pandq.read.columns import Column
    from pandq.views import View

# A chunk has at most this many rows, and at most this many numbers in Q.
CHUNK_ROWS = 1 << 16
CHUNK_NUMBERS = 1 << 22
# Of weights, whose squares are summed.
LARGEST_WEIGHT = 1e150


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of P and Q with all that is known of them."""

    start: int
    p: Any  # a View, or a TopK where only bounds are asked for
    q: Any
    keys: NDArray[np.uint64]
    ids: Any
    groups: Mapping[str, tuple[NDArray[np.intp], tuple[str, ...]]]
    clusters: NDArray[np.uint64] | None = None
    weights: NDArray[np.float64] | None = None
    best_q: Any = None
    rivals: tuple[Any, ...] = ()
    labels: Labels | None = None
    n_bytes: NDArray[np.float64] | None = None
    judge: View | None = None
    control: View | None = None
    votes: Votes | None = None  # whose annotators are known

    def __len__(self) -> int:
        return len(self.q)

    def __getitem__(self, rows: slice | NDArray[Any]) -> Chunk:
        """Some of the rows; of a slice each keeps its number."""

        def of(x: Any) -> Any:
            return None if x is None else x[rows]

        # Arrow's arrays take slices alone
        sliced = isinstance(rows, slice) or isinstance(self.ids, np.ndarray)
        return Chunk(
            self.start + (rows.indices(len(self))[0] if isinstance(rows, slice) else 0),
            self.p[rows],
            self.q[rows],
            self.keys[rows],
            self.ids[rows] if sliced else self.ids.take(np.arange(len(self))[rows]),
            {name: (codes[rows], names) for name, (codes, names) in self.groups.items()},
            of(self.clusters),
            of(self.weights),
            of(self.best_q),
            tuple(rival[rows] for rival in self.rivals),
            of(self.labels),
            of(self.n_bytes),
            of(self.judge),
            of(self.control),
            of(self.votes),
        )

    def by_vote(self) -> Iterator[VotesOfRows]:
        """The votes of known annotators as rows of one label, as many at once as rows may be."""
        if self.votes is None:
            return
        names = hash_ids(np.array(self.votes.annotator_names, np.str_))
        most = int(self.votes.votes.max(initial=1))
        step = max(1, chunk_rows(self.q.n_classes or 1) // max(most, 1))
        for start in range(0, len(self), step):
            some = self.votes[start : start + step]
            row = start + some.rows
            size = some.votes[some.rows]
            law = self.p[start : start + step].law().prob
            yield VotesOfRows(
                row,
                names[some.annotators],
                law[some.rows, some.codes],
                Chunk(
                    self.start,
                    Labels.trusted(some.codes.astype(np.int64), self.q.n_classes),
                    self.q[row],
                    self.keys[row],
                    row,
                    {},
                    None if self.clusters is None else self.clusters[row],
                    (1.0 if self.weights is None else self.weights[row]) / size,
                    rivals=tuple(rival[row] for rival in self.rivals),
                ),
            )

    @property
    def step(self) -> int:
        """How many rows a chunk of such rows has."""
        return step_of(self.p, self.q, self.best_q, self.control, *self.rivals)

    def of_class(self, k: int) -> Chunk:
        """The same rows, as P and Q of whether class `k` holds."""
        best_q = None if self.best_q is None else self.best_q.of_class(k)
        return replace(self, p=self.p.of_class(k), q=self.q.of_class(k), best_q=best_q)

    def formed(self) -> Chunk:
        """The same rows with the numbers of every view in memory.

        Raises:
            InputError: the product of hidden states and a head overflows.
        """
        names = ("p", "q", "best_q", "judge", "control")
        of = {name: formed(getattr(self, name), self.start) for name in names}
        rivals = tuple(formed(view, self.start) for view in self.rivals)
        return replace(self, rivals=rivals, **of)


@dataclass(frozen=True, slots=True)
class VotesOfRows:
    """Votes of some rows, each as a row of one label that has its part of the row's weight.

    Args:
        row: (m,) of which row of the chunk each is.
        annotators: (m,) the hashed name of who gave it.
        share: (m,) the share of the row's votes that agree with it, with itself.
        rows: P, every Q, keys, clusters and weights of the votes.
    """

    row: NDArray[np.int64]
    annotators: NDArray[np.uint64]
    share: NDArray[np.float64]
    rows: Any


def step_of(p: Any, q: Any, *others: Any) -> int:
    """How many rows of these a chunk has: of logits that are formed as many as may be at once."""
    return rows_at_once(p, q, *others) or chunk_rows(q.n_classes or 1)


def chunk_rows(n_classes: int) -> int:
    """How many rows a chunk has.

    >>> chunk_rows(10), chunk_rows(100_000)
    (65536, 41)
    """
    return max(1, min(CHUNK_ROWS, CHUNK_NUMBERS // max(1, n_classes)))


@dataclass(frozen=True, slots=True)
class MemoryScan:
    """P and Q that are views already: the same chunks as a Scan, without files."""

    p: Any
    q: Any
    classes: tuple[str, ...] | None = None
    by: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    cluster: NDArray[Any] | None = None
    ids: NDArray[Any] | None = None
    weights: NDArray[np.float64] | None = None
    best_q: View | None = None
    rivals: tuple[Any, ...] = ()
    labels: Labels | None = None
    notes: tuple[str, ...] = ()
    n_bytes: NDArray[np.float64] | None = None
    control: View | None = None
    votes: Votes | None = None
    named: bool = False

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.q)

    @property
    def multilabel(self) -> bool:
        """Whether each class is a question of its own."""
        return isinstance(self.q, MultiLabel)

    def parts(self) -> Sequence[Part]:
        """A chunk is a part."""
        step = step_of(self.p, self.q, self.best_q, self.control, *self.rivals)
        return [
            Part(i, "", None, start, 0, min(step, self.n_rows - start))
            for i, start in enumerate(range(0, self.n_rows, step))
        ]

    @property
    def apart(self) -> bool:
        """Whether parts are read sooner side by side."""
        return False

    def count(self, part: Part) -> int:
        """How many rows a part has."""
        return part.n_rows or 0

    def prepared(self) -> MemoryScan:
        """The rows themselves."""
        return self

    def chunks(self) -> Iterator[Chunk]:
        """The rows in order."""
        for _, chunk in self.pieces(self.parts()):
            yield chunk

    def pieces(self, parts: Sequence[Part]) -> Iterator[tuple[Part, Chunk]]:
        """The chunks, each with its part."""
        whole = self.whole()
        for part in parts:
            start = part.start or 0
            yield part, whole[start : start + self.count(part)]

    def whole(self, start: int = 0) -> Chunk:
        """All rows, as one chunk; they are numbered from `start`."""
        cluster = None if self.cluster is None else cols.one_zero(self.cluster)
        ids = np.arange(start, start + self.n_rows) if self.ids is None else self.ids
        return Chunk(
            start,
            self.p,
            self.q,
            hash_ids(ids),
            ids,
            {name: cols.grouped(name, values) for name, values in self.by.items()},
            None if cluster is None else hash_ids(cluster.astype(np.str_)),
            self.weights,
            self.best_q,
            self.rivals,
            self.labels,
            self.n_bytes,
            control=self.control,
            votes=self.votes,
        )


def _taken(p: object, q: object, rivals: Sequence[object]) -> list[Any]:
    """P and every Q as views of the same rows, which are known in full, in part or as drawn.

    Raises:
        ViewTypeError: one is not a view.
        InputError: they do not fit together.
    """
    given = [p, q, *rivals]
    if any(isinstance(x, MultiLabel) for x in given):
        return [*matched(p, q), *rivals]
    if any(isinstance(x, Sampled) for x in given):
        require_sampled(p, q, *rivals)
        found: list[Any] = given
        if len({len(x) for x in found}) > 1:
            got = " and ".join(str(len(x)) for x in found)
            raise InputError(what="P and Q have different numbers of rows", got=got)
        return found
    partly = (TopK, Rounded)
    if any(isinstance(x, partly) for x in given):
        named = zip(["p"] + ["q"] * (len(given) - 1), given, strict=True)
        return [x if isinstance(x, partly) else require_view(name, x) for name, x in named]
    p_view, q_view = paired(require_view("p", p), require_view("q", q))
    return [p_view, q_view, *(paired(p_view, rival)[1] for rival in rivals)]


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
    rivals: Sequence[object] = (),
    labels: object = None,
    n_bytes: ArrayLike | None = None,
    control: object = None,
) -> MemoryScan:
    """P and Q in memory as rows to go through.

    Raises:
        ViewTypeError: P or Q is not a view.
        InputError: lengths or classes differ, or a weight or number of bytes cannot be one.
    """
    p_view, q_view, *others = _taken(p, q, rivals)
    n = len(cast("View", q_view))
    if by is not None and not isinstance(by, MappingABC):
        raise InputError(
            what="by must name its arrays", got=type(by).__name__, remedy="by={'site': site}"
        )

    def column(name: str, values: ArrayLike | None) -> NDArray[Any] | None:
        if values is None:
            return None
        array = as_array(name, values)
        if array.shape != (n,):
            raise InputError(
                what=f"{name} needs one value per row ({n})", got=f"shape {array.shape}"
            )
        if array.dtype.kind == "O":
            array = np.array([cols.MISSING if x is None else str(x) for x in array], np.str_)
        return array

    groups = {name: column(f"by[{name!r}]", values) for name, values in (by or {}).items()}
    raw, sizes = column("weights", weights), column("n_bytes", n_bytes)
    return MemoryScan(
        p_view,
        q_view,
        names_beside(getattr(p_view, "classes", None), classes),
        {name: array for name, array in groups.items() if array is not None},
        column("cluster", cluster),
        column("ids", ids),
        None if raw is None else row_weights("weights", raw),
        None if best_q is None else matched(p_view, best_q)[1],
        tuple(others),
        None if labels is None else labels_beside(labels, cast("View", q_view)),
        tuple(getattr(p, "notes", ())),
        None if sizes is None else row_weights("n_bytes", sizes, what="n_bytes"),
        _again(p_view, control),
        p if isinstance(p, Votes) and p.annotators is not None else None,
        classes is not None,
    )


def _again(p: Any, control: object) -> View | None:
    """The view of P's model run a second time; beside a P that is known in part just a view."""
    if control is None or p.kind in PARTIAL_KINDS:
        return None if control is None else require_view("control", control)
    return paired(p, control)[1]


def labels_beside(labels: object, q: View | TopK) -> Labels:
    """Labels of the rows of Q, for losses beside a P that is a reference's.

    Raises:
        ViewTypeError: they are no Labels.
        InputError: their number or their range is not Q's.
    """
    if not isinstance(labels, Labels):
        got, remedy = type(labels).__name__, "Wrap them: Labels(y)."
        raise ViewTypeError(what="labels are Labels", got=got, remedy=remedy)
    if isinstance(q, TopK):
        if len(labels) != len(q):
            got = f"{len(labels)} and {len(q)}"
            raise InputError(what="labels and Q have different numbers of rows", got=got)
        return labels.of_classes(q.n_classes)
    return cast("Labels", paired(labels, q)[0])


def row_weights(name: str, column: Column, *, what: str = "weights") -> NDArray[np.float64]:
    """Row weights as float64; one that is negative, or whose square is no number, is an error.

    Args:
        name: of the column, for errors.
        column: as it came.
        what: what else they are, for errors: the sizes of rows are held to the same.
    """
    values = cols.numbers(name, column)
    if values.ndim != 1:
        raise InputError(what=f"{what} {name!r} are lists, not one number per row")
    weights = values.astype(np.float64)
    bad = ~(np.isfinite(weights) & (weights >= 0))
    problem = "is negative or not finite"
    if not bad.any():
        bad = (weights > LARGEST_WEIGHT) | ((weights > 0) & (weights < 1 / LARGEST_WEIGHT))
        problem = f"is not between {1 / LARGEST_WEIGHT:g} and {LARGEST_WEIGHT:g}"
    if bad.any():
        row = int(bad.argmax())
        raise RowError(view=what, row=row, problem=problem, got=str(weights[row]))
    return weights
