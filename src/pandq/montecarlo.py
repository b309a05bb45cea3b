"""KL by sampling, and the evidence bound: means of draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import special

from pandq.core.checks import check_level, is_number, numbers
from pandq.errors import InputError
from pandq.results.estimate import Estimate

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
    Q has probability where P has none.

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
    if not np.isfinite(x).all():
        return Estimate(np.inf, np.inf, np.inf, level, "nat", len(x), _why(log_r, estimator), "kl")
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


def _why(log_r: Floats, estimator: Estimator) -> str:
    """Why a mean of draws is infinite."""
    if np.isneginf(log_r).any():
        return f"{estimator}: infinite, as Q rules out draws of P"
    largest = float(log_r.max())
    return (
        f"{estimator}: overflows, as Q's density is exp({largest:.3g}) times P's at a draw of P;"
        " this says nothing of KL(P||Q), which k1 estimates without r"
    )
