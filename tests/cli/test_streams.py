"""Exit codes and streams: whose fault it is, in one line, whatever becomes of the output."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pandq
from pandq.cli import app, streams
from pandq.errors import EngineError, GateError, InputError, MissingLibraryError, PandqWarning

COMMAND = [sys.executable, "-m", "pandq"]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("streams") / "x.parquet"
    q = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    pq.write_table(pa.table({"label": np.arange(60) % 3, "probs": q.tolist()}), path)
    return path


@pytest.fixture
def ended(monkeypatch):
    """How the command line ends where a command raises `error`: its code, and what is said."""

    def run(error, capsys, *options):
        def command(*_, **__):
            raise error

        monkeypatch.setattr(app.inspect_command, "callback", command)
        monkeypatch.setattr(sys, "argv", ["pandq", "inspect", "x", *options])
        monkeypatch.setattr(app, "prepare", lambda: None)
        with pytest.raises(SystemExit) as left:
            app.main()
        return left.value.code, capsys.readouterr().err

    return run


def shell(line, **options):
    command = ["bash", "-c", line.replace("PANDQ", " ".join(COMMAND))]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GateError("--max-kl 1 is breached"), 1),
        (InputError("no such file"), 2),
        (EngineError("the scheduler was lost"), 2),
        (MissingLibraryError("torch is not installed"), 2),
        (PermissionError(13, "Permission denied", "x.csv"), 2),
        (MemoryError("Unable to allocate 4 TiB"), 2),
        (ValueError("math domain error"), 3),
        (ZeroDivisionError(), 3),
        (RecursionError("too deep"), 3),
        (AssertionError(), 3),
    ],
)
def test_the_exit_code_says_whose_fault_it_is_and_one_line_says_what(error, code, ended, capsys):
    found, said = ended(error, capsys)
    assert found == code
    assert said.startswith("pandq: ")
    assert said.count("\n") == 1
    assert (error.strerror if isinstance(error, OSError) else str(error)) in said


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (BrokenPipeError(), 141), (streams.Ended(15), 143)],
)
def test_what_ends_a_command_from_outside_is_no_gate_and_needs_no_words(error, code, ended, capsys):
    assert ended(error, capsys) == (code, "")


def test_a_fault_shows_where_it_arose_only_where_that_is_asked_for(ended, capsys):
    code, said = ended(ValueError("a\x1b[31mb"), capsys)
    assert (code, "Traceback" in said, "--debug" in said) == (3, False, True)
    code, said = ended(ValueError("a\x1b[31mb"), capsys, "--debug")
    assert (code, said.startswith("Traceback")) == (3, True)
    assert said.splitlines()[-1].startswith(
        "pandq: a fault of pandq's own: ValueError: a\\x1b[31mb"
    )
    assert "\x1b" not in said


def test_a_closed_pipe_is_141_whether_or_not_the_report_was_written(file):
    done = shell(f"PANDQ audit {file} --json - | true; echo ${{PIPESTATUS[0]}}")
    assert (done.stdout, done.stderr) == ("141\n", "")
    done = shell("PANDQ audit --help | true; echo ${PIPESTATUS[0]}")
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.parametrize("into", [">/dev/full", ">&-"])
def test_a_report_that_cannot_be_said_is_one_line_and_exit_code_2(file, into):
    done = shell(f"PANDQ audit {file} {into}")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"pandq: standard output: cannot be written.*\n", done.stderr)


@pytest.mark.parametrize("into", ["2>/dev/full", "2>&-"])
@pytest.mark.parametrize(("limit", "code"), [("0.001", 1), ("9", 0)])
def test_a_limit_is_heard_where_standard_error_is_not(file, into, limit, code):
    line = f"PANDQ audit {file} --no-decompose --progress json --max-kl {limit} --json - {into}"
    done = shell(line)
    assert done.returncode == code
    assert json.loads(done.stdout)["n"] == 60


def test_of_warnings_only_those_of_pandq_reach_the_terminal():
    code = (
        "import sys, warnings, numpy as np, logging\nfrom pandq.cli.streams import prepare\n"
        "from pandq.errors import PandqWarning\nprepare()\n"
        "np.float64(1e308) * np.array([10.0])\nnp.log(np.array([-1.0]))\n"
        "np.add.reduceat(np.ones(3), [0, 1]) / np.zeros(2)\n"
        "warnings.warn('of another', UserWarning)\nwarnings.warn('old', DeprecationWarning)\n"
        "logging.getLogger('matplotlib').warning('a log')\n"
        "warnings.warn('on\\x1b[2J purpose', PandqWarning)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "on\\x1b[2J purpose\n"


def test_what_pandq_warns_of_is_a_pandq_warning():
    from sklearn.exceptions import ConvergenceWarning

    from pandq.fit.regressions.softmax import NotConverged

    assert issubclass(NotConverged, PandqWarning)
    assert issubclass(NotConverged, ConvergenceWarning)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_few_characters_gets_replacements(file, encoding, tmp_path):
    path = tmp_path / "sténo☃.parquet"
    path.write_bytes(file.read_bytes())
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [*COMMAND, "inspect", path], capture_output=True, env=environment, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u2603" in done.stdout
    done = subprocess.run(
        [*COMMAND, "audit", path, "--no-decompose", "--json", "-"],
        capture_output=True,
        env=environment,
        check=False,
    )
    assert json.loads(done.stdout)["source"]["name"] == str(path)
    done = subprocess.run(
        [*COMMAND, "inspect", f"{path}.no"], capture_output=True, env=environment, check=False
    )
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)


def test_a_signal_that_is_ignored_stays_ignored():
    code = (
        "import os, signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from pandq.cli.streams import prepare\nprepare()\n"
        "os.kill(os.getpid(), signal.SIGHUP)\nprint('here')\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "here\n"
    assert done.returncode != -signal.SIGTERM
    assert f"Ended: {signal.SIGTERM.value}" in done.stderr


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_an_end_asked_for_while_a_generator_is_given_up_is_heard_and_said_by_nobody(name):
    code = (
        "import os, signal, time\nfrom pandq.cli.streams import prepare\nprepare()\n"
        "def rows():\n    try:\n        yield 1\n    finally:\n"
        f"        os.kill(os.getpid(), signal.{name})\n        time.sleep(1)\n"
        "try:\n    next(rows())\n    time.sleep(20)\n    print('went on')\n"
        "except KeyboardInterrupt:\n    print('ended')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("ended\n", "")


def test_nothing_is_printed_but_by_what_makes_text_visible():
    house = Path(pandq.__file__).parent
    printing = re.compile(r"click\.echo\(|[^\w]print\(|\bConsole\(\)|sys\.stderr\.write")
    found = [
        f"{file.relative_to(house)}"
        for file in house.rglob("*.py")
        if printing.search(re.sub(r">>> .*|console\.print\(", "", file.read_text(encoding="utf-8")))
    ]
    assert found == ["cli/streams.py"]
