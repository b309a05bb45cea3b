"""pandq votes."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from pandq.cli.gating import finish
from pandq.cli.groups import RESULT, Command, option
from pandq.cli.options import (
    LAID,
    class_names,
    column,
    no_dash,
    ordered_option,
    pool_option,
    result_options,
    taken,
    with_answers,
    with_query,
)
from pandq.cli.page import hand_over
from pandq.cli.streams import tell
from pandq.errors import InputError

if TYPE_CHECKING:
    from pandq.read.ballots import Ballots

READ = ("p", "id", "where", *LAID)
# Of a file of votes whose annotators are known.
OF_PEOPLE = (
    "With --p votes:votes,annotators:annotators its intervals are over the annotators, too"
    " (--classes in the order of Q's columns, where these have no names)."
)
SHOWN_CLASSES = 20


@click.command("votes", cls=Command, short_help="What people's votes say before there is a model.")
@click.argument("files", nargs=-1, required=True)
@column(
    "--p",
    "KIND:COLUMN",
    "One row an item: votes:COLUMN holds lists of labels, 'votes:rater_*' is a column an annotator,"
    " counts:COLUMN is how many chose each class.",
)
@with_query
@column("--item", "COLUMN", "One row an answer: the column of what was labelled.")
@column("--label", "COLUMN", "One row an answer: the column of the label.")
@column("--annotator", "COLUMN", "Who answered: one value an answer, or lists beside votes:COLUMN.")
@column("--id", "COLUMN", "One row an item: the column that names it (default: its number).")
@column("--classes", "A,B,...|K", "Class names in the order of Q's columns (default: sorted).")
@column("--where", "SQL", "Use only rows of FILES where this is true: year >= 2024.")
@with_answers
@result_options
@pool_option("item")
@ordered_option("Krippendorff's alpha by ranks, too.")
@option(
    RESULT,
    "--out",
    metavar="FILE",
    help="Write the items as parquet: id, counts, votes and annotators.",
)
def votes_command(
    files: tuple[str, ...],
    *,
    full: bool,
    json_file: str | None,
    html_file: str | None,
    out: str | None,
    classes: str | None,
    **given: Any,
) -> None:
    """What people's votes in FILES say before there is any model.

    How far people agree, the least loss of any model that predicts them, where they disagree, and
    which annotators stand apart.

    \b
        pandq votes answers.csv --item image --annotator worker --label answer
        pandq votes reads.csv --p 'votes:reader_*' --id case --annotator-pool seen
        pandq votes train.parquet --p counts:votes --out votes.parquet
        pandq votes export.json --layout label-studio
    """
    from dataclasses import replace

    from pandq.agreements import votes
    from pandq.outputs.ballots import write_votes
    from pandq.read.ballots import ballots
    from pandq.report.markdown import summary_file
    from pandq.report.page.writing import write_report
    from pandq.store import all_or_none, check_outputs, write_json

    outputs = no_dash("--html", html_file), no_dash("--out", out)
    check_outputs(files, json_file, *outputs, appended=summary_file())
    if out is not None and not out.endswith((".parquet", ".pq")):
        raise InputError(
            what="the output is parquet", where=out, remedy="Name it so: --out x.parquet."
        )
    names = class_names(classes)
    read = ballots(list(files), classes=names, **taken(given, *READ))
    ids = None if read.ids is None else read.ids.to_numpy(zero_copy_only=False)
    told = read.votes.classes if given["ordered"] and isinstance(names, list) else None
    result = votes(read.votes, ids=ids, classes=told, **given)
    result = replace(result, source={**result.source, "name": read.name})
    with all_or_none():
        if html_file is not None:
            write_report(result, read.files, html_file)
        if out is not None:
            written = write_votes(read.votes, read.ids, out)
        if json_file is not None and json_file != "-":
            write_json(result.to_dict(), json_file)
    hand_over(result, json_file, full=full)
    finish(result, [], quiet=json_file == "-")
    if out is not None:
        tell(*_next(read, out, written, given["annotator_pool"]))


def _next(read: Ballots, out: str, written: int, pool: int | str | None) -> list[str]:
    """What was written, and what to do with it."""
    names = read.votes.classes
    said = f"{out}: {written:,} items"
    if names is not None and len(names) <= SHOWN_CLASSES:
        said += f"; counts are of {', '.join(names)}, in this order where Q's columns have no names"
    id_ = shlex.quote(read.id or "id")
    # counts that are written do not say who gave them
    seen = getattr(read.votes, "annotator_names", None)
    people = len(seen or ()) if pool == "seen" else pool
    of_pool = f" --annotator-pool {people}" if people else ""
    told = f"PREDICTIONS {shlex.quote(out)} --id {id_} --p counts:counts{of_pool} --q KIND:COLUMN"
    return [said, *([OF_PEOPLE] if seen else []), f"Next: pandq audit {told}"]
