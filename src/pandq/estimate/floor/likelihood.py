"""The marginal likelihood of votes under a mixture of Dirichlet distributions, and its gradient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, expit, gammaln, logsumexp

from pandq.core.kernels.dirichlet import VotesInTiles

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

COMPONENTS = 3
# Inside this model ln q is floored here, so that exact zeros stay finite.
_Q_FLOOR = 1e-9
_CLASS_OFFSETS_UP_TO = 50
# As MOST_LOG_TOTAL of dirichlet.h.
_MOST_LOG_TOTAL = 60.0


def log_floored(q: Array) -> Array:
    """Logarithm of q, finite where q is zero.

    >>> bool(np.isfinite(log_floored(np.zeros(1)))[0])
    True
    """
    return np.log(np.maximum(q, _Q_FLOOR))


class Likelihood:
    """Negative marginal log-likelihood per row and its gradient, with everything fixed hoisted.

    Args:
        counts: Votes, shape (n, K), integers; every row has at least one.
        q: Predicted probabilities, shape (n, K), float64.
        features: What the totals and the gates depend on, shape (n, 2), float64.

    Source:
        Minka, Estimating a Dirichlet distribution (2000).
    """

    def __init__(self, counts: Counts, q: Array, features: Array) -> None:
        self.design, self.log_q = np.insert(features, 0, 1.0, axis=1), log_floored(q)
        self.rows, self.classes = q.shape
        self.votes = counts.sum(axis=1)
        self.row, self.column = np.nonzero(counts)
        self.hits = counts[self.row, self.column].astype(np.float64)
        self.offsets = self.classes if self.classes <= _CLASS_OFFSETS_UP_TO else 0
        self.tiles = VotesInTiles(counts, self.log_q, features)

    def start(self) -> Array:
        """Components for sure, ordinary and vague rows."""
        theta = np.zeros((COMPONENTS, 7 + self.offsets))
        theta[:, 0] = np.log([60.0, 6.0, 1.0])
        theta[:, 2] = [-5.0, -4.0, -3.0]
        theta[:, 3] = np.log([0.9, 0.6, 0.4])
        theta[:, 5] = [0.5, 0.0, -0.5]
        return theta

    def scales(self) -> Array:
        """Standard deviations of the ridge prior around the start: wide, so it only bounds."""
        wide = [3.0, 1.0, 3.0, 1.0, 3.0, 2.0, 2.0]
        return np.array(wide + [1.0] * self.offsets)

    def __call__(self, flat: Array) -> tuple[float, Array]:
        """At parameters of all components, shape (3 (7 + K),) or (21,) for many classes."""
        theta = flat.reshape(COMPONENTS, -1)
        out = np.zeros(1 + flat.size)
        if not self.tiles.sums(theta, out):
            self.numpy_sums(theta, out)
        away = (theta - self.start()) / self.scales()
        value = (0.5 * (away**2).sum() - out[0]) / self.rows
        slope = (away / self.scales() - out[1:].reshape(theta.shape)) / self.rows
        return float(value), slope.ravel()

    def numpy_sums(self, theta: Array, out: Array) -> None:
        """As `VotesInTiles.sums`, where no kernel was compiled."""
        feature, n = self.design[:, 1], self.rows
        log_gate = self.design @ theta[:, 4:7].T
        log_gate -= logsumexp(log_gate, axis=1, keepdims=True)
        fits, grads = np.empty((n, COMPONENTS)), []
        for r, (s, slope, leak_logit, log_b) in enumerate(theta[:, :4]):
            limited = np.clip(s + slope * feature, -_MOST_LOG_TOTAL, _MOST_LOG_TOTAL)
            total, leak, b = np.exp(limited), expit(leak_logit), np.exp(log_b)
            logits = b * self.log_q + theta[r, 7:] if self.offsets else b * self.log_q
            soft = np.exp(logits - logits.max(axis=1, keepdims=True))
            soft /= soft.sum(axis=1, keepdims=True)
            hit_soft = soft[self.row, self.column]
            mean = (1.0 - leak) * hit_soft + leak / self.classes
            alpha = total[self.row] * mean
            gain = gammaln(alpha + self.hits) - gammaln(alpha)
            fits[:, r] = np.bincount(self.row, gain, minlength=n)
            fits[:, r] += gammaln(total) - gammaln(total + self.votes)
            # d(log fit)/d(mean), non-zero only where there are votes: the rest cancels in the sum.
            pull = (digamma(alpha + self.hits) - digamma(alpha)) * total[self.row]
            common = total * (digamma(total) - digamma(total + self.votes))
            d_total = np.bincount(self.row, pull * mean, minlength=n) + common
            d_leak = np.bincount(self.row, pull * (1.0 / self.classes - hit_soft), minlength=n) * (
                leak * (1.0 - leak)
            )
            drive = (1.0 - leak) * pull * hit_soft
            row_drive = np.bincount(self.row, drive, minlength=n)
            at_hits = np.bincount(self.row, drive * self.log_q[self.row, self.column], minlength=n)
            d_b = b * (at_hits - row_drive * np.einsum("ij,ij->i", soft, self.log_q))
            grads.append((d_total, d_leak, d_b, drive, row_drive, soft))
        joint = log_gate + fits
        evidence = logsumexp(joint, axis=1)
        weight = np.exp(joint - evidence[:, None])
        gradient = np.zeros_like(theta)
        gradient[:, 4:7] = (weight - np.exp(log_gate)).T @ self.design
        for r, (d_total, d_leak, d_b, drive, row_drive, soft) in enumerate(grads):
            w = weight[:, r]
            gradient[r, :4] = w @ d_total, w @ (d_total * feature), w @ d_leak, w @ d_b
            if self.offsets:
                got = np.bincount(self.column, w[self.row] * drive, minlength=self.classes)
                gradient[r, 7:] = got - (w * row_drive) @ soft
        out[0], out[1:] = evidence.sum(), gradient.ravel()
