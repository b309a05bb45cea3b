"""pandq recalibrate, inspect, layouts, demo and explore."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from pandq.cli.groups import INPUT, RESULT, Command, option
from pandq.cli.options import no_dash, with_sums
from pandq.cli.page import page
from pandq.cli.streams import say
from pandq.errors import InputError


@click.command(
    "recalibrate", cls=Command, short_help="Apply a recalibration map to a file of predictions."
)
@click.argument("files", nargs=-1, required=True)
@option(INPUT, "--q", metavar="KIND:COLUMN", help="The predictions to recalibrate.")
@with_sums("q")
@option(
    INPUT,
    "--with",
    "map_file",
    metavar="FILE",
    required=True,
    help="A map written by audit --recalibrator.",
)
@option(
    RESULT,
    "--out",
    metavar="FILE",
    required=True,
    help="Parquet: every input column, and `recalibrated`, a list of probabilities.",
)
def recalibrate_command(
    files: tuple[str, ...], *, q: str | None, map_file: str, out: str, **given: Any
) -> None:
    """Apply a recalibration map to a file of predictions."""
    from pandq.outputs.recalibrated import read_recalibrator, write_recalibrated
    from pandq.store import check_outputs

    check_outputs([*files, map_file], no_dash("--out", out))
    if not out.endswith((".parquet", ".pq")):
        raise InputError(
            what="the output is parquet", where=out, remedy="Name it so: --out x.parquet."
        )
    recalibrator = read_recalibrator(map_file)
    rows = write_recalibrated(list(files), q, recalibrator, out, **given)
    say(
        f"{out}: {rows:,} rows, with the {recalibrator.kind} map's probabilities beside them",
        f"Next: pandq audit {shlex.quote(out)} --p {_p_of(out)} --q probs:recalibrated",
    )


def _p_of(file: str) -> str:
    """What P is in a table by its name, or what has to be said of it."""
    from pandq.read.opened import open_source
    from pandq.read.recognise import recognised

    try:
        return shlex.quote(str(recognised(open_source(file).schema, "p")))
    except InputError:
        return "KIND:COLUMN"


@click.command(
    "inspect", cls=Command, short_help="What a table's columns are, and what to run next."
)
@click.argument("files", nargs=-1, required=True)
def inspect_command(files: tuple[str, ...]) -> None:
    """What pandq thinks the columns of FILES are, and what to run next."""
    from pandq.inspections import inspect
    from pandq.report.terminal.inspection import inspection

    console = page()
    for part in inspection(inspect(list(files)), console.width):
        console.print(part, soft_wrap=isinstance(part, str))


@click.command("layouts", cls=Command, short_help="The layouts that files of answers may have.")
def layouts_command() -> None:
    """The layouts that FILES may have, for --layout: what each is for, and an example of input."""
    from pandq.read.layout import layouts

    for layout in layouts().values():
        say(layout.name, f"  {layout.about}")
        say(*(f"      {example}" for example in layout.examples), "")
    say(
        "Use one by its name, or a query of your own by its file, or columns made on the spot:",
        "  pandq audit FILE --layout long --q 'probs:prob_*'",
        "  pandq audit FILE --layout mine.sql --p KIND:COLUMN --q KIND:COLUMN",
        '  pandq audit FILE --select "label, list_value(a, b) AS probs"',
    )


@click.command("demo", cls=Command, short_help="The three parts on real digits, offline.")
@option(
    RESULT,
    "--out",
    metavar="DIR",
    default="pandq-demo",
    show_default=True,
    help="The demo's own folder, which this creates.",
)
@option(RESULT, "--full", is_flag=True, help="Print every table of both reports.")
def demo_command(out: str, *, full: bool) -> None:
    """Audit a classifier of real digits on votes whose truth is known; compare it with another."""
    from pandq.demo import run_demo
    from pandq.report.sections.result import sections_of
    from pandq.report.terminal.sections import show
    from pandq.report.words import headline
    from pandq.units import number

    folder = Path(str(no_dash("--out", out)))
    found = run_demo(folder)
    console = page()
    audited, compared = (list(sections_of(x)) for x in (found.votes, found.comparison))
    truth = f"floor {number(found.true_floor, 3)}, KL(P||Q) {number(found.true_kl, 3)} nat"
    data, report = (shlex.quote(str(folder / name)) for name in ("digits.parquet", "report.html"))
    console.print("Three people named each of 899 digits; Q is a logistic regression's guess.")
    console.print()
    show(audited if full else audited[:2], console, full=full)
    console.print()
    console.print(f"The votes were drawn by a rule, so the truth is known: {truth}.")
    console.print(f"One vote a row tells less: {headline(found.labels)}")
    console.print()
    show(compared if full else compared[:1], console, full=full)
    console.print()
    console.print(f"The first report as a page, for a browser: {report}. Next:")
    say(
        f"  pandq audit {data} --p counts:votes --q probs:naive_bayes",
        "  pandq inspect YOUR_FILE",
    )


@click.command("explore", cls=Command, short_help="A page with P and Q to drag.")
@option(
    INPUT,
    "--from",
    "audit_file",
    metavar="FILE",
    help="An audit's JSON: start from its worst rows.",
)
@option(
    RESULT, "--out", metavar="FILE", help="Write the page here instead of opening it in a browser."
)
def explore_command(*, audit_file: str | None, out: str | None) -> None:
    """A page with P and Q to drag, offline: H(P), H(P,Q), KL both ways and JS as they move."""
    import tempfile
    import webbrowser

    from pandq.documents import read_document
    from pandq.report.explore import explore_page
    from pandq.report.page.writing import write_page
    from pandq.results.audit import Audit
    from pandq.store import check_outputs

    check_outputs([] if audit_file is None else [audit_file], no_dash("--out", out))
    audit = (
        None if audit_file is None else read_document(audit_file, Audit.KIND, Audit.written_by())
    )
    text = explore_page(audit)
    place = out or str(Path(tempfile.mkdtemp(prefix="pandq-explore-")) / "explore.html")
    write_page(text, place)
    if out is not None:
        say(f"{out}: open it in a browser")
    elif webbrowser.open(Path(place).resolve().as_uri()):
        say(f"opened {place}")
    else:
        say(f"no browser was found; the page is {place}")
