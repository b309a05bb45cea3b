"""All that an audit wants to know of each row, measured together in one pass over P and Q."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core import kernels, measures, scores
from pandq.core.columns import Columns
from pandq.core.numerics import blocks
from pandq.core.scores import TIED
from pandq.views import Labels, in_pieces, paired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from pandq.core.laws import Law
    from pandq.views import View

    Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RowMeasures:
    """(n,) float64 each, in nats where it has a unit; classes are whole numbers, or TIED.

    `expected_accuracy` is P's probability of Q's most probable class: the expected accuracy for a
    label drawn from P, which is what a confidence claims. Of classes that share the largest
    probability each counts its share: the order of classes does not matter. Where it does, there is
    `rps`, the ranked probability score.

    A new one is a field here and its formula in FORMULAS.
    """

    cross_entropy: Rows
    entropy: Rows
    kl: Rows
    accuracy: Rows
    expected_accuracy: Rows
    brier: Rows
    confidence: Rows
    q_entropy: Rows
    p_class: NDArray[Any]
    q_class: NDArray[Any]
    rps: Rows | None = None

    def columns(self, *names: str) -> Columns:
        """(n, d) of the named measures, as they are."""
        return Columns([getattr(self, name) for name in names])


NAMES = tuple(field.name for field in fields(RowMeasures) if field.default is MISSING)
# Of classes in their order alone.
ORDERED = ("rps",)

# What no kernel and no short cut for labels knows is measured by these.
FORMULAS: dict[str, Callable[[Law, Law], NDArray[Any]]] = {
    "cross_entropy": measures.cross_entropy,
    "entropy": lambda p, _: measures.entropy(p),
    "kl": measures.kl_divergence,
    "accuracy": scores.accuracy,
    "expected_accuracy": scores.at_top,
    "brier": scores.brier_score,
    "confidence": lambda _, q: scores.confidence(q),
    "q_entropy": lambda _, q: measures.entropy(q),
    "p_class": lambda p, _: scores.top_class(p),
    "q_class": lambda _, q: scores.top_class(q),
    "rps": scores.ranked_probability_score,
}


def measure_rows(p: View, q: View, *, ordered: bool = False) -> RowMeasures:
    """Every measure of an audit for each row.

    Args:
        p: n rows over K classes, what is true.
        q: n rows over K classes, what is predicted.
        ordered: whether the classes are in their order, and `rps` is measured too.

    Returns:
        RowMeasures of n rows.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the numbers of rows or classes differ.

    >>> from pandq import Labels, Probs
    >>> measure_rows(Labels([0]), Probs([[0.75, 0.25]])).brier
    array([0.125])
    """
    names = (*NAMES, *ORDERED) if ordered else NAMES
    return RowMeasures(**in_pieces(partial(_every_measure, names=names), *paired(p, q)))


def _every_measure(p: View, q: View, *, names: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any]
    if callable(elsewhere := getattr(q, "measured", None)):
        found = elsewhere(p)
    else:
        found = kernels.measured(p.kind, p.array, q.kind, q.array) or {}
    if isinstance(p, Labels):
        found = _certain(p, found or _of_labels(p, q))
    elif found:
        tied = np.flatnonzero((found["p_class"] == TIED) | (found["q_class"] == TIED))
        for rows, law_p, law_q in _laws(p, q, tied):
            found["accuracy"][rows] = scores.accuracy(law_p, law_q)
            found["expected_accuracy"][rows] = scores.at_top(law_p, law_q)
    unknown = [name for name in names if name not in found]
    if unknown:
        found |= {name: np.empty(len(q)) for name in unknown}
        for some in blocks(len(q), q.n_classes or 1):
            laws = p[some].law(), q[some].law()
            for name in unknown:
                found[name][some] = FORMULAS[name](*laws)
    return {name: found[name] for name in names}


def both_ways(p: View, q: View) -> dict[str, Rows]:
    """KL both ways, agreement of the top classes, and what Q gives P's top class.

    Args:
        p: n rows, the reference.
        q: n rows over the same classes.

    Returns:
        (n,) float64 each: kl, kl_reverse (nats), same_top1, p_confidence, q_mass.
    """
    found: dict[str, Rows] = in_pieces(_both_ways, p, q)
    return found


def _both_ways(p: View, q: View) -> dict[str, Rows]:
    names = {"same_top1": "accuracy"}
    wanted = ("kl", "kl_reverse", "same_top1", "p_confidence", "q_mass")
    found = kernels.measured(p.kind, p.array, q.kind, q.array, whole=False)
    if found is not None:
        tied = np.flatnonzero((found["p_class"] == TIED) | (found["q_class"] == TIED))
        out: dict[str, Any] = {name: found[names.get(name, name)] for name in wanted}
        for rows, law_p, law_q in _laws(p, q, tied):
            out["same_top1"][rows] = scores.same_top(law_p, law_q)
            out["q_mass"][rows] = scores.at_top(law_q, law_p)
        return out
    out = {name: np.empty(len(q)) for name in wanted}
    for rows, law_p, law_q in _laws(p, q, np.arange(len(q))):
        out["kl"][rows] = measures.kl_divergence(law_p, law_q)
        out["kl_reverse"][rows] = measures.kl_divergence(law_q, law_p)
        out["same_top1"][rows] = scores.same_top(law_p, law_q)
        out["p_confidence"][rows] = scores.confidence(law_p)
        out["q_mass"][rows] = scores.at_top(law_q, law_p)
    return out


def same_tops(one: View, other: View, tops: NDArray[Any], other_tops: NDArray[Any]) -> Rows:
    """How much of one view's most probable class is the other's.

    Args:
        one: n rows.
        other: n rows over the same classes.
        tops: (n,) the first one's most probable classes, TIED where several are.
        other_tops: (n,) the other's.

    Returns:
        (n,) float64 from 0 to 1.
    """
    same: Rows = np.equal(tops, other_tops).astype(np.float64)
    tied = np.flatnonzero((tops == TIED) | (other_tops == TIED))
    for rows, law, other_law in _laws(one, other, tied):
        same[rows] = scores.same_top(law, other_law)
    return same


def by_top(
    q: View, tops: NDArray[Any], w: Rows | None = None
) -> tuple[Any, NDArray[np.intp], Rows | None]:
    """Rows by their most probable class; one in which m share the top is in each with weight 1/m.

    Args:
        q: n rows.
        tops: (n,) their most probable classes, TIED where several are.
        w: (n,) row weights, ones when left out.

    Returns:
        Which rows (all of them, slice(None), where there are no ties), the class of each, and its
        weight.

    >>> from pandq import Counts
    >>> rows, classes, weights = by_top(Counts([[1, 1], [0, 2]]), np.array([-1.0, 1.0]))
    >>> rows.tolist(), classes.tolist(), weights.tolist()
    ([0, 0, 1], [0, 1, 1], [0.5, 0.5, 1.0])
    """
    tied = np.flatnonzero(tops == TIED)
    if not len(tied):
        return slice(None), tops.astype(np.intp, copy=False), w
    alone = np.flatnonzero(tops != TIED)
    places, classes, shares = [alone], [tops[alone].astype(np.intp)], [np.ones(len(alone))]
    for some in blocks(len(tied), q.n_classes or 1):
        share = scores.top_shares(q[tied[some]].law())
        row, column = np.nonzero(share)
        places.append(tied[some][row])
        classes.append(column)
        shares.append(share[row, column])
    rows = np.concatenate(places)
    order = np.argsort(rows, kind="stable")
    rows, share = rows[order], np.concatenate(shares)[order]
    return rows, np.concatenate(classes)[order], share if w is None else share * w[rows]


def _laws(p: View, q: View, rows: NDArray[np.intp]) -> Iterator[tuple[Any, Law, Law]]:
    """Some rows as distributions, block by block."""
    for some in blocks(len(rows), q.n_classes or 1):
        yield rows[some], p[rows[some]].law(), q[rows[some]].law()


def label_losses(y: Labels, q: View) -> Rows:
    """-log q of the label, (n,) nats."""
    found: Rows = in_pieces(_label_losses, y, q)
    return found


def _label_losses(y: Labels, q: View) -> Rows:
    found = kernels.measured("labels", y.array, q.kind, q.array, only="cross_entropy")
    if found is not None:
        return found["cross_entropy"]
    y.check_range()
    out = np.empty(len(q))
    for rows in blocks(len(q), q.n_classes or 1):
        law = q[rows].law()
        out[rows] = 0.0 - law.log_prob[np.arange(len(law.prob)), y.array[rows]]
    return out


def _certain(p: Labels, found: dict[str, Any]) -> dict[str, Any]:
    """What was measured of Q and its labels, with what follows from P being certain."""
    loss, right = found["cross_entropy"], found["accuracy"]
    certain = {"entropy": np.zeros(len(p)), "kl": loss, "expected_accuracy": right}
    return found | certain | {"p_class": p.array}


def _of_labels(p: Labels, q: View) -> dict[str, Any]:
    """What a kernel would measure, with one number of each row of Q where that is enough."""
    p.check_range()
    names = ("cross_entropy", "accuracy", "brier", "confidence", "q_entropy", "q_class")
    out = {name: np.empty(len(q)) for name in names}
    for rows in blocks(len(q), q.n_classes or 1):
        law, y = q[rows].law(), p.array[rows]
        row = np.arange(len(y))
        at_label = law.prob[row, y]
        others = np.square(law.prob).sum(axis=1) - np.square(at_label)
        out["cross_entropy"][rows] = 0.0 - law.log_prob[row, y]
        out["accuracy"][rows] = scores.top_shares(law)[row, y]
        out["brier"][rows] = others + np.square(1.0 - at_label)
        out["confidence"][rows] = scores.confidence(law)
        out["q_entropy"][rows] = measures.entropy(law)
        out["q_class"][rows] = scores.top_class(law)
    return out
