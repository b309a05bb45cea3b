"""pandq predict."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from pandq.cli.fitting import left_out
from pandq.cli.groups import INPUT, RESULT, Command, option
from pandq.cli.options import no_dash
from pandq.cli.streams import say
from pandq.errors import InputError


@click.command("predict", cls=Command, short_help="A model's probabilities beside a table's rows.")
@click.argument("model_dir", metavar="MODEL")
@click.argument("data", nargs=-1, required=True)
@option(
    RESULT,
    "--out",
    metavar="FILE",
    required=True,
    help="Parquet: every input column, and `probs`, a list of probabilities.",
)
@option(INPUT, "--x", metavar="COLUMN", help="The features, if they are named otherwise here.")
@option(INPUT, "--where", metavar="SQL", help="Use only rows where this is true.")
@option(
    RESULT,
    "--members",
    type=click.IntRange(2, 10_000),
    help="bayes: also a column `members`, the probabilities under so many draws of the"
    " coefficients.",
)
@option(RESULT, "--name", default="probs", show_default=True, help="Name of the new column.")
@option(
    RESULT,
    "--recalibrator",
    "map_file",
    metavar="FILE",
    help="A map written by audit --recalibrator: adds `recalibrated`, its probabilities.",
)
@option(INPUT, "--skip-unreadable", is_flag=True, help="Leave out pictures that cannot be decoded.")
def predict_command(
    model_dir: str,
    data: tuple[str, ...],
    *,
    out: str,
    x: str | None,
    where: str | None,
    members: int | None,
    name: str,
    map_file: str | None,
    skip_unreadable: bool,
) -> None:
    """What the model in the folder MODEL says of the rows of DATA.

    \b
        pandq predict model/ test.parquet --out preds.parquet
        pandq audit preds.parquet --p labels:label --q probs:probs
    """
    from pandq.fit.folder import FOLDER, load_model
    from pandq.outputs.predictions import MEMBERS, write_predictions
    from pandq.outputs.recalibrated import RECALIBRATED, read_recalibrator
    from pandq.store import check_outputs

    parts = [str(Path(model_dir) / name) for name in FOLDER.files]
    check_outputs([*data, *parts, *([map_file] if map_file else [])], no_dash("--out", out))
    if not out.endswith((".parquet", ".pq")):
        remedy = "Name it so: --out preds.parquet."
        raise InputError(what="the output is parquet", where=out, remedy=remedy)
    model = load_model(model_dir)
    recalibrator = None if map_file is None else read_recalibrator(map_file)
    rows, unreadable = write_predictions(
        model,
        list(data),
        out,
        name=name,
        members=members,
        x=x,
        where=where,
        recalibrator=recalibrator,
        skip_unreadable=skip_unreadable,
    )
    if unreadable:
        say(left_out(unreadable))
    say(f"{out}: {rows:,} rows, with the {model.kind} model's probabilities beside them")
    column = name if recalibrator is None else RECALIBRATED
    column = MEMBERS if members is not None else column
    say(f"Next: {_audit_of(out, column, model)}")


def _audit_of(out: str, column: str, model: Any) -> str:
    """The command that audits predictions, against the P that the model was fitted to."""
    import pyarrow.parquet as pq

    p = str(model.metadata.get("options", {}).get("p", ""))
    known = p.partition(":")[2] in pq.read_schema(out).names
    command = [
        "pandq",
        "audit",
        out,
        "--p",
        p if known else "KIND:COLUMN",
        "--q",
        f"probs:{column}",
    ]
    if model.classes is not None:
        command += ["--classes", ",".join(model.classes)]
    return shlex.join(command)
