"""Votes: how often each class was chosen, and what must be known of all rows before."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.compute as pc

from pandq.core.classes import PADDING, distinct, padding, value_of
from pandq.errors import InputError, RowError, near_names
from pandq.read import columns as cols
from pandq.read.answered import as_numpy, given
from pandq.read.parts import located
from pandq.views import Votes
from pandq.views.answers import by_value, told_of_first, told_of_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pandq.read.answered import Given
    from pandq.read.columns import Column
    from pandq.read.parts import Source
    from pandq.read.recognise import Spec

# Rows of votes that are looked at together.
BATCH = 1 << 14
# What has classes, and no answers of which some could be none.
MAPS = "P's maps"
SKIPPED = " An answer that is none: --skip LABEL."
# Unknown classes that are named.
NAMED = 5


@dataclass(frozen=True, slots=True)
class Polled:
    """What all rows of a column of votes hold: what must be known before one is counted."""

    rows: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    empty: int = 0
    repeated: int = 0
    without: int = 0
    most: int = 0
    later: int = 0
    short: int = 0
    first_empty: int | None = None
    first_repeated: tuple[str, str] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The labels that occur, sorted; by value where all are numbers.

        >>> Polled(labels=Counter({"10": 1, "2.0": 3})).names
        ('2', '10')
        """
        values = [value_of(name) for name in self.labels]
        numbers = [x for x in values if x is not None and not isinstance(x, bool)]
        if len(numbers) < len(values):
            return tuple(sorted(self.labels))
        return tuple(map(str, sorted(set(numbers))))


def polled(source: Source, spec: Spec, named_by: str | None = None) -> Polled:
    """Go through a column of votes once.

    Args:
        source: the table.
        spec: which column.
        named_by: the column that rows are named by in errors, beside their numbers.

    Raises:
        InputError: a row holds no labels, or an annotator answered one twice.
    """
    labels: Counter[str] = Counter()
    rows = skipped = empty = repeated = without = most = later = short = 0
    first_empty, first_repeated = None, None

    columns = dict.fromkeys([*spec.columns, *([named_by] if named_by else [])])

    def counted(start: int, batch: Mapping[str, Column]) -> tuple[int, Given, Any]:
        return start, given(spec, batch), None if named_by is None else batch[named_by]

    for _, (start, answers, names) in located(source, list(columns), BATCH, counted):
        kept = answers.without(spec.skip)
        skipped += len(answers.rows) - len(kept.rows)
        kept, too_many, example = kept.once_each(spec.duplicates)
        repeated += too_many
        if example is not None and first_repeated is None:
            row, who = example
            called = "" if names is None else f" ({named_by} {str(names[row])!r})"
            first_repeated = f"{start + row}{called}", who
        answered, kept = kept, kept.first(spec.first)
        later += len(answered.rows) - len(kept.rows)
        counts = pc.value_counts(kept.labels)
        for entry in counts.to_pylist():
            labels[entry["values"]] += entry["counts"]
        sizes = np.bincount(kept.rows, minlength=kept.n)
        most = max(most, int(sizes.max(initial=0)))
        short += int((sizes < (spec.first or 0)).sum())
        without += 0 if kept.who is None else kept.who.null_count
        none = sizes == 0
        if none.any() and first_empty is None:
            first_empty = start + int(none.argmax())
        empty += int(none.sum())
        rows += answers.n
    found = Polled(
        *(rows, labels, skipped, empty, repeated, without, most, later, short),
        *(first_empty, first_repeated),
    )
    _require_once(found, spec, source.name)
    return found


def _require_once(found: Polled, spec: Spec, name: str) -> None:
    if found.first_repeated is not None and spec.duplicates == "refuse":
        row, who = found.first_repeated
        raise InputError(
            what=f"annotator {who!r} answered row {row} twice ({found.repeated:,} answers too many"
            " in all)",
            where=name,
            remedy="Say which counts: --duplicates first, or last.",
        )


def require_people(found: Polled, spec: Spec, name: str) -> None:
    """Refuse answers of which it is not known who gave them, where others' givers are.

    Raises:
        InputError: there are such.
    """
    if found.without:
        raise InputError(
            what=f"column {spec.annotators or spec.column!r} does not say who gave each answer",
            where=name,
            got=f"{found.without:,} of {sum(found.labels.values()):,} answers without an annotator",
            remedy="Leave these answers out, or give no annotators.",
        )


def require_votes(found: Polled, spec: Spec, name: str) -> None:
    """Refuse rows without any vote.

    Raises:
        InputError: there are such.
    """
    if not found.labels and found.rows:
        what = f"column {spec.column!r} has no vote in any of {found.rows:,} rows"
        raise InputError(what, where=name)
    if found.empty:
        has = f"len({cols.as_sql(spec.column)}) > 0"
        if spec.wide:
            has = f"coalesce({', '.join(map(cols.as_sql, spec.columns))}) IS NOT NULL"
        raise InputError(
            what=f"{found.empty:,} of {found.rows:,} rows have no vote, the first is row"
            f" {found.first_empty}",
            where=name,
            remedy=f"To leave out those without an answer: {cols.keeping(has)}.",
        )


def notes_of(found: Polled, spec: Spec, names: Sequence[str]) -> list[str]:
    """What a report must say of them."""
    total = sum(found.labels.values())
    few = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    said = f"{total:,} votes ({spec}) of {found.rows:,} rows for {len(names)} classes: {few}"
    return [said, *left_out(found, spec)]


def left_out(found: Polled, spec: Spec) -> list[str]:
    """Which answers were left out, and which labels look alike and are not."""
    said = []
    if spec.skip:
        skipped = " or ".join(map(repr, spec.skip))
        said.append(f"left out: {found.skipped:,} answers that are {skipped}")
    if found.repeated:
        said.append(f"left out: {found.repeated:,} further answers of one annotator to one row")
    if spec.first is not None:
        said.append(told_of_first(spec.first, found.later, found.short))
    said += told_of_labels({name: found.labels[name] for name in found.names})
    return said


def class_names_for(
    found: Polled,
    names: Sequence[str] | None,
    n_classes: int | None,
    *,
    what: str = "votes",
    whose: str = "Q does",
) -> tuple[str, ...]:
    """The classes that votes are counted for, in the order of Q's.

    Args:
        found: what the votes hold.
        names: the classes of Q, where these are known.
        n_classes: how many columns Q has, where they have no names.
        what: what to call them in errors.
        whose: and who has the other classes.

    Raises:
        InputError: votes name a class that Q does not have, or do not say which column is which.
    """
    if names is not None:
        _require_known(found, names, what, whose)
        return tuple(names)
    if what == "votes" and found.labels[str(PADDING)]:
        got = f"{found.labels[str(PADDING)]:,} of {sum(found.labels.values()):,}"
        raise padding("the table holds votes", "--skip", got=got)  # noqa: EM101
    if n_classes is None:
        return found.names
    numbers = {str(k) for k in range(n_classes)}
    if set(found.labels) <= numbers:
        return tuple(map(str, range(n_classes)))
    listed = ",".join(found.names)
    few = listed if len(listed) < 200 else f"{listed[:200]}..."
    remedy = f"Name them in the order of Q's columns: --classes {few}"
    if len(found.names) != n_classes:
        remedy += f", {n_classes} in all"
    raise InputError(
        what=f"{what} name {len(found.names)} classes, and Q's {n_classes} columns have no names",
        got=few,
        remedy=f"{remedy}.",
    )


def _require_known(found: Polled, names: Sequence[str], what: str, whose: str) -> None:
    known = distinct(names)
    strange = {name: n for name, n in found.labels.items() if known.place(name) < 0}
    if strange:
        most = sorted(strange.items(), key=lambda entry: (-entry[1], entry[0]))
        each = ", ".join(f"{name!r} ({n:,})" for name, n in most[:NAMED])
        more = f" and {len(most) - NAMED} more" if len(most) > NAMED else ""
        n = f"{sum(strange.values()):,} votes" if what == "votes" else what
        raise InputError(
            what=f"{n} name {len(strange)} classes that {whose} not have",
            got=f"{each}{more}",
            remedy=near_names(most[0][0], names) + ("" if what == MAPS else SKIPPED),
        )


def votes_view(spec: Spec, batch: Mapping[str, Column], classes: Sequence[str]) -> Votes:
    """Who said what, over one batch of columns; annotators where all are known.

    Raises:
        InputError: a row has a vote for an unknown class.
    """
    answers, _, _ = given(spec, batch).without(spec.skip).once_each(spec.duplicates)
    answers = answers.first(spec.first)
    names = distinct(classes)
    coded = answers.labels.dictionary_encode()
    places = np.array([names.place(x) for x in coded.dictionary.to_pylist()], dtype=np.int64)
    codes = places[as_numpy(coded.indices)] if len(places) else np.zeros(0, dtype=np.int64)
    if (codes < 0).any():
        row = int(answers.rows[int((codes < 0).argmax())])
        raise RowError(view=f"column {spec.column!r}", row=row, problem="has an unknown class")
    offsets = np.zeros(answers.n + 1, dtype=np.int64)
    np.cumsum(np.bincount(answers.rows, minlength=answers.n), out=offsets[1:])
    by, people = _people(answers.who)
    return Votes.trusted(
        offsets, codes.astype(np.int32), by, classes=names.names, annotator_names=people
    )


def _people(who: Any) -> tuple[NDArray[np.int32] | None, tuple[str, ...] | None]:
    """Who gave each answer, as places among names; None where one is not known."""
    if who is None or who.null_count:
        return None, None
    coded = who.dictionary_encode()
    names = coded.dictionary.to_pylist()
    known = sorted(names, key=by_value)
    place = {name: k for k, name in enumerate(known)}
    places = np.array([place[name] for name in names], dtype=np.int32)
    by = places[as_numpy(coded.indices)] if len(places) else np.zeros(0, dtype=np.int32)
    return by, tuple(known)
