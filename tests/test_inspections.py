"""What the columns of a table may be."""

import io
import json
import shlex

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import pandq
from pandq import InputError
from pandq.cli.app import cli
from pandq.report.terminal.console import Page
from pandq.report.terminal.inspection import inspection
from pandq.results.inspection import Inspection
from tests.read.test_arrays import write_kld

DRAW = np.random.default_rng(1)
TABLE = pa.table(
    {
        "label": np.arange(40) % 3,
        "raters": list(DRAW.multinomial(4, np.ones(3) / 3, 40)),
        "guess": list(DRAW.dirichlet(np.ones(3), 40)),
        "logs": list(np.log(DRAW.dirichlet(np.ones(3), 40))),
        "logits": list(DRAW.normal(size=(40, 3))),
        "site": ["north"] * 40,
        "age": np.linspace(20, 80, 40),
    }
)


def test_every_column_is_told_with_its_type_first_value_and_what_it_may_be():
    found = pandq.inspect(TABLE)
    assert [x.name for x in found.columns] == TABLE.column_names
    assert {x.name: x.may_be for x in found.columns} == {
        "label": "labels",
        "raters": "counts",
        "guess": "probs",
        "logs": "logprobs",
        "logits": "logits",
        "site": "",
        "age": "",
    }
    assert (found.columns[0].type, found.columns[0].first) == ("int64", "0")
    assert found.rows == 40


def test_candidates_are_those_of_the_names_and_then_those_of_the_rows():
    found = pandq.inspect(TABLE)
    assert found.p == ("labels:label", "counts:raters")
    assert found.q == ("logits:logits", "probs:guess", "logprobs:logs")


def test_the_first_candidates_are_what_to_run_next(tmp_path):
    path = tmp_path / "it's x.parquet"
    pq.write_table(TABLE, path)
    for data in (path, str(path), [path]):
        step = pandq.inspect(data).next_steps[0]
        assert step.startswith("pandq audit ")
        assert step.endswith("--p labels:label --q logits:logits")
    call = pandq.inspect(TABLE).next_steps[0]
    assert call == "pandq.audit(pandq.scan(table, p='labels:label', q='logits:logits'))"
    scanned = pandq.scan(TABLE, p="labels:label", q="logits:logits")
    assert pandq.audit(scanned).n == 40


def test_it_prints_what_the_command_prints(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(TABLE, path)
    text = str(pandq.inspect(path))
    assert "x.parquet: 40 rows, 7 columns" in text
    assert "  raters: list<element: int64>, first [" in text
    assert "P, what is true, may be: labels:label, counts:raters" in text
    assert "Next: pandq audit" in text


def test_it_is_a_document():
    found = pandq.inspect(TABLE)
    told = json.loads(json.dumps(found.to_dict()))
    assert set(told) == {"name", "rows", "columns", "p", "q", "next_steps", "layouts", "notes"}
    assert Inspection.of(pandq.documents.Value.of(told, "inspection"), 0.95) == found


def test_a_table_without_candidates_says_so():
    found = pandq.inspect(pa.table({"age": [1.5, 2.5]}))
    assert (found.p, found.q) == ((), ())
    assert "no column; say which one it is" in str(found)
    assert "KIND:COLUMN" in found.next_steps[0]


def test_no_rows_are_a_table_too():
    found = pandq.inspect(TABLE[:0])
    assert found.rows == 0
    assert {x.first for x in found.columns} == {""}


@pytest.mark.parametrize("data", ["no.parquet", 7, None, np.ones(3), []])
def test_what_is_no_table_is_refused(data):
    with pytest.raises(InputError):
        pandq.inspect(data)


def test_a_command_is_whole_with_what_its_first_rows_need(tmp_path):
    """Sums that were rounded, rows without votes, labels and families of any name."""
    path = tmp_path / "x.csv"
    path.write_text("mood,q_1,q_2\n" + "1,0.3333,0.6666\n2,0.25,0.75\n2,0.5,0.5\n1,0.1,0.9\n" * 3)
    step = pandq.inspect(path).next_steps[0]
    assert step == f"pandq audit {path} --p labels:mood --q 'probs:q_*' --normalise q"
    path.write_text("n_a,n_b,p_a,p_b\n2,1,0.4,0.6\n0,0,0.5,0.5\n1,1,0.2,0.8\n")
    steps = pandq.inspect(path).next_steps
    keep = "--where 'n_a + n_b > 0'"
    assert steps[0] == f"pandq audit {path} --p 'counts:n_*' --q 'probs:p_*' {keep}"
    assert steps[1] == f"pandq votes {path} --p 'counts:n_*' {keep}"


def test_sums_that_are_far_from_one_are_not_rescaled_on_the_quiet(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("label,prob_0,prob_1\n" + "0,0.9,0.8\n1,0.1,0.3\n" * 5)
    assert all("normalise" not in step for step in pandq.inspect(path).next_steps)


def test_the_order_of_classes_is_asked_for_where_no_column_says_it():
    rows = {"label": ["no", "yes", "yes", "no"], "probs": [[0.75, 0.25]] * 4}
    found = pandq.inspect(pa.table(rows))
    assert "classes='ORDER'" in found.next_steps[0]
    assert found.notes == ("ORDER is no,yes in the order of Q's columns, which have no names",)
    assert "ORDER is no,yes" in str(found)


def test_other_commands_are_proposed_where_they_fit(tmp_path):
    path = tmp_path / "x.parquet"
    two = list(DRAW.dirichlet(np.ones(3), 40))
    more = {"features": list(DRAW.normal(size=(40, 2))), "other": two}
    table = TABLE.select(["label", "raters", "guess"])
    for name, column in more.items():
        table = table.append_column(name, [column])
    pq.write_table(table, path)
    steps = pandq.inspect(path).next_steps
    assert [step.split()[1] for step in steps] == ["audit", "compare", "votes", "fit"]
    assert steps[1].endswith("--p labels:label --q probs:guess --q probs:other")
    assert steps[3].endswith("--x features --p labels:label --model softmax --out model")


def test_truth_without_predictions_is_proposed_to_be_joined_with_them(tmp_path):
    path = tmp_path / "truth.csv"
    path.write_text("id,label\n" + "".join(f"{k}.png,{'ab'[k % 2]}\n" for k in range(9)))
    step = pandq.inspect(path).next_steps[0]
    assert step.startswith(f"pandq audit PREDICTIONS {path} --id id --p labels:label --q")


@pytest.mark.parametrize("columns", [3, 30])
def test_it_is_never_more_than_a_screen(columns, tmp_path):
    path = tmp_path / "x.csv"
    names = [f"a_column_of_a_long_name_{k}" for k in range(columns)]
    lines = [",".join(["label", "prob_0", "prob_1", *names])]
    lines += [",".join([str(k % 2), "0.5", "0.5", *["words " * 20] * columns]) for k in range(9)]
    path.write_text("\n".join(lines))
    found = pandq.inspect(path)
    console = Page(width=80, color_system=None, file=io.StringIO())
    for part in inspection(found, 80):
        console.print(part, soft_wrap=isinstance(part, str))
    shown = console.file.getvalue().splitlines()
    assert sum(1 + max(len(line.rstrip()) - 1, 0) // 80 for line in shown) <= 24
    assert found.next_steps[0] in console.file.getvalue()
    assert ("more columns" in console.file.getvalue()) == (columns == 30)


@pytest.mark.parametrize("name", ["image", "id"])
def test_predictions_and_votes_in_two_files_are_a_pair_by_the_column_that_names_their_rows(
    tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    items, law = [f"i{i}" for i in range(60)], [[0.7, 0.3]] * 60
    pq.write_table(pa.table({"image": items, "probs": law}), "preds.parquet")
    pq.write_table(pa.table({name: items, "counts": [[2, 1]] * 60}), "votes.parquet")
    found = pandq.inspect(["preds.parquet", "votes.parquet"])
    words = "pandq audit preds.parquet votes.parquet --id image --p counts:other.counts"
    assert found.next_steps[0] == f"{words} --q probs:probs"
    run = CliRunner().invoke(cli, shlex.split(found.next_steps[0])[1:])
    assert (run.exit_code, "60 rows in both files" in run.output) == (0, True)


def test_two_files_that_nothing_joins_are_told_how_to_be(tmp_path):
    files = [tmp_path / "a.csv", tmp_path / "b.parquet"]
    files[0].write_text("label,score\n1,0.5\n")
    pq.write_table(pa.table({"x": [0.5]}), files[1])
    with pytest.raises(InputError, match="joined by --id COLUMN"):
        pandq.inspect(files)


def test_how_many_chose_each_class_is_no_list_of_labels():
    rows = np.random.default_rng(0)
    counts = rows.multinomial(3, [0.5, 0.3, 0.2], 60)
    law = list(rows.dirichlet(np.ones(3), 60))
    found = pandq.inspect(pa.table({"votes": counts.tolist(), "probs": law}))
    assert (
        found.next_steps[0] == "pandq.audit(pandq.scan(table, p='counts:votes', q='probs:probs'))"
    )
    assert not any("layout" in step for step in found.next_steps)


HELD = [[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 1, 1]] * 10
SIGMOID = DRAW.uniform(0.05, 0.95, (40, 3))


@pytest.mark.parametrize(
    ("columns", "asked"),
    [
        ({"labels": HELD, "scores": SIGMOID.tolist()}, "--p probs:labels --q probs:scores"),
        ({"y": HELD, "outputs": (SIGMOID * 9 - 4).tolist()}, "--p probs:y --q logits:outputs"),
        (
            {"t_a": [x[0] for x in HELD], "t_b": [x[1] for x in HELD]}
            | {"prob_a": SIGMOID[:, 0], "prob_b": SIGMOID[:, 1]},
            "--p 'probs:t_*' --q 'probs:prob_*'",
        ),
        (
            {"tags": [["a", "b"], [], ["b"], ["a"]] * 10}
            | {"prob_a": SIGMOID[:, 0], "prob_b": SIGMOID[:, 1]},
            "--p labels:tags --q 'probs:prob_*'",
        ),
    ],
)
def test_classes_of_which_any_number_may_hold_are_audited_class_by_class(columns, asked, tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), path)
    found = pandq.inspect(path)
    assert found.next_steps[0] == f"pandq audit {path} --multilabel {asked}"
    assert not any(step.startswith("pandq votes") for step in found.next_steps)
    run = CliRunner().invoke(cli, shlex.split(found.next_steps[0])[1:])
    assert run.exit_code == 0


def test_one_vote_each_of_zero_and_one_is_no_multilabel():
    """Rows of 0 and 1 that sum to one are counts, and columns of raters are votes."""
    counts = {"counts": [[1, 0], [0, 1]] * 20, "probs": [[0.3, 0.7]] * 40}
    assert "multilabel" not in str(pandq.inspect(pa.table(counts)))
    raters = {f"rater_{i}": DRAW.integers(0, 2, 40) for i in range(3)} | {"id": np.arange(40)}
    assert pandq.inspect(pa.table(raters)).next_steps[0].startswith("pandq.votes(")


LAW = DRAW.dirichlet(np.ones(3), 40).tolist()


@pytest.mark.parametrize(
    ("votes", "kind"),
    [
        ([[2, 2, 1]] * 40, "counts"),  # of five people
        ([[0, 2, 1, 1, 2]] * 40, "votes"),  # what five people said
        ([[0, 2], [1, 1, 2]] * 20, "votes"),
        ([[0, 0, 0], [0, 2, 1], [1, 1, 2], [2, 2, 2]] * 10, "votes"),
    ],
)
def test_of_a_label_and_votes_the_votes_are_proposed_first(votes, kind):
    table = pa.table({"label": DRAW.integers(0, 3, 40), "votes": votes, "probs": LAW})
    steps = pandq.inspect(table).next_steps
    assert steps[0] == f"pandq.audit(pandq.scan(table, p='{kind}:votes', q='probs:probs'))"
    assert steps[1].startswith("pandq.votes(")


def test_logits_of_a_reference_and_of_copies_are_compared(tmp_path):
    tokens = np.arange(24) % 8
    files = [
        write_kld(tmp_path / name, DRAW.normal(size=(24, 8)), tokens, 12)
        for name in ("base.kld", "small.kld")
    ]
    found = pandq.inspect(files)
    assert found.next_steps == (f"pandq compare {files[0]} {files[1]}",)
    assert found.notes == ("the first file is the reference",)
    assert CliRunner().invoke(cli, shlex.split(found.next_steps[0])[1:]).exit_code == 0


def test_columns_that_end_in_numbers_are_one_law_and_the_one_called_q_is_q(tmp_path):
    p, q = DRAW.dirichlet(np.ones(3), 40), DRAW.dirichlet(np.ones(3), 40)
    columns = {f"{name}{k}": x[:, k] for name, x in (("p", p), ("q", q)) for k in range(3)}
    pq.write_table(pa.table(columns), tmp_path / "both.parquet")
    file = str(tmp_path / "both.parquet")
    assert pandq.inspect(file).next_steps == (f"pandq audit {file} --p 'probs:p*' --q 'probs:q*'",)
    labels = pa.table({"label": np.arange(40) % 3, **{x: columns[x] for x in ("q0", "q1", "q2")}})
    assert pandq.inspect(labels).q == ("probs:q*",)


def test_answers_beside_predictions_are_brought_together_first_and_then_a_pair(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    answers = [f"{i},w{a},{'ab'[(i + a * (i % 3)) % 2]}" for i in range(60) for a in range(3)]
    (tmp_path / "answers.csv").write_text("item,worker,answer\n" + "\n".join(answers) + "\n")
    rows = [f"{i},0.6,0.4" for i in range(60)]
    (tmp_path / "pred.csv").write_text("item,a,b\n" + "\n".join(rows) + "\n")
    first = pandq.inspect(["answers.csv", "pred.csv"]).next_steps
    words = "pandq votes answers.csv --layout long --out votes.parquet"
    assert first == (words, "pandq inspect pred.csv votes.parquet")
    assert pandq.inspect(["pred.csv", "answers.csv"]).next_steps == first
    run = CliRunner().invoke(cli, shlex.split(first[0])[1:])
    assert run.exit_code == 0
    then = pandq.inspect(["pred.csv", "votes.parquet"]).next_steps
    words = "pandq audit pred.csv votes.parquet --id item"
    people = "votes:other.votes,annotators:other.annotators"
    assert then[0] == f"{words} --p {people} --q probs:a,b"
    assert CliRunner().invoke(cli, shlex.split(then[0])[1:]).exit_code == 0


def test_a_nested_log_of_more_rows_than_are_looked_at_is_told_its_layout(tmp_path):
    seen = [{"token": x, "logprob": p, "bytes": None} for x, p in (("A", -0.2), ("B", -1.7))]
    told = [{"token": "A", "logprob": -0.2, "bytes": None, "top_logprobs": seen}] * 3
    choice = {"index": 0, "logprobs": {"content": told}}
    answer = {"response": {"body": {"choices": [choice]}}}
    lines = [json.dumps({"custom_id": f"r{i}", **answer}) for i in range(150)]
    (tmp_path / "oa.jsonl").write_text("\n".join(lines) + "\n")
    assert "openai" in pandq.inspect(tmp_path / "oa.jsonl").layouts
