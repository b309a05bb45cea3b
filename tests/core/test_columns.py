"""Columns that lie anywhere are an array to NumPy, and none is copied before it must be."""

import numpy as np
import pytest

from pandq.core.columns import Columns

RNG = np.random.default_rng(0)
ONE, OTHER = RNG.normal(size=20), RNG.normal(size=20)


def test_columns_are_an_array_of_their_rows():
    found = Columns([ONE, OTHER, ONE])
    assert found.shape == (20, 3)
    assert (np.asarray(found) == np.stack([ONE, OTHER, ONE], axis=1)).all()
    assert (np.asarray(found, np.float32) == np.asarray(found).astype(np.float32)).all()
    with pytest.raises(ValueError, match="only in a copy"):
        np.array(found, copy=False)


def test_a_column_that_is_given_twice_is_one_of_the_distinct():
    apart, which = Columns([ONE, OTHER, ONE, ONE.copy()]).distinct()
    assert apart.T[0] is ONE
    assert [len(apart.T), which.tolist()] == [3, [0, 1, 0, 2]]


def test_columns_that_begin_alike_and_end_apart_are_not_taken_for_one():
    table = RNG.normal(size=(4, 3))
    apart, which = Columns.of(table).distinct()
    assert which.tolist() == [0, 1, 2]
    assert (np.asarray(apart) == table).all()


def test_consecutive_rows_lie_where_they_lay_and_others_are_copied():
    found = Columns([ONE, OTHER])
    assert np.shares_memory(found[3:9].T[0], ONE)
    assert (np.asarray(found[3:9]) == np.asarray(found)[3:9]).all()
    chosen = ONE > 0
    assert (found[chosen] == np.asarray(found)[chosen]).all()


def test_columns_of_an_array_lie_in_it_where_they_can():
    table = np.asfortranarray(RNG.normal(size=(5, 2)))
    assert np.shares_memory(Columns.of(table).T[1], table)
    assert Columns.of(np.empty((5, 0))).shape == (5, 0)


def test_columns_beside_others_are_columns():
    assert (np.asarray(Columns([ONE]) + Columns([OTHER])) == np.stack([ONE, OTHER], axis=1)).all()


def test_sums_are_finite_only_where_every_number_is_and_warn_of_none():
    big = np.finfo(np.float64).max
    columns = [[1.0, 2.0], [np.inf, -np.inf], [np.inf, 1.0], [big, big], [np.nan, 0.0]]
    found = Columns([np.array(x) for x in columns]).sums()
    assert np.isfinite(found).tolist() == [True, False, False, False, False]
