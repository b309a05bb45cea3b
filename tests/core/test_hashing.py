"""Bits for ids: the same in any chunk, and evenly spread."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pandq.core import hashing
from pandq.core.hashing import fold_of, hash_ids, mix

IDS = {
    "integers": np.arange(-500, 500),
    "floats": np.linspace(-1, 1, 1000),
    "strings": np.array([f"image-{i}" * (1 + i % 3) for i in range(1000)]),
    "letters beyond ascii": np.array([chr(0x4E00 + i) + "é" * (i % 4) for i in range(1000)]),
}


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("size", [1, 7, 999])
def test_hash_does_not_depend_on_chunks(kind, size):
    ids = IDS[kind]
    chunks = [hash_ids(ids[start : start + size]) for start in range(0, len(ids), size)]
    assert (np.concatenate(chunks) == hash_ids(ids)).all()


def test_the_kernel_has_the_bits_of_the_formula(monkeypatch):
    words = np.random.default_rng(0).integers(0, 2**64, (3, 77), dtype=np.uint64)
    found = [mix(words), mix(words.T, 5), mix(words[:0])]
    monkeypatch.setattr(hashing, "build", lambda: None)
    for mine, want in zip(
        found, [mix(words), mix(words.T ^ np.uint64(5)), mix(words[:0])], strict=True
    ):
        assert mine.shape == want.shape
        assert (mine == want).all()


@given(st.lists(st.text(st.characters(exclude_characters="\0"), max_size=8), min_size=1))
def test_hash_does_not_depend_on_padding(names):
    padded = hash_ids(np.array([*names, "x" * 40]))
    assert (padded[:-1] == hash_ids(np.array(names))).all()


@pytest.mark.parametrize("kind", IDS)
def test_different_ids_have_different_bits(kind):
    assert len(np.unique(hash_ids(IDS[kind]))) == 1000


@pytest.mark.parametrize("kind", IDS)
def test_strided_ids_have_the_same_bits(kind):
    assert (hash_ids(IDS[kind][::3]) == hash_ids(IDS[kind])[::3]).all()


@pytest.mark.parametrize("narrow", [np.int8, np.uint8, np.int32, np.uint64])
def test_width_of_an_integer_does_not_matter(narrow):
    ids = np.arange(100)
    assert (hash_ids(ids.astype(narrow)) == hash_ids(ids)).all()


def test_width_of_a_float_does_not_matter():
    ids = np.arange(100) / 4
    assert (hash_ids(ids.astype(np.float32)) == hash_ids(ids)).all()


def test_zero_and_minus_zero_are_one_id():
    plus, minus = hash_ids(np.array([0.0, -0.0]))
    assert plus == minus


def test_strings_in_objects_are_strings():
    names = np.array(["a", "bb"])
    assert (hash_ids(names.astype(object)) == hash_ids(names)).all()


def test_order_of_letters_matters():
    assert len(np.unique(hash_ids(np.array(["ab", "ba", "aab"])))) == 3


def test_another_seed_gives_other_bits():
    ids = np.arange(1000)
    assert not (hash_ids(ids, seed=1) == hash_ids(ids)).any()


@pytest.mark.parametrize("dtype", [np.int64, np.float64, np.str_])
def test_no_ids_have_no_bits(dtype):
    got = hash_ids(np.zeros(0, dtype))
    assert (got.shape, got.dtype) == ((0,), np.uint64)


@pytest.mark.parametrize("kind", IDS)
@pytest.mark.parametrize("n_folds", [2, 5, 10])
def test_folds_are_even(kind, n_folds):
    folds = fold_of(hash_ids(IDS[kind]), n_folds)
    assert stats.chisquare(np.bincount(folds, minlength=n_folds)).pvalue > 1e-3


@pytest.mark.parametrize("bit", range(64))
def test_every_bit_is_even(bit):
    ones = int((hash_ids(np.arange(20_000)) >> np.uint64(bit) & np.uint64(1)).sum())
    # 64 bits are looked at: 4.5 standard deviations is one in two thousand for all of them
    assert abs(ones - 10_000) < 4.5 * np.sqrt(20_000) / 2


def test_folds_of_another_seed_are_unrelated():
    ids = np.arange(20_000)
    table = np.zeros((4, 4))
    np.add.at(table, (fold_of(hash_ids(ids), 4), fold_of(hash_ids(ids, seed=1), 4)), 1)
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_mix_is_the_published_splitmix64():
    # the first outputs of the generator for seed 1234567, as published with its C source
    want = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    steps = [(1234567 + i * 0x9E3779B97F4A7C15) % 2**64 for i in range(3)]
    assert mix(np.array(steps, dtype=np.uint64)).tolist() == want
