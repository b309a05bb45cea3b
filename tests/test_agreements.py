"""pandq.votes: what it says of any votes, and what it refuses; of files, as a command."""

import doctest
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import pandq
from pandq import Counts, InputError, Votes
from pandq.cli.voting import votes_command
from pandq.read.ballots import ballots
from pandq.read.laid import lay
from pandq.read.recognise import resolved
from pandq.read.settled import settled
from pandq.read.viewed import view_of
from tests import commands


def drawn(n=300, people=9, seed=0):
    """Answers of some people, four to an item, from known distributions."""
    draw = np.random.default_rng(seed)
    p = draw.dirichlet(np.full(3, 0.4), n)
    who = [draw.choice(people, 4, replace=False).tolist() for _ in range(n)]
    return p, [draw.choice(3, 4, p=row).tolist() for row in p], who


ODD = {
    "one annotator": (lambda: Votes([["a"], ["b"]] * 30, ["x"]), "one vote each"),
    "one item": (lambda: Votes([["a", "b", "a"]], ["x", "y", "z"]), "too few items"),
    "one vote": (lambda: Votes([["a"]]), "one vote for each item"),
    "items without votes": (
        lambda: Votes([["a", "b"], [], ["a", "a"], None] * 20),
        "40 items with votes and 40 without a vote",
    ),
    "all unanimous": (lambda: Votes([["a", "a"], ["b", "b"]] * 40, ["x", "y"]), "agree in 100.0%"),
    "nobody agrees": (lambda: Votes([["a", "b"]] * 90, ["x", "y"]), "agree less often"),
    "one class": (lambda: Votes([["a", "a"]] * 60), "chance would agree as well"),
    "1,000 classes": (lambda: Votes(np.arange(2400).reshape(-1, 3) % 1000), "1,000 classes"),
    "names of any script": (
        lambda: Votes([["猫", "犬🐕"], ["猫", "猫"]] * 30, ["Zoë", "李"]),
        "猫",
    ),
    "names of markup": (lambda: Votes([["<b>", "[red]"]] * 3, ["<i>", "|x|"]), "<b> / [red]"),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_votes_have_a_report_a_page_and_a_document(case):
    build, text = ODD[case]
    found = pandq.votes(build())
    assert text in " ".join(found.to_text().split())
    assert "<html" in found.to_html()
    read = pandq.Agreement.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert read.to_dict() == found.to_dict()
    assert len(found.to_frame()) >= 1
    assert re.search(r"\bnan\b", str(found)) is None


def test_counts_of_votes_say_the_same_without_the_people():
    _, rows, who = drawn()
    known, alone = pandq.votes(Votes(rows, who)), pandq.votes(Counts(Votes(rows).table))
    for name in ("observed_agreement", "alpha", "plug_in_entropy", "floor", "pairs", "divided"):
        assert getattr(known, name) == getattr(alone, name)
    assert (alone.n_annotators, alone.annotators, alone.components) == (None, [], None)
    assert "votes were taken as exchangeable" in alone.to_text()
    assert "votes were taken as exchangeable" not in known.to_text()


@given(st.randoms(use_true_random=False))
@settings(max_examples=8)
def test_the_order_of_items_and_of_answers_changes_nothing(random):
    _, rows, who = drawn(80)
    long = [(f"i{i}", str(x), f"p{a}") for i in range(80) for x, a in zip(rows[i], who[i])]  # noqa: B905
    one = pandq.votes(Votes.from_columns(*zip(*long, strict=True)))
    random.shuffle(long)
    other = pandq.votes(Votes.from_columns(*zip(*long, strict=True)))
    for name in ("observed_agreement", "alpha", "floor", "plug_in_entropy"):
        x, y = getattr(one, name), getattr(other, name)
        assert (x.value, x.low, x.high) == pytest.approx((y.value, y.low, y.high))
    lines = [{x["name"]: x["cross_entropy"]["value"] for x in f.annotators} for f in (one, other)]
    assert lines[0] == pytest.approx(lines[1])


def test_bits_are_nats_by_log_2():
    _, rows, who = drawn()
    nat, bit = (pandq.votes(Votes(rows, who), unit=unit) for unit in ("nat", "bit"))
    scale = 1 / np.log(2)
    for name in ("plug_in_entropy", "floor"):
        assert getattr(bit, name).value == pytest.approx(getattr(nat, name).value * scale)
    loss = [f.annotators[0]["cross_entropy"]["value"] for f in (nat, bit)]
    assert loss[1] == pytest.approx(loss[0] * scale)
    assert bit.divided[0]["entropy"] == pytest.approx(nat.divided[0]["entropy"] * scale)
    assert nat.alpha == bit.alpha


def test_a_third_opinion_where_two_differ_is_found_and_nothing_is_certified():
    p, _, _ = drawn(2000)
    draw = np.random.default_rng(1)
    rows = [draw.choice(3, 3, p=row).tolist() for row in p]
    fair = pandq.votes(Votes([row[: 2 + i % 2] for i, row in enumerate(rows)]))
    assert not fair.vote_numbers.depends
    assert fair.floor is not None
    asked = pandq.votes(Votes([row[: 2 + (row[0] != row[1])] for row in rows]))
    assert asked.vote_numbers.depends
    assert asked.floor is None
    said = str(asked).replace("\n", " ")
    assert "Keep the first votes of every item" in said
    assert "--first 2" in said
    settled = pandq.votes(Votes([row[: 2 + (row[0] != row[1])] for row in rows]).first(2))
    assert settled.floor == pandq.votes(Votes([row[:2] for row in rows])).floor
    assert any(note.startswith("only the first 2 votes of each row") for note in settled.notes)


def opinions_of(people, n=400, asked=3, seed=0):
    """Votes of different ones of a few people, each with an opinion of every item; the floor."""
    rng = np.random.default_rng(seed)
    said = np.array([rng.choice(3, size=people, p=p) for p in rng.dirichlet(np.ones(3) / 2, n)])
    who = np.array([rng.choice(people, asked, replace=False) for _ in range(n)])
    shares = (said[..., None] == np.arange(3)).mean(axis=1)
    floor = float(special.entr(shares).sum(axis=1).mean())
    return Votes(np.take_along_axis(said, who, axis=1).tolist(), who.tolist()), floor


def test_the_floor_of_a_pool_of_people_is_that_of_what_all_of_them_say():
    asked, floor = opinions_of(5)
    many, seen, five = (pandq.votes(asked, annotator_pool=x) for x in (None, "seen", 5))
    assert seen.floor.low < floor < seen.floor.high < many.floor.high
    assert many.floor.low > floor
    assert seen.floor == five.floor
    assert "one of 5 people" in seen.floor.method
    assert seen.options["annotator_pool"] == "seen"
    assert any("--annotator-pool seen" in x for x in many.notes)
    assert not any("--annotator-pool" in x for x in seen.notes)
    text = " ".join(seen.to_text().split())
    assert "votes of a randomly chosen one of 5 people" in text
    (alike,) = {x.alpha for x in (many, seen)}  # only the floor is another one
    assert alike.value > 0


def test_all_of_a_few_people_have_a_floor_where_they_are_the_pool():
    asked, floor = opinions_of(3)
    assert pandq.votes(asked).floor is None or pandq.votes(asked).floor.low > floor
    found = pandq.votes(asked, annotator_pool="seen").floor
    assert found.low < floor < found.high


@pytest.mark.parametrize(
    ("pool", "what"),
    [(4, "there are more"), (1, "how many people"), ("all", "how many people"), (10**11, "people")],
)
def test_a_pool_that_cannot_be_is_refused(pool, what):
    with pytest.raises(InputError, match=what):
        pandq.votes(opinions_of(5, n=40)[0], annotator_pool=pool)
    with pytest.raises(InputError, match="nobody was seen"):
        pandq.votes(pandq.Counts([[2, 1]] * 40), annotator_pool="seen")


def test_the_same_people_on_every_item_are_said_to_be_so():
    draw = np.random.default_rng(0)
    found = pandq.votes(Votes(draw.integers(0, 2, (100, 3)), ["a", "b", "c"]))
    assert "The same 3 people answered every item" in " ".join(found.to_text().split())


REFUSED = {
    "no items": (lambda: pandq.votes(Votes([])), "there are no votes, got no items"),
    "no votes": (lambda: pandq.votes(Votes([[], None])), "got 2 items without votes"),
    "a list": (lambda: pandq.votes([["a"]]), "votes are Votes or Counts, got list"),
    "probabilities": (lambda: pandq.votes(pandq.Probs([[1.0]])), "Votes or Counts, got Probs"),
    "too many ids": (lambda: pandq.votes(Counts([[1, 1]]), ids=[1, 2]), "one value per item"),
    "too few names": (lambda: pandq.votes(Counts([[1, 1]]), classes=["a"]), "1 names for 2"),
    "names twice": (lambda: pandq.votes(Votes([["a"]]), classes=["a"]), "Votes have their classes"),
    "a level of 2": (lambda: pandq.votes(Counts([[1, 1]]), level=2), "level must lie"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_used_is_refused(case):
    build, text = REFUSED[case]
    with pytest.raises(InputError, match=text):
        build()


def test_votes_of_cifar10h_are_those_that_were_counted_elsewhere(cifar10h):
    found = pandq.votes(ballots(str(cifar10h), p="counts:counts", id="image").votes)
    assert (found.n_votes, found.unanimous) == (511_000, 4_393)
    assert found.plug_in_entropy.value == pytest.approx(0.154460, abs=5e-7)
    # krippendorff 0.9.0 of the same counts
    assert found.alpha.value == pytest.approx(0.9150554299632967, abs=1e-12)
    assert found.plug_in_entropy.value < found.floor.low < found.floor.high < 0.2


# ------------------------------------------------------------------------------------------- files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The same answers in every form that is read."""
    place = tmp_path_factory.mktemp("votes")
    _, rows, who = drawn(120)
    names = np.array(["no", "maybe", "yes"])
    said = [names[row].tolist() for row in rows]
    lines = [
        f"{100 + i},w{a},{x}"
        for i in range(120)
        for x, a in zip(said[i], who[i], strict=True)
    ]  # fmt: skip
    (place / "long.csv").write_text("\n".join(["case,worker,answer", *lines]) + "\n")
    ids = np.arange(100, 220)
    people = [[f"w{a}" for a in row] for row in who]
    pq.write_table(pa.table({"case": ids, "said": said, "by": people}), place / "lists.parquet")
    wide = {f"w{a}": [None] * 120 for a in range(9)}
    for i in range(120):
        for x, a in zip(said[i], who[i], strict=True):
            wide[f"w{a}"][i] = x
    pq.write_table(pa.table({"case": ids, **wide}), place / "wide.parquet")
    counts = np.array([[row.count(x) for x in ("maybe", "no", "yes")] for row in said])
    table = {"case": ids, "n_maybe": counts[:, 0], "n_no": counts[:, 1], "n_yes": counts[:, 2]}
    pq.write_table(pa.table(table), place / "counts.parquet")
    return place


FORMS = {
    "long.csv": {"item": "case", "annotator": "worker", "label": "answer"},
    "lists.parquet": {"p": "votes:said", "annotator": "by", "id": "case"},
    "wide.parquet": {"p": "votes:w*", "id": "case"},
    "counts.parquet": {"p": "counts:n_*", "id": "case"},
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_holds_the_same_votes(name, folder):
    found, first = (ballots(folder / x, **FORMS[x]) for x in (name, "long.csv"))
    assert found.votes.classes == ("maybe", "no", "yes")
    assert found.ids.to_pylist() == list(range(100, 220))
    one, other = (pandq.votes(x.votes, ids=x.ids.to_numpy()) for x in (found, first))
    assert (one.alpha, one.floor) == (other.alpha, other.floor)
    if name != "counts.parquet":
        lines = [{x["name"]: x["n"] for x in f.annotators} for f in (one, other)]
        assert lines[0] == lines[1]


def test_a_label_that_reads_like_no_answer_is_a_class_and_told_of(tmp_path):
    labels = [["cat", "N/A", "cat"], ["dog", "n/a ", "dog"]]
    pq.write_table(pa.table({"votes": labels}), tmp_path / "v.parquet")
    told = "'N/A' is a class, of 1 answers: if it stands for no answer"

    def counted(**options):
        return pandq.votes(ballots(str(tmp_path / "v.parquet"), p="votes:votes", **options).votes)

    for found in (counted(), pandq.votes(Votes(labels))):
        assert sum("it stands for no answer" in note for note in found.notes) == 2
        assert any(told in note for note in found.notes)
        assert "4 classes (N/A, cat, dog, n/a )" in str(found)
    found = counted(skip=["N/A", "n/a "])
    assert not any("stands for no answer" in note for note in found.notes)
    assert "2 classes (cat, dog)" in str(found)


def test_answers_that_are_none_are_left_out_by_name_and_counted(folder):
    found = ballots(folder / "long.csv", **FORMS["long.csv"], skip=["maybe"])
    whole = ballots(folder / "long.csv", **FORMS["long.csv"])
    assert found.votes.classes == ("no", "yes")
    assert (found.votes.table == whole.votes.table[:, 1:]).all()
    n = int(whole.votes.table[:, 0].sum())
    assert found.votes.notes == (f"left out: {n:,} answers that are 'maybe'",)


def test_labels_that_are_numbers_in_csv_are_whole_numbers_and_sorted_by_value(tmp_path):
    (tmp_path / "x.csv").write_text("i,w,g\n1,a,10.0\n1,b,9.0\n2,a,9.0\n2,b,\n")
    found = ballots(tmp_path / "x.csv", item="i", annotator="w", label="g").votes
    assert found.classes == ("9", "10")
    assert found.table.tolist() == [[1, 1], [1, 0]]


LAYOUTS = Path(__file__).parent / "read" / "layouts"
LAID = {
    "long.csv": {"layout": "long"},
    "raters.csv": {"layout": "raters"},
    "list-of-labels.jsonl": {"layout": "list-of-labels"},
    "annotator-map.json": {"layout": "annotator-map"},
    "label-counter.jsonl": {"layout": "label-counter"},
    "label-studio.json": {"layout": "label-studio"},
    "prodigy.jsonl": {"layout": "prodigy"},
}


@pytest.mark.parametrize("name", LAID)
def test_votes_of_a_layout_are_those_that_an_audit_counts(name):
    found = ballots(LAYOUTS / name, **LAID[name]).votes
    laid = lay(LAYOUTS / name, **LAID[name])
    counts = [settled_counts(laid, found.classes)]
    assert np.asarray(found.counts if hasattr(found, "counts") else found).tolist() == counts[0]


def settled_counts(laid, classes):
    spec = resolved(laid.p, laid.source.schema, option="--p")
    spec = settled(laid.source, spec, (), list(classes)).p
    batches = laid.source.batches(list(dict.fromkeys(spec.columns)), 100)
    parts = [np.asarray(view_of("p", spec, batch, classes=classes)) for _, batch in batches]
    return np.concatenate(parts).tolist()


def test_people_are_known_where_a_layout_knows_them_and_a_condition_is_on_their_answers(folder):
    whole = ballots(folder / "long.csv", **FORMS["long.csv"]).votes
    some = ballots(folder / "long.csv", **FORMS["long.csv"], where="worker <> 'w3'").votes
    kept = np.array(whole.annotator_names)[whole.annotators] != "w3"
    assert some.annotator_names == tuple(x for x in whole.annotator_names if x != "w3")
    assert some.codes.tolist() == whole.codes[kept].tolist()
    with pytest.raises(InputError, match=r"--where.*Did you mean 'worker'"):
        ballots(folder / "long.csv", **FORMS["long.csv"], where="workr <> 'w3'")
    said = pa.table({"v": [["a", "b"]], "by": pa.array([[None, None]], pa.list_(pa.string()))})
    with pytest.raises(InputError, match="2 of 2 answers without an annotator"):
        ballots(said, p="votes:v", annotator="by")


def command(*arguments, **options):
    return commands.pandq("votes", *arguments, **options)


LONG = ("--item", "case", "--annotator", "worker", "--label", "answer")


def test_the_command_keeps_the_first_votes_of_every_item_in_the_order_of_the_file(folder):
    run = command(folder / "long.csv", *LONG, "--first", 2, "--json", "-")
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    whole = ballots(folder / "long.csv", **FORMS["long.csv"])
    told = pandq.votes(whole.votes.first(2), ids=whole.ids.to_numpy()).to_dict()
    assert set(found["votes_per_item"]) <= {"1", "2"}
    for name in ("votes_per_item", "alpha", "floor", "annotators", "notes"):
        assert found[name] == told[name]


def test_the_command_says_what_the_function_does_and_writes_what_can_be_joined(folder, tmp_path):
    out, page, document = (tmp_path / x for x in ("v.parquet", "v.html", "v.json"))
    files = ("--out", out, "--html", page, "--json", document)
    summary = {**os.environ, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")}
    run = command(folder / "long.csv", *LONG, *files, env=summary)
    assert run.returncode == 0, run.stderr
    assert "| Krippendorff's alpha |" in (tmp_path / "summary.md").read_text().replace("\\", "")
    assert run.stdout.startswith("Two votes for an item agree in ")
    assert "counts are of maybe, no, yes, in this order" in run.stderr
    read = ballots(folder / "long.csv", **FORMS["long.csv"])
    found = json.loads(document.read_text())
    told = pandq.votes(read.votes, ids=read.ids.to_numpy()).to_dict()
    assert (found["schema"], found["alpha"], found["floor"]) == (
        "pandq/votes/1",
        told["alpha"],
        told["floor"],
    )
    assert "Krippendorff" in page.read_text()
    table = pq.read_table(out)
    assert table.column_names == ["id", "counts", "votes", "annotators"]
    assert table["counts"].to_pylist() == read.votes.table.tolist()
    again = ballots(out, p="votes:votes", annotator="annotators", id="id")
    assert pandq.votes(again.votes).annotators == pandq.votes(read.votes).annotators
    counted = ballots(out, p="counts:counts", id="id")
    assert counted.votes.classes == read.votes.classes == ("maybe", "no", "yes")
    half, most = [[0.2, 0.3, 0.5]] * 120, [[0.4, 0.3, 0.3]] * 120
    q = pa.table({"id": np.arange(100, 220)[::-1], "a": half, "b": most})
    pq.write_table(q, tmp_path / "q.parquet")
    both = {"id": "id", "p": "counts:other.counts", "q": ["probs:a", "probs:b"]}
    joined = pandq.compare(pandq.scan_joined(tmp_path / "q.parquet", out, **both))
    losses = [pandq.cross_entropy(read.votes, pandq.Probs(x)).mean() for x in (half, most)]
    assert [x.cross_entropy.value for x in joined.models] == pytest.approx(losses)


def test_counts_are_of_the_classes_that_the_file_names_in_whatever_order_q_has_them(
    folder, tmp_path
):
    out, predicted = tmp_path / "votes.parquet", tmp_path / "q.parquet"
    run = command(folder / "long.csv", *LONG, "--out", out)
    printed = shlex.split(run.stderr.splitlines()[-1].removeprefix("Next: "))
    q = np.random.default_rng(0).dirichlet(np.ones(3), 220)
    named = {f"prob_{name}": q[:, k] for k, name in enumerate(("yes", "maybe", "no"))}
    pq.write_table(pa.table({"case": np.arange(220), **named}), predicted)
    words = [str(predicted) if x == "PREDICTIONS" else x for x in printed]
    words[-1] = "probs:prob_*"
    assert words[0] == "pandq"
    done = commands.pandq(*words[1:], "--json", "-")
    assert done.returncode == 0, done.stderr
    read = ballots(folder / "long.csv", **FORMS["long.csv"])
    place = {str(x): k for k, x in enumerate(read.ids.to_pylist())}
    rows = np.array([place[str(x)] for x in range(220) if str(x) in place])
    ids = [x for x in range(220) if str(x) in place]
    loss = pandq.cross_entropy(read.votes[rows], pandq.Probs(q[ids][:, [1, 2, 0]]))
    assert json.loads(done.stdout)["cross_entropy"]["value"] == pytest.approx(loss.mean())


BAD = {
    "nowhere said": ((), "it is not said where the votes are"),
    "half said": (("--item", "case"), "it is not said where the votes are"),
    "no such column": (("--item", "case", "--label", "answr"), "Did you mean 'answer'?"),
    "no lists": (("--p", "votes:answer"), "holds no lists of labels"),
    "labels": (("--p", "labels:answer"), "votes are counts or lists of labels"),
    "an unknown class": (
        (*LONG, "--classes", "no,yes"),
        "classes that --classes does not have, got 'maybe'",
    ),
    "no parquet": ((*LONG, "--out", "x.csv"), "the output is parquet"),
    "its own input": ((*LONG, "--out", "long.csv"), "long.csv"),
    "no rows": ((*LONG, "--where", "worker = 'x'"), "there are no votes"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(case, folder, monkeypatch):
    given_, text = BAD[case]
    before = sorted(folder.iterdir())
    monkeypatch.chdir(folder)
    with pytest.raises(InputError) as caught:
        votes_command.main(["long.csv", *given_], standalone_mode=False)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(folder.iterdir()) == before


def test_predictions_are_audited_against_a_votes_file_as_against_their_own(folder, tmp_path):
    votes, guesses = tmp_path / "votes.parquet", tmp_path / "guesses.csv"
    told = command("long.csv", *LONG, "--out", votes, cwd=folder)
    assert told.returncode == 0
    counted = pq.read_table(votes)
    ids, counts = counted["id"].to_pylist(), np.array(counted["counts"].to_pylist())
    order = np.random.default_rng(2).permutation(len(ids))
    rows = [f"{ids[k]},0.2,0.3,0.5" for k in order]
    guesses.write_text("\n".join(["case,q_0,q_1,q_2", *rows, "999999,0.2,0.3,0.5"]))
    asked = {"p": "counts:counts", "q": "probs:q_*", "id": "case"}
    joined = pandq.scan([guesses, votes], **asked)
    assert "left out: 1 rows whose id is only in the first file" in joined.notes[1]
    one = {"case": [str(ids[k]) for k in order], "counts": counts[order].tolist()}
    one |= {f"q_{k}": [x] * len(ids) for k, x in enumerate([0.2, 0.3, 0.5])}
    own = pandq.audit(pandq.scan(pa.table(one), **asked))
    found = pandq.audit(joined)
    assert found.cross_entropy == own.cross_entropy
    assert found.decomposition.floor == own.decomposition.floor
    said = next(line for line in told.stderr.splitlines() if line.startswith("Next: "))
    words = said.replace("PREDICTIONS", str(guesses)).replace("KIND:COLUMN", "probs:q_0,q_1,q_2")
    words = re.sub(" --classes [^ ]*", "", words)
    again = commands.pandq(*shlex.split(words)[2:], "--json", "-", cwd=tmp_path)
    assert json.loads(again.stdout)["cross_entropy"] == found.to_dict()["cross_entropy"]


def test_a_votes_file_that_joins_no_row_is_one_line_with_counts(folder, tmp_path):
    votes, guesses = tmp_path / "votes.parquet", tmp_path / "guesses.csv"
    command("long.csv", *LONG, "--out", votes, cwd=folder)
    n = pq.read_table(votes).num_rows
    guesses.write_text("case,q_0,q_1,q_2\nx1,0.2,0.3,0.5\nx2,0.2,0.3,0.5\n")
    for verb in ("audit", "compare"):
        words = (verb, guesses, votes, "--id", "case", "--p", "counts:counts", "--q", "probs:q_*")
        run = commands.pandq(*words, cwd=tmp_path)
        assert (run.returncode, run.stdout, run.stderr.count("\n")) == (2, "", 1)
        said = f"no 'case' of one file is in the other, got 2 ids such as 'x1', and {n:,} ids such"
        assert said in run.stderr


def test_an_answer_given_twice_is_refused_on_the_command_line_until_it_is_settled(folder, tmp_path):
    lines = (folder / "long.csv").read_text() + "100,w0,yes\n100,w0,no\n"
    (tmp_path / "twice.csv").write_text(lines)
    run = command("twice.csv", *LONG, cwd=tmp_path)
    assert (run.returncode, run.stderr.count("\n")) == (2, 1)
    assert "twice.csv: annotator 'w0' answered row 0 (item '100') twice" in run.stderr
    assert "--duplicates first" in run.stderr
    run = command("twice.csv", *LONG, "--duplicates", "last", cwd=tmp_path)
    assert run.returncode == 0
    assert "further answers of one annotator to one row" in " ".join(run.stdout.split())


def test_the_worked_examples_of_the_document_print_what_stands_there(tmp_path):
    text = (Path(__file__).parents[1] / "docs" / "guides" / "votes.md").read_text(encoding="utf-8")
    for made in re.findall(r"```python\n(.*?)```", text, re.DOTALL)[:2]:
        subprocess.run([sys.executable, "-c", made], cwd=tmp_path, check=True)
    shown = re.findall(r"```sh\npandq ([^\n]*)\n```\n\n```text\n(.*?)```", text, re.DOTALL)
    assert [words.split()[0] for words, _ in shown] == ["votes", "audit"]
    for words, told in shown:
        wide = {**os.environ, "COLUMNS": "110"}
        run = commands.pandq(*shlex.split(words), cwd=tmp_path, env=wide)
        assert [x.rstrip() for x in run.stdout.splitlines()] == told.splitlines()
    assert (tmp_path / "votes.parquet").exists()
    with_features = pq.read_table(tmp_path / "predictions.parquet").rename_columns(
        ["picture", "features", "new"]
    )
    pq.write_table(with_features, tmp_path / "features.parquet")
    also = re.findall(r"```sh\n(pandq compare.*?)```", text, re.DOTALL)[0].splitlines()
    assert [words.split()[1] for words in also] == ["compare", "fit"]
    for words in also:
        run = commands.pandq(*shlex.split(words)[1:], cwd=tmp_path)
        assert run.returncode == 0, run.stderr
        assert "390 rows in both files" in run.stdout
        assert "of votes.parquet" not in run.stdout


def test_the_doctests_of_the_document_hold():
    path = Path(__file__).parents[1] / "docs" / "guides" / "votes.md"
    found = doctest.testfile(str(path), module_relative=False)
    assert found.attempted > 5
    assert found.failed == 0


def test_an_audit_of_a_written_file_is_over_the_people_whom_it_names(folder, tmp_path):
    votes, guesses = tmp_path / "votes.parquet", tmp_path / "guesses.csv"
    told = command("long.csv", *LONG, "--out", votes, cwd=folder)
    assert "--p votes:votes,annotators:annotators" in " ".join(told.stderr.split())
    ids = pq.read_table(votes)["id"].to_pylist()
    guesses.write_text("\n".join(["case,q_0,q_1,q_2", *(f"{x},0.2,0.3,0.5" for x in ids)]))
    words = ("--p", "votes:votes,annotators:annotators", "--q", "probs:q_*", "--json", "-")
    order = ("--classes", "maybe,no,yes")
    run = commands.pandq("audit", guesses, votes, "--id", "case", *words, *order, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["source"]["annotators"] > 1
    assert "annotators" in found["decomposition"]["floor"]["method"]
