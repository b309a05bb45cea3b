"""Linear in a loss: hidden states and a head, both with a gradient, and no logits in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor
from torch.nn import functional

from pandq import views as plain
from pandq.errors import InputError, RowError, ViewTypeError
from pandq.torch.views import Law, Logits, View, widened

if TYPE_CHECKING:
    from collections.abc import Sequence


class Capped(Logits):
    """Products of states and a head, before their scale and cap."""

    __slots__ = ("scale", "softcap")

    scale: float | None
    softcap: float | None

    kind = "products"

    @classmethod
    def made(cls, tensor: Tensor, scale: float | None, softcap: float | None) -> Self:
        """Products, and what is done to them."""
        made = object.__new__(cls)
        for name, value in (("tensor", tensor), ("scale", scale), ("softcap", softcap)):
            object.__setattr__(made, name, value)
        return made

    def of(self, parts: Sequence[Tensor]) -> Self:
        """The same of other products."""
        return self.made(parts[0], self.scale, self.softcap)

    def law(self, dtype: torch.dtype = torch.float32) -> Law:
        """The softmax of the logits."""
        x = widened(self.tensor, dtype)
        x = x if self.scale is None else x * self.scale
        x = x if self.softcap is None else self.softcap * (x / self.softcap).tanh()
        return Logits(x).law(dtype)


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Linear(View):
    """Logits of hidden states under a head, for a loss: formed some rows at a time.

    Args:
        hidden: (..., d) states.
        weight: (K, d) head, as of torch.nn.Linear, on the states' device.
        bias: (K,).
        scale: a number that multiplies the logits.
        softcap: c: logits become c tanh(x / c), after `scale`.

    Gradients go to states, head and bias. Logits are never all in memory: the loss's memory is that
    of the gradients and of some rows' logits.

    A head of another type than the states is rounded to theirs once a loss, and under
    torch.autocast all are to its type, as by torch's own linear; each gradient has its own
    tensor's type.

    Raises:
        ViewTypeError: one is no tensor.
        InputError: states and head do not fit together.

    >>> from pandq.torch import CrossEntropy, Labels
    >>> head = torch.nn.Linear(2, 3)
    >>> view = Linear(torch.zeros(4, 2), head.weight, head.bias)
    >>> CrossEntropy()(Labels(torch.tensor([0, 1, 2, 0])), view).backward()
    >>> head.weight.grad.shape, view.shape, view.n_classes
    (torch.Size([3, 2]), torch.Size([4]), 3)
    """

    weight: Tensor
    bias: Tensor | None
    scale: float | None
    softcap: float | None

    kind = "linear"

    def __init__(
        self,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        scale: float | None = None,
        softcap: float | None = None,
    ) -> None:
        for x in (hidden, weight, *(() if bias is None else (bias,))):
            if not isinstance(x, Tensor):
                raise ViewTypeError(
                    what="pandq.torch.Linear holds tensors",
                    got=type(x).__name__,
                    remedy="For arrays use pandq.Linear, or torch.as_tensor(x).",
                )
        if weight.ndim != 2 or not hidden.ndim or hidden.shape[-1] != weight.shape[1]:
            raise InputError(
                what="hidden states and head do not fit",
                got=f"{tuple(hidden.shape)} and {tuple(weight.shape)}",
                remedy="A head is (classes, numbers a state), as torch.nn.Linear has it.",
            )
        if bias is not None and bias.shape != weight.shape[:1]:
            got = f"{tuple(bias.shape)} for {len(weight)} classes"
            raise InputError(what="a bias has one number per class", got=got)
        for name, value in (("scale", scale), ("softcap", softcap)):
            if value is not None and not value > 0:
                raise InputError(what=f"{name} is a number above 0", got=repr(value))
        self._set(hidden, weight, bias, scale, softcap)

    def _set(
        self,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        scale: float | None,
        softcap: float | None,
    ) -> None:
        given = (hidden, weight, bias, scale, softcap)
        for name, value in zip(
            ("tensor", "weight", "bias", "scale", "softcap"), given, strict=True
        ):
            object.__setattr__(self, name, value)

    @property
    def n_classes(self) -> int | None:
        """How many classes the head has."""
        return int(self.weight.shape[0])

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """States, head and bias."""
        head = (self.weight,) if self.bias is None else (self.weight, self.bias)
        return (self.tensor, *head)

    @property
    def formed_anew(self) -> bool:
        """Logits are formed of the states and the head."""
        return True

    def of(self, parts: Sequence[Tensor]) -> Self:
        """The same of other tensors."""
        made = object.__new__(type(self))
        bias = parts[2] if len(parts) > 2 else None
        made._set(parts[0], parts[1], bias, self.scale, self.softcap)
        return made

    def rows(self) -> Self:
        """The states, one after the other, and the head in the type that they are multiplied in."""
        dtype = _multiplied_in(self.tensor)
        head = [part.to(dtype) for part in self.parts[1:]]
        return self.of([self._flat().to(dtype), *head])

    def _flat(self) -> Tensor:
        return self.tensor.reshape(-1, self.tensor.shape[-1])

    def where(self, counts: Tensor) -> Self:
        """The states that count, and zeros for the others."""
        return self.of([torch.where(counts[:, None], self.tensor, 0), *self.parts[1:]])

    def __getitem__(self, rows: slice) -> Self:
        return self.of([self.tensor[rows], *self.parts[1:]])

    def formed(self) -> View:
        """The products, for a softmax."""
        product = functional.linear(self.tensor, self.weight, self.bias)
        if self.scale is None and self.softcap is None:
            return Logits(product)
        return Capped.made(product, self.scale, self.softcap)

    def gradients(self, needed: Sequence[bool]) -> list[Tensor | None]:
        """Room for the gradients; those of a head of 16 bits are added up in single precision."""
        hidden, *head = View.gradients(self, needed)
        return [
            hidden,
            *(x if x is None else torch.zeros_like(widened(x)) for x in head),
        ]

    def pull(self, out: list[Tensor | None], slope: Tensor, rows: slice, counts: Tensor) -> None:
        """The chain rule of a product."""
        hidden, weight, *bias = out
        states = torch.where(counts[:, None], self.tensor, 0)
        if hidden is not None:
            torch.mm(slope, self.weight, out=hidden[rows])
        if weight is not None and weight.dtype == slope.dtype:
            weight.addmm_(slope.T, states)
        elif weight is not None:
            weight += slope.T @ states
        for one in bias:
            if one is not None:
                one.add_(slope.sum(0, dtype=one.dtype))

    def law(self, dtype: torch.dtype = torch.float32) -> Law:
        """The softmax of all rows' logits."""
        return self.formed().law(dtype)

    def as_arrays(self) -> plain.View:
        """The rows as pandq.Linear, without a gradient.

        Raises:
            InputError: a number is not finite.
        """
        states, *head = (part.detach() for part in (self._flat(), *self.parts[1:]))
        bias = head[1] if len(head) > 1 else None
        made: Any = plain.Linear
        found: plain.View = made(states, head[0], bias, self.scale, self.softcap)
        return found

    def where_it_is(self) -> plain.View:
        """The same as arrays: logits are formed here."""
        return self.as_arrays()

    def check(self, counts: Tensor | None = None) -> None:
        """Refuse the first row that counts, or class, whose numbers are not finite."""
        for name, part in zip(("hidden", "weight"), self.parts, strict=False):
            bad = ~part.detach().sum(-1, dtype=torch.float64).isfinite()
            if counts is not None and name == "hidden":
                bad = bad & counts
            if bool(bad.any()):
                row = int(bad.nonzero()[0, 0])
                problem = "holds a number that is not finite"
                raise RowError(view=f"Linear: {name}", row=row, problem=problem)


def _multiplied_in(states: Tensor) -> torch.dtype:
    """The type of a product of states: theirs, or torch.autocast's, which leaves doubles."""
    where = states.device.type
    if states.dtype != torch.float64 and torch.is_autocast_enabled(where):
        return torch.get_autocast_dtype(where)
    return states.dtype
