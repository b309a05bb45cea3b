"""Maps, baselines, audits and model folders that were damaged or forged."""

import json
import math
import shutil
from random import Random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq
from pandq.documents import MOST_BYTES, Value, parsed, read_document
from pandq.estimate.calibration.fitting import fit_map
from pandq.outputs.recalibrated import read_recalibrator, write_recalibrated
from pandq.recalibrator import Recalibrator
from pandq.report.explore import presets_of
from pandq.results.audit import Audit
from pandq.sealed import read_sealed, write_sealed
from tests.hostile.mutants import spoiled_arrays, spoiled_bytes, spoiled_document

# ------------------------------------------------------------------------------------- the parser


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("{", "Expecting"),
        ("[1]", "is no JSON object"),
        ('{"a": NaN}', "NaN, which is no number"),
        ('{"a": -Infinity}', "-Infinity, which is no number"),
        ('{"a": 1e400}', "1e400"),
        (f'{{"a": {"9" * 5000}}}', "too many digits"),
        ('{"a": 1, "a": 2}', 'the key "a" twice'),
        (b'{"a": "\xff"}', "no UTF-8"),
        ('{"a":' * 100_000, "lists within lists"),
        ("[" * 100_000, "lists within lists"),
    ],
)
def test_what_is_no_json_of_the_standard_is_refused(text, got):
    with pytest.raises(pandq.InputError, match=got):
        parsed(text, Value(None, kind="map"))


@pytest.mark.parametrize(
    ("take", "message"),
    [
        (lambda v: v["none"], "lacks 'none'"),
        (lambda v: v["whole"].text(), "whole must be a text"),
        (lambda v: v["half"].text(), "half must be a text of whole characters"),
        (lambda v: v["text"].number(), "text must be a number"),
        (lambda v: v["truth"].number(), "truth must be a number"),
        (lambda v: v["truth"].whole(), "truth must be a whole number"),
        (lambda v: v["whole"].number(0, 1), "whole must be a number from 0 to 1, got 7"),
        (lambda v: v["huge"].number(), "huge must be a number, got a number of too many digits"),
        (lambda v: v["whole"].whole(8), "whole must be a whole number of at least 8"),
        (lambda v: v["table"].array(2, 2), "table must have the shape"),
        (lambda v: v["ragged"].array(None, None), "ragged must have the shape"),
        (lambda v: v["mixed"].array(2), "mixed must hold nothing but numbers, got true"),
        (lambda v: v["inside"]["deeper"].items(), "inside.deeper must be a list"),
        (lambda v: v["inside"].only("other"), "inside.deeper has no meaning here"),
        (lambda v: v["same"].texts(), "same must be different texts"),
        (lambda v: v["text"].one_of("a", "b"), "text must be one of a, b"),
    ],
)
def test_a_value_that_is_not_what_it_must_be_is_named_with_its_place(take, message):
    document = {
        "whole": 7,
        "text": "x",
        "half": "\ud800",
        "truth": True,
        "huge": 10**400,
        "table": [[1, 2, 3]],
        "ragged": [[1], [1, 2]],
        "mixed": [True, 1.0],
        "inside": {"deeper": 3},
        "same": ["a", "a"],
    }
    with pytest.raises(pandq.InputError, match=message):
        take(Value(document, kind="map"))


def test_a_document_without_an_end_is_refused_before_it_is_parsed(tmp_path):
    file = tmp_path / "large.json"
    with file.open("wb") as stream:
        stream.truncate(MOST_BYTES + 1)
    with pytest.raises(pandq.InputError, match="is too large for a map"):
        read_document(file, "map")


def or_error(take, *given):
    """What something comes to, or the one line that says why not."""
    try:
        return take(*given)
    except pandq.InputError as error:
        message = error
    assert "\n" not in str(message)
    return message


# ------------------------------------------------------------------------------------------- maps


def maps():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 3))
    log_q = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    y = rng.integers(3, size=200)
    two = np.log(rng.dirichlet([1.0, 1.0], size=200))
    kinds = ("temperature", "bias", "ordered", "cumulative", "vector", "matrix")
    found = {kind: fit_map(kind, y, log_q) for kind in kinds}
    return found | {"isotonic": fit_map("isotonic", y % 2, two)}


MAPS = {kind: found.to_dict() for kind, found in maps().items()}


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    rng = np.random.default_rng(1)
    folder = tmp_path_factory.mktemp("predictions")
    for k in (2, 3):
        z = rng.normal(size=(20, k))
        z[0] = 0.0
        column = pa.FixedSizeListArray.from_arrays(z.ravel(), k)
        pq.write_table(pa.table({"logits": column}), folder / f"{k}.parquet")
    return folder


def recalibrated(predictions, stored, tmp_path):
    """Rows under a map that was stored, or the error."""
    file, out = tmp_path / "map.json", tmp_path / "out.parquet"
    out.unlink(missing_ok=True)
    if isinstance(stored, bytes):
        file.write_bytes(stored)
    else:
        file.write_text(json.dumps(stored))

    def through_it():
        found = read_recalibrator(file)
        table = str(predictions / f"{len(found.freq)}.parquet")
        write_recalibrated([table], "logits:logits", found, out)

    found = or_error(through_it)
    if found is not None:
        assert not out.exists()
        return found
    return np.array(pq.read_table(out)["recalibrated"].to_pylist())


FORGED = {
    "a share of NaN": ("temperature", {"eps": math.nan}),
    "a share above one": ("temperature", {"eps": 1.5}),
    "a scale of infinity": ("temperature", {"parameters": {"a": math.inf}}),
    "a scale that overflows": ("temperature", {"parameters": {"a": 1.7e308}, "eps": 0}),
    "a scale of 10^400": ("temperature", {"parameters": {"a": 10**400}}),
    "a scale for each class": ("temperature", {"parameters": {"a": [1.0, 1.0, 1.0]}}),
    "a line that does not rise": ("cumulative", {"parameters": {"a": 0.0, "b": 1.0}}),
    "a line of many numbers": ("cumulative", {"parameters": {"a": 1.0, "b": [0.0, 0.0, 0.0]}}),
    "biases of too few classes": ("bias", {"parameters": {"a": 1.0, "b": [0.0, 0.0]}}),
    "a bias too many": ("temperature", {"parameters": {"a": 1.0, "b": [0.0, 0.0, 0.0]}}),
    "frequencies that sum to two": ("vector", {"freq": [1.0, 0.5, 0.5]}),
    "a negative frequency": ("vector", {"freq": [1.2, -0.1, -0.1]}),
    "a frequency of NaN": ("vector", {"freq": [math.nan, 0.5, 0.5]}),
    "no frequencies": ("vector", {"freq": []}),
    "steps above one": ("isotonic", {"parameters": {"t": [-1.0, 1.0], "y": [0.5, 1.5]}}),
    "steps that fall": ("isotonic", {"parameters": {"t": [-1.0, 1.0], "y": [0.5, 0.4]}}),
    "knots that fall": ("isotonic", {"parameters": {"t": [1.0, -1.0], "y": [0.4, 0.5]}}),
    "knots without steps": ("isotonic", {"parameters": {"t": [1.0, 2.0], "y": [0.5]}}),
    "no knots": ("isotonic", {"parameters": {"t": [], "y": []}}),
    "classes of one name": ("bias", {"classes": ["a", "a", "b"]}),
    "two classes of three": ("bias", {"classes": ["a", "b"]}),
    "an unknown key": ("bias", {"epsilon": 0.1}),
    "an unknown kind": ("bias", {"kind": "spline"}),
    "a floor of infinity": ("matrix", {"floor": -math.inf}),
    "rows of NaN": ("matrix", {"n": math.nan}),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_map_that_no_fit_could_have_made_is_refused(name, predictions, tmp_path):
    kind, change = FORGED[name]
    found = recalibrated(predictions, MAPS[kind] | change, tmp_path)
    assert isinstance(found, pandq.InputError)
    assert "map" in str(found)


@pytest.mark.parametrize("kind", MAPS)
def test_a_map_as_it_was_written_recalibrates_to_the_same_bits(kind):
    again = Recalibrator.from_dict(json.loads(json.dumps(MAPS[kind])))
    assert again.to_dict() == MAPS[kind]


@pytest.mark.parametrize("kind", MAPS)
def test_a_spoiled_map_is_one_line_or_gives_probabilities(kind, predictions, tmp_path):
    random = Random(kind)
    text = json.dumps(MAPS[kind]).encode()
    for number in range(60):
        spoil = spoiled_bytes if number % 2 else spoiled_document
        spoiled = spoil(text if number % 2 else MAPS[kind], random)
        found = recalibrated(predictions, spoiled, tmp_path)
        if not isinstance(found, pandq.InputError):
            assert np.abs(found.sum(axis=1) - 1).max() < 1e-6


# ----------------------------------------------------------------------------- audits as documents


@pytest.fixture(scope="module")
def audit():
    rng = np.random.default_rng(2)
    q = rng.dirichlet([1.0, 1.0, 1.0], size=60)
    y = rng.integers(3, size=60)
    return pandq.audit(pandq.Labels(y), pandq.Probs(q), decompose=False, worst=3).to_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"level": 1.0},
        {"level": 0},
        {"level": "0.95"},
        {"unit": "hartley"},
        {"n": -1},
        {"n": 1.5},
        {"n_classes": 0},
        {"p_kind": None},
        {"cross_entropy": {"value": 1.0, "low": 2.0, "high": 3.0}},
        {"cross_entropy": {"value": 10**400, "low": 0.0, "high": 10**400}},
        {"cross_entropy": []},
        {"source": "x"},
        {"schema": "pandq/comparison/2"},
    ],
    ids=str,
)
def test_a_baseline_that_no_audit_could_have_written_is_refused(audit, change):
    assert Audit.from_dict(audit).n_classes == 3
    with pytest.raises(pandq.InputError, match="is no audit"):
        Audit.from_dict(audit | changed(audit, change))


def changed(audit, change):
    """Parts of an object are changed within it."""
    return {
        name: audit[name] | x if isinstance(x, dict) and isinstance(audit[name], dict) else x
        for name, x in change.items()
    }


def test_a_spoiled_audit_is_one_line_or_a_baseline_and_rows_to_start_from(audit):
    random = Random(3)
    for _ in range(300):
        spoiled = spoiled_document(audit, random)
        then = or_error(Audit.from_dict, spoiled)
        if isinstance(then, Audit):
            assert 0 < then.level < 1
            or_error(then.to_dict)
        presets = or_error(presets_of, spoiled)
        for preset in presets if isinstance(presets, list) else []:
            assert all(0 <= x <= 1 for of in "pq" for x in preset[of])
            assert all(abs(sum(preset[of]) - 1) < 1e-5 for of in "pq")
            json.dumps(preset, allow_nan=False).encode()


# ----------------------------------------------------------------------------------- model folders


@pytest.fixture(scope="module", params=["softmax", "bayes"])
def model(request, tmp_path_factory):
    """A folder with a model, and features to predict."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(90, 2))
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    folder = tmp_path_factory.mktemp(request.param)
    table = {"a": x[:, 0], "b": x[:, 1], "label": y}
    pq.write_table(pa.table(table), folder / "rows.parquet")
    rows = pandq.scan_features(str(folder / "rows.parquet"), x="a,b", p="labels:label")
    pandq.save_model(pandq.fit_model(rows, request.param), folder / "model")
    return folder / "model", x


def predicted(folder, x):
    """What a model that was stored predicts, or the error."""
    return or_error(lambda: np.exp(pandq.load_model(folder).predict(x).array))


def test_a_spoiled_model_is_one_line_or_gives_probabilities(model, tmp_path):
    (whole, x), random = model, Random(6)
    good = predicted(whole, x)
    for number in range(80):
        folder = tmp_path / str(number)
        shutil.copytree(whole, folder)
        file = folder / ("model.json", "weights.safetensors")[number % 2]
        file.write_bytes(spoiled_bytes(file.read_bytes(), random))
        if number % 4 == 0:
            document = json.loads((whole / "model.json").read_text())
            file.write_text(json.dumps(spoiled_document(document, random)))
        found = predicted(folder, x)
        if not isinstance(found, pandq.InputError):
            assert found.shape == good.shape
            assert np.abs(found - good).max() == 0 or np.abs(found.sum(axis=1) - 1).max() < 1e-9


def test_a_forged_models_weights_fit_it_or_are_refused(model, tmp_path):
    (whole, x), random = model, Random(7)
    arrays, _ = read_sealed(whole / "weights.safetensors", "weights")
    folder = tmp_path / "model"
    shutil.copytree(whole, folder)
    for _ in range(80):
        write_sealed(folder / "weights.safetensors", spoiled_arrays(arrays, random), {})
        found = predicted(folder, x)
        if not isinstance(found, pandq.InputError):
            assert np.abs(found.sum(axis=1) - 1).max() < 1e-9


def test_a_curve_that_was_spoiled_is_one_line(model, tmp_path):
    (whole, x), random = model, Random(8)
    stored = (whole / "curve.parquet").read_bytes()
    folder = tmp_path / "model"
    shutil.copytree(whole, folder)
    for _ in range(30):
        (folder / "curve.parquet").write_bytes(spoiled_bytes(stored, random))
        found = predicted(folder, x)
        assert isinstance(found, pandq.InputError) or np.isfinite(found).all()


def test_a_model_without_end_is_refused_before_memory_is_taken(model, tmp_path):
    whole, _ = model
    document = json.loads((whole / "model.json").read_text())
    for change in (
        {"n_classes": 10**12},
        {"features": document["features"] | {"shape": [10**9]}},
        {"features": document["features"] | {"shape": [1 << 12, 1 << 12, 3]}},
        {"kind": "mlp", "n_classes": 10**9},
    ):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(whole, folder)
        (folder / "model.json").write_text(json.dumps(document | change))
        with pytest.raises(pandq.InputError):
            pandq.load_model(folder)
