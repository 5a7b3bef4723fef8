"""What a terminal would obey, from data, names and folders of others, is written out; spreadsheets' formulas, too."""

import io
import json
import re
import shutil
import sys

import numpy as np
import pytest

import forecheck as fc
from forecheck.errors import DataError, printable
from forecheck.forecasting.saved import load_fit
from forecheck.trials.record import sealed
from panels import hourly

RED = "\x1b[31mred\x9b2J\u202e"
# Colours of our own are allowed, and nothing else.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Terminal(io.StringIO):
    """Standard output that says it is one."""

    def isatty(self):
        return True


@pytest.fixture
def hostile(tmp_path):
    """A CSV whose names hold escape codes, and one that is called like a formula."""
    panel = hourly(200)
    rows = [f"{stamp},{a},{b}" for stamp, (a, b) in zip(panel.time, panel.values.tolist(), strict=True)]
    (tmp_path / "hostile.csv").write_text("\n".join([f"date,{RED},=cmd()", *rows]), encoding="utf-8")
    return "hostile.csv"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, äöü 温度\t\n", "plain, äöü 温度\t\n"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\rb\x00\x07\x7f", "a\\rb\\x00\\x07\\x7f"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
    ],
)
def test_what_a_terminal_obeys_is_written_out(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["forecast", "--horizon", "6", "--target", "nothing"],
        ["forecast", "--horizon", "6", "--target", RED, "--fill", RED],
        ["backtest", "--horizon", "6", "--models", RED],
        ["backtest", "--horizon", "6", "--models", "last", "--split", RED],
        ["backtest", "--horizon", "6", "--models", "last,nlinear", "--verbose"],
        ["audit", "--horizon", "6", "--model", f"{RED}.py:f"],
    ],
    ids=lambda arguments: " ".join(arguments).encode("unicode_escape").decode(),
)
def test_no_message_and_no_report_hold_codes_of_data(arguments, forecheck, hostile):
    done = forecheck(arguments[0], hostile, *arguments[1:], "--workers", "0", "-q")
    assert done.out + done.err
    assert not OBEYED.search(done.out + done.err)


def test_csv_is_as_it_is_but_on_a_terminal(forecheck, hostile, monkeypatch, tmp_path):
    command = ("forecast", hostile, "--horizon", "2", "--model", "last", "--workers", "0", "-q")
    assert RED in forecheck(*command).out
    forecheck(*command, "-o", "out.csv")
    assert RED in (tmp_path / "out.csv").read_text(encoding="utf-8")
    terminal = Terminal()
    from forecheck.cli.say import put

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", terminal)
        put(f"{RED},1\n")
    assert terminal.getvalue() == f"{printable(RED)},1\n"


def test_a_fit_from_others_says_nothing_that_a_terminal_obeys(forecheck, waves, tmp_path):
    forecheck("fit", waves, "--horizon", "2", "--model", "last", "-o", "fit", "--workers", "0", "-q")
    described = json.loads((tmp_path / "fit" / "fit.json").read_text())
    del described["sha256"]
    described["info"] |= {"model": RED, "rule": RED}
    (tmp_path / "fit" / "fit.json").write_text(sealed(described))
    done = forecheck("forecast", waves, "--model-dir", "fit")
    assert done.code == 0
    assert "\\x1b[31mred" in done.err
    assert not OBEYED.search(done.out + done.err)
    described["info"]["test_mse"] = RED
    (tmp_path / "fit" / "fit.json").write_text(sealed(described))
    done = forecheck("forecast", waves, "--model-dir", "fit")
    assert (done.code, done.out) == (2, "")
    shutil.rmtree(tmp_path / "fit")
    with pytest.raises(DataError, match="does not hold a fit"):
        load_fit(tmp_path / "fit")


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@sum", "\tx", "＝1"])  # noqa: RUF001
def test_formulas_can_be_kept_from_spreadsheets(name, forecheck, tmp_path):
    panel = hourly(100, channels=1)
    made = fc.Forecast("last", {"unique_id": [name, "plain"], "ds": panel.time[:2], "last": np.ones(2)}, {})
    lines = made.to_csv().decode().split("\n")
    guarded = made.to_csv(formulas=False).decode().split("\n")
    assert lines[1].startswith(name)
    assert guarded[1].startswith(f"'{name}")
    assert guarded[2] == lines[2]
    made.write(tmp_path / "a.csv", formulas=False)
    assert (tmp_path / "a.csv").read_bytes() == made.to_csv(formulas=False)


def test_ids_that_are_numbers_are_no_formulas():
    made = fc.Forecast("last", {"unique_id": [-1, 7], "ds": np.zeros(2, int), "last": np.ones(2)}, {})
    assert made.to_csv(formulas=False) == made.to_csv()
    assert made.to_csv().startswith(b"unique_id,ds,last\n-1,0,1")


def test_the_option_for_formulas(forecheck, hostile, tmp_path):
    command = ("forecast", hostile, "--horizon", "2", "--model", "last", "--workers", "0", "-q")
    assert "\n=cmd()," in forecheck(*command).out
    assert "\n'=cmd()," in forecheck(*command, "--no-formulas").out
    command = ("backtest", hostile, "--horizon", "2", "--models", "last", "--workers", "0", "-q", "--forecasts")
    for name, begins in (("a.csv", "\n=cmd(),"), ("b.csv", "\n'=cmd(),")):
        forecheck(*command, name, *(["--no-formulas"] if "'" in begins else []))
        assert begins in (tmp_path / name).read_text(encoding="utf-8")
