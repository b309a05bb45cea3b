"""A document is the result again: the same document, the same report."""

import copy
import json
import math
from random import Random

import pytest

import pandq
from pandq import Audit, Comparison, InputError
from tests.golden.documents import RESULTS, result
from tests.hostile.mutants import spoiled_document
from tests.hostile.test_documents import or_error
from tests.results.walk import estimates


def again(found):
    """A result written as JSON text and read back."""
    return type(found).from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_that_is_read_back_is_the_same_document_and_the_same_report(name):
    found = result(name)
    read = again(found)
    assert type(read) is type(found)
    assert read.to_dict() == found.to_dict()
    assert str(read) == str(found)
    assert read.to_text() == found.to_text()
    assert read.to_text(width=80) == found.to_text(width=80)


@pytest.mark.parametrize("name", RESULTS)
def test_every_estimate_comes_back_to_the_bit(name):
    found, read = dict(estimates(result(name))), dict(estimates(again(result(name))))
    assert found == read


@pytest.mark.parametrize("name", ["infinite-rows", "an-infinite-model"])
def test_infinite_losses_come_back_infinite(name):
    found = {place: x for place, x in estimates(result(name)) if x.value == math.inf}
    assert found
    read = dict(estimates(again(result(name))))
    for place, x in found.items():
        assert (read[place].value, read[place].low, read[place].high) == (x.value, x.low, x.high)


def test_a_model_of_less_than_an_infinite_loss_comes_back_minus_infinite():
    q = pandq.Probs([[0.5, 0.5]] * 9)
    sure = pandq.Probs([[0.0, 1.0]] * 9)
    found = again(pandq.compare(pandq.Labels([0] * 9, 2), sure, q))
    assert found.differences[0].cross_entropy.value == -math.inf
    assert found.differences[0].verdict == "better"


@pytest.mark.parametrize(("one", "other"), [(Audit, "two-models"), (Comparison, "labels")])
def test_a_document_of_the_other_kind_is_refused(one, other):
    with pytest.raises(InputError, match=f"is no {one.KIND}: its schema must be {one.SCHEMA}"):
        one.from_dict(result(other).to_dict())


@pytest.mark.parametrize("name", RESULTS)
def test_a_document_without_one_of_its_keys_is_refused_with_its_name(name):
    whole = result(name).to_dict()
    for key in set(whole) - {"pandq_version"}:
        less = {x: inside for x, inside in whole.items() if x != key}
        with pytest.raises(InputError, match=key):
            type(result(name)).from_dict(less)


@pytest.mark.parametrize("name", RESULTS)
def test_a_spoiled_document_is_one_line_or_another_result_with_a_report(name):
    random = Random(name)
    refused = 0
    for _ in range(60):
        document = spoiled_document(copy.deepcopy(result(name).to_dict()), random)
        read = or_error(type(result(name)).from_dict, document)
        if isinstance(read, InputError):
            refused += 1
            assert f"is no {result(name).KIND}" in str(read)
        else:
            read.to_dict()
    assert refused
