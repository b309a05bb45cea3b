"""What was found, with the ways to look at it: text, a page, figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandq.results import audit, comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Audit(audit.Audit):
    """What an audit found; `to_dict()` is its JSON form, `print` its text."""

    __slots__ = ()

    def to_html(self) -> str:
        """The report as one self-contained page."""
        from pandq.report.page.audit import audit_page

        return audit_page(self)

    def _repr_html_(self) -> str:
        """The report for a notebook, which has a page of its own around it."""
        from pandq.report.page.audit import audit_fragment

        return audit_fragment(self)

    def figure_decomposition(self, ax: Axes | None = None) -> Figure:
        """One stacked bar: what the cross entropy is made of."""
        from pandq.report import figures

        return figures.decomposition(self, ax)

    def figure_reliability(self, ax: Axes | None = None) -> Figure:
        """P at Q's top class against Q's confidence, with intervals."""
        from pandq.report import figures

        return figures.reliability(self, ax)

    def figure_kl_distribution(self, ax: Axes | None = None) -> Figure:
        """How KL(P||Q) of single rows is spread, on a logarithmic axis."""
        from pandq.report import figures

        return figures.kl_distribution(self, ax)

    def figure_classes(self, ax: Axes | None = None) -> Figure:
        """KL(P||Q) of each class of P with its interval."""
        from pandq.report import figures

        return figures.classes(self, ax)

    def figure_ignorance(self, ax: Axes | None = None) -> Figure:
        """What an ensemble claims not to know against how far it is from P."""
        from pandq.report import figures

        return figures.ignorance(self, ax)

    def __str__(self) -> str:
        from pandq.report.terminal.audit import audit_text

        return audit_text(self)


class Comparison(comparison.Comparison):
    """What a comparison found; `to_dict()` is its JSON form, `print` its text."""

    __slots__ = ()

    def to_html(self) -> str:
        """The report as one self-contained page."""
        from pandq.report.page.comparison import comparison_page

        return comparison_page(self)

    def _repr_html_(self) -> str:
        """The report for a notebook, which has a page of its own around it."""
        from pandq.report.page.comparison import comparison_fragment

        return comparison_fragment(self)

    def figure_differences(self, ax: Axes | None = None) -> Figure:
        """What each model pays more than the one it is held against, with its interval."""
        from pandq.report import figures

        return figures.differences(self, ax)

    def __str__(self) -> str:
        from pandq.report.terminal.comparison import comparison_text

        return comparison_text(self)
