"""What a report says to type next reads the same data in the same way, from any folder, with the options chosen."""

import json
import re
import shlex
from pathlib import Path

import pyarrow as pa
import pytest
from command_lines import tiny

import forecheck as fc
from forecheck.reports.commands import forecast_command
from panels import hourly

FAST = ("--horizon", 6, "--lookback", 24, "--workers", 0, "--quiet", "--json", "-")
READ = ("--series", "shop", "--target", "sold", "--delimiter", ";", "--decimal", ",", "--fill", "last", "--drop", "x")


@pytest.fixture
def odd(tmp_path):
    """A file that is read as it is meant by its options alone, in a folder whose name has a blank."""
    panel = hourly(300)
    values = panel.values[:, 0]
    rows = [f"{stamp};a;{value:.3f};{7 * value:.3f};1" for stamp, value in zip(panel.time, values, strict=True)]
    rows[50] = ";".join([*rows[50].split(";")[:2], "", "0", "1"])
    path = tmp_path / "my data" / "shops.csv"
    path.parent.mkdir()
    path.write_text("\n".join(["day;shop;sold;other;x", *rows]).replace(".", ",") + "\n")
    return path


def advised(text):
    """The command in it, as a shell hands it to the program."""
    return shlex.split(re.search(r"forecheck (forecast [^)]*)", text)[1])


def test_what_a_backtest_advises_is_what_it_chose(forecheck, odd):
    done = forecheck("backtest", odd, "--models", "nlinear", "--set", "nlinear.ridge=5", "--period", 12, *READ, *FAST)
    assert done.code == 0, done.err
    words = advised(fc.Report(json.loads(done.out)).verdict["advice"])
    assert words[1] == str(odd)
    assert words[-2:] == ["--set", "nlinear.ridge=5"]
    assert words[words.index("--period") + 1] == "12"
    followed = forecheck(*words, "--quiet", "-o", "out.csv")
    assert followed.code == 0, followed.err
    how = {"series": "shop", "target": "sold", "delimiter": ";", "decimal": ",", "fill": "last", "drop": ["x"]}
    fits = {"horizon": 6, "lookback": 24, "model": "nlinear", "period": 12}
    fc.forecast(fc.load(odd, **how), options={"nlinear": {"ridge": 5}}, **fits).write("expected.csv")
    assert Path("out.csv").read_bytes() == Path("expected.csv").read_bytes()


def test_what_an_audit_advises_can_be_followed(forecheck, odd):
    options = ("--folds", 1, "--select", "FC201", "--set", "dlinear.ridge=5")
    done = forecheck("audit", odd, *tiny(), *options, *READ, *FAST)
    words = advised(fc.Report(json.loads(done.out)).verdict["advice"])
    assert words[1] == str(odd)
    assert words[words.index("--decimal") + 1] == ","
    assert forecheck(*words, "--quiet", "-o", "out.csv").code == 0


def test_what_is_read_with_no_option_needs_none():
    assert fc.load("nile").reading.words == ("nile",)
    assert fc.load("nile", fill="last").reading.words == ("nile", "--fill", "last")


def test_no_command_reads_a_frame(tmp_path):
    rows = [f"{day},{(7 * day) % 5},{day % 3}" for day in range(40)]
    (tmp_path / "sales.csv").write_text("\n".join(["step,y,price", *rows]) + "\n")
    future = pa.table({"step": [40, 41], "price": [1, 2]})
    assert fc.load(tmp_path / "sales.csv", known="price", future=future).reading.words == ()


def test_a_frame_is_forecast_by_a_call():
    given = {"horizon": 6, "lookback": None, "period": 4}
    text = forecast_command((), "nlinear", given, {"ridge": 5}, {"known": ["price"]})
    assert text == (
        "fc.forecast(data, horizon=6, period=4, model='nlinear', options={'nlinear': {'ridge': 5}}, known=['price'])"
    )
