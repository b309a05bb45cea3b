"""Spoiled copies of documents, arrays and bytes, from a seed."""

import copy

import numpy as np

VALUES = (
    *(None, True, -1, 0, 3, 2**70, 10**400, 1.5, -0.5, 1e308, "x", "", "inf", "\ud800", [], {}),
    *([1], [[0.5]], {"array": "0"}, {"array": "999"}, {"float": "nan"}, {"scalar": "0"}),
    *({"Scan": {}}, {"Moments": {}}, {"mapping": {}}),
)


def places(document, at=()):
    """The way to each value of a document."""
    inside = []
    if isinstance(document, dict):
        inside = list(document)
    elif isinstance(document, list):
        inside = range(len(document))
    return [at, *(place for key in inside for place in places(document[key], (*at, key)))]


def spoiled_document(document, random):
    """A copy with one value that is another, that is gone, or that was not there."""
    found = copy.deepcopy(document)
    *way, last = random.choice([place for place in places(found) if place])
    inside = found
    for key in way:
        inside = inside[key]
    what, value = random.choice(("another", "another", "none", "more")), random.choice(VALUES)
    if what == "another":
        inside[last] = value
    elif what == "none":
        del inside[last]
    elif isinstance(inside, dict):
        inside["more"] = value
    else:
        inside.append(value)
    return found


def spoiled_bytes(stored, random):
    """A copy with one bit that is another, some bytes that are gone, or some that are others."""
    found, where = bytearray(stored), random.randrange(len(stored))
    what = random.randrange(4)
    if what == 0:
        found[where] ^= 1 << random.randrange(8)
    elif what == 1:
        del found[where:]
    elif what == 2:
        found[where : where + 8] = random.randbytes(8)
    else:
        found[where:where] = random.randbytes(random.randrange(1, 9))
    return bytes(found)


def spoiled_arrays(arrays, random):
    """A copy in which one array has another type, shape, place, value, or is gone."""
    found = dict(arrays)
    name, other = random.choice(sorted(found)), random.choice(sorted(found))
    x = found[name]
    largest = {"f": np.inf, "i": 2**62, "u": 2**64 - 1}.get(x.dtype.kind, 1)
    found[name], found[other] = random.choice(
        (
            (x.astype(random.choice((np.float32, np.int64, np.uint8))), found[other]),
            (x[:-1] if x.ndim and len(x) else np.zeros(3), found[other]),
            (np.concatenate([x, x]) if x.ndim else x[None], found[other]),
            (x.T.copy()[..., None], found[other]),
            (np.full_like(x, np.nan if x.dtype.kind == "f" else largest), found[other]),
            (np.full_like(x, largest), found[other]),
            (x * x.dtype.type(3), found[other]),
            (found[other], x),
        )
    )
    if random.random() < 0.1:
        del found[name]
    return found
