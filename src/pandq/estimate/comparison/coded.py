"""What codes of 16 bits leave open in the figures of a comparison of logits files.

Two things are not known of a row: each log p is rounded to a step of its codes, and of the classes
at the floor (more than 16 nats below the top) only that they lie there. `below` and `above` are
how far the truth may lie from what is shown, whatever was rounded and wherever those classes lie;
`expected` takes rounding errors as independent and uniform, and the floor's part as it is shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.core.kernels.coded import given_at
from pandq.core.numerics import blocks
from pandq.core.threads import over_cores
from pandq.sums.summary import Summary, merged_by, summary
from pandq.units import Unit, per_nat
from pandq.views.coded import CodedLogits, Codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk
    from pandq.rows import RowMeasures
    from pandq.views import View

    Rows = NDArray[np.float64]

COUNTS = (
    "classes_at_floor",
    "reference_classes_at_floor",
    "mass_at_floor",
    "reference_mass_at_floor",
    "p_at_q_floor",
)
FIGURES = ("p_entropy", "cross_entropy", "kl", "log_perplexity", "log_reference_perplexity")


@summary
class CodeSums(Summary):
    """Weighted sums over rows of codes; none where neither P nor Q is of codes.

    `random` holds squares of rounding's effects, `sure` the floor's part, and the worst on either
    side.
    """

    n: int
    weight: float
    counts: Rows
    random: Rows
    sure: Rows
    half_step: float = merged_by(max)
    labels: int = 0
    labels_at_floor: int = 0
    reference_labels_at_floor: int = 0

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        figures = len(FIGURES)
        return cls(0, 0.0, np.zeros(len(COUNTS)), np.zeros(figures), np.zeros((figures, 3)), 0.0)

    def of_only(self, chunk: Chunk, q: View, rows: RowMeasures) -> Self:
        """Of one chunk."""
        if not any(isinstance(view, CodedLogits) for view in (chunk.p, q)):
            return self.empty()
        p_side, q_side = _Side.of(chunk.p), _Side.of(q)
        w = np.ones(len(q)) if chunk.weights is None else chunk.weights
        at_q, at_p = p_side.given(q_side), q_side.given(p_side)
        low = [side.labels_at_floor(chunk) for side in (q_side, p_side)]
        found = [
            _entropy(p_side, rows.entropy),
            _cross_entropy(p_side, q_side, rows.cross_entropy, at_q),
            _divergence(p_side, q_side, rows.kl, at_q, at_p),
            *(_token(side, at) for side, at in zip((q_side, p_side), low, strict=True)),
        ]
        counts = [q_side.n_floor, p_side.n_floor, q_side.mass, p_side.mass, at_q]
        half = [side.half_step.max(initial=0.0) for side in (p_side, q_side)]
        used = w > 0
        return type(self)(
            len(q),
            float(w.sum()),
            np.stack(counts) @ w,
            np.stack([np.square(x[0] * w) for x in found]).sum(axis=1),
            np.stack([[(end[used] * w[used]).sum() for end in x[1:]] for x in found]),
            float(max(half)),
            0 if chunk.labels is None else len(chunk.labels),
            int(low[0].sum()),
            int(low[1].sum()),
        )

    def told(self, unit: Unit) -> dict[str, Any] | None:
        """What a result says of it; None where there were no codes.

        Args:
            unit: of entropies and divergences; logarithms of perplexities have none.
        """
        if self.weight == 0:
            return None
        scale = np.array([per_nat(unit)] * 3 + [1.0] * 2)[:, None]
        random = np.sqrt(self.random)[:, None] / self.weight * scale
        sure = self.sure / self.weight * scale
        effects = {}
        for place, name in enumerate(FIGURES):
            if name.startswith("log") and not self.labels:
                continue
            expected, below, above = sure[place]
            effects[name] = {
                "expected": float(random[place, 0] + expected),
                "below": float(below),
                "above": float(above) if math.isfinite(above) else None,
            }
        return {
            "half_step": self.half_step,
            **{name: float(x) for name, x in zip(COUNTS, self.counts / self.weight, strict=True)},
            "labels": self.labels,
            "labels_at_floor": self.labels_at_floor,
            "reference_labels_at_floor": self.reference_labels_at_floor,
            "effects": effects,
        }


@dataclass(frozen=True, slots=True)
class _Side:
    """P's or Q's rows, of codes or in full, in which case nothing is left open."""

    view: View
    codes: Codes

    @classmethod
    def of(cls, view: View) -> Self:
        codes = view.codes if isinstance(view, CodedLogits) else None
        nothing = np.zeros(len(view))
        return cls(view, codes or Codes(nothing, nothing, nothing, nothing, nothing))

    half_step = property(lambda self: self.codes.half_step)
    n_floor = property(lambda self: self.codes.n_floor)
    mass = property(lambda self: self.codes.mass)
    most = property(lambda self: self.codes.most)

    @property
    def deeper(self) -> Rows:
        """(n,) nats by which a class at the floor is given less than the most that it can have."""
        some = self.n_floor > 0
        return np.where(some, self.codes.least - np.where(some, self.codes.level, 0.0), 0.0)

    @property
    def cost(self) -> Rows:
        """(n,) -log p of the least probable class, as it is shown."""
        array = self.view.array
        if not isinstance(self.view, CodedLogits):
            array = self.view.law().log_prob
        least: Rows = array.min(axis=1).astype(np.float64)
        return -least

    def given(self, other: _Side) -> Rows:
        """(n,) the probability that is given here to the classes at the other's floor."""
        found = np.zeros(len(self.view))
        if not other.n_floor.any():
            return found
        here, there = self.view.array, other.view.array
        if not isinstance(self.view, CodedLogits):
            here = self.view.law().log_prob
        level = other.codes.level.astype(np.float32)

        def add(rows: slice) -> None:
            of_block = given_at(here[rows], there[rows], level[rows])
            if of_block is not None:
                found[rows] = of_block
                return
            floor = there[rows] <= level[rows, None]
            row = np.repeat(np.arange(len(floor)), [np.count_nonzero(x) for x in floor])
            p = np.exp(here[rows].ravel()[np.flatnonzero(floor)].astype(np.float64))
            found[rows] = np.bincount(row, weights=p, minlength=len(floor))

        over_cores(add, list(blocks(*there.shape)))
        return found

    def labels_at_floor(self, chunk: Chunk) -> NDArray[np.bool_]:
        """(n,) whether a row's label lies at the floor."""
        if chunk.labels is None or not self.n_floor.any():
            return np.zeros(len(self.view), np.bool_)
        log_p = self.view.array[np.arange(len(self.view)), chunk.labels.array]
        return np.asarray(log_p <= self.codes.level.astype(np.float32))


Effect = tuple[Any, Any, Any, Any]


def _entropy(p: _Side, entropy: Rows) -> Effect:
    """Of P's entropy: at random, as shown of the floor, at most lower, at most higher.

    m on n classes has at most m log(n/m), which rises with m until it is n/e.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        shown, most = (
            np.where(p.n_floor > 0, m * np.log(p.n_floor / m), 0.0) for m in (p.mass, p.most)
        )
    rounding = p.half_step * (1 + entropy)
    return rounding / math.sqrt(3), shown, rounding + shown, rounding + np.maximum(most - shown, 0)


def _cross_entropy(p: _Side, q: _Side, loss: Rows, at_q: Rows) -> Effect:
    """Of -E_p[log q]. Nothing says how low q is at its floor: where P has some there, no bound."""
    rounding = 2 * q.half_step + 2 * p.half_step * loss
    moved, lifted = p.most * q.cost, at_q * q.deeper
    above = np.where(at_q > 0, np.inf, rounding + moved)
    random = np.hypot(q.half_step, p.half_step * loss) / math.sqrt(3)
    return random, p.mass * q.cost + lifted, rounding + moved + lifted, above


def _divergence(p: _Side, q: _Side, kl: Rows, at_q: Rows, at_p: Rows) -> Effect:
    """Of KL(P||Q).

    E_p|log p/q| is at most KL + sqrt(2 KL) (Pinsker). What P's floor adds is at least -1/e of what
    Q gives those classes (the log sum inequality).
    """
    both = p.half_step + q.half_step
    rounding = 2 * both + 2 * p.half_step * (kl + np.sqrt(2 * np.maximum(kl, 0)))
    gap = np.maximum(p.codes.least + q.cost, 0.0)
    lifted = at_q * q.deeper
    most = p.most * gap + at_p / math.e
    random = np.hypot(p.half_step, q.half_step) / math.sqrt(3)
    # independent errors of log p and log q are themselves a divergence, of half their variance
    biased = (np.square(p.half_step) + np.square(q.half_step)) / 6
    above = np.where(at_q > 0, np.inf, rounding + most)
    return random, biased + p.mass + q.mass + lifted, rounding + most + lifted, above


def _token(side: _Side, at_floor: NDArray[np.bool_]) -> Effect:
    """Of -log p of the label."""
    rounding = 2 * side.half_step
    lifted = np.where(at_floor, side.deeper, 0.0)
    above = np.where(at_floor, np.inf, rounding)
    return side.half_step / math.sqrt(3), lifted, rounding + lifted, above
