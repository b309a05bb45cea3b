"""Votes in columns: who said what, counted, in whatever form a table holds it."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import pandq
from pandq import InputError, scan
from pandq.cli import cli

CLASSES = ("cat", "dog", "eel")
Q = pa.array([[0.5, 0.25, 0.25]] * 3)
VOTES = [["cat", "dog", "cat"], ["eel"], ["dog", "dog"]]
COUNTS = [[2, 1, 0], [0, 0, 1], [0, 2, 0]]
FORMS = {
    "lists": pa.array(VOTES),
    "large lists of large strings": pa.array(VOTES, pa.large_list(pa.large_string())),
    "a dictionary": pa.array(VOTES, pa.list_(pa.dictionary(pa.int8(), pa.string()))),
    "gaps": pa.array([["cat", None, "dog", "cat"], ["", "eel"], ["dog", "-", "dog"]]),
    "maps": pa.array(
        [[("a", "cat"), ("b", "dog"), ("c", "cat")], [("b", "eel")], [("a", "dog"), ("c", "dog")]],
        pa.map_(pa.string(), pa.string()),
    ),
    "structs": pa.array(
        [
            {"a": "cat", "b": "dog", "c": "cat"},
            {"a": None, "b": "eel", "c": None},
            {"a": "dog", "b": None, "c": "dog"},
        ]
    ),
    "text with commas": pa.array(["cat,dog, cat", "eel", "dog,,dog"]),
    "text of json": pa.array(['["cat", "dog", "cat"]', '["eel"]', '["dog", "dog", null]']),
    "text of Python": pa.array(["['cat', 'dog', 'cat']", "['eel']", "['dog', None, 'dog']"]),
    "text of maps": pa.array(
        ['{"a": "cat", "b": "dog", "c": "cat"}', "{'a': 'eel'}", '{"a": "dog", "b": "dog"}']
    ),
}


def run(name, *words):
    """A command by itself: within the group click would keep the group's names of --help for it."""
    return CliRunner().invoke(cli.commands[name], words)


def table_of(**columns):
    n = len(next(iter(columns.values())))
    return pa.table({**columns, "probs": Q.take(pa.array([0] * n))})


def counted(table, p, **options):
    rows = scan(table, p=p, q="probs:probs", **{"classes": list(CLASSES), **options})
    return rows, np.concatenate([chunk.p.array for chunk in rows.chunks()]).tolist()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_votes_is_counted_alike(form):
    assert counted(table_of(votes=FORMS[form]), "votes:votes")[1] == COUNTS


def test_columns_of_annotators_are_votes_with_gaps():
    columns = {
        "r_1": pa.array(["cat", None, "dog"]),
        "r_2": pa.array(["dog", "eel", ""]),
        "r_10": pa.array(["cat", None, "dog"]),
    }
    for p in ("votes:r_*", "votes:r_1,r_2,r_10"):
        assert counted(table_of(**columns), p)[1] == COUNTS


@given(st.lists(st.lists(st.sampled_from(CLASSES), min_size=1), min_size=1, max_size=8))
def test_counts_are_those_that_python_counts(votes):
    _, found = counted(table_of(votes=pa.array(votes)), "votes:votes")
    assert found == [[row.count(name) for name in CLASSES] for row in votes]


def test_numbers_are_matched_with_numbers_by_value_and_never_shifted():
    votes = pa.array([[1.0, 2.0], [3.0], [1.0, 1.0]])
    _, found = counted(table_of(votes=votes), "votes:votes", classes=[1, 2, 3])
    assert found == [[1, 1, 0], [0, 0, 1], [2, 0, 0]]
    said = r"votes name 3 classes, and Q's 3 columns have no names, got 1,2,3.*--classes 1,2,3"
    with pytest.raises(InputError, match=said):
        counted(table_of(votes=votes), "votes:votes", classes=None)
    _, found = counted(table_of(votes=pa.array([[0, 1], [2, 2]])), "votes:votes", classes=None)
    assert found == [[1, 1, 0], [0, 0, 2]]


def test_text_of_numbers_in_csv_is_the_class_of_that_number(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("r1,r2,prob_0,prob_1\n1.0,1,0.5,0.5\n0.0,,0.5,0.5\n")
    rows = scan(file, p="votes:r1,r2", q="probs:prob_*")
    (chunk,) = rows.chunks()
    assert chunk.p.array.tolist() == [[0, 2], [1, 0]]


def test_names_without_an_order_are_refused_with_the_option_to_copy():
    with pytest.raises(InputError, match="--classes cat,dog,eel"):
        counted(table_of(votes=FORMS["lists"]), "votes:votes", classes=None)


def test_skipped_answers_are_left_out_and_counted():
    votes = pa.array([["cat", "can't tell"], ["can't tell", "dog"]])
    rows, found = counted(table_of(votes=votes), "votes:votes", skip="can't tell")
    assert found == [[1, 0, 0], [0, 1, 0]]
    assert 'left out: 2 answers that are "can\'t tell"' in rows.notes


@pytest.mark.parametrize("form", FORMS)
def test_the_first_votes_of_each_row_count_alone_and_the_later_ones_are_told(form):
    rows, found = counted(table_of(votes=FORMS[form]), "votes:votes", first=2)
    assert found == [[1, 1, 0], [0, 0, 1], [0, 2, 0]]
    said = "only the first 2 votes of each row count: 1 later ones were left out"
    assert f"{said}, and 1 rows have fewer than 2" in rows.notes
    assert any(note.startswith("5 votes (votes:votes)") for note in rows.notes)


def test_the_first_votes_are_those_that_are_left_when_others_were_skipped():
    votes = pa.array([["dog", "cat", "eel"], ["dog", "dog", "cat"]])
    assert counted(table_of(votes=votes), "votes:votes", first=1, skip="dog")[1] == [
        [1, 0, 0],
        [1, 0, 0],
    ]


@pytest.mark.parametrize("form", ["votes", "audit"])
def test_votes_of_minus_100_are_no_class_unless_it_is_named(form, tmp_path):
    table = table_of(v=[[0, 1, -100], [1, 1, -100]] * 3)
    path = tmp_path / "v.parquet"
    pa.parquet.write_table(table, path)
    more = () if form == "votes" else ("--q", "probs:probs")
    done = run(form, str(path), "--p", "votes:v", *more)
    assert "votes of -100, which mark what does not count, got 6 of 18" in str(done.exception)
    assert "--skip -100" in str(done.exception)
    assert run(form, str(path), "--p", "votes:v", *more, "--skip", "-100").exit_code == 0
    read = pandq.read.ballots.ballots(table, p="votes:v", classes=["0", "1", "-100"])
    assert read.votes.n_classes == 3


def test_the_first_votes_of_counts_are_not_known():
    table = table_of(n=pa.array([[2, 1, 0]]))
    with pytest.raises(InputError, match=r"does not hold their order, got --p counts:n. Give them"):
        counted(table, "counts:n", first=2)
    with pytest.raises(InputError, match="first is a whole number of votes, from 1, got 0"):
        counted(table_of(votes=FORMS["lists"]), "votes:votes", first=0)


def test_labels_that_differ_by_capitals_or_blanks_are_told_and_kept_apart():
    votes = pa.array([["Yes", "yes", "no"], ["yes "]])
    table = pa.table({"votes": votes, "probs": [[0.25] * 4] * 2})
    rows, found = counted(table, "votes:votes", classes=["no", "Yes", "yes", "yes "])
    assert found == [[1, 1, 1, 0], [0, 0, 0, 1]]
    said = "are classes apart: 'Yes' (1), 'yes' (1), 'yes ' (1)"
    assert any(said in note for note in rows.notes)


def test_the_classes_and_votes_are_stated():
    rows, _ = counted(table_of(votes=FORMS["lists"]), "votes:votes")
    assert "6 votes (votes:votes) of 3 rows for 3 classes: cat, dog, eel" in rows.notes


TWICE = {
    "votes": pa.array([["cat", "dog"], ["dog", "eel", "dog"]]),
    "who": pa.array([["ann", "ann"], ["ann", "bob", "eve"]]),
}


def test_an_annotator_who_answered_twice_is_refused_or_counts_once():
    table, p = table_of(**TWICE), "votes:votes,annotators:who"
    with pytest.raises(InputError, match=r"'ann' answered row 0 twice \(1 answers too many"):
        counted(table, p)
    assert counted(table, p, duplicates="first")[1] == [[1, 0, 0], [0, 2, 1]]
    assert counted(table, p, duplicates="last")[1] == [[0, 1, 0], [0, 2, 1]]
    assert any("1 further answers" in x for x in counted(table, p, duplicates="last")[0].notes)


def test_annotators_that_are_not_known_may_answer_twice():
    table = table_of(votes=TWICE["votes"], who=pa.array([[None, None], ["ann", "bob", "eve"]]))
    assert counted(table, "votes:votes,annotators:who")[1] == [[1, 1, 0], [0, 2, 1]]


BAD = {
    "annotators of another length": (
        {"votes": pa.array([["cat"], ["dog"]]), "who": pa.array([["a"], ["a", "b"]])},
        "votes:votes,annotators:who",
        "row 1 has 1 labels of 2 annotators",
    ),
    "rows without a vote": (
        {"votes": pa.array([["cat"], [], None, [None]])},
        "votes:votes",
        r"3 of 4 rows have no vote, the first is row 1.*--where 'len\(votes\) > 0'",
    ),
    "no vote at all": (
        {"votes": pa.array([[], None], pa.list_(pa.string()))},
        "votes:votes",
        "no vote in any of 2 rows",
    ),
    "classes in P only": (
        {"votes": pa.array([["cat", "dgo", "fox"], ["dgo"]])},
        "votes:votes",
        r"3 votes name 2 classes that Q does not have, got 'dgo' \(2\), 'fox' \(1\)",
    ),
    "an empty map": (
        {"votes": pa.array([[("cat", 1)], []], pa.map_(pa.string(), pa.int64()))},
        "counts:votes",
        "names no class in 1 of 2 rows, the first is row 1",
    ),
    "a broken list": (
        {"votes": pa.array(["['cat'", "cat"])},
        "votes:votes",
        "row 0 is no list or map of labels",
    ),
    "lists of lists": ({"votes": pa.array([[["cat"]]])}, "votes:votes", "not one label"),
    "an unknown column": ({"votes": pa.array(["a"])}, "votes:vots", "Did you mean 'votes'"),
    "unknown annotators": (
        {"votes": pa.array(["a"])},
        "votes:votes,annotators:wo",
        "no column 'wo'",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_counted_is_one_line_with_counts(name):
    columns, p, said = BAD[name]
    with pytest.raises(InputError, match=said):
        counted(table_of(**columns), p)


def test_structs_and_maps_bring_their_classes_in_any_order():
    p = pa.array([[("dog", 1), ("cat", 2)], [("eel", 1)]], pa.map_(pa.string(), pa.int64()))
    q = pa.array([{"eel": 0.25, "cat": 0.25, "dog": 0.5}, {"eel": 0.5, "cat": 0.25, "dog": 0.25}])
    rows = scan(pa.table({"counts": p, "probs": q}))
    (chunk,) = rows.chunks()
    assert rows.classes == ("eel", "cat", "dog")
    assert chunk.p.array.tolist() == [[0, 2, 1], [1, 0, 0]]
    assert chunk.q.array.tolist() == [[0.25, 0.25, 0.5], [0.5, 0.25, 0.25]]


def test_a_class_that_a_map_of_logits_lacks_is_named_and_one_of_probabilities_has_none():
    maps = pa.array([[("a", 0.5), ("b", 0.5)], [("a", 1.0)]], pa.map_(pa.string(), pa.float64()))
    table = pa.table({"label": ["a", "a"], "m": maps})
    (chunk,) = scan(table, p="labels:label", q="probs:m").chunks()
    assert chunk.q.array.tolist() == [[0.5, 0.5], [1.0, 0.0]]
    rows = scan(table, p="labels:label", q="logits:m")
    with pytest.raises(InputError, match="row 1 has no value for class 'b'"):
        list(rows.chunks())


def test_fields_that_only_later_rows_of_json_have_are_counted(tmp_path):
    file = tmp_path / "x.jsonl"
    lines = [{"votes": {"a": 1}, "probs": {"a": 0.5, "b": 0.5}}] * 25_000
    lines.append({"votes": {"b": 2}, "probs": {"a": 0.5, "b": 0.5}})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    last = list(scan(file, p="counts:votes", q="probs:probs").chunks())[-1]
    assert last.p.array[-1].tolist() == [0, 2]


def test_a_fit_takes_votes():
    x = pa.array([[0.0], [1.0], [2.0], [3.0]])
    votes = pa.array([["b", "a"], ["a"], ["b"], ["b", "b"]])
    rows = pandq.scan_features(pa.table({"x": x, "votes": votes}), p="votes:votes")
    (chunk,) = rows.chunks()
    assert rows.classes == ("a", "b")
    assert chunk.p.array.tolist() == [[1, 1], [1, 0], [0, 1], [0, 2]]


def test_the_command_line_takes_annotators_as_a_second_p(tmp_path):
    pandq_table = table_of(**TWICE)
    file = tmp_path / "x.parquet"
    pa.parquet.write_table(pandq_table, file)
    options = ["--p", "votes:votes", "--p", "annotators:who", "--classes", "cat,dog,eel"]
    asked = ["audit", str(file), *options, "--q", "probs:probs", "--no-decompose", "--json", "-"]
    refused = run(*asked)
    assert "answered row 0 twice" in str(refused.exception)
    told = run(*asked, "--duplicates", "first")
    assert json.loads(told.stdout)["source"]["p"] == "votes:votes,annotators:who"
