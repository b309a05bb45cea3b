"""Text of the data as text: what a name holds does nothing to a terminal, a page or a document."""

from __future__ import annotations

import re

# Controls (C0, C1), what ends a line or turns its direction, and halves of surrogate pairs.
UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
MARKS = re.compile(r"([\\`*_\[\]<>|~#$&@!]|:(?=\S))")
# What begins a list, a rule or a heading, where a line begins with it.
BEGINNING = re.compile(r"^(\d*)([-+=.)])(?=\s|[-=\s]*$)")


def visible(text: str) -> str:
    r"""Text on one line in which characters that are not seen are written as their escapes.

    >>> print(visible("cat\x1b[31m\ndog"))
    cat\x1b[31m\ndog
    """
    return UNSEEN.sub(lambda found: ascii(found.group())[1:-1], text)


def shortened(text: str, most: int = 1000) -> str:
    """Text of which the middle is left out where it is longer than anybody reads.

    >>> shortened("no column 'xxxxxxxxxxxxxxxx'. There is: a.", 40)
    "no column 'xxxxxxxxx ...  There is: a."
    """
    if len(text) <= most:
        return text
    return f"{text[: most // 2]} ... {text[-(most // 3) :]}"


def json_safe(text: str) -> str:
    r"""JSON in which what a terminal or UTF-8 does not take is written as JSON's own escapes.

    >>> print(json_safe('"a\x9bb"'))
    "a\u009bb"
    """
    lines = text.split("\n")
    return "\n".join(UNSEEN.sub(lambda x: f"\\u{ord(x.group()):04x}", line) for line in lines)


def markdown_safe(text: str) -> str:
    r"""Text on one line that makes no tags, links, tables or lists where Markdown is read.

    >>> print(markdown_safe("KL(P||Q) of <b>"))
    KL(P\|\|Q) of \<b\>
    """
    escaped = MARKS.sub(r"\\\1", " ".join(visible(text).split()))
    return BEGINNING.sub(r"\1\\\2", escaped.replace("www.", "www\\."))
