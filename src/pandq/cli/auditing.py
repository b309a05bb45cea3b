"""pandq audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pandq.cli.engines import engine_given, engine_of, engine_options
from pandq.cli.gating import finish, gate_options, limits
from pandq.cli.groups import INPUT, RESULT, Command, option
from pandq.cli.options import data_options, decompose_option, no_dash, result_options, scan_options
from pandq.cli.page import hand_over, progress_shown
from pandq.errors import InputError

if TYPE_CHECKING:
    from pandq.results.gates import GateOn


@click.command("audit", cls=Command, short_help="How far Q is from P, and why")
@click.argument("files", nargs=-1, required=True)
@data_options()
@option(
    INPUT,
    "--best-q",
    metavar="KIND:COLUMN",
    help="A better model's predictions, for the upper bound on the floor.",
)
@result_options
@decompose_option(
    "Split the loss into floor, grouping loss and calibration loss, or skip that pass. A soft P"
    " that is really N votes divided by N should be given as counts."
)
@option(
    RESULT,
    "--floor",
    type=click.Choice(["auto", "certified"]),
    default="auto",
    show_default=True,
    help="Bound the floor as far as P allows, or insist on votes that certify it.",
)
@option(
    RESULT,
    "--intervals",
    type=click.Choice(["t", "bootstrap"]),
    default="t",
    show_default=True,
    help="Intervals of averages: Student's t, or a Poisson bootstrap.",
)
@option(
    RESULT,
    "--recalibrator",
    "recalibrator_file",
    metavar="FILE",
    help="Write the recalibration map, fitted on all rows, as JSON.",
)
@option(
    RESULT,
    "--items",
    "items_file",
    metavar="FILE",
    help="Write one row of measures per input row, as parquet, in nats.",
)
@gate_options
@engine_options()
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
    decompose: bool,
    floor: Any,
    intervals: Any,
    worst: int,
    full: bool,
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
    from pandq.report.page.writing import write_report
    from pandq.store import all_or_none, check_outputs, write_json

    only_files = {
        "--html": html_file,
        "--items": items_file,
        "--recalibrator": recalibrator_file,
    }
    named = [no_dash(name, path) for name, path in only_files.items()]
    check_outputs(files, json_file, *named, appended=summary_file(), folders=[checkpoint])
    if recalibrator_file is not None and not decompose:
        got = "--no-decompose, which skips it"
        raise InputError(what="--recalibrator has no map to write", got=got)
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
            decompose=decompose,
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
            files_of = getattr(rows.source, "files", [])
            write_report(result, files_of, html_file, pictured=rows)
        if recalibrator_file is not None and result.recalibrator is not None:
            write_json(result.recalibrator.to_dict(), recalibrator_file)
        if json_file is not None and json_file != "-":
            write_json(result.to_dict(), json_file)
    hand_over(result, json_file, full=full)
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
