"""Classes in their order: the ranked probability score, its parts, and whose order it is."""

import json
from fractions import Fraction
from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pandq
from pandq import Counts, InputError, Labels, Logits, LogProbs, Probs, Votes
from pandq.rows import measure_rows
from tests import commands

NAMES = ["awful", "bad", "fair", "good", "great"]
N, K = 240, 5


def drawn(seed=0, n=N, k=K, m=3):
    """A true law, a shifted Q and m votes a row."""
    rng = np.random.default_rng(seed)
    steps, place = np.linspace(-2, 2, k - 1), 1.5 * rng.normal(size=n)
    p, q = (
        np.diff(1 / (1 + np.exp(-a * (steps - x[:, None]))), axis=1, prepend=0, append=1)
        for a, x in ((1.0, place), (1.6, place + 0.5 + 0.3 * rng.normal(size=n)))
    )
    votes = np.stack([rng.multinomial(m, row) for row in p])
    return p, q, votes


@pytest.fixture(scope="module")
def made():
    p, q, votes = drawn()
    return {"p": p, "q": q, "votes": votes, "labels": votes.argmax(axis=1)}


def by_enumeration(p, q):
    """The mean over labels y of sum_k (G_k - [y <= k])^2, in whole fractions."""
    p, q = ([Fraction(x) for x in row] for row in (p, q))
    return sum(
        p[y] * sum((sum(q[: k + 1]) - (y <= k)) ** 2 for k in range(len(q) - 1))
        for y in range(len(p))
    )


def score(p, q):
    return pandq.ranked_probability_score(p, q)


laws = st.lists(st.integers(0, 9), min_size=2, max_size=6).filter(sum)


# --------------------------------------------------------------------------------- of single rows


@given(laws, st.data())
def test_the_score_is_the_expected_sum_of_squares_over_thresholds(p, data):
    q = data.draw(st.lists(st.integers(0, 9), min_size=len(p), max_size=len(p)).filter(sum))
    p, q = (np.array([x]) / sum(x) for x in (p, q))
    found = score(Probs(p), Probs(q))[0]
    assert found == pytest.approx(float(by_enumeration(p[0], q[0])), abs=1e-15)
    for y in range(p.shape[1]):
        certain = np.eye(p.shape[1])[[y]]
        of_label = float(by_enumeration(certain[0], q[0]))
        assert score(Labels([y]), Probs(q))[0] == pytest.approx(of_label, abs=1e-15)


def test_the_score_of_a_certain_q_counts_the_steps_to_the_label():
    y, at = (x.ravel() for x in np.meshgrid(np.arange(6), np.arange(6)))
    assert score(Labels(y), Probs(np.eye(6)[at])).tolist() == np.abs(y - at).tolist()


def test_of_two_classes_the_score_is_half_the_brier_score(made):
    p, q = (Probs(x[:, :2] / x[:, :2].sum(axis=1, keepdims=True)) for x in (made["p"], made["q"]))
    np.testing.assert_allclose(score(p, q), pandq.brier_score(p, q) / 2, atol=1e-15)


def test_it_does_not_matter_from_which_end_classes_are_counted(made):
    p, q = made["p"], made["q"]
    there, back = score(Probs(p), Probs(q)), score(Probs(p[:, ::-1]), Probs(q[:, ::-1]))
    np.testing.assert_allclose(there, back, atol=1e-14)


def test_no_q_scores_better_than_the_truth(made):
    p, q = Probs(made["p"]), Probs(made["q"])
    assert (score(p, q) >= score(p, p)).all()


@pytest.mark.parametrize("kind", ["labels", "counts", "probs"])
def test_every_view_of_the_same_q_has_the_same_score(made, kind):
    of = {"labels": lambda: Labels(made["labels"]), "counts": lambda: Counts(made["votes"])}
    p = of.get(kind, lambda: Probs(made["p"]))()
    whole = score(p, Probs(made["q"]))
    for q in (Logits(np.log(made["q"]) + 1.5), LogProbs(np.log(made["q"]))):
        np.testing.assert_allclose(score(p, q), whole, atol=1e-13)
        assert measure_rows(p, q, ordered=True).rps == pytest.approx(whole, abs=1e-13)
    assert measure_rows(p, Probs(made["q"])).rps is None


# --------------------------------------------------------------------------------------- in parts


def every_outcome(p, m):
    """(r, K) counts of all ordered votes of m people, and how likely each is."""
    seen = list(product(range(len(p)), repeat=m))
    counts = np.stack([np.bincount(votes, minlength=len(p)) for votes in seen])
    return counts, np.prod(p[np.array(seen)], axis=1)


@pytest.mark.parametrize("m", [2, 3])
def test_the_floor_of_votes_is_right_on_average_over_all_votes_that_there_could_be(m):
    rng = np.random.default_rng(m)
    laws = rng.dirichlet(np.ones(4), 3)
    outcomes = [every_outcome(p, m) for p in laws]
    counts = np.concatenate([c for c, _ in outcomes])
    w = np.concatenate([x for _, x in outcomes])
    q = np.repeat(rng.dirichlet(np.ones(4), 3), [len(c) for c, _ in outcomes], axis=0)
    found = pandq.audit(Counts(np.tile(counts, (4, 1))), Probs(np.tile(q, (4, 1))),
                        weights=np.tile(w, 4), ordered=True)  # fmt: skip
    below = np.cumsum(laws, axis=1)[:, :-1]
    true = (below * (1 - below)).sum(axis=1).mean()
    assert found.decomposition.rps["floor"].value == pytest.approx(true, abs=1e-12)
    # half the steps between two labels of one row
    steps = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
    assert true == pytest.approx(np.einsum("ij,ik,jk->i", laws, laws, steps).mean() / 2)


def test_parts_add_up_and_of_a_full_p_are_exact(made):
    p, q = made["p"], made["q"]
    for view in (Probs(p), Counts(made["votes"])):
        found = pandq.audit(view, Probs(q), ordered=True)
        parts = {name: x.value for name, x in found.decomposition.rps.items()}
        whole = parts.pop("rps")
        assert sum(parts.values()) == pytest.approx(whole, abs=1e-12)
        assert whole == pytest.approx(score(view, Probs(q)).mean(), abs=1e-12)
        assert found.rps.value == pytest.approx(whole, abs=1e-12)
    below = np.cumsum(p, axis=1)[:, :-1]
    floor = pandq.audit(Probs(p), Probs(q), ordered=True).decomposition.rps["floor"]
    assert floor.value == pytest.approx((below * (1 - below)).sum(axis=1).mean(), abs=1e-12)


def test_of_one_label_a_row_floor_and_grouping_loss_are_open(made):
    views = (Labels(made["labels"], K), Counts(np.eye(K, dtype=int)[made["labels"]]))
    for p in views:
        found = pandq.audit(p, Probs(made["q"]), ordered=True)
        assert set(found.decomposition.rps) == {"rps", "calibration_loss"}
        assert found.decomposition.rps["calibration_loss"].value > 0


def test_rows_of_one_vote_say_nothing_of_the_parts(made):
    votes = made["votes"].copy()
    votes[::3] = np.eye(K, dtype=int)[made["labels"][::3]]
    found = pandq.audit(Counts(votes), Probs(made["q"]), ordered=True)
    some = np.arange(N) % 3 > 0
    alone = pandq.audit(Counts(votes[some]), Probs(made["q"][some]), ordered=True)
    parts = found.decomposition.rps
    assert parts["floor"].n == some.sum()
    assert parts["floor"].value == alone.decomposition.rps["floor"].value
    assert found.rps.n == N


def test_votes_of_a_pool_have_the_floor_of_one_of_them(made):
    p, q = Counts(made["votes"]), Probs(made["q"])
    many, few = (pandq.audit(p, q, ordered=True, annotator_pool=x) for x in (None, 5))
    few, many = (x.decomposition.rps["floor"].value for x in (few, many))
    assert few == pytest.approx(0.8 * many)


def test_votes_that_are_no_independent_draws_say_nothing_of_the_floor():
    votes = np.tile([[1, 0, 1], [1, 1, 0], [0, 1, 1]], (40, 1))
    q = np.random.default_rng(0).dirichlet(np.ones(3), 120)
    found = pandq.audit(Counts(votes), Probs(q), ordered=True).decomposition
    assert not found.independent
    assert set(found.rps) == {"rps", "calibration_loss"}


def test_without_an_order_nothing_is_said_of_one(made):
    found = pandq.audit(Labels(made["labels"], K), Probs(made["q"]))
    assert (found.rps, found.order, found.decomposition.rps) == (None, None, {})
    assert "rps" not in found.classes[0]
    assert "ordered" not in found.options
    assert "ranked" not in str(found)


def test_people_who_gave_the_votes_are_allowed_for(made):
    rng = np.random.default_rng(0)
    labels = [np.repeat(np.arange(K), row).tolist() for row in made["votes"]]
    who = [rng.choice(9, 3, replace=False).tolist() for _ in range(N)]
    found = pandq.audit(Votes(labels, who), Probs(made["q"]), ordered=True, decompose=False)
    assert "annotators" in found.rps.method
    assert found.rps.value == pytest.approx(score(Counts(made["votes"]), Probs(made["q"])).mean())


# ----------------------------------------------------------------------------------- wherever it is


def test_groups_classes_frames_and_documents_have_it(made):
    site = np.array(["north", "south"])[np.arange(N) % 2]
    found = pandq.audit(Counts(made["votes"]), Probs(made["q"]), ordered=True, by={"site": site})
    for line in found.groups["site"]:
        some = site == line["name"]
        mean = score(Counts(made["votes"][some]), Probs(made["q"][some])).mean()
        assert line["rps"]["value"] == pytest.approx(mean)
    told = json.loads(json.dumps(found.to_dict()))
    assert pandq.Audit.from_dict(told).to_dict() == told
    assert told["options"]["ordered"] is True
    assert found.values()["rps"] == found.rps.value


def test_an_auditor_says_the_same(made):
    auditor, other = pandq.Auditor(ordered=True), pandq.Auditor(ordered=True)
    half = N // 2
    p, q = Counts(made["votes"]), Probs(made["q"])
    auditor.update(p[:half], q[:half], ids=np.arange(half))
    other.update(p[half:], q[half:], ids=np.arange(half, N))
    both = pandq.Auditor.from_bytes(auditor.merge(other).to_bytes()).result()
    whole = pandq.audit(p, q, ids=np.arange(N), ordered=True)
    assert both.order == whole.order
    for found, wanted in ((both.rps, whole.rps), *(
        (both.decomposition.rps[name], x) for name, x in whole.decomposition.rps.items()
    )):  # fmt: skip
        assert found.value == pytest.approx(wanted.value, abs=1e-12)
    with pytest.raises(InputError, match="another ordered"):
        auditor.merge(pandq.Auditor())


def test_two_models_are_told_apart_by_their_paired_difference(made):
    p, a = Counts(made["votes"]), Probs(made["q"])
    b = Probs(0.5 * made["q"] + 0.5 / K)
    found = pandq.compare(p, a, b, ordered=True)
    apart = score(p, b) - score(p, a)
    (difference,) = found.differences
    assert difference.rps.value == pytest.approx(apart.mean(), abs=1e-12)
    assert difference.rps.standard_error == pytest.approx(apart.std(ddof=1) / np.sqrt(N), rel=1e-9)
    assert [x.rps.value for x in found.models] == pytest.approx(
        [score(p, q).mean() for q in (a, b)], abs=1e-12
    )
    assert found.order == ("0", "1", "2", "3", "4")
    assert "5 classes, 0 < 1 < 2 < 3 < 4;" in str(found)
    told = json.loads(json.dumps(found.to_dict()))
    assert pandq.Comparison.from_dict(told).to_dict() == told
    comparer = pandq.Comparer(ordered=True)
    comparer.update(p[:100], a[:100], b[:100])
    comparer.update(p[100:], a[100:], b[100:])
    again = pandq.Comparer.from_bytes(comparer.to_bytes()).result()
    assert again.differences[0].rps.value == pytest.approx(apart.mean(), abs=1e-12)
    assert pandq.compare(p, a, b, decompose=False).differences[0].rps is None


def test_a_copy_of_a_reference_has_a_score_too(made):
    p, q = Probs(made["p"]), Probs(made["q"])
    found = pandq.compare(p, q, ordered=True)
    assert found.models[0].rps.value == pytest.approx(score(p, q).mean())


def test_people_are_allowed_for_in_differences_too(made):
    rng = np.random.default_rng(0)
    labels = [np.repeat(np.arange(K), row).tolist() for row in made["votes"]]
    who = [rng.choice(9, 3, replace=False).tolist() for _ in range(N)]
    other = Probs(0.5 * made["q"] + 0.5 / K)
    votes = Votes(labels, who)
    found = pandq.compare(votes, Probs(made["q"]), other, ordered=True, decompose=False)
    assert "annotators" in found.differences[0].rps.method


def partly(made):
    """What is known in part, or drawn: of these an order of classes says nothing."""
    top = np.argsort(-made["q"], axis=1)[:, :2]
    at = np.log(made["q"][np.arange(N), made["labels"]])
    few = pandq.TopK(top, np.log(np.take_along_axis(made["q"], top, axis=1)), K)
    return {
        "topk": (Labels(made["labels"], K), few),
        "sampled": (pandq.Sampled(at), pandq.Sampled(at - 0.1)),
    }


@pytest.mark.parametrize("kind", ["topk", "sampled"])
def test_what_is_known_in_part_has_no_order(made, kind):
    p, q = partly(made)[kind]
    with pytest.raises(InputError, match="an order of classes has nothing to say here"):
        pandq.compare(p, q, ordered=True)
    with pytest.raises(InputError):
        pandq.audit(p, q, ordered=True)


def test_an_order_that_nobody_said_is_refused_of_two_models(file):
    rows = pandq.scan(file, p="labels:label", q=["probs:map", "probs:map"])
    with pytest.raises(InputError, match="nothing says in which order"):
        pandq.compare(rows, ordered=True)


@pytest.mark.parametrize("given", [1, "yes", None])
def test_ordered_is_true_or_false(made, given):
    with pytest.raises(InputError, match="ordered is true or false"):
        pandq.audit(Labels(made["labels"], K), Probs(made["q"]), ordered=given)


# ------------------------------------------------------------------------------ whose order it is


def audited(classes):
    y, q = np.arange(60) % 3, np.random.default_rng(0).dirichlet(np.ones(3), 60)
    return pandq.audit(Labels(y), Probs(q), classes=classes, decompose=False, ordered=True)


def test_names_that_were_given_are_in_their_order():
    assert audited(["low", "mid", "high"]).order == ("low", "mid", "high")
    assert audited(None).order == ("0", "1", "2")
    assert audited(["5", "3", "1"]).order == ("5", "3", "1")


def test_numbers_that_neither_rise_nor_fall_are_refused():
    with pytest.raises(InputError, match="not in the order of their values"):
        audited(["1", "10", "2"])


def test_votes_whose_names_were_sorted_are_refused():
    votes = Votes([["low", "mid"], ["high", "mid"]] * 30)
    with pytest.raises(InputError, match="nothing says in which order"):
        pandq.audit(votes, Probs(np.full((60, 3), 1 / 3)), ordered=True)


def test_names_of_p_in_another_order_are_refused_whatever_is_asked():
    votes = Votes([["low", "mid"], ["high", "mid"]] * 30)
    with pytest.raises(InputError, match="in another order, got low, mid, high; P's are high"):
        pandq.audit(votes, Probs(np.full((60, 3), 1 / 3)), classes=["low", "mid", "high"])


@pytest.fixture(scope="module")
def file(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("ordered") / "rows.parquet"
    named = [NAMES[y] for y in made["labels"]]
    columns = {
        "label": named,
        "stars": made["labels"] + 1,
        "place": made["labels"],
        "votes": made["votes"].tolist(),
        "voted": [[NAMES[k] for k in np.repeat(np.arange(K), row)] for row in made["votes"]],
        "soft": made["p"].tolist(),
        "probs": made["q"].tolist(),
        "logprobs": np.log(made["q"]).tolist(),
        "logits": (np.log(made["q"]) + 2).tolist(),
        "map": [dict(zip(NAMES, row, strict=True)) for row in made["q"].tolist()],
        "drawn": np.log(made["q"][np.arange(N), made["labels"]]),
        **{f"q_{name}": made["q"][:, k] for k, name in enumerate(NAMES)},
        **{f"s_{k}": made["q"][:, k] for k in range(K)},
    }
    pq.write_table(pa.table(columns), path)
    return path


def of_file(file, p, q, classes=None, **options):
    rows = pandq.scan(file, p=p, q=q, classes=classes)
    return pandq.audit(rows, ordered=True, decompose=False, **options)


@pytest.mark.parametrize("p", ["labels:place", "counts:votes", "probs:soft"])
@pytest.mark.parametrize("q", ["probs:probs", "logprobs:logprobs", "logits:logits", "probs:s_*"])
def test_columns_without_names_are_in_their_own_order(file, p, q):
    assert of_file(file, p, q).order == ("0", "1", "2", "3", "4")


@pytest.mark.parametrize("p", ["labels:label", "votes:voted"])
@pytest.mark.parametrize("q", ["probs:probs", "probs:map", "probs:q_*"])
def test_classes_that_are_named_are_in_that_order(file, p, q):
    assert of_file(file, p, q, NAMES).order == tuple(NAMES)


def test_numbers_are_in_the_order_of_their_values(file):
    assert of_file(file, "labels:stars", "probs:probs", range(1, 6)).order == tuple("12345")


@pytest.mark.parametrize(
    "q", ["probs:map", "probs:q_*", "probs:q_good,q_bad,q_fair,q_awful,q_great"]
)
def test_an_order_that_nobody_said_is_refused(file, q):
    with pytest.raises(InputError, match="nothing says in which order the classes stand"):
        of_file(file, "labels:label", q)


def test_linear_and_ensembles_have_an_order(made):
    draw = np.random.default_rng(1)
    hidden, weight = draw.normal(size=(N, 3)), draw.normal(size=(K, 3))
    y = Labels(made["labels"], K)
    whole = score(y, Logits(hidden @ weight.T)).mean()
    found = pandq.audit(y, pandq.Linear(hidden, weight), ordered=True)
    assert found.rps.value == pytest.approx(whole, abs=1e-12)
    members = pandq.Ensemble([Probs(made["q"]), Probs(made["p"])])
    mean = (made["q"] + made["p"]) / 2
    found = pandq.audit(y, members, ordered=True)
    assert found.rps.value == pytest.approx(score(y, Probs(mean)).mean(), abs=1e-12)


@pytest.mark.parametrize("k", [1, 2])
def test_few_classes_have_one_order(k):
    q = np.random.default_rng(0).dirichlet(np.ones(k), 60)
    found = pandq.audit(Labels(np.arange(60) % k, k), Probs(q), ordered=True)
    assert found.rps.value == pytest.approx(found.brier.value / 2, abs=1e-12)


def test_the_command_says_what_the_function_does_and_prints_the_order(file, made):
    told = ("audit", file, "--p", "counts:votes", "--q", "probs:probs", "--ordered")
    found = pandq.Audit.from_dict(json.loads(commands.pandq(*told, "--json", "-").stdout))
    wanted = pandq.audit(Counts(made["votes"]), Probs(made["q"]), ordered=True)
    assert found.rps == wanted.rps
    assert found.decomposition.rps == wanted.decomposition.rps
    assert "5 classes, 0 < 1 < 2 < 3 < 4;" in str(wanted)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--p", "labels:label", "--q", "probs:map"), "nothing says in which order"),
        (("--q", "sampled:drawn"), "--ordered needs Q in full"),
    ],
)
def test_what_has_no_order_is_refused_in_a_line(file, words, told):
    done = commands.pandq("audit", file, *words, "--ordered")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert told in done.stderr


# --------------------------------------------------------------------------- of votes by themselves

# Krippendorff 2011, section C: four observers, twelve units, gaps, grades from 1 to 5.
PUBLISHED = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def by_definition(table):
    """Ordinal alpha of (n, K) counts, with the metric written out for every pair of classes."""
    table = table[table.sum(axis=1) > 1]
    votes, k = table.sum(axis=0), table.shape[1]

    def apart(a, b):
        return (votes[min(a, b) : max(a, b) + 1].sum() - (votes[a] + votes[b]) / 2) ** 2

    squared = [[apart(a, b) for b in range(k)] for a in range(k)]
    met = sum((np.outer(c, c) - np.diag(c)) / (c.sum() - 1) for c in table)
    chance = (np.outer(votes, votes) * squared).sum() / (votes.sum() - 1)
    return 1 - (met * squared).sum() / chance


def test_ordinal_alpha_is_the_published_one():
    columns = [line.split() for line in PUBLISHED.split("\n") if line]
    rows = [[None if x == "." else int(x) for x in unit] for unit in zip(*columns, strict=True)]
    found = pandq.votes(Votes(rows), ordered=True)
    assert round(found.alpha.value, 3) == 0.743
    assert round(found.ordinal_alpha.value, 3) == 0.815
    assert found.order == tuple("12345")
    assert "1 < 2 < 3 < 4 < 5" in found.to_text()


def test_ordinal_alpha_and_its_jackknife_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    laws, sizes = rng.dirichlet(np.ones(4), 40), rng.integers(1, 6, 40)
    table = np.stack([rng.multinomial(m, p) for m, p in zip(sizes, laws, strict=True)])
    found = pandq.votes(Counts(table), ordered=True).ordinal_alpha
    assert found.value == pytest.approx(by_definition(table), abs=1e-12)
    several = table[sizes > 1]
    n = len(several)
    logs = np.log([1 - by_definition(np.delete(several, i, axis=0)) for i in range(n)])
    error = np.sqrt((n - 1) / n * np.square(logs - logs.mean()).sum()) * (1 - found.value)
    assert found.standard_error == pytest.approx(error, rel=1e-9)


def test_votes_are_ordered_only_where_that_was_said(made):
    labels = [[NAMES[k] for k in np.repeat(np.arange(K), row)] for row in made["votes"]]
    with pytest.raises(InputError, match="nothing says in which order"):
        pandq.votes(Votes(labels, classes=NAMES), ordered=True)
    votes = Votes(labels, classes=NAMES)
    assert pandq.votes(votes, classes=NAMES, ordered=True).order == tuple(NAMES)
    with pytest.raises(InputError, match="Votes have their classes"):
        pandq.votes(votes, classes=NAMES[::-1], ordered=True)
    assert pandq.votes(votes).ordinal_alpha is None
    assert pandq.votes(Votes([["a", "a"]] * 30), ordered=True).ordinal_alpha is None
    assert pandq.votes(Votes([["a"], ["b"]] * 30), ordered=True).ordinal_alpha is None


def test_the_command_for_votes_takes_an_order(file):
    told = ("votes", file, "--p", "votes:voted", "--ordered")
    done = commands.pandq(*told, "--classes", ",".join(NAMES), "--json", "-")
    assert json.loads(done.stdout)["order"] == NAMES
    done = commands.pandq(*told)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "nothing says in which order" in done.stderr
