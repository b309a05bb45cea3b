"""KL(P||Q) and H(P, Q) as losses: right in value and gradient where a probability is zero."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from pandq.errors import InputError, RowError
from pandq.torch.views import INFINITY, Labels, Law, View, paired

Reduction = Literal["mean_rows", "sum", "none"]

# Up to this |log q/p| a divergence's term is formed from the log ratio alone.
_NEAR = 0.5
# 1/n! from the highest order down to 1/2!, enough for |t| <= 1/2 in float64.
_TAYLOR = [1.0 / math.factorial(order) for order in range(16, 1, -1)]


class _ExpRemainder(torch.autograd.Function):
    """exp(t) - 1 - t for |t| <= 1/2, right to the last bits; its derivative is expm1(t)."""

    @staticmethod
    def forward(t: Tensor) -> Tensor:
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


def cross_entropy(p: object, q: object) -> Tensor:
    """H(P, Q) = -sum p log q of each row; +inf where Q forbids what P allows.

    Args:
        p: a view of rows of any shape over K classes, what is true.
        q: a view of the same rows and classes, what is predicted.

    Returns:
        A tensor of the rows' shape, in nats; float64 where Q is, else float32. Where it is infinite
        its gradient in Q's logits is q - p all the same.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: rows or classes differ.

    Source: Cover and Thomas 2006, section 2.3.

    >>> from pandq.torch import Labels, LogProbs
    >>> cross_entropy(Labels(torch.tensor([0])), LogProbs(torch.tensor([[0.9, 0.1]]).log()))
    tensor([0.1054])
    """
    p, q = paired(p, q)
    return _rows_of(_cross_entropy, p, q).reshape(q.shape)


def kl_divergence(p: object, q: object) -> Tensor:
    """KL(P||Q) of each row, as a sum of terms that are never negative.

    Args:
        p: a view of rows of any shape over K classes, what is true.
        q: a view of the same rows and classes, what is predicted.

    Returns:
        A tensor of the rows' shape, in nats; 0 for P = Q, right however small it is.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: rows or classes differ.

    Source: Kullback and Leibler 1951; as I-divergence, Csiszar 1975.

    >>> from pandq.torch import Logits, Probs
    >>> p = Probs(torch.tensor([[1.0, 0.0]]))
    >>> kl_divergence(p, Logits(torch.tensor([[0.0, -float("inf")]])))
    tensor([0.])
    """
    p, q = paired(p, q)
    return _rows_of(_kl_divergence, p, q).reshape(q.shape)


class _Loss(torch.nn.Module):
    """A loss of P and Q over rows."""

    def __init__(self, *, reduction: Reduction = "mean_rows", check: bool = True) -> None:
        super().__init__()
        if reduction not in get_args(Reduction):
            raise InputError(
                what="reduction is mean_rows, sum or none",
                got=repr(reduction),
                remedy="A mean over cells ('batchmean', 'mean') is no divergence of rows.",
            )
        self.reduction = reduction
        self.check = check

    def extra_repr(self) -> str:
        """What was chosen."""
        return f"reduction={self.reduction!r}, check={self.check}"

    def forward(
        self, p: object, q: object, *, mask: Tensor | None = None, weights: Tensor | None = None
    ) -> Tensor:
        """The loss.

        Args:
            p: a view, what is true; constants may be a view of `pandq`.
            q: a view of the same rows and classes, what is predicted.
            mask: of the rows' shape, bool: rows where it is false do not count at all, whatever
                they hold.
            weights: of the rows' shape, not negative.

        Returns:
            mean_rows: sum of w_i l_i / sum of w_i; sum: sum of w_i l_i; none: w_i l_i of the rows'
            shape, 0 where the mask is false. In nats.

        Raises:
            ViewTypeError: an argument is not a view.
            InputError: rows or classes differ, a row is not a valid probability vector, or the
                mask leaves none.
        """
        p, q = paired(p, q)
        shape = q.shape
        for name, given in (("mask", mask), ("weights", weights)):
            if given is not None and given.shape != shape:
                what = f"{name} needs one value per row, {tuple(shape)}"
                raise InputError(what, got=f"shape {tuple(given.shape)}")
        if mask is not None and mask.dtype != torch.bool:
            raise InputError(
                what="a mask is bool, true for the rows that count", got=str(mask.dtype)
            )
        p, q = p.rows(mask), q.rows(mask)
        w = weights if weights is None else (weights if mask is None else weights[mask]).reshape(-1)
        if self.check:
            self._check(p, q, w, mask)
        losses = self._rows(p, q)
        if w is not None:
            # a row of weight 0 does not count, and infinity times 0 would
            losses = torch.where(w > 0, losses, 0.0) * w.to(losses.dtype)
        if self.reduction == "none":
            if mask is None:
                return losses.reshape(shape)
            return losses.new_zeros(shape).masked_scatter(mask, losses)
        total = losses.sum()
        if self.reduction == "sum":
            return total
        return total / (losses.numel() if w is None else w.sum().to(losses.dtype))

    def _rows(self, p: View, q: View) -> Tensor:
        raise NotImplementedError

    def _check(self, p: View, q: View, w: Tensor | None, mask: Tensor | None) -> None:
        """Refuse what is not a valid probability vector, by its row in the batch."""
        try:
            for view in (p, q):
                if isinstance(view, Labels):
                    view.check_range(int(q.n_classes or 0))
                elif view.tensor.numel():
                    view.check()
        except RowError as error:
            if mask is not None:
                place = int(mask.reshape(-1).nonzero()[error.row])
                raise error.moved(place - error.row) from None
            raise
        if w is not None and not bool((w >= 0).all()):
            raise InputError(what="weights are negative or NaN")
        none = q.tensor.shape[0] == 0 or (w is not None and not bool((w > 0).any()))
        if self.reduction == "mean_rows" and none:
            raise InputError(
                what="there are no rows to take a mean of",
                remedy='Skip such a batch, or use reduction="sum".',
            )


class KLDivergence(_Loss):
    """KL(P||Q) as a loss: the part of the cross entropy that training can remove.

    Its gradient in Q is the cross entropy's, bit for bit where P is constant labels.

    Args:
        reduction: "mean_rows", "sum" or "none".
        check: whether to refuse rows that are not valid; a look at every number, which on an
            accelerator waits for it.

    Source: Kullback and Leibler 1951.

    >>> from pandq.torch import Logits, Probs
    >>> logits = torch.zeros(1, 2, requires_grad=True)
    >>> loss = KLDivergence()(Probs(torch.tensor([[0.75, 0.25]])), Logits(logits))
    >>> loss.backward()
    >>> logits.grad
    tensor([[-0.2500,  0.2500]])
    """

    def _rows(self, p: View, q: View) -> Tensor:
        return _rows_of(_kl_divergence, p, q)


class CrossEntropy(_Loss):
    """H(P, Q) as a loss: KL(P||Q) plus the floor H(P).

    Args:
        reduction: "mean_rows", "sum" or "none".
        check: as for KLDivergence.

    Source: Cover and Thomas 2006, section 2.3.

    >>> from pandq.torch import Labels, Logits
    >>> CrossEntropy()(Labels(torch.tensor([0])), Logits(torch.zeros(1, 2)))
    tensor(0.6931)
    """

    def _rows(self, p: View, q: View) -> Tensor:
        return _rows_of(_cross_entropy, p, q)


def _rows_of(formula: Any, p: View, q: View) -> Tensor:
    """A formula over rows one after the other, (n,)."""
    law = q.rows().law()
    if isinstance(p, Labels):
        picked: Tensor = -law.log_prob.gather(1, p.rows().tensor.long()[:, None])[:, 0]
        return picked
    found: Tensor = formula(p.rows().law(law.prob.dtype), law)
    return found


def _cross_entropy(p: Law, q: Law) -> Tensor:
    allowed = q.log_prob > -INFINITY
    terms = -p.prob * torch.where(allowed, q.log_prob, 0.0)
    return (terms + _impossible(p, q, allowed)).sum(-1)


def _kl_divergence(p: Law, q: Law) -> Tensor:
    allowed, possible = q.log_prob > -INFINITY, p.log_prob > -INFINITY
    both = allowed & possible
    t = torch.where(both, q.log_prob, 0.0) - torch.where(both, p.log_prob, 0.0)
    near = t.abs() <= _NEAR
    close = p.prob * _ExpRemainder.apply(torch.where(near, t, 0.0))
    far = q.prob - p.prob - p.prob * torch.where(near, 0.0, t)
    terms = torch.where(both, torch.where(near, close, far), torch.where(possible, 0.0, q.prob))
    return (terms + _impossible(p, q, allowed)).sum(-1)


def _impossible(p: Law, q: Law, allowed: Tensor) -> Tensor:
    """+inf where P allows a class that Q forbids, with -p as its derivative in log q."""
    forbidden = ~allowed & (p.log_prob > -INFINITY)
    mass = p.prob.detach().clamp_min(torch.finfo(p.prob.dtype).tiny)
    return torch.where(forbidden, -mass * torch.where(forbidden, q.log_prob, 0.0), 0.0)
