"""NetworkClassifier: it learns digits, repeats itself, survives a kill, and shares a batch."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

import pandq
from pandq import Counts, InputError, Labels, NetworkClassifier, Probs

torch = pytest.importorskip("torch")


NOT_OF_NETWORKS = {
    "check_sample_weight_equivalence_on_dense_data": "a row twice is met in two batches",
    "check_methods_subset_invariance": "single precision depends on the batch",
}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [NetworkClassifier(epochs=10, lr=0.03, valid=0.0, batch_size=16)],
    expected_failed_checks=lambda _: NOT_OF_NETWORKS,
)
def test_it_is_an_estimator_by_scikit_learns_conventions(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[::2], y[::2], X[1::2], y[1::2]


@pytest.fixture(scope="module")
def fitted(digits):
    X, y, *_ = digits
    return NetworkClassifier("mlp", epochs=25, lr=3e-3).fit(X, y)


def laws(n=300, d=4, k=3, seed=0):
    """Features, and the laws that a softmax of them gives."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d))
    p = pandq.Logits(X @ rng.normal(size=(d, k))).law().prob
    return X, p


def test_digits_are_told_apart_and_the_audit_says_what_is_left(digits, fitted):
    *_, X, y = digits
    assert fitted.score(X, y) > 0.92
    found = pandq.audit(Labels(y), Probs(fitted.predict_proba(X)))
    assert found.kl.value < 0.3


def test_a_cnn_reads_pictures_of_digits(digits):
    X, y, X_held, y_held = (x.reshape(-1, 8, 8, 1) if x.ndim == 2 else x for x in digits)
    model = NetworkClassifier("cnn", epochs=8, batch_size=32, lr=3e-3, augment="crop").fit(X, y)
    assert model.score(X_held, y_held) > 0.9


def test_the_curve_says_what_was_lost_and_what_is_floor(fitted):
    assert len(fitted.curve_) == fitted.n_iter_ <= 25
    assert [row["epoch"] for row in fitted.curve_] == list(range(1, fitted.n_iter_ + 1))
    for row in fitted.curve_:
        for rows in ("train", "valid"):
            parts = row[f"{rows}_floor"] + row[f"{rows}_kl"]
            assert row[f"{rows}_cross_entropy"] == pytest.approx(parts)
    assert fitted.curve_[0]["train_kl"] > fitted.curve_[-1]["train_kl"]
    kept = [row["valid_kl_recalibrated"] for row in fitted.curve_]
    assert fitted.best_epoch_ == 1 + int(np.argmin(kept))


def test_soft_labels_are_fitted_down_to_their_floor():
    X, p = laws(2000)
    model = NetworkClassifier("mlp", epochs=40, lr=5e-3, patience=None).fit(X, p)
    last = model.curve_[-1]
    assert last["valid_floor"] == pytest.approx(pandq.entropy(Probs(p)).mean(), abs=0.1)
    assert last["valid_kl"] < 0.02
    assert pandq.kl_divergence(Probs(p), Probs(model.predict_proba(X))).mean() < 0.02


def test_votes_weights_and_labels_are_laws_like_any():
    X, p = laws()
    votes = np.random.default_rng(1).multinomial(3, p)
    options = {"epochs": 3, "valid": 0.0}
    by_votes = NetworkClassifier(**options).fit(X, Counts(votes))
    by_shares = NetworkClassifier(**options).fit(X, votes / 3)
    assert by_votes.predict_proba(X) == pytest.approx(by_shares.predict_proba(X), abs=1e-5)
    y = votes.argmax(axis=1)
    by_labels = NetworkClassifier(**options).fit(X, Labels(y, 3))
    one_hot = NetworkClassifier(**options).fit(X, np.eye(3)[y])
    assert by_labels.predict_proba(X) == pytest.approx(one_hot.predict_proba(X), abs=1e-5)


def test_a_seed_gives_the_same_bits_and_another_seed_others(digits):
    X, y, *_ = digits
    one, two, other = (
        NetworkClassifier(epochs=2, random_state=seed).fit(X, y).predict_proba(X)
        for seed in (1, 1, 2)
    )
    assert one.tobytes() == two.tobytes()
    assert one.tobytes() != other.tobytes()


def test_fitting_leaves_torchs_own_chances_alone(digits):
    X, y, *_ = digits
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    NetworkClassifier(epochs=1).fit(X, y)
    assert torch.rand(1) == expected


def test_any_module_that_returns_logits_is_trained_and_the_given_one_is_left_alone(digits):
    X, y, X_held, y_held = digits
    module = torch.nn.Sequential(
        torch.nn.Linear(64, 64), torch.nn.Dropout(0.2), torch.nn.ReLU(), torch.nn.Linear(64, 10)
    )
    before = module[0].weight.detach().clone()
    model = NetworkClassifier(module, epochs=15, lr=5e-3).fit(X / 16, y)
    assert model.score(X_held / 16, y_held) > 0.9
    assert (module[0].weight == before).all()
    assert (
        clone(model).fit(X / 16, y).predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    )


def test_features_are_what_the_last_layer_sees(digits, fitted):
    *_, X, _ = digits
    features = fitted.features(X)
    assert features.shape == (len(X), 128)
    head = fitted.module_[1].head
    z = features @ head.weight.detach().numpy().T.astype(float) + head.bias.detach().numpy()
    expected = z if z.shape[1] > 2 else z[:, 1] - z[:, 0]
    assert fitted.decision_function(X) == pytest.approx(expected, abs=1e-4)


def test_what_is_predicted_is_recalibrated_on_the_rows_set_aside(digits, fitted):
    *_, X, _ = digits
    raw = pandq.Logits(fitted.decision_function(X))
    assert fitted.predict_proba(X) == pytest.approx(np.exp(fitted.recalibrator_.of(raw).array))
    plain = clone(fitted).set_params(calibrate=False, epochs=1).fit(X[:100], np.arange(100) % 10)
    assert plain.recalibrator_ is None


def test_recalibration_never_makes_what_is_set_aside_worse_nor_forgets_the_features():
    """On easy rows the kept epoch is a good one; after a short run Q still looks at its input."""
    X, _ = laws(400)
    easy = NetworkClassifier(epochs=15, lr=0.01).fit(X, X[:, 0] > 0)
    assert all(row["valid_kl_recalibrated"] <= row["valid_kl"] + 1e-9 for row in easy.curve_)
    kept = easy.curve_[easy.best_epoch_ - 1]
    assert kept["valid_kl"] <= easy.curve_[0]["valid_kl"] / 2
    rng = np.random.default_rng(0)
    noise = NetworkClassifier(epochs=1, lr=1e-4).fit(X, rng.integers(0, 3, 400))
    assert np.ptp(noise.predict_proba(X), axis=0).max() > 1e-4
    assert noise.recalibrator_.eps == 0.0


def test_training_stops_when_nothing_becomes_better():
    X = np.random.default_rng(0).normal(size=(200, 3))
    y = np.random.default_rng(1).integers(0, 2, 200)
    model = NetworkClassifier(epochs=200, lr=0.01, patience=5).fit(X, y)
    assert model.n_iter_ == model.best_epoch_ + 5 < 200


def test_rows_to_watch_may_be_given(digits):
    X, y, X_held, y_held = digits
    model = NetworkClassifier(epochs=2).fit(X, y, validation=(X_held, y_held))
    assert model.curve_[0]["valid_expected_accuracy"] * len(y_held) == pytest.approx(
        round(model.curve_[0]["valid_expected_accuracy"] * len(y_held))
    )
    with pytest.raises(InputError, match="a class that the others have not"):
        NetworkClassifier(epochs=1).fit(X, y, validation=(X_held, y_held + 1))


def test_a_run_that_stopped_goes_on_to_the_same_curve_and_weights(tmp_path, digits):
    X, y, *_ = digits
    whole = NetworkClassifier(epochs=6).fit(X, y)

    def until_the_third(row):
        if row["epoch"] == 3:
            raise KeyboardInterrupt

    options = {"epochs": 6, "checkpoint": str(tmp_path)}
    with pytest.raises(KeyboardInterrupt):
        NetworkClassifier(**options, callback=until_the_third).fit(X, y)
    seen = []
    resumed = NetworkClassifier(**options, callback=seen.append).fit(X, y)
    assert [row["epoch"] for row in seen] == [4, 5, 6]
    assert without_times(resumed.curve_) == without_times(whole.curve_)
    assert resumed.predict_proba(X).tobytes() == whole.predict_proba(X).tobytes()


def without_times(curve):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in curve]


SCRIPT = """
import json, sys
from sklearn.datasets import load_digits
from pandq import NetworkClassifier
X, y = load_digits(return_X_y=True)
def told(row):
    print(json.dumps(row), flush=True)
checkpoint = sys.argv[1] if len(sys.argv) > 1 else None
model = NetworkClassifier("mlp", epochs=5, batch_size=60, checkpoint=checkpoint, callback=told)
model.fit(X[::2], y[::2])
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """What one process says that goes through."""
    file = tmp_path_factory.mktemp("alone") / "train.py"
    file.write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, str(file)]
    return lines(subprocess.run(command, capture_output=True, text=True, check=True))


def test_a_killed_process_goes_on_to_the_same_curve(alone, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, str(file), str(tmp_path / "kept")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        first = [json.loads(running.stdout.readline()) for _ in range(2)]
        running.kill()
    rest = lines(subprocess.run(command, capture_output=True, text=True, check=True))
    assert len(rest) < 5
    told = {row["epoch"]: row for row in (*first, *rest)}
    assert without_times(told.values()) == without_times(alone)


def lines(run):
    return [json.loads(line) for line in run.stdout.splitlines()]


def test_two_processes_under_torchrun_give_what_one_gives(alone, tmp_path):
    file = tmp_path / "train.py"
    file.write_text(SCRIPT, encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    team = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert team.returncode == 0, team.stderr[-2000:]
    pairs = list(zip(lines(team), alone, strict=True))
    assert len(pairs) == 5
    for mine, other in pairs:
        assert {k: v for k, v in mine.items() if k != "seconds"} == pytest.approx(
            {k: v for k, v in other.items() if k != "seconds"}, abs=1e-5
        )


def test_a_run_with_a_function_that_augments_goes_on_from_its_checkpoint(tmp_path, digits):
    X, y, *_ = digits

    def noisy():
        def noise(x, generator):
            return x + torch.randn(x.shape, generator=generator)

        return noise

    options = {"epochs": 2, "checkpoint": str(tmp_path), "lr": 1e-3}
    one = NetworkClassifier(**options, augment=noisy()).fit(X, y)
    two = NetworkClassifier(**options, augment=noisy()).fit(X, y)
    assert two.curve_ == one.curve_


def test_a_checkpoint_of_another_run_is_refused(tmp_path, digits):
    X, y, *_ = digits
    options = {"epochs": 1, "checkpoint": str(tmp_path)}
    NetworkClassifier(**options).fit(X, y)
    for other in ({"lr": 0.1}, {"random_state": 3}):
        with pytest.raises(InputError, match="other data or options"):
            NetworkClassifier(**options, **other).fit(X, y)
    with pytest.raises(InputError, match="other data or options"):
        NetworkClassifier(**options).fit(X + 1, y)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="is no checkpoint"):
        NetworkClassifier(**options).fit(X, y)


BAD = {
    "NaN features": (lambda X, y: ({}, X * np.nan, y), "NaN"),
    "negative soft labels": (lambda X, y: ({}, X, np.full((len(X), 2), -1.0)), "negative"),
    "no sum of one": (lambda X, y: ({}, X, np.ones((len(X), 2))), "sums to 2"),
    "too few rows of P": (lambda X, y: ({}, X, np.full((3, 2), 0.5)), "different numbers of rows"),
    "one class": (lambda X, y: ({}, X, np.zeros(len(X))), "two classes"),
    "no such network": (lambda X, y: ({"module": "transformer"}, X, y), "mlp, cnn, or a module"),
    "no module": (lambda X, y: ({"module": 3}, X, y), "torch.nn.Module"),
    "a cnn for columns": (lambda X, y: ({"module": "cnn"}, X, y), "needs pictures"),
    "pictures to augment": (lambda X, y: ({"augment": "flip"}, X, y), "is for pictures"),
    "an unknown augment": (lambda X, y: ({"augment": "blur"}, X, y), "unknown augment"),
    "no such device": (lambda X, y: ({"device": "abacus"}, X, y), "no such device"),
    "a module of other features": (
        lambda X, y: ({"module": torch.nn.Linear(9, 2)}, X, y),
        r"cannot take rows of shape \(4,\)",
    ),
    "a share that sets nothing aside": (lambda X, y: ({"valid": 0.001}, X, y), "none aside"),
    "a module of other classes": (
        lambda X, y: ({"module": torch.nn.Linear(4, 7)}, X, y),
        r"must return logits, \(n, 2\), got shape",
    ),
    "a rate that is too high": (
        lambda X, y: ({"module": torch.nn.Linear(4, 2), "lr": 1e10}, X * 1e30, y),
        "diverged",
    ),
    **{
        f"{name} {value}": (lambda X, y, o={name: value}: (o, X, y), f"{name} is out of range")
        for name, value in (
            ("epochs", 0),
            ("batch_size", 0),
            ("lr", -1.0),
            ("weight_decay", np.nan),
            ("valid", 1.0),
            ("patience", 0),
        )
    },
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_fitted_is_refused_in_words(case):
    make, text = BAD[case]
    X = np.random.default_rng(0).normal(size=(60, 4))
    options, X, y = make(X, (X[:, 0] > 0).astype(int))
    with pytest.raises(ValueError, match=text):
        NetworkClassifier(**{"epochs": 2, **options}).fit(X, y)


def test_a_model_that_was_not_fitted_says_so():
    with pytest.raises(NotFittedError):
        NetworkClassifier().predict(np.zeros((1, 2)))
    with pytest.raises(NotFittedError):
        NetworkClassifier().features(np.zeros((1, 2)))


def test_without_torch_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(pandq.MissingLibraryError, match=r"pip install 'pandq\[torch\]'"):
        NetworkClassifier().fit(np.zeros((4, 2)), [0, 1, 0, 1])
