"""Checkpoints: a second run goes on after a loss, ends with the same bits, and runs no code."""

import hashlib
import json
import os
import pickle

import numpy as np
import pyarrow as pa
import pytest

import pandq
from pandq.engines import Local
from pandq.engines.checkpoints import Checkpoint
from pandq.sealed import read_sealed, write_sealed
from pandq.sums.moments import Moments
from tests.engines.processes import write_votes


class CutError(Exception):
    """A run that ends in its middle."""


def told(audit):
    return json.dumps(audit.to_dict())


@pytest.fixture
def rows(tmp_path):
    return pandq.scan(write_votes(tmp_path), p="labels:label", q="logits:logits", by="site")


def cut_at(what, chunks):
    def progress(done):
        if done.what == what and done.chunks_done == chunks:
            raise CutError

    return progress


@pytest.mark.parametrize(("what", "chunks"), [("measuring", 5), ("decomposing", 11)])
def test_a_run_that_was_cut_off_goes_on_to_the_same_bits(rows, tmp_path, what, chunks):
    folder = tmp_path / "kept"
    with pytest.raises(CutError):
        pandq.audit(rows, checkpoint=folder, progress=cut_at(what, chunks))
    seen = []
    again = pandq.audit(rows, checkpoint=folder, progress=seen.append)
    assert told(again) == told(pandq.audit(rows))
    first = next(done for done in seen if done.what == what)
    assert first.rows_before == chunks * 1000
    assert what == "measuring" or not any(done.what == "measuring" for done in seen)


def test_a_finished_run_is_not_run_again(rows, tmp_path):
    folder = tmp_path / "kept"
    first = pandq.audit(rows, checkpoint=folder)
    reads = []
    read = rows.source.read
    rows.source.read = lambda *given: reads.append(given) or read(*given)
    assert told(pandq.audit(rows, checkpoint=folder)) == told(first)
    assert len(reads) <= 1


def test_text_goes_on_where_its_rows_are_numbered_right(tmp_path):
    rng = np.random.default_rng(0)
    for name in "abc":
        lines = [f"{y},{q:.6f},{1 - q:.6f}" for y, q in zip(
            rng.integers(0, 2, 200), rng.uniform(0.1, 0.9, 200).round(6), strict=True
        )]  # fmt: skip
        (tmp_path / f"{name}.csv").write_text("\n".join(["label,p_0,p_1", *lines]) + "\n")
    found = pandq.scan(str(tmp_path / "*.csv"), p="labels:label", q="probs:p_*", tolerance=1e-5)
    folder = tmp_path / "kept"
    with pytest.raises(CutError):
        pandq.audit(found, checkpoint=folder, progress=cut_at("measuring", 2))
    assert told(pandq.audit(found, checkpoint=folder)) == told(pandq.audit(found))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"seed": 1}, "another seed"),
        ({"decompose": False}, "another decompose"),
        ({"worst": 3}, "worst"),
    ],
)
def test_a_checkpoint_of_other_options_is_refused(rows, tmp_path, options, what):
    folder = tmp_path / "kept"
    pandq.audit(rows, checkpoint=folder)
    with pytest.raises(pandq.InputError, match=what):
        pandq.audit(rows, checkpoint=folder, **options)


def test_a_checkpoint_of_other_columns_or_files_is_refused(rows, tmp_path):
    folder = tmp_path / "kept"
    pandq.audit(rows, checkpoint=folder)
    other = pandq.scan(str(tmp_path / "part-*.parquet"), p="counts:votes", q="logits:logits")
    with pytest.raises(pandq.InputError, match="made with another p, got counts:votes; it has"):
        pandq.audit(other, checkpoint=folder)
    os.utime(tmp_path / "part-1.parquet", (1, 1))
    with pytest.raises(pandq.InputError, match="made with another input"):
        pandq.audit(rows, checkpoint=folder)


def test_a_checkpoint_of_a_comparison_is_none_of_an_audit(rows, tmp_path):
    folder = tmp_path / "kept"
    pandq.audit(rows, checkpoint=folder)
    both = pandq.scan(
        str(tmp_path / "part-*.parquet"), p="counts:votes", q=["logits:logits", "logits:other"]
    )
    with pytest.raises(pandq.InputError, match="another command, got compare; it has audit"):
        pandq.compare(both, checkpoint=folder)


def test_a_comparison_goes_on_too(tmp_path):
    both = pandq.scan(write_votes(tmp_path), p="counts:votes", q=["logits:logits", "logits:other"])
    folder = tmp_path / "kept"
    with pytest.raises(CutError):
        pandq.compare(both, checkpoint=folder, progress=cut_at("recalibrating", 7))
    assert told(pandq.compare(both, checkpoint=folder)) == told(pandq.compare(both))


@pytest.mark.parametrize("kind", ["softmax", "bayes"])
def test_a_fit_goes_on_to_the_same_coefficients(tmp_path, kind):
    files = write_votes(tmp_path, rows=1200, group=200)
    found = pandq.scan_features(files, x="x", p="counts:votes")
    folder = tmp_path / "kept"
    passes = []

    def cut(done):
        passes.append(done)
        if len(passes) == 200:
            raise CutError

    with pytest.raises(CutError):
        pandq.fit_model(found, kind, checkpoint=folder, progress=cut)
    again = pandq.fit_model(found, kind, checkpoint=folder).estimator
    plain = pandq.fit_model(found, kind, engine=Local()).estimator
    assert again.coef_.tobytes() == plain.coef_.tobytes()
    assert again.n_iter_ == plain.n_iter_


def test_rows_in_memory_have_no_checkpoint(tmp_path):
    with pytest.raises(pandq.InputError, match="needs rows that are in files of their own"):
        pandq.audit(pandq.Labels([0]), pandq.Probs([[0.5, 0.5]]), checkpoint=tmp_path / "kept")
    table = pandq.scan(pa.table({"label": [0], "probs": [[0.5, 0.5]]}))
    with pytest.raises(pandq.InputError, match="needs rows that are in files of their own"):
        pandq.audit(table, checkpoint=tmp_path / "kept")


def test_a_folder_of_other_things_is_left_alone(rows, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.txt").write_text("all of it")
    with pytest.raises(pandq.InputError, match="is not empty, and holds no checkpoint"):
        pandq.audit(rows, checkpoint=folder)
    assert [file.name for file in folder.iterdir()] == ["thesis.txt"]


def test_a_broken_checkpoint_is_said_to_be_broken(rows, tmp_path):
    folder = tmp_path / "kept"
    pandq.audit(rows, checkpoint=folder)
    file = folder / "pass-00001"
    stored = bytearray(file.read_bytes())
    stored[len(stored) // 2] ^= 1
    file.write_bytes(bytes(stored))
    with pytest.raises(pandq.InputError, match="is no pass of a checkpoint, got a digest"):
        pandq.audit(rows, checkpoint=folder)


class Malice:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


def test_a_checkpoint_runs_no_code(tmp_path):
    kept = Checkpoint.opened(tmp_path / "kept", {})
    stored = pickle.dumps((Malice(tmp_path / "ran"), 1))
    file = tmp_path / "kept" / "pass-00001"
    for start in (b"", hashlib.sha256(stored).digest(), len(stored).to_bytes(8, "little")):
        file.write_bytes(start + stored)
        with pytest.raises(pandq.InputError, match="no pass of a checkpoint"):
            kept.read(1, Moments.empty(1))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "total",
    [
        {"Scan": {"source": "/etc/passwd"}},
        {"GroupMoments": {}},
        {"Moments": {"n": 1}},
        {"Moments": {"n": 1, "plain": {"object": "os.system"}, "squared": None}},
        ["Moments"],
        None,
    ],
)
def test_a_checkpoint_holds_the_summary_that_is_asked_for_and_no_other(tmp_path, total):
    kept = Checkpoint.opened(tmp_path / "kept", {})
    document = {"schema": "pandq/pass/1", "run": kept.of, "pass": 1, "done": 1, "total": total}
    write_sealed(tmp_path / "kept" / "pass-00001", {}, document)
    with pytest.raises(pandq.InputError, match="no pass of a checkpoint: total"):
        kept.read(1, Moments.empty(1))


def test_a_checkpoint_holds_no_objects(tmp_path):
    kept = Checkpoint.opened(tmp_path / "kept", {})
    with pytest.raises(TypeError, match="a set has no place in a checkpoint"):
        kept.write(1, {1, 2}, 1)
    assert not (tmp_path / "kept" / "pass-00001").exists()


def test_a_pass_of_another_number_or_another_run_is_refused(tmp_path):
    one, other = (Checkpoint.opened(tmp_path / name, {"seed": name}) for name in ("one", "other"))
    one.write(1, Moments.empty(1), 3)
    stored = (tmp_path / "one" / "pass-00001").read_bytes()
    (tmp_path / "one" / "pass-00002").write_bytes(stored)
    (tmp_path / "other" / "pass-00001").write_bytes(stored)
    assert one.read(1, Moments.empty(1))[1] == 3
    for kept, number in ((one, 2), (other, 1)):
        with pytest.raises(pandq.InputError, match=r"is no pass of a checkpoint: (pass|run) must"):
            kept.read(number, Moments.empty(1))


def test_a_checkpoint_of_more_parts_than_there_are_is_refused(rows, tmp_path):
    folder = tmp_path / "kept"
    pandq.audit(rows, checkpoint=folder, decompose=False)
    arrays, told = read_sealed(folder / "pass-00001", "pass")
    write_sealed(folder / "pass-00001", arrays, {**told.it, "done": told["done"].it + 1})
    with pytest.raises(pandq.InputError, match=r"has summed \d+ parts, and there are \d+"):
        pandq.audit(rows, checkpoint=folder, decompose=False)


def test_a_fit_that_is_watched_on_other_rows_is_another_fit(tmp_path):
    folder = tmp_path / "kept"
    for name in ("learnt", "one", "other"):
        (tmp_path / name).mkdir()
    rows, one, other = (
        pandq.scan_features(
            write_votes(tmp_path / name, rows=600, group=200, seed=seed), x="x", p="counts:votes"
        )
        for seed, name in enumerate(("learnt", "one", "other"))
    )
    pandq.fit_model(rows, "softmax", valid=one, checkpoint=folder)
    with pytest.raises(pandq.InputError, match="made with another valid"):
        pandq.fit_model(rows, "softmax", valid=other, checkpoint=folder)
