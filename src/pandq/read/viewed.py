"""What a KIND:COLUMN means: the view of a batch of columns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow.compute as pc

from pandq.core.numerics import widen
from pandq.errors import InputError
from pandq.read import columns as cols
from pandq.read.classed import by_class
from pandq.read.named import by_name, counts_by_name
from pandq.read.padded import cut
from pandq.read.voted import votes_view
from pandq.views import (
    MATRICES,
    NO_VOTES,
    SAMPLED_KIND,
    VOTES_KIND,
    Counts,
    Ensemble,
    Labels,
    Linear,
    Logits,
    Probs,
    Rounded,
    Sampled,
    TopK,
)
from pandq.views.coded import CodedBlock, CodedLogits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.read.columns import Column
    from pandq.read.recognise import Spec
    from pandq.views import View


def view_of(
    role: str,
    spec: Spec,
    batch: Mapping[str, Column],
    *,
    classes: Sequence[str] | None = None,
    n_classes: int | None = None,
    normalise: bool = False,
    percent: bool = False,
    tolerance: float | None = None,
) -> View:
    """The view that a KIND:COLUMN means, over one batch of columns; `n_classes` cuts padding.

    Raises:
        InputError: a row cannot be used; it is numbered within the batch.
    """
    try:
        if spec.kind == "labels":
            labels = cols.labels(spec.column, batch[spec.column], numeric=spec.numeric)
            if spec.names and classes:
                return by_name(spec, labels, classes)
            return Labels(labels, classes=classes)
        if spec.kind == VOTES_KIND:
            return votes_view(spec, batch, classes or ()).counts
        array = array_of(spec, batch)
        if spec.head is not None:
            return Linear.of_head(array, spec.head.head)
        if spec.names and classes and array.shape[1:] == (len(spec.names),):
            array = counts_by_name(spec, array, classes)
        if n_classes is not None:
            array = cut(spec.column, spec.numbers, array, n_classes)
        if spec.decimals is not None:
            return cast("View", _rounded(spec.decimals, array, percent=percent))
        if percent:
            array = array / 100
        if normalise:
            array = Probs.normalised(array).array
        return _of_array(spec, array, tolerance)
    except InputError as error:
        where = f"column {spec.column!r}"
        if where not in str(error):
            error.at(where)
        error.remedy = _on_the_command_line(error.remedy, role, spec, shift=2 * percent)
        raise


def _rounded(decimals: int, array: Any, *, percent: bool) -> Any:
    """Rounded probabilities, of percentages two digits more than is shown; one of class 1 alone."""
    array = widen(array)
    array, decimals = (array / 100, decimals + 2) if percent else (array, decimals)
    return Rounded(array if array.ndim > 1 else np.stack([1 - array, array], axis=1), decimals)


def array_of(spec: Spec, batch: Mapping[str, Column]) -> Any:
    """The numbers of a column, or of several."""
    if spec.fields:
        return by_class(spec, batch[spec.column])
    parts = [cols.numbers(name, batch[name]) for name in spec.columns]
    return cols.stacked(parts) if spec.wide else parts[0]


def _of_array(spec: Spec, array: Any, tolerance: float | None) -> View:
    if array.ndim == 3:
        return Ensemble.of_array(spec.kind, array, tolerance=tolerance)
    if array.ndim == 1:
        return _of_one_number(spec, array)
    if isinstance(array, CodedBlock) and spec.kind == CodedLogits.kind:
        return CodedLogits.of(array)
    options = {} if spec.kind == Counts.kind else {"tolerance": tolerance}
    return MATRICES[spec.kind](array, **options)


def _of_one_number(spec: Spec, array: NDArray[Any]) -> View:
    """The view of a column of one number per row."""
    if spec.kind == SAMPLED_KIND:
        return cast("View", Sampled(array))
    if spec.kind in ("probs", "logits"):
        return Probs.binary(array) if spec.kind == "probs" else Logits.binary(array)
    raise InputError(
        what=f"column {spec.column!r} holds one number per row, not one per class",
        remedy="Give a column of lists, or wide columns: KIND:name_*.",
    )


def _on_the_command_line(remedy: str, role: str, spec: Spec, *, shift: int) -> str:
    """A view's remedy in the options of the command line; of percentages digits are `shift` on."""
    if "percentages" in remedy:
        return f"{remedy} (on the command line: --percent {role}, --normalise {role})"
    if (digits := re.search(r"decimals=(\d+)", remedy)) is not None:
        bounds = f"pandq compare --rounded {max(0, int(digits[1]) - shift)} for bounds"
        return f"{remedy} (on the command line: --normalise {role}, or {bounds})"
    if "normalised" in remedy:
        kinds = {"Counts(": "counts", "Logits(": "logits"}
        kind = next((kind for call, kind in kinds.items() if call in remedy), None)
        other = "" if kind is None else f", or --{role} {kind}:{spec.column}"
        return f"{remedy} (on the command line: --normalise {role}{other})"
    if NO_VOTES in remedy:
        names = " + ".join(map(cols.as_sql, spec.columns))
        votes = names if spec.wide else f"list_sum({names}::DOUBLE[])"
        return f"To leave such rows out: {cols.keeping(f'{votes} > 0')}."
    return remedy


def top_of(
    spec: Spec, batch: Mapping[str, Column], n_classes: int, *, complete: bool = True
) -> TopK:
    """The TopK that topk:IDS,LOG_PROBS or topk:IDS,LOG_PROBS,RANKS means, over one batch."""
    ids, log_probs, *ranks = (_ragged(name, batch[name]) for name in spec.columns)
    try:
        return TopK(
            _whole(ids),
            log_probs,
            n_classes,
            ranks=ranks[0] if ranks else None,
            complete=complete,
        )
    except InputError as error:
        where = f"column {spec.column!r}"
        raise error.at(where) from None


def _ragged(name: str, column: Column) -> Any:
    """A column of lists as (n, k), or as a list of arrays where their lengths differ."""
    if not isinstance(column, np.ndarray):
        given = cols.plain(name, column)
        if cols.is_list(given.type) and not given.null_count:
            lengths = pc.list_value_length(given).to_numpy(zero_copy_only=False)
            if len(np.unique(lengths)) > 1:
                return np.split(cols.numbers(name, given.flatten()), np.cumsum(lengths)[:-1])
    return cols.numbers(name, column)


def _whole(ids: Any) -> Any:
    """Class numbers as integers: json and csv hold numbers, whole or not."""
    if isinstance(ids, list):
        return [_whole(row) for row in ids]
    if ids.dtype.kind == "f" and (ids == np.floor(ids)).all():
        return ids.astype(np.intp)
    return ids
