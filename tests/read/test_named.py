"""Class names that a schema carries: as the Hugging Face hub keeps those of a ClassLabel."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather

import pandq
from pandq import InputError

NAMES = ("cat", "dog", "fox")
DRAW = np.random.default_rng(4)
Q = DRAW.dirichlet(np.ones(3), 60)
Y = DRAW.integers(0, 3, 60)
LOSS = -np.log(Q[np.arange(60), Y]).mean()


def labelled(q, y=Y, **more):
    """A table whose schema says what the numbers of its labels stand for."""
    about = {"info": {"features": {"label": {"names": NAMES, "_type": "ClassLabel"}}}}
    table = pa.table({"id": np.arange(len(y)), "label": y, **q, **more})
    return table.replace_schema_metadata({"huggingface": json.dumps(about)})


def wide(order):
    return {f"prob_{NAMES[k]}": Q[:, k] for k in order}


FORMS = ("memory", "parquet", "feather", "stream")


def kept(table, form, folder):
    """The table in memory, or in a file as the hub or `save_to_disk` keeps it."""
    if form == "memory":
        return table
    path = folder / f"x.{ {'stream': 'arrow'}.get(form, form) }"
    if form == "parquet":
        pq.write_table(table, path)
    elif form == "feather":
        feather.write_feather(table, path)
    else:
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_names_come_with_the_labels(form, tmp_path):
    rows = pandq.scan(kept(labelled({"probs": list(Q)}), form, tmp_path))
    assert rows.classes == NAMES
    found = pandq.audit(rows, decompose=False)
    assert sorted(line["name"] for line in found.classes) == list(NAMES)
    assert found.cross_entropy.value == pytest.approx(LOSS, abs=1e-12)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("form", FORMS)
def test_numbers_find_the_columns_of_their_names_in_any_order(order, form, tmp_path):
    rows = pandq.scan(kept(labelled(wide(order)), form, tmp_path), q="probs:prob_*")
    assert rows.classes == tuple(NAMES[k] for k in order)
    found = pandq.audit(rows, decompose=False)
    assert found.cross_entropy.value == pytest.approx(LOSS, abs=1e-12)


def test_a_struct_a_condition_a_layout_and_a_join_keep_the_names(tmp_path):
    q = {"probs": [{NAMES[k]: row[k] for k in (2, 1, 0)} for row in Q]}
    table = labelled(q, image=[{"bytes": b"x", "path": None}] * 60)
    path = kept(table, "parquet", tmp_path)
    asked = {"q": "probs:probs"}
    some = pandq.audit(pandq.scan(path, **asked, where="label < 2"), decompose=False)
    kept_ = Y < 2
    own = -np.log(Q[np.arange(60), Y])[kept_].mean()
    assert some.cross_entropy.value == pytest.approx(own, abs=1e-12)
    laid = pandq.audit(pandq.scan(path, **asked, layout="hub-images"), decompose=False)
    assert laid.cross_entropy.value == pytest.approx(LOSS, abs=1e-12)
    beside = tmp_path / "q.parquet"
    pq.write_table(
        pa.table({"id": np.arange(60)[::-1], **{k: v[::-1] for k, v in wide((1, 2, 0)).items()}}),
        beside,
    )
    both = pandq.scan([beside, path], id="id", q="probs:prob_*")
    assert str(both.p) == "labels:other.label"
    found = pandq.audit(both, decompose=False)
    assert found.cross_entropy.value == pytest.approx(LOSS, abs=1e-12)


def test_other_words_for_all_classes_leave_numbers_as_positions():
    rows = pandq.scan(labelled({"probs": list(Q)}), classes=["a", "b", "c"])
    assert rows.classes == ("a", "b", "c")
    found = pandq.audit(rows, decompose=False)
    assert found.cross_entropy.value == pytest.approx(LOSS, abs=1e-12)


def test_a_number_without_a_name_and_a_name_without_a_column_are_refused():
    with pytest.raises(InputError, match=r"row 3 is none of the column's 3 classes, got -1"):
        pandq.audit(pandq.scan(labelled({"probs": list(Q[:4])}, np.array([0, 1, 2, -1]))))
    two = {"prob_cat": [0.5] * 60, "prob_dog": [0.5] * 60}
    with pytest.raises(InputError, match="is no class name, got 'fox'"):
        pandq.audit(pandq.scan(labelled(two)))


def test_a_fit_learns_the_names():
    rows = pandq.scan_features(labelled({"x": list(Q)}), x="x")
    assert rows.classes == NAMES


@pytest.mark.parametrize(
    "said", [b"no json", b"[]", b'{"info": {"features": {"label": {"names": ["a", "a", "b"]}}}}']
)
def test_metadata_that_says_nothing_of_the_kind_is_passed_over(said):
    table = labelled({"probs": list(Q)}).replace_schema_metadata({"huggingface": said})
    assert pandq.scan(table).classes is None
