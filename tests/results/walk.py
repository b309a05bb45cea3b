"""Every estimate of a result, wherever in it it is."""

from dataclasses import fields, is_dataclass

from pandq import Estimate


def estimates(found, place=()):
    """Pairs of a place and the estimate there, by the fields of the dataclasses alone."""
    if isinstance(found, Estimate):
        yield place, found
    elif is_dataclass(found):
        for field in fields(found):
            if field.metadata.get("json", True):
                yield from estimates(getattr(found, field.name), (*place, field.name))
    elif isinstance(found, dict | list | tuple):
        items = found.items() if isinstance(found, dict) else enumerate(found)
        for name, inside in items:
            yield from estimates(inside, (*place, name))
