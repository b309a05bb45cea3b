"""The formulas of the losses: of two distributions, one number per row, with their derivatives.

What is possible is what is not -inf, so that NaN is kept and not taken for a forbidden class.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pandq.torch.views import INFINITY, Law

# Up to this |log q/p| a divergence's term is formed from the log ratio alone.
_NEAR = 0.5
# 1/n! from the highest order down to 1/1!: of exp(t) - 1 for |t| <= 1/2, in either precision.
_TAYLOR = {
    kind: [1.0 / math.factorial(order) for order in range(most, 0, -1)]
    for kind, most in ((torch.float32, 9), (torch.float64, 17))
}
# Beyond this |log q/p| the smaller of the two is lost in their sum, and p/q is not yet.
_APART = {torch.float32: 16.0, torch.float64: 36.0}


class _ExpRemainder(torch.autograd.Function):
    """exp(t) - 1 - t of t and exp(t) - 1, for |t| <= 1/2 in double precision; never negative."""

    @staticmethod
    def forward(t: Tensor, less_one: Tensor) -> Tensor:
        if t.dtype != torch.float64:
            # what this rounds away is less than what a logarithm of single precision has lost
            return (less_one - t).clamp_min(0.0)
        return _polynomial(_TAYLOR[t.dtype][:-1], t) * t * t

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        del output
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (less_one,) = ctx.saved_tensors
        return grad * less_one, None


class _Impossible(torch.autograd.Function):
    """+inf where P allows a class that Q forbids, with -p as its derivative in log q."""

    @staticmethod
    def forward(log_q: Tensor, p: Tensor, log_p: Tensor) -> Tensor:
        del p
        return torch.where((log_q == -INFINITY) & (log_p != -INFINITY), INFINITY, 0.0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        del output
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        log_q, p, log_p = ctx.saved_tensors
        forbidden = (log_q == -INFINITY) & (log_p != -INFINITY)
        mass = p.detach().clamp_min(torch.finfo(p.dtype).tiny)
        return torch.where(forbidden, -mass * grad, 0.0), None, None


def cross_entropy(p: Law, q: Law) -> Tensor:
    """-sum p log q; +inf where Q forbids what P allows."""
    allowed = q.log_prob != -INFINITY
    terms = -p.prob * torch.where(allowed, q.log_prob, 0.0)
    return (terms + _Impossible.apply(q.log_prob, p.prob, p.log_prob)).sum(-1)


def kl_divergence(p: Law, q: Law) -> Tensor:
    """Sum of q - p - p log(q/p), whose terms are never negative."""
    allowed, possible = q.log_prob != -INFINITY, p.log_prob != -INFINITY
    both = allowed & possible
    t = torch.where(both, q.log_prob, 0.0) - torch.where(both, p.log_prob, 0.0)
    near = t.abs() <= _NEAR
    small = torch.where(near, t, 0.0)
    close = p.prob * _ExpRemainder.apply(small, _expm1_near(small))
    far = q.prob - p.prob - p.prob * torch.where(near, 0.0, t)
    terms = torch.where(both, torch.where(near, close, far), torch.where(possible, 0.0, q.prob))
    return (terms + _Impossible.apply(q.log_prob, p.prob, p.log_prob)).sum(-1)


def reverse_kl(p: Law, q: Law) -> Tensor:
    """KL(Q||P)."""
    return kl_divergence(q, p)


def js_divergence(p: Law, q: Law, beta: float) -> Tensor:
    """Sum of beta p log(p/m) + (1 - beta) q log(q/m) for m = beta p + (1 - beta) q.

    Where p and q are near, a class adds beta p (e^s - 1 - s) + (1 - beta) q (e^t - 1 - t) with
    s = log m/p and t = log m/q, in which nothing is negative.
    """
    d, moved, s = _towards_mixture(p.log_prob, q.log_prob, beta)
    near, t = d.abs() <= _NEAR, s - d
    of_p = _ExpRemainder.apply(s, (1.0 - beta) * moved)
    of_q = _ExpRemainder.apply(t, -beta * moved / (1.0 + moved))
    own, other = beta * p.prob, (1.0 - beta) * q.prob
    return torch.where(near, own * of_p + other * of_q, -own * s - other * t).sum(-1)


def reverse_pull(log_p: Tensor, q: Law) -> Tensor:
    """The u of KL(Q||P), whose derivative in Q's logits is q (u - sum q u)."""
    most = torch.finfo(log_p.dtype).max
    # what Q gives nothing to has no slope, however large u is
    u = q.log_prob.sub_(log_p).clamp_(-most, most)
    # nor has, in an infinite loss, what makes it so
    return u.masked_fill_(log_p == -INFINITY, 0.0) if _forbids(log_p) else u


def js_pull(log_p: Tensor, q: Law, beta: float) -> Tensor:
    """The u of the Jensen-Shannon divergence, (1 - beta) log(q/m)."""
    d = _apart(log_p, q.log_prob)
    # as _towards_mixture, in memory that is there already
    s = _expm1(d).mul_(1.0 - beta).log1p_()
    return d.sub_(s).mul_(1.0 - beta)


def smoothed(p: Law, q: Law, smoothing: float) -> Tensor:
    """Cross entropy of P with `smoothing` of it spread evenly over the classes."""
    k = p.prob.shape[-1]
    mixed = (1.0 - smoothing) * p.prob + smoothing / k
    return cross_entropy(Law(mixed, mixed.log()), q)


def _towards_mixture(log_p: Tensor, log_q: Tensor, beta: float) -> tuple[Tensor, Tensor, Tensor]:
    """Log q/p, q/p - 1 and log m/p for m = beta p + (1 - beta) q."""
    d = _apart(log_p, log_q)
    moved = _expm1(d)
    return d, moved, ((1.0 - beta) * moved).log1p()


def _apart(log_p: Tensor, log_q: Tensor) -> Tensor:
    """Log q/p, as far as p and q are told apart in a sum of both; 0 where neither is possible."""
    least, most = torch.finfo(log_p.dtype).min / 2, _APART[log_p.dtype]
    return log_q.clamp_min(least).sub_(log_p.clamp_min(least)).clamp_(-most, most)


def _expm1(t: Tensor) -> Tensor:
    """exp(t) - 1 with all its digits, also compiled: for a processor that takes away 1."""
    if not torch.compiler.is_compiling():
        return t.expm1()
    return torch.where(t.abs() <= _NEAR, _expm1_near(t), t.exp() - 1.0)


def _expm1_near(t: Tensor) -> Tensor:
    """exp(t) - 1 for |t| <= 1/2."""
    return _polynomial(_TAYLOR[t.dtype], t) * t if torch.compiler.is_compiling() else t.expm1()


def _polynomial(coefficients: list[float], t: Tensor) -> Tensor:
    """By Horner's rule, from the highest order down."""
    found = torch.full_like(t, coefficients[0])
    for coefficient in coefficients[1:]:
        found = found * t + coefficient
    return found


def _forbids(log_p: Tensor) -> bool:
    """Is there a class that P forbids? What is compiled does not look, and allows for one."""
    if torch.compiler.is_compiling():
        return True
    return bool(log_p.numel()) and log_p.amin().item() == -INFINITY
