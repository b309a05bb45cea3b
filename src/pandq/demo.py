"""The demo: real digits, three people's votes of which the truth is known, two classifiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pandq.audits import audit
from pandq.comparisons import compare
from pandq.measure.entropies import entropy, kl_divergence
from pandq.read.columns import as_arrow
from pandq.read.scan import scan
from pandq.store import Own, whole_folder, write_json
from pandq.views import Probs

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from pandq.report.shown import Audit, Comparison

FILE, PAGE = "digits.parquet", "report.html"
FOLDER = Own("audit.json", "pandq/audit/", (FILE, PAGE, "audit.json", "comparison.json"))
VOTES = 3
# How sure people are of the nearest digit, in squared distance of pixels.
BLUR = 0.5


@dataclass(frozen=True, slots=True)
class Demo:
    """What the demo found, and what is true.

    Args:
        votes: the audit of logistic regression on the votes.
        labels: the same on one label per row.
        comparison: naive Bayes against logistic regression, on the votes.
        true_floor: H(P) of the distributions that the votes were drawn from, in nats.
        true_kl: their KL(P||Q) from logistic regression.
    """

    votes: Audit
    labels: Audit
    comparison: Comparison
    true_floor: float
    true_kl: float


def run_demo(folder: Path) -> Demo:
    """Fit two classifiers to half of scikit-learn's digits, and audit them on votes on the rest.

    Args:
        folder: to hold digits.parquet (labels, votes and both predictions), the audit as a page and
            both documents as JSON; an earlier demo's is replaced.

    Returns:
        What was found.

    Raises:
        InputError: the folder cannot be written, or holds something else.
    """
    import pyarrow.parquet as pq

    with whole_folder(folder, FOLDER, replace=True) as part:
        images, y, predictions = held_out_predictions()
        truth = opinions(images, y)
        votes = np.random.default_rng(0).multinomial(VOTES, truth)
        table = _table(y, votes, predictions)
        pq.write_table(table, part / FILE)
        q = "probs:regression"
        found = audit(scan(table, p="counts:votes", q=q))
        one = audit(scan(table, p="labels:one_vote", q=q))
        comparison = compare(scan(table, p="counts:votes", q=[q, "probs:naive_bayes"]))
        write_json(found.to_dict(), part / "audit.json")
        write_json(comparison.to_dict(), part / "comparison.json")
        (part / PAGE).write_text(found.to_html(), encoding="utf-8")
    p, regression = Probs(truth), Probs(predictions["regression"])
    return Demo(
        found,
        one,
        comparison,
        float(entropy(p).mean()),
        float(kl_divergence(p, regression).mean()),
    )


def opinions(images: NDArray[np.float64], y: NDArray[np.int64]) -> NDArray[np.float64]:
    """What people say of each image, by a rule: the nearer a digit's mean image, the more likely.

    Args:
        images: (n, d) pixels.
        y: (n,) the digit of each.

    Returns:
        (n, K) probabilities, softmax of minus the squared distances.
    """
    means = np.stack([images[y == digit].mean(axis=0) for digit in np.unique(y)])
    near = -((images[:, None] - means) ** 2).sum(axis=-1) / BLUR
    shares = np.exp(near - near.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def held_out_predictions() -> tuple[
    NDArray[np.float64], NDArray[np.int64], dict[str, NDArray[np.float64]]
]:
    """Half of the digits with their labels, and what two classifiers fitted to the rest predict."""
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
    return (
        X_held,
        y_held.astype(np.int64),
        {name: model.fit(X_fit, y_fit).predict_proba(X_held) for name, model in models.items()},
    )


def _table(
    y: NDArray[np.int64], votes: NDArray[np.int64], predictions: dict[str, NDArray[np.float64]]
) -> pa.Table:
    """What is written: labels, votes, one vote of each row and what the classifiers predict."""
    import pyarrow as pa

    rng = np.random.default_rng(1)
    one = [int(rng.choice(len(row), p=row / row.sum())) for row in votes]
    lists = {name: as_arrow(q) for name, q in predictions.items()}
    return pa.table({"label": y, "votes": pa.array(votes.tolist()), "one_vote": one, **lists})
