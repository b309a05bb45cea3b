"""Intervals over rows and annotators: against formulas written out, and what they leave alone."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from scipy import stats

import pandq
from pandq import Counts, Probs, Votes
from pandq.estimate.averages.intervals import Sampling
from pandq.estimate.averages.lossmeans import LossMeans
from pandq.estimate.averages.rowsums import RowSums
from pandq.estimate.decomposition.partsums import _of_votes
from pandq.estimate.decomposition.trained import Trained
from pandq.estimate.sampling import sample_of
from pandq.read.chunks import views_scan
from pandq.views.votes import joined

K = 3
LINEAR = ("cross_entropy", "entropy", "expected_accuracy", "brier")


def drawn(n=120, people=9, seed=0):
    """Two to four votes a row by people of different habits, Q, and another Q."""
    draw = np.random.default_rng(seed)
    q, other = draw.dirichlet(np.ones(K), n), draw.dirichlet(np.ones(K) * 3, n)
    habit = draw.dirichlet(np.ones(K) * 0.5, people)
    sizes = draw.integers(2, 5, n)
    who = [draw.choice(people, m, replace=False).tolist() for m in sizes]
    votes = [
        [int(draw.choice(K, p=0.5 * q[i] + 0.5 * habit[a])) for a in w] for i, w in enumerate(who)
    ]
    return Votes(votes, [[f"w{a}" for a in w] for w in who], classes=range(K)), q, other


def left_out(key, w, x):
    """The variance of a weighted mean by leaving out one key after the other, and Kish's number."""
    mean, total = np.average(x, weights=w), w.sum()
    keys = np.unique(key)
    without = [np.average(x[key != k], weights=w[key != k]) for k in keys]
    each = np.array([w[key == k].sum() for k in keys])
    g = len(keys)
    return (g - 1) / g * np.square(np.array(without) - mean).sum(), total**2 / np.square(each).sum()


def two_way(votes, x, w=None, units=None):
    """Variance and degrees of a mean over votes, by leaving out rows, annotators and votes."""
    row = votes.rows
    share = (np.ones(len(votes)) if w is None else w)[row] / votes.votes[row]
    keys = row if units is None else units[row], votes.annotators, np.arange(len(row))
    (rows, n), (people, m), (both, _) = (left_out(key, share, x) for key in keys)
    variance = max(rows + people - both, rows, people)
    return variance, variance**2 / (rows**2 / (n - 1) + people**2 / (m - 1))


def adds(name, votes, q):
    """What each vote adds to an average of rows."""
    p, row, code = votes.table / votes.votes[:, None], votes.rows, votes.codes
    share, right = p[row, code], (q.argmax(axis=1)[row] == code).astype(float)
    length = np.square(q).sum(axis=1)
    return {
        "cross_entropy": -np.log(q[row, code]),
        "entropy": -np.log(share),
        "expected_accuracy": right,
        "brier": 1 - 2 * q[row, code] + length[row],
    }[name]


@pytest.mark.parametrize("name", LINEAR)
def test_the_error_of_an_average_is_that_over_rows_and_annotators(name):
    votes, q, _ = drawn()
    found = getattr(pandq.audit(votes, Probs(q), decompose=False), name)
    variance, degrees = two_way(votes, adds(name, votes, q))
    assert found.standard_error == pytest.approx(np.sqrt(variance), rel=1e-5)
    assert found.degrees == pytest.approx(degrees, rel=1e-5)
    assert found.method.endswith("Student t over rows and 9 annotators")
    alone = getattr(pandq.audit(votes.counts, Probs(q), decompose=False), name)
    assert found.value == alone.value
    assert found.standard_error >= alone.standard_error


def test_clusters_take_the_place_of_rows_and_weights_count():
    votes, q, _ = drawn()
    site, w = np.arange(120) // 6, np.linspace(0.5, 2.0, 120)
    found = pandq.audit(votes, Probs(q), decompose=False, cluster=site).cross_entropy
    x = adds("cross_entropy", votes, q)
    variance, degrees = two_way(votes, x, units=site)
    assert found.standard_error == pytest.approx(np.sqrt(variance), rel=1e-5)
    assert found.degrees == pytest.approx(degrees, rel=1e-5)
    assert found.method.endswith("cluster-robust over 20 clusters and 9 annotators")
    weighted = pandq.audit(votes, Probs(q), decompose=False, weights=w).cross_entropy
    # of unequal weights leaving out is by their mean share
    assert weighted.standard_error == pytest.approx(np.sqrt(two_way(votes, x, w)[0]), rel=0.02)


def test_differences_and_parts_allow_for_annotators_too():
    votes, q, other = drawn(300)
    both, alone = (pandq.compare(p, Probs(q), Probs(other)) for p in (votes, votes.counts))
    mine, theirs = both.differences[0], alone.differences[0]
    x = adds("cross_entropy", votes, other) - adds("cross_entropy", votes, q)
    variance, _ = two_way(votes, x)
    assert mine.cross_entropy.standard_error == pytest.approx(np.sqrt(variance), rel=1e-5)
    t = abs(mine.cross_entropy.value) / np.sqrt(variance)
    assert mine.p_value == pytest.approx(2 * stats.t.sf(t, mine.cross_entropy.degrees), rel=0.2)
    for name in (
        "cross_entropy",
        "brier",
        "expected_accuracy",
        "grouping_loss",
        "calibration_loss",
    ):
        one, other_one = getattr(mine, name), getattr(theirs, name)
        assert one.value == other_one.value
        assert "and 9 annotators" in one.method, name
    found = pandq.audit(votes, Probs(q))
    assert found.decomposition.cross_entropy == found.cross_entropy
    for name in ("refinement_loss", "calibration_loss"):
        assert "and 9 annotators" in getattr(found.decomposition, name).method
    for name in ("floor", "grouping_loss", "kl"):
        assert "over rows and 9 annotators" in getattr(found.decomposition, name).method
    of_a_pool = pandq.audit(votes, Probs(q), annotator_pool="seen").decomposition
    assert "annotators" not in of_a_pool.floor.method  # these are all that there are


def test_a_mean_over_votes_is_that_over_rows():
    votes, q, other = drawn()
    chunk = views_scan(votes, Probs(q), rivals=[Probs(other)]).whole()
    means = RowSums.empty().of_only(chunk).means
    for one in (means.losses, means.others):
        assert one.votes.names
        for place, name in enumerate(one.votes.names):
            assert one.votes.moments.mean[place] == pytest.approx(one.mean(name), rel=1e-12)


def test_people_who_gave_one_vote_each_add_nothing():
    votes, q, _ = drawn()
    each = np.arange(len(votes.codes)).astype(np.int32)
    names = tuple(f"w{k:04}" for k in each)
    alone = Votes.trusted(
        votes.offsets, votes.codes, each, classes=votes.classes, annotator_names=names
    )
    found, rows = (pandq.audit(p, Probs(q), decompose=False) for p in (alone, votes.counts))
    for name in LINEAR:
        mine, theirs = getattr(found, name), getattr(rows, name)
        assert theirs.standard_error <= mine.standard_error <= 1.05 * theirs.standard_error


def test_one_person_says_nothing_of_others_nor_do_votes_whose_giver_is_not_known_in_part():
    votes, q, _ = drawn()
    first = votes.first(1)
    one = Votes([[c] for c in first.codes.tolist()], ["me"], classes=range(K))
    assert "annotators" not in pandq.audit(one, Probs(q), decompose=False).cross_entropy.method
    known = RowSums.empty().of_only(views_scan(votes, Probs(q)).whole())
    unknown = RowSums.empty().of_only(views_scan(votes.counts, Probs(q)).whole())
    assert known.n_annotators == 9
    both = known.merge(unknown)
    assert both.n_annotators == 0
    assert both.estimate("cross_entropy", level=0.95).method == "mean over rows, Student t"


def test_a_scan_of_files_in_chunks_says_what_arrays_do_and_keeps_a_line_an_annotator(tmp_path):
    votes, q, other = drawn(400)
    said = [votes[i] for i in range(400)]
    table = pa.table(
        {
            "votes": [[int(c) for c in x.codes] for x in said],
            "who": [[x.annotator_names[k] for k in x.annotators] for x in said],
            "a": q.tolist(),
            "b": other.tolist(),
        }
    )
    file = tmp_path / "x.parquet"
    pa.parquet.write_table(table, file, row_group_size=70)
    given = {"p": "votes:votes,annotators:who", "q": ["probs:a", "probs:b"], "classes": K}
    found = pandq.compare(pandq.scan(file, **given))
    alone = pandq.compare(votes, Probs(q), Probs(other))
    assert found.source["annotators"] == alone.source["annotators"] == 9
    for name in ("cross_entropy", "brier", "grouping_loss"):
        mine, theirs = (getattr(x.differences[0], name) for x in (found, alone))
        assert mine.standard_error == pytest.approx(theirs.standard_error, rel=1e-5)
    sums = [RowSums.empty().of_only(c) for c in pandq.scan(file, **given).chunks()]
    assert len(sums) > 1
    total = sums[0]
    for x in sums[1:]:
        total = total.merge(x)
    assert total.means.losses.votes.annotators.totals.shape[0] == 9


def test_rows_of_infinite_loss_leave_the_others_as_they_are():
    votes, q, _ = drawn()
    zero = q.copy()
    zero[:5] = np.eye(K)[(votes.table[:5].argmax(axis=1) + 1) % K]
    found = pandq.audit(votes, Probs(zero), decompose=False)
    assert np.isinf(found.cross_entropy.value)
    assert "and 9 annotators" in found.expected_accuracy.method
    part = found.finite_part["cross_entropy"]
    kept = np.flatnonzero(votes.table[np.arange(120), zero.argmax(axis=1)] >= 0)
    kept = kept[5:]
    variance, _ = two_way(votes[kept], adds("cross_entropy", votes[kept], q[kept]))
    assert part.standard_error == pytest.approx(np.sqrt(variance), rel=1e-5)


def full(found):
    """A page's words, with all that the first screen leaves out."""
    return " ".join(found.to_html().split())


def test_a_report_says_what_its_intervals_are_over():
    votes, q, other = drawn()
    for made in (pandq.audit, lambda p, x: pandq.compare(p, x, Probs(other))):
        known, unknown = made(votes, Probs(q)), made(votes.counts, Probs(q))
        said = " ".join(known.to_text().split())
        assert "intervals over rows and 9 annotators at 95%" in said
        assert "by 9 annotators, over whom intervals are, too; those of tables are" in full(known)
        assert "would tell" in said
        assert "taken as exchangeable" in full(unknown)
        assert "annotators" in known.to_html()
        assert known.to_dict()["source"]["annotators"] == 9
    drawn_again = pandq.audit(votes, Probs(q), intervals="bootstrap", decompose=False)
    assert "exchangeable" in full(drawn_again)
    assert "intervals over rows alone at 95%" in " ".join(drawn_again.to_text().split())


def test_what_does_not_allow_for_annotators_says_so_where_it_stands():
    votes, q, other = drawn(200)
    site = {"site": np.arange(200) % 2}
    for units, more in (("rows", {}), ("clusters", {"cluster": np.arange(200) // 4})):
        made = pandq.audit(votes, Probs(q), by=site, **more)
        said = " ".join(made.to_text().split())
        # accuracy; classes and groups, twice each; bins of confidence, whose rows count alone
        assert said.count(f"interval over {units} alone") == 1
        assert said.count(f"interval over {units}") - 1 + (units == "clusters") == 5
        assert said.count("at Q's top class interval over rows") == 1
        compared = pandq.compare(votes, Probs(q), Probs(other), by=site, **more)
        said = " ".join(compared.to_text().split())
        assert said.count(f"interval over {units} alone") == 2  # accuracy, and row by row
        assert said.count(f"interval over {units}") == 4
    unknown = pandq.audit(votes.counts, Probs(q), by=site).to_text()
    assert "interval over" not in unknown


def test_the_variance_is_never_below_that_of_either():
    one = Sampling(1.0, 0.04, effective=20.0, n=40, skewness=0.3)
    other = Sampling(1.0, 0.01, effective=5.0, n=40, skewness=-0.2)
    found = one.crossed(other, 0.03)
    assert found.variance == 0.04
    assert found.skewness == pytest.approx((0.3 * 0.04**1.5 - 0.2 * 0.01**1.5) / 0.04**1.5)
    nothing = replace(one, variance=0.0)
    assert nothing.crossed(replace(other, variance=0.0), 0.0) == nothing
    assert one.crossed(replace(other, variance=float("nan")), 0.0) == one


def test_what_is_no_mean_over_votes_is_over_rows():
    blank = LossMeans.empty(("a",), ("b",), of_votes=("a",))
    assert blank.losses.votes.names == ("a",)
    assert blank.others.votes.names == ()
    votes, q, _ = drawn()
    found = pandq.audit(votes, Probs(q), decompose=False)
    for name in ("accuracy", "confidence"):
        assert getattr(found, name).method == "mean over rows, Student t"


def test_a_floor_is_over_annotators_too_and_the_wider_the_more_their_habits_differ():
    found = {}
    for habit in (0.0, 0.5):
        votes, q = of_habits(habit)
        both, alone = (
            pandq.audit(p, Probs(q), worst=0).decomposition for p in (votes, votes.counts)
        )
        for name in ("floor", "grouping_loss", "kl", "blind_floor"):
            one, other = getattr(both, name), getattr(alone, name)
            assert "over rows and 12 annotators" in one.method
            assert one.value == other.value or None in (one.value, other.value)
            assert one.low <= other.low + 1e-12
            assert one.high >= other.high - 1e-12 or name == "floor"  # which the loss may cut
        found[habit] = (both.floor.high - both.floor.low) / (alone.floor.high - alone.floor.low)
    assert 1.0 <= found[0.0] < found[0.5]
    assert found[0.5] > 1.5


def test_a_bound_moves_by_a_vote_as_it_does_where_that_vote_is_another():
    votes, q = of_habits(0.3, n=60)
    chunk = views_scan(votes, Probs(q)).whole()
    trained = Trained.of(sample_of(1000, chunk), "votes", seed=0)
    (each,) = chunk.by_vote()
    told = _of_votes(each, chunk=chunk, trained=trained)
    before = trained.bounds(chunk.p, chunk.q, chunk.keys)
    blind = trained.blind_bounds(chunk.p, chunk.keys)
    for vote in range(0, len(each.row), 17):
        row, said = each.row[vote], each.rows.p.array[vote]
        table = chunk.p.array.copy()
        table[row, said] -= 1
        table[row, q[row].argmax()] += 1
        after = trained.bounds(Counts(table), chunk.q, chunk.keys)
        blind_after = trained.blind_bounds(Counts(table), chunk.keys)
        for end, side in enumerate(("low", "high")):
            moved = 3 * (before[end][row] - after[end][row])
            assert told[f"floor_{side}"][vote] == pytest.approx(moved, abs=1e-12)
            moved = 3 * (blind[end][row] - blind_after[end][row])
            assert told[f"blind_{side}"][vote] == pytest.approx(moved, abs=1e-12)


def disagreement(votes, ordered):
    """What each vote adds to the share of pairs that disagree, of which each vote is in many.

    Of a mean over pairs it is twice that over the vote's own pairs less that over all.
    """
    added = []
    for row in range(len(votes)):
        said = votes.codes[votes.offsets[row] : votes.offsets[row + 1]]
        far = np.abs(said[:, None] - said) / 2 if ordered else said[:, None] != said
        own = far.sum(axis=1) / (len(said) - 1)
        added += (2 * own - own.mean()).tolist()
    return np.array(added)


@pytest.mark.parametrize("score", ["brier", "rps"])
def test_parts_of_squared_scores_are_over_annotators_too(score):
    votes, q, _ = drawn(200)
    given = {"worst": 0, "ordered": score == "rps"}
    found = getattr(pandq.audit(votes, Probs(q), **given).decomposition, score)
    alone = getattr(pandq.audit(votes.counts, Probs(q), **given).decomposition, score)
    for name, one in found.items():
        assert one.value == alone[name].value
        assert "over rows and 9 annotators" in one.method
        assert "annotators" not in alone[name].method
    floor, x = found["floor"], disagreement(votes, score == "rps")
    pairs = np.average(x, weights=1 / votes.votes[votes.rows])
    after = found[score].value - found["calibration_loss"].value
    assert floor.value == pytest.approx(min(pairs, after), rel=1e-12)
    variance, degrees = two_way(votes, x)
    assert floor.standard_error == pytest.approx(np.sqrt(variance), rel=1e-5)
    assert floor.degrees == pytest.approx(degrees, rel=1e-5)
    # these people are all that there are: the floor is theirs, the score is not
    pooled = getattr(pandq.audit(votes, Probs(q), annotator_pool=9, **given).decomposition, score)
    over = {name for name, one in pooled.items() if "annotators" in one.method}
    assert over == {score, "calibration_loss"}


def test_rows_of_one_vote_say_nothing_of_the_floor_of_a_score_and_its_annotators():
    votes, q, _ = drawn(300)
    mixed = joined([votes[:200], votes[200:].first(1)], votes.classes, notes=())
    found = pandq.audit(mixed, Probs(q), worst=0).decomposition.brier["floor"]
    variance, _ = two_way(mixed[:200], disagreement(mixed[:200], ordered=False))
    assert found.n == 200
    assert found.standard_error == pytest.approx(np.sqrt(variance), rel=1e-5)


def of_habits(habit, n=300, people=12):
    """Three votes a row; each of some people answers a share of them by a class of their own."""
    rng = np.random.default_rng(4)
    law = rng.dirichlet(np.ones(3), n)
    who = np.array([rng.choice(people, 3, replace=False) for _ in range(n)])
    said = np.array([rng.choice(3, size=3, p=p) for p in law])
    own = rng.random((n, 3)) < habit * rng.random(people)[who]
    said = np.where(own, who % 3, said)
    return Votes(said.tolist(), who.tolist(), classes=range(3)), 0.8 * law + 0.2 / 3


@pytest.mark.parametrize("n", [60, 150])
def test_no_floor_lies_above_the_entropy_of_the_uniform_law_and_no_plan_leaves_people_out(n):
    rng = np.random.default_rng(0)
    said = [[int(rng.integers(3)) for _ in range(3)] for _ in range(n)]
    who = [[f"a{x}" for x in rng.choice(12, 3, replace=False)] for _ in range(n)]
    votes = pandq.Votes(said, classes=["0", "1", "2"], annotators=who)
    found = pandq.audit(votes, pandq.Probs(np.full((n, 3), 1 / 3)))
    parts = found.decomposition
    # the loss after recalibration may be larger for people drawn anew, and no entropy is
    assert parts.refinement_loss.high > np.log(3)
    assert parts.floor.high == pytest.approx(np.log(3), abs=1e-12)
    assert parts.plan == []
    assert "get votes of more people" in " ".join(str(found).split())
