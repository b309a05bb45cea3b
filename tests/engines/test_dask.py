"""A cluster of processes: the bits of one process, whoever dies; and errors of one line."""

import json
import pickle
import random
import resource
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq
from pandq.engines import Local
from pandq.engines.run import Run
from pandq.errors import MissingLibraryError
from pandq.read.parts import Part
from pandq.sums.sample import Sample
from tests import commands
from tests.engines.processes import cluster, write_votes

distributed = pytest.importorskip("distributed")
from distributed.comm import CommClosedError  # noqa: E402

from pandq.engines import dask as engines  # noqa: E402
from pandq.engines.dask import Dask  # noqa: E402

# what dask.distributed leaves to the garbage collector is its own
pytestmark = [
    pytest.mark.xdist_group("dask"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def told(result):
    return json.dumps(result.to_dict())


@pytest.fixture(scope="module")
def votes(tmp_path_factory):
    return write_votes(tmp_path_factory.mktemp("votes"))


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """For fits, which go through all parts a hundred times."""
    return write_votes(tmp_path_factory.mktemp("few"), files=2, rows=1500, group=500)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def client(two):
    with distributed.Client(two.address, set_as_default=False) as found:
        found.wait_for_workers(2, timeout=30)
        yield found


def scanned(files, **options):
    return pandq.scan(files, p="counts:votes", q="logits:logits", by="site", **options)


def test_a_cluster_gives_the_bits_of_one_process(votes, client):
    rows = scanned(votes)
    assert told(pandq.audit(rows, engine=Dask(client))) == told(pandq.audit(rows))


def test_an_audit_of_labels_by_bootstrap_is_the_same_too(votes, client):
    rows = pandq.scan(votes, p="labels:label", q="logits:logits", best_q="logits:other")
    options = {"intervals": "bootstrap", "seed": 3}
    assert told(pandq.audit(rows, engine=Dask(client), **options)) == told(
        pandq.audit(rows, **options)
    )


def test_a_comparison_is_the_same_too(votes, client):
    rows = pandq.scan(votes, p="counts:votes", q=["logits:logits", "logits:other"], by="site")
    assert told(pandq.compare(rows, engine=Dask(client))) == told(pandq.compare(rows))


@pytest.mark.parametrize("kind", ["softmax", "bayes"])
@pytest.mark.parametrize("cache", [False, True])
def test_a_fit_has_the_same_coefficients(few, client, kind, cache):
    rows = pandq.scan_features(few, x="x", p="counts:votes")
    near = pandq.fit_model(rows, kind, valid=0.2, engine=Local())
    far = pandq.fit_model(rows, kind, valid=0.2, engine=Dask(client, cache=cache))
    assert far.estimator.coef_.tobytes() == near.estimator.coef_.tobytes()
    assert far.curve == near.curve


def test_rows_of_text_are_numbered_before_they_are_shared_out(tmp_path, client):
    rng = np.random.default_rng(0)
    for name in "abc":
        lines = [f"{y},{i % 7},3" for i, y in enumerate(rng.integers(0, 2, 200))]
        (tmp_path / f"{name}.csv").write_text("\n".join(["label,z_0,z_1", *lines]) + "\n")
    rows = pandq.scan(str(tmp_path / "*.csv"), p="labels:label", q="logits:z_*", where="z_0 > 1")
    assert told(pandq.audit(rows, engine=Dask(client))) == told(pandq.audit(rows))


def test_arrays_are_mapped_by_the_workers(tmp_path, client):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", label=rng.integers(0, 3, 500), logits=rng.normal(size=(500, 3)))
    rows = pandq.scan(tmp_path / "a.npz", p="labels:label", q="logits:logits")
    assert told(pandq.audit(rows, engine=Dask(client))) == told(pandq.audit(rows))


def test_the_client_reads_no_data(votes, client, monkeypatch):
    rows = scanned(votes)
    engine = Dask(client)
    expected = told(pandq.audit(rows))

    def refused(*_):
        raise AssertionError

    monkeypatch.setattr(type(rows.source), "read_piece", refused)
    assert told(pandq.audit(rows, engine=engine)) == expected


def test_a_summary_that_comes_back_is_small(votes, client, monkeypatch):
    rows, sizes, result = scanned(votes), [], Dask._result

    def weighed(self, future, part):
        found = result(self, future, part)
        sizes.append(len(pickle.dumps(found)))
        return found

    monkeypatch.setattr(Dask, "_result", weighed)
    pandq.audit(rows, engine=Dask(client), decompose=False)
    assert len(sizes) == 18
    assert max(sizes) < 1 << 16


def test_rows_in_memory_are_refused(client):
    table = pandq.scan(pa.table({"label": [0], "probs": [[0.5, 0.5]]}))
    with pytest.raises(pandq.InputError, match="these rows are in memory"):
        pandq.audit(table, engine=Dask(client))


def test_a_row_that_is_no_law_is_named_as_one_process_names_it(tmp_path, client):
    files = []
    for name in "ab":
        q = np.full((300, 2), 0.5)
        if name == "b":
            q[250] = [0.9, 0.9]
        table = pa.table({"label": np.zeros(300, int), "probs": q.tolist()})
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=100)
        files.append(str(tmp_path / f"{name}.parquet"))
    rows = pandq.scan(files, p="labels:label", q="probs:probs")
    with pytest.raises(pandq.InputError) as near:
        pandq.audit(rows)
    with pytest.raises(pandq.InputError) as far:
        pandq.audit(rows, engine=Dask(client))
    assert "b.parquet, column 'probs': Probs row 250 sums to 1.8" in str(near.value)
    assert str(far.value).startswith(str(near.value).split(" (tolerance")[0])
    assert "on worker tcp://127.0.0.1" in str(far.value)


def test_a_file_that_vanished_is_named_with_the_worker(tmp_path, client):
    rows = scanned(write_votes(tmp_path))
    assert rows.n_rows == 18_000
    (tmp_path / "part-1.parquet").unlink()
    with pytest.raises(
        pandq.InputError,
        match=r"part-1\.parquet: changed .*no such file.*on worker tcp://127\.0\.0\.1",
    ):
        pandq.audit(rows, engine=Dask(client))


def test_a_corrupt_file_is_named_with_the_worker(tmp_path, client):
    files = write_votes(tmp_path)
    stored = bytearray((tmp_path / "part-2.parquet").read_bytes())
    stored[4 : len(stored) // 2] = bytes(len(stored) // 2 - 4)
    (tmp_path / "part-2.parquet").write_bytes(bytes(stored))
    rows = scanned(files)
    with pytest.raises(
        pandq.InputError, match=r"part-2\.parquet: cannot be read .*on worker tcp://127\.0\.0\.1"
    ):
        pandq.audit(rows, engine=Dask(client))


@pytest.mark.parametrize("status", ["finished", "cancelled", "lost", "pending"])
def test_what_cannot_be_fetched_is_a_scheduler_that_is_lost(client, status):
    def result():
        raise CommClosedError

    part = Part(0, "a.parquet", None, 0, 0, 10)
    with pytest.raises(pandq.EngineError, match="the scheduler was lost"):
        Dask(client)._result(SimpleNamespace(status=status, result=result), part)
    with pytest.raises(pandq.EngineError, match=r"CommClosedError on a\.parquet, rows 0 to 9"):
        Dask(client)._result(SimpleNamespace(status="error", result=result), part)


@pytest.mark.parametrize(
    "seeds",
    # every round starts a worker: half of them wait for a run of the slow tests
    [range(10), pytest.param(range(10, 20), marks=pytest.mark.slow)],
    ids=["the first ten", "the others"],
)
def test_a_worker_that_dies_at_any_chunk_changes_no_bit(votes, two, client, seeds):
    rows = pandq.scan(votes, p="labels:label", q="logits:logits", by="site")
    expected = told(pandq.audit(rows))
    engine = Dask(client)
    for seed in seeds:
        client.wait_for_workers(2, timeout=30)
        chance = random.Random(seed)
        what, chunk = chance.choice(["measuring", "decomposing"]), chance.randrange(1, 18)
        killed, victim = [], chance.randrange(2)

        def progress(done, what=what, chunk=chunk, killed=killed, place=victim):
            if not killed and done.what == what and done.chunks_done >= chunk:
                killed.append(place)
                two.kill_worker(place)

        found = pandq.audit(rows, engine=engine, progress=progress)
        assert killed, seed
        assert told(found) == expected, seed
        two.add_worker()


def test_a_scheduler_that_dies_ends_in_one_line_and_a_second_run_goes_on(tmp_path):
    files = write_votes(tmp_path, files=4, rows=30_000, group=500)
    near, far = tmp_path / "near.json", tmp_path / "far.json"
    options = ["audit", files, "--p", "counts:votes", "--q", "logits:logits"]
    kept = ["--engine", "dask", "--checkpoint", str(tmp_path / "kept"), "--json", str(far)]
    assert commands.pandq(*options, "--json", str(near)).returncode == 0
    with cluster(tmp_path, workers=1) as one:
        started = subprocess.Popen(
            [sys.executable, "-m", "pandq", *options, *kept, "--scheduler", one.address]  # noqa: RUF005
            + ["--progress", "json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        lines = []
        for line in started.stderr:
            lines.append(json.loads(line))
            if lines[-1]["chunks_done"] >= 20:
                one.kill_scheduler()
                break
        out, err = started.communicate(timeout=60)
        assert started.returncode == 2
        said = [line for line in err.splitlines() if not line.startswith("{")]
        assert len(said) == 1
        assert "the scheduler was lost" in said[0]
        assert "--checkpoint" in said[0]
        assert out == ""
        assert not far.exists()
        one.start()
        one.add_worker()
        again = commands.pandq(*options, *kept, "--scheduler", one.address, "--progress", "json")
    assert again.returncode == 0, again.stderr
    first = json.loads(again.stderr.splitlines()[0])
    assert first["chunks_done"] >= 20
    assert far.read_bytes() == near.read_bytes()


def test_a_part_that_fills_a_workers_memory_is_named(votes, tmp_path):
    limits = ("--nanny", "--memory-limit", "400MB")
    with (
        cluster(tmp_path, workers=1, options=limits) as one,
        distributed.Client(one.address, set_as_default=False) as client,
    ):
        client.wait_for_workers(1, timeout=30)

        def of(chunk):
            if chunk.start == 3000:
                held = np.ones(1 << 28)  # 2 GiB
                time.sleep(5)
                return held
            return Sample.empty(0)

        rows = pandq.scan(votes, p="counts:votes", q="logits:logits")
        with pytest.raises(
            pandq.EngineError, match=r"2 workers died on .*part-0\.parquet, rows .* or beside it"
        ):
            Run(Dask(client)).summarise("x", rows, of, Sample.empty(0))


def test_a_workers_memory_does_not_grow_with_a_row_group(tmp_path):
    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    peaks = []
    with (
        cluster(tmp_path, workers=1) as one,
        distributed.Client(one.address, set_as_default=False) as client,
    ):
        client.wait_for_workers(1, timeout=30)
        for name, rows in (("small", 300_000), ("large", 3_000_000)):
            folder = tmp_path / name
            folder.mkdir()
            z = np.random.default_rng(0).normal(size=(rows, 10))
            logits = pa.FixedSizeListArray.from_arrays(z.ravel(), 10)
            table = pa.table({"label": np.zeros(rows, np.int64), "logits": logits})
            pq.write_table(table, folder / "a.parquet", row_group_size=rows)
            found = pandq.scan(folder / "a.parquet", p="labels:label", q="logits:logits")
            pandq.audit(found, engine=Dask(client), decompose=False)
            peaks.append(max(client.run(peak).values()))
    # 216 MB more to read
    assert peaks[1] - peaks[0] < 60


@pytest.mark.parametrize("threads", [1, 4])
def test_one_worker_of_any_number_of_threads_gives_the_same_bits(votes, tmp_path, threads):
    rows = scanned(votes)
    options = ("--no-nanny", "--memory-limit", "0", "--nthreads", str(threads))
    with (
        cluster(tmp_path, workers=1, options=options) as one,
        distributed.Client(one.address, set_as_default=False) as client,
    ):
        client.wait_for_workers(1, timeout=30)
        assert sum(client.nthreads().values()) == threads
        found = told(pandq.audit(rows, engine=Dask(client)))
    assert found == told(pandq.audit(rows))


def test_nobody_else_can_send_work_to_a_cluster_that_is_started_here(capfd):
    pytest.importorskip("cryptography")
    with engines.cluster(workers=1) as found:
        address = found.client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        assert found.client.submit(sum, [1, 2]).result() == 3
        for there, keys in (
            (address.replace("tls", "tcp"), None),
            (address, distributed.Security.temporary()),
        ):
            with pytest.raises((OSError, TypeError)):
                distributed.Client(there, security=keys, timeout=2, set_as_default=False)


def test_a_cluster_is_not_started_without_its_keys(votes, monkeypatch):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    missing = pytest.raises(MissingLibraryError, match=r"needs cryptography.*pandq\[dask\]")
    with missing, engines.cluster(workers=1):
        pass


def test_a_cluster_of_ones_own_is_started_and_closed(votes, tmp_path):
    pytest.importorskip("cryptography")
    near, far = tmp_path / "near.json", tmp_path / "far.json"
    options = ["audit", votes, "--p", "counts:votes", "--q", "logits:logits"]
    assert commands.pandq(*options, "--json", str(near)).returncode == 0
    found = commands.pandq(*options, "--engine", "dask", "--workers", "2", "--json", str(far))
    assert found.returncode == 0, found.stderr
    assert found.stderr == ""
    assert far.read_bytes() == near.read_bytes()


def test_the_command_line_fits_on_a_cluster_that_the_environment_names(
    votes, two, tmp_path, monkeypatch
):
    options = ["fit", votes, "--x", "x", "--p", "labels:label", "--classes", "4"]
    assert (
        commands.pandq(*options, "--out", str(tmp_path / "near"), "--workers", "1").returncode == 0
    )
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", two.address)
    found = commands.pandq(*options, "--out", str(tmp_path / "far"), "--engine", "dask")
    assert found.returncode == 0, found.stderr
    near, far = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("near", "far"))
    assert near == far


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--scheduler", "tcp://127.0.0.1:1"], "--scheduler needs --engine dask"),
        (
            ["--engine", "dask", "--scheduler", "tcp://127.0.0.1:1", "--workers", "2"],
            "--workers is for a cluster that pandq starts",
        ),
        (["--engine", "dask", "--items", "x.parquet"], "only --engine local does"),
        (["--checkpoint", ""], "--checkpoint needs the name of a folder, got ''"),
        (["--engine", "dask", "--scheduler", "nowhere:x"], "no Dask scheduler answers"),
        (["--engine", "dask", "--scheduler", "tcp://127.0.0.1:1"], "no Dask scheduler answers"),
    ],
)
def test_options_that_do_not_go_together_are_refused(votes, options, said):
    found = commands.pandq("audit", votes, "--p", "counts:votes", "--q", "logits:logits", *options)
    assert found.returncode == 2
    assert said in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_a_network_has_no_engine(votes, client):
    rows = pandq.scan_features(votes, x="x", p="counts:votes")
    with pytest.raises(pandq.InputError, match="by torchrun"):
        pandq.fit_model(rows, "mlp", engine=Dask(client))
