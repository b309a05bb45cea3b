"""In the loop: audits and comparisons that are fed batch by batch, also by other people's loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.core.threads import imported

if TYPE_CHECKING:
    from pandq.loops.torchmetrics import AuditMetric
    from pandq.loops.transformers import TrainerAudit

# Each stands in a file of its own, which imports the library that it is for.
_HOME_OF = {"AuditMetric": "torchmetrics", "TrainerAudit": "transformers"}

__all__ = ["AuditMetric", "TrainerAudit"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        msg = f"module 'pandq.loops' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(imported(f"pandq.loops.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
