"""pandq compare as a process: what it prints, its exit codes, its gates, and those of audit."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import special

from tests.read.test_arrays import write_kld


def pandq(*arguments, **options):
    command = [sys.executable, "-m", "pandq", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Predictions of a sharp and a dull model in one file and in two; a reference and its copy."""
    place = tmp_path_factory.mktemp("compare")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4)) * 2
    y = (x + rng.gumbel(size=x.shape)).argmax(axis=1)
    good, dull = (special.softmax(x * s, axis=1).tolist() for s in (1.0, 0.4))
    ids = np.arange(600)
    both = {"id": ids, "label": y, "site": ids % 3, "good": good, "dull": dull}
    pq.write_table(pa.table(both), place / "both.parquet")
    pq.write_table(pa.table({"id": ids, "label": y, "probs": good}), place / "one.parquet")
    pq.write_table(pa.table({"id": ids[::-1], "probs": dull[::-1]}), place / "two.parquet")
    pq.write_table(pa.table({"id": ids + 1000, "probs": dull}), place / "strange.parquet")
    logits = rng.normal(size=(16 * 8, 30)) * 3
    tokens = rng.integers(0, 30, 16 * 8)
    write_kld(place / "base.kld", logits, tokens, 16)
    write_kld(place / "small.kld", logits + 0.1 * rng.normal(size=logits.shape), tokens, 16)
    write_kld(place / "vocab.kld", logits[:, :29], tokens % 29, 16)
    write_kld(place / "text.kld", logits, (tokens + 1) % 30, 16)
    write_kld(place / "short.kld", logits[:64], tokens[:64], 16)
    (place / "cut.kld").write_bytes((place / "base.kld").read_bytes()[:-100])
    return place


COMPARE = ("--p", "labels:label", "--q", "probs:good", "--q", "probs:dull")


def test_compare_prints_a_sentence_and_tables(folder):
    run = pandq("compare", folder / "both.parquet", *COMPARE, "--by", "site")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("probs:dull pays ")
    for text in ("it is worse", "cancels", "miscalibration", "site", "groups were looked at (Holm"):
        assert text.split(" (")[0] in run.stdout


def test_json_goes_alone_to_standard_output(folder):
    run = pandq("compare", folder / "both.parquet", *COMPARE, "--json", "-")
    document = json.loads(run.stdout)
    assert document["schema"] == "pandq/comparison/1"
    assert document["differences"][0]["q"] == "probs:dull"


def test_two_files_are_joined_by_id(folder):
    files = (folder / "one.parquet", folder / "two.parquet")
    run = pandq(
        "compare", *files, "--id", "id", "--p", "labels:label", "--q", "probs:probs", "--json", "-"
    )
    joined = json.loads(run.stdout)["differences"][0]
    plain = pandq("compare", folder / "both.parquet", *COMPARE, "--json", "-")
    want = json.loads(plain.stdout)["differences"][0]
    assert joined["cross_entropy"]["value"] == pytest.approx(want["cross_entropy"]["value"])
    assert (joined["q"], joined["against"]) == (
        "probs:probs of two.parquet",
        "probs:probs of one.parquet",
    )


def test_logits_files_are_compared_without_an_option(folder):
    run = pandq("compare", folder / "base.kld", folder / "small.kld")
    assert run.returncode == 0
    for text in ("Mean KLD", "Same top p", "Mean PPL(Q)/PPL(base)", "16-bit codes round"):
        assert text in run.stdout


GATES = [
    (("--max-regression", "5"), 0, "--max-regression 5 holds: probs:dull less probs:good"),
    (("--max-regression", "0"), 1, "--max-regression 0 is breached: probs:dull less probs:good"),
    (("--max-kl", "9"), 0, "--max-kl 9 holds: kl of probs:dull"),
    (("--max-cross-entropy", "0.1"), 1, "--max-cross-entropy 0.1 is breached"),
]


@pytest.mark.parametrize(("options", "code", "text"), GATES)
def test_a_gate_names_the_limit_the_value_and_its_interval(folder, options, code, text):
    run = pandq("compare", folder / "both.parquet", *COMPARE, *options)
    assert run.returncode == code
    said = run.stdout if code == 0 else run.stderr
    assert text in said
    assert "nat [" in said
    assert code == 0 or len(run.stderr.splitlines()) == 1


def test_a_gate_is_held_against_the_interval_unless_the_point_is_asked_for(folder):
    found = pandq("compare", folder / "both.parquet", *COMPARE, "--json", "-")
    loss = json.loads(found.stdout)["differences"][0]["cross_entropy"]
    between = str((loss["value"] + loss["high"]) / 2)
    options = (folder / "both.parquet", *COMPARE, "--max-regression", between)
    assert pandq("compare", *options).returncode == 1
    assert pandq("compare", *options, "--gate-on", "point").returncode == 0


def test_audit_gates_on_the_point_where_it_is_asked_for(folder):
    audit = ("audit", folder / "both.parquet", "--p", "labels:label", "--q", "probs:good")
    loss = json.loads(pandq(*audit, "--json", "-").stdout)["cross_entropy"]
    limit = ("--max-cross-entropy", str((loss["value"] + loss["high"]) / 2))
    assert pandq(*audit, *limit).returncode == 1
    assert pandq(*audit, *limit, "--gate-on", "point").returncode == 0


def test_several_breaches_are_one_line(folder):
    limits = ("--max-kl", "0", "--max-cross-entropy", "0", "--max-regression", "0")
    run = pandq("compare", folder / "both.parquet", *COMPARE, *limits)
    assert run.returncode == 1
    assert "(and 2 more breached)" in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_a_baseline_is_the_model_to_hold_against(folder):
    saved = folder / "old.json"
    model = (folder / "both.parquet", "--p", "labels:label")
    assert pandq("audit", *model, "--q", "probs:good", "--json", saved).returncode == 0
    run = pandq(
        "compare", *model, "--q", "probs:dull", "--baseline", saved, "--max-regression", "0"
    )
    assert run.returncode == 1
    assert "probs:dull less probs:good" in run.stderr
    assert "Unpaired" in run.stdout


@pytest.mark.parametrize("command", ["compare", "audit"])
def test_a_markdown_summary_is_appended_where_a_pipeline_wants_one(folder, tmp_path, command):
    import os

    page = tmp_path / "summary.md"
    page.write_text("before\n")
    q = COMPARE if command == "compare" else COMPARE[:4]
    env = os.environ | {"GITHUB_STEP_SUMMARY": str(page)}
    run = pandq(command, folder / "both.parquet", *q, "--max-kl", "0", env=env)
    assert run.returncode == 1
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n## pandq\n")
    assert "❌ --max-kl 0 is breached" in text
    assert "| mean over 600 rows | nat | 95% interval |" in text
    assert all(line.count(" | ") == 2 for line in text.splitlines() if line.startswith("| "))


BAD = {
    "one q": (["both.parquet", *COMPARE[:4]], "one Q alone is compared with a reference"),
    "no such column": (["both.parquet", *COMPARE[:4], "--q", "probs:dul"], "Did you mean 'dull'"),
    "no common ids": (
        ["one.parquet", "strange.parquet", "--id", "id", *COMPARE[:2], "--q", "probs:probs"],
        "no 'id' of one file is in the other",
    ),
    "a join without q": (
        ["one.parquet", "two.parquet", "--id", "id", *COMPARE[:2]],
        "which columns are to be compared",
    ),
    "different class counts": (
        ["base.kld", "vocab.kld"],
        "the files have different vocabularies, got 30 and 29 tokens",
    ),
    "a truncated logits file": (["base.kld", "cut.kld"], "is not as long as its header says"),
    "another text": (["base.kld", "text.kld"], "the files score different tokens"),
    "fewer chunks": (["base.kld", "short.kld"], "arrays of different lengths"),
    "a baseline that is none": (
        ["both.parquet", *COMPARE[:4], "--baseline", "both.parquet"],
        "is no JSON",
    ),
    "a missing baseline": (["both.parquet", *COMPARE[:4], "--baseline", "x.json"], "x.json"),
    "a regression of nothing": (
        ["base.kld", "small.kld", "--max-regression", "1"],
        "--max-regression needs a second model",
    ),
    "a topk of one column": (["both.parquet", "--p", "topk:id", *COMPARE[2:]], "has two columns"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(folder, case):
    words, text = BAD[case]
    run = pandq("compare", *words, cwd=folder)
    assert run.returncode == 2, run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert text in run.stderr
    assert "Traceback" not in run.stderr
