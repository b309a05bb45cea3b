"""Losses a block of rows at a time: nothing is kept for the way back but what came in.

A block's distributions are formed, give its rows' losses, and are forgotten; on the way back they
are formed once more and give its rows' gradients. Memory beside the gradients is that of a block.
Where logits are products with a head, a block's gradients are formed with its losses, while its
logits are there, so that there is one product less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pandq.torch.rules import Rule
    from pandq.torch.views import View

    Needed = tuple[bool, ...]
    Gradients = list[Tensor | None]

# Numbers of a block: on a processor its temporaries stay in the cache, elsewhere a launch is dear.
HERE, AFAR = 1 << 18, 1 << 24
# Numbers of a block of logits that are formed: enough rows for a product.
FORMED = 1 << 24


def losses(rule: Rule, p: View, q: View) -> Tensor:
    """(n,) losses of rows one after the other.

    Args:
        rule: what is asked.
        p: n rows.
        q: the same rows.
    """
    if torch.compiler.is_compiling():
        p, q = p.formed(), q.formed()
        if rule.closed(p, q):
            closed: Tensor = _Closed.apply(rule, p.bare(), q.bare(), p.parts[0], q.parts[0])
            return closed
        return rule.of(p, q)
    found: Tensor = _Rows.apply(rule, p, q, *p.parts, *q.parts)
    return found


def total(rule: Rule, p: View, q: View, weights: Tensor) -> Tensor:
    """The sum of weights times losses, a scalar; a row of weight 0 may hold anything.

    Args:
        rule: what is asked.
        p: n rows.
        q: the same rows.
        weights: (n,) constants.
    """
    if torch.compiler.is_compiling() or not (p.formed_anew or q.formed_anew):
        each = losses(rule, p, q)
        return (torch.where(weights != 0, each, 0.0) * weights.to(each.dtype)).sum()
    found: Tensor = _Total.apply(rule, p, q, weights.detach(), *p.parts, *q.parts)
    return found


class _Rows(torch.autograd.Function):
    """The losses of rows, formed again on the way back; twice differentiable."""

    @staticmethod
    def forward(ctx: Any, rule: Rule, p: View, q: View, *parts: Tensor) -> Tensor:
        ctx.save_for_backward(*parts)
        ctx.asked = rule, p.bare(), q.bare(), len(p.parts)
        return _in_blocks(rule, p, q, None, (False,) * len(parts))[0]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        rule, p, q, split = ctx.asked
        parts, needed = ctx.saved_tensors, ctx.needs_input_grad[3:]
        p, q = p.of(parts[:split]), q.of(parts[split:])
        if torch.is_grad_enabled():
            return None, None, None, *_differentiable(rule, p, q, grad, needed)
        return None, None, None, *_in_blocks(rule, p, q, grad, needed)[1]


class _Closed(torch.autograd.Function):
    """The losses of rows as they are compiled, with the slope on the way back.

    To differentiate formulas that keep their last digits would take twice as long.
    """

    @staticmethod
    def forward(ctx: Any, rule: Rule, p: View, q: View, of_p: Tensor, of_q: Tensor) -> Tensor:
        ctx.asked = rule, p, q
        p, q = p.of([of_p]), q.of([of_q])
        ctx.save_for_backward(of_p, of_q, *rule.to_keep(p, q))
        return rule.of(p, q)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        rule, p, q = ctx.asked
        of_p, of_q, *kept = ctx.saved_tensors
        slope = rule.slope(p.of([of_p]), q.of([of_q]), kept)
        grad = grad[:, None]
        # a row that does not count may hold anything
        found = torch.where(grad != 0, slope * grad, 0.0)
        return None, None, None, None, found.to(of_q.dtype)


class _Total(torch.autograd.Function):
    """The weighted sum of losses, whose gradients are formed on the way; twice differentiable."""

    @staticmethod
    def forward(ctx: Any, rule: Rule, p: View, q: View, weights: Tensor, *parts: Tensor) -> Tensor:
        ctx.save_for_backward(weights, *parts)
        ctx.asked = rule, p.bare(), q.bare(), len(p.parts)
        needed = ctx.needs_input_grad[4:]
        each, ctx.ready = _in_blocks(rule, p, q, weights if any(needed) else None, needed)
        return (torch.where(weights != 0, each, 0.0) * weights.to(each.dtype)).sum()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        rule, p, q, split = ctx.asked
        (weights, *parts), needed = ctx.saved_tensors, ctx.needs_input_grad[4:]
        p, q = p.of(parts[:split]), q.of(parts[split:])
        if torch.is_grad_enabled():
            found = _differentiable(rule, p, q, grad * weights.to(grad.dtype), needed)
            return None, None, None, None, *found
        ready, ctx.ready = ctx.ready, None
        if ready is None:
            # a second way back through the same graph: the first one's are the caller's now
            ready = _in_blocks(rule, p, q, weights, needed)[1]
        return None, None, None, None, *(x if x is None else x.mul_(grad) for x in ready)


def _differentiable(
    rule: Rule, p: View, q: View, grad: Tensor, needed: Needed
) -> tuple[Tensor | None, ...]:
    """Gradients that can be differentiated once more: by the formulas, of all rows at once."""
    parts = (*p.parts, *q.parts)
    wanted = [part for part, need in zip(parts, needed, strict=True) if need]
    counts = grad != 0
    found = rule.of(p.where(counts).formed(), q.where(counts).formed())
    grad = grad.to(found.dtype)
    given = iter(
        torch.autograd.grad(found, wanted, grad, create_graph=True, materialize_grads=True)
    )
    return tuple(next(given) if need else None for need in needed)


def _in_blocks(
    rule: Rule, p: View, q: View, grad: Tensor | None, needed: Needed
) -> tuple[Tensor, Gradients]:
    """The losses of all rows, and where there is a `grad` the gradients of its product with them.

    Args:
        rule: what is asked.
        p: n rows.
        q: the same rows.
        grad: (n,) how the loss of each row counts; None where no gradient is wanted.
        needed: for each part of P and of Q, whether its gradient is.
    """
    views, split = (p, q), len(p.parts)
    asked = needed[:split], needed[split:]
    outs = [view.gradients(need) for view, need in zip(views, asked, strict=True)]
    found = []
    for some in _blocks(views):
        # what a block has formed is gone before the next one is
        found += _formed_block(rule, views, some, None if grad is None else grad[some], outs, asked)
    each = torch.cat(found) if found else rule.of(p.formed(), q.formed())
    parts = (*p.parts, *q.parts)
    flat = [x for out in outs for x in out]
    return each, [x if x is None else x.to(part.dtype) for x, part in zip(flat, parts, strict=True)]


def _formed_block(
    rule: Rule,
    views: tuple[View, View],
    some: slice,
    grad: Tensor | None,
    outs: list[Gradients],
    asked: tuple[Needed, Needed],
) -> list[Tensor]:
    """The losses of some rows, of which logits are formed; their gradients go to `outs`."""
    formed = [view[some].formed() for view in views]
    # the gradient of logits that were formed here takes their place
    slots: list[Tensor | None] = [None, None]
    for side, (view, out, need) in enumerate(zip(views, outs, asked, strict=True)):
        if grad is not None and any(need):
            own = view.formed_anew
            slots[side] = formed[side].parts[0] if own else out[0][some]  # type: ignore[index]
    found = _of_block(rule, formed, grad, slots)
    for view, out, slot in zip(views, outs, slots, strict=True):
        if slot is not None and view.formed_anew:
            view[some].pull(out, slot, some, grad != 0)
    return found


def _of_block(
    rule: Rule, formed: list[View], grad: Tensor | None, slots: list[Tensor | None]
) -> list[Tensor]:
    """The losses of one block; where there is a slot, the gradient of its rows is written to it."""
    idle = slots == [None, None] or grad is None
    whole = rule.measured(formed[0], formed[1])
    if whole is not None and idle:
        return [whole]
    found = []
    n, k = formed[1].parts[0].shape[0], formed[1].parts[0].shape[-1]
    for some in _slices(n, k, HERE if formed[1].parts[0].device.type == "cpu" else AFAR):
        p, q = (view[some] for view in formed)
        if idle or grad is None:
            found.append(rule.of(p, q))
            continue
        g = grad[some]
        each, slopes = _with_slopes(rule, p, q, g, slots, known=whole is not None)
        found.append(each)
        for slot, slope in zip(slots, slopes, strict=True):
            if slot is not None and slope is not None:
                # a row that does not count may hold anything
                slot[some] = slope.masked_fill_((g == 0)[:, None], 0.0)
    return found if whole is None else [whole]


def _with_slopes(
    rule: Rule,
    p: View,
    q: View,
    grad: Tensor,
    slots: Sequence[Tensor | None],
    *,
    known: bool,
) -> tuple[Tensor, list[Tensor | None]]:
    """Losses, unless they are `known`, and for each slot the gradient of theirs with `grad`."""
    if slots[0] is None and (slope := rule.slope(p, q)) is not None:
        return grad if known else rule.of(p, q), [None, slope.mul_(grad[:, None])]
    with torch.enable_grad():
        leaves = [
            view.parts[0].detach().requires_grad_(slot is not None)
            for view, slot in zip((p, q), slots, strict=True)
        ]
        each = rule.of(p.of(leaves[:1]), q.of(leaves[1:]))
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        given = iter(torch.autograd.grad(each, wanted, grad.to(each.dtype), materialize_grads=True))
        return each.detach(), [next(given) if leaf.requires_grad else None for leaf in leaves]


def _blocks(views: tuple[View, View]) -> Iterator[slice]:
    """Blocks of rows whose logits are formed together; all of them where they are there."""
    n = views[1].parts[0].shape[0]
    widths = [view.n_classes or 1 for view in views if view.formed_anew]
    yield from _slices(n, max(widths), FORMED) if widths else _slices(n, 1, max(n, 1))


def _slices(n: int, k: int, numbers: int) -> Iterator[slice]:
    step = max(1, numbers // max(k, 1))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))
