"""Two tables that an id joins, as the rows of P and of a Q from each."""

from __future__ import annotations

import fnmatch
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pandq.errors import InputError
from pandq.read.join import Duplicates, joined
from pandq.read.laid import laid_open
from pandq.read.places import name_of
from pandq.read.recognise import OTHER
from pandq.read.roles import require_texts
from pandq.read.scan import scan
from pandq.read.texts import texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.read.join import Joined
    from pandq.read.laid import Laid
    from pandq.read.roles import VoteDuplicates
    from pandq.read.scan import Scan

    Files = str | Path | Sequence[str | Path]


def scan_joined(
    first: Files,
    second: Files,
    *,
    id: str,  # noqa: A002
    q: str | Sequence[str],
    p: str | None = None,
    duplicates: Duplicates = "refuse",
    where: str | None = None,
    by: str | Sequence[str] = (),
    cluster: str | None = None,
    layout: str | None = None,
    select: str | None = None,
    item: str | None = None,
    annotator: str | None = None,
    label: str | None = None,
    vote_duplicates: VoteDuplicates = "refuse",
    first_votes: int | None = None,
    **options: Any,
) -> Scan:
    """Rows of two tables that have the same id, for `pandq.compare`.

    Columns of the first table keep their names, those of the second are called other.NAME. Rows
    come in the order of the first table. They are written to a temporary file, which is there as
    long as the Scan is, and goes with it, or with the process.

    Args:
        first: a path or several that are one table (parquet, feather, csv, tsv, jsonl; globs and
            folders).
        second: likewise.
        id: the column that names the rows in both; 7 and "7" are one id, 7 and "7.0" are not.
        q: "KIND:COLUMN" of the predictions in both tables; or several, of which the first is the
            first table's, and any other the second's where that has such a column.
        p: "KIND:COLUMN" of what is true, in the first table; recognised by the usual names when
            left out. Where the second table says otherwise, the Scan's notes say in how many rows.
        duplicates: "refuse" duplicate ids in a table, or keep the "first" row of each.
        where: a SQL condition on the joined rows.
        by: a column, or several, whose values make the groups of a report.
        cluster: a column that says which rows belong together; intervals then allow for it.
        layout: a layout that both tables have, as for `pandq.scan`; `item`, `annotator` and `label`
            name columns for it.
        select: the columns of a SELECT from each of them instead.
        item: as for `pandq.scan`.
        annotator: as for `pandq.scan`.
        label: as for `pandq.scan`.
        vote_duplicates: which answer counts where an annotator gave an item two: `duplicates` of
            `pandq.scan`.
        first_votes: how many votes of each row count: `first` of `pandq.scan`.
        options: classes, weights, per, normalise, percent, tolerance, best_q, labels, control,
            skip, ignore_label and rounded, as for `pandq.scan`.

    Returns:
        A Scan with a Q from each table, which `pandq.compare` takes; `notes` say what was left out.

    Raises:
        InputError: a file or column is missing, an id is duplicate, none is in both tables, or P is
            ambiguous.

    >>> import tempfile
    >>> from pandq import compare
    >>> room = tempfile.TemporaryDirectory()
    >>> old, new = (Path(room.name) / name for name in ("old.csv", "new.csv"))
    >>> _ = old.write_text("name,label,score\\na,0,0.2\\nb,1,0.6\\nc,1,0.7\\n")
    >>> _ = new.write_text("name,score\\nc,0.9\\nb,0.8\\na,0.1\\n")
    >>> rows = scan_joined(old, new, id="name", q="probs:score")
    >>> rows.notes[0]
    'joined by id: 3 rows in both files'
    >>> [model.q for model in compare(rows).models]
    ['probs:score of old.csv', 'probs:score of new.csv']
    >>> room.cleanup()
    """
    if not isinstance(id, str):
        raise InputError(what="id is the name of a column", got=repr(id))
    require_texts(cluster=cluster, where=where)
    if duplicates not in get_args(Duplicates):
        listed = ", ".join(map(repr, get_args(Duplicates)))
        raise InputError(what=f"duplicates is one of {listed}", got=repr(duplicates))
    files, groups = (_paths(first), _paths(second)), texts("by", by)
    as_text = [*groups, *filter(None, [cluster])]
    query = {"layout": layout, "select": select, "item": item, "annotator": annotator}
    laid = [laid_open(table, where=None, **query, label=label) for table in files]
    sides = [_of_side(table, made) for table, made in zip(files, laid, strict=True)]
    told: dict[str, Any] = {"where": where, "duplicates": duplicates, "as_text": as_text}
    told["names"] = [None if made is None else made.source.name for made in laid]
    both = joined(sides[0], sides[1], id, **told)
    mine, *rivals = texts("q", q) or (None,)
    if laid[0] is not None:
        p, mine = p or laid[0].p, mine or laid[0].q
    if mine is None:
        remedy = "Give --q KIND:COLUMN once where both files call it so, or once for each."
        raise InputError(what="which columns are to be compared?", remedy=remedy)
    theirs = [_of_second(x, both.source.schema) for x in rivals] or [_in_second(mine)]
    qs = (mine, *theirs)
    options |= {
        "by": groups,
        "cluster": cluster,
        "duplicates": vote_duplicates,
        "first": first_votes,
    }
    rows = scan(both.source, p=p, q=qs, id=id, **options)
    return replace(
        rows,
        names=None if theirs == rivals else _names((mine, *(rivals or [mine])), files),
        notes=(
            *(laid[0].notes if laid[0] else ()),
            *both.notes,
            *_disagreement(both, rows),
            *rows.notes,
        ),
    )


def _of_side(table: list[str | Path], made: Laid | None) -> list[str | Path]:
    """The files of one table, or that which a layout made of them."""
    return table if made is None else list(getattr(made.source, "files", []))


def _paths(given: Files) -> list[str | Path]:
    paths = [given] if isinstance(given, str | Path) else given
    several = isinstance(paths, list | tuple) and len(paths) > 0
    if not several or not all(isinstance(x, str | Path) for x in paths):
        raise InputError(
            what="two tables are joined from their files",
            got=type(given).__name__,
            remedy="Tables in memory are joined by their own library; then pandq.scan(table, ...).",
        )
    return list(paths)


def _in_second(q: str) -> str:
    """KIND:COLUMN, and KIND:a,b too, as the join calls them of the second table."""
    kind, colon, column = q.partition(":")
    names = (OTHER + name.strip() for name in column.split(","))
    return f"{kind}{colon}{','.join(names)}"


def _of_second(q: str, schema: Any) -> str:
    """A rival is the second table's, where that has such columns."""
    theirs = _in_second(q)
    names = theirs.partition(":")[2].split(",")
    return theirs if all(fnmatch.filter(schema, name) for name in names) else q


def _names(qs: Sequence[str], files: Sequence[Sequence[str | Path]]) -> tuple[str, ...] | None:
    """What to call two models: by their columns, and the files that these are of."""
    if len(qs) != len(files):
        return None
    names = tuple(
        f"{q.replace(f':{OTHER}', ':')} of {', '.join(name_of(file) for file in table)}"
        for q, table in zip(qs, files, strict=True)
    )
    return names if len(set(names)) == len(names) else None


def _disagreement(both: Joined, rows: Scan) -> list[str]:
    """Does the second file say otherwise of P than the first?"""
    column = rows.p.column
    if rows.p.wide or OTHER + column not in both.source.schema:
        return []
    apart = both.apart(column)
    if not apart:
        return []
    return [f"P differs between the files in {apart:,} rows ({column!r}); the first file's is used"]
