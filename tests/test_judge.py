"""A judge's labels beside human ones: what an audit and a comparison of files say of them."""

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

import pandq
from pandq import InputError
from tests import commands

GUIDE = Path(__file__).parents[1] / "docs" / "guides" / "judge.md"


def command(*words, cwd):
    return commands.pandq(*words, cwd=cwd, env={**os.environ, "COLUMNS": "110"})


def table(n=80, others=400, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(3), n + others)
    y = (rng.random((len(p), 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
    human = y.astype(object)
    human[rng.permutation(n + others)[n:]] = None
    judge = np.where(rng.random(len(y)) < 0.9, y, (y + 1) % 3)
    return pa.table(
        {
            "human": pa.array(human.tolist(), pa.int64()),
            "judge": judge,
            "doc": np.arange(len(y)) // 4,
            **{f"a_{k}": 0.8 * p[:, k] + 0.2 / 3 for k in range(3)},
            **{f"b_{k}": 0.5 * p[:, k] + 0.5 / 3 for k in range(3)},
        }
    )


ROWS = {"p": "labels:human", "judge": "labels:judge"}


def test_an_audit_is_of_the_labelled_rows_and_the_judge_adds_to_it():
    rows = table()
    found = pandq.audit(pandq.scan(rows, q="probs:a_*", **ROWS), decompose=False)
    known = pandq.scan(rows, p="labels:human", q="probs:a_*", where="human IS NOT NULL")
    alone = pandq.audit(known, decompose=False)
    assert found.cross_entropy == alone.cross_entropy
    assert (found.judged.labelled, found.judged.unlabelled, alone.judged) == (80, 400, None)
    (model,) = found.judged.models
    mine = model.human_alone["cross_entropy"]
    assert (mine.low, mine.high) == pytest.approx(
        (alone.cross_entropy.low, alone.cross_entropy.high)
    )
    assert model.with_judge["cross_entropy"].half_width < mine.half_width
    assert "With the judge" in found.to_html()
    assert "80 rows have a human label" in found.to_text()
    assert "Fewer than 50 human labels" not in found.to_text()
    fewer = replace(found, judged=replace(found.judged, labelled=40))
    assert "Fewer than 50 human labels" in fewer.to_text()


def test_a_comparison_has_each_model_and_each_difference():
    rows = pandq.scan(table(), q=["probs:a_*", "probs:b_*"], **ROWS, cluster="doc")
    found = pandq.compare(rows, decompose=False)
    pairs = [(x.q, x.against) for x in found.judged.models]
    assert pairs == [("probs:a_*", None), ("probs:b_*", None), ("probs:b_*", "probs:a_*")]
    human = found.judged.models[2].human_alone["cross_entropy difference"]
    own = found.differences[0].cross_entropy
    assert (human.low, human.high) == pytest.approx((own.low, own.high), rel=1e-6)
    assert "probs:b_* less probs:a_*" in found.to_text()


@pytest.mark.parametrize("kind", ["csv", "parquet", "NaN"])
def test_a_missing_label_is_missing_in_every_kind_of_file(kind, tmp_path):
    rows, given = table(), str(tmp_path / f"rows.{kind}")
    if kind == "csv":
        pc.write_csv(rows, given)
    elif kind == "parquet":
        pq.write_table(rows, given)
    else:
        human = rows["human"].to_numpy().astype(np.float64)
        given = rows.set_column(0, "human", pa.array(human, from_pandas=False))
    judged = pandq.audit(
        pandq.scan(given, q="probs:a_*", where="doc < 60 -- some", **ROWS), decompose=False
    ).judged
    some = rows["human"].to_pylist()[:240]
    assert judged.unlabelled == some.count(None)
    assert judged.labelled == 240 - some.count(None)


def test_votes_on_some_rows_and_probabilities_of_a_judge_are_taken():
    rows = table()
    counts = [None if y is None else np.eye(3, dtype=int)[y] * 2 for y in rows["human"].to_pylist()]
    soft = list(0.9 * np.eye(3)[rows["judge"].to_numpy()] + 0.1 / 3)
    rows = rows.append_column(
        "votes", pa.array([None if x is None else x.tolist() for x in counts])
    )
    rows = rows.append_column("soft", pa.array([x.tolist() for x in soft]))
    given = pandq.scan(rows, p="counts:votes", q="probs:a_*", judge="probs:soft")
    judged = pandq.audit(given, decompose=False).judged
    assert judged.labelled == 80
    assert judged.models[0].weight["cross_entropy"] > 0


def test_a_row_with_a_vote_of_anybody_has_a_human_label():
    rows = table()
    human = rows["human"].to_pylist()
    other = [None if i % 3 else y for i, y in enumerate(human)]
    votes = rows.append_column("rater_a", pa.array(human)).append_column("rater_b", pa.array(other))
    given = pandq.scan(votes, p="votes:rater_*", q="probs:a_*", judge="labels:judge")
    judged = pandq.audit(given, decompose=False).judged
    assert (judged.labelled, judged.unlabelled) == (80, 400)


def test_what_is_said_of_the_numbers_of_p_is_not_said_of_the_judge():
    rows = table()
    own = [None if y is None else np.eye(3)[y].tolist() for y in rows["human"].to_pylist()]
    shares = (2 * np.eye(3)[rows["judge"].to_numpy()]).tolist()
    rows = rows.append_column("own", pa.array(own)).append_column("shares", pa.array(shares))
    given = {"p": "probs:own", "q": "probs:a_*", "judge": "probs:shares", "normalise": ["p"]}
    with pytest.raises(InputError, match="'shares'"):
        pandq.audit(pandq.scan(rows, **given), decompose=False)


def test_labels_that_are_names_are_those_of_the_judge():
    rows, names = table(), np.array(["cat", "dog", "fox"])
    human = [None if y is None else str(names[y]) for y in rows["human"].to_pylist()]
    judge = names[rows["judge"].to_numpy()].tolist()
    named = rows.set_column(0, "human", pa.array(human)).set_column(1, "judge", pa.array(judge))
    found = [
        pandq.audit(pandq.scan(x, q="probs:a_*", classes=names.tolist(), **ROWS), decompose=False)
        for x in (named, rows)
    ]
    assert found[0].judged == found[1].judged


def test_where_every_row_has_a_human_label_the_judge_is_not_needed():
    rows = table()
    rows = rows.set_column(0, "human", rows["judge"])
    judged = pandq.audit(pandq.scan(rows, q="probs:a_*", **ROWS), decompose=False).judged
    assert (judged.unlabelled, judged.p_value) == (0, None)
    assert set(judged.models[0].weight.values()) == {0.0}


def test_what_cannot_be_judged_is_refused():
    rows = table()
    none = rows.set_column(0, "human", pa.nulls(len(rows), pa.int64()))
    with pytest.raises(InputError, match="there are no rows"):
        pandq.audit(pandq.scan(none, q="probs:a_*", **ROWS))
    with pytest.raises(InputError, match="no column 'nobody'"):
        pandq.scan(rows, q="probs:a_*", p="labels:human", judge="labels:nobody")
    with pytest.raises(InputError, match="judge is text"):
        pandq.scan(rows, q="probs:a_*", p="labels:human", judge=3)
    with pytest.raises(InputError, match="has no label"):
        pandq.audit(pandq.scan(rows, q="probs:a_*", p="labels:judge", judge="labels:human"))


def test_arrays_have_no_missing_labels(tmp_path):
    np.savez(tmp_path / "rows.npz", p=np.zeros(4, int), j=np.zeros(4, int), q=np.full((4, 2), 0.5))
    for where in (None, "j = 0"):
        with pytest.raises(InputError, match="arrays do not have"):
            pandq.scan(
                tmp_path / "rows.npz", p="labels:p", q="probs:q", judge="labels:j", where=where
            )


def test_the_document_is_read_again():
    found = pandq.audit(pandq.scan(table(), q="probs:a_*", **ROWS), decompose=False)
    again = pandq.Audit.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.judged == found.judged
    assert again.judged.models[0].labels_for(0.05) == found.judged.models[0].labels_for(0.05)


def test_rows_chosen_by_their_outcome_are_said_first():
    rows = table(200, 1800, seed=2)
    chosen = np.stack([rows[f"a_{k}"].to_numpy() for k in range(3)], axis=1)
    right = chosen[np.arange(len(rows)), rows["judge"].to_numpy()] > 0.6
    human = np.where(right, rows["judge"].to_numpy(), -1).tolist()
    rows = rows.set_column(0, "human", pa.array([None if x < 0 else x for x in human]))
    found = pandq.audit(pandq.scan(rows, q="probs:a_*", **ROWS), decompose=False)
    assert [x.key for x in found.findings if x.key == "judge_sampling"]
    assert "no random sample" in found.to_text()
    both = pandq.scan(rows, q=["probs:a_*", "probs:b_*"], **ROWS)
    assert "no random sample" in pandq.compare(both, decompose=False).notes[0]


def test_the_worked_example_of_the_document_prints_what_stands_there(tmp_path):
    text = GUIDE.read_text(encoding="utf-8")
    made = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    subprocess.run([sys.executable, "-c", made], cwd=tmp_path, check=True)
    words = re.search(r"```sh\npandq (audit .*?)\n```", text, re.DOTALL)[1]
    run = command(*shlex.split(words), cwd=tmp_path)
    told = re.search(r"```text\n(.*?)```", text, re.DOTALL)[1]
    assert [x.rstrip() for x in run.stdout.splitlines()] == told.splitlines()
