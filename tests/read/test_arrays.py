"""safetensors and llama.cpp's logits files: what was written is read, and nothing else is."""

import io
import json
import struct
import warnings
import zipfile

import numpy as np
import pytest
from scipy import special

import pandq
from pandq import BFLOAT16, InputError
from pandq.read.arrays import ArrayColumns
from pandq.read.kld import kld
from pandq.read.tensors import safetensors


def write_safetensors(path, tensors, **changes):
    """As the format's description says: length, JSON header, numbers."""
    names = {"float64": "F64", "float32": "F32", "float16": "F16", "void16": "BF16", "int64": "I64"}
    header, offset = {"__metadata__": {"made": "here"}}, 0
    for name, x in tensors.items():
        end = offset + x.nbytes
        about = {"dtype": names[x.dtype.name], "shape": x.shape, "data_offsets": [offset, end]}
        header[name] = about | changes
        offset = end
    text = json.dumps(header).encode()
    numbers = b"".join(x.tobytes() for x in tensors.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + numbers)
    return path


@pytest.fixture
def tensors():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 7))
    bits = (x.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).view(BFLOAT16)
    return {
        "wide": x,
        "single": x.astype(np.float32),
        "half": x.astype(np.float16),
        "brain": bits,
        "token": rng.integers(0, 7, 30),
    }


def test_safetensors_are_read_as_they_were_written(tmp_path, tensors):
    found = safetensors(write_safetensors(tmp_path / "x.safetensors", tensors))
    assert set(found) == set(tensors)
    for name, x in tensors.items():
        assert found[name].dtype == x.dtype
        assert np.array_equal(found[name][:], x)
        assert np.array_equal(found[name][3:7], x[3:7])


def test_safetensors_of_another_library_are_read(tmp_path, tensors):
    library = pytest.importorskip("safetensors.numpy")
    library.save_file({"x": tensors["single"]}, tmp_path / "x.safetensors")
    found = safetensors(tmp_path / "x.safetensors")
    assert np.array_equal(found["x"][:], tensors["single"])


def test_bfloat16_logits_of_a_safetensors_file_are_compared(tmp_path, tensors):
    a = write_safetensors(tmp_path / "a.safetensors", {"logits": tensors["single"]})
    b = write_safetensors(tmp_path / "b.safetensors", {"logits": tensors["brain"]})
    rows = pandq.scan([a, b], p="logits:a.logits", q="logits:b.logits")
    found = pandq.compare(rows).from_reference[0].kl.value
    rounded = (tensors["brain"].astype(np.uint32) << 16).view(np.float32)
    p, q = (special.softmax(x.astype(float), axis=1) for x in (tensors["single"], rounded))
    assert found == pytest.approx(special.rel_entr(p, q).sum(axis=1).mean(), rel=1e-9)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda raw: raw[:5], "no safetensors file"),
        (lambda raw: raw[:-8], "does not lie where the header says"),
        (lambda raw: struct.pack("<Q", 10**15) + raw[8:], "no safetensors file"),
        (lambda raw: raw[:8] + b"!" + raw[9:], "no safetensors header"),
        (lambda raw: raw + bytes(8), "longer than its header says"),
        (lambda raw: struct.pack("<Q", 2) + b"[]" + raw[10:], "no safetensors header"),
    ],
)
def test_a_broken_safetensors_file_is_refused_in_words(tmp_path, tensors, spoil, text):
    path = write_safetensors(tmp_path / "x.safetensors", tensors)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InputError, match=text):
        ArrayColumns([path])


@pytest.mark.parametrize("change", [{"shape": [31, 7]}, {"data_offsets": [-8, 0]}])
def test_a_safetensors_header_that_lies_is_refused(tmp_path, tensors, change):
    path = write_safetensors(tmp_path / "x.safetensors", {"x": tensors["wide"]}, **change)
    with pytest.raises(InputError, match="does not lie where the header says"):
        ArrayColumns([path])


# ------------------------------------------------------------------------------ llama.cpp's logits


def write_kld(path, logits, tokens, n_ctx):
    """As llama.cpp's perplexity tool writes it: codes of log p, the second half of each window."""
    n_vocab, n_chunk = logits.shape[1], len(tokens) // n_ctx
    width = 2 * ((n_vocab + 1) // 2) + 4
    with path.open("wb") as out:
        out.write(b"_logits_" + struct.pack("<Iii", n_ctx, n_vocab, n_chunk))
        out.write(tokens.astype("<i4").tobytes())
        for chunk in range(n_chunk):
            for i in range(n_ctx // 2, n_ctx - 1):
                x = logits[chunk * n_ctx + i]
                least = max(x.min(), x.max() - 16)
                scale = np.float32((x.max() - least) / 65535)
                record = np.zeros(width, "<u2")
                head = np.array([scale, least - special.logsumexp(x)], np.float32)
                record[:4] = head.view(np.uint16)
                record[4 : 4 + n_vocab] = np.where(x > least, np.rint((x - least) / scale), 0)
                out.write(record.tobytes())
    return path


@pytest.fixture
def run():
    rng = np.random.default_rng(1)
    n_ctx, n_chunk, n_vocab = 16, 6, 33
    logits = rng.normal(size=(n_ctx * n_chunk, n_vocab)) * 3
    return logits, rng.integers(0, n_vocab, n_ctx * n_chunk), n_ctx


def scored(n_ctx, n_chunk):
    return [c * n_ctx + i for c in range(n_chunk) for i in range(n_ctx // 2, n_ctx - 1)]


def test_logits_tokens_and_chunks_are_those_of_the_scored_half(tmp_path, run):
    logits, tokens, n_ctx = run
    found = kld(write_kld(tmp_path / "base.kld", *run))
    rows = scored(n_ctx, 6)
    decoded = np.asarray(found["logits"][0 : len(rows)])
    step = found["logits"].steps()
    assert decoded.shape == (42, 33)
    exact = logits[rows] - special.logsumexp(logits[rows], axis=1, keepdims=True)
    floor = exact.max(axis=1, keepdims=True) - 16
    above = exact > floor + step[:, None]
    error = np.abs(np.where(above, decoded - exact, 0.0)).max(axis=1)
    assert (error <= step / 2 + 2e-6).all()
    assert not above.all()
    assert (decoded[~above] <= (floor + step[:, None] + 2e-6)[np.nonzero(~above)[0], 0]).all()
    assert found["token"].tolist() == tokens[np.array(rows) + 1].tolist()
    assert found["chunk"].tolist() == [c for c in range(6) for _ in range(7)]


@pytest.mark.parametrize("n_vocab", [32, 33])
def test_an_odd_vocabulary_is_padded(tmp_path, run, n_vocab):
    logits, tokens, n_ctx = run
    path = write_kld(tmp_path / "x.kld", logits[:, :n_vocab], tokens % n_vocab, n_ctx)
    assert kld(path)["logits"].shape == (42, n_vocab)


def test_the_stated_rounding_bounds_what_the_codes_put_on_a_kl(tmp_path, run):
    logits, tokens, n_ctx = run
    other = logits + 0.3 * np.random.default_rng(2).normal(size=logits.shape)
    files = [
        write_kld(tmp_path / f"{name}.kld", x, tokens, n_ctx)
        for name, x in (("base", logits), ("small", other))
    ]
    rows = scored(n_ctx, 6)
    p, q = (special.softmax(x[rows], axis=1) for x in (logits, other))
    truth = special.rel_entr(p, q).sum(axis=1)
    a, b = (kld(file)["logits"] for file in files)
    found = pandq.kl_divergence(pandq.Logits(a[0:42]), pandq.Logits(b[0:42]))
    half = max(a.steps().max(), b.steps().max()) / 2
    spread = (p * np.abs(np.log(p / q))).sum(axis=1)
    assert (np.abs(found - truth) <= 2 * 2 * half * (1 + spread) + 1e-6).all()
    assert f"at most {float(a.steps().max()) / 2:.2g} nat" in a.rounding()


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda raw: raw[:10], "does not start with _logits_"),
        (lambda raw: b"x" + raw[1:], "does not start with _logits_"),
        (lambda raw: raw[:-2], "is not as long as its header says"),
        (lambda raw: raw + b"xx", "is not as long as its header says"),
        (lambda raw: raw[:16] + struct.pack("<i", 99) + raw[20:], "is not as long as"),
        (lambda raw: raw[:12] + struct.pack("<i", -1) + raw[16:], "makes no sense"),
        (lambda raw: raw[:8] + struct.pack("<I", 0) + raw[12:], "makes no sense"),
        (
            lambda raw: raw[:20] + struct.pack("<i", 77) * 96 + raw[20 + 4 * 96 :],
            "a token outside its vocabulary",
        ),
    ],
)
def test_a_logits_file_that_lies_is_refused_in_words(tmp_path, run, spoil, text):
    path = write_kld(tmp_path / "x.kld", *run)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(InputError, match=text):
        ArrayColumns([path])


@pytest.mark.parametrize(
    ("scale", "least"), [(-1e-3, -1.0), (1.0, -16.0), (0.0, 3e38), (np.nan, 0)]
)
def test_codes_that_are_no_log_probabilities_are_refused_by_their_row(tmp_path, run, scale, least):
    path = write_kld(tmp_path / "x.kld", *run)
    raw = path.read_bytes()
    first = 20 + 4 * 96 + 2 * 38  # of the second row
    path.write_bytes(raw[:first] + struct.pack("<ff", scale, least) + raw[first + 8 :])
    with pytest.raises(InputError, match="row 1 holds no codes, got scale"):
        kld(path)["logits"][:]


def test_columns_of_several_files_are_told_apart_by_the_files_names(tmp_path, run):
    one = write_kld(tmp_path / "one.kld", *run)
    two = write_kld(tmp_path / "two.kld", *run)
    np.save(tmp_path / "weight.npy", np.ones(42))
    found = ArrayColumns([one, two, tmp_path / "weight.npy"])
    assert {"one.logits", "two.logits", "one.token", "weight"} <= set(found.schema)
    assert len(found.notes) == 1
    assert found.notes[0].startswith("one.logits, two.logits: 16-bit codes")


def test_two_files_of_one_name_are_told_apart_by_their_folders(tmp_path, run):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "q.npy", np.ones(42))
        write_kld(tmp_path / folder / "model.kld", *run)
    files = [tmp_path / folder / name for folder in "ab" for name in ("q.npy", "model.kld")]
    found = ArrayColumns(files)
    assert {"a/q", "b/q", "a/model.logits", "b/model.token"} <= set(found.schema)
    assert found.windows == "a/model.chunk"
    with pytest.raises(InputError, match=r"two arrays are called 'q\.q'"):
        ArrayColumns([files[0], files[0]])


def npy(array):
    kept = io.BytesIO()
    np.save(kept, array)
    return kept.getvalue()


def npz(spoil=lambda raw: raw, **options):
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", **options) as archive:
        archive.writestr("q.npy", npy(np.full((400, 2), 0.5)))
    return spoil(bytearray(kept.getvalue()))


def changed(place, value):
    def change(raw):
        raw[place] = value
        return raw

    return change


def header_of(text):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"\x00" * 64


def tensor_header(text):
    return struct.pack("<Q", len(text)) + text + b"\x00" * 16


SPOILED = {
    "structured.npy": npy(np.zeros(2, dtype=[("a", "f8"), ("b", "f8")])),
    "complex.npy": npy(np.full((2, 2), 0.5 + 0j)),
    "zip.npy": npz(),
    "text.npy": b"hello",
    "unclosed.npy": header_of(b"{'descr': '<f8', 'fortran_order': False, 'shape': (2,"),
    "no_python.npy": header_of(b"{'descr': '<f8', 'fortran_order': False, 'shape': (0777,)}"),
    "huge.npy": header_of(b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d,)}" % 2**200),
    "float.npy": header_of(b"{'descr': '<f8', 'fortran_order': False, 'shape': (2.5,)}"),
    "deep.npy": header_of(b"(" * 5000),
    "pickled.npy": npy(np.array([{}], dtype=object)),
    "encrypted.npz": npz(changed(6, 1)),
    "unknown.npz": npz(changed(8, 77), compression=zipfile.ZIP_DEFLATED),
    "damaged.npz": npz(changed(60, 255), compression=zipfile.ZIP_DEFLATED),
    "lzma.npz": npz(changed(60, 255), compression=zipfile.ZIP_LZMA),
    "cut.npz": npz(lambda raw: raw[:100]),
    "nested.safetensors": tensor_header(b'{"a":' * 9000 + b"1" + b"}" * 9000),
    "float.safetensors": tensor_header(
        b'{"q":{"dtype":"F64","shape":[1.0,2.0],"data_offsets":[0,16]}}'
    ),
    "huge.safetensors": tensor_header(
        b'{"q":{"dtype":"F64","shape":[%d,2],"data_offsets":[0,16]}}' % 2**200
    ),
    "twice.safetensors": tensor_header(
        b'{"q":{"dtype":"F64","shape":[2],"data_offsets":[0,16]},"q":{"dtype":"F64","shape":[2],'
        b'"data_offsets":[0,16]}}'
    ),
    "text.safetensors": tensor_header(b'{"q":{"dtype":"F64","shape":"12","data_offsets":[0,16]}}'),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_spoiled_file_of_arrays_is_one_line_that_names_it(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(SPOILED[name])
    np.save(tmp_path / "label.npy", np.zeros(2, dtype=int))
    column = "q" if path.suffix != ".npy" else path.stem
    with pytest.raises(InputError) as caught:
        list(pandq.scan([tmp_path / "label.npy", path], q=f"probs:{column}").chunks())
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_members_of_one_name_in_an_npz_are_refused(tmp_path):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("q.npy", npy(np.full(2, 0.5)))
        archive.writestr("q.npy", npy(np.full(2, 0.1)))
    with pytest.raises(InputError, match=r"x\.npz: two arrays are called 'q'"):
        ArrayColumns([path])


def test_numbers_of_extended_precision_are_numbers(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, label=[0, 1], probs=np.array([[0.25, 0.75]] * 2, dtype=np.longdouble))
    (chunk,) = pandq.scan(path).chunks()
    assert pandq.cross_entropy(chunk.p, chunk.q) == pytest.approx(-np.log([0.25, 0.75]))


@pytest.mark.parametrize(
    ("version", "header", "text"),
    [
        (4, "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2)}", "header of version 4.0"),
        (1, "{'descr': '<f8', 'fortran_order': False, 'shape': (10**9, 2)}", "malformed node"),
    ],
)
def test_header_that_numpy_would_not_write_is_refused_in_words(tmp_path, version, header, text):
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    start = b"\x93NUMPY" + bytes([version, 0]) + length
    (tmp_path / "q.npy").write_bytes(start + header.encode() + bytes(16))
    with pytest.raises(InputError, match=text) as caught:
        ArrayColumns([tmp_path / "q.npy"])
    assert "0x" not in str(caught.value)


def test_a_condition_on_logits_files_keeps_what_codes_leave_open_and_the_windows(tmp_path, run):
    paths = [write_kld(tmp_path / f"{name}.kld", *run) for name in ("a", "b")]
    named = {"p": "logits:a.logits", "q": "logits:b.logits"}
    (whole,) = pandq.scan(paths, **named).chunks()
    rows = pandq.scan(paths, where='"a.chunk" IN (1, 3)', **named)
    (some,) = rows.chunks()
    kept = np.arange(7, 14).tolist() + np.arange(21, 28).tolist()
    assert rows.cluster == "a.chunk"
    assert np.array_equal(some.p.array, whole.p.array[kept])
    assert np.array_equal(some.p.codes.least, whole.p.codes.least[kept])
    assert rows.notes == pandq.scan(paths, **named).notes
