"""What a tensor means: the views of `pandq`, around tensors of any leading shape.

They are classes of their own because they promise something else. A view of `pandq` was checked,
once and for all, when it was made; here the rows behind a mask may hold anything, and only a loss
knows the mask. Its distribution is `pandq`'s in float64; here it is formed where and as the tensor
is, so that it has a gradient. Whatever measures rows takes both, and so do the losses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pandq import views as plain
from pandq.core.numerics import widen
from pandq.errors import InputError, RowError, ViewTypeError

if TYPE_CHECKING:
    from collections.abc import Sequence

INFINITY = float("inf")


class Law(NamedTuple):
    """Probabilities and their logarithms, (n, K) each, in float32 or float64."""

    prob: Tensor
    log_prob: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Rows of one representation of a distribution: (..., K), all indices but the last of a row.

    Nothing is checked here: a loss checks the rows that its mask leaves.
    """

    tensor: Tensor

    kind: ClassVar[str] = "view"

    def __post_init__(self) -> None:
        if not isinstance(self.tensor, Tensor):
            name = type(self).__name__
            raise ViewTypeError(
                what=f"pandq.torch.{name} holds a tensor",
                got=type(self.tensor).__name__,
                remedy=f"For an array use pandq.{name}, or torch.as_tensor(x).",
            )

    @property
    def shape(self) -> torch.Size:
        """The shape of the rows: all but the classes."""
        return self.tensor.shape[:-1]

    @property
    def n_classes(self) -> int | None:
        """How many classes there are, where the view says it."""
        return int(self.tensor.shape[-1])

    def rows(self) -> Self:
        """The rows, one after the other: (n, K)."""
        return self.of([self.tensor.reshape(-1, self.tensor.shape[-1])])

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """The tensors of rows that a gradient may be asked for."""
        return (self.tensor,)

    def of(self, parts: Sequence[Tensor]) -> Self:
        """The same of other numbers."""
        return type(self)(*parts)

    @property
    def formed_anew(self) -> bool:
        """Whether the rows are formed of other tensors, a block at a time."""
        return False

    def formed(self) -> View:
        """The rows as a view of one tensor of numbers over the classes."""
        return self

    def gradients(self, needed: Sequence[bool]) -> list[Tensor | None]:
        """Room for the gradients of its parts, where they are needed."""
        return [
            torch.empty_like(part) if need else None
            for part, need in zip(self.parts, needed, strict=True)
        ]

    def pull(self, out: list[Tensor | None], slope: Tensor, rows: slice, counts: Tensor) -> None:
        """Gradients of what rows were formed of, from those of the rows: added to `out`."""
        raise NotImplementedError

    def bare(self) -> Self:
        """The same without its numbers, to be made `of` some later."""
        return self.of([part.new_empty(0) for part in self.parts])

    def where(self, counts: Tensor) -> Self:
        """The rows that count; in the place of the others stands something harmless."""
        return self.of([torch.where(counts[:, None], part, 1) for part in self.parts])

    def __getitem__(self, rows: slice) -> Self:
        return self.of([part[rows] for part in self.parts])

    def as_arrays(self) -> plain.View:
        """The rows as a view of `pandq`, one after the other: checked, and without a gradient.

        Raises:
            InputError: a row cannot be used.

        >>> from pandq import entropy
        >>> entropy(Logits(torch.zeros(2, 3, 4, requires_grad=True))).shape
        (6,)
        """
        return plain.VIEWS[self.kind](self.rows().tensor.detach())  # type: ignore[call-arg]

    def where_it_is(self) -> plain.View:
        """The same, but many rows on another device stay there (see `Afar`)."""
        from pandq.torch.afar import FEW_NUMBERS, Afar

        matrix = self.kind in plain.MATRICES and self.kind != "counts"
        if matrix and self.tensor.device.type != "cpu" and self.tensor.numel() > FEW_NUMBERS:
            return Afar.of(self)
        return self.as_arrays()

    def law(self, dtype: torch.dtype = torch.float32) -> Law:
        """The rows as probabilities and their logarithms, in `dtype` or their own wider one."""
        raise NotImplementedError

    def check(self, counts: Tensor | None = None) -> None:
        """Refuse the first invalid row of (n, K) that counts, in the words of the view of arrays.

        Raises:
            InputError: there is one.
        """
        found = self._doubtful()
        doubtful = (found if counts is None else found & counts).nonzero()[:, 0]
        if len(doubtful):
            try:
                plain.MATRICES[self.kind](self.tensor[doubtful].detach())
            except RowError as error:
                raise error.moved(int(doubtful[error.row]) - error.row) from None

    def _doubtful(self) -> Tensor:
        raise NotImplementedError


class Labels(View):
    """One class per row, (...) whole numbers.

    >>> Labels(torch.tensor([1, 0])).shape
    torch.Size([2])
    """

    kind = "labels"

    @property
    def shape(self) -> torch.Size:
        """The shape of the rows."""
        return self.tensor.shape

    @property
    def n_classes(self) -> int | None:
        """Labels do not say how many classes there are."""
        return None

    def rows(self) -> Self:
        """The labels: (n,)."""
        return self.of([self.tensor.reshape(-1)])

    def where(self, counts: Tensor) -> Self:
        """The labels that count, and class 0 for the others."""
        return self.of([torch.where(counts, self.tensor, 0)])

    def check_range(self, n_classes: int, counts: Tensor | None = None) -> None:
        """Refuse the first label outside 0 ... n_classes - 1 of those that count."""
        outside = (self.tensor < 0) | (self.tensor >= n_classes)
        outside = outside if counts is None else outside & counts
        if bool(outside.any()):
            row = int(outside.nonzero()[0, 0])
            try:
                plain.Labels(self.tensor[row : row + 1], n_classes)
            except RowError as error:
                raise error.moved(row) from None


class Counts(View):
    """Votes: how many people chose each class."""

    kind = "counts"

    def law(self, dtype: torch.dtype = torch.float32) -> Law:
        """The votes' shares."""
        x = widened(self.tensor, dtype)
        return _of_probs(x / x.sum(-1, keepdim=True))

    def _doubtful(self) -> Tensor:
        x = widened(self.tensor)
        whole = ((x >= 0) & (x == x.floor()) & (x < INFINITY)).all(-1)
        return ~(whole & (x.sum(-1) > 0))


class Probs(View):
    """Probabilities that sum to one in each row."""

    kind = "probs"

    def law(self, dtype: torch.dtype = torch.float32) -> Law:
        """The distribution itself."""
        return _of_probs(widened(self.tensor, dtype))

    def _doubtful(self) -> Tensor:
        x = widened(self.tensor.detach())
        off = (x.sum(-1) - 1.0).abs() <= tolerance_of(self.tensor)
        return ~(off & (x >= 0).all(-1))


class LogProbs(View):
    """Natural logarithms of probabilities; -inf is a class of probability zero."""

    kind = "logprobs"

    def law(self, dtype: torch.dtype = torch.float32) -> Law:
        """The distribution itself."""
        x = widened(self.tensor, dtype)
        return Law(x.exp(), x)

    def _doubtful(self) -> Tensor:
        x = widened(self.tensor.detach())
        return ~((x.exp().sum(-1) - 1.0).abs() <= tolerance_of(self.tensor))


class Logits(View):
    """Unnormalised log-probabilities; -inf is a forbidden class.

    >>> Logits(torch.zeros(1, 2)).law().prob
    tensor([[0.5000, 0.5000]])
    """

    kind = "logits"

    def law(self, dtype: torch.dtype = torch.float32) -> Law:
        """The softmax of each row."""
        log_prob = functional.log_softmax(widened(self.tensor, dtype), -1)
        return Law(log_prob.exp(), log_prob)

    def _doubtful(self) -> Tensor:
        return ~self.tensor.detach().amax(-1).isfinite()


VIEWS: dict[str, type[View]] = {x.kind: x for x in (Labels, Counts, Probs, LogProbs, Logits)}


def require_view(name: str, value: object, like: Tensor | None) -> View:
    """A view of tensors: one as it is, a view of arrays on the other's device, nothing else.

    Args:
        name: "p" or "q", for errors.
        value: a view of `pandq.torch`, or one of `pandq`, whose numbers are constants.
        like: whose device and precision a view of arrays takes.

    Raises:
        ViewTypeError: it is neither.
    """
    if isinstance(value, View):
        return value
    if isinstance(value, plain.Votes):
        value = value.counts
    if isinstance(value, plain.TopK):
        raise ViewTypeError(
            what=f"{name} is a TopK of arrays",
            remedy="In a loss use pandq.torch.TopK(ids, log_probs).",
        )
    if isinstance(value, plain.View):
        array = value.array
        if value.kind == "labels":
            tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64))
        else:
            tensor = torch.from_numpy(widen(array).copy())
            tensor = tensor if like is None else tensor.to(widened(like).dtype)
        return VIEWS[value.kind](tensor if like is None else tensor.to(like.device))
    raise ViewTypeError(
        what=f"{name} must say what its numbers mean",
        got=type(value).__name__,
        remedy="Wrap it in a view of pandq.torch: Labels(y), Counts(n), Probs(x), LogProbs(x),"
        " Logits(x), Linear(hidden, weight) or TopK(ids, log_probs).",
    )


def paired(p: object, q: object) -> tuple[View, View]:
    """P and Q as views of the same rows and classes.

    Raises:
        ViewTypeError: one of them is a bare tensor.
        InputError: their rows or classes differ.
    """
    like = next((x.tensor for x in (q, p) if isinstance(x, View) and x.kind != "labels"), None)
    p, q = require_view("p", p, like), require_view("q", q, like)
    if q.kind == "labels":
        raise ViewTypeError(what="q is Labels, which have no gradient", remedy="P comes first.")
    if p.shape != q.shape:
        raise InputError(
            what="P and Q have different rows", got=f"{tuple(p.shape)} and {tuple(q.shape)}"
        )
    if None not in (p.n_classes, q.n_classes) and p.n_classes != q.n_classes:
        raise InputError(
            what="P and Q have different numbers of classes", got=f"{p.n_classes} and {q.n_classes}"
        )
    return p, q


def widened(x: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The tensor in `dtype`, or float64 where it is that already: halves are for storage."""
    return x if x.dtype == torch.float64 else x.to(dtype)


def tolerance_of(x: Tensor) -> float:
    """How far from one a row may sum, by what it is stored in."""
    return plain.TOLERANCES.get(str(x.dtype).removeprefix("torch."), 1e-6)


def _of_probs(x: Tensor) -> Law:
    """Logarithms whose gradient is 0, not NaN, where a probability is 0; NaN of NaN."""
    possible = ~(x <= 0)
    return Law(x, torch.where(possible, x, 1.0).log().masked_fill(~possible, -INFINITY))
