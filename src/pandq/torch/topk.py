"""TopK of tensors: the few log-probabilities that a server gives, as a teacher or of a student."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, get_args

import torch
from torch import Tensor

from pandq.errors import InputError, RowError, ViewTypeError
from pandq.torch.views import INFINITY, Law, View, tolerance_of, widened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq import views as plain

Tail = Literal["bucket", "ignore", "spread"]


@dataclass(frozen=True, slots=True, eq=False, init=False)
class TopK(View):
    """The k most probable classes of each row, for a loss.

    Args:
        ids: (..., k) different class numbers in each row.
        log_probs: (..., k) natural logarithms of their probabilities; of a teacher no fillers of
            classes that have none (-inf, -9999), which a loss refuses where it checks.
        tail: what of the classes that are not named: "bucket" merges them into one class, for P and
            for Q; "ignore" compares P and Q within the named classes alone, each divided by its sum
            there; "spread" spreads what P leaves evenly over them.

    Of a student it holds the log-probabilities of the teacher's ids, with the same ids.

    The divergence with a bucket is the largest lower bound that is known of the whole one (the log
    sum inequality, Cover and Thomas 2006, theorem 2.7.1), never negative, and its gradient is
    exact; "ignore" does not see how much P and Q leave to other classes.

    Raises:
        ViewTypeError: it holds no tensors.
        InputError: shapes differ, ids are no whole numbers, or there is no such tail.

    >>> from pandq.torch import KLDivergence, Logits
    >>> teacher = TopK(torch.tensor([[2]]), torch.tensor([[0.5]]).log())
    >>> KLDivergence()(teacher, Logits(torch.zeros(1, 4)))
    tensor(0.1438)
    """

    ids: Tensor
    tail: Tail

    kind = "topk"

    def __init__(self, ids: Tensor, log_probs: Tensor, *, tail: Tail = "bucket") -> None:
        for x in (ids, log_probs):
            if not isinstance(x, Tensor):
                what = "pandq.torch.TopK holds two tensors"
                raise ViewTypeError(what, got=type(x).__name__, remedy="torch.as_tensor(x)")
        if ids.shape != log_probs.shape or not ids.ndim:
            got = f"shapes {tuple(ids.shape)} and {tuple(log_probs.shape)}"
            raise InputError(what="TopK needs one log-probability for each id", got=got)
        if ids.is_floating_point() or ids.dtype == torch.bool:
            raise InputError(what="TopK ids are class numbers", got=str(ids.dtype))
        if tail not in get_args(Tail):
            raise InputError(what="tail is bucket, ignore or spread", got=repr(tail))
        self._set(ids, log_probs, tail)

    def _set(self, ids: Tensor, log_probs: Tensor, tail: Tail) -> None:
        object.__setattr__(self, "tensor", log_probs)
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "tail", tail)

    def _with(self, ids: Tensor, log_probs: Tensor) -> Self:
        made = object.__new__(type(self))
        made._set(ids, log_probs, self.tail)
        return made

    @property
    def n_classes(self) -> int | None:
        """A TopK does not say how many classes there are."""
        return None

    def rows(self) -> Self:
        """The rows, one after the other: (n, k)."""
        k = self.ids.shape[-1]
        return self._with(self.ids.reshape(-1, k), self.tensor.reshape(-1, k))

    def of(self, parts: Sequence[Tensor]) -> Self:
        """The same ids with other logarithms."""
        return self._with(self.ids, *parts)

    def where(self, counts: Tensor) -> Self:
        """The rows that count; in the others the named classes have one probability."""
        even = -float(torch.tensor(self.ids.shape[-1] + 1.0).log())
        first = torch.arange(self.ids.shape[-1], device=self.ids.device)
        return self._with(
            torch.where(counts[:, None], self.ids, first),
            torch.where(counts[:, None], self.tensor, even),
        )

    def __getitem__(self, rows: slice) -> Self:
        return self._with(self.ids[rows], self.tensor[rows])

    def as_arrays(self) -> plain.View:
        """A TopK is measured by pandq.TopK, which is told how many classes there are.

        Raises:
            ViewTypeError: always.
        """
        remedy = "pandq.kl_bounds(pandq.TopK(ids, log_probs, n_classes), q)"
        raise ViewTypeError(what="this TopK is for losses", remedy=remedy)

    def law(self, dtype: torch.dtype = torch.float32) -> Law:
        """The named classes and a bucket for all others, (n, k + 1)."""
        return _with_bucket(widened(self.tensor, dtype))

    def check(self, counts: Tensor | None = None) -> None:
        """Refuse the first row that counts whose classes repeat or sum to more than one."""
        x = widened(self.tensor.detach())
        ordered = self.ids.sort(-1).values
        twice = (ordered[:, 1:] == ordered[:, :-1]).any(-1)
        off = ~(x.exp().sum(-1) <= 1.0 + tolerance_of(self.tensor))
        for bad, problem in (
            (twice, "names a class twice"),
            ((self.ids < 0).any(-1), "has a class below 0"),
            (off, "has probabilities that sum to more than one"),
        ):
            found = (bad if counts is None else bad & counts).nonzero()
            if len(found):
                remedy = "Log-probabilities are natural logarithms, at most 0."
                raise RowError(view="TopK", row=int(found[0, 0]), problem=problem, remedy=remedy)

    def check_pair(self, q: View, counts: Tensor | None = None) -> None:
        """Refuse a teacher's fillers, ids that Q does not have, or a student's that are others.

        A student may forbid a class that the teacher names; its loss is infinite then.

        Raises:
            InputError: there is a row that counts with such.
        """
        filler = self.tensor.detach().double().exp() == 0.0
        at = (filler if counts is None else filler & counts[:, None]).nonzero()
        if len(at):
            row, place = at[0].tolist()
            raise RowError(
                view="TopK",
                row=row,
                problem="holds a filler, which is no log-probability",
                got=f"{self.tensor[row, place].item():g} in class {place}",
                remedy="Leave such entries out: rows of another length are a TopK of their own.",
            )
        if isinstance(q, TopK):
            bad, problem = (self.ids != q.ids).any(-1), "names other classes than Q"
        else:
            bad, problem = (self.ids >= (q.n_classes or 0)).any(-1), "has a class out of range"
        found = (bad if counts is None else bad & counts).nonzero()
        if len(found):
            raise RowError(view="TopK", row=int(found[0, 0]), problem=problem)


def require_pair(p: View, q: View) -> None:
    """Refuse what cannot stand beside a TopK.

    Raises:
        InputError: Q is a TopK and P is none, or their tails or sizes do not go together.
    """
    if isinstance(q, TopK) and not isinstance(p, TopK):
        remedy = "P is then a TopK of the same ids; a student known in full is Logits(x)."
        raise InputError(what="Q is a TopK, and P is none", remedy=remedy)
    if isinstance(p, TopK) and isinstance(q, TopK):
        if p.ids.shape != q.ids.shape:
            got = f"{tuple(p.ids.shape)} and {tuple(q.ids.shape)}"
            raise InputError(what="P and Q name different numbers of classes", got=got)
        if "spread" in (p.tail, q.tail) or p.tail != q.tail:
            remedy = 'Give both tail="bucket" or both tail="ignore".'
            raise InputError(
                what="the tails do not go together", got=f"{p.tail} and {q.tail}", remedy=remedy
            )


def merged(p: TopK, q: View) -> tuple[Law, Law]:
    """P and Q as distributions over the classes that P names and its tail."""
    ids = p.ids.long()
    if isinstance(q, TopK):
        named, rest = widened(q.tensor), None
    else:
        law = q.law()
        named = law.log_prob.gather(-1, ids)
        rest = law.log_prob
    x = widened(p.tensor, named.dtype)
    if p.tail == "ignore":
        return _normalised(x), _normalised(named)
    if rest is None:
        return _with_bucket(x), _with_bucket(named)
    if p.tail == "spread":
        left = _left(x) - torch.log(torch.tensor(float(rest.shape[-1] - ids.shape[-1])))
        whole = left[:, None].expand_as(rest).scatter(-1, ids, x)
        return Law(whole.exp(), whole), Law(rest.exp(), rest)
    # without the named classes, of what is left: nothing cancels
    if ids.shape[-1] == rest.shape[-1]:
        return _law(x), _law(named)
    unnamed = rest.scatter(-1, ids, -INFINITY)
    some = (unnamed != -INFINITY).any(-1)
    others = torch.where(some[:, None], unnamed, 0.0).logsumexp(-1)
    others = torch.where(some, others, -INFINITY)
    return _with_bucket(x), _law(torch.cat([named, others[:, None]], -1))


def _law(log_prob: Tensor) -> Law:
    return Law(log_prob.exp(), log_prob)


def _normalised(x: Tensor) -> Law:
    return _law(torch.log_softmax(x, -1))


def _with_bucket(x: Tensor) -> Law:
    return _law(torch.cat([x, _left(x)[:, None]], -1))


def _left(x: Tensor) -> Tensor:
    """log(1 - sum exp x), -inf where nothing is left."""
    total = x.exp().sum(-1)
    some = total < 1.0
    return torch.where(some, (-torch.where(some, total, 0.0)).log1p(), -INFINITY)
