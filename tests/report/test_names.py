"""Names of the data are text on every page, and a page stays below a megabyte."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.figure import Figure

import pandq
from pandq.plain import visible
from pandq.report import figures
from pandq.report.page.html import LARGEST, LONGEST, WHOLE, grid, joined, report, tag
from pandq.report.page.svg import chart
from pandq.report.sections.section import Cell, Table

NAMES = [
    r"$\frac$",
    "$",
    "$x^2$ and $",
    r"\$5 or $6",
    "\x00\x1b[31m\x9b",
    "\u202edesrever",
    "猫🐈",
    "half \udc80",
    "</script><script>alert(1)</script>",
    "two\nlines",
    "n" * 5000,
    "",
]


@pytest.fixture(scope="module")
def audit():
    rng = np.random.default_rng(0)
    q = rng.dirichlet(np.ones(len(NAMES)), 20 * len(NAMES))
    y = np.arange(len(q)) % len(NAMES)
    groups = np.array(NAMES, dtype=object)[y]
    return pandq.audit(
        pandq.Labels(y, classes=NAMES), pandq.Probs(q), by={"<g>$\\frac$": groups},
        decompose=False,
    )  # fmt: skip


def lines(n):
    estimate = {"value": 0.5, "low": 0.25, "high": 0.75, "method": "x" * 80}
    return [{"name": f"group {i}", "kl": estimate, "entropy": estimate} for i in range(n)]


def document_in(page):
    return json.loads(re.search(r'id="document">(.*?)</script>', page, re.DOTALL).group(1))


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
def test_a_figure_shows_a_name_as_it_is(name):
    figure = Figure()
    ax = figure.add_subplot()
    figures._intervals(ax, [name], [{"value": 0.5, "low": 0.25, "high": 0.75}])
    drawn = chart(figure, "x", name, name)
    root = ET.fromstring(drawn)  # noqa: S314
    texts = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("text")]
    short = name if len(name) <= 24 else f"{name[:23]}…"
    assert visible(short).strip() in [text.strip() for text in texts] or not name
    assert visible(name) in "".join(root.itertext())


def test_a_page_of_such_names_is_whole_and_below_a_megabyte(audit):
    page = audit.to_html()
    page.encode()
    inside = audit.to_html()
    assert len(inside.encode()) <= LARGEST
    assert len(inside) > 10_000
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", inside)
    assert document_in(inside) == json.loads(json.dumps(audit.to_dict()))
    assert inside.count("<script") == 2
    assert WHOLE in inside


def test_text_on_a_page_is_seen_and_never_markup():
    assert joined(["<b>\x1b\n"]) == "&lt;b&gt;\\x1b\\n"
    assert tag("p", "x", title='"\u202e<') == '<p title="&quot;\\u202e&lt;">x</p>'
    long = grid(Table("", ("a",), [[Cell("n" * 5000)]]), "")
    assert "n" * (LONGEST - 1) + "…" in long
    assert "n" * LONGEST not in long


def test_a_table_of_ten_thousand_rows_is_cut_and_says_so():
    rows = [[Cell(f"row {i}")] for i in range(10_000)]
    many = grid(Table("", ("a",), rows), "rows")
    assert many.count("<td") == 300
    assert "<caption>rows; the first 300 of 10,000</caption>" in many
    few = grid(Table("", ("a",), rows[:300]), "rows")
    assert (few.count("<td"), "<caption>rows</caption>" in few) == (300, True)


@pytest.mark.parametrize("n", [10, 1000, 9000, 30_000])
def test_a_report_of_many_groups_is_below_a_megabyte_and_says_what_it_left_out(n):
    document = {"schema": "s", "groups": {"site": lines(n)}, "worst": [{"top": lines(3)}]}
    page = report("title", "top", ["main"], document)
    assert len(page.encode()) <= LARGEST
    found = document_in(page)
    kept = len(found["groups"]["site"])
    assert found["groups"]["site"] == document["groups"]["site"][:kept]
    assert (WHOLE in page) == (kept == n)
    if kept < n:
        assert f"of each table the first {kept} lines" in page
        assert kept >= 400


def test_what_cannot_be_cut_is_left_out_and_that_is_said():
    page = report("title", "top", ["main"], {"schema": "s", "matrix": [[0.125] * 1000] * 1000})
    assert len(page.encode()) <= LARGEST
    assert document_in(page) == {"schema": "s"}
    assert "too large for a page" in page
