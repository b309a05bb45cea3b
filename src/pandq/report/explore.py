"""The page one plays with: bars of P and Q to drag, in one offline file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pandq.errors import InputError
from pandq.report.page import Markup, asset, page
from pandq.report.words import row_words

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST = 12
OTHERS = "others"


def explore_page(audit: Mapping[str, Any] | None = None, name: str = "") -> str:
    """The page, whole.

    Args:
        audit: an audit's JSON document, whose worst rows are offered to start from.
        name: of its file, for errors.

    Returns:
        HTML that makes no request.

    Raises:
        InputError: the document is no audit, or shows no rows.
    """
    presets = [] if audit is None else presets_of(audit, name)
    return page(
        "pandq explore",
        [Markup(asset("explore.html"))],
        {"presets": presets},
        style=asset("report.css") + asset("explore.css"),
        script=asset("explore.js"),
    )


def presets_of(audit: Mapping[str, Any], name: str = "") -> list[dict[str, Any]]:
    """The worst rows of an audit as P and Q of at most 12 classes; the rest is one bar."""
    remedy = "It is written by `pandq audit ... --json FILE`."
    if audit.get("schema") != "pandq/audit/1":
        raise InputError(what="is no audit", where=name, remedy=remedy)
    try:
        found = [_preset(row) for row in audit["worst"] if len(row["top"]) > 1]
    except (KeyError, TypeError, ValueError):
        raise InputError(what="is no whole audit", where=name, remedy=remedy) from None
    if not found:
        raise InputError(what="shows no rows to start from", where=name, remedy="Use --worst 10.")
    return found


def _preset(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row; what its largest classes leave over becomes a bar of its own."""
    top = row["top"][:MOST]
    left = [max(1.0 - sum(x[of] for x in top), 0.0) for of in ("p", "q")]
    if max(left) > 1e-9:
        smallest = min(top, key=lambda x: max(x["p"], x["q"]))
        if len(top) == MOST:
            top = [x for x in top if x is not smallest]
            left = [rest + smallest[of] for rest, of in zip(left, ("p", "q"), strict=True)]
        top = [*top, {"class": OTHERS, "p": left[0], "q": left[1]}]
    name = f"row {row['id']}: {row_words(row)}"
    return {
        "name": name,
        "names": [x["class"] for x in top],
        "p": [x["p"] for x in top],
        "q": [x["q"] for x in top],
    }
