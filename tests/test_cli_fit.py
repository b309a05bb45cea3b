"""pandq fit and pandq predict as their user meets them: a process, its output, its exit code."""

import io
import json
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import pandq as library
from pandq import InputError, fit_model, load_model, scan_features
from tests.commands import pandq


def needs_torch():
    pytest.importorskip("torch")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """scikit-learn's digits as features and as pictures, with labels, names and votes."""
    folder = tmp_path_factory.mktemp("digits")
    X, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    votes = np.eye(10, dtype=int)[y] * 2 + rng.multinomial(1, np.full(10, 0.1), len(y))

    def picture(row):
        out = io.BytesIO()
        Image.fromarray((row.reshape(8, 8) * 15.9).astype(np.uint8)).save(out, "PNG")
        return {"bytes": out.getvalue(), "path": None}

    names = [f"digit {k}" for k in y]
    most = X[:, np.argsort(-X.var(axis=0), kind="stable")[:8]]
    columns = {"features": X.tolist(), "label": y, "name": names, "votes": votes.tolist()}
    whole = pa.table(
        {
            **columns,
            "image": [picture(row) for row in X],
            "few": most.tolist(),
            "w": rng.uniform(1, 2, len(y)),
            "zero": np.zeros(len(y)),
        }
    )
    pq.write_table(whole.slice(0, 1000), folder / "train.parquet", row_group_size=300)
    pq.write_table(whole.slice(1000), folder / "test.parquet")
    return folder


@pytest.fixture(scope="module")
def regression(digits):
    out = digits / "regression"
    run = pandq(
        "fit", digits / "train.parquet", "--x", "features", "--p", "labels:label", "--out", out
    )
    assert run.returncode == 0, run.stderr
    return out, run


def test_a_regression_is_fitted_predicts_and_is_audited(digits, regression, tmp_path):
    out, run = regression
    assert "softmax: 10 classes" in run.stdout
    assert "cross entropy = floor H(P) + KL(P||Q)" in run.stdout
    assert f"Next: pandq predict {out}" in run.stdout
    assert run.stderr.splitlines()[0].startswith("step 0: cross entropy 2.3026")
    preds = tmp_path / "preds.parquet"
    told = pandq("predict", out, digits / "test.parquet", "--out", preds)
    assert told.returncode == 0, told.stderr
    assert "Next: pandq audit" in told.stdout
    assert "--p labels:label --q probs:probs" in told.stdout
    audit = pandq("audit", preds, "--p", "labels:label", "--q", "probs:probs", "--json", "-")
    found = json.loads(audit.stdout)
    assert found["n"] == 797
    assert found["accuracy"]["value"] > 0.85
    assert pq.read_schema(preds).names[:4] == ["features", "label", "name", "votes"]


def test_a_model_is_a_folder_of_json_safetensors_and_its_curve(regression):
    out, _ = regression
    names = sorted(file.name for file in out.iterdir())
    assert names == ["curve.parquet", "curve.svg", "model.json", "weights.safetensors"]
    document = json.loads((out / "model.json").read_text())
    assert document["schema"] == "pandq/model/1"
    assert document["command"].startswith("__main__.py fit")
    assert "numpy" in document["versions"]
    assert document["features"] == {"columns": ["features"], "picture_size": None, "shape": [64]}
    curve = pq.read_table(out / "curve.parquet").to_pylist()
    for row in curve:
        assert row["train_cross_entropy"] == pytest.approx(row["train_floor"] + row["train_kl"])
    assert "<svg" in (out / "curve.svg").read_text()
    assert all(file.stat().st_mode & 0o044 for file in out.iterdir())


def test_a_loaded_model_predicts_what_the_fitted_one_does(digits, regression, tmp_path):
    rows = scan_features(digits / "train.parquet", x="features", p="labels:label")
    fitted, loaded = fit_model(rows, "softmax"), load_model(regression[0])
    x = np.array(pq.read_table(digits / "test.parquet").column("features").to_pylist())
    assert loaded.predict(x).array.tobytes() == fitted.predict(x).array.tobytes()


def test_the_same_fit_from_memory_and_from_chunks_of_a_file(digits):
    rows = scan_features(digits / "train.parquet", x="features", p="counts:votes", weights="w")
    data = pq.read_table(digits / "train.parquet")
    x, votes, w = (np.array(data.column(name).to_pylist()) for name in ("features", "votes", "w"))
    by_chunks = library.SoftmaxRegression(l2=0.5).fit(rows)
    whole = library.SoftmaxRegression(l2=0.5).fit(x, library.Counts(votes), sample_weight=w)
    assert by_chunks.coef_ == pytest.approx(whole.coef_, abs=1e-8)
    assert by_chunks.objective_ == pytest.approx(whole.objective_, abs=1e-12)


def test_names_of_classes_go_with_the_model(digits, tmp_path):
    out = tmp_path / "named"
    run = pandq(
        "fit", digits / "train.parquet", "--x", "features", "--p", "labels:name", "--out", out
    )
    assert "10 classes (digit 0, digit 1" in run.stdout
    assert json.loads((out / "model.json").read_text())["classes"][3] == "digit 3"
    told = pandq("predict", out, digits / "test.parquet", "--out", tmp_path / "p.parquet")
    assert "--classes 'digit 0,digit 1" in told.stdout


def test_arrays_in_a_file_are_fitted_and_predicted_too(tmp_path):
    X, y = load_digits(return_X_y=True)
    np.savez(tmp_path / "d.npz", features=X[:300], label=y[:300])
    fit = ["fit", tmp_path / "d.npz", "--x", "features", "--p", "labels:label"]
    assert pandq(*fit, "--out", tmp_path / "m").returncode == 0
    told = pandq("predict", tmp_path / "m", tmp_path / "d.npz", "--out", tmp_path / "p.parquet")
    assert told.returncode == 0, told.stderr
    preds = pq.read_table(tmp_path / "p.parquet")
    assert np.array(preds.column("features").to_pylist()).shape == (300, 64)
    assert np.array(preds.column("probs").to_pylist()).shape == (300, 10)


def test_rows_set_aside_are_a_share_or_a_file(digits, tmp_path):
    fit = ["fit", digits / "train.parquet", "--x", "features", "--p", "counts:votes"]
    share = pandq(*fit, "--valid", 0.2, "--out", tmp_path / "a")
    whole = pandq(*fit, "--valid", digits / "test.parquet", "--out", tmp_path / "b")
    for run in (share, whole):
        assert run.returncode == 0, run.stderr
        assert "rows set aside" in run.stdout


def test_a_map_of_an_audit_is_applied_to_what_is_predicted(digits, regression, tmp_path):
    out, _ = regression
    p = ["--p", "labels:label"]
    pandq("predict", out, digits / "test.parquet", "--out", tmp_path / "p.parquet")
    pandq(
        "audit",
        tmp_path / "p.parquet",
        *p,
        "--q",
        "probs:probs",
        "--recalibrator",
        tmp_path / "r.json",
    )
    again = ["predict", out, digits / "test.parquet", "--recalibrator", tmp_path / "r.json"]
    told = pandq(*again, "--out", tmp_path / "q.parquet")
    assert "--q probs:recalibrated" in told.stdout
    table = pq.read_table(tmp_path / "q.parquet")
    recalibrated = np.array(table.column("recalibrated").to_pylist())
    assert recalibrated.sum(axis=1) == pytest.approx(1)
    alone = pandq("recalibrate", tmp_path / "p.parquet", "--q", "probs:probs", "--with",
                  tmp_path / "r.json", "--out", tmp_path / "s.parquet")  # fmt: skip
    assert alone.returncode == 0
    other = np.array(pq.read_table(tmp_path / "s.parquet").column("recalibrated").to_pylist())
    assert recalibrated == pytest.approx(other, abs=1e-12)


def test_a_map_for_other_classes_is_not_applied_to_what_is_predicted(tmp_path):
    rng = np.random.default_rng(0)
    names = pa.array(np.array(["a", "b"])[rng.integers(2, size=80)])
    columns = {"x": rng.normal(size=80), "y": names, "q": rng.uniform(0.1, 0.9, 80)}
    file, out = tmp_path / "t.parquet", tmp_path / "p.parquet"
    pq.write_table(pa.table(columns), file)
    model, saved = tmp_path / "m", tmp_path / "r.json"
    assert pandq("fit", file, "--x", "x", "--p", "labels:y", "--out", model).returncode == 0
    audit = ("audit", file, "--p", "labels:y", "--q", "probs:q", "--recalibrator", saved)
    assert pandq(*audit, "--classes", "b,a").returncode == 0
    found = pandq("predict", model, file, "--recalibrator", saved, "--out", out)
    assert found.returncode == 2
    assert "the map is for other classes, or for another order of them" in found.stderr
    assert not out.exists()


def test_a_bayesian_model_predicts_members_and_the_audit_splits_them(digits, tmp_path):
    out = tmp_path / "m"
    few = ["--x", "few", "--where", "w < 1.3", "--covariance", "diagonal"]
    given = ["fit", digits / "train.parquet", "--p", "counts:votes", "--model", "bayes"]
    run = pandq(*given, *few, "--out", out)
    assert run.returncode == 0, run.stderr
    assert "elbo -" in run.stdout
    loss, floor, gap = re.search(
        r"rows learnt from +([\d.]+) = +([\d.]+) \+ +([\d.]+)", run.stdout
    ).groups()
    assert float(loss) == pytest.approx(float(floor) + float(gap), abs=2e-4)
    assert float(loss) < 2.3
    assert "diagonal covariance, prior scale 1" in run.stdout
    assert run.stderr.startswith("step 1: ELBO -")
    told = json.loads((out / "model.json").read_text())["bayes"]
    assert told["elbo"]["low"] < told["elbo"]["value"] < told["elbo"]["high"]
    preds = tmp_path / "p.parquet"
    predicted = pandq(*to_predict(out, digits, "--members", 8, "--out", preds))
    assert predicted.returncode == 0, predicted.stderr
    assert "--p counts:votes --q probs:members" in predicted.stdout
    members = np.array(pq.read_table(preds).column("members").to_pylist())
    assert members.shape == (797, 8, 10)
    audit = ["audit", preds, "--p", "counts:votes", "--q", "probs:members"]
    found = json.loads(pandq(*audit, "--json", "-").stdout)["uncertainty"]
    assert found["members"] == 8
    parts = [found[name]["value"] for name in ("total", "aleatoric", "epistemic")]
    assert parts[0] == pytest.approx(parts[1] + parts[2])
    page = pandq(*audit, "--full", "--html", tmp_path / "a.html")
    assert "epistemic" in page.stdout
    assert "rows with the highest aleatoric uncertainty" in page.stdout
    assert "What Q does not know" in (tmp_path / "a.html").read_text()


def test_a_model_without_a_posterior_has_no_members(digits, regression, tmp_path):
    told = pandq(
        *to_predict(regression[0], digits, "--members", 4, "--out", tmp_path / "p.parquet")
    )
    assert told.returncode == 2
    assert "a softmax model has no members" in told.stderr
    assert not (tmp_path / "p.parquet").exists()


def shares(path):
    return np.array(pq.read_table(path).column("probs").to_pylist())


def test_classes_of_a_folder_are_its_names_whatever_folders_lie_beside_it(photos, tmp_path):
    """A folder with dogs alone holds dogs: numbers by the folder at hand would call them cats."""
    dogs = tmp_path / "dogs"
    (dogs / "dog").mkdir(parents=True)
    for file in (photos / "dog").iterdir():
        (dogs / "dog" / file.name).write_bytes(file.read_bytes())
    model, preds = tmp_path / "m", tmp_path / "p.parquet"
    fit = ["fit", photos, "--model", "softmax", "--valid", dogs, "--out", model]
    run = pandq(*fit)
    assert run.returncode == 0, run.stderr
    assert "P at Q's top class, rows set aside: 1.0000" in run.stdout
    pandq("predict", model, dogs, "--out", preds)
    assert (shares(preds)[:, 1] > 0.5).all()
    audit = ["audit", preds, "--p", "labels:class", "--q", "probs:probs", "--classes", "cat,dog"]
    assert json.loads(pandq(*audit, "--json", "-").stdout)["accuracy"]["value"] == 1.0
    (photos / "ant").mkdir()
    (photos / "ant" / "0.png").write_bytes((photos / "cat" / "0.png").read_bytes())
    pandq("predict", model, photos, "--out", preds)
    strange = pandq(*audit)
    assert strange.returncode == 2
    assert "'ant'" in strange.stderr


def test_classes_given_for_a_folder_order_them_and_must_be_its_own(photos, tmp_path):
    model, preds = tmp_path / "m", tmp_path / "p.parquet"
    fit = ["fit", photos, "--model", "softmax", "--out", model]
    assert pandq(*fit, "--classes", "dog,cat").returncode == 0
    pandq("predict", model, photos, "--out", preds)
    is_dog = np.array(pq.read_table(preds).column("class").to_pylist()) == "dog"
    assert ((shares(preds)[:, 0] > 0.5) == is_dog).all()
    wrong = pandq(*fit, "--classes", "bird,horse", "--force")
    assert wrong.returncode == 2
    assert "'cat'" in wrong.stderr


@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_a_network_is_fitted_kept_and_loaded(digits, tmp_path, kind):
    needs_torch()
    x = "features" if kind == "mlp" else "image"
    fit = ["fit", digits / "train.parquet", "--x", x, "--p", "counts:votes", "--model", kind]
    small = ["--epochs", 3, "--batch-size", 32, "--seed", 1]
    run = pandq(*fit, *small, "--out", tmp_path / "m")
    assert run.returncode == 0, run.stderr
    assert len(run.stderr.splitlines()) == 3
    assert run.stderr.startswith("epoch 1/3: cross entropy")
    assert "after recalibration" in run.stdout
    curve = pq.read_table(tmp_path / "m" / "curve.parquet").to_pylist()
    assert sum(row["best"] for row in curve) == 1
    again = pandq(*fit, *small, "--out", tmp_path / "n")
    assert again.returncode == 0
    for name in ("m", "n"):
        told = pandq(
            "predict", tmp_path / name, digits / "test.parquet", "--out", tmp_path / f"{name}.pq"
        )
        assert told.returncode == 0, told.stderr
    one, two = (pq.read_table(tmp_path / f"{name}.pq").column("probs") for name in "mn")
    assert one.equals(two)


def test_a_killed_fit_goes_on_from_its_checkpoint(digits, tmp_path):
    needs_torch()
    fit = of_labels(digits, "--model", "mlp", "--epochs", 8)
    kept = ["--checkpoint", tmp_path / "kept", "--out", tmp_path / "m"]
    command = [sys.executable, "-m", "pandq", *map(str, [*fit, *kept])]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        for _ in range(3):
            running.stderr.readline()
        running.kill()
    assert not (tmp_path / "m").exists()
    rest = pandq(*fit, *kept, check=True)
    assert 1 <= len(rest.stderr.splitlines()) <= 5
    whole = pandq(*fit, "--out", tmp_path / "n")
    assert whole.returncode == 0, whole.stderr
    one, two = (
        [{k: v for k, v in row.items() if k != "seconds"} for row in
         pq.read_table(tmp_path / name / "curve.parquet").to_pylist()] for name in "mn"
    )  # fmt: skip
    assert one == two


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(0)
    for name, high in (("cat", (120, 20, 20)), ("dog", (20, 20, 120))):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(12):
            Image.fromarray(rng.integers(0, high, (10, 12, 3), dtype=np.uint8)).save(
                tmp_path / "photos" / name / f"{i}.png"
            )
    return tmp_path / "photos"


def test_a_folder_of_pictures_by_class_is_fitted_and_predicted(photos, tmp_path):
    needs_torch()
    fit = ["fit", photos, "--epochs", 2, "--batch-size", 8, "--out", tmp_path / "m"]
    run = pandq(*fit)
    assert run.returncode == 0, run.stderr
    assert "cnn: 2 classes (cat, dog)" in run.stdout
    told = pandq("predict", tmp_path / "m", photos, "--out", tmp_path / "p.parquet")
    assert told.returncode == 0, told.stderr
    assert "24 rows" in told.stdout
    assert "--p labels:class --q probs:probs --classes cat,dog" in told.stdout
    for flat in (photos / "cat",):
        alone = pandq("predict", tmp_path / "m", flat, "--out", tmp_path / "flat.parquet")
        assert alone.returncode == 0, alone.stderr
        assert pq.read_schema(tmp_path / "flat.parquet").names == ["image", "path", "probs"]


def test_a_picture_that_cannot_be_decoded_is_named_or_left_out(photos, tmp_path):
    (photos / "cat" / "3.png").write_bytes(b"broken")
    fit = ["fit", photos, "--model", "softmax", "--out", tmp_path / "m"]
    run = pandq(*fit)
    assert run.returncode == 2
    assert "1 picture cannot be decoded: " in run.stderr
    assert "cat/3.png" in run.stderr
    assert "--skip-unreadable" in run.stderr
    assert not (tmp_path / "m").exists()
    fine = pandq(*fit, "--skip-unreadable")
    assert fine.returncode == 0, fine.stderr
    assert "left out, as they cannot be decoded: 1" in fine.stdout
    predict = ["predict", tmp_path / "m", photos, "--out", tmp_path / "p.parquet"]
    assert pandq(*predict).returncode == 2
    assert not (tmp_path / "p.parquet").exists()
    told = pandq(*predict, "--skip-unreadable")
    assert told.returncode == 0, told.stderr
    assert "23 rows" in told.stdout


def of_labels(folder, *more):
    """The command that fits to the digits' labels."""
    return ["fit", folder / "train.parquet", "--x", "features", "--p", "labels:label", *more]


def to_predict(model, folder, *more):
    """The command that predicts the digits held out."""
    return ["predict", model, folder / "test.parquet", *more]


NEW, PREDS = ("--out", "n"), ("--out", "p.parquet")
BAD = {
    "an out folder that is there": (lambda d, m: of_labels(d, "--out", m), "--force replaces it"),
    "an out folder of something else": (lambda d, m: of_labels(d, "--out", d), "no model.json"),
    "an unknown column of P": (
        lambda d, m: of_labels(d, "--p", "labels:lable", *NEW),
        "Did you mean 'label'",
    ),
    "an option of another model": (
        lambda d, m: of_labels(d, "--epochs", 3, *NEW),
        "--epochs is not of softmax",
    ),
    "a cnn of columns": (lambda d, m: of_labels(d, "--model", "cnn", *NEW), "a cnn needs pictures"),
    "a share that sets nothing aside": (
        lambda d, m: of_labels(d, "--model", "mlp", "--valid", 0.0001, *NEW),
        "sets none aside",
    ),
    "weights that are all zero": (
        lambda d, m: of_labels(d, "--model", "mlp", "--weights", "zero", *NEW),
        "all weights are zero",
    ),
    "a topk": (
        lambda d, m: of_labels(d, "--p", "topk:label,name", *NEW),
        "nothing can be fitted to it",
    ),
    "a label among the features": (
        lambda d, m: of_labels(d, "--x", "label,w", *NEW),
        "both a feature and what is to be fitted",
    ),
    "a feature twice": (lambda d, m: of_labels(d, "--x", "w,w", *NEW), "is named twice"),
    "text as a feature": (lambda d, m: of_labels(d, "--x", "name", *NEW), "is no number"),
    "votes as probabilities": (
        lambda d, m: of_labels(d, "--p", "probs:votes", *NEW),
        "--p counts:votes",
    ),
    "pictures of a hundred thousand pixels": (
        lambda d, m: of_labels(d, "--x", "image", "--image-size", 100_000, *NEW),
        "1024 at most",
    ),
    "epochs below one": (
        lambda d, m: of_labels(d, "--model", "mlp", "--epochs", -1, *NEW),
        "epochs is out of range: 1 or more, got -1",
    ),
    "a new column without a name": (
        lambda d, m: to_predict(m, d, "--name", "", *PREDS),
        "needs a name",
    ),
    "a new column whose name is no text": (
        lambda d, m: to_predict(m, d, "--name", "\udcff", *PREDS),
        "needs a name that can be seen, got '\\udcff'",
    ),
    "an output whose name is no text": (
        lambda d, m: to_predict(m, d, "--out", "\udcff.parquet"),
        "the file's name is not UTF-8",
    ),
    "a model whose name is no text": (
        lambda d, m: of_labels(d, "--out", "\udcff"),
        "the file's name is not UTF-8",
    ),
    "a checkpoint whose name is no text": (
        lambda d, m: of_labels(d, "--checkpoint", "\udcff", *NEW),
        "the file's name is not UTF-8",
    ),
    "a prior that says nothing": (
        lambda d, m: of_labels(d, "--model", "bayes", "--prior-scale", 2**31, *NEW),
        "prior_scale is a number from 1e-100 to 10000, got 2147483648",
    ),
    "a prior without room": (
        lambda d, m: of_labels(d, "--model", "bayes", "--prior-scale", 1e-320, *NEW),
        "prior_scale is a number from 1e-100",
    ),
    "a share of all": (lambda d, m: of_labels(d, "--valid", 1.5, *NEW), "--valid is a share"),
    "a negative seed": (lambda d, m: of_labels(d, "--seed", -1, *NEW), "a seed is a whole number"),
    "a negative penalty": (lambda d, m: of_labels(d, "--l2", -1, *NEW), "l2 must be finite"),
    "a size that is none": (
        lambda d, m: of_labels(d, "--image-size", "big", *NEW),
        "--image-size is a number of pixels",
    ),
    "no model": (lambda d, m: to_predict(d, d, *PREDS), "is no model"),
    "a table without the features": (
        lambda d, m: to_predict(m, d, "--x", "fetures", *PREDS),
        "Did you mean 'features'",
    ),
    "other features": (
        lambda d, m: to_predict(m, d, "--x", "votes", *PREDS),
        "the model takes 64 numbers per row, got 10",
    ),
    "pictures for a model of columns": (
        lambda d, m: to_predict(m, d, "--x", "image", *PREDS),
        "the model predicts from features in columns",
    ),
    "a name that is taken": (
        lambda d, m: to_predict(m, d, "--name", "votes", *PREDS),
        "there is a column 'votes' already",
    ),
    "an output that is no parquet": (
        lambda d, m: to_predict(m, d, "--out", "p.csv"),
        "the output is parquet",
    ),
    "an output that is the input": (
        lambda d, m: to_predict(m, d, "--out", d / "test.parquet"),
        "the output is an input",
    ),
}


# Mistakes that only a network sees.
OF_A_NETWORK = {"a share that sets nothing aside", "epochs below one"}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_one_line_and_leaves_nothing(case, digits, regression, tmp_path):
    if case in OF_A_NETWORK:
        needs_torch()
    make, text = BAD[case]
    before = sorted(digits.rglob("*"))
    run = pandq(*make(digits, regression[0]), cwd=tmp_path)
    assert run.returncode == 2, run.stderr
    assert text in run.stderr
    assert "Traceback" not in run.stderr
    assert list(tmp_path.iterdir()) == []
    assert sorted(digits.rglob("*")) == before


def test_force_replaces_a_model(digits, tmp_path):
    fit = [
        "fit",
        digits / "train.parquet",
        "--x",
        "features",
        "--p",
        "labels:label",
        "--out",
        tmp_path / "m",
    ]
    assert pandq(*fit).returncode == 0
    assert pandq(*fit).returncode == 2
    assert pandq(*fit, "--force", "--l2", 10).returncode == 0
    assert json.loads((tmp_path / "m" / "model.json").read_text())["options"]["l2"] == 10


def test_a_broken_model_is_said_to_be_broken(regression, tmp_path):
    import shutil

    broken = tmp_path / "m"
    shutil.copytree(regression[0], broken)
    (broken / "weights.safetensors").write_bytes(b"no")
    with pytest.raises(InputError, match="is no model's weights, got no safetensors file"):
        load_model(broken)
    (broken / "model.json").write_text('{"schema": "pandq/model/9"}')
    with pytest.raises(InputError, match="is no model: its schema must be pandq/model/1"):
        load_model(broken)
    (broken / "model.json").write_text('{"schema": "pandq/model/1", "kind": "softmax"}')
    with pytest.raises(InputError, match="is no model: it lacks"):
        load_model(broken)


def test_a_model_that_was_edited_into_nonsense_does_not_predict(regression, tmp_path):
    import shutil

    edits = {
        "n_classes": (3, "do not fit"),
        "classes": (["a"], "do not fit"),
        "features": (
            {"columns": ["features"], "picture_size": "big", "shape": [64]},
            "must be a list",
        ),
    }
    for name, (value, text) in edits.items():
        broken = tmp_path / name
        shutil.copytree(regression[0], broken)
        document = json.loads((broken / "model.json").read_text())
        (broken / "model.json").write_text(json.dumps(document | {name: value}))
        with pytest.raises(InputError, match=text):
            load_model(broken)


def test_a_model_predicts_without_its_curve_and_can_be_saved_again(digits, regression, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(regression[0], copy)
    (copy / "curve.parquet").unlink()
    x = np.array(pq.read_table(digits / "test.parquet").column("features").to_pylist())
    model = load_model(regression[0])
    assert load_model(copy).predict(x).array.tobytes() == model.predict(x).array.tobytes()
    library.save_model(model, tmp_path / "again")
    again = load_model(tmp_path / "again")
    assert again.predict(x).array.tobytes() == model.predict(x).array.tobytes()
    assert again.curve == model.curve


def test_files_whose_lists_differ_in_length_are_refused_by_name(tmp_path):
    for name, x in (("a", [[1.0, 2.0]] * 4), ("b", [[1.0]] * 4)):
        pq.write_table(pa.table({"x": x, "y": [0, 1, 0, 1]}), tmp_path / f"{name}.parquet")
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for kind in ("softmax", "bayes"):
        run = pandq("fit", *files, "--x", "x", "--p", "labels:y", "--model", kind, "--out", "m",
                    cwd=tmp_path)  # fmt: skip
        assert run.returncode == 2
        assert "b.parquet" in run.stderr
        assert "1 features where the first row has 2" in run.stderr


def test_features_beyond_what_can_be_squared_are_refused(tmp_path):
    table = pa.table({"x": [[1e200], [2e200], [3e200]], "y": [0, 1, 0]})
    with pytest.raises(InputError, match="too large"):
        fit_model(scan_features(table, x="x", p="labels:y"))
    lists = pa.array([[], []], pa.list_(pa.float64()))
    empty = scan_features(pa.table({"x": lists, "y": [0, 1]}), x="x", p="labels:y")
    with pytest.raises(InputError, match="no features"):
        fit_model(empty)


def test_rows_to_watch_are_looked_at_before_the_fit(digits, tmp_path):
    pq.write_table(pa.table({"features": [[1.0]], "label": [0]}), tmp_path / "v.parquet")
    run = pandq(*of_labels(digits, "--valid", tmp_path / "v.parquet", "--out", tmp_path / "m"))
    assert run.returncode == 2
    assert "step" not in run.stderr
    assert "1, not 64" in run.stderr


def test_columns_in_another_order_are_refused(tmp_path):
    table = pa.table({"f_a": [1.0, 2.0, 3.0], "f_b": [3.0, 1.0, 2.0], "y": [0, 1, 0]})
    pq.write_table(table, tmp_path / "t.parquet")
    fit = ["fit", tmp_path / "t.parquet", "--x", "f_*", "--p", "labels:y", "--out", tmp_path / "m"]
    assert pandq(*fit).returncode == 0
    told = pandq("predict", tmp_path / "m", tmp_path / "t.parquet", "--x", "f_b,f_a", "--out",
                 tmp_path / "p.parquet")  # fmt: skip
    assert told.returncode == 2
    assert "in another order" in told.stderr


def test_without_torch_a_network_says_what_to_install(digits, tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('No module named torch')")
    import os

    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    run = pandq("fit", digits / "train.parquet", "--x", "features", "--p", "labels:label",
                "--model", "mlp", "--out", tmp_path / "m", env=environment)  # fmt: skip
    assert run.returncode == 2
    assert "pip install 'pandq[torch]'" in run.stderr
    assert "Traceback" not in run.stderr


def test_cats_and_dogs_are_told_apart_a_little_in_two_epochs(catdog, tmp_path):
    needs_torch()
    run = pandq("fit", catdog / "train.parquet", "--x", "image", "--p", "labels:class",
                "--where", "image_id % 10 = 0", "--epochs", 1, "--out", tmp_path / "m")  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "cnn: 2 classes (cat, dog)" in run.stdout
