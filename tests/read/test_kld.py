"""llama.cpp's codes at a large vocabulary, against the float64 logits that they were made of."""

import struct
import subprocess
import sys

import numpy as np
import pytest
from scipy import special

import pandq
from pandq.core.kernels.coded import given_at
from pandq.read import kld as kld_module
from tests.read.test_arrays import scored, write_kld

N_CTX, N_CHUNK, VOCABULARY = 12, 2, 151_936


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Two models' logits in float64 and in files: rows that are certain, and rows that are not."""
    rng = np.random.default_rng(3)
    n = N_CTX * N_CHUNK
    logits = rng.normal(size=(n, VOCABULARY)) * 2.5
    tokens = rng.integers(0, VOCABULARY, n)
    following = np.roll(tokens, -1)
    certain = np.arange(n) % 2 == 0
    logits[np.arange(n), following] = np.where(certain, 40.0, 22.0)
    copy = logits + 0.05 * rng.normal(size=logits.shape)
    room = tmp_path_factory.mktemp("large")
    files = [
        write_kld(room / f"{name}.kld", x, tokens, N_CTX)
        for name, x in (("base", logits), ("copy", copy))
    ]
    rows = scored(N_CTX, N_CHUNK)
    log_p, log_q = (special.log_softmax(x[rows], axis=1) for x in (logits, copy))
    found = pandq.compare(
        pandq.scan(files, p="logits:base.logits", q="logits:copy.logits", labels="base.token")
    )
    label = following[rows]
    return found, log_p, log_q, label, files


def truths(log_p, log_q, label):
    p, row = np.exp(log_p), np.arange(len(label))
    return {
        "p_entropy": special.entr(p).sum(axis=1).mean(),
        "cross_entropy": -(p * log_q).sum(axis=1).mean(),
        "kl": special.rel_entr(p, np.exp(log_q)).sum(axis=1).mean(),
        "log_perplexity": -log_q[row, label].mean(),
        "log_reference_perplexity": -log_p[row, label].mean(),
    }


def shown(found):
    model, copy = found.models[0], found.from_reference[0]
    return {
        "p_entropy": model.cross_entropy.value - model.kl.value,
        "cross_entropy": model.cross_entropy.value,
        "kl": copy.kl.value,
        "log_perplexity": np.log(copy.tokens.perplexity.value),
        "log_reference_perplexity": np.log(copy.tokens.reference_perplexity.value),
    }


@pytest.mark.parametrize("figure", ["p_entropy", "cross_entropy", "kl", "log_perplexity",
                                    "log_reference_perplexity"])  # fmt: skip
def test_the_truth_is_within_what_the_codes_leave_open(large, figure):
    found, *logs, label, _ = large
    effect = found.from_reference[0].codes["effects"][figure]
    truth, value = (x[figure] for x in (truths(*logs, label), shown(found)))
    assert value - effect["below"] <= truth
    assert effect["above"] is None or truth <= value + effect["above"]
    assert abs(truth - value) <= 4 * effect["expected"]


def test_codes_at_the_floor_add_no_mass_and_no_perplexity(large):
    """Renormalised as if they were real, they give a certain row 1.7 % to the other classes."""
    found, *logs, label, _ = large
    truth, value = truths(*logs, label), shown(found)
    assert value["log_reference_perplexity"] == pytest.approx(
        truth["log_reference_perplexity"], abs=1e-4
    )
    assert value["cross_entropy"] == pytest.approx(truth["cross_entropy"], abs=3e-3)
    assert value["p_entropy"] == pytest.approx(truth["p_entropy"], abs=2e-3)
    codes = found.from_reference[0].codes
    assert 100_000 < codes["classes_at_floor"] < VOCABULARY
    assert codes["labels_at_floor"] == codes["reference_labels_at_floor"] == 0


def test_each_coded_log_p_is_kept_as_stored_and_a_certain_row_is_certain(large):
    *_, files = large
    block = pandq.read.kld.kld(files[0])["logits"][:]
    stored = np.fromfile(files[0], "<u2")
    codes = block.codes
    above = np.asarray(block)[0] > codes.level[0].astype(np.float32)
    assert above.sum() == VOCABULARY - codes.n_floor[0]
    assert len(stored) > 0
    total = np.exp(np.asarray(block, np.float64)).sum(axis=1)
    assert total == pytest.approx(1, abs=2e-4)
    entropy = pandq.entropy(pandq.Logits(block))
    certain = np.asarray(block).max(axis=1) > -1e-5
    assert certain.any()
    assert (entropy[certain] < 1e-3).all()


def test_labels_at_the_floor_are_counted_and_leave_a_perplexity_without_an_upper_end(tmp_path):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(24, 50))
    logits[:, 0] = 30.0
    tokens = np.where(np.arange(24) % 4 == 0, 7, 0)
    files = [write_kld(tmp_path / f"{x}.kld", logits, tokens, 12) for x in "ab"]
    rows = pandq.scan(files, p="logits:a.logits", q="logits:b.logits", labels="a.token")
    found = pandq.compare(rows)
    codes = found.from_reference[0].codes
    there = (tokens[np.array(scored(12, 2)) + 1] == 7).sum()
    assert codes["labels_at_floor"] == codes["reference_labels_at_floor"] == there > 0
    assert codes["effects"]["log_perplexity"]["above"] is None
    text = found.to_text()
    assert f"Of 10 labels {there} lie at the floor under Q, {there} under P." in text
    assert "no bound" in text


def test_rows_are_decoded_to_the_same_bits_however_many_are_read_together(large):
    *_, files = large
    stored = pandq.read.kld.kld(files[1])["logits"]
    whole = stored[:]
    for row in range(len(whole)):
        alone = stored[row : row + 1]
        assert np.array_equal(np.asarray(whole)[row], np.asarray(alone)[0])
        for name in ("half_step", "least", "n_floor", "mass", "most"):
            assert getattr(whole.codes, name)[row] == getattr(alone.codes, name)[0]


def test_what_is_decoded_is_scale_times_code_plus_least_and_the_floors_share(large):
    """Each step of it over again, for one row, with the formulas of the module."""
    *_, files = large
    stored = pandq.read.kld.kld(files[1])["logits"]
    block, raw = stored[:], stored.stored[:]
    for row in range(len(raw)):
        scale, least = raw[row, :4].view("<f4")
        codes = raw[row, 4:]
        log_p = scale * codes.astype(np.float32) + least
        low = codes == 0
        left = 1 - np.exp(log_p[~low].astype(np.float64)).sum()
        assert np.array_equal(np.asarray(block)[row, ~low], log_p[~low])
        assert block.codes.n_floor[row] == low.sum()
        shared = np.exp(np.asarray(block, np.float64)[row, low])
        assert shared.sum() == pytest.approx(block.codes.mass[row], rel=1e-5)
        assert len(np.unique(shared)) == 1
        assert abs(block.codes.mass[row] - left) < 1e-4


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path):
    """Two files, one of nine times as many windows."""
    rng = np.random.default_rng(0)
    logits, tokens = rng.normal(size=(16, 30_000)) * 3, rng.integers(0, 30_000, 16)
    peak = {}
    for windows in (32, 288):
        name = f"{windows}.kld"
        write_kld(tmp_path / name, logits, tokens, 16)
        raw = (tmp_path / name).read_bytes()
        head = struct.pack("<Iii", 16, 30_000, windows)
        records = raw[8 + 12 + 4 * 16 :]
        with (tmp_path / name).open("wb") as out:
            out.write(b"_logits_" + head + np.tile(tokens, windows).astype("<i4").tobytes())
            for _ in range(windows):
                out.write(records)
        code = (
            "import resource, sys, pandq; p = 'logits:logits';"
            "pandq.compare(pandq.scan(sys.argv[1:2], p=p, q=p, labels='token'));"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        command = [sys.executable, "-c", code, str(tmp_path / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peak[windows] = int(done.stdout) / 1024
    assert (tmp_path / "288.kld").stat().st_size > 110 << 20
    assert peak[288] < peak[32] + 60


def test_logits_in_full_leave_nothing_open():
    x = np.random.default_rng(0).normal(size=(4, 5))
    found = pandq.compare(pandq.Logits(x), pandq.Logits(x + 0.1 * x[:, ::-1]))
    assert found.from_reference[0].codes is None


@pytest.mark.parametrize("width", [3, 64, 131, 4096])
def test_the_kernel_decodes_what_numpy_does(width, monkeypatch):
    rng = np.random.default_rng(width)
    codes = rng.integers(0, 65536, size=(9, width + 4)).astype("<u2")[:, 4:]
    codes[rng.random(codes.shape) < 0.3] = 0
    scale = np.full(9, kld_module.FLOOR_NATS / 65535, np.float32)
    scale[4] = 1e-5  # a range that fits its codes: 0 is a code like any
    least = np.float32(-16.5) + rng.normal(size=9).astype(np.float32)
    found, wanted = (np.empty(codes.shape, np.float32) for _ in range(2))
    told = kld_module._decoded(found, codes, scale, least)
    monkeypatch.setattr(kld_module, "decoded", lambda *_: None)
    monkeypatch.setattr(kld_module, "levelled", lambda *_: False)
    plain = kld_module._decoded(wanted, codes, scale, least)
    coded = (codes > 0) | (np.arange(9) == 4)[:, None]
    assert (found[coded] == wanted[coded]).all()
    assert told.n_floor.tolist() == plain.n_floor.tolist()
    size = plain.most + 1e-6
    assert np.abs(told.mass - plain.mass).max() <= 1e-6
    assert (np.abs(told.most - plain.most) <= 1e-3 * size + 1e-6).all()
    for log_p, codes_of in ((found, told), (wanted, plain)):
        level = codes_of.level.astype(np.float32)
        assert (log_p[~coded] == np.broadcast_to(level[:, None], codes.shape)[~coded]).all()


def test_what_one_gives_the_other_s_floor_is_a_plain_sum():
    rng = np.random.default_rng(5)
    here, there = (rng.normal(-12, 3, (7, 203)).astype(np.float32) for _ in range(2))
    level = np.append(np.quantile(there, 0.2, axis=1)[:6], -np.inf).astype(np.float32)
    found = given_at(here, there, level)
    wanted = np.where(there <= level[:, None], np.exp(here.astype(np.float64)), 0).sum(axis=1)
    if found is not None:
        assert found == pytest.approx(wanted, rel=3e-7)
