"""Help: a command in one whole line, its options in groups."""

import click
import pytest

from pandq.cli import cli
from pandq.cli.groups import GROUPS, OTHER, Grouped

COLUMNS = 80


def command_lines(width):
    """The help of pandq itself, by the names of the commands."""
    context = click.Context(cli, terminal_width=width, max_content_width=width)
    lines = cli.get_help(context).splitlines()
    listed = lines[lines.index("Commands:") + 1 :]
    return {line.split()[0]: line for line in listed if line.strip()}


def groups_of(name):
    """Headings of a command's help, and the options below each."""
    command = cli.commands[name]
    lines = command.get_help(click.Context(command, info_name=name)).splitlines()
    found, here = {}, None
    for line in lines:
        if line.endswith("options:") and not line.startswith(" "):
            here = found.setdefault(line.removesuffix(":"), [])
        elif here is not None and line.startswith("  -"):
            here.append(line.split()[0].rstrip(","))
    return found


@pytest.mark.parametrize("name", cli.commands)
def test_a_command_has_a_short_help_of_its_own_that_is_not_cut_off(name):
    said = cli.commands[name].short_help
    assert said
    lines = command_lines(COLUMNS)
    assert set(lines) == set(cli.commands)
    assert lines[name].split(maxsplit=1)[1] == said
    assert "..." not in lines[name]
    assert len(lines[name]) <= COLUMNS


@pytest.mark.parametrize("name", cli.commands)
def test_every_option_of_a_command_stands_in_a_group(name):
    command = cli.commands[name]
    options = [x for x in command.params if isinstance(x, click.Option)]
    assert all(isinstance(x, Grouped) and x.group in (*GROUPS, OTHER) for x in options)
    headings = groups_of(name)
    listed = [option for some in headings.values() for option in some]
    assert len(listed) == len(set(listed))
    assert {x.opts[0] for x in options} | {"--help"} == set(listed)


@pytest.mark.parametrize("name", ["audit", "compare"])
def test_options_are_found_where_one_looks_for_them(name):
    groups = groups_of(name)
    assert list(groups) == [f"{x} options" for x in ("Input", "Result", "Gate", "Engine", "Other")]
    for heading, some in {
        "Input options": ["--p", "--q", "--by", "--id", "--cluster", "--where"],
        "Result options": ["--json", "--html", "--full", "--unit", "--level"],
        "Gate options": ["--max-kl", "--max-cross-entropy", "--gate-on"],
        "Engine options": ["--checkpoint", "--progress"],
        "Other options": ["--debug", "--help"],
    }.items():
        assert set(some) <= set(groups[heading]), heading


@pytest.mark.parametrize("name", cli.commands)
def test_every_option_and_argument_says_what_it_does(name):
    for option in cli.commands[name].params:
        if isinstance(option, click.Option):
            assert option.help
            first = option.help.split()[0]
            assert first[0].isupper() or ":" in option.help, option.name
            assert option.help.rstrip().endswith("."), option.name
