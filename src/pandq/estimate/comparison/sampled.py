"""KL from the log-probabilities of what was drawn: k1, k2 and k3, by token and by sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.errors import RowError
from pandq.estimate.averages.intervals import exponential
from pandq.estimate.averages.means import Means
from pandq.results.estimate import Estimate
from pandq.results.sampled import SampledDivergence
from pandq.sums.summary import Summary, summary
from pandq.sums.tallies import LogHistogram, WorstRows
from pandq.units import Unit, per_nat

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk
    from pandq.views.sampled import Sampled

    Rows = NDArray[np.float64]

QUANTILES = (1.0, 0.999, 0.99, 0.9, 0.5, 0.1, 0.01, 0.001, 0.0)
# Of the logarithm of r = q/p at a draw of P: Schulman 2020, Approximating KL Divergence.
ESTIMATORS: dict[str, Callable[[Rows], Rows]] = {
    "k1": lambda log_r: -log_r,
    "k2": lambda log_r: np.square(log_r) / 2,
    "k3": lambda log_r: np.expm1(log_r) - log_r,
}
BIAS = {
    "k1": "mean of -ln r: unbiased",
    "k2": "mean of (ln r)^2 / 2: biased, little where P and Q are close",
    "k3": "mean of r - 1 - ln r: unbiased, if Q allows nothing that P forbids",
}
LOSSES = ("entropy", "cross_entropy")


@summary
class LogSums(Summary):
    """Sums of exp(x) and exp(2x), for x of any size: what an effective sample size is made of."""

    top: float
    one: float
    two: float

    @classmethod
    def of(cls, x: Rows, w: Rows | None = None) -> Self:
        """The sums over (n,) values, not +inf."""
        x = x if w is None else x + np.log(np.where(w > 0, w, 1.0)) + np.where(w > 0, 0.0, -np.inf)
        top = float(x.max(initial=-np.inf))
        if np.isneginf(top):
            return cls(-np.inf, 0.0, 0.0)
        scaled = np.exp(x - top)
        return cls(top, float(scaled.sum()), float(np.square(scaled).sum()))

    def merge(self, other: Self) -> Self:
        """Both together."""
        top = max(self.top, other.top)
        if np.isneginf(top):
            return self
        a, b = np.exp(self.top - top), np.exp(other.top - top)
        return type(self)(top, self.one * a + other.one * b, self.two * a * a + other.two * b * b)

    @property
    def effective(self) -> float:
        """(sum w)^2 / sum w^2 (Kong 1992)."""
        return self.one**2 / self.two if self.two else 0.0


@summary
class SampledSums(Summary):
    """What is kept of the draws that have gone by, for one Q."""

    n: int
    means: tuple[Means, ...]
    ratio: Means
    losses: tuple[Means, ...]
    spread: LogHistogram
    weights: LogSums
    infinite: int
    largest: WorstRows

    @classmethod
    def empty(cls, *, worst: int = 10) -> Self:
        """No rows."""
        return cls(
            0,
            tuple(Means.empty((name,)) for name in ESTIMATORS),
            Means.empty(("mean_ratio",)),
            tuple(Means.empty((name,)) for name in LOSSES),
            LogHistogram.empty(),
            LogSums.of(np.zeros(0)),
            0,
            WorstRows.empty(worst, 2),
        )

    def of_only(self, chunk: Chunk, q: Sampled) -> Self:
        """Of one chunk."""
        log_p, log_q = chunk.p.log_probs, q.log_probs
        _refuse_forbidden(log_p, chunk.start)
        log_r, w, clusters = log_q - log_p, chunk.weights, chunk.clusters
        size = np.abs(log_r)
        row = np.arange(chunk.start, chunk.start + len(chunk))
        worst = self.largest.chosen(size, row)
        with np.errstate(over="ignore", invalid="ignore"):
            values = [f(log_r) for f in ESTIMATORS.values()]
            ratio = np.exp(log_r)

        def mean(blank: Means, x: Rows) -> Means:
            return blank.of_only_finite(x[:, None], w, clusters)

        return type(self)(
            len(q),
            tuple(mean(blank, x) for blank, x in zip(self.means, values, strict=True)),
            mean(self.ratio, ratio),
            tuple(mean(b, -x) for b, x in zip(self.losses, (log_p, log_q), strict=True)),
            self.spread.of_only(ratio, w),
            LogSums.of(log_r, w),
            int(np.isneginf(log_r).sum()),
            self.largest.of_only(
                size[worst],
                row[worst],
                np.stack([log_p[worst], log_q[worst]], axis=1),
                [chunk.ids[int(i)] for i in worst],
            ),
        )


def _refuse_forbidden(log_p: Rows, start: int) -> None:
    """Refuse draws that P itself forbids; rows are numbered from `start`.

    Raises:
        InputError: there is one.
    """
    never = np.isneginf(log_p)
    if never.any():
        raise RowError(
            view="P",
            row=start + int(never.argmax()),
            problem="gives what was drawn there no probability",
            got="-inf",
            remedy="The draws must be of P.",
        )


def sampled_divergence(
    name: str, sums: SampledSums, *, unit: Unit, level: float
) -> SampledDivergence:
    """What the sums say of one Q.

    Args:
        name: what it is called.
        sums: over all rows.
        unit: of divergences and entropies.
        level: confidence level of the intervals.

    Returns:
        A SampledDivergence; an estimate is infinite where it is so in any row.
    """
    found = {
        key: _finite(sums, means, key, BIAS[key], level).to_unit(unit)
        for key, means in zip(ESTIMATORS, sums.means, strict=True)
    }
    losses = {
        key: _finite(sums, means, key, "mean over draws", level)
        for key, means in zip(LOSSES, sums.losses, strict=True)
    }
    totals = sums.means[0].clusters.totals
    log_r = -totals[:, 1]
    finite = sums.infinite == 0 and len(totals) > 1
    by_sequence = {
        key: _of_sequences(key, f(log_r), level).to_unit(unit)
        for key, f in ESTIMATORS.items()
        if finite
    }
    effective = {"rows": sums.weights.effective}
    if finite:
        effective["sequences"] = LogSums.of(log_r).effective
    quantiles = map(float, sums.spread.quantile(QUANTILES))
    ratio = _finite(sums, sums.ratio, "mean_ratio", "mean of r", level)
    return SampledDivergence(
        q=name,
        n=sums.n,
        n_sequences=len(totals),
        **found,
        mean_ratio=ratio,
        by_sequence=by_sequence,
        **{key: x.to_unit(unit) for key, x in losses.items()},
        reference_perplexity=exponential("reference_perplexity", losses["entropy"]),
        perplexity=exponential("perplexity", losses["cross_entropy"]),
        ratio_quantiles=dict(zip(map("{:g}".format, QUANTILES), quantiles, strict=True)),
        effective_sample_size=effective,
        infinite_rows=sums.infinite,
        largest=_largest(sums.largest, per_nat(unit)),
    )


def _finite(sums: SampledSums, means: Means, key: str, method: str, level: float) -> Estimate:
    """A mean over draws; infinite where a draw's value is."""
    lost = sums.n - means.n
    if lost:
        why = "Q forbids draws" if sums.infinite else "r overflows"
        method = f"{method}; infinite in {lost:,} rows: {why}"
        unit = "" if key == "mean_ratio" else "nat"
        return Estimate(np.inf, np.inf, np.inf, level, unit, sums.n, method, key)
    return means.estimate(key, level=level, method=method)


def _of_sequences(key: str, x: Rows, level: float) -> Estimate:
    """The mean over whole sequences."""
    n, method = len(x), f"{BIAS[key]}; over {len(x):,} sequences"
    if not np.isfinite(x).all():
        return Estimate(np.inf, np.inf, np.inf, level, "nat", n, f"{method}, r overflows", key)
    return Means.empty((key,)).of_only(x[:, None]).estimate(key, level=level, method=method)


def _largest(rows: WorstRows, scale: float) -> list[dict[str, Any]]:
    """The rows where the two log-probabilities differ most."""
    return [
        {
            "id": identity,
            "row": int(row),
            "log_ratio": float(log_q - log_p) * scale if np.isfinite(log_q) else None,
            "log_p": float(log_p) * scale,
            "log_q": float(log_q) * scale if np.isfinite(log_q) else None,
        }
        for row, identity, (log_p, log_q) in zip(rows.row, rows.ids, rows.details, strict=True)
    ]


@summary
class DrawnSums(Summary):
    """The one pass of a comparison of draws: each Q's own sums."""

    n: int
    weight: float
    models: tuple[SampledSums, ...]

    @classmethod
    def empty(cls, n_models: int, *, worst: int) -> Self:
        """No rows."""
        return cls(0, 0.0, (SampledSums.empty(worst=worst),) * n_models)

    def of_only(self, chunk: Chunk) -> Self:
        """Of one chunk."""
        views = (chunk.q, *chunk.rivals)
        weight = float(len(chunk) if chunk.weights is None else chunk.weights.sum())
        made = tuple(x.of_only(chunk, view) for x, view in zip(self.models, views, strict=True))
        return type(self)(len(chunk), weight, made)
