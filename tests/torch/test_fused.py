"""Losses that are formed a block at a time: every option against calculus, torch and NumPy."""

import math
import os
import re
from pathlib import Path

import numpy as np
import pytest

import pandq
from pandq import InputError, ViewTypeError

torch = pytest.importorskip("torch")
pt = pytest.importorskip("pandq.torch")
functional = pytest.importorskip("torch.nn.functional")
mp = pytest.importorskip("torch.multiprocessing")

INF = float("inf")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Two rows a block, so that there are several and an odd last one."""
    monkeypatch.setattr("pandq.torch.blocked.HERE", 12)
    monkeypatch.setattr("pandq.torch.blocked.FORMED", 20)


def numbers(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


LOSSES = {
    "forward": pt.KLDivergence,
    "reverse": lambda **o: pt.KLDivergence(direction="reverse", **o),
    "warm": lambda **o: pt.KLDivergence(temperature=2.5, **o),
    "warm reverse": lambda **o: pt.KLDivergence(direction="reverse", temperature=2.5, **o),
    "js": pt.JSDivergence,
    "js 0.1": lambda **o: pt.JSDivergence(beta=0.1, **o),
    "cross entropy": pt.CrossEntropy,
    "smoothed": lambda **o: pt.CrossEntropy(label_smoothing=0.2, **o),
}


def by_definition(name, x, z):
    """Each loss of two rows of logits, as it is written in the books."""
    t = 2.5 if "warm" in name else 1.0
    p, q = torch.softmax(x / t, -1), torch.softmax(z / t, -1)
    beta = {"js": 0.5, "js 0.1": 0.1}.get(name)
    if beta:
        m = beta * p + (1 - beta) * q
        return (beta * p * (p / m).log() + (1 - beta) * q * (q / m).log()).sum(-1)
    if name in ("cross entropy", "smoothed"):
        p = p if name == "cross entropy" else 0.8 * p + 0.2 / p.shape[-1]
        return -(p * q.log()).sum(-1)
    p, q = (q, p) if "reverse" in name else (p, q)
    return t * t * (p * (p / q).log()).sum(-1)


@pytest.mark.parametrize("learns", ["q", "both"])
@pytest.mark.parametrize("name", LOSSES)
def test_values_and_both_gradients_are_those_of_the_definition(name, learns):
    x, z = numbers(5, 6), numbers(5, 6, seed=1)
    x.requires_grad_(learns == "both")
    z.requires_grad_()
    w = torch.tensor([0.5, 1.0, 0.0, 2.0, 1.0], dtype=torch.float64)
    found = LOSSES[name](reduction="sum")(pt.Logits(x), pt.Logits(z), weights=w)
    expected = (w * by_definition(name, x, z)).sum()
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    leaves = (x, z) if learns == "both" else (z,)
    mine, theirs = (torch.autograd.grad(loss, leaves) for loss in (found, expected))
    for one, two in zip(mine, theirs, strict=True):
        assert torch.allclose(one, two, atol=1e-13)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_twice_differentiable(name):
    x, z = numbers(3, 4).requires_grad_(), numbers(3, 4, seed=1).requires_grad_()
    loss = LOSSES[name](reduction="none")

    def value(a, b):
        return loss(pt.Logits(a), pt.Logits(b))

    assert torch.autograd.gradcheck(value, (x, z))
    assert torch.autograd.gradgradcheck(value, (x, z))


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_behind_a_mask_leaves_no_trace(name):
    x, z = numbers(5, 6), numbers(5, 6, seed=1)
    keep = torch.tensor([True, False, True, True, False])
    dirty = torch.where(keep[:, None], z, float("nan")).requires_grad_()
    clean = z[keep].requires_grad_()
    loss = LOSSES[name]()
    found = loss(pt.Logits(torch.where(keep[:, None], x, INF)), pt.Logits(dirty), mask=keep)
    expected = loss(pt.Logits(x[keep]), pt.Logits(clean))
    found.backward()
    expected.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-14)
    assert torch.allclose(dirty.grad[keep], clean.grad)
    assert (dirty.grad[~keep] == 0).all()


# what torch warns of while it traces is its own
traced = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


@traced
@pytest.mark.parametrize("name", LOSSES)
def test_compiled_gradients_are_those_of_calculus_where_classes_are_forbidden(name):
    x, z = numbers(5, 6, seed=4), numbers(5, 6, seed=5)
    x[0, 1] = z[0, 1] = -INF
    x[1, 2] = z[2, 3] = -INF
    z[3, 4] = -2000.0
    mask = torch.tensor([True, True, True, True, False])
    z[4] = math.nan
    loss = LOSSES[name](reduction="sum")

    @torch.compile(fullgraph=True, backend="aot_eager")
    def compiled(z):
        return loss(pt.Logits(x), pt.Logits(z), mask=mask)

    found, wanted = (z.clone().requires_grad_() for _ in range(2))
    compiled(found).backward()
    loss(pt.Logits(x), pt.Logits(wanted), mask=mask).backward()
    assert torch.isfinite(found.grad).all()
    assert (found.grad - wanted.grad).abs().max() <= 1e-12
    assert (found.grad[4] == 0).all()


@traced
@pytest.mark.parametrize("name", LOSSES)
def test_it_compiles_as_one_graph_with_a_mask_and_checks(name):
    x, z = numbers(5, 6), numbers(5, 6, seed=1).requires_grad_()
    keep = torch.tensor([True, False, True, True, False])
    dirty = torch.where(keep[:, None], z.detach(), float("nan")).requires_grad_()
    loss = LOSSES[name](check=True)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def step(a, b, mask):
        return loss(pt.Logits(a), pt.Logits(b), mask=mask)

    found, expected = step(x, dirty, keep), loss(pt.Logits(x), pt.Logits(z), mask=keep)
    found.backward()
    expected.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    assert torch.allclose(dirty.grad, z.grad, atol=1e-14)


def test_js_is_that_of_arrays_also_where_classes_are_forbidden():
    x, z = numbers(8, 6) * 3, numbers(8, 6, seed=1) * 3
    x[x < -3] = -INF
    z[z > 3] = -INF
    for beta in (0.5, 0.2):
        expected = pandq.js_divergence(pandq.Logits(x), pandq.Logits(z), weights=(beta, 1 - beta))
        learns = z.clone().requires_grad_()
        loss = pt.JSDivergence(beta=beta, reduction="none")(pt.Logits(x), pt.Logits(learns))
        loss.sum().backward()
        assert loss.detach().numpy() == pytest.approx(expected, rel=1e-12)
        assert learns.grad.isfinite().all()
    y = torch.tensor([1, 0, 2, 3, 4, 5, 0, 1])
    expected = pandq.js_divergence(pandq.Labels(y, 6), pandq.Logits(z))
    found = pt.JSDivergence(reduction="none")(pt.Labels(y), pt.Logits(z))
    assert found.numpy() == pytest.approx(expected, rel=1e-12)


def test_js_over_its_weight_tends_to_kl_both_ways():
    x, z = pt.Logits(numbers(4, 6)), pt.Logits(numbers(4, 6, seed=1))
    small = 1e-6
    near = [pt.JSDivergence(beta=beta)(x, z).item() / small for beta in (small, 1 - small)]
    expected = [pt.KLDivergence(direction=d)(x, z).item() for d in ("forward", "reverse")]
    assert near == pytest.approx(expected, rel=1e-4)


def test_labels_are_smoothed_and_ignored_as_by_torch():
    y, z = torch.tensor([1, -100, 0, 5]), numbers(4, 6).requires_grad_()
    for smoothing in (0.0, 0.3):
        found = pt.CrossEntropy(label_smoothing=smoothing)(pt.Labels(y), pt.Logits(z))
        expected = functional.cross_entropy(z, y, label_smoothing=smoothing)
        assert found.item() == pytest.approx(expected.item(), rel=1e-12)
        mine, theirs = (torch.autograd.grad(loss, z)[0] for loss in (found, expected))
        assert torch.allclose(mine, theirs, atol=1e-14)
    with pytest.raises(InputError, match="Labels row 1 is below 0"):
        pt.CrossEntropy(ignore_index=None)(pt.Labels(y), pt.Logits(z))


def test_a_bfloat16_student_gets_a_gradient_of_its_own_type():
    x, z = numbers(4, 6).bfloat16(), numbers(4, 6, seed=1).bfloat16().requires_grad_()
    pt.KLDivergence()(pt.Logits(x), pt.Logits(z)).backward()
    expected = (torch.softmax(z.float(), -1) - torch.softmax(x.float(), -1)) / 4
    assert z.grad.dtype == torch.bfloat16
    assert torch.allclose(z.grad.float(), expected, atol=2e-3)


# Top-k teachers

IDS = torch.tensor([[3, 0], [1, 2], [5, 4]])


def teacher(tail="bucket"):
    log_p = torch.tensor([[0.5, 0.2], [0.9, 0.05], [0.3, 0.3]], dtype=torch.float64).log()
    return pt.TopK(IDS, log_p, tail=tail)


def merged(tail, z):
    """The same divergence, written out for each row."""
    total = []
    for ids, log_p, row in zip(IDS, teacher().tensor, z, strict=True):
        p, q = log_p.exp(), torch.softmax(row, -1)
        others = torch.ones(6, dtype=torch.bool)
        others[ids] = False
        if tail == "bucket":
            p, q = torch.cat([p, 1 - p.sum()[None]]), torch.cat([q[ids], q[others].sum()[None]])
        elif tail == "ignore":
            p, q = p / p.sum(), q[ids] / q[ids].sum()
        else:
            whole = torch.full((6,), float((1 - p.sum()) / 4), dtype=torch.float64)
            p = whole.scatter(0, ids, p)
        total.append((p * (p / q).log()).sum())
    return torch.stack(total)


@pytest.mark.parametrize("tail", ["bucket", "ignore", "spread"])
def test_a_top_k_teacher_is_its_divergence_written_out(tail):
    z = numbers(3, 6).requires_grad_()
    loss = pt.KLDivergence(reduction="none")
    found, expected = loss(teacher(tail), pt.Logits(z)), merged(tail, z)
    assert torch.allclose(found, expected, rtol=1e-12)
    assert torch.autograd.gradcheck(lambda a: loss(teacher(tail), pt.Logits(a)), (z,))
    assert torch.autograd.gradgradcheck(lambda a: loss(teacher(tail), pt.Logits(a)), (z,))


def test_the_bucket_is_a_lower_bound_and_never_negative_however_near():
    whole = numbers(40, 60).float()
    student = whole + 1e-4 * numbers(40, 60, seed=1).float()
    logs, ids = torch.log_softmax(whole, -1).topk(8)
    found = pt.KLDivergence(reduction="none")(pt.TopK(ids, logs), pt.Logits(student))
    full = pt.KLDivergence(reduction="none")(pt.Logits(whole), pt.Logits(student))
    assert (found >= 0).all()
    assert (found <= full + 1e-7).all()
    low, _ = pandq.kl_bounds(pandq.TopK(ids, logs, 60), pandq.Logits(student))
    assert found.numpy() == pytest.approx(low, abs=1e-7)


def test_a_student_known_at_the_same_ids_is_the_student_known_in_full():
    z = numbers(3, 6)
    named = torch.log_softmax(z, -1).gather(1, IDS)
    for tail in ("bucket", "ignore"):
        for loss in (pt.KLDivergence(), pt.KLDivergence(direction="reverse"), pt.JSDivergence()):
            few = loss(teacher(tail), pt.TopK(IDS, named, tail=tail)).item()
            assert few == pytest.approx(loss(teacher(tail), pt.Logits(z)).item(), rel=1e-10)


def test_all_classes_named_leave_no_bucket():
    x, z = numbers(3, 6), numbers(3, 6, seed=1).requires_grad_()
    logs, ids = torch.log_softmax(x, -1).topk(6)
    found = pt.KLDivergence()(pt.TopK(ids, logs), pt.Logits(z))
    found.backward()
    assert found.item() == pytest.approx(pt.KLDivergence()(pt.Logits(x), pt.Logits(z)).item())
    assert z.grad.isfinite().all()


def test_a_top_k_row_behind_a_mask_may_hold_anything():
    ids, z = IDS.clone(), numbers(3, 6).requires_grad_()
    ids[1] = -7
    keep = torch.tensor([True, False, True])
    loss = pt.KLDivergence()
    found = loss(pt.TopK(ids, teacher().tensor), pt.Logits(z), mask=keep)
    found.backward()
    assert found.item() == pytest.approx(merged("bucket", z)[keep].mean().item())
    assert (z.grad[1] == 0).all()


def test_a_filler_is_refused_as_by_numpy_unless_its_row_is_masked():
    z = numbers(3, 6)
    for filler in (-9999.0, -INF):
        bad = with_filler(filler)
        with pytest.raises(InputError) as mine:
            pt.KLDivergence()(bad, pt.Logits(z))
        with pytest.raises(InputError) as theirs:
            pandq.TopK(IDS.numpy(), bad.tensor.numpy(), 6)
        assert (mine.value.what, mine.value.got) == (theirs.value.what, theirs.value.got)
        keep = torch.tensor([True, False, True])
        found = pt.KLDivergence()(bad, pt.Logits(z), mask=keep)
        assert found.item() == pytest.approx(merged("bucket", z)[keep].mean().item())


def test_a_student_that_forbids_a_named_class_is_no_filler():
    named = torch.log_softmax(numbers(3, 6), -1).gather(1, IDS)
    named[0, 1] = -INF
    found = pt.KLDivergence(reduction="none")(teacher(), pt.TopK(IDS, named))
    assert found.isinf().tolist() == [True, False, False]


def test_rows_of_unequal_k_are_calls_of_their_own_under_one_normaliser():
    z = numbers(3, 6).requires_grad_()
    log_p, loss = teacher().tensor, pt.KLDivergence(normaliser=3)
    short = loss(pt.TopK(IDS[:1, :1], log_p[:1, :1]), pt.Logits(z[:1]))
    found = short + loss(pt.TopK(IDS[1:], log_p[1:]), pt.Logits(z[1:]))
    p, q = log_p[0, 0].exp(), torch.softmax(z[0], -1)[3]
    first = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    assert found.item() == pytest.approx(((first + merged("bucket", z)[1:].sum()) / 3).item())


# Hidden states and heads


def layers(n=7, d=3, k=5, dtype=torch.float64):
    hidden, weight, bias = (
        numbers(*shape, seed=i).to(dtype).requires_grad_()
        for i, shape in enumerate(((n, d), (k, d), (k,)))
    )
    return hidden, weight, bias


@pytest.mark.parametrize(("scale", "cap"), [(None, None), (0.5, 3.0)])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean_rows"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_head_gets_the_gradients_that_its_logits_would_send(name, reduction, scale, cap):
    hidden, weight, bias = layers()
    x = numbers(7, 5, seed=9)
    keep = torch.tensor([True] * 5 + [False, True])
    states = torch.where(keep[:, None], hidden, float("nan"))
    loss = LOSSES[name](reduction=reduction)
    found = loss(pt.Logits(x), pt.Linear(states, weight, bias, scale, cap), mask=keep)
    z = (hidden @ weight.T + bias) * (scale or 1.0)
    z = z if cap is None else cap * (z / cap).tanh()
    expected = loss(pt.Logits(x), pt.Logits(z), mask=keep)
    assert torch.allclose(found, expected, rtol=1e-12)
    mine, theirs = (
        torch.autograd.grad(one.sum() * 3.0, (hidden, weight, bias)) for one in (found, expected)
    )
    for one, two in zip(mine, theirs, strict=True):
        assert torch.allclose(one, two, atol=1e-12)


def test_two_heads_learn_side_by_side_and_twice_differentiably():
    hidden, weight, _ = layers(n=3)
    teacher_head = numbers(5, 3, seed=8).requires_grad_()

    def value(h, w, t):
        return pt.KLDivergence()(pt.Linear(h, t), pt.Linear(h, w))

    def by_logits(h, w, t):
        return pt.KLDivergence()(pt.Logits(h @ t.T), pt.Logits(h @ w.T))

    leaves = (hidden, weight, teacher_head)
    mine, theirs = (torch.autograd.grad(f(*leaves), leaves) for f in (value, by_logits))
    for one, two in zip(mine, theirs, strict=True):
        assert torch.allclose(one, two, atol=1e-13)
    assert torch.autograd.gradcheck(value, leaves)
    assert torch.autograd.gradgradcheck(value, leaves)


def test_a_second_way_back_through_a_head_is_the_first():
    hidden, weight, bias = layers()
    y = torch.arange(7) % 5
    loss = pt.CrossEntropy()(pt.Labels(y), pt.Linear(hidden, weight, bias))
    first = torch.autograd.grad(loss, (hidden, weight, bias), retain_graph=True)
    second = torch.autograd.grad(2.0 * loss, (hidden, weight, bias))
    for one, two in zip(first, second, strict=True):
        assert torch.allclose(2.0 * one, two, atol=1e-14)


def test_a_head_of_bfloat16_adds_its_gradient_up_in_single_precision():
    hidden, weight, bias = layers(n=60, dtype=torch.bfloat16)
    y = torch.arange(60) % 5
    pt.CrossEntropy()(pt.Labels(y), pt.Linear(hidden, weight, bias)).backward()
    exact = [x.detach().double().requires_grad_() for x in (hidden, weight, bias)]
    functional.cross_entropy(functional.linear(*exact), y).backward()
    for mine, true in zip((hidden, weight, bias), exact, strict=True):
        assert mine.grad.dtype == torch.bfloat16
        assert torch.allclose(mine.grad.double(), true.grad, atol=2e-3)


MIXED = {
    "bfloat16 states": (torch.bfloat16, torch.float32, False),
    "a bfloat16 head": (torch.float32, torch.bfloat16, False),
    "single states of a double head": (torch.float32, torch.float64, False),
    "autocast states": (torch.bfloat16, torch.float32, True),
    "autocast of both": (torch.float32, torch.float32, True),
    "doubles in autocast": (torch.float64, torch.float64, True),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("reduction", ["none", "mean_rows"])
@pytest.mark.parametrize("case", MIXED)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_head_of_another_type_is_that_of_torch_linear(case, reduction, compiled):
    of_states, of_head, autocast = MIXED[case]
    torch.compiler.reset()
    hidden, weight, bias = (
        x.detach().to(dtype).requires_grad_()
        for x, dtype in zip(layers(n=9), (of_states, of_head, of_head), strict=True)
    )
    y, loss = torch.arange(9) % 5, pt.CrossEntropy(reduction=reduction)

    def mine(h, w, b):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            return loss(pt.Labels(y), pt.Linear(h, w, b)).mean()

    step = torch.compile(mine, fullgraph=True, backend="aot_eager") if compiled else mine
    found = step(hidden, weight, bias)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        z = functional.linear(hidden, weight.to(of_states), bias.to(of_states))
    expected = functional.cross_entropy(pt.Logits(z).law().log_prob, y)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    leaves = (hidden, weight, bias)
    mine_grads, theirs = (torch.autograd.grad(one, leaves) for one in (found, expected))
    for leaf, one, two in zip(leaves, mine_grads, theirs, strict=True):
        assert one.dtype == leaf.dtype
        assert torch.allclose(one.double(), two.double(), atol=4e-3)


# what torch warns of while it traces is its own
traced = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")


@traced
def test_a_head_in_a_loss_is_measured_and_compiled_like_logits():
    hidden, weight, bias = layers(dtype=torch.float32)
    y = torch.arange(7) % 5
    view = pt.Linear(hidden, weight, bias)
    plain = pandq.log_loss(pandq.Labels(y), pandq.Logits(view.law().log_prob.detach()))
    assert pandq.log_loss(pt.Labels(y), view) == pytest.approx(plain, rel=1e-5)
    loss = pt.CrossEntropy()

    @torch.compile(fullgraph=True, backend="aot_eager")
    def step(h, w, b):
        return loss(pt.Labels(y), pt.Linear(h, w, b))

    assert step(hidden, weight, bias).item() == pytest.approx(plain.mean(), rel=1e-5)


# Averages over several processes and steps


def test_a_normaliser_divides_and_lets_there_be_no_rows():
    z = numbers(3, 4).requires_grad_()
    y = torch.tensor([0, 1, 2])
    loss = pt.CrossEntropy(normaliser=10)
    total = pt.CrossEntropy(reduction="sum")(pt.Labels(y), pt.Logits(z))
    assert loss(pt.Labels(y), pt.Logits(z)).item() == pytest.approx(total.item() / 10)
    nothing = torch.zeros(3, dtype=torch.bool)
    for given in (10, torch.tensor(5), "world"):
        empty = pt.CrossEntropy()(pt.Labels(y), pt.Logits(z), mask=nothing, normaliser=given)
        assert empty.item() == 0.0
        assert (torch.autograd.grad(empty, z)[0] == 0).all()
    none = pt.CrossEntropy(normaliser=3)(pt.Labels(y[:0]), pt.Logits(z[:0]))
    assert none.item() == 0.0


def _of_rank(rank, port, folder):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=3)
    z, y = numbers(19, 4), torch.arange(19) % 4
    mine = (slice(0, 16), slice(16, 19), slice(19, 19))[rank]
    model = torch.nn.Linear(4, 4, bias=False, dtype=torch.float64)
    torch.nn.init.eye_(model.weight)
    spread = torch.nn.parallel.DistributedDataParallel(model)
    loss = pt.CrossEntropy(normaliser="world")(pt.Labels(y[mine]), pt.Logits(spread(z[mine])))
    loss.backward()
    torch.distributed.all_reduce(loss.detach_())
    torch.save((loss / 3, model.weight.grad), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_unequal_processes_and_one_without_tokens_train_on_the_mean_over_all(tmp_path):
    mp.spawn(_of_rank, args=(29_571 + os.getpid() % 999, tmp_path), nprocs=3)
    weight = torch.eye(4, dtype=torch.float64, requires_grad=True)
    z, y = numbers(19, 4), torch.arange(19) % 4
    expected = functional.cross_entropy(z @ weight.T, y)
    expected.backward()
    for rank in range(3):
        value, grad = torch.load(tmp_path / f"{rank}.pt")
        assert value.item() == pytest.approx(expected.item(), rel=1e-12)
        assert torch.allclose(grad, weight.grad, atol=1e-14)


def test_the_program_of_the_document_runs():
    text = (Path(__file__).parents[2] / "docs" / "guides" / "losses.md").read_text(encoding="utf-8")
    space = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(code, space)  # noqa: S102 - it is ours
    assert space["head"].weight.grad.isfinite().all()
    assert space["body"].weight.grad.abs().sum() > 0


def with_filler(filler):
    log_p = teacher().tensor.clone()
    log_p[1, 1] = filler
    return pt.TopK(IDS, log_p)


REFUSED = {
    "another direction": (lambda: pt.KLDivergence(direction="both"), "forward or reverse"),
    "no temperature": (lambda: pt.KLDivergence(temperature=0), "temperature is a number above 0"),
    "a whole share": (lambda: pt.JSDivergence(beta=1), "beta lies between 0 and 1"),
    "all smoothed": (lambda: pt.CrossEntropy(label_smoothing=1), "from 0 to below 1"),
    "a normaliser of 0": (lambda: pt.CrossEntropy(normaliser=0), "a number above 0"),
    "a normaliser of a sum": (
        lambda: pt.CrossEntropy(normaliser=2, reduction="sum"),
        "divides a mean",
    ),
    "reverse labels": (
        lambda: pt.KLDivergence(direction="reverse")(
            pt.Labels(torch.tensor([0])), pt.Logits(torch.zeros(1, 2))
        ),
        "of labels is infinite",
    ),
    "another tail": (lambda: teacher("drop"), "bucket, ignore or spread"),
    "ids as numbers": (lambda: pt.TopK(IDS.double(), teacher().tensor), "class numbers"),
    "too few logarithms": (lambda: pt.TopK(IDS, teacher().tensor[:1]), "for each id"),
    "a class twice": (
        lambda: pt.KLDivergence()(pt.TopK(IDS * 0, teacher().tensor), pt.Logits(numbers(3, 6))),
        "TopK row 0 names a class twice",
    ),
    "a class that Q has not": (
        lambda: pt.KLDivergence()(teacher(), pt.Logits(numbers(3, 5))),
        "TopK row 2 has a class out of range",
    ),
    "more than one": (
        lambda: pt.KLDivergence()(pt.TopK(IDS, torch.full((3, 2), -0.1)), pt.Logits(numbers(3, 6))),
        "sum to more than one",
    ),
    "a filler": (
        lambda: pt.KLDivergence()(with_filler(-9999.0), pt.Logits(numbers(3, 6))),
        "TopK row 1 holds a filler, which is no log-probability, got -9999 in class 1",
    ),
    "an infinite filler": (
        lambda: pt.CrossEntropy()(with_filler(-INF), pt.Logits(numbers(3, 6))),
        "TopK row 1 holds a filler, which is no log-probability, got -inf in class 1",
    ),
    "a student alone": (
        lambda: pt.KLDivergence()(pt.Logits(numbers(3, 6)), teacher()),
        "Q is a TopK, and P is none",
    ),
    "other ids": (
        lambda: pt.KLDivergence()(teacher(), pt.TopK(IDS.flip(1), teacher().tensor)),
        "names other classes than Q",
    ),
    "tails apart": (
        lambda: pt.KLDivergence()(teacher(), teacher("ignore")),
        "tails do not go together",
    ),
    "a warm top": (
        lambda: pt.KLDivergence(temperature=2)(teacher(), pt.Logits(numbers(3, 6))),
        "has no temperature",
    ),
    "a head that does not fit": (
        lambda: pt.Linear(numbers(3, 2), numbers(3, 4)),
        r"do not fit, got \(3, 2\) and \(3, 4\)",
    ),
    "a bias that does not fit": (
        lambda: pt.Linear(numbers(3, 2), numbers(4, 2), numbers(3)),
        "one number per class",
    ),
    "a state that is NaN": (
        lambda: pt.CrossEntropy()(
            pt.Labels(torch.tensor([0, 1])),
            pt.Linear(torch.tensor([[0.0], [math.nan]]), torch.ones(2, 1)),
        ),
        "Linear: hidden row 1 holds a number that is not finite",
    ),
    "a TopK of arrays": (
        lambda: pt.KLDivergence()(pandq.TopK(IDS, teacher().tensor, 6), pt.Logits(numbers(3, 6))),
        "pandq.torch.TopK",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_loss_is_refused_in_words(case):
    make, text = REFUSED[case]
    with pytest.raises((InputError, ViewTypeError), match=text):
        make()
