"""How a result was computed: command, versions and input, for whoever must trust it later."""

from __future__ import annotations

import hashlib
import platform
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pandq.core.kernels import build_name
from pandq.read.places import state
from pandq.read.stores import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.read.places import Place

EDGE = 1 << 16


def how(files: Sequence[str | Place]) -> dict[str, object]:
    """The command that runs now, what it runs with, and a fingerprint of each input file.

    Args:
        files: as they were opened.

    Returns:
        Names and what they stand for.
    """
    packages = ("pandq", "numpy", "scipy", "pyarrow", "duckdb")
    versions = [f"{name} {metadata.version(name)}" for name in packages]
    versions += [f"Python {platform.python_version()}", f"kernels {build_name()}"]
    command = shlex.join([Path(sys.argv[0]).name, *map(shown, sys.argv[1:])])
    found: dict[str, object] = {"command": command, "versions": ", ".join(versions)}
    for file in files[:20]:
        found[f"input {file}"] = fingerprint(Path(file) if isinstance(file, str) else file)
    if len(files) > 20:
        found["more input"] = f"{len(files) - 20} files"
    return found


def fingerprint(file: Place) -> str:
    """A file's size, and the SHA-256 of its size, its first and its last 64 KiB.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as empty:
    ...     fingerprint(Path(empty.name))[:20]
    '0 bytes, sha256 of i'
    """
    size = state(file).size
    told = hashlib.sha256(str(size).encode())
    with file.open("rb", buffering=0) as stream:
        told.update(stream.read(EDGE))
        stream.seek(max(0, size - EDGE))
        told.update(stream.read(EDGE))
    return f"{size:,} bytes, sha256 of its size and its ends {told.hexdigest()[:16]}"
