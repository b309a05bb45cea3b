"""Scan: a Source, and what its columns mean; it yields chunks of views."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.core.hashing import hash_ids
from pandq.errors import InputError, RowError
from pandq.read import columns as cols
from pandq.read.arrays import ArrayColumns
from pandq.read.chunks import Chunk, chunk_rows, labels_beside, row_weights
from pandq.read.ignored import counting
from pandq.read.judge import judged_by, with_p
from pandq.read.laid import laid_open, read_whole
from pandq.read.multilabels import each_of, refuse_beside, settled_each
from pandq.read.opened import as_it_is
from pandq.read.parts import Source, located
from pandq.read.roles import (
    Roles,
    VoteDuplicates,
    of_votes,
    require_columns,
    require_texts,
    sums_as,
)
from pandq.read.sequences import require_tokens_told
from pandq.read.settled import Settled, as_rounded, needs_whole_types, row_width, settled
from pandq.read.texts import texts
from pandq.read.tokens import token_texts
from pandq.read.viewed import top_of, view_of
from pandq.read.voted import votes_view
from pandq.views import (
    ROUNDED_KIND,
    SAMPLED_KIND,
    TOP_KIND,
    VOTES_KIND,
    Labels,
    matched,
    require_sampled,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pandq.read.columns import Column
    from pandq.read.heads import HeadFile
    from pandq.read.ignored import Ignored
    from pandq.read.parts import Part
    from pandq.read.recognise import Spec
    from pandq.views import Votes


@dataclass(frozen=True, slots=True)
class Scan:
    """Rows of P and Q that can be gone through again and again, in constant memory.

    Made by `pandq.scan(...)` from files and tables, and by `pandq.scan_joined(...)` from two of
    them. `names` are what to call Q and its rivals, where their columns do not say it; `classes`
    were given, and in this order, where `named`. With a `judge` these are the rows that have a P,
    and `unlabelled` the others, in which the judge's labels stand for it.
    """

    source: Source
    p: Spec
    q: Spec
    classes: tuple[str, ...] | None = None
    by: tuple[str, ...] = ()
    cluster: str | None = None
    id: str | None = None
    weights: str | None = None
    normalise: tuple[str, ...] = ()
    percent: tuple[str, ...] = ()
    tolerance: float | None = None
    best_q: Spec | None = None
    rivals: tuple[Spec, ...] = ()
    names: tuple[str, ...] | None = None
    labels: Spec | None = None
    notes: tuple[str, ...] = ()
    width: int | None = None
    complete: bool = True
    per: str | None = None
    judge: Spec | None = None
    unlabelled: Scan | None = None
    n_classes: int | None = None
    control: Spec | None = None
    tokens: tuple[str, ...] | None = None
    named: bool = False
    multilabel: bool = False

    def __post_init__(self) -> None:
        if self.multilabel:
            refuse_beside(self)

    @property
    def beside(self) -> dict[str, str]:
        """The columns that say what belongs together, and what a row counts, by what they are."""
        return {x: told for x in ("cluster", "weights", "per") if (told := getattr(self, x))}

    @property
    def n_rows(self) -> int | None:
        """How many rows there are, if that is known without reading them."""
        return self.source.n_rows

    @property
    def units(self) -> str:
        """What the rows of one cluster make up."""
        own = self.cluster is not None and self.cluster == getattr(self.source, "windows", None)
        return str(getattr(self.source, "units", None)) if own else "clusters"

    def parts(self) -> Sequence[Part]:
        """What can be read apart: row groups, files, ranges of an array."""
        return self.source.parts()

    @property
    def apart(self) -> bool:
        """Whether parts are read sooner side by side."""
        return self.source.apart

    def count(self, part: Part) -> int:
        """How many rows a part has."""
        return self.source.count(part)

    def chunks(self) -> Iterator[Chunk]:
        """The rows in order; the boundaries depend on the data's layout alone.

        Raises:
            InputError: a row is not a valid probability vector; its number in the whole is named.
        """
        for _, chunk in self.pieces(self.parts()):
            yield chunk

    def pieces(self, parts: Sequence[Part]) -> Iterator[tuple[Part, Chunk]]:
        """The chunks of consecutive parts, each with its part.

        Raises:
            InputError: a row is not a valid probability vector; its number in the whole is named.
        """
        wanted = [*self.p.columns, *self.q.columns, *self.by]
        wanted += [name for name in (self.cluster, self.id, self.weights, self.per) if name]
        for spec in (self.best_q, *self.rivals, self.labels, self.judge, self.control):
            wanted += spec.columns if spec else ()
        rows = min((head.head.rows_at_once for head in self.heads), default=0)
        rows = rows or chunk_rows(self.width or row_width(self.source, self.q, self.classes))
        yield from located(self.source, list(dict.fromkeys(wanted)), rows, self._chunk, parts)

    @property
    def heads(self) -> list[HeadFile]:
        """The heads of those that are hidden states."""
        specs = (self.p, self.q, self.best_q, self.judge, self.control, *self.rivals)
        return [spec.head for spec in specs if spec is not None and spec.head is not None]

    def prepared(self) -> Scan:
        """The same rows for workers, who need not look how wide a row is."""
        return replace(self, width=row_width(self.source, self.q, self.classes), tokens=None)

    def _chunk(self, start: int, batch: Mapping[str, Column]) -> Chunk:
        answers = self._answers(batch)
        views = [self._view("p", self.p, batch) if answers is None else answers.counts]
        views += [self._view("q", spec, batch) for spec in (self.q, *self.rivals)]
        p, q, *rivals = self._together(views, batch)
        n = len(q)
        ids = np.arange(start, start + n) if self.id is None else batch[self.id]
        keys = cols.hashed(self.id or "row", ids)
        clusters = None
        if self.cluster is not None:
            codes, names = cols.encoded(self.cluster, batch[self.cluster])
            clusters = hash_ids(np.array(names, dtype=np.str_))[codes]
        weights = None if self.weights is None else row_weights(self.weights, batch[self.weights])
        groups = {name: cols.grouped(name, batch[name]) for name in self.by}
        best_q = None
        if self.best_q is not None:
            _, best_q = self._paired(p, self._view("best-q", self.best_q, batch))
        labels = None
        if self.labels is not None:
            labels = labels_beside(self._view("labels", self.labels, batch), q)
        belong = (ids, groups, clusters, weights, best_q, tuple(rivals), labels)
        sizes = None
        if self.per is not None:
            sizes = row_weights(self.per, batch[self.per], what="bytes")
        judge = None
        if self.judge is not None:
            judge, _ = self._paired(self._view("judge", self.judge, batch), q, self.judge)
        control = None
        if self.control is not None:
            _, control = self._paired(p, self._view("q", self.control, batch), self.control)
        votes = None if answers is None or answers.annotators is None else answers
        return Chunk(start, p, q, keys, *belong, sizes, judge, control, votes)

    def _answers(self, batch: Mapping[str, Column]) -> Votes | None:
        """P's votes, and who gave them where that is known; None where P is something else."""
        if self.p.kind != VOTES_KIND:
            return None
        return votes_view(self.p, batch, self.classes or ())

    def _together(self, views: list[Any], batch: Mapping[str, Column]) -> list[Any]:
        """P and every Q as views of the same rows and classes."""
        specs = (self.p, self.q, *self.rivals)
        kinds = [spec.kind for spec in specs]
        if SAMPLED_KIND in kinds:
            require_sampled(*views)
            return views
        if ROUNDED_KIND in kinds:
            p, q, *_ = views
            return [p.of_classes(q.n_classes) if isinstance(p, Labels) else p, *views[1:]]
        if TOP_KIND not in kinds:
            p, q = self._paired(views[0], views[1])
            return [p, q, *(self._paired(p, rival)[1] for rival in views[2:])]
        sized = next(
            (view.n_classes for view in views if view is not None and view.n_classes), None
        )
        size = sized or (None if self.classes is None else len(self.classes))
        if size is None:
            remedy = "Give --classes, or a Q that has a column with one number per class."
            raise InputError(what="a TopK does not say how many classes there are", remedy=remedy)
        return [
            top_of(spec, batch, size, complete=self.complete) if view is None else view
            for spec, view in zip(specs, views, strict=True)
        ]

    def _paired(self, p: Any, q: Any, spec: Spec | None = None) -> tuple[Any, Any]:
        try:
            return matched(p, q)
        except RowError as error:
            where = f"column {(spec or self.p).column!r}"
            raise error.at(where) from None

    def _view(self, role: str, spec: Spec, batch: Mapping[str, Column]) -> Any:
        """The view of a role, or None for a TopK, which must be told how many classes there are."""
        if spec.kind == TOP_KIND:
            return None
        percent = role in self.percent
        if self.multilabel:
            return each_of(role, spec, batch, self.classes or (), percent=percent)
        return view_of(
            role,
            spec,
            batch,
            classes=self.classes,
            n_classes=self.n_classes,
            normalise=role in self.normalise,
            percent=percent,
            tolerance=self.tolerance,
        )


def scan(
    data: Any,
    *,
    p: str | None = None,
    q: str | Sequence[str] | None = None,
    classes: Sequence[str] | int | None = None,
    by: str | Sequence[str] = (),
    cluster: str | None = None,
    id: str | None = None,  # noqa: A002
    weights: str | None = None,
    where: str | None = None,
    normalise: Sequence[str] = (),
    percent: Sequence[str] = (),
    tolerance: float | None = None,
    best_q: str | None = None,
    labels: str | None = None,
    layout: str | None = None,
    select: str | None = None,
    item: str | None = None,
    annotator: str | None = None,
    label: str | None = None,
    skip: str | Sequence[str] = (),
    duplicates: VoteDuplicates = "refuse",
    first: int | None = None,
    complete: bool = True,
    per: str | None = None,
    judge: str | None = None,
    ignore_label: Ignored = (),
    rounded: int | None = None,
    control: str | None = None,
    tokens: str | None = None,
    multilabel: bool = False,
) -> Scan:
    """Rows of P and Q from files, globs, folders, or any table in memory.

    Args:
        data: a path or several (parquet, feather, csv, tsv, jsonl, npy, npz; globs and folders),
            or an address (s3://, gs://, az://, hf://, https://; globs and folders too), or a folder
            that `save_to_disk` of Hugging Face's datasets wrote,
            or an object with `__arrow_c_stream__` (polars, pandas, pyarrow, duckdb), or a lazy
            frame of polars, which is collected in batches and anew in each pass. A pyarrow
            RecordBatchReader can be read only once: it is written to a temporary file. Two files
            of different columns are joined by `id`: what only the second has keeps its name, what
            both have is other.NAME there.
        p: "KIND:COLUMN" of what is true, KIND one of labels, votes, counts, probs, logprobs,
            logits; recognised by the usual names when left out. "votes:COLUMN" are labels of
            several people: a list, a map by annotator, or several columns ("votes:a,b",
            "votes:rater_*"); "votes:COLUMN,annotators:OTHER" says who gave which.
            "linear:HIDDEN,WEIGHT" is hidden states under the head in a npy or safetensors file.
        q: "KIND:COLUMN" of what is predicted; "probs:prob_*" takes one column per class. Several,
            for pandq.compare: the first is the one that the others are compared with.
        classes: the class names in the order of Q's columns, for labels that are names; or how
            many classes there are: columns beyond these that carry no probability in any row, as
            those that pad a vocabulary, are cut.
        by: a column, or several, whose values make the groups of a report.
        cluster: a column that says which rows belong together; intervals then allow for it. The
            windows of llama.cpp's logits files, or the sequences of arrays of tokens, where it is
            left out.
        id: a column that names the rows; their numbers, from 0, when left out.
        weights: a column of row weights.
        where: a SQL condition on the rows.
        normalise: of "p" and "q", those whose rows are to be divided by their sums.
        percent: of "p" and "q", those whose numbers are percentages, to be divided by 100.
        tolerance: how far from one a row's sum may lie.
        best_q: "KIND:COLUMN" of a better model, for the upper bound on the floor.
        labels: a column of labels beside a P that is a reference model's, for pandq.compare.
        layout: the form that the files have (`pandq layouts` lists them), or the path of a SQL
            file of one's own; it makes the columns that `p`, `q`, `where` and the rest name.
        select: the columns of a SELECT from the files instead.
        item: the column that a layout is to take for what was answered.
        annotator: the column that it is to take for who answered.
        label: the column that it is to take for the answer.
        skip: answers among votes that are none, such as "can't tell".
        duplicates: which answer counts where an annotator gave an item two.
        first: count only so many votes of each row, the first ones in their order: a fair sample
            where the number of votes depends on what they say.
        complete: whether the classes of topk:IDS,LOG_PROBS are each row's most probable ones;
            False lifts the bound on what any other may have. topk:IDS,LOG_PROBS,RANKS says it row
            by row.
        per: a column of how many bytes (or characters) of text each row is, for bits per byte.
        judge: "KIND:COLUMN" of labels by a model on all rows, where P is missing (null) in those
            without a human's.
        ignore_label: labels of rows that do not count, such as -100: these are left out and
            counted, of labels as P or beside it.
        rounded: to how many digits behind the point the numbers of every "probs:COLUMN" were
            rounded for display, for bounds that hold for whatever was rounded to them.
        control: "KIND:COLUMN" of a reference model run a second time, for pandq.compare.
        tokens: a JSON file of the texts that a report is to call classes by: a list, a map of ids
            and texts, or a tokenizer.json.
        multilabel: whether each class is a question of its own, of which any number may hold: P is
            "labels:COLUMN" (lists of those that do) or "probs:COLUMN" (0 and 1, or probabilities),
            Q "probs:COLUMN" or "logits:COLUMN" of the sigmoid. For pandq.audit.

    Returns:
        A Scan; of columns of numbers nothing but their names and types has been read yet.

    Raises:
        InputError: a file or column is missing, or P or Q is ambiguous.

    >>> import pyarrow as pa
    >>> table = pa.table({"label": [0, 1], "probs": [[0.9, 0.1], [0.2, 0.8]]})
    >>> rows = scan(table)
    >>> str(rows.p), str(rows.q), rows.n_rows
    ('labels:label', 'probs:probs', 2)
    """
    notes, by, (own_q, *rivals) = list[str](), texts("by", by), texts("q", q) or (None,)
    beside_rows: dict[str, Any] = {"cluster": cluster, "id": id, "weights": weights, "per": per}
    ask = {"layout": layout, "select": select, "item": item, "annotator": annotator, "label": label}
    beside = {"best_q": best_q, "labels": labels, "control": control}
    require_texts(p=p, where=where, tokens=tokens, **beside, **beside_rows, **ask)
    laid = laid_open(data, where=where, **ask) or as_it_is(data, id, where, [*by, cluster])
    p, own_q, beside_rows["id"] = laid.chosen(p, own_q, id, notes)
    beside_rows["cluster"] = cluster or getattr(laid.source, "windows", None)
    with laid.errors():
        specs = Roles.of(laid.source, (p, own_q, *rivals), notes, **beside)
        require_columns(laid.source.schema, by=by, **{k: [x] for k, x in beside_rows.items() if x})
    notes += [*specs.told_of_top(complete), *specs.told_of_percentages(percent)]
    every = _typed(laid.source, specs, data, where, [*by, *map(beside_rows.get, ("cluster", "id"))])
    every = counting(every, (specs.p, specs.labels), ignore_label, notes)
    own, settle = with_p(every, specs.p, judge), settled_each if multilabel else settled
    votes = of_votes(specs.p, skip, duplicates, first)
    found = settle(own, votes, specs.qs, classes, beside_rows["id"])
    found = as_rounded(found, rounded, texts("normalise", normalise))
    rows = Scan(
        **_views(own, found, len(rivals), control=control, best_q=best_q),
        **{**beside_rows, "by": tuple(by), "labels": specs.labels, "multilabel": multilabel},
        **{**sums_as(normalise, percent, tolerance), "complete": complete},
        notes=(*notes, *found.notes, *getattr(every, "notes", ())),
        n_classes=classes if isinstance(classes, int) else None,
        tokens=token_texts(tokens) if tokens else None,
    )
    return rows if judge is None else judged_by(rows, judge, every)


def _views(source: Source, found: Settled, n_rivals: int, **after: str | None) -> dict[str, Any]:
    """P, every Q and their classes, and what comes after the rivals where it was given."""
    q, rivals, others = found.qs[0], found.qs[1 : 1 + n_rivals], iter(found.qs[1 + n_rivals :])
    made: dict[str, Any] = {"p": found.p, "q": q, "rivals": rivals, "classes": found.classes}
    made |= {"source": source, "named": found.named}
    return made | {name: next(others) for name, given in after.items() if given}


def _typed(
    source: Source, specs: Roles, data: Any, where: str | None, names: Sequence[str | None]
) -> Source:
    """The same rows: names as they are written, types of all rows where fields are classes."""
    if isinstance(arrays := getattr(source, "source", source), ArrayColumns):
        p = () if specs.p.kind == "labels" else specs.p.columns
        require_tokens_told(arrays.arrays, p, specs.labelled)
    if needs_whole_types(source, (specs.p, *specs.qs)):
        source = read_whole(data, where).source
    return source.as_text([*filter(None, names), *specs.labelled])
