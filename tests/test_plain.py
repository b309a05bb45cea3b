"""Names that would be markup, escapes, lines or links are text wherever they are shown."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pandq.errors import InputError
from pandq.plain import json_safe, markdown_safe, visible

# Each says what it would do: to a terminal, to rich, to Markdown.
NAMES = [
    "\x1b[31mred\x1b[0m",
    "\x9b2Jcleared",
    "two\nlines",
    "back\rwards\b",
    "\u202eright to left",
    "\x00\x07\x7f",
    "half \udc80",
    "line\u2028separator",
    "[/]",
    "[red]",
    "[link=https://evil.example]x[/link]",
    ":cat:",
    "<script>alert(1)</script>",
    "<img src=x>",
    "| a | b |",
    "[text](https://evil.example)",
    "![picture](https://evil.example/x.png)",
    "https://evil.example www.evil.example a@b.example",
    "# heading",
    "- item",
    "1. item",
    "1) item",
    "---",
    "===",
    "> quoted",
    "`code` **bold** __bold__ ~~gone~~ $x^2$",
    "&lt; &#60;",
    "\\",
    "```",
    "    code",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_no_name_does_anything_to_a_terminal(name):
    shown = visible(name)
    assert shown.isprintable()
    shown.encode()
    assert all(letter in shown for letter in name if letter.isprintable())


@given(st.text())
def test_what_is_seen_is_one_line_and_the_same_when_seen_again(text):
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert visible(shown) == shown
    shown.encode()


@given(st.text())
def test_json_says_the_same_when_it_is_safe(text):
    safe = json_safe(json.dumps([text], indent=2, ensure_ascii=False))
    assert json.loads(safe) == [text]
    assert all(visible(line) == line for line in safe.split("\n"))
    safe.encode()


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_in_markdown_is_the_text_of_one_paragraph(name):
    tokens = MarkdownIt("js-default").parse(markdown_safe(name))
    assert [token.type for token in tokens] in ([], PARAGRAPH)
    inside = [child for token in tokens for child in token.children or []]
    assert {child.type for child in inside} <= {"text", "text_special"}
    assert "".join(child.content for child in inside) == " ".join(visible(name).split())


PARAGRAPH = ["paragraph_open", "inline", "paragraph_close"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_in_a_markdown_table_is_one_cell(name):
    table = f"| {markdown_safe(name)} | x |\n|---|---|\n| {markdown_safe(name)} | y |"
    tokens = MarkdownIt("js-default").parse(table)
    kinds = [token.type for token in tokens]
    assert (kinds.count("th_open"), kinds.count("td_open")) == (2, 2)
    cells = [token.content for token in tokens if token.type == "inline"]
    assert (cells[1], cells[3]) == ("x", "y")


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_in_a_report_is_written_as_it_is_and_takes_one_line(name):
    from rich.table import Table
    from rich.text import Text

    from pandq.report.terminal.console import Page

    said = io.StringIO()
    console = Page(file=said, width=200, force_terminal=True, color_system=None)
    table = Table(name, "rows", box=None, caption_justify="left")
    table.add_row(name, "1")
    table.caption = name
    for part in (Text(f"says {name}."), name, table):
        console.print(part)
    text = said.getvalue()
    assert text.count("\n") == 5
    assert visible(name).strip() in text
    assert "\x1b" not in text.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[2;3m", "")


def test_the_text_of_an_error_is_one_line():
    error = InputError("no column 'a\x1b[2Jb'", where="x\n.csv", got="\u202e")
    assert str(error) == "x\\n.csv: no column 'a\\x1b[2Jb', got \\u202e"
