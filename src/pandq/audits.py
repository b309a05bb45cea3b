"""Audit: rows of P and Q in, averages with intervals and what they mean out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.engines.local import summarise
from pandq.errors import InputError
from pandq.estimate.intervals import Estimate, finite
from pandq.estimate.rowsums import DETAILS, GROUPED, LOSSES, RowSums, group_keys
from pandq.read.scan import MemoryScan, Scan, views_scan
from pandq.units import Unit, per_nat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike

    from pandq.read.scan import Chunk
    from pandq.sums.clusters import ClusterTotals
    from pandq.sums.moments import GroupMoments
    from pandq.sums.tallies import WorstRows

    Progress = Callable[[str, int, int | None], None]

QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found; `to_dict()` is its JSON form, `print` its text."""

    n: int
    n_classes: int
    unit: Unit
    level: float
    cross_entropy: Estimate
    entropy: Estimate
    kl: Estimate
    accuracy: Estimate
    expected_accuracy: Estimate
    brier: Estimate
    confidence: Estimate
    infinite_rows: int
    infinite: list[dict[str, Any]]
    finite_part: dict[str, Estimate]
    kl_quantiles: dict[str, float]
    kl_quantile_accuracy: float
    classes: list[dict[str, Any]]
    groups: dict[str, list[dict[str, Any]]]
    worst: list[dict[str, Any]]
    p_kind: str
    q_kind: str
    source: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The audit as JSON values (schema pandq/audit/1)."""
        estimates = [
            "cross_entropy",
            "entropy",
            "kl",
            "accuracy",
            "expected_accuracy",
            "brier",
            "confidence",
        ]
        return {
            "schema": "pandq/audit/1",
            "n": self.n,
            "n_classes": self.n_classes,
            "unit": self.unit,
            "level": self.level,
            "p": self.p_kind,
            "q": self.q_kind,
            "source": self.source,
            "notes": list(self.notes),
            **{name: getattr(self, name).to_dict() for name in estimates},
            "infinite_rows": self.infinite_rows,
            "infinite": self.infinite,
            "finite_part": {name: e.to_dict() for name, e in self.finite_part.items()},
            "kl_quantiles": {name: finite(x) for name, x in self.kl_quantiles.items()},
            "kl_quantile_accuracy": self.kl_quantile_accuracy,
            "classes": self.classes,
            "groups": self.groups,
            "worst": self.worst,
        }

    def __str__(self) -> str:
        from pandq.report.text import audit_text

        return audit_text(self)


def audit(
    p: object,
    q: object = None,
    *,
    classes: Sequence[str] | None = None,
    by: Mapping[str, ArrayLike] | None = None,
    cluster: ArrayLike | None = None,
    ids: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    unit: Unit = "nat",
    level: float = 0.95,
    worst: int = 10,
    progress: Progress | None = None,
) -> Audit:
    """How far Q is from P, and where.

    Args:
        p: a view of what is true, or a Scan of files (then `q` and the columns are its own).
        q: a view of what is predicted.
        classes: class names, for the report.
        by: named arrays of n values each; every one gives a table of groups.
        cluster: (n,) values that say which rows belong together.
        ids: (n,) names of the rows; their numbers from 0 when left out.
        weights: (n,) row weights, not negative.
        unit: "nat" or "bit" of the report.
        level: of the intervals.
        worst: how many of the worst rows to keep.
        progress: called with (what, rows done, rows in all or None) after each chunk.

    Returns:
        An Audit.

    Raises:
        ViewTypeError: an argument is not a view.
        InputError: the rows cannot be used as given.

    >>> import pandq
    >>> result = pandq.audit(pandq.Labels([0, 0]), pandq.Probs([[0.9, 0.1], [0.9, 0.1]]))
    >>> round(result.kl.value, 6)
    0.105361
    """
    per_nat(unit)
    if not 0 < level < 1:
        raise InputError(what="level must lie between 0 and 1", got=str(level))
    options = {"classes": classes, "by": by, "cluster": cluster, "ids": ids, "weights": weights}
    if isinstance(p, Scan | MemoryScan):
        given = [name for name, value in {"q": q, **options}.items() if value is not None]
        if given:
            raise InputError(
                what=f"a scan brings its own {given[0]}", remedy="Give it to pandq.scan(...)."
            )
        rows: Scan | MemoryScan = p
    else:
        rows = views_scan(p, q, **options)  # type: ignore[arg-type]
    sums, shape = _gone_through(rows, RowSums.empty(by=tuple(rows.by), worst=worst), progress)
    return _result(sums, rows, shape, unit=unit, level=level)


@dataclass(slots=True)
class _Shape:
    """What the chunks were, seen in passing."""

    n_classes: int = 0
    p_kind: str = ""
    q_kind: str = ""


def _gone_through(
    rows: Scan | MemoryScan, empty: RowSums, progress: Progress | None
) -> tuple[RowSums, _Shape]:
    shape = _Shape()

    def watched() -> Iterator[Chunk]:
        total, what = rows.n_rows, "measuring"
        for chunk in rows.chunks():
            if not shape.n_classes:
                shape.n_classes = chunk.q.n_classes or 0
                shape.p_kind, shape.q_kind = chunk.p.kind, chunk.q.kind
            elif shape.n_classes != chunk.q.n_classes:
                raise InputError(
                    what=f"rows from {chunk.start} on have another number of classes",
                    got=f"{chunk.q.n_classes}, not {shape.n_classes}",
                )
            yield chunk
            if progress is not None:
                progress(what, chunk.start + len(chunk), total)

    sums = summarise(watched(), empty.of, empty)
    if sums.n == 0:
        raise InputError(what="there are no rows", where=_name(rows))
    if sums.scores.weight == 0:
        raise InputError(what="all weights are zero", where=_name(rows))
    return sums, shape


def _name(rows: Scan | MemoryScan) -> str:
    return rows.source.name if isinstance(rows, Scan) else ""


def _result(
    sums: RowSums, rows: Scan | MemoryScan, shape: _Shape, *, unit: Unit, level: float
) -> Audit:
    scale = per_nat(unit)
    names = rows.classes or tuple(str(k) for k in range(shape.n_classes))
    if len(names) != shape.n_classes:
        raise InputError(
            what="the class names do not fit Q",
            got=f"{len(names)} names, {shape.n_classes} classes",
        )
    of = {str(k): name for k, name in enumerate(names)}

    def loss(name: str) -> Estimate:
        return sums.estimate(name, level=level).to_unit(unit)

    part = {}
    if sums.n_infinite and sums.losses.n:
        part = {name: sums.finite_part(name, level=level).to_unit(unit) for name in LOSSES}
    source: dict[str, Any] = {"rows": sums.n}
    if isinstance(rows, Scan):
        source |= {"name": rows.source.name, "p": str(rows.p), "q": str(rows.q)}
    quantiles = sums.divergence.quantile(QUANTILES) * scale
    return Audit(
        n=sums.n,
        n_classes=shape.n_classes,
        unit=unit,
        level=level,
        cross_entropy=loss("cross_entropy"),
        entropy=loss("entropy"),
        kl=loss("kl"),
        accuracy=sums.estimate("accuracy", level=level),
        expected_accuracy=sums.estimate("mass", level=level),
        brier=sums.estimate("brier", level=level),
        confidence=sums.estimate("confidence", level=level),
        infinite_rows=sums.n_infinite,
        infinite=_rows_table(sums.infinite, names, scale),
        finite_part=part,
        kl_quantiles={f"{q:g}": float(x) for q, x in zip(QUANTILES, quantiles, strict=True)},
        kl_quantile_accuracy=sums.divergence.accuracy,
        classes=_groups_table(sums.classes, sums.class_clusters, of, scale, level),
        groups={
            name: _groups_table(table, sums.group_clusters[name], None, scale, level)
            for name, table in sums.groups.items()
        },
        worst=_rows_table(sums.worst, names, scale),
        p_kind=shape.p_kind,
        q_kind=shape.q_kind,
        source=source,
        notes=rows.notes,
    )


_IN_UNITS = frozenset(LOSSES)


def _rows_table(rows: WorstRows, classes: Sequence[str], scale: float) -> list[dict[str, Any]]:
    """Single rows with their measures, as JSON values."""
    table = []
    for row, identity, details in zip(rows.row, rows.ids, rows.details, strict=True):
        found = dict(zip(DETAILS, details.tolist(), strict=True))
        table.append(
            {
                "row": int(row),
                "id": _plain(identity),
                "p_class": classes[int(found.pop("p_class"))],
                "q_class": classes[int(found.pop("q_class"))],
            }
            | {k: finite(x * scale if k in _IN_UNITS else x) for k, x in found.items()}
        )
    return table


def _groups_table(
    groups: GroupMoments,
    clusters: ClusterTotals,
    rename: Mapping[str, str] | None,
    scale: float,
    level: float,
) -> list[dict[str, Any]]:
    """One entry per group, the largest divergence in total first."""
    from pandq.estimate.intervals import mean_estimate

    variance, table = groups.mean_variance(), []
    order = np.argsort(-groups.weight * groups.mean[:, GROUPED.index("kl")], kind="stable")
    for g in order:
        degrees = int(groups.n[g]) - 1
        spread = variance[g]
        if len(clusters.cluster):
            key = int(group_keys([groups.names[g]])[0])
            degrees = clusters.n_clusters(key) - 1
            spread = np.diag(clusters.mean_covariance(key))
        name = groups.names[g]
        entry: dict[str, Any] = {
            "name": rename[name] if rename else name,
            "n": int(groups.n[g]),
            "weight": float(groups.weight[g]),
        }
        for i, measure in enumerate(GROUPED):
            factor = scale if measure in _IN_UNITS else 1.0
            estimate = mean_estimate(
                float(groups.mean[g, i]) * factor,
                float(spread[i]) * factor**2,
                degrees=degrees,
                n=int(groups.n[g]),
                level=level,
            )
            entry[measure] = {
                "value": finite(estimate.value),
                "low": finite(estimate.low),
                "high": finite(estimate.high),
            }
        table.append(entry)
    return table


def _plain(identity: Any) -> str | int | None:
    """An id as JSON has it."""
    value = identity.as_py() if hasattr(identity, "as_py") else identity
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, int) or value is None else str(value)
