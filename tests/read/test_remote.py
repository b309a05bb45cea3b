"""Remote files give what local ones give, and no more of them is fetched than is asked for."""

import contextlib
import gzip
import json
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from pyarrow import feather
from safetensors.numpy import save_file

import pandq
from pandq import InputError
from pandq.cli import cli
from pandq.errors import MissingLibraryError
from pandq.read import remote
from pandq.read.fetched import Copy
from pandq.read.opened import open_source
from pandq.read.paths import expanded
from pandq.read.remote import Remote
from pandq.read.stores import shown
from tests import commands
from tests.servers import serving

pytest.importorskip("fsspec")
pytest.importorskip("aiohttp")

N = 3000
RNG = np.random.default_rng(0)
PROBS = RNG.dirichlet(np.ones(3), N)
LABELS = np.array([RNG.choice(3, p=row) for row in PROBS])
NAMES = [
    *("t.parquet", "t.feather", "t.arrow", "t.csv", "t.csv.gz", "t.jsonl"),
    *("t.npz", "packed.npz", "t.safetensors"),
]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Whatever is tried again is tried at once."""
    monkeypatch.setattr(remote, "PAUSE", 0.0)


def written(path):
    """A table of N rows in the format that its name says."""
    columns = {"label": LABELS, "probs": PROBS}
    table = pa.table({"label": LABELS, "probs": list(PROBS), "other": RNG.random(N)})
    if path.name == "t.parquet":
        pq.write_table(table, path, row_group_size=500)
    elif path.name == "t.feather":
        feather.write_feather(table, path, chunksize=500)
    elif path.name == "t.arrow":
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=500)
    elif ".csv" in path.name:
        rows = (f'{y},"{list(q)}"' for y, q in zip(LABELS, PROBS.tolist(), strict=True))
        text = "\n".join(["label,probs", *rows]).encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    elif path.name == "t.jsonl":
        rows = zip(LABELS.tolist(), PROBS.tolist(), strict=True)
        path.write_text("".join(json.dumps({"label": y, "probs": q}) + "\n" for y, q in rows))
    elif path.name == "packed.npz":
        np.savez_compressed(path, **columns)
    elif path.name == "t.npz":
        np.savez(path, **columns)
    else:
        save_file(columns, path)
    return path


def document(data, **options):
    """An audit's JSON, but for where its rows came from."""
    options = {"p": "labels:label", "q": "probs:probs", **options}
    return document_of(pandq.scan(data, **options))


def document_of(rows):
    """The same of rows that are opened."""
    found = pandq.audit(rows).to_dict()
    del found["source"]
    return json.dumps(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Each format once."""
    room = tmp_path_factory.mktemp("tables")
    for name in NAMES:
        written(room / name)
    return room


@contextlib.contextmanager
def served(folder, **how):
    """A folder on a web server."""
    with serving(**how) as web:
        web.files = {file.name: file.read_bytes() for file in folder.iterdir()}
        yield web


@pytest.mark.parametrize("name", NAMES)
def test_a_remote_file_gives_the_bytes_of_json_of_a_local_one(name, folder):
    with served(folder) as web:
        assert document(f"{web.url}/{name}") == document(folder / name)
        # whatever the number of passes; one byte asks whether ranges are served
        assert web.sent[name] <= len(web.files[name]) + 1


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.npz"])
@pytest.mark.parametrize("told", [False, True])
def test_a_server_without_ranges_gives_the_same(name, told, folder):
    with served(folder, ranges=False, told=told) as web:
        assert document(f"{web.url}/{name}") == document(folder / name)


def test_a_logits_file_is_read_where_it_lies(tmp_path):
    head = b"_logits_" + struct.pack("<Iii", 8, 40, 50) + bytes(4 * 8 * 50)
    local = tmp_path / "a.kld"
    local.write_bytes(head + np.ones((3 * 50, 44), "<u2").tobytes())
    with served(tmp_path) as web:
        theirs, ours = open_source(f"{web.url}/a.kld"), open_source(local)
        for column in ("logits", "token"):
            both = (
                np.concatenate([batch[column] for _, batch in x.batches([column], 64)])
                for x in (theirs, ours)
            )
            np.testing.assert_array_equal(*both)


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Parquet of which two columns of many are named, and their bytes."""
    file = tmp_path_factory.mktemp("wide") / "wide.parquet"
    others = {f"other{k}": RNG.random(N) for k in range(12)}
    table = pa.table({"other": RNG.random(N), "label": LABELS, "probs": list(PROBS), **others})
    pq.write_table(table, file, row_group_size=1000)
    about = pq.read_metadata(file)
    chunks = (
        about.row_group(i).column(j)
        for i in range(about.num_row_groups)
        for j in range(about.num_columns)
    )
    named = [x for x in chunks if x.path_in_schema.partition(".")[0] in ("label", "probs")]
    return file, sum(x.total_compressed_size for x in named), about.serialized_size


def test_of_parquet_the_footer_and_the_named_columns_are_fetched_once(wide):
    file, named, footer = wide
    with served(file.parent) as web:
        assert document(f"{web.url}/{file.name}") == document(file)
        # its length in four bytes and the mark of four, and one byte that asks for ranges
        assert web.sent[file.name] == named + footer + 8 + 1
        assert web.sent[file.name] < len(web.files[file.name]) / 3


def test_where_the_disk_is_full_ranges_are_fetched_again(wide, monkeypatch):
    file, named, _ = wide
    monkeypatch.setattr("pandq.read.fetched.LEAST_FREE", 2.0)
    with served(file.parent) as web:
        assert document(f"{web.url}/{file.name}") == document(file)
        assert 2 * named < web.sent[file.name] < 3 * named
        web.files["t.csv"] = b"label,probs\n1,0.5\n"
        with pytest.raises(InputError, match=r"no room for a copy of the file.*TMPDIR"):
            pandq.scan(f"{web.url}/t.csv")


def test_any_file_system_of_fsspec_is_read(folder):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe({f"/tables/{name}": (folder / name).read_bytes() for name in NAMES})
    try:
        for name in ("t.parquet", "t.csv"):
            assert document(f"memory://tables/{name}") == document(folder / name)
        assert document("memory://tables/t.par*") == document(folder / "t.parquet")
        rows = pandq.scan("memory://tables/t.parquet", p="labels:label", q="probs:probs")
        memory.pipe("/tables/t.parquet", (folder / "t.parquet").read_bytes())
        with pytest.raises(InputError, match="changed while it was read, got bytes that were"):
            list(rows.chunks())
    finally:
        memory.store.clear()


class Bytes:
    """A far file in memory."""

    def __init__(self, data):
        self.data, self.asked = data, []

    def fetch(self, start, end):
        self.asked.append((start, end))
        return self.data[start:end]


@pytest.mark.parametrize("full", [False, True])
def test_a_copy_gives_any_range_and_fetches_what_is_missing(full, monkeypatch):
    far = Bytes(RNG.bytes(500))
    copy = Copy(far, "x", 500, ranges=True)
    for k, (start, n) in enumerate(RNG.integers(0, 300, (60, 2)).tolist()):
        if full and k == 5:
            monkeypatch.setattr("pandq.read.fetched.LEAST_FREE", 2.0)
        assert copy.read(start, n) == far.data[start : start + n]
    if not full:
        fetched = [i for start, end in far.asked for i in range(start, end)]
        assert len(fetched) == len(set(fetched))
    room = copy.path.parent
    del copy
    assert not room.exists()


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.npz"])
def test_a_connection_that_is_cut_is_tried_again(name, folder):
    with served(folder) as web:
        web.cuts = 2
        assert document(f"{web.url}/{name}") == document(folder / name)
        assert web.cuts == 0


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_is_cut_again_and_again_is_named(ranges, folder):
    with served(folder, ranges=ranges) as web:
        web.cuts = 10**6
        with pytest.raises(InputError, match=r"t.csv.*: cannot be fetched: .* failed 4 times, got"):
            document(f"{web.url}/t.csv")


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.npz", "t.arrow"])
@pytest.mark.parametrize("gone", [False, True])
def test_a_remote_file_that_changes_between_two_passes_is_named(name, gone, folder):
    done = []
    with served(folder) as web:
        rows = pandq.scan(f"{web.url}/{name}", p="labels:label", q="probs:probs")

        def progress(now):
            if now.what != "measuring" and not done:
                done.append(True)
                if gone:
                    del web.files[name]
                else:
                    web.files[name] = web.files[name][:-9] + b"_" + web.files[name][-8:]

        what = f"{name}.*: changed while it was read, got {'no such file' if gone else 'bytes'}"
        with pytest.raises(InputError, match=what):
            pandq.audit(rows, progress=progress)
    assert done


def test_globs_and_several_addresses_are_one_table(tmp_path):
    whole = pa.table({"label": LABELS, "probs": list(PROBS)})
    for k in range(3):
        pq.write_table(whole.slice(1000 * k, 1000), tmp_path / f"part{k}.parquet")
    (tmp_path / "read.me").write_text("no table")
    with served(tmp_path) as web:
        local = document(str(tmp_path / "part*.parquet"))
        assert document(f"{web.url}/part*.parquet") == local
        assert document([f"{web.url}/part{k}.parquet" for k in range(3)]) == local
        assert document(f"{web.url}/") == local
        for pattern, what in {"x*.csv": "no file matches", "part9.parquet": "no such file"}.items():
            with pytest.raises(InputError, match=what):
                pandq.scan(f"{web.url}/{pattern}")
        with pytest.raises(InputError, match="named twice"):
            pandq.scan([f"{web.url}/part0.parquet", f"{web.url}/part*.parquet"])
        web.files["copy.parquet"] = web.files["part1.parquet"]
        with pytest.raises(InputError, match=r"part1.parquet: repeats the rows of .*copy.parquet"):
            document(f"{web.url}/*.parquet")


def test_tables_elsewhere_are_joined_by_id(tmp_path):
    ids = np.arange(N)
    columns = {"id": ids, "label": LABELS, "probs": list(PROBS)}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    lines = (f'{i},"{list(q)}"' for i, q in zip(ids, PROBS[:, ::-1].tolist(), strict=True))
    (tmp_path / "b.csv").write_text("\n".join(["id,probs", *lines]))
    how = {"id": "id", "q": "probs:probs", "p": "labels:label"}
    local = pandq.scan_joined(tmp_path / "a.parquet", tmp_path / "b.csv", **how)
    with served(tmp_path) as web:
        rows = pandq.scan_joined(f"{web.url}/a.parquet", f"{web.url}/b.csv", **how)
        both = [pandq.compare(x, decompose=False).to_dict() for x in (rows, local)]
    assert [x.pop("source") for x in both]
    assert both[0] == both[1]


def invoked(*args):
    """The command in this process."""
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def test_a_key_in_an_address_is_said_nowhere(folder, tmp_path, monkeypatch):
    with served(folder, key="right-word") as web:
        page, out = tmp_path / "p.html", tmp_path / "p.json"
        # the page says by which command it was made
        monkeypatch.setattr(sys, "argv", ["pandq", "audit", f"{web.url}/t.parquet?key=right-word"])
        url = f"{web.url}/t.parquet?key=right-word"
        how = ("--p", "labels:label", "--q", "probs:probs", "--no-decompose")
        done = invoked("audit", url, *how, "--html", page, "--json", out)
        assert done.exit_code == 0, done.output
        said = done.output + page.read_text() + out.read_text()
        assert "right-word" not in said
        done = commands.pandq("audit", url.replace("right", "wrong"), *how)
        assert done.returncode == 2
        assert done.stderr.strip().count("\n") == 0
        assert "t.parquet: cannot be read or written: permission denied" in done.stderr
        assert "wrong-word" not in done.stderr


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://me:word@bucket/a.csv", "s3://bucket/a.csv"),
        ("https://h/a.csv?X-Amz-Signature=abc#x", "https://h/a.csv"),
        ("az://box/a.csv?sv=1&sig=abc", "az://box/a.csv"),
        ("abfs://box@account.dfs.core.windows.net/a.csv", None),
        ("hf://datasets/me/data@main/a?.parquet", None),
        ("a.csv?b=c", None),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url, said):
    assert shown(url) == (said or url)


def test_what_cannot_be_read_from_elsewhere_is_one_line(monkeypatch):
    with pytest.raises(InputError, match=r"^nowhere://a/b.csv: nothing reads nowhere://"):
        pandq.scan("nowhere://a/b.csv")
    for name in ("a*.csv", "a.csv"):
        with pytest.raises(InputError, match=r"cannot be reached, got the connection") as error:
            pandq.scan(f"http://127.0.0.1:1/{name}?key=word")
        assert "word" not in str(error.value)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingLibraryError, match=r"pip install 'pandq\[remote\]'$"):
        pandq.scan("s3://bucket/a.csv")


def test_a_remote_file_crosses_to_other_processes_without_its_bytes(folder):
    with served(folder) as web:
        (file,) = expanded([f"{web.url}/t.csv"])
        assert file.open().read(5) == b"label"
        crossed = pickle.loads(pickle.dumps(file))  # noqa: S301
        assert isinstance(crossed, Remote)
        assert crossed == file
        assert "_copy" not in vars(crossed)
        with pytest.raises(TypeError, match="is no path"):
            os.fspath(file)


def test_local_files_never_meet_fsspec(folder):
    code = "import sys, pandq; pandq.scan(sys.argv[1]); print('fsspec' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "t.parquet")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


@pytest.fixture(scope="module")
def bucket(folder):
    """An S3 server on loopback with the tables in a bucket, and who may read them."""
    server = pytest.importorskip("moto.server")
    s3fs, boto3 = pytest.importorskip("s3fs"), pytest.importorskip("boto3")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    env = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "a-word-of-ours",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        client = boto3.client("s3")
        client.create_bucket(Bucket="tables")
        for file in folder.iterdir():
            client.upload_file(str(file), "tables", f"in/{file.name}")
        yield client
        client.close()
        s3fs.S3FileSystem.clear_instance_cache()
    running.stop()


@pytest.mark.parametrize("name", ["t.parquet", "t.csv.gz", "t.npz"])
def test_s3_gives_what_the_disk_gives(name, folder, bucket):
    assert document(f"s3://tables/in/{name}") == document(folder / name)


def test_s3_takes_globs_and_folders(folder, bucket):
    local = document(folder / "t.parquet")
    assert document("s3://tables/in/*.parquet") == local
    bucket.copy({"Bucket": "tables", "Key": "in/t.parquet"}, "tables", "alone/t.parquet")
    assert document("s3://tables/alone") == local
    with pytest.raises(InputError, match="no file matches"):
        pandq.scan("s3://tables/*.parquet")
    with pytest.raises(InputError, match="no such file"):
        pandq.scan("s3://nowhere/t.parquet")


def test_an_object_that_is_replaced_between_two_passes_is_named(folder, bucket):
    done = []
    bucket.copy({"Bucket": "tables", "Key": "in/t.parquet"}, "tables", "again/t.parquet")
    rows = pandq.scan("s3://tables/again/t.parquet", p="labels:label", q="probs:probs")

    def progress(now):
        if now.what != "measuring" and not done:
            done.append(True)
            body = (folder / "t.parquet").read_bytes()[:-9] + bytes(9)
            bucket.put_object(Bucket="tables", Key="again/t.parquet", Body=body)

    with pytest.raises(InputError, match=r"again/t.parquet.*: changed while it was"):
        pandq.audit(rows, progress=progress)


def test_results_are_written_to_s3_whole_or_not_at_all(folder, bucket, tmp_path):
    how = ("--p", "labels:label", "--q", "probs:probs", "--no-decompose")
    here, there = tmp_path / "r.json", "s3://tables/out/r.json"
    file = "s3://tables/in/t.parquet"
    more = ("--html", "s3://tables/out/r.html", "--items", "s3://tables/out/i.parquet")
    for to, others in ((here, ()), (there, more)):
        done = invoked("audit", file, *how, "--json", to, *others)
        assert done.exit_code == 0, done.output
    assert bucket.get_object(Bucket="tables", Key="out/r.json")["Body"].read() == here.read_bytes()
    assert pandq.scan("s3://tables/out/i.parquet", p="labels:row", q="probs:kl").n_rows == N
    wrong = {
        "s3://nowhere/r.json": "cannot be written: there is no such place",
        "https://127.0.0.1/r.json": "cannot be written: a web server only serves",
        file: "the output is an input",
    }
    for to, what in wrong.items():
        done = invoked("audit", file, *how, "--json", to)
        assert isinstance(done.exception, InputError)
        assert what in str(done.exception)
    done = invoked("audit", file, *how, "--checkpoint", "s3://tables/state")
    assert "s3://tables/state: is not on this machine" in str(done.exception)
    keys = bucket.list_objects_v2(Bucket="tables", Prefix="out/")["Contents"]
    assert {x["Key"] for x in keys} == {"out/r.json", "out/r.html", "out/i.parquet"}


def test_rows_cross_to_workers_who_fetch_for_themselves(folder, bucket):
    how = {"p": "labels:label", "q": "probs:probs"}
    rows = pandq.scan("s3://tables/in/t.parquet", **how)
    crossed = pickle.loads(pickle.dumps(rows.prepared()))  # noqa: S301
    assert document_of(crossed) == document(folder / "t.parquet")
    bucket.put_object(Bucket="tables", Key="cross/t.csv", Body=b"label,probs\n1,0.5\n")
    stored = pickle.dumps(pandq.scan("s3://tables/cross/t.csv", **how))
    bucket.put_object(Bucket="tables", Key="cross/t.csv", Body=b"label,probs\n0,0.5\n")
    with pytest.raises(InputError, match="changed while it was read"):
        list(pickle.loads(stored).chunks())  # noqa: S301


@pytest.mark.slow
def test_workers_of_dask_read_s3_for_themselves(folder, bucket):
    how = ("--p", "labels:label", "--q", "probs:probs", "--no-decompose", "--json", "-")
    done = [
        commands.pandq("audit", "s3://tables/in/t.parquet", *how, *engine)
        for engine in ((), ("--engine", "dask", "--workers", "2"))
    ]
    assert done[1].returncode == 0, done[1].stderr
    assert done[0].stdout == done[1].stdout


def test_a_wrong_key_is_one_line_without_the_key(bucket, monkeypatch):
    responses = pytest.importorskip("moto.core.responses")
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0.0)
    monkeypatch.setattr(responses.ActionAuthenticatorMixin, "request_count", 0)
    key = {"AWS_ACCESS_KEY_ID": "AKIAWRONG", "AWS_SECRET_ACCESS_KEY": "wrong-word"}
    for name, word in key.items():
        monkeypatch.setenv(name, word)
    s3fs = pytest.importorskip("s3fs")
    for address in ("s3://tables/in/t.parquet", "s3://tables/in/*.csv"):
        s3fs.S3FileSystem.clear_instance_cache()
        with pytest.raises(InputError) as error:
            pandq.scan(address)
        said = str(error.value)
        assert f"{address}: cannot be read or written: permission denied" in said
        assert "\n" not in said
        assert not any(x in said for x in key.values())
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_folder_of_pictures_or_a_missing_one_is_still_said_as_before(tmp_path):
    with pytest.raises(InputError, match="no table in this folder"):
        pandq.scan(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        pandq.scan(Path("s3://bucket/a.csv"))
