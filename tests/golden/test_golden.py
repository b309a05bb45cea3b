"""No value of a document changes unless it is meant to."""

import json
import os

import pytest

from tests.golden.documents import DOCUMENTS, kept

# Between machines the last digits differ, as libraries of linear algebra do; on one they do not.
EXACT = os.environ.get("PANDQ_GOLDEN") == "exact"


def leaves(value, place=()):
    """Every value of a document by its place."""
    if isinstance(value, dict):
        for name, inside in value.items():
            if name != "pandq_version":
                yield from leaves(inside, (*place, name))
    elif isinstance(value, list):
        yield (*place, "length"), len(value)
        for i, inside in enumerate(value):
            yield from leaves(inside, (*place, i))
    else:
        yield place, value


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_has_the_values_that_it_had(name):
    now = dict(leaves(json.loads(json.dumps(DOCUMENTS[name](), allow_nan=False))))
    then = dict(leaves(kept(name)))
    assert now.keys() == then.keys()
    for place, value in then.items():
        if isinstance(value, float) and not EXACT:
            assert now[place] == pytest.approx(value, rel=1e-6, abs=1e-9), place
        elif place[-1] != "torch" or EXACT:
            assert now[place] == value, place
