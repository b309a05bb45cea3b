"""What a fit tells a person, and the folder that it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.fit.networks.classifier import NetworkClassifier
from pandq.fit.regressions.bayes import BayesianSoftmaxRegression
from pandq.report.curves import SETS
from pandq.units import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandq.fit.folder import Model

FLOOR_NOTES = {
    "labels": "(one label per row has no entropy: a floor of 0 here does not say that 0 can be"
    " reached; an audit says what can)",
    "counts": "(the floor is the entropy of each row's votes: of few votes it is too low; an audit"
    " bounds it)",
}


def progress_line(row: dict[str, Any], of: int | None = None) -> str:
    """One epoch or step in a line: the loss, its floor and the gap.

    >>> progress_line({"epoch": 2, "train_cross_entropy": 0.5, "train_floor": 0.2, "train_kl": 0.3})
    'epoch 2: cross entropy 0.5000 = floor 0.2000 + gap 0.3000'
    """
    step = "epoch" if "epoch" in row else "step"
    text = f"{step} {row[step]}" + (f"/{of}" if of else "")
    elbo = f" ELBO {number(row['elbo'], 3)}," if "elbo" in row else ""
    text += f":{elbo}" + " cross entropy {} = floor {} + gap {}".format(
        *(number(row[f"train_{what}"]) for what in ("cross_entropy", "floor", "kl"))
    )
    if "valid_kl" in row:
        after = row.get("valid_kl_recalibrated", row["valid_kl"])
        text += f"; set aside {number(row['valid_cross_entropy'])}, gap {number(after)}"
        text += " recalibrated" if "valid_kl_recalibrated" in row else ""
    if "gradient" in row:
        text += f"; gradient {row['gradient']:.1e}"
    return text + (f" ({row['seconds']:.1f} s)" if "seconds" in row else "")


def fitted_lines(model: Model) -> Iterator[str]:
    """What was fitted and how far it came, line by line."""
    kept = next((row for row in model.curve if row.get("best")), model.curve[-1])
    yield from _ended(model, kept)
    if not any(f"{name}_kl" in kept for name in SETS):
        return
    yield ""
    yield f"{'mean over rows, nat':<24}{'cross entropy':>14} = {'floor H(P)':>10} + {'KL(P||Q)':>8}"
    for name, (what, _) in SETS.items():
        if f"{name}_kl" in kept:
            yield _parts(what, *(kept[f"{name}_{x}"] for x in ("cross_entropy", "floor", "kl")))
    if "valid_kl_recalibrated" in kept:
        after, floor = kept["valid_kl_recalibrated"], kept["valid_floor"]
        yield _parts("  after recalibration", after + floor, floor, after)
    if "valid_expected_accuracy" in kept:
        yield f"P at Q's top class, rows set aside: {number(kept['valid_expected_accuracy'])}"
    p_kind = str(model.metadata.get("options", {}).get("p", "")).partition(":")[0]
    if p_kind in FLOOR_NOTES:
        yield FLOOR_NOTES[p_kind]
    if getattr(model.estimator, "augment", "none") != "none":
        yield (
            "(the loss of the rows learnt from is that met during the epoch, on changed pictures)"
        )


def _ended(model: Model, kept: dict[str, Any]) -> Iterator[str]:
    """What the model is, and how its fit ended."""
    names = "" if model.classes is None else f" ({', '.join(model.classes[:10])}"
    names += "" if model.classes is None else (", ...)" if len(model.classes) > 10 else ")")
    yield f"{model.kind}: {model.n_classes} classes{names}"
    if isinstance(model.estimator, BayesianSoftmaxRegression):
        q = model.estimator
        yield (
            f"{len(model.curve)} steps; {q.elbo_} (interval of the draws), KL(q||prior)"
            f" {q.kl_prior_:.2f} nat, {q.covariance} covariance, prior scale {q.prior_scale_:.3g}"
        )
    elif isinstance(model.estimator, NetworkClassifier):
        yield f"kept: epoch {kept['epoch']} of {len(model.curve)}"
    else:
        yield f"{len(model.curve) - 1} Newton steps, gradient {kept['gradient']:.1e}"


def _parts(what: str, loss: float, floor: float, kl: float) -> str:
    return f"{what:<24}{number(loss):>14} = {number(floor):>10} + {number(kl):>8}"
