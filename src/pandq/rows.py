"""All that an audit wants to know of each row, measured together in one pass over P and Q."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core import kernels, measures, scores
from pandq.core.numerics import blocks
from pandq.views import Labels, View, paired

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.core.laws import Law

    Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RowMeasures:
    """(n,) float64 each, in nats where it has a unit; classes are whole numbers.

    `mass` is P's probability of Q's most probable class: the expected accuracy for a label
    drawn from P, which is what a confidence claims.
    """

    cross_entropy: Rows
    entropy: Rows
    kl: Rows
    accuracy: Rows
    brier: Rows
    confidence: Rows
    mass: Rows
    q_entropy: Rows
    p_class: NDArray[Any]
    q_class: NDArray[Any]

    def columns(self, *names: str) -> Rows:
        """(n, d) of the named measures, each of them contiguous."""
        return np.stack([getattr(self, name) for name in names]).T


NAMES = tuple(field.name for field in fields(RowMeasures))


def measure_rows(p: View, q: View) -> RowMeasures:
    """Every measure of an audit for each row.

    Args:
        p: n rows over K classes, what is true.
        q: n rows over K classes, what is predicted.

    Returns:
        RowMeasures of n rows.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the numbers of rows or classes differ.

    >>> from pandq import Labels, Probs
    >>> measure_rows(Labels([0]), Probs([[0.75, 0.25]])).brier
    array([0.125])
    """
    p, q = paired(p, q)
    found = kernels.measured(p.kind, p.array, q.kind, q.array)
    if found is not None:
        return RowMeasures(**_certain(p, found) if isinstance(p, Labels) else _asked(found))
    if isinstance(p, Labels):
        p.check_range()
    out = np.empty((len(NAMES), len(q)))
    for rows in blocks(len(q), q.n_classes or 1):
        law = q[rows].law()
        if isinstance(p, Labels):
            out[:, rows] = _of_labels(p.array[rows], law)
        else:
            out[:, rows] = _of_laws(p[rows].law(), law)
    return RowMeasures(*out)


def both_ways(p: View, q: View) -> dict[str, Rows]:
    """KL both ways, agreement of the top classes, and what Q gives P's top class.

    Args:
        p: n rows, the reference.
        q: n rows over the same classes.

    Returns:
        (n,) float64 each: kl, kl_reverse (nats), same_top1, p_confidence, q_mass.
    """
    names = {"same_top1": "accuracy"}
    wanted = ("kl", "kl_reverse", "same_top1", "p_confidence", "q_mass")
    found = kernels.measured(p.kind, p.array, q.kind, q.array, whole=False)
    if found is not None:
        return {name: found[names.get(name, name)] for name in wanted}
    out: dict[str, Any] = {name: np.empty(len(q)) for name in wanted}
    for rows in blocks(len(q), q.n_classes or 1):
        law_p, law_q = p[rows].law(), q[rows].law()
        top = scores.top_class(law_p)
        place = np.arange(len(top))
        out["kl"][rows] = measures.kl_divergence(law_p, law_q)
        out["kl_reverse"][rows] = measures.kl_divergence(law_q, law_p)
        out["same_top1"][rows] = top == scores.top_class(law_q)
        out["p_confidence"][rows] = law_p.prob[place, top]
        out["q_mass"][rows] = law_q.prob[place, top]
    return out


def label_losses(y: Labels, q: View) -> Rows:
    """-log q of the label, (n,) nats."""
    found = kernels.measured("labels", y.array, q.kind, q.array)
    if found is not None:
        return found["cross_entropy"]
    y.check_range()
    out = np.empty(len(q))
    for rows in blocks(len(q), q.n_classes or 1):
        law = q[rows].law()
        out[rows] = 0.0 - law.log_prob[np.arange(len(law.prob)), y.array[rows]]
    return out


def _asked(found: dict[str, Rows]) -> dict[str, Rows]:
    return {name: found[name] for name in NAMES}


def _certain(p: Labels, found: dict[str, Rows]) -> dict[str, Any]:
    """What a kernel found for labels, with what follows from P being certain."""
    loss, right = found["cross_entropy"], found["accuracy"]
    certain = {"entropy": np.zeros(len(p)), "kl": loss, "mass": right}
    return found | certain | {"p_class": p.array}


def _of_laws(p: Law, q: Law) -> tuple[Rows, ...]:
    top_p, top_q = scores.top_class(p), scores.top_class(q)
    return (
        measures.cross_entropy(p, q),
        measures.entropy(p),
        measures.kl_divergence(p, q),
        (top_p == top_q).astype(np.float64),
        scores.brier_score(p, q),
        scores.confidence(q),
        p.prob[np.arange(len(top_q)), top_q],
        measures.entropy(q),
        top_p.astype(np.float64),
        top_q.astype(np.float64),
    )


def _of_labels(y: NDArray[np.intp], q: Law) -> tuple[Rows, ...]:
    """The same for one-hot P, which needs one number of each row of Q where it can."""
    row = np.arange(len(y))
    loss = -q.log_prob[row, y] + 0.0
    top_q = scores.top_class(q)
    right = (top_q == y).astype(np.float64)
    at_label = q.prob[row, y]
    return (
        loss,
        np.zeros(len(y)),
        loss,
        right,
        np.square(q.prob).sum(axis=1) - np.square(at_label) + np.square(1.0 - at_label),
        scores.confidence(q),
        right,
        measures.entropy(q),
        y.astype(np.float64),
        top_q.astype(np.float64),
    )
