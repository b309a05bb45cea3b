"""Means over rows: how each counts, and what their sum is divided by, also over processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, distributed

from pandq.core.checks import is_number
from pandq.errors import InputError

if TYPE_CHECKING:
    from pandq.torch.views import View


def require_normaliser(given: object, reduction: str) -> None:
    """Refuse what a sum of rows cannot be divided by.

    Raises:
        InputError: it is no number above 0, or there is no mean.
    """
    if given is None:
        return
    if reduction != "mean_rows":
        raise InputError(what="a normaliser divides a mean", got=f"reduction={reduction!r}")
    if isinstance(given, Tensor):
        fine = given.ndim == 0
    else:
        fine = given == "world" or (is_number(given) and float(given) > 0)  # type: ignore[arg-type]
    if not fine:
        raise InputError(what='normaliser is a number above 0, or "world"', got=repr(given))


def row_weights(q: View, w: Tensor | None, counts: Tensor | None) -> Tensor:
    """(n,) how each row counts; 0 where it does not."""
    if w is None:
        n = q.parts[0].shape[0]
        if counts is None:
            return torch.ones(n, device=q.parts[0].device)
        return counts.to(torch.float32)
    return w if counts is None else torch.where(counts, w, 0)


def denominator(w: Tensor, normaliser: float | Tensor | str | None) -> Tensor:
    """What a sum is divided by, for its mean."""
    if normaliser is None:
        return w.sum()
    if normaliser != "world" or isinstance(normaliser, Tensor):
        return torch.as_tensor(normaliser, device=w.device)
    count, world = w.detach().sum(dtype=torch.float64), 1
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(count)
        world = distributed.get_world_size()
    # gradients are averaged over the processes, which divides by their number once more
    return torch.where(count > 0, count, 1.0) / world
