"""What columns may be by their first rows: hints for people, never used where a result hangs on it.

Only `pandq.inspect` asks; what it proposes is printed, and decided by who runs it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pandq.core.classes import distinct
from pandq.errors import InputError
from pandq.read import columns as cols
from pandq.read.classed import is_classed
from pandq.read.features import may_be_x
from pandq.read.layout import layouts
from pandq.read.recognise import ANNOTATORS, OTHER, candidates, resolved
from pandq.views import VOTES_KIND, Counts, Labels, Logits, LogProbs, Probs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.read.layout import Need
    from pandq.read.parts import Batch
    from pandq.read.recognise import Schema, Spec

# What a logits file of llama.cpp calls the labels of its rows.
_TOKENS = ("token",)
# Different answers that a column of labels has at most, and rows for each at least.
MOST_ANSWERS, LEAST_EACH = 50, 2
# Rows that are too few to tell answers from texts.
FEW_ROWS = 20
# How far from one sums may lie that are one but for the digits they were written with.
NEARLY = 1e-2
# What numbers of each class by itself are called, where a kind has rules of a row.
MULTILABEL = "multilabel"


def may_be(column: Any, kind: Any) -> str:
    """The kind whose rules a column's first rows obey; nothing where there is none."""
    if column is None or not len(column):
        return ""
    if getattr(kind, "list_size", 0) == 1 and pa.types.is_integer(kind.value_type):
        return "labels"
    if is_classed(kind):
        return Probs.kind if _shares(column) else ""
    if cols.is_list(kind) or hasattr(kind, "list_size"):
        return _of_lists(column)
    integer = str(kind).startswith(("int", "uint", "bool"))
    return "labels" if integer and _few(column) else ""


def _of_lists(column: Any) -> str:
    """The kind of one number a class."""
    try:
        x = cols.numbers("", column)
    except InputError:
        return ""
    x = x.reshape(-1, x.shape[2]) if x.ndim == 3 else x
    if x.ndim != 2 or x.shape[1] < 2:
        return ""
    if zero_to_one(x):
        return MULTILABEL
    if x.dtype.kind == "f" and (x >= 0).all() and (np.abs(x.sum(axis=1) - 1) <= NEARLY).all():
        return Probs.kind
    views = (Counts, Probs, LogProbs) if x.dtype.kind in "iu" else (LogProbs, Logits)
    for view in views:
        with suppress(InputError):
            view(x)
            return view.kind
    return ""


def zero_to_one(x: Any) -> bool:
    """Are (n, K) numbers those of classes of which any number may hold: from 0 to 1, of any sum?

    Fractions that sum to one in some row only by chance are far from it in most.
    """
    if not len(x) or x.dtype.kind not in "iufb" or not ((x >= 0) & (x <= 1)).all():
        return False
    off = np.abs(x.sum(axis=1) - 1) > NEARLY
    return bool(off.any() if np.isin(x, (0, 1)).all() else off.mean() > 0.5)


def may_be_q(schema: Schema, batch: Batch) -> list[str]:
    """What may be predicted: by the names, then by what the first rows could be."""
    known = [str(spec) for spec in candidates(schema, "q")]
    true = {name for spec in candidates(schema, "p") for name in spec.columns}
    # shares of votes say what their counts do
    true |= {name for need in layouts()["label-counter"].needs for name in _called(need, schema)}
    known += [
        f"{kind}:{name}"
        for name in schema
        if name not in true
        and not may_be_x(name, schema[name])
        and (kind := may_be(batch.get(name), schema[name])) in ("probs", "logprobs", "logits")
    ]
    taken = {column for spec in known for column in _columns(spec, schema)}
    # of several laws in one table the one that is called so is Q
    for pattern, names in sorted(families(schema), key=lambda each: not each[0].startswith("q")):
        if not taken & set(names) and _sums_to_one(names, batch):
            known.append(f"probs:{pattern}")
    if not known:
        # columns that are called as classes are have nothing in common
        floats = [name for name, kind in schema.items() if pa.types.is_floating(kind)]
        mine = [name for name in floats if not name.startswith(OTHER)]
        known = [f"probs:{','.join(mine)}"] if len(mine) > 1 and _sums_to_one(mine, batch) else []
    return list(dict.fromkeys(known))


def may_be_p(schema: Schema, batch: Batch, q: Sequence[str]) -> list[str]:
    """What may be true: by the names, then counts, then what names the classes of Q."""
    # of one label and the votes that it was made of the votes say more
    known = [str(spec) for spec in sorted(candidates(schema, "p"), key=_is_one_label)]
    known = [_of_people(spec, q, schema, batch) for spec in known]
    found = {name: may_be(batch.get(name), kind) for name, kind in schema.items()}
    known += [
        f"counts:{name}"
        for name, kind in found.items()
        if kind == "counts" and not name.endswith("ids") and f"{VOTES_KIND}:{name}" not in known
    ]
    known += [f"labels:{name}" for name in _TOKENS if q and found.get(name) is not None]
    listed = (name for name, kind in schema.items() if hasattr(kind, "list_size"))
    known += [f"labels:{name}" for name in listed if found[name] == "labels"]
    classes = resolved(q[0], schema, option="--q").classes if q else None
    if classes:
        names = distinct(classes)
        for pattern, members in families(schema):
            law = _sums_to_one(members, batch)
            if law and not (pattern.startswith("p") and q[0].startswith("probs:q")):
                continue  # another model's
            spec = resolved(f"{'probs' if law else 'counts'}:{pattern}", schema, option="--p")
            if {names.place(x) for x in spec.classes or ()} == set(range(len(classes))):
                known += [] if spec.columns[0] in _columns(q[0], schema) else [str(spec)]
        known += [
            f"labels:{name}"
            for name in answers(schema, batch)
            if name not in _columns(q[0], schema)
            and all(names.place(x) >= 0 for x in _values(batch[name]))
        ]
    for side in ("", OTHER):
        said, who = (f"{side}{name}" for name in (VOTES_KIND, ANNOTATORS))
        if all(name in schema and cols.is_list(schema[name]) for name in (said, who)):
            # what `pandq votes --out` writes
            known.insert(0, f"{VOTES_KIND}:{said},{ANNOTATORS}:{who}")
    if not known and not q:
        known = [f"labels:{x}" for x in answers(schema, batch) if cols.is_text(schema[x])]
    return list(dict.fromkeys(known))


def _is_one_label(spec: Spec) -> bool:
    return spec.kind == Labels.kind


def _of_people(spec: str, q: Sequence[str], schema: Schema, batch: Batch) -> str:
    """Counts by their name that are no number for each class of Q: the labels of as many people."""
    kind, _, name = spec.partition(":")
    column, other = batch.get(name), q[0].partition(":")[2] if q else ""
    if kind != Counts.kind or not all(isinstance(x, pa.Array) for x in (column, batch.get(other))):
        return spec
    try:
        x, q_size = cols.numbers(name, column), cols.numbers(other, batch[other]).shape[1:]
    except InputError:
        return f"{VOTES_KIND}:{name}" if cols.is_list(schema[name]) else spec
    # of as many people as classes, all of whom said 0 in some row
    sums = np.unique(x.sum(axis=1)) if x.ndim > 1 else np.zeros(1)
    counted = x.shape[1:] == q_size and not (sums[0] == 0 and len(sums) > 2)
    return spec if counted else f"{VOTES_KIND}:{name}"


def _called(need: Need, schema: Schema) -> list[str]:
    """The columns that are called as a layout's need, of any type."""
    return replace(need, kinds=()).found(dict.fromkeys(schema, ""))


def answers(schema: Schema, batch: Batch) -> list[str]:
    """Columns of one answer a row: names or whole numbers, of which few differ."""
    return [name for name, kind in schema.items() if _is_answer(batch.get(name), kind)]


def are_answers(schema: Schema, batch: Batch, name: str, within: Sequence[str]) -> bool:
    """Is this a column of answers, which differ within some item and within some person?

    A trait of the person, such as an age, is the same in all of their rows; so is an item's text.
    """
    if not batch:
        return True
    if not _is_answer(batch.get(name), schema[name]):
        # few rows may have one answer, or as many as there are rows
        return len(batch[name]) < FEW_ROWS and not pa.types.is_nested(schema[name])
    values = batch[name].to_pylist()
    for key in within:
        pairs = {*zip(batch[key].to_pylist(), values, strict=True)}
        keys = {one for one, _ in pairs}
        if len(pairs) == len(keys) < len(values):
            return False
    return True


def share_values(columns: Sequence[Any]) -> bool:
    """Does each of these columns hold something that another holds too?"""
    held = [{*map(str, _values(x))} if isinstance(x, pa.Array) else set() for x in columns]
    some = [values for values in held if values]
    others = [set().union(*(y for y in some if y is not x)) for x in some]
    return all(x & rest for x, rest in zip(some, others, strict=True))


def label_names(column: Any) -> tuple[str, ...]:
    """The different labels in a column of text or whole numbers, sorted."""
    if not isinstance(column, pa.Array) or not (
        cols.is_text(column.type) or pa.types.is_integer(column.type)
    ):
        return ()
    values = sorted(_values(column))
    return tuple(value if isinstance(value, str) else str(int(value)) for value in values)


def keys_of_all(column: Any) -> tuple[str, ...]:
    """The keys that all maps of a column have, sorted."""
    if not isinstance(column, pa.Array) or not is_classed(column.type) or not len(column):
        return ()
    rows = [{key for key, x in dict(row).items() if x is not None} for row in column.to_pylist()]
    return tuple(sorted(set.intersection(*rows)))


def may_be_ids(schema: Schema) -> list[str]:
    """Columns that are called as ids are."""
    known = next(need for need in layouts()["long"].needs if need.name == "item")
    return _called(known, schema)


def is_submission(schema: Schema, batch: Batch) -> bool:
    """Is this an id and one probability a class, without a truth?"""
    names = list(schema)
    numbers = [name for name in names if pa.types.is_floating(schema[name])]
    return 1 < len(numbers) == len(names) - 1 and _sums_to_one(numbers, batch)


def is_numbers(schema: Schema) -> bool:
    """Is this an id and one number a class?"""
    return sum(map(cols.is_numeric, schema.values())) >= len(schema) - 1 and bool(
        may_be_ids(schema)
    )


def _is_answer(column: Any, kind: pa.DataType) -> bool:
    if column is None or isinstance(column, np.ndarray) or pa.types.is_nested(kind):
        return False
    if not (cols.is_text(kind) or cols.is_numeric(kind)):
        return False
    values = _values(column)
    rows = len(column) - column.null_count
    if pa.types.is_floating(kind) and any(value != int(value) for value in values):
        return False
    return bool(1 < len(values) <= min(MOST_ANSWERS, max(2, rows // LEAST_EACH)))


def _values(column: Any) -> list[Any]:
    """The different values of a column, as labels are: text, or numbers; none of bytes."""
    values = column.unique().drop_null()
    kind = values.type
    if cols.is_text(kind):
        with suppress(UnicodeDecodeError, pa.ArrowInvalid):
            return [value for value in values.cast(pa.string()).to_pylist() if value.strip()]
        return []
    return [x for x in map(float, values.to_pylist()) if np.isfinite(x)]


def families(schema: Schema) -> Iterator[tuple[str, list[str]]]:
    """Columns of numbers whose names are alike up to their last part, as KIND:COLUMN has them."""
    groups: dict[str, list[str]] = {}
    for name, kind in schema.items():
        # what ends in a number needs no mark before it
        cut = max(name.rfind(mark) for mark in "_.:- ") + 1 or len(name.rstrip("0123456789"))
        if 0 < cut < len(name) and cols.is_numeric(kind):
            groups.setdefault(name[:cut], []).append(name)
    for start, names in groups.items():
        if len(names) > 1:
            alone = [name for name in schema if name.startswith(start)] == names
            plain = not set("*?[") & set(start)
            yield f"{start}*" if alone and plain else ",".join(names), names


def _sums_to_one(names: Sequence[str], batch: Batch) -> bool:
    """Are these shares of one, or of 100?"""
    try:
        x = np.stack([cols.numbers(name, batch[name]).astype(float) for name in names], axis=1)
    except (InputError, KeyError):
        return False
    total = x.sum(axis=1)
    near = [bool((np.abs(total / whole - 1) <= NEARLY).all()) for whole in (1, 100)]
    return bool(len(x)) and bool((x >= 0).all()) and any(near) and bool((x % 1).any())


def _shares(column: Any) -> bool:
    """Are these maps of class to a share of one?"""
    rows = [row for row in column.to_pylist() if row]
    found = [list(dict(row).values()) for row in rows]
    if not found or not all(isinstance(x, float | None) for row in found for x in row):
        return False
    sums = [sum(x for x in row if x is not None) for row in found]
    least = min(x for row in found for x in row if x is not None)
    return least >= 0 and all(abs(total - 1) <= NEARLY for total in sums)


def _columns(spec: str, schema: Mapping[str, Any]) -> tuple[str, ...]:
    return resolved(spec, schema, option="--q").columns


def _few(column: Any) -> bool:
    known = column if isinstance(column, np.ndarray) else column.drop_null()
    try:
        values = cols.labels("", known, numeric=True)
    except InputError:
        return False
    few = len(values) > 0 and values.min() >= 0
    return bool(few and len(np.unique(values)) <= max(2, len(values) // 2))
