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
from scipy.special import digamma, expit, gammaln, log_softmax, logsumexp, softmax

from pandq.core.hashing import hash_ids
from pandq.errors import InputError
from pandq.estimate.floor.likelihood import COMPONENTS, Likelihood, log_floored

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

# Keeps the log-odds of a float32 probability that rounds to one at about 9.
_ODDS_FLOOR = 1e-4
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
        log_q = log_floored(q)
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
            # whose gate underflows has a logarithm all the same
            gates = log_softmax(self._design(q[part]) @ self.gate.T, axis=1).T
            log_weight = gates + gammaln(total) - gammaln(total + votes)
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
    likelihood = Likelihood(counts, q, (features - centre) / spread)
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
