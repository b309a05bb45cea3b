"""What an audit or a comparison leaves on disk: pages, items, recalibrated predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandq.read.images import images_of
from pandq.store import whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pandq.read.scan import Scan
    from pandq.results.audit import Audit
    from pandq.results.comparison import Comparison


def write_page(text: str, path: str | Path) -> None:
    """A page as a file."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def write_audit_page(audit: Audit, rows: Scan, path: str | Path) -> None:
    """An audit's page, with pictures of its worst rows where the table has some."""
    from pandq.report.page.audit import audit_page, little_images
    from pandq.report.provenance import how

    images = little_images(images_of(rows, [row["row"] for row in audit.worst]))
    files = getattr(rows.source, "files", [])
    write_page(audit_page(audit, how=how(files), images=images), path)


def write_comparison_page(comparison: Comparison, files: Sequence[str], path: str | Path) -> None:
    """A comparison's page."""
    from pandq.read.paths import expanded
    from pandq.report.page.comparison import comparison_page
    from pandq.report.provenance import how

    write_page(comparison_page(comparison, how=how(expanded(list(files)))), path)
