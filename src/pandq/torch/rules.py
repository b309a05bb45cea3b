"""What a loss asks of two blocks of rows: their distributions, a formula, and its slope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from pandq.core import kernels
from pandq.core.numerics import BFLOAT16
from pandq.torch import formulas
from pandq.torch.topk import TopK, merged
from pandq.torch.views import Labels, Law, View, widened
from pandq.views import MATRICES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Rule:
    """A loss of each row.

    Args:
        formula: of two distributions, one number per row.
        simple: whether its derivative in Q's logits is q - p, as that of KL(P||Q) is.
        pull: of log p and of Q's law the u for which it is q (u - sum q u), where that is so; log q
            is its own to write over.
        kernel: what measures the same of arrays: its name, and the divergence's parameter.
        temperature: by which logarithms of probabilities are divided; the loss is multiplied by its
            square, so that gradients keep their size.
        smoothing: how much of P is spread evenly over all classes.
    """

    formula: Callable[[Law, Law], Tensor]
    simple: bool = False
    pull: Callable[[Tensor, Law], Tensor] | None = None
    kernel: tuple[str, float | None] | None = None
    temperature: float = 1.0
    smoothing: float = 0.0

    def of(self, p: View, q: View) -> Tensor:
        """(n,) losses, with whatever gradient their tensors have."""
        if isinstance(p, Labels) and self.simple:
            each = self._of_labels(p, self._cooled(q.law()))
        else:
            each = self.formula(*self._laws(p, q))
        return each if self.temperature == 1.0 else each * self.temperature**2

    def slope(self, p: View, q: View, kept: Sequence[Tensor] = ()) -> Tensor | None:
        """(n, K) derivative of each row's loss in Q's logits, where it is q - p; else None.

        Args:
            p: n rows.
            q: the same rows.
            kept: what `to_keep` told of them.
        """
        if q.kind != "logits" or isinstance(p, TopK):
            return None
        if not self.simple:
            return self._pulled(p, q, *kept)
        found = self._softmax(q)
        k = found.shape[-1]
        share = 1.0 - self.smoothing
        if isinstance(p, Labels):
            at = p.parts[0].long()[:, None]
            found.scatter_add_(1, at, torch.full_like(at, -1, dtype=found.dtype) * share)
        else:
            logits = p.kind == "logits"
            prob = self._softmax(p) if logits else self._cooled(p.law(found.dtype)).prob
            found.sub_(prob if share == 1.0 else share * prob)
        if self.smoothing:
            found.sub_(self.smoothing / k)
        return found if self.temperature == 1.0 else found.mul_(self.temperature)

    def closed(self, p: View, q: View) -> bool:
        """Whether `slope` is known, and is all that is asked for."""
        if q.kind != "logits" or isinstance(p, TopK) or p.parts[0].requires_grad:
            return False
        return self.simple or not (self.pull is None or isinstance(p, Labels))

    def measured(self, p: View, q: View) -> Tensor | None:
        """(n,) losses by pandq's kernels; None where none is for these tensors."""
        here = all(view.parts[0].device.type == "cpu" for view in (p, q))
        plain = self.temperature == 1.0 and not self.smoothing
        if self.kernel is None or not (here and plain) or q.kind not in MATRICES:
            return None
        name, parameter = self.kernel
        y, x = (numpy_of(view.parts[0].detach()) for view in (p, q))
        if p.kind == "labels" and name in ("kl", "cross_entropy"):
            name = "cross_entropy"
        elif p.kind not in MATRICES:
            return None
        found: Any = (
            kernels.measured(p.kind, y, q.kind, x, whole=False, only=name)
            if parameter is None
            else kernels.divergence(name, parameter, p.kind, y, q.kind, x)
        )
        if found is None:
            return None
        rows = torch.from_numpy(
            np.ascontiguousarray(found if parameter is not None else found[name])
        )
        return rows.to(torch.promote_types(q.parts[0].dtype, torch.float32))

    def to_keep(self, p: View, q: View) -> list[Tensor]:
        """(n, 1) each, what a slope need not form again: sum q u, and the levels of logits.

        Logits less their level are logarithms in which nothing of the loss is seen, so that what is
        compiled forms them anew for the slope and does not carry them through memory.
        """
        if self.simple or self.pull is None:
            return []
        log_q = self._logarithms(q)
        prob = log_q.exp()
        u = self.pull(self._logarithms(p, log_q.dtype), Law(prob, log_q))
        levels = [_level(self._scaled(x, log_q.dtype)) for x in (q, p) if x.kind == "logits"]
        return [(prob * u).sum(-1, keepdim=True), *levels]

    def _pulled(
        self,
        p: View,
        q: View,
        mean: Tensor | None = None,
        level_q: Tensor | None = None,
        level_p: Tensor | None = None,
    ) -> Tensor | None:
        if self.pull is None or isinstance(p, Labels):
            return None
        log_q = self._logarithms(q, level=level_q)
        prob = log_q.exp()
        u = self.pull(self._logarithms(p, log_q.dtype, level_p), Law(prob, log_q))
        mean = (prob * u).sum(-1, keepdim=True) if mean is None else mean
        found = prob.mul_(u.sub_(mean))
        return found if self.temperature == 1.0 else found.mul_(self.temperature)

    def _logarithms(
        self, view: View, dtype: torch.dtype = torch.float32, level: Tensor | None = None
    ) -> Tensor:
        """Log-probabilities; of logits, where their level is known, these less it."""
        if view.kind != "logits":
            return self._cooled(view.law(dtype)).log_prob
        x = self._scaled(view, dtype)
        return torch.log_softmax(x, -1) if level is None else x - level

    def _softmax(self, view: View) -> Tensor:
        if torch.compiler.is_compiling():
            # what the loss has formed already, so that it is not formed again
            return self._cooled(view.law()).prob
        return torch.softmax(self._scaled(view), -1)

    def _scaled(self, view: View, dtype: torch.dtype = torch.float32) -> Tensor:
        x = widened(view.parts[0], dtype)
        return x if self.temperature == 1.0 else x / self.temperature

    def _laws(self, p: View, q: View) -> tuple[Law, Law]:
        if isinstance(p, TopK):
            return merged(p, q)
        law = self._cooled(q.law())
        if isinstance(p, Labels):
            prob = torch.zeros_like(law.prob).scatter_(1, p.parts[0].long()[:, None], 1.0)
            return Law(prob, prob.log()), law
        return self._cooled(p.law(law.prob.dtype)), law

    def _cooled(self, law: Law) -> Law:
        if self.temperature == 1.0:
            return law
        log_prob = torch.log_softmax(law.log_prob / self.temperature, -1)
        return Law(log_prob.exp(), log_prob)

    def _of_labels(self, p: Labels, q: Law) -> Tensor:
        found = -q.log_prob.gather(1, p.parts[0].long()[:, None])[:, 0]
        if not self.smoothing:
            return found
        return (1.0 - self.smoothing) * found - self.smoothing * q.log_prob.mean(-1)


def _level(x: Tensor) -> Tensor:
    """(n, 1) log-sum-exp of logits, by the steps of log_softmax, so that they are taken once."""
    top = x.amax(-1, keepdim=True)
    return top + (x - top).exp().sum(-1, keepdim=True).log()


def numpy_of(x: Tensor) -> NDArray[Any]:
    """A tensor on the processor as an array; bfloat16 as its bits."""
    bits = x.dtype == torch.bfloat16
    found: NDArray[Any] = x.view(torch.uint16).numpy().view(BFLOAT16) if bits else x.numpy()
    return found


CROSS_ENTROPY = Rule(formulas.cross_entropy, simple=True, kernel=("cross_entropy", None))
KL = Rule(formulas.kl_divergence, simple=True, kernel=("kl", None))
REVERSE_KL = Rule(formulas.reverse_kl, pull=formulas.reverse_pull, kernel=("kl_reverse", None))
