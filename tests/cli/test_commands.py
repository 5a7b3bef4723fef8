"""Every command in this process: what it prints and writes when all is well."""

import io
import json

import pytest
from command_lines import tiny

import forecheck as package
from forecheck.forecasting.candidates import CANDIDATES
from forecheck.reports.report import Report

SMALL = ("--horizon", 6, "--lookback", 24, "--workers", 0)
COMMANDS = ("audit", "forecast", "fit", "backtest", "detect", "datasets", "models", "runs")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_tells_what_a_command_does(command, forecheck):
    done = forecheck(command, "--help")
    assert done.code == 0
    assert "Usage: forecheck" in done.out
    assert done.err == ""
    if command in ("audit", "forecast", "backtest"):
        assert "For example:" in done.out
        assert f"forecheck {command} " in done.out.split("For example:")[1]
        for option in ("--horizon", "--lookback", "--set", "--fill", "--json", "--store", "--workers"):
            assert option in done.out
        assert "--ledger" not in done.out  # an earlier name of --store, still understood


def test_the_programs_help_lists_commands_and_exit_codes(forecheck):
    done = forecheck("--help")
    assert done.code == 0
    assert all(command in done.out for command in COMMANDS)
    assert "Exit codes:" in done.out


def test_version(forecheck):
    assert forecheck("--version").out == f"forecheck {package.__version__}\n"


# Backtest


def test_backtest_prints_a_report(forecheck, waves):
    done = forecheck("backtest", waves, *SMALL)
    assert done.code == 0
    assert len(done.out.splitlines()) <= 30
    assert done.out.splitlines()[-1] == "Every finding and arm: --verbose, or as a page: --html report.html"
    assert "Models compared" not in done.out
    assert all(name in done.out for name in CANDIDATES)
    full = forecheck("backtest", waves, *SMALL, "--verbose")
    assert "Models compared" in full.out
    assert "--verbose" not in full.out
    again = forecheck("backtest", waves, *SMALL)
    assert again.err.endswith("\n8 of 8 trials are in the store already\n")
    assert forecheck("backtest", waves, *SMALL, "--quiet").err == ""


def test_json_on_standard_output_stands_alone(forecheck, waves):
    done = forecheck(
        "backtest", waves, *SMALL, "--models", " last, nlinear ", "--set", "nlinear.ridge=0", "--json", "-"
    )
    assert done.code == 0
    report = json.loads(done.out)
    assert [row["model"] for row in report["table"]] == ["last", "nlinear"]
    assert report["table"][1]["options"]["ridge"] == 0
    assert report["protocol"]["data"] == "waves.csv"
    assert Report(report).verdict.outcome == "nlinear"


def test_reports_are_written_in_every_form(forecheck, waves, tmp_path):
    done = forecheck(
        "backtest", waves, *SMALL, "--models", "last,nlinear", "--quiet",
        "--json", "a.json", "--html", tmp_path / "a.html", "--markdown", "a.md",
    )  # fmt: skip
    assert done.code == 0
    assert done.out.splitlines()[-1] == "Every finding and arm: --verbose"
    assert done.err.splitlines() == ["wrote a.json", f"wrote {tmp_path / 'a.html'}", "wrote a.md"]
    assert Report.load(tmp_path / "a.json").verdict.outcome == "nlinear"
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    assert "| last |" in (tmp_path / "a.md").read_text()
    assert not list(tmp_path.glob("*.part"))


def test_options_of_the_protocol_reach_the_report(forecheck, stores, tmp_path):
    done = forecheck(
        "backtest", stores, "--series", "unique_id", "--horizon", 4, "--lookback", 12, "--split", "60/20/20", "--step",
        2, "--period", 3, "--margin", 0.05, "--store", tmp_path / "mine", "--workers", 0, "--json", "-",
    )  # fmt: skip
    protocol = json.loads(done.out)["protocol"]
    assert (protocol["horizon"], protocol["lookback"], protocol["split"], protocol["step"]) == (4, 12, "60/20/20", 2)
    assert (protocol["series"], protocol["margin"]) == (3, 0.05)
    assert (tmp_path / "mine" / "trial").is_dir()


def test_refits_reach_the_report(forecheck, waves):
    done = forecheck("backtest", waves, *SMALL, "--models", "last,nlinear", "--refit", 20, "--json", "-", "--quiet")
    report = json.loads(done.out)
    assert report["protocol"]["refit"] == 20
    assert [row["refits"] for row in report["table"]] == [None, 4]


# Forecast


def test_forecasts_go_to_standard_output_as_csv(forecheck, waves):
    pd = pytest.importorskip("pandas")
    done = forecheck("forecast", waves, *SMALL, "--level", 80, "--level", 90, "--quiet")
    assert done.code == 0
    frame = pd.read_csv(io.StringIO(done.out), parse_dates=["ds"])
    model = "combination"
    assert list(frame.columns[2:]) == [
        model,
        *(f"{model}-{side}-{level}" for level in (80, 90) for side in ("lo", "hi")),
    ]
    assert len(frame) == 12
    assert frame["ds"].min() == pd.Timestamp("2024-01-17 16:00")
    said, note = done.err.splitlines()
    assert said.startswith(
        "combination (no candidate is certain to beat it by more than 1 % at rolling origins; nlinear "
    )
    assert "MASE 0." in said
    assert note == "note: all series never fall below zero, and neither do their forecasts and intervals"


def test_forecasts_of_a_long_file(forecheck, stores):
    done = forecheck("forecast", stores, *SMALL, "--model", "last", "--quiet")
    lines = done.out.splitlines()
    assert lines[0] == "unique_id,ds,last"
    assert [line.split(",")[0] for line in lines[1::6]] == ["store_0", "store_1", "store_2"]


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_forecasts_are_written(name, forecheck, waves, tmp_path):
    pd = pytest.importorskip("pandas")
    done = forecheck("forecast", waves, *SMALL, "--model", "rlinear", "-o", name, "--json", "why.json", "--quiet")
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines()[-1] == f"wrote {name}"
    frame = (pd.read_csv if name.endswith("csv") else pd.read_parquet)(tmp_path / name)
    assert list(frame.columns) == ["unique_id", "ds", "rlinear"]
    assert len(frame) == 12
    why = json.loads((tmp_path / "why.json").read_text())
    assert (why["model"], why["lookback"], why["refitted"]) == ("rlinear", 24, True)


def test_why_a_model_on_standard_output(forecheck, waves):
    done = forecheck("forecast", waves, *SMALL, "--candidates", "last,nlinear", "--no-refit", "--json", "-")
    why = json.loads(done.out)
    assert set(why["validation_mse"]) == {"last", "nlinear"}
    assert why["refitted"] is False


def test_missing_values_are_filled_on_request(forecheck, waves):
    lines = waves.read_text().splitlines()
    lines[20] = ",".join([*lines[20].split(",")[:2], ""])
    waves.write_text("\n".join(lines) + "\n")
    refused = forecheck("forecast", waves, *SMALL)
    assert refused.code == 2
    assert refused.err.startswith('forecheck: waves.csv has 1 missing value in column "c1"')
    assert "--fill linear | last | seasonal" in refused.err
    assert refused.out == ""
    assert forecheck("forecast", waves, *SMALL, "--fill", "linear").code == 0
    assert forecheck("forecast", waves, *SMALL, "--drop", "c1").code == 0


def test_a_saved_fit_forecasts_what_a_forecast_would_have(forecheck, waves, tmp_path):
    done = forecheck("fit", waves, *SMALL, "--model", "nlinear", "-o", "kept", "--quiet")
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("nlinear (named): test MSE ")
    assert done.err.splitlines()[-1] == "wrote kept"
    found = forecheck("forecast", waves, "--model-dir", "kept", "--level", 80, "--quiet")
    expected = forecheck("forecast", waves, *SMALL, "--model", "nlinear", "--level", 80, "--quiet")
    assert (found.code, found.out, found.err) == (0, expected.out, expected.err)


# Audit


@pytest.fixture
def audited(forecheck, waves, tmp_path):
    return forecheck("audit", waves, *SMALL, *tiny(), "--json", "-", "--html", "a.html", "--markdown", "a.md", "-q")


def test_audit(audited, forecheck, waves, tmp_path):
    assert audited.code == 0
    assert audited.err.splitlines() == ["wrote a.html", "wrote a.md"]
    report = json.loads(audited.out)
    assert report["kind"] == "audit"
    assert report["protocol"]["config"]["width"] == 8
    assert (tmp_path / "a.html").stat().st_size > 10_000
    verbose = forecheck("audit", waves, *SMALL, *tiny(), "--verbose")
    assert "FC201" in verbose.out
    assert "trials are in the store already" in verbose.err
    assert report["verdict"]["outcome"] in verbose.out


# Lists


def test_datasets(forecheck):
    done = forecheck("datasets")
    assert done.code == 0
    header, *rows = done.out.splitlines()
    assert header.split()[:3] == ["name", "rows", "channels"]
    assert {"ETTh1", "sunspots"} <= {row.split()[0] for row in rows}
    known = json.loads(forecheck("datasets", "--json").out)
    assert [one["name"] for one in known] == [row.split()[0] for row in rows]
    assert {"name", "rows", "channels", "split", "licence", "here"} <= set(known[0])


def test_models(forecheck):
    done = forecheck("models")
    assert done.code == 0
    names = [line.split()[0] for line in done.out.splitlines() if line and not line.startswith(" ")][:-3]
    known = json.loads(forecheck("models", "--json").out)
    assert [one["model"] for one in known] == names
    nlinear = next(one for one in known if one["model"] == "nlinear")
    assert nlinear["options"] == {"ridge": None, "bias": True, "per_channel": False}
    assert nlinear["trained"] is False
    assert "options: ridge=none, bias=true, per_channel=false" in done.out
    # Counts that can be told without our code: a map of 336 steps and an intercept for each of 96.
    assert nlinear["parameters"] == 337 * 96
    assert "closed form, 32,352 parameters" in done.out
    patchtst = next(one for one in known if one["model"] == "patchtst")
    assert {"rope", "sgd", "differential"} <= set(patchtst["remedies"])
    assert f"audit: {patchtst['attention']}" in done.out


def test_options_as_models_lists_them_can_be_set(forecheck, waves):
    settings = [("--set", f"nlinear.{option}") for option in ("ridge=none", "bias=true", "per_channel=false")]
    done = forecheck("backtest", waves, *SMALL, "--models", "nlinear", *sum(settings, ()), "--json", "-")
    assert done.code == 0


def test_a_bundled_set_by_name(forecheck):
    done = forecheck("forecast", "sunspots", "--horizon", 3, "--model", "last", "--workers", 0, "--quiet")
    assert done.code == 0
    assert len(done.out.splitlines()) == 4
