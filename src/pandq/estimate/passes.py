"""Going through rows: what every pass over chunks shares, whatever it sums."""

from __future__ import annotations

from itertools import pairwise
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from pandq.core.checks import check_level, is_number
from pandq.core.classes import distinct
from pandq.engines.checkpoints import Checkpoint, identity
from pandq.engines.local import Local
from pandq.engines.run import Run
from pandq.errors import InputError
from pandq.read.chunks import MemoryScan, views_scan
from pandq.read.ids import refuse_duplicates
from pandq.read.scan import Scan
from pandq.sums.summary import Summary, summary
from pandq.units import Unit, per_nat
from pandq.views import PARTIAL_KINDS, SAMPLED_KIND, by_itself, partly_known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pandq.engines.contract import Engine, Progress, Rows
    from pandq.read.chunks import Chunk

# how intervals of averages are made, of how many replicates where they are drawn
Intervals = Literal["t", "bootstrap"]
REPLICATES = 1000
# of the loss or divergence of single rows
QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)
# what every use of a seed has room for
SEEDS = 2**32
# rows that are shown; more are what --items is for
MOST_WORST = 10_000
# Of a head padded to a round number most rows have a token.
LEAST_TEXTS = 0.5


@summary
class Shape(Summary):
    """What chunks are, as a Summary that refuses those of another number of classes."""

    n_classes: int = 0
    p_kind: str = ""
    q_kind: str = ""
    start: int = 0

    @classmethod
    def of(cls, chunk: Chunk) -> Self:
        """The shape of one chunk."""
        return cls(chunk.q.n_classes or 0, chunk.p.kind, chunk.q.kind, chunk.start)

    def merge(self, other: Self) -> Self:
        """The shape of both.

        Raises:
            InputError: they have different numbers of classes.
        """
        if not self.n_classes or not other.n_classes:
            return self if self.n_classes else other
        if self.n_classes != other.n_classes:
            raise InputError(
                what=f"rows from {other.start} on have another number of classes",
                got=f"{other.n_classes}, not {self.n_classes}",
            )
        return self

    def class_names(self, rows: Scan | MemoryScan) -> tuple[str, ...]:
        """The classes' own names, or the texts of tokens, or their numbers."""
        texts = (rows.tokens if isinstance(rows, Scan) else None) or ()
        if texts and len(texts) < LEAST_TEXTS * self.n_classes:
            raise InputError(
                what="the texts of tokens (--tokens) are not those of Q's classes",
                got=f"{len(texts):,} texts, {self.n_classes:,} classes",
            )
        # a head may have more rows than its tokenizer has tokens
        rest = range(len(texts), self.n_classes)
        names = rows.classes or (*texts, *(f"#{k}" if texts else str(k) for k in rest))
        if len(names) != self.n_classes:
            raise InputError(
                what="the class names do not fit Q",
                got=f"{len(names):,} names, {self.n_classes:,} classes",
            )
        return names


def rows_of(
    p: object, *qs: object, in_full: bool = True, by_class: bool = False, **options: Any
) -> Scan | MemoryScan:
    """P and Q as rows to go through, whether they were given as views or as a Scan.

    Args:
        p: a view, or a Scan, which brings Q and all else.
        qs: views of one Q or more.
        in_full: whether distributions must be known in full, and not only in part as by a TopK.
        by_class: whether each class may be a question of its own.
        options: what belongs to views, as for `views_scan`; None where it was left out.

    Raises:
        ViewTypeError: one is not a view, or knows a distribution only in part.
        InputError: they do not fit together, or a Scan came with something that it brings itself.
    """
    if isinstance(p, Scan | MemoryScan):
        given = ["q" for q in qs if q is not None]
        given += [name for name, value in options.items() if value is not None]
        if given:
            remedy = "Give it to pandq.scan(...)."
            raise InputError(what=f"a scan brings its own {given[0]}", remedy=remedy)
        rows: Scan | MemoryScan = p
    elif not qs:
        raise InputError(what="there is no Q to compare", remedy="pandq.compare(p, q_a, q_b).")
    else:
        rows = views_scan(p, qs[0], rivals=qs[1:], **options)
    if in_full or (rows.multilabel and not by_class):
        require_laws(rows, by_class=by_class)
    return rows


def refuse_empty(rows: Scan | MemoryScan, n: int, weight: float) -> None:
    """Refuse rows of which there is no average: how many there were, and their total weight.

    Raises:
        InputError: there are none, or all weights are zero.
    """
    if n == 0:
        raise InputError(what="there are no rows", where=name_of(rows))
    if weight == 0:
        raise InputError(what="all weights are zero", where=name_of(rows))


def run_of(
    rows: Rows[Any],
    engine: Engine | None,
    progress: Progress | None,
    checkpoint: str | Path | None,
    about: Mapping[str, Any],
    *others: Rows[Any],
) -> Run:
    """The run of passes that makes a result.

    Args:
        rows: to go through.
        engine: who sums; this process when left out.
        progress: told how far a pass has come.
        checkpoint: a folder to keep what was summed in.
        about: what was asked for, as JSON values; a checkpoint of anything else is refused.
        others: rows that are gone through besides.

    Raises:
        InputError: the checkpoint is of another input, or rows in memory cannot have one; or an
            id is a duplicate.
    """
    engine = Local() if engine is None else engine
    if not hasattr(engine, "over"):
        remedy = "Use pandq.engines.Local() or pandq.engines.Dask(client)."
        raise InputError(what="this is no engine", got=type(engine).__name__, remedy=remedy)
    if progress is not None and not callable(progress):
        raise InputError(what="progress is a function of what is done", got=type(progress).__name__)
    sources = [getattr(x, "source", None) for x in (rows, *others)]
    lasting = all(getattr(x, "files", None) and not getattr(x, "passing", False) for x in sources)
    if engine.needs_row_offsets and not lasting:
        raise InputError(
            what="workers read files themselves, and these rows are in memory or joined here",
            remedy="Give pandq.scan(...) of files that they can read, or leave the engine out.",
        )
    if isinstance(rows, Scan | MemoryScan):
        refuse_duplicates(rows)
    kept = None
    if checkpoint is not None:
        more = {"others": [identity(x) for x in others]} if others else {}
        kept = Checkpoint.opened(checkpoint, {**about, **identity(rows), **more})
    return Run(engine, progress, kept)


def redrawn(intervals: Intervals, seed: int) -> dict[str, int]:
    """How a bootstrap is drawn; of no replicates where none is wanted.

    >>> redrawn("bootstrap", 7), redrawn("t", 7)
    ({'seed': 7, 'replicates': 1000}, {'seed': 7, 'replicates': 0})
    """
    return {"seed": seed, "replicates": REPLICATES if intervals == "bootstrap" else 0}


def check_choices(
    unit: Unit, level: float, seed: int, worst: int, **chosen: tuple[object, Any]
) -> None:
    """Refuse a unit, a level, a seed, a number of rows or a choice that none could be made with.

    Args:
        unit: of the result.
        level: of its intervals.
        seed: of what is drawn.
        worst: how many rows it shows.
        chosen: by name, what was chosen, and the Literal that it is chosen from.

    Raises:
        InputError: there is one.
    """
    per_nat(unit)
    check_level(level)
    check_seed(seed)
    if not is_number(worst, Integral) or not 0 <= worst <= MOST_WORST:
        what = f"worst is a whole number from 0 to {MOST_WORST:,}"
        raise InputError(what, got=repr(worst))
    for name, (value, known) in chosen.items():
        if value not in get_args(known):
            listed = ", ".join(map(repr, get_args(known)))
            raise InputError(what=f"{name} is one of {listed}", got=repr(value))


def check_seed(seed: int) -> None:
    """Refuse a seed that not every use of it has room for."""
    if not is_number(seed, Integral) or not 0 <= seed < SEEDS:
        raise InputError(what=f"a seed is a whole number from 0 to {SEEDS - 1}", got=repr(seed))


def check_truth(name: str, given: object) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(given, bool):
        raise InputError(what=f"{name} is true or false", got=repr(given))


def require_order(rows: Scan | MemoryScan) -> None:
    """Refuse classes of which nothing says in which order they stand; see `check_order`.

    Raises:
        InputError: numbers stand in another order, or nothing says which.
    """
    check_order(rows.classes or (), named=rows.named, where=name_of(rows))


def check_order(names: Sequence[str], *, named: bool, where: str = "") -> None:
    """Refuse class names that stand in no order, or in one that nobody said.

    Columns without names stand in their own order, and numbers in that of their values; other names
    must have been given in their order. It does not matter from which end: of two classes there is
    one order.

    Args:
        names: in the order of Q's columns.
        named: whether they were given, in this order.
        where: they are from, for errors.

    Raises:
        InputError: numbers stand in another order, or nothing says which.
    """
    if len(names) <= 2:
        return
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    known = distinct(names)
    if known.numbers:
        if len({a < b for a, b in pairwise(known.by_value)}) > 1:
            raise InputError(
                what="the classes are numbers, and not in the order of their values",
                where=where,
                got=listed,
                remedy="Give the columns of Q in their order: --q KIND:a,b,...",
            )
    elif not named:
        raise InputError(
            what="nothing says in which order the classes stand",
            where=where,
            got=listed,
            remedy="Name them from one end to the other, which must be the order of Q's columns:"
            " --classes A,B,... (classes=[...] in Python).",
        )


def require_laws(rows: Scan | MemoryScan, *, by_class: bool = False) -> None:
    """Refuse rows of which P or Q is known only in part, or is no distribution over the classes.

    Raises:
        ViewTypeError: it is a TopK, a Sampled or, but `by_class`, a MultiLabel.
    """
    if rows.multilabel and not by_class:
        raise by_itself("p")  # noqa: EM101
    for role, given in (("p", rows.p), *(("q", q) for q in (rows.q, *rows.rivals))):
        if given.kind in PARTIAL_KINDS:
            raise partly_known(role, given.kind)


def drawn_alone(rows: Scan | MemoryScan) -> bool:
    """Is all that is known what one model gave to what was drawn?"""
    if rows.q.kind != SAMPLED_KIND or rows.rivals:
        return False
    return rows.p is rows.q or (
        isinstance(rows, Scan) and (rows.p.kind, rows.p.columns) == (rows.q.kind, rows.q.columns)
    )


def name_of(rows: Scan | MemoryScan) -> str:
    """What to call the rows in errors; "" for arrays in memory."""
    return rows.source.name if isinstance(rows, Scan) else ""
