"""Columns of which each class may be a question of its own, by their first rows: hints for people.

Only `pandq.inspect` asks, as for `pandq.read.guesses`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.errors import InputError
from pandq.read import columns as cols
from pandq.read.guesses import MULTILABEL, families, may_be, zero_to_one

if TYPE_CHECKING:
    import pyarrow as pa

    from pandq.read.parts import Batch
    from pandq.read.recognise import Schema


def may_hold(schema: Schema, batch: Batch) -> tuple[list[str], list[str]]:
    """What may be P and Q where any number of classes may hold; nothing where there are not both.

    Q are numbers from 0 to 1 that sum to no one, or beside a P of 0 and 1 anything else for each
    class; P is 0 and 1, or beside such a Q lists of different names.
    """
    wide = {pattern: names for pattern, names in families(schema) if _each(names, batch)}
    listed = [x for x, kind in schema.items() if may_be(batch.get(x), kind) == MULTILABEL]
    whole = [x for x in listed if _is_whole([x], batch)]
    # columns of their own say what the classes are called
    p = [f"probs:{x}" for x, names in wide.items() if _is_whole(names, batch)]
    q = [f"probs:{x}" for x, names in wide.items() if not _is_whole(names, batch)]
    p += [f"probs:{x}" for x in whole]
    q += [f"probs:{x}" for x in listed if x not in whole]
    if q:
        p += [f"labels:{x}" for x, kind in schema.items() if _is_held(batch.get(x), kind)]
    elif p:
        q = [f"logits:{x}" for x, kind in schema.items() if may_be(batch.get(x), kind) == "logits"]
    return (p, q) if p and q else ([], [])


def _each(names: list[str], batch: Batch) -> bool:
    """Are these one number from 0 to 1 for each class, which sum to anything?"""
    try:
        table = np.stack([cols.numbers(name, batch[name]) for name in names], axis=1)
    except (InputError, KeyError):
        return False
    return zero_to_one(table)


def _is_whole(names: list[str], batch: Batch) -> bool:
    """Are all of these numbers 0 or 1?"""
    return all(np.isin(cols.numbers(name, batch[name]), (0, 1)).all() for name in names)


def _is_held(column: Any, kind: pa.DataType) -> bool:
    """Are these lists of different names, not one in every row?"""
    if column is None or not cols.is_list(kind) or not cols.is_text(kind.value_type):
        return False
    rows = [row for row in column.to_pylist() if row is not None]
    some = any(len(row) != 1 for row in rows)
    return some and all(len({*row}) == len(row) for row in rows)
