"""Rows and the map of their fold to their kernel: losses before and after, and log c(q)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.kernels.builds import build
from pandq.core.kernels.maps import SHORT_CLASSES, as_read, whole_steps
from pandq.core.kernels.run import KINDS, columns_of, described, mapped, require_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Places = NDArray[np.int64]

# As in parts.h.
IDENTITY, SOFTMAX, ISOTONIC = range(3)
# Which has no kernel.
CUMULATIVE = 3
LABEL_PARTS = ("loss", "recalibrated", "confidence", "hit", "q_class")
LAW_PARTS = (*LABEL_PARTS, "entropy", "brier", "brier_recalibrated", "squares")


@dataclass(frozen=True, eq=False)
class RowMap:
    """A map of each row's log q to m, and its mixture (1 - eps) m + eps f, for the kernels.

    Args:
        kind: IDENTITY, which mixes only in rows with a class that is ruled out; SOFTMAX of scores;
            ISOTONIC, of two classes; CUMULATIVE, of which kernels know nothing.
        freq: (K,) f, positive.
        eps: from 0 to 1.
        ruled_out: log q below it stands for log 0.
        scale: (K,) factors of log q in a SOFTMAX's scores, or (K, K).
        bias: (K,) summands of them.
        floor: what stands for log 0 among the scores of other classes.
        knots: (m,) rising log-odds of an ISOTONIC map.
        levels: (m,) probabilities of class 1 there.

    >>> one = RowMap(SOFTMAX, np.full(2, 0.5), 0.5, -640.0, np.ones(2), np.zeros(2))
    >>> found = one.of(np.log([[0.9, 0.1]]))
    >>> found is None or np.exp(found).round(12).tolist()
    [[0.7, 0.3]]
    """

    kind: int
    freq: Array
    eps: float
    ruled_out: float
    scale: Array | None = None
    bias: Array | None = None
    floor: float = 0.0
    knots: Array | None = None
    levels: Array | None = None

    @property
    def known(self) -> bool:
        """Whether there is a kernel for it: of long rows for no matrix."""
        if self.kind == CUMULATIVE:
            return False
        return self.scale is None or self.scale.ndim == 1 or len(self.freq) <= SHORT_CLASSES

    def of(self, log_q: Array) -> Array | None:
        """(n, K) log c(q) of (n, K) log q; None where there is no kernel.

        Raises:
            MemoryError: there is too little.
        """
        chosen, (n, k) = build(), log_q.shape
        if chosen is None or not self.known or 0 in log_q.shape:
            return None
        x, out = as_read(log_q), np.empty((n, k))
        told, _kept = self.told()

        def put(rows: slice) -> None:
            at, here = 8 * k * rows.start, rows.stop - rows.start
            chosen.map_rows(told, x.ctypes.data + at, here, k, out.ctypes.data + at)

        mapped(put, n, k)
        return out

    def told(self) -> tuple[tuple[Any, ...], list[Array]]:
        """As the kernels take it, and the arrays that must live as long."""
        none = np.zeros(0)
        scale, bias, knots, levels = (
            none if x is None else x for x in (self.scale, self.bias, self.knots, self.levels)
        )
        kept = [*map(whole_steps, (scale, bias, self.freq)), as_read(knots), as_read(levels)]
        scale_at, bias_at, freq_at, knots_at, levels_at = (x.ctypes.data for x in kept)
        mixture = self.eps, self.ruled_out, freq_at
        softmax = scale.ndim == 2, scale_at, bias_at, self.floor
        return (self.kind, *softmax, *mixture, knots_at, levels_at, len(knots)), kept


def row_parts(
    p_kind: str,
    p: NDArray[Any],
    q_kind: str,
    q: NDArray[Any],
    folds: NDArray[np.intp],
    maps: Sequence[RowMap],
) -> Mapping[str, Array] | None:
    """Each row before and after the map of its fold, in double precision whatever Q is stored in.

    Args:
        p_kind: the kind of P: labels, counts, probs, logprobs or logits.
        p: (n,) class numbers, or (n, K) of any number type; also bits of BFLOAT16.
        q_kind: the kind of Q, not labels.
        q: (n, K), likewise.
        folds: (n,) numbers of maps.
        maps: of each fold.

    Returns:
        (n,) float64 each by the names LABEL_PARTS or LAW_PARTS: `loss` and `recalibrated` in nats,
        Q's largest probability, P's probability of the class that has it (of several the mean),
        that class or TIED; then P's entropy, 1 - 2 pq + qq of Q and of c(Q), and the sum of p^2.
        None where there is no kernel for them.

    Raises:
        MemoryError: rows of so many classes do not fit into memory.
        InputError: a label that was checked has been changed since, and is no class.

    Rows must have been found sound (`first_doubt`).
    """
    chosen, x = build(), described(q_kind, q)
    known = all(one.known for one in maps)
    if chosen is None or x is None or 0 in q.shape or not known:
        return None
    n, k = q.shape
    labels = p_kind == "labels"
    truth = as_read(p, np.int64) if labels else p
    other = (0, 0, 0, 0) if labels else described(p_kind, p)
    if other is None:
        return None
    told_p = truth.ctypes.data if labels else 0, KINDS.get(p_kind, 0), other
    told = [one.told() for one in maps]

    def parts(build: ModuleType, rows: slice, out: int, stride: int) -> None:
        # a block's rows fold by fold, while they are in the cache
        here = folds[rows].astype(np.uint8)
        order = as_read(np.argsort(here, kind="stable") + rows.start, np.int64)
        at = order.ctypes.data
        for (one, _), count in zip(told, np.bincount(here, minlength=len(told)), strict=True):
            done = build.row_parts(one, told_p, KINDS[q_kind], x, at, int(count), k, out, stride)
            require_labels(done == count, k)
            at += 8 * int(count)

    return columns_of(LABEL_PARTS if labels else LAW_PARTS, chosen, parts, n, k, scattered=True)
