"""Models whose tokenizers differ, paired by document: against plain sums over documents."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import special

import pandq
from pandq import InputError
from tests import commands
from tests.estimate import leaving

D, K = 24, 5
SIZE = np.random.default_rng(0).integers(40, 300, D)
COLUMNS = {"cluster": "document", "per": "n_bytes"}


def tokens(seed, width, *, documents=range(D)):
    """Rows of a model: each document cut into tokens, and what the model gave to each."""
    rng, lines = np.random.default_rng(seed), []
    for d in documents:
        n = int(SIZE[d] // width)
        cut = np.sort(rng.choice(np.arange(1, SIZE[d]), n - 1, replace=False))
        size = np.diff(np.r_[0, cut, SIZE[d]])
        loss = size * (0.5 + 0.02 * seed + 0.3 * np.cos(d)) * rng.gamma(4, 0.25, n)
        lines += [(f"text {d}", int(b), -float(x)) for b, x in zip(size, loss, strict=True)]
    order = rng.permutation(len(lines))
    document, n_bytes, log_q = zip(*(lines[i] for i in order), strict=True)
    return {"document": list(document), "n_bytes": list(n_bytes), "logprob": list(log_q)}


def rows(table, q="sampled:logprob", **more):
    return pandq.scan(pa.table(table), q=q, **COLUMNS, **more)


def total(table, column, documents=range(D)):
    """A plain sum of each document."""
    found = dict.fromkeys((f"text {d}" for d in documents), 0.0)
    for name, x in zip(table["document"], table[column], strict=True):
        if name in found:
            found[name] += x
    return np.array(list(found.values()))


def ratio(x, size, *, positive=False):
    """Sum by sum, and the ends of its interval over documents by the delta method."""
    value, n = x.sum() / size.sum(), len(x)
    e = (x - value * size) / size.mean()
    variance, skewness = (e**2).sum() / n / (n - 1), (e**3).sum() / (e**2).sum() ** 1.5
    if positive:
        return value, *leaving.above_zero(
            value, variance, n, skewness, np.ones(n), np.ones(n) * value
        )
    return value, *leaving.ends(value, variance, n, skewness)


def told(estimate):
    return estimate.value, estimate.low, estimate.high


def test_a_difference_is_the_ratio_of_sums_over_documents_whatever_the_tokens():
    one, other, third = tokens(0, 4.2), tokens(1, 3.0), tokens(2, 7.5)
    found = pandq.compare(*map(rows, (one, other, third)), names=["a", "b", "c"]).by_document
    assert (found.documents, found.n_bytes) == (D, SIZE.sum())
    assert [x.n for x in found.models] == [len(x["n_bytes"]) for x in (one, other, third)]
    bits = [-total(x, "logprob") / np.log(2) for x in (one, other, third)]
    for model, loss in zip(found.models, bits, strict=True):
        want = ratio(loss, SIZE, positive=True)
        assert told(model.bits_per_byte) == pytest.approx(want, rel=1e-10)
    for place, x in enumerate(found.differences, 1):
        assert told(x.bits_per_byte) == pytest.approx(ratio(bits[place] - bits[0], SIZE), rel=1e-9)
        assert (x.q, x.against) == ("abc"[place], "a")
    largest = found.differences[0].largest
    most = np.argsort(-np.abs(bits[1] - bits[0]))[:10]
    assert [line["document"] for line in largest] == [f"text {d}" for d in most]
    assert largest[0]["difference"] == pytest.approx((bits[1] - bits[0])[most[0]] / SIZE[most[0]])


def test_its_interval_covers_the_difference_of_all_documents():
    rng, covered = np.random.default_rng(3), 0
    for _ in range(100):
        size = rng.integers(50, 400, 30)
        apart = size * (0.1 + 0.05 * rng.gamma(1, 1, 30))
        tables = [
            {"document": np.arange(30), "n_bytes": size, "logprob": -loss}
            for loss in (size * 1.0, size + apart)
        ]
        e = pandq.compare(*map(rows, tables)).by_document.differences[0].bits_per_byte
        covered += e.low <= 0.15 / np.log(2) <= e.high
    assert covered >= 88


def test_labels_and_logits_say_what_their_log_probabilities_do():
    rng, tables, scans = np.random.default_rng(1), [], []
    for seed, width in ((0, 4.0), (1, 6.0)):
        table = tokens(seed, width)
        n, k = len(table["document"]), K + seed
        logits = rng.normal(size=(n, k))
        token = rng.integers(k, size=n)
        table["logprob"] = special.log_softmax(logits, axis=1)[np.arange(n), token].tolist()
        tables.append(table)
        whole = table | {"token": token, "logits": logits.tolist()}
        scans.append(rows(whole, q="logits:logits", p="labels:token"))
    drawn = pandq.compare(*map(rows, tables)).by_document
    found = pandq.compare(*scans).by_document
    for one, other in zip(found.models, drawn.models, strict=True):
        assert told(one.bits_per_byte) == pytest.approx(told(other.bits_per_byte), rel=1e-9)
    assert told(found.differences[0].bits_per_byte) == pytest.approx(
        told(drawn.differences[0].bits_per_byte), rel=1e-9
    )


def test_documents_of_one_model_alone_are_left_out_and_named():
    some, others = [d for d in range(D) if d != 3], [d for d in range(D) if d not in (7, 9)]
    one, other = tokens(0, 4.2, documents=some), tokens(1, 3.0, documents=others)
    result = pandq.compare(rows(one), rows(other), names=["a", "b"])
    found, both = result.by_document, [d for d in some if d in others]
    left_out = {line["document"]: line["missing_in"] for line in found.left_out}
    assert left_out == {"text 3": ["a"], "text 7": ["b"], "text 9": ["b"]}
    loss = (total(one, "logprob", both) - total(other, "logprob", both)) / np.log(2)
    told_of = told(found.differences[0].bits_per_byte)
    assert told_of == pytest.approx(ratio(loss, SIZE[both]), rel=1e-9)
    assert result.n == found.documents == D - 3
    text = " ".join(result.to_text().split())
    assert "3 documents are not in every model's rows, and left out: text" in text
    assert "text 7 (not in b)" in text
    assert "text 3 (not in a)" in text


def test_other_bytes_of_a_document_are_an_error_that_names_it():
    one, other = tokens(0, 4.2), tokens(1, 3.0)
    other["n_bytes"][0] += 2
    name = other["document"][0]
    with pytest.raises(InputError, match=f"bytes of document '{name}' are not the same"):
        pandq.compare(rows(one), rows(other))


def test_what_is_forbidden_makes_its_model_infinite_and_no_other():
    one, other = tokens(0, 4.2), tokens(1, 3.0)
    other["logprob"][4] = -np.inf
    result = pandq.compare(rows(one), rows(other), names=["a", "b"])
    found = result.by_document
    assert [x.infinite_rows for x in found.models] == [0, 1]
    assert [x.bits_per_byte.value for x in found.models][1] == np.inf
    assert found.differences[0].bits_per_byte.value == np.inf
    assert found.differences[0].verdict == "worse"
    assert "b forbids part of the text" in result.to_text()
    json.dumps(result.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"per": None}, "there are no bytes of rows"),
        ({"cluster": None}, "there are no documents"),
        ({"by": "document"}, "by has nothing to say"),
        ({"weights": "n_bytes"}, "weights has nothing to say"),
        ({"p": "sampled:n_bytes"}, "P is sampled"),
    ],
)
def test_what_documents_cannot_be_paired_with_is_refused(change, message):
    table = tokens(0, 4.2)
    table["n_bytes"] = [float(x) for x in table["n_bytes"]]
    if "p" in change:
        table["n_bytes"] = [-x for x in table["n_bytes"]]
    given = {**COLUMNS, "q": "sampled:logprob", **change}
    with pytest.raises((InputError, pandq.ViewTypeError), match=message):
        pandq.compare(rows(tokens(1, 3.0)), pandq.scan(pa.table(table), **given))


def test_no_document_in_common_is_an_error():
    one, other = tokens(0, 4.2, documents=range(5)), tokens(1, 3.0, documents=range(5, 9))
    with pytest.raises(InputError, match="no document is in the rows of every model"):
        pandq.compare(rows(one), rows(other))


# ------------------------------------------------------------------------------- the command line


def run(folder, *arguments):
    return commands.pandq("compare", *arguments, cwd=folder)


def test_files_of_models_are_paired_on_the_command_line_and_the_gate_holds_bits_per_byte(tmp_path):
    for folder, seed, width in (("old", 0, 4.2), ("new", 1, 3.0)):
        (tmp_path / folder).mkdir()
        pq.write_table(pa.table(tokens(seed, width)), tmp_path / folder / "text.parquet")
    files = ("old/text.parquet", "new/text.parquet")
    asked = (*files, "--q", "sampled:logprob", "--cluster", "document", "--per", "n_bytes")
    pages = ("--json", "found.json", "--html", "found.html", "--checkpoint", "kept")
    outcome = run(tmp_path, *asked, *pages, "--max-regression", "1")
    assert outcome.returncode == 0, outcome.stderr
    assert "new/text needs" in outcome.stdout
    assert "--max-regression 1 holds: new/text less old/text" in outcome.stdout
    document = json.loads((tmp_path / "found.json").read_text())
    assert pandq.Comparison.from_dict(document).to_dict() == document
    assert document["by_document"]["documents"] == D
    page = (tmp_path / "found.html").read_text()
    assert "documents that differ most" in page
    again = run(tmp_path, *asked, "--checkpoint", "kept")
    assert again.returncode == 0, again.stderr
    assert run(tmp_path, *asked, "--max-regression", "-1").returncode == 1
    refused = run(tmp_path, *asked, "--max-kl", "1")
    assert refused.returncode == 2
    assert "--max-regression, in bits per byte" in refused.stderr


def test_lengths_in_a_column_of_characters_are_called_so(tmp_path):
    for name, seed, width in (("a", 0, 4.2), ("b", 1, 3.0)):
        table = pa.table(tokens(seed, width)).rename_columns(
            {"n_bytes": "n_chars"} | {x: x for x in tokens(seed, width) if x != "n_bytes"}
        )
        pq.write_table(table, tmp_path / f"{name}.parquet")
    asked = ("--q", "sampled:logprob", "--cluster", "document", "--per", "n_chars", "--full")
    found = run(tmp_path, "a.parquet", "b.parquet", *asked, "--html", "found.html")
    assert found.returncode == 0, found.stderr
    page = (tmp_path / "found.html").read_text()
    for shown in (found.stdout, page):
        assert "bits per character" in shown
        assert "bits per byte" not in shown
    alone = pandq.perplexity(
        pandq.scan(tmp_path / "a.parquet", q="sampled:logprob", cluster="document", per="n_chars")
    )
    assert "bits per character" in alone.to_text()
    assert "byte" not in alone.to_text()
