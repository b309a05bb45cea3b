"""Logits from codes of 16 bits, with what the codes leave open."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pandq.views.base import places
from pandq.views.logits import Logits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pandq.views.base import Index

    Rows = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """What the codes of n rows do not tell of their probabilities.

    Args:
        half_step: (n,) nats by which rounding may move a log p.
        least: (n,) the most that log p of a class at the floor can be.
        n_floor: (n,) how many classes lie at the floor: of each is known that its p is at most
            exp(least). 0 where a row's range fits its codes.
        mass: (n,) the probability that they are given together: what the other classes leave.
        most: (n,) the most that they can have together.
    """

    half_step: Rows
    least: Rows
    n_floor: Rows
    mass: Rows
    most: Rows

    @classmethod
    def of(cls, some: Sequence[Self]) -> Self:
        """Those of one block of rows after the other."""
        names = [field.name for field in fields(cls)]
        if not some:
            return cls(*(np.zeros(0) for _ in names))
        return cls(*(np.concatenate([getattr(x, name) for x in some]) for name in names))

    def __getitem__(self, some: Any) -> Self:
        made = type(self)
        return made(
            self.half_step[some],
            self.least[some],
            self.n_floor[some],
            self.mass[some],
            self.most[some],
        )

    @property
    def level(self) -> Rows:
        """(n,) log p that each class at the floor is given; -inf where there is none."""
        with np.errstate(divide="ignore", invalid="ignore"):
            level: Rows = np.where(self.n_floor > 0, np.log(self.mass / self.n_floor), -np.inf)
        return level


class CodedBlock(np.ndarray[Any, np.dtype[np.float32]]):
    """(n, K) decoded log-probabilities that carry their `codes` to the view of them."""

    codes: Codes

    @classmethod
    def of(cls, decoded: NDArray[np.float32], codes: Codes) -> Self:
        """The same numbers, with what was not told by them."""
        block = decoded.view(cls)
        block.codes = codes
        return block


@dataclass(frozen=True, slots=True, eq=False, init=False)
class CodedLogits(Logits):
    """Logits whose smallest share a floor; see Codes."""

    codes: Codes | None = None

    @classmethod
    def of(cls, block: CodedBlock) -> Self:
        """The view of a decoded block.

        Raises:
            InputError: it holds NaN or +inf.
        """
        view = cls(block)
        object.__setattr__(view, "codes", block.codes)
        return view

    def __getitem__(self, rows: Index) -> Self:
        few = Logits.__getitem__(self, rows)
        object.__setattr__(few, "codes", self.codes and self.codes[places(rows, len(self))])
        return few
