"""Arrays of sequences: a row for each token that counts, whatever file they lie in."""

import copy

import numpy as np
import pytest

import pandq
from pandq import InputError, RowError, scan
from pandq.read import arrays as arrays_module
from tests.read.test_arrays import write_safetensors

B, T, K = 6, 5, 3
RNG = np.random.default_rng(5)
LOGITS = RNG.normal(size=(B, T, K)) * 2
OTHER = RNG.normal(size=(B, T, K)) * 2
LABELS = RNG.integers(K, size=(B, T))
LENGTHS = np.array([5, 0, 3, 1, 4, 2])
MASK = np.arange(T) < LENGTHS[:, None]
SITES = np.array(["n", "s", "n", "w", "s", "n"])
LABELS[~MASK] = -100
ALL = {"logits": LOGITS, "other": OTHER, "labels": LABELS}
AUDITED = {"p": "labels:labels", "q": "logits:logits"}


def npz(folder, **arrays):
    np.savez(folder / "x.npz", **arrays)
    return folder / "x.npz"


def packed(folder, **arrays):
    np.savez_compressed(folder / "x.npz", **arrays)
    return folder / "x.npz"


def npy(folder, **arrays):
    for name, x in arrays.items():
        np.save(folder / f"{name}.npy", x)
    return [folder / f"{name}.npy" for name in arrays]


def safetensors(folder, **arrays):
    kinds = {"b": np.int64, "i": np.int64}
    fine = {k: x.astype(kinds.get(x.dtype.kind, x.dtype)) for k, x in arrays.items()}
    return write_safetensors(folder / "x.safetensors", fine)


FORMATS = {"npz": npz, "packed": packed, "npy": npy, "safetensors": safetensors}
TOLD = {
    "mask": {"mask": MASK},
    "attention_mask": {"attention_mask": MASK.astype(np.int64)},
    "loss_mask": {"loss_mask": MASK.astype(np.float32)},
    "lengths": {"lengths": LENGTHS},
    "both": {"lengths": LENGTHS, "mask": MASK},
}


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize("told", TOLD)
def test_tokens_that_count_are_the_rows(write, told, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays_module, "PART_ROWS", 7)
    rows = scan(FORMATS[write](tmp_path, **ALL, **TOLD[told]), **AUDITED)
    chunks = list(rows.chunks())
    assert np.array_equal(np.concatenate([c.p.array for c in chunks]), LABELS[MASK])
    assert np.array_equal(np.concatenate([c.q.array for c in chunks]), LOGITS[MASK])
    assert rows.cluster == "sequence"
    keys = np.concatenate([c.clusters for c in chunks])
    assert len(np.unique(keys)) == (LENGTHS > 0).sum()
    name = {"both": "mask"}.get(told, told)
    assert f"{name} says that 15 of 30 tokens count, of 6 sequences" in rows.notes


def test_an_audit_of_sequences_is_that_of_their_tokens_in_clusters(tmp_path):
    rows = scan(npz(tmp_path, **ALL, mask=MASK), **AUDITED)
    found = pandq.audit(rows, decompose=False)
    cluster = np.repeat(np.arange(B), T)[MASK.ravel()]
    views = pandq.Labels(LABELS[MASK], K), pandq.Logits(LOGITS[MASK])
    flat = pandq.audit(*views, cluster=cluster, decompose=False)
    assert found.cross_entropy.value == flat.cross_entropy.value
    assert found.cross_entropy.low == pytest.approx(flat.cross_entropy.low)


def test_a_comparison_says_over_what_its_intervals_are(tmp_path):
    rows = scan(npz(tmp_path, **ALL, mask=MASK), p="logits:logits", q="logits:other")
    found = pandq.compare(rows, decompose=False)
    assert found.source["intervals_over"] == "5 sequences"
    p, q = pandq.Logits(LOGITS[MASK]), pandq.Logits(OTHER[MASK])
    exact = pandq.kl_divergence(p, q).mean()
    assert found.from_reference[0].kl.value == pytest.approx(exact)


def test_what_is_said_of_a_sequence_is_said_of_its_tokens(tmp_path):
    rows = scan(npz(tmp_path, **ALL, mask=MASK, site=SITES), by="site", **AUDITED)
    (chunk,) = rows.chunks()
    codes, names = chunk.groups["site"]
    assert np.array_equal(np.array(names)[codes], np.repeat(SITES, T)[MASK.ravel()])


def test_a_condition_may_ask_for_the_place_of_a_token(tmp_path):
    rows = scan(npz(tmp_path, **ALL, mask=MASK), where="position > 0 AND sequence <> 2", **AUDITED)
    kept = MASK & (np.arange(T) > 0) & (np.arange(B) != 2)[:, None]
    assert np.array_equal(np.concatenate([c.q.array for c in rows.chunks()]), LOGITS[kept])


def test_a_worker_opens_the_same_tokens(tmp_path):
    rows = scan(npz(tmp_path, **ALL, mask=MASK), **AUDITED)
    again = copy.deepcopy(rows)  # as a worker gets it
    for mine, theirs in zip(rows.chunks(), again.chunks(), strict=True):
        assert np.array_equal(mine.q.array, theirs.q.array)
        assert np.array_equal(mine.clusters, theirs.clusters)


def test_hidden_states_of_sequences_go_under_a_head(tmp_path):
    weight = RNG.normal(size=(K, 4))
    hidden = RNG.normal(size=(B, T, 4))
    np.save(tmp_path / "head.npy", weight)
    files = npz(tmp_path, hidden=hidden, labels=LABELS, mask=MASK)
    rows = scan(files, p="labels:labels", q=f"linear:hidden,{tmp_path / 'head.npy'}")
    found = pandq.audit(rows, decompose=False).cross_entropy.value
    logits = pandq.Logits(hidden[MASK] @ weight.T)
    exact = pandq.cross_entropy(pandq.Labels(LABELS[MASK], K), logits).mean()
    assert found == pytest.approx(exact)


@pytest.mark.parametrize("write", FORMATS)
@pytest.mark.parametrize("read", [AUDITED, {"p": "logits:other", "q": "logits:logits"}])
def test_without_a_mask_an_error_says_what_is_missing(write, read, tmp_path):
    with pytest.raises(InputError, match=r"has more than one.*6 x 5.*mask, \(B, T\).*lengths"):
        list(scan(FORMATS[write](tmp_path, **ALL), **read).chunks())


def test_what_is_not_recognised_may_be_tokens_of_sequences(tmp_path):
    with pytest.raises(InputError, match=r"no column is known as P.*mask, \(B, T\)"):
        scan(npz(tmp_path, **ALL), q="logits:logits")


def test_flat_labels_beside_sequences_are_told_the_same(tmp_path):
    with pytest.raises(
        InputError, match=r"different lengths.*logits 6, labels 30.*lengths, \(B,\)"
    ):
        scan(npz(tmp_path, logits=LOGITS, labels=LABELS.ravel()), **AUDITED)


@pytest.mark.parametrize("write", FORMATS)
def test_three_dimensions_beside_rows_are_an_ensemble(write, tmp_path):
    rows = scan(FORMATS[write](tmp_path, logits=LOGITS, labels=LABELS[:, 0] % K))
    (chunk,) = rows.chunks()
    assert chunk.q.n_members == T


BAD = {
    "a mask of weights": ({"mask": MASK * 0.5}, r"mask is 1 where.*got 0.5 at \(0, 0\)"),
    "an additive mask": ({"mask": np.where(MASK, 0, -np.inf)}, "mask is 1 where.*got -inf"),
    "a mask of names": ({"mask": np.where(MASK, "yes", "no")}, "mask is 1 where.*got yes"),
    "lengths beyond the end": ({"lengths": LENGTHS + 1}, "whole numbers.*0 to 5, got 6"),
    "lengths that are halves": ({"lengths": LENGTHS / 2}, "whole numbers.*got 2.5"),
    "lengths that are names": ({"lengths": SITES}, "whole numbers.*got <U1"),
    "nothing that counts": ({"mask": ~MASK & MASK}, "by mask no token counts"),
    "a mask and other lengths": (
        {"mask": MASK, "lengths": LENGTHS // 2},
        "mask and lengths disagree about which tokens count, got 15 and 6. Rename",
    ),
    "other numbers of tokens": (
        {"mask": MASK, "more": LOGITS[:, :3]},
        r"differ in number or in tokens, got logits \(6, 5\) and more \(6, 3\)",
    ),
    "an array where places are": (
        {"lengths": LENGTHS, "position": LABELS},
        "an array is called 'position'",
    ),
    "column by column": (
        {"mask": MASK, "logits": np.asfortranarray(LOGITS)},
        "'logits' lies column by column.*ascontiguousarray",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_say_which_tokens_count_is_refused(case, tmp_path):
    more, text = BAD[case]
    with pytest.raises(InputError, match=f"x.npz.*{text}"):
        scan(npz(tmp_path, **{**ALL, **more}), **AUDITED)


def test_a_wrong_token_is_named_by_its_row_among_those_that_count(tmp_path):
    labels = LABELS.copy()
    labels[2, 1] = 7
    with pytest.raises(RowError, match=r"Labels row 6 is out of range for 3 classes"):
        list(scan(npz(tmp_path, **{**ALL, "labels": labels}, mask=MASK), **AUDITED).chunks())


def test_a_mask_of_another_shape_is_named_with_it(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, logits=LOGITS, labels=LABELS, mask=np.ones((len(LABELS), 2), int))
    with pytest.raises(InputError, match=r"got 6 x 5, beside mask of 6 x 2"):
        scan(path, p="labels:labels", q="logits:logits")
