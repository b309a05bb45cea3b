"""Proposals: whole commands for a table, each tried on its first rows before it is printed."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from pandq.core.classes import distinct
from pandq.errors import InputError
from pandq.read.ballots import ballots
from pandq.read.classed import is_classed
from pandq.read.each import may_hold
from pandq.read.features import may_be_x
from pandq.read.guesses import (
    MULTILABEL,
    NEARLY,
    answers,
    are_answers,
    is_numbers,
    is_submission,
    keys_of_all,
    label_names,
    may_be_ids,
    may_be_p,
    may_be_q,
    share_values,
)
from pandq.read.laid import lay, layouts_of
from pandq.read.layout import NAMING, layouts
from pandq.read.paths import KLD
from pandq.read.peeks import first_rows
from pandq.read.recognise import candidates
from pandq.read.relations import sql_type
from pandq.read.scan import scan
from pandq.views import TOP_KIND, VOTES_KIND, Counts, Labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.read.layout import Layout
    from pandq.read.parts import Batch
    from pandq.read.peeks import Peek

# What stands where the user must say something that no row of the file says.
UNSAID, ORDER, SIZE = "KIND:COLUMN", "ORDER", "K"
OTHER, TRUTH, PREDICTED = "OTHER_FILE", "TRUTH_FILE", "PREDICTIONS"
# An option that an error's remedy offers, and a proposal takes.
_OFFERED = re.compile(
    r"--(where|normalise|percent|classes) ('(?:[^']|'\"'\"')*'|[^\s()]*[^\s().,])"
)
# Remedies that are taken one after the other, and pairs of P and Q that are tried.
_REMEDIES, _PAIRS = 3, 6


@dataclass(frozen=True, slots=True)
class Step:
    """A command and its options; `files` stand for other files of the user's, `order` for classes.

    `order` are the classes that Q's columns are to be named by, where the file does not say which
    is which; `said` is what else there is to know.
    """

    command: str
    options: Mapping[str, Any]
    files: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    said: str = ""

    @property
    def whole(self) -> bool:
        """Whether it can be run as it stands."""
        unsaid = {UNSAID, SIZE} & {str(value) for value in self.options.values()}
        return not (self.files or self.order or unsaid)

    def of_files(self, files: Sequence[str]) -> str:
        """The command line."""
        # P and Q of one row: the predictions come first, whose order is kept
        both = [*map(shlex.quote, files), *self.files]
        words = ["pandq", self.command, *(reversed(both) if self.files == (PREDICTED,) else both)]
        for name, value in self._options.items():
            if value is True:
                words.append(f"--{name}")
                continue
            for one in value if isinstance(value, list) else [value]:
                text = ",".join(one) if isinstance(one, tuple) else str(one)
                words += [f"--{name}", shlex.quote(text)]
        return " ".join(words)

    def kept_in(self, file: str) -> Step:
        """The same with a file for what it makes."""
        return replace(self, options={**self.options, "out": file})

    @property
    def of_table(self) -> str:
        """The call for a table in memory."""
        asked = "".join(
            f", {name}={list(value) if isinstance(value, tuple) else value!r}"
            for name, value in self._options.items()
        )
        return f"pandq.{self.command}(pandq.scan(table{asked}))"

    @property
    def _options(self) -> dict[str, Any]:
        return {**self.options, **({"classes": ORDER} if self.order else {})}

    @property
    def note(self) -> str:
        """What is to be filled in."""
        if not self.order:
            return self.said
        return f"{ORDER} is {','.join(self.order)} in the order of Q's columns, which have no names"


@dataclass(frozen=True, slots=True)
class Shape:
    """A way to read the table: the options that say so, and what its columns may be then.

    `told` are P and Q as the layout says them, so that they need not be given.
    """

    options: Mapping[str, Any]
    p: Sequence[str]
    q: Sequence[str]
    schema: Mapping[str, Any]
    batch: Batch
    told: tuple[str | None, str | None] = (None, None)
    layout: Layout | None = None

    def asked(self, p: str | None = None, *qs: str) -> dict[str, Any]:
        """The options that say which columns P and Q are."""
        found = dict(self.options)
        if p is not None and p != self.told[0]:
            found["p"] = p
        if qs and qs != (self.told[1],):
            found["q"] = qs[0] if len(qs) == 1 else list(qs)
        return found

    @property
    def people(self) -> str | None:
        """What may be several people's labels."""
        kinds = (f"{VOTES_KIND}:", f"{Counts.kind}:")
        return next((spec for spec in self.p if spec.startswith(kinds)), None)

    @property
    def features(self) -> str | None:
        """What may be features."""
        return next((name for name, kind in self.schema.items() if may_be_x(name, kind)), None)


def shapes(peek: Peek) -> list[Shape]:
    """The ways to read a table: as it is where names say it all, by its layouts, by its rows."""
    schema, batch = peek.source.schema, peek.batch
    first = list(_each(peek))
    held = {_column(spec) for shape in first for spec in (*shape.p, *shape.q)}
    q = [spec for spec in may_be_q(schema, batch) if _column(spec) not in held]
    p = [spec for spec in may_be_p(schema, batch, q) if _column(spec) not in held]
    plain = Shape(peek.options, p, q, schema, batch)
    counts = held | {_column(spec) for spec in plain.p if spec.startswith(f"{Counts.kind}:")}
    found = [
        shape
        for layout, named in _layouts(peek)
        # how many chose each class is no list of labels
        if counts.isdisjoint(_columns_of(layout, named, peek))
        for shape in _shape_of(peek, layout, named)
    ]
    if peek.beside:
        return found
    found = [*first, *found]
    named = bool(candidates(schema, "p")) and bool(candidates(schema, "q"))
    answered = any(shape.layout is not None and shape.layout.carries for shape in found[:1])
    return [plain, *found] if named and not answered and not held else [*found, plain]


def _each(peek: Peek) -> Iterator[Shape]:
    """The table where each class is a question of its own, if it can be read so."""
    schema, batch = peek.source.schema, peek.batch
    shape = Shape({**peek.options, MULTILABEL: True}, *may_hold(schema, batch), schema, batch)
    pairs = list(product(shape.p, shape.q))[:_PAIRS]
    if any(_tried("audit", peek, shape, shape.asked(*pair)) for pair in pairs):
        yield shape


def _column(spec: str) -> str:
    """The column of KIND:COLUMN."""
    return spec.partition(":")[2]


def _columns_of(layout: Layout, named: Mapping[str, str], peek: Peek) -> set[str]:
    """The columns that a layout takes for what it needs."""
    types = {name: sql_type(kind) for name, kind in peek.source.schema.items()}
    try:
        found = layout.assigned(types, named)
    except InputError:
        return set()
    return {name for names in found.values() for name in names}


def _layouts(peek: Peek) -> Iterator[tuple[Layout, dict[str, str]]]:
    """The layouts that fit, and those of answers where only the label is called otherwise."""
    schema, known = peek.source.schema, layouts()
    fitting = layouts_of(peek.source)
    if is_submission(schema, peek.batch) or (peek.beside and is_numbers(schema)):
        fitting = (*fitting, known["kaggle"])
    fitting = tuple(layout for layout in fitting if _holds_answers(layout, {}, peek))
    yield from ((layout, {}) for layout in fitting if layout.truth or not peek.beside)
    if peek.beside:
        return
    for layout in known.values():
        if layout.carries is None or layout in fitting:
            continue
        for name in answers(schema, peek.batch):
            with suppress(InputError):
                if _holds_answers(layout, given := {"label": name}, peek):
                    yield layout, given


def _holds_answers(layout: Layout, given: Mapping[str, str], peek: Peek) -> bool:
    """Are the columns that a layout takes for answers such, and no texts or traits of people?"""
    several = any(need.several for need in layout.needs)
    if layout.carries is None and not several:
        return True
    found = layout.assigned(dict.fromkeys(peek.source.schema, ""), given)
    if several:
        return share_values([peek.batch.get(x) for x in found["annotator"]])
    item, who, label = (found[name] for name in NAMING)
    if not (item and who and label) or len({*item, *who, *label}) < len(NAMING):
        return False
    return are_answers(peek.source.schema, peek.batch, label[0], [*item, *who])


def _shape_of(peek: Peek, layout: Layout, named: Mapping[str, str]) -> Iterator[Shape]:
    try:
        laid = lay(peek.data, layout=layout.name, **named)
    except InputError:
        return
    schema, batch = laid.source.schema, first_rows(laid.source)
    q = [laid.q] if laid.q else may_be_q(schema, batch)
    p = [laid.p] if laid.p else [] if layout.p or layout.q else may_be_p(schema, batch, q)
    if laid.p and not laid.q:
        q = [spec for spec in q if spec.partition(":")[2] != laid.p.partition(":")[2]]
    told = {"layout": layout.name, **named}
    yield Shape(told, p, q, schema, batch, (laid.p, laid.q), layout)


def proposed(peek: Peek, found: Sequence[Shape]) -> list[Step]:
    """What to run next, the likeliest first; whole commands before those that need a word more."""
    return known(peek, found) or [_unsaid(found)]


def known(peek: Peek, found: Sequence[Shape]) -> list[Step]:
    """The same without an audit whose columns would have to be said."""
    if _are_copies(peek.data):
        return [Step("compare", {}, said="the first file is the reference")]
    steps: dict[str, Step] = {}
    for shape in found:
        for step in _steps(peek, shape):
            if PREDICTED in step.files and len(found) > 1:
                continue
            kept = steps.get(step.command)
            if kept is None or (step.whole and not kept.whole):
                steps[step.command] = step
    return sorted(steps.values(), key=lambda step: not step.whole)


def _are_copies(data: Any) -> bool:
    """Are these a reference's logits and those of its copies, which need no columns to be said?"""
    files = data if isinstance(data, list | tuple) else ()
    return len(files) > 1 and all(str(file).endswith(KLD) for file in files)


def _steps(peek: Peek, shape: Shape) -> Iterator[Step]:
    for p, q in list(product(shape.p, shape.q))[:_PAIRS]:
        if step := _tried("audit", peek, shape, shape.asked(p, q)):
            yield step
            one_each = {spec.partition(":")[2]: spec for spec in (*reversed(shape.q), q)}
            taken = {_column(p), _column(q)}
            others = [x for x in shape.q if x in one_each.values() and _column(x) not in taken]
            asked = {**step.options, **shape.asked(p, q, *others)}
            if others and not step.order and (both := _tried("compare", peek, shape, asked)):
                yield both
            break
    if (people := shape.people) is not None and (
        step := _tried("votes", peek, shape, shape.asked(people))
    ):
        yield step
    if shape.p and shape.features and MULTILABEL not in shape.options:
        model = {"model": "softmax", "out": "model"}
        yield Step(
            "fit", {**shape.options, "x": shape.features, **shape.asked(shape.p[0]), **model}
        )
    yield from _with_another(shape)


def _with_another(shape: Shape) -> Iterator[Step]:
    """What a second file is needed for: the truth, the predictions, or the other model."""
    told, names = shape.told[1], may_be_ids(shape.schema)
    if shape.p and not shape.q and shape.layout is None and names and "id" not in shape.options:
        asked = {"id": names[0], **shape.asked(shape.p[0], UNSAID)}
        yield Step("audit", asked, (PREDICTED,))
    if shape.layout is None or shape.p or told is None:
        return
    if shape.layout.truth:
        yield Step("audit", shape.options, (TRUTH,))
    elif told.startswith(TOP_KIND):
        both = dict.fromkeys("pq", told)
        yield Step("compare", {**shape.options, "id": "row", **both, "classes": SIZE}, (OTHER,))


def _tried(command: str, peek: Peek, shape: Shape, options: dict[str, Any]) -> Step | None:
    """The command with what its errors on the first rows offer; None where nothing helps."""
    order: dict[str, tuple[str, ...]] = {}
    for _ in range(_REMEDIES):
        try:
            _run(command, peek, options | order)
        except InputError as error:
            more = _offered(error, shape, options)
        else:
            return Step(command, options, order=order.get("classes", ()))
        if more is None or more.keys() & (options | order).keys():
            return None
        if "normalise" in more and not _nearly(command, peek, options | order):
            return None
        if "classes" in more and not _says_which(shape, options, more["classes"]):
            order = more
        else:
            options = options | more
    return None


def _run(command: str, peek: Peek, options: Mapping[str, Any]) -> None:
    """Read the first rows as the command would.

    Raises:
        InputError: they cannot be read so.
    """
    if command == "votes":
        ballots(peek.data, **options)
        return
    chunks = scan(peek.data, **options).chunks()
    read = len(next(chunks, ()))
    if not peek.whole:
        read += sum(map(len, chunks))
    if not read and peek.batch:
        raise InputError(what="no row is left", where=peek.source.name)


def _nearly(command: str, peek: Peek, options: Mapping[str, Any]) -> bool:
    """Are the sums one but for the digits they were written with?"""
    try:
        _run(command, peek, {**options, "tolerance": NEARLY})
    except InputError:
        return False
    return True


def _offered(error: InputError, shape: Shape, options: Mapping[str, Any]) -> dict[str, Any] | None:
    """The option that an error's remedy offers, with its value."""
    if f"(--{MULTILABEL})" in error.remedy:
        return {MULTILABEL: True}
    found = _OFFERED.search(error.remedy)
    if found is None:
        return None
    name, value = found[1], shlex.split(found[2])[0]
    if name != "classes":
        return {name: value}
    p, q = (str(options.get(role, own)) for role, own in zip("pq", shape.told, strict=True))
    if not p.startswith(f"{Labels.kind}:") or MULTILABEL in options:
        return {name: tuple(value.split(","))}
    # an error about one label lists examples; and a map names more than the classes, which are
    # what every row has, and P's labels among them
    labels = label_names(shape.batch.get(p.partition(":")[2]))
    names = keys_of_all(shape.batch.get(q.partition(":")[2])) or labels
    return {name: names} if len(names) > 1 and {*labels} <= {*names} else None


def _says_which(shape: Shape, options: Mapping[str, Any], classes: Sequence[str]) -> bool:
    """Do Q's keys, or the order of numbers, say which of its columns is which class?"""
    q = str(options.get("q", shape.told[1])).partition(":")[2]
    return is_classed(shape.schema[q]) if q in shape.schema else distinct(classes).numbers


def _unsaid(found: Sequence[Shape]) -> Step:
    """An audit whose columns the user must say."""
    best = next((shape for shape in found if shape.p or shape.q), found[-1])
    p, q = (next(iter(specs), UNSAID) for specs in (best.p, best.q))
    return Step("audit", best.asked(p, q))
