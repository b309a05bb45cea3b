"""The demo: two real classifiers on real digits, offline, audited on rows they never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.audits import audit
from pandq.comparisons import compare
from pandq.read.columns import as_arrow
from pandq.read.scan import scan
from pandq.store import Own, whole_folder, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pandq.results.audit import Audit
    from pandq.results.estimate import Estimate

FILE = "digits.parquet"
FOLDER = Own("regression.json", "pandq/audit/", (FILE, "regression.json", "naive_bayes.json"))


@dataclass(frozen=True, slots=True)
class Demo:
    """Both audits, and the paired difference of their losses."""

    regression: Audit
    bayes: Audit
    difference: Estimate
    file: Path


def run_demo(folder: Path) -> Demo:
    """Fit two classifiers to scikit-learn's digits and audit their held-out predictions.

    Args:
        folder: to hold digits.parquet (labels and both predictions) and the audits as JSON; an
            earlier demo's is replaced.

    Returns:
        What was found.

    Raises:
        InputError: the folder cannot be written, or holds something else.
    """
    with whole_folder(folder, FOLDER, replace=True) as part:
        y, predictions = held_out_predictions()
        file = part / FILE
        _write_predictions(y, predictions, file)
        audits = {
            name: audit(scan(file, p="labels:label", q=f"probs:{name}")) for name in predictions
        }
        for name, result in audits.items():
            write_json(result.to_dict(), part / f"{name}.json")
        both = scan(file, p="labels:label", q=["probs:regression", "probs:naive_bayes"])
        difference = compare(both, decompose=False).differences[0].cross_entropy
    return Demo(audits["regression"], audits["naive_bayes"], difference, folder / FILE)


def held_out_predictions() -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """Labels of half of the digits, and what two classifiers fitted to the other half predict."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.naive_bayes import GaussianNB

    X, y = load_digits(return_X_y=True)
    X_fit, X_held, y_fit, y_held = train_test_split(
        X / 16.0, y, test_size=0.5, random_state=0, stratify=y
    )
    models: dict[str, Any] = {
        "regression": LogisticRegression(max_iter=1000),
        "naive_bayes": GaussianNB(var_smoothing=0.1),
    }
    return y_held.astype(np.int64), {
        name: model.fit(X_fit, y_fit).predict_proba(X_held) for name, model in models.items()
    }


def _write_predictions(
    y: NDArray[np.int64], predictions: dict[str, NDArray[np.float64]], file: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    lists = {name: as_arrow(q) for name, q in predictions.items()}
    pq.write_table(pa.table({"label": y, **lists}), file)
