"""What `forecast --html` and `backtest --forecasts` write, and what they refuse."""

import pyarrow.csv
import pytest

SMALL = ("--horizon", 6, "--workers", 0)


def test_a_forecast_is_written_as_a_page(forecheck, waves, tmp_path):
    page = tmp_path / "f.html"
    done = forecheck("forecast", waves, *SMALL, "--model", "combination", "--level", 80, "--html", page)
    assert done.code == 0
    assert done.out == ""
    assert done.err.endswith(f"wrote {page}\n")
    text = page.read_text()
    assert "Forecast by combination" in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_a_page_and_a_table_can_both_be_had(forecheck, waves, tmp_path):
    files = tmp_path / "f.html", tmp_path / "f.csv"
    forecheck("forecast", waves, *SMALL, "--model", "last", "--lookback", 12, "--html", files[0], "-o", files[1])
    assert all(path.stat().st_size for path in files)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--show", "c0"), "--show has no effect without --html"),
        (("--html", "{tmp}/f.html", "--show", "c9"), 'no series "c9"'),
        (("--html", "{tmp}/f.csv", "-o", "{tmp}/f.csv"), "two outputs"),
        (("--html", "{tmp}/none/f.html"), "does not exist"),
    ],
)
def test_what_cannot_be_shown_is_said(forecheck, waves, tmp_path, options, said):
    given = [str(option).format(tmp=tmp_path) for option in options]
    done = forecheck("forecast", waves, *SMALL, "--model", "last", "--lookback", 12, *given)
    assert done.code == 2
    assert said in done.err


def test_a_backtest_writes_its_forecasts(forecheck, waves, tmp_path):
    file, page = tmp_path / "cv.csv", tmp_path / "b.html"
    done = forecheck(
        "backtest", waves, *SMALL, "--lookback", 24, "--models", "last,nlinear", "--forecasts", file, "--level", 80,
        "--html", page,
    )  # fmt: skip
    assert done.code == 0
    table = pyarrow.csv.read_csv(file)
    bands = [f"{name}{end}" for name in ("last", "nlinear") for end in ("", "-lo-80", "-hi-80")]
    assert table.column_names == ["unique_id", "ds", "cutoff", "y", *bands]
    text = page.read_text()
    assert text.count("<figcaption>largest errors: ") == 4
    assert text.count("<figcaption>typical: ") == 4
    refused = forecheck("backtest", waves, *SMALL, "--level", 80)
    assert refused.code == 2
    assert "--level has no effect without --forecasts" in refused.err
