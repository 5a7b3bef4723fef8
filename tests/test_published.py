"""What is written in several places is the same, and forms can be read."""

import tomllib
from pathlib import Path

import pytest

import forecheck

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
