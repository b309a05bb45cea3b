"""safetensors files with a seal: a digest of all that is in them, which tells that they are whole.

It tells damage, not malice: whoever can write the file can seal another. What is read is therefore
checked by whoever takes it, and can run no code.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pandq.documents import Value, parsed
from pandq.errors import InputError, MissingLibraryError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DOCUMENT, SEAL, METADATA = "pandq", "sha256", "__metadata__"


def write_sealed(path: Path, arrays: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    """Arrays of NumPy, or tensors of torch, and a JSON document in one file."""
    with path.open("wb") as stream:
        stream.writelines(sealed(arrays, document))


def sealed(arrays: Mapping[str, Any], document: Mapping[str, Any]) -> tuple[bytes, memoryview]:
    """The same as bytes: a header, and the numbers behind it."""
    metadata = {DOCUMENT: json.dumps(document, allow_nan=False)}
    stored = memoryview(_framework(arrays).save(dict(arrays), metadata))
    size = int.from_bytes(stored[:8], "little")
    header, data = json.loads(bytes(stored[8 : 8 + size])), stored[8 + size :]
    header[METADATA][SEAL] = _digest(header, data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # numbers begin where they can be mapped
    return len(text).to_bytes(8, "little") + text, data


def read_sealed(
    path: Path,
    kind: str,
    *,
    framework: Literal["numpy", "torch"] = "numpy",
    seal: bool = True,
    remedy: str = "",
) -> tuple[dict[str, Any], Value]:
    """The arrays and the document of a file.

    Args:
        path: the file.
        kind: what it should be, for errors: "pass of a checkpoint".
        framework: whose arrays are wanted.
        seal: whether a file without a seal is refused; a wrong one always is.
        remedy: what to do if it is no such file.

    Returns:
        Arrays by name, and what lies beside them; an empty object where nothing does.

    Raises:
        InputError: it is not there, is damaged, or is no such file.
        MissingLibraryError: torch is wanted, and not installed.
    """
    origin = Value(None, str(path), kind, remedy)
    return unsealed(_bytes(path, origin), origin, framework=framework, seal=seal)


def unsealed(
    stored: bytes,
    origin: Value,
    *,
    framework: Literal["numpy", "torch"] = "numpy",
    seal: bool = True,
) -> tuple[dict[str, Any], Value]:
    """The arrays and the document of bytes; `origin` says what they should be."""
    size = int.from_bytes(stored[:8], "little")
    if len(stored) < 8 or size > len(stored) - 8:
        origin.refuse("", got="no safetensors file, or one that was cut off")
    header, data = parsed(stored[8 : 8 + size], origin), memoryview(stored)[8 + size :]
    metadata = header.get(METADATA)
    found = None if metadata is None else metadata.get(SEAL)
    if found is None and seal:
        origin.refuse("", got="a safetensors file that pandq did not write")
    if found is not None and found.text() != _digest(header.it, data):
        origin.refuse("", got="a digest that says it was damaged or changed")
    text = None if metadata is None else metadata.get(DOCUMENT)
    document = replace(origin, it={}) if text is None else parsed(text.text(), origin)
    return _arrays(stored, framework, origin), document


def _bytes(path: Path, origin: Value) -> bytes:
    """All of a file, and of nothing else that may stand in its place."""
    try:
        if path.exists() and not path.is_file():
            origin.refuse("", got="something that is no file")
        return path.read_bytes()
    except OSError as error:
        raise InputError(what="cannot be read", where=str(path), got=str(error.strerror)) from None


def _arrays(stored: bytes, framework: str, origin: Value) -> dict[str, Any]:
    from safetensors import SafetensorError

    try:
        if framework == "torch":
            from safetensors.torch import load as load_tensors

            return dict(load_tensors(stored))
        from safetensors.numpy import load

        return dict(load(stored))
    except ModuleNotFoundError:
        raise MissingLibraryError.of(library="torch", what="a network") from None
    except (SafetensorError, ValueError, TypeError, LookupError, OverflowError) as error:
        origin.refuse("", got=f"no safetensors file: {str(error).split(chr(10), 1)[0]}")


def _framework(arrays: Mapping[str, Any]) -> Any:
    """The module of safetensors for these arrays."""
    import safetensors.numpy

    if not any(type(x).__module__.partition(".")[0] == "torch" for x in arrays.values()):
        return safetensors.numpy
    import safetensors.torch

    return safetensors.torch


def _digest(header: Mapping[str, Any], data: memoryview) -> str:
    """The digest of the header, but for the seal itself, and of all numbers."""
    metadata = {name: text for name, text in header[METADATA].items() if name != SEAL}
    told = hashlib.sha256(json.dumps({**header, METADATA: metadata}, sort_keys=True).encode())
    told.update(data)
    return told.hexdigest()
