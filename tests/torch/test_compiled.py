"""Losses as torch compiles them for a processor."""

import shutil

import pytest

torch = pytest.importorskip("torch")

from pandq import torch as pt  # noqa: E402

BETA = 0.3
LOSSES = (
    pt.KLDivergence(reduction="none"),
    pt.KLDivergence(direction="reverse", reduction="none"),
    pt.JSDivergence(beta=BETA, reduction="none"),
)


def by_definition(x, z):
    log_p, log_q = (torch.log_softmax(a.double(), -1) for a in (x, z))
    p, q = log_p.exp(), log_q.exp()
    log_m = (BETA * p + (1 - BETA) * q).log()
    mixed = BETA * p * (log_p - log_m) + (1 - BETA) * q * (log_q - log_m)
    return torch.stack(
        [(p * (log_p - log_q)).sum(-1), (q * (log_q - log_p)).sum(-1), mixed.sum(-1)]
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles with g++")
def test_small_divergences_keep_their_digits_when_compiled():
    torch.manual_seed(0)
    x = torch.randn(8, 2000) * 3
    noise = torch.randn(8, 2000)

    @torch.compile(fullgraph=True)
    def compiled(x, z):
        return torch.stack([loss(pt.Logits(x), pt.Logits(z)) for loss in LOSSES])

    for size, digits in ((1.0, 1e-5), (1e-3, 1e-3)):
        z = (x + size * noise).requires_grad_()
        found, expected = compiled(x, z), by_definition(x, z.detach())
        assert found.detach().double().numpy() == pytest.approx(expected.numpy(), rel=digits)
        wanted = z.detach().double().requires_grad_()
        (grad,) = torch.autograd.grad(found.sum(), z)
        (true,) = torch.autograd.grad(by_definition(x, wanted).sum(), wanted)
        assert (grad - true).norm() <= 2 * digits * true.norm()
