"""Ensembles: what their members agree on, what they do not, and what an audit makes of it."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import pandq
from pandq import Counts, Ensemble, InputError, Labels, Logits, LogProbs, Probs, ViewTypeError
from pandq.views import geometric


def members(n=50, s=6, k=4, seed=0, spread=1.0):
    """(n, s, k) laws that scatter around one law per row."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 1, k)) + spread * rng.normal(size=(n, s, k))
    return np.exp(z - np.logaddexp.reduce(z, axis=2, keepdims=True))


def entropy(p):
    return -(p * np.log(p)).sum(axis=-1)


def test_members_may_be_of_any_kind():
    laws = members(s=3)
    mixed = Ensemble([Probs(laws[:, 0]), Logits(np.log(laws[:, 1]) + 7), Probs(laws[:, 2])])
    whole = Ensemble.of_array("probs", laws)
    assert mixed.array == pytest.approx(whole.array, abs=1e-12)
    assert whole.n_members == 3
    assert whole.law().prob == pytest.approx(laws.mean(axis=1), abs=1e-12)


def test_an_ensemble_is_measured_as_its_mean():
    laws, p = members(), members(seed=1)[:, 0]
    q = Ensemble.of_array("probs", laws)
    mean = Probs(laws.mean(axis=1))
    for f in (pandq.kl_divergence, pandq.cross_entropy, pandq.brier_score):
        assert f(Probs(p), q) == pytest.approx(f(Probs(p), mean), abs=1e-12)


@given(st.integers(2, 8), st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_total_is_aleatoric_plus_epistemic(s, k, seed):
    q = Ensemble.of_array("probs", members(20, s, k, seed))
    assert q.total() == pytest.approx(q.aleatoric() + q.epistemic(), abs=1e-12)
    assert q.aleatoric() == pytest.approx(entropy(np.exp(q.array)).mean(axis=1), abs=1e-12)


def test_members_that_agree_are_ignorant_of_nothing():
    laws = np.repeat(members(s=1), 5, axis=1)
    q = Ensemble.of_array("probs", laws)
    assert q.epistemic() == pytest.approx(np.zeros(50), abs=1e-12)


@pytest.mark.parametrize("s", [2, 5, 10])
def test_the_jackknife_takes_off_most_of_the_bias_of_few_members(s):
    """Logit noise of one standard deviation; the truth from 400,000 members."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=4)

    def laws(n, m):
        x = z + rng.normal(size=(n, m, 4))
        return np.exp(x - np.logaddexp.reduce(x, axis=2, keepdims=True))

    many = laws(1, 400_000)[0]
    truth = entropy(many.mean(axis=0)) - entropy(many).mean()
    few = laws(4000, s)
    plug_in = (entropy(few.mean(axis=1)) - entropy(few).mean(axis=1)).mean()
    jackknife = Ensemble.of_array("probs", few).epistemic().mean()
    assert abs(jackknife / truth - 1) < {2: 0.13, 5: 0.04, 10: 0.02}[s]
    assert plug_in / truth - 1 < {2: -0.4, 5: -0.15, 10: -0.08}[s]


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_averaging_logits_wins_the_members_distance_from_their_mean_exactly(s, seed):
    laws = members(10, s, 4, seed)
    p = Probs(members(10, 1, 4, seed + 1)[:, 0])
    geo, won = geometric(np.log(laws))
    alone = np.mean([pandq.cross_entropy(p, Probs(laws[:, i])) for i in range(s)], axis=0)
    together = pandq.cross_entropy(p, Probs(geo.prob))
    assert alone == pytest.approx(together + won, abs=1e-12)
    apart = [pandq.kl_divergence(Probs(geo.prob), Probs(laws[:, i])) for i in range(s)]
    assert won == pytest.approx(np.mean(apart, axis=0), abs=1e-12)


def test_a_class_that_a_member_rules_out_is_ruled_out_of_the_product_alone():
    laws = np.array([[[1.0, 0.0], [0.5, 0.5]]])
    q = Ensemble.of_array("probs", laws)
    geo, won = geometric(q.array)
    assert q.law().prob.tolist() == [[0.75, 0.25]]
    assert geo.prob.tolist() == [[1.0, 0.0]]
    assert won[0] == pytest.approx(np.log(2) / 2)
    apart = geometric(Ensemble.of_array("probs", np.array([[[1.0, 0.0], [0.0, 1.0]]])).array)[1]
    assert apart[0] == np.inf


def test_an_audit_splits_what_an_ensemble_is_uncertain_of():
    laws = members(400, 8)
    q = Ensemble.of_array("probs", laws)
    votes = np.random.default_rng(2).multinomial(20, laws.mean(axis=1))
    site = np.arange(400) % 3
    found = pandq.audit(Counts(votes), q, by={"site": site})
    split = found.uncertainty
    for name in ("total", "aleatoric", "epistemic"):
        rows = getattr(q, name)()
        estimate = getattr(split, name)
        assert estimate.value == pytest.approx(rows.mean())
        assert estimate.low < estimate.value < estimate.high
    by_site = {line["name"]: line["epistemic"]["value"] for line in split.groups["site"]}
    assert by_site["1"] == pytest.approx(q.epistemic()[site == 1].mean())
    assert [row["row"] for row in split.most_epistemic[:3]] == np.argsort(-q.epistemic())[
        :3
    ].tolist()
    assert [row["row"] for row in split.most_aleatoric[:3]] == np.argsort(-q.aleatoric())[
        :3
    ].tolist()
    assert split.averaged["averaged_logits"].value < split.averaged["member"].value
    document = found.to_dict()["uncertainty"]
    assert document["members"] == 8
    assert "epistemic" in found.to_text()
    page = found.to_html()
    assert "What Q does not know" in page
    assert "What the claim is worth" in page
    bits = pandq.audit(Counts(votes), q, unit="bit").uncertainty
    assert bits.total.value == pytest.approx(split.total.value / np.log(2))


def test_the_audit_holds_what_q_calls_noise_against_peoples_own_entropy():
    laws = members(3000, 6, spread=0.1)
    truth = laws.mean(axis=1)
    votes = np.random.default_rng(3).multinomial(200, truth)
    split = pandq.audit(Counts(votes), Ensemble.of_array("probs", laws)).uncertainty
    assert split.p_entropy.value == pytest.approx(entropy(truth).mean(), abs=0.005)
    assert split.correlation > 0.9
    exact = pandq.audit(Probs(truth), Ensemble.of_array("probs", laws)).uncertainty
    assert exact.gap.value == pytest.approx(
        (entropy(laws).mean(axis=1) - entropy(truth)).mean(), abs=1e-12
    )


def test_the_curve_shows_whether_q_errs_where_it_claims_to_know_little():
    """Members that scatter as the truth does: what they claim is what is measured."""
    rng = np.random.default_rng(4)
    n, s, k = 4000, 100, 3
    spread = rng.choice([0.1, 0.4, 1.2], n)[:, None]
    middle = rng.normal(size=(n, k))
    z = middle[:, None] + spread[:, None] * rng.normal(size=(n, s, k))
    laws = np.exp(z - np.logaddexp.reduce(z, axis=2, keepdims=True))
    truth = Logits(middle + spread * rng.normal(size=(n, k))).law().prob
    q = Ensemble.of_array("probs", laws)
    curve = pandq.audit(Probs(truth), q).uncertainty.curve
    claimed = [line["claimed"]["value"] for line in curve if line["n"] > 200]
    measured = [line["measured"]["value"] for line in curve if line["n"] > 200]
    assert claimed == sorted(claimed)
    assert measured == sorted(measured)
    for a, b in zip(claimed, measured, strict=True):
        assert b == pytest.approx(a, rel=0.35, abs=0.003)
    votes = rng.multinomial(8, truth)
    by_votes = pandq.audit(Counts(votes), q).uncertainty
    assert by_votes.distance == "squared"
    squared = np.square(truth - laws.mean(axis=1)).sum(axis=1).mean()
    mean = sum(line["n"] * line["measured"]["value"] for line in by_votes.curve) / n
    assert mean == pytest.approx(squared, abs=0.01)


def test_one_label_per_row_cannot_check_the_claim_and_the_report_says_so():
    laws = members(200)
    found = pandq.audit(Labels(np.zeros(200, int), 4), Ensemble.of_array("probs", laws))
    assert found.uncertainty.distance is None
    assert found.uncertainty.curve == []
    assert found.uncertainty.p_entropy is None
    assert "One label per row cannot check the claim" in found.to_text()


def test_the_items_of_an_audit_have_each_rows_split(tmp_path):
    import pyarrow.parquet as pq

    from pandq.outputs.items import write_items
    from pandq.read.chunks import views_scan

    q = Ensemble.of_array("probs", members(70, 5))
    write_items(views_scan(Labels(np.zeros(70, int), 4), q), tmp_path / "items.parquet")
    items = pq.read_table(tmp_path / "items.parquet").to_pandas()
    for name in ("total", "aleatoric", "epistemic"):
        assert items[name].to_numpy() == pytest.approx(getattr(q, name)(), abs=1e-12)


def test_one_law_per_row_has_no_split():
    found = pandq.audit(Labels(np.zeros(60, int), 4), Probs(members(60, 1)[:, 0]))
    assert found.uncertainty is None
    assert found.to_dict()["uncertainty"] is None


@pytest.mark.parametrize("fixed", [False, True])
def test_a_column_of_members_is_an_ensemble(fixed, monkeypatch):
    from pandq.read import chunks

    laws = members(300, 3)
    kind = pa.list_(pa.list_(pa.float64(), 4), 3) if fixed else pa.list_(pa.list_(pa.float64()))
    table = pa.table({"y": np.zeros(300, int), "m": pa.array(laws.tolist(), kind)})
    whole = pandq.audit(Labels(np.zeros(300, int), 4), Ensemble.of_array("probs", laws))
    monkeypatch.setattr(chunks, "CHUNK_NUMBERS", 600)
    found = pandq.audit(pandq.scan(table, p="labels:y", q="probs:m"))
    assert found.uncertainty.epistemic.value == pytest.approx(whole.uncertainty.epistemic.value)
    assert found.cross_entropy.value == pytest.approx(whole.cross_entropy.value)


BAD = {
    "no members": (lambda: Ensemble([]), "two members at least"),
    "one member": (lambda: Ensemble([Probs([[0.5, 0.5]])]), "two members at least"),
    "a bare array": (lambda: Ensemble([np.ones(2), np.ones(2)]), "member 0 must say"),
    "labels": (lambda: Ensemble([Probs([[0.5, 0.5]]), Labels([0], 2)]), "no prediction"),
    "other rows": (
        lambda: Ensemble([Probs([[0.5, 0.5]]), Probs([[0.5, 0.5]] * 2)]),
        "2 rows of 2 classes, not 1 rows",
    ),
    "a law that is none": (
        lambda: Ensemble.of_array("probs", np.full((2, 2, 2), [[[0.5, 0.5], [0.5, 0.6]]])),
        "Probs row 0 member 1 sums to 1.1",
    ),
    "two dimensions": (lambda: Ensemble.of_array("probs", np.ones((2, 2))), "rows, members"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_ensemble_is_refused_in_words(case):
    make, text = BAD[case]
    with pytest.raises((InputError, ViewTypeError), match=text):
        make()


@pytest.mark.parametrize("members", [2, 3, 8])
def test_equal_members_disagree_about_nothing(members):
    rng = np.random.default_rng(0)
    law = special.log_softmax(rng.normal(size=(50, 7)) * 4, axis=1)
    same = Ensemble([LogProbs(law)] * members)
    assert (same.epistemic() == 0).all()
    _, won = geometric(same.array)
    assert (won == 0).all()
    # and members that nearly agree keep the digits of what they disagree about
    noise = rng.normal(size=(members, 50, 7)) * 1e-9
    near = Ensemble([Logits(law + x) for x in noise])
    p = np.exp(law)
    apart = noise - (noise * p).sum(axis=2, keepdims=True)
    expected = (p * apart.var(axis=0, ddof=1)).sum(axis=1) / 2
    assert near.epistemic() == pytest.approx(expected, rel=1e-5)


def test_the_jackknife_of_entropies_is_a_mean_of_divergences():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(5, 0.3), (40, 4))
    p[0, 1] = p[1, :] = [1, 0, 0, 0, 0]
    p[2, 0, 3] = 0
    p[2, 0] /= p[2, 0].sum()
    with np.errstate(divide="ignore"):
        found = Ensemble([Probs(p[:, s]) for s in range(4)])

    def entropy(x):
        return special.entr(x).sum(axis=-1)

    without = [entropy(np.delete(p, s, axis=1).mean(axis=1)) for s in range(4)]
    total = 4 * entropy(p.mean(axis=1)) - 3 * np.mean(without, axis=0)
    assert found.total() == pytest.approx(total, abs=1e-13)
    assert found.epistemic() == pytest.approx(total - entropy(p).mean(axis=1), abs=1e-13)
    assert (found.epistemic() >= 0).all()


def test_a_member_that_rules_out_a_label_has_an_infinite_loss_and_their_mean_has_not():
    sure = np.array([[1.0, 0.0]] * 40)
    even = np.full((40, 2), 0.5)
    labels = pandq.Labels([0] * 39 + [1])
    found = pandq.audit(labels, Ensemble([Probs(sure), Probs(even)])).uncertainty.averaged
    assert found["member"].value == found["averaged_logits"].value == np.inf
    expected = -(39 * np.log(0.75) + np.log(0.25)) / 40
    assert found["averaged_probabilities"].value == pytest.approx(expected)
    assert found["averaged_probabilities"].n == 40


def test_the_distance_from_p_in_a_bin_with_an_infinite_row_is_infinite():
    sure = np.array([[1.0, 0.0]] * 60)
    truth = np.array([[0.9, 0.1]] * 60)
    (line,) = pandq.audit(Probs(truth), Ensemble([Probs(sure), Probs(sure)])).uncertainty.curve
    assert line["n"] == 60
    assert line["measured"]["value"] is None
    assert line["claimed"]["value"] == 0.0
