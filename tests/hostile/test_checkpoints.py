"""Checkpoints that were damaged or forged: one line, or a result, and never anything else."""

import json
import shutil
import warnings
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq
from pandq.engines.checkpoints import Checkpoint
from pandq.estimate.averages.rowsums import RowSums
from pandq.sealed import read_sealed, write_sealed
from tests.hostile.mutants import spoiled_arrays, spoiled_bytes, spoiled_document

FIRST = "pass-00001"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(120, 3))
    votes = rng.multinomial(3, [0.3, 0.3, 0.4], size=120)
    columns = {
        "votes": pa.FixedSizeListArray.from_arrays(votes.astype(np.int64).ravel(), 3),
        "logits": pa.FixedSizeListArray.from_arrays(z.ravel(), 3),
        "other": pa.FixedSizeListArray.from_arrays(z.ravel() / 2, 3),
        "site": (np.arange(120) % 3).astype(str),
    }
    file = tmp_path_factory.mktemp("table") / "rows.parquet"
    pq.write_table(pa.table(columns), file, row_group_size=40)
    return str(file)


def audited(table, folder):
    rows = pandq.scan(table, p="counts:votes", q="logits:logits", by="site")
    return pandq.audit(rows, decompose=False, worst=2, intervals="bootstrap", checkpoint=folder)


def compared(table, folder):
    rows = pandq.scan(table, p="logits:other", q=["logits:logits", "logits:other"])
    return pandq.compare(rows, decompose=False, worst=2, checkpoint=folder)


VERBS = {"audit": audited, "compare": compared}


@pytest.fixture(scope="module", params=VERBS)
def made(request, table, tmp_path_factory):
    """A verb, its checkpoint's folder, and what it found."""
    folder = tmp_path_factory.mktemp(request.param) / "kept"
    verb = VERBS[request.param]
    return verb, folder, json.dumps(verb(table, folder).to_dict())


def outcome(made, table, folder):
    """What going on in a folder comes to: a result as JSON, or one line."""
    verb, *_ = made
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return json.dumps(verb(table, folder).to_dict(), allow_nan=False)
    except pandq.InputError as error:
        return error


def copied(made, tmp_path, number):
    folder = tmp_path / str(number)
    shutil.copytree(made[1], folder)
    return folder


def test_a_checkpoint_that_is_whole_gives_the_same_bytes(made, table):
    assert outcome(made, table, made[1]) == made[2]


def test_no_damage_to_a_pass_goes_unseen(made, tmp_path):
    random, stored = Random(1), (made[1] / FIRST).read_bytes()
    kept = Checkpoint.opened(tmp_path / "kept", {})
    for _ in range(200):
        spoiled = spoiled_bytes(stored, random)
        (tmp_path / "kept" / FIRST).write_bytes(spoiled)
        if spoiled != stored:
            with pytest.raises(pandq.InputError, match="pass of a checkpoint"):
                kept.read(1, RowSums.empty())


@pytest.mark.parametrize("seed", range(3))
def test_a_forged_pass_is_one_line_or_a_result(made, table, tmp_path, seed):
    random = Random(seed)
    arrays, told = read_sealed(made[1] / FIRST, "pass")
    seen = set()
    for number in range(25):
        folder = copied(made, tmp_path, number)
        document, others = told.it, arrays
        if random.random() < 0.5:
            document = spoiled_document(document, random)
        else:
            others = spoiled_arrays(arrays, random)
        write_sealed(folder / FIRST, others, document)
        found = outcome(made, table, folder)
        assert "\n" not in str(found)
        seen.add(type(found))
    assert pandq.InputError in seen


def test_what_a_checkpoint_is_of_cannot_be_forged_into_a_crash(made, table, tmp_path):
    random = Random(5)
    stored = (made[1] / "checkpoint.json").read_text()
    for number in range(20):
        folder = copied(made, tmp_path, number)
        spoiled = json.dumps(spoiled_document(json.loads(stored), random))
        (folder / "checkpoint.json").write_text(spoiled)
        found = outcome(made, table, folder)
        # null and nothing are the same
        assert isinstance(found, pandq.InputError) or found == made[2]


@pytest.mark.parametrize("stands", ["folder", "link to a device", "nothing", "deep"])
def test_something_else_in_the_place_of_a_pass_is_refused(made, table, tmp_path, stands):
    folder = copied(made, tmp_path, 0)
    (folder / FIRST).unlink()
    if stands == "folder":
        (folder / FIRST).mkdir()
    elif stands == "link to a device":
        (folder / FIRST).symlink_to("/dev/zero")
    else:
        deep = b'{"a":' * 100_000 if stands == "deep" else b""
        (folder / FIRST).write_bytes(len(deep).to_bytes(8, "little") * bool(deep) + deep)
    assert isinstance(outcome(made, table, folder), pandq.InputError)
