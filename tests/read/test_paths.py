"""The name of a file that is there is that file's name, whatever it looks like."""

import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq
from pandq import InputError
from pandq.read.paths import expanded

NAMES = ["a[1]", "a*", "a?", "~x", "it's", 'say "so"', "a b", "[", "{a,b}", "%41", "é"]


def labels_of(data, **more):
    rows = pandq.scan(data, p="labels:label", q="probs:p_*", **more)
    return [label for chunk in rows.chunks() for label in chunk.p.array.tolist()]


def written(path, label):
    path.parent.mkdir(exist_ok=True)
    frame = pa.table({"label": [label], "p_a": [0.5], "p_b": [0.25], "p_c": [0.25]}).to_pandas()
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        pq.write_table(pa.Table.from_pandas(frame), path)
    return path


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_read_by_its_name_and_no_other_in_its_place(name, suffix, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for other in ("a1", "ax", "aa"):
        written(tmp_path / f"{other}.{suffix}", 2)
    written(tmp_path / f"{name}.{suffix}", 1)
    for where in (None, "p_a > 0"):
        assert labels_of(f"{name}.{suffix}", where=where) == [1]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_the_name_of_a_folder_is_no_column(suffix, tmp_path):
    path = written(tmp_path / "label=2" / f"t.{suffix}", 1)
    for where in (None, "label = 1"):
        assert labels_of(path, where=where) == [1]
        assert labels_of(tmp_path, where=where) == [1]


@pytest.mark.parametrize(
    "name", ["x" * 300 + ".csv", "d/" * 2500 + "x.csv", "a\0b.csv"], ids=["long", "deep", "nul"]
)
def test_a_name_that_no_system_takes_is_one_line(name):
    with pytest.raises(InputError) as caught:
        expanded([name])
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_not_utf8_is_one_line(tmp_path):
    raw = os.fsencode(tmp_path) + b"/\xff.csv"
    try:
        with open(raw, "wb") as stream:  # noqa: PTH123
            stream.write(b"label,p_a\n")
    except OSError:
        pytest.skip("this file system takes text only")
    for given in (os.fsdecode(raw), str(tmp_path)):
        with pytest.raises(InputError, match=r"\\xff.csv: the file's name is not UTF-8") as caught:
            expanded([given])
        str(caught.value).encode()


def test_a_file_that_two_names_stand_for_is_refused(tmp_path):
    path = written(tmp_path / "a.csv", 1)
    written(tmp_path / "b.csv", 1)
    (tmp_path / "link.csv").symlink_to(path)
    for given in (
        [path, path],
        [str(tmp_path / "[ab].csv"), path],
        [path, tmp_path / "link.csv"],
        [tmp_path],
    ):
        with pytest.raises(InputError, match="named twice"):
            expanded(given)
    assert len(expanded([path, tmp_path / "b.csv"])) == 2


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_a_copy_of_a_file_is_refused(suffix, tmp_path):
    path = written(tmp_path / f"a.{suffix}", 1)
    shutil.copy(path, tmp_path / f"b.{suffix}")
    written(tmp_path / f"c.{suffix}", 2)
    with pytest.raises(InputError, match=rf"b.{suffix}: repeats the rows of .*a.{suffix}"):
        labels_of(tmp_path)
    assert sorted(labels_of([path, tmp_path / f"c.{suffix}"])) == [1, 2]


def test_files_without_rows_are_no_copies(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("label,p_a,p_b\n")
    (tmp_path / "c.csv").write_text("label,p_a,p_b\n1,0.5,0.5\n")
    assert labels_of(tmp_path) == [1]


def test_arrays_of_the_same_numbers_are_columns(tmp_path):
    for name in ("p", "q"):
        np.save(tmp_path / f"{name}.npy", np.full((60, 2), 0.5))
    files = [tmp_path / "p.npy", tmp_path / "q.npy"]
    assert pandq.audit(pandq.scan(files, p="probs:p", q="probs:q")).n == 60


def test_a_missing_file_is_told_the_same_table_in_another_format(tmp_path):
    written(tmp_path / "preds.parquet", 0)
    written(tmp_path / "prods.csv", 0)
    written(tmp_path / "there.csv", 0)
    for given in (["preds.csv"], ["there.csv", "preds.csv"], ["preds.csv", "there.csv"]):
        with pytest.raises(InputError) as refused:
            expanded([tmp_path / name for name in given])
        assert str(refused.value) == (
            f"{tmp_path / 'preds.csv'}: no such file. Did you mean 'preds.parquet'?"
        )


def test_a_hidden_file_is_never_proposed(tmp_path):
    for name in (".preds.csv.swp", ".preds.csv", ".env"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"no such file\. There is none"):
        expanded([tmp_path / "preds.csv"])
    written(tmp_path / "prods.csv", 0)
    with pytest.raises(InputError, match=r"Did you mean 'prods\.csv'\?$"):
        expanded([tmp_path / "preds.csv"])
