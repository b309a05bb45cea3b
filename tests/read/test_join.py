"""Tables joined by an id, against pandas, whatever their format and order."""

import gc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

import pandq
from pandq import InputError
from pandq.read.join import joined


def frames(n=200, seed=0):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.ones(3), (2, n))
    first = {"id": np.arange(n) * 3, "label": rng.integers(0, 3, n)}
    first |= {f"p_{k}": probs[0, :, k] for k in range(3)}
    order = rng.permutation(n)[: n - 20]
    second = {"id": order * 3} | {f"p_{k}": probs[1, order, k] for k in range(3)}
    return pd.DataFrame(first), pd.DataFrame(second)


def written(frame, path):
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".feather":
        feather.write_feather(pa.Table.from_pandas(frame), path)
    else:
        pq.write_table(pa.Table.from_pandas(frame), path)
    return str(path)


def test_a_join_spills_into_a_folder_of_any_name(tmp_path, monkeypatch):
    room = tmp_path / "o'clock"
    room.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(room))
    files = [written(x, tmp_path / f"{n}.parquet") for n, x in zip("ab", frames(), strict=True)]
    assert joined([files[0]], [files[1]], "id").matched == 180


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".feather"])
def test_a_join_has_the_rows_of_pandas_in_the_order_of_the_first_table(tmp_path, suffix):
    one, two = frames()
    files = [written(x, tmp_path / f"{n}{suffix}") for n, x in (("one", one), ("two", two))]
    found = joined([files[0]], [files[1]], "id")
    want = one.merge(two, on="id", suffixes=("", " of two"))
    assert (found.matched, found.only_first, found.only_second) == (180, 20, 0)
    columns = ["id", "label", "p_0", "other.p_0"]
    parts = [batch for _, batch in found.source.batches(columns, 50)]
    for name, theirs in zip(columns, ["id", "label", "p_0", "p_0 of two"], strict=True):
        got = np.concatenate([part[name].to_numpy(zero_copy_only=False) for part in parts])
        # an id is text in csv, exactly as it is written
        assert got.astype(float) == pytest.approx(want[theirs].to_numpy())


@pytest.mark.parametrize(
    "suffixes", [(".parquet", ".parquet"), (".csv", ".csv"), (".csv", ".parquet")]
)
def test_a_condition_on_the_join_sees_the_numbers_of_both_tables(tmp_path, suffixes):
    frames_of = zip("ab", frames(), suffixes, strict=True)
    files = [written(x, tmp_path / f"{n}{suffix}") for n, x, suffix in frames_of]
    where = 'label = 1 AND "other.p_0" > 0.5 AND id > 50'
    found = joined([files[0]], [files[1]], "id", where=where, as_text=["label"])
    one, two = frames()
    want = one.merge(two, on="id", suffixes=("", "_2"))
    assert found.source.n_rows == len(want.query("label == 1 and p_0_2 > 0.5 and id > 50"))


def test_ids_are_joined_exactly_as_they_are_written(tmp_path):
    for name, ids in (("a", ["1", "1.0", "007", "7"]), ("b", ["1.0", "7", "8", "07"])):
        lines = [f"{x},{k}" for k, x in enumerate(ids)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["id,x", *lines]) + "\n")
    found = joined([tmp_path / "a.csv"], [tmp_path / "b.csv"], "id")
    batches = [batch for _, batch in found.source.batches(["id", "x", "other.x"], 9)]
    assert [
        row
        for batch in batches
        for row in zip(*(x.to_pylist() for x in batch.values()), strict=True)
    ] == [
        ("1.0", 1, 0),
        ("7", 3, 1),
    ]


def test_an_id_that_stands_twice_is_refused_or_its_first_row_kept(tmp_path):
    one, two = frames()
    again = pd.concat([two, two.iloc[:3].assign(p_0=9.0)])
    files = [written(x, tmp_path / f"{n}.parquet") for n, x in (("one", one), ("two", again))]
    with pytest.raises(InputError, match=r"two.parquet: id \d+ is a duplicate \(3 rows"):
        joined([files[0]], [files[1]], "id")
    found = joined([files[0]], [files[1]], "id", duplicates="first")
    assert found.matched == 180
    assert found.duplicates == (0, 3)
    values = np.concatenate(
        [b["other.p_0"].to_numpy() for _, b in found.source.batches(["other.p_0"], 99)]
    )
    assert values.max() < 1.0


def test_ids_that_are_missing_match_nothing(tmp_path):
    one, two = frames(30)
    one["id"] = one["id"].astype("Int64")
    one.loc[:4, "id"] = pd.NA
    two["id"] = two["id"].astype("Int64")
    two.loc[:1, "id"] = pd.NA
    files = [written(x, tmp_path / f"{n}.parquet") for n, x in (("one", one), ("two", two))]
    found = joined([files[0]], [files[1]], "id")
    want = one.dropna(subset="id").merge(two.dropna(subset="id"), on="id")
    assert found.matched == len(want)
    assert found.without_id == (5, 2)
    assert any("5 and 2 rows that have no id" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda two: two.assign(id=two["id"] + 1), "no 'id' of one file is in the other"),
        (lambda two: two.rename(columns={"id": "key"}), "--id: no column 'id'"),
    ],
)
def test_what_cannot_be_joined_is_refused_in_words(tmp_path, change, text):
    one, two = frames()
    files = [written(x, tmp_path / f"{n}.parquet") for n, x in (("one", one), ("two", change(two)))]
    with pytest.raises(InputError, match=text):
        joined([files[0]], [files[1]], "id")


def test_nothing_is_left_behind_when_the_join_is_done_with(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "room"))
    (tmp_path / "room").mkdir()
    one, two = frames()
    files = [written(x, tmp_path / f"{n}.parquet") for n, x in (("one", one), ("two", two))]
    found = joined([files[0]], [files[1]], "id")
    assert list((tmp_path / "room").iterdir())
    rows = pandq.scan(found.source, p="labels:label", q=["probs:p_*", "probs:other.p_*"])
    assert pandq.compare(rows).n == 180
    del found, rows
    gc.collect()
    assert list((tmp_path / "room").iterdir()) == []


def test_arrays_are_not_joined(tmp_path):
    np.save(tmp_path / "x.npy", np.ones(3))
    with pytest.raises(InputError, match="arrays have no ids"):
        joined([tmp_path / "x.npy"], [tmp_path / "x.npy"], "id")
