"""KL(P||Q) between parametric distributions, in closed form.

Here the first argument is the distribution that the expectation is under, as everywhere in pandq:
for a posterior q and a prior p the term of an ELBO is KL(q || p) = gaussian_kl(q..., p...).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pandq.core.checks import numbers, together
from pandq.core.numerics import exp_remainder
from pandq.core.stirling import log_ratio, nu_divergence, nu_loss, nu_slope_change, scaled_excess
from pandq.errors import InputError
from pandq.measure.entropies import kl_divergence
from pandq.views import Probs

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

# How far a covariance may be from symmetric, in units of the standard deviations.
SYMMETRIC = 1e-10


def gaussian_kl(
    mean_p: ArrayLike, covariance_p: ArrayLike, mean_q: ArrayLike, covariance_q: ArrayLike
) -> Floats:
    """KL(P||Q) of two Gaussians, or of as many as the leading dimensions say.

    Args:
        mean_p: (..., d) the mean of P.
        covariance_p: variances of independent coordinates, (..., d), with no more dimensions than
            the means; or covariances, (..., d, d), with more.
        mean_q: (..., d) the mean of Q.
        covariance_q: likewise.

    Returns:
        (...) nats.

    Raises:
        InputError: a variance is not positive, a matrix is not symmetric (relative to its
            diagonal) or not positive definite, or shapes differ.

    Source: Kullback 1959, chapter 9, equation 1.13; Cover and Thomas 2006, exercise 8.

    >>> gaussian_kl([0.0], [1.0], [1.0], [1.0])
    np.float64(0.5)
    >>> gaussian_kl([0.0, 0.0], np.eye(2), [1.0, 0.0], np.eye(2))
    np.float64(0.5)
    """
    m, n = (numbers("means", x) for x in (mean_p, mean_q))
    a, b = (numbers("covariances", x) for x in (covariance_p, covariance_q))
    _check_shapes(m, n, a, b)
    dims = max(m.ndim, n.ndim)
    if max(a.ndim, b.ndim) > dims:
        return _full_gaussian(m, n, *(_covariances(x, dims) for x in (a, b)))
    _positive("a variance", a, b)
    one = np.ones(())
    # log(b/a) + a/b - 1, formed so that nearly equal variances keep their difference
    with np.errstate(over="ignore"):  # what no float64 holds is infinite
        terms = exp_remainder(log_ratio(a, one, b, one)) + np.square((m - n) / np.sqrt(b))
    found: Floats = 0.5 * terms.sum(axis=-1)
    return found


def _check_shapes(m: Floats, n: Floats, a: Floats, b: Floats) -> None:
    """Raise InputError where these are no means, variances and covariances of one dimension."""
    d = m.shape[-1:]
    if not d or not d[0] or n.shape[-1:] != d:
        got = f"{m.shape} and {n.shape}"
        raise InputError(what="two Gaussians of one dimension are needed", got=got)
    if not np.isfinite(m).all() or not np.isfinite(n).all():
        raise InputError(what="a mean is not finite", got=str(np.append(m, n)[:3]))
    rows = [m.shape, n.shape]
    for x in (a, b):
        full = x.ndim > max(m.ndim, n.ndim)
        if x.shape[-1:] != d or (full and x.shape[-2:-1] != d):
            raise InputError(
                what=f"variances are (..., {d[0]}), covariances (..., {d[0]}, {d[0]})",
                got=f"{x.shape} beside means {m.shape} and {n.shape}",
                remedy="Covariances have more dimensions than the means: of all rows (1, d, d).",
            )
        rows.append(x.shape[:-1] if full else x.shape)
    try:
        np.broadcast_shapes(*rows)
    except ValueError:
        got = f"means {m.shape} and {n.shape}, {a.shape} and {b.shape}"
        raise InputError(what="the shapes of two Gaussians differ", got=got) from None


def _covariances(x: Floats, dims: int) -> Floats:
    """Covariances as they are; variances on the diagonals of some."""
    if x.ndim <= dims:
        _positive("a variance", x)
        return x[..., None] * np.eye(x.shape[-1])
    scale = np.sqrt(np.abs(np.diagonal(x, axis1=-2, axis2=-1)))
    apart = np.abs(x - np.swapaxes(x, -1, -2))
    if not (apart <= SYMMETRIC * scale[..., None] * scale[..., None, :]).all():
        raise InputError(what="a covariance is not symmetric")
    return x


def _full_gaussian(m: Floats, n: Floats, a: Floats, b: Floats) -> Floats:
    """Half of tr(B^-1 A) - d - log det(B^-1 A) + (m - n) B^-1 (m - n), by eigenvalues of B^-1 A."""
    # in units of Q's own standard deviations, so that no scale is too small
    unit = np.sqrt(np.diagonal(b, axis1=-2, axis2=-1))
    scales = unit[..., None] * unit[..., None, :]
    try:
        root = np.linalg.cholesky(b / scales)
    except np.linalg.LinAlgError:
        raise InputError(what="the covariance of Q is not positive definite") from None

    def inner(x: Floats) -> Floats:
        half: Floats = np.linalg.solve(root, x / scales)
        both = np.linalg.solve(root, np.swapaxes(half, -1, -2))
        symmetric: Floats = (both + np.swapaxes(both, -1, -2)) / 2
        return np.linalg.eigvalsh(symmetric).astype(np.float64)

    ratio, change = inner(a), inner(a - b)
    if not (ratio > 0).all():
        raise InputError(what="the covariance of P is not positive definite")
    # nearly equal covariances keep their difference
    close = np.abs(change) <= 0.5
    logs = np.where(close, np.log1p(np.where(close, change, 0.0)), np.log(ratio))
    apart = np.linalg.solve(root, ((m - n) / unit)[..., None])[..., 0]
    found: Floats = 0.5 * (exp_remainder(logs).sum(axis=-1) + np.square(apart).sum(axis=-1))
    return found


def gamma_kl(
    shape_p: ArrayLike, rate_p: ArrayLike, shape_q: ArrayLike, rate_q: ArrayLike
) -> Floats:
    """KL(P||Q) of two Gamma distributions.

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
    a, s, b, t = together("parameters", shape_p, rate_p, shape_q, rate_q)
    _positive("a parameter", a, s, b, t)
    # b e(log of the ratio of the means), and what the shapes differ in beyond Stirling's main part
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found: Floats = scaled_excess(b, log_ratio(a, t, b, s)) + nu_divergence(b, a, b - a)
    return _held(found)


def beta_kl(a_p: ArrayLike, b_p: ArrayLike, a_q: ArrayLike, b_q: ArrayLike) -> Floats:
    """KL(P||Q) of two Beta distributions.

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
    a, b, c, d = together("parameters", a_p, b_p, a_q, b_q)
    p, q = np.stack([a, b], axis=-1), np.stack([c, d], axis=-1)
    return dirichlet_kl(p, q)


def dirichlet_kl(alpha_p: ArrayLike, alpha_q: ArrayLike) -> Floats:
    """KL(P||Q) of two Dirichlet distributions.

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
    a, b = together("parameters", alpha_p, alpha_q)
    _of_classes(a)
    _positive("a parameter", a, b)
    a, b = np.broadcast_arrays(a, b)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _held(_dirichlet(a, b))


def _held(found: Floats) -> Floats:
    """What float64 can hold; infinite terms that cancel it cannot."""
    if np.isnan(found).any():
        raise InputError(
            what="parameters so far apart, or so large, are beyond float64",
            remedy="Parameters from 1e-150 to 1e150 are within it.",
        )
    return found


def _dirichlet(a: Floats, b: Floats) -> Floats:
    """KL of two Dirichlets, without a difference of what they have in common."""
    step, main = b - a, np.argmax(a, axis=-1)[..., None]
    others = np.arange(a.shape[-1]) != main

    def split(x: Floats) -> tuple[Floats, Floats]:
        """The largest class, and the sum of the others."""
        rest = np.where(others, x, 0.0).sum(axis=-1, keepdims=True)
        return np.take_along_axis(x, main, axis=-1), rest

    # B times KL of the means, from log-ratios to the largest class
    (a0, a1), (b0, b1), (step0, step1) = split(a), split(b), split(step)
    score = log_ratio(b, a0, a, b0)
    mean = log_ratio(b0 + b1, a0, a0 + a1, b0)
    change = (a / (a0 + a1) * np.expm1(np.minimum(score, 700.0))).sum(axis=-1, keepdims=True)
    mean = np.where(np.abs(mean) < 0.5, np.log1p(np.clip(change, -0.5, 1.0)), mean)
    found: Floats = scaled_excess(b, mean - score).sum(axis=-1)
    # and what the parameters differ in beyond Stirling's main part, less what their sums do
    found += np.where(others, nu_divergence(b, a, step), 0.0).sum(axis=-1)
    return np.asarray(found + _nu_remains((b0, a0, step0), (b1, a1, step1))[..., 0])


def _nu_remains(of: tuple[Floats, Floats, Floats], more: tuple[Floats, Floats, Floats]) -> Floats:
    """D_nu(b, a) - D_nu(b + more_b, a + more_a), which cancels where little is added."""
    (b, a, step), (more_b, more_a, more_step) = of, more
    plain = nu_divergence(b, a, step)
    plain -= nu_divergence(b + more_b, a + more_a, step + more_step)
    little = more_a <= np.minimum(a, b)
    add = np.where(little, more_a, 0.0)
    apart = nu_loss(b, a, step, add)
    apart -= nu_divergence(b + more_b, b + add, more_step)
    apart -= more_step * nu_slope_change(b + add, a + add)
    return np.where(little, apart, plain)


def categorical_kl(p: ArrayLike, q: ArrayLike) -> Floats:
    """KL(P||Q) of two categorical distributions; with all checks it is `pandq.kl_divergence`.

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
    a, b = together("probabilities", p, q)
    _of_classes(a)
    k = a.shape[-1]
    rows = kl_divergence(Probs(a.reshape(-1, k)), Probs(b.reshape(-1, k)))
    return rows.reshape(a.shape[:-1])


def bernoulli_kl(p: ArrayLike, q: ArrayLike) -> Floats:
    """KL(P||Q) of two Bernoulli distributions.

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
    a, b = together("probabilities", p, q)
    return categorical_kl(np.stack([1 - a, a], axis=-1), np.stack([1 - b, b], axis=-1))


def _of_classes(x: Floats) -> None:
    """Raise InputError where there is no last dimension, or nothing in it."""
    if not x.shape[-1:] or not x.shape[-1]:
        raise InputError(what="one number per class is needed, (..., K)", got=f"shape {x.shape}")


def _positive(what: str, *parameters: Floats) -> None:
    for x in parameters:
        # below the normal numbers there are too few digits left to be right
        if not (x >= np.finfo(np.float64).tiny).all() or not np.isfinite(x).all():
            raise InputError(what=f"{what} must be positive and finite", got=str(x.ravel()[:3]))
