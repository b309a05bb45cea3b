"""Padded vocabularies: columns that carry nothing are cut when that is asked for, and no others."""

import numpy as np
import pyarrow as pa
import pytest

import pandq
from pandq import InputError, RowError, scan

N, K, WIDE = 12, 5, 8
RNG = np.random.default_rng(1)
LOGITS = RNG.normal(size=(N, K)).astype(np.float32)
PROBS = RNG.dirichlet(np.ones(K), N)
LABELS = RNG.integers(K, size=N)


def padded(x, with_what):
    return np.concatenate([x, np.full((*x.shape[:-1], WIDE - K), with_what, x.dtype)], axis=-1)


PADDED = {
    "logits of -inf": ("logits", padded(LOGITS, -np.inf), LOGITS),
    "logits of -1e9": ("logits", padded(LOGITS, -1e9), LOGITS),
    "log-probabilities": ("logprobs", padded(np.log(PROBS), -np.inf), np.log(PROBS)),
    "probabilities": ("probs", padded(PROBS, 0.0), PROBS),
    "members": ("probs", padded(np.stack([PROBS] * 2, axis=1), 0.0), np.stack([PROBS] * 2, axis=1)),
}


def rows(kind, x, classes=K, p="labels:label", q=None):
    table = pa.table({"label": LABELS, "x": x.tolist(), "plain": LOGITS.tolist()})
    return scan(table, p=p, q=q or f"{kind}:x", classes=classes)


@pytest.mark.parametrize("case", PADDED)
def test_columns_that_carry_nothing_are_cut(case):
    kind, wide, plain = PADDED[case]
    cut, exact = (pandq.audit(rows(kind, x), decompose=False) for x in (wide, plain))
    assert cut.n_classes == K
    assert cut.cross_entropy.value == pytest.approx(exact.cross_entropy.value, rel=1e-12)


def test_p_and_q_of_one_vocabulary_may_be_padded_otherwise():
    both = rows("logits", padded(LOGITS, -np.inf), p="logits:plain", q="logits:x")
    assert pandq.compare(both).from_reference[0].kl.value == 0.0
    both = rows("logits", padded(LOGITS, -np.inf), p="logits:x", q="logits:plain")
    assert pandq.compare(both).from_reference[0].kl.value == 0.0


def test_without_the_option_nothing_is_cut_and_the_error_names_it():
    both = rows("logits", padded(LOGITS, -np.inf), None, "logits:plain", "logits:x")
    with pytest.raises(InputError, match=r"different numbers of classes, got 5 and 8.*--classes 5"):
        list(both.chunks())


@pytest.mark.parametrize("kind", ["logits", "probs", "logprobs"])
def test_a_column_that_carries_something_is_never_cut(kind):
    shares = padded(PROBS, 0.0)
    shares[4] *= 0.7
    shares[4, WIDE - 1] = 0.3
    with np.errstate(divide="ignore"):
        wide = shares if kind == "probs" else np.log(shares) + (kind == "logits")
    with pytest.raises(RowError, match=r"row 4 has more than nothing.*got 0\.3\..*--classes 8"):
        list(rows(kind, wide).chunks())


def test_a_number_that_is_none_is_not_cut_away():
    wide = padded(LOGITS, -np.inf)
    wide[4, WIDE - 1] = np.nan
    with pytest.raises(RowError, match=r"row 4 has more than nothing.*got nan"):
        list(rows("logits", wide).chunks())


def test_names_are_no_number_of_columns():
    with pytest.raises(InputError, match="different numbers of classes"):
        list(rows("logits", padded(LOGITS, -np.inf), list("abcde")).chunks())


def test_fewer_columns_than_classes_are_refused_as_before():
    with pytest.raises(InputError, match="different numbers of classes"):
        list(rows("logits", LOGITS, 7).chunks())
