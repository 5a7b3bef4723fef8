"""`forecheck calibrate` from the command line, at a scale of its own."""

import json
from dataclasses import replace

import pytest

from forecheck.calibration import context, decisions


@pytest.fixture
def command(forecheck, monkeypatch):
    """The program, with the command and a budget that is over in a moment."""
    monkeypatch.setitem(context.SCALES, "quick", replace(context.SCALES["quick"], decisions=3))
    monkeypatch.setattr(decisions, "SEEDS", (3,))
    return forecheck


def test_a_part_is_run_shown_and_written(command, tmp_path):
    done = command("calibrate", "--only", "decisions", "--json", "c.json", "--markdown", "c.md", "--store", "kept")
    assert "Size of the decision with seeds and margin" in done.out
    found = json.loads((tmp_path / "c.json").read_text())
    assert done.code == (0 if found["passed"] else 1)
    assert [part["name"] for part in found["parts"]] == ["decisions"]
    assert (tmp_path / "c.md").read_text().startswith("# Calibration")
    records = {path: path.read_text() for path in (tmp_path / "kept").glob("calibration/*/*/result.json")}
    assert records
    again = command("calibrate", "--only", "decisions", "--json", "-", "--store", "kept", "--quiet")
    assert json.loads(again.out)["parts"] == found["parts"]
    assert again.err == ""
    assert {path: path.read_text() for path in (tmp_path / "kept").glob("calibration/*/*/result.json")} == records


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "sise"], "no part is called 'sise'"),
        (["--budget", "huge"], "no budget is called 'huge'"),
        (["--markdown", "nowhere/c.md"], "does not exist"),
    ],
)
def test_refusals(command, arguments, message):
    done = command("calibrate", *arguments)
    assert done.code == 2
    assert message in done.err
