"""pandq audit."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

from pandq.cli.engines import engine_given, engine_of, engine_options, read_from, refuse_made
from pandq.cli.gating import finish, gate_options, limits
from pandq.cli.groups import INPUT, RESULT, Command, option
from pandq.cli.options import (
    column,
    data_options,
    decompose_option,
    no_dash,
    ordered_option,
    pool_option,
    result_options,
    scan_options,
    taken,
)
from pandq.cli.page import hand_over, progress_shown
from pandq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandq.read.places import Place
    from pandq.read.scan import Scan


@click.command("audit", cls=Command, short_help="How far Q is from P, and why")
@click.argument("files", nargs=-1, required=True)
@data_options()
@column(
    "--best-q",
    "KIND:COLUMN",
    "A better model's predictions, for the upper bound on the floor.",
)
@option(
    INPUT,
    "--multilabel",
    is_flag=True,
    help="Each class is a yes or no of its own, and is audited by itself: P is labels:COLUMN (lists"
    " of those that hold) or probs:COLUMN (0 or 1 for each), Q probs:COLUMN or logits:COLUMN.",
)
@result_options
@decompose_option(
    "Split the loss into floor, grouping loss and calibration loss, or skip that pass. A soft P"
    " that is really N votes divided by N should be given as counts."
)
@option(
    RESULT,
    "--floor",
    type=click.Choice(["auto", "certified", "blind"]),
    default="auto",
    show_default=True,
    help="Bound the floor as far as P allows; insist on votes that certify it; or bound it without"
    " a look at Q, which may then have seen the votes.",
)
@option(
    RESULT,
    "--min-votes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Bound the floor from rows with so many votes or more, and take it for that of all rows:"
    " right where the number of votes says nothing of the row.",
)
@pool_option("row")
@option(
    RESULT,
    "--intervals",
    type=click.Choice(["t", "bootstrap"]),
    default="t",
    show_default=True,
    help="Intervals of averages: Student's t, or a Poisson bootstrap.",
)
@ordered_option("The ranked probability score and its parts too, and maps that respect the order.")
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
def audit_command(files: tuple[str, ...], *, full: bool, progress_how: str, **given: Any) -> None:
    """How far Q is from P in FILES, with intervals, by class and group, and the worst rows.

    FILES are parquet, feather, csv, tsv, jsonl, npy, npz, safetensors or pt, on this machine or at
    s3://, gs://, az://, hf:// or https://; globs and folders are fine.

    \b
        pandq audit preds.parquet --p labels:label --q probs:probs
        pandq audit 'preds/*.parquet' --p counts:votes --q logits:logits --by site
        pandq audit answers.csv --layout long --q 'probs:prob_*'
        pandq audit rollouts.parquet --q sampled:logprob --cluster sequence --per n_bytes
        pandq audit tags.parquet --multilabel --p labels:tags --q 'probs:prob_*'
    """
    from pandq.audits import audit
    from pandq.perplexities import perplexity
    from pandq.read.scan import scan
    from pandq.views import SAMPLED_KIND

    outputs = Outputs(**taken(given, *OUTPUTS))
    asked = taken(given, "max_kl", "max_cross_entropy", "gate_on")
    who = engine_given(given)
    outputs.check(files, given, who["engine"])
    if given["multilabel"]:
        outputs.refuse_of_each()
    rows = scan(list(files), **scan_options(given, "best_q", "multilabel"))
    refuse_made(rows, who["engine"])
    drawn = rows.q.kind == SAMPLED_KIND
    if drawn:
        outputs.refuse_of_draws(asked, taken(given, *OF_PARTS))
    with engine_of(**who) as engine, progress_shown(progress_how) as progress:
        found = perplexity if drawn else audit
        result: Any = found(rows, engine=engine, progress=progress, **given)
    outputs.write(result, rows, read_from(rows, files))
    hand_over(result, outputs.json_file, full=full)
    outputs.refuse_without_map(result)
    held = {"max_cross_entropy": [result.cross_entropy]}
    held |= {} if drawn else {"max_kl": [result.kl]}
    finish(result, limits(held, **asked), quiet=outputs.json_file == "-")


@dataclass(frozen=True, slots=True)
class Outputs:
    """The files that an audit leaves: all of them, or none."""

    json_file: str | None
    html_file: str | None
    items_file: str | None
    recalibrator_file: str | None

    def check(self, files: tuple[str, ...], given: dict[str, Any], engine: str) -> None:
        """Refuse what could not be written at the end, before any work.

        Raises:
            InputError: a name is none, is an input's, or has nothing to be written.
        """
        from pandq.report.markdown import summary_file
        from pandq.store import check_outputs

        named = [
            no_dash("--html", self.html_file),
            no_dash("--items", self.items_file),
            no_dash("--recalibrator", self.recalibrator_file),
        ]
        folders = [given["checkpoint"]]
        check_outputs(files, self.json_file, *named, appended=summary_file(), folders=folders)
        if self.recalibrator_file is not None and not given["decompose"]:
            got = "--no-decompose, which skips it"
            raise InputError(what="--recalibrator has no map to write", got=got)
        if self.items_file is not None and engine != "local":
            raise InputError(
                what="--items writes a line for every row, which only --engine local does",
                got=f"--engine {engine}",
                remedy="Write the items in a run of their own.",
            )

    def refuse_of_draws(self, asked: dict[str, Any], of_parts: dict[str, Any]) -> None:
        """Refuse what log-probabilities of draws have nothing to say of.

        Args:
            asked: limits.
            of_parts: options of the parts of a loss.

        Raises:
            InputError: there is something.
        """
        wanted = {
            "--max-kl": asked["max_kl"] is not None,
            "--items": self.items_file is not None,
            "--recalibrator": self.recalibrator_file is not None,
            "--floor": of_parts["floor"] != "auto",
            "--min-votes": of_parts["min_votes"] != 1,
            "--annotator-pool": of_parts["annotator_pool"] is not None,
            "--ordered": of_parts["ordered"],
        }
        for name, given in wanted.items():
            if given:
                raise InputError(
                    what=f"{name} needs Q in full",
                    got="sampled:COLUMN, which is what Q gave to what was drawn",
                    remedy="Leave it out; --max-cross-entropy limits the loss.",
                )

    def refuse_of_each(self) -> None:
        """Refuse what has no form for classes that are audited each by itself.

        Raises:
            InputError: there is such an output.
        """
        wanted = {"--items": self.items_file, "--recalibrator": self.recalibrator_file}
        for name, given in wanted.items():
            if given is not None:
                what = f"{name} writes what is of all classes together, and --multilabel has none"
                remedy = "Audit a class by itself, or take it from `audits` in Python."
                raise InputError(what, remedy=remedy)

    def write(self, result: Any, rows: Scan, files: Sequence[Place]) -> None:
        """Write them, with the files that the rows come from."""
        from pandq.outputs.items import write_items
        from pandq.report.page.writing import write_report
        from pandq.store import all_or_none, write_json

        with all_or_none():
            if self.items_file is not None:
                write_items(rows, self.items_file, result.trained)
            if self.html_file is not None:
                write_report(result, files, self.html_file, pictured=rows)
            if self.recalibrator_file is not None and result.recalibrator is not None:
                write_json(result.recalibrator.to_dict(), self.recalibrator_file)
            if self.json_file is not None and self.json_file != "-":
                write_json(result.to_dict(), self.json_file)

    def refuse_without_map(self, result: Any) -> None:
        """Say why there is no map, where one was asked for.

        Raises:
            InputError: no map was fitted.
        """
        if self.recalibrator_file is not None and result.recalibrator is None:
            why, where = "; ".join(result.notes), self.recalibrator_file
            raise InputError(what="no recalibration map was fitted", where=where, got=why)


# Options that only a Q in full has a use for.
OF_PARTS = ("decompose", "floor", "min_votes", "annotator_pool", "ordered")
OUTPUTS = tuple(field.name for field in fields(Outputs))
