"""`forecheck detect` on files."""

import json

import pandas as pd
import pytest

from detect_panels import frame, seasonal

QUICK = ("--model", "nlinear", "--lookback", "24", "--attention", "none", "--false-alarms", "10", "-q")


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr("forecheck.anomaly.detection.judged.DRAWS", 20)


@pytest.fixture
def sales(tmp_path):
    values = seasonal()
    values[[560, 640, 700]] += 8
    labels = [int(row in (560, 640, 700)) for row in range(720)]
    frame(values, outage=labels).to_csv(tmp_path / "sales.csv", index=False)
    frame(values[:600], outage=labels[:600]).to_csv(tmp_path / "old.csv", index=False)
    table = frame(values, outage=labels).iloc[600:]
    table.to_csv(tmp_path / "new.csv", index=False)
    return tmp_path


def test_a_file_gives_a_report_a_table_and_a_page(forecheck, sales):
    written = ("-o", "found.csv", "--html", "found.html", "--json", "found.json")
    done = forecheck("detect", "sales.csv", "--labels", "outage", *QUICK, *written)
    assert done.code == 0, done.err
    assert "false alarms are allowed (10 per 1000 steps)" in done.out
    assert max(map(len, done.out.splitlines())) <= 100
    found = pd.read_csv(sales / "found.csv", parse_dates=["ds", "segment"])
    assert found.unique_id.unique().tolist() == ["c0"]
    assert "<svg" in (sales / "found.html").read_text()
    assert json.loads((sales / "found.json").read_text())["labelled"]["anomalies"] == 3


def test_a_saved_detector_goes_on_where_the_file_ended(forecheck, sales):
    assert forecheck("detect", "old.csv", "--labels", "outage", *QUICK, "--save", "made").code == 0
    new = ("detect", "new.csv", "--labels", "outage", "--model-dir", "made", "--before", "old.csv", "-q")
    done = forecheck(*new, "-o", "found.parquet")
    assert done.code == 0, done.err
    found = pd.read_parquet(sales / "found.parquet")
    assert len(found) == 120
    assert found.score.notna().all()
    assert found.alarm[[40, 100]].all()
    assert forecheck(*new, "--json", "-").out.startswith("{")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--calibrate", "0.6"), "leave no rows to score"),
        (("--false-alarms", "1"), "need 999 calibration scores"),
        (("--labels", "nothing"), "no column 'nothing'"),
        (("--labels", "c0"), "labels are 0 and 1"),
        (("--attention", "combination"), "cannot score rows one by one"),
        (("--model-dir", "nowhere"), "holds no detector"),
        (("--model-dir", "nowhere", "--merge", "2"), "--merge has no effect"),
        (("--before", "old.csv"), "Name --model-dir"),
        (("--save", "sales.csv"), "it is a file"),
        (("-o", "sales.csv"), "would replace the data"),
    ],
)
def test_what_cannot_be_done_is_told(forecheck, sales, given, said):
    usual = () if "--model-dir" in given else ("--attention", "none", "--lookback", "24", "--model", "nlinear")
    usual = usual if "--labels" in given else (*usual, "--drop", "outage")
    done = forecheck("detect", "sales.csv", "-q", *usual, *given)
    assert done.code == 2
    assert said in " ".join(done.err.split())
