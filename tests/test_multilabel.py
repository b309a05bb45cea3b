"""Multi-label audits: each class is a binary audit, and a row's loss is the sum of its classes'."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from sklearn.metrics import log_loss

import pandq
from pandq import multilabels
from pandq.cli.app import cli
from pandq.errors import InputError, RowError, ViewTypeError

N, NAMES = 300, ("cat", "dog", "cow")


@pytest.fixture(scope="module")
def rows():
    """Log-odds of three classes, and which of them hold."""
    draw = np.random.default_rng(3)
    z = draw.normal(size=(N, 3)) * 1.5 - 0.5
    y = (draw.random((N, 3)) < 1 / (1 + np.exp(-0.7 * z))).astype(int)
    return z, y, 1 / (1 + np.exp(-z))


@pytest.fixture(scope="module")
def found(rows):
    z, y, _ = rows
    return pandq.audit(pandq.MultiLabel.probs(y), pandq.MultiLabel.logits(z), classes=NAMES)


@pytest.fixture(scope="module")
def table(rows, tmp_path_factory):
    """The same rows in the forms that people have."""
    z, y, q = rows
    held = [[NAMES[k] for k in np.flatnonzero(row)] for row in y]
    columns = {"targets": y.tolist(), "tags": held, "scores": q.tolist(), "outputs": z.tolist()}
    columns["numbers"] = [np.flatnonzero(row).tolist() for row in y]
    columns |= {f"y_{name}": y[:, k] for k, name in enumerate(NAMES)}
    columns |= {f"prob_{name}": q[:, k] for k, name in enumerate(NAMES)}
    path = tmp_path_factory.mktemp("tags") / "tags.parquet"
    pq.write_table(pa.table(columns), path)
    return str(path)


def run(*args):
    return CliRunner().invoke(cli, ["audit", *map(str, args)])


def document(*args):
    done = run(*args, "--json", "-")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_the_total_is_the_sum_of_the_classes_log_losses(rows, found):
    _, y, q = rows
    losses = [log_loss(y[:, k], q[:, k]) for k in range(3)]
    assert found.cross_entropy.value == pytest.approx(sum(losses), rel=1e-12)
    for loss, name in zip(losses, NAMES, strict=True):
        assert found.audits[name].cross_entropy.value == pytest.approx(loss, rel=1e-12)
    assert found.accuracy.value == pytest.approx(((q > 0.5) == y).mean(), rel=1e-12)


def test_the_total_varies_as_the_rows_sums_do_whatever_classes_have_in_common(rows):
    z, y, q = rows
    same = pandq.audit(
        pandq.MultiLabel.probs(np.repeat(y[:, :1], 3, axis=1)),
        pandq.MultiLabel.logits(np.repeat(z[:, :1], 3, axis=1)),
        decompose=False,
    )
    loss = -np.log(np.where(y, q, 1 - q))
    one = loss[:, 0].std(ddof=1) / np.sqrt(N)
    assert same.cross_entropy.standard_error == pytest.approx(3 * one, rel=1e-9)
    apart = pandq.audit(pandq.MultiLabel.probs(y), pandq.MultiLabel.logits(z), decompose=False)
    error = loss.sum(axis=1).std(ddof=1) / np.sqrt(N)
    assert apart.cross_entropy.standard_error == pytest.approx(error, rel=1e-9)


def test_the_parts_of_the_total_are_the_sums_of_the_lines(found):
    assert found.floor.value is None
    parts = [x.decomposition for x in found.audits.values()]
    for name in ("calibration_loss", "refinement_loss"):
        each = sum(getattr(x, name).value for x in parts)
        assert getattr(found, name).value == pytest.approx(each, rel=1e-12)
    both = found.calibration_loss.value + found.refinement_loss.value
    assert both == pytest.approx(found.cross_entropy.value, rel=1e-9)


def test_the_floor_of_soft_targets_is_their_entropy(rows):
    z, _, _ = rows
    p = 1 / (1 + np.exp(-0.7 * z))
    soft = pandq.audit(pandq.MultiLabel.probs(p), pandq.MultiLabel.logits(z))
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)).sum(axis=1).mean()
    assert soft.floor.value == pytest.approx(entropy, rel=1e-9)
    total = soft.floor.value + soft.grouping_loss.value + soft.calibration_loss.value
    assert total == pytest.approx(soft.cross_entropy.value, rel=1e-9)


@pytest.mark.parametrize("k", range(3))
def test_a_class_has_the_document_of_a_plain_audit_of_no_and_yes(rows, found, k):
    z, y, _ = rows
    p, q = pandq.Probs.binary(y[:, k]), pandq.Logits.binary(z[:, k])
    alone = pandq.audit(p, q, classes=["no", "yes"])
    assert found.audits[NAMES[k]].to_dict() == alone.to_dict()


def test_a_class_of_a_file_has_the_document_of_the_file_of_two_classes(table):
    every = document(table, "--multilabel", "--p", "probs:y_*", "--q", "probs:prob_*")
    alone = document(table, "--p", "probs:y_dog", "--q", "probs:prob_dog", "--classes", "no,yes")
    assert every["audits"]["dog"] == alone
    assert list(every["audits"]) == list(NAMES)


def test_lists_of_names_lists_of_numbers_and_columns_say_the_same(table):
    wide = document(table, "--multilabel", "--p", "probs:y_*", "--q", "probs:prob_*")
    names = document(table, "--multilabel", "--p", "labels:tags", "--q", "probs:prob_*")
    listed = ("--q", "logits:outputs", "--classes", ",".join(NAMES))
    numbers = document(table, "--multilabel", "--p", "labels:numbers", "--q", "logits:outputs")
    logits = document(table, "--multilabel", "--p", "probs:targets", *listed)
    for other in (names, numbers, logits):
        assert other["cross_entropy"]["value"] == pytest.approx(
            wide["cross_entropy"]["value"], rel=1e-12
        )
    assert list(numbers["audits"]) == ["0", "1", "2"]


def test_classes_that_do_not_fit_into_memory_together_give_the_same(rows, found, monkeypatch):
    z, y, _ = rows
    monkeypatch.setattr(multilabels, "NUMBERS", 1)
    told = []
    again = pandq.audit(
        pandq.MultiLabel.probs(y),
        pandq.MultiLabel.logits(z),
        classes=NAMES,
        progress=lambda done: told.append(done.what),
    )
    assert again.to_dict() == found.to_dict()
    assert "measuring class 2 of 3" in told


def test_clusters_groups_and_weights_are_of_every_class(rows):
    z, y, _ = rows
    cluster, site, w = np.arange(N) // 3, np.arange(N) % 2, np.linspace(0.5, 2, N)
    more = {"cluster": cluster, "weights": w, "by": {"site": site}}
    every = pandq.audit(pandq.MultiLabel.probs(y), pandq.MultiLabel.logits(z), **more)
    alone = pandq.audit(pandq.Probs.binary(y[:, 1]), pandq.Logits.binary(z[:, 1]), **more)
    assert every.audits["1"].cross_entropy == alone.cross_entropy
    assert every.audits["1"].groups["site"][0]["n"] == N // 2
    assert "cluster-robust" in every.cross_entropy.method


def test_an_infinite_class_makes_the_total_infinite_and_no_other_class(rows):
    _, y, q = rows
    q = q.copy()
    q[0, 1] = 1.0 - y[0, 1]
    found = pandq.audit(pandq.MultiLabel.probs(y), pandq.MultiLabel.probs(q))
    assert found.cross_entropy.value == np.inf
    assert found.infinite_rows == 1
    assert found.finite_part["cross_entropy"].value < np.inf
    assert found.audits["0"].infinite_rows == 0
    assert "infinite" in str(found).splitlines()[0]


def test_the_report_has_a_line_a_class_and_one_of_all(found):
    text = str(found)
    for name, audit in found.audits.items():
        line = next(x for x in text.splitlines() if x.startswith(f"{name} "))
        assert f"{audit.cross_entropy.value:.4f}" in line
    assert f"{found.cross_entropy.value:.4f}" in next(
        x for x in text.splitlines() if x.startswith("all 3")
    )
    assert "summed over 3 classes" in text
    assert 'id="copy"' in found.to_html()


def test_a_page_of_many_classes_holds_those_of_the_largest_loss():
    draw = np.random.default_rng(0)
    y, q = draw.integers(0, 2, (20, 40)), draw.uniform(0.1, 0.9, (20, 40))
    p, q = pandq.MultiLabel.probs(y), pandq.MultiLabel.probs(q)
    many = pandq.audit(p, q, decompose=False)
    assert len(many.audits) == 40
    assert len(many.within(30)["audits"]) == 30
    assert max(many.audits, key=lambda x: many.audits[x].kl.value) in many.within(1)["audits"]
    assert len(many.to_html()) < 1_000_000


def test_its_document_is_read_again(found):
    again = pandq.MultiLabelAudit.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again.to_dict() == found.to_dict()
    assert found.values()["cross_entropy"] == pytest.approx(found.cross_entropy.value)


def test_a_limit_is_one_of_the_total(table):
    asked = (table, "--multilabel", "--p", "probs:y_*", "--q", "probs:prob_*")
    assert run(*asked, "--max-cross-entropy", "5").exit_code == 0
    assert run(*asked, "--max-cross-entropy", "0.6").exit_code == 1


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--p", "labels:targets", "--q", "probs:scores"), "these are probs and not labels"),
        (("--p", "labels:tags", "--q", "probs:scores"), "--classes cat,cow,dog"),
        (("--p", "probs:scores", "--q", "probs:outputs"), "Log-odds are --q logits:outputs"),
        (("--p", "counts:targets", "--q", "probs:scores"), "Under --multilabel P is labels:COLUMN"),
        (("--p", "probs:y_cat", "--q", "probs:prob_cat"), "leave --multilabel out"),
        (("--p", "labels:y_*", "--q", "probs:prob_*"), "--p probs:y_* --multilabel"),
        (
            ("--p", "probs:y_*", "--q", "probs:prob_*", "--normalise", "q"),
            "--normalise has no",
        ),
        (("--p", "probs:y_*", "--q", "probs:prob_*", "--per", "y_cat"), "--per has nothing"),
        (("--p", "probs:y_*", "--q", "probs:prob_*", "--items", "x.parquet"), "--items writes"),
        (("--p", "probs:y_*", "--q", "probs:scores", "--classes", "cat,dog"), "contradict"),
        (("--p", "probs:y_*", "--q", "probs:prob_*", "--floor", "certified"), "certified floor"),
    ],
)
def test_what_cannot_be_meant_is_told(table, asked, told):
    refused = run(table, "--multilabel", *asked).exception
    assert isinstance(refused, InputError)
    assert told in str(refused)


def test_targets_of_zero_and_one_without_the_option_are_told_of_it(table):
    refused = run(table, "--p", "probs:targets", "--q", "probs:scores").exception
    assert "(--multilabel)" in str(refused)


def test_a_missing_list_is_no_empty_one(tmp_path):
    columns = {"tags": [["cat"], None, []], "prob_cat": [0.5] * 3, "prob_dog": [0.5] * 3}
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns), path)
    asked = (path, "--multilabel", "--p", "labels:tags", "--q", "probs:prob_*")
    assert "row 1 has no list (null)" in str(run(*asked).exception)
    kept = document(*asked, "--where", "tags IS NOT NULL")
    assert kept["n"] == 2


def test_views_refuse_what_is_no_answer_for_a_class():
    with pytest.raises(RowError, match="row 1 class 0 is not between 0 and 1"):
        pandq.MultiLabel.probs([[0.5, 0], [1.5, 0]])
    with pytest.raises(RowError, match="row 0 class 1 is missing"):
        pandq.MultiLabel.logits([[0.5, np.nan]])
    with pytest.raises(RowError, match="row 1 has the label 'cow', which is no class"):
        pandq.MultiLabel.labels([[], ["cow"]], ["cat"])
    with pytest.raises(InputError, match="different numbers of classes, got 1 and 2"):
        pandq.audit(pandq.MultiLabel.probs([[1]]), pandq.MultiLabel.probs([[0.5, 0.5]]))
    with pytest.raises(InputError, match="both MultiLabel"):
        pandq.audit(pandq.Labels([1]), pandq.MultiLabel.probs([[0.5, 0.5]]))


def test_what_takes_a_distribution_over_classes_says_where_single_classes_go(table):
    each = pandq.MultiLabel.probs([[1, 0]])
    for call in (pandq.compare, pandq.cross_entropy, pandq.Auditor().update):
        with pytest.raises(ViewTypeError, match=r"pandq.audit\(p, q\) takes them class by class"):
            call(each, each)
    rows = pandq.scan(table, p="probs:y_*", q="probs:prob_*", multilabel=True)
    with pytest.raises(ViewTypeError, match="class by class"):
        pandq.items(rows)
    assert list(pandq.audit(rows, decompose=False).audits) == list(NAMES)
