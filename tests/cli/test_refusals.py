"""What the program refuses: exit code 2, one message, no traceback, and no work done before."""

import errno
import os
import subprocess
import sys

import pytest

from forecheck.errors import TrialError
from forecheck.trials.engines.engine import Engine

SMALL = ("--horizon", "6", "--lookback", "24", "--workers", "0")


@pytest.fixture
def no_work(monkeypatch):
    """An engine that must not be called."""

    def never(self, trials, store):
        raise AssertionError("ran something")

    monkeypatch.setattr(Engine, "__call__", never)


@pytest.mark.parametrize("command", ["audit", "forecast", "backtest"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ETTh3"], "there is neither a data set nor a file called 'ETTh3'\n  Did you mean ETTh2 or ETTh1"),
        (["nowhere.csv"], "nowhere.csv"),
        (["waves.csv", "--set", "nlinear"], "cannot read --set 'nlinear'\n  Write model.option=value"),
        (["waves.csv", "--set", "ridge=0"], "cannot read --set 'ridge=0'"),
        (["waves.csv", "--set", "nlinear.ridge=0", "--set", "nlinear.ridge=1"], "--set gives nlinear.ridge twice"),
        (["waves.csv", "--set", "nlinear.rigde=0"], "nlinear has no option 'rigde'"),
        (["waves.csv", "--set", "nlinear.ridge=much"], "option nlinear.ridge = 'much': must be a number, or none"),
        (["waves.csv", "--split", "70/20"], "cannot read split '70/20'"),
        (["waves.csv", "--split", "70/20/20"], "sum to 110, not to 100"),
        (["waves.csv", "--split", "2030-01-01,2031-01-01"], "the validation part of series"),
        (["waves.csv", "--margin", "-0.1"], "the margin must lie between 0 and 1"),
        (["waves.csv", "--margin", "1"], "the margin must lie between 0 and 1"),
        (["waves.csv", "--horizon", "300"], "waves.csv is too short"),
        (["waves.csv", "--lookback", "300"], "waves.csv is too short"),
        (["waves.csv", "--fill", "magic"], "unknown way to fill missing values: 'magic'"),
        (["waves.csv", "--target", "c7"], "c7"),
        (["waves.csv", "--json", "missing/a.json"], "missing does not exist"),
    ],
)
def test_bad_input(command, arguments, message, forecheck, waves, no_work):
    # Later options win, so the small ones come first.
    done = forecheck(command, *SMALL, *arguments)
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("forecheck: ")
    assert message in done.err
    assert len(done.err.splitlines()) <= 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["audit", "waves.csv", "--model", "nlinear"], "nlinear has no attention to audit"),
        (["audit", "waves.csv", "--model", "patchtest"], "Did you mean patchtst?"),
        (["audit", "waves.csv", "--budget", "huge"], "huge"),
        (["audit", "waves.csv", "--set", "patchtst.norm=group"], "must be one of batch, layer"),
        (["backtest", "waves.csv", "--models", "nlinaer"], "Did you mean nlinear?"),
        (["backtest", "waves.csv", "--models", "last,last"], "each once, got last, last"),
        (["backtest", "waves.csv", "--models", ","], "--models ',' has an empty name"),
        (["backtest", "waves.csv", "--past", ""], "--past '' has an empty name\n  Separate names by commas"),
        (["forecast", "waves.csv", "--known", "c0, ,c1"], "--known 'c0, ,c1' has an empty name"),
        (["forecast", "waves.csv", "--known", "c0", "--known", " "], "--known 'c0, ' has an empty name"),
        (["forecast", "waves.csv", "--known", " c0 , c0"], 'column "c0" is named twice'),
        (["forecast", "waves.csv", "--known", "c0", "--past", "c0"], 'column "c0" is named twice'),
        (["forecast", "waves.csv", "--past", "c0", "--target", "c0"], 'column "c0" is named twice'),
        (["forecast", "waves.csv", "--calendar", ""], "--calendar '' has an empty name"),
        (["fit", "waves.csv", "-o", "fit", "--static", ""], "--static '' has an empty name"),
        (["forecast", "waves.csv", "--split", ""], "the split is empty"),
        (["forecast", "waves.csv", "--model", "last", "--candidates", "last,mean"], "no effect with --model last"),
        (["forecast", "waves.csv", "-o", "a.xlsx"], "a table is not written as .xlsx: a.xlsx"),
        (["backtest", "waves.csv", "--forecasts", "a.html"], "Name a .csv or a .parquet file."),
        (["forecast", "waves.csv", "--html", "p.html", "--show", "c7"], 'there is no series "c7" in the forecast'),
        (["forecast", ""], "the data have an empty name"),
        (["audit", "waves.csv", "--time", "10d"], "cannot read the time '10d'\n  Write 90s, 10m or 2h; a time column"),
        (["audit", "waves.csv", "--time", "0"], 'has no column "0"'),
        (["forecast", "waves.csv", "--candidates", ""], "--candidates '' has an empty name"),
        (["audit", "waves.csv", "--select", ""], "--select '' has an empty name"),
        (["audit", "waves.csv", "--ignore", "FC1,"], "--ignore 'FC1,' has an empty name"),
        (["backtest", "waves.csv", "--models", "last", "--set", "mean.x=1"], "options are set for mean"),
        (["backtest", "waves.csv", "--models", "patchtst", "--set", "patchtst.patch=60"], "patchtst: patch must lie"),
        (["backtest", "waves.csv", "--models", "patchtst", "--set", "patchtst.heads=3"], "patchtst: "),
        (["backtest", "waves.csv", "--html", "missing/a.html"], "missing does not exist"),
        (["backtest", "waves.csv", "--markdown", "missing/a.md"], "missing does not exist"),
        (["forecast", "waves.csv", "--model", "nlinaer"], "Did you mean nlinear?"),
        (["forecast", "waves.csv", "--candidates", "last,nothing"], "no forecaster is called 'nothing'"),
        (["forecast", "waves.csv", "--set", "nlinaer.ridge=0"], "options are set for nlinaer"),
        (["forecast", "waves.csv", "--level", "100"], "a level is a percentage between 0 and 100"),
        (["forecast", "waves.csv", "--level", "99"], "a 99 % interval needs at least 99 calibration windows"),
        (["forecast", "waves.csv", "-o", "missing/a.csv"], "missing does not exist"),
        (["forecast", "waves.csv", "--model-dir", "missing"], "--lookback has no effect on a saved fit"),
        (["fit", "waves.csv", "-o", "missing/fit"], "missing does not exist"),
        (["fit", "waves.csv", "-o", "waves.csv"], "cannot write waves.csv: it is a file"),
        (["fit", "waves.csv", "-o", "fit", "--level", "0"], "a level is a percentage between 0 and 100"),
    ],
)
def test_bad_usage_of_one_command(arguments, message, forecheck, waves, no_work):
    done = forecheck(arguments[0], *SMALL, *arguments[1:])
    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith("forecheck: ")
    assert message in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["--nonsense"], "No such option"),
        (["backtest"], "Missing argument"),
        (["fit", "waves.csv", "--horizon", "6"], "Missing option '--output'"),
        (["backtest", "waves.csv", "--horizn", "6"], "--horizn"),
        (["backtest", "waves.csv", "--horizon", "six"], "Invalid value for '--horizon'"),
        (["backtest", "waves.csv", "--horizon", "0"], "Invalid value for '--horizon'"),
        (["backtest", "waves.csv", "--seeds", "0"], "Invalid value for '--seeds'"),
        (["backtest", "waves.csv", "--workers", "-1"], "Invalid value for '--workers'"),
        (["backtest", "waves.csv", "--html", "folder"], "is a directory"),
        (["forecast", "waves.csv", "--horizon", "6", "-o", "folder"], "is a directory"),
    ],
)
def test_a_command_line_that_does_not_parse(arguments, message, forecheck, waves, no_work, tmp_path):
    (tmp_path / "folder").mkdir()
    done = forecheck(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert message in done.err
    assert "Usage: forecheck" in done.err


def test_a_forecast_needs_a_horizon_or_a_fit(forecheck, waves, no_work):
    done = forecheck("forecast", waves)
    assert (done.code, done.out) == (2, "")
    assert "say how many steps to forecast (--horizon), or name a saved fit (--model-dir)" in done.err
    done = forecheck("forecast", waves, "--model-dir", "nowhere")
    assert (done.code, done.out) == (2, "")
    assert "nowhere does not hold a fit" in done.err


def test_no_arguments_show_the_help(forecheck):
    done = forecheck()
    assert done.code == 2
    assert "Usage: forecheck" in done.out + done.err


@pytest.mark.parametrize("option", ["--json", "--html", "--markdown"])
def test_a_folder_without_permission(option, forecheck, waves, no_work, tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir()
    # Root may write everywhere, so permission is denied by hand.
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) != str(closed) and allowed(path, mode))
    done = forecheck("backtest", waves, *SMALL, option, closed / "report")
    assert done.code == 2
    assert f"no permission to write to the folder {closed}" in done.err


def test_a_report_in_the_place_of_a_folder(forecheck, waves, no_work, tmp_path):
    done = forecheck("backtest", waves, *SMALL, "--json", tmp_path)
    assert done.code == 2
    assert "it is a folder" in done.err


@pytest.mark.parametrize("command", ["audit", "forecast", "backtest"])
def test_a_store_that_cannot_be_written(command, forecheck, waves, no_work, tmp_path, monkeypatch):
    done = forecheck(command, waves, *SMALL, "--store", waves / "inside")
    assert done.code == 2
    assert f"cannot keep results in {waves / 'inside'}: Not a directory" in done.err
    assert "--store" in done.err
    closed = tmp_path / "closed"
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed / "store" and allowed(path, mode))
    monkeypatch.setenv("FORECHECK_HOME", str(closed))
    done = forecheck(command, waves, *SMALL)
    assert done.code == 2
    assert f"cannot keep results in {closed / 'store'}: no permission to write" in done.err
    assert "FORECHECK_HOME" in done.err


def test_a_failed_trial_is_exit_code_1(forecheck, waves, monkeypatch):
    def fail(self, trials, store):
        raise TrialError("nlinear, seed 0: out of luck")

    monkeypatch.setattr(Engine, "__call__", fail)
    done = forecheck("backtest", waves, *SMALL, "--quiet")
    assert (done.code, done.out) == (1, "")
    assert done.err == "forecheck: a trial failed, the others are saved\n  nlinear, seed 0: out of luck\n"


def test_an_interrupt_is_exit_code_130(forecheck, waves, monkeypatch):
    def interrupt(self, trials, store):
        raise KeyboardInterrupt

    monkeypatch.setattr(Engine, "__call__", interrupt)
    done = forecheck("backtest", waves, *SMALL, "--quiet")
    assert done.code == 130
    assert done.err == "forecheck: interrupted; finished trials are saved, the same command goes on from here\n"


def test_a_worker_that_is_gone_is_no_closed_pipe(forecheck, waves, monkeypatch):
    def gone(module, arguments):
        return subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    monkeypatch.setattr("forecheck.processes._spawn", gone)
    done = forecheck("backtest", waves, "--horizon", "6", "--lookback", "24", "--models", "patchtst")
    assert done.code == 1
    assert "a worker process ended" in done.err


def test_a_bug_keeps_its_traceback(forecheck, waves, monkeypatch):
    def bug(self, trials, store):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(Engine, "__call__", bug)
    with pytest.raises(ZeroDivisionError, match="ours"):
        forecheck("backtest", waves, *SMALL)


@pytest.mark.parametrize(
    "content", ["tool = 1", "tool = [1]", 'tool = "x"', "[tool]\nforecheck = 1", "tool.forecheck = []"]
)
def test_a_project_file_whose_tools_are_no_table(content, forecheck, waves, tmp_path, no_work):
    (tmp_path / "pyproject.toml").write_text(content)
    done = forecheck("audit", waves, *SMALL)
    assert (done.code, done.out) == (2, "")
    assert "is no table" in done.err


LONG = "n" * 300


@pytest.mark.parametrize(
    "arguments",
    [
        ["forecast", f"{LONG}.csv"],
        ["forecast", "waves.csv", "-o", LONG],
        ["forecast", "waves.csv", "--json", LONG],
        ["backtest", "waves.csv", "--html", LONG],
        ["forecast", "waves.csv", "--store", LONG],
        ["fit", "waves.csv", "-o", LONG],
        ["audit", "waves.csv", "--model", f"{LONG}.py:build"],
    ],
    ids=lambda arguments: " ".join(arguments)[:30],
)
def test_names_that_are_too_long(arguments, forecheck, waves, no_work):
    done = forecheck(arguments[0], *SMALL, *arguments[1:])
    assert (done.code, done.out) == (2, "")
    assert "too long" in done.err.lower()


def test_a_folder_of_a_fit_whose_name_is_too_long(forecheck, waves, no_work):
    done = forecheck("forecast", waves, "--model-dir", LONG)
    assert (done.code, done.out) == (2, "")
    assert "too long" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["forecast", "waves.csv", "-o", "waves.csv"], "would replace the data"),
        (["forecast", "waves.csv", "-o", "link.csv"], "would replace the data"),
        (["backtest", "waves.csv", "--html", "a", "--json", "./a"], "two outputs are to be written to a"),
        (["audit", "waves.csv", "--html", "a", "--markdown", "a"], "two outputs are to be written to a"),
    ],
)
def test_outputs_that_would_replace_each_other_or_the_data(arguments, message, forecheck, waves, no_work, tmp_path):
    (tmp_path / "link.csv").symlink_to(waves)
    done = forecheck(arguments[0], *SMALL, *arguments[1:])
    assert (done.code, done.out) == (2, "")
    assert message in done.err


@pytest.mark.parametrize("call", range(12))
def test_a_disk_that_is_full_at_any_time(call, forecheck, waves, monkeypatch):
    """The n-th flush fails: one message, nothing half written, and the same command goes on once there is space."""
    command = ("backtest", waves, *SMALL, "--models", "last,nlinear", "--json", "a.json", "-q")
    flush, left = os.fsync, [call]

    def full(file):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        done = forecheck(*command)
    assert done.code == 1
    assert "No space left on device" in done.err
    assert "Free some space" in done.err
    assert not list(waves.parent.rglob("*.part"))
    assert not (waves.parent / "a.json").exists()
    assert forecheck(*command).code == 0


def test_memory_that_is_refused(forecheck, waves, monkeypatch):
    def refuse(self, trials, store):
        raise MemoryError("Unable to allocate 12 GiB")

    monkeypatch.setattr(Engine, "__call__", refuse)
    done = forecheck("backtest", waves, *SMALL)
    assert (done.code, done.out) == (1, "")
    assert "\nforecheck: there is not enough memory\n  Give a shorter --lookback" in done.err


def test_what_was_read_is_said_before_anything_else(forecheck, waves, tmp_path):
    said = forecheck("backtest", waves, *SMALL, "--split", "70/20/20").err
    assert said.startswith('forecheck: waves.csv: read 400 rows as 2 channels of one series, time column "date", ')
    assert "read" not in forecheck("backtest", waves, *SMALL, "--split", "70/20/20", "--quiet").err
    text = waves.read_text().splitlines()
    counted = tmp_path / "counted.csv"
    counted.write_text("\n".join([f"id,{text[0]}", *(f"{row},{line}" for row, line in enumerate(text[1:]))]))
    done = forecheck("backtest", counted, *SMALL, "--split", "70/20/20", "--quiet")
    assert 'set aside: "id", which counts the rows' in done.err
