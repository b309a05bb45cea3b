"""What is to be fitted: labels of any kind, soft labels or a view, as numbers that a loss takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.checks import unmasked
from pandq.core.laws import Law
from pandq.core.measures import entropy
from pandq.errors import InputError
from pandq.views import Counts, Labels, Probs, View, require_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """P of some rows: (n,) class numbers or (n, K) probabilities, and the classes' names."""

    p: NDArray[Any]
    classes: NDArray[Any]

    def __len__(self) -> int:
        return len(self.p)

    @property
    def n_classes(self) -> int:
        """K."""
        return len(self.classes)

    @classmethod
    def of(cls, y: Any, *, as_votes: bool = False) -> Targets:
        """The targets that labels, (n, K) soft labels or a view give.

        Args:
            y: (n,) labels of any kind; (n, K) probabilities; or a view.
            as_votes: whether Counts stay counts, each vote an observation, instead of shares.

        Raises:
            InputError: a row is not a valid probability vector.

        >>> Targets.of(np.array(["b", "a"])).p
        array([1, 0])
        """
        y = view_or_array(y)
        if not isinstance(y, View):
            y = unmasked("y", y)
            # a column of labels is labels, as scikit-learn has it
            if y.ndim != 2 or y.shape[1] == 1:
                classes, codes = np.unique(y, return_inverse=True)
                return cls(codes.reshape(-1), classes)
            y = Probs(y)
        if isinstance(y, Labels):
            size = y.n_classes or int(y.array.max(initial=0)) + 1
            names = np.arange(size) if y.classes is None else np.array(y.classes)
            return cls(y.array, names)
        p = y.law().prob
        names = np.arange(p.shape[1]) if y.classes is None else np.array(y.classes)
        if as_votes and isinstance(y, Counts):
            return cls(y.array.astype(np.float64), names)
        # exact distributions: what rounding left out would pull the intercept
        return cls(p / p.sum(axis=1, keepdims=True), names)

    def entropies(self) -> Floats:
        """H(P) of each row, (n,) nats: 0 for labels, of votes that of their shares."""
        if self.p.ndim == 1:
            return np.zeros(len(self.p))
        return entropy(Law.from_probs(self.p / self.p.sum(axis=1, keepdims=True)))

    def require_two_classes(self) -> None:
        """Refuse a fit that has nothing to tell apart."""
        if self.n_classes < 2:
            raise InputError(
                what="a fit needs at least two classes",
                got=f"one class: {self.classes[0]}" if self.n_classes else "no rows",
            )


def view_or_array(y: Any) -> Any:
    """What a fit is given as its P: a view, also where it was given as Votes; all else as it is."""
    return require_view("y", y) if hasattr(type(y), "as_arrays") else y


def observations(p: NDArray[Any]) -> Floats:
    """How many observations each row is, (n,): its votes; 1 for a label or a distribution."""
    return np.ones(len(p)) if p.ndim == 1 else p.sum(axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Rows to learn from: features, what they are to be fitted to, and weights."""

    x: NDArray[Any]
    targets: Targets
    w: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: NDArray[np.intp]) -> Data:
        few = Targets(self.targets.p[rows], self.targets.classes)
        return Data(self.x[rows], few, None if self.w is None else self.w[rows])

    @property
    def floor(self) -> float:
        """The weighted mean of H(P), nats."""
        return float(np.average(self.targets.entropies(), weights=self.w))
