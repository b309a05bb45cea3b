"""A small right table of labels and probabilities in every format, and a second way to read it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import struct
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.hostile import truth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

K = 3
ROWS = 40


def labels_and_probs(rng: np.random.Generator, n: int = ROWS, k: int = K) -> tuple[Any, Any]:
    """Labels drawn from the probabilities beside them."""
    q = rng.dirichlet(np.full(k, 2.0), n)
    return np.array([rng.choice(k, p=row) for row in q]), q


@dataclass(frozen=True)
class Format:
    """How a table is written, how pandq is asked about it, and how it is read without pandq."""

    name: str
    write: Callable[[Path, Any, Any], None]
    read: Callable[[Path], tuple[Any, Any]]
    files: tuple[str, ...]
    p: str = "labels:label"
    q: str = "probs:probs"
    q_kind: str = "probs"

    @property
    def spoilt(self) -> str:
        """The file that mutations are of: the one with Q."""
        return self.files[-1]

    def arguments(self) -> list[str]:
        """An audit without its second pass."""
        named = ["--p", self.p, "--q", self.q]
        return ["audit", *self.files, *named, "--no-decompose", "--json", "out.json"]

    def truth(self, here: Path) -> dict[str, float | None]:
        """The losses of what is in the files.

        Raises:
            Exception: they hold no such table.
        """
        y, x = self.read(here)
        log_q = truth.log_law(self.q_kind, x)
        return truth.losses(truth.one_hot(y, log_q.shape[1]), log_q)


def arrow_table(label: Any, q: Any) -> Any:
    """As pyarrow holds it."""
    import pyarrow as pa

    lists = pa.FixedSizeListArray.from_arrays(np.ascontiguousarray(q).ravel(), q.shape[1])
    return pa.table({"label": np.asarray(label), "probs": lists})


def _from_arrow(table: Any) -> tuple[Any, Any]:
    table.validate(full=True)
    return table["label"].to_numpy(), np.array(table["probs"].to_pylist(), float)


def _parquet(here: Path, label: Any, q: Any) -> None:
    import pyarrow.parquet as pq

    pq.write_table(arrow_table(label, q), here / "t.parquet")


def _read_parquet(here: Path) -> tuple[Any, Any]:
    import pyarrow.parquet as pq

    return _from_arrow(pq.read_table(io.BytesIO((here / "t.parquet").read_bytes())))


def _feather(compression: str | None) -> Callable[[Path, Any, Any], None]:
    def write(here: Path, label: Any, q: Any) -> None:
        from pyarrow import feather

        table = arrow_table(label, q)
        feather.write_feather(table, here / "t.feather", compression or "uncompressed")

    return write


def _stream(here: Path, label: Any, q: Any) -> None:
    import pyarrow as pa

    table = arrow_table(label, q)
    with pa.OSFile(str(here / "t.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as w:
        w.write_table(table)


def _read_arrow(name: str) -> Callable[[Path], tuple[Any, Any]]:
    def read(here: Path) -> tuple[Any, Any]:
        import pyarrow as pa

        stored = (here / name).read_bytes()
        opened = pa.ipc.open_file if stored.startswith(b"ARROW1") else pa.ipc.open_stream
        return _from_arrow(opened(io.BytesIO(stored)).read_all())

    return read


def text_of(label: Any, q: Any, separator: str = ",") -> bytes:
    """A table as lines of text with a header."""
    names = ["label", *(f"prob_{k}" for k in range(np.shape(q)[1]))]
    lines = [
        names,
        *([str(y), *map(repr, map(float, row))] for y, row in zip(label, q, strict=True)),
    ]
    return "".join(separator.join(line) + "\n" for line in lines).encode()


def _text(name: str, separator: str) -> Callable[[Path, Any, Any], None]:
    def write(here: Path, label: Any, q: Any) -> None:
        _put(here / name, text_of(label, q, separator))

    return write


def _put(path: Path, stored: bytes) -> None:
    path.write_bytes(gzip.compress(stored, mtime=0) if path.suffix == ".gz" else stored)


def _got(path: Path) -> str:
    stored = path.read_bytes()
    return (gzip.decompress(stored) if path.suffix == ".gz" else stored).decode("utf-8-sig")


def _read_text(name: str) -> Callable[[Path], tuple[Any, Any]]:
    def read(here: Path) -> tuple[Any, Any]:
        stored = _got(here / name)
        separator = max(",\t;|", key=stored.partition("\n")[0].count)
        stream = io.StringIO(stored, newline="")
        header, *lines = [
            row for row in csv.reader(stream, delimiter=separator, strict=True) if row
        ]
        if any(len(line) != len(header) for line in lines) or len(set(header)) < len(header):
            raise ValueError("ragged, or a name twice")
        x = np.array([[float(cell) for cell in line] for line in lines])
        wide = [i for i, column in enumerate(header) if column.startswith("prob_")]
        return x[:, header.index("label")], x[:, wide]

    return read


def _jsonl(name: str) -> Callable[[Path, Any, Any], None]:
    def write(here: Path, label: Any, q: Any) -> None:
        rows = [{"label": int(y), "probs": row.tolist()} for y, row in zip(label, q, strict=True)]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        _put(here / name, (json.dumps(rows) if name.endswith(".json") else lines).encode())

    return write


def _read_jsonl(name: str) -> Callable[[Path], tuple[Any, Any]]:
    def read(here: Path) -> tuple[Any, Any]:
        stored = _got(here / name)
        lines = [line for line in stored.splitlines() if line.strip()]
        listed = stored.lstrip().startswith("[")
        rows = json.loads(stored) if listed else [json.loads(line) for line in lines]
        return [row["label"] for row in rows], [row["probs"] for row in rows]

    return read


def _npy(here: Path, label: Any, q: Any) -> None:
    np.save(here / "label.npy", label)
    np.save(here / "probs.npy", q)


def _read_npy(here: Path) -> tuple[Any, Any]:
    return tuple(np.load(here / f"{name}.npy", allow_pickle=False) for name in ("label", "probs"))


def _npz(save: Callable[..., None]) -> Callable[[Path, Any, Any], None]:
    return lambda here, label, q: save(here / "t.npz", label=label, probs=q)


def _read_npz(here: Path) -> tuple[Any, Any]:
    with zipfile.ZipFile(here / "t.npz") as archive:
        if archive.testzip() or len(set(archive.namelist())) < len(archive.namelist()):
            raise ValueError("a wrong checksum, or a member twice")
        label, probs = (io.BytesIO(archive.read(f"{name}.npy")) for name in ("label", "probs"))
    return tuple(np.lib.format.read_array(x, allow_pickle=False) for x in (label, probs))


def _safetensors(here: Path, label: Any, q: Any) -> None:
    from safetensors.numpy import save_file

    save_file(
        {"label": np.asarray(label), "probs": np.ascontiguousarray(q)}, here / "t.safetensors"
    )


def _read_safetensors(here: Path) -> tuple[Any, Any]:
    from safetensors.numpy import load

    stored = load((here / "t.safetensors").read_bytes())
    return stored["label"], stored["probs"]


CONTEXT = 12
SCORED = CONTEXT - 1 - CONTEXT // 2


def _kld(here: Path, label: Any, q: Any) -> None:
    """Windows of llama.cpp's logits file; as many rows as whole windows take."""
    chunks, k = len(label) // SCORED, q.shape[1]
    tokens = np.zeros((chunks, CONTEXT), "<i4")
    tokens[:, -SCORED:] = np.reshape(label[: chunks * SCORED], (chunks, SCORED))
    rows = np.log(q[: chunks * SCORED]).astype("<f4")
    least = rows.min(axis=1, keepdims=True)
    scale = (rows.max(axis=1, keepdims=True) - least) / np.float32(65535)
    codes = np.zeros((len(rows), 2 * ((k + 1) // 2)), "<u2")
    codes[:, :k] = np.round((rows - least) / scale)
    stored = np.hstack([scale.view("<u2"), least.view("<u2"), codes])
    header = struct.pack("<8sIii", b"_logits_", CONTEXT, k, chunks)
    (here / "t.kld").write_bytes(header + tokens.tobytes() + stored.tobytes())


def _read_kld(here: Path) -> tuple[Any, Any]:
    stored = (here / "t.kld").read_bytes()
    magic, context, k, chunks = struct.unpack_from("<8sIii", stored)
    scored, width = context - 1 - context // 2, 2 * ((k + 1) // 2) + 4
    start = 20 + 4 * context * chunks
    if (
        magic != b"_logits_"
        or len(stored) != start + 2 * width * scored * chunks
        or min(k, chunks) < 1
    ):
        raise ValueError("not a logits file")
    tokens = np.frombuffer(stored, "<i4", context * chunks, 20).reshape(chunks, context)
    codes = np.frombuffer(stored, "<u2", offset=start).reshape(-1, width)
    scale, least = np.ascontiguousarray(codes[:, :4]).view("<f4").T.astype(float)
    return tokens[:, -scored:].ravel(), codes[:, 4 : 4 + k] * scale[:, None] + least[:, None]


def _single(
    name: str, write: Callable[..., None], read: Callable[..., Any], file: str, **more: Any
) -> Format:
    return Format(name, write, read, (file,), **more)


WIDE = {"q": "probs:prob_*"}
FORMATS: Mapping[str, Format] = {
    found.name: found
    for found in (
        _single("parquet", _parquet, _read_parquet, "t.parquet"),
        _single("feather", _feather(None), _read_arrow("t.feather"), "t.feather"),
        _single("feather-zstd", _feather("zstd"), _read_arrow("t.feather"), "t.feather"),
        _single("arrow-stream", _stream, _read_arrow("t.arrow"), "t.arrow"),
        _single("csv", _text("t.csv", ","), _read_text("t.csv"), "t.csv", **WIDE),
        _single("csv-gz", _text("t.csv.gz", ","), _read_text("t.csv.gz"), "t.csv.gz", **WIDE),
        _single("tsv", _text("t.tsv", "\t"), _read_text("t.tsv"), "t.tsv", **WIDE),
        _single("jsonl", _jsonl("t.jsonl"), _read_jsonl("t.jsonl"), "t.jsonl"),
        _single("jsonl-gz", _jsonl("t.jsonl.gz"), _read_jsonl("t.jsonl.gz"), "t.jsonl.gz"),
        _single("json", _jsonl("t.json"), _read_jsonl("t.json"), "t.json"),
        Format("npy", _npy, _read_npy, ("label.npy", "probs.npy")),
        _single("npz", _npz(np.savez), _read_npz, "t.npz"),
        _single("npz-packed", _npz(np.savez_compressed), _read_npz, "t.npz"),
        _single("safetensors", _safetensors, _read_safetensors, "t.safetensors"),
        _single(
            "kld", _kld, _read_kld, "t.kld", p="labels:token", q="logits:logits", q_kind="logits"
        ),
    )
}
