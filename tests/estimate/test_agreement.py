"""What votes say by themselves, against published tables and against counting every pair."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import pandq
from pandq import Counts, Votes
from pandq.estimate.agreement.annotators import LEAST_ITEMS, Answers, annotator_lines
from pandq.estimate.agreement.cells import Cells
from pandq.estimate.agreement.chance import agreement_and_alpha
from pandq.estimate.agreement.components import NAMES, components
from pandq.estimate.agreement.human import human_floor
from pandq.estimate.agreement.tables import class_lines, divided_lines, pair_lines

# Krippendorff 2011, sections A, B and C: observers by units, "." a missing value, and alpha.
PUBLISHED = {
    "two observers, binary": (["0100000010", "1110010000"], 0.095),
    "two observers, nominal": (["aabbdcccedda", "babbbccceddd"], 0.692),
    "four observers, missing values": (
        ["123321412...", "1233224125.3", ".3332342251.", "12332441251."],
        0.743,
    ),
}


def units(observers):
    """Rows of items from strings of observers."""
    return [[None if x == "." else x for x in unit] for unit in zip(*observers, strict=True)]


def paired(votes):
    """The cells of items with two votes or more."""
    cells = Cells.of(votes)
    return cells.of_items(cells.votes > 1)


def alpha_by_pairs(rows):
    """Alpha with every pair of values counted one by one."""
    some = [[x for x in row if x is not None] for row in rows]
    some = [row for row in some if len(row) > 1]
    values = [x for row in some for x in row]
    observed = sum(
        sum(a != b for a, b in permutations(row, 2)) / (len(row) - 1) for row in some
    ) / len(values)
    n = len(values)
    expected = sum(a != b for a, b in permutations(values, 2)) / (n * (n - 1))
    return 1 - observed, None if expected == 0 else 1 - observed / expected


@pytest.mark.parametrize("name", PUBLISHED)
def test_alpha_is_the_published_one(name):
    observers, alpha = PUBLISHED[name]
    found = agreement_and_alpha(paired(Votes(units(observers))), level=0.95)[1]
    assert found.value == pytest.approx(alpha, abs=5e-4)


ragged = st.lists(st.lists(st.sampled_from("abc"), max_size=5), min_size=2, max_size=12).filter(
    lambda rows: sum(len(row) > 1 for row in rows) > 1
)


@given(ragged)
def test_agreement_and_alpha_are_those_of_all_pairs(rows):
    agreement, alpha = agreement_and_alpha(paired(Votes(rows)), level=0.95)
    by_pairs = alpha_by_pairs(rows)
    assert agreement.value == pytest.approx(by_pairs[0], abs=1e-12)
    assert (alpha is None) == (by_pairs[1] is None)
    if alpha is not None:
        assert alpha.value == pytest.approx(by_pairs[1], abs=1e-12)
        assert -1 <= alpha.low <= alpha.value <= alpha.high <= 1


@given(ragged)
@settings(max_examples=20)
def test_the_jackknife_leaves_out_one_item_after_the_other(rows):
    found = agreement_and_alpha(paired(Votes(rows)), level=0.9)
    some = [row for row in rows if len(row) > 1]
    left = [alpha_by_pairs(some[:i] + some[i + 1 :]) for i in range(len(some))]
    for place, e in enumerate(found):
        if e is None or e.standard_error is None:
            continue
        x = 1 - np.array([one[place] for one in left])
        n, scale = len(x), 1.0
        if (x > 0).all():
            x, scale = np.log(x), 1 - e.value
        error = np.sqrt((n - 1) / n * np.square(x - x.mean()).sum()) * scale
        assert e.standard_error == pytest.approx(error, abs=1e-9)


def test_where_all_items_are_alike_the_interval_is_exact_and_not_of_no_width():
    """None of n items divided anybody: Clopper and Pearson's limit for the share that would."""
    agreement, alpha = agreement_and_alpha(paired(Counts([[2, 0], [0, 2]] * 20)), level=0.95)
    limit = stats.beta.ppf(0.975, 1, 40)
    assert (agreement.value, agreement.high) == (1, 1)
    assert agreement.low == pytest.approx(1 - limit)
    assert alpha.low == pytest.approx(1 - 2 * limit)
    one, _ = agreement_and_alpha(paired(Counts([[2, 1]])), level=0.95)
    assert one.high - one.low > 0.9


@given(ragged)
@settings(max_examples=30)
def test_classes_and_pairs_are_those_of_all_pairs_of_votes(rows):
    votes = Votes(rows)
    cells, some = paired(votes), [row for row in rows if len(row) > 1]
    same, given_, apart = dict.fromkeys("abc", 0.0), dict.fromkeys("abc", 0), {}
    for row in some:
        for x, y in permutations(row, 2):
            same[x] += (x == y) / (len(row) - 1)
            key = "".join(sorted({x, y}))
            apart[key] = apart.get(key, 0.0) + (x != y) / (len(row) - 1) / 2
        for x in row:
            given_[x] += 1
    lines = class_lines(cells, votes.classes, level=0.95)
    assert {x["name"]: x["n"] for x in lines} == {k: n for k, n in given_.items() if n}
    for line in lines:
        share = same[line["name"]] / given_[line["name"]]
        assert line["agreement"]["value"] == pytest.approx(share)
    total, size = sum(apart.values()), sum(given_.values())
    pairs = pair_lines(cells, votes.classes)
    assert sum(x["share"] for x in pairs) == pytest.approx(1 if pairs else 0)
    for line in pairs:
        a, b = line["classes"]
        observed = apart["".join(sorted(a + b))]
        assert line["share"] == pytest.approx(observed / total)
        assert line["times_chance"] == pytest.approx(observed * (size - 1) / given_[a] / given_[b])
        assert line["items"] == sum({a, b} <= set(row) for row in some)


@pytest.fixture
def crowd():
    """Answers of twelve people, four to an item, of whom the last guesses."""
    draw = np.random.default_rng(5)
    p = draw.dirichlet(np.full(3, 0.4), 150)
    who = np.array([draw.choice(12, 4, replace=False) for _ in p])
    said = np.array([draw.choice(3, 4, p=row) for row in p])
    said[who == 11] = draw.integers(3, size=(who == 11).sum())
    return Votes(said.tolist(), who.tolist(), classes=["x", "y", "z"])


def test_components_are_those_of_all_pairs_of_votes(crowd):
    some = crowd[:40]
    answers = list(zip(some.rows, some.annotators, some.codes, strict=True))
    differ = {kind: [] for kind in ("neither", "item", "person")}
    for (i, a, x), (j, b, y) in permutations(answers, 2):
        differ["item" if i == j else "person" if a == b else "neither"].append(x != y)
    whole, item, person = (np.mean(differ[x]) for x in ("neither", "item", "person"))
    found = components(some, level=0.95, seed=0)
    assert found["between_items"].value == pytest.approx((whole - item) / whole)
    assert found["between_annotators"].value == pytest.approx((whole - person) / whole)
    assert sum(found[name].value for name in NAMES) == pytest.approx(1)


def test_habits_of_people_are_between_annotators_and_difficulty_is_between_items():
    draw = np.random.default_rng(2)
    habit = Votes(np.tile(np.arange(4) % 2, (200, 1)), list("abcd"))
    found = components(habit, level=0.95, seed=0)
    assert found["between_annotators"].value == pytest.approx(1, abs=0.02)
    clear = Votes(np.repeat(draw.integers(0, 2, 200)[:, None], 4, axis=1), list("abcd"))
    assert components(clear, level=0.95, seed=0)["between_items"].value == pytest.approx(1)
    noise = components(Votes(draw.integers(0, 2, (2000, 4)), list("abcd")), level=0.95, seed=0)
    assert all(noise[x].low < 0 < noise[x].high for x in ("between_items", "between_annotators"))


def test_an_annotators_loss_is_that_of_the_others_votes_one_by_one(crowd):
    strength = Answers.of(crowd).best_strength()
    losses = {name: [] for name in crowd.annotator_names}
    excess = {name: [] for name in crowd.annotator_names}
    answers = list(zip(crowd.rows, crowd.annotators, crowd.codes, strict=True))
    for i in range(len(crowd)):
        here = {}
        for _, a, x in [answer for answer in answers if answer[0] == i]:
            others = [y for j, b, y in answers if j == i and b != a]
            elsewhere = [y for _, b, y in answers if b != a]
            prior = (elsewhere.count(x) + 1) / (len(elsewhere) + 3)
            likely = (others.count(x) + strength * prior) / (len(others) + strength)
            here[a] = -np.log(likely)
        for a, loss in here.items():
            losses[str(a)].append(loss)
            excess[str(a)].append(loss - np.mean([x for b, x in here.items() if b != a]))
    lines = annotator_lines(crowd, level=0.95, scale=1.0)
    for line in lines:
        x, y = losses[line["name"]], excess[line["name"]]
        assert line["n"] == line["items"] == len(x)
        assert line["cross_entropy"]["value"] == pytest.approx(np.mean(x))
        ends = stats.ttest_1samp(y, 0).confidence_interval(0.95)
        assert line["difference"]["value"] == pytest.approx(np.mean(y))
        assert (line["difference"]["low"], line["difference"]["high"]) == pytest.approx(tuple(ends))
    assert (lines[0]["name"], lines[0]["verdict"]) == ("11", "stands apart")


def test_the_strength_is_the_one_of_least_loss(crowd):
    answers = Answers.of(crowd)
    best = answers.best_strength()
    least = answers.costs(best).sum()
    assert all(answers.costs(best * x).sum() >= least for x in (0.5, 0.9, 1.1, 2.0))


def test_who_answered_few_items_gets_no_verdict_and_costs_the_others_none():
    draw = np.random.default_rng(1)
    rows = draw.integers(0, 2, (60, 3)).tolist()
    who = [["a", "b", "c"] if i >= LEAST_ITEMS - 1 else ["a", "b", "d"] for i in range(60)]
    lines = {x["name"]: x for x in annotator_lines(Votes(rows, who), level=0.95, scale=1.0)}
    assert lines["d"]["verdict"] == "too few items"
    assert lines["d"]["p_holm"] is None
    p = [stats_p(lines[x]) for x in "abc"]
    assert min(lines[x]["p_holm"] for x in "abc") == pytest.approx(min(1, 3 * min(p)), rel=1e-6)


def stats_p(line):
    """A p-value from the ends of an interval of 95 %."""
    found, t = line["difference"], stats.t.ppf(0.975, line["items"] - 1)
    error = (found["high"] - found["low"]) / 2 / t
    return 2 * stats.t.sf(abs(found["value"]) / error, line["items"] - 1)


def test_the_floor_covers_the_entropy_of_what_the_votes_were_drawn_from():
    draw = np.random.default_rng(0)
    inside = 0
    for seed in range(10):
        p = draw.dirichlet(np.full(3, 0.5), 400)
        cells = Cells.of(Counts(draw.multinomial(4, p)))
        found = human_floor(cells, np.arange(400).astype(str), level=0.95, seed=seed)
        inside += found.low <= stats.entropy(p, axis=1).mean() <= found.high
    assert inside >= 9


def test_items_that_divide_people_most_come_first_and_unanimous_ones_never():
    cells = Cells.of(Counts([[4, 0], [2, 2], [3, 1], [1, 1]]))
    lines = divided_lines(cells, np.array(list("abcd")), ("x", "y"), most=10, scale=1.0)
    assert [x["id"] for x in lines] == ["b", "d", "c"]
    assert lines[0]["entropy"] == pytest.approx(np.log(2))
    assert lines[2]["classes"] == {"x": 3, "y": 1}


@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1, max_size=9))
def test_cells_of_votes_are_those_of_their_counts(table):
    table = np.array(table)
    table[table.sum(axis=1) == 0, 0] = 1
    rows = [np.repeat(np.arange(3), row).tolist() for row in table]
    one, other = Cells.of(Votes(rows, classes=["0", "1", "2"])), Cells.of(Counts(table))
    assert (one.table(slice(None)) == table).all()
    assert (other.table(slice(1, None)) == table[1:]).all()
    assert one.entropies() == pytest.approx(pandq.entropy(Counts(table)))


@pytest.mark.slow
@pytest.mark.parametrize("n", [30, 100, 400])
def test_the_interval_of_alpha_covers(n):
    """Against alpha of very many items; 1,000 data sets, so that 93 to 97 % is within chance."""
    draw = np.random.default_rng(n)

    def drawn(size):
        return Cells.of(Counts(draw.multinomial(3, draw.dirichlet(np.full(3, 0.4), size))))

    truth = agreement_and_alpha(drawn(400_000), level=0.95)
    found = [agreement_and_alpha(drawn(n), level=0.95) for _ in range(1000)]
    for place, true in enumerate(truth):
        share = np.mean([x[place].low <= true.value <= x[place].high for x in found])
        assert 0.93 <= share <= 0.975


@pytest.mark.slow
@pytest.mark.parametrize("people", [8, 20, 60])
def test_no_annotator_stands_apart_where_who_is_who_does_not_matter(people):
    """Of exchangeable people at least one is accused in at most 5 % of data sets."""
    draw = np.random.default_rng(people)
    accused = 0
    busy = 1 / np.arange(1, people + 1)
    for _ in range(400):
        p = draw.dirichlet(np.full(3, 0.4), 200)
        who = [draw.choice(people, 4, replace=False, p=busy / busy.sum()).tolist() for _ in p]
        said = [draw.choice(3, 4, p=row).tolist() for row in p]
        lines = annotator_lines(Votes(said, who), level=0.95, scale=1.0)
        accused += any(x["verdict"] == "stands apart" for x in lines)
    assert accused / 400 <= 0.08
