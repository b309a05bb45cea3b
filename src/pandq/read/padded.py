"""Columns that pad a vocabulary: cut where they carry no probability."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logsumexp

from pandq.core.numerics import widen
from pandq.errors import RowError

# Of these kinds a number is a share as it is; of the others it is the logarithm of one.
_SHARES = ("counts", "probs")


def cut(name: str, kind: str, array: Any, n_classes: int) -> Any:
    """The first columns of an array, where the others carry nothing.

    Args:
        name: of the column, for errors.
        kind: of its numbers.
        array: (n, K) or (n, S, K).
        n_classes: how many columns are to be left.

    Raises:
        RowError: a row has more than nothing in the columns to be cut.
    """
    if array.ndim < 2 or array.shape[-1] <= n_classes:
        return array
    rest = widen(np.asarray(array[..., n_classes:]))
    if kind in _SHARES:
        carried = np.abs(rest).sum(axis=-1)
    else:
        with np.errstate(invalid="ignore"):  # of a row that is -inf throughout
            whole = logsumexp(widen(np.asarray(array)), axis=-1)
            carried = np.exp(logsumexp(rest, axis=-1) - whole)
    full = ~(carried == 0)
    if full.any():
        row = int(full.reshape(len(array), -1).any(axis=1).argmax())
        k, most = array.shape[-1], np.max(carried[row])
        raise RowError(
            view=f"column {name!r}",
            row=row,
            problem=f"has more than nothing in the classes from {n_classes:,} on, which --classes"
            f" {n_classes} would cut",
            got=f"{most:.3g}",
            remedy=f"All columns: --classes {k}; a logit of -inf or -1e9 carries nothing.",
        )
    return array[..., :n_classes]
