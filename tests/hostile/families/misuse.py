"""Misuse from Python: what stands where an array, a view or an option should.

A refusal is one of pandq's own errors; anything else that is raised is a crash. What is right is
NumPy's, from what `np.asarray` makes of the same thing.
"""

from __future__ import annotations

import copy
import io
import os
import pickle
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import pandq
from tests.hostile import truth
from tests.hostile.case import Build, Case, Given
from tests.hostile.families.wrong_arrays import PROBS, THINGS, Call, Found, K, N, wrong_arrays
from tests.hostile.judge import judged
from tests.hostile.nursery import command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAMILY = "misuse"

MEASURES = [
    name for home, names in pandq._HOMES.items() if home.startswith("measure.") for name in names
]
ONE = ("entropy", "top_class", "confidence")
PAIRS: dict[str, tuple[Any, Any]] = {
    "bare arrays": (PROBS, PROBS),
    "other rows": (pandq.Probs(PROBS), pandq.Probs(PROBS[:2])),
    "other classes": (pandq.Probs(PROBS), pandq.Probs([[0.5, 0.5]] * N)),
    "None": (None, None),
    "a view and text": (pandq.Probs(PROBS), "probs"),
    "labels alone": (pandq.Labels([0, 1]), pandq.Labels([0, 1])),
    "a class of views": (pandq.Probs, pandq.Probs),
    "lists of views": ([pandq.Probs(PROBS)], [pandq.Probs(PROBS)]),
}


def _measures() -> Iterator[Found]:
    for name in MEASURES:
        # looked up when called: a measure may have another name by then
        def call(*views: Any, _name: str = name, **more: Any) -> Any:
            found = getattr(pandq, _name, None) or getattr(pandq, f"{_name}_distance")
            given = {"alpha": 0.5} if _name in ("renyi_divergence", "alpha_divergence") else {}
            return {"value": found(*views, **{**given, **more}).tolist()}

        for called, (p, q) in PAIRS.items():
            views = (p,) if name in ONE else (p, q)
            single = name in ONE and isinstance(p, pandq.View)
            yield (
                f"{name} of {called}",
                lambda c=call, v=views: c(*v),
                {"answer": "may" if single else "never"},
            )
    for alpha in (0.0, 1.0, -1.0, np.nan, np.inf, 1e308, 1e-320, "half", None, [0.5], 2**80, 1j):
        for name in ("renyi_divergence", "alpha_divergence"):
            yield (
                f"{name} with alpha {alpha!r}",
                lambda n=name, a=alpha: {
                    "value": getattr(pandq, n)(
                        pandq.Probs(PROBS), pandq.Probs(PROBS[::-1]), alpha=a
                    ).tolist()
                },
                {"answer": "may"},
            )
    for unit in ("bits", "", None, 2, "NAT", b"bit", ["nat"], np.nan):
        yield (
            f"entropy in {unit!r}",
            lambda u=unit: pandq.entropy(pandq.Probs(PROBS), unit=u).tolist(),
            {"answer": "never"},
        )


OPTIONS: dict[str, list[Any]] = {
    "by": [[1], {"a": [1]}, {"a": None}, {1: [0] * N}, "site", {"a": [[1]] * N}, {"a": [None] * N}],
    "cluster": [[1], None, "unit", [None] * N, [[1]] * N, [np.nan] * N, 7],
    "ids": [[1], "id", [None] * N, [0] * N, [[1]] * N, 7],
    "weights": [[1], *([w] * N for w in (-1, np.nan, 0, "1", [1], 1e308, True)), "w"],
    "level": [0, 1, -1, 2, np.nan, np.inf, "0.95", None, [0.9], 1 - 1e-17, 1e-300, True],
    "seed": [-1, 2**64, 1.5, "0", None, np.nan, [1], True],
    "worst": [-1, 10**12, 1.5, "ten", None, np.nan, True],
    "floor": ["", None, "AUTO", 1, ["auto"], b"auto"],
    "intervals": ["", None, "exact", 1, ["t"]],
    "unit": ["", None, "nats", 1, ["nat"]],
    "classes": [["a"], "abc", [1, 2, 3], None, ["a", "a", "b"], 3, [None] * 3, list("abcd")],
    "best_q": [PROBS, None, "best", pandq.Probs(PROBS[:2]), pandq.Labels([0] * N)],
    "engine": ["local", 7, object()],
    "checkpoint": ["kept", 7, ""],
    "progress": ["bar", 7],
}  # fmt: skip


def _audit_options() -> Iterator[Found]:
    label = [0, 1, 2, 1]
    right = truth.losses(truth.one_hot(label, K), np.log(PROBS))
    for option, values in OPTIONS.items():
        for value in values:
            known = {} if option in ("weights", "unit") else right
            told = repr(value) if len(repr(value)) < 40 else f"{repr(value)[:37]}..."
            told = "an object" if " at 0x" in told else told
            yield (
                f"audit with {option} {told}",
                lambda o=option, v=value: pandq.audit(
                    pandq.Labels(label, 3), pandq.Probs(PROBS), **{o: v}
                ).to_dict(),
                {"truth": known, "answer": "may"},
            )


SCANS: dict[str, Any] = {
    "nothing": {},
    "a number as P": {"p": 7},
    "a list as P": {"p": ["labels:label"]},
    "no colon": {"p": "label"},
    "two colons": {"p": "labels:label:x"},
    "Q as a number": {"q": 7},
    "Q as no list": {"q": []},
    "Q as None in a list": {"q": [None]},
    "by a number": {"by": 7},
    "by numbers": {"by": [7]},
    "by the same twice": {"by": ["label", "label"]},
    "classes below zero": {"classes": -1},
    "no classes": {"classes": []},
    "a billion classes": {"classes": 10**9},
    "classes that are a fraction": {"classes": 2.5},
    "classes that are text": {"classes": "abc"},
    "classes that are numbers": {"classes": [0, 1, 2]},
    "a condition that is a number": {"where": 1},
    "a condition that is text of nothing": {"where": ""},
    "a tolerance below zero": {"tolerance": -1.0},
    "a tolerance that is NaN": {"tolerance": float("nan")},
    "a tolerance that is endless": {"tolerance": float("inf")},
    "a tolerance in words": {"tolerance": "small"},
    "normalise by a word": {"normalise": "q"},
    "normalise what is not there": {"normalise": ["x"]},
    "a cluster that is a list": {"cluster": ["label"]},
    "an id that is a number": {"id": 7},
    "weights that are a list": {"weights": [1.0]},
}
SOURCES: dict[str, Any] = {
    "None": None,
    "a number": 7,
    "an array": PROBS,
    "a dict": {"label": [0], "probs": [[1.0]]},
    "an empty list": [],
    "a list of numbers": [7],
    "a list of a path and a number": ["x.csv", 7],
    "bytes": b"x.csv",
    "a path of NUL": "a\x00b.csv",
    "an open file": io.BytesIO(b"label"),
    "a class": Path,
}


def _scans() -> Iterator[Found]:
    def table() -> Any:
        import pyarrow as pa

        return pa.table({"label": [0, 1, 2, 1], "probs": PROBS.tolist()})

    for called, given in SCANS.items():
        yield (
            f"scan with {called}",
            lambda g=given: pandq.audit(pandq.scan(table(), **g)).to_dict(),
            {"answer": "may"},
        )
    for called, source in SOURCES.items():
        yield (
            f"scan of {called}",
            lambda s=source: pandq.audit(pandq.scan(s)).to_dict(),
            {"answer": "never"},
        )
    for called, path in (("None", None), ("a number", 7), ("a NUL", "a\x00b"), ("no text", "")):
        yield (
            f"load_model of {called}",
            lambda p=path: str(pandq.load_model(p)),
            {"answer": "never"},
        )


PARAMETERS = (0.0, -1.0, 1e-300, 5e-324, 1e20, 1e300, float("nan"), float("inf"), "one", None)
FORMS: dict[str, int] = {"gamma_kl": 4, "beta_kl": 4, "bernoulli_kl": 2, "gaussian_kl": 4}


def _number(name: str, given: list[Any]) -> dict[str, Any]:
    """A closed form; whether what it says can be a divergence."""
    found = np.asarray(getattr(pandq, name)(*given), float)
    return {"a divergence": bool((found >= 0).all())}


def _closed_forms() -> Iterator[Found]:
    for name, n in FORMS.items():
        for place in range(n):
            for value in PARAMETERS:
                base: list[Any] = [0.5] * n
                base[place] = value
                if name == "gaussian_kl":
                    base = [[x] for x in base]
                yield (
                    f"{name} with {value!r} in place {place}",
                    lambda f=name, b=base: _number(f, b),
                    {"truth": {"a divergence": True}, "answer": "may"},
                )
    for name in ("dirichlet_kl", "categorical_kl"):
        for called, thing in THINGS.items():
            yield (
                f"{name} of {called}",
                lambda f=name, t=thing: _number(f, [t, t]),
                {"truth": {"a divergence": True}, "answer": "may"},
            )


TOPS: dict[str, tuple[Any, Any, Any]] = {
    "floats as ids": ([[0.0]], [[-0.5]], 3),
    "ids below zero": ([[-1]], [[-0.5]], 3),
    "ids beyond": ([[3]], [[-0.5]], 3),
    "ids twice": ([[1, 1]], [[-1.0, -1.0]], 3),
    "more than one": ([[0, 1]], [[-0.1, -0.1]], 3),
    "NaN": ([[0]], [[np.nan]], 3),
    "plus infinity": ([[0]], [[np.inf]], 3),
    "fillers": ([[0, 1]], [[-0.5, -np.inf]], 4),
    "fillers of -9999": ([[0, 1]], [[-0.5, -9999.0]], 4),
    "ragged": ([[0], [0, 1]], [[-0.5], [-0.5, -2.0]], 3),
    "no classes": ([[0]], [[-0.5]], 0),
    "a fraction of classes": ([[0]], [[-0.5]], 2.5),
    "classes in words": ([[0]], [[-0.5]], "three"),
    "2^62 classes": ([[0]], [[-0.5]], 2**62),
    "None": (None, None, 3),
    "text": ([["a"]], [[-0.5]], 3),
    "too much left for the rest": ([[3, 0]], [np.log([0.3, 0.2])], 3),
}


def _tops() -> Iterator[Found]:
    for called, (ids, logs, k) in TOPS.items():
        right = {"ordered": True}
        yield (
            f"TopK of {called}",
            lambda i=ids, x=logs, n=k: _bounds(pandq.TopK(i, x, n)),
            {"truth": right, "answer": "may"},
        )


def _bounds(top: Any) -> dict[str, Any]:
    uniform = pandq.Probs(np.full((len(top), top.n_classes), 1 / top.n_classes))
    low, high = pandq.kl_bounds(top, uniform)
    return {"ordered": bool((low <= high).all() and (low >= 0).all())}


# --- arrays that change, processes that fork ------------------------------------------------------


def _changed_labels() -> Any:
    """Labels changed to no class after their view was made."""
    y = np.array([0, 1, 2, 1])
    view = pandq.Labels(y, 3)
    y[:] = [10**9, -(10**9), 5, 2**62]
    return {"value": pandq.cross_entropy(view, pandq.Probs(PROBS)).tolist()}


def _changed_probs() -> Any:
    x = PROBS.copy()
    view = pandq.Probs(x)
    x[:] = np.nan
    found = pandq.entropy(view)
    return {"value": [None if np.isnan(h) else h for h in found]}


def _forked() -> Any:
    """Children of a process that is measuring measure, too."""
    big = pandq.Probs(np.tile(PROBS, (50_000, 1)))
    stop = threading.Event()

    def measure() -> None:
        while not stop.is_set():
            pandq.entropy(big)

    threads = [threading.Thread(target=measure) for _ in range(3)]
    for thread in threads:
        thread.start()
    codes = []
    for _ in range(15):
        pid = os.fork()
        if pid == 0:
            pandq.entropy(big)
            os._exit(0)
        codes.append(os.waitpid(pid, 0)[1])
    stop.set()
    for thread in threads:
        thread.join()
    return {"codes": sum(codes)}


def _together() -> Any:
    """Ten threads at once find what one does."""
    views = [pandq.Probs(np.roll(PROBS, i, axis=0)) for i in range(10)]
    found: list[Any] = [None] * 10

    def audit(i: int) -> None:
        found[i] = pandq.audit(pandq.Labels([0, 1, 2, 1], 3), views[i]).cross_entropy.value

    threads = [threading.Thread(target=audit, args=(i,)) for i in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = [pandq.audit(pandq.Labels([0, 1, 2, 1], 3), v).cross_entropy.value for v in views]
    return {"the same": found == alone}


def _copied(how: Callable[[Any], Any]) -> Call:
    def call() -> Any:
        view = how(pandq.Probs(PROBS))
        return {
            "the same": pandq.entropy(view).tolist() == pandq.entropy(pandq.Probs(PROBS)).tolist()
        }

    return call


def _in_progress() -> Any:
    """Whoever watches raises."""

    def watch(done: Any) -> None:
        raise pandq.InputError("watched enough")

    return pandq.audit(pandq.Labels([0, 1, 2, 1], 3), pandq.Probs(PROBS), progress=watch).to_dict()


def _in_itself() -> Any:
    """An audit within an audit's progress."""

    def watch(done: Any) -> None:
        pandq.audit(pandq.Labels([0], 3), pandq.Probs(PROBS[:1]))

    return pandq.audit(pandq.Labels([0, 1, 2, 1], 3), pandq.Probs(PROBS), progress=watch).to_dict()


def _scenes() -> Iterator[Found]:
    yield "labels that change after their view was made", _changed_labels, {"answer": "may"}
    yield "probabilities that change after their view was made", _changed_probs, {"answer": "may"}
    yield "forks while others measure", _forked, {"truth": {"codes": 0}, "answer": "must"}
    same = {"truth": {"the same": True}, "answer": "must"}
    yield "ten threads at once", _together, same
    yield (
        "a view that was pickled",
        _copied(
            lambda v: pickle.loads(pickle.dumps(v))  # noqa: S301
        ),
        same,
    )
    yield "a view that was copied", _copied(copy.deepcopy), same
    right = truth.losses(truth.one_hot([0, 1, 2, 1], K), np.log(PROBS))
    yield "progress that raises", _in_progress, {"answer": "never"}
    yield "an audit within an audit", _in_itself, {"truth": right, "answer": "must"}


def cases() -> Iterator[Case]:
    """All calls."""
    families = (wrong_arrays, _measures, _audit_options, _scans, _closed_forms, _tops, _scenes)
    for family in families:
        for name, call, known in family():
            yield Case(f"{FAMILY}: {name}", FAMILY, _called(call, known), command, judged)


def _called(call: Call, known: dict[str, Any]) -> Build:
    return lambda here, rng: Given(call=call, outputs=["kept"], **known)
