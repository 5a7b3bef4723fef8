"""Past columns from the data to the forecast, its notes, its saved fit, its backtest and its command."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import forecheck as fc
from forecheck.cli.main import app
from forecheck.errors import DataError, UsageError
from forecheck.forecasting.beside import worth_in_words
from forecheck.trials.store import Store

H, ROWS = 2, 60


def sales(rows=ROWS, ahead=0, seed=0):
    """Two shops, whose sales follow the weather of two days before; rows of the future too."""
    rng = np.random.default_rng(seed)
    days = pd.date_range("2024-01-01", periods=ROWS + H)
    parts = []
    for name in ("a", "b"):
        temp = rng.standard_normal(len(days)).round(2)
        sold = 50 + 6 * np.roll(temp, 2) + 0.5 * rng.standard_normal(len(days))
        parts.append(pd.DataFrame({"unique_id": name, "ds": days, "y": sold, "temp": temp}))
    return pd.concat([part.iloc[: rows + ahead] for part in parts], ignore_index=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return fc.forecast(sales(), horizon=H, model="combination", past="temp", level=[80], workers=0)


def test_they_are_used_and_told(made):
    worth = made.info["past"]
    assert worth["used"]
    assert worth["interval"][0] > 0
    assert "known" not in made.info
    json.dumps(made.info)
    assert worth_in_words(worth, "past").startswith("past columns are used: MASE 0.")
    truth = sales(ROWS, H).groupby("unique_id").tail(H)["y"].to_numpy()
    plain = fc.forecast(sales()[["unique_id", "ds", "y"]], horizon=H, model="combination", workers=0)
    errors = [np.abs(np.asarray(each.columns["combination"]) - truth).mean() for each in (made, plain)]
    assert errors[0] < errors[1]


def test_values_after_the_end_change_nothing_and_are_named(made):
    ahead = sales(ROWS, H)
    last = ahead.groupby("unique_id").cumcount() >= ROWS
    panel = fc.load(ahead.assign(y=ahead["y"].where(~last), temp=ahead["temp"].where(~last, 1e6)), past="temp")
    assert 'what "temp" says of the steps after the end is not used' in panel.described
    assert panel.covariates.lagged.max() < 10
    empty = fc.load(ahead.assign(y=ahead["y"].where(~last), temp=ahead["temp"].where(~last)), past="temp")
    assert "not used" not in empty.described
    np.testing.assert_array_equal(empty.covariates.lagged, panel.covariates.lagged)


def test_known_and_past_columns_go_together():
    frame, rng = sales(ROWS, H), np.random.default_rng(5)
    promo = (rng.random(len(frame)) < 0.4).astype(float)
    frame = frame.assign(y=frame["y"] + 20 * promo, promo=promo)
    last = frame.groupby("unique_id").cumcount() >= ROWS
    truth = frame.loc[last, "y"].to_numpy()
    both = fc.forecast(
        frame.assign(y=frame["y"].where(~last)),
        horizon=H,
        model="combination",
        known="promo",
        past=["temp"],
        workers=0,
    )
    assert both.info["known"]["used"]
    assert both.info["past"]["used"]
    assert both.info["past"]["without"] == pytest.approx(both.info["known"]["with_them"], rel=0.02)
    assert np.abs(np.asarray(both.columns["combination"]) - truth).mean() < 6


def refused(match, frame, error=DataError, **how):
    with pytest.raises(error, match=match):
        fc.load(frame, **{"past": "temp"} | how)


def test_bad_columns_are_refused_with_the_reason():
    frame = sales()
    refused("there is no column|no column", frame, past="tmp")
    refused('"temp" is named twice: among known, past and static', frame, known="temp")
    refused('"temp" is named twice', frame, past=["temp", "temp"])
    refused('"y" is named twice', frame, past="y", target="y")
    refused('the past column "copy" is the target "y" itself', frame.assign(copy=frame["y"]), past="copy")
    refused('texts in column "sky", such as "sun"', frame.assign(sky="sun"), past="sky")
    holes = frame.assign(temp=frame["temp"].where(frame.index % 7 != 3))
    refused('missing values in column "temp", which is to explain', holes)
    refused("infinite", frame.assign(temp=np.where(frame.index == 3, np.inf, frame["temp"])))
    late = frame.assign(temp=frame["temp"].where(frame.index > 3))
    refused("cannot be filled by last", late, fill="linear")


def test_gaps_are_filled_by_what_was_known_before():
    frame = sales()
    holes = frame.assign(temp=frame["temp"].where(frame.index % 7 != 3))
    panel = fc.load(holes, past="temp", fill="linear")
    np.testing.assert_array_equal(panel.covariates.lagged[:, 0], holes["temp"].ffill())


@pytest.mark.parametrize("model", ["nlinear", "last", "patchtst"])
def test_models_that_cannot_refuse_with_the_reason(model):
    with pytest.raises(UsageError, match=f"{model} is of the channels alone and cannot use past columns"):
        fc.forecast(sales(), horizon=H, model=model, past="temp", workers=0)


def test_static_columns_act_on_known_ones_alone(tmp_path):
    panel = fc.load(sales().assign(kind="x"), past="temp", static="kind")
    with pytest.raises(UsageError, match="static ones have nothing to act on"):
        fc.forecast(panel, horizon=H, workers=0)
    with pytest.raises(UsageError, match="static ones have nothing to act on"):
        fc.backtest(panel, ["combination"], horizon=H, workers=0, store=tmp_path)


def test_a_saved_fit_keeps_them(made, tmp_path):
    fc.fit(sales(), horizon=H, model="combination", past="temp", output=tmp_path / "fit", workers=0)
    again = fc.forecast(sales(), model_dir=tmp_path / "fit", level=[80])
    assert again.to_pandas().equals(made.to_pandas())
    with pytest.raises(DataError, match='the fit was made with columns beside the channels: past "temp"'):
        fc.forecast(fc.load(sales()[["unique_id", "ds", "y"]]), model_dir=tmp_path / "fit")


def test_a_backtest_sees_them_as_they_were(tmp_path):
    models = ["combination", "combination:channels", "last"]
    panel = fc.load(sales(50), past="temp")
    how = {"horizon": H, "lookback": 8, "step": 4, "workers": 0, "store": tmp_path}
    report = fc.backtest(panel, models, **how)
    losses = {row["model"]: row["mse"] for row in report.data["table"]}
    assert losses["combination"] < 0.9 * losses["combination:channels"]
    notes = " ".join(report.data["protocol"]["notes"])
    assert "past columns end at the origin; combination used them at" in notes
    assert "combination:channels, last see the channels alone" in notes
    crossed = fc.cross_validation(panel, models, **how).to_pandas()
    assert ((crossed["y"] - crossed["combination"]) ** 2).mean() < (
        (crossed["y"] - crossed["combination:channels"]) ** 2
    ).mean()
    with pytest.raises(UsageError, match="none of the models uses past columns: last see"):
        fc.backtest(panel, ["last"], **how)
    found = Store(tmp_path).get_panel(panel.fingerprint)
    assert found.fingerprint == panel.fingerprint
    assert found.covariates.past == ("temp",)


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["forecheck"])
    path = tmp_path / "sales.csv"
    sales().to_csv(path, index=False)
    run = CliRunner().invoke(
        app,
        ["forecast", str(path), "--horizon", "2", "--model", "combination", "--past", "temp", "-q", "--workers", "0"],
    )
    assert run.exit_code == 0, run.output
    assert "past columns are used: MASE" in run.stderr
    assert run.stdout.startswith("unique_id,ds,combination")
