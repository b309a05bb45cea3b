"""Of a text: its perplexity, and its bits per byte, with intervals over documents."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq
from pandq import InputError, Labels, Logits
from tests import commands

N, CLASSES, DOCUMENTS = 600, 7, 40
ENDS = ("value", "low", "high")


def text(seed=0):
    """Tokens, logits, the document of each token, and the bytes of each."""
    rng = np.random.default_rng(seed)
    document = np.sort(rng.integers(DOCUMENTS, size=N))
    x = rng.normal(size=(N, CLASSES)) * (1 + document[:, None] % 3)
    y = rng.integers(CLASSES, size=N)
    return y, x, document, 1 + y


def losses(y, x):
    return np.log(np.exp(x).sum(axis=1)) - x[np.arange(len(y)), y]


def ends(e):
    return np.array([getattr(e, end) for end in ENDS])


@pytest.mark.parametrize("unit", ["nat", "bit"])
def test_a_perplexity_is_the_exponential_of_the_loss_and_of_its_interval(unit):
    y, x, document, _ = text()
    found = pandq.audit(Labels(y), Logits(x), cluster=document, unit=unit, decompose=False)
    base = {"nat": np.e, "bit": 2.0}[unit]
    assert ends(found.perplexity) == pytest.approx(base ** ends(found.cross_entropy), rel=1e-12)
    assert found.perplexity.value == pytest.approx(np.exp(losses(y, x).mean()), rel=1e-12)
    assert (found.perplexity.unit, found.bits_per_byte) == ("", None)
    assert "40 clusters" in found.perplexity.method


def test_what_cannot_be_has_no_perplexity_but_an_infinite_one():
    impossible = pandq.audit(Labels([0, 1]), Logits([[0.0, 1.0], [0.0, -np.inf]]), decompose=False)
    beyond = pandq.audit(Labels([0, 1]), Logits([[-2e3, 0.0], [0.0, 0.0]]), decompose=False)
    for found in (impossible, beyond):
        assert found.perplexity.value == np.inf
        assert pandq.Audit.from_dict(found.to_dict()).perplexity.value == np.inf
    assert np.isfinite(beyond.cross_entropy.value)


@pytest.mark.parametrize("weighted", [False, True])
def test_bits_per_byte_are_the_ratio_of_two_sums_and_vary_with_documents(weighted):
    y, x, document, size = text()
    w = np.random.default_rng(1).integers(1, 4, size=N) / 2 if weighted else np.ones(N)
    given = {"weights": w} if weighted else {}
    found = pandq.audit(
        Labels(y), Logits(x), n_bytes=size, cluster=document, decompose=False, **given
    ).bits_per_byte
    bits = losses(y, x) / np.log(2)
    rate = (w * bits).sum() / (w * size).sum()
    names, both = np.unique(document), np.stack([bits, size], axis=1)
    mean = np.average(both, axis=0, weights=w)
    moved = np.array(
        [mean - np.average(both[document != x], axis=0, weights=w[document != x]) for x in names]
    )
    apart = moved @ np.array([1, -rate]) / mean[1]
    error = np.sqrt((len(names) - 1) / len(names) * np.square(apart).sum())
    assert found.value == pytest.approx(rate, rel=1e-12)
    assert found.standard_error == pytest.approx(error, rel=1e-9)
    assert found.unit == ""


def test_bits_per_byte_do_not_depend_on_how_a_text_is_cut_into_tokens():
    """Each token cut in two of half its loss and half its bytes."""
    y, x, document, size = text()
    loss = losses(y, x)
    half = np.stack([np.zeros(2 * N), np.log(np.expm1(np.repeat(loss, 2) / 2))], axis=1)
    given = {"decompose": False, "level": 0.9}
    one = pandq.audit(Labels(y), Logits(x), n_bytes=size, cluster=document, **given)
    two = pandq.audit(
        Labels(np.zeros(2 * N, int), 2),
        Logits(half),
        n_bytes=np.repeat(size / 2, 2),
        cluster=np.repeat(document, 2),
        **given,
    )
    assert ends(two.bits_per_byte) == pytest.approx(ends(one.bits_per_byte), rel=1e-9)
    assert two.perplexity.value == pytest.approx(np.sqrt(one.perplexity.value), rel=1e-9)


def test_a_bootstrap_of_bits_per_byte_is_near_the_delta_methods_interval():
    y, x, document, size = text()
    given = {"n_bytes": size, "cluster": document, "decompose": False}
    t = pandq.audit(Labels(y), Logits(x), **given).bits_per_byte
    drawn = pandq.audit(Labels(y), Logits(x), intervals="bootstrap", **given).bits_per_byte
    assert drawn.value == t.value
    assert drawn.half_width == pytest.approx(t.half_width, rel=0.15)
    assert "bootstrap" in drawn.method


def test_bits_per_byte_are_infinite_where_a_token_was_impossible():
    found = pandq.audit(
        Labels([0, 1]), Logits([[0.0, 1.0], [0.0, -np.inf]]), n_bytes=[1, 2], decompose=False
    )
    assert found.bits_per_byte.value == np.inf
    assert found.bits_per_byte.name == "bits_per_byte"


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [
        ([1, 2], "n_bytes needs one value per row"),
        ([1, -2, 1], "n_bytes row 1 is negative"),
        ([1, 1, np.nan], "n_bytes row 2 is negative or not finite"),
        ([0, 0, 0], "n_bytes are all zero"),
        (["a", "b", "c"], "n_bytes"),
    ],
    ids=str,
)
def test_bytes_that_are_none_are_refused(n_bytes, words):
    with pytest.raises(InputError, match=words):
        pandq.audit(Labels([0, 1, 0]), Logits(np.zeros((3, 2))), n_bytes=n_bytes)


def test_both_are_said_in_the_report():
    y, x, document, size = text()
    found = pandq.audit(Labels(y), Logits(x), n_bytes=size, cluster=document, decompose=False)
    for told in (found.to_text(), found.to_html()):
        assert "perplexity Mean PPL(Q)" in told
        assert "bits per byte" in told
    assert found.values()["bits_per_byte"] == found.bits_per_byte.value


def of_two(**more):
    """A text, two models of it, and what the columns of a file of it are."""
    y, x, document, size = text()
    other = x + np.random.default_rng(5).normal(size=x.shape)
    columns = {"label": y, "one": x.tolist(), "two": other.tolist()}
    columns |= {"document": document, "bytes": size}
    return y, x, other, {"cluster": document, "n_bytes": size}, pa.table(columns | more)


def test_a_column_of_bytes_is_the_array_of_them():
    y, x, _, given, table = of_two()
    rows = pandq.scan(table, p="labels:label", q="logits:one", cluster="document", per="bytes")
    found = pandq.audit(rows, decompose=False).bits_per_byte
    assert found == pandq.audit(Labels(y), Logits(x), decompose=False, **given).bits_per_byte


def test_the_difference_in_bits_per_byte_is_paired_and_that_of_the_models():
    y, x, other, given, table = of_two()
    found = pandq.compare(Labels(y), Logits(x), Logits(other), decompose=False, **given)
    one, two = (model.bits_per_byte for model in found.models)
    alone = pandq.audit(Labels(y), Logits(x), decompose=False, **given)
    assert one == alone.bits_per_byte
    apart = found.differences[0].bits_per_byte
    assert apart.value == pytest.approx(two.value - one.value, rel=1e-9)
    size, document = given["n_bytes"], given["cluster"]
    bits = (losses(y, other) - losses(y, x)) / np.log(2)
    left = []
    for one_left_out in np.unique(document):
        kept = document != one_left_out
        left.append(bits[kept].sum() / size[kept].sum())
    n = len(left)
    jackknife = np.sqrt((n - 1) / n * np.square(left - np.mean(left)).sum())
    assert apart.standard_error == pytest.approx(jackknife, rel=0.02)
    rows = pandq.scan(
        table,
        p="labels:label",
        q=["logits:one", "logits:two"],
        cluster="document",
        per="bytes",
    )
    assert pandq.compare(rows, decompose=False).differences[0].bits_per_byte == apart
    for told in (found.to_text(), found.to_html()):
        assert "bits per byte" in told
    assert pandq.Comparison.from_dict(found.to_dict()).differences[0].bits_per_byte == apart


def test_a_comparison_that_is_fed_has_the_same_bits_per_byte():
    y, x, other, given, _ = of_two()
    comparer = pandq.Comparer(decompose=False)
    for some in (slice(0, 200), slice(200, N)):
        mine = {name: values[some] for name, values in given.items()}
        comparer.update(Labels(y[some]), Logits(x[some]), Logits(other[some]), **mine)
    found = comparer.result().differences[0].bits_per_byte
    whole = pandq.compare(Labels(y), Logits(x), Logits(other), decompose=False, **given)
    assert ends(found) == pytest.approx(ends(whole.differences[0].bits_per_byte), rel=1e-9)


def test_a_model_that_rules_a_token_out_has_infinite_bits_per_byte_and_so_has_the_difference():
    one, two = Logits([[0.0, 1.0], [0.0, 1.0]]), Logits([[0.0, 1.0], [0.0, -np.inf]])
    found = pandq.compare(Labels([0, 1]), one, two, n_bytes=[1, 2], decompose=False)
    assert found.models[1].bits_per_byte.value == np.inf
    assert np.isfinite(found.models[0].bits_per_byte.value)
    assert found.differences[0].bits_per_byte.value == np.inf


def test_bytes_beside_bounds_alone_are_refused():
    _, x, _, given, _ = of_two()
    top = pandq.TopK(np.argsort(-x)[:, :2], np.full((N, 2), np.log(0.4)), CLASSES)
    with pytest.raises(InputError, match="bytes of rows have nothing to say here"):
        pandq.compare(top, Logits(x), n_bytes=given["n_bytes"])


def test_a_bad_column_of_bytes_is_named():
    *_, table = of_two(bytes=-np.ones(N))
    rows = pandq.scan(table, p="labels:label", q="logits:one", per="bytes")
    with pytest.raises(InputError, match="bytes row 0 is negative"):
        pandq.audit(rows)
    with pytest.raises(InputError, match="--per: no column 'byte'"):
        pandq.scan(table, p="labels:label", q="logits:one", per="byte")


def test_the_commands_take_a_column_of_bytes(tmp_path):
    *_, table = of_two()
    pq.write_table(table, tmp_path / "text.parquet")
    common = [tmp_path / "text.parquet", "--p", "labels:label", "--cluster", "document"]
    common += ["--per", "bytes", "--no-decompose", "--full", "--json", tmp_path / "x.json"]
    for command, qs in (("audit", ["one"]), ("compare", ["one", "two"])):
        run = commands.pandq(command, *common, *(x for q in qs for x in ("--q", f"logits:{q}")))
        assert (run.returncode, run.stderr) == (0, "")
        assert "bits per byte" in run.stdout
        told = json.loads((tmp_path / "x.json").read_text())
        held = told if command == "audit" else told["models"][0]
        assert held["bits_per_byte"]["value"] > 0
