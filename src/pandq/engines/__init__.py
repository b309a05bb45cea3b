"""Who does the summing: an engine maps `of` over chunks and merges in chunk order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.engines.contract import Done, Engine, Progress
from pandq.engines.local import Local
from pandq.engines.run import Run

if TYPE_CHECKING:
    from pandq.engines.dask import Dask

__all__ = ["Dask", "Done", "Engine", "Local", "Progress", "Run"]


def __getattr__(name: str) -> Any:
    """Dask is looked up when it is asked for: it is heavy, and an extra."""
    if name == "Dask":
        from pandq.engines.dask import Dask

        return Dask
    message = f"module 'pandq.engines' has no attribute {name!r}"
    raise AttributeError(message)
