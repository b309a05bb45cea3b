"""What a result knows is said, in text, on the page, in Markdown and in JSON; the answer first."""

import contextlib
import html
import json
import os
import pty
import re
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq
from pandq.quantities import QUANTITIES
from pandq.report.markdown import markdown
from pandq.report.sections.result import sections_of
from pandq.report.sections.section import interval
from pandq.report.words import headline
from pandq.units import number
from tests.golden.documents import RESULTS, agreements, audits, comparisons, made, result
from tests.results.walk import estimates

AUDITS = list(audits())
COMPARISONS = list(comparisons())
AGREEMENTS = list(agreements())


def lines_of(found):
    """Each drawing of a result as its lines of quantities."""
    page = found.to_html()
    rows = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    return {
        "text": found.to_text().splitlines(),
        "page": [html.unescape(re.sub(r"<[^>]+>", " ", row)) for row in rows],
        "Markdown": [
            re.sub(r"\\(.)", r"\1", line)
            for line in markdown(sections_of(found), []).splitlines()
            if line.startswith("|")
        ],
    }


def at(document, place):
    """What a JSON document has at a place."""
    for name in place:
        document = document[name]
    return document


def said(place, e, lines):
    """Is there a line with the quantity's label, its number and its interval?"""
    words = (QUANTITIES[place[-1]].label, number(e.value), interval(e))
    return any(all(x in line for x in words) for line in lines)


@pytest.mark.parametrize("name", AUDITS)
def test_every_estimate_of_an_audit_is_in_text_page_markdown_and_json(name):
    found = result(name)
    drawings, document = lines_of(found), json.loads(json.dumps(found.to_dict()))
    known = list(estimates(found))
    assert len(known) >= 8
    for place, e in known:
        assert place[-1] in QUANTITIES, place
        told = at(document, place)
        assert (told["low"], told["n"], told["method"]) == (
            e.to_dict()["low"],
            e.n,
            e.method,
        )
        for drawing, lines in drawings.items():
            assert said(place, e, lines), (place, drawing)


def test_a_quantity_that_no_section_tells_is_found_out(monkeypatch):
    """The test above fails where a row is forgotten."""
    from pandq.report.sections import audit

    found = result("votes")
    kept = audit.keys
    monkeypatch.setattr(audit, "keys", lambda of: [x for x in kept(of) if x != "confidence"])
    lines = lines_of(found)
    assert not any(said(("confidence",), found.confidence, some) for some in lines.values())
    assert all(said(("brier",), found.brier, some) for some in lines.values())


@pytest.mark.parametrize("name", AGREEMENTS)
def test_every_estimate_of_votes_is_in_text_page_markdown_and_json(name):
    found = result(name)
    drawings, document = lines_of(found), found.to_dict()
    for place, e in estimates(found):
        told = at(document, place)
        assert (told["low"], told["n"], told["method"]) == (e.to_dict()["low"], e.n, e.method)
        shown = number(100 * e.value, 3) if place[0] == "components" else number(e.value)
        for drawing, lines in drawings.items():
            words = (QUANTITIES[place[-1]].label, shown)
            assert any(all(x in line for x in words) for line in lines), (place, drawing)


@pytest.mark.parametrize("name", AGREEMENTS)
def test_every_line_of_an_annotator_a_class_and_an_item_is_in_text_and_page(name):
    found = result(name)
    text, page = found.to_text(), html.unescape(found.to_html())
    for line in (*found.annotators, *found.classes):
        for drawing in (text, page):
            assert number(line["agreement"] if "verdict" in line else line["share"], 3) in drawing
    for line in found.divided:
        assert number(line["entropy"]) in text
    for sentence in found.notes:
        assert " ".join(sentence.split()) in " ".join(text.split())


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_estimate_of_a_comparison_is_in_text_and_page(name):
    found = result(name)
    document = found.to_dict()
    text, page = found.to_text(), html.unescape(found.to_html())
    for place, e in estimates(found):
        assert at(document, place)["method"] == e.method
        if place[0] == "models" and place[-1] == "expected_accuracy":
            continue  # its difference is told, which is what tells models apart
        values = [number(e.value), number(e.value, 6)]
        if e.unit == "":
            values += [f"{e.value:.1%}", f"{e.value:.2%}", f"{100 * e.value:.3f} %"]
        for drawing in (text, page):
            assert any(x in drawing for x in values), place


@pytest.mark.parametrize("name", AUDITS)
def test_findings_and_notes_are_said(name):
    found = result(name)
    text, page = " ".join(found.to_text().split()), html.unescape(found.to_html())
    for sentence in (*(x.sentence for x in found.findings), *found.notes):
        assert " ".join(sentence.rstrip(".").split()) in text
        assert sentence.rstrip(".") in page


# -------------------------------------------------------------------------------- the first screen


@pytest.mark.parametrize("name", RESULTS)
def test_the_first_screen_has_24_lines_of_80_columns(name):
    lines = result(name).to_text(full=False, width=80).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert not any("\x1b" in line for line in lines)


def numbers(text):
    """Those with a point, of a text whose lines may end anywhere between words."""
    return sorted(re.findall(r"(?<![\w.])-?\d[\d,]*\.\d+(?:e[+-]\d+)?", text))


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("name", RESULTS)
def test_in_a_narrow_terminal_no_number_is_cut_and_no_table_is_wider(name, width):
    found = result(name)
    text = found.to_text(width=width)
    assert numbers(text) == numbers(found.to_text(width=200))
    assert max(map(len, text.splitlines())) <= max(width, 62)  # the bar is 62 wide


@pytest.mark.parametrize("name", AUDITS)
def test_the_first_screen_of_an_audit_says_sentence_bar_parts_and_what_to_do(name):
    found = result(name)
    first = found.to_text(full=False, width=80)
    flat = " ".join(first.split())
    assert headline(found) in flat
    assert flat.index(headline(found)) < flat.index(f"{found.n} rows, {found.n_classes} classes")
    if found.decomposition is None:
        assert "cross entropy H(P,Q)" in flat
        return
    assert re.search(r"^\|[#?+. ]{60}\|$", first, re.MULTILINE)
    for part in ("floor", "grouping loss", "calibration loss", "refinement loss"):
        assert re.search(rf"^{part} +\S", first, re.MULTILINE), part
    assert re.search(r"^-> \w+", first, re.MULTILINE)
    bar = re.search(r"\|[#?]", flat).start()
    assert flat.index(headline(found)) < bar < flat.index("-> ")


@pytest.mark.parametrize("name", COMPARISONS)
def test_the_first_screen_of_a_comparison_says_sentence_and_models(name):
    found = result(name)
    first = found.to_text(full=False, width=80)
    for model in found.models or found.bounds:
        assert re.search(rf"^{re.escape(model.q)} +", first, re.MULTILINE)
    flat = " ".join(first.split())
    for x in found.differences:
        assert flat.startswith(x.q if x.verdict == "worse" else f"The loss of {x.q} is")
        assert {"not told apart": "do not tell the two apart"}.get(x.verdict, x.verdict) in flat


@pytest.mark.parametrize("name", RESULTS)
def test_print_is_the_first_screen_and_to_text_the_whole(name):
    found = result(name)
    assert str(found) == found.to_text(full=False)
    whole, first = found.to_text().splitlines(), str(found).splitlines()
    assert set(first) - set(whole) <= {first[-1]}
    more = "--full" in first[-1]
    assert more == (len(whole) > len(first))
    assert not any("--full" in line for line in whole)


def test_print_is_text_in_a_notebook_too(monkeypatch):
    found = result(next(iter(RESULTS)))
    expected = str(found)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert str(found) == expected != ""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Votes of three classes, two models and a group, as a file."""
    path, d = tmp_path_factory.mktemp("screen") / "x.parquet", made()
    columns = {"votes": d["votes"].tolist(), "site": d["site"]}
    columns |= {name: d[name].tolist() for name in ("sharp", "blurred")}
    pq.write_table(pa.table(columns), path)
    return path


def on_a_terminal(words, **environment):
    """What a command prints on a terminal of 80 columns, as its lines without colours."""
    ours, its = pty.openpty()
    env = os.environ | {"COLUMNS": "80", "TERM": "xterm"} | environment
    with subprocess.Popen(words, stdout=its, stderr=subprocess.DEVNULL, env=env) as process:
        os.close(its)
        told = b""
        with contextlib.suppress(OSError):  # how a terminal says that the other end is closed
            while more := os.read(ours, 1 << 16):
                told += more
        os.close(ours)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", told.decode()).splitlines()


@pytest.mark.parametrize("command", ["audit", "compare"])
@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_the_command_prints_the_first_screen_and_with_full_the_tables(table, command, environment):
    q = ["--q", "probs:sharp", *(["--q", "probs:blurred"] if command == "compare" else [])]
    words = [sys.executable, "-m", "pandq", command, table, "--p", "counts:votes", *q]
    words += ["--by", "site"]
    first, whole = (on_a_terminal([*words, *x], **environment) for x in ([], ["--full"]))
    assert len(first) <= 24
    assert max(map(len, first)) <= 80
    heads = [line.split()[0] for line in whole if line]
    assert {"site", "south", "north", "west"} <= set(heads)
    assert "south" not in " ".join(first)
    assert len(whole) > 2 * len(first)
    assert any("--full" in line for line in first[-2:])


def test_classes_groups_and_rows_say_their_unit():
    rows = made()
    q = pandq.Probs(rows["sharp"])
    found = pandq.audit(pandq.Counts(rows["votes"]), q, by={"site": rows["site"]}, unit="bit")
    other = pandq.compare(pandq.Labels(rows["labels"]), q, pandq.Probs(rows["blurred"]), unit="bit")
    for x in (found, other):
        tables = [t for section in sections_of(x) for t in section.table]
        of_losses = [t for t in tables if {"interval", "row"} & set(t.columns)]
        assert len(of_losses) >= 3
        for t in of_losses:
            if t.title != "confidence of Q":
                assert any(column.endswith(", bit") for column in t.columns), t.title
