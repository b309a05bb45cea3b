"""TopK: the few log-probabilities that a hosted model returns, and what they say of a divergence.

The probability of all classes that were not returned is known, but not how it is spread over them.
Merging classes can only bring two distributions closer (the log sum inequality), so the divergence
of the merged ones is a certified lower bound; spreading what is unseen as badly as it can be is
an upper one, where Q is known well enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self

import numpy as np

from pandq.core.checks import MOST_CLASSES, as_array, first_bad, is_number
from pandq.core.numerics import storage_name, widen
from pandq.errors import InputError, RowError, ViewTypeError
from pandq.units import Unit, per_nat
from pandq.views.base import View, places
from pandq.views.labels import Labels
from pandq.views.matrix import TOLERANCES
from pandq.views.taken import TOP_KIND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from pandq.views.base import Index

    Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, init=False)
class TopK:
    """The k most probable classes of each row, and one bucket for all the others.

    Args:
        ids: (n, k) different class numbers in each row, in any order.
        log_probs: (n, k) natural logarithms of their probabilities, of any float type.
        n_classes: how many classes there are in all.
        tolerance: by how much a row's probabilities may sum to more than one.

    Raises:
        InputError: shapes differ, a class is out of range or named twice, a log-probability is
            NaN, a row sums to more than one, or what it leaves does not fit into the other classes:
            none of these is more probable than the least one given.

    >>> top = TopK([[3, 0]], np.log([[0.6, 0.3]]), n_classes=5)
    >>> top.unseen.round(6)
    array([0.1])
    """

    ids: NDArray[np.intp]
    log_probs: NDArray[np.float64]
    n_classes: int

    kind: ClassVar[str] = TOP_KIND

    def __init__(
        self,
        ids: ArrayLike,
        log_probs: ArrayLike,
        n_classes: int,
        *,
        tolerance: float | None = None,
    ) -> None:
        if not is_number(n_classes, Integral) or not 1 <= n_classes <= MOST_CLASSES:
            what = f"the number of classes is from 1 to {MOST_CLASSES:,}"
            raise InputError(what, got=repr(n_classes))
        places, stored = (np.atleast_2d(as_array("TopK", x)) for x in (ids, log_probs))
        if places.shape != stored.shape or places.ndim != 2:
            got = f"shapes {places.shape} and {stored.shape}"
            raise InputError(what="TopK needs one log-probability for each id", got=got)
        if places.dtype.kind not in "iu":
            raise InputError(what="TopK ids are class numbers", got=str(places.dtype))
        if stored.dtype.kind not in "fiu" and storage_name(stored.dtype) != "bfloat16":
            raise InputError(what="TopK log-probabilities are numbers", got=str(stored.dtype))
        limit = TOLERANCES.get(storage_name(stored.dtype), 1e-6) if tolerance is None else tolerance
        places, logs = places.astype(np.intp), widen(stored)
        first_bad(
            "TopK", (places < 0) | (places >= n_classes), "has a class out of range", "", places
        )
        ordered = np.sort(places, axis=1)
        first_bad("TopK", ordered[:, 1:] == ordered[:, :-1], "names a class twice")
        first_bad("TopK", np.isnan(logs), "holds NaN")
        total = np.exp(logs).sum(axis=1)
        off = (total > 1 + limit) | ((total < 1 - limit) & (places.shape[1] == n_classes))
        if off.any():
            row = int(off.argmax())
            raise RowError(
                view="TopK",
                row=row,
                problem=f"has probabilities that sum to {total[row]:.6g} (tolerance {limit:g})",
                remedy="Log-probabilities are natural logarithms, at most 0.",
            )
        _check_complete(logs, total, int(n_classes) - places.shape[1], limit)
        object.__setattr__(self, "ids", places)
        object.__setattr__(self, "log_probs", logs)
        object.__setattr__(self, "n_classes", int(n_classes))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, and classes that are known of each: (n, k)."""
        return len(self.ids), self.ids.shape[1]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NoReturn:  # noqa: FBT001 - NumPy's own
        raise TypeError("a TopK is two arrays: x.ids and x.log_probs")  # noqa: EM101

    def __getitem__(self, rows: Index) -> Self:
        some = places(rows, len(self))
        few = object.__new__(type(self))
        object.__setattr__(few, "ids", self.ids[some])
        object.__setattr__(few, "log_probs", self.log_probs[some])
        object.__setattr__(few, "n_classes", self.n_classes)
        return few

    def __iter__(self) -> Iterator[Self]:
        return (self[row] for row in range(len(self)))

    @property
    def unseen(self) -> Rows:
        """(n,) the probability of all classes that were not returned, at least a rounding error."""
        least = 4 * np.finfo(np.float64).eps
        rest = np.maximum(1.0 - np.exp(self.log_probs).sum(axis=1), least)
        fits: Rows = (self.n_classes - self.ids.shape[1]) * np.exp(
            self.log_probs.min(axis=1, initial=0.0)
        )
        unseen: Rows = np.minimum(rest, fits)
        return unseen


def _check_complete(logs: Rows, total: Rows, n_others: int, tolerance: float) -> None:
    """Raise RowError for the first row whose other classes cannot hold what it leaves to them."""
    most = np.exp(logs.min(axis=1, initial=0.0))
    too_much = 1 - total > n_others * most + tolerance
    if too_much.any():
        row = int(too_much.argmax())
        raise RowError(
            view="TopK",
            row=row,
            problem=(
                f"leaves {1 - total[row]:.3g} to {n_others} classes that are at most"
                f" {most[row]:.3g} each: these are not the most probable ones"
            ),
            remedy="Give the k most probable classes of each row, and no fillers (-inf, -9999).",
        )


def kl_bounds(
    p: TopK | View, q: TopK | View, *, q_floor: float | None = None, unit: Unit = "nat"
) -> tuple[Rows, Rows]:
    """Bounds of KL(P||Q) when only the top of P, of Q or of both is known.

    Args:
        p: n rows over K classes; a TopK, or any view.
        q: n rows over K classes; a TopK, or any view.
        q_floor: a probability that Q gives every class at least, if that is known; an upper
            bound needs it where Q is a TopK.
        unit: "nat" or "bit".

    Returns:
        low, high: (n,) float64, in `unit`. `low` is certified: the divergence with
        unseen classes merged. `high` is attained by the worst spread of P's unseen probability in
        which no unseen class is more probable than the least probable one seen; it is +inf
        where nothing is known of Q's unseen classes.

    Raises:
        ViewTypeError: an argument is neither a TopK nor a view.
        InputError: rows or classes differ, or the floor is no probability.

    Source: the log sum inequality, Cover and Thomas 2006, theorem 2.7.1.

    >>> from pandq import Probs
    >>> top = TopK([[0]], np.log([[0.5]]), n_classes=3)
    >>> low, high = kl_bounds(top, Probs([[0.5, 0.25, 0.25]]))
    >>> low.round(6), high.round(6)
    (array([0.]), array([0.346574]))
    """
    for name, x in (("p", p), ("q", q)):
        given: object = x
        if not isinstance(given, TopK | View):
            what = f"{name} must say what its numbers mean"
            remedy = "Wrap it: TopK(ids, log_probs, n_classes), Probs(x), Logits(x) ..."
            raise ViewTypeError(what, got=type(given).__name__, remedy=remedy)
    sized = {x.n_classes for x in (p, q) if x.n_classes is not None}
    if len(p) != len(q) or len(sized) != 1:
        got = f"{len(p)} x {p.n_classes} and {len(q)} x {q.n_classes}"
        raise InputError(what="P and Q have different numbers of rows or classes", got=got)
    k = sized.pop()
    if q_floor is not None and not 0 < q_floor <= 1 / k:
        raise InputError(
            what=f"a floor of {k} probabilities lies above 0 and at most at 1/{k}", got=str(q_floor)
        )
    low, high = np.empty(len(p)), np.empty(len(p))
    step = max(1, (1 << 20) // k)
    for start in range(0, len(p), step):
        rows = slice(start, start + step)
        low[rows], high[rows] = _bounds(_dense(p[rows], k), _dense(q[rows], k), q_floor)
    return low * per_nat(unit), high * per_nat(unit)


@dataclass(frozen=True, slots=True)
class _Known:
    """(n, K) log-probabilities, nan where a class was not returned, and the unseen probability."""

    log_prob: Rows
    unseen: Rows

    @property
    def seen(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.log_prob)


def _dense(x: TopK | View, k: int) -> _Known:
    if isinstance(x, TopK):
        log_prob = np.full((len(x), k), np.nan)
        np.put_along_axis(log_prob, x.ids, x.log_probs, axis=1)
        return _Known(log_prob, x.unseen)
    view = x.of_classes(k) if isinstance(x, Labels) else x
    return _Known(view.law().log_prob, np.zeros(len(x)))


def _bounds(p: _Known, q: _Known, q_floor: float | None) -> tuple[Rows, Rows]:
    both = p.seen & q.seen
    terms = _terms(np.where(both, p.log_prob, -np.inf), np.where(both, q.log_prob, 0.0))
    p_rest, q_rest = (_rest(x, both) for x in (p, q))
    low = terms.sum(axis=1) + _terms(_log(p_rest), _log(q_rest))
    if both.all():
        return np.maximum(low, 0.0), np.maximum(low, 0.0)
    return np.maximum(low, 0.0), np.maximum(_high(p, q, q_floor), low)


def _high(p: _Known, q: _Known, q_floor: float | None) -> Rows:
    """KL with P's unseen probability where it costs most, no class above the least one seen."""
    floor = -np.inf if q_floor is None else float(np.log(q_floor))
    log_q = np.where(q.seen, q.log_prob, floor)
    seen = _terms(np.where(p.seen, p.log_prob, -np.inf), log_q).sum(axis=1)
    high: Rows = seen.copy()
    for row in np.flatnonzero(p.unseen > 0):
        cap = float(np.exp(np.nanmin(p.log_prob[row])))
        costs = np.sort(log_q[row][~p.seen[row]])
        high[row] += _worst_spread(float(p.unseen[row]), cap, costs)
    return high


def _worst_spread(mass: float, cap: float, log_q: Rows) -> float:
    """The largest sum of p log p/q with p at most `cap` on each class and `mass` in all.

    A convex function is largest at a corner: as many classes as fit are at the cap, those of
    smallest q, and one has what is left.
    """
    full = min(int(mass / cap), len(log_q))
    left = mass - full * cap
    p = np.full(full, cap)
    if left > 0.0 and full < len(log_q):
        p = np.append(p, left)
    return float(_terms(np.log(p), log_q[: len(p)]).sum())


def _rest(x: _Known, both: NDArray[np.bool_]) -> Rows:
    """All the probability outside the classes that both name."""
    outside = np.where(x.seen & ~both, np.exp(np.where(x.seen, x.log_prob, 0.0)), 0.0)
    return np.asarray(outside.sum(axis=1) + x.unseen)


def _terms(log_p: Rows, log_q: Rows) -> Rows:
    """P log p/q with 0 log 0 = 0."""
    with np.errstate(invalid="ignore", over="ignore"):
        terms: Rows = np.where(log_p > -np.inf, np.exp(log_p) * (log_p - log_q), 0.0)
    return terms


def _log(x: Rows) -> Rows:
    with np.errstate(divide="ignore"):
        logs: Rows = np.log(x)
    return logs
