"""A reference run a second time: its own divergence, and what each Q's has beyond it."""

import json

import numpy as np
import pytest
from scipy import special

import pandq
from pandq import InputError, Labels, Logits
from tests import commands
from tests.estimate import leaving
from tests.read.test_arrays import write_kld

N, K = 240, 7
DOCUMENT = np.arange(N) // 8


def runs(seed=0, noise=0.05, apart=0.3):
    """A reference, itself again, and a copy, which has the noise of a run too."""
    rng = np.random.default_rng(seed)
    truth = 2 * rng.normal(size=(N, K))
    again, moved = (rng.normal(size=(N, K)) for _ in range(2))
    return truth, truth + noise * again, truth + apart * moved


def kl(x, y):
    p, q = special.softmax(x, axis=1), special.softmax(y, axis=1)
    return special.rel_entr(p, q).sum(axis=1)


def test_the_excess_is_the_mean_of_paired_differences_over_clusters():
    p, again, q = runs()
    found = pandq.compare(
        Logits(p), Logits(q), Logits(again), control=Logits(again), cluster=DOCUMENT
    )
    for copy, logits in zip(found.from_reference, (q, again), strict=True):
        apart = kl(p, logits) - kl(p, again)
        mean, low, high = leaving.interval(np.bincount(DOCUMENT, weights=apart) / 8)
        told = copy.kl_excess
        assert (told.value, told.low, told.high) == pytest.approx((mean, low, high), abs=1e-9)
    assert found.from_reference[1].kl_excess.value == 0.0
    assert found.control.kl.value == pytest.approx(kl(p, again).mean())
    assert found.control.kl_excess is None
    alone = pandq.compare(Logits(p), Logits(q), Logits(again), cluster=DOCUMENT)
    assert [x.kl for x in alone.from_reference] == [x.kl for x in found.from_reference]
    assert alone.differences[0].cross_entropy == found.differences[0].cross_entropy
    assert alone.control is None


def test_the_excess_of_another_run_of_the_reference_is_covered_by_its_interval():
    """Its true excess is 0: the copy and the control are drawn alike."""
    covered = 0
    for seed in range(120):
        p, again, q = runs(seed, apart=0.05)
        found = pandq.compare(Logits(p), Logits(q), control=Logits(again))
        told = found.from_reference[0].kl_excess
        covered += told.low <= 0 <= told.high
    assert 0.9 <= covered / 120 <= 0.99


def test_bits_are_nats_over_log_2():
    p, again, q = runs(1)
    nat, bit = (pandq.compare(Logits(p), Logits(q), control=Logits(again), unit=unit)
                for unit in ("nat", "bit"))  # fmt: skip
    one, other = (x.from_reference[0].kl_excess for x in (nat, bit))
    assert (other.value, other.unit) == (pytest.approx(one.value / np.log(2)), "bit")


@pytest.mark.parametrize(("lost", "value"), [("q", np.inf), ("again", -np.inf), ("both", None)])
def test_an_infinite_divergence_makes_the_excess_infinite_or_unknown(lost, value):
    p, again, q = runs(2)
    for name, logits in (("q", q), ("again", again)):
        if lost in (name, "both"):
            logits[3, 0] = -np.inf
    told = pandq.compare(Logits(p), Logits(q), control=Logits(again)).from_reference[0].kl_excess
    assert told.value == value


def test_it_is_told_in_text_page_and_json_and_read_again():
    p, again, q = runs(3)
    found = pandq.compare(Logits(p), Logits(q), control=Logits(again))
    excess = f"{found.from_reference[0].kl_excess.value:.6f}"
    for drawing in (found.to_text(), found.to_html()):
        flat = " ".join(drawing.split())
        assert excess in flat
        assert "is its excess over the control" in flat
        assert "It is no divergence, and may be below 0" in flat
        assert "control from its reference P" in flat
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert pandq.Comparison.from_dict(document).to_dict() == found.to_dict()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda p, q: pandq.compare(Labels(p.argmax(1)), q, q, control=q),
            "P is labels, which is no reference",
        ),
        (lambda p, q: pandq.compare(Logits(p), q, control=q[:5]), "different numbers of rows"),
        (lambda p, q: pandq.compare(Logits(p), q, control=p), "must say what its numbers mean"),
        (
            lambda p, q: pandq.compare(
                pandq.TopK([[0, 1]] * N, np.log([[0.5, 0.3]] * N), K), q, control=q
            ),
            "bounds alone",
        ),
    ],
)
def test_what_no_control_stands_beside_is_refused(call, told):
    p, _, q = runs(4)
    with pytest.raises((InputError, pandq.ViewTypeError), match=told):
        call(p, Logits(q))


# ------------------------------------------------------------------------------- the command line


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place, rng = tmp_path_factory.mktemp("control"), np.random.default_rng(5)
    logits = 3 * rng.normal(size=(64, 20))
    tokens = rng.integers(0, 20, 64)
    for name, noise in {"base": 0.0, "again": 0.02, "small": 0.3}.items():
        moved = logits + noise * rng.normal(size=logits.shape)
        write_kld(place / f"{name}.kld", moved, tokens, 16)
        np.save(place / f"{name}.npy", moved.astype(np.float32))
    return place


def run(folder, *arguments):
    return commands.pandq("compare", *arguments, cwd=folder)


def test_a_logits_file_is_a_control_and_the_gate_holds_the_excess(folder):
    asked = ("base.kld", "small.kld", "--control", "again.kld")
    outcome = run(folder, *asked, "--json", "-", "--max-kl-excess", "1")
    assert outcome.returncode == 0, outcome.stderr
    told = json.loads(outcome.stdout)
    plain = json.loads(run(folder, "base.kld", "again.kld", "--json", "-").stdout)
    assert told["control"]["kl"] == plain["from_reference"][0]["kl"]
    assert [x["q"] for x in told["models"]] == ["logits:small.logits"]
    outcome = run(folder, *asked, "--max-kl-excess", "1e-6")
    assert outcome.returncode == 1
    assert "excess of logits:small.logits over the control" in outcome.stderr


def test_a_column_is_a_control_too(folder):
    asked = ("base.npy", "again.npy", "small.npy", "--p", "logits:base", "--q", "logits:small")
    outcome = run(folder, *asked, "--control", "logits:again", "--json", "-")
    assert outcome.returncode == 0, outcome.stderr
    x, y, z = (np.load(folder / f"{name}.npy") for name in ("base", "small", "again"))
    found = pandq.compare(Logits(x), Logits(y), control=Logits(z))
    told = json.loads(outcome.stdout)["from_reference"][0]["kl_excess"]
    assert told["value"] == pytest.approx(found.from_reference[0].kl_excess.value, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("base.kld", "small.kld", "--max-kl-excess", "1"), "Give --control"),
        (("base.kld", "small.kld", "--control", "none.kld"), "none.kld"),
        (("base.npy", "small.npy", "--control", "again.kld"), "--control KIND:COLUMN"),
        (("base.kld", "small.kld", "--control", "nothing"), "--control does not say|KIND"),
    ],
)
def test_what_is_wrong_with_a_control_is_one_line(folder, arguments, told):
    outcome = run(folder, *arguments)
    assert outcome.returncode == 2
    assert outcome.stderr.count("\n") == 1
    assert any(x in outcome.stderr for x in told.split("|"))
