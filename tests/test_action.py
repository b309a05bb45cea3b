"""The GitHub Action, by running its script as a runner does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

ACTION = Path(__file__).parents[1] / "action.yml"


@pytest.fixture
def run(tmp_path):
    """The last step's script, with these inputs, where `pandq` is the one under test."""
    steps = yaml.safe_load(ACTION.read_text("utf-8"))["runs"]["steps"]
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "pandq"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m pandq "$@"\n')
    command.chmod(0o755)
    path = tmp_path / "my preds.parquet"
    table = pa.table({"label": [0, 1] * 40, "probs": [[0.9, 0.1], [0.4, 0.6]] * 40})
    table = table.append_column("other", pa.array([[0.8, 0.2], [0.4, 0.6]] * 40))
    pq.write_table(table, path)

    def ran(options, name="audit"):
        env = os.environ | {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "COMMAND": name,
            "FILES": f"{path}\n",
            "OPTIONS": options,
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        }
        words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", steps[-1]["run"]]
        return subprocess.run(words, env=env, capture_output=True, text=True, check=False)

    return ran


def test_an_audit_writes_its_summary_and_says_where_its_documents_are(run, tmp_path):
    done = run("--p labels:label\n--q probs:probs\n\n--where label >= 0\n--full\n")
    assert done.returncode == 0, done.stderr
    assert "cross entropy" in (tmp_path / "summary.md").read_text()
    said = dict(x.split("=", 1) for x in (tmp_path / "output").read_text().splitlines())
    assert json.loads(Path(said["json"]).read_text())["n"] == 80
    assert "<html" in Path(said["html"]).read_text()


def test_a_breached_limit_fails_the_step_and_the_summary_says_so(run, tmp_path):
    done = run("--max-cross-entropy 0.01")
    assert done.returncode == 1
    assert "--max-cross-entropy 0.01" in done.stderr
    assert (tmp_path / "summary.md").read_text()


def test_two_models_are_compared_and_a_mistake_is_one_line(run, tmp_path):
    assert run("--q probs:probs\n--q probs:other", "compare").returncode == 0
    document = json.loads((tmp_path / "pandq" / "result.json").read_text())
    assert [x["q"] for x in document["differences"]] == ["probs:other"]
    done = run("--q probs:none", "compare")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
