"""pandq recalibrate, inspect, demo and explore."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from pandq.cli.groups import INPUT, RESULT, Command, option
from pandq.cli.options import no_dash
from pandq.cli.page import page
from pandq.cli.streams import say
from pandq.errors import InputError


@click.command(
    "recalibrate", cls=Command, short_help="Apply a recalibration map to a file of predictions."
)
@click.argument("files", nargs=-1, required=True)
@option(INPUT, "--q", metavar="KIND:COLUMN", help="The predictions to recalibrate.")
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
def recalibrate_command(files: tuple[str, ...], *, q: str | None, map_file: str, out: str) -> None:
    """Apply a recalibration map to a file of predictions."""
    from pandq.outputs.recalibrated import read_recalibrator, write_recalibrated
    from pandq.store import check_outputs

    check_outputs([*files, map_file], no_dash("--out", out))
    if not out.endswith((".parquet", ".pq")):
        raise InputError(
            what="the output is parquet", where=out, remedy="Name it so: --out x.parquet."
        )
    recalibrator = read_recalibrator(map_file)
    rows = write_recalibrated(list(files), q, recalibrator, out)
    say(
        f"{out}: {rows:,} rows, with the {recalibrator.kind} map's probabilities beside them",
        f"Next: pandq audit {shlex.quote(out)} --p KIND:COLUMN --q probs:recalibrated",
    )


@click.command(
    "inspect", cls=Command, short_help="What a table's columns are, and what to run next."
)
@click.argument("files", nargs=-1, required=True)
def inspect_command(files: tuple[str, ...]) -> None:
    """What pandq thinks the columns of FILES are, and what to run next."""
    from pandq.inspections import inspect
    from pandq.report.terminal.inspection import inspection

    console = page()
    for part in inspection(inspect(list(files))):
        console.print(part, soft_wrap=isinstance(part, str))


@click.command("demo", cls=Command, short_help="Two classifiers on real digits, offline.")
@option(
    RESULT,
    "--out",
    metavar="DIR",
    default="pandq-demo",
    show_default=True,
    help="The demo's own folder, which this creates.",
)
def demo_command(out: str) -> None:
    """Fit two classifiers to real digits, offline, and audit what they predict."""
    from pandq.demo import run_demo
    from pandq.report.sections.result import sections_of
    from pandq.report.sections.section import interval
    from pandq.report.terminal.sections import show
    from pandq.units import number

    found = run_demo(Path(str(no_dash("--out", out))))
    console = page()
    say("Two classifiers, fitted to half of scikit-learn's digits, audited on the other half.", "")
    say("A. logistic regression")
    show(sections_of(found.regression), console, full=False)
    say("", "B. naive Bayes")
    show(sections_of(found.bayes), console, full=False)
    difference = found.difference
    say(
        "",
        f"On the same rows B's loss is {number(difference.value)} nat {interval(difference)} higher"
        " than A's.",
        "The floor H(P) is the same for both, so it cancels: this is KL(P||B) - KL(P||A).",
    )
    file = shlex.quote(str(found.file))
    say(
        "",
        f"Written: {found.file} and both audits as JSON. Next, on the same file and on yours:",
        f"  pandq inspect {file}",
        f"  pandq audit {file} --p labels:label --q probs:naive_bayes",
        "  pandq audit YOUR_FILE --p KIND:COLUMN --q KIND:COLUMN",
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
