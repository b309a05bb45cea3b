"""A layout is a query: files of answers as people hold them become columns that pandq knows."""

import json
import math
import os
import re
import shlex
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import pandq
from pandq import InputError, scan
from pandq.cli import cli
from pandq.read.laid import lay
from pandq.read.layout import layouts

MINIATURES = Path(__file__).parent / "layouts"
# What makes an audit of each miniature: its options, the classes, P as counted by hand, and the
# first row of Q.
AUDITED = {
    "long": (
        {},
        ("negative", "neutral", "positive"),
        [[0, 1, 2], [2, 0, 0], [0, 1, 0]],
        [0.1, 0.3, 0.6],
    ),
    "raters": ({}, ("0", "1", "2"), [[1, 1, 0], [0, 0, 3], [1, 1, 0]], [0.5, 0.3, 0.2]),
    "list-of-labels": (
        {},
        ("entailment", "neutral", "contradiction"),
        [[1, 2, 0], [0, 1, 1], [1, 0, 0]],
        [0.25, 0.5, 0.25],
    ),
    "annotator-map": (
        {"q": "probs:soft_label"},
        ("0", "1"),
        [[1, 1], [1, 2], [1, 0]],
        [0.5, 0.5],
    ),
    "label-counter": ({}, ("e", "n", "c"), [[61, 37, 2], [0, 90, 10]], [0.5, 0.375, 0.125]),
    "label-studio": (
        {"q": "probs:data.probs"},
        ("Negative", "Neutral", "Positive"),
        [[0, 1, 1], [1, 0, 0]],
        [0.125, 0.5, 0.375],
    ),
    "prodigy": ({"q": "probs:score"}, ("no", "yes"), [[1, 1], [1, 0]], [0.25, 0.75]),
    "lm-eval": ({}, None, [0, 1], [-0.5, -2.5]),
    "openai": (
        {"classes": ["A", "B"]},
        ("A", "B"),
        [0, 0],
        [-0.25, math.log(math.exp(-1.75) + math.exp(-4.5))],
    ),
    "kaggle": ({}, ("cat", "dog"), [0, 1, 1], [0.9, 0.1]),
}


def run(name, *words):
    """A command by itself: within the group click would keep the group's names of --help for it."""
    return CliRunner().invoke(cli.commands[name], words)


def files_of(name):
    """A layout's miniature, and the truth beside it where there is one."""
    return sorted(MINIATURES.glob(f"{name}.*"), key=lambda file: ".truth" in file.name)


def commands_of_the_page():
    """What a reader of docs/guides/layouts.md types."""
    text = (Path(__file__).parents[2] / "docs" / "guides" / "layouts.md").read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def chunk_of(rows):
    (chunk,) = rows.chunks()
    return chunk


def test_every_layout_has_a_miniature_and_an_example():
    kept = {file.name.split(".")[0] for file in MINIATURES.iterdir()}
    assert set(layouts()) == kept | {"hub-images"}
    assert all(layout.about.endswith(".") and layout.examples for layout in layouts().values())


@pytest.mark.parametrize("name", AUDITED)
def test_a_miniature_is_read_as_it_was_counted_by_hand(name):
    options, classes, p, q = AUDITED[name]
    rows = scan(files_of(name), layout=name, **options)
    chunk = chunk_of(rows)
    assert rows.classes == classes
    assert chunk.p.array.tolist() == p
    assert chunk.q.array[0] == pytest.approx(q, abs=1e-15)


@pytest.mark.parametrize("name", [name for name in AUDITED if name != "annotator-map"])
def test_the_command_that_inspect_prints_audits_a_miniature_as_it_was_counted_by_hand(
    name, monkeypatch, tmp_path
):
    _, _, p, q = AUDITED[name]
    monkeypatch.chdir(MINIATURES)
    files = [file.name for file in files_of(name)]
    found = pandq.inspect(files)
    assert found.layouts[0] == name
    step = next(step for step in found.next_steps if step.startswith("pandq audit"))
    assert f"--layout {name}" in step
    _, command, *words = shlex.split(step)
    out = tmp_path / "items.parquet"
    done = run(command, *words, "--items", str(out))
    assert (done.exit_code, done.stderr) == (0, "")
    items = pq.read_table(out)
    first = np.array(q) if name not in ("lm-eval", "openai") else np.exp(q) / np.exp(q).sum()
    share = np.array(p[0]) / np.sum(p[0]) if isinstance(p[0], list) else np.eye(len(q))[p[0]]
    loss = -(share * np.log(first)).sum()
    assert items["cross_entropy"][0].as_py() == pytest.approx(loss, abs=1e-12)


WITH_VOTES = ("long", "raters", "list-of-labels", "annotator-map", "label-counter", "prodigy")


@pytest.mark.parametrize("name", [*WITH_VOTES, "label-studio"])
def test_the_command_that_inspect_prints_counts_the_votes_of_a_miniature(
    name, monkeypatch, tmp_path
):
    _, classes, p, _ = AUDITED[name]
    monkeypatch.chdir(MINIATURES)
    steps = pandq.inspect(files_of(name)[0].name).next_steps
    step = next(step for step in steps if step.startswith("pandq votes"))
    out = tmp_path / "votes.parquet"
    done = run("votes", *shlex.split(step)[2:], "--out", str(out))
    assert done.exit_code == 0, done.stderr
    counted = np.array(pq.read_table(out)["counts"].to_pylist()).sum(axis=0).tolist()
    names = re.search("counts are of (.*), in this order", done.stderr)[1].split(", ")
    expected = dict(zip(classes, np.sum(p, axis=0).tolist(), strict=True))
    assert dict(zip(names, counted, strict=True)) == {x: n for x, n in expected.items() if n}


def test_what_a_second_file_is_needed_for_is_said_with_a_word_in_its_place(monkeypatch):
    monkeypatch.chdir(MINIATURES)
    (kaggle,) = pandq.inspect("kaggle.csv").next_steps
    assert kaggle == "pandq audit kaggle.csv TRUTH_FILE --layout kaggle"
    (vllm,) = pandq.inspect("vllm.jsonl").next_steps
    words = shlex.split(vllm.replace("OTHER_FILE", "vllm.jsonl").replace("--classes K", ""))[2:]
    done = run("compare", *words, "--classes", "4096")
    assert done.exit_code == 0, done.stderr


def test_inspect_finds_no_layout_in_a_plain_table_of_predictions():
    table = pa.table({"id": ["a"], "label": [0], "probs": [[0.5, 0.5]]})
    assert pandq.inspect(table).layouts == ()


def test_vllm_gives_the_likeliest_tokens_of_each_position():
    rows = scan(files_of("vllm"), layout="vllm", p="topk:ids,log_probs", classes=16)
    top = chunk_of(rows).q
    assert top.ids.tolist() == [[9, 7], [3, 9]]
    assert top.log_probs.tolist() == [[-0.25, -2.0], [-0.5, -1.5]]


def test_lm_eval_divides_by_the_length_of_the_choice_where_asked():
    rows = scan(files_of("lm-eval"), layout="lm-eval", q="logits:per_character")
    assert chunk_of(rows).q.array.tolist() == [[-0.5 / 4, -2.5 / 4], [-0.5, -0.5]]


@pytest.mark.parametrize("q", ["logits", "per_character"])
def test_a_choice_that_a_question_does_not_have_has_no_probability(q, tmp_path):
    """Against a softmax over each question's own choices; numbers beside names, as text or not."""
    rng = np.random.default_rng(3)
    texts = [" yes", " no", " maybe", " not at all"]
    lines, losses = [], []
    for i, k in enumerate([2, 3, 4, 2, 3] * 20):
        x = rng.normal(size=k) * 3
        y = int(rng.integers(k))
        target = [y, str(y), texts[y]][i % 3]
        arguments = [["Q", text] for text in texts[:k]]
        answers = [[value, False] for value in x.tolist()]
        line = {"doc_id": i, "target": target, "arguments": arguments, "filtered_resps": answers}
        lines.append(json.dumps(line))
        z = x if q == "logits" else x / [len(text) - 1 for text in texts[:k]]
        losses.append(np.log(np.exp(z).sum()) - z[y])
    file = tmp_path / "samples.jsonl"
    file.write_text("\n".join(lines), "utf-8")
    rows = scan(file, layout="lm-eval", q=f"logits:{q}")
    found = pandq.audit(rows)
    assert found.cross_entropy.value == pytest.approx(np.mean(losses), abs=1e-12)
    assert np.isneginf(chunk_of(rows).q.array).sum() == 2 * 40 + 40
    assert any(note.startswith("80 rows with fewer choices than others") for note in rows.notes)
    assert found.decomposition is not None
    assert found.infinite_rows == 0


def test_what_was_left_out_is_counted():
    notes = scan(files_of("label-studio"), layout="label-studio", q="probs:data.probs").notes
    assert "1 annotations that were cancelled or chose nothing, left out" in notes
    notes = scan(files_of("openai"), layout="openai", classes=["A", "B"]).notes
    assert "1 requests that failed or have no log-probabilities, left out" in notes


def test_a_column_of_which_an_item_has_several_values_is_named_where_it_is_missed():
    with pytest.raises(InputError, match="several values of it: WorkTimeInSeconds"):
        scan(files_of("long"), layout="long", by="WorkTimeInSeconds")


def test_a_laid_out_table_gives_the_document_of_a_table_that_has_these_columns(tmp_path):
    long = scan(files_of("long"), layout="long")
    (chunk,) = long.chunks()
    said = chunk.votes
    assert said.table.tolist() == [[0, 1, 2], [2, 0, 0], [0, 1, 0]]
    table = pa.table(
        {
            "item": ["H1", "H2", "H3"],
            "votes": [[said.classes[k] for k in row.codes] for row in said],
            "who": [[said.annotator_names[k] for k in row.annotators] for row in said],
            "prob_negative": [0.1, 0.8, 0.2],
            "prob_neutral": [0.3, 0.1, 0.5],
            "prob_positive": [0.6, 0.1, 0.3],
        }
    )
    plain = pandq.audit(scan(table, p="votes:votes,annotators:who", id="item")).to_dict()
    found = pandq.audit(long).to_dict()
    told = ("notes", "source")
    apart = {key for key in plain if plain[key] != found[key]}
    assert apart <= set(told)


def test_the_order_of_answers_and_files_of_other_names_do_not_matter(tmp_path):
    rng = np.random.default_rng(5)
    lines = (MINIATURES / "long.csv").read_text("utf-8").splitlines()
    head = lines[0].replace("HITId", "unit x").replace("WorkerId", "by").replace("Answer.", "")
    shuffled = [lines[1 + int(k)] for k in rng.permutation(len(lines) - 1)]
    file = tmp_path / "other.csv"
    file.write_text("\n".join([head, *shuffled]) + "\n", "utf-8")
    rows = scan(file, layout="long", item="unit x", annotator="by", label="sentiment")
    chunk = chunk_of(rows)
    found = dict(zip(chunk.ids.to_pylist(), chunk.p.array.tolist(), strict=True))
    assert found == {"H1": [0, 1, 2], "H2": [2, 0, 0], "H3": [0, 1, 0]}


def test_parquet_json_and_a_table_in_memory_are_laid_out_like_csv(tmp_path):
    file = MINIATURES / "long.csv"
    duckdb.sql(f"COPY (FROM '{file}') TO '{tmp_path}/x.parquet'")
    duckdb.sql(f"COPY (FROM '{file}') TO '{tmp_path}/x.jsonl' (FORMAT json)")
    table = pq.read_table(tmp_path / "x.parquet")
    expected = chunk_of(scan(file, layout="long")).p.array.tolist()
    for data in (tmp_path / "x.parquet", tmp_path / "x.jsonl", table):
        assert chunk_of(scan(data, layout="long")).p.array.tolist() == expected


def test_a_layout_of_ones_own_is_a_file(tmp_path):
    own = tmp_path / "mine.sql"
    own.write_text(
        "-- Two columns of votes.\n-- needs item: case\n-- p: counts:n\n-- id: {item}\n"
        "SELECT *, list_value(coalesce(rater_1 = 0, false)::INT, 1) AS n FROM file\n"
    )
    rows = scan(MINIATURES / "raters.csv", layout=str(own), q="probs:prob_0,prob_1")
    assert str(rows.p) == "counts:n"
    assert rows.id == "case"
    assert rows.notes[0] == "--layout mine takes case as item"


def test_a_select_makes_columns():
    rows = scan(
        MINIATURES / "raters.csv",
        select="rater_2::INT AS label, list_value(prob_0, prob_1, prob_2) AS probs",
        where="label > 0",
    )
    assert chunk_of(rows).p.array.tolist() == [1, 2, 1]
    rows = scan(
        MINIATURES / "raters.csv",
        select="rater_2::INT AS label, list_value(prob_0, prob_1, prob_2) AS probs",
        where="label > 1",
    )
    assert chunk_of(rows).q.array.tolist() == [[0.1, 0.1, 0.8]]


REFUSED = {
    "an unknown layout": ({"layout": "lnog"}, "no such layout, got 'lnog'. Did you mean 'long'"),
    "a layout that does not fit": (
        {"layout": "annotator-map"},
        "layout annotator-map finds no column for label .map or text., got columns HITId",
    ),
    "a column that is not there": ({"layout": "long", "item": "HIT"}, "--item: no column 'HIT'"),
    "both": ({"layout": "long", "select": "*"}, "two ways to say one thing"),
    "a name without a layout": ({"item": "HITId"}, "--item names a column for a layout"),
    "a column of a query": ({"select": "wrong"}, "--select: there is no column 'wrong'"),
    "a query that fails": ({"select": "sqrt('x') AS label"}, "--select is no query"),
    "no file": ({"layout": "none.sql"}, "the layout cannot be read"),
    "what to do of duplicates": ({"layout": "long", "duplicates": "x"}, "duplicates is one of"),
    "no text": ({"layout": " "}, "layout is empty"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_one_line(name):
    options, said = REFUSED[name]
    with pytest.raises(InputError, match=said):
        scan(MINIATURES / "long.csv", **options)


def test_an_item_that_an_annotator_answered_twice_is_named(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("item,annotator,label,p_0,p_1\nu7,ann,0,0.5,0.5\nu7,ann,1,0.5,0.5\n")
    with pytest.raises(InputError, match=r"annotator 'ann' answered row 0 \(item 'u7'\) twice"):
        scan(file, layout="long")
    (chunk,) = scan(file, layout="long", duplicates="last").chunks()
    assert chunk.p.array.tolist() == [[0, 1]]


def test_rows_without_an_item_are_counted(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("item,annotator,label\n1,a,x\n,a,y\n,b,y\n")
    with pytest.raises(InputError, match="2 of 3 rows have no item"):
        scan(file, layout="long", q="probs:p")


def test_a_truth_that_repeats_an_id_or_joins_no_row_is_refused(tmp_path):
    truth = tmp_path / "truth.csv"
    truth.write_text("id,label\n1.png,cat\n1.png,dog\n")
    with pytest.raises(InputError, match="1 rows of the second file repeat an id, such as"):
        scan([MINIATURES / "kaggle.csv", truth], layout="kaggle")
    truth.write_text("id,label\n7.png,cat\n")
    with pytest.raises(InputError, match="no id of one file is in the other, got 3 and 1 ids"):
        scan([MINIATURES / "kaggle.csv", truth], layout="kaggle")


def test_the_command_line_takes_layouts_and_lists_them(tmp_path):
    listed = run("layouts").output
    assert all(f"{name}\n  {layout.about}" in listed for name, layout in layouts().items())
    out = tmp_path / "a.json"
    options = ["--layout", "long", "--no-decompose", "--json", str(out)]
    run("audit", str(MINIATURES / "long.csv"), *options)
    found = json.loads(out.read_text())
    shares = [[1 / 3, 2 / 3], [1.0], [1.0]]
    entropy = sum(-x * math.log(x) for row in shares for x in row) / 3
    assert found["entropy"]["value"] == pytest.approx(entropy, abs=1e-12)
    assert found["source"]["name"].endswith("long.csv")


def test_two_logs_of_answers_are_compared_by_their_ids(tmp_path):
    first = MINIATURES / "openai.jsonl"
    second = tmp_path / "other.jsonl"
    second.write_text(first.read_text("utf-8").replace("-1.75", "-2.75"), "utf-8")
    rows = pandq.scan_joined(
        first,
        second,
        layout="openai",
        id="custom_id",
        p="logits:top",
        q="logits:top",
        classes=["A", "B"],
    )
    models = pandq.compare(rows, decompose=False).models
    assert [model.q for model in models] == [
        "logits:top of openai.jsonl",
        "logits:top of other.jsonl",
    ]
    assert models[0].kl.value == 0
    assert models[1].kl.value > 0


BESIDE = Path(os.environ.get("PANDQ_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
CASES = BESIDE.parent / "cases" / "layouts"
RIGHT = {
    "likert_long_float.csv": (
        {"layout": "long", "annotator": "user", "label": "offensiveness", "q": "probs:q_*"},
        0.7946,
        1.1980,
    ),
    "wide_raters.tsv": ({"layout": "raters"}, 0.4768, 0.8282),
    "label_studio.json": (
        {
            "layout": "label-studio",
            "q": "probs:data.probs",
            "classes": ["Positive", "Neutral", "Negative"],
        },
        0.3500,
        0.6535,
    ),
    "lewidi_strings.json": ({"layout": "annotator-map", "q": "probs:soft_label"}, 0.1825, None),
    "struct_votes_probs.jsonl": ({}, 0.3915, 0.5278),
    "submission.csv solution.csv": ({"layout": "kaggle"}, 0.0, 0.2431),
    "labels_n1.npz": (
        {"p": "labels:labels", "q": "logits:logits", "normalise": []},
        0.0,
        0.2431,
    ),
}


@pytest.mark.skipif(not CASES.exists(), reason="needs PANDQ_DATA")
@pytest.mark.parametrize("names", RIGHT)
def test_a_case_has_the_entropy_and_the_loss_that_numpy_found(names):
    options, entropy, loss = RIGHT[names]
    rows = scan([CASES / name for name in names.split()], **{"normalise": ["q"], **options})
    found = pandq.audit(rows, decompose=False)
    assert round(found.entropy.value, 4) == entropy
    assert loss is None or round(found.cross_entropy.value, 4) == loss


@pytest.mark.parametrize("command", commands_of_the_page())
def test_a_command_of_the_page_runs(command, monkeypatch):
    monkeypatch.chdir(MINIATURES)
    program, *words = shlex.split(command)
    done = run(*words)
    assert (program, done.exit_code) == ("pandq", 0)
    assert done.output


SAID = {"Ann": "yes", "bob": "no", "eve": "Yes"}
Q_OF = {"yes": 0.5, "no": 0.5}


def _as_long(answers):
    lines = [f"{i},{who},{x},0.5,0.5" for i, row in enumerate(answers) for who, x in row]
    return "csv", "\n".join(["item,annotator,label,p_yes,p_no", *lines]), "probs:p_*"


def _as_raters(answers):
    lines = [f"{i},{','.join(x for _, x in row)},0.5,0.5" for i, row in enumerate(answers)]
    return "csv", "\n".join(["case,rater_1,rater_2,rater_3,p_yes,p_no", *lines]), "probs:p_*"


def _as_lines(of_row):
    def made(answers):
        rows = [{**of_row(row), "probs": Q_OF} for row in answers]
        return "jsonl", "\n".join(map(json.dumps, rows)), "probs:probs"

    return made


def _as_prodigy(answers):
    rows = [
        {"_task_hash": i, "_annotator_id": who, "accept": [x], "answer": "accept", "probs": Q_OF}
        for i, row in enumerate(answers)
        for who, x in row
    ]
    return "jsonl", "\n".join(map(json.dumps, rows)), "probs:probs"


def _as_studio(answers):
    def annotation(who, x):
        chosen = [{"type": "choices", "value": {"choices": [x]}}]
        return {"completed_by": who, "was_cancelled": False, "result": chosen}

    rows = [
        {"id": i, "annotations": [annotation(*one) for one in row], "data": {"probs": Q_OF}}
        for i, row in enumerate(answers)
    ]
    return "json", json.dumps(rows), "probs:data.probs"


WRITTEN = {
    "long": _as_long,
    "raters": _as_raters,
    "list-of-labels": _as_lines(
        lambda row: {"annotator_labels": [x for _, x in row], "annotators": [w for w, _ in row]}
    ),
    "annotator-map": _as_lines(
        lambda row: {
            "annotations": ",".join(x for _, x in row),
            "annotators": ",".join(w for w, _ in row),
        }
    ),
    "prodigy": _as_prodigy,
    "label-studio": _as_studio,
}


def written(name, answers, folder):
    suffix, text, q = WRITTEN[name](answers)
    file = folder / f"x.{suffix}"
    file.write_text(text, "utf-8")
    return str(file), q


@pytest.mark.parametrize("name", WRITTEN)
def test_labels_that_differ_by_capitals_are_said_with_counts_and_not_merged(name, tmp_path):
    file, q = written(name, [list(SAID.items())] * 4, tmp_path)
    done = run("votes", file, "--layout", name)
    assert "alone are classes apart: 'Yes' (4), 'yes' (4)" in " ".join(done.output.split())
    with pytest.raises(InputError, match=r"x\..*: 4 votes name 1 classes .*, got 'Yes' \(4\)"):
        scan(file, layout=name, q=q)


@pytest.mark.parametrize("name", [name for name in WRITTEN if name != "raters"])
def test_a_second_answer_of_one_annotator_is_said_with_counts(name, tmp_path):
    file, q = written(name, [[("Ann", "yes"), ("bob", "no"), ("Ann", "no")]] * 4, tmp_path)
    said = r"annotator 'Ann' answered row 0 .*twice \(4 answers too many in all\)"
    with pytest.raises(InputError, match=said):
        scan(file, layout=name, q=q)
    done = run("votes", file, "--layout", name)
    assert re.search(said, str(done.exception))


@pytest.mark.parametrize("name", ["raters", "list-of-labels", "label-studio"])
def test_items_without_an_answer_are_counted(name, tmp_path):
    rows = [list({**SAID, "eve": "no"}.items())] * 4
    none = [("Ann", ""), ("bob", ""), ("eve", "")] if name == "raters" else []
    file, q = written(name, [*rows, none, none], tmp_path)
    with pytest.raises(InputError, match=r"2 of 6 rows have no vote, the first is row 4.*--where"):
        scan(file, layout=name, q=q)
    assert "2 without a vote" in " ".join(run("votes", file, "--layout", name).output.split())


def test_maps_are_held_to_the_same(tmp_path):
    file = tmp_path / "x.jsonl"
    one = {"label_counter": {"yes": 3, "maybe": 1}, "probs": Q_OF}
    file.write_text("\n".join([json.dumps(one)] * 3), "utf-8")
    with pytest.raises(InputError, match=r"x\.jsonl: P's maps name 1 classes .*'maybe' \(3\)"):
        scan(file, layout="label-counter", q="probs:probs")
    file.write_text(json.dumps({"label_counter": {"yes": 3, "Yes": 1}, "probs": Q_OF}), "utf-8")
    with pytest.raises(InputError, match=r"x\.jsonl: two keys of one object differ by capitals"):
        scan(file, layout="label-counter", q="probs:probs")


def test_inspect_finds_the_answers_among_texts_and_traits_of_people(tmp_path):
    """As in public sets: a rater's traits, a text called response, several questions."""
    rng = np.random.default_rng(6)
    lines = ["id,item_id,rater_id,rater_gender,rater_age,response,Q1_harm,Q2_bias"]
    for i in range(40):
        for k in rng.choice(8, 4, replace=False):
            harm, bias = rng.choice(["No", "Yes", "Unsure"], 2)
            lines.append(f"{i * 8 + k},{i},{k},{'MW'[k % 2]},{20 + k},text {i},{harm},{bias}")
    file = tmp_path / "x.csv"
    file.write_text("\n".join(lines), "utf-8")
    (step,) = pandq.inspect(file).next_steps
    assert step == f"pandq votes {file} --layout long --label Q1_harm"


def test_answers_are_gathered_in_parts_to_the_table_that_they_make_at_once(tmp_path, monkeypatch):
    """Items stay whole, in the order of the file, with their answers as they were given."""
    draw = np.random.default_rng(4)
    rows = [(f"i{draw.integers(60)}", f"w{draw.integers(9)}", "abc"[draw.integers(3)])
            for _ in range(500)]  # fmt: skip
    path = tmp_path / "long.csv"
    lines = [f"{item},{who},{label},{len(item)}" for item, who, label in rows]
    path.write_text("\n".join(["item,annotator,label,size", *lines]))
    given = {}
    for item, who, label in rows:
        given.setdefault(item, ([], []))[0].append(label)
        given[item][1].append(who)
    whole = lay(path, layout="long").source
    monkeypatch.setattr("pandq.read.split.ANSWERS", 40)
    parts = lay(path, layout="long").source
    for source in (whole, parts):
        table = pa.table({x: y for _, batch in source.batches(list(source.schema), 999)
                          for x, y in batch.items()})  # fmt: skip
        assert table["item"].to_pylist() == list(given)
        assert table["votes"].to_pylist() == [x for x, _ in given.values()]
        assert table["annotators"].to_pylist() == [x for _, x in given.values()]
        assert table["size"].to_pylist() == [len(x) for x in given]
        assert table.column_names == ["item", "votes", "annotators", "size"]


@pytest.mark.parametrize("name", ["long", "label-studio", "prodigy"])
def test_a_layout_in_parts_has_the_document_of_the_whole(name, monkeypatch):
    files, options = [str(x) for x in files_of(name)], AUDITED[name][0]
    told = []
    for answers in (1 << 20, 2):
        monkeypatch.setattr("pandq.read.split.ANSWERS", answers)
        rows = scan(files, layout=name, **options)
        told.append((pandq.audit(rows, decompose=False).to_dict(), rows.notes))
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("truth", "more", "loss"),
    [
        # of one class a row, of one yes or no, of any number of classes
        (["a,1,0", "b,0,1"], (), -(np.log(0.75) + np.log(0.5)) / 2),
        (["b,1", "a,0"], (), -(np.log(0.5) + np.log(0.75)) / 2),
        (["b,1,1", "a,1,0"], ("--multilabel",), -(2 * np.log(0.5) + 2 * np.log(0.75)) / 2),
    ],
)
def test_a_truth_of_the_same_columns_has_a_number_for_each_class(
    truth, more, loss, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    classes = truth[0].count(",")
    header = ",".join(["id", "cat", "dog"][: 1 + classes])
    rows = ["a,0.75,0.25", "b,0.5,0.5"] if classes > 1 else ["a,0.25", "b,0.5"]
    Path("sub.csv").write_text("\n".join([header, *rows]))
    Path("sol.csv").write_text("\n".join([header, *truth]))
    files = ("sub.csv", "sol.csv")
    found = json.loads(run("audit", *files, "--layout", "kaggle", *more, "--json", "-").stdout)
    assert found["cross_entropy"]["value"] == pytest.approx(loss, rel=1e-12)
    step = pandq.inspect(list(files)).next_steps[0]
    assert step == " ".join(["pandq audit sub.csv sol.csv --layout kaggle", *more])


def test_two_parts_of_a_submission_are_one_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("one.csv").write_text("id,cat,dog\na,0.75,0.25\n")
    Path("two.csv").write_text("id,cat,dog\nb,0.5,0.5\n")
    Path("truth.csv").write_text("id,label\nb,dog\na,cat\n")
    both = lay(["one.csv", "two.csv"], layout="kaggle")
    assert (both.source.n_rows, both.p) == (2, None)
