"""A certified interval for the mean entropy of unknown class distributions, from votes.

A certificate is trained on one fold and applied to the other.  Whatever it learned, each of its
vectors lies below (above) h on all of [0, 1], or its tables below (above) H on the simplex, so
the mean of its row bounds lies below (above) the mean entropy up to sampling error; a poor fit
costs width and never validity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pandq.core.hashing import hash_ids
from pandq.errors import InputError
from pandq.estimate.floor.bernstein import Side, bound_vectors, entropy_term, thinning
from pandq.estimate.floor.mixture import DirichletMixture, fit_mixture, row_chunks
from pandq.estimate.floor.pairs import PairStratum, train_pairs
from pandq.estimate.floor.smooth import SHIFT_TOLERANCE, plug_in_vector, smooth_bound_vectors

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

# Above this degree the bounds hardly tighten; rows with more votes gain by elevation only.
MAX_DEGREE = 100
# Votes up to 1.25 times the lowest of a stratum share its degree.
_STRATUM_RATIO = 1.25
_MIN_ROWS = 200
# So many votes have a plug-in entropy that is as good as certified, if classes are few (ManyVotes).
LARGE = 10_000
# Up to two votes the linear programmes of `bernstein` serve, above it the quadratic ones of
# `smooth`, which are quicker and no wider, and whose kappa has another meaning.
LINEAR_UP_TO = 2
# Joint tables are worth their time for two votes and few classes; see pairs.
_PAIR_GROUPS, _PAIR_CLASSES = 8, 50


def grouping(degree: int) -> tuple[int, float]:
    """Groups of cells, and kappa, for the vectors of a degree.

    Chosen on votes of CIFAR-10H; the width is flat about them.

    >>> grouping(2), grouping(3), grouping(50)
    ((8, 1.0), (10, 1.0), (10, 0.35))
    """
    if degree <= LINEAR_UP_TO:
        return 8, 1.0
    return (10, 1.0) if degree <= 5 else (10, 0.35)


@dataclass(frozen=True)
class Stratum:
    """The vectors for rows with at least `degree` votes, one pair per group of cells.

    Args:
        degree: Degree of the polynomials.
        edges: Upper ends of the groups in the prior mean of p_k, shape (G - 1,).
        lower: Vectors below h, shape (G, degree + 1), nats.
        upper: Vectors above h, shape (G, degree + 1), nats.
    """

    degree: int
    edges: Array
    lower: Array
    upper: Array

    def bounds(self, counts: Counts, prior: Array, votes: Counts) -> tuple[Array, Array]:
        """Sums over the classes of L[c_k] and of U[c_k], each of shape (n,)."""
        group = np.searchsorted(self.edges, prior, side="right")
        m, c, cell = _distinct(counts, votes)
        below, above = np.empty((len(self.lower), m.size)), np.empty((len(self.upper), m.size))
        for part in row_chunks(m.size, self.degree + 1):
            law = thinning(m[part], c[part], self.degree).T
            below[:, part], above[:, part] = self.lower @ law, self.upper @ law
        return below[group, cell].sum(axis=1), above[group, cell].sum(axis=1)


@dataclass(frozen=True)
class ManyVotes:
    """The certificate of rows with very many votes, whose plug-in entropy is nearly P's.

    Its mean lies below H(p) by at most ln(1 + (K - 1) / m), whatever p is: nothing is trained.

    Args:
        degree: The least number of votes that is so many.

    Source:
        Paninski (2003), Estimation of entropy and mutual information, proposition 1.
    """

    degree: int

    @classmethod
    def from_votes(cls, classes: int) -> ManyVotes:
        """Where what is left open is a thousandth of a nat at most."""
        return cls(max(LARGE, 1000 * (classes - 1)))

    def bounds(self, counts: Counts, prior: Array, votes: Counts) -> tuple[Array, Array]:  # noqa: ARG002
        """The plug-in entropy of each row, and with the most that it may be short of."""
        plug_in = entropy_term(counts / votes[:, None]).sum(axis=1)
        return plug_in, plug_in + np.log1p((counts.shape[1] - 1) / votes)


def _distinct(counts: Counts, votes: Counts) -> tuple[Array, Array, npt.NDArray[np.intp]]:
    """The different pairs of a row's votes and a class's count, and each cell's place in them."""
    pairs, cell = np.unique(votes[:, None] + 1j * counts, return_inverse=True)
    return pairs.real, pairs.imag, cell.reshape(counts.shape)


_Trainer = Callable[[npt.NDArray[np.bool_], int, float], "Stratum | PairStratum"]


@dataclass(frozen=True)
class Certificate:
    """A frozen map from the votes and predictions of a row to its certified bounds.

    Args:
        mixture: Sorts the cells into groups; a model, on which validity does not depend.
        strata: In increasing degree, the first of degree 1 so that every row has one.

    Source:
        Bernstein bounds on binomial functionals; Tian, Kong and Valiant (2017), Learning
        populations of parameters, for the moment view.
    """

    mixture: DirichletMixture
    strata: tuple[Stratum | PairStratum | ManyVotes, ...]

    def row_bounds(self, counts: Counts, q: Array) -> tuple[Array, Array]:
        """Each row's bounds, to be averaged by the caller.

        Args:
            counts: Votes, shape (n, K), integers; every row has at least one.
            q: Predicted probabilities, shape (n, K), float64.

        Returns:
            lower, upper: shape (n,) each, nats, float64.  Single rows may well lie outside
            [0, ln K]: only their mean is a bound.

        Raises:
            InputError: Shapes differ, or a row has no vote.
        """
        votes = _checked_votes(counts, q)
        degrees = np.array([stratum.degree for stratum in self.strata])
        lower, upper = np.empty(votes.size), np.empty(votes.size)
        for part in row_chunks(votes.size, q.shape[1] * self.mixture.log_total.size):
            prior = self.mixture.prior_mean(q[part])
            home = np.searchsorted(degrees, votes[part], side="right") - 1
            for s in np.unique(home):
                rows = np.flatnonzero(home == s)
                at = rows + part.start
                lower[at], upper[at] = self.strata[s].bounds(counts[at], prior[rows], votes[at])
        return lower, upper


def _checked_votes(counts: Counts, q: Array) -> Counts:
    if counts.shape != q.shape:
        raise InputError(what="votes and Q differ in shape", got=f"{counts.shape} and {q.shape}")
    votes: Counts = counts.sum(axis=1)
    if votes.size == 0 or votes.min() < 1:
        raise InputError(what="certified bounds need at least one vote in every row")
    return votes


def stratum_degrees(votes: Counts, *, min_rows: int = _MIN_ROWS) -> list[int]:
    """Degrees that serve the vote numbers present, each for enough rows.

    Args:
        votes: Votes per row, shape (n,), integers >= 1.
        min_rows: A further stratum opens only for this many rows with similar votes.

    Returns:
        Increasing degrees, starting with 1; a row uses the largest one not above its votes.

    >>> stratum_degrees(np.array([3] * 500 + [4] * 2 + [9] * 300))
    [1, 3, 9]
    """
    capped = np.minimum(votes, MAX_DEGREE)
    degrees = [1]
    for m in np.unique(capped[capped > 1]).tolist():
        # Rows with one vote are worthless to the others, so the next stratum opens at once; later
        # ones open where enough rows gain from the higher degree.
        gained = np.count_nonzero((capped >= m) & (capped <= _STRATUM_RATIO * m))
        if degrees == [1] or (m > _STRATUM_RATIO * degrees[-1] and gained >= min_rows):
            degrees.append(m)
    return degrees


def group_edges(prior: Array, groups: int) -> Array:
    """Quantiles of the prior means, weighted by the entropy h of the prior mean.

    Weighting by the mean itself would spend most groups on the top class, whose entropy is small
    and already bounded well; h puts them where the entropy is.

    Args:
        prior: E[p_k | q] of the training cells, any shape, float64.
        groups: Number of groups G wanted, >= 1.

    Returns:
        At most G - 1 increasing edges.

    >>> group_edges(np.array([0.1, 0.1, 0.2, 0.2]), 2).tolist()
    [0.2]
    """
    flat = np.sort(prior, axis=None)
    mass = np.cumsum(entropy_term(flat))
    cuts = np.searchsorted(mass, mass[-1] * np.arange(1, groups) / groups)
    return np.unique(flat[np.minimum(cuts, flat.size - 1)])


def count_histogram(counts: Counts, prior: Array, edges: Array, degree: int) -> Array:
    """The (group x count) histogram of a stratum, thinned exactly to one degree.

    Args:
        counts: Votes, shape (n, K), integers; every row has at least `degree`.
        prior: E[p_k | q], shape (n, K).
        edges: Group edges, shape (G - 1,).
        degree: Degree of the stratum.

    Returns:
        Expected numbers of cells, shape (G, degree + 1); additive over rows.
    """
    group = np.searchsorted(edges, prior, side="right")
    m, c, cell = _distinct(counts, counts.sum(axis=1))
    cells = np.bincount((group * m.size + cell).ravel(), minlength=(edges.size + 1) * m.size)
    cells = cells.reshape(-1, m.size)
    histogram = np.zeros((edges.size + 1, degree + 1))
    for part in row_chunks(m.size, degree + 1):
        histogram += cells[:, part] @ thinning(m[part], c[part], degree)
    return histogram


def train_stratum(
    histogram: Array, edges: Array, *, kappa: float, tolerance: float = SHIFT_TOLERANCE
) -> Stratum:
    """Solve the two robust programmes of every group.

    Args:
        histogram: Cells by group and count, shape (G, degree + 1).
        edges: Group edges, shape (G - 1,).
        kappa: Robustness in standard errors; above 2 votes, the price of a standard error of the
            mean over the rows of the histogram, to first order.
        tolerance: What a cell's bound may give away for less work above 2 votes, in nats.

    Returns:
        The stratum.  An empty group gets the vectors of all cells together.
    """
    cells, degree = histogram.sum(axis=1), histogram.shape[1] - 1
    filled = np.where(cells[:, None] > 0.0, histogram, histogram.sum(axis=0))
    shares, cells = filled / filled.sum(axis=1, keepdims=True), filled.sum(axis=1)

    def vectors(side: Side) -> Array:
        if degree <= LINEAR_UP_TO:
            return bound_vectors(shares, cells, side=side, kappa=kappa)
        # d se = d variance / (2 se), and the sum over the cells of the squared plug-in estimates is
        # (rows x se)^2 up to the dependence within a row.
        penalty = kappa / np.sqrt((histogram @ plug_in_vector(degree) ** 2).sum() + 1e-12)
        return smooth_bound_vectors(shares, cells, side=side, penalty=penalty, tolerance=tolerance)

    return Stratum(degree, edges, vectors("lower"), vectors("upper"))


def _train(counts: Counts, prior: Array, degree: int) -> Stratum | PairStratum:
    """The stratum with the least width + 2 standard errors, judged on held-out rows."""

    def cells(rows: npt.NDArray[np.bool_], groups: int, kappa: float) -> Stratum:
        edges = group_edges(prior[rows], groups)
        histogram = count_histogram(counts[rows], prior[rows], edges, degree)
        return train_stratum(histogram, edges, kappa=kappa)

    def pairs(rows: npt.NDArray[np.bool_], groups: int, kappa: float) -> PairStratum:
        return train_pairs(counts[rows], prior[rows], groups, kappa=kappa)

    everything = np.ones(counts.shape[0], dtype=bool)
    options: list[tuple[_Trainer, int, float]] = [(cells, *grouping(degree))]
    if degree == 2 and counts.shape[1] <= _PAIR_CLASSES and counts.shape[0] >= _MIN_ROWS:
        options.append((pairs, _PAIR_GROUPS, 1.0))
    if len(options) == 1:
        return cells(everything, *grouping(degree))
    held = hash_ids(np.arange(counts.shape[0]), seed=1) % np.uint64(2) == 0
    votes = counts[held].sum(axis=1)
    scores = []
    for train, groups, kappa in options:
        lower, upper = train(~held, groups, kappa).bounds(counts[held], prior[held], votes)
        error = (lower.std() + upper.std()) / np.sqrt(votes.size)
        scores.append(float(upper.mean() - lower.mean() + 2.0 * error))
    train, groups, kappa = options[int(np.argmin(scores))]
    return train(everything, groups, kappa)


def train_certificate(counts: Counts, q: Array) -> Certificate:
    """Fit the mixture and all vectors on one fold.

    Args:
        counts: Votes of the training fold, shape (n, K), integers, at least one per row.
        q: Predicted probabilities, shape (n, K), float64.

    Returns:
        A certificate for rows that were not used here.

    Raises:
        InputError: Shapes differ, or a row has no vote.
    """
    votes = _checked_votes(counts, q)
    mixture = fit_mixture(counts, q)
    prior = mixture.prior_mean(q)
    many = ManyVotes.from_votes(counts.shape[1])
    degrees = stratum_degrees(votes[votes < many.degree])
    strata: list[Stratum | PairStratum | ManyVotes] = []
    for degree, following in zip(degrees, [*degrees[1:], many.degree], strict=True):
        rows = (votes >= degree) & (votes < following)
        if rows.sum() < _MIN_ROWS:
            rows = votes >= degree
        strata.append(_train(counts[rows], prior[rows], degree))
    return Certificate(mixture, (*strata, many))
