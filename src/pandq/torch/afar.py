"""Rows on another device: measured there, so that one number per row and measure travels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from pandq import views as plain
from pandq.core.scores import TIED
from pandq.torch import losses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from pandq.core.laws import Law
    from pandq.torch.views import View

    Rows = NDArray[np.float64]

# Fewer numbers than this travel sooner than they are measured.
FEW_NUMBERS = 1 << 18
# Numbers of a block: temporaries on the device are a dozen times as many.
BLOCK_NUMBERS = 1 << 24


class Afar(plain.View):
    """n rows of a view of tensors, left where they are; what is asked of single ones is fetched.

    It is no view to keep: the tensor may be written over.
    """

    __slots__ = ("held", "kind")

    held: View

    @classmethod
    def of(cls, view: View) -> Self:
        """The rows of a view, (n, K), once they are found sound where they are.

        Raises:
            InputError: a row is not a valid probability vector.
        """
        rows = type(view)(view.rows().tensor.detach())
        if rows.tensor.numel():
            rows.check()
        return cls._made(rows)

    @classmethod
    def _made(cls, rows: View) -> Self:
        made = object.__new__(cls)
        object.__setattr__(made, "held", rows)
        object.__setattr__(made, "kind", rows.kind)
        object.__setattr__(made, "n_classes", rows.n_classes)
        object.__setattr__(made, "classes", None)
        return made

    @property
    def array(self) -> NDArray[Any]:
        """The numbers, fetched."""
        return self.here().array

    def here(self) -> plain.View:
        """The same rows as a view of arrays."""
        return self.held.as_arrays()

    def __len__(self) -> int:
        return len(self.held.tensor)

    def __getitem__(self, rows: Any) -> Self:
        tensor = self.held.tensor
        if not isinstance(rows, slice):
            rows = torch.as_tensor(np.asarray(rows), device=tensor.device)
        return self._made(type(self.held)(tensor[rows]))

    def law(self) -> Law:
        """The rows as probabilities and their logarithms, fetched."""
        return self.here().law()

    def measured(self, p: plain.View) -> dict[str, Rows]:
        """Every measure of an audit, of these rows as Q.

        Args:
            p: Labels, or rows on the same device.

        Returns:
            (n,) float64 by name; for labels what follows from P being certain is left out, and
            where classes share the top of two laws accuracies are the caller's to put right.
        """
        step = max(1, BLOCK_NUMBERS // (self.n_classes or 1))
        found: dict[str, list[Tensor]] = {}
        for start in range(0, max(len(self), 1), step):
            block = slice(start, start + step)
            q = self.held.tensor[block]
            if isinstance(p, Afar):
                each = _of_two(type(p.held)(p.held.tensor[block]), type(self.held)(q))
            else:
                y = torch.as_tensor(np.asarray(p.array[block]), device=q.device).long()
                each = _of_labels(y, type(self.held)(q))
            for name, values in each:
                found.setdefault(name, []).append(values.double())
        return {name: torch.cat(values).cpu().numpy() for name, values in found.items()}


def _of_labels(y: Tensor, q: View) -> Iterator[tuple[str, Tensor]]:
    law, top, shared = q.law(), *_tops(q.tensor)
    at_label = law.prob.gather(1, y[:, None])[:, 0].double()
    squares = law.prob.square().sum(-1, dtype=torch.float64)
    is_top = q.tensor.gather(1, y[:, None])[:, 0] == q.tensor.amax(-1)
    yield "cross_entropy", 0.0 - law.log_prob.gather(1, y[:, None])[:, 0]
    yield "accuracy", is_top.double() / shared
    yield "brier", (squares - at_label.square()).clamp_min(0.0) + (1.0 - at_label).square()
    yield from _of_q(law, top, shared)


def _of_two(p: View, q: View) -> Iterator[tuple[str, Tensor]]:
    law_p, law, top, shared = p.law(), q.law(), *_tops(q.tensor)
    top_p, shared_p = _tops(p.tensor)
    yield "cross_entropy", losses.cross_entropy(p, q)
    yield "entropy", _entropy(law_p)
    yield "kl", losses.kl_divergence(p, q)
    yield "accuracy", (top == top_p).double()
    yield "expected_accuracy", law_p.prob.gather(1, top[:, None])[:, 0]
    spread = (law_p.prob - law.prob).square() + law_p.prob * (1.0 - law_p.prob)
    yield "brier", spread.sum(-1, dtype=torch.float64)
    yield "p_class", torch.where(shared_p > 1, float(TIED), top_p.double())
    yield from _of_q(law, top, shared)


def _of_q(law: Any, top: Tensor, shared: Tensor) -> Iterator[tuple[str, Tensor]]:
    yield "confidence", law.prob.amax(-1)
    yield "q_entropy", _entropy(law)
    yield "q_class", torch.where(shared > 1, float(TIED), top.double())


def _tops(x: Tensor) -> tuple[Tensor, Tensor]:
    """Each row's largest class, and how many share that: logits and probabilities rise alike."""
    largest = x.max(-1)
    return largest.indices, (x == largest.values[:, None]).sum(-1)


def _entropy(law: Any) -> Tensor:
    terms = torch.where(law.prob > 0, law.prob * law.log_prob, 0.0)
    return (0.0 - terms.sum(-1, dtype=torch.float64)).clamp_min(0.0)
