"""TopK: the few log-probabilities that a hosted model returns.

The probability of all classes that were not returned is known, but not how it is spread over them;
where those that were returned are the most probable ones, no other is more probable than the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, cast

import numpy as np

from pandq.core.checks import MOST_CLASSES, as_array, first_bad, is_number, whole_numbers
from pandq.core.numerics import storage_name, widen
from pandq.errors import InputError, RowError
from pandq.views.base import places
from pandq.views.matrix import TOLERANCES
from pandq.views.taken import TOP_KIND

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from pandq.views.base import Index

    Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, init=False)
class TopK:
    """The k most probable classes of each row, and one bucket for all the others.

    Args:
        ids: (n, k) different class numbers in each row, in any order; or lists of unequal length.
        log_probs: natural logarithms of their probabilities, of the same shape and any float type.
        n_classes: how many classes there are in all.
        ranks: of the same shape, each class's place among all, 1 for the most probable, where a
            server says it. A class beyond the first ones in a row without a gap (the token that was
            drawn, appended to the top) then says nothing of how probable the others may be.
        complete: whether the classes of a row are its most probable ones; False lifts the bound on
            what any other may have. Not beside `ranks`, which say it.
        tolerance: by how much a row's probabilities may sum to more than one.

    Attributes:
        ids: (n, k), -1 where a row has fewer than k.
        log_probs: (n, k) float64, -inf there.
        caps: (n,) the most that a class which was not returned may have.

    Raises:
        InputError: shapes differ, a class is out of range or named twice, a log-probability is
            NaN or the filler of a class that has none (-inf, -9999), ranks do not follow the
            log-probabilities, a row sums to more than one, or what it leaves does not fit into the
            other classes, none of which is more probable than the least one given.

    >>> top = TopK([[3, 0]], np.log([[0.6, 0.3]]), n_classes=5)
    >>> top.unseen.round(6), top.caps.round(6)
    (array([0.1]), array([0.3]))
    >>> appended = TopK([[3, 0, 1]], np.log([[0.6, 0.2, 0.001]]), 5, ranks=[[1, 2, 4]])
    >>> appended.caps.round(6)
    array([0.2])
    """

    ids: NDArray[np.intp]
    log_probs: NDArray[np.float64]
    n_classes: int
    caps: NDArray[np.float64]

    kind: ClassVar[str] = TOP_KIND

    def __init__(
        self,
        ids: ArrayLike | Sequence[ArrayLike],
        log_probs: ArrayLike | Sequence[ArrayLike],
        n_classes: int,
        *,
        ranks: ArrayLike | Sequence[ArrayLike] | None = None,
        complete: bool = True,
        tolerance: float | None = None,
    ) -> None:
        if not is_number(n_classes, Integral) or not 1 <= n_classes <= MOST_CLASSES:
            what = f"the number of classes is from 1 to {MOST_CLASSES:,}"
            raise InputError(what, got=repr(n_classes))
        if not isinstance(cast("object", complete), bool | np.bool_):
            raise InputError(what="complete is True or False", got=repr(complete))
        if ranks is not None and not complete:
            what = "ranks say which classes are the most probable ones"
            raise InputError(what, remedy="Leave complete out.")
        size = int(n_classes)
        named, logs, limit = _checked(ids, log_probs, size, tolerance)
        if ranks is not None:
            caps = _caps_by_rank(_ranks(ranks, named, logs, size), logs)
        else:
            caps = np.exp(np.where(named >= 0, logs, 0.0).min(axis=1, initial=0.0))
            caps = caps if complete else np.ones(len(named))
        _check_sums(named, logs, caps, size, limit)
        object.__setattr__(self, "ids", named)
        object.__setattr__(self, "log_probs", logs)
        object.__setattr__(self, "n_classes", size)
        object.__setattr__(self, "caps", caps)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and the most classes that are known of one: (n, k)."""
        return len(self.ids), self.ids.shape[1]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NoReturn:  # noqa: FBT001 - NumPy's own
        raise TypeError("a TopK is two arrays: x.ids and x.log_probs")  # noqa: EM101

    def __getitem__(self, rows: Index) -> Self:
        some = places(rows, len(self))
        few = object.__new__(type(self))
        for name in ("ids", "log_probs", "caps"):
            object.__setattr__(few, name, getattr(self, name)[some])
        object.__setattr__(few, "n_classes", self.n_classes)
        return few

    def __iter__(self) -> Iterator[Self]:
        return (self[row] for row in range(len(self)))

    @property
    def unseen(self) -> Rows:
        """(n,) the probability of all classes that were not returned, at least a rounding error."""
        least = 4 * np.finfo(np.float64).eps
        rest = np.maximum(1.0 - np.exp(self.log_probs).sum(axis=1), least)
        unseen: Rows = np.where((self.ids >= 0).sum(axis=1) < self.n_classes, rest, 0.0)
        return unseen


def _checked(
    ids: Any, log_probs: Any, n_classes: int, tolerance: float | None
) -> tuple[NDArray[np.intp], Rows, float]:
    """Ids and log-probabilities of one shape, -1 and -inf where a row has fewer; the tolerance."""
    named, stored = _side_by_side(ids, -1), _side_by_side(log_probs, np.nan)
    if stored.dtype.kind not in "fiu" and storage_name(stored.dtype) != "bfloat16":
        raise InputError(what="TopK log-probabilities are numbers", got=str(stored.dtype))
    if named.dtype.kind not in "iu":
        raise InputError(what="TopK ids are class numbers", got=str(named.dtype))
    ragged = _lengths(ids), _lengths(log_probs)
    if named.shape != stored.shape or named.ndim != 2 or not np.array_equal(*ragged):
        got = f"shapes {named.shape} and {stored.shape}"
        if named.shape == stored.shape and named.ndim == 2:
            row = int((ragged[0] != ragged[1]).argmax())
            got = f"{ragged[0][row]} and {ragged[1][row]} in row {row}"
        raise InputError(what="TopK needs one log-probability for each id", got=got)
    limit = TOLERANCES.get(storage_name(stored.dtype), 1e-6) if tolerance is None else tolerance
    absent = np.arange(named.shape[1]) >= ragged[0][:, None]
    named, logs = named.astype(np.intp), widen(stored)
    out = ((named < 0) | (named >= n_classes)) & ~absent
    first_bad("TopK", out, "has a class out of range", "", named)
    ordered = np.sort(np.where(absent, -1 - np.arange(named.shape[1]), named), axis=1)
    first_bad("TopK", ordered[:, 1:] == ordered[:, :-1], "names a class twice")
    first_bad("TopK", np.isnan(logs) & ~absent, "holds NaN")
    first_bad(
        "TopK",
        (np.exp(logs) == 0.0) & ~absent,
        "holds a filler, which is no log-probability",
        "Leave such entries out: rows may be lists of unequal length.",
        logs,
    )
    return np.where(absent, -1, named), np.where(absent, -np.inf, logs), limit


def _is_ragged(x: Any) -> bool:
    """Is this a list of lists of unequal length?"""
    if isinstance(x, np.ndarray) and x.dtype.kind != "O":
        return False
    if not isinstance(x, list | tuple | np.ndarray) or len(x) == 0:
        return False
    each = isinstance(x[0], list | tuple | np.ndarray)
    return each and all(np.ndim(row) == 1 for row in x) and len({len(row) for row in x}) > 1


def _side_by_side(x: Any, absent: float) -> NDArray[Any]:
    """(n, k), with `absent` where a row has fewer than k."""
    if not _is_ragged(x):
        return np.atleast_2d(as_array("TopK", x))
    flat = as_array("TopK", np.concatenate([np.asarray(row) for row in x if len(row)]))
    size = _lengths(x)
    wide = np.full((len(x), int(size.max())), absent).astype(flat.dtype)
    wide[np.arange(wide.shape[1]) < size[:, None]] = flat
    return wide


def _lengths(x: Any) -> NDArray[np.intp]:
    """(n,) how many entries each row has."""
    if _is_ragged(x):
        return np.array([len(row) for row in x])
    n, *k = np.atleast_2d(as_array("TopK", x)).shape
    return np.full(n, k[0])


def _ranks(ranks: Any, ids: NDArray[np.intp], logs: Rows, n_classes: int) -> NDArray[np.intp]:
    """Ranks of every class named, of the same shape; beyond all of them where a row has none."""
    given = _side_by_side(ranks, -1)
    if given.shape != ids.shape or not np.array_equal(_lengths(ranks), (ids >= 0).sum(axis=1)):
        got = f"shapes {given.shape} and {ids.shape}"
        raise InputError(what="TopK needs one rank for each id", got=got)
    whole = whole_numbers("TopK ranks", given.ravel()).reshape(given.shape)
    bad = (ids >= 0) & ((whole < 1) | (whole > n_classes))
    first_bad("TopK", bad, f"has a rank that is not from 1 to {n_classes}")
    whole = np.where(ids >= 0, whole, n_classes + 1)
    order = np.argsort(whole, axis=1, kind="stable")
    by_rank, sorted_logs = (np.take_along_axis(x, order, axis=1) for x in (whole, logs))
    rising = (np.diff(by_rank, axis=1) > 0) & (sorted_logs[:, 1:] > sorted_logs[:, :-1])
    remedy = "Rank 1 is the most probable class."
    first_bad("TopK", rising, "has ranks that do not follow its log-probabilities", remedy)
    return whole


def _caps_by_rank(ranks: NDArray[np.intp], logs: Rows) -> Rows:
    """The most that an unseen class may have: the last of the ranks 1, 2, ... without a gap.

    Classes of equal probability may share a rank, and the next is then as many further on.
    """
    order = np.argsort(ranks, axis=1, kind="stable")
    by_rank = np.take_along_axis(ranks, order, axis=1)
    unbroken = np.logical_and.accumulate(by_rank <= np.arange(1, ranks.shape[1] + 1), axis=1)
    last = np.where(unbroken, np.take_along_axis(logs, order, axis=1), 0.0)
    caps: Rows = np.exp(last.min(axis=1, initial=0.0))
    return caps


def _check_sums(
    ids: NDArray[np.intp], logs: Rows, caps: Rows, n_classes: int, tolerance: float
) -> None:
    """Raise RowError for the first row that sums to too much, or leaves more than can be held."""
    total = np.exp(logs).sum(axis=1)
    others = n_classes - (ids >= 0).sum(axis=1)
    off = (total > 1 + tolerance) | ((total < 1 - tolerance) & (others == 0))
    if off.any():
        row = int(off.argmax())
        raise RowError(
            view="TopK",
            row=row,
            problem=f"has probabilities that sum to {total[row]:.6g} (tolerance {tolerance:g})",
            remedy="Log-probabilities are natural logarithms, at most 0.",
        )
    too_much = 1 - total > others * caps + tolerance
    if too_much.any():
        row = int(too_much.argmax())
        raise RowError(
            view="TopK",
            row=row,
            problem=(
                f"leaves {1 - total[row]:.3g} to {others[row]} classes that are at most"
                f" {caps[row]:.3g} each: these are not the most probable ones"
            ),
            remedy=(
                "Give the k most probable classes of each row; else say complete=False, or give"
                " ranks (on the command line: --incomplete, or topk:IDS,LOG_PROBS,RANKS)."
            ),
        )
