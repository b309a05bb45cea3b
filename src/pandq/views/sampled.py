"""Sampled: the log-probability that a model gave to what was drawn, and to nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self

import numpy as np

from pandq.core.checks import one_number_per_row
from pandq.core.numerics import widen
from pandq.errors import InputError, RowError
from pandq.views.base import places
from pandq.views.taken import SAMPLED_KIND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, DTypeLike, NDArray

    from pandq.views.base import Index

# By how much rounding in 16 bits may leave a log-probability above 0.
_ROUNDED = 1e-2


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Sampled:
    """One number a row: the natural log-probability that a model gave to the token drawn there.

    It is what rollouts, perplexity logs and servers hold. Of two models it says how far they are
    apart on what was drawn, by `pandq.compare(Sampled(of_the_sampler), Sampled(of_another))`: the
    draws must be of the first one.

    Args:
        log_probs: (n,) numbers of any float type, at most 0; -inf where the model forbids it.

    Raises:
        InputError: NaN, or a log-probability above 0.

    >>> Sampled([-0.5, -2.0]).log_probs
    array([-0.5, -2. ])
    """

    log_probs: NDArray[np.float64]

    kind: ClassVar[str] = SAMPLED_KIND
    n_classes: ClassVar[None] = None

    def __init__(self, log_probs: ArrayLike) -> None:
        x = widen(one_number_per_row("Sampled", log_probs)).astype(np.float64)
        for bad, problem, remedy in (
            (np.isnan(x), "holds NaN", "Leave out what was not drawn: prompts, padding."),
            (x > _ROUNDED, "is above 0", "Log-probabilities are natural logarithms, at most 0."),
        ):
            if bad.any():
                row = int(bad.argmax())
                raise RowError(
                    view="Sampled", row=row, problem=problem, got=f"{x[row]:g}", remedy=remedy
                )
        object.__setattr__(self, "log_probs", x)

    def __len__(self) -> int:
        return len(self.log_probs)

    @property
    def shape(self) -> tuple[int]:
        """Rows: (n,)."""
        return (len(self.log_probs),)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NoReturn:  # noqa: FBT001 - NumPy's own
        raise TypeError("a Sampled is one array: x.log_probs")  # noqa: EM101

    def __getitem__(self, rows: Index) -> Self:
        few = object.__new__(type(self))
        object.__setattr__(few, "log_probs", self.log_probs[places(rows, len(self))])
        return few

    def __iter__(self) -> Iterator[Self]:
        return (self[row] for row in range(len(self)))


def require_sampled(*views: object) -> None:
    """Refuse what stands beside log-probabilities of draws and is none.

    Raises:
        InputError: there is another view.
    """
    for view in views:
        if not isinstance(view, Sampled):
            raise InputError(
                what="log-probabilities of what was drawn are compared with one another",
                got=type(view).__name__,
                remedy="Give P and every Q as Sampled(log_probs) (on the command line:"
                " sampled:COLUMN); of one model alone: pandq.perplexity(Sampled(log_probs)), or"
                " `pandq audit FILE --q sampled:COLUMN` without --p.",
            )
