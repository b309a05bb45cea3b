"""Finding: one thing that a reader must know of the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know: `first` is said before the headline; a `remedy` replaces all advice."""

    key: str
    sentence: str
    numbers: dict[str, float] = field(default_factory=dict)
    first: bool = False
    remedy: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"key": self.key, "sentence": self.sentence, **self.numbers}
