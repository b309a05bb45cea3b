"""pandq compare."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from pandq.cli.engines import engine_given, engine_of, engine_options, refuse_made
from pandq.cli.gating import a_number, finish, gate_options, limits
from pandq.cli.groups import GATES, INPUT, Command, option
from pandq.cli.options import (
    data_options,
    decompose_option,
    no_dash,
    ordered_option,
    result_options,
    scan_options,
    taken,
)
from pandq.cli.page import hand_over, progress_shown
from pandq.errors import InputError

if TYPE_CHECKING:
    from pandq.read.scan import Scan
    from pandq.results.comparison import Comparison
    from pandq.results.estimate import Estimate
    from pandq.results.gates import Gate, GateOn


KLD = ".kld"


def a_quantile(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, float]:
    """SHARE=X, as often as it was given."""
    found = {}
    for text in given:
        try:
            share, limit = map(float, text.split("="))
        except ValueError:
            what, remedy = (
                f"{parameter.opts[0]} is SHARE=X",
                f"Write {parameter.opts[0]} 0.999=0.1.",
            )
            raise InputError(what, got=text, remedy=remedy) from None
        found[f"{share:g}"] = a_number(context, parameter, limit) or 0.0
    return found


@click.command("compare", cls=Command, short_help="Is one model better, or a copy the same?")
@click.argument("files", nargs=-1, required=True)
@data_options(several=True)
@option(
    INPUT,
    "--labels",
    metavar="COLUMN",
    help="Labels (next tokens) beside a P that is a reference's, for perplexities.",
)
@option(
    INPUT,
    "--control",
    metavar="KIND:COLUMN|FILE",
    help="The reference run a second time (a .kld file beside others): its own divergence, and the"
    " excess of each --q's over it.",
)
@option(
    INPUT,
    "--id-duplicates",
    type=click.Choice(["refuse", "first"]),
    default="refuse",
    show_default=True,
    help="What to do with duplicate ids in a file that is joined.",
)
@option(
    INPUT,
    "--baseline",
    "baseline_file",
    metavar="FILE",
    help="An earlier audit's JSON as the model to compare with: unpaired.",
)
@option(
    INPUT,
    "--q-floor",
    type=float,
    metavar="X",
    help="For topk: a probability that Q gives every class at least.",
)
@option(
    INPUT,
    "--rounded",
    type=click.IntRange(0, 12),
    metavar="DECIMALS",
    help="The probabilities were rounded to so many digits behind the point: give bounds that hold"
    " whatever they were before.",
)
@option(
    INPUT,
    "--incomplete",
    is_flag=True,
    help="For topk: the classes given need not be each row's most probable ones.",
)
@result_options
@decompose_option("Split differences into grouping and calibration loss, or skip that pass.")
@ordered_option("The ranked probability score too, and maps that respect the order.")
@gate_options
@option(
    GATES,
    "--max-regression",
    type=float,
    callback=a_number,
    metavar="X",
    help="Exit with 1 if a model's loss may exceed the first's (or the baseline's) by more than X.",
)
@option(
    GATES,
    "--max-kl-excess",
    type=float,
    callback=a_number,
    metavar="X",
    help="Exit with 1 if a copy's KL may exceed the control's by more than X.",
)
@option(
    GATES,
    "--min-same-top",
    type=float,
    callback=a_number,
    metavar="X",
    help="Exit with 1 if a copy may share its reference's top class in less than this of rows.",
)
@option(
    GATES,
    "--max-ppl-ratio",
    type=float,
    callback=a_number,
    metavar="X",
    help="Exit with 1 if PPL(Q)/PPL(base) of the labels may be above X.",
)
@option(
    GATES,
    "--max-kl-quantile",
    multiple=True,
    callback=a_quantile,
    metavar="SHARE=X",
    help="Exit with 1 if a copy's quantile of KL over rows may be above X: 0.999=0.1.",
)
@engine_options()
def compare_command(
    files: tuple[str, ...],
    *,
    baseline_file: str | None,
    html_file: str | None,
    json_file: str | None,
    full: bool,
    progress_how: str,
    **given: Any,
) -> None:
    """Is B better than A, or the same? Is a copy true to its reference? The first --q is A.

    Two FILES with --id are joined: the second one's columns are other.NAME, and a single --q is
    taken from both. With --cluster and --per, FILES that each have one model's --q of --p labels
    (or sampled:COLUMN) are paired by document: their tokenizers may differ. Otherwise FILES are one
    table, as for audit.

    \b
        pandq compare preds.parquet --p labels:label --q probs:old --q probs:new
        pandq compare old.parquet new.parquet --id image --p labels:label --q probs:probs
        pandq compare preds.parquet --p logits:teacher --q logits:student --labels token
        pandq compare base.kld small.kld --control again.kld
        pandq compare a.parquet b.parquet --q sampled:logprob --cluster document --per n_bytes
        pandq compare rollouts.parquet --p sampled:sampler --q sampled:trainer --cluster sequence
    """
    from pandq.comparisons import compare
    from pandq.documents import read_document
    from pandq.read.paths import expanded
    from pandq.report.markdown import summary_file
    from pandq.report.page.writing import write_report
    from pandq.results.audit import Audit
    from pandq.store import all_or_none, check_outputs, write_json

    check_outputs(
        [*files, *filter(None, [baseline_file])],
        json_file,
        no_dash("--html", html_file),
        appended=summary_file(),
        folders=[given["checkpoint"]],
    )
    old = None
    if baseline_file is not None:
        old = read_document(baseline_file, Audit.KIND, Audit.written_by())
    asked = taken(given, "max_kl", "max_cross_entropy", "max_regression", "gate_on", *OF_COPIES)
    quantiles = given.pop("max_kl_quantile")
    who = engine_given(given)
    files = with_control(files, given)
    scans = of_models(files, given) or [comparison_rows(files, given)]
    for rows in scans:
        refuse_made(rows, who["engine"])
    with engine_of(**who) as engine, progress_shown(progress_how) as progress:
        result = compare(*scans, baseline=old, engine=engine, progress=progress, **given)
    _refuse_idle(result, asked)
    more = _of_quantiles(result, quantiles, asked["gate_on"])
    with all_or_none():
        if html_file is not None:
            write_report(result, expanded(list(files)), html_file)
        if json_file is not None and json_file != "-":
            write_json(result.to_dict(), json_file)
    hand_over(result, json_file, full=full)
    finish(result, [*limits(_held(result), **asked), *more], quiet=json_file == "-")


# Limits on a copy of a reference.
OF_COPIES = ("min_same_top", "max_ppl_ratio", "max_kl_excess")


def _refuse_idle(result: Comparison, asked: dict[str, Any]) -> None:
    """Refuse a limit on differences where there are none, or on copies where there are none."""
    if asked["min_same_top"] is not None and not result.from_reference:
        what = "--min-same-top needs a P that is a reference's distribution"
        raise InputError(what, got=f"P is {result.p_kind}")
    if asked["max_ppl_ratio"] is not None and not any(x.tokens for x in result.from_reference):
        what = "--max-ppl-ratio needs a reference's distribution and --labels"
        raise InputError(what, got=f"P is {result.p_kind}")
    if asked["max_cross_entropy"] is not None and any(x.labels is None for x in result.bounds):
        what, remedy = "--max-cross-entropy of bounds needs labels", "Give --labels, or --max-kl."
        raise InputError(what, remedy=remedy)
    if asked["max_kl_excess"] is not None and result.control is None:
        what, remedy = "--max-kl-excess needs the reference run a second time", "Give --control."
        raise InputError(what, remedy=remedy)
    others = next((x for x in result.sampled if x.of_others), None)
    if asked["max_kl"] is not None and others is not None:
        raise InputError(
            what="--max-kl has no divergence to limit: what was drawn is not P's",
            got=f"a mean of ln p/q of {others.k1.value:.4g}",
            remedy="P is what drew: are --p and --q the wrong way round?",
        )
    apart = result.differences or result.difference_bounds or result.by_document
    if result.by_document and any(
        asked[name] is not None for name in ("max_kl", "max_cross_entropy")
    ):
        what = (
            "models that are paired by document are limited by --max-regression, in bits per byte"
        )
        raise InputError(what)
    if asked["max_regression"] is not None and not apart:
        what, remedy = "--max-regression needs a second model", "Give a second --q, or --baseline."
        if result.bounds:
            what, remedy = "--max-regression has nothing to say of bounds", "Use --max-kl."
        raise InputError(what=what, remedy=remedy)


def _held(result: Comparison) -> dict[str, list[Estimate]]:
    """What each limit is compared with, by names that tell the models apart."""
    models, apart = result.models, result.differences or result.difference_bounds
    texts = result.by_document.differences if result.by_document else ()
    return {
        "max_kl": [
            *(replace(x.kl, name=f"kl of {x.q}") for x in models or result.bounds),
            *(replace(x.k1, name=f"k1 of {x.q}") for x in result.sampled),
        ],
        "max_cross_entropy": [
            *(
                replace(x.cross_entropy, name=f"cross entropy of {x.q}")
                for x in models or result.sampled
            ),
            *(
                replace(x.labels.within["cross_entropy"], name=f"cross entropy of {x.q}")
                for x in result.bounds
                if x.labels is not None
            ),
        ],
        "max_kl_excess": [
            replace(x.kl_excess, name=f"excess of {x.q} over the control")
            for x in result.from_reference
            if x.kl_excess is not None
        ],
        "min_same_top": [
            replace(x.same_top1, name=f"same top class of {x.q}") for x in result.from_reference
        ],
        "max_ppl_ratio": [
            replace(x.tokens.perplexity_ratio, name=f"PPL ratio of {x.q}")
            for x in result.from_reference
            if x.tokens is not None
        ],
        "max_regression": [
            *(replace(x.cross_entropy, name=f"{x.q} less {x.against}") for x in apart),
            *(replace(x.bits_per_byte, name=f"{x.q} less {x.against}") for x in texts),
        ],
    }


def _of_quantiles(result: Comparison, asked: dict[str, float], gate_on: GateOn) -> list[Gate]:
    """A limit on a quantile of each copy's KL."""
    from pandq.results.gates import Gate

    if asked and not result.from_reference:
        what = "--max-kl-quantile needs a P that is a reference's distribution"
        raise InputError(what, got=f"P is {result.p_kind}")
    found = []
    for share, limit in asked.items():
        for x in result.from_reference:
            held = x.kl_quantile(share)
            held = replace(held, name=f"{held.name} of {x.q}")
            found.append(Gate(f"--max-kl-quantile {share}=", limit, held, gate_on))
    return found


def with_control(files: tuple[str, ...], given: dict[str, Any]) -> tuple[str, ...]:
    """The files with that of a control after them, where it is one.

    Raises:
        InputError: it stands beside others than logits files.
    """
    control = given["control"]
    if control is None or not control.endswith(KLD):
        return files
    if given["q"] or not all(file.endswith(KLD) for file in files):
        what, got = "a control's file stands beside logits files alone", f"--control {control}"
        raise InputError(what, got=got, remedy="Name its column: --control KIND:COLUMN.")
    return (*files, control)


def of_models(files: tuple[str, ...], given: dict[str, Any]) -> list[Scan]:
    """The rows of each file, where each is of a model with rows of its own; else none.

    One Q of labels, or of what was drawn, has nothing in the same table to be compared with.
    """
    from pandq.estimate.passes import drawn_alone

    paired = given["per"] and given["cluster"] and not given["id"]
    if len(files) < 2 or not paired or len(given["q"]) > 1:
        return []
    first = comparison_rows(files[:1], dict(given))
    if not (drawn_alone(first) or first.p.kind == "labels"):
        return []
    others = [comparison_rows((file,), dict(given)) for file in files[1:-1]]
    return [first, *others, comparison_rows(files[-1:], given)]


def comparison_rows(files: tuple[str, ...], given: dict[str, Any]) -> Scan:
    """The rows of P and of every Q, of one table or of two that an id joins."""
    from pandq.read.scan import scan
    from pandq.read.scan_joined import scan_joined

    duplicates = given.pop("id_duplicates")
    options = scan_options(given, "labels", "rounded", "control")
    options["complete"] = not given.pop("incomplete")
    q = options.pop("q")
    if len(files) > 1 and not q and all(file.endswith(KLD) for file in files):
        q = _of_logits_files(files, options)
    if len(files) == 2 and options["id"]:
        options["vote_duplicates"] = options.pop("duplicates")
        options["first_votes"] = options.pop("first")
        return scan_joined(*files, q=q, duplicates=duplicates, **options)
    if options["id"] and len(files) > 2:
        what, got = "two files are joined by an id", f"{len(files)} files"
        raise InputError(what, got=got, remedy="Several files that are one table: a glob.")
    if duplicates != "refuse":
        raise InputError("--id-duplicates is for two files that --id joins")  # noqa: EM101
    try:
        return scan(list(files), q=q or None, **options)
    except InputError as error:
        if len(files) == 2 and not options["id"] and "column" in error.what:
            error.remedy += " Two files of different columns are joined by --id COLUMN."
        raise


def _of_logits_files(files: tuple[str, ...], options: dict[str, Any]) -> tuple[str, ...]:
    """Read llama.cpp's logits files: the first is the reference, its tokens are the labels."""
    import numpy as np

    from pandq.read.arrays import ArrayColumns
    from pandq.read.paths import expanded

    source = ArrayColumns(expanded(files))
    first, *others = source.stems
    for stem in others:
        sizes = [source.arrays[f"{name}.logits"].shape[1] for name in (first, stem)]
        if sizes[0] != sizes[1]:
            got = f"{sizes[0]:,} and {sizes[1]:,} tokens"
            what = "the files have different vocabularies"
            raise InputError(what, where=source.name, got=got)
        if not np.array_equal(source.arrays[f"{first}.token"], source.arrays[f"{stem}.token"]):
            what = "the files score different tokens: they are not of the same text"
            raise InputError(what, where=source.name)
    options["p"] = options["p"] or f"logits:{first}.logits"
    options["labels"] = options["labels"] or f"{first}.token"
    columns = [f"logits:{stem}.logits" for stem in others]
    if (options["control"] or "").endswith(KLD):
        *columns, options["control"] = columns
    return tuple(columns)
