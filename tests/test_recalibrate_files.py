"""A recalibration map applied to files."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import pandq
from pandq import InputError, Labels, Probs
from pandq.cli.app import cli

Y = np.arange(90) % 3
Q = np.random.default_rng(4).dirichlet(np.ones(3), 90)
MAP = pandq.fit_calibration(Labels(Y), Probs(Q), "vector")


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"name": [f"n{i}" for i in range(90)], "probs": list(Q)}), path)
    return path


def test_every_row_has_the_maps_probabilities_beside_its_columns(table, tmp_path):
    out = tmp_path / "y.parquet"
    assert pandq.recalibrate(table, MAP, out) == 90
    found = pq.read_table(out)
    assert found.column_names == ["name", "probs", "recalibrated"]
    want = np.exp(MAP.of(Probs(Q)).array)
    assert np.stack(found["recalibrated"].to_numpy()) == pytest.approx(want, rel=1e-14)


def test_the_map_may_be_the_file_that_it_is_in(table, tmp_path):
    (tmp_path / "map.json").write_text(json.dumps(MAP.to_dict()))
    outs = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    pandq.recalibrate([str(table)], str(tmp_path / "map.json"), outs[0], q="probs:probs")
    pandq.recalibrate(table, MAP, str(outs[1]))
    assert pq.read_table(outs[0]).equals(pq.read_table(outs[1]))


BAD = {
    "a table in memory": ({"files": pa.table({"probs": list(Q)})}, "files are paths"),
    "no parquet": ({"out": "y.csv"}, "y.csv: the output is parquet"),
    "arguments in another order": ({"out": MAP}, "the output is a file, got Recalibrator"),
    "no map": ({"recalibrator": {"kind": "identity"}}, "is a Recalibrator, or the file"),
    "a map that is not there": ({"recalibrator": "no.json"}, "no.json"),
    "another column": ({"q": "probs:name"}, "name"),
    "its own input": ({"out": "x.parquet"}, "the output is an input"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_recalibrated_is_refused_in_words(table, monkeypatch, case):
    monkeypatch.chdir(table.parent)
    given = {"files": "x.parquet", "recalibrator": MAP, "out": "y.parquet"} | BAD[case][0]
    with pytest.raises(InputError, match=BAD[case][1]):
        pandq.recalibrate(**given)
    assert sorted(path.name for path in table.parent.iterdir()) == ["x.parquet"]


def test_rows_that_do_not_sum_to_one_are_rescaled_or_percentages_where_it_is_asked_for(tmp_path):
    two, out = tmp_path / "two.parquet", tmp_path / "out.parquet"
    rounded = np.round(Q, 2)
    pq.write_table(pa.table({"label": Y, "probs": list(rounded), "percents": list(Q * 100)}), two)
    with pytest.raises(InputError, match="--normalise"):
        pandq.recalibrate(two, MAP, out, q="probs:probs")
    assert not out.exists()
    pandq.recalibrate(two, MAP, out, q="probs:probs", normalise="q")
    want = np.exp(MAP.of(Probs.normalised(rounded)).array)
    assert np.stack(pq.read_table(out)["recalibrated"].to_numpy()) == pytest.approx(want, rel=1e-12)
    pandq.recalibrate(two, MAP, out, q="probs:percents", percent="q")
    want = np.exp(MAP.of(Probs(Q)).array)
    assert np.stack(pq.read_table(out)["recalibrated"].to_numpy()) == pytest.approx(want, rel=1e-9)


def test_the_command_takes_the_same_and_says_what_p_is_where_it_finds_it(tmp_path):
    two, out, map_file = (tmp_path / name for name in ("two.parquet", "out.parquet", "map.json"))
    pq.write_table(pa.table({"label": Y, "probs": list(np.round(Q, 2))}), two)
    map_file.write_text(json.dumps(MAP.to_dict()))
    words = ["recalibrate", two, "--normalise", "q", "--with", map_file, "--out", out]
    done = CliRunner().invoke(cli, list(map(str, words)))
    assert done.exit_code == 0
    assert f"Next: pandq audit {out} --p labels:label --q probs:recalibrated" in done.output
