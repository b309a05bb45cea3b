"""What a process does with memory that it has freed."""

from __future__ import annotations

import contextlib
import ctypes

# glibc's numbers of two of its settings (malloc.h), and the largest value that the first may have.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, MOST_MAPPED = -1, -3, 1 << 25


def reuse_freed_memory() -> None:
    """Keep what was freed for the next array, up to 128 MiB, instead of giving it back at once.

    For processes that are ours: fetching each chunk's arrays anew from the system costs a good part
    of what summing them does, and more than that with the MALLOC_TRIM_THRESHOLD_ of Dask's nanny.

    >>> reuse_freed_memory()
    """
    # another C library has no such setting
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, MOST_MAPPED)
        mallopt(M_TRIM_THRESHOLD, 4 * MOST_MAPPED)
