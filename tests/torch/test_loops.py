"""Tensors in a loop: what counts of a batch of tokens, and what processes have together."""

import multiprocessing
import socket

import numpy as np
import pytest

import pandq
from pandq import InputError
from tests.loops.truth import apart

torch = pytest.importorskip("torch")
views = pytest.importorskip("pandq.torch")

CLOSE = 1e-12


# ------------------------------------------------------------------------------------- tensors


def test_tensors_are_audited_as_arrays_are_and_without_their_gradient():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 5)).astype(np.float32)
    y = rng.integers(5, size=200)
    wanted = pandq.audit(pandq.Labels(y), pandq.Logits(x)).to_dict()
    given = {
        "with a gradient": views.Logits(torch.tensor(x, requires_grad=True)),
        "plain": pandq.Logits(torch.tensor(x)),
    }
    for q in given.values():
        auditor = pandq.Auditor()
        auditor.update(views.Labels(torch.tensor(y)), q)
        assert auditor.result().to_dict() == wanted


def test_a_tensor_is_not_copied_before_it_is_measured():
    x = torch.zeros(4, 3)
    assert views.Logits(x).as_arrays().array.ctypes.data == x.data_ptr()


def test_logits_of_half_precision_with_infinities_are_taken_or_refused_by_their_row():
    auditor = pandq.Auditor()
    y = views.Labels(torch.tensor([0, 1]))
    x = torch.tensor([[0.0, 1.0, -torch.inf], [0.0, 1.0, 2.0]], dtype=torch.float16)
    auditor.update(y, views.Logits(x))
    before = auditor.to_bytes()
    for bad in (torch.inf, torch.nan):
        x[1, 2] = bad
        with pytest.raises(InputError, match="row 1"):
            auditor.update(y, views.Logits(x))
    assert auditor.to_bytes() == before


# -------------------------------------------------------------------------------------- tokens


def padded(side, ignore, seed=0):
    """Sequences of different lengths in a batch, and the losses of their tokens by hand."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 9, size=12)
    logits = torch.tensor(rng.normal(size=(12, 9, 7)), dtype=torch.float64)
    labels = torch.tensor(rng.integers(7, size=(12, 9)))
    mask = torch.zeros(12, 9, dtype=torch.long)
    for i, n in enumerate(lengths):
        some = slice(0, n) if side == "right" else slice(9 - n, 9)
        mask[i, some] = 1
    return logits, torch.where(mask == 1, labels, ignore), mask


def by_hand(logits, labels, mask):
    """The mean loss over tokens, each predicted by the logits before it."""
    losses = [
        -torch.log_softmax(logits[row, t - 1], -1)[labels[row, t]].item()
        for row in range(len(labels))
        for t in range(1, labels.shape[1])
        if mask[row, t]
    ]
    return float(np.mean(losses)), len(losses)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("ignore", [-1, -100])
def test_tokens_that_count_have_the_loss_by_hand(side, ignore):
    logits, labels, mask = padded(side, ignore)
    loss, n = by_hand(logits, labels, mask)
    found = views.tokens(logits, labels, ignore_index=ignore)
    auditor = pandq.Auditor(decompose=False)
    auditor.update(found.p, found.q, cluster=found.cluster)
    result = auditor.result()
    assert result.n == n
    assert result.cross_entropy.value == pytest.approx(loss, abs=1e-12)
    assert "12 clusters" in result.cross_entropy.method


def test_a_mask_says_the_same_as_labels_that_are_ignored():
    logits, labels, mask = padded("right", -100)
    whole = torch.where(mask == 1, labels, 3)
    masked = views.tokens(logits, whole, attention_mask=mask)
    ignored = views.tokens(logits, labels)
    assert torch.equal(masked.q.tensor, ignored.q.tensor)
    assert torch.equal(masked.p.tensor, ignored.p.tensor)
    assert masked.cluster.tolist() == ignored.cluster.tolist()


def test_with_a_mask_padding_on_either_side_leaves_the_same_tokens():
    """What only padding has predicted is not counted; a prompt without labels has predicted."""
    rng = np.random.default_rng(1)
    logits, labels = torch.tensor(rng.normal(size=(1, 5, 3))), torch.tensor([[-100, 1, 2, 0, 1]])
    gap, none = torch.zeros(1, 4, 3, dtype=torch.float64), torch.full((1, 4), -100)
    sides = {"left": (slice(4, 9), (gap, logits)), "right": (slice(0, 5), (logits, gap))}
    found = {}
    for first in (-100, 2):
        labels[0, 0] = first
        for side, (some, parts) in sides.items():
            mask = torch.zeros(1, 9, dtype=torch.long)
            mask[:, some] = 1
            said = (none, labels) if side == "left" else (labels, none)
            found[side] = views.tokens(torch.cat(parts, 1), torch.cat(said, 1), attention_mask=mask)
            assert found[side].p.tensor.tolist() == [1, 2, 0, 1]
            assert torch.equal(found[side].q.tensor, logits[0, :4])


def test_a_sequence_is_the_same_cluster_however_it_is_padded():
    y = torch.tensor([[5, 1, 2, -100, -100], [-100, -100, 5, 1, 2], [-100, 5, 1, 2, 2]])
    found = views.tokens(torch.zeros(3, 5, 6), y, shift=False).cluster
    assert found[0] == found[3] != found[6]
    assert len(set(found.tolist())) == 2


def test_without_a_shift_and_without_padding_nothing_is_copied():
    logits = torch.zeros(2, 3, 4)
    found = views.tokens(logits, torch.zeros(2, 3, dtype=torch.long), shift=False)
    assert found.q.tensor.data_ptr() == logits.data_ptr()
    named = views.tokens(
        logits, torch.zeros(2, 3, dtype=torch.long), shift=False, sequences=["a", "b"]
    )
    assert named.cluster.tolist() == ["a"] * 3 + ["b"] * 3


def test_where_no_token_counts_nothing_is_counted():
    found = views.tokens(torch.zeros(2, 3, 4), torch.full((2, 3), -100))
    auditor = pandq.Auditor()
    auditor.update(found.p, found.q, cluster=found.cluster)
    assert auditor.n == 0
    with pytest.raises(InputError, match="no rows have come"):
        auditor.result()


def test_bytes_of_sequences_are_shared_by_the_tokens_that_count():
    logits, labels, mask = padded("right", -100)
    size = np.arange(12) + 5.0
    found = views.tokens(logits, labels, n_bytes=size)
    auditor = pandq.Auditor(decompose=False)
    auditor.update(found.p, found.q, cluster=found.cluster, n_bytes=found.n_bytes)
    result = auditor.result()
    loss, n = by_hand(logits, labels, mask)
    assert found.n_bytes.sum() == pytest.approx(size.sum())
    assert result.bits_per_byte.value == pytest.approx(n * loss / np.log(2) / size.sum())
    assert result.perplexity.value == pytest.approx(np.exp(loss))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n_bytes": [1.0]}, "n_bytes need one number per sequence"),
        ({"attention_mask": torch.ones(2, 2)}, "attention_mask needs"),
        ({"labels": torch.zeros(3, 3)}, "labels need"),
        ({"logits": torch.zeros(2, 3)}, "are \\(B, T, K\\)"),
        ({"sequences": ["a"]}, "one name per sequence"),
    ],
    ids=str,
)
def test_shapes_that_do_not_fit_are_refused(given, words):
    known = {"logits": torch.zeros(2, 3, 4), "labels": torch.zeros(2, 3, dtype=torch.long)}
    with pytest.raises(InputError, match=words):
        views.tokens(**known | given)


# ----------------------------------------------------------------------------- several processes

N = 301


def shared():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(N, 3)) * 2
    return rng.integers(3, size=N), logits, np.array([f"row {i}" for i in range(N)])


def process(rank, world, port, padded, queue):
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world
    )
    try:
        y, x, ids = shared()
        auditor = pandq.Auditor(unique=padded)
        for places in batches(rank, world, padded=padded):
            named = {"ids": ids[places]} if padded else {}
            auditor.update(pandq.Labels(y[places]), pandq.Logits(x[places]), **named)
        queue.put((rank, views.gather(auditor).result().to_dict()))
    finally:
        torch.distributed.destroy_process_group()


def batches(rank, world, *, padded):
    """A rank's batches: uneven shards, or those that a sampler made equal."""
    if padded:
        each = -(-N // world)
        places = np.resize(np.arange(N), each * world)[rank::world]
    else:
        ends = np.linspace(0, N, world + 1).astype(int) ** 2 // N
        places = np.arange(ends[rank], ends[rank + 1])
    return [places[i : i + 40] for i in range(0, len(places), 40)]


@pytest.mark.parametrize(("world", "padded"), [(1, False), (2, False), (4, False), (4, True)])
def test_processes_have_the_result_of_one(world, padded):
    context = multiprocessing.get_context("spawn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    queue = context.Queue()
    ranks = [
        context.Process(target=process, args=(rank, world, port, padded, queue))
        for rank in range(world)
    ]
    for one in ranks:
        one.start()
    found = dict(queue.get(timeout=300) for _ in ranks)
    for one in ranks:
        one.join()
    y, x, ids = shared()
    order = np.concatenate(
        [places for rank in range(world) for places in batches(rank, world, padded=padded)]
    )
    order = order[np.sort(np.unique(order, return_index=True)[1])]
    named = {"ids": ids[order]} if padded else {}
    wanted = pandq.audit(pandq.Labels(y[order]), pandq.Logits(x[order]), **named).to_dict()
    for rank in range(world):
        assert apart(wanted | {"notes": []}, found[rank] | {"notes": []}) <= CLOSE
        assert found[rank]["n"] == N


def test_alone_a_process_gathers_its_own():
    auditor = pandq.Auditor()
    auditor.update(pandq.Labels([0, 1]), pandq.Logits(np.zeros((2, 2))))
    assert views.gather(auditor).to_bytes() == auditor.to_bytes()


# ------------------------------------------------------------------------------ another device


@pytest.fixture
def elsewhere(monkeypatch):
    """Tensors are measured where they are, as on another device, in blocks of few rows."""
    afar = pytest.importorskip("pandq.torch.afar")
    monkeypatch.setattr(afar, "BLOCK_NUMBERS", 1 << 10)

    def stays(view):
        return afar.Afar.of(view)

    monkeypatch.setattr(views.View, "where_it_is", stays)
    monkeypatch.setattr(views.Labels, "where_it_is", views.Labels.as_arrays)
    return afar


def reference(kind, x):
    return {"logits": pandq.Logits, "logprobs": pandq.LogProbs, "probs": pandq.Probs}[kind](x)


def tensors(kind, x):
    made = {"logits": views.Logits, "logprobs": views.LogProbs, "probs": views.Probs}
    return made[kind](torch.tensor(x))


def rows_of(kind, rng, n=300, k=17, dtype=np.float64):
    x = rng.normal(size=(n, k)) * 3
    if kind != "logits":
        x = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    x = np.exp(x) if kind == "probs" else x
    if kind == "logits":
        x[5, 3], x[6, :2] = -np.inf, 50.0
    return x.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("q_kind", ["logits", "logprobs", "probs"])
@pytest.mark.parametrize("p_kind", ["labels", "logits", "logprobs"])
def test_rows_are_measured_elsewhere_as_they_are_here(elsewhere, p_kind, q_kind, dtype):
    from pandq.rows import NAMES, measure_rows

    rng = np.random.default_rng(4)
    x = rows_of(q_kind, rng, dtype=dtype)
    if p_kind == "labels":
        p = far_p = pandq.Labels(rng.integers(17, size=300))
    else:
        y = rows_of(p_kind, rng, dtype=dtype)
        p, far_p = reference(p_kind, y), elsewhere.Afar.of(tensors(p_kind, y))
    here = measure_rows(p, reference(q_kind, x))
    there = measure_rows(far_p, elsewhere.Afar.of(tensors(q_kind, x)))
    for name in NAMES:
        near = 1e-5 if name == "kl" else 2e-6
        np.testing.assert_allclose(
            getattr(there, name), getattr(here, name), rtol=near, atol=near, err_msg=name
        )


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("unique", [False, True])
def test_an_audit_of_tensors_elsewhere_is_that_of_arrays(unique):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(400, 6))
    y = rng.integers(6, size=400)
    wanted = pandq.audit(pandq.Labels(y), pandq.Logits(x), ids=np.arange(400)).to_dict()
    auditor = pandq.Auditor(unique=unique)
    for some in (slice(0, 100), slice(100, 101), slice(101, 400)):
        tensor = torch.tensor(x[some])
        auditor.update(
            views.Labels(torch.tensor(y[some])), views.Logits(tensor), ids=np.arange(400)[some]
        )
        tensor.fill_(0.0)
    assert apart(wanted, auditor.result().to_dict()) <= 1e-9


@pytest.mark.usefixtures("elsewhere")
def test_a_bad_row_elsewhere_is_refused_by_its_number():
    x = torch.zeros(3, 4)
    x[2, 1] = torch.nan
    auditor = pandq.Auditor()
    with pytest.raises(InputError, match="row 2 holds NaN"):
        auditor.update(views.Labels(torch.tensor([0, 1, 2])), views.Logits(x))
    assert auditor.n == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_tensors_on_cuda_are_audited_as_arrays_are():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(40_000, 10)).astype(np.float32)
    y = rng.integers(10, size=40_000)
    wanted = pandq.audit(pandq.Labels(y), pandq.Logits(x))
    auditor = pandq.Auditor()
    auditor.update(views.Labels(torch.tensor(y).cuda()), views.Logits(torch.tensor(x).cuda()))
    found = auditor.result()
    for name in ("cross_entropy", "brier", "accuracy", "confidence"):
        assert getattr(found, name).value == pytest.approx(getattr(wanted, name).value, rel=2e-6)
