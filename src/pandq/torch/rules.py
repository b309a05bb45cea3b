"""What a loss asks of two blocks of rows: their distributions, a formula, and its slope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pandq.core import kernels
from pandq.core.numerics import BFLOAT16
from pandq.torch import formulas
from pandq.torch.topk import TopK, merged
from pandq.torch.views import INFINITY, Labels, Law, View, widened
from pandq.views import MATRICES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


class Pull(NamedTuple):
    """The u for which a loss has the derivative q (u - sum q u) in Q's logits.

    Args:
        of: of p, or where it takes logarithms of log p, and of Q's law; log q is its own to write
            over.
        logarithms: what it takes of P.
    """

    of: Callable[[Tensor, Law], Tensor]
    logarithms: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """A loss of each row.

    Args:
        formula: of two distributions, one number per row.
        simple: whether its derivative in Q's logits is q - p, as that of KL(P||Q) is.
        pull: the u for which it is q (u - sum q u), where that is so; see `Pull`.
        kernel: what measures the same of arrays: its name, and the divergence's parameter.
        temperature: by which logarithms of probabilities are divided; the loss is multiplied by its
            square, so that gradients keep their size.
        smoothing: how much of P is spread evenly over all classes.
    """

    formula: Callable[[Law, Law], Tensor]
    simple: bool = False
    pull: Pull | None = None
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

    def slope(self, p: View, q: View) -> Tensor | None:
        """(n, K) derivative of each row's loss in Q's logits, where it is q - p; else None."""
        if q.kind != "logits" or isinstance(p, TopK):
            return None
        if not self.simple:
            return self._pulled(p, q)
        found = self._softmax(q)
        k = found.shape[-1]
        kept = 1.0 - self.smoothing
        if isinstance(p, Labels):
            at = p.parts[0].long()[:, None]
            found.scatter_add_(1, at, torch.full_like(at, -1, dtype=found.dtype) * kept)
        else:
            logits = p.kind == "logits"
            prob = self._softmax(p) if logits else self._cooled(p.law(found.dtype)).prob
            found.sub_(prob if kept == 1.0 else kept * prob)
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

    def _pulled(self, p: View, q: View) -> Tensor | None:
        if self.pull is None or isinstance(p, Labels):
            return None
        log_q = torch.log_softmax(self._scaled(q), -1)
        of_p = self._of_p(p, log_q.dtype, logarithms=self.pull.logarithms)
        prob = log_q.exp()
        most = torch.finfo(prob.dtype).max
        # what Q gives nothing to has no slope, however large u is
        u = self.pull.of(of_p, Law(prob, log_q)).clamp_(-most, most)
        if self.pull.logarithms and _forbids(of_p):
            # nor has, in an infinite loss, what makes it so
            u.masked_fill_(of_p == -INFINITY, 0.0)
        found = prob.mul_(u.sub_((prob * u).sum(-1, keepdim=True)))
        return found if self.temperature == 1.0 else found.mul_(self.temperature)

    def _of_p(self, p: View, dtype: torch.dtype, *, logarithms: bool) -> Tensor:
        """Probabilities alone, or their logarithms alone."""
        if p.kind == "logits" and not torch.compiler.is_compiling():
            taken = torch.log_softmax if logarithms else torch.softmax
            return taken(self._scaled(p, dtype), -1)
        law = self._cooled(p.law(dtype))
        return law.log_prob if logarithms else law.prob

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


def _forbids(log_p: Tensor) -> bool:
    """Is there a class that P forbids? What is compiled does not look, and allows for one."""
    if torch.compiler.is_compiling():
        return True
    return bool(log_p.numel()) and log_p.amin().item() == -INFINITY


def numpy_of(x: Tensor) -> NDArray[Any]:
    """A tensor on the processor as an array; bfloat16 as its bits."""
    bits = x.dtype == torch.bfloat16
    found: NDArray[Any] = x.view(torch.uint16).numpy().view(BFLOAT16) if bits else x.numpy()
    return found


CROSS_ENTROPY = Rule(formulas.cross_entropy, simple=True, kernel=("cross_entropy", None))
KL = Rule(formulas.kl_divergence, simple=True, kernel=("kl", None))
_OF_REVERSE = Pull(formulas.reverse_pull, logarithms=True)
REVERSE_KL = Rule(formulas.reverse_kl, pull=_OF_REVERSE, kernel=("kl_reverse", None))
