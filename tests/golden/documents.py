"""The documents of small audits, comparisons and fits, whose every value is kept in this folder.

A change that means to change no number shows here that it changed none; one that means to change
some shows which. `python -m tests.golden` writes the folder anew.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa

import pandq

FOLDER = Path(__file__).parent
N, K = 160, 3


@cache
def made():
    """A truth, a sharpened and a blurred Q of it, and what was drawn from the truth."""
    draw = np.random.default_rng(7)
    truth = draw.dirichlet(np.full(K, 0.6), N)
    sharp = truth**1.6 / (truth**1.6).sum(axis=1, keepdims=True)
    blurred = 0.7 * truth + 0.3 * draw.dirichlet(np.ones(K), N)
    return {
        "truth": truth,
        "sharp": sharp,
        "blurred": blurred,
        "certain": np.where(truth.max(axis=1, keepdims=True) == truth, 1.0, 0.0),
        "labels": np.array([draw.choice(K, p=row) for row in truth]),
        "votes": np.array([draw.multinomial(draw.integers(1, 6), row) for row in truth]),
        "members": np.stack([sharp, blurred, np.full((N, K), 1 / K)], axis=1),
        "site": np.array(["north", "south", "west"])[np.arange(N) % 3],
        "patient": np.arange(N) // 4,
        "weights": draw.uniform(0.5, 2.0, N),
        "features": np.log(truth) @ draw.normal(size=(K, 4)),
    }


def audit_of(p, q, **options):
    """An audit that shows few rows."""
    return pandq.audit(p, q, worst=3, **options)


def audits():
    """One audit of each kind of P and Q, and of each thing that rows may bring."""
    d = made()
    labels, votes = pandq.Labels(d["labels"]), pandq.Counts(d["votes"])
    truth, sharp = pandq.Probs(d["truth"]), pandq.Probs(d["sharp"])
    logits = pandq.Logits(np.log(d["sharp"]).astype(np.float32))
    several = d["votes"].sum(axis=1) > 1
    members = pandq.Ensemble([pandq.Probs(d["members"][:, m]) for m in range(3)])
    rows = {"by": {"site": d["site"]}, "cluster": d["patient"]}
    return {
        "labels": lambda: audit_of(labels, sharp),
        "labels-logits-bits": lambda: audit_of(labels, logits, unit="bit", level=0.9),
        "votes": lambda: audit_of(votes, sharp),
        "soft-labels": lambda: audit_of(truth, pandq.Probs(d["blurred"])),
        "groups-and-clusters": lambda: audit_of(votes, sharp, **rows),
        "weights": lambda: audit_of(labels, sharp, weights=d["weights"]),
        "bootstrap": lambda: audit_of(labels, sharp, intervals="bootstrap"),
        "ensemble": lambda: audit_of(truth, members, by={"site": d["site"]}),
        "infinite-rows": lambda: audit_of(votes, pandq.Probs(d["certain"])),
        "better-q": lambda: audit_of(labels, pandq.Probs(d["blurred"]), best_q=truth),
        "ordered": lambda: audit_of(votes[several], sharp[several], ordered=True),
        "averages-alone": lambda: audit_of(votes, sharp, decompose=False),
    }


def multilabels():
    """An audit of two classes, each a yes or no of its own."""
    d = made()
    p = pandq.MultiLabel.probs(d["votes"][:, :2] > 1)
    q = pandq.MultiLabel.logits(2 * np.log(d["sharp"][:, :2]))
    return {"multilabel": lambda: audit_of(p, q, cluster=d["patient"])}


def comparisons():
    """Comparisons of two models, of a copy with its reference, and of a part of a distribution."""
    d = made()
    labels = pandq.Labels(d["labels"])
    sharp, blurred = pandq.Probs(d["sharp"]), pandq.Probs(d["blurred"])
    rows = {"by": {"site": d["site"]}, "cluster": d["patient"]}
    reference = pandq.Logits(np.log(d["truth"]).astype(np.float32))
    order = np.argsort(-d["truth"], axis=1, kind="stable")[:, :2]
    p_drawn, q_drawn = (
        pandq.Sampled(np.log(np.maximum(d[name][np.arange(len(d["labels"])), d["labels"]], 1e-9)))
        for name in ("truth", "blurred")
    )
    top = pandq.TopK(order, np.log(np.take_along_axis(d["truth"], order, axis=1)), K)
    return {
        "two-models": lambda: pandq.compare(labels, sharp, blurred, **rows),
        "ordered-models": lambda: pandq.compare(labels, sharp, blurred, ordered=True),
        "an-infinite-model": lambda: pandq.compare(labels, sharp, pandq.Probs(d["certain"])),
        "a-copy": lambda: pandq.compare(reference, blurred, labels=labels),
        "a-control": lambda: pandq.compare(reference, blurred, control=sharp, cluster=d["patient"]),
        "top-k": lambda: pandq.compare(top, blurred, sharp),
        "top-k-labels": lambda: pandq.compare(top, blurred, labels=labels),
        "draws": lambda: pandq.compare(p_drawn, q_drawn, cluster=d["patient"]),
    }


def of_documents():
    """Two models, of which one cuts the text finer, on the same documents but for one of each."""
    d = made()
    draw = np.random.default_rng(13)

    def scan(step, documents):
        columns = {"document": [], "n_bytes": [], "logprob": []}
        for place in range(0, N, step):
            document = int(d["patient"][place]) // 4
            if document in documents:
                columns["document"].append(f"text {document}")
                columns["n_bytes"].append(3 * step)
                columns["logprob"].append(-float(draw.gamma(3)) * step)
        q = "sampled:logprob"
        return pandq.scan(pa.table(columns), q=q, cluster="document", per="n_bytes")

    scans = (1, range(9)), (2, range(1, 10))
    return {"documents": lambda: pandq.compare(*(scan(*x) for x in scans), worst=3)}


def agreements():
    """What votes say by themselves: of nine annotators, and of counts alone."""
    d = made()
    draw = np.random.default_rng(11)
    who = np.array([draw.choice(9, 4, replace=False) for _ in range(N)])
    said = np.array([draw.choice(K, 4, p=row) for row in d["truth"]])
    said[who == 8] = draw.integers(K, size=(who == 8).sum())
    rows = pandq.Votes(said.tolist(), who.tolist(), classes=["red", "green", "blue"])
    return {
        "votes-of-annotators": lambda: pandq.votes(rows, worst=3),
        "votes-alone": lambda: pandq.votes(pandq.Counts(d["votes"]), unit="bit", worst=3),
    }


def perplexities():
    """What log-probabilities of draws say of one model."""
    d = made()
    drawn = np.log(d["blurred"][np.arange(N), d["labels"]])
    never = np.where(np.arange(N) == 7, -np.inf, drawn)
    rows = {"by": {"site": d["site"]}, "cluster": d["patient"], "n_bytes": 1 + np.arange(N) % 5}
    return {
        "draws-of-one": lambda: pandq.perplexity(pandq.Sampled(drawn), worst=3, **rows),
        "draws-forbidden": lambda: pandq.perplexity(pandq.Sampled(never), unit="bit", worst=3),
    }


def fits():
    """What a regression learns from labels and from votes."""
    d = made()

    def fit(p, model):
        return {"coef": model.fit(d["features"], p).coef_.tolist()}

    return {
        "fit-labels": lambda: fit(d["labels"], pandq.SoftmaxRegression()),
        "fit-votes": lambda: fit(pandq.Counts(d["votes"]), pandq.SoftmaxRegression()),
        "fit-bayes": lambda: fit(d["labels"], pandq.BayesianSoftmaxRegression()),
    }


RESULTS = {**audits(), **comparisons(), **of_documents(), **agreements()}
RESULTS |= {**perplexities(), **multilabels()}
DOCUMENTS = {name: lambda name=name: result(name).to_dict() for name in RESULTS} | fits()


@cache
def result(name):
    """The result of a name, for whoever looks at more than its document."""
    return RESULTS[name]()


def kept(name):
    """The document as it was."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def write(name):
    """Keep the document as it is now."""
    text = json.dumps(DOCUMENTS[name](), indent=1, allow_nan=False)
    (FOLDER / f"{name}.json").write_text(f"{text}\n")
