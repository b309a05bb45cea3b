"""The sections of any result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandq.report.sections.agreement import agreement_sections
from pandq.report.sections.audit import audit_sections
from pandq.report.sections.comparison import comparison_sections
from pandq.report.sections.multilabel import multilabel_sections
from pandq.report.sections.perplexity import perplexity_sections
from pandq.results.agreement import Agreement
from pandq.results.audit import Audit
from pandq.results.multilabel import MultiLabelAudit
from pandq.results.perplexity import Perplexity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pandq.report.sections.section import Section
    from pandq.results.comparison import Comparison

    # what has a report
    Result = Audit | Comparison | Agreement | MultiLabelAudit | Perplexity


def sections_of(result: Result) -> Iterator[Section]:
    """All that a result says, the answer first."""
    if isinstance(result, Agreement):
        return agreement_sections(result)
    if isinstance(result, MultiLabelAudit):
        return multilabel_sections(result)
    if isinstance(result, Perplexity):
        return perplexity_sections(result)
    return audit_sections(result) if isinstance(result, Audit) else comparison_sections(result)
