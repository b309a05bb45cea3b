"""A file that changes, is cut or goes while it is read is named, in one line."""

import json
import os
import struct
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather
from safetensors.numpy import save_file

import pandq
from pandq import InputError
from pandq.read.opened import open_source

N = 4000
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, N)
PROBS = RNG.dirichlet(np.ones(3), N)
KINDS = ["csv", "jsonl", "parquet", "feather", "npz", "npy", "safetensors"]


def written(kind, folder, n=N):
    """A table of n rows, by the names that scan knows."""
    path = folder / f"t.{kind}"
    columns = {"label": LABELS[:n], "probs": PROBS[:n]}
    if kind == "npz":
        np.savez(path, **columns)
    elif kind == "npy":
        np.save(folder / "label.npy", columns["label"])
        np.save(folder / "probs.npy", columns["probs"])
        return [folder / "label.npy", folder / "probs.npy"]
    elif kind == "safetensors":
        save_file(columns, path)
    elif kind == "csv":
        lines = (f"{y},{json.dumps(list(q))!r}" for y, q in zip(LABELS[:n], PROBS[:n], strict=True))
        text = "\n".join(lines).replace("'", '"')
        path.write_text(f"label,probs\n{text}\n")
    elif kind == "jsonl":
        rows = (
            {"label": int(y), "probs": list(q)} for y, q in zip(LABELS[:n], PROBS[:n], strict=True)
        )
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        table = pa.table({"label": LABELS[:n], "probs": list(PROBS[:n])})
        if kind == "parquet":
            pq.write_table(table, path, row_group_size=500)
        else:
            feather.write_feather(table, path, chunksize=500, compression="uncompressed")
    return [path]


def audited(files, between):
    """An audit in two passes, with something done between them."""
    done = []

    def progress(now):
        if now.what != "measuring" and not done:
            done.append(between())

    rows = pandq.scan(files, p="labels:label", q="probs:probs")
    return pandq.audit(rows, progress=progress), done


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_written_anew_between_two_passes_is_named(kind, tmp_path):
    files = written(kind, tmp_path)
    with pytest.raises(InputError, match=rf"{files[-1].name}.*: changed while it was read, got"):
        audited(files, lambda: written(kind, tmp_path, N - 7))


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_a_file_that_is_replaced_by_one_of_the_same_size_is_named(kind, tmp_path):
    (file,) = written(kind, tmp_path)

    def replaced():
        other = tmp_path / "other"
        other.write_bytes(file.read_bytes())
        state = file.stat()
        os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
        other.replace(file)

    with pytest.raises(InputError, match="changed while it was read, got another file"):
        audited([file], replaced)


def test_a_file_that_has_gone_is_named(tmp_path):
    (file,) = written("parquet", tmp_path)
    with pytest.raises(InputError, match=r"t.parquet: changed while it was read, got no such file"):
        audited([file], file.unlink)


def test_a_file_that_stays_is_audited_as_ever(tmp_path):
    files = written("feather", tmp_path)
    result, done = audited(files, lambda: None)
    assert done
    assert result.n == N


def kld(path, chunks=200):
    """Windows of 8 tokens of which 3 are scored, over 40 words."""
    head = b"_logits_" + struct.pack("<Iii", 8, 40, chunks) + bytes(4 * 8 * chunks)
    path.write_bytes(head + np.ones((3 * chunks, 44), "<u2").tobytes())
    return path


CUT = """
import sys
from pandq.read.opened import open_source
source = open_source(sys.argv[2:])
column = max(source.schema, key=["chunk", "token", "label", "logits", "probs"].index)
rows = 0
try:
    for part in source.parts():
        for batch in source.read(part, [column], 50):
            rows += len(batch[column])
            for file in sys.argv[2:]:
                with open(file, "r+b") as stream:
                    stream.truncate(int(sys.argv[1]))
            sum(1 for _ in batch[column])
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("kind", [*KINDS[2:], "kld"])
def test_a_file_that_is_cut_while_it_is_read_does_not_kill_the_process(kind, tmp_path):
    files = [kld(tmp_path / "t.kld")] if kind == "kld" else written(kind, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", CUT, "3000", *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("InputError")
    assert "changed while it was read, got 3,000 bytes" in done.stdout


def lying(path, find, lie):
    """A file with some of its bytes replaced, where they are found."""
    raw = path.read_bytes()
    place = raw.rindex(find)
    path.write_bytes(raw[:place] + lie + raw[place + len(find) :])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("column", "find", "lie"),
    [
        ("lists", np.array([8, 10, 12], "i4"), np.array([8, 2**30, 12], "i4")),
        ("lists", np.array([8, 10, 12], "i4"), np.array([8, -10, 12], "i4")),
        ("names", np.array([12, 15, 18], "i4"), np.array([12, 2**30, 18], "i4")),
        ("codes", np.array([2, 0, 1, 2, 0], "i1"), np.array([2, 0, 99, 2, 0], "i1")),
        ("codes", np.array([2, 0, 1, 2, 0], "i1"), np.array([2, 0, -9, 2, 0], "i1")),
    ],
)
def test_an_arrow_file_that_lies_is_refused(column, find, lie, stream, tmp_path):
    n = 60
    table = pa.table(
        {
            "lists": pa.array(np.arange(2.0 * n).reshape(n, 2).tolist()),
            "names": [f"n{i:02d}" for i in range(n)],
            "codes": pa.DictionaryArray.from_arrays(
                pa.array(np.arange(n) % 3, pa.int8()), pa.array(["a", "b", "c"])
            ),
        }
    )
    path = tmp_path / "t.arrow"
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with new(path, table.schema) as writer:
        writer.write_table(table)
    source = open_source(path)
    assert sum(len(batch[column]) for _, batch in source.batches([column], 7)) == n
    lying(path, find.tobytes(), lie.tobytes())
    with pytest.raises(InputError, match=r"t.arrow: cannot be read as arrow, got"):
        list(open_source(path).batches([column], 7))
