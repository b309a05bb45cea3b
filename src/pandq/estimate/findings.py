"""Findings: what a reader must know of the rows before anything is made of their averages."""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import special

from pandq.core.scores import TIED
from pandq.estimate.sampling import shares_of, weights_of
from pandq.results.findings import Finding
from pandq.sums.repeats import Repeats
from pandq.sums.summary import Summary, merged_by, summary
from pandq.units import per_nat
from pandq.views import Labels, Probs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.estimate.floor.assumptions import Assumptions
    from pandq.read.chunks import Chunk
    from pandq.results.estimate import Estimate
    from pandq.rows import RowMeasures
    from pandq.sums.sample import Sample
    from pandq.units import Unit

    Floats = NDArray[np.float64]

# P may be so many votes divided by their number.
MOST_VOTES = 20
# Of the first rows of a chunk: most soft labels are no few votes, and need no second look.
GLANCE = 64
# A finding accuses, so it needs more than an interval.
SURE = 1e-4
# What is this share of its terms is what is left of equal numbers.
ROUNDING = 1e-12
# Copies are kept in one fold where there are so many different rows, none of them in most folds.
LEAST_DIFFERENT = 100
# So many rows with one vote widen a floor's interval by more than a hair.
SINGLE = 0.05


def _common(a: int, b: int) -> int:
    """The least number of votes that is a multiple of both, or MOST_VOTES + 1."""
    return min(math.lcm(a, b), MOST_VOTES + 1)


@summary
class Seen(Summary):
    """A Summary of what findings are made of.

    `most` is the largest number of votes that a row of P could be made of, MOST_VOTES + 1 where
    one is of more; `common` is the least number that all rows could be made of.
    """

    ties_p: int
    ties_q: int
    most: int = merged_by(max)
    common: int = merged_by(_common)
    repeats: Repeats

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        return cls(0, 0, 1, 1, Repeats.empty())

    def of_only(self, chunk: Chunk, m: RowMeasures) -> Self:
        """What is seen in one chunk and its measures."""
        votes = np.full(1, MOST_VOTES + 1)
        if isinstance(chunk.p, Probs):
            votes = votes_in(chunk.p.law().prob[:GLANCE])
            if votes.max(initial=1) <= MOST_VOTES:
                votes = votes_in(chunk.p.law().prob)
        return type(self)(
            0 if isinstance(chunk.p, Labels) else int(np.count_nonzero(m.p_class == TIED)),
            int(np.count_nonzero(m.q_class == TIED)),
            int(votes.max(initial=1)),
            reduce(_common, np.unique(votes).tolist(), 1),
            self.repeats.of_only(
                [m.q_entropy, m.confidence, m.q_class], [m.cross_entropy, m.entropy, m.p_class]
            ),
        )

    @property
    def copies(self) -> bool:
        """Are there rows that come again, and so many different ones that folds can keep them?"""
        seen = self.repeats
        few = seen.largest * 20 > seen.looked_at
        return seen.copies and seen.different >= LEAST_DIFFERENT and not few


def votes_in(p: Floats) -> NDArray[np.intp]:
    """The least number of votes whose shares a row could be; MOST_VOTES + 1 where it is none.

    Args:
        p: (n, K) probabilities, perhaps rounded to two to six digits.

    >>> votes_in(np.array([[1 / 3, 2 / 3], [0.67, 0.33], [1.0, 0.0], [0.123, 0.877]])).tolist()
    [3, 3, 1, 21]
    """
    found = np.full(len(p), MOST_VOTES + 1)
    for votes in range(1, MOST_VOTES + 1):
        left = np.flatnonzero(found > MOST_VOTES)
        if not len(left):
            break
        share = np.rint(p[left] * votes) / votes
        whole = np.abs(p[left] - share) <= 1e-6
        for digits in range(2, 6):
            whole |= np.abs(p[left] - np.round(share, digits)) <= 1e-9
        found[left[whole.all(axis=1)]] = votes
    return found


def findings_of(
    seen: Seen,
    n_classes: int,
    *,
    accuracy: Estimate,
    cross_entropy: Estimate,
    sample: Sample | None,
    tested: Assumptions | None,
    clustered: bool,
    few_people: Finding | None,
    unit: Unit,
) -> tuple[Finding, ...]:
    """What is to be said, the gravest first.

    Args:
        seen: the Summary of all rows.
        n_classes: how many classes there are.
        accuracy: over all rows.
        cross_entropy: over all rows, nats.
        sample: rows of P and Q, or None.
        tested: what votes say of a certificate's assumptions, or None.
        clustered: whether rows that belong together were named.
        few_people: that those who gave the votes may be all that there are.
        unit: of the sentences.
    """
    wrong = [_below_chance(n_classes, accuracy)]
    if sample is not None and n_classes > 1:
        wrong += _beside_frequencies(sample, cross_entropy, unit)
    found = [
        *wrong,
        _draws(tested),
        _fewer(tested),
        few_people,
        _votes(seen),
        None if clustered else _copies(seen),
        *_ties(seen),
    ]
    return tuple(x for x in found if x is not None)


CHECK = (
    "Check first that P and Q belong together: labels may be shifted, or Q's classes or the rows in"
    " another order. Nothing else that is said here means much until then."
)


def _below_chance(n_classes: int, accuracy: Estimate) -> Finding | None:
    """Fewer hits than a guess has: no model does that by mistake."""
    right, chance = accuracy.value or 0.0, 1.0 / max(n_classes, 1)
    likely = special.bdtr(np.floor(right * accuracy.n), accuracy.n, chance)
    if n_classes < 2 or likely > SURE or (accuracy.high or 0.0) >= chance:
        return None
    sentence = f"Accuracy is {right:.3g}, below chance ({chance:.3g}): labels shifted?"
    numbers = {"accuracy": right, "chance": chance}
    return Finding("below_chance", sentence, numbers, first=True, remedy=CHECK)


def _beside_frequencies(sample: Sample, cross_entropy: Estimate, unit: Unit) -> list[Finding]:
    """How P and Q vary together, and whether Q has a smaller loss than the class frequencies.

    The covariance of P and Q, summed over classes, is the slope that a map from Q to P starts with.
    """
    q = np.exp(sample.columns["log_q"])
    p = shares_of(sample.columns["p"])
    w = weights_of(sample) / weights_of(sample).sum()
    frequencies = np.bincount(p, w, q.shape[1]) if p.ndim == 1 else w @ p
    # exactly one where there is but one class
    frequencies /= frequencies.sum()
    with np.errstate(divide="ignore"):
        surprise = np.where(frequencies > 0, 0.0 - np.log(np.minimum(frequencies, 1.0)), 0.0)
    sigmas = float(-special.ndtri(SURE))
    found = []
    at, usual = _expected(p, q), q @ frequencies
    # of the sum over classes of (p - its mean) (q - its mean), q's mean being w q
    together, error = _mean(at - usual - _expected(p, w @ q) + w @ usual, w)
    # of a Q that is the same in every row rounding is left
    if together < -max(sigmas * error, ROUNDING * float(w @ (at + usual))):
        sentence = (
            f"Where Q gives a class more, P gives it less (covariance {together:.2g}): are labels"
            " inverted or shifted?"
        )
        numbers = {"covariance": together}
        found.append(Finding("inverted", sentence, numbers, first=True, remedy=CHECK))
    guess, error = _mean(_expected(p, surprise), w)
    loss, low = cross_entropy.value, cross_entropy.low
    if loss is None or low is None or not math.isfinite(loss):
        return found
    # frequencies are fitted to these rows, and have an advantage of chance (Wilks 1938)
    lucky = float(special.chdtri(q.shape[1] - 1, SURE) * np.square(w).sum() / 2)
    if loss - guess > max(sigmas * math.hypot((loss - low) / 2.0, error), lucky):
        own, of_guess = loss * per_nat(unit), guess * per_nat(unit)
        sentence = (
            f"Q is worse than guessing the class frequencies: {own:.3g} {unit}, where they have"
            f" {of_guess:.3g}."
        )
        numbers = {"cross_entropy": own, "of_frequencies": of_guess}
        found.append(Finding("worse_than_frequencies", sentence, numbers, first=True))
    return found


def _expected(p: NDArray[Any], x: Floats) -> Floats:
    """P's expectation in each row of (K,) numbers, or of a row's own (n, K): (n,)."""
    if p.ndim == 1:
        at: Floats = x[p] if x.ndim == 1 else x[np.arange(len(p)), p]
        return at
    inner: Floats = p @ x if x.ndim == 1 else np.einsum("ik,ik->i", p, x)
    return inner


def _mean(x: Floats, w: Floats) -> tuple[float, float]:
    """A weighted mean and its standard error; weights sum to one."""
    mean = float(w @ x)
    return mean, float(np.sqrt(w**2 @ np.square(x - mean)))


SETTLED = (
    "Count only votes whose number was settled beforehand: the first two of each row, in the order"
    " in which they were given, are a fair sample where every row has two (--first 2 of"
    " votes:COLUMN; votes.first(2) in Python)."
)


def _draws(tested: Assumptions | None) -> Finding | None:
    """Votes that are no draws of a number settled beforehand, or that may well be none."""
    if tested is None:
        return None
    worst, follows = tested.unanimity.worst, tested.following
    differ = {"fewer": follows.fewer, "more": follows.more}
    depends = "How many votes a row has depends on what they say"
    if tested.unanimity.broken and worst is not None:
        numbers = {"votes": worst.votes, "unanimous": worst.unanimous, "least": worst.least}
        seen = (
            f"of the rows with {worst.votes} votes {worst.unanimous:.3g} are unanimous, where"
            f" independent draws that agree in as many pairs have at least {worst.least:.3g}."
        )
        if tested.chosen:
            return Finding(
                "votes_chosen", f"{depends}: {seen}", numbers, first=True, remedy=SETTLED
            )
        sentence = f"A row's votes are no independent draws: {seen}"
        return Finding("votes_dependent", sentence, numbers, first=True)
    if tested.chosen:
        sentence = (
            f"{depends}: rows with the fewest all agree, and rows with more that are alike to Q in"
            f" only {follows.more:.3g} of their pairs."
        )
        return Finding("votes_chosen", sentence, differ, first=True, remedy=SETTLED)
    if not follows.seen:
        return None
    sentence = (
        f"Of rows that are alike to Q those with more votes agree less ({follows.more:.3g} of their"
        f" pairs, not {follows.fewer:.3g}): if more votes were asked for where the first ones"
        " differ, nothing that is said of the floor holds."
    )
    return Finding("agreement_follows_votes", sentence, differ, first=True)


def _fewer(tested: Assumptions | None) -> Finding | None:
    """Rows of few votes: what they cost, or that those which stand for them are unlike."""
    if tested is None:
        return None
    fewer = tested.fewer
    if fewer is None:
        if tested.single < SINGLE or tested.chosen:
            return None
        sentence = (
            f"{tested.single:.0%} of the rows have one vote, which says little of the floor:"
            " --min-votes 2 takes it from the others, if they are like these."
        )
        return Finding("single_votes", sentence, {"share": tested.single})
    if not fewer.apart:
        return None
    sentence = (
        f"Rows with fewer than {fewer.min_votes} votes fit Q otherwise than the others (P's mean of"
        f" Q is {fewer.few:.3g}, not {fewer.enough:.3g}): the floor of the others is not theirs."
    )
    numbers = {"few": fewer.few, "enough": fewer.enough}
    return Finding("fewer_votes_differ", sentence, numbers, first=True)


# Votes of a row by this share of all annotators disagree measurably more than independent draws.
MANY_OF_THEM = 0.05


def few_people(*, seen: int, most_votes: float) -> Finding | None:
    """Annotators who are so few that a row asks a good part of them.

    Args:
        seen: how many annotators are known; 0 where they are not.
        most_votes: of any row.
    """
    if most_votes < 2 or most_votes <= MANY_OF_THEM * seen or not seen:
        return None
    sentence = (
        f"{seen:,} annotators gave all votes, up to {most_votes:.0f} of them those of a row. The"
        " floor is for people drawn from many like these; if these are all, each with an opinion of"
        " their own on every row, it is too high: --annotator-pool seen is for them."
    )
    return Finding("few_annotators", sentence, {"annotators": seen, "votes": most_votes})


def _votes(seen: Seen) -> Finding | None:
    """P that is a few votes divided by their number has too little entropy to be a floor."""
    if seen.most > MOST_VOTES:
        return None
    if seen.most == 1:
        return Finding(
            "p_is_labels",
            "P is probabilities, all of one class in every row: it is taken as one label per row.",
            {"votes": 1},
        )
    each = f"multiples of 1/{seen.common}" if seen.common <= MOST_VOTES else "shares of few votes"
    return Finding(
        "p_is_votes",
        f"P's rows are all {each}: if they are votes divided by their number, the floor below is"
        " too low, and what is called the model's may be chance in the votes.",
        {"votes": seen.common if seen.common <= MOST_VOTES else seen.most},
        first=True,
        remedy="Give the votes as counts (counts:COLUMN): their floor is then certified.",
    )


def _copies(seen: Seen) -> Finding | None:
    """Rows that come again are taken for independent ones by every interval."""
    repeats = seen.repeats
    if not repeats.copies:
        return None
    rows = repeats.n * repeats.again / repeats.looked_at
    about = "" if repeats.looked_at == repeats.n else "about "
    kept = " They were kept in one fold." if seen.copies else ""
    return Finding(
        "equal_rows",
        f"{about}{rows:,.0f} of {repeats.n:,} rows equal an earlier one in P and Q. If they are"
        f" copies, intervals are {repeats.too_narrow:.2g} times too narrow: name what belongs"
        f" together (--cluster), or leave them out.{kept}",
        {"rows": round(rows), "too_narrow": repeats.too_narrow},
    )


def _ties(seen: Seen) -> list[Finding]:
    """How many rows have no single most probable class."""
    found = []
    for name, ties in (("P", seen.ties_p), ("Q", seen.ties_q)):
        if ties:
            what = f"{ties:,} row{'s' if ties > 1 else ''}"
            sentence = (
                f"In {what} several classes share {name}'s largest probability; in accuracy and"
                " tables by class each counts its share."
            )
            found.append(Finding(f"ties_{name.lower()}", sentence, {"rows": ties}))
    return found
