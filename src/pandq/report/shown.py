"""What was found, with the ways to look at it: text, a page, figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pandq.results import agreement, audit, comparison, multilabel, perplexity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 110


class Shown:
    """A result that can be looked at; what draws it is imported when it is asked to."""

    __slots__ = ()

    def to_text(self, *, full: bool = True, width: int = WIDTH) -> str:
        """The report as plain text.

        Args:
            full: with every table; without, what `print` shows.
            width: columns of the text.

        Returns:
            Lines of at most `width` characters.
        """
        from pandq.report.sections.result import sections_of
        from pandq.report.terminal.sections import text_of

        return text_of(sections_of(self), full=full, width=width)  # type: ignore[arg-type]

    def to_html(self) -> str:
        """The report as one self-contained page."""
        from pandq.report.page.sections import page_of
        from pandq.report.sections.result import sections_of

        return page_of(self, sections_of(self))  # type: ignore[arg-type]

    def _repr_html_(self) -> str:
        """The report for a notebook, which has a page of its own around it."""
        from pandq.report.page.sections import fragment_of
        from pandq.report.sections.result import sections_of

        return fragment_of(self, sections_of(self))  # type: ignore[arg-type]

    def __str__(self) -> str:
        return self.to_text(full=False)


class Audit(Shown, audit.Audit):
    """What an audit found; `to_dict()` is its JSON form, `print` its text."""

    __slots__ = ()

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

    def figure_epistemic(self, ax: Axes | None = None) -> Figure:
        """An ensemble's epistemic uncertainty against how far it is from P."""
        from pandq.report import figures

        return figures.epistemic(self, ax)


class MultiLabelAudit(Shown, multilabel.MultiLabelAudit):
    """What an audit class by class found; `to_dict()` is its JSON form, `print` its text.

    `audits` has the Audit of each class, by its name.
    """

    __slots__ = ()


class Comparison(Shown, comparison.Comparison):
    """What a comparison found; `to_dict()` is its JSON form, `print` its text."""

    __slots__ = ()

    def figure_differences(self, ax: Axes | None = None) -> Figure:
        """How much larger each model's loss is than that of the one it is compared with."""
        from pandq.report import figures

        return figures.differences(self, ax)


class Agreement(Shown, agreement.Agreement):
    """What votes say by themselves; `to_dict()` is its JSON form, `print` its text."""

    __slots__ = ()

    def figure_annotators(self, ax: Axes | None = None) -> Figure:
        """How much more each annotator's votes cost than the others' on the same items."""
        from pandq.report import figures

        return figures.annotators(self, ax)


class Perplexity(Shown, perplexity.Perplexity):
    """What `pandq.perplexity` found; `to_dict()` is its JSON form, `print` its text."""

    __slots__ = ()
