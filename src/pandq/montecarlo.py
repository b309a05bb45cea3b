"""KL by sampling, and the evidence bound: means of draws; KL between two samples, by neighbours."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import special

from pandq.core.checks import as_array, check_level, is_number, numbers
from pandq.errors import InputError
from pandq.results.estimate import Estimate
from pandq.sums.clusters import ClusterTotals

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

Estimator = Literal["k1", "k2", "k3"]


def monte_carlo_kl(
    log_p: Callable[[Any], ArrayLike],
    log_q: Callable[[Any], ArrayLike],
    samples: Any,
    *,
    estimator: Estimator = "k1",
    cluster: ArrayLike | None = None,
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
    Q is far more probable than P: r is then large at a draw that is rare, and may overflow.

    Args:
        log_p: log density of P, samples to (n,) nats.
        log_q: log density of Q, likewise.
        samples: n draws of P.
        estimator: "k1", "k2" or "k3".
        cluster: (n,) values that say which draws belong together (tokens of a sequence): they are
            not independent, and the interval is then over clusters.
        level: of the interval.

    Returns:
        An Estimate, in nats, by the draws' mean and Student's t.

    Raises:
        InputError: fewer than two draws or clusters, an unknown estimator, or NaN.

    Source: Schulman 2020, Approximating KL Divergence.

    >>> x = np.random.default_rng(0).normal(size=10_000)
    >>> found = monte_carlo_kl(lambda x: -x**2 / 2, lambda x: -((x - 1) ** 2) / 2, x)
    >>> bool(found.low < 0.5 < found.high)
    True
    """
    for name, f in (("log_p", log_p), ("log_q", log_q)):
        if not callable(f):
            raise InputError(what=f"{name} is a function of the samples", got=type(f).__name__)
    check_level(level)
    p, q = (numbers(name, f(samples)) for name, f in (("log_p", log_p), ("log_q", log_q)))
    if p.ndim != 1 or p.shape != q.shape or len(p) < 2:
        raise InputError(
            what="log densities of at least two draws are needed", got=f"{p.shape} and {q.shape}"
        )
    if np.isnan(q).any() or np.isposinf(q).any() or not np.isfinite(p).all():
        raise InputError(
            what="a log density is NaN or +inf, or P gives one of its own draws no density",
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
    places = None if cluster is None else _clusters(cluster, len(x))
    if not np.isfinite(x).all():
        return Estimate(np.inf, np.inf, np.inf, level, "nat", len(x), _why(log_r, estimator), "kl")
    how = f"{estimator}, mean of {len(x):,} draws of P"
    if places is None:
        return _mean_of_draws(x, level, "kl", how)
    return _mean_of_clusters(x, places, level, how)


def elbo(log_likelihood: ArrayLike, kl: float, *, level: float = 0.95) -> Estimate:
    """The evidence lower bound, E_q[log p(data | w)] - KL(q || prior), from draws of q.

    Args:
        log_likelihood: (S,) log p(data | w) at S draws of q, nats.
        kl: KL(q || prior), exact: `gaussian_kl` and its like.
        level: of the interval, which is of the draws alone.

    Returns:
        An Estimate, in nats; log p(data) is at least its expectation.

    Raises:
        InputError: fewer than two draws, or numbers that are not finite, or a negative KL.

    Source: Jordan, Ghahramani, Jaakkola and Saul 1999, section 6.

    >>> elbo([-3.0, -3.0], 1.0).value
    -4.0
    """
    check_level(level)
    x = numbers("log-likelihoods", log_likelihood)
    if x.ndim != 1 or len(x) < 2:
        raise InputError(
            what="an ELBO needs the log-likelihood of at least two draws", got=f"shape {x.shape}"
        )
    if not np.isfinite(x).all():
        got = f"{x[~np.isfinite(x)][0]:g}"
        raise InputError(what="a log-likelihood is not finite", got=got)
    if not is_number(kl) or not kl >= 0:
        raise InputError(what="kl is KL(q||prior), a number and not negative", got=repr(kl))
    how = f"KL(q||prior) exact, log-likelihood the mean of {len(x):,} draws of q"
    return _mean_of_draws(x - float(kl), level, "elbo", how)


def _mean_of_draws(x: Floats, level: float, name: str, how: str) -> Estimate:
    """The mean of independent draws, with Student's t (n - 1 degrees of freedom)."""
    n, mean = len(x), float(x.mean())
    error = float(x.std(ddof=1)) / np.sqrt(n)
    width = float(special.stdtrit(n - 1, (1 + level) / 2)) * error
    method = f"{how}, standard error {error:.3g}"
    return Estimate(mean, mean - width, mean + width, level, "nat", n, method, name)


def _clusters(cluster: ArrayLike, n: int) -> NDArray[np.intp]:
    """(n,) the number of each draw's cluster."""
    given = as_array("cluster", cluster)
    if given.shape != (n,):
        raise InputError(what=f"cluster needs one value per draw ({n})", got=f"shape {given.shape}")
    names, places = np.unique(given, return_inverse=True)
    if len(names) < 2:
        raise InputError(what="an interval over clusters needs at least two", got=str(len(names)))
    return places.astype(np.intp)


def _mean_of_clusters(x: Floats, places: NDArray[np.intp], level: float, how: str) -> Estimate:
    """The mean of all draws, with what clusters vary (Cameron and Miller 2015, eq. 11)."""
    totals = ClusterTotals.empty(1).of_only(
        np.zeros(len(x), np.uint64), places.astype(np.uint64), x[:, None]
    )
    size = totals.n_clusters()
    error = float(np.sqrt(totals.mean_covariance()[0, 0]))
    mean, t = float(x.mean()), float(special.stdtrit(size - 1, (1 + level) / 2))
    method = f"{how}, over {size:,} clusters, standard error {error:.3g}"
    ends = mean - t * error, mean + t * error
    return Estimate(mean, *ends, level, "nat", len(x), method, "kl")


def _why(log_r: Floats, estimator: Estimator) -> str:
    """Why a mean of draws is infinite."""
    if np.isneginf(log_r).any():
        return f"{estimator}: infinite, as Q rules out draws of P"
    largest = float(log_r.max())
    return (
        f"{estimator}: overflows, as Q's density is exp({largest:.3g}) times P's at a draw of P;"
        " this says nothing of KL(P||Q), which k1 estimates without r"
    )


# Groups whose own estimates vary by so much that the interval of `knn_kl` is made of it.
_GROUPS = 20


def knn_kl(x: ArrayLike, y: ArrayLike, *, k: int = 5, level: float = 0.95) -> Estimate:
    """KL(P||Q) between two samples, where neither density is known.

    How far a point's k-th neighbour is in either sample says how dense each is there:
    d/n sum log(nu_k / rho_k) + log(m / (n - 1)).

    It is consistent, and biased in any finite sample, because a density is not constant as far as
    the k-th neighbour, by an amount that falls as slowly as n^(-1/d). Where the two overlap it is
    small; where P reaches to where no y is, what is found is too small: of Gaussians in four
    dimensions that are 4.5 nats apart, 600 points of each find 2.9. The interval is of the sampling
    alone: it does not contain this bias, and is too narrow where the bias is large. Compare
    estimates of several n before a large one is believed.

    Args:
        x: (n, d) or (n,) independent draws of P, a continuous distribution.
        y: (m, d) or (m,) independent draws of Q.
        k: which neighbour; a larger one varies less and is biased more.
        level: of the interval.

    Returns:
        An Estimate, in nats, which sampling may leave below 0; its interval is by how much the
        estimates of 20 groups of both samples vary (Student's t).

    Raises:
        InputError: shapes differ, fewer than 20 (k + 1) points, numbers that are not finite, or
            points that are there k times over: a continuous distribution has none.

    Source: Wang, Kulkarni and Verdu 2009, Divergence estimation for multidimensional densities via
    k-nearest-neighbor distances, eq. 5.

    >>> rng = np.random.default_rng(0)
    >>> found = knn_kl(rng.normal(size=2000), rng.normal(1.0, size=2000))
    >>> bool(found.low < 0.5 < found.high)
    True
    """
    check_level(level)
    one, other = (_points(name, given, k) for name, given in (("x", x), ("y", y)))
    if one.shape[1] != other.shape[1]:
        got = f"{one.shape[1]} and {other.shape[1]}"
        raise InputError(what="the samples have different numbers of dimensions", got=got)
    value = _by_neighbours(one, other, k)
    # groups as the points come may be of one time or place: neighbours of them are dealt out
    apart = [_by_neighbours(one[g::_GROUPS], other[g::_GROUPS], k) for g in range(_GROUPS)]
    spread = float(np.std(apart, ddof=1)) / np.sqrt(_GROUPS)
    width = float(special.stdtrit(_GROUPS - 1, (1 + level) / 2)) * spread
    n, m, d = len(one), len(other), one.shape[1]
    method = (
        f"{k} nearest neighbours, {n:,} and {m:,} points in {d} dimension{'s' * (d > 1)}, standard"
        f" error {spread:.3g}; too small where few y are near x, which no interval contains"
    )
    return Estimate(value, value - width, value + width, level, "nat", n, method, "kl")


def _points(name: str, given: ArrayLike, k: int) -> Floats:
    """(n, d) points."""
    if not is_number(k, Integral) or k < 1:
        raise InputError(what="k is a whole number from 1", got=repr(k))
    points = numbers(name, given)
    points = points[:, None] if points.ndim == 1 else points
    if points.ndim != 2 or points.shape[1] < 1:
        raise InputError(what=f"{name} needs rows of numbers, (n, d)", got=f"shape {points.shape}")
    if len(points) < _GROUPS * (k + 1):
        what = f"{name} needs at least {_GROUPS * (k + 1)} points for neighbours of order {k}"
        raise InputError(what, got=f"{len(points)}")
    if not np.isfinite(points).all():
        raise InputError(what=f"{name} holds numbers that are not finite")
    return points


def _by_neighbours(x: Floats, y: Floats, k: int) -> float:
    from scipy.spatial import cKDTree

    own = np.asarray(cKDTree(x).query(x, [k + 1])[0])[:, 0]
    others = np.asarray(cKDTree(y).query(x, [k])[0])[:, 0]
    if not (own > 0).all() or not (others > 0).all():
        raise InputError(
            what="the samples hold points that are the same",
            remedy="Neighbours are for continuous distributions; count classes, or add the"
            " digits that were rounded away.",
        )
    d = x.shape[1]
    return float(d * np.log(others / own).mean() + np.log(len(y) / (len(x) - 1)))
