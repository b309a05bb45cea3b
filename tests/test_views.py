"""Views: what they refuse, which row they name, what they advise; and what they mean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pandq
from pandq import (
    BFLOAT16,
    Counts,
    InputError,
    Labels,
    Logits,
    LogProbs,
    PandqError,
    Probs,
    RowError,
    ViewTypeError,
    entropy,
    kl_divergence,
)
from pandq.views import VIEWS, paired

NAN, INF = float("nan"), float("inf")
MATRIX_VIEWS = [Counts, Probs, LogProbs, Logits]

BAD_ROWS = {
    "Labels below 0": (Labels, 0, -1, "is below 0, got -1"),
    "Labels beyond the classes": (
        lambda x: Labels(x, 3),
        0,
        3,
        r"is out of range for 3 classes \(0 to 2\), got 3",
    ),
    "Labels with a fraction": (
        lambda x: Labels(x.astype(float)),
        0,
        0.5,
        "is not a class number, got 0.5.* Soft labels are Probs",
    ),
    "Labels that are NaN": (Labels, 0.0, NAN, "is not a class number, got nan"),
    "Labels that are inf": (Labels, 0.0, INF, "is not a class number, got inf"),
    "Counts with NaN": (Counts, [1.0, 2.0], [1.0, NAN], "holds NaN"),
    "Counts with a fraction": (
        Counts,
        [1.0, 2.0],
        [0.5, 0.5],
        "is not whole numbers of votes, got 0.5 in class 0. .*Probs",
    ),
    "Counts with inf": (Counts, [1.0, 2.0], [1.0, INF], "is not whole numbers of votes, got inf"),
    "Counts below 0": (Counts, [1, 2], [3, -1], "has a negative count, got -1 in class 1"),
    "Counts without votes": (Counts, [1, 2], [0, 0], "has no votes: all zero. .*--where"),
    "Probs with NaN": (Probs, [0.5, 0.5], [NAN, 0.5], "holds NaN"),
    "Probs below 0": (
        Probs,
        [0.5, 0.5],
        [1.5, -0.5],
        r"has a negative probability, got -0.5 in class 1. .*Logits\(x\)",
    ),
    "Probs with inf": (Probs, [0.5, 0.5], [INF, 0.5], "sums to inf"),
    "Probs off one": (
        Probs,
        [0.5, 0.5],
        [0.9, 0.3],
        r"sums to 1.2 \(tolerance 1e-06\). .*Logits\(x\); .*Probs.normalised\(x\)",
    ),
    "Probs.normalised with NaN": (
        Probs.normalised,
        [1.0, 2.0],
        [NAN, 1.0],
        "holds NaN or infinity",
    ),
    "Probs.normalised with inf": (
        Probs.normalised,
        [1.0, 2.0],
        [INF, 1.0],
        "holds NaN or infinity",
    ),
    "Probs.normalised below 0": (
        Probs.normalised,
        [1.0, 2.0],
        [2.0, -1.0],
        "has a negative probability, got -1",
    ),
    "Probs.normalised all zero": (
        Probs.normalised,
        [1.0, 2.0],
        [0.0, 0.0],
        "sums to 0 and cannot be rescaled",
    ),
    "Probs.binary above 1": (Probs.binary, 0.5, 1.5, "is not between 0 and 1"),
    "Probs.binary NaN": (Probs.binary, 0.5, NAN, "holds NaN"),
    "LogProbs with NaN": (LogProbs, [0.0, -INF], [NAN, 0.0], "holds NaN"),
    "LogProbs with inf": (LogProbs, [0.0, -INF], [INF, 0.0], "has probabilities that sum to inf"),
    "LogProbs off one": (
        LogProbs,
        [0.0, -INF],
        [0.0, 0.0],
        r"has probabilities that sum to 2 \(tolerance 1e-06\). .*Logits\(x\)",
    ),
    "LogProbs all forbidden": (
        LogProbs,
        [0.0, -INF],
        [-INF, -INF],
        "has probabilities that sum to 0",
    ),
    "Logits with NaN": (Logits, [1.0, 2.0], [1.0, NAN], "holds NaN"),
    "Logits with inf": (Logits, [1.0, 2.0], [1.0, INF], "holds .inf, which has no softmax"),
    "Logits all forbidden": (
        Logits,
        [1.0, -INF],
        [-INF, -INF],
        "forbids every class: all -inf",
    ),
    "Logits.binary NaN": (Logits.binary, 0.5, NAN, "holds NaN"),
    "Logits.binary inf": (Logits.binary, 0.5, INF, "holds .inf"),
}


@pytest.mark.parametrize("row", [0, 2, 70_000])
@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_row_is_refused_by_its_number(case, row):
    build, good, bad, text = BAD_ROWS[case]
    rows = np.array([good] * (row + 3), dtype=np.array([bad]).dtype)
    rows[row] = bad
    with pytest.raises(RowError, match=f" row {row} {text}") as caught:
        build(rows)
    assert caught.value.row == row


@pytest.mark.parametrize("view", MATRIX_VIEWS)
def test_first_of_two_bad_rows_is_named(view):
    bad = np.full((70_000, 3), NAN)
    bad[:65_000] = {"counts": 1, "probs": 1 / 3, "logprobs": -np.log(3), "logits": 0}[view.kind]
    with pytest.raises(RowError, match="row 65000 "):
        view(bad)


@pytest.mark.parametrize("view", [Counts, Logits])
def test_bad_number_beside_nan_does_not_hide_the_nan(view):
    with pytest.raises(RowError, match="row 1 holds NaN"):
        view([[1.0, 1.0], [INF, NAN]])


@pytest.mark.parametrize("view", MATRIX_VIEWS)
@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.zeros((2, 2, 2)), r"need rows of classes, \(n, K\), got shape \(2, 2, 2\)"),
        (np.zeros((2, 0)), r"need rows of classes, \(n, K\), got shape \(2, 0\)"),
        (np.float64(0.5), r"need rows of classes, \(n, K\), got shape \(\)"),
        ([], r"need rows of classes"),
        ([[0.5, 0.5], [1.0]], "need rows of equal length"),
        ([["a", "b"]], "need numbers, got <U1"),
        ([[0.5 + 1j, 0.5]], "need numbers, got complex128"),
        ([[None, 0.5]], "need numbers, got object"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(view, x, text):
    with pytest.raises(InputError, match=f"{view.__name__} {text}"):
        view(x)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: Labels([[0, 1]]), r"one class per row, got shape \(1, 2\). .*Counts.*Probs"),
        (lambda: Labels(["a"]), r"need the class names .* got 'a'. Use Labels\(y, classes="),
        (lambda: Labels(["cat", "dgo"], classes=["cat", "dog"]), "row 1 .* Did you mean 'dog'"),
        (lambda: Labels(["x"], classes=["cat", "dog"]), "row 0 is no class name, got 'x'. There"),
        (lambda: Labels([0, 2], classes=["cat", "dog"]), "row 1 is out of range for 2 classes"),
        (lambda: Labels([0]).law(), r"how many classes there are. Use Labels\(y, n_classes"),
        (lambda: Probs.binary([[0.5]]), r"one number per row, got shape \(1, 1\)"),
        (lambda: Logits.binary([[0.5]]), r"one number per row, got shape \(1, 1\)"),
    ],
)
def test_refusal_says_what_was_got_and_what_to_do(build, text):
    with pytest.raises(InputError, match=text):
        build()


@pytest.mark.parametrize(
    ("dtype", "limit"), [(np.float64, 1e-6), (np.float32, 1e-5), (np.float16, 1e-3)]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_tolerance_follows_the_storage_type(dtype, limit, sign):
    inside = np.array([[0.5, 0.5 + sign * 0.5 * limit]]).astype(dtype)
    outside = np.array([[0.5, 0.5 + sign * 2 * limit]]).astype(dtype)
    assert len(Probs(inside)) == 1
    with pytest.raises(RowError, match="sums to"):
        Probs(outside)


def test_tolerance_of_bfloat16_is_a_hundredth():
    half, off = 0x3F00, 0x3F00 + 1  # 1/2, and 1/2 + 1/256
    assert len(Probs(np.array([[half, off]], dtype=np.uint16).view(BFLOAT16))) == 1
    with pytest.raises(RowError, match=r"tolerance 0.01"):
        Probs(np.array([[half, off + 4]], dtype=np.uint16).view(BFLOAT16))


def test_integers_of_two_bytes_are_whole_numbers_and_not_the_bits_of_bfloat16():
    whole = np.array([[3, 0], [0, 16256]], dtype=np.uint16)
    same = Logits(whole.astype(np.float64))
    assert pandq.entropy(Logits(whole)).tolist() == pandq.entropy(same).tolist()
    assert Logits(whole).law().prob.tolist() == same.law().prob.tolist()


def test_tensors_of_bfloat16_are_taken_with_their_tolerance():
    torch = pytest.importorskip("torch")
    x = torch.tensor([[0.3, 0.7], [0.1, 0.9]])
    got = Probs(x.to(torch.bfloat16)).law().prob
    assert np.array_equal(got, x.to(torch.bfloat16).double().numpy())


def test_an_object_that_is_no_array_is_refused_in_one_line():
    with pytest.raises(InputError, match="Logits need"):
        Logits([[{}, []]])


@pytest.mark.parametrize("view", [Probs, LogProbs])
def test_tolerance_can_be_said(view):
    x = np.array([[0.5, 0.6]])
    x = x if view is Probs else np.log(x)
    assert len(view(x, tolerance=0.2)) == 1
    with pytest.raises(RowError, match=r"tolerance 0.05"):
        view(x, tolerance=0.05)


def test_probabilities_are_not_renormalised():
    law = Probs([[0.5, 0.5 + 1e-7]]).law()
    assert law.prob.tolist() == [[0.5, 0.5 + 1e-7]]


@given(st.lists(st.floats(0, 1e10), min_size=1, max_size=6).filter(any))
def test_normalised_rows_are_their_shares(x):
    got = Probs.normalised([x]).array[0]
    assert got == pytest.approx(np.array(x) / sum(x), rel=1e-12)


def test_normalised_leaves_its_argument_alone():
    x = np.array([[3.0, 1.0]])
    Probs.normalised(x)
    assert x.tolist() == [[3.0, 1.0]]


def test_binary_probs_are_of_class_one():
    assert Probs.binary([0.25, 1.0]).array.tolist() == [[0.75, 0.25], [0.0, 1.0]]


def test_binary_logits_are_the_log_odds_of_class_one():
    law = Logits.binary([np.log(3), -INF]).law()
    assert law.prob == pytest.approx(np.array([[0.25, 0.75], [1.0, 0.0]]), rel=1e-15)


def test_single_row_may_be_given_flat():
    assert Probs([0.25, 0.75]).array.shape == (1, 2)


def test_labels_with_class_names_are_their_places():
    assert Labels(["b", "a", "b"], classes=["a", "b"]).array.tolist() == [1, 0, 1]


def test_labels_with_class_names_may_be_numbers():
    labels = Labels([1, 0], classes=["a", "b"])
    assert (labels.array.tolist(), labels.n_classes) == ([1, 0], 2)


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.float32, np.bool_])
def test_labels_of_any_whole_type_are_class_numbers(dtype):
    assert Labels(np.array([1, 0]).astype(dtype)).array.tolist() == [1, 0]


def test_labels_take_the_number_of_classes_of_the_other_view():
    p, q = paired(Labels([0, 1]), Probs([[0.25, 0.25, 0.5]] * 2))
    assert (p.n_classes, q.n_classes) == (3, 3)


def test_label_beyond_the_other_views_classes_is_named():
    with pytest.raises(RowError, match="Labels row 1 is out of range for 3 classes"):
        paired(Labels([0, 3]), Probs([[0.25, 0.25, 0.5]] * 2))


def test_counts_law_is_the_votes_shares():
    assert Counts([[3, 1]]).law().prob.tolist() == [[0.75, 0.25]]


def test_counts_of_small_integers_do_not_overflow():
    assert Counts(np.full((1, 4), 200, dtype=np.uint8)).votes.tolist() == [800.0]


def test_different_numbers_of_rows_are_refused():
    with pytest.raises(InputError, match="different numbers of rows, got 1 and 2"):
        paired(Labels([0]), Labels([0, 1]))


def test_different_numbers_of_classes_are_refused():
    with pytest.raises(InputError, match="different numbers of classes, got 2 and 3"):
        paired(Probs([[0.5, 0.5]]), Probs([[0.25, 0.25, 0.5]]))


@pytest.mark.parametrize("bare", [[0.5, 0.5], np.ones((1, 2)) / 2, 0.5, "probs", None])
@pytest.mark.parametrize("side", ["p", "q"])
def test_bare_array_is_a_type_error_that_names_the_views(bare, side):
    view = Probs([[0.5, 0.5]])
    arguments = {"p": (bare, view), "q": (view, bare)}[side]
    with pytest.raises(TypeError, match=f"^{side} must say .* got {type(bare).__name__}") as caught:
        kl_divergence(*arguments)
    assert all(view.__name__ in str(caught.value) for view in VIEWS.values())


def test_bare_array_is_refused_by_measures_of_one_view():
    with pytest.raises(ViewTypeError, match=r"^p must say"):
        entropy(np.ones((1, 2)) / 2)


@pytest.mark.parametrize("error", [InputError, RowError, ViewTypeError])
def test_every_refusal_is_a_pandq_error_and_a_value_error(error):
    assert issubclass(error, PandqError)
    assert issubclass(error, ValueError)


@pytest.mark.parametrize(
    "rows",
    [slice(1, 3), slice(None, None, -1), np.array([2, 0]), np.array([True, False, True, False])],
)
@pytest.mark.parametrize(
    "view",
    [
        Labels([0, 1, 2, 1], 3),
        Counts([[1, 2, 0], [0, 1, 0], [2, 0, 0], [1, 1, 1]]),
        Probs([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]),
        LogProbs(np.log([[0.25, 0.75], [0.5, 0.5], [0.125, 0.875], [0.75, 0.25]])),
        Logits([[0.0, 1.0], [2.0, 3.0], [4.0, 6.0], [-INF, 0.0]]),
    ],
    ids=lambda view: view.kind if hasattr(view, "kind") else "",
)
def test_rows_of_a_view_are_a_view_of_the_rows(view, rows):
    part = view[rows]
    assert type(part) is type(view)
    assert part.n_classes == view.n_classes
    assert (part.law().prob == view.law().prob[rows]).all()


def test_slice_is_not_checked_again():
    trusted = Probs.trusted(np.array([[9.0, 9.0]]), 2)
    assert trusted[:1].array.tolist() == [[9.0, 9.0]]


def test_slice_of_a_view_shares_its_memory():
    view = Logits(np.zeros((4, 2)))
    assert np.shares_memory(view[1:3].array, view.array)


def test_view_does_not_copy_a_float32_array():
    x = np.zeros((4, 2), dtype=np.float32)
    assert Logits(x).array is x


X = np.array([[0.5, 0.5], [0.25, 0.75]])
MASKED = {
    "probabilities": lambda: Probs(np.ma.array(X, mask=[[0, 0], [1, 0]])),
    "labels": lambda: Labels(np.ma.array([0, 1], mask=[0, 1])),
    "scores": lambda: Probs.binary(np.ma.array([0.5, 2.0], mask=[0, 1])),
    "top log-probabilities": lambda: pandq.TopK([[0]], np.ma.array([[0.0]], mask=[[1]]), 2),
    "weights": lambda: pandq.audit(
        Labels([0, 1]), Probs(X), weights=np.ma.array([1.0, -9.0], mask=[0, 1])
    ),
    "features": lambda: pandq.SoftmaxRegression().fit(np.ma.array(X, mask=X > 0.7), [0, 1]),
    "targets": lambda: pandq.SoftmaxRegression().fit(X, np.ma.array([0, 1], mask=[0, 1])),
}


@pytest.mark.parametrize("case", MASKED)
def test_what_is_under_a_mask_is_not_read(case):
    with pytest.raises(InputError, match="hold 1 masked value"):
        MASKED[case]()


def test_a_mask_that_masks_nothing_is_no_matter():
    found = Probs(np.ma.array(X, mask=False))
    assert type(found.array) is np.ndarray
    assert (found.array == X).all()


@pytest.mark.parametrize("thing", [None, {1}, len, 2**80, (x for x in [0.5])])
@pytest.mark.parametrize("make", [Probs, Probs.binary, Logits.binary, lambda x: Labels(x, 2)])
def test_what_is_no_array_is_refused_and_not_asked_for_numbers(make, thing):
    with pytest.raises(InputError):
        make(thing)


@pytest.mark.parametrize("x", [[0.5 + 1j], ["half"], [b"ab"], np.array(["2024-01-01"], "M8[s]")])
def test_scores_are_real_numbers(x):
    for make in (Probs.binary, Logits.binary):
        with pytest.raises(InputError, match="need numbers"):
            make(x)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ([0.499999, 0.5, 0.0], r"sums to 1 - 1e-06 .*rounded to 6 digits.*Probs.normalised"),
        ([0.33, 0.33, 0.33], r"sums to 0\.99 .*rounded to 2 digits"),
        ([33.3, 33.3, 33.4], r"sums to 100 .*percentages, divide them by 100"),
        ([3, 1, 0], r"sums to 4 .*votes, use Counts"),
        ([0.123456789, 1.5, 0.7], r"sums to 2\.32346 .*logits, use Logits"),
    ],
)
def test_a_sum_that_is_not_one_says_how_far_it_is_off_and_what_it_may_be(row, text):
    with pytest.raises(RowError, match=text):
        Probs([row], tolerance=1e-8)


ROWS = {
    "labels": Labels([0, 1, 2, 1], 3),
    "counts": Counts([[1, 2, 0], [0, 1, 0], [2, 0, 0], [1, 1, 1]]),
    "probs": Probs([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]),
    "logits": Logits([[0.0, 1.0], [2.0, 3.0], [4.0, 6.0], [-INF, 0.0]]),
    "bits of bfloat16": Probs(np.full((4, 2), 0x3F00, dtype=np.uint16).view(BFLOAT16)),
    "ensemble": pandq.Ensemble([Probs(np.eye(4)), Probs(np.full((4, 4), 0.25))]),
}


@pytest.mark.parametrize("row", [0, 3, -1, -4, np.int64(2), np.uint8(1)])
@pytest.mark.parametrize("view", ROWS)
def test_one_row_of_a_view_is_a_view_of_one_row(view, row):
    whole = ROWS[view]
    one = whole[row]
    assert type(one) is type(whole)
    assert one.shape == (1, *whole.shape[1:])
    assert (one.law().prob[0] == whole.law().prob[row]).all()


def test_one_row_can_be_measured():
    q = Probs([[0.9, 0.1], [0.2, 0.8]])
    assert kl_divergence(Labels([0, 1])[1], q[-1]) == pytest.approx([-np.log(0.8)])


@pytest.mark.parametrize("view", ROWS)
def test_a_loop_over_a_view_yields_its_rows(view):
    rows = list(ROWS[view])
    assert [len(row) for row in rows] == [1] * 4
    together = np.concatenate([row.array for row in rows])
    assert (together == ROWS[view].array).all()


@pytest.mark.parametrize("row", [4, -5, np.int64(4)])
@pytest.mark.parametrize("view", ROWS)
def test_a_row_that_is_not_there_is_an_index_error(view, row):
    with pytest.raises(IndexError, match=f"there is no row {row} of 4"):
        ROWS[view][row]


@pytest.mark.parametrize(
    "rows", [True, None, ..., 1.0, "0", (0, 1), [0.5], np.array(2), np.array([[0, 1]])], ids=repr
)
@pytest.mark.parametrize("view", [*ROWS, "topk"])
def test_what_takes_no_rows_is_a_type_error(view, rows):
    whole = ROWS.get(view, pandq.TopK([[0, 1]], np.log([[0.5, 0.3]]), 3))
    with pytest.raises(TypeError, match="rows are taken by a number, a slice, or a list"):
        whole[rows]


@pytest.mark.parametrize("rows", [[2, 0], [True, False, True, False], [], np.array([])], ids=repr)
def test_rows_may_be_listed(rows):
    found = ROWS["probs"][rows]
    want = [x for x, kept in zip(range(4), rows, strict=False) if kept] if True in rows else rows
    assert found.array.tolist() == [ROWS["probs"].array[int(i)].tolist() for i in want]


def test_a_row_of_a_topk_is_a_topk():
    top = pandq.TopK([[0, 1], [2, 0]], np.log([[0.5, 0.3], [0.6, 0.3]]), 3)
    assert top.shape == (2, 2)
    assert top[-1].ids.tolist() == [[2, 0]]
    assert [row.ids.tolist() for row in top] == [[[0, 1]], [[2, 0]]]
    with pytest.raises(IndexError, match="no row 2 of 2"):
        top[2]
    with pytest.raises(TypeError, match="two arrays"):
        np.asarray(top)


@pytest.mark.parametrize("view", ROWS)
def test_numpy_takes_the_array_that_a_view_holds(view):
    whole = ROWS[view]
    assert np.asarray(whole) is not None
    assert np.shares_memory(np.asarray(whole), whole.array)
    assert np.shares_memory(np.array(whole, copy=False), whole.array)
    assert not np.shares_memory(np.array(whole), whole.array)
    assert np.asarray(whole).shape == whole.shape


def test_numpy_takes_a_view_in_another_type_and_copies_only_where_it_may():
    assert np.asarray(ROWS["probs"], dtype=np.float32).dtype == np.float32
    half = np.asarray(ROWS["bits of bfloat16"], dtype=np.float64)
    assert half.tolist() == [[0.5, 0.5]] * 4
    for view in ("probs", "bits of bfloat16"):
        with pytest.raises(ValueError, match="copy"):
            np.array(ROWS[view], dtype=np.float16, copy=False)


@pytest.mark.parametrize("make", [Counts, Probs, LogProbs, Logits, Labels, Probs.normalised])
@pytest.mark.parametrize("view", ROWS)
def test_a_view_does_not_become_another_view(view, make):
    with pytest.raises(ViewTypeError, match="need an array of numbers, got a view"):
        make(ROWS[view])


def test_a_table_may_have_columns_of_any_name():
    pandas = pytest.importorskip("pandas")
    names = ["cpu", "law", "requires_grad", "kind", "as_arrays"]
    table = pandas.DataFrame(np.full((3, 5), 0.2), columns=names)
    assert Probs(table).shape == (3, 5)
    with pytest.raises(ViewTypeError, match="a table does not say which column is what"):
        entropy(table)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_tensors_are_measured_as_arrays_are(dtype):
    torch = pytest.importorskip("torch")
    x = torch.tensor([[0.5, 0.5], [0.25, 0.75]]).to(getattr(torch, dtype))
    assert Probs(x).law().prob.tolist() == [[0.5, 0.5], [0.25, 0.75]]
    assert Labels(torch.tensor([1, 0])).array.tolist() == [1, 0]


def test_a_tensor_without_numbers_is_refused_in_one_line():
    torch = pytest.importorskip("torch")
    for x in (torch.empty(2, 2, device="meta"), torch.eye(2).to_sparse()):
        with pytest.raises(InputError, match="Probs need an array of numbers, got"):
            Probs(x)


@pytest.mark.parametrize("sixth", [0.333333, 0.333334])
def test_a_row_that_is_off_by_the_tolerance_is_within_it_however_its_sum_is_rounded(sixth):
    assert len(Probs(np.array([[0.333333, 0.333333, 0.333334], [0.333333, 0.333333, sixth]]))) == 2
    with pytest.raises(InputError, match="row 0 sums to 1 - 2e-06"):
        Probs(np.array([[0.333333, 0.333333, 0.333332]]))
