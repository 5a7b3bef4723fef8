import json
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.errors import DataError, UsageError
from forecheck.reports.plain import dumps, plain
from forecheck.reports.report import Report

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
nested = st.recursive(scalars, lambda part: st.lists(part) | st.dictionaries(st.text(), part), max_leaves=20)


def forbid(constant):
    raise AssertionError(f"{constant} is not JSON")


@given(nested)
def test_what_is_written_is_strict_json_and_reads_back(value):
    text = dumps(value)
    assert json.loads(text.encode("utf-8"), parse_constant=forbid) == plain(value)
    assert text.endswith("\n")


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), scalars))
def test_keys_keep_their_order(value):
    assert list(json.loads(dumps(value))) == list(value)


def test_foreign_values_become_plain():
    value = {
        1: np.float32(0.5),
        "array": np.array([[1.0, np.nan]]),
        "tuple": (np.int64(3), -math.inf),
        "date": datetime(2026, 11, 21, tzinfo=UTC),
        "path": Path("a/b"),
        "flag": np.bool_(True),
    }
    assert plain(value) == {
        "1": 0.5,
        "array": [[1.0, None]],
        "tuple": [3, None],
        "date": "2026-11-21T00:00:00+00:00",
        "path": "a/b",
        "flag": True,
    }


def test_what_json_cannot_hold_is_refused_by_name():
    with pytest.raises(TypeError, match="got set"):
        plain({"a": {1, 2}})


def test_lists_of_numbers_stand_on_one_line(report):
    lines = report.to_json().splitlines()
    assert max(map(len, lines)) > 500
    assert len(lines) < 5500


def test_a_report_survives_its_file(report, tmp_path):
    path = tmp_path / "deep" / "report.json"
    text = report.to_json(path)
    assert path.read_text(encoding="utf-8") == text
    assert Report.load(path).data == report.data
    assert [each.name for each in path.parent.iterdir()] == ["report.json"]


def test_a_report_does_not_share_its_dict(audit):
    report = Report(audit)
    report.to_dict()["findings"].clear()
    audit_copy = Report(report.data)
    audit_copy.data["findings"].clear()
    assert report.findings


def test_numbers_that_are_not_finite_become_null(audit):
    report = Report(audit | {"environment": {"load": math.nan, "memory": math.inf}})
    assert report.data["environment"] == {"load": None, "memory": None}
    json.loads(report.to_json(), parse_constant=forbid)


@pytest.mark.parametrize("change", [{"kind": "leaderboard"}, {"kind": None}, {"schema": 2}])
def test_an_unknown_dict_is_refused(audit, change):
    with pytest.raises(UsageError):
        Report(audit | change)


def test_the_verdict_and_findings_are_read_as_attributes(audit):
    report = Report(audit)
    assert report.verdict.outcome == "no difference"
    assert report.verdict.interval == [-0.003, 0.011]
    assert report.verdict.linear.name == "rlinear"
    assert str(report.verdict) == audit["verdict"]["sentence"]
    assert str(report) == report.to_text().rstrip("\n")
    assert [finding.code for finding in report.findings] == ["FC101", "FC107", "FC201", "FC301", "FC305", "FC401"]
    assert str(report.findings[3]) == "FC301 attention is relied on: identity: helps"
    assert report.findings[3]["effect"] == 0.02
    assert "effect" in dir(report.verdict)
    assert repr(report) == "<Report audit ETTh1: no difference>"
    with pytest.raises(AttributeError, match="no 'colour' here; there is outcome"):
        _ = report.verdict.colour


def test_the_verdict_of_a_backtest_is_its_winner(backtest):
    report = Report(backtest)
    assert report.verdict.outcome == "rlinear"
    assert str(report.verdict).startswith("Forecast with rlinear: the simplest model that none beats")
    assert report.findings == []
    nobody = Report(backtest | {"winner": {"model": None, "rule": "every pair is undecided"}})
    assert str(nobody.verdict).startswith("No model wins: every pair is undecided")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b"7", b"[" * 100_000], ids=repr)
def test_a_file_that_is_no_report(content, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json"):
        Report.load(path)
    with pytest.raises(DataError, match="No such file"):
        Report.load(tmp_path / "b.json")


def test_a_report_of_which_a_part_is_something_else(backtest, tmp_path):
    """A file from others; what we make ourselves and cannot show is a fault of ours, and reported as one."""
    data = {**backtest, "table": 7, "protocol": "x", "winner": ["x"]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(plain(data)))
    report = Report.load(path)
    for form in (report.to_html, report.to_text, report.to_rich, report.to_markdown, report.__repr__):
        with pytest.raises(DataError, match=r"a\.json is not as forecheck writes reports"):
            form()
    with pytest.raises((AttributeError, TypeError)):
        Report(data).to_html()
