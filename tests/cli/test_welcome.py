"""`pandq` alone: ten lines that say what to do with the file in this folder."""

import shlex

import pyarrow as pa
import pyarrow.parquet as pq

from tests.commands import pandq


def alone(folder):
    done = pandq(cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) <= 10
    return done.stdout


def test_the_whole_command_for_the_file_in_this_folder_is_proposed_and_runs(tmp_path):
    table = pa.table({"label": [0, 1] * 40, "probs": [[0.9, 0.1], [0.4, 0.6]] * 40})
    pq.write_table(table, tmp_path / "my preds.parquet")
    said = alone(tmp_path)
    line = next(line.strip() for line in said.splitlines() if line.startswith("    pandq"))
    assert "--p labels:label --q probs:probs" in line
    assert pandq(*shlex.split(line)[1:], cwd=tmp_path).returncode == 0


def test_a_file_that_cannot_be_read_or_names_no_p_is_looked_at_first(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    assert "pandq inspect x.parquet" in alone(tmp_path)
    pq.write_table(pa.table({"height": [1.5, 2.5]}), tmp_path / "x.parquet")
    assert "pandq inspect x.parquet" in alone(tmp_path)


def test_an_empty_folder_and_a_report_propose_nothing_that_is_not_there(tmp_path):
    (tmp_path / "report.json").write_text("{}")
    assert "pandq inspect FILE" in alone(tmp_path)
