"""`forecheck --log-json`: every line of standard error is JSON, also that of an error, and the last one is the exit."""

import json
import sys

import pytest
from command_lines import tiny

from forecheck.cli.logs import JsonLines


@pytest.fixture(autouse=True)
def _stderr_comes_back(monkeypatch):
    monkeypatch.setattr(sys, "stderr", sys.stderr)


def events(done):
    return [json.loads(line) for line in done.err.splitlines()]


def test_progress_and_messages_are_json(forecheck, waves, monkeypatch):
    monkeypatch.setattr("forecheck.progress.bar._BETWEEN_LINES", 0)
    small = ("--horizon", 6, "--lookback", 24, "--models", "last,patchtst", "--workers", 0)
    done = forecheck("--log-json", "backtest", waves, *small, *tiny())
    assert done.code == 0
    logged = events(done)
    assert all({"time", "event"} <= set(each) for each in logged)
    assert next(each for each in logged if each["event"] == "planned") | {"time": ""} == {
        "time": "", "event": "planned", "trials": 2, "finished": 0,
    }  # fmt: skip
    assert sorted(each["trial"] for each in logged if each["event"] == "trial") == ["last, seed 0", "patchtst, seed 0"]
    assert any(each["event"] == "progress" and each["total"] == 2 and "epoch" in each["message"] for each in logged)
    assert any("read 400 rows" in each.get("message", "") for each in logged)
    assert logged[-1] | {"time": ""} == {"time": "", "event": "exit", "code": 0}
    assert "Forecast with" in done.out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["forecast", "nothing.csv", "--horizon", "6"], 2),
        (["forecast", "waves.csv", "--horizon", "6", "--model", "nlinaer"], 2),
        (["forecast", "waves.csv"], 2),
        (["forecast", "waves.csv", "--horizon", "6", "--colour"], 2),
    ],
)
def test_errors_are_json(arguments, code, forecheck, waves):
    done = forecheck("--log-json", *arguments)
    assert done.code == code
    logged = events(done)
    assert [each["event"] for each in logged[-2:]] == ["message", "exit"]
    assert logged[-1]["code"] == code


def test_a_text_of_several_lines_is_one_message(capsys):
    stream = JsonLines(sys.stderr)
    print("one\n  two", file=stream)
    stream.write("th")
    stream.write("ree\n\n")
    logged = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert logged == ["one\n  two", "three"]
    assert not stream.isatty()
