"""Tensors that torch saved, by its loader of weights alone: it runs nobody's code."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from pandq.core.checks import as_array
from pandq.errors import InputError, MissingLibraryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandq.read.places import Place


def saved(file: Place, stem: str) -> dict[str, Any]:
    """The tensors of a file that `torch.save` wrote, in memory.

    Args:
        file: where it lies.
        stem: what one tensor that is all of the file is called.

    Returns:
        Arrays by name: of a dict by its keys, of a tuple or a list 0, 1, ...; of what is in what,
        the names with a point between them.

    Raises:
        InputError: it holds anything that would have to be unpickled, or no tensor.
        MissingLibraryError: torch is not installed.

    Source: the loader's description, https://pytorch.org/docs/stable/notes/serialization.html.
    """
    try:
        import torch
    except ImportError:
        raise MissingLibraryError.of(library="torch", what=f"{file}: a file of torch's") from None
    try:
        with file.open("rb") as stream:
            whole = torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            what="holds more than tensors, or is damaged: the rest would be code that runs when it"
            " is read",
            remedy="Save tensors alone: torch.save({'logits': logits, 'labels': labels}, PATH).",
        ) from None
    found = dict(_tensors(whole, "", torch.Tensor))
    if not found:
        remedy = "Save tensors: torch.save({'logits': logits, 'labels': labels}, PATH)."
        raise InputError(what="holds no tensor", got=type(whole).__name__, remedy=remedy)
    return {name or stem: as_array(f"tensor {name}", x.detach()) for name, x in found.items()}


def _tensors(whole: Any, name: str, kind: type) -> Iterator[tuple[str, Any]]:
    """The tensors in dicts, tuples and lists; what is none of these tells of the others."""
    if isinstance(whole, kind):
        yield name, whole
    parts: Any = ()
    if isinstance(whole, dict):
        parts = whole.items()
    elif isinstance(whole, tuple | list):
        parts = enumerate(whole)
    for key, part in parts:
        yield from _tensors(part, f"{name}.{key}" if name else str(key), kind)
