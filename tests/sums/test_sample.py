"""The rows that are trained on: uniform, with enough of each class, and weights that undo that."""

import numpy as np
import pytest

from pandq.core.hashing import hash_ids
from pandq.sums.sample import Sample

N = 20_000
KEYS = hash_ids(np.arange(N))
RARE = (np.arange(N) % 200 == 7).astype(np.int64)


def drawn(size, least, parts=1):
    whole = Sample.empty(0)
    for rows in np.array_split(np.arange(N), parts):
        seen = np.bincount(RARE[rows], minlength=2)
        few = Sample.empty(size, least)
        whole = whole.merge(few.of_only(KEYS[rows], rows, {"x": rows % 13}, RARE[rows], seen))
    return whole


def test_a_rare_class_has_as_many_rows_as_are_wanted_of_it():
    assert (RARE[drawn(1000, 0).row] == 1).sum() < 20
    assert (RARE[drawn(1000, 60).row] == 1).sum() == 60
    assert (RARE[drawn(1000, 500).row] == 1).sum() == 100  # that is all there are


def test_weights_make_the_classes_count_as_often_as_they_are():
    sample = drawn(1000, 60)
    weight = sample.inverse_share
    assert weight[RARE[sample.row] == 1].sum() / weight.sum() == pytest.approx(100 / N, rel=1e-12)


def test_weighted_means_over_many_draws_are_those_of_all_rows():
    x = np.sin(np.arange(N)) + 5.0 * RARE
    means = []
    for seed in range(200):
        keys = hash_ids(np.arange(N), seed=seed)
        sample = Sample.empty(300, 40).of_only(keys, np.arange(N), {}, RARE, np.bincount(RARE))
        means.append(np.average(x[sample.row], weights=sample.inverse_share))
    error = np.std(means) / np.sqrt(len(means))
    assert abs(np.mean(means) - x.mean()) < 4 * error


def test_the_rows_are_the_same_in_any_chunks():
    whole, parted = drawn(1000, 60), drawn(1000, 60, parts=17)
    assert (whole.row == parted.row).all()
    assert (whole.inverse_share == parted.inverse_share).all()
    assert whole.uniform.sum() == 1000


def test_a_sample_of_all_rows_weighs_them_alike():
    sample = drawn(N, 60)
    assert len(sample) == N
    assert (sample.inverse_share == 1.0).all()
    assert sample.uniform.all()


@pytest.mark.parametrize(("size", "least"), [(40, 0), (40, 5), (0, 3), (1000, 5)])
def test_what_stays_is_what_sorting_everything_leaves_whoever_comes_first(size, least):
    rng = np.random.default_rng(size + least)
    # keys that are equal, and strata of all sizes
    n = 400
    keys, row = rng.integers(0, 90, n).astype(np.uint64), rng.permutation(n)
    strata = np.minimum(rng.geometric(0.4, n), 6)
    order = np.lexsort((row, keys))
    wanted = set(row[order[:size]])
    for stratum in range(7):
        wanted |= set(row[[i for i in order if strata[i] == stratum][:least]])
    if n <= size:
        wanted = set(row)
    for cuts in ([], [200], [40, 41, 300], range(10, 400, 10)):
        found = Sample.empty(size, least)
        pieces = np.split(np.arange(n), cuts)
        for i in rng.permutation(len(pieces)):
            some = pieces[i]
            told = keys[some], row[some], {"x": row[some] * 3}, strata[some]
            found = found.merge(found.of_only(*told, np.bincount(strata[some], minlength=7)))
        assert set(found.row) == wanted
        assert (found.columns["x"] == found.row * 3).all()
        assert n <= size or (np.diff(found.row) > 0).all()


def test_many_samples_at_once_are_one_after_the_other():
    few = [Sample.empty(700, 40) for _ in range(9)]
    for i, rows in enumerate(np.array_split(np.arange(N), 9)):
        seen = np.bincount(RARE[rows], minlength=2)
        few[i] = few[i].of_only(KEYS[rows], rows, {"x": rows % 13}, RARE[rows], seen)
    one, all_at_once = few[0], few[0].with_all(few[1:])
    for other in few[1:]:
        one = one.merge(other)
    assert (one.row == all_at_once.row).all()
    assert (one.columns["x"] == all_at_once.columns["x"]).all()
    assert (one.inverse_share == all_at_once.inverse_share).all()
