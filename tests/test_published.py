"""What is written in several places is the same, and forms can be read."""

import re
import tomllib
from pathlib import Path

import pytest

import forecheck
from forecheck.installed import STOLEN

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_and_the_licence_are_the_same_everywhere():
    yaml = pytest.importorskip("yaml")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == PROJECT["version"] == forecheck.__version__
    assert cited["license"] == PROJECT["license"]
    assert (ROOT / "LICENSE").is_file()


def test_issue_forms_ask_for_something():
    yaml = pytest.importorskip("yaml")
    forms = [yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")]
    assert forms
    assert all({"name", "description", "body"} <= set(form) for form in forms)
    assert all(
        any(field["validations"]["required"] for field in form["body"] if "validations" in field) for form in forms
    )


def pins(file):
    """Name as the index has it, and version, of every line that pins one."""
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / file).read_text(), re.MULTILINE)
    return {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in found}


def test_the_lock_holds_a_hash_for_every_pinned_version():
    assert pins("requirements.lock") == pins("constraints.txt"), "make lock"
    entries = re.split(r"^(?=[a-z])", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins("constraints.txt")) + 1  # torch: one entry for Linux, one for elsewhere
    for entry in entries:
        assert re.fullmatch(r"[^\n]+( \\\n    --hash=sha256:[0-9a-f]{64})+\n", entry), entry


def test_no_stolen_release_is_pinned():
    stolen = {(name, version) for name, versions in STOLEN.items() for version in versions}
    assert not stolen & pins("requirements.lock")


def test_what_developers_need_is_pinned():
    extras = PROJECT["optional-dependencies"]
    needed = [*PROJECT["dependencies"], *extras["adapters"], *extras["dev"], *extras["docs"]]
    names = {re.match(r"[\w.-]+", each)[0] for each in needed} - {"forecheck"}
    assert names <= {name for name, _ in pins("constraints.txt")}


def test_extras_that_are_installed_are_declared():
    pages = [ROOT / "Makefile", *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.py")]
    named = {
        extra
        for page in pages
        for extras in re.findall(r"pip install[^\n]*(?:\.|forecheck)\[([\w,]+)\]", page.read_text())
        for extra in extras.split(",")
    }
    assert {"dev", "docs", "ray"} <= named <= set(PROJECT["optional-dependencies"])
