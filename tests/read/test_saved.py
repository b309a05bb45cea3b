"""What torch saved is read as what it holds, and nothing in it is run."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

import pandq
from pandq import BFLOAT16, InputError, scan
from pandq.read.saved import saved

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(2)
LOGITS = torch.tensor(RNG.normal(size=(9, 4)), dtype=torch.float32)
LABELS = torch.arange(9) % 4


def test_a_dict_of_tensors_is_columns_by_its_keys(tmp_path):
    torch.save({"logits": LOGITS, "labels": LABELS, "epoch": 3}, tmp_path / "x.pt")
    found = pandq.audit(scan(tmp_path / "x.pt"), decompose=False)
    exact = torch.nn.functional.cross_entropy(LOGITS.double(), LABELS)
    assert found.cross_entropy.value == pytest.approx(float(exact), rel=1e-6)


def test_parts_of_a_tuple_are_named_by_their_places(tmp_path):
    torch.save((LOGITS, LABELS), tmp_path / "x.pt")
    (chunk,) = scan(tmp_path / "x.pt", p="labels:1", q="logits:0").chunks()
    assert np.array_equal(chunk.q.array, LOGITS.numpy())


def test_a_tensor_is_called_as_its_file(tmp_path):
    torch.save(LOGITS, tmp_path / "logits.pt")
    np.save(tmp_path / "label.npy", LABELS.numpy())
    (chunk,) = scan([tmp_path / "logits.pt", tmp_path / "label.npy"]).chunks()
    assert np.array_equal(chunk.q.array, LOGITS.numpy())


def test_what_is_in_what_has_both_names(tmp_path):
    torch.save({"val": [LOGITS, {"y": LABELS}]}, tmp_path / "x.pt")
    assert list(saved(tmp_path / "x.pt", "x")) == ["val.0", "val.1.y"]


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_numbers_are_as_they_were_saved(kind, tmp_path):
    x = LOGITS.to(kind)
    torch.save(x, tmp_path / "x.pt")
    found = saved(tmp_path / "x.pt", "x")["x"]
    assert (found.dtype == BFLOAT16) == (kind == torch.bfloat16)
    assert np.array_equal(pandq.core.numerics.widen(found), x.float().numpy())


def test_tensors_that_have_a_gradient_or_are_views_are_numbers_too(tmp_path):
    x = LOGITS.clone().requires_grad_()
    torch.save({"a": x * 2, "b": LOGITS.T}, tmp_path / "x.pt")
    found = saved(tmp_path / "x.pt", "x")
    assert np.array_equal(found["a"], 2 * LOGITS.numpy())
    assert np.array_equal(found["b"], LOGITS.numpy().T)


def test_sequences_in_a_file_of_torchs_are_tokens(tmp_path):
    logits, labels = LOGITS.reshape(3, 3, 4), LABELS.reshape(3, 3)
    lengths = torch.tensor([3, 1, 2])
    torch.save({"logits": logits, "labels": labels, "lengths": lengths}, tmp_path / "x.pt")
    (chunk,) = scan(tmp_path / "x.pt").chunks()
    assert chunk.p.array.tolist() == [0, 1, 2, 3, 2, 3]


class Runs:
    """What a pickle could do."""

    def __reduce__(self):
        return print, ("it was run",)


@pytest.mark.parametrize("name", ["x.pt", "x.pkl", "x.pickle", "x.npy", "x.npz"])
def test_code_in_a_file_is_refused_with_the_way_out_and_never_run(name, tmp_path, capsys):
    path, runs = tmp_path / name, Runs()
    if name == "x.pt":
        torch.save({"logits": LOGITS, "more": runs}, path)
    elif name == "x.npy":
        np.save(path, np.array([runs, None]), allow_pickle=True)
    elif name == "x.npz":
        np.savez(path, x=np.array([runs, None]))
    else:
        path.write_bytes(pickle.dumps(runs))
    with pytest.raises(InputError, match=rf"{name}.*code.*(torch\.save|np\.save|to_parquet)"):
        scan(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("spoil", [lambda raw: raw[:-100], lambda raw: b"\0" * 40, lambda _: b"PK"])
def test_a_spoiled_file_is_one_line_that_names_it(spoil, tmp_path):
    torch.save({"logits": LOGITS}, tmp_path / "x.pt")
    (tmp_path / "x.pt").write_bytes(spoil((tmp_path / "x.pt").read_bytes()))
    with pytest.raises(InputError, match=r"x\.pt") as caught:
        scan(tmp_path / "x.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("whole", [{"epoch": 3}, [], 7, {"a": {"b": "text"}}])
def test_a_file_without_a_tensor_is_refused(whole, tmp_path):
    torch.save(whole, tmp_path / "x.pt")
    with pytest.raises(InputError, match=r"x\.pt: holds no tensor.*torch\.save"):
        scan(tmp_path / "x.pt")


def test_without_torch_a_line_says_how_to_get_it(tmp_path):
    torch.save(LOGITS, tmp_path / "logits.pt")
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import pandq\n"
        "try:\n    pandq.scan('logits.pt')\n"
        "except pandq.PandqError as error:\n    print(error)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert (
        "needs torch, which is not installed. Install it: pip install 'pandq[torch]'" in told.stdout
    )
    assert "logits.pt" in told.stdout
