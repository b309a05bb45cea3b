"""What an array means: a representation is a type, never a guess from values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pandq.core.laws import Law

    Index = slice | NDArray[np.intp] | NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """n rows of one representation of a law over `n_classes` classes, whose names may be known."""

    array: NDArray[Any]
    n_classes: int | None
    classes: tuple[str, ...] | None = None

    kind: ClassVar[str] = "view"

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: Index) -> Self:
        return self.trusted(self.array[rows], self.n_classes, self.classes)

    @classmethod
    def trusted(
        cls, array: NDArray[Any], n_classes: int | None, classes: tuple[str, ...] | None = None
    ) -> Self:
        """A view of rows that are known to be sound: nothing is checked again."""
        view = object.__new__(cls)
        object.__setattr__(view, "array", array)
        object.__setattr__(view, "n_classes", n_classes)
        object.__setattr__(view, "classes", classes)
        return view

    def law(self) -> Law:
        """The rows as probabilities and their logarithms, float64."""
        raise NotImplementedError
