"""Labels that do not count: their rows are left out by name alone, and counted."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq
from pandq import InputError, RowError, scan
from pandq.cli import main
from pandq.read.features import scan_features

N = 40
RNG = np.random.default_rng(3)
PROBS = RNG.dirichlet(np.ones(3), N)
CODES = np.where(np.arange(N) % 4 == 1, -100, RNG.integers(3, size=N))
COUNT = CODES != -100
NAMES = np.where(COUNT, np.array(["cat", "dog", "emu"])[CODES % 3], "can't tell")


def table(labels=CODES):
    return pa.table({"label": labels, "probs": PROBS.tolist(), "site": ["n", "s"] * (N // 2)})


def parquet(path):
    pq.write_table(table(), path / "t.parquet", row_group_size=7)
    return path / "t.parquet"


def csv(path):
    rows = zip(CODES, PROBS.tolist(), ["n", "s"] * (N // 2), strict=True)
    lines = [f'{y},"{json.dumps(p)}",{site}\n' for y, p, site in rows]
    (path / "t.csv").write_text("".join(["label,probs,site\n", *lines]))
    return path / "t.csv"


def jsonl(path):
    lines = (json.dumps(row) + "\n" for row in table().to_pylist())
    (path / "t.jsonl").write_text("".join(lines))
    return path / "t.jsonl"


def npz(path):
    np.savez(path / "t.npz", label=CODES, probs=PROBS, site=["n", "s"] * (N // 2))
    return path / "t.npz"


SOURCES = {
    "parquet": parquet,
    "csv": csv,
    "jsonl": jsonl,
    "npz": npz,
    "pyarrow": lambda _: table(),
    "float64": lambda _: table(CODES.astype(float)),
    "text": lambda _: table(CODES.astype(str)),
    "dictionary": lambda _: table(pa.array(CODES.astype(str)).dictionary_encode()),
}
READ = {"p": "labels:label", "q": "probs:probs", "classes": ["0", "1", "2"]}


def labels_of(rows):
    return np.concatenate([chunk.p.array for chunk in rows.chunks()])


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("ignored", [-100, "-100", "-100.0", [-100, "nobody"]])
def test_rows_of_an_ignored_label_are_left_out_and_counted(source, ignored, tmp_path):
    rows = scan(SOURCES[source](tmp_path), ignore_label=ignored, **READ)
    assert labels_of(rows).tolist() == CODES[COUNT].tolist()
    said = next(note for note in rows.notes if "--ignore-label" in note)
    assert said.startswith("10 rows were left out, as label is -100")


@pytest.mark.parametrize("source", SOURCES)
def test_without_the_option_minus_100_is_an_error_that_names_it(source, tmp_path):
    with pytest.raises(RowError, match=r"-100.*--ignore-label -100"):
        list(scan(SOURCES[source](tmp_path), **READ).chunks())


def test_minus_100_among_positions_is_an_error_that_names_the_option():
    with pytest.raises(RowError, match=r"below 0, got -100.*y != -100.*--ignore-label -100"):
        list(scan(table(), q="probs:probs").chunks())
    with pytest.raises(RowError, match=r"y != -100"):
        pandq.Labels(CODES, 3)


@pytest.mark.parametrize("label", ["can't tell", 'a "b"', "x'); DROP TABLE rows; --"])
def test_an_ignored_name_is_text_whatever_it_holds(label):
    names = np.where(COUNT, NAMES, label)
    read = {**READ, "classes": ["cat", "dog", "emu"]}
    rows = scan(table(names), ignore_label=label, **read)
    assert labels_of(rows).tolist() == CODES[COUNT].tolist()


def test_an_ignored_number_is_no_name_that_begins_with_it():
    names = np.where(COUNT, "-100b", "-100")
    rows = scan(table(names), ignore_label=-100, **{**READ, "classes": ["-100b", "b", "c"]})
    assert len(labels_of(rows)) == COUNT.sum()


def test_a_condition_and_an_ignored_label_hold_together(tmp_path):
    for source in (parquet(tmp_path), csv(tmp_path), npz(tmp_path), table()):
        rows = scan(source, ignore_label=-100, where="site = 'n' OR label = 2", **READ)
        kept = COUNT & ((np.arange(N) % 2 == 0) | (CODES == 2))
        assert labels_of(rows).tolist() == CODES[kept].tolist()


def test_labels_that_are_missing_are_no_ignored_ones():
    labels = pa.array([None if x == 0 else int(x) for x in CODES])
    with pytest.raises(RowError, match="has no label"):
        list(scan(table(labels), ignore_label=-100, **READ).chunks())


def test_an_ignored_label_that_is_nowhere_is_said():
    rows = scan(table(CODES % 3), ignore_label=-1, **READ)
    assert "no row of label is -1 (--ignore-label)" in rows.notes
    assert len(labels_of(rows)) == N


def test_labels_beside_a_reference_decide_which_rows_are_compared():
    logits = np.log(PROBS)
    both = table().append_column("base", pa.array(logits.tolist()))
    rows = scan(both, p="logits:base", q="probs:probs", labels="label", ignore_label=-100)
    found = pandq.compare(rows)
    assert found.n == COUNT.sum()
    assert any("10 rows were left out" in note for note in found.to_dict()["notes"])


def test_the_report_of_an_audit_counts_them():
    ignored = pandq.audit(scan(table(), ignore_label=-100, **READ), decompose=False)
    exact = -np.log(PROBS[COUNT, CODES[COUNT]]).mean()
    assert ignored.cross_entropy.value == pytest.approx(exact)
    assert "10 rows were left out" in ignored.to_text()
    assert any("10 rows were left out" in note for note in ignored.to_dict()["notes"])


@pytest.mark.parametrize(
    ("p", "remedy"),
    [("probs:probs", "--p probs:probs"), ("votes:votes", "--skip -100")],
)
def test_what_is_no_label_has_none_that_is_ignored(p, remedy):
    votes = table().append_column("votes", pa.array([["a", "b"]] * N))
    with pytest.raises(InputError, match=rf"--ignore-label is for labels.*{remedy}"):
        scan(votes, p=p, q="probs:probs", ignore_label=-100)


def test_an_ignored_label_is_text_or_a_number():
    with pytest.raises(InputError, match="ignore_label is a label"):
        scan(table(), ignore_label=[None], **READ)


def test_what_is_fitted_takes_minus_100_for_no_class():
    x = table().append_column("x", pa.array(RNG.normal(size=(N, 2)).tolist()))
    with pytest.raises(InputError, match=r"holds labels of -100.*--ignore-label -100.*--classes"):
        scan_features(x, p="labels:label")
    rows = scan_features(x, p="labels:label", ignore_label=-100)
    assert rows.n_classes == 3
    assert rows.classes is None
    assert sum(len(chunk) for chunk in rows.chunks()) == COUNT.sum()
    assert any("10 rows were left out" in note for note in rows.notes)


# ---------------------------------------------------------------------- on the command line


def ran(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["pandq", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code or 0


def test_an_audit_says_how_many_rows_it_left_out(tmp_path, monkeypatch, capsys):
    files, model = npz(tmp_path), ("--p", "labels:label", "--q", "probs:probs")
    assert ran(monkeypatch, "audit", files, *model) == 2
    assert "--ignore-label -100" in capsys.readouterr().err
    assert ran(monkeypatch, "audit", files, *model, "--ignore-label", "-100", "--json", "-") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["n"] == COUNT.sum()
    assert "10 rows were left out, as label is -100 (--ignore-label)" in told["notes"]


def test_a_fit_says_how_many_rows_it_left_out_and_its_model_knows_which(
    tmp_path, monkeypatch, capsys
):
    x = table().append_column("x", pa.array(RNG.normal(size=(N, 2)).tolist()))
    pq.write_table(x, tmp_path / "x.parquet")
    fit = ("fit", tmp_path / "x.parquet", "--x", "x", "--p", "labels:label")
    assert ran(monkeypatch, *fit, "--out", tmp_path / "m", "--ignore-label", -100) == 0
    assert "10 rows were left out, as label is -100" in capsys.readouterr().out
    options = pandq.load_model(tmp_path / "m").metadata["options"]
    assert list(options["ignore_label"]) == ["-100"]


# ------------------------------------------------------------- labels that count otherwise


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
def test_labels_from_1_to_k_are_refused_and_never_shifted(dtype):
    shifted = (1 + np.arange(N) % 3).astype(dtype)
    rows = scan(table(shifted), p="labels:label", q="probs:probs")
    with pytest.raises(RowError, match=r"row 2 is out of range for 3 classes \(0 to 2\), got 3"):
        list(rows.chunks())
    named = scan(table(shifted), **{**READ, "classes": ["1", "2", "3"]})
    assert labels_of(named).tolist() == (np.arange(N) % 3).tolist()


def test_an_unknown_label_shifts_no_other():
    names = np.where(np.arange(N) == 5, "aardvark", np.where(COUNT, NAMES, "cat"))
    rows = scan(table(names), q="probs:probs", classes=["cat", "dog", "emu"])
    with pytest.raises(RowError, match=r"row 5 is no class name, got 'aardvark'.*--ignore-label"):
        list(rows.chunks())
