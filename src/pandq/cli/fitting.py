"""pandq fit."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import click

from pandq.cli.engines import engine_given, engine_of, engine_options, read_from, refuse_made
from pandq.cli.groups import INPUT, RESULT, Command, option
from pandq.cli.options import LAID, class_names, ignore_option, no_dash, taken, with_layout
from pandq.cli.page import fit_progress, json_lines
from pandq.cli.streams import say
from pandq.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pandq.engines import Engine
    from pandq.fit.folder import Model
    from pandq.read.feature_scan import FeatureScan

# Which options are of which models, by the names that the library gives them.
OF_NETWORKS = {
    "epochs": "--epochs",
    "batch_size": "--batch-size",
    "lr": "--lr",
    "weight_decay": "--weight-decay",
    "patience": "--patience",
    "augment": "--augment",
    "device": "--device",
}
HOW = ("weights", "where", "ignore_label", "normalise")
LARGEST_SIDE = 1024
READ = ("x", "p", "id", *HOW, "skip_unreadable", *LAID)
OF_SOFTMAX = {"l2": "--l2"}
OF_BAYES = {"covariance": "--covariance", "prior_scale": "--prior-scale"}
OTHERS = {
    "softmax": OF_NETWORKS | OF_BAYES,
    "bayes": OF_NETWORKS | OF_SOFTMAX,
    "mlp": OF_SOFTMAX | OF_BAYES | {"augment": "--augment"},
    "cnn": OF_SOFTMAX | OF_BAYES,
}


@click.command("fit", cls=Command, short_help="Fit Q to P, by divergence, likelihood or ELBO.")
@click.argument("data", nargs=-1, required=True)
@option(
    INPUT,
    "--x",
    metavar="COLUMN",
    help="The features: a column of numeric lists or of pictures ({bytes, path}); several numeric"
    " columns as a,b,c or 'f_*'.",
)
@option(
    INPUT,
    "--p",
    metavar="KIND:COLUMN",
    help="What is true: labels, counts, probs, logprobs or logits; recognised by its name when left"
    " out, and printed.",
)
@option(
    "Model",
    "--model",
    "kind",
    type=click.Choice(["softmax", "bayes", "mlp", "cnn"]),
    help="A softmax regression, a Bayesian one, or a network (networks need torch). Default: cnn"
    " for pictures, softmax for features.",
)
@option(
    RESULT, "--out", metavar="DIR", required=True, help="The model's folder, which this creates."
)
@option(
    INPUT,
    "--valid",
    metavar="FILE|FRACTION",
    help="Validation rows: a file with the same columns, or a share of these rows (default: 0.1 for"
    " a network; it keeps the epoch of least KL on them after recalibration).",
)
@option(
    INPUT,
    "--classes",
    metavar="A,B,...|K",
    help="Class names in order, for labels that are names (default: alphabetical); or how many.",
)
@option(INPUT, "--id", metavar="COLUMN", help="Joins two files DATA of different columns.")
@option(INPUT, "--weights", metavar="COLUMN", help="Column of row weights.")
@option(INPUT, "--where", metavar="SQL", help="Use only rows where this is true: year >= 2024.")
@ignore_option()
@option(
    "Model",
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Random seed of everything that is drawn.",
)
@option(
    "Model", "--l2", type=float, help="softmax: penalty on the standardised coefficients [1.0]."
)
@option(
    "Model",
    "--covariance",
    type=click.Choice(["full", "blocks", "diagonal"]),
    help="bayes: covariance of the posterior over the coefficients [full].",
)
@option(
    "Model",
    "--prior-scale",
    metavar="X|auto",
    help="bayes: scale of the prior on standardised features [1.0].",
)
@option("Model", "--epochs", type=int, help="Networks: passes over the rows [mlp 30, cnn 35].")
@option("Model", "--batch-size", type=int, help="Networks: rows of a step [mlp 128, cnn 64].")
@option("Model", "--lr", type=float, help="Networks: highest learning rate of AdamW [0.003].")
@option(
    "Model",
    "--weight-decay",
    type=float,
    help="Networks: weight decay of AdamW [mlp 0.01, cnn 0.05].",
)
@option(
    "Model",
    "--patience",
    type=int,
    help="Networks: stop after so many epochs without a better one [10].",
)
@option(
    "Model",
    "--augment",
    type=click.Choice(["none", "flip", "crop", "flip-crop"]),
    help="cnn: what is done to pictures while it learns [flip-crop].",
)
@option(INPUT, "--normalise", is_flag=True, help="Divide each row of P by its sum.")
@option("Model", "--image-size", metavar="N|HxW", help="Pictures become this many pixels.")
@option("Model", "--device", metavar="NAME", help="Networks: auto, cpu, cuda ... [auto].")
@engine_options()
@with_layout
@option(INPUT, "--skip-unreadable", is_flag=True, help="Leave out pictures that cannot be decoded.")
@option(RESULT, "--force", is_flag=True, help="Replace a model that is there already.")
def fit_command(
    data: tuple[str, ...],
    *,
    kind: Any,
    out: str,
    valid: str | None,
    seed: int,
    force: bool,
    progress_how: str,
    **given: Any,
) -> None:
    """Fit Q to P: from a table, or a folder of pictures by class, to a model's folder.

    DATA are parquet, feather, csv, tsv or jsonl; or DIR with DIR/cat/*.jpg, DIR/dog/*.jpg.

    \b
        pandq fit train.parquet --x features --p labels:label --out model/
        pandq fit train.parquet --x image --p counts:votes --model cnn --out model/
        pandq fit photos/ --out model/
    """
    from pandq.fit.folder import FOLDER
    from pandq.fit.models import fit_model
    from pandq.fit.networks.training import leads
    from pandq.outputs.model import save_model
    from pandq.read.features import scan_features
    from pandq.report.terminal.fit import fitted_lines
    from pandq.store import check_new_folder, check_outputs

    check_new_folder(str(no_dash("--out", out)), FOLDER, replace=force)
    check_outputs([*data, *([valid] if valid else [])], folders=[out, given["checkpoint"]])
    columns = taken(given, *READ)
    columns |= {
        "classes": class_names(given.pop("classes")),
        "size": _size(given.pop("image_size")),
    }
    who = engine_given(given)
    _require_classes(who, columns)
    rows = scan_features(list(data), **columns)
    refuse_made(rows, who["engine"])
    kind = kind or ("softmax" if rows.size is None else "cnn")
    chosen = _chosen(kind, given)
    say(*rows.notes)
    watched = _watched(valid, rows, columns)
    network = kind in ("mlp", "cnn")
    _refuse_idle(who, network=network)
    with (
        engine_of(**who) as engine,
        fit_progress(chosen.get("epochs"), how=progress_how) as callback,
    ):
        more = {} if network else _passes(engine, who, chosen, progress_how)
        model = fit_model(rows, kind, valid=watched, seed=seed, callback=callback, **chosen, **more)
    if rows.unreadable:
        say(left_out(rows.unreadable))
    made = {"seed": seed, "valid": valid} | {x: columns[x] for x in HOW}
    model.metadata.update(_how(model, rows, data, made, chosen))
    if not leads():
        return
    save_model(model, out, replace=force)
    say(
        *fitted_lines(model),
        "",
        f"{out}: the model, its curve (curve.parquet, curve.svg) and how it was made",
        f"Next: pandq predict {shlex.quote(out)} FILE --out preds.parquet",
    )


def _how(
    model: Model, rows: FeatureScan, files: Any, made: dict[str, Any], chosen: dict[str, Any]
) -> Any:
    """How a model was made: its options, the command, versions and input."""
    from pandq.report.provenance import how

    used = {k: v for k, v in model.estimator.get_params().items() if not callable(v)}
    options = {"p": str(rows.p), **made, **used, **chosen}
    return {"options": options, **how(read_from(rows, files))}


def _require_classes(who: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
    """Where workers read the rows nobody goes through them beforehand to see the classes."""
    p = columns["p"]
    unnamed = columns["classes"] is None and (p is None or p.startswith("labels:"))
    if who["engine"] != "local" and unnamed:
        raise InputError(
            what="with --engine dask the classes of labels are to be named",
            got=f"--p {p}" if p else "no --p",
            remedy="Give --p, and --classes A,B,... or how many there are.",
        )


def _passes(
    engine: Engine, who: Mapping[str, Any], chosen: dict[str, Any], how: str
) -> dict[str, Any]:
    """How a regression goes through its rows; nothing, where it may choose for itself."""
    done = json_lines() if how == "json" else None
    asked = who["engine"] != "local" or who["workers"] or who["cache"] or done
    kept = chosen.get("checkpoint") is not None
    return {"engine": engine, "progress": done} if asked or kept else {}


def _refuse_idle(who: Mapping[str, Any], *, network: bool) -> None:
    """Refuse an engine where a network is trained, which has none."""
    if network and (who["engine"] != "local" or who["workers"] or who["cache"]):
        raise InputError(
            what="an engine goes through the rows of softmax and bayes",
            got="a network",
            remedy="A network is trained on several processes by torchrun.",
        )


def _chosen(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, if they are of this model."""
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if name in OTHERS[kind]:
            remedy = "Leave it out, or name another model with --model."
            raise InputError(what=f"{OTHERS[kind][name]} is not of {kind}", remedy=remedy)
    if given.get("prior_scale", "auto") != "auto":
        try:
            given["prior_scale"] = float(given["prior_scale"])
        except ValueError:
            what = "--prior-scale is a number, or auto"
            raise InputError(what=what, got=given["prior_scale"]) from None
    return given


def _watched(valid: str | None, rows: Any, columns: Mapping[str, Any]) -> Any:
    """--valid as a share, or as the rows of a file."""
    from pandq.read.features import scan_features

    if valid is None:
        return None
    try:
        share = float(valid)
    except ValueError:
        # what was recognised or found in the one must be the same in the other
        same = {**columns, "x": ",".join(rows.columns), "p": str(rows.p), "size": rows.size}
        same["classes"] = rows.classes or rows.n_classes
        return scan_features([valid], **same)
    if not 0 <= share < 1:
        raise InputError(what="--valid is a share between 0 and 1, or a file", got=valid)
    return share


def _size(text: str | None) -> tuple[int, int] | None:
    """--image-size: 32, or 32x48."""
    if text is None:
        return None
    sides = text.lower().split("x")
    fine = len(sides) <= 2 and all(side.isdecimal() for side in sides)
    if not fine or not all(0 < int(side) <= LARGEST_SIDE for side in sides):
        raise InputError(
            what=f"--image-size is a number of pixels, {LARGEST_SIDE} at most",
            got=text,
            remedy="32, or HEIGHTxWIDTH: 32x48.",
        )
    return int(sides[0]), int(sides[-1])


def left_out(names: list[str]) -> str:
    """How many pictures were, and the first of them."""
    few = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"left out, as they cannot be decoded: {len(names)} ({few})"
