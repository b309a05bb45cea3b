"""pandq compare as a process: what it prints, its exit codes, its gates, and those of audit."""

import json
import os
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import special

from tests.commands import pandq
from tests.read.test_arrays import write_kld


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


@pytest.mark.parametrize(
    ("limit", "code", "words"),
    [
        ("0.9=9", 0, "--max-kl-quantile 0.9=9 holds: 90 % quantile of kl of logits:small.logits"),
        ("0.999=9", 1, "inf], whose upper end is above it"),
        ("0.9", 2, "--max-kl-quantile is SHARE=X"),
        ("0.8=1", 2, "no such quantile of KL"),
        ("0.9=nan", 2, "--max-kl-quantile is not a number"),
    ],
)
def test_a_quantile_of_a_copys_divergence_has_a_limit(folder, limit, code, words):
    run = pandq("compare", folder / "base.kld", folder / "small.kld", "--max-kl-quantile", limit)
    assert run.returncode == code
    assert words in run.stdout + run.stderr


def test_compare_prints_a_sentence_and_tables(folder):
    run = pandq("compare", folder / "both.parquet", *COMPARE, "--by", "site", "--full")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("The loss of probs:dull is ")
    assert "higher than that of probs:good" in run.stdout
    for text in (
        "it is worse",
        "cancels",
        "calibration loss",
        "site",
        "groups were looked at (Holm",
    ):
        assert text.split(" (")[0] in " ".join(run.stdout.split())


def test_json_goes_alone_to_standard_output(folder):
    run = pandq("compare", folder / "both.parquet", *COMPARE, "--json", "-")
    document = json.loads(run.stdout)
    assert document["schema"] == "pandq/comparison/2"
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
    wide = os.environ | {"COLUMNS": "120"}
    run = pandq("compare", folder / "base.kld", folder / "small.kld", "--full", env=wide)
    assert run.returncode == 0
    for text in ("Mean KLD", "Same top p", "Mean PPL(Q)/PPL(base)", "16-bit codes round"):
        assert text in run.stdout
    assert "nat, nat" not in run.stdout


def test_a_logits_file_is_compared_with_itself(folder):
    run = pandq("compare", folder / "base.kld", folder / "base.kld", "--json", "-")
    assert run.returncode == 0, run.stderr
    copy = json.loads(run.stdout)["from_reference"][0]
    assert copy["q"] == "logits:base-2.logits"
    assert (copy["kl"]["value"], copy["same_top1"]["value"]) == (0, 1)


def test_windows_are_the_clusters_also_where_columns_are_named(folder):
    files = (folder / "base.kld", folder / "small.kld")
    words = ("--p", "logits:base.logits", "--q", "logits:small.logits", "--labels", "base.token")
    found = [pandq("compare", *files, *more, "--json", "-") for more in ((), words)]
    (one, other) = (json.loads(run.stdout) for run in found)
    assert one["from_reference"][0]["kl"] == other["from_reference"][0]["kl"]
    assert one["from_reference"][0]["kl"]["degrees"] == 7
    assert "intervals over 8 windows at 95%" in pandq("compare", *files).stdout
    rows = pandq("compare", *files, "--cluster", "small.token").stdout
    assert "clusters at 95%" in " ".join(rows.split())


def test_a_copy_of_the_same_name_in_another_folder_is_compared(folder, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    for room, name in (("old", "base"), ("new", "small")):
        (tmp_path / room / "model.kld").write_bytes((folder / f"{name}.kld").read_bytes())
    run = pandq("compare", "old/model.kld", "new/model.kld", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "The divergence of logits:new/model.logits from its reference P" in run.stdout


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


def test_a_model_of_infinite_loss_is_worse_and_breaches_every_limit(folder, tmp_path):
    table = pq.read_table(folder / "both.parquet").to_pydict()
    better = np.eye(4)[np.array(table["label"])] * 0.96 + 0.01
    better[7] = np.roll([1.0, 0.0, 0.0, 0.0], (table["label"][7] + 1) % 4)
    table["rash"] = better.tolist()
    pq.write_table(pa.table(table), tmp_path / "x.parquet")
    words = (tmp_path / "x.parquet", *COMPARE[:4], "--q", "probs:rash", "--max-regression", "0")
    run = pandq("compare", *words)
    assert run.returncode == 1
    assert "has an infinite loss (q = 0 < p) in 1 row: probs:rash is worse" in run.stdout
    assert "--max-regression 0 is breached" in run.stderr


def test_a_limit_on_kl_holds_for_every_q(folder):
    limits = [pandq("compare", folder / "both.parquet", *q, "--max-kl", "0.83", "--no-decompose")
              for q in (COMPARE, (*COMPARE[:2], *COMPARE[4:], *COMPARE[2:4]))]  # fmt: skip
    assert {run.returncode for run in limits} == {1}


def test_a_summary_that_cannot_be_written_does_not_hide_a_breach(folder, tmp_path):
    import os

    env = os.environ | {"GITHUB_STEP_SUMMARY": str(tmp_path / "no" / "folder")}
    run = pandq("compare", folder / "both.parquet", *COMPARE, "--max-regression", "0", env=env)
    assert run.returncode == 1
    assert "GITHUB_STEP_SUMMARY cannot be written" in run.stderr
    assert "is breached" in run.stderr


def test_with_json_on_standard_output_a_margin_goes_to_standard_error(folder):
    words = (folder / "both.parquet", *COMPARE, "--max-regression", "9", "--json", "-")
    run = pandq("compare", *words)
    json.loads(run.stdout)
    assert "--max-regression 9 holds" in run.stderr


def test_labels_that_differ_between_joined_files_are_reported(folder, tmp_path):
    one = pq.read_table(folder / "one.parquet")
    labels = one["label"].to_numpy().copy()
    labels[:5] = (labels[:5] + 1) % 4
    other = one.set_column(1, "label", pa.array(labels))
    pq.write_table(other, tmp_path / "other.parquet")
    files = (folder / "one.parquet", tmp_path / "other.parquet")
    run = pandq("compare", *files, "--id", "id", *COMPARE[:2], "--q", "probs:probs")
    assert "P differs between the files in 5 rows ('label')" in run.stdout


def test_several_breaches_are_one_line(folder):
    limits = ("--max-kl", "0", "--max-cross-entropy", "0", "--max-regression", "0")
    run = pandq("compare", folder / "both.parquet", *COMPARE, *limits)
    assert run.returncode == 1
    assert "(and 4 more breached)" in run.stderr
    assert len(re.findall(r"^--max-.* is breached: ", run.stdout, re.MULTILINE)) == 5
    assert len(run.stderr.splitlines()) == 1


def test_limits_on_a_copy_are_its_top_classes_and_its_perplexity(folder):
    copy = (folder / "base.kld", folder / "small.kld")
    run = pandq(
        "compare", *copy, "--min-same-top", "0.5", "--max-ppl-ratio", "0.5", "--max-kl", "1"
    )
    assert run.returncode == 1
    assert re.search(
        r"^--min-same-top 0.5 holds: same top class of .* above it$", run.stdout, re.MULTILINE
    )
    assert re.search(r"^--max-kl 1 holds: ", run.stdout, re.MULTILINE)
    assert run.stderr.startswith("pandq: --max-ppl-ratio 0.5 is breached: PPL ratio of")
    run = pandq("compare", *copy, "--min-same-top", "0.99999")
    assert run.returncode == 1
    assert "whose lower end is below it" in run.stderr


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
    title = {"compare": "probs\\:dull less probs\\:good", "audit": "Means over rows"}[command]
    assert f"\n| {title} | value | 95% interval |\n|---|---|---|\n" in text
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines = table.splitlines()
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {lines[1].count("|")}


def test_a_topk_of_unequal_rows_is_read_with_ranks_or_said_to_be_incomplete(tmp_path):
    """The prompt's token behind the two most probable ones: not the least of a complete top."""
    rng = np.random.default_rng(5)
    p, q = rng.dirichlet(np.full(40, 0.3), size=(2, 20))
    order = np.argsort(-p, axis=1)
    drawn = rng.integers(0, 40, 20)
    place = np.argmax(order == drawn[:, None], axis=1)
    ids = [
        [*row[:2], *([d] if at > 1 else [])] for row, d, at in zip(order, drawn, place, strict=True)
    ]
    columns = {
        "i": [[int(x) for x in row] for row in ids],
        "l": [np.log(p[n, row]).tolist() for n, row in enumerate(ids)],
        "r": [[1, 2, int(at) + 1][: len(row)] for row, at in zip(ids, place, strict=True)],
        "q": list(q + 0.0),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    truth = special.rel_entr(p, q).sum(axis=1).mean()
    found = []
    for given in (("topk:i,l,r",), ("topk:i,l", "--incomplete")):
        run = pandq(
            "compare", "t.parquet", "--p", *given, "--q", "probs:q", "--json", "-", cwd=tmp_path
        )
        assert run.returncode == 0, run.stderr
        (bounds,) = json.loads(run.stdout)["bounds"]
        found.append([bounds[x]["value"] for x in ("lower_bound", "upper_bound")])
    (low, high), (low_2, high_2) = found
    assert low == low_2 < truth < high < high_2


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
    "a limit that is no number": (
        ["both.parquet", *COMPARE, "--max-regression", "nan"],
        "--max-regression is not a number",
    ),
    "groups of one q": (
        ["base.kld", "small.kld", "--by", "base.chunk"],
        "by makes groups of differences, and there are none",
    ),
    "labels beside labels": (
        ["both.parquet", *COMPARE, "--labels", "label"],
        "labels have nothing to say here",
    ),
    "a floor for laws in full": (["both.parquet", *COMPARE, "--q-floor", "0.1"], "for a TopK"),
    "duplicates of one file": (
        ["both.parquet", *COMPARE, "--id-duplicates", "first"],
        "is for two files that --id joins",
    ),
    "three files to join": (
        ["one.parquet", "two.parquet", "both.parquet", "--id", "id", *COMPARE],
        "two files are joined by an id, got 3 files",
    ),
    "two files without an id": (
        ["one.parquet", "two.parquet", *COMPARE[:2], "--q", "probs:probs"],
        "two files are joined by --id",
    ),
    "an incomplete top of none": (
        ["both.parquet", *COMPARE, "--incomplete"],
        "--incomplete is for topk:IDS,LOG_PROBS",
    ),
    "a limit on top classes of no copy": (
        ["both.parquet", *COMPARE, "--min-same-top", "0.9"],
        "--min-same-top needs a P that is a reference's",
    ),
    "a limit on perplexities of no tokens": (
        ["both.parquet", *COMPARE, "--max-ppl-ratio", "2"],
        "--max-ppl-ratio needs a reference's distribution and --labels",
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
