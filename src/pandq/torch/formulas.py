"""The formulas of the losses: of two distributions, one number per row, with their derivatives."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pandq.torch.views import INFINITY, Law

# Up to this |log q/p| a divergence's term is formed from the log ratio alone.
_NEAR = 0.5
# 1/n! from the highest order down to 1/2!, enough for |t| <= 1/2 in float64.
_TAYLOR = [1.0 / math.factorial(order) for order in range(16, 1, -1)]


class _ExpRemainder(torch.autograd.Function):
    """exp(t) - 1 - t, in double precision for |t| <= 1/2; never negative, derived as expm1(t)."""

    @staticmethod
    def forward(t: Tensor) -> Tensor:
        if t.dtype != torch.float64:
            # what this rounds away is less than what a logarithm of single precision has lost
            return (t.expm1() - t).clamp_min(0.0)
        series = torch.full_like(t, _TAYLOR[0])
        for coefficient in _TAYLOR[1:]:
            series = series * t + coefficient
        return series * t * t

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        del output
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (t,) = ctx.saved_tensors
        return grad * t.expm1()


def cross_entropy(p: Law, q: Law) -> Tensor:
    """-sum p log q; +inf where Q forbids what P allows."""
    allowed = q.log_prob > -INFINITY
    terms = -p.prob * torch.where(allowed, q.log_prob, 0.0)
    return (terms + _impossible(p, q, allowed)).sum(-1)


def kl_divergence(p: Law, q: Law) -> Tensor:
    """Sum of q - p - p log(q/p), whose terms are never negative."""
    allowed, possible = q.log_prob > -INFINITY, p.log_prob > -INFINITY
    both = allowed & possible
    t = torch.where(both, q.log_prob, 0.0) - torch.where(both, p.log_prob, 0.0)
    near = t.abs() <= _NEAR
    close = p.prob * _ExpRemainder.apply(torch.where(near, t, 0.0))
    far = q.prob - p.prob - p.prob * torch.where(near, 0.0, t)
    terms = torch.where(both, torch.where(near, close, far), torch.where(possible, 0.0, q.prob))
    return (terms + _impossible(p, q, allowed)).sum(-1)


def reverse_kl(p: Law, q: Law) -> Tensor:
    """KL(Q||P)."""
    return kl_divergence(q, p)


def js_divergence(p: Law, q: Law, beta: float) -> Tensor:
    """Sum of beta p log(p/m) + (1 - beta) q log(q/m) for m = beta p + (1 - beta) q.

    Each class adds beta p (e^s - 1 - s) + (1 - beta) q (e^t - 1 - t) with s = log m/p and
    t = log m/q, in which nothing is negative.
    """
    possible, allowed = p.log_prob > -INFINITY, q.log_prob > -INFINITY
    both = allowed & possible
    d = torch.where(both, q.log_prob, 0.0) - torch.where(both, p.log_prob, 0.0)
    down = d <= 0
    # log m/p from the side on which nothing overflows
    low = ((1.0 - beta) * torch.where(down, d, 0.0).expm1()).log1p()
    high = (beta * torch.where(down, 0.0, -d).expm1()).log1p()
    s, t = torch.where(down, low, d + high), torch.where(down, low - d, high)
    shared = beta * _term(p.prob, s) + (1.0 - beta) * _term(q.prob, t)
    alone = -beta * math.log(beta) * torch.where(possible, p.prob, 0.0)
    alone = alone - (1.0 - beta) * math.log1p(-beta) * torch.where(allowed, q.prob, 0.0)
    return torch.where(both, shared, alone).sum(-1)


def reverse_pull(log_p: Tensor, q: Law) -> Tensor:
    """The u of KL(Q||P), whose derivative in Q's logits is q (u - sum q u)."""
    return q.log_prob.sub_(log_p)


def js_pull(p: Tensor, q: Law, beta: float) -> Tensor:
    """The u of the Jensen-Shannon divergence, (1 - beta) log(q/m)."""
    kinds = torch.finfo(p.dtype)
    m = torch.lerp(q.prob, p, beta).clamp_min_(kinds.tiny)
    # of what Q gives nothing to any number will do
    return q.log_prob.clamp_min_(kinds.min).sub_(m.log_()).mul_(1.0 - beta)


def smoothed(p: Law, q: Law, smoothing: float) -> Tensor:
    """Cross entropy of P with `smoothing` of it spread evenly over the classes."""
    k = p.prob.shape[-1]
    mixed = (1.0 - smoothing) * p.prob + smoothing / k
    return cross_entropy(Law(mixed, mixed.log()), q)


def _term(x: Tensor, t: Tensor) -> Tensor:
    """X (e^t - 1 - t), for a t that is not large."""
    if t.dtype != torch.float64:
        # there near and far are formed alike
        return x * _ExpRemainder.apply(t)
    near = t.abs() <= _NEAR
    close = _ExpRemainder.apply(torch.where(near, t, 0.0))
    far = torch.where(near, 0.0, t)
    return x * torch.where(near, close, far.expm1() - far)


def _impossible(p: Law, q: Law, allowed: Tensor) -> Tensor:
    """+inf where P allows a class that Q forbids, with -p as its derivative in log q."""
    forbidden = ~allowed & (p.log_prob > -INFINITY)
    mass = p.prob.detach().clamp_min(torch.finfo(p.prob.dtype).tiny)
    return torch.where(forbidden, -mass * torch.where(forbidden, q.log_prob, 0.0), 0.0)
