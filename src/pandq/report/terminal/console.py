"""What a report is printed on: text of the data stays text, whatever a terminal reads into it."""

from __future__ import annotations

import errno
import io
import os
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from pandq.plain import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rich.console import ConsoleOptions, RenderableType
    from rich.segment import Segment


class Page(Console):
    """A console without a markup of its own, on which every character is seen.

    A name may hold `[red]`, `:cat:`, escape sequences and ends of lines.
    """

    def __init__(self, **options: Any) -> None:
        # in a notebook rich would display what is captured here, and give no text
        still: dict[str, Any] = {"force_jupyter": False, "legacy_windows": False}
        super().__init__(markup=False, emoji=False, highlight=False, **still, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Text as it is measured and drawn, also in the cells of tables."""
        return super().render_str(visible(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """What is drawn of anything; a Text is seen like the others."""
        if isinstance(renderable, Text) and renderable.plain != visible(renderable.plain):
            renderable = Text(visible(renderable.plain), no_wrap=renderable.no_wrap)
        return super().render(renderable, options)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line: rich would end with 1, which is a breached gate's code."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def as_text(show: Callable[[Any, Console], None], result: Any, width: int) -> str:
    """A report as plain text, without spaces at the ends of lines."""
    page = io.StringIO()
    show(result, Page(file=page, width=width, color_system=None))
    return "\n".join(line.rstrip() for line in page.getvalue().rstrip().splitlines())
