"""A label is the class that it names, whatever type it comes in, or it is refused."""

import numpy as np
import pytest

from pandq import InputError, Labels
from pandq.core.classes import value_of


@pytest.mark.parametrize(
    ("labels", "classes", "codes"),
    [
        ([1, 2, 1], ["1", "2", "3"], [0, 1, 0]),
        ([1.0, 3.0], [1, 2, 3], [0, 2]),
        (["1.0", "3"], [1, 2, 3], [0, 2]),
        ([30, 10], [10, 20, 30], [2, 0]),
        ([2, 1, 0], ["2", "1", "0"], [0, 1, 2]),
        ([-1, 1], ["-1", "1"], [0, 1]),
        ([0.5, 1.5], ["0.5", "1", "1.5"], [0, 2]),
        ([True, False], ["True", "False"], [0, 1]),
        (["true", "false"], ["True", "False"], [0, 1]),
        ([True, False], ["1", "0"], [0, 1]),
        ([0, 1], ["False", "True"], [0, 1]),
        ([0, 1], ["cat", "dog"], [0, 1]),
        ([True, False], ["cat", "dog"], [1, 0]),
        (["0", "cat"], ["0", "cat"], [0, 1]),
        ([2**53 + 1], [2**53, 2**53 + 1], [1]),
        (np.array(["b", "a"], dtype=object), ["a", "b"], [1, 0]),
        ([], ["1", "2"], []),
    ],
    ids=str,
)
def test_labels_match_class_names_by_what_they_say(labels, classes, codes):
    assert Labels(labels, classes=classes).array.tolist() == codes


@pytest.mark.parametrize(
    ("labels", "classes", "text"),
    [
        ([0, 1], [1, 2], "row 0 is no class name, got 0"),
        ([1, 1.5], [1, 2], "row 1 is no class name, got 1.5"),
        ([1.5], ["cat", "dog"], "row 0 is not a class number, got 1.5"),
        (["cat"], [1, 2], "row 0 is no class name, got 'cat'"),
        (["1"], ["True", "False"], "row 0 is no class name, got '1'"),
        ([1, 0], ["True", "False"], "may be positions of these classes, or their names"),
        ([1, 0], ["0", "cat"], "may be positions of these classes, or their names"),
        ([0], ["a", "b", "a"], "two classes have the same name, got 'a' and 'a'"),
        ([0], ["1", "1.0"], "two classes have the same name, got '1' and '1.0'"),
        (np.array(["a", None], dtype=object), ["a"], "row 1 has no label"),
        (np.array(["a", 1], dtype=object), ["a"], "numbers, truth values or text"),
        (np.array(["2020-01-01"], dtype="M8[D]"), ["a"], "numbers, truth values or text"),
        ([{}], ["a"], "numbers, truth values or text"),
    ],
    ids=str,
)
def test_a_label_that_is_no_class_or_might_be_two_is_refused(labels, classes, text):
    with pytest.raises(InputError, match=text):
        Labels(labels, classes=classes)


def test_labels_below_0_are_told_how_to_be_named():
    with pytest.raises(InputError, match=r"--classes 1,2,3"):
        Labels([-1, 1], 2)


def test_a_column_of_labels_is_labels():
    assert Labels([[1], [0]], 2).array.tolist() == [1, 0]


@pytest.mark.parametrize("text", ["", "1_000", "nan", "inf", "0x10", "1,5", "1e", "--1", " 1"])
def test_what_is_written_as_no_number_is_no_number(text):
    assert value_of(text) is None
