"""Which columns are P and Q: said by the user as KIND:COLUMN, or recognised by name and type."""

from __future__ import annotations

import fnmatch
import os.path
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from pandq.core.checks import MOST_CLASSES
from pandq.core.classes import distinct
from pandq.errors import InputError, near_names
from pandq.read.columns import is_list, is_numeric, is_text
from pandq.read.heads import HeadFile, head_file
from pandq.views import LINEAR_KIND, PARTIAL_KINDS, ROUNDED_KIND, TOP_KIND, VIEWS, VOTES_KIND, Probs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Schema = Mapping[str, pa.DataType]

# What columns of a second table are called once an id has joined them to those of the first.
OTHER = "other."
# And those of the truth that a layout joins to its rows.
TRUE = "truth."
# Who gave the labels of several people.
ANNOTATORS = "annotators"
# The field's usual names, in lower case; a name in one of these sets decides role and kind.
_P_NAMES = {
    "labels": "label labels target targets y y_true true_label true_labels gold class classes_id",
    "counts": "counts votes vote_counts label_counts annotator_counts",
    "probs": "soft_label soft_labels target_probs p p_true reference_probs teacher_probs",
    "logprobs": "teacher_logprobs teacher_log_probs reference_logprobs",
    "logits": "teacher_logits reference_logits target_logits",
}
_Q_NAMES = {
    "probs": "prob probs proba probas probabilities pred_probs pred_proba predictions prediction "
    "y_prob y_proba y_score score scores softmax q student_probs model_probs recalibrated",
    "logprobs": "logprob logprobs log_prob log_probs student_logprobs",
    "logits": "logit logits student_logits model_logits output outputs",
}
_Q_PREFIXES = {
    "probs": "prob probs proba p pred",
    "logprobs": "logprob log_prob",
    "logits": "logit",
}


@dataclass(frozen=True, slots=True)
class Spec:
    """KIND:COLUMN as given: the kind, the column or pattern, and the columns it stands for.

    `numeric` says that labels are numbers or truth values and no text, whatever a file holds them
    as; `fields` are the classes of a struct or a map; `head` makes logits of hidden states;
    `names` is what the numbers of labels stand for, where the table says it;
    `annotators` is the column that says who gave which of the votes, `skip` are answers that are
    none, `duplicates` says which answer counts where one of them gave two, and `first` that only
    so many of a row do; `decimals` is to how many digits probabilities were rounded.
    """

    kind: str
    column: str
    columns: tuple[str, ...]
    wide: bool = False
    numeric: bool = False
    head: HeadFile | None = None
    fields: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    annotators: str | None = None
    skip: tuple[str, ...] = ()
    duplicates: str = "refuse"
    first: int | None = None
    decimals: int | None = None

    def __str__(self) -> str:
        who = f",{ANNOTATORS}:{self.annotators}" if self.annotators else ""
        return f"{self.numbers}:{self.column}{who}"

    def of_one(self, k: int) -> Spec:
        """The column of class `k`, where each has its own; else the same."""
        if not self.wide:
            return self
        name = self.columns[k]
        return replace(self, column=name, columns=(name,), wide=False)

    @property
    def numbers(self) -> str:
        """What kind its numbers are, rounded or not."""
        return Probs.kind if self.kind == ROUNDED_KIND else self.kind

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Class names, where fields or wide columns carry them: what their names do not share."""
        if self.fields:
            return self.fields
        if not self.wide or self.kind == VOTES_KIND:
            return None
        if "*" not in self.column:
            names = self.columns
            for side in (OTHER, TRUE):
                if all(name.startswith(side) for name in names):
                    names = tuple(name.removeprefix(side) for name in names)
            shared = os.path.commonprefix(names)  # noqa: RUF071 - letters are meant
            return tuple(name[shared.rfind("_") + 1 :] for name in names)
        star = self.column.index("*")
        tail = len(self.column) - star - 1
        return tuple(name[star : len(name) - tail] for name in self.columns)


def resolved(text: str, schema: Schema, *, option: str) -> Spec:
    """The columns of a table that KIND:COLUMN means.

    Args:
        text: e.g. "probs:resnet18", or "probs:prob_*" for one column per class.
        schema: the table's columns.
        option: what the user wrote it after, for errors ("--p").

    Raises:
        InputError: an unknown kind or column.

    >>> resolved("probs:prob_*", {"prob_a": None, "prob_b": None}, option="--q").classes
    ('a', 'b')
    """
    kind, colon, column = text.partition(":")
    column = of_either(column, schema)
    kinds = (*VIEWS, VOTES_KIND, *PARTIAL_KINDS, LINEAR_KIND)
    if not colon or kind not in kinds:
        known = ", ".join(kinds)
        if not colon and text in schema:
            what, remedy = (
                f"{option} does not say what {text!r} holds",
                f"Write {option} KIND:{text}",
            )
            raise InputError(what, remedy=f"{remedy}, KIND one of {known}.")
        close = (
            near_names(kind, kinds)
            if colon
            else f"Write {option} KIND:COLUMN, KIND one of {known}."
        )
        raise InputError(what=f"{option} has an unknown kind", got=repr(text), remedy=close)
    if kind == TOP_KIND:
        return _top(column, schema, option)
    if kind == LINEAR_KIND:
        return _linear(column, schema, option)
    if kind == VOTES_KIND:
        return _votes(column, schema, option)
    if column in schema:
        numeric, fields = is_numeric(schema[column]), field_names(schema[column])
        return Spec(kind, column, (column,), numeric=numeric, fields=fields)
    several = column.count("*") == 1 or all(name.strip() in schema for name in column.split(","))
    if kind == "labels" and several:
        raise InputError(
            what=f"{option}: labels are one column, one class per row",
            got=repr(column),
            remedy=f"Labels of several people are votes: {option} votes:{column}. A 0 or 1 for each"
            f" class is {option} probs:{column} --multilabel.",
        )
    if found := _several(column, schema):
        return Spec(kind, column, found, wide=True)
    raise InputError(what=f"no column {column!r}", remedy=near_names(column, schema))


def of_either(column: str, schema: Schema) -> str:
    """A column, or several, of joined tables: those that only the second has need no prefix.

    >>> of_either("votes,annotators:who", {"id": None, "other.votes": None, "other.who": None})
    'other.votes,annotators:other.who'
    """
    if not any(name.startswith(OTHER) for name in schema):
        return column
    parts = re.split(rf"(,{ANNOTATORS}:|,)", column)
    names = (f"{OTHER}{name}" if _only_other(name, schema) else name for name in parts)
    return "".join(names)


def _only_other(name: str, schema: Schema) -> bool:
    return not fnmatch.filter(schema, name) and bool(fnmatch.filter(schema, OTHER + name))


def field_names(kind: pa.DataType) -> tuple[str, ...]:
    """The fields of a struct of one number a class; of anything else none."""
    if kind is None or not pa.types.is_struct(kind):
        return ()
    fields = [kind.field(k) for k in range(kind.num_fields)]
    return tuple(x.name for x in fields) if all(is_numeric(x.type) for x in fields) else ()


def _several(column: str, schema: Schema) -> tuple[str, ...]:
    """The columns of a pattern or a list; none where it is neither."""
    if column.count("*") == 1:
        return tuple(_natural(fnmatch.filter(schema, column)))
    listed = tuple(name.strip() for name in column.split(","))
    return listed if len(listed) > 1 and all(name in schema for name in listed) else ()


def _votes(text: str, schema: Schema, option: str) -> Spec:
    """votes:COLUMN, votes:a,b or votes:r_*, perhaps with annotators:COLUMN after a comma."""
    column, told, who = text.partition(f",{ANNOTATORS}:")
    column, who = column.strip(), who.strip()
    found = (column,) if column in schema else _several(column, schema)
    if not found:
        raise InputError(what=f"{option}: no column {column!r}", remedy=near_names(column, schema))
    if told and who not in schema:
        raise InputError(what=f"{option}: no column {who!r}", remedy=near_names(who, schema))
    wide = column not in schema
    if told and wide:
        what = f"{option}: columns of votes are annotators by their names"
        raise InputError(what, got=f"{ANNOTATORS}:{who} besides", remedy="Leave it out.")
    columns = (*found, who) if told else found
    return Spec(VOTES_KIND, column, columns, wide=wide, annotators=who if told else None)


def _top(column: str, schema: Schema, option: str) -> Spec:
    """The two columns of a TopK, or three."""
    listed = tuple(name.strip() for name in column.split(","))
    if len(listed) not in (2, 3):
        remedy = f"Write {option} topk:IDS,LOG_PROBS: two columns of lists, or a third of RANKS."
        raise InputError(what="a TopK has two columns", got=repr(column), remedy=remedy)
    for name in listed:
        if name not in schema:
            raise InputError(what=f"no column {name!r}", remedy=near_names(name, schema))
    return Spec(TOP_KIND, column, listed)


def _linear(column: str, schema: Schema, option: str) -> Spec:
    """A column of hidden states and the file of a head."""
    name, comma, place = (part.strip() for part in column.partition(","))
    if not comma or not place:
        remedy = (
            f"Write {option} linear:HIDDEN,WEIGHT: a column of hidden states, and a head's file."
        )
        raise InputError(what="linear has a column and a file", got=repr(column), remedy=remedy)
    if name not in schema:
        raise InputError(what=f"no column {name!r}", remedy=near_names(name, schema))
    return Spec(LINEAR_KIND, column, (name,), head=head_file(place))


def recognised(schema: Schema, role: str) -> Spec:
    """The one column that must be P (or Q) by its usual name and type.

    Raises:
        InputError: there is none, or several; they are listed.

    >>> str(recognised({"label": pa.int64(), "logits": pa.list_(pa.float32())}, "q"))
    'logits:logits'
    """
    found = candidates(schema, role)
    option = f"--{role}"
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(map(str, found))
        raise InputError(
            what=f"more than one column may be {role.upper()}",
            got=listed,
            remedy=f"Say which: {option} {found[0]}.",
        )
    what = "true (labels, counts, soft labels)" if role == "p" else "predicted (probs, logits)"
    names = ", ".join(schema)
    lists = [x for x, kind in schema.items() if is_list(kind) and is_numeric(kind.value_type)]
    example = f"probs:{lists[0]}" if lists and role == "q" else "KIND:COLUMN"
    raise InputError(
        what=f"no column is known as {role.upper()}, what is {what}",
        got=f"columns {names}" if len(names) < 300 else f"{len(schema)} columns",
        remedy=f"Say which: {option} {example} (`pandq inspect FILE` shows the columns).",
    )


def candidates(schema: Schema, role: str) -> list[Spec]:
    """Every column that may be P (or Q)."""
    found = _by_name(schema, role)
    if role == "q":
        return found + _wide(schema)
    found = found or _by_name(schema, role, OTHER)
    # a class name beside its number says the same thing twice
    numbered = [spec for spec in found if not is_text(schema[spec.column])]
    return numbered or found


def _by_name(schema: Schema, role: str, prefix: str = "") -> list[Spec]:
    """Columns of a usual name after a prefix."""
    return [
        Spec(kind, name, (name,), numeric=is_numeric(arrow), fields=field_names(arrow))
        for name, arrow in schema.items()
        if name.startswith(prefix)
        and (kind := _kind_by_name(name.removeprefix(prefix), arrow, role))
    ]


def _kind_by_name(name: str, arrow: pa.DataType, role: str) -> str | None:
    names = _P_NAMES if role == "p" else _Q_NAMES
    kind = next((kind for kind, known in names.items() if name.lower() in known.split()), None)
    if kind == "labels":
        if getattr(arrow, "list_size", 0) == 1:
            arrow = arrow.value_type
        scalar = pa.types.is_integer(arrow) or pa.types.is_boolean(arrow) or is_text(arrow)
        return kind if scalar else None
    by_class = pa.types.is_struct(arrow) or pa.types.is_map(arrow)
    inside = _inside(arrow)
    if kind == "counts":
        listed = is_list(arrow) or by_class
        return kind if listed and inside is not None and pa.types.is_integer(inside) else None
    numeric = arrow if inside is None else inside
    if role == "q" and is_list(numeric):  # members
        numeric = numeric.value_type
    listed = is_list(arrow) or by_class or role == "q"
    return kind if listed and pa.types.is_floating(numeric) else None


def _inside(arrow: pa.DataType) -> pa.DataType | None:
    """The type of the numbers in a list, a map, or a struct whose fields are of one type."""
    if is_list(arrow):
        return arrow.value_type
    if pa.types.is_map(arrow):
        return arrow.item_type
    kinds = [x.type for x in arrow] if pa.types.is_struct(arrow) else []
    return kinds[0] if kinds and all(kind == kinds[0] for kind in kinds) else None


def _wide(schema: Schema) -> list[Spec]:
    """Families of columns such as prob_cat, prob_dog."""
    specs = []
    for kind, prefixes in _Q_PREFIXES.items():
        for prefix in prefixes.split():
            pattern = f"{prefix}_*"
            floats = [
                name
                for name in fnmatch.filter(schema, pattern)
                if pa.types.is_floating(schema[name]) and name.lower() not in _Q_NAMES[kind].split()
            ]
            if len(floats) > 1:
                specs.append(Spec(kind, pattern, tuple(_natural(floats)), wide=True))
    return specs


def _natural(names: Iterable[str]) -> Sequence[str]:
    """prob_2 before prob_10; names that end in no number stay in the table's order."""
    ordered = list(names)
    ends = [re.search(r"(\d+)\D*$", name) for name in ordered]
    if not all(ends):
        return ordered
    return sorted(ordered, key=lambda name: int(re.findall(r"\d+", name)[-1]))


def class_names(
    given: Sequence[object] | int | None, carried: Sequence[tuple[str, ...]], where: str
) -> tuple[str, ...] | None:
    """The class names that were given, or else those that wide columns carry.

    Args:
        given: names, or how many classes there are.
        carried: the names in the order of the columns, for each view whose columns carry some.
        where: what to call the table.

    Raises:
        InputError: two are the same, or what was given contradicts the columns, or they each other.
    """
    found = next(iter(carried), None)
    for other in carried:
        if other != found and sorted(other) == sorted(found or ()):
            raise InputError(
                what="columns name the same classes in another order",
                where=where,
                got=f"{', '.join(found or ())} and {', '.join(other)}",
                remedy="Name the columns in one order: KIND:a,b,c.",
            )
    if isinstance(given, int):
        if not 1 <= given <= MOST_CLASSES:
            what = f"the number of classes is from 1 to {MOST_CLASSES:,}"
            raise InputError(what, got=str(given))
        if found is None or len(found) == given:
            return found or tuple(map(str, range(given)))
        got = f"{given} for {len(found)} columns"
        raise InputError(what="the number of classes contradicts the columns", where=where, got=got)
    if not given:
        return None if found is None else distinct(found).names
    names = distinct(given).names
    if found is None or names == found or not set(names) & set(found):
        return names
    # numbers may count the columns otherwise than their names do, but not in another order
    if distinct(names).numbers and distinct(found).numbers and set(names) != set(found):
        return names
    raise InputError(
        what="the class names contradict the columns of Q",
        where=where,
        got=f"{', '.join(names)} for columns {', '.join(found)}",
        remedy="Leave --classes out, or give the columns in the order you mean.",
    )
