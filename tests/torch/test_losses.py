"""One suite for every torch loss and every pair of views: the values of the NumPy measures, the
gradients of calculus, and no NaN where a probability is zero."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pandq
from pandq import InputError, ViewTypeError

torch = pytest.importorskip("torch")
pt = pytest.importorskip("pandq.torch")

INF = float("inf")
LOSSES = {
    "kl": (pt.kl_divergence, pt.KLDivergence, pandq.kl_divergence),
    "cross_entropy": (pt.cross_entropy, pt.CrossEntropy, pandq.cross_entropy),
}
KINDS = ("labels", "counts", "probs", "logprobs", "logits")


def law(kind, n=40, k=5, seed=0, *, zeros=True):
    """Rows of one kind; some classes have probability zero where the kind can say so."""
    rng = np.random.default_rng(seed)
    if kind == "labels":
        return rng.integers(0, k, n)
    if kind == "counts":
        return rng.multinomial(3 if zeros else 400, np.full(k, 1 / k), n)
    x = rng.normal(size=(n, k)) * 3
    if zeros:
        x[rng.random((n, k)) < 0.2] = -INF
        x[:, 0] = np.where(np.isneginf(x).all(axis=1), 0.0, x[:, 0])
    log_q = x - np.logaddexp.reduce(x, axis=1, keepdims=True)
    return {"logits": x, "logprobs": log_q, "probs": np.exp(log_q)}[kind]


def views(kind, array, dtype=torch.float64, k=5):
    """The same rows as a view of arrays and as a view of tensors."""
    names = {x.lower(): x for x in ("Labels", "Counts", "Probs", "LogProbs", "Logits")}
    tensor = torch.tensor(array) if kind in ("labels", "counts") else torch.tensor(array).to(dtype)
    more = {"n_classes": k} if kind == "labels" else {}
    return getattr(pandq, names[kind])(tensor, **more), getattr(pt, names[kind])(tensor)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("q_kind", KINDS[2:])
@pytest.mark.parametrize("p_kind", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_loss_of_torch_is_the_measure_of_numpy(loss, p_kind, q_kind, zeros, dtype):
    ours, module, plain = LOSSES[loss]
    p, tp = views(p_kind, law(p_kind, seed=1, zeros=zeros), dtype)
    q, tq = views(q_kind, law(q_kind, seed=2, zeros=zeros), dtype)
    expected = plain(p, q)
    close = {"rel": 1e-12, "abs": 1e-13} if dtype == torch.float64 else {"rel": 2e-5, "abs": 2e-6}
    assert ours(tp, tq).numpy() == pytest.approx(expected, **close)
    assert ours(p, tq).numpy() == pytest.approx(expected, **close)
    assert float(module()(tp, tq)) == pytest.approx(expected.mean(), **close)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("p_kind", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_in_logits_is_q_minus_p(loss, p_kind, seed):
    _, tp = views(p_kind, law(p_kind, seed=seed, zeros=True))
    z = torch.tensor(law("logits", seed=seed + 10), requires_grad=True)
    LOSSES[loss][1](reduction="sum")(tp, pt.Logits(z)).backward()
    p = np.eye(5)[tp.tensor] if p_kind == "labels" else tp.law(torch.float64).prob.numpy()
    q = torch.softmax(z.detach(), -1).numpy()
    assert z.grad.numpy() == pytest.approx(q - p, abs=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_is_nan_where_p_is_zero_or_a_class_is_forbidden(loss):
    z = torch.tensor([[0.0, -INF, 1.0], [-INF, 2.0, -INF]], requires_grad=True)
    p = torch.tensor([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]], requires_grad=True)
    value = LOSSES[loss][1]()(pt.Probs(p), pt.Logits(z))
    value.backward()
    assert value.isfinite()
    assert z.grad.isfinite().all()
    assert p.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_an_impossible_row_is_infinite_and_its_gradient_still_points_the_way(loss):
    z = torch.tensor([[0.0, -INF]], requires_grad=True)
    value = LOSSES[loss][1]()(pt.Probs(torch.tensor([[0.25, 0.75]])), pt.Logits(z))
    value.backward()
    assert value == INF
    assert z.grad.tolist() == [[0.75, -0.75]]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("near", [False, True])
def test_gradients_of_both_sides_and_of_gradients_are_those_of_differences(loss, near):
    rng = np.random.default_rng(3)
    zp = torch.tensor(rng.normal(size=(3, 4)), requires_grad=True)
    step = 0.1 if near else 3.0
    zq = (zp.detach() + step * torch.tensor(rng.normal(size=(3, 4)))).requires_grad_()

    def value(a, b):
        return LOSSES[loss][0](pt.Logits(a), pt.Logits(b))

    assert torch.autograd.gradcheck(value, (zp, zq))
    assert torch.autograd.gradgradcheck(value, (zp, zq))


@pytest.mark.parametrize("loss", LOSSES)
def test_second_derivatives_are_right_beside_a_forbidden_class(loss):
    p = pt.Probs(torch.tensor([[0.3, 0.0, 0.7]], dtype=torch.float64))
    mask = torch.tensor([[0.0, -INF, 0.0]], dtype=torch.float64)
    z = torch.tensor([[0.2, 0.0, -0.4]], dtype=torch.float64, requires_grad=True)

    def value(x):
        return LOSSES[loss][0](p, pt.Logits(x + mask))

    assert torch.autograd.gradcheck(value, (z,))
    assert torch.autograd.gradgradcheck(value, (z,))
    found = torch.autograd.functional.hessian(lambda x: value(x).sum(), z)[0, :, 0]
    q = torch.softmax(z + mask, -1)[0].detach()
    assert torch.allclose(found, torch.diag(q) - torch.outer(q, q))


@given(st.floats(-12, -1), st.integers(0, 2**32 - 1))
def test_a_small_divergence_keeps_its_digits_in_single_precision(power, seed):
    rng = np.random.default_rng(seed)
    zp = rng.normal(size=(1, 50)).astype(np.float32)
    zq = (zp + 10**power * rng.normal(size=(1, 50))).astype(np.float32)
    expected = pandq.kl_divergence(
        pandq.Logits(zp.astype(np.float64)), pandq.Logits(zq.astype(np.float64))
    )
    found = pt.kl_divergence(pt.Logits(torch.tensor(zp)), pt.Logits(torch.tensor(zq)))
    # the logarithms themselves are known to a rounding error of single precision, e: KL to
    # e sqrt(KL), because it is half of the variance of log q/p
    unsure = 2e-6 * np.sqrt(expected) + 1e-12
    assert np.abs(found.numpy() - expected) <= unsure + 1e-5 * expected


def test_kl_of_a_law_from_itself_is_zero_with_a_gradient_of_zero():
    z = torch.tensor(law("logits"), requires_grad=True)
    value = pt.KLDivergence(reduction="sum")(pt.Logits(z.detach()), pt.Logits(z))
    value.backward()
    assert value == 0.0
    assert (z.grad == 0.0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_may_have_any_shape_and_a_mask_and_weights(loss):
    ours, module, _ = LOSSES[loss]
    p, z = (torch.tensor(law(kind, n=12)).reshape(3, 4, 5) for kind in ("probs", "logits"))
    rows = ours(pt.Probs(p), pt.Logits(z))
    rows = torch.where(rows.isinf(), 0.0, rows)
    keep = ~ours(pt.Probs(p), pt.Logits(z)).isinf()
    keep[0, 0] = False
    w = torch.arange(12.0, dtype=torch.float64).reshape(3, 4)
    garbage = z.clone()
    garbage[~keep] = float("nan")
    garbage.requires_grad_()
    q = pt.Logits(garbage)
    none = module(reduction="none")(pt.Probs(p), q, mask=keep, weights=w)
    assert none.shape == (3, 4)
    assert torch.allclose(none, torch.where(keep, w * rows, 0.0))
    total = module(reduction="sum")(pt.Probs(p), q, mask=keep, weights=w)
    mean = module()(pt.Probs(p), q, mask=keep, weights=w)
    assert total.item() == pytest.approx(none.sum().item())
    assert mean.item() == pytest.approx(none.sum().item() / w[keep].sum().item())
    mean.backward()
    assert garbage.grad.isfinite().all()
    assert (garbage.grad[~keep] == 0).all()


def test_the_mean_is_over_rows_not_over_cells_or_batches():
    z = torch.zeros(2, 3, 7)
    y = torch.zeros(2, 3, dtype=torch.long)
    assert pt.CrossEntropy()(pt.Labels(y), pt.Logits(z)).item() == pytest.approx(np.log(7))
    with pytest.raises(InputError, match="mean_rows, sum or none"):
        pt.CrossEntropy(reduction="batchmean")


def test_a_row_of_weight_zero_does_not_count_even_where_it_is_impossible():
    p, z = pt.Probs(torch.tensor([[1.0, 0.0], [0.0, 1.0]])), torch.tensor([[0.0, 0.0], [0.0, -INF]])
    w = torch.tensor([1.0, 0.0])
    assert pt.KLDivergence()(p, pt.Logits(z), weights=w).item() == pytest.approx(np.log(2))


BAD = {
    "a bare tensor": (lambda: (torch.zeros(1, 2), pt.Logits(torch.zeros(1, 2)), {}), "Wrap it"),
    "a bare array in a view": (lambda: (pt.Probs(np.ones(2)), None, {}), "holds a tensor"),
    "labels as q": (
        lambda: (pt.Probs(torch.ones(1, 1)), pt.Labels(torch.tensor([0])), {}),
        "P comes first",
    ),
    "other rows": (
        lambda: (pt.Labels(torch.tensor([0])), pt.Logits(torch.zeros(2, 2)), {}),
        r"different rows, got \(1,\) and \(2,\)",
    ),
    "other classes": (
        lambda: (pt.Probs(torch.ones(1, 1)), pt.Logits(torch.zeros(1, 2)), {}),
        "different numbers of classes, got 1 and 2",
    ),
    "no law": (
        lambda: (
            pt.Probs(torch.tensor([[0.5, 0.5], [0.5, 0.6]])),
            pt.Logits(torch.zeros(2, 2)),
            {},
        ),
        r"Probs row 1 sums to 1.1",
    ),
    "NaN logits": (
        lambda: (pt.Labels(torch.tensor([0])), pt.Logits(torch.tensor([[0.0, np.nan]])), {}),
        "Logits row 0 holds NaN",
    ),
    "every class forbidden": (
        lambda: (pt.Labels(torch.tensor([0])), pt.Logits(torch.full((1, 2), -INF)), {}),
        "forbids every class",
    ),
    "log-probabilities that are logits": (
        lambda: (pt.Labels(torch.tensor([0])), pt.LogProbs(torch.zeros(1, 2)), {}),
        r"sum to 2",
    ),
    "no votes": (
        lambda: (pt.Counts(torch.tensor([[0, 0]])), pt.Logits(torch.zeros(1, 2)), {}),
        "Counts row 0 has no votes",
    ),
    "a label out of range": (
        lambda: (pt.Labels(torch.tensor([0, 2])), pt.Logits(torch.zeros(2, 2)), {}),
        "Labels row 1 is out of range",
    ),
    "a bad row behind a mask": (
        lambda: (
            pt.Labels(torch.tensor([9, 0, 9])),
            pt.Logits(torch.zeros(3, 2)),
            {"mask": torch.tensor([False, True, True])},
        ),
        "Labels row 2 is out of range",
    ),
    "a mask of numbers": (
        lambda: (
            pt.Labels(torch.tensor([0])),
            pt.Logits(torch.zeros(1, 2)),
            {"mask": torch.ones(1)},
        ),
        "a mask is bool",
    ),
    "a mask that leaves nothing": (
        lambda: (
            pt.Labels(torch.tensor([0])),
            pt.Logits(torch.zeros(1, 2)),
            {"mask": torch.zeros(1, dtype=torch.bool)},
        ),
        "no rows",
    ),
    "negative weights": (
        lambda: (
            pt.Labels(torch.tensor([0])),
            pt.Logits(torch.zeros(1, 2)),
            {"weights": torch.tensor([-1.0])},
        ),
        "weights are negative",
    ),
    "weights of another shape": (
        lambda: (
            pt.Labels(torch.tensor([0])),
            pt.Logits(torch.zeros(1, 2)),
            {"weights": torch.ones(2)},
        ),
        "one value per row",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_pair_of_laws_is_refused_in_words(case):
    make, text = BAD[case]

    def loss():
        p, q, more = make()
        return pt.KLDivergence()(p, q, **more)

    with pytest.raises((InputError, ViewTypeError), match=text):
        loss()


def test_checks_can_be_left_out_for_speed():
    z = torch.tensor([[0.0, np.nan]])
    assert pt.CrossEntropy(check=False)(pt.Labels(torch.tensor([0])), pt.Logits(z)).isnan()


def test_a_tensor_that_needs_its_gradient_is_sent_to_the_views_of_tensors():
    with pytest.raises(InputError, match=r"pandq.torch.Logits"):
        pandq.Logits(torch.zeros(1, 2, requires_grad=True))


@pytest.mark.parametrize("q_kind", KINDS[2:])
@pytest.mark.parametrize("p_kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_what_measures_rows_takes_views_of_tensors(p_kind, q_kind, dtype):
    p, tp = views(p_kind, law(p_kind, seed=1), dtype)
    q, tq = views(q_kind, law(q_kind, seed=2), dtype)
    want = pandq.kl_divergence(p, q)
    assert (pandq.kl_divergence(tp, tq) == want).all()
    assert (pandq.kl_divergence(p, tq) == want).all()
    assert pandq.items(tp, tq).equals(pandq.items(p, q))


def test_a_view_in_a_training_loop_is_audited_as_it_is():
    z = torch.tensor(law("logits", n=60), requires_grad=True)
    y = torch.tensor(law("labels", n=60))
    shaped = pt.Labels(y.reshape(6, 10)), pt.Logits(z.reshape(6, 10, 5))
    want = pandq.audit(pandq.Labels(y), pandq.Logits(z.detach()))
    assert pandq.audit(*shaped).to_dict() == want.to_dict()
    assert pandq.Ensemble([pt.Logits(z), pt.Logits(z)]).n_members == 2


def test_a_view_of_tensors_that_holds_no_law_is_refused_where_it_is_measured():
    x = torch.tensor([[[0.5, 0.5]], [[0.5, 0.6]]])
    with pytest.raises(InputError, match=r"Probs row 1 sums to 1.1"):
        pandq.entropy(pt.Probs(x))


def test_a_bad_row_is_found_behind_one_that_only_looks_bad_in_single_precision(monkeypatch):
    monkeypatch.setattr(pt.Probs, "_doubtful", lambda _: torch.tensor([True, False, True]))
    x = torch.tensor([[0.5, 0.5], [0.5, 0.5], [0.5, 0.6]])
    with pytest.raises(InputError, match=r"Probs row 2 sums to 1.1 \(tolerance 1e-05\)"):
        pt.KLDivergence()(pt.Probs(x), pt.Logits(torch.zeros(3, 2)))
