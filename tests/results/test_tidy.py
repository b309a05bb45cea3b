"""Results as tables and as numbers for a logger."""

import math
import sys

import numpy as np
import pyarrow as pa
import pytest

import pandq
from pandq import Counts, Labels, Probs
from pandq.results.tidy import COLUMNS, lines_of


@pytest.fixture(scope="module")
def rows():
    draw = np.random.default_rng(0)
    truth = draw.dirichlet([1.0, 1.0, 1.0], 200)
    return {
        "votes": Counts(np.array([draw.multinomial(4, p) for p in truth])),
        "labels": Labels([draw.choice(3, p=p) for p in truth]),
        "q": Probs(truth),
        "blurred": Probs((truth + 1) / 4),
        "site": np.array(["north", "south"])[np.arange(200) % 2],
    }


@pytest.fixture(scope="module")
def audit(rows):
    return pandq.audit(rows["votes"], rows["blurred"], by={"site": rows["site"]})


@pytest.fixture(scope="module")
def comparison(rows):
    return pandq.compare(rows["labels"], rows["q"], rows["blurred"], by={"site": rows["site"]})


def test_a_frame_has_one_row_for_each_quantity_and_group(audit):
    frame = audit.to_frame()
    assert tuple(frame.columns) == COLUMNS
    keys = frame[["model", "against", "quantity", "by", "group"]]
    assert not keys.duplicated().any()
    whole = frame[frame["by"].isna()].set_index("quantity")
    for name in ("cross_entropy", "kl", "floor", "grouping_loss", "refinement_loss"):
        estimate = getattr(audit, name, None) or getattr(audit.decomposition, name)
        value = math.nan if estimate.value is None else estimate.value
        assert whole.loc[name, "value"] == pytest.approx(value, rel=0, abs=0, nan_ok=True)
        assert whole.loc[name, "low"] == estimate.low
    assert set(frame["by"].dropna()) == {"class of P", "class of Q", "site"}
    site = frame[(frame["by"] == "site") & (frame["quantity"] == "cross_entropy")]
    mean = np.average(site["value"], weights=site["n"])
    assert mean == pytest.approx(audit.cross_entropy.value)


def test_values_are_floats_and_nothing_else(audit, comparison):
    for result in (audit, comparison):
        values = result.values()
        assert values
        assert all(type(x) is float and math.isfinite(x) for x in values.values())
    assert audit.values()["floor.high"] == audit.decomposition.floor.high


def test_a_quantity_without_a_point_has_its_ends_alone(rows):
    values = pandq.audit(rows["labels"], rows["blurred"]).values()
    assert "floor" not in values
    assert values["floor.low"] == 0.0


def test_a_difference_is_told_apart_from_the_models_own_loss(comparison):
    values = comparison.values()
    apart = values["B.cross_entropy"] - values["A.cross_entropy"]
    assert values["B less A.cross_entropy"] == pytest.approx(apart)


def test_groups_of_a_difference_are_of_cross_entropy(comparison):
    frame = comparison.to_frame()
    groups = frame[frame["by"].notna()]
    assert set(groups["quantity"]) == {"cross_entropy"}
    assert set(groups["by"]) == {"class of P", "site"}


def test_bits_say_so_and_shares_have_no_unit(rows):
    frame = pandq.audit(rows["votes"], rows["q"], unit="bit").to_frame().set_index("quantity")
    assert set(frame.loc["kl", "unit"]) == {"bit"}
    assert set(frame.loc["accuracy", "unit"]) == {""}


def test_without_pandas_it_is_an_arrow_table(audit, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setattr("pandq.results.tidy.find_spec", lambda name: None)
    table = audit.to_frame()
    assert isinstance(table, pa.Table)
    assert table.column_names == list(COLUMNS)
    assert table.num_rows == len(lines_of(audit))
