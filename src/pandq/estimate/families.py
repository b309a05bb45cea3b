"""KL(Q||P) between laws with parameters in closed form, KL by sampling, and the evidence bound.

Here the first argument is the law that the expectation is under, as everywhere in pandq: for a
posterior q and a prior p the term of an ELBO is KL(q || p) = gaussian_kl(q..., p...).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import linalg, special

from pandq.core.numerics import exp_remainder
from pandq.errors import InputError
from pandq.estimate.intervals import Estimate
from pandq.measure import kl_divergence
from pandq.views import Probs

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

Estimator = Literal["k1", "k2", "k3"]


def gaussian_kl(
    mean_p: ArrayLike, covariance_p: ArrayLike, mean_q: ArrayLike, covariance_q: ArrayLike
) -> Floats:
    """KL(P||Q) of two Gaussians.

    Args:
        mean_p: (..., d) the mean of P.
        covariance_p: (..., d) variances of independent coordinates, or (d, d) a covariance.
        mean_q: (..., d) the mean of Q.
        covariance_q: likewise; either both are variances or both are matrices, or Q's is variances.

    Returns:
        (...) nats.

    Raises:
        InputError: a variance is not positive, a matrix is not positive definite, or shapes differ.

    Source: Kullback 1959, chapter 9, equation 1.13; Cover and Thomas 2006, exercise 8.

    >>> gaussian_kl([0.0], [1.0], [1.0], [1.0])
    np.float64(0.5)
    >>> gaussian_kl([0.0, 0.0], np.eye(2), [1.0, 0.0], np.eye(2))
    np.float64(0.5)
    """
    m, n = (np.asarray(x, dtype=np.float64) for x in (mean_p, mean_q))
    a, b = (np.asarray(x, dtype=np.float64) for x in (covariance_p, covariance_q))
    d = m.shape[-1] if m.ndim else 0
    if m.ndim < 1 or n.shape[-1:] != (d,):
        raise InputError(
            what="two Gaussians of one dimension are needed", got=f"{m.shape} and {n.shape}"
        )
    if a.shape == (d, d) and m.ndim == 1:
        return np.float64(_full_gaussian(m, a, n, b))  # type: ignore[return-value]
    _positive("a variance", a, b)
    # log(b/a) + a/b - 1, formed so that nearly equal variances keep their difference
    ratio = a / b
    terms = _excess(ratio) + np.square(m - n) / b
    found: Floats = 0.5 * terms.sum(axis=-1)
    return found


def _full_gaussian(m: Floats, a: Floats, n: Floats, b: Floats) -> float:
    """Half of tr(B^-1 A) - d - log det(B^-1 A) + (m - n) B^-1 (m - n), by eigenvalues of B^-1 A."""
    if b.shape == m.shape:
        _positive("a variance", b)
        b = np.diag(b)
    if b.shape != a.shape:
        raise InputError(what="covariances are (d, d)", got=f"{a.shape} and {b.shape}")
    for name, x in (("P", a), ("Q", b)):
        if not np.allclose(x, x.T, rtol=1e-10, atol=0.0):
            raise InputError(what=f"the covariance of {name} is not symmetric")
    try:
        root = np.linalg.cholesky(b)
    except np.linalg.LinAlgError:
        raise InputError(what="the covariance of Q is not positive definite") from None
    inner = linalg.solve_triangular(root, a, lower=True)
    inner = linalg.solve_triangular(root, inner.T, lower=True)
    ratio = np.linalg.eigvalsh((inner + inner.T) / 2)
    if not (ratio > 0).all():
        raise InputError(what="the covariance of P is not positive definite")
    apart = linalg.solve_triangular(root, m - n, lower=True)
    return 0.5 * float(_excess(ratio).sum() + apart @ apart)


def gamma_kl(
    shape_p: ArrayLike, rate_p: ArrayLike, shape_q: ArrayLike, rate_q: ArrayLike
) -> Floats:
    """KL(P||Q) of two Gamma laws.

    Args:
        shape_p: (...) positive.
        rate_p: (...) positive; 1 / scale.
        shape_q: (...) positive.
        rate_q: (...) positive.

    Returns:
        (...) nats.

    Raises:
        InputError: a parameter is not positive.

    Source: Penny 2001, equation 20 (with rates).

    >>> float(gamma_kl(1.0, 2.0, 1.0, 1.0).round(6))
    0.193147
    """
    a, s, b, t = (np.asarray(x, dtype=np.float64) for x in (shape_p, rate_p, shape_q, rate_q))
    _positive("a parameter", a, s, b, t)
    found: Floats = (
        (a - b) * special.digamma(a)
        - special.gammaln(a)
        + special.gammaln(b)
        + b * np.log(s / t)
        + a * (t - s) / s
    )
    return np.maximum(found, 0.0)


def beta_kl(a_p: ArrayLike, b_p: ArrayLike, a_q: ArrayLike, b_q: ArrayLike) -> Floats:
    """KL(P||Q) of two Beta laws.

    Args:
        a_p: (...) positive.
        b_p: (...) positive.
        a_q: (...) positive.
        b_q: (...) positive.

    Returns:
        (...) nats.

    Raises:
        InputError: a parameter is not positive.

    Source: Penny 2001, equation 13, of two dimensions.

    >>> float(beta_kl(1.0, 1.0, 2.0, 2.0).round(6))
    0.208241
    """
    p, q = (np.stack(np.broadcast_arrays(a, b), axis=-1) for a, b in ((a_p, b_p), (a_q, b_q)))
    return dirichlet_kl(p, q)


def dirichlet_kl(alpha_p: ArrayLike, alpha_q: ArrayLike) -> Floats:
    """KL(P||Q) of two Dirichlet laws.

    Args:
        alpha_p: (..., K) positive.
        alpha_q: (..., K) positive.

    Returns:
        (...) nats.

    Raises:
        InputError: a parameter is not positive.

    Source: Penny 2001, equation 13.

    >>> float(dirichlet_kl([1.0, 1.0], [2.0, 2.0]).round(6))
    0.208241
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (alpha_p, alpha_q))
    _positive("a parameter", a, b)
    a, b = np.broadcast_arrays(a, b)
    total_a, total_b = a.sum(axis=-1), b.sum(axis=-1)
    gaps = special.digamma(a) - special.digamma(total_a)[..., None]
    found: Floats = (
        special.gammaln(total_a)
        - special.gammaln(total_b)
        + (special.gammaln(b) - special.gammaln(a) + (a - b) * gaps).sum(axis=-1)
    )
    return np.maximum(found, 0.0)


def categorical_kl(p: ArrayLike, q: ArrayLike) -> Floats:
    """KL(P||Q) of two categorical laws; of rows with all checks it is `pandq.kl_divergence`.

    Args:
        p: (..., K) probabilities.
        q: (..., K) probabilities.

    Returns:
        (...) nats; +inf where q = 0 < p.

    Raises:
        InputError: a probability is negative, or they do not sum to one.

    Source: Kullback and Leibler 1951.

    >>> float(categorical_kl([1.0, 0.0], [0.5, 0.5]).round(6))
    0.693147
    """
    a, b = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (p, q)))
    k = a.shape[-1] if a.ndim else 1
    rows = kl_divergence(Probs(a.reshape(-1, k)), Probs(b.reshape(-1, k)))
    return rows.reshape(a.shape[:-1])


def bernoulli_kl(p: ArrayLike, q: ArrayLike) -> Floats:
    """KL(P||Q) of two Bernoulli laws.

    Args:
        p: (...) P's probability of success.
        q: (...) Q's.

    Returns:
        (...) nats; +inf where Q rules out what P allows.

    Raises:
        InputError: a probability is not between 0 and 1.

    Source: Kullback and Leibler 1951.

    >>> float(bernoulli_kl(1.0, 0.9).round(6))
    0.105361
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (p, q))
    return categorical_kl(np.stack([1 - a, a], axis=-1), np.stack([1 - b, b], axis=-1))


def monte_carlo_kl(
    log_p: Callable[[Any], ArrayLike],
    log_q: Callable[[Any], ArrayLike],
    samples: Any,
    *,
    estimator: Estimator = "k1",
    level: float = 0.95,
) -> Estimate:
    """KL(P||Q) from draws of P, with its standard error.

    With r = q/p at a draw of P, after Schulman 2020:

    | | of a draw | bias | gradient in Q's parameters | in P's, for draws as they are |
    |---|---|---|---|---|
    | k1 | -log r | none | unbiased | biased: it is 0 on average |
    | k2 | (log r)^2 / 2 | some, small for P near Q | biased | unbiased |
    | k3 | r - 1 - log r | none, if Q allows nothing that P forbids | unbiased | biased |

    Differentiating through the draws themselves (reparameterisation) makes k1's unbiased in both.
    k1 varies most, and a single draw of it may be negative; k3 never is, but has heavy tails where
    Q has mass that P misses.

    Args:
        log_p: log density of P, samples to (n,) nats.
        log_q: log density of Q, likewise.
        samples: n draws of P.
        estimator: "k1", "k2" or "k3".
        level: of the interval.

    Returns:
        An Estimate, in nats, by the draws' mean and Student's t.

    Raises:
        InputError: fewer than two draws, an unknown estimator, or NaN.

    Source: Schulman 2020, Approximating KL Divergence.

    >>> x = np.random.default_rng(0).normal(size=10_000)
    >>> found = monte_carlo_kl(lambda x: -x**2 / 2, lambda x: -((x - 1) ** 2) / 2, x)
    >>> bool(found.low < 0.5 < found.high)
    True
    """
    for name, f in (("log_p", log_p), ("log_q", log_q)):
        if not callable(f):
            raise InputError(what=f"{name} is a function of the samples", got=type(f).__name__)
    p, q = (np.asarray(f(samples), dtype=np.float64) for f in (log_p, log_q))
    if p.ndim != 1 or p.shape != q.shape or len(p) < 2:
        raise InputError(
            what="log densities of at least two draws are needed", got=f"{p.shape} and {q.shape}"
        )
    if np.isnan(p).any() or np.isnan(q).any() or not np.isfinite(p).all():
        raise InputError(
            what="a log density is NaN, or P gives one of its own draws no density",
            remedy="The draws must be of P, the first argument.",
        )
    log_r = q - p
    with np.errstate(over="ignore"):
        values = {
            "k1": -log_r,
            "k2": np.square(log_r) / 2,
            "k3": np.expm1(log_r) - log_r,
        }
    if estimator not in values:
        raise InputError(what="estimator is k1, k2 or k3", got=repr(estimator))
    x = values[estimator]
    if not np.isfinite(x).all():
        how = f"{estimator}: infinite, as Q rules out draws of P"
        return Estimate(np.inf, np.inf, np.inf, level, "nat", len(x), how, "kl")
    return _mean_of_draws(x, level, "kl", f"{estimator}, mean of {len(x):,} draws of P")


def elbo(log_likelihood: ArrayLike, kl: float, *, level: float = 0.95) -> Estimate:
    """The evidence lower bound, E_q[log p(data | w)] - KL(q || prior), from draws of q.

    Args:
        log_likelihood: (S,) log p(data | w) at S draws of q, nats.
        kl: KL(q || prior), exact: `gaussian_kl` and its like.
        level: of the interval, which is of the draws alone.

    Returns:
        An Estimate, in nats; log p(data) is at least its expectation.

    Raises:
        InputError: fewer than two draws, or NaN.

    Source: Jordan, Ghahramani, Jaakkola and Saul 1999, section 6.

    >>> elbo([-3.0, -3.0], 1.0).value
    -4.0
    """
    x = np.asarray(log_likelihood, dtype=np.float64)
    if x.ndim != 1 or len(x) < 2 or np.isnan(x).any() or np.isnan(kl):
        raise InputError(
            what="an ELBO needs the log-likelihood of at least two draws", got=f"shape {x.shape}"
        )
    how = f"KL(q||prior) exact, log-likelihood the mean of {len(x):,} draws of q"
    return _mean_of_draws(x - float(kl), level, "elbo", how)


def _mean_of_draws(x: Floats, level: float, name: str, how: str) -> Estimate:
    """The mean of independent draws, with Student's t (n - 1 degrees of freedom)."""
    n, mean = len(x), float(x.mean())
    error = float(x.std(ddof=1)) / np.sqrt(n)
    width = float(special.stdtrit(n - 1, (1 + level) / 2)) * error
    method = f"{how}, standard error {error:.2g}"
    return Estimate(mean, mean - width, mean + width, level, "nat", n, method, name)


def _excess(ratio: NDArray[Any]) -> Floats:
    """Ratio - 1 - log ratio, never negative and right near 1."""
    with np.errstate(divide="ignore"):
        return exp_remainder(np.log(ratio))


def _positive(what: str, *parameters: Floats) -> None:
    for x in parameters:
        if not (x > 0).all() or not np.isfinite(x).all():
            raise InputError(what=f"{what} must be positive and finite", got=str(x.ravel()[:3]))
