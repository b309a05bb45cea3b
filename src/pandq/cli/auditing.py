"""pandq audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pandq.cli.engines import engine_given, engine_of, engine_options
from pandq.cli.gating import finish, gate_options, limits
from pandq.cli.options import data_options, no_dash, result_options, scan_options
from pandq.cli.page import hand_over, progress_shown
from pandq.errors import InputError

if TYPE_CHECKING:
    from pandq.results.gates import GateOn


@click.command("audit")
@click.argument("files", nargs=-1, required=True)
@data_options()
@click.option(
    "--best-q",
    metavar="KIND:COLUMN",
    help="A better model's predictions, for the upper bound on the floor.",
)
@result_options
@click.option(
    "--floor",
    type=click.Choice(["auto", "certified", "none"]),
    default="auto",
    show_default=True,
    help="Decompose as far as P allows; insist on votes; or skip the second pass. A soft"
    " P that is really N votes divided by N should be given as counts.",
)
@click.option(
    "--intervals",
    type=click.Choice(["normal", "bootstrap"]),
    default="normal",
    show_default=True,
    help="How intervals of averages are made.",
)
@click.option(
    "--recalibrator",
    "recalibrator_file",
    metavar="FILE",
    help="Write the recalibration map, fitted on all rows, as JSON.",
)
@gate_options
@engine_options(keep="Keep what was summed there: after a loss the same command goes on.")
@click.option(
    "--items",
    "items_file",
    metavar="FILE",
    help="Write one row of measures per input row, as parquet, in nats.",
)
def audit_command(
    files: tuple[str, ...],
    *,
    json_file: str | None,
    html_file: str | None,
    items_file: str | None,
    recalibrator_file: str | None,
    unit: Any,
    level: float,
    seed: int,
    floor: Any,
    intervals: Any,
    worst: int,
    max_kl: float | None,
    max_cross_entropy: float | None,
    gate_on: GateOn,
    checkpoint: str | None,
    progress_how: str,
    **data: Any,
) -> None:
    """How far Q is from P in FILES, with intervals, by class and group, and the worst rows.

    FILES are parquet, feather, csv, tsv, jsonl, npy or npz; globs and folders are fine.

    \b
        pandq audit preds.parquet --p labels:label --q probs:probs
        pandq audit 'preds/*.parquet' --p counts:votes --q logits:logits --by site
    """
    from pandq.audits import audit
    from pandq.outputs.items import write_items
    from pandq.read.scan import scan
    from pandq.report.markdown import summary_file
    from pandq.report.page.files import write_audit_page
    from pandq.report.terminal.audit import show
    from pandq.store import all_or_none, check_outputs, write_json

    only_files = {
        "--html": html_file,
        "--items": items_file,
        "--recalibrator": recalibrator_file,
    }
    named = [no_dash(option, path) for option, path in only_files.items()]
    check_outputs(files, json_file, *named, appended=summary_file(), folders=[checkpoint])
    if recalibrator_file is not None and floor == "none":
        raise InputError(
            what="--recalibrator has no map to write", got="--floor none, which skips it"
        )
    who = engine_given(data)
    if items_file is not None and who["engine"] != "local":
        raise InputError(
            what="--items writes a line for every row, which only --engine local does",
            got=f"--engine {who['engine']}",
            remedy="Write the items in a run of their own.",
        )
    rows = scan(list(files), **scan_options(data))
    with engine_of(**who) as engine, progress_shown(progress_how) as progress:
        result = audit(
            rows,
            unit=unit,
            level=level,
            seed=seed,
            floor=floor,
            intervals=intervals,
            worst=worst,
            engine=engine,
            checkpoint=checkpoint,
            progress=progress,
        )
    with all_or_none():
        if items_file is not None:
            write_items(rows, items_file, result.trained)
        if html_file is not None:
            write_audit_page(result, rows, html_file)
        if recalibrator_file is not None and result.recalibrator is not None:
            write_json(result.recalibrator.to_dict(), recalibrator_file)
        if json_file is not None and json_file != "-":
            write_json(result.to_dict(), json_file)
    hand_over(result, json_file, show)
    if recalibrator_file is not None and result.recalibrator is None:
        why = "; ".join(result.notes)
        raise InputError(what="no recalibration map was fitted", where=recalibrator_file, got=why)
    gates = limits(
        {
            "--max-kl": (max_kl, [result.kl]),
            "--max-cross-entropy": (max_cross_entropy, [result.cross_entropy]),
        },
        gate_on,
    )
    finish(result, gates, quiet=json_file == "-")
