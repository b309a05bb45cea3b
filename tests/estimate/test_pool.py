"""Votes of a pool of people: draws with replacement are made of them, and the floor is theirs."""

from itertools import product

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

import pandq
from pandq import InputError, Probs, Votes
from pandq.cli import cli
from pandq.estimate.floor.pool import with_replacement

K = 3


def keys(n, seed=0):
    return np.random.default_rng(seed).integers(0, 2**63, n).astype(np.uint64)


@pytest.mark.parametrize("opinions", [(2, 2, 1), (1, 1, 1), (7, 1, 0)])
@pytest.mark.parametrize("m", [1, 2, 3])
def test_what_is_made_of_different_people_has_the_distribution_of_independent_draws(opinions, m):
    n, pool = 40_000, sum(opinions)
    votes = np.random.default_rng(m).multivariate_hypergeometric(opinions, m, size=n)
    made = with_replacement(votes, pool, keys(n))
    assert (made.sum(axis=1) == m).all()
    p = np.array(opinions) / pool
    for counts in product(range(m + 1), repeat=K):
        if sum(counts) == m:
            chance = stats.multinomial.pmf(counts, m, p)
            seen = (made == counts).all(axis=1).sum()
            assert stats.binomtest(int(seen), n, min(chance, 1.0)).pvalue > 1e-4, counts


def test_draws_are_settled_by_the_row_alone_and_differ_by_turn():
    votes = np.random.default_rng(0).multivariate_hypergeometric((4, 3, 2), 4, size=500)
    key = keys(500)
    made = with_replacement(votes, 9, key)
    assert (with_replacement(votes[100:200], 9, key[100:200]) == made[100:200]).all()
    assert (with_replacement(votes, 9, key, turn=1) != made).any()
    mixed = np.array([[1, 0, 0], [2, 1, 0], [0, 0, 0]])
    assert with_replacement(mixed, 4, key[:3]).sum(axis=1).tolist() == [1, 3, 0]
    same = np.array([[3, 0, 0]] * 9)
    assert (with_replacement(same, 3, key[:9]) == same).all()
    assert with_replacement(np.zeros((0, 3), int), 3, key[:0]).shape == (0, 3)


def of_pool(n=400, pool=5, asked=3, seed=0):
    """Votes of different people of a pool, what each of all of them says, and Q."""
    draw = np.random.default_rng(seed)
    q = draw.dirichlet(np.ones(K), n)
    said = np.array([draw.choice(K, pool, p=row) for row in q])
    who = np.array([draw.choice(pool, asked, replace=False) for _ in range(n)])
    votes = np.take_along_axis(said, who, axis=1)
    names = [[f"w{a}" for a in row] for row in who]
    return Votes(votes.tolist(), names, classes=range(K)), said, q


def test_the_floor_is_that_of_one_of_these_people_and_says_so():
    votes, said, q = of_pool()
    table = (said[..., None] == np.arange(K)).sum(axis=1)
    true = stats.entropy(table / 5, axis=1).mean()
    many = pandq.audit(votes, Probs(q)).decomposition
    few = pandq.audit(votes, Probs(q), annotator_pool=5).decomposition
    assert many.floor.low > true
    assert few.floor.low <= true <= few.floor.high
    assert few.blind_floor.low <= true <= few.blind_floor.high
    assert "for a randomly chosen one of 5 people" in few.floor.method
    assert "for a randomly chosen one of 5 people" in few.blind_floor.method
    for end in ("value", "low", "high", "degrees"):
        one, other = (getattr(x.cross_entropy, end) for x in (few, many))
        assert one == pytest.approx(other, rel=1e-12)
    brier = 1 - np.square(table / 5).sum(axis=1).mean()
    assert few.brier["floor"].value == pytest.approx(0.8 * many.brier["floor"].value)
    assert few.brier["floor"].low <= brier <= few.brier["floor"].high
    assert few.plan == []
    least = pandq.audit(votes, Probs(q), annotator_pool=5, min_votes=2).decomposition.floor
    assert least.low <= true <= least.high


def test_a_scan_in_chunks_says_what_arrays_do():
    import pyarrow as pa

    votes, _, q = of_pool()
    table = pa.table({"votes": votes.table.tolist(), "q": q.tolist()})
    rows = pandq.scan(table, p="counts:votes", q="probs:q")
    found, alone = (
        pandq.audit(*views, annotator_pool=5).decomposition.floor
        for views in ((rows,), (votes.counts, Probs(q)))
    )
    assert (found.low, found.high) == (alone.low, alone.high)


def test_people_who_are_seen_are_counted_and_few_of_them_are_told():
    votes, _, q = of_pool()
    found = pandq.audit(votes, Probs(q), annotator_pool="seen")
    assert (
        found.decomposition.floor
        == pandq.audit(votes, Probs(q), annotator_pool=5).decomposition.floor
    )
    assert found.options["annotator_pool"] == "seen"
    assert "few_annotators" not in [x.key for x in found.findings]
    told = pandq.audit(votes, Probs(q))
    assert "5 annotators gave all votes, up to 3 of them" in " ".join(told.to_text().split())
    assert "--annotator-pool seen" in " ".join(told.to_text().split())
    many, _, q = of_pool(pool=80)
    assert "few_annotators" not in [x.key for x in pandq.audit(many, Probs(q)).findings]


REFUSED = {
    "no number": ({"annotator_pool": 2.5}, 'from 2, or "seen", got 2.5'),
    "one person": ({"annotator_pool": 1}, 'from 2, or "seen", got 1'),
    "a word": ({"annotator_pool": "all"}, "from 2, or \"seen\", got 'all'"),
    "more than there are": ({"annotator_pool": 10**20}, "more than all people"),
    "fewer than were seen": ({"annotator_pool": 4}, "the pool has 4 people, and there are more"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_pool_that_cannot_be_is_refused(case):
    options, said = REFUSED[case]
    votes, _, q = of_pool(60)
    with pytest.raises(InputError, match=said):
        pandq.audit(votes, Probs(q), **options)


def test_a_pool_is_refused_where_nobody_is_known_or_votes_are_too_many_or_none():
    votes, _, q = of_pool(60)
    with pytest.raises(InputError, match="it is not known who gave the votes"):
        pandq.audit(votes.counts, Probs(q), annotator_pool="seen")
    with pytest.raises(InputError, match=r"the pool has 2 people.*got a row with 3 votes"):
        pandq.audit(votes.counts, Probs(q), annotator_pool=2)
    with pytest.raises(InputError, match="annotator_pool is for votes"):
        pandq.audit(Probs(q), Probs(q), annotator_pool=5)


def test_the_command_line_takes_a_number_or_those_seen(tmp_path):
    import json

    votes, _, q = of_pool(120)
    lines = ["item,annotator,label,p_0,p_1,p_2"]
    for i, row in enumerate(votes):
        for code, who in zip(row.codes, row.annotators, strict=True):
            lines.append(f"{i},{row.annotator_names[who]},{code},{q[i, 0]},{q[i, 1]},{q[i, 2]}")
    (tmp_path / "x.csv").write_text("\n".join(lines))
    words = [
        "audit",
        str(tmp_path / "x.csv"),
        "--layout",
        "long",
        "--q",
        "probs:p_*",
        "--json",
        "-",
    ]
    found = {}
    for pool in ("5", "seen"):
        ran = CliRunner().invoke(cli.commands["audit"], [*words[1:], "--annotator-pool", pool])
        assert ran.exit_code == 0, ran.exception
        found[pool] = json.loads(ran.stdout)
    assert found["5"]["decomposition"]["floor"] == found["seen"]["decomposition"]["floor"]
    assert found["5"]["source"]["annotators"] == 5
    refused = CliRunner().invoke(cli.commands["audit"], [*words[1:], "--annotator-pool", "some"])
    assert "got 'some'" in str(refused.exception)
