"""A mixture of Dirichlet distributions for the unknown class distribution p of a row, given q.

Only a model: its means serve to sort cells into groups, where any choice leaves the certificate
valid, and its posterior entropies are reported as model-based.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import digamma, expit, gammaln, logsumexp, softmax

from pandq.core.hashing import hash_ids
from pandq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

COMPONENTS = 3
# Inside this model ln q is floored here, so that exact zeros stay finite.
_Q_FLOOR = 1e-9
# Keeps the log-odds of a float32 probability that rounds to one at about 9.
_ODDS_FLOOR = 1e-4
_CLASS_OFFSETS_UP_TO = 50
_FIT_CELLS = 2_000_000
_CHUNK_CELLS = 2_000_000
_MAX_ITERATIONS = 150


def confidence_features(q: Array) -> Array:
    """Two features of how sure the model is: log-odds of the top class, log of top over second.

    Args:
        q: Predicted probabilities, shape (n, K), float64.

    Returns:
        Shape (n, 2), float64, finite for every q.

    >>> confidence_features(np.array([[0.5, 0.5]])).tolist()
    [[0.0, 0.0]]
    """
    top = np.partition(q, q.shape[1] - 2, axis=1)[:, -2:]
    odds = np.log((top[:, 1] + _ODDS_FLOOR) / (1.0 - top[:, 1] + _ODDS_FLOOR))
    lead = np.log((top[:, 1] + _ODDS_FLOOR) / (top[:, 0] + _ODDS_FLOOR))
    return np.stack([odds, lead], axis=1)


@dataclass(frozen=True)
class DirichletMixture:
    """p | q as a mixture of Dirichlet distributions whose parameters depend on q.

    alpha_rk = exp(s_r + s'_r f) mu_rk,  mu_rk = (1 - e_r) softmax_k(b_r ln q_k + v_rk) + e_r / K,
    with gates softmax_r(g_r . (1, f, f')).

    Args:
        log_total: s, shape (R,).
        slope: s', shape (R,).
        leak: logit of e, shape (R,).
        log_sharpness: ln b, shape (R,).
        offset: v, shape (R, K), or (R, 1) and zero for many classes.
        gate: g, shape (R, 3).
        centre: Means of the features, shape (2,).
        spread: Standard deviations of the features, shape (2,).

    Source:
        Minka, Estimating a Dirichlet distribution (2000), for the marginal likelihood.
    """

    log_total: Array
    slope: Array
    leak: Array
    log_sharpness: Array
    offset: Array
    gate: Array
    centre: Array
    spread: Array

    def _design(self, q: Array) -> Array:
        scaled = (confidence_features(q) - self.centre) / self.spread
        return np.hstack([np.ones((q.shape[0], 1)), scaled])

    def gates(self, q: Array) -> Array:
        """Prior weights of the components, shape (n, R)."""
        weights: Array = softmax(self._design(q) @ self.gate.T, axis=1)
        return weights

    def totals(self, q: Array) -> Array:
        """Total concentrations sum_k alpha_rk, shape (n, R)."""
        return np.exp(self.log_total + self._design(q)[:, 1:2] * self.slope)

    def means(self, q: Array) -> Array:
        """Means mu of the components, shape (R, n, K)."""
        log_q = np.log(np.maximum(q, _Q_FLOOR))
        leak = expit(self.leak)[:, None, None]
        logits = np.exp(self.log_sharpness)[:, None, None] * log_q + self.offset[:, None, :]
        means: Array = (1.0 - leak) * softmax(logits, axis=2) + leak / q.shape[1]
        return means

    def prior_moments(self, q: Array) -> tuple[Array, Array]:
        """E[p_k | q] and E[p_k^2 | q].

        Args:
            q: Predicted probabilities, shape (n, K), float64.

        Returns:
            Two arrays of shape (n, K), float64.
        """
        weight, means = self.gates(q).T[:, :, None], self.means(q)
        total = self.totals(q).T[:, :, None]
        second = means * (total * means + 1.0) / (total + 1.0)
        return (weight * means).sum(axis=0), (weight * second).sum(axis=0)

    def prior_mean(self, q: Array) -> Array:
        """E[p_k | q], shape (n, K)."""
        return self.prior_moments(q)[0]

    def count_law(self, q: Array, votes: int) -> Array:
        """Predicted distribution of the votes for each class among `votes` (beta-binomial mixture).

        Args:
            q: Predicted probabilities, shape (n, K), float64.
            votes: m >= 1.

        Returns:
            Shape (n, K, m + 1), float64, summing to one over the last axis.

        Source:
            Marginals of the Dirichlet-multinomial; Johnson, Kotz and Balakrishnan (1997), ch. 35.
        """
        total = self.totals(q).T[:, :, None]
        hit = self.means(q) * total
        miss, weight = total - hit, self.gates(q).T[:, :, None]
        law = np.empty((*q.shape, votes + 1))
        term = np.ones_like(hit)
        for i in range(votes):
            term *= (miss + i) / (total + i)
        for j in range(votes):
            law[..., j] = (weight * term).sum(axis=0)
            term *= (votes - j) / (j + 1.0) * (hit + j) / (miss + votes - j - 1.0)
        law[..., votes] = (weight * term).sum(axis=0)
        return law

    def posterior_entropy(self, counts: Counts, q: Array) -> Array:
        """E[H(p) | counts, q], in nats; model-based.

        The posterior of each component is Dirichlet(alpha + c), whose mean entropy is
        psi(A + m + 1) - sum_k (alpha_k + c_k) / (A + m) psi(alpha_k + c_k + 1).

        Args:
            counts: Votes, shape (n, K), integers.
            q: Predicted probabilities, shape (n, K), float64.

        Returns:
            Shape (n,), float64.

        Source:
            Wolpert and Wolf (1995), Estimating functions of probability distributions.
        """
        out = np.empty(q.shape[0])
        for part in row_chunks(q.shape[0], q.shape[1] * self.log_total.size):
            c, votes = counts[part], counts[part].sum(axis=1)
            alpha = self.means(q[part]) * self.totals(q[part]).T[:, :, None]
            total = self.totals(q[part]).T
            log_weight = np.log(self.gates(q[part])).T + gammaln(total) - gammaln(total + votes)
            row, column = np.nonzero(c)
            for r, a in enumerate(alpha[:, row, column]):
                gain = gammaln(a + c[row, column]) - gammaln(a)
                log_weight[r] += np.bincount(row, gain, minlength=votes.size)
            weight = np.exp(log_weight - logsumexp(log_weight, axis=0))
            posterior = alpha + c
            share = posterior / (total + votes)[:, :, None]
            entropy = digamma(total + votes + 1.0) - (share * digamma(posterior + 1.0)).sum(axis=2)
            out[part] = (weight * entropy).sum(axis=0)
        return out

    def sample(self, q: Array, rng: np.random.Generator) -> Array:
        """Draws one p per row from the model, shape (n, K)."""
        component = (rng.random((q.shape[0], 1)) > self.gates(q).cumsum(axis=1)[:, :-1]).sum(axis=1)
        rows = np.arange(q.shape[0])
        alpha = self.means(q)[component, rows] * self.totals(q)[rows, component][:, None]
        # Gamma draws with a tiny shape underflow; the logarithm of G(a) = G(a + 1) U^(1/a) does
        # not.
        log_gamma = (
            np.log(rng.standard_gamma(alpha + 1.0)) + np.log(rng.random(alpha.shape)) / alpha
        )
        draws: Array = softmax(log_gamma, axis=1)
        return draws


def row_chunks(rows: int, width: int) -> Iterator[slice]:
    """Slices over the rows that bound the size of dense temporaries.

    >>> list(row_chunks(3, _CHUNK_CELLS))
    [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None)]
    """
    size = max(1, _CHUNK_CELLS // width)
    for start in range(0, rows, size):
        yield slice(start, min(rows, start + size))


class _Likelihood:
    """Negative marginal log-likelihood per row and its gradient, with everything fixed hoisted."""

    def __init__(self, counts: Counts, q: Array, design: Array) -> None:
        self.design, self.log_q = design, np.log(np.maximum(q, _Q_FLOOR))
        self.rows, self.classes = q.shape
        self.votes = counts.sum(axis=1)
        self.row, self.column = np.nonzero(counts)
        self.hits = counts[self.row, self.column].astype(np.float64)
        self.offsets = self.classes if self.classes <= _CLASS_OFFSETS_UP_TO else 0

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
        theta = flat.reshape(COMPONENTS, -1)
        feature, n = self.design[:, 1], self.rows
        log_gate = self.design @ theta[:, 4:7].T
        log_gate -= logsumexp(log_gate, axis=1, keepdims=True)
        fits, grads = np.empty((n, COMPONENTS)), []
        for r, (s, slope, leak_logit, log_b) in enumerate(theta[:, :4]):
            total, leak, b = np.exp(s + slope * feature), expit(leak_logit), np.exp(log_b)
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
        away = (theta - self.start()) / self.scales()
        value = (0.5 * (away**2).sum() - evidence.sum()) / n
        slope_all = (away / self.scales() - gradient) / n
        return float(value), slope_all.ravel()


def fit_mixture(counts: Counts, q: Array, *, max_rows: int = 20_000) -> DirichletMixture:
    """Fit the mixture to votes by marginal likelihood.

    Args:
        counts: Votes, shape (n, K), integers; every row has at least one.
        q: Predicted probabilities, shape (n, K), float64; zeros are allowed.
        max_rows: Rows used, chosen by a hash of the row index; fewer when K is large.

    Returns:
        The fitted mixture.

    Raises:
        InputError: No row, or a row without votes.

    Source:
        Dirichlet-multinomial likelihood, Minka (2000); L-BFGS-B, Byrd et al. (1995).
    """
    if counts.shape[0] == 0 or counts.sum(axis=1).min() < 1:
        raise InputError(
            what="the mixture needs rows with at least one vote each: drop rows without"
        )
    limit = min(max_rows, max(500, _FIT_CELLS // q.shape[1]))
    if q.shape[0] > limit:
        chosen = np.sort(np.argsort(hash_ids(np.arange(q.shape[0])), kind="stable")[:limit])
        counts, q = counts[chosen], q[chosen]
    features = confidence_features(q)
    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-3
    design = np.hstack([np.ones((q.shape[0], 1)), (features - centre) / spread])
    likelihood = _Likelihood(counts, q, design)
    # Optimising in units of the ridge prior puts all parameters on one scale.
    unit, origin = np.tile(likelihood.scales(), COMPONENTS), likelihood.start().ravel()

    def scaled(z: Array) -> tuple[float, Array]:
        value, gradient = likelihood(origin + unit * z)
        return value, unit * gradient

    result = minimize(
        scaled,
        np.zeros_like(origin),
        jac=True,
        method="L-BFGS-B",
        # four prior deviations: beyond them nothing changes but the exponentials that overflow
        bounds=[(-4.0, 4.0)] * origin.size,
        options={"maxiter": _MAX_ITERATIONS, "maxcor": 20, "ftol": 1e-9},
    )
    theta = (origin + unit * result.x).reshape(COMPONENTS, -1)
    offset = theta[:, 7:] if likelihood.offsets else np.zeros((COMPONENTS, 1))
    log_total, slope, leak, log_sharpness = theta[:, :4].T
    return DirichletMixture(
        log_total, slope, leak, log_sharpness, offset, theta[:, 4:7], centre, spread
    )
