"""Two files that an id joins, in Python: what a merge by pandas and a comparison of it say."""

import gc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq
from pandq import InputError

DRAW = np.random.default_rng(2)
N = 120
LABELS = DRAW.integers(0, 3, N)
PROBS = DRAW.dirichlet(np.ones(3), (2, N))


@pytest.fixture
def files(tmp_path):
    """Two models' predictions of the same images, in different orders."""
    order = DRAW.permutation(N)[:100]
    one = {"image": np.arange(N), "label": LABELS, "site": np.array(["n", "s"])[np.arange(N) % 2]}
    one |= {f"p_{k}": PROBS[0, :, k] for k in range(3)}
    two = {"image": order, "label": LABELS[order]}
    two |= {f"p_{k}": PROBS[1, order, k] for k in range(3)}
    paths = tmp_path / "old.parquet", tmp_path / "new.parquet"
    for path, columns in zip(paths, (one, two), strict=True):
        pq.write_table(pa.table(columns), path)
    return paths


def merged(files):
    one, two = (pd.read_parquet(file) for file in files)
    return one.merge(two, on="image", suffixes=("", " of new"))


def test_a_comparison_of_the_join_is_that_of_a_merge_by_pandas(files):
    rows = pandq.scan_joined(*files, id="image", q="probs:p_*", by="site")
    found = pandq.compare(rows)
    table = merged(files)
    qs = [pandq.Probs(table[[f"p_{k}{end}" for k in range(3)]]) for end in ("", " of new")]
    options = {"by": {"site": table["site"]}, "ids": table["image"]}
    want = pandq.compare(pandq.Labels(table["label"]), *qs, **options)
    assert found.n == 100
    pairs = zip(found.differences, want.differences, strict=True)
    assert all(a.cross_entropy.value == pytest.approx(b.cross_entropy.value) for a, b in pairs)
    assert [model.q for model in found.models] == [
        "probs:p_* of old.parquet",
        "probs:p_* of new.parquet",
    ]
    assert "joined by id: 100 rows in both files" in found.notes


@pytest.mark.parametrize("q", ["probs:q_*", "probs:q_0,q_1,q_2"])
def test_each_file_may_call_its_predictions_otherwise(files, q):
    table = pq.read_table(files[1])
    pq.write_table(table.rename_columns(["image", "label", "q_0", "q_1", "q_2"]), files[1])
    found = pandq.compare(pandq.scan_joined(*files, id="image", q=["probs:p_*", q]))
    assert [model.q for model in found.models] == [
        "probs:p_* of old.parquet",
        f"{q} of new.parquet",
    ]


@pytest.mark.parametrize("q", ["probs:p_*", "probs:p_0,p_1,p_2"])
def test_columns_of_one_name_are_each_files_own(files, q):
    both = [pandq.scan_joined(*files, id="image", q=some) for some in (q, [q, q])]
    both.append(pandq.scan_joined(*files, id="image", q=["probs:p_*", "probs:other.p_*"]))
    losses = [pandq.compare(rows).differences[0].cross_entropy.value for rows in both]
    assert losses[0] == losses[1] == losses[2] != 0


def test_labels_that_differ_are_told(files):
    table = pq.read_table(files[1]).to_pandas()
    table.loc[:4, "label"] = (table.loc[:4, "label"] + 1) % 3
    table.to_parquet(files[1])
    rows = pandq.scan_joined(*files, id="image", q="probs:p_*")
    assert any("P differs between the files in 5 rows ('label')" in note for note in rows.notes)


def test_an_id_that_is_there_twice_is_refused_or_its_first_row_kept(files):
    table = pq.read_table(files[1])
    pq.write_table(pa.concat_tables([table, table[:3]]), files[1])
    with pytest.raises(InputError, match=r"is a duplicate"):
        pandq.scan_joined(*files, id="image", q="probs:p_*")
    rows = pandq.scan_joined(*files, id="image", q="probs:p_*", duplicates="first")
    assert pandq.compare(rows).n == 100


def test_the_first_votes_of_joined_rows_count_alone(files):
    table = pq.read_table(files[0]).append_column("votes", pa.array([["0", "1", "1"]] * 120))
    pq.write_table(table, files[0])
    given = {"id": "image", "p": "votes:votes", "q": "probs:p_*", "classes": [0, 1, 2]}
    (chunk,) = pandq.scan_joined(*files, **given, first_votes=2).chunks()
    assert np.unique(chunk.p.array, axis=0).tolist() == [[1, 1, 0]]


def test_a_table_may_be_several_files(files):
    table = pq.read_table(files[1])
    halves = [files[1].with_name(f"half {i}.parquet") for i in range(2)]
    for i, half in enumerate(halves):
        pq.write_table(table[50 * i : 50 * i + 50], half)
    rows = pandq.scan_joined(files[0], halves, id="image", q="probs:p_*", where="label < 2")
    assert pandq.compare(rows).n == int((merged(files)["label"] < 2).sum())
    assert rows.names[1] == "probs:p_* of half 0.parquet, half 1.parquet"


def test_the_temporary_file_goes_with_the_scan(files, monkeypatch, tmp_path):
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))
    rows = pandq.scan_joined(*files, id="image", q="probs:p_*")
    found = pandq.compare(rows)
    assert list(room.iterdir())
    del rows
    gc.collect()
    assert list(room.iterdir()) == []
    assert found.n == 100


def test_nothing_is_left_behind_where_the_columns_are_not_there(files, monkeypatch, tmp_path):
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))
    with pytest.raises(InputError, match="no column 'x'"):
        pandq.scan_joined(*files, id="image", q="probs:x")
    gc.collect()
    assert list(room.iterdir()) == []


BAD = {
    "no id": ({"id": None}, "id is the name of a column, got None"),
    "another id": ({"id": "picture"}, "no column 'picture'"),
    "no q": ({"q": ()}, "which columns are to be compared"),
    "a q that is no text": ({"q": [1]}, "q is text"),
    "a way with duplicates": ({"duplicates": "last"}, "duplicates is one of 'refuse', 'first'"),
    "a cluster that is no text": ({"cluster": np.ones(3)}, "cluster is text"),
    "a condition that is no text": ({"where": 7}, "where is text, got 7"),
    "a table in memory": ({"second": pa.table({"image": [1]})}, "joined from their files"),
    "a file that is not there": ({"second": "nowhere.parquet"}, "nowhere.parquet"),
    "no files": ({"second": []}, "two tables are joined from their files"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_joined_is_refused_in_words(files, case):
    changed, text = BAD[case]
    given = {"first": files[0], "second": files[1], "id": "image", "q": "probs:p_*", **changed}
    with pytest.raises(InputError, match=text):
        pandq.scan_joined(given.pop("first"), given.pop("second"), **given)
