"""Which views there are, and taking an argument for one."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

from pandq.errors import InputError, ViewTypeError
from pandq.views.base import View
from pandq.views.counts import Counts
from pandq.views.labels import Labels
from pandq.views.logits import Logits
from pandq.views.logprobs import LogProbs
from pandq.views.multilabel import MultiLabel
from pandq.views.probs import Probs
from pandq.views.rounded import ROUNDED_KIND

if TYPE_CHECKING:
    from pandq.views.matrix import Matrix


# Not a full distribution: it says of most classes only what they have together (pandq.views.topk).
TOP_KIND = "topk"
# What a model gave to the one class that was drawn (pandq.views.sampled).
SAMPLED_KIND = "sampled"
PARTIAL_KINDS = (TOP_KIND, SAMPLED_KIND, ROUNDED_KIND)
# Of these there are bounds of a divergence.
BOUNDED_KINDS = (TOP_KIND, ROUNDED_KIND)


MATRICES: dict[str, type[Matrix]] = {view.kind: view for view in (Counts, Probs, LogProbs, Logits)}


VIEWS: dict[str, type[View]] = {Labels.kind: Labels, **MATRICES}


def require_view(name: str, value: object) -> View:
    """`value` if it is a view, else a TypeError that names the views.

    A view of `pandq.torch` is taken for the numbers that it holds, without their gradient, and
    Votes for how many chose each class.

    >>> require_view("p", [1.0, 0.0])
    Traceback (most recent call last):
    pandq.errors.ViewTypeError: p must say what its numbers mean, got list. Wrap it: ...
    """
    if isinstance(value, View) and type(value) is not View:
        return value
    if (kind := getattr(type(value), "kind", None)) in PARTIAL_KINDS:
        raise partly_known(name, str(kind))
    if isinstance(value, MultiLabel):
        raise by_itself(name)
    if callable(as_arrays := getattr(value, "as_arrays", None)):
        return require_view(name, as_arrays())
    if hasattr(value, "__arrow_c_stream__"):
        raise ViewTypeError(
            what="a table does not say which column is what",
            got=type(value).__name__,
            remedy='Name them: pandq.audit(pandq.scan(table, p="KIND:COLUMN", q="KIND:COLUMN")).',
        )
    remedy = (
        "Wrap it: Labels(y, n_classes=), Counts(n), Votes(lists), Probs(x), LogProbs(x), Logits(x)"
        " or Linear(hidden, weight)."
    )
    if isinstance(value, str | PathLike):
        remedy += " Files are read by pandq.scan(path), which goes in the place of P and Q."
    what = f"{name} must say what its numbers mean"
    raise ViewTypeError(what, got=type(value).__name__, remedy=remedy)


def by_itself(name: str) -> ViewTypeError:
    """The error for classes of which each holds or does not, where one of them must."""
    return ViewTypeError(
        what=f"{name} is a MultiLabel, of which each class is a question of its own",
        remedy="pandq.audit(p, q) takes them class by class; x.of_class(k) is a view of one.",
    )


def partly_known(name: str, kind: str = TOP_KIND) -> ViewTypeError:
    """The error for what is known in part, where a full distribution is needed."""
    if kind == ROUNDED_KIND:
        return ViewTypeError(
            what=f"{name} was rounded, and any distribution that rounds to it may be meant",
            remedy="pandq.kl_bounds(p, q) and pandq.compare say what holds for all of these;"
            " Probs.normalised(x) takes the one that rescaling gives.",
        )
    if kind == SAMPLED_KIND:
        return ViewTypeError(
            what=f"{name} is a Sampled, which knows a distribution only where it was drawn from",
            remedy="pandq.perplexity(Sampled(log_q)) and pandq.compare(Sampled(log_p),"
            " Sampled(log_q)) say what that allows to say.",
        )
    return ViewTypeError(
        what=f"{name} is a TopK, which knows a distribution only in part",
        remedy="pandq.kl_bounds(p, q) and pandq.compare say what that allows to say.",
    )


def paired(p: object, q: object) -> tuple[View, View]:
    """P and Q as views of the same rows and classes.

    Args:
        p: a view; Labels without n_classes take Q's.
        q: a view; likewise.

    Returns:
        Both, ready for row-wise formulas.

    Raises:
        ViewTypeError: one of them is a bare array.
        InputError: their numbers of rows or classes differ.
    """
    p, q = require_view("p", p), require_view("q", q)
    if len(p) != len(q):
        raise InputError(
            what="P and Q have different numbers of rows", got=f"{len(p)} and {len(q)}"
        )
    if isinstance(p, Labels) and q.n_classes is not None:
        p = p.of_classes(q.n_classes)
    if isinstance(q, Labels) and p.n_classes is not None:
        q = q.of_classes(p.n_classes)
    if p.n_classes is None and q.n_classes is None:
        raise InputError(
            what="labels against labels do not say how many classes there are",
            remedy="Use Labels(y, n_classes=...) (on the command line: --classes a,b,...).",
        )
    if p.n_classes != q.n_classes:
        sizes = sorted(x for x in (p.n_classes, q.n_classes) if x is not None)
        remedy = "A single score per row means two classes; else give one number per class."
        if sizes[0] > 2:
            remedy += (
                " Columns that pad a vocabulary and carry no probability are cut by"
                f" x[:, :{sizes[0]}] (on the command line: --classes {sizes[0]})."
            )
        raise InputError(
            what="P and Q have different numbers of classes",
            got=f"{p.n_classes} and {q.n_classes}",
            remedy=remedy,
        )
    return p, q


def matched(p: Any, q: Any) -> tuple[Any, Any]:
    """P and Q of the same rows and classes, of which each may be a question of its own.

    Raises:
        ViewTypeError: one is no view.
        InputError: only one is a MultiLabel, or they differ in their rows or classes.
    """
    if not any(isinstance(x, MultiLabel) for x in (p, q)):
        return paired(p, q)
    if not all(isinstance(x, MultiLabel) for x in (p, q)):
        got = f"P is {type(p).__name__}, Q is {type(q).__name__}"
        raise InputError(what="P and Q are both MultiLabel, or neither is", got=got)
    for what, of in (("rows", len), ("classes", lambda x: x.n_classes)):
        if of(p) != of(q):
            got = f"{of(p)} and {of(q)}"
            raise InputError(what=f"P and Q have different numbers of {what}", got=got)
    return p, q
