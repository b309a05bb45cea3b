"""One of every Summary, for the laws of `test_laws.py`.

To put a new Summary under them add a Case to CASES:

    empty   makes the Summary of nothing;
    rows    makes n random rows from a generator, as a dict of arrays of length n (a key named
            "row" is their number in the whole, should the Summary need it);
    of      sums rows (any slice of them, also none), asked of any Summary of the kind;
    order   for a Summary that lists things in the order in which it met them: a canonical form
            of it to compare, in which that order is gone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache, partial, reduce
from typing import Any

import numpy as np
from scipy import special

from pandq import (
    Counts,
    Ensemble,
    Labels,
    Logits,
    LogProbs,
    MultiLabel,
    Probs,
    Sampled,
    TopK,
    Votes,
    kl_bounds,
)
from pandq.calibrations import LearntSums
from pandq.core.hashing import hash_ids
from pandq.estimate.averages.drawn import DrawnLoss
from pandq.estimate.averages.frequencies import Frequencies
from pandq.estimate.averages.judgedsums import JUDGED, JudgedSums, Side
from pandq.estimate.averages.lossmeans import GroupLossMeans, LossMeans
from pandq.estimate.averages.means import GroupMeans, Means
from pandq.estimate.averages.perbyte import no_bytes
from pandq.estimate.averages.rowsums import RowSums
from pandq.estimate.averages.votemeans import VoteMeans
from pandq.estimate.comparison import bounded
from pandq.estimate.comparison.coded import CodeSums
from pandq.estimate.comparison.firstpass import ComparisonSums
from pandq.estimate.comparison.paired import PairSums
from pandq.estimate.comparison.pairedparts import PairedMaps, PartDifferences
from pandq.estimate.comparison.reference import ReferenceSums
from pandq.estimate.comparison.sampled import DrawnSums, LogSums, SampledSums
from pandq.estimate.comparison.toplabels import TopLabelSums
from pandq.estimate.decomposition.partsums import LOSSES, PARTS, PartSums
from pandq.estimate.decomposition.trained import Trained
from pandq.estimate.ensemble.membersums import MemberSums
from pandq.estimate.findings import Seen
from pandq.estimate.firstpass import AuditSums
from pandq.estimate.passes import Shape
from pandq.estimate.sampling import sample_of
from pandq.fit.models import HeldOutSums
from pandq.fit.regressions import bayessums
from pandq.fit.regressions.gram import GramSums
from pandq.fit.regressions.posterior import of_precision
from pandq.fit.regressions.scaling import ColumnSums
from pandq.fit.regressions.softmaxfit import EntropySums, Largest, Survey
from pandq.fit.regressions.softmaxsums import LossSums, Problem, ProductSums, Rows, hessian_times
from pandq.loops.kept import KeptRows
from pandq.multilabels import TOTAL, EachParts, EachSums, first_of_each, parts_of_each
from pandq.read.chunks import views_scan
from pandq.read.feature_scan import FeatureChunk
from pandq.rows import measure_rows, same_tops
from pandq.sums.clusters import ClusterTotals
from pandq.sums.groups import GroupMoments
from pandq.sums.moments import Cubes, Moments, Scatter
from pandq.sums.redrawn import RedrawnHistogram
from pandq.sums.reliability import Reliability
from pandq.sums.repeats import Repeats
from pandq.sums.resample import PoissonBootstrap
from pandq.sums.sample import Sample, StrataSizes
from pandq.sums.tallies import LogHistogram, UnitHistogram, WorstRows
from pandq.views.coded import CodedBlock, CodedLogits, Codes


def merged(summaries):
    return reduce(lambda a, b: a.merge(b), summaries)


def as_it_is(summary):
    return summary


@dataclass(frozen=True)
class Case:
    """How to make one kind of Summary."""

    empty: Callable[[], Any]
    rows: Callable[[np.random.Generator, int], dict[str, Any]]
    of: Callable[[Any, dict[str, Any]], Any]
    order: Callable[[Any], Any] = as_it_is


# ---------------------------------------------------------------------------------------- rows


def values(rng, n):
    """Two quantities of very different sizes and offsets."""
    return {"x": rng.normal(size=(n, 2)) * [1.0, 1e3] + [100.0, 0.0]}


def weighted(rng, n):
    return values(rng, n) | {"w": rng.integers(0, 4, size=n) / 2}


def grouped(rng, n):
    return weighted(rng, n) | {"code": rng.integers(5, size=n)}


def clustered(rng, n):
    keys = {"group": rng.integers(2, size=n), "cluster": rng.integers(6, size=n)}
    return weighted(rng, n) | {name: key.astype(np.uint64) for name, key in keys.items()}


def losses(rng, n):
    x = np.exp(rng.normal(size=n) * 9)
    x[rng.random(n) < 0.1] = 0.0
    x[rng.random(n) < 0.1] = np.inf
    return {"x": x, "w": rng.integers(0, 4, size=n) / 2}


def rated(rng, n):
    """Many ties, so that the order among equals is tested."""
    x = rng.integers(4, size=n).astype(float)
    row = np.arange(n)
    return {"x": x, "row": row, "details": np.stack([x, row], axis=1), "id": row.astype(str)}


def predicted(rng, n):
    logits = rng.normal(size=(n, 3)) * 4
    logits[rng.random((n, 3)) < 0.1] = -np.inf
    logits[:, 0] = np.where(np.isneginf(logits).all(axis=1), 0.0, logits[:, 0])
    return {
        "q": logits,
        "rival": rng.normal(size=(n, 3)),
        "labels": rng.integers(3, size=n),
        "counts": rng.integers(1, 5, size=(n, 3)),
        "probs": rng.dirichlet([1.0, 1.0, 1.0], size=n).reshape(n, 3),
        "row": np.arange(n),
        "site": rng.integers(4, size=n).astype(str),
        "person": rng.integers(5, size=n),
        "w": rng.integers(1, 4, size=n) / 2,
    }


ROW_COLUMNS = {
    "by": lambda rows: {"site": rows["site"]},
    "cluster": lambda rows: rows["person"],
    "weights": lambda rows: rows["w"],
    "rivals": lambda rows: (Logits(rows["rival"]),),
    "labels": lambda rows: Labels(rows["labels"], 3),
}


def scanned(empty, of, p, q=lambda rows: Logits(rows["q"]), columns=()):
    """A case of what is made of chunks: `of(blank, chunk)`, with P and Q and more of the rows."""

    def of_rows(blank, rows):
        more = {name: ROW_COLUMNS[name](rows) for name in columns}
        start = int(rows["row"][0]) if len(rows["row"]) else 0
        chunks = views_scan(p(rows), q(rows), ids=rows["row"], **more).chunks()
        made = [of(blank, replace(chunk, start=start + chunk.start)) for chunk in chunks]
        return merged(made) if made else empty()

    return Case(empty, predicted, of_rows, order=plain)


def labels(rows):
    return Labels(rows["labels"], 3)


def counts(rows):
    return Counts(rows["counts"])


def of_people(rows):
    """The same counts as answers, by people who come again."""
    answers = [np.repeat(np.arange(3), n).tolist() for n in rows["counts"]]
    places = zip(rows["row"].tolist(), answers, strict=True)
    who = [[f"w{(7 * i + j) % 13}" for j in range(len(a))] for i, a in places]
    return Votes(answers, who, classes=[0, 1, 2])


def probs(rows):
    return Probs(rows["probs"])


def coded(rows):
    """Of the third class only that it lies at the floor of the codes."""
    n = len(rows["row"])
    log_q = np.log(np.column_stack([rows["probs"][:, :2] + 0.1, np.full(n, 1e-6)]))
    half = rows["site"].astype(int) * 1e-5
    ones = np.ones(n)
    codes = Codes(half, -13.0 * ones, ones, np.exp(log_q[:, 2]), 2e-6 * ones)
    return CodedLogits.of(CodedBlock.of(log_q.astype(np.float32), codes))


def measured_codes(summary, chunk):
    return summary.of_only(chunk, chunk.q, measure_rows(chunk.p, chunk.q))


def drawn(rows, column="probs"):
    """What was drawn, by the labels; some of it is forbidden by Q."""
    x = np.log(rows["probs"] + 0.1) if column == "probs" else special.log_softmax(rows["q"], 1)
    return Sampled(np.minimum(x[np.arange(len(x)), rows["labels"]], 0.0))


def of_draws(columns):
    q = partial(drawn, column="q")
    empty = partial(DrawnSums.empty, 1, worst=3)
    return scanned(empty, DrawnSums.of_only, drawn, q, columns=columns)


def members(rows):
    return Ensemble([Logits(rows["rival"]), Logits(rows["rival"] / 2)])


def top(rows):
    order = np.argsort(-rows["probs"], axis=1, kind="stable")[:, :2]
    return TopK(order, np.log(np.take_along_axis(rows["probs"], order, axis=1)), 3)


def row_sums(p, *columns):
    empty = partial(RowSums.empty, by=("site",) if "by" in columns else (), worst=4)
    return scanned(empty, RowSums.of_only, p, columns=columns)


def plain(x):
    """Summaries as nested dicts; GroupMoments by the names of their groups."""
    if isinstance(x, GroupMoments):
        columns = [getattr(x, f.name) for f in fields(x) if f.name != "names"]
        return {name: tuple(c[i] for c in columns) for i, name in enumerate(x.names)}
    if is_dataclass(x):
        return {f.name: plain(getattr(x, f.name)) for f in fields(x)}
    if isinstance(x, tuple):
        return tuple(plain(v) for v in x)
    return {name: plain(v) for name, v in x.items()} if isinstance(x, Mapping) else x


def told_apart(kept):
    """Rows that are kept, with the names of their groups and of who gave their votes."""
    columns = dict(kept.rows.columns)
    for name, names in kept.names.items():
        columns[name] = np.array([*names, None], object)[columns[name]].tolist()
    return plain(replace(kept.rows, columns=columns))


def keyed(rng, n):
    return clustered(rng, n) | {"row": np.arange(n), "key": hash_ids(rng.integers(10**6, size=n))}


def stratified(sample, rows):
    strata = rows["row"] % 4 // 3  # one row of four is rare
    return sample.of_only(rows["key"], rows["row"], rows, strata, np.bincount(strata, minlength=2))


def calibrated(rng, n):
    return {"q": rng.random(n), "hit": rng.integers(2, size=n).astype(float)}


def voted(rng, n):
    q = rng.dirichlet(np.ones(3), n)
    votes = np.array([rng.multinomial(3, row) for row in q]).reshape(n, 3)
    return {"q": q, "votes": votes, "id": np.arange(n)}


def coarse(rng, n):
    """Few different rows of Q, so that many come again."""
    q = rng.integers(1, 5, (n, 1)) / 8
    return {"q": np.hstack([q, 1 - q, 0 * q]), "labels": rng.integers(3, size=n)}


@cache
def learnt_from(p, *columns):
    """A chunk of 300 rows for what a second pass takes from the first."""
    rows = predicted(np.random.default_rng(1), 300)
    more = {name: ROW_COLUMNS[name](rows) for name in columns}
    (chunk,) = views_scan(p(rows), Logits(rows["q"]), **more).chunks()
    return sample_of(300, chunk)


@cache
def trained_on_votes():
    return Trained.of(learnt_from(counts), "votes", seed=0)


@cache
def paired_maps():
    return PairedMaps.of(learnt_from(labels, "rivals"), 2, seed=0)


def measured(summary, chunk):
    return summary.of_only(chunk, measure_rows(chunk.p, chunk.q))


FEW = {"sampled": False, "n_rows": None}


def yes_or_no(rows):
    return MultiLabel.probs(rows["counts"][:, :2] > 1)


def odds(rows):
    return MultiLabel.logits(rows["q"][:, :2])


def each_sums(classes):
    blank = {str(k): AuditSums.empty(worst=3) for k in classes}
    return EachSums(blank, LossMeans.empty(*TOTAL))


def each_parts():
    blank = {str(k): PartSums.empty() for k in (0, 1)}
    return EachParts(blank, LossMeans.empty(LOSSES, PARTS))


@cache
def trained_on_labels():
    """Maps from some rows of no and yes."""
    draw = np.random.default_rng(5)
    q = draw.normal(size=90)
    y = Labels((draw.random(90) < special.expit(q)).astype(int), 2)
    chunk = next(views_scan(y, Logits.binary(q)).chunks())
    return Trained.of(sample_of(90, chunk), "labels", seed=0)


def sampled(summary, chunk):
    return summary.of_only(chunk, sample_of(7, chunk))


def learnt(_, chunk):
    found = Seen.empty().of_only(chunk, measure_rows(chunk.p, chunk.q))
    return LearntSums(Shape.of(chunk), sample_of(7, chunk), found)


def pair(summary, chunk):
    one, other = (measure_rows(chunk.p, view) for view in (chunk.q, chunk.rivals[0]))
    same = same_tops(chunk.q, chunk.rivals[0], one.q_class, other.q_class)
    return summary.of_only(chunk, one, other, same)


def pair_sums():
    return PairSums.empty(by=("site",), worst=4)


def comparison_sums():
    one, reference = RowSums.empty(worst=0), ReferenceSums.empty()
    pairs = (PairSums.empty(worst=3),)
    codes = CodeSums.empty()
    return ComparisonSums(
        Shape(),
        (one, one),
        pairs,
        (reference, reference),
        (codes, codes),
        (no_bytes(), no_bytes()),
        Sample.empty(0),
        reference,
    )


FIT = Problem(3, 2, intercept=True)
THETA = np.random.default_rng(3).normal(size=FIT.shape)
DIRECTION = np.random.default_rng(4).normal(size=FIT.shape)
POSTERIOR = of_precision(THETA, np.eye(9) * 4.0, "full")
RULE = bayessums.Rule.of(2, 32, 0)


class Fitted:
    """A model that predicts by THETA."""

    n_classes = 3

    def predict(self, x):
        return LogProbs(special.log_softmax(FIT.times(x, THETA), axis=1))


def to_fit(rng, n):
    return weighted(rng, n) | {
        "x": rng.normal(size=(n, 2)),
        "y": rng.integers(3, size=n),
        "p": rng.dirichlet([1.0, 1.0, 1.0], size=n).reshape(n, 3),
        "row": np.arange(n),
    }


def fitted(empty, of, p="y"):
    """A case of what is made of the rows of a regression: `of(rows)`."""

    def of_rows(_, rows):
        start = int(rows["row"][0]) if len(rows["row"]) else 0
        return of(Rows(start, rows["x"], rows[p], rows["w"]))

    return Case(empty, to_fit, of_rows)


def curved(rows):
    q = FIT.law(FIT.times(rows.x, THETA))[1]
    return ProductSums(hessian_times(rows.x, rows.w, FIT, q, DIRECTION))


def held_out(_, rows):
    chunk = FeatureChunk(0, rows["x"], Labels(rows["y"], 3), rows["w"], rows["row"])
    return HeldOutSums.of(chunk, Fitted())


GROUPS = tuple("abcde")


CASES = {
    "Scatter": Case(lambda: Scatter.empty(2), values, lambda s, r: s.of_only(r["x"])),
    "Scatter weighted": Case(
        lambda: Scatter.empty(2), weighted, lambda s, r: s.of_only(r["x"], r["w"])
    ),
    "Cubes": Case(lambda: Cubes.empty(2), values, lambda s, r: s.of_only(r["x"])),
    "Cubes weighted": Case(
        lambda: Cubes.empty(2), weighted, lambda s, r: s.of_only(r["x"], r["w"])
    ),
    "Moments": Case(lambda: Moments.empty(2), values, lambda s, r: s.of_only(r["x"])),
    "Moments weighted": Case(
        lambda: Moments.empty(2), weighted, lambda s, r: s.of_only(r["x"], r["w"])
    ),
    "GroupMoments": Case(
        lambda: GroupMoments.empty(2),
        grouped,
        lambda s, r: s.of_only(r["code"], tuple("abcde"), r["x"]),
        order=plain,
    ),
    "GroupMoments of classes": Case(
        lambda: GroupMoments.empty(2, numbered=True),
        grouped,
        lambda s, r: s.of_only(7 * r["code"], range(30), r["x"], r["w"]),
        order=plain,
    ),
    "GroupMoments weighted": Case(
        lambda: GroupMoments.empty(2),
        grouped,
        lambda s, r: s.of_only(r["code"], tuple("abcde"), r["x"], r["w"]),
        order=plain,
    ),
    "ClusterTotals": Case(
        lambda: ClusterTotals.empty(2),
        clustered,
        lambda s, r: s.of_only(r["group"], r["cluster"], r["x"], r["w"]),
    ),
    "LogHistogram": Case(LogHistogram.empty, losses, lambda s, r: s.of_only(r["x"], r["w"])),
    "LogHistogram coarse": Case(
        lambda: LogHistogram.empty(0.3), losses, lambda s, r: s.of_only(r["x"])
    ),
    "WorstRows": Case(
        lambda: WorstRows.empty(5, 2),
        rated,
        lambda s, r: s.of_only(r["x"], r["row"], r["details"], list(r["id"])),
    ),
    "WorstRows none": Case(
        lambda: WorstRows.empty(0, 2),
        rated,
        lambda s, r: s.of_only(r["x"], r["row"], r["details"], list(r["id"])),
    ),
    "Sample": Case(lambda: Sample.empty(7), keyed, lambda s, r: s.of_only(r["key"], r["row"], r)),
    "KeptRows": replace(
        scanned(
            lambda: KeptRows.empty(7),
            KeptRows.of_only,
            counts,
            columns=("by", "cluster", "weights", "rivals"),
        ),
        order=told_apart,
    ),
    "KeptRows of annotators": replace(
        scanned(lambda: KeptRows.empty(7), KeptRows.of_only, of_people, columns=("by",)),
        order=told_apart,
    ),
    "Sample with strata": Case(lambda: Sample.empty(7, 3), keyed, stratified),
    "PoissonBootstrap": Case(
        lambda: PoissonBootstrap.empty(2, replicates=9),
        keyed,
        lambda s, r: s.of_only(r["key"], r["x"], r["w"]),
    ),
    "Reliability": Case(Reliability.empty, calibrated, lambda s, r: s.of_only(r["q"], r["hit"])),
    "Means in clusters": Case(
        lambda: Means.empty(("a", "b"), replicates=5),
        keyed,
        lambda s, r: s.of_only(r["x"], r["w"], clusters=r["cluster"], keys=r["key"]),
    ),
    "VoteMeans": Case(
        lambda: VoteMeans.empty(("a", "b")),
        clustered,
        lambda s, r: s.of_only(r["x"], r["w"], r["cluster"]),
    ),
    "Repeats": Case(
        lambda: Repeats.empty(5),
        coarse,
        lambda s, r: s.of_only([r["q"][:, 0]], [r["labels"]]),
    ),
    "StrataSizes": Case(
        StrataSizes.empty,
        keyed,
        lambda s, r: s.of_only(np.bincount(r["row"] % 4 // 3, minlength=2)),
    ),
    "RedrawnHistogram": Case(
        RedrawnHistogram.empty,
        losses,
        lambda s, r: s.of_only(r["x"], hash_ids(np.round(r["w"], 1)), r["w"]),
    ),
    "UnitHistogram": Case(
        UnitHistogram.empty, losses, lambda s, r: s.of_only(np.tanh(r["x"]) - 0.5, r["w"])
    ),
    "GroupMeans in clusters": Case(
        lambda: GroupMeans.empty(("a", "b")),
        grouped,
        lambda s, r: s.of_only(r["code"], GROUPS, r["x"], r["w"], clusters=hash_ids(r["code"])),
        order=plain,
    ),
    "LossMeans": Case(
        lambda: LossMeans.empty(("loss",), ("a", "b")),
        losses,
        lambda s, r: s.of_only(r["x"][:, None], np.stack([r["w"], r["w"] ** 2]).T, r["w"]),
    ),
    "GroupLossMeans": Case(
        lambda: GroupLossMeans.empty(("a", "b"), ("c", "d")),
        grouped,
        lambda s, r: s.of_only(r["code"], GROUPS, r["x"], r["x"] + 1, r["w"]),
        order=plain,
    ),
    "Side": scanned(
        partial(Side.empty, 3),
        lambda s, c: s.of_only(measure_rows(c.p, c.q).columns(*JUDGED), c),
        labels,
        columns=("cluster", "weights"),
    ),
    "JudgedSums of labelled rows": scanned(
        partial(JudgedSums.empty, 2),
        lambda s, c: s.of_only(replace(c, judge=Labels(c.q.array.argmax(1), 3))),
        labels,
        columns=("rivals", "weights"),
    ),
    "JudgedSums of the others": scanned(
        partial(JudgedSums.empty, 1), JudgedSums.of_only, labels, columns=("cluster",)
    ),
    "Shape": scanned(Shape, lambda _, chunk: Shape.of(chunk), labels),
    "Seen of labels": scanned(Seen.empty, measured, labels),
    "Seen of probs": scanned(Seen.empty, measured, probs),
    "RowSums of labels": row_sums(labels),
    "RowSums of counts in groups": row_sums(counts, "by"),
    "RowSums of annotators in clusters": row_sums(of_people, "cluster", "weights"),
    "RowSums of probs in clusters": row_sums(probs, "cluster", "by"),
    "RowSums of weighted probs": row_sums(probs, "cluster", "weights", "by"),
    "Frequencies of labels": scanned(Frequencies.empty, Frequencies.of_only, labels),
    "Frequencies of weighted counts": scanned(
        Frequencies.empty, Frequencies.of_only, counts, columns=("weights",)
    ),
    "AuditSums": scanned(partial(AuditSums.empty, by=("site",)), sampled, counts, columns=("by",)),
    "EachSums": scanned(
        partial(each_sums, (0, 1)), lambda s, c: first_of_each(c, blank=s, **FEW), yes_or_no, q=odds
    ),
    "EachParts": scanned(
        each_parts,
        lambda s, c: parts_of_each(c, blank=s, trained=dict.fromkeys("01", trained_on_labels())),
        yes_or_no,
        q=odds,
    ),
    "LearntSums": scanned(
        lambda: LearntSums(Shape(), Sample.empty(0), Seen.empty()), learnt, counts
    ),
    "PartSums of votes": scanned(
        partial(PartSums.empty, votes=True), lambda s, c: s.of_only(c, trained_on_votes()), counts
    ),
    "PartSums of annotators": scanned(
        partial(PartSums.empty, votes=True),
        lambda s, c: s.of_only(c, trained_on_votes()),
        of_people,
    ),
    "MemberSums": scanned(
        partial(MemberSums.empty, by=("site",)), MemberSums.of_only, probs, members, ("by",)
    ),
    "MemberSums of no ensemble": scanned(MemberSums.empty, MemberSums.of_only, probs),
    "PairSums": scanned(pair_sums, pair, labels, columns=("by", "rivals")),
    "PairSums of annotators": scanned(pair_sums, pair, of_people, columns=("by", "rivals")),
    "ComparisonSums": scanned(comparison_sums, sampled, probs, columns=("rivals", "labels")),
    "CodeSums": scanned(
        CodeSums.empty, measured_codes, probs, coded, columns=("weights", "labels")
    ),
    "DrawnSums": of_draws(()),
    "DrawnSums of sequences": of_draws(("cluster",)),
    "DrawnSums with weights": of_draws(("weights",)),
    "DrawnLoss": scanned(
        partial(DrawnLoss.empty, worst=3), DrawnLoss.of_only, drawn, drawn, columns=("weights",)
    ),
    "DrawnLoss of sequences": scanned(
        partial(DrawnLoss.empty, worst=3, by=("site",)),
        DrawnLoss.of_only,
        drawn,
        drawn,
        columns=("cluster", "by"),
    ),
    "SampledSums": scanned(
        SampledSums.empty, lambda s, c: s.of_only(c, c.q), drawn, partial(drawn, column="q")
    ),
    "LogSums": Case(
        lambda: LogSums.of(np.zeros(0)), predicted, lambda _, x: LogSums.of(x["rival"][:, 0])
    ),
    "PartDifferences": scanned(
        lambda: PartDifferences.empty(1),
        lambda s, c: s.of_only(c, paired_maps()),
        labels,
        columns=("rivals",),
    ),
    "ReferenceSums": scanned(ReferenceSums.empty, lambda s, c: s.of_only(c, c.q), probs),
    "ReferenceSums of tokens": scanned(
        ReferenceSums.empty, lambda s, c: s.of_only(c, c.q), probs, columns=("labels",)
    ),
    "ReferenceSums with worst rows and a control": scanned(
        partial(ReferenceSums.empty, worst=3),
        lambda s, c: s.of_only(c, c.q, measure_rows(c.p, c.q), np.ones(len(c))),
        probs,
        columns=("labels", "weights"),
    ),
    "DivergenceBounds of a TopK": scanned(
        bounded.DivergenceBounds.empty, lambda s, c: s.of_only(c, kl_bounds(c.p, c.q)), top
    ),
    "TopLabelSums": scanned(
        TopLabelSums.empty,
        lambda s, c: s.of_only(c, c.q, q_floor=1e-4),
        top,
        top,
        columns=("labels",),
    ),
    "BoundedSums": scanned(
        partial(bounded.BoundedSums.empty, 2),
        lambda s, c: s.of_only(c, q_floor=1e-4),
        top,
        columns=("rivals",),
    ),
    "BoundedSums of what was rounded": scanned(
        partial(bounded.BoundedSums.empty, 2),
        lambda s, c: s.of_only(c, q_floor=None),
        lambda rows: Probs(np.round(rows["probs"], 2), decimals=2),
        columns=("rivals",),
    ),
    "ColumnSums": Case(ColumnSums.empty, to_fit, lambda _, r: ColumnSums.of(r["x"])),
    "GramSums": fitted(partial(GramSums.empty, FIT), lambda r: GramSums.of(r, FIT)),
    "EntropySums": fitted(EntropySums.empty, EntropySums.of, "p"),
    "Survey": fitted(
        lambda: Survey(GramSums.empty(FIT), EntropySums.empty()),
        lambda r: Survey(GramSums.of(r, FIT), EntropySums.of(r)),
        "p",
    ),
    "Largest": fitted(lambda: Largest(0.0), lambda r: Largest(float(abs(r.x).max(initial=0.0)))),
    "LossSums": fitted(partial(LossSums.empty, FIT), lambda r: LossSums.of(r, FIT, THETA)[0], "p"),
    "ProductSums": fitted(partial(ProductSums.empty, FIT), curved),
    "BoundSums of an ELBO": fitted(
        partial(bayessums.BoundSums.empty, FIT),
        lambda r: bayessums.BoundSums.of(r, FIT, POSTERIOR, RULE, own=True),
    ),
    "DrawSums": fitted(
        partial(bayessums.DrawSums.empty, 2),
        lambda r: bayessums.DrawSums.of(r, FIT, np.stack([THETA, DIRECTION])),
    ),
    "HeldOutSums": Case(HeldOutSums, to_fit, held_out),
}
