"""Views that are formed as they are asked for: a piece of rows at a time, over all cores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from pandq.core.threads import alone, over_cores
from pandq.errors import RowError
from pandq.views.linear import Linear

if TYPE_CHECKING:
    from collections.abc import Callable


def rows_at_once(*views: Any) -> int | None:
    """How many rows of all these may be in memory together; None where they are there already."""
    return min((view.rows_at_once for view in views if isinstance(view, Linear)), default=None)


def formed(view: Any, start: int = 0) -> Any:
    """A view whose numbers are there: a Linear's are made now, and rows count from `start`.

    Raises:
        InputError: a row's product overflows.
    """
    try:
        return view.here() if isinstance(view, Linear) else view
    except RowError as error:
        raise error.moved(start) from None


def in_pieces(formula: Callable[..., Any], *views: Any) -> Any:
    """A formula of rows, of pieces of them where a view is formed, and else of all.

    Args:
        formula: called with views whose numbers are there; gives arrays over the rows, or a dict
            of such.
        views: of the same rows.

    Returns:
        What it gives of all rows. Pieces depend on the views alone, each is one product on one
        thread, and so there are the same bits for any number of threads.
    """
    step = rows_at_once(*views)
    if step is None:
        return formula(*views)
    n = len(views[0])

    def of(start: int) -> Any:
        rows = slice(start, min(start + step, n))
        with alone():
            return formula(*(formed(view[rows], start) for view in views))

    # one pool of threads: BLAS's own would fight it
    with threadpool_limits(limits=1, user_api="blas"):
        found = over_cores(of, range(0, max(n, 1), step))
    if isinstance(found[0], dict):
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}
    return np.concatenate(found)
