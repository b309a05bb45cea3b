"""The texts of tokens in reports: from the files that people have, whatever is wrong with them."""

import json

import numpy as np
import pytest
from scipy import special

import pandq
from pandq import InputError
from pandq.read.tokens import token_texts
from tests import commands
from tests.read.test_arrays import scored, write_kld

N_CTX, N_CHUNK, K = 16, 3, 12


def written(folder, told):
    file = folder / "tokens.json"
    file.write_text(told if isinstance(told, str) else json.dumps(told), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "told",
    [
        ["a", "é", "c"],
        {"a": 0, "é": 1, "c": 2},
        {"0": "a", "2": "c", "1": "é"},
        {"model": {"type": "BPE", "vocab": {"é": 1, "a": 0, "c": 2}}},
        {"model": {"vocab": [["a", -1.0], ["é", -2.0], ["c", -3.5]]}},
        {"model": {"vocab": {"a": 0, "é": 1}}, "added_tokens": [{"id": 2, "content": "c"}]},
    ],
)
def test_each_form_of_file_gives_the_texts_in_the_order_of_their_ids(tmp_path, told):
    assert token_texts(written(tmp_path, told)) == ("a", "é", "c")


def test_a_vocabulary_of_digits_by_text_is_not_taken_for_ids(tmp_path):
    assert token_texts(written(tmp_path, {"1": 0, "0": 1})) == ("1", "0")


def test_texts_that_repeat_or_lack_are_told_apart_by_their_numbers(tmp_path):
    found = token_texts(written(tmp_path, {"0": "a", "2": "a", "4": "a #2"}))
    assert len(set(found)) == 5
    assert found[0] == "a"
    assert found[1] == "#1"


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ("not json", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ([], "holds no texts"),
        (7, "holds no texts"),
        ({"model": {"vocab": None}}, "holds no texts"),
        ([1, 2], "a token that is no text"),
        ({"a": "b"}, "without a number"),
        ({"a": -1}, "ids of tokens are from 0"),
        ({"a": 10**12}, "ids of tokens are from 0"),
        ({"a": True}, "without a number"),
    ],
)
def test_what_is_no_such_file_is_refused_in_words(tmp_path, told, text):
    with pytest.raises(InputError, match=text):
        token_texts(written(tmp_path, told))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place, rng = tmp_path_factory.mktemp("tokens"), np.random.default_rng(2)
    logits = 3 * rng.normal(size=(N_CTX * N_CHUNK, K))
    tokens = rng.integers(0, K, N_CTX * N_CHUNK)
    copy = logits + 0.4 * rng.normal(size=logits.shape)
    write_kld(place / "base.kld", logits, tokens, N_CTX)
    write_kld(place / "copy.kld", copy, tokens, N_CTX)
    return place, logits, copy, tokens


def compared(place, *more):
    return commands.pandq("compare", "base.kld", "copy.kld", *more, cwd=place)


def test_the_rows_furthest_from_the_reference_have_text_window_and_position(folder):
    place, logits, copy, tokens = folder
    (place / "t.json").write_text(json.dumps([f"tok{i}" for i in range(10)]))
    done = compared(place, "--tokens", "t.json", "--worst", "5", "--json", "found.json", "--full")
    assert done.returncode == 0, done.stderr
    worst = json.loads((place / "found.json").read_text())["from_reference"][0]["worst"]
    p, q = (special.softmax(x, axis=1) for x in (logits, copy))
    there = np.array(scored(N_CTX, N_CHUNK))
    kl = special.rel_entr(p, q).sum(axis=1)[there]
    order = np.argsort(-kl)[:5]
    named = [*(f"tok{i}" for i in range(10)), "#10", "#11"]
    assert [line["row"] for line in worst] == order.tolist()
    for line, row in zip(worst, order, strict=True):
        at = there[row]
        assert line["kl"] == pytest.approx(kl[row], abs=1e-3)
        assert (line["chunk"], line["position"]) == ((at + 1) // N_CTX, (at + 1) % N_CTX)
        assert line["p_class"] == named[logits[at].argmax()]
        assert line["q_class"] == named[copy[at].argmax()]
        assert line["label"] == named[tokens[at + 1]]
        assert line["label"] in done.stdout
    assert "window" in done.stdout


def test_an_audit_names_its_classes_by_the_texts_too(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "t.npz", label=rng.integers(0, 3, 60), logits=rng.normal(size=(60, 3)))
    written(tmp_path, ["one", "two", "three"])
    rows = pandq.scan(
        str(tmp_path / "t.npz"),
        p="labels:label",
        q="logits:logits",
        tokens=str(tmp_path / "tokens.json"),
    )
    found = pandq.audit(rows)
    assert {line["name"] for line in found.classes} == {"one", "two", "three"}


def test_texts_of_other_classes_and_a_missing_file_are_one_line(folder):
    place = folder[0]
    (place / "many.json").write_text(json.dumps([str(i) for i in range(99)]))
    (place / "few.json").write_text(json.dumps(["a", "b"]))
    words = {"many.json": "99 names, 12 classes", "few.json": "2 texts, 12 classes"}
    for name, told in (*words.items(), ("none.json", "none.json")):
        done = compared(place, "--tokens", name)
        assert done.returncode == 2
        assert told in done.stderr
        assert done.stderr.count("\n") == 1
