"""The table of rows: what `--items` writes, in Python."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq
from pandq import Counts, Ensemble, InputError, Labels, Probs, ViewTypeError
from pandq.outputs.items import write_items
from pandq.quantities import keys

DRAW = np.random.default_rng(5)
N = 300
TRUTH = DRAW.dirichlet(np.ones(3), N)
Y = np.array([DRAW.choice(3, p=row) for row in TRUTH])
Q = TRUTH**3 / (TRUTH**3).sum(axis=1, keepdims=True)
PATIENT = np.arange(N) // 3


def test_the_table_has_every_quantity_of_a_row_in_the_house_s_order():
    table = pandq.items(Labels(Y), Probs(Q))
    measured = keys("average", "row")
    assert table.column_names == ["row", "id", *measured, "p_class", "q_class"]
    assert [table.schema.field(name).type for name in measured] == [pa.float64()] * len(measured)
    assert table.schema.field("p_class").type == pa.int32()


def test_the_numbers_are_those_of_the_measures():
    table = pandq.items(Labels(Y), Probs(Q), ids=[f"row {i}" for i in range(N)])
    p, q = Labels(Y, 3), Probs(Q)
    truth = {
        "kl": -np.log(Q[np.arange(N), Y]),
        "accuracy": (Q.argmax(axis=1) == Y).astype(float),
        "brier": np.square(np.eye(3)[Y] - Q).sum(axis=1),
        "q_entropy": pandq.entropy(q),
        "entropy": pandq.entropy(p),
        "q_class": Q.argmax(axis=1),
    }
    for name, want in truth.items():
        assert table[name].to_numpy() == pytest.approx(want, rel=1e-12), name
    assert table["id"].to_pylist()[:2] == ["row 0", "row 1"]
    assert table["row"].to_pylist() == list(range(N))


def test_a_top_that_several_classes_share_is_null():
    assert pandq.items(Labels([0]), Probs([[0.5, 0.5]]))["q_class"].to_pylist() == [None]


def test_an_ensemble_adds_its_split():
    q = Ensemble([Probs(Q), Probs(TRUTH)])
    table = pandq.items(Labels(Y), q)
    for name in ("total", "aleatoric", "epistemic"):
        assert table[name].to_numpy() == pytest.approx(getattr(q, name)(), abs=1e-12)


@pytest.mark.parametrize("p", [Labels(Y, 3), Counts(DRAW.multinomial(4, np.full(3, 1 / 3), N))])
def test_an_audit_adds_what_its_decomposition_says_of_each_row(p):
    audit = pandq.audit(p, Probs(Q), cluster=PATIENT)
    table = pandq.items(p, Probs(Q), cluster=PATIENT, audit=audit)
    mean = audit.decomposition.refinement_loss.value
    assert np.mean(table["refinement_loss"]) == pytest.approx(mean, rel=1e-12)
    assert ("model_floor" in table.column_names) == (p.kind == "counts")


def test_clusters_that_the_audit_did_not_know_change_nothing():
    audit = pandq.audit(Labels(Y), Probs(Q))
    without = pandq.items(Labels(Y), Probs(Q), audit=audit)
    assert pandq.items(Labels(Y), Probs(Q), cluster=PATIENT, audit=audit).equals(without)


def test_the_table_is_the_one_that_the_command_writes(tmp_path):
    data = pa.table({"label": Y, "probs": list(Q), "name": [f"n{i}" for i in range(N)]})
    pq.write_table(data, tmp_path / "x.parquet")
    scan = pandq.scan(tmp_path / "x.parquet", id="name")
    audit = pandq.audit(scan)
    write_items(scan, tmp_path / "items.parquet", audit.trained)
    assert pandq.items(scan, audit=audit).equals(pq.read_table(tmp_path / "items.parquet"))
    views = pandq.items(Labels(Y), Probs(Q), ids=data["name"].to_numpy(), audit=audit)
    assert views.equals(pandq.items(scan, audit=audit))


def test_no_rows_make_a_file_of_columns_and_no_rows(tmp_path):
    data = pa.table({"label": Y, "probs": list(Q)})
    write_items(pandq.scan(data, where="label > 9"), tmp_path / "items.parquet")
    found = pq.read_table(tmp_path / "items.parquet")
    assert found.column_names == pandq.items(Labels(Y), Probs(Q)).column_names
    assert len(found) == 0


BAD = {
    "arrays": (lambda: pandq.items(Y, Q), ViewTypeError, "p must say what its numbers mean"),
    "no rows": (
        lambda: pandq.items(Labels([], 3), Probs(np.empty((0, 3)))),
        InputError,
        "there are no rows",
    ),
    "a scan with a q": (
        lambda: pandq.items(pandq.scan(pa.table({"label": Y, "probs": list(Q)})), Probs(Q)),
        InputError,
        "a scan brings its own q",
    ),
    "an audit of averages alone": (
        lambda: pandq.items(
            Labels(Y), Probs(Q), audit=pandq.audit(Labels(Y), Probs(Q), decompose=False)
        ),
        InputError,
        "has trained nothing",
    ),
    "an audit of clusters that are not given": (
        lambda: pandq.items(
            Labels(Y), Probs(Q), audit=pandq.audit(Labels(Y), Probs(Q), cluster=PATIENT)
        ),
        InputError,
        "kept clusters together, and these rows have none",
    ),
    "an audit's document": (
        lambda: pandq.items(Labels(Y), Probs(Q), audit=pandq.audit(Labels(Y), Probs(Q)).to_dict()),
        InputError,
        "has trained nothing",
    ),
    "a path": (lambda: pandq.items("x.parquet"), ViewTypeError, r"read by pandq.scan\(path\)"),
    "an audit of other rows": (
        lambda: pandq.items(Labels(Y[:99]), Probs(Q[:99]), audit=pandq.audit(Labels(Y), Probs(Q))),
        InputError,
        "the audit is of other rows, got 300 of them, not 99",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_has_no_table_is_refused_in_words(case):
    make, error, text = BAD[case]
    with pytest.raises(error, match=text):
        make()
