"""Mind your P and Q: how far a model's predictions are from the truth, and what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.core.threads import imported

if TYPE_CHECKING:
    from pandq.agreements import votes
    from pandq.audits import audit
    from pandq.calibrations import calibration_error, fit_calibration
    from pandq.comparisons import compare
    from pandq.core.numerics import BFLOAT16
    from pandq.errors import (
        EngineError,
        GateError,
        InputError,
        MissingLibraryError,
        PandqError,
        RowError,
        ViewTypeError,
    )
    from pandq.fit.folder import load_model
    from pandq.fit.models import fit_model
    from pandq.fit.networks.classifier import NetworkClassifier
    from pandq.fit.regressions.bayes import BayesianSoftmaxRegression
    from pandq.fit.regressions.softmax import SoftmaxRegression
    from pandq.inspections import inspect
    from pandq.loops.auditor import Auditor
    from pandq.loops.comparer import Comparer
    from pandq.measure.divergences import (
        alpha_divergence,
        chi2_divergence,
        hellinger_distance,
        jeffreys_divergence,
        js_divergence,
        renyi_divergence,
        total_variation_distance,
    )
    from pandq.measure.entropies import cross_entropy, entropy, kl_divergence, log_loss
    from pandq.measure.scores import (
        brier_score,
        confidence,
        ranked_probability_score,
        top1,
        top_class,
    )
    from pandq.montecarlo import elbo, knn_kl, monte_carlo_kl
    from pandq.outputs.items import items
    from pandq.outputs.model import save_model
    from pandq.outputs.recalibrated import recalibrate
    from pandq.parametric import (
        bernoulli_kl,
        beta_kl,
        categorical_kl,
        dirichlet_kl,
        gamma_kl,
        gaussian_kl,
    )
    from pandq.perplexities import perplexity
    from pandq.read.features import scan_features
    from pandq.read.scan import Scan, scan
    from pandq.read.scan_joined import scan_joined
    from pandq.recalibrator import Recalibrator
    from pandq.report.shown import Agreement, Audit, Comparison, MultiLabelAudit, Perplexity
    from pandq.results.estimate import Estimate
    from pandq.results.gates import Gate, require
    from pandq.sklearn.calibrated import CalibratedClassifier
    from pandq.sklearn.scorers import scorer
    from pandq.views import (
        Counts,
        Ensemble,
        Labels,
        Linear,
        Logits,
        LogProbs,
        MultiLabel,
        Probs,
        Sampled,
        TopK,
        View,
        Votes,
        kl_bounds,
    )

__version__ = "0.1.0"

# Where each public name lives; it is imported when it is first asked for.
_HOMES = {
    "agreements": ("votes",),
    "audits": ("audit",),
    "calibrations": ("calibration_error", "fit_calibration"),
    "comparisons": ("compare",),
    "core.numerics": ("BFLOAT16",),
    "errors": (
        "EngineError",
        "GateError",
        "InputError",
        "MissingLibraryError",
        "PandqError",
        "RowError",
        "ViewTypeError",
    ),
    "fit.folder": ("load_model",),
    "fit.models": ("fit_model",),
    "fit.networks.classifier": ("NetworkClassifier",),
    "fit.regressions.bayes": ("BayesianSoftmaxRegression",),
    "fit.regressions.softmax": ("SoftmaxRegression",),
    "inspections": ("inspect",),
    "loops.auditor": ("Auditor",),
    "loops.comparer": ("Comparer",),
    "measure.divergences": (
        "alpha_divergence",
        "chi2_divergence",
        "hellinger_distance",
        "jeffreys_divergence",
        "js_divergence",
        "renyi_divergence",
        "total_variation_distance",
    ),
    "measure.entropies": (
        "cross_entropy",
        "entropy",
        "kl_divergence",
        "log_loss",
    ),
    "measure.scores": (
        "brier_score",
        "confidence",
        "ranked_probability_score",
        "top1",
        "top_class",
    ),
    "montecarlo": (
        "elbo",
        "knn_kl",
        "monte_carlo_kl",
    ),
    "outputs.items": ("items",),
    "outputs.model": ("save_model",),
    "outputs.recalibrated": ("recalibrate",),
    "parametric": (
        "bernoulli_kl",
        "beta_kl",
        "categorical_kl",
        "dirichlet_kl",
        "gamma_kl",
        "gaussian_kl",
    ),
    "perplexities": ("perplexity",),
    "read.scan_joined": ("scan_joined",),
    "recalibrator": ("Recalibrator",),
    "read.features": ("scan_features",),
    "read.scan": (
        "Scan",
        "scan",
    ),
    "report.shown": (
        "Agreement",
        "Audit",
        "Comparison",
        "MultiLabelAudit",
        "Perplexity",
    ),
    "results.estimate": ("Estimate",),
    "results.gates": ("Gate", "require"),
    "sklearn.calibrated": ("CalibratedClassifier",),
    "sklearn.scorers": ("scorer",),
    "views": (
        "Counts",
        "Ensemble",
        "Labels",
        "Linear",
        "LogProbs",
        "Logits",
        "MultiLabel",
        "Probs",
        "Sampled",
        "TopK",
        "View",
        "Votes",
        "kl_bounds",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: PLE0604
    "__version__",
    *sorted(_HOME_OF),
]


# Rooms of names of their own, imported when they are first asked for.
_ROOMS = ("torch", "engines", "loops")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return imported(f"pandq.{name}")
    if name not in _HOME_OF:
        msg = f"module 'pandq' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(imported(f"pandq.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
