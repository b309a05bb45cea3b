"""The programs of the documents about loops run, and say what stands beside them."""

import re
import warnings
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "guides"
NEEDS = {
    "loops.md": ("torch",),
    "lightning.md": ("torch", "torchmetrics", "lightning"),
    "transformers.md": ("torch", "accelerate", "transformers"),
}


def programs(name):
    return re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("name", NEEDS)
def test_programs_run_one_after_the_other(name, tmp_path, monkeypatch, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what these libraries import, and of their own loops
        for library in NEEDS[name]:
            pytest.importorskip(library)
        monkeypatch.chdir(tmp_path)
        known = {"__name__": "program"}
        for code in programs(name):
            exec(compile(code, name, "exec"), known)  # noqa: S102
    told = capsys.readouterr().out
    assert "classes; P is labels" in told, "the report that the last line prints"


def test_what_stands_beside_a_print_is_printed(capsys):
    known = {"__name__": "program"}
    pytest.importorskip("torch")
    unique = next(code for code in programs("loops.md") if "unique=True" in code)
    exec(compile(f"import pandq\n{unique}", "loops.md", "exec"), known)  # noqa: S102
    assert capsys.readouterr().out.strip() == re.search(r"# (\d+)", unique)[1]
