"""The same rows from every format, and a plain word for everything that cannot be read."""

import gzip
import json
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

from pandq import InputError, RowError, ViewTypeError, scan
from pandq.core.hashing import hash_ids
from pandq.core.numerics import BFLOAT16
from pandq.read import arrays as arrays_module
from pandq.read import chunks as chunks_module
from pandq.read.chunks import views_scan
from pandq.read.columns import encoded, numbers
from pandq.read.recognise import candidates, recognised
from pandq.read.stored import StoredArray
from pandq.views import Counts, Labels, Logits, Probs

N = 23
RNG = np.random.default_rng(0)
LABELS = RNG.integers(3, size=N)
PROBS = RNG.integers(1, 60, size=(N, 3)) / 64
PROBS[:, 2] = np.abs(1 - PROBS[:, 0] / 2 - PROBS[:, 1] / 2)
PROBS[:, :2] /= 2
SITES = np.array(["north", "south", "west"])[RNG.integers(3, size=N)]


def table():
    return pa.table({"label": LABELS, "probs": PROBS.tolist(), "site": SITES.tolist()})


def wide():
    columns = {f"prob_{name}": PROBS[:, k] for k, name in enumerate(["cat", "dog", "emu"])}
    return pa.table({"label": LABELS, "site": SITES.tolist(), **columns})


def as_text(separator):
    lines = [separator.join(["label", "probs", "site"])]
    lines += [
        f'{label}{separator}"{json.dumps(probs)}"{separator}{site}'
        for label, probs, site in zip(LABELS, PROBS.tolist(), SITES, strict=True)
    ]
    return "\n".join(lines) + "\n"


def write_groups(path):
    pq.write_table(table(), path, row_group_size=5)
    return path


def write_files(path, n=3):
    path.mkdir(exist_ok=True)
    for i, rows in enumerate(np.array_split(np.arange(N), n)):
        pq.write_table(table().take(rows), path / f"part-{i}.parquet")
    return sorted(path.iterdir())


def write_stream(path):
    with pa.ipc.new_stream(path, table().schema) as stream:
        for batch in table().to_batches(max_chunksize=7):
            stream.write_batch(batch)
    return path


def write_feather(path, **options):
    feather.write_feather(table(), path, chunksize=7, **options)
    return path


def write_text(path, text):
    if path.suffix == ".gz":
        with gzip.open(path, "wt") as stream:
            stream.write(text)
    else:
        path.write_text(text)
    return path


def json_lines():
    return "".join(json.dumps(row) + "\n" for row in table().to_pylist())


def write_npy(folder):
    np.save(folder / "label.npy", LABELS)
    np.save(folder / "probs.npy", PROBS)
    return [folder / "label.npy", folder / "probs.npy"]


def write_npz(path, save, probs=PROBS):
    save(path, label=LABELS, probs=probs, site=SITES)
    return path


def chunked(batches):
    return pa.table(
        {
            name: pa.chunked_array([batch.column(name) for batch in batches])
            for name in table().column_names
        }
    )


SOURCES = {
    "parquet": lambda d: write_groups(d / "t.parquet"),
    "parquet by the name of .pq": lambda d: write_groups(d / "t.pq"),
    "path as text": lambda d: str(write_groups(d / "t.parquet")),
    "several parquet files": lambda d: write_files(d / "parts"),
    "glob": lambda d: str(write_files(d / "parts")[0].parent / "part-*.parquet"),
    "folder": lambda d: write_files(d / "parts")[0].parent,
    "feather": lambda d: write_feather(d / "t.feather", compression="uncompressed"),
    "feather compressed": lambda d: write_feather(d / "t.feather", compression="zstd"),
    "arrow stream": lambda d: write_stream(d / "t.arrow"),
    "csv": lambda d: write_text(d / "t.csv", as_text(",")),
    "csv with semicolons": lambda d: write_text(d / "t.csv", as_text(";")),
    "tsv": lambda d: write_text(d / "t.tsv", as_text("\t")),
    "csv.gz": lambda d: write_text(d / "t.csv.gz", as_text(",")),
    "quoted name": lambda d: write_text(d / "it's.csv", as_text(",")),
    "jsonl": lambda d: write_text(d / "t.jsonl", json_lines()),
    "jsonl.gz": lambda d: write_text(d / "t.jsonl.gz", json_lines()),
    "npy pair": write_npy,
    "npz stored": lambda d: write_npz(d / "t.npz", np.savez),
    "npz compressed": lambda d: write_npz(d / "t.npz", np.savez_compressed),
    "npz in Fortran order": lambda d: write_npz(d / "t.npz", np.savez, np.asfortranarray(PROBS)),
    "pyarrow": lambda d: table(),
    "pyarrow in chunks": lambda d: chunked(table().to_batches(max_chunksize=4)),
    "pyarrow slice": lambda d: pa.concat_tables([table(), table()]).slice(N, N),
    "polars": lambda d: pl.from_arrow(table()),
    "polars array": lambda d: pl.from_arrow(table()).with_columns(
        pl.col("probs").cast(pl.Array(pl.Float64, 3))
    ),
    "pandas": lambda d: pd.DataFrame(
        {"label": LABELS, "probs": PROBS.tolist(), "site": SITES.tolist()}
    ),
    "large lists": lambda d: table().set_column(
        1, "probs", pa.array(PROBS.tolist(), pa.large_list(pa.float64()))
    ),
    "fixed-size lists": lambda d: table().set_column(
        1, "probs", pa.array(PROBS.tolist(), pa.list_(pa.float64(), 3))
    ),
    "wide columns": lambda d: wide(),
    "wide columns in parquet": lambda d: pq.write_table(wide(), d / "w.parquet") or d / "w.parquet",
}


def opened(source, folder, **options):
    """A scan of one of SOURCES; lists that csv holds as text are known by no type."""
    if any(mark in source for mark in ("csv", "tsv", "quoted")):
        options.setdefault("q", "probs:probs")
    return scan(SOURCES[source](folder), **options)


@dataclass
class Rows:
    """All chunks of a scan put together."""

    p: np.ndarray
    q: np.ndarray
    keys: np.ndarray
    starts: list
    chunks: list


def read(rows):
    chunks = list(rows.chunks())
    return Rows(
        np.concatenate([chunk.p.array for chunk in chunks]),
        np.concatenate([chunk.q.array for chunk in chunks]),
        np.concatenate([chunk.keys for chunk in chunks]),
        [chunk.start for chunk in chunks],
        chunks,
    )


every_source = pytest.mark.parametrize("source", SOURCES)


@every_source
def test_every_source_gives_the_same_rows(source, tmp_path):
    got = read(opened(source, tmp_path))
    assert got.p.tolist() == LABELS.tolist()
    assert got.q.tolist() == PROBS.tolist()


@every_source
def test_small_chunks_give_the_same_rows(source, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks_module, "CHUNK_ROWS", 4)
    got = read(opened(source, tmp_path))
    assert max(map(len, got.chunks)) <= 4
    assert got.p.tolist() == LABELS.tolist()
    assert got.q.tolist() == PROBS.tolist()


@every_source
def test_rows_are_numbered_and_keyed_through_all_chunks(source, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks_module, "CHUNK_ROWS", 4)
    got = read(opened(source, tmp_path))
    lengths = [len(chunk) for chunk in got.chunks]
    assert got.starts == np.cumsum([0, *lengths[:-1]]).tolist()
    assert (got.keys == hash_ids(np.arange(N))).all()


@every_source
def test_rows_can_be_read_again(source, tmp_path):
    rows = opened(source, tmp_path)
    assert read(rows).q.tolist() == read(rows).q.tolist()


@every_source
def test_number_of_rows_is_right_if_it_is_known(source, tmp_path):
    assert opened(source, tmp_path).n_rows in (None, N)


@pytest.mark.parametrize("source", ["parquet", "several parquet files", "npz stored", "polars"])
def test_number_of_rows_is_known_where_the_format_tells(source, tmp_path):
    assert opened(source, tmp_path).n_rows == N


@pytest.mark.parametrize("source", [source for source in SOURCES if source != "npy pair"])
def test_groups_are_read_from_every_source(source, tmp_path):
    got = read(opened(source, tmp_path, by=["site"]))
    names = [
        names[code]
        for chunk in got.chunks
        for codes, names in [chunk.groups["site"]]
        for code in codes
    ]
    assert names == SITES.tolist()


def test_numbers_per_chunk_are_bounded(monkeypatch):
    monkeypatch.setattr(chunks_module, "CHUNK_NUMBERS", 6)
    assert max(map(len, scan(table()).chunks())) == 2


def test_stored_npz_stays_in_its_file(tmp_path):
    path = write_npz(tmp_path / "t.npz", np.savez)
    assert isinstance(scan(path).source.arrays["probs"], StoredArray)


def test_names_of_classes_come_from_wide_columns():
    assert scan(wide()).classes == ("cat", "dog", "emu")


def test_wide_columns_named_by_pattern_are_in_the_order_of_their_numbers():
    columns = {f"s{k}": [float(k == 10)] for k in (10, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8)}
    rows = scan(pa.table({"label": [0], **columns}), q="probs:s*")
    assert rows.q.columns == tuple(f"s{k}" for k in range(11))


def test_string_labels_are_the_places_of_wide_columns():
    names = [["cat", "dog", "emu"][label] for label in LABELS]
    rows = scan(wide().set_column(0, "label", pa.array(names)))
    assert read(rows).p.tolist() == LABELS.tolist()


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_string_labels_are_places_among_the_classes_given(kind):
    names = pa.array(["b", "a"], kind)
    rows = scan(pa.table({"label": names, "probs": [[0.5, 0.5]] * 2}), classes=["a", "b"])
    assert read(rows).p.tolist() == [1, 0]


def test_dictionary_labels_are_names_not_codes():
    names = pa.array(["b", "a", "b"]).dictionary_encode()
    rows = scan(pa.table({"label": names, "probs": [[0.5, 0.5]] * 3}), classes=["a", "b"])
    assert read(rows).p.tolist() == [1, 0, 1]


def test_boolean_labels_are_classes_0_and_1():
    rows = scan(pa.table({"label": [True, False], "probs": [[0.5, 0.5]] * 2}))
    assert read(rows).p.tolist() == [1, 0]


def test_one_number_per_row_is_the_probability_of_class_1():
    rows = scan(pa.table({"label": [1], "prob": [0.25]}))
    assert read(rows).q.tolist() == [[0.75, 0.25]]


@pytest.mark.parametrize(("storage", "apart"), [(BFLOAT16, 3.0), (np.uint16, 16256 - 49152)])
def test_two_bytes_in_npz_are_bfloat16_only_where_their_type_says_so(tmp_path, storage, apart):
    path = tmp_path / "t.npz"
    np.savez(path, label=[0], logits=np.array([[0x3F80, 0xC000]], dtype=np.uint16).view(storage))
    (chunk,) = scan(path, q="logits:logits").chunks()
    assert chunk.q.law().scores[0, 0] - chunk.q.law().scores[0, 1] == pytest.approx(apart)


@pytest.mark.parametrize("storage", [np.uint16, np.uint8, np.int32, np.float32])
def test_whole_numbers_of_any_type_are_the_same_logits(storage):
    whole = np.array([[3, 0, 2], [0, 9, 1]])
    lists = pa.array(whole.astype(storage).tolist(), pa.list_(pa.from_numpy_dtype(storage)))
    (chunk,) = scan(pa.table({"label": [0, 1], "logits": lists}), q="logits:logits").chunks()
    assert chunk.q.law().prob.tolist() == Logits(whole).law().prob.tolist()


@pytest.mark.parametrize("storage", [pa.float16(), pa.float32()])
def test_storage_type_is_kept(storage):
    halves = pa.array([[0.5, 0.5]], pa.list_(storage))
    (chunk,) = scan(pa.table({"label": [0], "probs": halves})).chunks()
    assert chunk.q.array.dtype == storage.to_pandas_dtype()


def test_float32_lists_are_not_copied():
    flat = np.full(8, 0.5, dtype=np.float32)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(flat), 2)
    assert np.shares_memory(numbers("probs", lists), flat)


# -------------------------------------------------------------------------------- other columns


@pytest.mark.parametrize(
    "source",
    ["parquet", "feather", "csv", "jsonl", "polars", "folder", "npz stored", "npz compressed"],
)
def test_where_keeps_the_rows_that_satisfy_it(source, tmp_path):
    got = read(opened(source, tmp_path, where="site = 'north' AND label > 0"))
    kept = (SITES == "north") & (LABELS > 0)
    assert got.p.tolist() == LABELS[kept].tolist()
    assert got.q.tolist() == PROBS[kept].tolist()


@pytest.mark.parametrize("source", ["parquet", "feather", "csv", "polars", "npz stored"])
def test_where_may_use_columns_that_are_not_read(source, tmp_path):
    assert len(read(opened(source, tmp_path, where="site <> 'west'")).p) == (SITES != "west").sum()


@pytest.mark.parametrize("where", ["sight = 'north'", "site =", "1; DROP TABLE x"])
@pytest.mark.parametrize("source", ["parquet", "feather", "pyarrow", "npz stored"])
def test_where_that_is_no_condition_is_refused(source, where, tmp_path):
    with pytest.raises(InputError, match="where"):
        list(opened(source, tmp_path, where=where).chunks())


@pytest.mark.parametrize("step", [4, 7, N])
def test_where_on_arrays_is_over_all_of_their_parts(step, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays_module, "PART_ROWS", step)
    rows = scan(write_npy(tmp_path), where="label = 0")
    assert np.array_equal(read(rows).q, PROBS[LABELS == 0])
    assert sum(map(rows.count, rows.parts())) == (LABELS == 0).sum()


@pytest.mark.parametrize(
    ("values", "where"),
    [
        (SITES.astype("S"), "x = 'west'"),
        ((SITES == "west").astype(np.float16), "x > 0.5"),
        (np.stack([SITES == "west", SITES != "west"], axis=1), "x[1]"),
        (np.where(SITES == "west", 0x3F80, 0).astype(np.uint16).view(BFLOAT16), "x = 1"),
    ],
)
def test_where_knows_arrays_of_every_type(values, where, tmp_path):
    np.savez(tmp_path / "t.npz", label=LABELS, probs=PROBS, x=values)
    assert np.array_equal(read(scan(tmp_path / "t.npz", where=where)).q, PROBS[SITES == "west"])


def test_where_on_arrays_reaches_no_other_file(tmp_path):
    other = write_groups(tmp_path / "other.parquet")
    sql = f"label IN (SELECT label FROM '{other}')"
    with pytest.raises(InputError, match="a query of its own"):
        scan(write_npy(tmp_path), where=sql)


def test_weights_are_read_as_numbers():
    rows = scan(table().append_column("w", pa.array(np.arange(N))), weights="w")
    assert np.concatenate([c.weights for c in rows.chunks()]).tolist() == list(range(N))


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_weight_that_is_no_weight_is_refused_by_its_row(bad, monkeypatch):
    monkeypatch.setattr(chunks_module, "CHUNK_ROWS", 4)
    w = np.ones(N)
    w[17] = bad
    rows = scan(table().append_column("w", pa.array(w)), weights="w")
    with pytest.raises(RowError, match="weights row 17 is negative or not finite"):
        list(rows.chunks())


def test_missing_weight_is_refused_by_its_row():
    w = [1.0] * 5 + [None] + [1.0] * (N - 6)
    with pytest.raises(RowError, match="row 5 "):
        list(scan(table().append_column("w", pa.array(w)), weights="w").chunks())


def test_weights_that_are_text_are_refused():
    with pytest.raises(InputError, match="column 'site' row 0 is no number, got 'north'"):
        list(scan(table(), weights="site").chunks())


def keys_in_chunks(column, name, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks_module, "CHUNK_ROWS", size)
        chunks = scan(table().append_column("x", column), **{name: "x"}).chunks()
        return [
            key
            for chunk in chunks
            for key in (chunk.keys if name == "id" else chunk.clusters).tolist()
        ]


IDS = {
    "strings": pa.array([f"image-{i % 7}" for i in range(N)]),
    "integers": pa.array([i % 7 for i in range(N)]),
    "integers, one missing": pa.array([None] + [i % 7 for i in range(1, N)]),
    "floats, one missing": pa.array([None] + [i % 7 + 0.5 for i in range(1, N)]),
    "strings, one missing": pa.array([None] + [str(i % 7) for i in range(1, N)]),
    "dictionary": pa.array([str(i % 7) for i in range(N)]).dictionary_encode(),
}


@pytest.mark.parametrize("name", ["id", "cluster"])
@pytest.mark.parametrize("kind", IDS)
def test_keys_of_ids_and_clusters_do_not_depend_on_chunks(kind, name):
    assert keys_in_chunks(IDS[kind], name, 3) == keys_in_chunks(IDS[kind], name, N)


@pytest.mark.parametrize("name", ["id", "cluster"])
@pytest.mark.parametrize("kind", IDS)
def test_rows_have_the_same_key_exactly_if_their_ids_are_the_same(kind, name):
    keys, ids = keys_in_chunks(IDS[kind], name, 5), IDS[kind].to_pylist()
    assert len(set(zip(keys, ids, strict=True))) == len(set(keys)) == len(set(ids))


def test_missing_group_has_a_name():
    sites = pa.array(["north", None, "north"])
    rows = scan(table().slice(0, 3).set_column(2, "site", sites), by=["site"])
    (chunk,) = rows.chunks()
    codes, names = chunk.groups["site"]
    assert [names[code] for code in codes] == ["north", "(missing)", "north"]


def test_group_that_is_called_missing_is_the_missing_group():
    _, names = encoded("site", pa.array(["(missing)", None]))
    assert names == ("(missing)",)


def test_ids_come_with_their_rows():
    rows = scan(table().append_column("name", pa.array([f"i{k}" for k in range(N)])), id="name")
    (chunk,) = rows.chunks()
    assert str(chunk.ids[3]) == "i3"


def test_normalise_divides_rows_by_their_sums():
    rows = scan(pa.table({"label": [0], "probs": [[3.0, 1.0]]}), normalise=["q"])
    assert read(rows).q.tolist() == [[0.75, 0.25]]


def test_tolerance_is_passed_on():
    loose = pa.table({"label": [0], "probs": [[0.5, 0.51]]})
    assert len(read(scan(loose, tolerance=0.02)).q) == 1
    with pytest.raises(RowError, match=r"sums to 1.01"):
        list(scan(loose).chunks())


# ---------------------------------------------------------------------------------- recognition


F, FS, IS, S = pa.float64(), pa.list_(pa.float32()), pa.list_(pa.int64()), pa.string()


@pytest.mark.parametrize(
    ("schema", "p", "q"),
    [
        ({"label": pa.int8(), "probs": FS}, "labels:label", "probs:probs"),
        ({"labels": pa.int64(), "logits": FS}, "labels:labels", "logits:logits"),
        ({"y_true": pa.int64(), "y_prob": F}, "labels:y_true", "probs:y_prob"),
        ({"y": S, "y_score": F}, "labels:y", "probs:y_score"),
        ({"target": pa.int64(), "log_probs": FS}, "labels:target", "logprobs:log_probs"),
        ({"counts": IS, "softmax": FS}, "counts:counts", "probs:softmax"),
        ({"votes": IS, "output": FS}, "counts:votes", "logits:output"),
        ({"soft_labels": FS, "pred_probs": FS}, "probs:soft_labels", "probs:pred_probs"),
        ({"p": FS, "q": FS}, "probs:p", "probs:q"),
        (
            {"teacher_logits": FS, "student_logits": FS},
            "logits:teacher_logits",
            "logits:student_logits",
        ),
        ({"Label": pa.int64(), "Probabilities": FS}, "labels:Label", "probs:Probabilities"),
        ({"gold": pa.int64(), "prob_a": F, "prob_b": F}, "labels:gold", "probs:prob_*"),
        ({"class": pa.bool_(), "logit_0": F, "logit_1": F}, "labels:class", "logits:logit_*"),
        ({"label": pa.int64(), "target": S, "probs": FS}, "labels:label", "probs:probs"),
        ({"label": pa.dictionary(pa.int8(), S), "proba": FS}, "labels:label", "probs:proba"),
        ({"label": pa.int64(), "log_prob_a": F, "log_prob_b": F}, "labels:label", None),
    ],
)
def test_usual_names_are_recognised(schema, p, q):
    assert str(recognised(schema, "p")) == p
    assert str(recognised(schema, "q")) == (q or "logprobs:log_prob_*")


@pytest.mark.parametrize(
    ("name", "kind", "role"),
    [
        ("label", F, "p"),
        ("counts", FS, "p"),
        ("probs", IS, "q"),
        ("soft_labels", F, "p"),
        ("prob", S, "q"),
        ("image", pa.int64(), "p"),
    ],
)
def test_usual_name_of_another_type_is_not_recognised(name, kind, role):
    assert candidates({name: kind}, role) == []


def test_what_was_recognised_is_noted():
    notes = scan(table()).notes
    assert notes == (
        "--p labels:label was chosen by its name",
        "--q probs:probs was chosen by its name",
    )


def test_what_was_said_is_not_noted():
    assert scan(table(), p="labels:label", q="probs:probs").notes == ()


# ------------------------------------------------------------------------------------- refusals


def with_probs(*lists):
    return pa.table({"label": [0] * len(lists), "probs": list(lists)})


REFUSED_TABLES = {
    "missing column": (table, {"q": "probs:prbs"}, "no column 'prbs'. Did you mean 'probs'"),
    "missing column, none near": (
        table,
        {"q": "probs:zzz"},
        "no column 'zzz'. There is: label, probs, site",
    ),
    "missing pattern": (table, {"q": "probs:score_*"}, r"no column 'score_\*'"),
    "missing group": (table, {"by": ["sites"]}, "--by: no column 'sites'. Did you mean 'site'"),
    "missing cluster": (table, {"cluster": "x"}, "--cluster: no column 'x'"),
    "missing id": (table, {"id": "x"}, "--id: no column 'x'"),
    "missing weights": (table, {"weights": "x"}, "--weights: no column 'x'"),
    "unknown kind": (table, {"q": "prob:probs"}, "--q has an unknown kind.*Did you mean 'probs'"),
    "no kind": (table, {"q": "probs"}, "--q does not say what 'probs' holds. Write --q KIND:probs"),
    "neither kind nor column": (table, {"p": "xyz"}, "--p .*'xyz'.* Write --p KIND:COLUMN"),
    "no P": (
        lambda: table().drop_columns("label"),
        {},
        "no column is known as P, .* got columns probs, site. Say which: --p KIND:COLUMN",
    ),
    "no Q": (lambda: table().drop_columns("probs"), {}, "no column is known as Q"),
    "two Q": (
        lambda: table().append_column("logits", table()["probs"]),
        {},
        "more than one column may be Q, got probs:probs, logits:logits. Say which: --q probs:probs",
    ),
    "lists of different lengths": (
        lambda: with_probs([0.5, 0.5], [0.5, 0.25, 0.25]),
        {},
        "column 'probs' row 1 has a list of 3 where the first row has 2",
    ),
    "missing list": (
        lambda: with_probs([0.5, 0.5], None),
        {},
        r"'probs' row 1 has no value \(null",
    ),
    "missing number": (lambda: with_probs([0.5, None]), {}, "row 0 holds NaN"),
    "missing label": (
        lambda: pa.table({"label": [0, None], "probs": [[0.5, 0.5]] * 2}),
        {},
        r"column 'label' row 1 has no label \(null\). .*--where 'label IS NOT NULL'",
    ),
    "label out of range": (
        lambda: pa.table({"label": [0, 2], "probs": [[0.5, 0.5]] * 2}),
        {},
        "Labels row 1 is out of range for 2 classes",
    ),
    "label that is no class": (
        lambda: pa.table({"label": ["a", "x"], "probs": [[0.5, 0.5]] * 2}),
        {"classes": ["a", "b"]},
        "Labels row 1 is no class name, got 'x'",
    ),
    "names without classes": (
        lambda: pa.table({"label": ["a", "b"], "probs": [[0.5, 0.5]] * 2}),
        {},
        "need the class names .*--classes",
    ),
    "text as probs": (table, {"q": "probs:site"}, "'site' row 0 is no number, got 'north'"),
    "dates as probs": (
        lambda: pa.table({"label": [0], "d": pa.array([0], pa.date32())}),
        {"q": "probs:d"},
        "column 'd' holds no numbers, got date32",
    ),
    "one number as counts": (
        lambda: table().append_column("n", pa.array(np.ones(N, int))),
        {"p": "counts:n"},
        "column 'n' holds one number per row, not one per class",
    ),
    "different numbers of classes": (
        lambda: with_probs([0.5, 0.5]).append_column("p", pa.array([[0.5, 0.25, 0.25]])),
        {"p": "probs:p"},
        "different numbers of classes, got 3 and 2",
    ),
    "probabilities off one": (lambda: with_probs([0.5, 0.5], [0.5, 0.6]), {}, "row 1 sums to 1.1"),
}


@pytest.mark.parametrize("case", REFUSED_TABLES)
def test_table_that_cannot_be_used_is_refused(case):
    make, options, text = REFUSED_TABLES[case]
    with pytest.raises(InputError, match=text) as caught:
        list(scan(make(), **options).chunks())
    assert str(caught.value).startswith(("table: ", "table, "))


@pytest.mark.parametrize("source", ["npz stored", "csv", "polars"])
def test_bad_row_is_numbered_through_chunks(source, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks_module, "CHUNK_ROWS", 4)
    bad = LABELS.copy()
    bad[19] = 7
    monkeypatch.setitem(globals(), "LABELS", bad)
    with pytest.raises(RowError, match="Labels row 19 is out of range") as caught:
        list(opened(source, tmp_path).chunks())
    assert caught.value.row == 19


def test_missing_file_offers_a_near_name(tmp_path):
    write_groups(tmp_path / "predictions.parquet")
    with pytest.raises(InputError, match=r"no such file. Did you mean 'predictions.parquet'"):
        scan(tmp_path / "prediction.parquet")


def test_missing_folder_is_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        scan(tmp_path / "nowhere" / "t.parquet")


def test_glob_without_matches_is_refused(tmp_path):
    with pytest.raises(InputError, match="no file matches"):
        scan(str(tmp_path / "*.parquet"))


def test_folder_without_tables_is_refused(tmp_path):
    with pytest.raises(InputError, match="no table in this folder"):
        scan(tmp_path)


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.jsonl", "t.npy", "t.feather"])
def test_empty_file_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(InputError, match=f"{name}: the file is empty"):
        scan(tmp_path / name)


def test_unknown_format_is_refused(tmp_path):
    (tmp_path / "t.xlsx").write_text("x")
    with pytest.raises(InputError, match=r"t.xlsx: unknown file format. Known: parquet"):
        scan(tmp_path / "t.xlsx")


def test_files_of_different_formats_are_refused(tmp_path):
    files = [write_groups(tmp_path / "t.parquet"), write_text(tmp_path / "t.csv", as_text(","))]
    with pytest.raises(InputError, match=r"different formats, got t.parquet and t.csv"):
        scan(files)


@pytest.mark.parametrize("source", ["parquet", "feather", "npz stored", "npz compressed"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_file_is_refused_by_name(source, share, tmp_path):
    path = SOURCES[source](tmp_path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=f"{path.name}: cannot be read as"):
        list(scan(path).chunks())


def test_truncated_npy_is_refused_by_name(tmp_path):
    path = write_npy(tmp_path)[1]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"probs.npy: the array does not lie where"):
        scan(path)


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.npy", "t.npz"])
def test_file_of_another_format_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_text("label,prob\n0,0.5\n" * 10)
    with pytest.raises(InputError, match=f"{name}: cannot be read as"):
        list(scan(tmp_path / name).chunks())


@pytest.mark.parametrize("bad", ["1\n", "1,0.5,9\n"])
def test_ragged_csv_row_is_refused(tmp_path, bad):
    path = write_text(tmp_path / "t.csv", "label,prob\n" + "0,0.5\n" * 20 + bad + "0,0.5\n" * 20)
    with pytest.raises(InputError, match=r"t.csv: line 22 has [13] fields where the header has 2"):
        list(scan(path).chunks())


def test_broken_json_line_is_refused(tmp_path):
    path = write_text(tmp_path / "t.jsonl", json_lines() + '{"label": 0, "probs": [0.5')
    with pytest.raises(InputError, match=r"t.jsonl: cannot be read as jsonl"):
        list(scan(path).chunks())


def test_column_missing_in_the_second_file_is_refused_by_that_file(tmp_path):
    files = write_files(tmp_path / "parts")
    pq.write_table(table().drop_columns("probs"), files[1])
    with pytest.raises(InputError, match=r"part-1.parquet: no column 'probs'"):
        list(scan(files).chunks())


def test_arrays_of_different_lengths_are_refused(tmp_path):
    np.savez(tmp_path / "t.npz", label=LABELS[:5], probs=PROBS)
    with pytest.raises(InputError, match="different lengths, got label 5, probs 23"):
        scan(tmp_path / "t.npz")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_pickled_objects_in_npz_are_refused(tmp_path, save):
    save(tmp_path / "t.npz", label=LABELS, probs=PROBS, x=np.array([None] * N))
    with pytest.raises(InputError, match=r"t.npz"):
        scan(tmp_path / "t.npz")


@pytest.mark.parametrize("data", [PROBS, None, 3, [], {"label": [0]}, [3]])
def test_what_is_neither_path_nor_table_is_refused(data):
    with pytest.raises(InputError, match="scan needs paths, or a table"):
        scan(data)


# ------------------------------------------------------------------------------- views in memory


def memory(**options):
    return views_scan(Labels(LABELS), Probs(PROBS), **options)


def test_views_give_the_chunks_that_files_give(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks_module, "CHUNK_ROWS", 4)
    got, want = read(memory()), read(scan(table()))
    assert got.starts == want.starts
    assert (got.keys == want.keys).all()
    assert got.p.tolist() == want.p.tolist()
    assert got.q.tolist() == want.q.tolist()


def test_clusters_of_views_and_of_tables_have_the_same_keys():
    (from_views,) = memory(cluster=SITES).chunks()
    (from_table,) = scan(table(), cluster="site").chunks()
    assert (from_views.clusters == from_table.clusters).all()


def test_groups_of_views_are_sliced_with_their_rows(monkeypatch):
    monkeypatch.setattr(chunks_module, "CHUNK_ROWS", 4)
    got = [
        names[code]
        for chunk in memory(by={"site": SITES}).chunks()
        for codes, names in [chunk.groups["site"]]
        for code in codes
    ]
    assert got == SITES.tolist()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"by": ["site"]}, "by must name its arrays, got list"),
        ({"by": {"site": SITES[1:]}}, r"by\['site'\] needs one value per row \(23\)"),
        ({"cluster": SITES[1:]}, r"cluster needs one value per row \(23\), got shape \(22,\)"),
        ({"ids": PROBS}, "ids needs one value per row"),
        ({"weights": -np.ones(N)}, "weights row 0 is negative"),
    ],
)
def test_options_that_do_not_fit_the_views_are_refused(options, text):
    with pytest.raises(InputError, match=text):
        memory(**options)


def test_bare_arrays_are_refused():
    with pytest.raises(ViewTypeError, match=r"^q must say what its numbers mean"):
        views_scan(Labels(LABELS), PROBS)


def test_views_of_no_rows_have_no_chunks():
    none = views_scan(
        Counts(np.ones((0, 2), int)), Logits(np.zeros((0, 2))), cluster=np.zeros(0, str)
    )
    assert list(none.chunks()) == []


def test_real_votes_are_read_as_counts(cifar10h):
    chunk = next(scan(cifar10h, p="counts:counts", q="counts:counts").chunks())
    assert chunk.p.n_classes == 10


def test_bad_row_is_named_by_its_own_file_and_its_number_there(tmp_path):
    good = {"label": [0, 1], "probs": [[0.5, 0.5], [1.0, 0.0]]}
    bad = {"label": [0, 1], "probs": [[0.5, 0.5], [0.9, 0.0]]}
    last = {"label": [1, 1], "probs": [[0.5, 0.5], [1.0, 0.0]]}
    for name, columns in (("a", good), ("b", bad), ("c", last)):
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    with pytest.raises(RowError, match=r"b\.parquet, column 'probs': Probs row 1 sums to 0.9"):
        list(scan(str(tmp_path / "*.parquet")).chunks())


GRADES = np.array([1, 2, 2, 1, 1])
OF_GRADES = np.array([[6, 3, 1], [2, 5, 3], [1, 8, 1], [7, 2, 1], [5, 4, 1]]) / 10


def wide_of(names, **columns):
    return pa.table(columns | {f"prob_{name}": OF_GRADES[:, k] for k, name in enumerate(names)})


@pytest.mark.parametrize("kind", ["int64", "uint8", "float64", "decimal", "string"])
@pytest.mark.parametrize("classes", [None, ["1", "2", "3"], [1, 2, 3], 3])
def test_labels_that_are_numbers_match_columns_that_are_named_by_numbers(kind, classes):
    kinds = {"decimal": pa.decimal128(21, 2)}
    labels = pa.array(GRADES).cast(kinds.get(kind) or kind)
    got = read(scan(wide_of("123", label=labels), p="labels:label", classes=classes))
    assert got.p.tolist() == (GRADES - 1).tolist()


def test_truth_values_match_columns_that_are_named_by_truth_values():
    table = pa.table({"label": [True, False], "prob_True": [0.9, 0.3], "prob_False": [0.1, 0.7]})
    assert read(scan(table)).p.tolist() == [0, 1]


def test_columns_that_name_the_classes_in_another_order_are_refused():
    table = wide_of("abc").append_column("soft_b", pa.array(OF_GRADES[:, 0]))
    table = table.append_column("soft_a", pa.array(OF_GRADES[:, 1]))
    table = table.append_column("soft_c", pa.array(OF_GRADES[:, 2]))
    with pytest.raises(InputError, match="name the same classes in another order, got a, b, c and"):
        scan(table, p="probs:soft_*", q="probs:prob_*")
    assert scan(table, p="probs:soft_a,soft_b,soft_c", q="probs:prob_*").classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"classes": ["1", "2", "1"]}, "two classes have the same name"),
        ({"classes": ["3", "2", "1"]}, "contradict the columns of Q"),
        ({"classes": 4}, "number of classes contradicts the columns, got 4 for 3 columns"),
        ({"q": "probs:prob_1,prob_1"}, "two classes have the same name"),
    ],
)
def test_class_names_that_are_the_same_or_contradict_the_columns_are_refused(options, text):
    with pytest.raises(InputError, match=text):
        scan(wide_of("123", label=GRADES), **options)


def test_numbers_may_count_columns_from_0_that_are_named_from_1():
    table = wide_of("123", label=GRADES - 1)
    with pytest.raises(RowError, match=r"row 0 is no class name, got 0\. There is: 1, 2, 3"):
        read(scan(table))
    assert read(scan(table, classes=[0, 1, 2])).p.tolist() == (GRADES - 1).tolist()


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("p", 7, "p is text, got 7"),
        ("cluster", "", "cluster is empty"),
        ("q", 7, "q is text, or a list of texts, got 7"),
        ("by", [7], "by is text, or a list of texts"),
        ("id", ["a"], "id is text"),
        ("tolerance", float("nan"), "tolerance is a number above 0"),
        ("classes", 2.5, "classes are a list of names"),
        ("classes", 10**9, "the number of classes is from 1 to 4,194,304, got 1000000000"),
        ("classes", 0, "the number of classes is from 1"),
    ],
)
def test_an_option_of_a_scan_that_means_nothing_is_refused_by_name(option, value, words):
    table = pa.table({"label": [0, 1], "probs": [[0.5, 0.5]] * 2})
    with pytest.raises(InputError, match=re.escape(words)):
        scan(table, **{option: value})


@pytest.mark.parametrize("wide_votes", [True, False])
def test_rows_without_votes_come_with_the_condition_that_leaves_them_out(wide_votes, tmp_path):
    votes = {"n_a": [2, 0], "n_b": [1, 0]} if wide_votes else {"votes": [[2, 1], [0, 0]]}
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(votes | {"q": [[0.5, 0.5]] * 2}), path)
    options = {"p": "counts:n_*" if wide_votes else "counts:votes", "q": "probs:q"}
    with pytest.raises(RowError, match=r"has no votes.*--where '") as caught:
        read(scan(path, **options))
    condition = str(caught.value).split("--where '")[1].split("'")[0]
    assert read(scan(path, **options, where=condition)).p.tolist() == [[2, 1]]


def test_sums_that_are_off_are_told_with_their_number_the_largest_and_the_option_that_fits():
    half = np.float32(0.5)
    said = {
        (50.0, 50.0): r"3 of the 3 rows around it are off.*--percent q",
        (half + np.float32(2e-5), half): r"by up to 2e-05.*float32 or rounded.*--normalise q",
        (0.333, 0.333): r"by up to 0.33\).*logits",
    }
    for row, text in said.items():
        rows = scan(pa.table({"label": [0, 1, 0], "probs": [[float(x) for x in row]] * 3}))
        with pytest.raises(InputError, match=text):
            list(rows.chunks())


def test_percentages_are_divided_by_100_when_asked_for_and_the_report_says_so():
    shares = pa.array([[12.5, 87.5], [50.0, 50.0]])
    table = pa.table({"label": [0, 1], "probs": shares})
    rows = scan(table, percent="q")
    (chunk,) = rows.chunks()
    assert chunk.q.array.tolist() == [[0.125, 0.875], [0.5, 0.5]]
    assert "the percentages of Q were divided by 100" in rows.notes
    with pytest.raises(InputError, match="--percent p is for probabilities"):
        scan(table, percent="p")
    with pytest.raises(InputError, match="those of p or q"):
        scan(table, percent="x")
