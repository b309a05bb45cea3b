"""Comparison: what a comparison found, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandq.results.estimate import Estimate
    from pandq.results.reference import Drift
    from pandq.units import Unit
from dataclasses import replace
from typing import TYPE_CHECKING

from pandq.results.estimate import Estimate
from pandq.units import Unit

if TYPE_CHECKING:
    from pandq.results.estimate import Estimate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandq.units import Unit


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """What a comparison found; `to_dict()` is its JSON form, `print` its text.

    `models` are the Qs in the order given, the first the one that the others are held against;
    `drifts` are there where P is a law in full (a reference model, soft labels).
    """

    n: int
    n_classes: int
    unit: Unit
    level: float
    p_kind: str
    models: tuple[Model, ...]
    differences: tuple[Difference | Unpaired, ...]
    drifts: tuple[Drift, ...]
    bounds: tuple[Bounds, ...] = ()
    source: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON values (schema pandq/comparison/1)."""
        return {
            "schema": "pandq/comparison/1",
            "n": self.n,
            "n_classes": self.n_classes,
            "unit": self.unit,
            "level": self.level,
            "p": self.p_kind,
            "source": self.source,
            "notes": list(self.notes),
            "models": [model.to_dict() for model in self.models],
            "differences": [difference.to_dict() for difference in self.differences],
            "drifts": [drift.to_dict() for drift in self.drifts],
            "bounds": [bounds.to_dict() for bounds in self.bounds],
        }

    def __repr__(self) -> str:
        found = [x.cross_entropy for x in self.differences]
        found += [x.kl for x in self.drifts] + [x.kl for x in self.bounds]
        return f"<pandq.Comparison of {self.n:,} rows: {'; '.join(map(str, found))}>"


@dataclass(frozen=True, slots=True)
class Model:
    """One Q; its intervals are for its own limits: a difference is what tells models apart."""

    q: str
    cross_entropy: Estimate
    kl: Estimate
    accuracy: Estimate
    expected_accuracy: Estimate
    brier: Estimate
    infinite_rows: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        names = ("cross_entropy", "kl", "accuracy", "expected_accuracy", "brier")
        found = {name: getattr(self, name).to_dict() for name in names}
        return {"q": self.q, **found, "infinite_rows": self.infinite_rows}


@dataclass(frozen=True, slots=True)
class Difference:
    """What Q pays more than the model that it is held against; negative where Q is better.

    `cross_entropy` is also the difference of the divergences, because the floor cancels. Shares of
    rows are weighted. `classes` and `groups` carry Holm's adjusted p-values over all of them.
    """

    q: str
    against: str
    cross_entropy: Estimate
    finite_part: Estimate | None
    p_value: float | None
    verdict: str
    rest: Estimate | None
    miscalibration: Estimate | None
    accuracy: Estimate
    expected_accuracy: Estimate
    brier: Estimate
    confidence: Estimate
    same_top1: Estimate
    wins: dict[str, Estimate]
    infinite_rows: dict[str, int]
    groups_looked_at: int
    classes: list[dict[str, Any]]
    groups: dict[str, list[dict[str, Any]]]
    against_better: list[dict[str, Any]] = field(default_factory=list)
    q_better: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        scores = ("accuracy", "expected_accuracy", "brier", "confidence", "same_top1")
        parts = {name: getattr(self, name) for name in ("rest", "miscalibration")}
        return {
            "q": self.q,
            "against": self.against,
            "paired": True,
            "cross_entropy": self.cross_entropy.to_dict(),
            "kl": replace(self.cross_entropy, name="kl").to_dict(),
            "finite_part": self.finite_part and self.finite_part.to_dict(),
            "p_value": self.p_value,
            "verdict": self.verdict,
            "decomposition": {
                "floor": {"value": 0.0, "method": "the same for both: it cancels"},
                **{name: x and x.to_dict() for name, x in parts.items()},
            },
            **{name: getattr(self, name).to_dict() for name in scores},
            "wins": {name: x.to_dict() for name, x in self.wins.items()},
            "infinite_rows": self.infinite_rows,
            "groups_looked_at": self.groups_looked_at,
            "classes": self.classes,
            "groups": self.groups,
            "worst": {"against_better": self.against_better, "q_better": self.q_better},
        }


@dataclass(frozen=True, slots=True)
class Unpaired:
    """What Q pays more than a model that is known by its audit alone."""

    q: str
    against: str
    cross_entropy: Estimate
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "q": self.q,
            "against": self.against,
            "paired": False,
            "cross_entropy": self.cross_entropy.to_dict(),
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what the mean KL(P||Q) must lie: no point, because unseen classes leave it open.

    `low` and `high` are the mean bounds themselves; `kl` is the interval that also allows for
    sampling, one-sided at each end.
    """

    q: str
    n: int
    low: Estimate
    high: Estimate
    kl: Estimate
    infinite_rows: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        found = {name: getattr(self, name).to_dict() for name in ("low", "high", "kl")}
        return {"q": self.q, **found, "infinite_rows": self.infinite_rows}
