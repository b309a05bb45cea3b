"""The command line as its user meets it: a process, its output, its exit code."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pandq.cli import cli
from pandq.demo import run_demo
from tests.commands import pandq

README = Path(__file__).parents[1] / "README.md"

CLASSES = 3
LABELS = np.arange(100) % CLASSES
PROBS = np.random.default_rng(0).dirichlet(np.ones(CLASSES), 100)


def table(path, **columns):
    lists = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in columns.items()}
    pq.write_table(pa.table(lists), path)
    return path


@pytest.fixture
def good(tmp_path):
    names = ["abc"[i] for i in LABELS]
    return table(tmp_path / "good.parquet", label=LABELS, probs=PROBS, name=names)


def changed(x, row, value):
    x = x.copy()
    x[row] = value
    return x


BAD = {
    "a missing file, with the near name": (
        lambda d: [table(d / "good.parquet", label=LABELS, probs=PROBS).with_suffix(".parqet")],
        ["no such file", "Did you mean 'good.parquet'"],
    ),
    "an empty file": (lambda d: [_bytes(d / "x.parquet", b"")], ["x.parquet", "empty"]),
    "a truncated parquet": (lambda d: [_truncated(d)], ["x.parquet", "cannot be read as parquet"]),
    "a csv with a ragged row": (
        lambda d: [_bytes(d / "x.csv", b"label,prob_a,prob_b\n0,.5,.5\n1,.5\n")],
        ["x.csv", "line 3 has 2 fields where the header has 3"],
    ),
    "a column that does not exist": (
        lambda d: [table(d / "x.parquet", label=LABELS, probs=PROBS), "--q", "probs:prbs"],
        ["no column 'prbs'", "Did you mean 'probs'"],
    ),
    "lists of different lengths": (
        lambda d: [table(d / "x.parquet", label=[0, 1], probs=[[0.5, 0.5], [1.0]])],
        ["'probs' row 1", "list of 1", "first row has 2"],
    ),
    "different numbers of classes": (
        lambda d: [table(d / "x.parquet", counts=np.ones((100, 4), int), probs=PROBS)],
        ["different numbers of classes", "4 and 3"],
    ),
    "labels that match no class name": (
        lambda d: [
            table(d / "x.parquet", label=["cat", "dgo"], prob_cat=[0.5, 0.5], prob_dog=[0.5, 0.5])
        ],
        ["row 1 is no class name", "'dgo'", "Did you mean 'dog'"],
    ),
    "names without class names": (
        lambda d: [table(d / "x.parquet", label=["cat", "dog"], probs=PROBS[:2])],
        ["class names", "--classes"],
    ),
    "a label out of range": (
        lambda d: [table(d / "x.parquet", label=changed(LABELS, 70, 3), probs=PROBS)],
        ["Labels row 70", "out of range for 3 classes"],
    ),
    "NaN": (
        lambda d: [table(d / "x.parquet", label=LABELS, probs=changed(PROBS, 60, np.nan))],
        ["column 'probs'", "row 60", "NaN"],
    ),
    "a negative probability": (
        lambda d: [table(d / "x.parquet", label=LABELS, probs=changed(PROBS, 60, [-0.5, 1, 0.5]))],
        ["row 60 has a negative probability", "-0.5 in class 0", "Logits"],
    ),
    "rows that do not sum to one": (
        lambda d: [table(d / "x.parquet", label=LABELS, probs=changed(PROBS, 60, [0.5, 0.5, 0.5]))],
        ["row 60 sums to 1.5", "tolerance 1e-06", "--normalise q"],
    ),
    "counts that are all zero": (
        lambda d: [
            table(d / "x.parquet", counts=changed(np.ones((100, 3), int), 40, 0), probs=PROBS)
        ],
        ["Counts row 40 has no votes", "--where"],
    ),
    "counts that are weights": (
        lambda d: [table(d / "x.parquet", counts=PROBS, probs=PROBS), "--p", "counts:counts"],
        ["Counts row 0 is not whole numbers", "Probs"],
    ),
    "an unknown kind": (
        lambda d: [table(d / "x.parquet", label=LABELS, probs=PROBS), "--p", "lables:label"],
        ["unknown kind", "Did you mean 'labels'"],
    ),
    "an output path that cannot be written": (
        lambda d: [
            table(d / "x.parquet", label=LABELS, probs=PROBS),
            "--json",
            d / "no" / "x.json",
        ],
        ["x.json", "there is no folder"],
    ),
    "two columns that may be P": (
        lambda d: [table(d / "x.parquet", label=LABELS, target=LABELS, probs=PROBS)],
        ["more than one column may be P", "labels:label, labels:target", "--p"],
    ),
    "a condition that is no SQL": (
        lambda d: [table(d / "x.parquet", label=LABELS, probs=PROBS), "--where", "lable = 1"],
        ["--where", "lable", "label"],
    ),
    "a condition that no row meets": (
        lambda d: [table(d / "x.parquet", label=LABELS, probs=PROBS), "--where", "label = 7"],
        ["there are no rows"],
    ),
    "an option that is no number": (
        lambda d: [table(d / "x.parquet", label=LABELS, probs=PROBS), "--level", "high"],
        ["--level", "'high'"],
    ),
    "a level outside 0 to 1": (
        lambda d: [table(d / "x.parquet", label=LABELS, probs=PROBS), "--level", "95"],
        ["level must lie between 0 and 1", "95"],
    ),
}


def _bytes(path, content):
    path.write_bytes(content)
    return path


def _truncated(folder):
    path = table(folder / "x.parquet", label=LABELS, probs=PROBS)
    return _bytes(path, path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line_and_exit_code_2(case, tmp_path):
    make, expected = BAD[case]
    arguments = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = pandq("audit", *arguments, "--items", tmp_path / "items.parquet")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("pandq: ")
    for words in expected:
        assert words in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_row_that_fails_late_leaves_an_older_output_as_it_was(tmp_path):
    bad = table(tmp_path / "x.parquet", label=LABELS, probs=changed(PROBS, 99, np.nan))
    items = _bytes(tmp_path / "items.parquet", b"mine")
    assert pandq("audit", bad, "--items", items).returncode == 2
    assert items.read_bytes() == b"mine"


def test_json_on_standard_output_is_the_only_thing_there(good):
    done = pandq("audit", good, "--by", "name", "--json", "-")
    document = json.loads(done.stdout)
    assert document["schema"] == "pandq/audit/2"
    assert document["n"] == 100
    assert document["n_classes"] == CLASSES
    assert {row["name"] for row in document["groups"]["name"]} == {"a", "b", "c"}
    assert done.returncode == 0


def test_what_was_chosen_is_printed(good):
    done = pandq("audit", good)
    assert "--p labels:label was chosen" in done.stdout
    assert "--q probs:probs was chosen" in done.stdout


def test_items_have_one_row_of_measures_per_input_row(tmp_path):
    items, names = tmp_path / "items.parquet", [f"row {i}" for i in range(100)]
    path = table(tmp_path / "x.parquet", label=LABELS, probs=PROBS, name=names)
    assert pandq("audit", path, "--items", items, "--id", "name").returncode == 0
    found = pq.read_table(items)
    expected = -np.log(PROBS[np.arange(100), LABELS])
    np.testing.assert_allclose(found["kl"].to_numpy(), expected, rtol=1e-14)
    assert found["id"].to_pylist() == names


def test_bits_are_nats_over_log_2(good):
    nat, bit = (
        json.loads(pandq("audit", good, "--unit", unit, "--json", "-").stdout)
        for unit in ("nat", "bit")
    )
    assert bit["kl"]["value"] == pytest.approx(nat["kl"]["value"] / np.log(2), rel=1e-14)
    assert bit["accuracy"] == nat["accuracy"]


def test_where_audits_only_those_rows(good):
    done = json.loads(pandq("audit", good, "--where", "label < 2", "--json", "-").stdout)
    assert done["n"] == int((LABELS < 2).sum())


def test_infinite_rows_are_counted_shown_and_kept_apart(tmp_path):
    q = np.eye(CLASSES)[(LABELS + (np.arange(100) < 5)) % CLASSES]
    path = table(tmp_path / "x.parquet", label=LABELS, probs=q)
    document = json.loads(pandq("audit", path, "--json", "-").stdout)
    assert document["infinite_rows"] == 5
    assert [row["row"] for row in document["infinite"]] == [0, 1, 2, 3, 4]
    assert document["cross_entropy"]["value"] is None
    assert document["finite_part"]["kl"]["value"] == 0.0


def test_control_c_ends_quietly(tmp_path):
    big = np.tile(PROBS, (20_000, 1))
    lists = pa.FixedSizeListArray.from_arrays(big.ravel(), CLASSES)
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"label": np.tile(LABELS, 20_000), "probs": lists}), path)
    process = subprocess.Popen(
        [sys.executable, "-m", "pandq", "audit", path, "--items", tmp_path / "items.parquet"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob(".items*")) and time.monotonic() < deadline:
        time.sleep(0.02)  # until the output is half-written
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (out, err.strip()) == ("", "")
    assert process.returncode == 130
    assert [p.name for p in tmp_path.iterdir()] == ["x.parquet"]


def test_inspect_says_what_the_columns_are_and_what_to_run(good):
    done = pandq("inspect", good)
    assert done.returncode == 0
    assert f"pandq audit {good} --p labels:label --q probs:probs" in done.stdout


def test_the_demo_fits_on_a_screen_writes_its_files_and_says_what_to_run_next(tmp_path):
    done = pandq("demo", cwd=tmp_path, env=os.environ | {"COLUMNS": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 80
    made = {p.name for p in (tmp_path / "pandq-demo").iterdir()}
    assert made == {"digits.parquet", "report.html", "audit.json", "comparison.json"}
    for part in ("floor ", "grouping loss ", "calibration loss "):
        assert any(line.startswith(part) for line in lines)
    again = [line for line in lines if line.startswith("  pandq audit pandq-demo")]
    assert pandq(*again[0].split()[1:], cwd=tmp_path).returncode == 0


def test_the_truth_of_the_demo_lies_in_its_intervals(tmp_path):
    found = run_demo(tmp_path / "demo")
    parts = found.votes.decomposition
    assert parts.floor.low <= found.true_floor <= parts.floor.high
    assert parts.kl.low <= found.true_kl <= parts.kl.high
    assert found.labels.decomposition.floor.value is None


def test_the_demo_goes_into_a_folder_of_its_own_or_none(tmp_path):
    (tmp_path / "thesis").write_text("a thesis")
    for name in ("digits.parquet", "audit.json", "comparison.json"):
        folder = tmp_path / name.partition(".")[0]
        folder.mkdir()
        (folder / name).symlink_to("../thesis")
        done = pandq("demo", "--out", folder)
        assert (done.returncode, done.stdout) == (2, "")
        assert "is not empty" in done.stderr
        assert [x.name for x in folder.iterdir()] == [name]
    assert (tmp_path / "thesis").read_text() == "a thesis"


def test_a_map_is_not_applied_to_top_k_lists(tmp_path):
    path = table(tmp_path / "x.parquet", label=LABELS, q=PROBS[:, 0], prob_a=PROBS[:, 0])
    (tmp_path / "map.json").write_text(json.dumps(MAP))
    words = ("--q", "topk:q,prob_a", "--with", tmp_path / "map.json")
    done = pandq("recalibrate", path, *words, "--out", tmp_path / "out.parquet")
    assert done.returncode == 2
    assert "TopK" in done.stderr
    assert "fault" not in done.stderr


MAP = {
    "kind": "identity",
    "parameters": {},
    "eps": 0.1,
    "freq": [0.5, 0.5],
    "floor": -5.0,
    "n": 9,
    "classes": None,
}


def test_memory_does_not_grow_with_the_rows(tmp_path):
    lists = pa.FixedSizeListArray.from_arrays(np.tile(PROBS, (1000, 1)).astype("f4").ravel(), 3)
    block = pa.table({"label": np.tile(LABELS, 1000), "probs": lists})
    peaks = []
    for copies in (2, 20):
        path = tmp_path / f"{copies}.parquet"
        with pq.ParquetWriter(path, block.schema) as writer:
            for _ in range(copies):
                writer.write_table(block)
        code = (
            "import resource, sys\nfrom pandq.cli import cli\n"
            f"cli(['audit', {str(path)!r}, '--json', '-'], standalone_mode=False)\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        peaks.append(int(done.stderr))
    assert peaks[1] - peaks[0] < 50_000  # KiB, for 1.8 million more rows


def _commands():
    return {name: cli.get_command(click.Context(cli), name) for name in cli.commands}


@pytest.mark.parametrize("name", sorted(_commands()))
def test_every_command_and_option_has_help(name):
    command = _commands()[name]
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts}"


def test_the_ci_script_runs_the_readme_command_verbatim():
    ci = (README.parent / ".ci" / "run").read_text(encoding="utf-8")
    commands = re.findall(r"^python3 -m venv .*$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) == 2
    assert "pandq demo" in commands[0]
    assert commands[1] in ci.splitlines()


def test_a_recalibration_map_is_saved_and_applied(tmp_path):
    truth = np.random.default_rng(5).dirichlet(np.ones(3), 600)
    labels = [int(np.random.default_rng(i).choice(3, p=row)) for i, row in enumerate(truth)]
    sharp = truth**3 / (truth**3).sum(axis=1, keepdims=True)
    names = {f"prob_{c}": sharp[:, k] for k, c in enumerate("abc")}
    path = table(tmp_path / "x.parquet", label=["abc"[y] for y in labels], **names)
    saved, out = tmp_path / "map.json", tmp_path / "out.parquet"
    assert pandq("audit", path, "--recalibrator", saved).returncode == 0
    done = pandq("recalibrate", path, "--q", "probs:prob_*", "--with", saved, "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert "600 rows" in done.stdout
    listed = "probs:prob_a,prob_b,prob_c"
    again = pandq("recalibrate", path, "--q", listed, "--with", saved, "--out", out)
    assert (again.returncode, again.stderr) == (0, "")
    before, after = (
        json.loads(
            pandq(
                "audit",
                out,
                "--p",
                "labels:label",
                "--q",
                q,
                "--classes",
                "a,b,c",
                "--no-decompose",
                "--json",
                "-",
            ).stdout
        )["cross_entropy"]["value"]
        for q in ("probs:prob_a,prob_b,prob_c", "probs:recalibrated")
    )
    assert after < before - 0.05


def test_a_map_is_refused_for_classes_in_another_order(tmp_path):
    path = table(
        tmp_path / "x.parquet",
        label=LABELS,
        prob_a=PROBS[:, 0],
        prob_b=PROBS[:, 1],
        prob_c=PROBS[:, 2],
    )
    saved, out = tmp_path / "map.json", tmp_path / "out.parquet"
    assert pandq("audit", path, "--recalibrator", saved).returncode == 0
    wrong = "probs:prob_b,prob_a,prob_c"
    done = pandq("recalibrate", path, "--q", wrong, "--with", saved, "--out", out)
    assert done.returncode == 2
    assert not out.exists()


def test_class_names_that_contradict_the_columns_are_refused(tmp_path):
    path = table(
        tmp_path / "x.parquet",
        label=LABELS,
        prob_a=PROBS[:, 0],
        prob_b=PROBS[:, 1],
        prob_c=PROBS[:, 2],
    )
    done = pandq("audit", path, "--classes", "b,a,c")
    assert done.returncode == 2
    assert "contradict" in done.stderr


def test_an_option_for_one_column_is_refused_twice(good):
    done = pandq("audit", good, "--p", "labels:label", "--p", "labels:name")
    assert done.returncode == 2
    assert "--p was given 2 times" in done.stderr


def test_labels_against_labels_need_the_number_of_classes(good):
    done = pandq("audit", good, "--p", "labels:label", "--q", "labels:label")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "how many classes" in done.stderr


def test_a_list_is_no_label(tmp_path):
    path = table(tmp_path / "x.parquet", label=[[0, 1]] * 3, probs=PROBS[:3])
    done = pandq("audit", path, "--p", "labels:label")
    assert done.returncode == 2
    assert "list per row" in done.stderr


@pytest.mark.parametrize(("limit", "code"), [("9", 0), ("0.001", 1)])
def test_a_limit_is_held_against_the_end_of_the_interval(good, limit, code):
    done = pandq("audit", good, "--no-decompose", "--max-kl", limit)
    assert done.returncode == code
    if code:
        assert done.stderr.count("\n") == 1
        assert "--max-kl 0.001 is breached: kl " in done.stderr
    else:
        assert "--max-kl 9 holds" in done.stdout


def test_a_limit_between_the_mean_and_the_end_of_its_interval_is_breached(good):
    kl = json.loads(pandq("audit", good, "--no-decompose", "--json", "-").stdout)["kl"]
    between = (kl["value"] + kl["high"]) / 2
    assert pandq("audit", good, "--no-decompose", "--max-cross-entropy", between).returncode == 1


def test_too_few_rows_for_a_map_still_print_the_report(tmp_path):
    path = table(tmp_path / "x.parquet", label=LABELS[:9], probs=PROBS[:9])
    done = pandq("audit", path, "--recalibrator", tmp_path / "map.json")
    assert done.returncode == 2
    assert "cross entropy" in done.stdout
    assert "too few rows" in done.stderr
    assert not (tmp_path / "map.json").exists()


def test_a_report_names_the_columns_of_clusters_and_of_weights_and_how_many_clusters(tmp_path):
    rng = np.random.default_rng(0)
    columns = {"label": rng.integers(0, 2, 60), "doc": np.arange(60) % 12, "w": np.ones(60)}
    columns |= {"q": list(rng.dirichlet(np.ones(2), 60))}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    words = ("--p", "labels:label", "--q", "probs:q", "--cluster", "doc", "--weights", "w")
    told = ("--json", "x.json", "--html", "x.html")
    run = pandq("audit", "x.parquet", *words, *told, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "intervals over 12 clusters at 95%" in run.stdout
    source = json.loads((tmp_path / "x.json").read_text())["source"]
    assert (source["cluster"], source["weights"]) == ("doc", "w")
    page = re.sub("<[^>]*>", " ", (tmp_path / "x.html").read_text())
    assert re.search(r"cluster\s+doc\s+weights\s+w\s", page)
