"""What several files say of the project they say alike, and what they name to run is there."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z]+):", MAKEFILE, flags=re.MULTILINE)
PRE_COMMIT = ROOT / ".pre-commit-config.yaml"
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))


def read(*parts):
    return yaml.safe_load(ROOT.joinpath(*parts).read_text(encoding="utf-8"))


def addresses():
    """Every place on GitHub that a file names, with the file."""
    files = [ROOT / name for name in ("pyproject.toml", "CITATION.cff", "SECURITY.md")]
    files.append(ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml")
    for file in files:
        for found in re.findall(r"https://github\.com/[\w-]+/[\w-]+", file.read_text("utf-8")):
            yield file.name, found


def test_a_citation_names_what_is_installed():
    cited = read("CITATION.cff")
    for key in ("version", "license", "keywords"):
        assert cited[key] == PROJECT[key]
    assert cited["authors"] == PROJECT["authors"]
    assert cited["repository-code"] == PROJECT["urls"]["Homepage"]


def test_there_is_one_address():
    assert {found for _, found in addresses()} == {PROJECT["urls"]["Homepage"]}
    assert len({file for file, _ in addresses()}) == 4


def test_pull_requests_are_tested_on_every_python_that_is_named():
    matrix = read(".github", "workflows", "tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert matrix["python"] == named
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert {job["python"] for job in matrix["include"]} <= set(named)


def test_the_workflow_runs_the_check_on_pull_requests():
    workflow = read(".github", "workflows", "tests.yml")
    assert "pull_request" in workflow[True]  # to YAML 1.1 the key `on` is a truth
    steps = workflow["jobs"]["tests"]["steps"]
    assert any("bash .ci/run" in step.get("run", "") for step in steps)


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_says_what_it_does_and_is_no_file(target):
    assert re.search(rf"^{target}:.*## \w", MAKEFILE, flags=re.MULTILINE)
    assert target in MAKEFILE.partition(".PHONY:")[2].partition("\n")[0].split()


def test_make_alone_is_help():
    assert TARGETS[0] == "help"


def test_hooks_run_what_make_check_runs():
    checks = re.search(r"^check: ([a-z ]+?) *##", MAKEFILE, flags=re.MULTILINE)[1].split()
    hooks = read(PRE_COMMIT.name)["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == [f"make {name}" for name in checks]
    assert set(checks) <= set(TARGETS)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_an_issue_form_is_one(form):
    asked = read(form.relative_to(ROOT))
    assert {"name", "description", "body"} <= asked.keys()
    names = [field["id"] for field in asked["body"]]
    assert len(set(names)) == len(names)
    assert all(field["attributes"]["label"] for field in asked["body"])


def test_there_are_three_issue_forms():
    assert [form.stem for form in FORMS] == ["bug", "feature", "wrong-number"]
