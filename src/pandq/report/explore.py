"""The page one plays with: bars of P and Q to drag, in one offline file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.documents import Value
from pandq.errors import InputError
from pandq.report.page.html import Markup, asset, page
from pandq.report.words import row_words
from pandq.results.audit import Audit

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 12
OTHERS = "others"
ROUNDING = 1e-6
SCRIPTS = ("explore-state.js", "explore-densities.js", "explore.js")


def explore_page(audit: Mapping[str, Any] | Value | None = None) -> str:
    """The page, whole.

    Args:
        audit: an audit's JSON document, whose worst rows are offered to start from.

    Returns:
        HTML that makes no request.

    Raises:
        InputError: the document is no audit, or shows no rows.
    """
    presets = [] if audit is None else presets_of(audit)
    return page(
        "pandq explore",
        [Markup(asset("explore.html"))],
        {"presets": presets},
        style=asset("report.css") + asset("explore.css"),
        script="\n".join(asset(name) for name in SCRIPTS),
    )


def presets_of(audit: Mapping[str, Any] | Value) -> list[dict[str, Any]]:
    """The worst rows of an audit as P and Q of at most 12 classes; the others are one bar."""
    told = Value.of(audit, Audit.KIND, Audit.written_by())
    Audit.from_dict(told)
    found = [_preset(row) for row in told["worst"].items() if len(row["top"].items()) > 1]
    if not found:
        raise InputError(
            what="shows no rows to start from", where=told.file, remedy="Use --worst 10."
        )
    return found


def _preset(row: Value) -> dict[str, Any]:
    """One row; what its largest classes leave over becomes a bar of its own."""
    top = [_class(item) for item in row["top"].items()]
    for of in ("p", "q"):
        total = sum(x[of] for x in top)
        if total > 1 + ROUNDING:
            row["top"].refuse(f"must have shares of {of.upper()} that sum to 1", got=f"{total:g}")
    top = top[:MOST]
    left = [max(1.0 - sum(x[of] for x in top), 0.0) for of in ("p", "q")]
    if max(left) > 1e-9:
        smallest = min(top, key=lambda x: max(x["p"], x["q"]))
        if len(top) == MOST:
            top = [x for x in top if x is not smallest]
            left = [rest + smallest[of] for rest, of in zip(left, ("p", "q"), strict=True)]
        top = [*top, {"class": OTHERS, "p": left[0], "q": left[1]}]
    number = row["id"]
    called = number.whole(-(2**63)) if type(number.it) is int else number.text()
    for told in (row["p_class"], row["q_class"]):
        if told.it is not None:  # null where classes are tied
            told.text()
    return {
        "name": f"row {called}: {row_words(row.it)}",
        "names": [x["class"] for x in top],
        "p": [x["p"] for x in top],
        "q": [x["q"] for x in top],
    }


def _class(told: Value) -> dict[str, Any]:
    """A class of a row, and what P and Q give it."""
    shares = {of: told[of].number(0, 1 + ROUNDING) for of in ("p", "q")}
    return {"class": told["class"].text(), **shares}
