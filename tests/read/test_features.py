"""Features and pictures from tables and folders: what is read, and what is refused by name."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pandq import InputError, scan_features
from pandq.fit.regressions.scaling import ColumnSums, standardised

X = np.arange(12.0).reshape(6, 2)
LABELS = [0, 1, 2, 0, 1, 2]


def encoded(colour=(200, 10, 10), size=(8, 8), fmt="PNG"):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, fmt)
    return out.getvalue()


def table(**columns):
    return pa.table({"features": X.tolist(), "label": LABELS, **columns})


def rows_of(scan):
    return np.concatenate([chunk.x for chunk in scan.chunks()])


def test_a_list_column_and_wide_columns_are_the_same_features():
    wide = pa.table({"f_0": X[:, 0], "f_1": X[:, 1], "label": LABELS})
    for rows in (
        scan_features(table(), p="labels:label"),
        scan_features(wide, x="f_*", p="labels:label"),
        scan_features(wide, x="f_0,f_1", p="labels:label"),
        scan_features(wide, x="f_0,f_[1-9]", p="labels:label"),
    ):
        assert (rows_of(rows) == X).all()
        assert rows.n_classes == 3
        assert rows.classes is None


def test_names_of_classes_are_found_in_alphabetical_order_or_given():
    named = table(kind=["cat", "dog", "ant"] * 2)
    found = scan_features(named, p="labels:kind")
    assert found.classes == ("ant", "cat", "dog")
    assert next(found.chunks()).p.array.tolist() == [1, 2, 0] * 2
    given = scan_features(named, p="labels:kind", classes=["cat", "dog", "ant"])
    assert next(given.chunks()).p.array.tolist() == [0, 1, 2] * 2


def test_votes_and_soft_labels_say_how_many_classes_there_are():
    votes = table(votes=[[1, 2, 0, 0]] * 6)
    assert scan_features(votes, p="counts:votes").n_classes == 4


def test_a_share_held_out_and_the_rest_are_all_rows_once(tmp_path):
    n = 3000
    many = pa.table({"x": np.arange(n, dtype=float), "label": np.arange(n) % 2})
    learnt, held = scan_features(many, x="x", p="labels:label").parted(0.2, 3)
    a, b = rows_of(learnt)[:, 0], rows_of(held)[:, 0]
    assert sorted([*a, *b]) == list(range(n))
    assert len(b) == pytest.approx(0.2 * n, abs=0.04 * n)
    again = scan_features(many, x="x", p="labels:label").parted(0.2, 4)[1]
    assert rows_of(again).tolist() != rows_of(held).tolist()


def test_features_are_standardised_over_all_chunks():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 5, (100, 3))
    x[:, 2] = 7.0
    rows = scan_features(pa.table({"x": x.tolist(), "label": [0, 1] * 50}), p="labels:label")
    scaled = rows_of(standardised(rows))
    assert scaled[:, :2].mean(axis=0) == pytest.approx([0, 0], abs=1e-12)
    assert scaled[:, :2].std(axis=0) == pytest.approx([1, 1])
    assert (scaled[:, 2] == 0).all()


def test_sums_of_columns_merge_to_those_of_all_rows():
    x = np.random.default_rng(1).normal(1e6, 1, (50, 4))
    whole = ColumnSums.of(x).scaling()
    parts = ColumnSums.empty()
    for part in np.split(x, [3, 3, 20]):
        parts = parts.merge(ColumnSums.of(part))
    assert parts.scaling().mean == pytest.approx(whole.mean, rel=1e-14)
    assert parts.scaling().scale == pytest.approx(x.std(axis=0), rel=1e-9)


@pytest.fixture
def photos(tmp_path):
    for name, colour in (("cat", (255, 0, 0)), ("dog", (0, 0, 255))):
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.png").write_bytes(encoded(colour))
    return tmp_path


def test_a_folder_of_pictures_by_class_is_a_table(photos):
    rows = scan_features(photos)
    assert rows.classes == ("cat", "dog")
    assert rows.size == (8, 8)
    (chunk,) = rows.chunks()
    assert chunk.x.shape == (6, 8, 8, 3)
    assert chunk.x.dtype == np.uint8
    assert chunk.x[0, 0, 0].tolist() == [255, 0, 0]
    assert chunk.p.array.tolist() == [0, 0, 0, 1, 1, 1]


def test_pictures_in_parquet_are_decoded_and_resized(tmp_path):
    images = [{"bytes": encoded(size=(4, 6)), "path": None}, {"bytes": encoded(), "path": "b.png"}]
    for column in (images, [image["bytes"] for image in images]):
        data = pa.table({"image": column, "label": [0, 1]})
        rows = scan_features(data, p="labels:label", size=(5, 3))
        assert rows_of(rows).shape == (2, 5, 3, 3)
    small = scan_features(pa.table({"image": images[:1], "label": [0]}), p="labels:label")
    assert small.size == (6, 4)
    unlike = scan_features(pa.table({"image": images, "label": [0, 1]}), p="labels:label")
    assert unlike.size == (64, 64)


def test_a_picture_lies_the_right_way_up():
    out = io.BytesIO()
    picture = Image.new("RGB", (4, 2))
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(out, "JPEG", exif=exif)
    rows = scan_features(pa.table({"image": [out.getvalue()], "label": [0]}), p="labels:label")
    assert rows.size == (4, 2)


def test_pictures_that_cannot_be_decoded_are_counted_and_named(photos):
    (photos / "cat" / "1.png").write_bytes(b"no picture")
    (photos / "dog" / "2.png").write_bytes(encoded()[:40])
    with pytest.raises(InputError, match=r"2 pictures cannot be decoded: .*cat/1.png .*dog/2.png"):
        rows_of(scan_features(photos))
    rows = scan_features(photos, skip_unreadable=True)
    for _ in range(2):
        assert len(rows_of(rows)) == 4
        assert len(rows.unreadable) == 2
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    images = pa.array(
        [{"bytes": None, "path": "x.jpg"}, None, {"bytes": encoded(), "path": None}], kind
    )
    data = pa.table({"image": images, "label": [0, 1, 0]})
    with pytest.raises(InputError, match=r"row 0 \(x.jpg\) .*, row 1"):
        rows_of(scan_features(data, p="labels:label"))


BAD = {
    "no features": (lambda d: scan_features(pa.table({"label": [0]}), p="labels:label"), "--x"),
    "two that may be": (
        lambda d: scan_features(table(x=X.tolist()), p="labels:label"),
        "more than one column may be features",
    ),
    "no such column": (
        lambda d: scan_features(table(), x="feature", p="labels:label"),
        "Did you mean 'features'",
    ),
    "a NaN": (
        lambda d: rows_of(
            scan_features(pa.table({"x": [[1.0], [np.nan]], "label": [0, 1]}), p="labels:label")
        ),
        "column 'x' row 1 holds a feature that is missing or not finite, got nan",
    ),
    "text": (
        lambda d: rows_of(scan_features(table(t=["a"] * 6), x="t", p="labels:label")),
        "'t'",
    ),
    "lists of different lengths": (
        lambda d: rows_of(
            scan_features(pa.table({"x": [[1.0], [1.0, 2.0]], "label": [0, 1]}), p="labels:label")
        ),
        "list of 2 where the first row has 1",
    ),
    "pictures beside class folders": (
        lambda d: [
            (d / "cat").mkdir(),
            (d / "cat" / "a.png").write_bytes(encoded()),
            (d / "b.png").write_bytes(encoded()),
            scan_features(d),
        ],
        "lie beside the folders",
    ),
    "pictures without classes": (
        lambda d: [(d / "b.png").write_bytes(encoded()), scan_features(d)],
        "DIR/cat",
    ),
    "an empty folder": (scan_features, "no table and no picture"),
    "a condition on a folder": (
        lambda d: [(d / "b.png").write_bytes(encoded()), scan_features(d, where="x > 0")],
        "--where needs a table",
    ),
    "a size for numbers": (
        lambda d: scan_features(table(), p="labels:label", size=(8, 8)),
        "holds no pictures",
    ),
    "no such weights": (
        lambda d: scan_features(table(), p="labels:label", weights="w"),
        "--weights: no column 'w'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_holds_no_features_is_refused_in_words(case, tmp_path):
    make, text = BAD[case]
    with pytest.raises(InputError, match=text):
        make(tmp_path)


def test_a_row_is_numbered_within_its_file(tmp_path):
    for name, values in (("a", [[1.0], [2.0]]), ("b", [[3.0], [np.inf]])):
        pq.write_table(pa.table({"x": values, "label": [0, 1]}), tmp_path / f"{name}.parquet")
    rows = scan_features(
        [str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")], p="labels:label"
    )
    with pytest.raises(InputError, match=r"b\.parquet.*row 1"):
        rows_of(rows)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([1, 2, 1], ("1", "2")),
        ([-1, 1, 1], ("-1", "1")),
        ([10.0, 20.0, 30.0], ("10", "20", "30")),
        ([0, 1, 3], ("0", "1", "3")),
        ([2, 10, 2], ("2", "10")),
        ([0, 1, 2], None),
        ([False, True, True], None),
    ],
)
def test_classes_are_those_that_labels_have_and_no_others(labels, classes):
    rows = scan_features(pa.table({"x": [[1.0], [2.0], [3.0]], "label": labels}), p="labels:label")
    assert (rows.classes, rows.n_classes) == (classes, len(set(labels)))
    (chunk,) = rows.chunks()
    assert chunk.p.array.tolist() == [sorted(set(labels)).index(label) for label in labels]


def test_a_target_of_a_regression_has_no_classes():
    table = pa.table({"x": [[1.0], [2.0]], "label": [0.5, 1.25]})
    with pytest.raises(InputError, match=r"row 0 is not a class number, got 0\.5"):
        scan_features(table, p="labels:label")
