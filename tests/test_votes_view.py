"""Votes: ragged answers of several people as counts, who gave them, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pandq
from pandq import Counts, InputError, Probs, RowError, ViewTypeError, Votes

NAN = float("nan")

FORMS = {
    "lists": [["b", "a", "b"], [], ["a"]],
    "gaps": [["b", None, "a", "b", NAN], [None], ["a"]],
    "no row": [["b", "a", "b"], None, ["a"]],
    "arrays": [np.array(["b", "a", "b"]), np.array([]), np.array(["a"])],
    "a matrix": np.array([["b", "a", "b"], [None, None, None], [None, "a", None]], object),
    "a series": pd.Series([["b", "a", "b"], [], ["a"]]),
}


@pytest.mark.parametrize("form", FORMS)
def test_votes_are_the_same_in_any_ragged_form(form):
    votes = Votes(FORMS[form])
    assert votes.classes == ("a", "b")
    assert votes.table.tolist() == [[1, 2], [0, 0], [1, 0]]
    assert votes.offsets.tolist() == [0, 3, 3, 4]
    assert (votes.offsets.dtype, votes.codes.dtype) == (np.int64, np.int32)
    assert votes.annotators is None
    assert votes.notes == ()


@given(
    st.lists(st.lists(st.sampled_from(["no", "yes", "?", None]), max_size=6), max_size=12),
    st.randoms(use_true_random=False),
)
def test_long_columns_in_any_order_are_the_votes_of_lists(rows, random):
    answers = [(i, a, x) for i, row in enumerate(rows) for a, x in enumerate(row)]
    random.shuffle(answers)
    items, people, labels = zip(*answers, strict=True) if answers else ((), (), ())
    long = Votes.from_columns(items, labels, people)
    wide = Votes(rows, [list(range(len(row))) for row in rows])
    assert long.classes == wide.classes
    assert len(long) == len({i for i, _, _ in answers})
    for row, item in enumerate(long.items):
        one, other = long[row], wide[int(item)]
        said = [
            dict(zip(np.array(v.annotator_names)[v.annotators], v.codes, strict=True))
            for v in (one, other)
        ]
        assert said[0] == said[1]
        assert (one.table == other.table).all()


def test_classes_are_sorted_and_numbers_by_value():
    assert Votes([["b", "B", "ä", "a"]]).classes == ("B", "a", "b", "ä")
    assert Votes([[10, 9], [2]]).classes == ("2", "9", "10")
    assert Votes([[1.0, 5.0]]).classes == ("1", "5")
    assert Votes([["10", "9"]]).classes == ("9", "10")
    assert Votes([["10", "9", "none"]]).classes == ("10", "9", "none")
    assert Votes([[True, False]]).classes == ("False", "True")
    assert Votes([[float("inf"), 0.5, b"a", pd.NA, np.float32(2)]]).n_classes == 4


def test_labels_that_are_numbers_are_positions_or_names_as_in_labels():
    assert Votes([[0, 1, 1]], classes=["cat", "dog"]).table.tolist() == [[1, 2]]
    assert Votes([[1, 2, 2]], classes=["2", "1", "3"]).table.tolist() == [[2, 1, 0]]
    assert Votes([], classes=["cat", "dog"]).table.shape == (0, 2)


def test_names_that_differ_by_case_or_blanks_are_told_and_not_merged():
    votes = Votes([["Yes", "yes", "yes ", "no"]])
    assert votes.n_classes == 4
    (note,) = votes.notes
    assert "'Yes' (1), 'yes' (1), 'yes ' (1)" in note
    found = pandq.audit(votes, Probs([[0.25] * 4]), decompose=False)
    assert note in found.notes


def test_the_first_votes_of_each_row_are_those_that_were_given_first():
    votes = Votes(
        [["b", "a", "a"], ["b"], [], ["a", "b"]], [["x", "y", "z"], ["x"], [], ["z", "x"]]
    )
    first = votes.first(2)
    assert first.table.tolist() == [[1, 1], [0, 1], [0, 0], [1, 1]]
    assert [first.annotator_names[k] for k in first.annotators] == ["x", "y", "x", "z", "x"]
    told = "only the first 2 votes of each row count: 1 later ones were left out"
    assert first.notes == (f"{told}, and 2 rows have fewer than 2",)
    for k in (0, 1.5, True, "two"):
        with pytest.raises(InputError, match="first is a whole number of votes"):
            votes.first(k)


REFUSED = {
    "one label a row": (lambda: Votes(["a", "b"]), "row 0 is not a sequence of labels.*Labels"),
    "a view": (lambda: Votes(Counts([[1, 2]])), "a sequence for each row, got Counts"),
    "text": (lambda: Votes("ab"), "a sequence for each row, got str"),
    "an unknown class": (
        lambda: Votes([["a"], ["a", "c"]], classes=["a", "b"]),
        "Votes row 1 has a label that is no class name, got 'c'",
    ),
    "a position out of range": (
        lambda: Votes([[0], [], [1, 2]], classes=["a", "b"]),
        "Votes row 2 has a class out of range for 2 classes.*got 2",
    ),
    "one number in two spellings": (lambda: Votes([["1", "1.0"]]), "two classes have the same"),
    "too few annotators": (
        lambda: Votes([["a"], ["a", "b"]], [["x"], ["x"]]),
        "row 1 has labels without annotators, or the reverse, got 2 labels and 1 annotators",
    ),
    "too few rows of annotators": (lambda: Votes([["a"], ["a"]], [["x"]]), "got 1 and 2"),
    "too few columns": (
        lambda: Votes([["a", "b"], ["a"]], ["x", "y"]),
        "row 1 has another length than the list of annotators, got 1 labels for 2",
    ),
    "a missing annotator": (
        lambda: Votes([["a"], ["a", "b"]], [["x"], ["x", None]]),
        "row 1 has a label whose annotator is missing, got 1 of 3 answers without one",
    ),
    "a missing item": (lambda: Votes.from_columns(["i", None], "ab"), "row 1 has no item"),
    "columns of two lengths": (lambda: Votes.from_columns(["i"], "ab", "x"), "got 1 and 2 and 1"),
    "a word for duplicates": (
        lambda: Votes([["a"]], [["x"]], duplicates="mean"),
        "got 'mean'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_votes_are_refused_by_row(case):
    build, text = REFUSED[case]
    with pytest.raises(InputError, match=text):
        build()


def test_an_item_answered_twice_by_one_is_refused_unless_it_is_said_which_answer_counts():
    columns = (["i", "j", "i", "i"], ["a", "a", "b", "a"], ["x", "x", "x", "y"])
    with pytest.raises(InputError, match=r"'x' on item 'i'; 1 such answers in all.*duplicates="):
        Votes.from_columns(*columns)
    first = Votes.from_columns(*columns, duplicates="first")
    last = Votes.from_columns(*columns, duplicates="last")
    assert first.table.tolist() == [[2, 0], [1, 0]]
    assert last.table.tolist() == [[1, 1], [1, 0]]
    assert "1 answer was left out" in first.notes[0]
    with pytest.raises(InputError, match="'x' on row 0"):
        Votes([["a", "b"]], [["x", "x"]])
    gap = Votes([["a", None]], [["x", "x"]])  # no answer is none, whoever gave it
    assert gap.table.tolist() == [[1]]


def test_a_row_without_votes_is_no_counts():
    votes = Votes([["a"], [], ["b"]])
    assert votes.votes.tolist() == [1, 0, 1]
    with pytest.raises(RowError, match="row 1 has no votes"):
        votes.counts  # noqa: B018


def test_rows_are_taken_with_their_annotators_and_items():
    votes = Votes.from_columns("iijkk", ["a", "b", "a", "b", "b"], "xyxyz")
    some = votes[[2, 0]]
    assert some.items.tolist() == ["k", "i"]
    assert some.table.tolist() == [[0, 2], [1, 1]]
    assert [some.annotator_names[a] for a in some.annotators] == ["y", "z", "x", "y"]
    assert [row.items[0] for row in votes] == ["i", "j", "k"]
    assert votes[:0].table.shape == (0, 2)
    with pytest.raises(TypeError, match=r"x\.counts"):
        np.asarray(votes)


def test_votes_are_taken_wherever_counts_are():
    rng = np.random.default_rng(3)
    rows = rng.integers(0, 3, (40, 4))
    people = ["a", "b", "c", "d"]
    votes = Votes(rows, people, classes=["0", "1", "2"])
    q = Probs(rng.dirichlet([1, 1, 1], 40))
    counts = Counts(votes.table)
    assert pandq.cross_entropy(votes, q).tolist() == pandq.cross_entropy(counts, q).tolist()
    unknown = Votes(rows, classes=["0", "1", "2"])
    one, other, known = (pandq.audit(p, q, decompose=False) for p in (unknown, counts, votes))
    assert one.cross_entropy == other.cross_entropy
    assert known.cross_entropy.value == other.cross_entropy.value
    pair = [pandq.compare(p, q, Probs([[1 / 3] * 3] * 40)) for p in (unknown, counts)]
    assert pair[0].differences[0].cross_entropy == pair[1].differences[0].cross_entropy
    auditor = pandq.Auditor()
    auditor.update(votes[:20], q[:20], ids=range(20))
    auditor.update(votes[20:], q[20:], ids=range(20, 40))
    assert auditor.result().cross_entropy.value == pytest.approx(one.cross_entropy.value)
    with pytest.raises(InputError, match="different numbers of classes"):
        pandq.audit(votes, Probs([[0.5, 0.5]] * 40))
    with pytest.raises(ViewTypeError, match=r"Votes\(lists\)"):
        pandq.audit(rows, q)


def test_a_regression_fits_votes_as_their_counts_and_names_the_classes():
    x = np.arange(12.0)[:, None]
    rows = [["no", "no", "yes"]] * 6 + [["yes", "no", "yes"]] * 6
    fitted = pandq.SoftmaxRegression().fit(x, Votes(rows))
    of_counts = pandq.SoftmaxRegression().fit(x, Counts(Votes(rows).table))
    assert fitted.classes_.tolist() == ["no", "yes"]
    assert fitted.coef_.tolist() == of_counts.coef_.tolist()


def test_votes_are_constants_in_a_loss_of_torch():
    torch = pytest.importorskip("torch")
    x = torch.zeros((2, 2), requires_grad=True)
    votes = Votes([["a", "b"], ["b"]])
    loss = pandq.torch.cross_entropy(votes, pandq.torch.Logits(x))
    assert loss.detach().numpy() == pytest.approx(np.log(2))
