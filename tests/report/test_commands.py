"""--html and `pandq explore` as a process: files whole or not at all, mistakes in one line."""

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq
from pandq.report.explore import presets_of
from tests import commands


@pytest.fixture(scope="module")
def preds(tmp_path_factory):
    path = tmp_path_factory.mktemp("html") / "preds.parquet"
    q = np.random.default_rng(0).dirichlet(np.ones(3), (2, 200))
    y = np.arange(200) % 3
    pq.write_table(pa.table({"label": y, "q": q[0].tolist(), "r": q[1].tolist()}), path)
    return path


@pytest.mark.parametrize("words", [("audit",), ("compare", "--q", "probs:r")])
def test_a_page_is_written_beside_what_is_printed(preds, tmp_path, words):
    out = tmp_path / "page.html"
    command, *more = words
    found = commands.pandq(
        command, preds, "--p", "labels:label", "--q", "probs:q", *more, "--html", out
    )
    assert (found.returncode, found.stderr) == (0, "")
    text = out.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert f"pandq {command}" in text
    assert "--html" in text  # the command that made it
    assert {"audit": "calibration loss", "compare": "KL(P||Q)"}[command] in found.stdout
    whole = commands.pandq(command, preds, "--p", "labels:label", "--q", "probs:q", *more, "--full")
    assert "cross entropy" in whole.stdout


def test_a_page_goes_with_json_on_standard_output(preds, tmp_path):
    out = tmp_path / "page.html"
    words = ("--p", "labels:label", "--q", "probs:q", "--html", out, "--json", "-")
    found = commands.pandq("audit", preds, *words)
    assert json.loads(found.stdout)["schema"] == "pandq/audit/2"
    assert out.exists()


def test_every_filter_of_a_comparison_of_three_models_has_a_table_of_its_own():
    rng = np.random.default_rng(0)
    p, *qs = (pandq.Probs(x) for x in rng.dirichlet(np.ones(3), (4, 60)))
    page = pandq.compare(p, *qs, names=["a.b", "a-b", "c"]).to_html()
    ids = re.findall(r' id="([^"]+)"', page)
    filters = re.findall(r' data-filters="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    # two differences from the first with two tables each, and three models apart from P
    assert len(set(filters)) == len(filters) == 2 * 2 + 3
    assert set(filters) <= set(ids)
    assert "a-b&#x27;s class" in page


@pytest.mark.parametrize("command", ["audit", "compare"])
def test_a_page_that_cannot_be_written_is_refused_before_any_work(preds, command):
    found = commands.pandq(
        command, preds, "--p", "labels:label", "--q", "probs:q", "--html", "/no/such/x.html"
    )
    assert found.returncode == 2
    assert found.stderr.startswith("pandq: /no/such/x.html: cannot be written")
    assert found.stdout == ""


AUDIT = ("--p", "labels:label", "--q", "probs:q")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*AUDIT, "--html", "x.parquet"), "x.parquet: the output is an input"),
        ((*AUDIT, "--json", "./x.parquet"), "x.parquet: the output is an input"),
        ((*AUDIT, "--html", "a.out", "--json", "a.out"), "a.out: two outputs have one name"),
        ((*AUDIT, "--html", "-"), "--html needs the name of a file, got '-'"),
        ((*AUDIT, "--items", "-"), "--items needs the name of a file, got '-'"),
        ((*AUDIT, "--recalibrator", "-"), "--recalibrator needs the name of a file, got '-'"),
        ((*AUDIT, "--seed", "-1"), "a seed is a whole number from 0 to 4294967295, got -1"),
    ],
)
@pytest.mark.parametrize("given", ["x.parquet", "*.parquet", "."])
def test_an_output_never_replaces_an_input_or_another_output(preds, tmp_path, given, words, said):
    data = preds.read_bytes()
    (tmp_path / "x.parquet").write_bytes(data)
    found = commands.pandq("audit", given, *words, cwd=tmp_path)
    assert (found.returncode, found.stdout) == (2, "")
    assert said in found.stderr
    assert [x.name for x in tmp_path.iterdir()] == ["x.parquet"]
    assert (tmp_path / "x.parquet").read_bytes() == data


def test_recalibrate_never_replaces_a_file_of_the_glob_that_it_reads(preds, tmp_path):
    data = preds.read_bytes()
    (tmp_path / "x.parquet").write_bytes(data)
    words = ("--q", "probs:q", "--with", "map.json", "--out", "x.parquet")
    found = commands.pandq("recalibrate", "*.parquet", *words, cwd=tmp_path)
    assert found.returncode == 2
    assert "x.parquet: the output is an input" in found.stderr
    assert (tmp_path / "x.parquet").read_bytes() == data


@pytest.mark.parametrize("option", ["--by", "--cluster", "--id", "--weights"])
def test_a_column_of_lists_names_no_rows(preds, option):
    found = commands.pandq("audit", preds, *AUDIT, option, "r")
    assert found.returncode == 2
    assert f"{option}: column 'r' holds list" in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_explore_is_written_where_it_is_asked_for(tmp_path):
    out = tmp_path / "explore.html"
    found = commands.pandq("explore", "--out", out)
    assert (found.returncode, found.stdout) == (0, f"{out}: open it in a browser\n")
    assert "<script" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "is no audit"),
        ("[1]", "is no JSON object"),
        ("{", "is no JSON"),
        ({"schema": "pandq/audit/1"}, "is no audit: its schema must be pandq/audit/2"),
        ({"worst": ...}, "is no audit: it lacks 'worst'"),
        ({"worst": None}, "is no audit: worst must be a list"),
        ({"worst": []}, "shows no rows to start from"),
    ],
)
def test_explore_of_what_is_no_audit_is_one_line(preds, tmp_path, text, said):
    path = tmp_path / "x.json"
    if isinstance(text, dict):
        whole = pandq.audit(pandq.scan(preds, p="labels:label", q="probs:q"), decompose=False)
        changed = whole.to_dict() | text
        text = json.dumps({name: x for name, x in changed.items() if x is not ...})
    path.write_text(text)
    found = commands.pandq("explore", "--from", path, "--out", tmp_path / "e.html")
    assert found.returncode == 2
    assert f"{path}: {said}" in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert not (tmp_path / "e.html").exists()


@pytest.mark.parametrize("k", [2, 12, 13, 400])
def test_a_preset_is_a_law_of_at_most_12_bars_that_keeps_the_largest_classes(k):
    rng = np.random.default_rng(k)
    p, q = rng.dirichlet(np.full(k, 0.3), (2, 100))
    audit = pandq.audit(pandq.Probs(p), pandq.Probs(q), decompose=False).to_dict()
    presets = presets_of(audit)
    assert len(presets) == 10
    for row, preset in zip(audit["worst"], presets, strict=True):
        for law, of in ((p, "p"), (q, "q")):
            assert 2 <= len(preset[of]) <= 12
            assert sum(preset[of]) == pytest.approx(1.0)
            assert max(preset[of]) == pytest.approx(max(law[row["row"]].max(), preset[of][-1]))
        merged = pandq.kl_divergence(*(pandq.Probs.normalised([preset[of]]) for of in "pq"))
        assert merged[0] <= row["kl"] * (1 + 1e-9)


def test_figures_are_drawn_on_the_axes_that_are_given(preds):
    from matplotlib.figure import Figure

    audit = pandq.audit(pandq.scan(preds, p="labels:label", q="probs:q"))
    for name in ("decomposition", "reliability", "kl_distribution", "classes"):
        figure = Figure()
        ax = figure.add_subplot()
        assert getattr(audit, f"figure_{name}")(ax) is figure
        assert ax.has_data()
        assert isinstance(getattr(audit, f"figure_{name}")(), Figure)
