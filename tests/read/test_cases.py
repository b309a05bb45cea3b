"""Files as people hold them, with answers that NumPy gave; they are no part of the repository."""

import json
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import pandq
from pandq.cli import cli
from pandq.read.ballots import ballots

CASES = Path(os.environ.get("PANDQ_CASES", Path(__file__).parents[3] / "shared" / "cases"))
PLACE = CASES / "layouts"
pytestmark = pytest.mark.skipif(not PLACE.is_dir(), reason="the cases are not here")

STUDIO = {"Positive": 127, "Neutral": 81, "Negative": 128}
# How `pandq votes` is told to read each; the votes of each class; H plug-in.
VOTES = {
    "lewidi_strings.json": ({"layout": "annotator-map"}, {"0": 421, "1": 59}, 0.1825),
    "wide_raters.tsv": (
        {"layout": "raters"},
        {"disagrees": 460, "neutral": 1017, "agrees": 923},
        0.4768,
    ),
    "likert_long_float.csv": (
        {"item": "item", "annotator": "user", "label": "offensiveness"},
        dict(zip("12345", [1266, 331, 249, 170, 116], strict=True)),
        0.7946,
    ),
    "label_studio.json": ({"layout": "label-studio"}, STUDIO, 0.3500),
    "label_studio_min.csv": ({"layout": "long"}, STUDIO, 0.3500),
    "prodigy.jsonl": ({"layout": "prodigy"}, STUDIO, 0.3500),
    "readers_small.csv": (
        {"layout": "raters"},
        dict(zip("0123", [20, 17, 15, 6], strict=True)),
        0.4260,
    ),
    "struct_votes_probs.jsonl": ({"layout": "label-counter"}, None, 0.3915),
}


@pytest.mark.parametrize("name", VOTES)
def test_votes_are_those_that_were_counted_elsewhere(name):
    options, totals, entropy = VOTES[name]
    found = ballots(PLACE / name, **options).votes
    table = np.asarray(found.counts if isinstance(found, pandq.Votes) else found)
    if totals is not None:
        assert dict(zip(found.classes, table.sum(axis=0).tolist(), strict=True)) == totals
    result = pandq.votes(found)
    assert result.plug_in_entropy.value == pytest.approx(entropy, abs=5e-5)
    if name == "readers_small.csv":
        assert result.floor is None


ORDER = {"classes": ["Positive", "Neutral", "Negative"]}
ROUNDED = {"normalise": ["q"]}
AUDITS = {
    "wide": (["wide_raters.tsv"], {"layout": "raters", "q": "probs:p_*", **ROUNDED}, 0.8282),
    "per item": (
        ["likert_long_float.csv"],
        {"layout": "long", "label": "offensiveness", "q": "probs:q_*", **ROUNDED},
        1.1980,
    ),
    "per answer": (
        ["likert_long_float.csv"],
        {"p": "labels:offensiveness", "q": "probs:q_*", "cluster": "item", **ROUNDED},
        1.1930,
    ),
    "label studio": (
        ["label_studio.json"],
        {"layout": "label-studio", "q": "probs:data.probs", **ORDER, **ROUNDED},
        0.6535,
    ),
    "structs": (
        ["struct_votes_probs.jsonl"],
        {"p": "counts:votes", "q": "probs:probs"},
        0.5278,
    ),
    "labels (n, 1)": (["labels_n1.npz"], {"p": "labels:labels", "q": "logits:logits"}, 0.2431),
    "a dataset saved to disk": (["hf_folder"], {}, 0.2431),
    "a submission": (["submission.csv", "solution.csv"], {"layout": "kaggle", **ROUNDED}, 0.2431),
}


@pytest.mark.parametrize("name", AUDITS)
def test_cross_entropy_is_what_numpy_says(name):
    files, options, right = AUDITS[name]
    rows = pandq.scan([PLACE / file for file in files], **options)
    found = pandq.audit(rows, decompose=False)
    assert found.cross_entropy.value == pytest.approx(right, abs=5e-5)


def test_rows_without_votes_are_left_out_by_the_condition_that_the_error_prints():
    asked = {"p": "counts:n_*", "q": "probs:p_*"}
    with pytest.raises(pandq.InputError, match=r"row 7 has no votes.*--where 'n_a \+ n_b > 0'"):
        pandq.audit(pandq.scan(PLACE / "zero_votes.csv", **asked), decompose=False)
    rows = pandq.scan(PLACE / "zero_votes.csv", **asked, where="n_a + n_b > 0")
    assert pandq.audit(rows, decompose=False).n == 298


# What the first command that `pandq inspect` prints gives: H plug-in, H(P,Q), or rows.
INSPECTED = {
    "label_studio.json": ("votes", 0.3500),
    "label_studio_min.csv": ("votes", 0.3500),
    "prodigy.jsonl": ("votes", 0.3500),
    "lewidi_strings.json": ("votes", 0.1825),
    "readers_small.csv": ("votes", 0.4260),
    "wide_raters.tsv": ("audit", 0.8282),
    "likert_long_float.csv": ("audit", 1.1980),
    "struct_votes_probs.jsonl": ("audit", 0.5278),
    "zero_votes.csv": ("audit", None),
    "labels_n1.npz": ("audit", 0.2431),
    "hf_folder": ("audit", 0.2431),
    "submission.csv solution.csv": ("audit", 0.2431),
}


@pytest.mark.parametrize("names", INSPECTED)
def test_the_first_command_that_inspect_prints_runs_and_is_right(names, monkeypatch):
    verb, right = INSPECTED[names]
    monkeypatch.chdir(PLACE)
    program, command, *words = shlex.split(pandq.inspect(names.split()).next_steps[0])
    assert (program, command) == ("pandq", verb)
    words += ["--no-decompose"] if verb == "audit" else []
    done = CliRunner().invoke(cli.commands[verb], [*words, "--json", "-"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    if right is None:
        assert found["n"] == 298
    else:
        name = "cross_entropy" if verb == "audit" else "plug_in_entropy"
        assert found[name]["value"] == pytest.approx(right, abs=6e-5)
