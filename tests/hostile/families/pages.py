"""Text of the data in everything that people look at: pages, terminals, Markdown, figures.

A name is a name: it is never a tag, a link, a line, a style, a script or a formula.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.hostile import truth
from tests.hostile.case import Build, Case, Given, Judge, Outcome
from tests.hostile.judge import also, unsafe
from tests.hostile.nursery import command
from tests.hostile.tables import K, labels_and_probs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FAMILY = "pages"
LARGEST = 1 << 20

NAMES = {
    "a script": "<script>document.title='owned'</script>",
    "a script's end": "</script><script>document.title='owned'</script>",
    "an image": "<img src=x onerror=\"document.title='owned'\">",
    "a picture in SVG": "<svg onload=document.title='owned'>",
    "an end of an SVG's text": "</text></svg><script>1</script>",
    "a style's end": "</style><script>1</script>",
    "a comment": "<!-- x",
    "a comment's end": "--><script>1</script>",
    "a template": "{{constructor.constructor('1')()}}${1}",
    "an attribute": '" onmouseover="document.title=\'owned\'" x="',
    "an attribute in single quotes": "' onmouseover='1' x='",
    "a link": "[click](http://example.com)",
    "a script's link": "[click](javascript:alert(1))",
    "a picture's link": "![x](http://example.com/x.png)",
    "an entity": "&lt;b&gt;&amp;",
    "an entity for a quote": "&quot;&#x27;",
    "a column's end": "a | b | c",
    "an escaped column's end": "a \\| b",
    "a code span": "`a` ``b``",
    "a heading": "# big",
    "an underlined heading": "a\n===",
    "a rule": "---",
    "two lines": "a\nb",
    "a carriage return": "safe\revil",
    "a steered terminal": "\x1b[2J\x1b[31mred\x1b[0m",
    "a terminal's title": "\x1b]0;owned\x07",
    "a terminal's link": "\x1b]8;;http://example.com\x07click\x1b]8;;\x07",
    "eight-bit steering": "\x9b31mred",
    "a bell": "a\x07b",
    "a backspace": "safe\x08\x08\x08\x08evil",
    "a NUL": "a\x00b",
    "a delete": "a\x7fb",
    "right to left": "\u202etxt.exe",
    "isolates": "\u2066a\u2069\u2067b",
    "no width": "a\u200bb\ufeffc",
    "a line separator": "a\u2028b\u2029c",
    "rich's markup": "[red]a[/red]",
    "rich's markup that ends nothing": "[/]",
    "rich's link": "[link=http://example.com]a[/link]",
    "rich's picture": ":cat: :warning:",
    "a formula": "$\\frac{1}{2}$",
    "a formula that fails": "$\\frac$",
    "half a formula": "price $5 and $6",
    "a dollar": "$",
    "a percent sign": "%s %(x)s {0} {x!r}",
    "five thousand letters": "x" * 5000,
    "five thousand wide letters": "漢" * 5000,
    "a stack of accents": "a" + "\u0301" * 200,
    "emoji": "👩‍👩‍👧 🏳️‍🌈",
    "nothing": "",
    "blanks": "   ",
    "a formula of a sheet": '=HYPERLINK("http://example.com")',
    "NaN": "NaN",
    "null": "null",
    "a prototype": "__proto__",
    "a constructor": "constructor",
    "a private plane": "\ue000\U000f0000",
    "no letter": "\ufdd0\uffff",
}


@dataclass
class Reader(HTMLParser):
    """What a browser would make of a page: its tags, what they do, and whom they ask."""

    scripts: int = 0
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count scripts; note what runs or loads."""
        self.scripts += tag == "script"
        if tag in ("iframe", "object", "embed", "base", "form", "link"):
            self.wrong.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on"):
                self.wrong.append(f"<{tag} {name}>")
            asks = re.match(r"\s*(javascript|https?|//)", value or "", re.IGNORECASE)
            if name in ("src", "href", "xlink:href", "action", "srcset", "data") and asks:
                self.wrong.append(f"<{tag} {name}={value!r}>")


def page_wrong(text: str, scripts: int = 2) -> str:
    """What a page does that it must not."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    if reader.wrong:
        return f"the page has {reader.wrong[:3]}"
    if reader.scripts > scripts:
        return f"the page has {reader.scripts} scripts"
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        return f"the page has {len(text)} characters"
    shown = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    if controls := sorted({repr(c) for c in shown if unsafe(c) and c != "\r"}):
        return f"control characters in the page: {', '.join(controls)}"
    return ""


# An own heading, limit, step, table's line or sentence; whatever else starts a line is not ours.
OWN = re.compile(r"^(## pandq|\|.*\||- (✅|❌|[A-Z]\w* ).*|\w.*|)$")


def summary_wrong(text: str) -> str:
    """What a Markdown summary has become."""
    for line in text.split("\n"):
        if line.startswith("|") and len(re.findall(r"(?<!\\)\|", line)) != 4:
            return f"a table's line has other columns: {line[:200]!r}"
        if not OWN.match(line):
            return f"a line of the summary is not ours: {line[:200]!r}"
    if found := re.search(r"(?<!\\)<[a-zA-Z/!]|(?<!\\)\]\(", text):
        return f"Markdown obeys {text[found.start() : found.start() + 60]!r}"
    if controls := sorted({repr(c) for c in text if unsafe(c)}):
        return f"control characters in the summary: {', '.join(controls)}"
    return ""


def _looked_at(given: Given, outcome: Outcome) -> str:
    if not isinstance(outcome.document, dict):
        return ""
    page, summary = (outcome.document.get(name) for name in ("page", "summary"))
    wrong = page_wrong(page) if page else ""
    return wrong or (summary_wrong(summary) if summary else "")


def shown(given: Given, here: Path) -> Outcome:
    """The command; its page and its summary beside its JSON."""
    outcome = command(given, here)
    document = dict(outcome.document) if isinstance(outcome.document, dict) else {}
    for name, file in (("page", "page.html"), ("summary", "summary.md")):
        if (here / file).is_file():
            document[name] = (here / file).read_text("utf-8", "surrogateescape")
    object.__setattr__(outcome, "document", document)
    return outcome


def _written(here: Path, columns: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), here / "t.parquet")


def _given(arguments: list[str], right: dict[str, Any], *more: str) -> Given:
    outputs = ["out.json", "page.html", "summary.md"]
    named = ["--html", "page.html", "--json", "out.json", "--max-cross-entropy", "9", *more]
    return Given(
        ["audit", "t.parquet", *arguments, *named],
        truth=right,
        outputs=outputs,
        environment={"GITHUB_STEP_SUMMARY": "summary.md"},
        gates=True,
        seconds=60,
    )


def _as_group(name: str) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        y, q = labels_and_probs(rng)
        values = [name if i % 2 else "other" for i in range(len(y))]
        _written(here, {"label": y, "q": q.tolist(), "site": values, "id": values})
        right = truth.losses(truth.one_hot(y, K), np.log(q))
        named = ["--p", "labels:label", "--q", "probs:q", "--by", "site", "--id", "id"]
        return _given(named, right)

    return build


def _as_column(name: str) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        y, q = labels_and_probs(rng)
        _written(here, {name: y, f"q{name}": q.tolist(), f"by{name}": y % 2})
        right = truth.losses(truth.one_hot(y, K), np.log(q))
        named = ["--p", f"labels:{name}", "--q", f"probs:q{name}", "--by", f"by{name}"]
        if "\x00" in name:
            return _given(["--by", "a"], {})
        return _given(named, right)

    return build


def _as_class(name: str) -> Build:
    def build(here: Path, rng: np.random.Generator) -> Given:
        y, q = labels_and_probs(rng, 80)
        names = np.array([f"prob_{name}", "prob_b", "prob_c"])
        wide = dict(zip(names, q.T, strict=True))
        _written(here, {"label": [str(names[k])[5:] for k in y], **wide})
        right = truth.losses(truth.one_hot(y, K), np.log(q))
        return _given(["--p", "labels:label", "--q", "probs:prob_*"], right)

    return build


def _as_picture(stored: bytes) -> Build:
    """Bytes that are shown as a picture beside the worst rows."""

    def build(here: Path, rng: np.random.Generator) -> Given:
        y, q = labels_and_probs(rng)
        pictures = [{"bytes": stored, "path": "x.png"}] * len(y)
        _written(here, {"label": y, "q": q.tolist(), "image": pictures})
        right = truth.losses(truth.one_hot(y, K), np.log(q))
        return _given(["--p", "labels:label", "--q", "probs:q"], right)

    return build


def _png(width: int, height: int) -> bytes:
    """The least bytes that say they are a picture of this size, all of one grey."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((min(width, 20_000) + 7) // 8 + 1) * min(height, 20_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


PICTURES: dict[str, Callable[[], bytes]] = {
    "no bytes": lambda: b"",
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\nshowpage\n",
    "an SVG": lambda: b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "a page": lambda: b"<html><script>alert(1)</script></html>",
    "a small PNG": lambda: _png(4, 4),
    "a huge PNG": lambda: _png(13_000, 13_000),
    "a PNG beyond reason": lambda: _png(2**31 - 1, 2**31 - 1),
    "a cut PNG": lambda: _png(64, 64)[:60],
    "a PNG of no width": lambda: _png(0, 9),
    "noise": lambda: np.random.default_rng(0).bytes(4096),
    "a GIF's head": lambda: b"GIF89a\xff\xff\xff\xff\xf7\x00\x00",
    "a TIFF that points to itself": lambda: b"II*\0\x08\0\0\0\x01\0" + b"\x01" * 12 + b"\x08\0\0\0",
    "a PDF": lambda: b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj",
    "an ICNS": lambda: b"icns\x00\x00\x00\x10ic10\x00\x00\x00\x08",
    "a FLI": lambda: bytes(4) + b"\x11\xaf" + bytes(200),
}  # fmt: skip


def _many_groups(here: Path, rng: np.random.Generator) -> Given:
    y, q = labels_and_probs(rng, 18_000)
    groups = [f"group {i // 2}" for i in range(len(y))]
    _written(here, {"label": y, "q": q.tolist(), "site": groups})
    named = ["--p", "labels:label", "--q", "probs:q", "--by", "site", "--no-decompose"]
    return _given(named, truth.losses(truth.one_hot(y, K), np.log(q)))


def _many_classes(here: Path, rng: np.random.Generator) -> Given:
    k = 3000
    q = rng.dirichlet(np.ones(k), 60)
    y = rng.integers(0, k, 60)
    _written(here, {"label": y, "q": q.tolist()})
    named = ["--p", "labels:label", "--q", "probs:q", "--no-decompose"]
    return _given(named, truth.losses(truth.one_hot(y, k), np.log(q)))


def cases() -> Iterator[Case]:
    """Each name in each place, and pictures."""
    for name, build in _found():
        judge: Judge = also(_looked_at)
        yield Case(f"{FAMILY}: {name}", FAMILY, build, shown, judge)


def _found() -> Iterator[tuple[str, Build]]:
    for called, name in NAMES.items():
        yield f"{called} as a group", _as_group(name)
        yield f"{called} as a column", _as_column(name)
        yield f"{called} as a class", _as_class(name)
    for called, stored in PICTURES.items():
        yield f"{called} as a picture", lambda here, rng, s=stored: _as_picture(s())(here, rng)
    yield "nine thousand groups", _many_groups
    yield "three thousand classes", _many_classes
