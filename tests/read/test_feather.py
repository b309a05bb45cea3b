"""How many rows an Arrow file has is known before its rows are read."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather

import pandq
from pandq.read.opened import open_source

N = 1000
RNG = np.random.default_rng(0)
TABLE = pa.table(
    {
        "label": RNG.integers(0, 3, N),
        "probs": pa.array(list(RNG.dirichlet(np.ones(3), N))),
        "name": [f"a{i % 3}" for i in range(N)],
    }
)


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_the_rows_of_an_arrow_file_are_those_of_its_batches(tmp_path, compression):
    path = tmp_path / "t.feather"
    feather.write_feather(TABLE, path, chunksize=7, compression=compression)
    assert open_source([path]).n_rows == N


def test_the_rows_of_an_arrow_stream_and_of_text_alone_are_counted_in_the_first_pass(tmp_path):
    stream, text = tmp_path / "s.arrow", tmp_path / "t.feather"
    with pa.ipc.new_stream(stream, TABLE.schema) as writer:
        writer.write_table(TABLE, max_chunksize=7)
    feather.write_feather(TABLE.select(["name"]), text)
    assert open_source([stream]).n_rows is None
    assert open_source([text]).n_rows is None


def test_an_audit_says_the_same_whether_the_rows_of_an_arrow_file_were_known(tmp_path):
    file, stream = tmp_path / "f.arrow", tmp_path / "s.arrow"
    for path, writing in ((file, pa.ipc.new_file), (stream, pa.ipc.new_stream)):
        with writing(path, TABLE.schema) as writer:
            writer.write_table(TABLE, max_chunksize=70)
    found = [pandq.audit(pandq.scan(p, p="labels:label", q="probs:probs")) for p in (file, stream)]
    assert found[0].cross_entropy == found[1].cross_entropy
    first, second = (a.decomposition.to_dict() for a in found)
    assert first == second
