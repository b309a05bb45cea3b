"""Estimate: a number to Python, a text to a reader, and an interval that can be made again."""

import math

import numpy as np
import pytest

import pandq
from pandq import Estimate, InputError
from tests.estimate import leaving
from tests.golden.documents import RESULTS, result
from tests.results.walk import estimates

FLOOR = Estimate(0.3124, 0.298, 0.327, name="floor", standard_error=0.0074, degrees=99)
OPEN = Estimate(None, 0.0, 0.25, name="floor", identified=False)


def test_an_estimate_is_its_value_to_float():
    assert float(FLOOR) == 0.3124
    assert math.sqrt(FLOOR) == math.sqrt(0.3124)
    assert float(Estimate(math.inf, math.inf, math.inf)) == math.inf


@pytest.mark.parametrize("spec", [".3f", "8.2f", "+.1e", ".0%", "08.3f", "g"])
def test_a_numeric_format_is_that_of_the_value(spec):
    assert format(FLOOR, spec) == format(0.3124, spec)


@pytest.mark.parametrize("spec", ["", ">40", "<40", "^40", "*^40", "40", "s", ".5s"])
def test_a_format_of_text_is_that_of_its_text(spec):
    assert format(FLOOR, spec) == format(str(FLOOR), spec)


def test_a_text_has_the_name_the_value_and_the_interval():
    assert f"{FLOOR}" == str(FLOOR) == "floor 0.312 nat [0.298, 0.327]"
    assert f"{OPEN}" == "floor not identified [0.000, 0.250]"


@pytest.mark.parametrize("use", [float, "{:.3f}".format, "{:8.2e}".format])
def test_what_is_not_identified_has_no_number_and_says_its_bounds(use):
    with pytest.raises(InputError, match=r"floor has no point value, got between 0\.000 and 0\.25"):
        use(OPEN)


def test_bits_have_the_value_its_ends_and_its_standard_error_in_bits():
    bits = FLOOR.to_unit("bit")
    for name in ("value", "low", "high", "standard_error"):
        assert getattr(bits, name) == pytest.approx(getattr(FLOOR, name) / np.log(2), rel=1e-15)
    assert (bits.unit, bits.degrees, bits.level) == ("bit", 99, 0.95)
    assert OPEN.to_unit("bit").standard_error is None
    assert OPEN.to_unit("bit").value is None


def test_the_standard_error_of_a_mean_of_rows_is_that_of_a_plain_calculation():
    rng = np.random.default_rng(0)
    q, y = rng.dirichlet(np.ones(3), 90), rng.integers(3, size=90)
    loss = -np.log(q[np.arange(90), y])
    cluster = np.arange(90) % 9
    rows, clusters = (
        pandq.audit(pandq.Labels(y), pandq.Probs(q), cluster=x, decompose=False).cross_entropy
        for x in (None, cluster)
    )
    assert rows.standard_error == pytest.approx(loss.std(ddof=1) / np.sqrt(90), rel=1e-12)
    assert rows.degrees == 89
    sums = np.array([(loss - loss.mean())[cluster == c].sum() for c in range(9)])
    assert clusters.standard_error == pytest.approx(np.sqrt(9 / 8 * (sums**2).sum()) / 90, rel=1e-9)
    assert clusters.degrees == pytest.approx(8, rel=1e-12)
    assert (rows.effective, clusters.effective) == (90, pytest.approx(9, rel=1e-12))


def is_a_mean(place, e):
    """Is the interval about the value? Not of an exponential or a root, nor of the parts of a
    score, whose values are moved to add up; a guess has none."""
    known = e.identified and e.value is not None and math.isfinite(e.value)
    made_of_one = e.method.startswith(("exp of", "root of"))
    made_of_one |= place[-2:-1] in [("brier",), ("rps",)]
    made_of_one |= "guessing" in place
    return known and not made_of_one


@pytest.mark.parametrize("name", RESULTS)
def test_an_interval_can_be_made_again_from_what_is_told_of_its_error(name):
    means = [x for x in estimates(result(name)) if is_a_mean(*x)]
    drawn = [x for x in means if "bootstrap" in x[1].method]
    assert all(e.standard_error >= 0 and e.degrees is None for _, e in drawn)
    assert bool(drawn) == (name == "bootstrap")
    exact = [x for x in means if "Clopper-Pearson" in x[1].method]
    assert all(0 <= e.low < e.high <= 1 for _, e in exact)
    exact += [x for x in means if "the same in every unit" in x[1].method]
    for place, e in [x for x in means if x not in drawn and x not in exact]:
        low, high = leaving.ends(
            e.value,
            e.standard_error**2,
            e.effective,
            e.skewness or 0.0,
            e.level,
            e.likely_skewness or 0.0,
        )
        assert e.degrees == pytest.approx(e.effective - 1, rel=1e-12)
        if not (low < 0 and e.low == 0.0):
            assert e.low == pytest.approx(low, rel=1e-9, abs=1e-12), place
        if not (high > 1 and e.high == 1.0):
            assert e.high == pytest.approx(high, rel=1e-9, abs=1e-12), place
    few = {"top-k": 0, "votes-alone": 1, "votes-of-annotators": 4}
    few |= {"draws-of-one": 2, "draws-forbidden": 0, "documents": 3}
    assert len(means) >= few.get(name, 5)


@pytest.mark.parametrize("name", RESULTS)
def test_bounds_have_no_standard_error(name):
    bounds = [x for _, x in estimates(result(name)) if not x.identified]
    assert all(x.standard_error is None and x.degrees is None for x in bounds)
    assert bounds or name in (
        "soft-labels",
        "two-models",
        "ordered-models",
        "an-infinite-model",
        "a-copy",
        "ensemble",
        "draws",
        "a-control",
        "draws-of-one",
        "draws-forbidden",
        "documents",
    )


def test_clusters_have_one_degree_of_freedom_less_than_there_are():
    found = [x for _, x in estimates(result("groups-and-clusters")) if "cluster" in x.method]
    assert len(found) > 8
    degrees = {round(x.degrees, 9) for x in found if x.standard_error is not None}
    # those of the Brier score's parts, of rows with two votes, are of unequal size
    assert max(degrees) == 39
    assert min(degrees) > 30
