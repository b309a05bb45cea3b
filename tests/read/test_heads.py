"""Hidden states in files and the heads of models: linear:HIDDEN,WEIGHT."""

import json
import pickle
import re
import sys

import numpy as np
import pytest

import pandq
from pandq import InputError, Labels, Linear, Logits
from pandq.cli import main
from pandq.read.heads import head_file
from pandq.views import linear

save_file = pytest.importorskip("safetensors.numpy").save_file

N, D, K = 120, 8, 20
SHARDS = tuple(f"model-0000{i}-of-00002.safetensors" for i in (1, 2))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """States with labels, and a model in two shards with an index, whose head has a bias."""
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((N, D), dtype=np.float32)
    weight, bias = (rng.standard_normal(s, dtype=np.float32) for s in ((K, D), K))
    columns = {"hidden": hidden, "label": rng.integers(0, K, N)}
    save_file(columns, tmp_path / "states.safetensors")
    np.save(tmp_path / "head.npy", weight)
    np.save(tmp_path / "narrow.npy", weight[:, 1:])
    embedding = {"model.embed_tokens.weight": 2 * weight}
    save_file(embedding, tmp_path / SHARDS[0])
    save_file({"lm_head.weight": weight.astype("f2"), "lm_head.bias": bias}, tmp_path / SHARDS[1])
    places = dict.fromkeys(embedding, SHARDS[0]) | {"lm_head.weight": SHARDS[1]}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(linear, "AT_ONCE_NUMBERS", 50 * K)
    return {"path": tmp_path, "hidden": hidden, "weight": weight, "bias": bias, **columns}


@pytest.mark.parametrize("place", ["model.safetensors.index.json", ".", "model-*.safetensors"])
def test_a_sharded_head_is_found_with_its_bias(folder, place):
    head = head_file(place)
    assert head.n_classes == K
    assert (head.head.weight == folder["weight"].astype("f2")).all()
    assert (head.head.bias == folder["bias"]).all()


def test_a_tensor_may_be_named_and_options_given(folder):
    head = head_file("model-*.safetensors:model.embed_tokens.weight,scale=0.5,softcap=30").head
    assert (head.weight == 2 * folder["weight"]).all()
    assert (head.scale, head.softcap, head.bias) == (0.5, 30.0, None)


def test_an_audit_of_files_is_that_of_views(folder):
    rows = pandq.scan("states.safetensors", p="labels:label", q="linear:hidden,head.npy")
    assert [len(chunk) for chunk in rows.chunks()] == [50, 50, 20]
    found = pandq.audit(pickle.loads(pickle.dumps(rows)))  # noqa: S301 - its own
    view = Linear(folder["hidden"], folder["weight"])
    direct = pandq.audit(Labels(folder["label"]), view)
    assert found.values() == pytest.approx(direct.values(), nan_ok=True)


def ran(monkeypatch, *arguments):
    """The exit code of a command."""
    monkeypatch.setattr(sys, "argv", ["pandq", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_a_comparison_on_the_command_line_is_that_of_logits(folder, monkeypatch, capsys):
    command = ["compare", "states.safetensors", "--p", "linear:hidden,head.npy", "--q"]
    command += ["linear:hidden,.", "--json", "-"]
    assert not ran(monkeypatch, *command)
    told = json.loads(capsys.readouterr().out)
    p = folder["hidden"].astype(float) @ folder["weight"].astype(float).T
    q = folder["hidden"].astype(float) @ folder["weight"].astype("f2").astype(float).T
    expected = pandq.kl_divergence(Logits(p), Logits(q + folder["bias"])).mean()
    assert told["models"][0]["kl"]["value"] == pytest.approx(expected, rel=1e-5)


REFUSED = {
    "linear:hidden": "a column and a file",
    "linear:hiden,head.npy": "no column 'hiden'. Did you mean 'hidden'",
    "linear:hidden,none.npy": "none.npy: no such file of a head",
    f"linear:hidden,{SHARDS[0]}": f"in none of these shards, got 1 missing: {SHARDS[1]}",
    "linear:hidden,states.safetensors:head": "has no matrix 'head'",
    "linear:hidden,head.npy,cap=3": "a head has no such option, got 'cap=3'",
    "linear:label,head.npy": "do not fit|float type|hidden states",
    "linear:hidden,narrow.npy": r"hidden states and head do not fit.*8.*7",
}


@pytest.mark.parametrize("q", REFUSED)
def test_what_is_no_head_is_one_line(folder, monkeypatch, capsys, q):
    command = ["audit", folder["path"] / "states.safetensors", "--p", "labels:label", "--q", q]
    assert ran(monkeypatch, *command) == 2
    told = capsys.readouterr().err
    assert re.search(REFUSED[q], told)
    assert told.count("\n") == 1


def test_a_missing_shard_is_named(folder):
    (folder["path"] / SHARDS[1]).unlink()
    with pytest.raises(InputError, match=rf"'lm_head.weight' is missing, got {SHARDS[1]}"):
        head_file(".")


def test_a_head_that_changes_is_refused(folder):
    head = head_file("head.npy")
    np.save(folder["path"] / "head.npy", np.zeros((K + 1, D)))
    with pytest.raises(InputError, match="changed while it was read"):
        _ = head.head


def test_a_state_that_is_not_finite_is_named_by_its_row(folder):
    hidden = folder["hidden"].copy()
    hidden[77, 0] = np.inf
    np.save(folder["path"] / "h.npy", hidden)
    rows = pandq.scan("h.npy", p="linear:h,head.npy", q="linear:h,head.npy")
    with pytest.raises(InputError, match=r"hidden row 77 holds a number that is not finite"):
        pandq.compare(rows)
