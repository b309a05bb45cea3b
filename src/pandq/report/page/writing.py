"""Pages as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandq.read.images import images_of
from pandq.report.page.sections import little_images, page_of
from pandq.report.provenance import how
from pandq.report.sections.result import sections_of
from pandq.store import whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pandq.read.places import Place
    from pandq.read.scan import Scan
    from pandq.report.sections.result import Result


def write_page(text: str, path: str | Path) -> None:
    """A page as a file."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def write_report(
    result: Result,
    files: Sequence[str | Place],
    path: str | Path,
    *,
    pictured: Scan | None = None,
) -> None:
    """A result's page.

    Args:
        result: what was found.
        files: it was found in, whose fingerprints the page has.
        path: of the page.
        pictured: the rows of an audit, for pictures of the worst where the table has some.
    """
    images = None
    if pictured is not None:
        shown = [row["row"] for row in getattr(result, "worst", [])]
        images = little_images(images_of(pictured, shown))
    write_page(page_of(result, sections_of(result), how=how(files), images=images), path)
