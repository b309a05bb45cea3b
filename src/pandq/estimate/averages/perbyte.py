"""Bits per byte: the loss of a text by its length, which does not depend on its tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.errors import InputError
from pandq.estimate.averages.lossmeans import LossMeans
from pandq.units import per_nat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pandq.read.chunks import Chunk
    from pandq.results.estimate import Estimate

NAME = "bits_per_byte"
_LOSS, _SIZE = "cross_entropy", "n_bytes"


def no_bytes(*, replicates: int = 0, seed: int = 0) -> LossMeans:
    """The means of losses and bytes over no rows; with the replicates of a bootstrap, if wanted."""
    return LossMeans.empty((_LOSS, _SIZE), (), replicates=replicates, seed=seed)


def of_bytes(blank: LossMeans, chunk: Chunk, loss: NDArray[np.float64]) -> LossMeans:
    """Those of one chunk, whose rows have these losses; none where their bytes are not known."""
    if chunk.n_bytes is None:
        return blank
    both = np.stack([loss, chunk.n_bytes], axis=1)
    belong: dict[str, Any] = {"clusters": chunk.clusters, "keys": chunk.keys}
    return blank.of_only(both, np.empty((len(both), 0)), chunk.weights, **belong)


def bits_per_byte(sums: LossMeans, *, level: float, name: str = NAME) -> Estimate | None:
    """The mean loss in bits by the mean number of bytes; None where no bytes are known.

    Args:
        sums: losses in nats, and bytes.
        level: confidence level of the interval.
        name: what the estimate is called.

    Raises:
        InputError: no row has any bytes.
    """
    if not sums.n:
        return None
    if sums.n_infinite:
        return replace(sums.estimate(_LOSS, level=level, unit=""), name=name)
    means = sums.losses
    if means.mean(_SIZE) == 0:
        raise InputError(what="n_bytes are all zero")
    return means.ratio(_LOSS, _SIZE, name=name, scale=per_nat("bit"), level=level)
