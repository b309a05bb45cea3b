"""Bounds of a divergence of which only the top of P, of Q or of both is known.

The probability of all classes that were not returned is known, but not how it is spread over them.
Merging classes can only bring two distributions closer (the log sum inequality), so the divergence
of the merged ones is a certified lower bound; spreading what is unseen as badly as it can be is
an upper one, where Q is known well enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.errors import InputError, ViewTypeError
from pandq.units import Unit, per_nat
from pandq.views.base import View
from pandq.views.boxes import Box, box_bounds
from pandq.views.labels import Labels
from pandq.views.rounded import Rounded
from pandq.views.topk import TopK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float64]


def kl_bounds(
    p: TopK | Rounded | View,
    q: TopK | Rounded | View,
    *,
    q_floor: float | None = None,
    unit: Unit = "nat",
) -> tuple[Rows, Rows]:
    """Bounds of KL(P||Q) when only the top of P, of Q or of both is known, or they were rounded.

    Args:
        p: n rows over K classes; a TopK, Probs(x, decimals=), or any view.
        q: n rows over K classes; a TopK, Probs(x, decimals=), or any view.
        q_floor: a probability that Q gives every class at least, if that is known; an upper
            bound needs it where Q is a TopK.
        unit: "nat" or "bit".

    Returns:
        low, high: (n,) float64, in `unit`. `low` is certified: the divergence with unseen classes
        merged (of labels: no more than Q's caps leave them). `high` is attained by the worst spread
        of P's unseen probability in which no unseen class is more probable than P's `caps` allow;
        it is +inf where nothing is known of Q's unseen classes. Of rounded probabilities both hold
        for every distribution that rounds to them: `low` is the least but for rounding errors,
        `high` the most but for what the chord of one class's term is above it; +inf where Q may be
        0 and P not.

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
        if not isinstance(given, TopK | Rounded | View):
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
    rounded = isinstance(p, Rounded) or isinstance(q, Rounded)
    if rounded and (isinstance(p, TopK) or isinstance(q, TopK) or q_floor is not None):
        what = "rounded probabilities are known of all classes, and a TopK of some"
        raise InputError(what, got="both" if q_floor is None else "q_floor, which is for a TopK")
    if isinstance(p, Labels) and isinstance(q, TopK):
        least, most, _ = label_bounds(p, q, floor=q_floor)
        return -most * per_nat(unit), -least * per_nat(unit)
    low, high = np.empty(len(p)), np.empty(len(p))
    step = max(1, (1 << 20) // k)
    for start in range(0, len(p), step):
        rows = slice(start, start + step)
        if rounded:
            low[rows], high[rows] = box_bounds(_box(p[rows], k), _box(q[rows], k))
        else:
            low[rows], high[rows] = _bounds(_dense(p[rows], k), _dense(q[rows], k), q_floor)
    return low * per_nat(unit), high * per_nat(unit)


def label_bounds(y: Labels, q: TopK, *, floor: float | None = None) -> tuple[Rows, Rows, Rows]:
    """Bounds of the log-probability of labels of which a TopK may name some.

    Args:
        y: n labels among the same classes.
        q: n rows.
        floor: a probability that every class has at least, if that is known.

    Returns:
        least, most, evenly: (n,) log-probabilities. All three are what the TopK says of a label
        that it names. Of any other `most` is what its row's cap and unseen probability allow,
        `least` what the other unseen classes cannot hold, and `evenly` what it has if all unseen
        classes have the same.

    >>> top = TopK([[0], [0]], np.log([[0.5], [0.5]]), n_classes=3)
    >>> [x.round(3).tolist() for x in map(np.exp, label_bounds(Labels([0, 2]), top))]
    [[0.5, 0.0], [0.5, 0.5], [0.5, 0.25]]
    """
    label = y.of_classes(q.n_classes).array
    hit = q.ids == label[:, None]
    named, known = hit.any(axis=1), np.where(hit, q.log_probs, -np.inf).max(axis=1)
    beside = np.maximum(q.n_classes - (q.ids >= 0).sum(axis=1) - 1, 0)
    unseen, least_of_all = q.unseen, 0.0 if floor is None else floor
    most = np.minimum(q.caps, np.maximum(unseen - beside * least_of_all, 0.0))
    least = np.minimum(np.maximum(unseen - beside * most, least_of_all), most)
    ends = (_log(x) for x in (least, most, unseen / (beside + 1)))
    one, two, three = (np.where(named, known, x) for x in ends)
    return one, two, three


@dataclass(frozen=True, slots=True)
class _Known:
    """(n, K) log-probabilities, nan where a class was not returned; what is left, and its caps."""

    log_prob: Rows
    unseen: Rows
    caps: Rows

    @property
    def seen(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.log_prob)


def _box(x: Any, k: int) -> Box:
    """What each probability lies between."""
    if isinstance(x, Rounded):
        return Box(x.low, x.high)
    view = x.of_classes(k) if isinstance(x, Labels) else x
    prob = view.law().prob
    return Box(prob, prob)


def _dense(x: Any, k: int) -> _Known:
    if isinstance(x, TopK):
        log_prob = np.full((len(x), k), np.nan)
        row, place = np.nonzero(x.ids >= 0)
        log_prob[row, x.ids[row, place]] = x.log_probs[row, place]
        return _Known(log_prob, x.unseen, x.caps)
    view = x.of_classes(k) if isinstance(x, Labels) else x
    nothing = np.zeros(len(x))
    return _Known(view.law().log_prob, nothing, nothing)


def _bounds(p: _Known, q: _Known, q_floor: float | None) -> tuple[Rows, Rows]:
    both = p.seen & q.seen
    terms = _terms(np.where(both, p.log_prob, -np.inf), np.where(both, q.log_prob, 0.0))
    p_rest, q_rest = (_rest(x, both) for x in (p, q))
    low = terms.sum(axis=1) + _terms(_log(p_rest), _log(q_rest))
    if both.all():
        return np.maximum(low, 0.0), np.maximum(low, 0.0)
    return np.maximum(low, 0.0), np.maximum(_high(p, q, q_floor), low)


def _high(p: _Known, q: _Known, q_floor: float | None) -> Rows:
    """KL with P's unseen probability where it costs most, no class above its row's cap."""
    floor = -np.inf if q_floor is None else float(np.log(q_floor))
    log_q = np.where(q.seen, q.log_prob, floor)
    seen = _terms(np.where(p.seen, p.log_prob, -np.inf), log_q).sum(axis=1)
    high: Rows = seen.copy()
    for row in np.flatnonzero(p.unseen > 0):
        costs = log_q[row][~p.seen[row]]
        high[row] += _worst_spread(float(p.unseen[row]), float(p.caps[row]), costs)
    return high


def _worst_spread(mass: float, cap: float, log_q: Rows) -> float:
    """The largest sum of p log p/q with p at most `cap` on each class and `mass` in all.

    A convex function is largest at a corner: as many classes as fit are at the cap, those of
    smallest q, and one has what is left. What no class has room for is a rounding error of what
    was seen, at most the tolerance: it is where it costs most.
    """
    full = min(int(mass / cap), len(log_q))
    used = min(full + 1, len(log_q))
    costs = np.sort(np.partition(log_q, used - 1)[:used])
    p = np.full(used, cap)
    left = mass - full * cap
    if used > full:
        p[full] = max(left, 0.0)
    else:
        p[0] += max(left, 0.0)
    return float(_terms(_log(p), costs).sum())


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
