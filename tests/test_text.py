"""Of a text: its perplexity, and its bits per byte, with intervals over documents."""

import numpy as np
import pytest

import pandq
from pandq import InputError, Labels, Logits

N, CLASSES, DOCUMENTS = 600, 7, 40
ENDS = ("value", "low", "high")


def text(seed=0):
    """Tokens, logits, the document of each token, and the bytes of each."""
    rng = np.random.default_rng(seed)
    document = np.sort(rng.integers(DOCUMENTS, size=N))
    x = rng.normal(size=(N, CLASSES)) * (1 + document[:, None] % 3)
    y = rng.integers(CLASSES, size=N)
    return y, x, document, 1 + y


def losses(y, x):
    return np.log(np.exp(x).sum(axis=1)) - x[np.arange(len(y)), y]


def ends(e):
    return np.array([getattr(e, end) for end in ENDS])


@pytest.mark.parametrize("unit", ["nat", "bit"])
def test_a_perplexity_is_the_exponential_of_the_loss_and_of_its_interval(unit):
    y, x, document, _ = text()
    found = pandq.audit(Labels(y), Logits(x), cluster=document, unit=unit, decompose=False)
    base = {"nat": np.e, "bit": 2.0}[unit]
    assert ends(found.perplexity) == pytest.approx(base ** ends(found.cross_entropy), rel=1e-12)
    assert found.perplexity.value == pytest.approx(np.exp(losses(y, x).mean()), rel=1e-12)
    assert (found.perplexity.unit, found.bits_per_byte) == ("", None)
    assert "40 clusters" in found.perplexity.method


def test_what_cannot_be_has_no_perplexity_but_an_infinite_one():
    impossible = pandq.audit(Labels([0, 1]), Logits([[0.0, 1.0], [0.0, -np.inf]]), decompose=False)
    beyond = pandq.audit(Labels([0, 1]), Logits([[-2e3, 0.0], [0.0, 0.0]]), decompose=False)
    for found in (impossible, beyond):
        assert found.perplexity.value == np.inf
        assert pandq.Audit.from_dict(found.to_dict()).perplexity.value == np.inf
    assert np.isfinite(beyond.cross_entropy.value)


@pytest.mark.parametrize("weighted", [False, True])
def test_bits_per_byte_are_the_ratio_of_two_sums_and_vary_with_documents(weighted):
    y, x, document, size = text()
    w = np.random.default_rng(1).integers(1, 4, size=N) / 2 if weighted else np.ones(N)
    given = {"weights": w} if weighted else {}
    found = pandq.audit(
        Labels(y), Logits(x), n_bytes=size, cluster=document, decompose=False, **given
    ).bits_per_byte
    bits = losses(y, x) / np.log(2)
    rate = (w * bits).sum() / (w * size).sum()
    apart = np.bincount(document, w * (bits - rate * size))
    clusters = len(np.unique(document))
    error = np.sqrt(clusters / (clusters - 1) * np.square(apart).sum()) / (w * size).sum()
    assert found.value == pytest.approx(rate, rel=1e-12)
    assert found.standard_error == pytest.approx(error, rel=1e-9)
    assert found.unit == ""


def test_bits_per_byte_do_not_depend_on_how_a_text_is_cut_into_tokens():
    """Each token cut in two of half its loss and half its bytes."""
    y, x, document, size = text()
    loss = losses(y, x)
    half = np.stack([np.zeros(2 * N), np.log(np.expm1(np.repeat(loss, 2) / 2))], axis=1)
    given = {"decompose": False, "level": 0.9}
    one = pandq.audit(Labels(y), Logits(x), n_bytes=size, cluster=document, **given)
    two = pandq.audit(
        Labels(np.zeros(2 * N, int), 2),
        Logits(half),
        n_bytes=np.repeat(size / 2, 2),
        cluster=np.repeat(document, 2),
        **given,
    )
    assert ends(two.bits_per_byte) == pytest.approx(ends(one.bits_per_byte), rel=1e-9)
    assert two.perplexity.value == pytest.approx(np.sqrt(one.perplexity.value), rel=1e-9)


def test_a_bootstrap_of_bits_per_byte_is_near_the_delta_methods_interval():
    y, x, document, size = text()
    given = {"n_bytes": size, "cluster": document, "decompose": False}
    t = pandq.audit(Labels(y), Logits(x), **given).bits_per_byte
    drawn = pandq.audit(Labels(y), Logits(x), intervals="bootstrap", **given).bits_per_byte
    assert drawn.value == t.value
    assert drawn.half_width == pytest.approx(t.half_width, rel=0.15)
    assert "bootstrap" in drawn.method


def test_bits_per_byte_are_infinite_where_a_token_was_impossible():
    found = pandq.audit(
        Labels([0, 1]), Logits([[0.0, 1.0], [0.0, -np.inf]]), n_bytes=[1, 2], decompose=False
    )
    assert found.bits_per_byte.value == np.inf
    assert found.bits_per_byte.name == "bits_per_byte"


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [
        ([1, 2], "n_bytes needs one value per row"),
        ([1, -2, 1], "n_bytes row 1 is negative"),
        ([1, 1, np.nan], "n_bytes row 2 is negative or not finite"),
        ([0, 0, 0], "n_bytes are all zero"),
        (["a", "b", "c"], "n_bytes"),
    ],
    ids=str,
)
def test_bytes_that_are_none_are_refused(n_bytes, words):
    with pytest.raises(InputError, match=words):
        pandq.audit(Labels([0, 1, 0]), Logits(np.zeros((3, 2))), n_bytes=n_bytes)


def test_both_are_said_in_the_report():
    y, x, document, size = text()
    found = pandq.audit(Labels(y), Logits(x), n_bytes=size, cluster=document, decompose=False)
    for told in (found.to_text(), found.to_html()):
        assert "perplexity Mean PPL(Q)" in told
        assert "bits per byte" in told
    assert found.values()["bits_per_byte"] == found.bits_per_byte.value
