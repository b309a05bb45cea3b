"""Averages for human labels on some rows, with a judge's labels on all of them.

The judge's loss is known of every row, a human's of some. How far the mean of the former over the
labelled rows lies from that over the others is chance, and what goes with it in the latter is taken
away. Whatever the judge is worth, what is estimated is the mean for human labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from scipy import special

from pandq.estimate.averages.intervals import (
    OF_THE_OUTCOME,
    Sampling,
    added_by_an_error,
    mean_estimate,
)
from pandq.estimate.averages.judgedsums import JUDGED, JudgedSums, columns_of
from pandq.estimate.averages.lossmeans import ALL
from pandq.estimate.averages.lossmeans import UNSEEN as WITHOUT_ERROR
from pandq.estimate.averages.means import quadratic
from pandq.quantities import DIFFERENCE, quantity
from pandq.read.scan import Scan
from pandq.results.audit import Audit
from pandq.results.findings import Finding
from pandq.results.judged import Judged, JudgedModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pandq.engines.run import Run
    from pandq.read.chunks import MemoryScan
    from pandq.results.comparison import Comparison
    from pandq.results.estimate import Estimate
    from pandq.units import Unit

    Floats = NDArray[np.float64]

R = TypeVar("R", bound="Audit | Comparison")

# A chance that is taken for none.
SURE = 0.01
# Shares of the interval at hand that are planned for.
PLANNED = (1.0, 0.75, 0.5)
# Labels that are taken to disagree beyond those seen; chosen in benchmarks/coverage.py.
UNSEEN = 4.0
# A weight is not estimated from fewer rows or clusters.
FEWEST_UNITS = 3.0
ACCURACY = JUDGED.index("accuracy")
HUMAN = "mean over rows with a human label"
WITH_JUDGE = "prediction-powered mean, weight {:.3g} of the judge"


@dataclass(frozen=True, slots=True)
class Control:
    """A mean of human losses, and the judge's beside it: what the judge's weight is made of.

    Args:
        human: mean loss against human labels, and what is known of its error.
        gap: mean loss against the judge's labels on labelled rows, less that on the others.
        among: (3, 3) covariance of the human mean, the judge's there, and the judge's elsewhere.
        disagreeing: how many labelled rows disagree as much as those that do, by fourth moments.
        elsewhere: how many equal rows or clusters the others are worth.
    """

    human: Sampling
    gap: float
    among: Floats
    disagreeing: float
    elsewhere: float

    @classmethod
    def of(cls, sums: JudgedSums, column: int) -> Self:
        """What is known of one of the d columns of losses."""
        d, one = sums.d, sums.labelled.moments
        apart = 2 * d + column
        square, spread = float(one.mean[apart]), float(one.plain.m2[apart, apart])
        return cls(
            human=sums.labelled.sampling(column),
            gap=float(one.mean[d + column] - sums.unlabelled.moments.mean[column]),
            among=sums.covariance(column),
            disagreeing=one.n * square**2 * one.weight / spread if spread > 0 else 0.0,
            elsewhere=sums.unlabelled.sampling(column).effective,
        )

    @property
    def gap_variance(self) -> float:
        """Of the gap."""
        return quadratic(self.among, np.array([0.0, 1.0, -1.0]))

    @property
    def weight(self) -> float:
        """The judge's, of least variance; 0 where nothing is known of it.

        Source: Angelopoulos, Duchi and Zrnic 2023, PPI++, proposition 2.
        """
        known = self.human.effective > FEWEST_UNITS and self.among[1, 1] > 0
        known = known and self.gap_variance > 0
        return float(self.among[0, 1] - self.among[0, 2]) / self.gap_variance if known else 0.0

    @property
    def variance(self) -> float:
        """Of the mean with the judge; allows for the weight being estimated on the same rows.

        Four labels more are taken to disagree as if the judge knew nothing, each loss by its own
        spread, of which the judge's is known from the other rows: rows in which a judge errs are
        few, and a sample may have none or lack the large ones.

        Source: residual variance and leverage are those of a regression (Cochran 1977, Sampling
        Techniques, sections 7.2 and 12.6); Agresti and Coull 1998 for the four labels.
        """
        weight, g = self.weight, self.human.effective
        rest = quadratic(self.among, np.array([1.0, -weight, 0.0]))
        whole = quadratic(self.among, np.array([1.0, -weight, weight]))
        leverage = 1 + self.gap**2 / ((g - 1) * float(self.among[1, 1]))
        judge = float(self.among[2, 2]) * self.elsewhere / g
        unseen = UNSEEN / g * (float(self.among[0, 0]) + weight * weight * judge)
        return whole + rest * ((g - 1) / (g - 2) * leverage - 1) + unseen

    @property
    def degrees(self) -> float:
        """Of freedom of that variance: few where few labels say what it is.

        Source: Satterthwaite 1946, with the variance of a sample variance by the fourth moment.
        """
        return min(self.human.effective - 2, 2 * (self.disagreeing + UNSEEN))

    @property
    def correlation(self) -> float:
        """Of the two losses on labelled rows, or of their clusters' totals."""
        size = float(self.among[0, 0]) * float(self.among[1, 1])
        return float(self.among[0, 1]) / math.sqrt(size) if size > 0 else 0.0

    @property
    def p_value(self) -> float | None:
        """Of the gap being chance; None where it has no spread."""
        if not self.gap_variance > 0:
            return None
        t = abs(self.gap) / math.sqrt(self.gap_variance)
        return float(2 * special.stdtr(max(self.human.degrees, 1.0), -t))


@dataclass(frozen=True, slots=True)
class Pair:
    """One quantity from human labels alone, with the judge, the judge's weight and correlation."""

    human: Estimate
    judged: Estimate
    weight: float
    correlation: float


def pair_of(sums: JudgedSums, column: int, name: str, *, level: float, unseen: float = 0.0) -> Pair:
    """The mean for human labels: from these alone, and with the judge.

    The judge's weight is 0 where its interval would be wider than without, or its mean one that
    cannot be.

    Args:
        sums: of all rows.
        column: of the quantity.
        name: of the quantity.
        level: of the intervals.
        unseen: what rows in which Q is wrong may add, where no human label is of such a row.
    """
    known, found = quantity(name), Control.of(sums, column)
    unit = "nat" if known is None else known.unit
    how = f"cluster-robust over {sums.labelled.clusters.n_clusters()} clusters"
    how = how if sums.clustered else "Student t"
    of = partial(mean_estimate, level=level, unit=unit, name=name, how=how)
    human, weight = of(found.human, method=HUMAN), found.weight
    if unseen:
        human = human.reaching(found.human.mean + unseen, WITHOUT_ERROR)
    rows = found.human.n + sums.unlabelled.moments.n
    if weight:
        mean, variance = found.human.mean - weight * found.gap, found.variance
        skewness = sums.third(column, weight) / variance**1.5
        both = Sampling(mean, variance, found.degrees + 1, rows, skewness, unevenness=0.0)
        judged = of(both, method=WITH_JUDGE.format(weight))
        if unseen:
            judged = judged.reaching(mean + unseen, WITHOUT_ERROR)
        possible = known is None or known.low <= mean <= known.high
        if possible and judged.half_width < human.half_width:
            return Pair(human, judged, weight, found.correlation)
    told = human.method.removeprefix(HUMAN)
    alone = replace(human, method=f"{WITH_JUDGE.format(0.0)}{told}", n=rows)
    return Pair(human, alone, 0.0, found.correlation)


def with_judge(result: R, rows: Scan | MemoryScan, run: Run, called: Sequence[str] = ()) -> R:
    """An Audit or a Comparison with what a judge adds to it; as it is where there is none.

    Args:
        result: of the rows with a human label.
        rows: these, and the others.
        run: who goes through them.
        called: what each Q is called; by its column when left out.
    """
    if not isinstance(rows, Scan) or rows.judge is None or rows.unlabelled is None:
        return result
    names = called or [str(spec) for spec in (rows.q, *rows.rivals)]
    blank = JudgedSums.empty(len(names))
    sums = run.summarise("judging", rows, blank.of_only, blank)
    sums = sums.merge(run.summarise("judging the others", rows.unlabelled, blank.of_only, blank))
    found = judged_of(sums, str(rows.judge), names, unit=result.unit, level=result.level)
    finding, made = judged_finding(found), replace(result, judged=found)
    if finding is None:
        return made
    if isinstance(made, Audit):
        return replace(made, findings=(*made.findings, finding))
    return replace(made, notes=(finding.sentence, *made.notes))


def judged_of(
    sums: JudgedSums, judge: str, called: Sequence[str], *, unit: Unit, level: float
) -> Judged:
    """What human labels say with a judge's beside them.

    Args:
        sums: of all rows.
        judge: what the judge is called.
        called: what each Q is called.
        unit: of the result.
        level: of its intervals.

    Source: Angelopoulos, Bates, Fannjiang, Jordan and Zrnic 2023, Prediction-powered inference;
    Angelopoulos, Duchi and Zrnic 2023, PPI++; the same as the regression estimator of double
    sampling, Cochran 1977, section 12.6.
    """
    models: dict[tuple[int, int | None], dict[str, Pair]] = {}
    for column, (q, against, measure) in enumerate(columns_of(len(called))):
        of = models.setdefault((q, against), {})
        if sums.usable(column):
            name = measure if against is None else measure + DIFFERENCE
            unseen = _unseen(sums, q, against, measure, level)
            of[name] = pair_of(sums, column, name, level=level, unseen=unseen)
    return Judged(
        judge=judge,
        labelled=sums.labelled.moments.n,
        unlabelled=sums.unlabelled.moments.n,
        **_chosen(sums, len(called)),
        models=tuple(
            _model(called[q], None if against is None else called[against], of, unit=unit)
            for (q, against), of in models.items()
        ),
    )


def _unseen(sums: JudgedSums, q: int, against: int | None, measure: str, level: float) -> float:
    """What wrong rows may add to a mean, where models are right in every row with a human label."""
    means, d = sums.labelled.moments.mean, len(JUDGED)
    both = (q,) if against is None else (q, against)
    if measure not in OF_THE_OUTCOME or any(means[d * x + ACCURACY] < ALL for x in both):
        return 0.0
    place = JUDGED.index(measure)
    added = [float(added_by_an_error(measure, means[d * x + place])) for x in both]
    return sums.labelled.sampling(d * q + ACCURACY).unseen(level) * (added[0] - sum(added[1:]))


def judged_finding(found: Judged) -> Finding | None:
    """That the labelled rows are no random sample, where the judge's losses show it."""
    if not found.chosen or found.p_value is None:
        return None
    sentence = (
        "Rows with a human label are no random sample: against the judge's labels Q does not do"
        f" there what it does elsewhere (p {found.p_value:.2g}). Neither interval is then of all"
        " rows: label rows drawn at random."
    )
    return Finding("judge_sampling", sentence, {"p_value": found.p_value})


def _chosen(sums: JudgedSums, models: int) -> dict[str, Any]:
    """Whether the judge's losses tell labelled rows from the others (Bonferroni's correction)."""
    columns = [x for x in range(models * len(JUDGED)) if sums.usable(x)]
    found = [Control.of(sums, x).p_value for x in columns]
    known = [x for x in found if x is not None]
    p_value = min(1.0, len(known) * min(known)) if known else None
    return {"p_value": p_value, "chosen": p_value is not None and p_value < SURE}


def _model(q: str, against: str | None, found: dict[str, Pair], *, unit: Unit) -> JudgedModel:
    """One Q, or one less another, in the result's unit."""

    def scaled(x: Estimate) -> Estimate:
        return x.to_unit(unit) if x.unit else x

    made = JudgedModel(
        q=q,
        against=against,
        with_judge={name: scaled(x.judged) for name, x in found.items()},
        human_alone={name: scaled(x.human) for name, x in found.items()},
        weight={name: x.weight for name, x in found.items()},
        correlation={name: x.correlation for name, x in found.items()},
        planned=[],
    )
    return replace(made, planned=list(_planned(made)))


def _planned(found: JudgedModel) -> Iterator[dict[str, Any]]:
    """How many human labels reach a part of the interval at hand."""
    for name, judged in found.with_judge.items():
        half = judged.half_width
        if not (math.isfinite(half) and half > 0):
            continue
        for part in PLANNED:
            width = part * half
            numbers = {"half_width": width, "with_judge": found.labels_for(width, name)}
            numbers["alone"] = found.labels_for(width, name, judge=False)
            yield {"quantity": name, **numbers}
