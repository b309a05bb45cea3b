"""The battery: each hostile input is answered correctly, or refused in one line."""

import os
import zlib
from collections import Counter
from pathlib import Path

import pytest

from tests.hostile.cases import ALL, CASES, FAMILIES
from tests.hostile.nursery import Nursery

# Cases that pandq is known to get wrong. A case that comes right must be taken off.
KNOWN = frozenset((Path(__file__).parent / "known.txt").read_text("utf-8").splitlines())
# One case in so many runs in every run of the tests, a minute and a half of two cores.
SHARE = 3

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")


@pytest.fixture(scope="module")
def nursery():
    found = Nursery()
    yield found
    found.close()


def _parameter(name):
    marks = [] if zlib.crc32(name.encode()) % SHARE == 0 else [pytest.mark.slow]
    if name in KNOWN:
        marks.append(pytest.mark.xfail(strict=True, reason="known"))
    return pytest.param(name, marks=marks, id=name)


@pytest.mark.parametrize("name", [_parameter(name) for name in CASES])
def test_a_hostile_input_is_answered_rightly_or_refused_in_one_line(nursery, name):
    assert nursery.verdict(name) == ""


def test_there_are_a_thousand_cases_in_eight_families():
    families = Counter(case.family for case in CASES.values())
    assert len(families) == len(FAMILIES) == 8
    assert min(families.values()) > 100
    assert len(CASES) == len(ALL) >= 1000


def test_every_known_failure_is_a_case():
    assert set(CASES) >= KNOWN
