"""Divergences as losses: right in value and gradient where a probability is zero."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from numbers import Real
from typing import Literal, get_args

import torch
from torch import Tensor

from pandq.core.checks import is_number
from pandq.errors import InputError
from pandq.torch import formulas
from pandq.torch.blocked import losses, total
from pandq.torch.means import denominator, require_normaliser, row_weights
from pandq.torch.rules import CROSS_ENTROPY, KL, REVERSE_KL, Rule
from pandq.torch.topk import TopK, require_pair
from pandq.torch.views import Labels, View, paired

Reduction = Literal["mean_rows", "sum", "none"]

Direction = Literal["forward", "reverse"]


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
    require_pair(p, q)
    return losses(CROSS_ENTROPY, p.rows(), q.rows()).reshape(q.shape)


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
    require_pair(p, q)
    return losses(KL, p.rows(), q.rows()).reshape(q.shape)


class _Loss(torch.nn.Module):
    """A loss of P and Q over rows."""

    def __init__(
        self,
        *,
        reduction: Reduction = "mean_rows",
        check: bool = True,
        normaliser: float | Tensor | Literal["world"] | None = None,
    ) -> None:
        super().__init__()
        if reduction not in get_args(Reduction):
            raise InputError(
                what="reduction is mean_rows, sum or none",
                got=repr(reduction),
                remedy="A mean over cells ('batchmean', 'mean') is no divergence of rows.",
            )
        require_normaliser(normaliser, reduction)
        self.reduction = reduction
        self.check = check
        self.normaliser = normaliser

    def extra_repr(self) -> str:
        """What was chosen."""
        more = "" if self.normaliser is None else f", normaliser={self.normaliser!r}"
        return f"reduction={self.reduction!r}, check={self.check}{more}"

    def forward(
        self,
        p: object,
        q: object,
        *,
        mask: Tensor | None = None,
        weights: Tensor | None = None,
        normaliser: float | Tensor | Literal["world"] | None = None,
    ) -> Tensor:
        """The loss.

        Args:
            p: a view, what is true; constants may be a view of `pandq`.
            q: a view of the same rows and classes, what is predicted.
            mask: bool of the rows' shape; rows where it is false do not count at all, whatever
                they hold.
            weights: of the rows' shape, not negative.
            normaliser: what the sum of w_i l_i is divided by, in the place of the sum of w_i; in
                the place of the one that the loss was made with.

        Returns:
            mean_rows: sum of w_i l_i / sum of w_i; sum: sum of w_i l_i; none: w_i l_i of the rows'
            shape, 0 where the mask is false. In nats.

        Raises:
            ViewTypeError: an argument is not a view.
            InputError: rows or classes differ, a row is not a valid probability vector, or the
                mask leaves none and there is no normaliser.

        Under torch.compile numbers are not looked at.
        """
        p, q = paired(p, q)
        require_pair(p, q)
        shape = q.shape
        _require_shapes(shape, mask, weights)
        mask = self._counted(p, mask)
        normaliser = self.normaliser if normaliser is None else normaliser
        require_normaliser(normaliser, self.reduction)
        p, q = p.rows(), q.rows()
        counts = None if mask is None else mask.reshape(-1)
        w = None if weights is None else weights.reshape(-1)
        if self.check and not torch.compiler.is_compiling():
            _check(p, q, w, counts)
            if self.reduction == "mean_rows" and normaliser is None:
                _require_rows(q, w, counts)
        if counts is not None:
            # what no gradient is asked of may be taken for a place in a table
            p = p.where(counts) if isinstance(p, Labels | TopK) else p
            if torch.compiler.is_compiling():
                p, q = p.where(counts), q.where(counts)
        w = row_weights(q, w, counts)
        rule = self._rule(p, q)
        if self.reduction == "none":
            each = losses(rule, p, q)
            # a row of weight 0 does not count, and infinity times 0 would
            return (torch.where(w > 0, each, 0.0) * w.to(each.dtype)).reshape(shape)
        found = total(rule, p, q, w)
        if self.reduction == "sum":
            return found
        return found / denominator(w, normaliser).to(found.dtype)

    def _rule(self, p: View, q: View) -> Rule:
        raise NotImplementedError

    def _counted(self, p: View, mask: Tensor | None) -> Tensor | None:
        del p
        return mask


def _require_shapes(shape: torch.Size, mask: Tensor | None, weights: Tensor | None) -> None:
    for name, given in (("mask", mask), ("weights", weights)):
        if given is not None and given.shape != shape:
            what = f"{name} needs one value per row, {tuple(shape)}"
            raise InputError(what, got=f"shape {tuple(given.shape)}")
    if mask is not None and mask.dtype != torch.bool:
        raise InputError(what="a mask is bool, true for the rows that count", got=str(mask.dtype))


def _check(p: View, q: View, w: Tensor | None, counts: Tensor | None) -> None:
    """Refuse what is not a valid probability vector, by its row in the batch."""
    for view in (p, q):
        if isinstance(view, Labels):
            view.check_range(int(q.n_classes or 0), counts)
        elif view.tensor.numel():
            view.check(counts)
    if isinstance(p, TopK) and p.tensor.numel():
        p.check_pair(q, counts)
    if w is not None:
        bad = ~(w >= 0) if counts is None else ~(w >= 0) & counts
        if bool(bad.any()):
            raise InputError(what="weights are negative or NaN")


def _require_rows(q: View, w: Tensor | None, counts: Tensor | None) -> None:
    if not bool((row_weights(q, w, counts) > 0).any()):
        raise InputError(
            what="there are no rows to take a mean of",
            remedy='Skip such a batch, or use reduction="sum" or a normaliser.',
        )


class KLDivergence(_Loss):
    """KL(P||Q) as a loss: the part of the cross entropy that training can remove.

    Its gradient in Q is the cross entropy's, bit for bit where P is constant labels.

    Args:
        direction: "forward" is KL(P||Q), which covers what P does; "reverse" is KL(Q||P), which
            seeks what P holds most probable.
        temperature: by which both logits are divided; the loss is multiplied by its square
            (Hinton, Vinyals and Dean 2015, section 2), so that gradients keep their size.
        reduction: "mean_rows", "sum" or "none".
        check: whether to refuse rows that are not valid; a look at every number, which on an
            accelerator waits for it. Nothing is looked at under torch.compile.
        normaliser: what a sum of rows is divided by for their mean: a number, such as that of the
            tokens of a step that is accumulated, or "world", the total weight of the rows of
            all processes over the number of these, so that gradients which are then averaged over
            the processes are those of the mean over all rows. There may then be no rows.

    Source: Kullback and Leibler 1951.

    >>> from pandq.torch import Logits, Probs
    >>> logits = torch.zeros(1, 2, requires_grad=True)
    >>> loss = KLDivergence()(Probs(torch.tensor([[0.75, 0.25]])), Logits(logits))
    >>> loss.backward()
    >>> logits.grad
    tensor([[-0.2500,  0.2500]])
    """

    def __init__(
        self,
        *,
        direction: Direction = "forward",
        temperature: float = 1.0,
        reduction: Reduction = "mean_rows",
        check: bool = True,
        normaliser: float | Tensor | Literal["world"] | None = None,
    ) -> None:
        super().__init__(reduction=reduction, check=check, normaliser=normaliser)
        if direction not in get_args(Direction):
            raise InputError(what="direction is forward or reverse", got=repr(direction))
        if not (is_number(temperature) and 0 < temperature < float("inf")):
            raise InputError(what="temperature is a number above 0", got=repr(temperature))
        self.direction, self.temperature = direction, float(temperature)

    def extra_repr(self) -> str:
        """What was chosen."""
        mine = f"direction={self.direction!r}, temperature={self.temperature:g}"
        return f"{mine}, {super().extra_repr()}"

    def _rule(self, p: View, q: View) -> Rule:
        del q
        if self.direction == "reverse" and isinstance(p, Labels):
            raise InputError(
                what="KL(Q||P) of labels is infinite", remedy='Use direction="forward".'
            )
        if self.temperature != 1.0 and isinstance(p, TopK):
            what = "a TopK has no temperature: what it leaves out would change with it"
            raise InputError(what, got=f"temperature={self.temperature:g}")
        forward = self.direction == "forward"
        if forward:
            return replace(KL, temperature=self.temperature)
        return replace(REVERSE_KL, temperature=self.temperature)


class JSDivergence(_Loss):
    """beta KL(P||M) + (1 - beta) KL(Q||M) with M = beta P + (1 - beta) Q, which is bounded.

    Args:
        beta: P's share, between 0 and 1; 1/2 is Jensen and Shannon's. Over beta its limit for 0 is
            KL(P||Q), over 1 - beta that for 1 is KL(Q||P).
        reduction: "mean_rows", "sum" or "none".
        check: as for KLDivergence.
        normaliser: as for KLDivergence.

    Source: Lin 1991, equation 4.1; Agarwal et al. 2024 (on-policy distillation), equation 1.

    >>> from pandq.torch import Logits, Probs
    >>> p, q = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, -float("inf")]])
    >>> JSDivergence()(Probs(p), Logits(q.flip(-1))).exp()
    tensor(2.)
    """

    def __init__(
        self,
        *,
        beta: float = 0.5,
        reduction: Reduction = "mean_rows",
        check: bool = True,
        normaliser: float | Tensor | Literal["world"] | None = None,
    ) -> None:
        super().__init__(reduction=reduction, check=check, normaliser=normaliser)
        if not (is_number(beta) and 0 < beta < 1):
            remedy = "The limits are KLDivergence(), forward for 0 and reverse for 1."
            raise InputError(what="beta lies between 0 and 1", got=repr(beta), remedy=remedy)
        self.beta = float(beta)

    def extra_repr(self) -> str:
        """What was chosen."""
        return f"beta={self.beta:g}, {super().extra_repr()}"

    def _rule(self, p: View, q: View) -> Rule:
        del p, q
        beta = self.beta
        return Rule(
            partial(formulas.js_divergence, beta=beta),
            pull=partial(formulas.js_pull, beta=beta),
            kernel=("js", beta),
        )


class CrossEntropy(_Loss):
    """H(P, Q) as a loss: KL(P||Q) plus the floor H(P).

    Args:
        label_smoothing: how much of P is spread evenly over all classes (Szegedy et al. 2016,
            section 7), from 0 to below 1.
        ignore_index: of labels that do not count, as of padding; None where all do.
        reduction: "mean_rows", "sum" or "none".
        check: as for KLDivergence.
        normaliser: as for KLDivergence.

    Source: Cover and Thomas 2006, section 2.3.

    >>> from pandq.torch import Labels, Logits
    >>> CrossEntropy()(Labels(torch.tensor([0, -100])), Logits(torch.zeros(2, 2)))
    tensor(0.6931)
    """

    def __init__(
        self,
        *,
        label_smoothing: float = 0.0,
        ignore_index: int | None = -100,
        reduction: Reduction = "mean_rows",
        check: bool = True,
        normaliser: float | Tensor | Literal["world"] | None = None,
    ) -> None:
        super().__init__(reduction=reduction, check=check, normaliser=normaliser)
        if not (is_number(label_smoothing, Real) and 0 <= label_smoothing < 1):
            what = "label_smoothing lies from 0 to below 1"
            raise InputError(what, got=repr(label_smoothing))
        self.label_smoothing, self.ignore_index = float(label_smoothing), ignore_index

    def extra_repr(self) -> str:
        """What was chosen."""
        mine = f"label_smoothing={self.label_smoothing:g}, ignore_index={self.ignore_index}"
        return f"{mine}, {super().extra_repr()}"

    def _rule(self, p: View, q: View) -> Rule:
        del q
        smoothing = self.label_smoothing
        if not smoothing:
            return CROSS_ENTROPY
        if isinstance(p, TopK):
            raise InputError(what="a TopK is not smoothed: it does not name every class")
        formula = partial(formulas.smoothed, smoothing=smoothing)
        return Rule(formula, simple=True, smoothing=smoothing)

    def _counted(self, p: View, mask: Tensor | None) -> Tensor | None:
        if not isinstance(p, Labels) or self.ignore_index is None:
            return mask
        named = p.tensor != self.ignore_index
        return named if mask is None else mask & named
