"""What is said of the parts agrees with their numbers."""

import numpy as np
import pytest

import pandq
from pandq import Counts, Labels, Logits, Probs
from pandq.report.words import definition, divergence_of, stacked

N = 60


@pytest.fixture(scope="module")
def law():
    return np.random.default_rng(3).dirichlet(np.ones(3), N)


def votes_of(law, m, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.multinomial(m, row) for row in law])


def test_of_a_q_that_is_p_nothing_is_left_of_rounding(law):
    found = pandq.audit(Probs(law), Logits(np.log(law) + 3.0))
    for part in (found.decomposition.grouping_loss, found.decomposition.kl):
        assert (part.value, part.low, part.high) == (0.0, 0.0, 0.0)
    assert "e-1" not in found.to_text()


ONE_LABEL = {
    "labels": lambda y: Labels(y, 3),
    "one vote a row": lambda y: Counts(np.eye(3, dtype=int)[y]),
    "probabilities of one class": lambda y: Probs(np.eye(3)[y]),
}


@pytest.mark.parametrize("kind", ONE_LABEL)
@pytest.mark.parametrize("rows", ["constant", "drawn"])
@pytest.mark.parametrize("n", [2, 20, N])
def test_of_one_label_a_row_kl_is_the_cross_entropy_and_so_is_its_interval(law, kind, rows, n):
    rng = np.random.default_rng(5)
    y = np.array([rng.choice(3, p=row) for row in law[:n]]) if rows == "drawn" else np.zeros(n, int)
    q = Probs(law[:n] if rows == "drawn" else [[0.9, 0.06, 0.04]] * n)
    found = pandq.audit(ONE_LABEL[kind](y), q, decompose=False, by={"half": np.arange(n) % 2})
    ends = ("value", "low", "high", "standard_error", "degrees", "method")
    kl, loss = ([getattr(x, end) for end in ends] for x in (found.kl, found.cross_entropy))
    assert kl == loss
    for line in (*found.classes, *found.groups["half"]):
        assert line["kl"] == line["cross_entropy"]
    (model, _) = pandq.compare(ONE_LABEL[kind](y), q, q, decompose=False).models
    assert (model.kl.low, model.kl.high) == (model.cross_entropy.low, model.cross_entropy.high)


def test_bounds_of_a_loss_that_is_the_same_in_every_row_reach_as_far_as_the_loss():
    found = pandq.audit(Labels([0] * 200, 2), Probs([[0.9, 0.1]] * 200))
    assert found.decomposition.kl.high == found.cross_entropy.high > 0.14


def test_a_grouping_loss_beside_a_q_that_is_the_same_everywhere_is_as_narrow_as_its_floor():
    rng = np.random.default_rng(2)
    law = rng.dirichlet(np.full(4, 0.5), 800)
    parts = pandq.audit(Counts(votes_of(law, 5)), Probs(np.full((800, 4), 0.25))).decomposition
    floor, grouping = parts.floor, parts.grouping_loss
    assert grouping.high - grouping.low < 1.2 * (floor.high - floor.low)
    entropy = -(law * np.log(law)).sum(axis=1).mean()
    assert grouping.low < np.log(4) - entropy < grouping.high


def test_where_a_sentence_gives_a_range_no_table_page_or_document_has_a_point():
    rng = np.random.default_rng(5)
    law = rng.dirichlet(np.ones(3), 600)
    site = {"site": np.arange(600) % 2}
    found = pandq.audit(Counts(votes_of(law, 3)), Probs((law + 0.05) / 1.15), by=site)
    parts = found.decomposition
    assert parts.floor.value is not None
    assert (found.kl.value, parts.kl.value, parts.grouping_loss.value) == (None, None, None)
    assert parts.grouping_loss.low < parts.grouping_loss.high < parts.floor.low
    assert "spans more than its middle" in parts.grouping_loss.method
    told = found.to_dict()["decomposition"]
    assert told["grouping_loss"]["value"] is None
    assert {line["grouping_loss"]["value"] for line in told["groups"]["site"]} == {None}
    lines = found.to_text().splitlines()
    (row,) = [x for x in lines if x.startswith("grouping loss")]
    assert row.split()[2] == "-"
    assert f"[{parts.grouping_loss.low:.4f}, {parts.grouping_loss.high:.4f}]" in row
    sizes = dict(stacked(parts))
    assert sizes["floor, at least"] == parts.floor.low
    assert sum(sizes.values()) == pytest.approx(parts.cross_entropy.value)
    # the groups' KL is known by its ends, and the shares' does not take its place
    line = found.groups["site"][0]
    assert divergence_of(line) == line["kl"] != line["kl_plug_in"]


def test_what_maps_of_several_folds_leave_of_equal_rows_is_as_uncertain_as_their_floor():
    found = pandq.audit(Probs([[0.7, 0.2, 0.1]] * 300), Probs([[0.6, 0.3, 0.1]] * 300))
    floor, after = found.decomposition.floor, found.decomposition.refinement_loss
    assert after.value == pytest.approx(floor.value, rel=1e-4)
    assert (after.low, after.high) == pytest.approx((floor.low, floor.high), rel=1e-4)
    assert floor.high - floor.low > 0.01 * floor.value


def test_parts_of_the_brier_score_add_up_within_what_is_possible(law):
    for m, q in ((2, law), (3, np.roll(law, 1, axis=0))):
        parts = pandq.audit(Counts(votes_of(law, m)), Probs(q)).decomposition.brier
        assert sum(
            parts[x].value for x in ("floor", "calibration_loss", "grouping_loss")
        ) == pytest.approx(parts["brier"].value, abs=1e-12)
        for name in ("floor", "grouping_loss"):
            assert 0.0 <= parts[name].low <= parts[name].value <= parts[name].high
    assert "above" not in parts


def test_of_a_q_that_has_seen_the_votes_no_part_is_a_number(law):
    votes = votes_of(law, 3)
    found = pandq.audit(Counts(votes), Probs.normalised(votes + 0.02))
    assert found.decomposition.leak
    assert set(found.decomposition.brier) == {"brier", "calibration_loss"}
    assert "middle of its bounds" not in definition(found.decomposition)
    assert "ignores Q" in definition(found.decomposition)


def test_tables_call_the_votes_shares_what_they_are(law):
    q = law.copy()
    q[:6] = np.roll(np.eye(3)[np.arange(6) % 3], 1, axis=0)
    votes = votes_of(law, 2)
    found = pandq.audit(Counts(votes), Probs(q), by={"site": np.arange(N) % 2})
    text = found.to_text()
    heads = [
        line.split("  ") for line in text.splitlines() if line.startswith(("class of P", "site"))
    ]
    assert "KL of shares" in " ".join(heads[0])
    assert all("of shares" in " ".join(head) for head in heads[:2])
    assert "rows of largest KL of the votes' shares from Q\nid" in text
    page = found.to_html()
    assert "loss, nat" in heads[0]
    for heading in ("loss, nat", "of shares", "KL of shares", "entropy of the votes&#x27; shares"):
        assert heading in page


def test_an_infinite_loss_of_a_group_is_said_in_its_table(law):
    q = law.copy()
    q[0] = [0.0, 0.5, 0.5]
    p = np.zeros(N, int)
    found = pandq.audit(pandq.Labels(p, 3), Probs(q), by={"site": np.arange(N) % 2})
    lines = {x["name"]: x for x in found.decomposition.groups["site"]}
    assert lines["0"]["infinite_rows"] == 1
    assert lines["1"]["infinite_rows"] == 0
    table = found.to_text().split("calibration loss\n")[-1]
    assert [row.split()[2] for row in table.splitlines()[:2] if row.startswith("0")] == ["inf"]
