"""What is written: whole or not at all, into what it is, and never over what is read."""

import errno
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pandq import store
from pandq.errors import InputError
from pandq.store import (
    Own,
    all_or_none,
    append_text,
    check_new_folder,
    check_outputs,
    whole_file,
    whole_folder,
    write_json,
)
from tests.commands import pandq

OWN = Own("model.json", "pandq/model/", ("model.json", "weights.safetensors"))
COMMAND = [sys.executable, "-m", "pandq"]
ROOM = 8192


def in_little_room(*words):
    """`python -m pandq` where no file may be larger than `ROOM` bytes."""
    command, room = [*COMMAND, *map(str, words)], little_room
    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=room)


def written(path, text="new"):
    with whole_file(path) as part:
        part.write_text(text)


def model(folder, text="old"):
    folder.mkdir(exist_ok=True)
    (folder / "model.json").write_text(json.dumps({"schema": "pandq/model/1", "is": text}))
    return folder


def little_room():
    """In a child: no file may grow beyond ROOM bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "x.parquet"
    rng = np.random.default_rng(0)
    columns = {
        "label": np.arange(600) % 3,
        "probs": rng.dirichlet(np.ones(3), 600).tolist(),
        "features": rng.normal(size=(600, 400)).tolist(),
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    real, link = tmp_path / "real", tmp_path / "link"
    (tmp_path / "far").mkdir()
    link.symlink_to(tmp_path / "far" / "real")
    written(link, "first")
    written(link)
    assert link.is_symlink()
    assert (tmp_path / "far" / "real").read_text() == "new"
    assert not real.exists()


def test_both_names_of_a_file_have_what_is_written(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("a longer text than the new one")
    os.link(one, other)
    written(one)
    assert (one.read_text(), other.read_text()) == ("new", "new")
    assert one.samefile(other)


def test_where_there_is_no_room_a_file_of_two_names_is_as_it_was(tmp_path, monkeypatch):
    one = tmp_path / "one"
    one.write_text("old")
    os.link(one, tmp_path / "other")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(InputError, match="one: cannot be written, got No space left"):
        written(one)
    assert one.read_text() == "old"


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_keeps_its_mode(tmp_path, mode):
    path = tmp_path / "x"
    path.touch()
    path.chmod(mode)
    written(path)
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)


def test_a_file_keeps_its_owner(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    if os.geteuid() != 0:
        pytest.skip("needs root to give a file away")
    os.chown(path, 1234, 1234)
    written(path)
    assert (path.read_text(), path.stat().st_uid) == ("new", 1234)


def test_a_device_stays_a_device(tmp_path):
    written("/dev/null")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    link = tmp_path / "null"
    link.symlink_to("/dev/null")
    written(link)
    assert link.is_symlink()


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read = []
    reader = threading.Thread(target=lambda: read.append(path.read_text()))
    reader.start()
    written(path)
    reader.join()
    assert read == ["new"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_device_that_is_full_is_one_line():
    with pytest.raises(InputError, match=r"^/dev/full: cannot be written, got No space left"):
        written("/dev/full")


def test_links_that_go_in_circles_are_refused(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(InputError, match="circles"):
        written(tmp_path / "a")


def test_an_error_of_reading_is_not_taken_for_one_of_writing(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "x"):
        (tmp_path / "no").read_text()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("made", [os.symlink, os.link])
def test_an_output_is_never_an_input_by_another_name(tmp_path, made):
    data, other = tmp_path / "x.csv", tmp_path / "y.json"
    data.write_text("mine")
    made(data, other)
    for given in (data, tmp_path, tmp_path / "*.csv"):
        with pytest.raises(InputError, match="the output is an input"):
            check_outputs([str(given)], str(other))
        with pytest.raises(InputError, match="the output is an input"):
            check_outputs([str(given)], appended=str(other))


def test_two_outputs_are_two_files_but_may_go_to_one_device(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "x")
    with pytest.raises(InputError, match="two outputs have one name"):
        check_outputs([], str(tmp_path / "x"), str(tmp_path / "link"))
    check_outputs([], "/dev/null", "/dev/null")


def test_a_folder_of_a_commands_own_holds_no_input_and_no_output(tmp_path):
    own, data = tmp_path / "own", tmp_path / "own" / "x.csv"
    own.mkdir()
    data.touch()
    for given, outputs, folders in (
        ([data], [], [own]),
        ([own], [], [own]),
        ([], [own / "y.json"], [own]),
        ([], [], [own, own]),
        ([], [], [own, own / "inner"]),
        ([], [], [own / "inner", own]),
    ):
        with pytest.raises(InputError, match="not this command's alone"):
            check_outputs(given, *map(str, outputs), folders=[str(x) for x in folders])
    check_outputs([data], str(own / "y.json"), folders=[str(tmp_path / "other"), None])


@pytest.mark.parametrize(
    "line", ["--json {0} >{0}", "--json {0} 2>>{0}", "--json /dev/stdout >{0}"]
)
def test_where_standard_output_goes_nothing_else_is_written(file, tmp_path, line):
    out = tmp_path / "out"
    words = line.format(out)
    done = subprocess.run(
        ["bash", "-c", f"{' '.join(COMMAND)} audit {file} --no-decompose {words}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "goes to this file" in done.stderr + out.read_text()


def test_a_summary_is_appended_whole_or_not_at_all(tmp_path):
    path = tmp_path / "summary"
    path.write_text("old\n")
    code = (
        "import sys, resource; from pandq.store import append_text\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({ROOM}, {ROOM}))\n"
        f"append_text('x' * {2 * ROOM}, sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=False
    )
    assert "InputError" in done.stderr
    assert "File too large" in done.stderr
    assert path.read_text() == "old\n"
    append_text("new\n", path)
    assert path.read_text() == "old\nnew\n"


def test_a_summary_may_not_be_the_data(file):
    before = file.read_bytes()
    done = pandq("audit", file, env=os.environ | {"GITHUB_STEP_SUMMARY": str(file)})
    assert (done.returncode, done.stdout) == (2, "")
    assert "the output is an input" in done.stderr
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        ("audit", "{file}", "--no-decompose", "--json", "{out}"),
        ("audit", "{file}", "--no-decompose", "--html", "{out}"),
        ("audit", "{file}", "--no-decompose", "--items", "{out}"),
        ("explore", "--out", "{out}"),
        ("fit", "{file}", "--x", "features", "--p", "labels:label", "--out", "{out}"),
    ],
)
def test_where_there_is_no_room_one_line_says_so_and_nothing_is_left(file, tmp_path, words):
    out = tmp_path / "out"
    done = in_little_room(*(word.format(file=file, out=out) for word in words))
    assert done.returncode == 2
    assert f"pandq: {out}: cannot be written, got File too large" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


Q = ("--q", "probs:probs")


def test_of_several_outputs_all_are_written_or_none(file, tmp_path):
    older, device = tmp_path / "a.json", tmp_path / "full"
    older.write_text("older")
    device.symlink_to("/dev/full")
    outputs = ("--json", older, "--recalibrator", tmp_path / "map.json", "--items", tmp_path / "i")
    found = pandq(
        "audit", file, "--p", "labels:label", "--q", "probs:q", *outputs, "--html", device
    )
    assert found.returncode == 2
    assert found.stderr.count("\n") == 1
    assert older.read_text() == "older"
    assert not {x.name for x in tmp_path.iterdir()} - {file.name, "a.json", "full"}


def test_a_map_that_nobody_fits_leaves_nothing_beside_it(file, tmp_path):
    outputs = ("--json", tmp_path / "a.json", "--recalibrator", tmp_path / "map.json")
    found = pandq("audit", file, "--p", "labels:label", *Q, "--no-decompose", *outputs)
    assert found.returncode == 2
    assert "--recalibrator has no map to write, got --no-decompose" in found.stderr
    assert found.stdout == ""
    assert not {x.name for x in tmp_path.iterdir()} - {file.name}


def test_files_that_are_written_together_take_their_places_together(tmp_path):
    def failing():
        with all_or_none():
            write_json({"a": 1}, tmp_path / "a.json")
            assert not (tmp_path / "a.json").exists()
            with whole_file(tmp_path / "b") as part:
                part.write_text("b")
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        failing()
    assert list(tmp_path.iterdir()) == []
    with all_or_none():
        write_json({"a": 1}, tmp_path / "a.json")
    assert [x.name for x in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_replaces_one_of_its_kind_and_keeps_its_modes(tmp_path):
    folder = model(tmp_path / "model")
    folder.chmod(0o700)
    (folder / "model.json").chmod(0o600)
    with whole_folder(folder, OWN, replace=True) as part:
        model(part, "new")
        (part / "weights.safetensors").touch()
    assert "new" in (folder / "model.json").read_text()
    modes = [stat.S_IMODE(x.stat().st_mode) for x in (folder, folder / "model.json")]
    assert modes == [0o700, 0o600]
    assert [x.name for x in tmp_path.iterdir()] == ["model"]


def test_a_linked_folder_is_followed(tmp_path):
    model(tmp_path / "model")
    (tmp_path / "link").symlink_to(tmp_path / "model")
    with whole_folder(tmp_path / "link", OWN, replace=True) as part:
        model(part, "new")
    assert (tmp_path / "link").is_symlink()
    assert "new" in (tmp_path / "model" / "model.json").read_text()


@pytest.mark.parametrize("name", ["train.csv", ".hidden", "weights.safetensors/"])
def test_a_folder_that_holds_something_else_is_never_replaced(tmp_path, name):
    folder = model(tmp_path / "model")
    other = folder / name
    other.mkdir() if name.endswith("/") else other.write_text("mine")
    with pytest.raises(InputError, match="holds what pandq did not write, got "):
        check_new_folder(folder, OWN, replace=True)
    assert other.exists()


@pytest.mark.parametrize("text", ["{}", "no JSON", '{"schema": "pandq/audit/2"}', "[1]"])
def test_a_folder_with_somebody_elses_document_is_never_replaced(tmp_path, text):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.json").write_text(text)
    with pytest.raises(InputError, match=r"holds no model\.json of pandq's"):
        check_new_folder(folder, OWN, replace=True)


def test_what_stood_there_is_back_when_the_new_cannot_take_its_place(tmp_path, monkeypatch):
    folder = model(tmp_path / "model")

    def refuse(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(folder), "replace", refuse)
    with pytest.raises(KeyboardInterrupt), whole_folder(folder, OWN, replace=True) as part:
        model(part, "new")
    assert "old" in (folder / "model.json").read_text()
    assert [x.name for x in tmp_path.iterdir()] == ["model"]


def test_force_leaves_the_data_in_the_models_folder_alone(file, tmp_path):
    folder = model(tmp_path / "model")
    data = folder / "curve.parquet"
    data.write_bytes(file.read_bytes())
    words = ("--x", "features", "--p", "labels:label", "--force")
    for out in (folder, tmp_path):
        done = pandq("fit", data, *words, "--out", out)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    done = pandq("fit", file, *words, "--out", tmp_path / "m", "--checkpoint", tmp_path / "m")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert data.read_bytes() == file.read_bytes()
    assert [x.name for x in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_mid_write_leaves_nothing(tmp_path, number):
    code = (
        "import sys, time; from pathlib import Path; from pandq.store import whole_file\n"
        "from pandq.cli import app\n"
        "def slow(*_, **__):\n"
        "    with whole_file(sys.argv[-1]) as part:\n"
        "        part.write_text('half'); time.sleep(30)\n"
        "app.inspect_command.callback = slow\n"
        "sys.argv[1:1] = ['inspect']\n"
        "app.main()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path / "out"], stderr=-1)
    deadline = time.monotonic() + 60
    while not any(x.stat().st_size for x in tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    said = process.communicate(timeout=30)[1]
    assert (process.returncode, said) == (128 + number, b"")
    assert list(tmp_path.iterdir()) == []


def test_what_is_stored_has_nothing_in_it_that_a_terminal_reads():
    text = store.json_text({"name": "a\x1b\x9b\u202e\udc80é"})
    assert json.loads(text) == {"name": "a\x1b\x9b\u202e\udc80é"}
    assert "\x9b" not in text
    assert "é" in text
    text.encode()


def test_links_that_go_in_circles_are_no_fault(tmp_path):
    loop = tmp_path / "loop.json"
    loop.symlink_to("loop.json")
    with pytest.raises(InputError, match="in circles"), whole_file(loop):
        pass
    check_outputs([str(loop)], str(tmp_path / "out.json"))
