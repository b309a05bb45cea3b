"""The command line: reads options, calls the library, and says what went wrong in one line."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import pandq
from pandq.errors import GateError, InputError, PandqError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pandq.audits import Progress
    from pandq.estimate.intervals import Estimate

FINE, GATE_FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

KINDS = "labels, counts, probs, logprobs or logits"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(pandq.__version__, prog_name="pandq")
def cli() -> None:
    """Mind your P and Q: how far predictions are from the truth, and what can be done about it.

    P is what is true (labels, votes, soft labels, a reference model), Q what a model predicts.

    \b
        H(P, Q)       =   H(P)    +   KL(P || Q)
        cross entropy     floor       what a better Q removes
    """


def main() -> None:
    """Run the command line; a mistake of the user's is one line and exit code 2."""
    try:
        cli(standalone_mode=False)
        sys.stdout.flush()
    except (InputError, PandqError) as error:
        _stop(str(error), GATE_FAILED if isinstance(error, GateError) else BAD_INPUT)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(BAD_INPUT)
    except click.ClickException as error:
        hint = ""
        if isinstance(error, click.UsageError) and error.ctx is not None:
            hint = f" Try `{error.ctx.command_path} --help`."
        _stop(error.format_message().rstrip(".") + "." + hint, BAD_INPUT)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # whoever read our output has gone: nothing is left to say, and nobody to hear it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FINE)


def _stop(text: str, code: int) -> None:
    click.echo(f"pandq: {' '.join(text.split())}", err=True)
    sys.exit(code)


def _once(_: click.Context, option: click.Parameter, given: tuple[str, ...]) -> str | None:
    """An option that may be given once: a second one would silently replace the first."""
    if len(given) > 1:
        what = f"{option.opts[0]} was given {len(given)} times"
        raise InputError(what, got=", ".join(given), remedy="An audit has one P and one Q.")
    return given[0] if given else None


def _data_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say what the rows of P and Q are."""
    options = [
        click.option(
            "--p",
            metavar="KIND:COLUMN",
            multiple=True,
            callback=_once,
            help=f"What is true; KIND is {KINDS}.",
        ),
        click.option(
            "--q",
            metavar="KIND:COLUMN",
            multiple=True,
            callback=_once,
            help="What is predicted; probs:prob_* takes one column per class.",
        ),
        click.option(
            "--classes",
            metavar="A,B,...",
            help="Class names in the order of Q's columns; needed when labels are names.",
        ),
        click.option("--by", metavar="COLUMN", multiple=True, help="Also report by this column."),
        click.option(
            "--cluster", metavar="COLUMN", help="Rows that share a value are not independent."
        ),
        click.option("--id", metavar="COLUMN", help="Names the rows (default: their number)."),
        click.option("--weights", metavar="COLUMN", help="Row weights."),
        click.option(
            "--best-q",
            metavar="KIND:COLUMN",
            help="A better model's predictions, for the upper bound on the floor.",
        ),
        click.option("--where", metavar="SQL", help='Only rows with this, e.g. "year >= 2024".'),
        click.option(
            "--normalise",
            type=click.Choice(["p", "q"]),
            multiple=True,
            help="Divide each row of P or Q by its sum; otherwise a wrong sum is an error.",
        ),
        click.option(
            "--tolerance",
            type=click.FloatRange(min=0, min_open=True),
            help="How far from 1 a row may sum (default: 1e-6 for float64, 1e-5 for float32).",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@cli.command("audit")
@click.argument("files", nargs=-1, required=True)
@_data_options
@click.option(
    "--unit",
    type=click.Choice(["nat", "bit"]),
    default="nat",
    show_default=True,
    help="Unit of entropies and divergences.",
)
@click.option("--level", type=float, default=0.95, show_default=True, help="Of the intervals.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of folds and bootstrap.")
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
@click.option(
    "--worst",
    type=click.IntRange(0, 10_000),
    default=10,
    show_default=True,
    help="How many of the worst rows to show.",
)
@click.option(
    "--max-kl", type=float, metavar="X", help="Exit with 1 if KL's interval reaches beyond X."
)
@click.option(
    "--max-cross-entropy",
    type=float,
    metavar="X",
    help="Exit with 1 if the cross entropy's interval reaches beyond X.",
)
@click.option(
    "--json", "json_file", metavar="FILE", help="Write the result as JSON (- for stdout)."
)
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
    **data: Any,
) -> None:
    """How far Q is from P in FILES, with intervals, by class and group, and the worst rows.

    FILES are parquet, feather, csv, tsv, jsonl, npy or npz; globs and folders are fine.

    \b
        pandq audit preds.parquet --p labels:label --q probs:probs
        pandq audit 'preds/*.parquet' --p counts:votes --q logits:logits --by site
    """
    from pandq.audits import audit
    from pandq.read.scan import scan
    from pandq.report.files import check_writable, json_text, write_items, write_json

    for path in (json_file, items_file, recalibrator_file):
        if path is not None and path != "-":
            check_writable(path)
    rows = scan(list(files), **_scan_options(data))
    with _progress() as progress:
        result = audit(
            rows,
            unit=unit,
            level=level,
            seed=seed,
            floor=floor,
            intervals=intervals,
            worst=worst,
            progress=progress,
        )
        if items_file is not None:
            write_items(rows, items_file, result.trained)
    if recalibrator_file is not None and result.recalibrator is not None:
        write_json(result.recalibrator.to_dict(), recalibrator_file)
    if json_file == "-":
        click.echo(json_text(result.to_dict()))
    else:
        if json_file is not None:
            write_json(result.to_dict(), json_file)
        from pandq.report.text import show

        show(result, _console())
    if recalibrator_file is not None and result.recalibrator is None:
        why = "; ".join(result.notes) or "--floor none skips it"
        raise InputError(what="no recalibration map was fitted", where=recalibrator_file, got=why)
    for name, limit in (("kl", max_kl), ("cross_entropy", max_cross_entropy)):
        if limit is not None:
            _gate(name, getattr(result, name), limit, quiet=json_file == "-")


def _gate(name: str, estimate: Estimate, limit: float, *, quiet: bool) -> None:
    """Hold the upper end of an interval against a limit; a breach is exit code 1.

    Raises:
        GateError: the interval reaches beyond the limit.
    """
    option = f"--max-{name.replace('_', '-')} {limit:g}"
    if estimate.high is None or not estimate.high <= limit:
        msg = f"{option} is breached: {estimate}, whose upper end is above it"
        raise GateError(msg)
    if not quiet:
        click.echo(f"{option} holds: {estimate}, {limit - estimate.high:.4f} below it")


@cli.command("inspect")
@click.argument("files", nargs=-1, required=True)
def inspect_command(files: tuple[str, ...]) -> None:
    """What pandq thinks the columns of FILES are, and what to run next."""
    from pandq.read.scan import open_source
    from pandq.report.inspection import inspection

    console = _console()
    for part in inspection(open_source(list(files)), list(files)):
        console.print(part, soft_wrap=isinstance(part, str), highlight=False, markup=False)


@cli.command("demo")
@click.option(
    "--out",
    metavar="DIR",
    default="pandq-demo",
    show_default=True,
    help="Folder for the demo's files; made if it is not there.",
)
def demo_command(out: str) -> None:
    """Fit two classifiers to real digits, offline, and audit what they predict."""
    from pandq.demo import run_demo
    from pandq.report.text import interval, show
    from pandq.report.words import number

    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(what="cannot be made", where=out, got=str(error.strerror)) from None
    found = run_demo(folder)
    console = _console()
    echo = console.out
    echo("Two classifiers, fitted to half of scikit-learn's digits, audited on the other half.\n")
    echo("A. logistic regression")
    show(found.regression, console)
    echo("\nB. naive Bayes")
    show(found.bayes, console)
    difference = found.difference
    echo(
        f"\nB pays {number(difference.value)} nat {interval(difference)} more than A for the same"
        " rows.\nThe floor H(P) is the same for both, so it cancels: this is KL(P||B) - KL(P||A)."
    )
    echo(f"\nWritten: {found.file} and both audits as JSON. Next, on the same file and on yours:")
    echo(f"  pandq inspect {found.file}")
    echo(f"  pandq audit {found.file} --p labels:label --q probs:naive_bayes")
    echo("  pandq audit YOUR_FILE --p KIND:COLUMN --q KIND:COLUMN")


def _scan_options(data: dict[str, Any]) -> dict[str, Any]:
    classes = data.pop("classes")
    names = [name.strip() for name in classes.split(",")] if classes else None
    return {"classes": names, **data}


def _console() -> Any:
    """Standard output; as wide as the reports are made for when it is not a terminal."""
    from rich.console import Console

    class Page(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1, which here means a failed gate

    width = None if sys.stdout.isatty() else 110
    return Page(width=width, highlight=False, markup=False, legacy_windows=False)


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """A progress bar on standard error, on a terminal only."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def update(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        yield update


@cli.command("recalibrate")
@click.argument("files", nargs=-1, required=True)
@click.option("--q", metavar="KIND:COLUMN", help="The predictions to recalibrate.")
@click.option(
    "--with",
    "map_file",
    metavar="FILE",
    required=True,
    help="A map written by audit --recalibrator.",
)
@click.option(
    "--out",
    metavar="FILE",
    required=True,
    help="Parquet: every input column, and `recalibrated`, a list of probabilities.",
)
def recalibrate_command(files: tuple[str, ...], *, q: str | None, map_file: str, out: str) -> None:
    """Apply a recalibration map to a file of predictions."""
    from pandq.report.files import check_writable, read_recalibrator, write_recalibrated

    check_writable(out)
    if not out.endswith((".parquet", ".pq")):
        raise InputError(
            what="the output is parquet", where=out, remedy="Name it so: --out x.parquet."
        )
    recalibrator = read_recalibrator(map_file)
    rows = write_recalibrated(list(files), q, recalibrator, out)
    click.echo(
        f"{out}: {rows:,} rows, with the {recalibrator.kind} map's probabilities beside them"
    )
    click.echo(f"Next: pandq audit {out} --p KIND:COLUMN --q probs:recalibrated")
