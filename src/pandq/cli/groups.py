"""Options in groups: a help that one can find one's way in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

INPUT, RESULT, GATES, ENGINE = "Input", "Result", "Gate", "Engine"
# In this order; what is in none of them comes last.
GROUPS = (INPUT, "Model", RESULT, GATES, ENGINE)
OTHER = "Other"


class Grouped(click.Option):
    """An option that says where its help belongs."""

    def __init__(self, *args: Any, group: str = OTHER, **more: Any) -> None:
        super().__init__(*args, **more)
        self.group = group


class Command(click.Command):
    """A command whose help lists its options by group."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Each group under a heading of its own."""
        listed: dict[str, list[tuple[str, str]]] = {name: [] for name in (*GROUPS, OTHER)}
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None:
                listed[getattr(parameter, "group", OTHER)].append(record)
        for name, records in listed.items():
            if records:
                with formatter.section(f"{name} options" if name != OTHER else "Other options"):
                    formatter.write_dl(records)


def option(group: str, *names: str, **more: Any) -> Callable[..., Any]:
    """An option of a group."""
    return click.option(*names, cls=Grouped, group=group, **more)


def with_options(
    command: Callable[..., None], options: Sequence[Callable[..., Any]]
) -> Callable[..., None]:
    """A command with options, in the order in which its help is to show them."""
    for some in reversed(options):
        command = some(command)
    return command
