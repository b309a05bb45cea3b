"""Votes to the kernel of Dirichlet mixtures: the evidence of all rows and its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pandq.core.kernels.builds import build
from pandq.core.kernels.maps import as_read

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Counts = NDArray[np.int64]

# As W of laws.h.
LANES = 64


class VotesInTiles:
    """Rows of votes and of log q, laid out as `dirichlet_sums` of dirichlet.h reads them.

    Args:
        counts: (n, K) votes.
        log_q: (n, K) finite.
        features: (n, 2) what the concentrations and the gates depend on.

    >>> one = VotesInTiles(np.array([[1, 0]]), np.log([[0.5, 0.5]]), np.zeros((1, 2)))
    >>> one.sums(np.zeros((3, 7)), np.zeros(22)) in (True, False)
    True
    """

    def __init__(self, counts: Counts, log_q: Array, features: Array) -> None:
        n, self.classes = counts.shape
        self.tiles = -(-n // LANES)
        row, column = np.nonzero(counts)
        count = counts[row, column].astype(np.float64)
        order = np.lexsort([count, row // LANES])
        self.place = (column * LANES + row % LANES).astype(np.int64)[order]
        self.count = count[order]
        edges = np.arange(self.tiles + 1) * LANES
        self.start = np.searchsorted(row, edges).astype(np.int64)
        self.x, self.features = self._sheets(log_q), self._sheets(features)
        self.votes = self._sheets(counts.sum(axis=1, dtype=np.float64)[:, None])
        arrays = (self.x, self.features, self.votes, self.start, self.place, self.count)
        self._told = (*(a.ctypes.data for a in arrays), self.classes)

    def _sheets(self, x: Array) -> Array:
        """(tiles, columns, LANES), zeros where no row is."""
        whole = np.zeros((self.tiles * LANES, x.shape[1]))
        whole[: len(x)] = x
        return np.ascontiguousarray(whole.reshape(self.tiles, LANES, x.shape[1]).transpose(0, 2, 1))

    def sums(self, theta: Array, out: Array) -> bool:
        """The evidence of all rows under three components, and its gradient.

        Args:
            theta: (3, 7) or (3, 7 + K) parameters: the log of the total concentration and its
                slope, the logit of the leak, the log of the sharpness, three of the gate, offsets.
            out: (1 + 3 (7 + K),) zeros, to be filled: the sum of the log evidences, in nats, and
                its derivatives.

        Returns:
            Whether there is a kernel; without one `out` stays as it is.

        Raises:
            MemoryError: there is too little.
        """
        chosen = build()
        if chosen is None:
            return False
        theta = as_read(theta)
        size = theta.shape[1]
        chosen.dirichlet_sums(self._told, self.tiles, theta.ctypes.data, size, out.ctypes.data)
        return True
