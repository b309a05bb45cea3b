"""Options that are one text, or several."""

from __future__ import annotations

from collections.abc import Iterable

from pandq.errors import InputError


def texts(name: str, given: object) -> tuple[str, ...]:
    """One text, or several, or none.

    Raises:
        InputError: it is something else.
    """
    found = (given,) if isinstance(given, str) else () if given is None else given
    if not isinstance(found, Iterable) or not all(isinstance(x, str) for x in found):
        raise InputError(what=f"{name} is text, or a list of texts", got=repr(given))
    return tuple(found)
