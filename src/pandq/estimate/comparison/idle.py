"""What has no effect on the rows of a comparison, and is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.errors import InputError
from pandq.estimate.passes import drawn_alone
from pandq.estimate.sampling import label_type_of
from pandq.read.scan import Scan
from pandq.views import BOUNDED_KINDS, ROUNDED_KIND, SAMPLED_KIND, TOP_KIND

if TYPE_CHECKING:
    from pandq.read.chunks import MemoryScan


def refuse_idle(
    rows: Scan | MemoryScan, q_floor: float | None, *, alone: bool, ordered: bool = False
) -> None:
    """Refuse options that would have no effect on these rows.

    Args:
        rows: of P and every Q.
        q_floor: of a TopK.
        alone: whether one Q is compared with a baseline.
        ordered: whether classes are said to be in their order.

    Raises:
        InputError: there is one.
    """
    drawn = any(x.kind == SAMPLED_KIND for x in (rows.p, rows.q, *rows.rivals))
    partly, full = drawn or partly_known(rows), label_type_of(_kind(rows.p), 0) == "full"
    told = f"{'log-probabilities of draws' if drawn else 'bounds alone'}, over all rows"
    if isinstance(rows, Scan) and drawn_alone(rows):
        raise InputError(
            what="P and Q are the same log-probabilities of draws",
            got=str(rows.q),
            remedy="Say what the sampler gave to them, --p sampled:COLUMN; the perplexity of one"
            " model alone is `pandq audit`; models in files of their own are paired by document"
            " with --cluster and --per.",
        )
    if rows.control is not None and (partly or not full):
        raise InputError(
            what="a control is a reference's distribution run a second time",
            got=told if partly else f"P is {_kind(rows.p)}, which is no reference",
            remedy="Leave it out.",
        )
    if ordered and partly:
        raise InputError(what="an order of classes has nothing to say here", got=told)
    if alone and drawn:
        raise InputError(what="a baseline has nothing to say of draws")
    if q_floor is not None and (drawn or not partly):
        raise InputError(what="q_floor is for a TopK, and P and Q are known in full")
    topped = full or rows.p.kind == TOP_KIND
    rounded = any(x.kind == ROUNDED_KIND for x in (rows.p, rows.q, *rows.rivals))
    if rows.labels is not None and (drawn or rounded or not topped):
        beside = f"labels stand beside a P that is a reference's, not {_kind(rows.p)}"
        raise InputError(
            what="labels have nothing to say here", got=told if drawn or rounded else beside
        )
    if rows.by and (partly or not rows.rivals):
        remedy = "" if partly else "For one Q against P use `pandq audit` (pandq.audit)."
        what = "by makes groups of differences, and there are none"
        raise InputError(what=what, got=told if partly else "one Q", remedy=remedy)
    if partly and _sized(rows):
        raise InputError(what="bytes of rows have nothing to say here", got=told)
    if alone and rows.labels is not None:
        raise InputError(what="labels have nothing to say beside a baseline")


def _sized(rows: Scan | MemoryScan) -> bool:
    """Is it known how many bytes of text each row is?"""
    return (rows.per if isinstance(rows, Scan) else rows.n_bytes) is not None


def _kind(given: Any) -> str:
    kind: str = given.kind
    return kind


def partly_known(rows: Scan | MemoryScan) -> bool:
    """Is P or a Q a TopK, or rounded, so that only bounds can be said?"""
    return any(x.kind in BOUNDED_KINDS for x in (rows.p, rows.q, *rows.rivals))
