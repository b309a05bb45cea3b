"""Datasets saved to disk, and readers of Arrow that can be read once."""

import gc
import json
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq
from pandq import InputError
from pandq.read.opened import open_source
from pandq.read.tables import Spilled, Table

N = 4000
RNG = np.random.default_rng(0)
PROBS = RNG.dirichlet(np.ones(3), N)
TABLE = pa.table(
    {
        "label": [int(RNG.choice(3, p=row)) for row in PROBS],
        "probs": pa.array(list(PROBS)),
        "site": RNG.integers(0, 4, N),
    }
)


def reader(table=TABLE, rows=333):
    """A reader of batches, which can be read once."""
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=rows))


def document(data, **options):
    """An audit's JSON, but for the source's name."""
    how = {"p": "labels:label", "q": "probs:probs", **options}
    found = pandq.audit(pandq.scan(data, **how)).to_dict()
    del found["source"]
    return json.dumps(found)


@pytest.mark.parametrize("options", [{}, {"where": "site > 1"}, {"by": "site"}])
def test_a_reader_gives_what_its_table_gives(options):
    assert document(reader(), **options) == document(TABLE, **options)


@pytest.mark.parametrize("rows", [1, 7, 333, 4000, 9999])
def test_a_reader_s_batches_are_those_of_its_table_whatever_it_came_in(rows):
    both = Spilled(reader(rows=97)), Table(TABLE)
    found = [list(source.batches(["site", "probs"], rows)) for source in both]
    assert len(found[0]) == len(found[1])
    for (start, ours), (same, theirs) in zip(*found, strict=True):
        assert start == same
        assert all(ours[name].equals(theirs[name]) for name in theirs)


def test_a_reader_is_not_held_in_memory_and_its_file_goes_with_the_rows():
    big = pa.table({"x": RNG.random(1 << 16)})
    batches = (batch for _ in range(64) for batch in big.to_batches())
    before = pa.total_allocated_bytes()
    source = open_source(pa.RecordBatchReader.from_batches(big.schema, batches))
    tracemalloc.start()
    n = sum(len(batch["x"]) for _, batch in source.batches(["x"], 1 << 12))
    held = pa.total_allocated_bytes() - before + tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n == source.n_rows == 64 << 16
    assert held < 4 * big.nbytes
    room = source.files[0].parent
    assert room.exists()
    del source
    gc.collect()
    assert not room.exists()


def test_a_reader_that_was_read_before_or_fails_is_refused():
    used = reader()
    document(used)
    with pytest.raises(InputError, match=r"gave no rows.*read before.*make a new one"):
        pandq.scan(used)
    torn = pa.RecordBatchReader.from_batches(TABLE.schema, [pa.record_batch([[1]], ["x"])])
    with pytest.raises(InputError, match=r"^table: the reader fails, got"):
        pandq.scan(torn)
    with pytest.raises(InputError, match="two columns are called 'a'"):
        pandq.scan(reader(pa.table([[1], [2]], names=["a", "a"])))


def saved(folder, files=2, **more):
    """A dataset as `save_to_disk` leaves it: streams of Arrow, and what they are."""
    folder.mkdir()
    step = -(-N // files)
    names = [f"data-{k:05d}-of-{files:05d}.arrow" for k in range(files)]
    for k, name in enumerate(names):
        with pa.ipc.new_stream(folder / name, TABLE.schema) as writer:
            writer.write_table(TABLE.slice(k * step, step), max_chunksize=500)
    state = {"_data_files": [{"filename": name} for name in names], **more}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text('{"features": {}}')
    return folder


def test_a_dataset_that_was_saved_to_disk_is_its_rows(tmp_path):
    folder = saved(tmp_path / "test")
    # what an earlier save left behind is none of its files
    (folder / "data-00009-of-00010.arrow").write_bytes(b"")
    rows = pandq.scan(folder, p="labels:label", q="probs:probs")
    assert sum(len(chunk) for chunk in rows.chunks()) == N
    loss = pandq.audit(rows, decompose=False).cross_entropy.value
    labels = TABLE.column("label").to_numpy()
    assert loss == pytest.approx(-np.log(PROBS[np.arange(N), labels]).mean())


def test_a_dataset_that_cannot_be_read_as_it_is_says_why(tmp_path):
    one = saved(tmp_path / "one")
    (one / "data-00001-of-00002.arrow").unlink()
    chosen = saved(tmp_path / "chosen", _indices_files=[{"filename": "indices.arrow"}])
    saved(tmp_path / "all").joinpath("state.json").rename(tmp_path / "all" / "of.json")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["one", "chosen"]}')
    refused = {
        one: r"one: misses data-00001-of-00002.arrow, which its state.json names",
        chosen: r"chosen: is a selection of rows.*flatten_indices",
        tmp_path: rf"holds several tables.*Name one: {tmp_path}/one, {tmp_path}/chosen",
    }
    for folder, what in refused.items():
        with pytest.raises(InputError, match=what):
            pandq.scan(folder)


@pytest.mark.parametrize(
    ("inside", "kind"),
    [("_delta_log/00000000000000000000.json", "Delta"), ("metadata/v1.metadata.json", "Iceberg")],
)
def test_a_folder_whose_log_says_its_rows_is_not_read_file_by_file(inside, kind, tmp_path):
    file = tmp_path / inside
    file.parent.mkdir()
    file.write_text("{}")
    pq.write_table(TABLE, tmp_path / "part-0.parquet")
    with pytest.raises(InputError, match=rf"is a {kind} table.*no reader of it.*pandq.scan\("):
        pandq.scan(tmp_path)
