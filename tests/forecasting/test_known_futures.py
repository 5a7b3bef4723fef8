"""Known columns from the data to the forecast, its notes, its saved fit and its command."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest

import forecheck as fc
from forecheck.errors import DataError, UsageError
from forecheck.forecasting.beside import worth_in_words

ROWS, AHEAD = 70, 5


def sales(seed=0):
    rng = np.random.default_rng(seed)
    days = pd.date_range("2024-01-01", periods=ROWS + AHEAD)
    parts = []
    for name in ("a", "b"):
        price = rng.uniform(1, 2, len(days)).round(2)
        promo = rng.choice(["none", "half"], len(days))
        sold = 50 - 6 * price + 9 * (promo == "half") + 0.5 * rng.standard_normal(len(days))
        parts.append(pd.DataFrame({"unique_id": name, "ds": days, "y": sold, "price": price, "promo": promo}))
    whole = pd.concat(parts, ignore_index=True)
    return whole.assign(y=whole["y"].where(whole["ds"] < days[ROWS])), whole


def parted():
    frame, whole = sales()
    later = frame["y"].isna()
    return frame[~later], frame[later].drop(columns="y"), whole[later]["y"].to_numpy()


@pytest.fixture
def forecast(tmp_path):
    return partial(fc.forecast, workers=0, store=tmp_path / "store", model="combination", horizon=AHEAD)


def test_known_columns_better_the_forecast_and_info_says_by_how_much(forecast):
    history, future, truth = parted()
    with_them = forecast(history, known=["price", "promo"], future=future, level=[80])
    plain = forecast(fc.load(history, target=["y"]))
    errors = [np.abs(np.asarray(each.columns["combination"]) - truth).mean() for each in (with_them, plain)]
    assert errors[0] < 0.5 * errors[1]
    known = with_them.info["known"]
    assert known["used"]
    assert known["gain"] > 0.5
    assert known["interval"][0] > 0
    assert "known" not in plain.info
    json.dumps(with_them.info)
    assert worth_in_words(known).startswith("known columns are used: MASE 0.")


def test_auto_starts_from_the_combination_with_known_columns(forecast):
    history, future, _ = parted()
    made = forecast(history, known=["price", "promo"], future=future, model="auto")
    assert made.model == "combination"
    assert made.info["known"]["used"]
    assert set(made.info["rolling_mase"]) >= {"combination", "nlinear"}
    assert made.info["rolling_mase"]["combination"] < made.info["rolling_mase"]["nlinear"]


@pytest.mark.parametrize("model", ["nlinear", "patchtst", "last"])
def test_models_of_windows_refuse_with_the_reason(model, forecast):
    with pytest.raises(UsageError, match=f"{model} is of the channels alone and cannot use known columns"):
        forecast(sales()[0], known="price", model=model)


def test_what_scores_windows_refuses_too(tmp_path):
    panel = fc.load(sales()[0], known="price")
    for score in (fc.backtest, fc.cross_validation):
        with pytest.raises(UsageError, match="none of the models uses known columns: last see"):
            score(panel, ["last"], horizon=2, workers=0, store=tmp_path)
    static = fc.load(parted()[0].assign(kind="x"), static="kind", target="y")
    with pytest.raises(UsageError, match="no column of frame is known for the future"):
        fc.backtest(static, ["combination"], horizon=2, workers=0, store=tmp_path)
    fc.fit(
        fc.load(parted()[0], target=["y"]),
        horizon=2,
        model="last",
        output=tmp_path / "fit",
        workers=0,
        store=tmp_path / "s",
    )
    with pytest.raises(UsageError, match="last is of the channels alone"):
        fc.forecast(panel, model_dir=tmp_path / "fit")
    with pytest.raises(UsageError, match="an audit is of the channels alone"):
        fc.audit(panel, horizon=2, workers=0, store=tmp_path)


def test_too_few_known_steps_are_refused_with_the_first_that_is_missing(forecast):
    history, future, _ = parted()
    with pytest.raises(DataError, match=r"known for 5 of the 7 steps .* \(and 1 other series\).* is 2024-03-16"):
        forecast(history, known="price", future=future, horizon=7)
    with pytest.raises(DataError, match='known for 0 of the 5 steps after the end of series "b"'):
        forecast(history, known="price", future=future[future["unique_id"] == "a"])
    with pytest.raises(DataError, match="known for 0 of the 5 steps"):
        forecast(history, known="price")


def test_static_columns_alone_have_nothing_to_act_on(forecast):
    with pytest.raises(UsageError, match="no column of frame is known for the future"):
        forecast(parted()[0].assign(kind="x"), static="kind")


def test_calendar_features_need_no_future(forecast):
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=90)
    y = 20 + 10 * (days.day_of_week >= 5) + rng.standard_normal(90)
    frame = pd.DataFrame({"ds": days, "y": y})
    made = forecast(frame, calendar=["weekend", "month"], horizon=14)
    assert made.info["known"]["without"] > 0
    assert "gain" in made.info["known"]
    with pytest.raises(DataError, match="needs dates"):
        forecast(pd.DataFrame({"y": y}), calendar="weekend")


def test_notes_name_what_is_doubtful(forecast):
    history, future, _ = parted()
    shifted = history.groupby("unique_id")["y"].shift(1).bfill()
    made = forecast(
        history.assign(copy=shifted, one=1.0, twin=2 * history["price"]),
        known=["price", "promo", "copy", "one", "twin"],
        future=future.assign(copy=50.0, one=1.0, price=9.0, twin=18.0, promo="quarter"),
    )
    notes = "\n".join(made.info["notes"])
    assert '"copy" changes as the target does 1 step earlier: is it really known for the horizon?' in notes
    assert 'set aside, since they never change in the history: "one"' in notes
    assert '"price", "twin" tell the same as each other' in notes
    assert '"promo" is "quarter" in the future and never was' in notes
    assert '"price" goes from 9 to 9 in the future, beyond the 1' in notes
    assert np.isfinite(np.asarray(made.columns["combination"])).all()
    assert np.abs(np.asarray(made.columns["combination"])).max() < 200


def test_a_saved_fit_keeps_its_columns(tmp_path, forecast):
    history, future, _ = parted()
    asked = {"known": ["price", "promo"], "calendar": ["dayofweek"]}
    fc.fit(
        history,
        horizon=AHEAD,
        model="combination",
        output=tmp_path / "fit",
        workers=0,
        store=tmp_path / "s",
        **asked,
        future=future,
    )
    now = forecast(history, **asked, future=future)
    later = fc.forecast(history, model_dir=tmp_path / "fit", future=future)
    assert later.to_pandas().equals(now.to_pandas())
    assert later.info["known"] == now.info["known"]
    with pytest.raises(
        DataError, match=r"made with columns beside the channels: known .price., .promo.*read with none"
    ):
        fc.forecast(fc.load(history, target=["y"]), model_dir=tmp_path / "fit")
    with pytest.raises(DataError, match="known for 0 of the 5 steps"):
        fc.forecast(history, model_dir=tmp_path / "fit")
    plain = tmp_path / "plain"
    fc.fit(fc.load(history, target=["y"]), horizon=AHEAD, model="combination", output=plain, workers=0, store=tmp_path)
    with pytest.raises(DataError, match=r"columns beside the channels: none; .* Read it without them|Read it without"):
        fc.forecast(fc.load(sales()[0], known="price"), model_dir=plain)
