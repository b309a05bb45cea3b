"""How far a copy is from its reference: P is the reference's own distribution.

The statistics are those of llama.cpp's perplexity tool where it has one; its intervals take tokens
as independent, ours are over clusters (documents, chunks) where these are given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import special

from pandq.estimate.averages.intervals import exponential, mean_estimate
from pandq.estimate.averages.lossmeans import LossMeans, infinite_difference
from pandq.estimate.averages.means import Means
from pandq.estimate.averages.tables import class_name
from pandq.results.estimate import finite
from pandq.results.reference import FromReference, Tokens
from pandq.rows import both_ways, label_losses
from pandq.sums.redrawn import RedrawnHistogram
from pandq.sums.summary import Summary, summary
from pandq.sums.tallies import LogHistogram, UnitHistogram, WorstRows
from pandq.units import Unit, per_nat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from pandq.estimate.comparison.coded import CodeSums
    from pandq.read.chunks import Chunk
    from pandq.results.estimate import Estimate
    from pandq.rows import RowMeasures
    from pandq.views import View

    Rows = NDArray[np.float64]

DIVERGENCES = ("kl", "kl_reverse")
TOPS = ("same_top1", "top_change", "top_change_rms")
DETAILS = ("kl", "p_class", "q_class", "label")
NO_LABEL = -1.0
TOKENS = ("nll", "nll_base", "log_perplexity_ratio")
MOVED = ("probability_change", "probability_change_rms")


@summary
class ReferenceSums(Summary):
    """Sums over rows of a copy against its reference; the last two only where labels are given.

    `losses` and `base_losses` are the tokens' under each model alone, `tokens` under both.
    """

    kl: LossMeans
    kl_reverse: LossMeans
    tops: Means
    kl_spread: LogHistogram
    reverse_spread: LogHistogram
    top_spread: UnitHistogram
    losses: LossMeans
    base_losses: LossMeans
    tokens: LossMeans
    token_spread: UnitHistogram
    redrawn: RedrawnHistogram
    excess: LossMeans
    worst: WorstRows

    @classmethod
    def empty(cls, *, worst: int = 0) -> Self:
        """No rows."""
        return cls(
            LossMeans.empty(("kl",), ()),
            LossMeans.empty(("kl_reverse",), ()),
            Means.empty(TOPS),
            LogHistogram.empty(),
            LogHistogram.empty(),
            UnitHistogram.empty(),
            LossMeans.empty(("cross_entropy",), ()),
            LossMeans.empty(("cross_entropy",), ()),
            LossMeans.empty(TOKENS, MOVED),
            UnitHistogram.empty(),
            RedrawnHistogram.empty(),
            LossMeans.empty(("kl_excess",), ()),
            WorstRows.empty(worst, len(DETAILS)),
        )

    def of_only(
        self,
        chunk: Chunk,
        q: View,
        rows: RowMeasures | None = None,
        control: Rows | None = None,
    ) -> Self:
        """The sums of one chunk.

        Args:
            chunk: its rows.
            q: the copy.
            rows: what was measured of them, where the worst are to be kept.
            control: what KL(P||control) is in each row.
        """
        found = both_ways(chunk.p, q)
        w, clusters = chunk.weights, chunk.clusters
        change = found["q_mass"] - found["p_confidence"]
        tops = np.stack([found["same_top1"], change, np.square(change)]).T
        blank = self.empty()
        own, reference = blank.losses, blank.base_losses
        tokens, token_spread = blank.tokens, blank.token_spread
        nothing = np.empty((len(change), 0))

        def alone(means: LossMeans, loss: Rows) -> LossMeans:
            return means.of_only(loss[:, None], nothing, w, clusters=clusters)

        if chunk.labels is not None:
            nll, base = label_losses(chunk.labels, q), label_losses(chunk.labels, chunk.p)
            moved = np.exp(-nll) - np.exp(-base)
            with np.errstate(invalid="ignore"):
                losses = np.stack([nll, base, nll - base]).T
            changes = np.stack([moved, np.square(moved)]).T
            tokens = tokens.of_only(losses, changes, w, clusters=clusters)
            own, reference = alone(own, nll), alone(reference, base)
            token_spread = token_spread.of_only(moved, w)
        redrawn = self.redrawn
        if clusters is not None or w is not None:
            redrawn = redrawn.of_only(found["kl"], chunk.keys if clusters is None else clusters, w)
        return type(self)(
            alone(self.kl, found["kl"]),
            alone(self.kl_reverse, found["kl_reverse"]),
            self.tops.of_only(tops, w, clusters=clusters),
            self.kl_spread.of_only(found["kl"], w),
            self.reverse_spread.of_only(found["kl_reverse"], w),
            self.top_spread.of_only(change, w),
            own,
            reference,
            tokens,
            token_spread,
            redrawn,
            self.excess if control is None else alone(self.excess, _apart(found["kl"], control)),
            self.worst if rows is None else _worst(self.worst, chunk, rows),
        )

    def excess_over(self, control: ReferenceSums, *, level: float) -> Estimate | None:
        """The mean of KL(P||Q) - KL(P||control); None where there is no control."""
        if not self.excess.n:
            return None
        how = "mean of paired differences"
        found = self.excess.losses.estimate("kl_excess", level=level, method=how)
        lost = self.kl.n_infinite, control.kl.n_infinite
        return infinite_difference(found, *lost) if any(lost) else found


def _worst(blank: WorstRows, chunk: Chunk, rows: RowMeasures) -> WorstRows:
    """The rows of largest KL, with the top classes and the label; -1 where there is none."""
    row = np.arange(chunk.start, chunk.start + len(chunk))
    place = blank.chosen(rows.kl, row)
    label = np.full(len(chunk), NO_LABEL) if chunk.labels is None else chunk.labels.array
    details = [column[place] for column in (rows.kl, rows.p_class, rows.q_class, label)]
    ids = [chunk.ids[int(i)] for i in place]
    return blank.of_only(rows.kl[place], row[place], np.stack(details, axis=1), ids)


def worst_rows(
    rows: WorstRows,
    classes: Sequence[str],
    scale: float,
    place_of: Callable[[int], dict[str, int]] | None,
) -> list[dict[str, Any]]:
    """The rows of largest KL as JSON values.

    Args:
        rows: as they were kept.
        classes: what classes are called.
        scale: of KL.
        place_of: where in a text a row is, if that is known.
    """
    lines = []
    for row, identity, details in zip(rows.row, rows.ids, rows.details, strict=True):
        kl, p_class, q_class, label = details.tolist()
        line: dict[str, Any] = {"row": int(row), "id": identity}
        line |= place_of(int(row)) if place_of else {}
        line["kl"] = finite(kl * scale)
        line["p_class"], line["q_class"] = (class_name(classes, x) for x in (p_class, q_class))
        line["label"] = None if label == NO_LABEL else classes[int(label)]
        lines.append(line)
    return lines


def _apart(one: Rows, other: Rows) -> Rows:
    """Differences of rows; infinite where either is, whichever it is."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(one) & np.isfinite(other), one - other, np.inf)


KLD_QUANTILES = (1.0, 0.999, 0.99, 0.95, 0.9, 0.5, 0.1, 0.05, 0.01, 0.001, 0.0)
P_QUANTILES = (1.0, 0.999, 0.99, 0.95, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.01, 0.001, 0.0)


def from_reference(
    name: str,
    sums: ReferenceSums,
    codes: CodeSums,
    *,
    control: ReferenceSums | None = None,
    unit: Unit,
    level: float,
) -> FromReference:
    """What the sums say of one copy.

    Args:
        name: what it is called.
        sums: over all rows.
        codes: over the rows that were read from codes.
        control: over all rows, of the reference run a second time.
        unit: of divergences; perplexities and probabilities have none.
        level: confidence level of the intervals.

    Returns:
        A FromReference.
    """
    scale = per_nat(unit)
    tops = sums.tops
    beyond = None if control is None else sums.excess_over(control, level=level)
    both = {"kl": sums.kl, "kl_reverse": sums.kl_reverse}
    found = {key: means.estimate(key, level=level).to_unit(unit) for key, means in both.items()}
    return FromReference(
        q=name,
        kl=found["kl"],
        kl_reverse=found["kl_reverse"],
        infinite_rows={key: means.n_infinite for key, means in both.items()},
        kl_quantiles=_quantiles(sums.kl_spread, KLD_QUANTILES, scale),
        kl_reverse_quantiles=_quantiles(sums.reverse_spread, KLD_QUANTILES, scale),
        quantile_accuracy=sums.kl_spread.accuracy,
        same_top1=tops.estimate("same_top1", level=level),
        top_change=tops.estimate("top_change", level=level),
        top_change_rms=_root(tops, "top_change_rms", level),
        top_change_quantiles=_quantiles(sums.top_spread, P_QUANTILES),
        tokens=_tokens(sums, level) if sums.tokens.n else None,
        codes=codes.told(unit),
        kl_quantile_limits=_limits(sums, scale, level),
        kl_excess=None if beyond is None else beyond.to_unit(unit),
    )


def _limits(sums: ReferenceSums, scale: float, level: float) -> dict[str, dict[str, Any]]:
    """Each quantile of KL with its interval, and how many rows lie beyond it.

    Of independent rows the ends are two of the sorted rows; with clusters or weights those of a
    bootstrap. Where even independent rows leave an end open, it is open.

    Source: David and Nagaraja 2003, Order Statistics, section 7.1.
    """
    n = sums.kl.n
    found: dict[str, dict[str, Any]] = {}
    for share in KLD_QUANTILES[1:-1]:
        least, most = _ranks_about(n, share, level)
        if len(sums.redrawn.index):
            low, high = sums.redrawn.limits(share, level=level)
        else:
            ranks = [(max(rank, 1) - 0.5) / n for rank in (least, min(most, n))]
            low, high = sums.kl_spread.quantile(ranks).tolist()
        high = high if most <= n else np.inf
        found[f"{share:g}"] = {
            "low": finite((low if least > 0 else 0.0) * scale),
            "high": finite(high * scale),
            "rows_beyond": round(n * min(share, 1 - share)),
        }
    return found


def _ranks_about(n: int, share: float, level: float) -> tuple[int, int]:
    """Which of n sorted rows, from 1, a quantile lies between; 0 and n + 1 where it may be beyond.

    >>> _ranks_about(1000, 0.5, 0.95), _ranks_about(1000, 0.999, 0.95)
    ((469, 532), (997, 1001))
    """
    reached = np.ceil(special.bdtrik([(1 - level) / 2, (1 + level) / 2], n, share))
    # where rounding or an end of the range leaves no such number, the end
    least, most = np.clip(np.nan_to_num(reached), 0, n).astype(int).tolist()
    return least, most + 1


def _tokens(sums: ReferenceSums, level: float) -> Tokens:
    means, moved = sums.tokens.losses, sums.tokens.others
    lost = sums.losses.n_infinite, sums.base_losses.n_infinite
    nll, base = means.mean("nll"), means.mean("nll_base")
    # from the rows' differences: of a model and its copy nearly nothing is left of the two
    apart, names = means.mean("log_perplexity_ratio"), ("log_perplexity_ratio", "nll_base")
    change = float(np.exp(base) * np.expm1(apart))
    # the difference of two exponentials moves by their own sizes (delta method)
    slope = np.array([np.exp(nll), change])
    difference = mean_estimate(
        means.combination(change, names, slope),
        level=level,
        unit="",
        method="paired",
        how="delta method",
        name="perplexity_difference",
    )
    log_ratio = means.estimate("log_perplexity_ratio", level=level, method="mean of differences")
    correlation = _correlation(*(means.standard_error(x) for x in ("nll", *names)))
    if any(lost):
        log_ratio, difference = (infinite_difference(x, *lost) for x in (log_ratio, difference))
        correlation = float("nan")
    return Tokens(
        perplexity=exponential("perplexity", sums.losses.estimate("cross_entropy", level=level)),
        reference_perplexity=exponential(
            "reference_perplexity", sums.base_losses.estimate("cross_entropy", level=level)
        ),
        perplexity_ratio=exponential("perplexity_ratio", log_ratio),
        log_perplexity_ratio=log_ratio,
        perplexity_difference=difference,
        correlation=correlation,
        probability_change=moved.estimate("probability_change", level=level),
        probability_change_rms=_root(moved, "probability_change_rms", level),
        probability_change_quantiles=_quantiles(sums.token_spread, P_QUANTILES),
    )


def _correlation(one: float, apart: float, other: float) -> float:
    """Correlation of two means, from their and their difference's standard errors."""
    both = 2 * one * other
    return 1 - (apart**2 - (one - other) ** 2) / both if both > 0 else float("nan")


def _root(means: Means, name: str, level: float) -> Estimate:
    """The root of a mean square, and of the ends of its interval."""
    found = means.estimate(name, level=level)

    def rooted(x: float | None) -> float | None:
        return None if x is None else float(np.sqrt(max(x, 0.0)))

    ends = {end: rooted(getattr(found, end)) for end in ("value", "low", "high")}
    low, high, value = (ends[end] for end in ("low", "high", "value"))
    made = found.ranged(low, high, f"root of the {found.method}", value)
    return replace(made, identified=True)


def _quantiles(
    spread: LogHistogram | UnitHistogram, shares: Sequence[float], scale: float = 1.0
) -> dict[str, float]:
    """Quantiles by the share of rows below them, as text."""
    found = spread.quantile(shares) * scale
    return {f"{share:g}": float(x) for share, x in zip(shares, found, strict=True)}
