"""One process: whatever the number of threads, the same additions in the same order."""

import json
import threading
import time

import numpy as np
import pytest

import pandq
from pandq.engines import Local
from pandq.engines.ahead import read_ahead
from pandq.engines.local import summarise
from pandq.engines.run import Run
from pandq.read.database import database
from tests.engines.processes import write_votes


class Written:
    """A Summary that remembers what was merged with what."""

    def __init__(self, text):
        self.text = text

    def merge(self, other):
        return Written(f"({self.text}+{other.text})")


def told(audit):
    return json.dumps(audit.to_dict())


@pytest.fixture(scope="module")
def votes(tmp_path_factory):
    return write_votes(tmp_path_factory.mktemp("votes"))


@pytest.mark.parametrize("workers", [2, 4])
def test_threads_change_no_bit_of_an_audit(votes, workers):
    rows = pandq.scan(votes, p="counts:votes", q="logits:logits", by="site")
    alone = pandq.audit(rows, engine=Local(1))
    assert told(pandq.audit(rows, engine=Local(workers))) == told(alone)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_chunks_are_merged_within_their_part_and_parts_in_their_order(votes, workers):
    rows = pandq.scan(votes, p="counts:votes", q="logits:logits")
    found = Run(Local(workers)).summarise(
        "x", rows, lambda chunk: Written(str(chunk.start)), Written("0")
    )
    expected = "0"
    for start in range(0, 18_000, 1000):
        expected = f"({expected}+{start})"
    assert found.text == expected


def test_chunks_of_one_part_are_merged_before_they_meet_others(tmp_path):
    files = write_votes(tmp_path, files=2, rows=140_000, group=140_000)
    rows = pandq.scan(files, p="counts:votes", q="logits:logits")
    found = Run().summarise("x", rows, lambda chunk: Written(str(chunk.start)), Written("e"))
    assert found.text == "((e+((0+65536)+131072))+((140000+205536)+271072))"


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_text_is_audited_by_threads_to_the_same_bits(tmp_path, suffix):
    rng = np.random.default_rng(0)
    for name in "ab":
        lines = []
        for a, b in zip(rng.uniform(0.1, 0.9, 300), rng.integers(0, 2, 300), strict=True):
            row = {"label": int(b), "p_0": float(a), "p_1": float(1 - a)}
            lines.append(
                json.dumps(row) if suffix == "jsonl" else ",".join(map(repr, row.values()))
            )
        head = [] if suffix == "jsonl" else ["label,p_0,p_1"]
        (tmp_path / f"{name}.{suffix}").write_text("\n".join(head + lines) + "\n")
    rows = pandq.scan(str(tmp_path / f"*.{suffix}"), p="labels:label", q="probs:p_*")
    found = [pandq.audit(rows, engine=Local(n)) for n in (1, 2, 4)]
    assert found[0].n == 600
    assert len(set(map(told, found))) == 1


def test_what_is_cached_is_read_once(votes):
    rows = pandq.scan(votes, p="counts:votes", q="logits:logits")
    reads = []
    source_read = rows.source.read
    rows.source.read = lambda part, *more: reads.append(part.index) or source_read(part, *more)
    cached = pandq.audit(rows, engine=Local(cache=True))
    assert sorted(reads) == list(range(18))
    reads.clear()
    plain = pandq.audit(rows, engine=Local())
    assert len(reads) == 36
    assert told(cached) == told(plain)


def test_memory_holds_a_few_chunks_not_the_file(votes):
    rows = pandq.scan(votes, p="counts:votes", q="logits:logits")
    read, summed, most = [], [], [0]
    source_read = rows.source.read
    rows.source.read = lambda part, *more: read.append(part) or source_read(part, *more)

    def of(chunk):
        time.sleep(0.005)
        most[0] = max(most[0], len(read) - len(summed))
        summed.append(chunk.start)
        return Written("")

    Run(Local(2)).summarise("x", rows, of, Written(""))
    assert len(summed) == 18
    # two that are summed, one that waits, two that are ready, two in the readers' hands, and the
    # one whose width was looked at
    assert most[0] <= 8


def test_an_error_of_any_thread_ends_the_run_and_its_threads(votes):
    rows = pandq.scan(votes, p="counts:votes", q="logits:logits")

    def of(chunk):
        if chunk.start == 9000:
            raise pandq.InputError("no good")  # noqa: EM101
        return Written("")

    with pytest.raises(pandq.InputError, match="no good"):
        Run(Local(4)).summarise("x", rows, of, Written(""))
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any("pandq-" in t.name for t in threading.enumerate()):
        time.sleep(0.01)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("pandq-read")]


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("late", [0.0, 0.05])
def test_of_rows_that_are_wrong_in_several_parts_the_first_is_said(votes, workers, late):
    rows = pandq.scan(votes, p="counts:votes", q="logits:logits")

    def of(chunk):
        if chunk.start in (3000, 4000, 11_000):
            # whoever is wrong later may be found out sooner
            time.sleep(late if chunk.start == 3000 else 0.0)
            raise pandq.InputError(f"row {chunk.start}")  # noqa: EM102
        return Written("")

    for _ in range(5):
        with pytest.raises(pandq.InputError, match=r"^row 3000$"):
            Run(Local(workers)).summarise("x", rows, of, Written(""))


def test_a_part_that_cannot_be_read_is_said_after_what_is_wrong_before_it(votes):
    rows = pandq.scan(votes, p="counts:votes", q="logits:logits")

    class Torn:
        """The same rows, of which the third part cannot be read."""

        apart, n_rows = True, rows.n_rows

        def parts(self):
            return rows.parts()

        def prepared(self):
            return self

        def pieces(self, parts):
            for part, chunk in rows.pieces(parts):
                if part.index == 2:
                    raise OSError("torn")  # noqa: EM101
                yield part, chunk

    def of(chunk):
        if chunk.start == 1000:
            time.sleep(0.05)
            raise pandq.InputError("no good")  # noqa: EM101
        return Written("")

    with pytest.raises(OSError, match="torn"):
        Run(Local(2)).summarise("x", Torn(), lambda _: Written(""), Written(""))
    with pytest.raises(pandq.InputError, match="no good"):
        Run(Local(2)).summarise("x", Torn(), of, Written(""))


def test_streams_are_read_side_by_side_and_each_in_its_order():
    both = threading.Barrier(2, timeout=10)

    def items(name):
        both.wait()
        yield from (f"{name}{i}" for i in range(3))

    found = list(read_ahead([items("a"), items("b"), range(2)], readers=2))
    assert [item for place, item, _ in found if place == 0] == ["a0", "a1", "a2", None]
    assert [item for place, item, _ in found if place == 1] == ["b0", "b1", "b2", None]
    assert [item for place, item, _ in found if place == 2] == [0, 1, None]


def test_no_worker_is_no_engine():
    with pytest.raises(pandq.InputError, match="an engine needs a worker, got 0"):
        Local(0)


def test_progress_says_rows_and_chunks_and_ends_at_all_of_them(votes):
    rows = pandq.scan(votes, p="counts:votes", q="logits:logits")
    seen = []
    pandq.audit(rows, progress=seen.append)
    last = {done.what: done for done in seen}
    trained = ["fitting maps", "bounding the floor", "planning votes"]
    assert list(last) == ["measuring", *trained, "decomposing", "summing up"]
    for what in ("measuring", "decomposing"):
        done = last[what]
        assert (done.rows_done, done.rows) == (18_000, 18_000)
        assert (done.chunks_done, done.chunks) == (18, 18)
        assert done.rows_per_second > 0
        assert done.seconds_left == 0
        counts = [x.rows_done for x in seen if x.what == what]
        assert counts == sorted(counts)


def test_summaries_of_what_is_in_memory_are_merged_in_order():
    found = summarise([1, 2, 3], lambda x: Written(str(x)), Written("0"))
    assert found.text == "(((0+1)+2)+3)"


def test_reading_ahead_stays_only_a_little_ahead():
    made = []

    def items():
        for i in range(100):
            made.append(i)
            yield i

    ahead = read_ahead([items()], depth=2)
    next(ahead)
    time.sleep(0.05)
    assert len(made) <= 5
    ahead.close()


def test_a_pass_that_ends_early_stops_the_query_that_it_waits_for():
    def rows():
        yield 1
        with database() as connection:
            endless = (
                "SELECT sum(a.range % b.range) FROM range(1, 10000000) a, range(1, 10000000) b"
            )
            yield connection.execute(endless).fetchone()

    found = read_ahead([rows()])
    assert next(found) == (0, 1, None)
    time.sleep(0.5)
    began = time.monotonic()
    found.close()
    assert time.monotonic() - began < 10
