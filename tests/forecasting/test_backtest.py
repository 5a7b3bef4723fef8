import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from protocols import parted

import forecheck as fc
from forecheck.data.windows import prepare
from forecheck.errors import DataError, UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task, predict_all
from forecheck.forecasters.linear import Linear
from forecheck.forecasting.backtest import run_backtest
from forecheck.reports.report import Report
from forecheck.reports.tables import models_table
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.store import Store
from panels import TINY, hourly, ragged

MODELS = ("last", "seasonal", "mean", "nlinear")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return run_backtest(hourly(900), MODELS, Protocol(12, 48), Means(Store(tmp_path_factory.mktemp("store"))))


def row(report, model):
    (found,) = [row for row in report["table"] if row["model"] == model]
    return found


def pair(report, model, reference):
    (found,) = [pair for pair in report["pairs"] if (pair["model"], pair["reference"]) == (model, reference)]
    return found


def errors_by_hand(panel, name, lookback, horizon, **kw):
    """Standardised errors of all test windows of a naive forecaster, window by window, and the scale of each."""
    errors, scales = [], []
    # One pair of stamps for all series: at most 70 % of all rows before the first, 20 % from the second on.
    stamps = sorted(set(panel.time.tolist()))
    rows, time = len(panel.values), np.array(panel.time.tolist())
    first = max(stamp for stamp in stamps if (time < stamp).sum() <= 0.7 * rows + 1e-9)
    second = min(stamp for stamp in stamps if (time >= stamp).sum() <= 0.2 * rows + 1e-9)
    for s in range(len(panel.series)):
        values, own = (part[panel.series_rows(s)] for part in (panel.values, time))
        n = len(values)
        train, test = values[own < first], int((own < second).sum())
        mean, std = train.mean(axis=0), train.std(axis=0)
        z = (values - mean) / std
        for origin in range(max(test, lookback), n - horizon + 1):
            window, truth = z[origin - lookback : origin], z[origin : origin + horizon]
            forecast = {
                "last": np.repeat(window[-1:], horizon, axis=0),
                "mean": np.repeat(window.mean(axis=0, keepdims=True), horizon, axis=0),
                "seasonal": np.array([window[-kw["period"] + h % kw["period"]] for h in range(horizon)]),
            }[name]
            errors.append(forecast - truth)
            scales.append(std)
    return np.array(errors), np.array(scales)[:, None]


@pytest.mark.parametrize("panel", [hourly(500), ragged()], ids=["one series", "ragged"])
@pytest.mark.parametrize("model", ["last", "mean", "seasonal"])
def test_the_table_is_what_brute_force_finds(panel, model, store):
    report = run_backtest(panel, [model], Protocol(6, 30, period=7), Means(store))
    errors, scales = errors_by_hand(panel, model, 30, 6, period=7)
    found = row(report, model)
    assert found["mse"] == pytest.approx(np.square(errors).mean(), rel=1e-5)
    assert found["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
    assert found["mse_real"] == pytest.approx(np.square(errors * scales).mean(), rel=1e-5)
    assert found["mae_real"] == pytest.approx(np.abs(errors * scales).mean(), rel=1e-5)
    curve = report["horizon"]["curves"][0]
    assert curve["label"] == model
    np.testing.assert_allclose(curve["mse"], np.square(errors).mean(axis=(0, 2)), atol=1e-5)


def test_fitted_models_are_scored_on_their_own_forecasts(report):
    experiment = prepare(hourly(900), 48, 12)
    model = registry.create("nlinear", Task(48, 12, 2, 24))
    model.fit(experiment.train, experiment.validation)
    for part, key in (("test", "mse"), ("validation", "validation_mse")):
        windows = experiment.part(part)
        _, truth = windows.gather(slice(0, len(windows)))
        expected = float((predict_all(model, windows) - truth).square().mean())
        assert row(report, "nlinear")[key] == pytest.approx(expected, rel=1e-4)


def test_rows_say_what_was_run(report):
    assert [row["model"] for row in report["table"]] == list(MODELS)
    assert row(report, "nlinear")["options"] == {"ridge": None, "bias": True, "per_channel": False}
    assert row(report, "nlinear")["parameters"] == 48 * 12 + 12
    assert row(report, "last")["parameters"] == 0
    assert {row["seeds"] for row in report["table"]} == {1}


def test_every_pair_is_compared_once(report):
    found = [(pair["reference"], pair["model"]) for pair in report["pairs"]]
    assert found == list(itertools.combinations(MODELS, 2))
    for pair in report["pairs"]:
        low, high = pair["interval"]
        assert low <= pair["effect"] <= high
        better, worse = row(report, pair["model"])["mse"], row(report, pair["reference"])["mse"]
        assert pair["effect"] == pytest.approx(better / worse - 1, abs=1e-6)


def test_the_protocol_names_parts_and_borders(report):
    protocol = report["protocol"]
    assert [(border["part"], border["rows"], border["windows"]) for border in protocol["borders"]] == [
        ("train", 630, 630 - 48 - 12 + 1),
        ("validation", 90, 90 - 12 + 1),
        ("test", 180, 180 - 12 + 1),
    ]
    assert protocol["borders"][2]["first"] == "2024-01-31T00:00"
    assert protocol["borders"][2]["last"] == "2024-02-07T11:00"
    assert (protocol["lookback"], protocol["horizon"], protocol["step"], protocol["margin"]) == (48, 12, 1, 0.01)
    assert protocol["trials"] == {"total": 4, "from store": 0}


def test_the_report_is_a_report(report):
    made = Report(report)
    assert made.verdict.outcome == report["winner"]["model"] == "nlinear"
    assert json.loads(made.to_json())["table"] == json.loads(json.dumps(report["table"]))
    for text in (made.to_text(), made.to_markdown(), made.to_html()):
        assert all(model in text for model in MODELS)


# Constructed losses: what is compared is what the store holds, so it can be written there.


def constructed(losses, validation=None):
    """An engine that writes losses: by model and seed, a level and a wave that overlap cannot hide."""

    def run(trials, store):
        panel = store.get_panel(trials[0].data)
        for trial in trials:
            test = prepare(panel, trial.lookback, trial.horizon, trial.split, trial.step).test
            rng = np.random.default_rng(99)  # common to all models: hard and easy windows
            mse = (losses[trial.forecaster][trial.seed] * (1 + 0.05 * rng.standard_normal(len(test))))[:, None]
            own = np.random.default_rng(list(trial.forecaster.encode())).standard_normal(mse.shape)
            mse = np.repeat(mse * (1 + 1e-4 * own), panel.values.shape[1], axis=1)
            chosen = (validation or {}).get(trial.forecaster, float(mse.mean()))
            summary = {key: float(mse.mean()) for key in ("mse", "mae", "mse_real", "mae_real")} | {
                "validation_mse": chosen,
                "fit": {"seconds": 1.0 + trial.seed, "parameters": 3, "details": {}},
                "versions": {},
                "threads": 1,
            }
            store.put(trial, summary, {"mse": mse, "mae": mse, "horizon_mse": np.full(trial.horizon, mse.mean())})

    return run


def backtested(panel, models, means, **keywords):
    """A backtest with keywords of the protocol or of its own."""
    protocol, rest = parted(12, {"lookback": 48} | keywords)
    return run_backtest(panel, models, protocol, means, **rest)


def compared(store, losses, validation=None, **kw):
    return backtested(hourly(900), list(losses), Means(store, constructed(losses, validation)), **kw)


@pytest.mark.parametrize(
    ("reference", "model", "outcome"),
    [(1.0, 0.8, "better"), (1.0, 1.25, "worse"), (1.0, 1.001, "no difference"), (1.0, 0.999, "no difference")],
)
def test_outcomes_of_constructed_losses(reference, model, outcome, store):
    report = compared(store, {"last": [reference], "nlinear": [model]})
    found = pair(report, "nlinear", "last")
    assert found["outcome"] == outcome
    assert found["effect"] == pytest.approx(model - reference, abs=2e-3)


def test_the_sign_turns_with_the_order_of_the_models(store, tmp_path):
    losses = {"last": [1.0], "nlinear": [0.8]}
    one = pair(compared(store, losses), "nlinear", "last")
    other = pair(
        compared(Store(tmp_path / "other"), dict(reversed(losses.items()))),
        "last",
        "nlinear",
    )
    assert (one["outcome"], other["outcome"]) == ("better", "worse")
    assert one["effect"] == pytest.approx(-0.2, abs=2e-3)
    assert other["effect"] == pytest.approx(0.25, abs=2e-3)


def test_a_wider_margin_makes_a_difference_none(store):
    losses = {"last": [1.0], "nlinear": [0.97]}
    assert pair(compared(store, losses), "nlinear", "last")["outcome"] == "better"
    assert pair(compared(store, losses, margin=0.1), "nlinear", "last")["outcome"] == "no difference"


def test_few_windows_leave_it_undecided(store):
    losses = {"last": [1.0], "nlinear": [0.5]}
    report = run_backtest(hourly(400), list(losses), Protocol(24, 48), Means(store, constructed(losses)))
    found = report["pairs"][0]
    assert found["outcome"] == "undecided"
    assert found["why"]


def test_the_simplest_within_the_margin_of_the_best_validation_loss_wins(store):
    losses = {"patchtst": [1.0], "dlinear": [1.005], "nlinear": [1.009], "last": [1.3]}
    report = compared(store, losses, options={"patchtst": TINY})
    assert report["winner"]["model"] == "nlinear"
    assert "within 1 % of the best" in report["winner"]["rule"]
    assert compared(store, losses, options={"patchtst": TINY}, margin=0.005)["winner"]["model"] == "dlinear"


def test_the_winner_is_chosen_without_the_test_part(store):
    report = compared(store, {"last": [0.5], "nlinear": [2.0]}, validation={"last": 3.0, "nlinear": 1.0})
    assert report["winner"]["model"] == "nlinear"
    assert pair(report, "nlinear", "last")["outcome"] == "worse"


def test_the_winner_is_chosen_without_the_test_part_on_data(store):
    """Slow waves until the test part begins, then a daily wave: the test part would choose `seasonal`."""
    panel = hourly(900, noise=0.0)
    t = np.arange(900)[:, None]
    slow = np.sin(2 * np.pi * t / 300)
    values = np.where(t < 720, slow, slow + 5 * np.sin(2 * np.pi * t / 24)) + np.zeros((1, 2))
    report = run_backtest(replace(panel, values=values), ["last", "seasonal"], Protocol(12, 48), Means(store))
    assert report["winner"]["model"] == "last"
    assert row(report, "seasonal")["mse"] < 0.5 * row(report, "last")["mse"]
    # Nor is the best on the test part what others are compared with.
    assert (row(report, "seasonal")["rank"], row(report, "seasonal")["chosen"]) == (1, False)
    assert row(report, "seasonal")["against_chosen"]["effect"] < -0.5
    assert (row(report, "last")["against_chosen"], row(report, "last")["chosen"]) == (None, True)
    table = models_table(report)
    column = [column.name for column in table.columns].index("outcome")
    assert {cells[0]: cells[column] for cells in table.rows}["last"] == "chosen on validation"


# Seeds, options, steps


def test_trained_models_get_their_seeds_and_closed_forms_one(store):
    report = compared(
        store, {"last": [1.0], "patchtst": [0.8, 0.82, 0.84]}, seeds=3, options={"patchtst": TINY | {"epochs": "1"}}
    )
    assert row(report, "last")["seeds"] == 1
    found = row(report, "patchtst")
    assert found["seeds"] == 3
    assert found["mse"] == pytest.approx(0.82, rel=1e-2)
    assert found["seconds"] == pytest.approx(2.0)
    assert found["options"]["epochs"] == 1
    assert report["protocol"]["seeds"] == [0, 1, 2]
    assert report["protocol"]["trials"]["total"] == 4
    assert pair(report, "patchtst", "last")["outcome"] == "better"


def test_seeds_that_disagree_widen_the_interval(store, tmp_path):
    def width(losses, where):
        low, high = pair(
            compared(where, {"last": [1.0], "patchtst": losses}, seeds=3, options={"patchtst": TINY}),
            "patchtst",
            "last",
        )["interval"]
        return high - low

    agreed = width([0.8, 0.8, 0.8], store)
    assert width([0.6, 0.8, 1.0], Store(tmp_path / "other")) > 5 * agreed


def test_trained_models_run_for_real(store):
    panel = hourly(300)
    report = run_backtest(
        panel, ["nlinear", "patchtst"], Protocol(12, 48), Means(store), seeds=2, options={"patchtst": TINY}
    )
    assert row(report, "patchtst")["seeds"] == 2
    assert row(report, "patchtst")["parameters"] > 0
    again = run_backtest(
        panel, ["nlinear", "patchtst"], Protocol(12, 48), Means(store), seeds=2, options={"patchtst": TINY}
    )
    assert again["protocol"]["trials"] == {"total": 3, "from store": 3}
    assert again["table"] == report["table"]


def test_options_reach_the_model(store):
    strong = run_backtest(hourly(), ["nlinear"], Protocol(12, 48), Means(store), options={"nlinear": {"ridge": "1e6"}})
    none = run_backtest(hourly(), ["nlinear"], Protocol(12, 48), Means(store), options={"nlinear": {"ridge": 0}})
    assert row(strong, "nlinear")["options"]["ridge"] == 1e6
    assert row(none, "nlinear")["options"]["ridge"] == 0
    assert row(strong, "nlinear")["mse"] > 1.5 * row(none, "nlinear")["mse"]


def test_a_step_keeps_every_nth_origin(store):
    report = run_backtest(hourly(900), ["last", "nlinear"], Protocol(12, 48, step=24), Means(store))
    assert [border["windows"] for border in report["protocol"]["borders"]] == [24, 3, 8]
    experiment = prepare(hourly(900), 48, 12)
    squared = []
    for origin in range(720, 900 - 12 + 1, 24):
        z = experiment.test.values
        squared.append(np.square(z[origin - 1] - z[origin : origin + 12]).mean())
    assert row(report, "last")["mse"] == pytest.approx(np.mean(squared), rel=1e-5)


def test_a_split_of_the_users(store):
    report = run_backtest(hourly(), ["last"], Protocol(12, 48, split="2024-01-15,2024-01-20"), Means(store))
    borders = {border["part"]: (border["first"], border["rows"]) for border in report["protocol"]["borders"]}
    assert borders["validation"] == ("2024-01-15T00:00", 120)
    assert borders["test"] == ("2024-01-20T00:00", 600 - 19 * 24)


def test_one_model_has_no_pairs(store):
    report = run_backtest(hourly(), ["nlinear"], Protocol(12, 48), Means(store))
    assert report["pairs"] == []
    assert report["winner"]["model"] == "nlinear"
    assert "nlinear" in Report(report).to_text()


# What cannot be run is said before anything is


@pytest.mark.parametrize(
    ("models", "keywords", "message"),
    [
        ([], {}, "models must be named, each once, got none"),
        (["last", "last"], {}, "models must be named, each once, got last, last"),
        (["last", "nlinaer"], {}, "Did you mean nlinear"),
        (["last"], {"options": {"nlinear": {"ridge": 0}}}, "options are set for nlinear, which is not among"),
        (["last", "nlinear"], {"options": {"nlinear": {"rigde": 0}}}, "nlinear has no option 'rigde'"),
        (["last", "nlinear"], {"options": {"nlinear": {"ridge": "x"}}}, r"option nlinear\.ridge = 'x'"),
        (
            ["last", "patchtst"],
            {"options": {"patchtst": {"patch": 49}}},
            "patch must lie between 1 and the lookback 48",
        ),
        (["last", "seasonal"], {"period": 49}, "seasonal repeats the last 49 steps, but the lookback is 48"),
        (["last"], {"period": 0}, "the period must be positive, got 0"),
        (["last"], {"seeds": 0}, "seeds and period must be positive"),
        (["last"], {"margin": 0.0}, "margin must lie between 0 and 1"),
        (["last"], {"margin": float("nan")}, "margin must lie between 0 and 1"),
        (["last"], {"margin": 1.0}, "margin must lie between 0 and 1"),
        (["last"], {"split": "a/b/c"}, "cannot read split"),
        (["last"], {"step": 0}, "step must be positive"),
    ],
)
def test_wrong_usage_is_told_before_any_work(models, keywords, message, store):
    def never(trials, store):
        raise AssertionError("ran something")

    with pytest.raises(UsageError, match=message):
        backtested(hourly(), models, Means(store, never), **keywords)


def test_a_horizon_beyond_the_data(store):
    with pytest.raises(DataError, match="waves is too short: its validation part has at most 60 rows"):
        run_backtest(hourly(), ["last"], Protocol(61, 48), Means(store))


# The public verb


def test_the_default_models_leave_the_season_out_where_none_fits(store):
    report = fc.backtest(ragged(), horizon=6, lookback=5, period=7, workers=0, store=store.root)
    assert "seasonal" not in [row["model"] for row in report.data["table"]]
    report = fc.backtest(ragged(), horizon=6, lookback=8, period=7, workers=0, store=store.root)
    assert "seasonal" in [row["model"] for row in report.data["table"]]
    with pytest.raises(UsageError, match="seasonal repeats"):
        fc.backtest(ragged(), ["seasonal"], horizon=6, lookback=5, period=7, workers=0, store=store.root)


def test_the_verb_chooses_lookback_and_takes_frames(store):
    pd = pytest.importorskip("pandas")
    panel = hourly(300)
    frame = pd.DataFrame(panel.values, columns=list(panel.channels)).assign(date=panel.time)
    report = fc.backtest(frame, ["last", "nlinear"], horizon=12, workers=0, store=store.root)
    assert report.data["protocol"]["lookback"] == (210 - 12) // 2
    with pytest.raises(UsageError, match="lookback, horizon and step must be positive, got 0"):
        fc.backtest(frame, ["last"], horizon=12, lookback=0, workers=0, store=store.root)


# Lookbacks and ranks


def test_models_with_their_own_lookbacks_are_scored_on_the_same_windows(store, monkeypatch):
    monkeypatch.setattr(Linear, "usual_lookback", 96)
    panel = hourly(1200, channels=1)
    report = run_backtest(panel, ["nlinear", "linear"], Protocol(12), Means(store))
    assert report["protocol"]["lookback"] is None
    assert report["protocol"]["lookbacks"] == {"nlinear": 336, "linear": 96}
    assert [(border["part"], border["windows"]) for border in report["protocol"]["borders"]] == [
        ("train", None),
        ("validation", 120 - 11),
        ("test", 240 - 11),
    ]
    alone = run_backtest(panel, ["linear"], Protocol(12, 96), Means(store))
    assert alone["protocol"]["trials"]["from store"] == 1
    assert row(alone, "linear")["mse"] == row(report, "linear")["mse"]
    text = Report(report).to_text(140, verbose=True)
    assert "nlinear 336, linear 96" in text
    assert "lookback 336" not in text
    table = models_table(report)
    place = [column.name for column in table.columns].index("lookback")
    assert {row[0]: row[place] for row in table.rows} == {"nlinear": "336", "linear": "96"}


def test_ranks_are_by_test_loss_and_outcomes_against_what_validation_chose(report):
    ranked = sorted(report["table"], key=lambda row: row["rank"])
    assert [row["mse"] for row in ranked] == sorted(row["mse"] for row in report["table"])
    (chosen,) = [row for row in ranked if row["chosen"]]
    assert chosen["model"] == report["winner"]["model"]
    assert chosen["against_chosen"] is None
    for other in ranked:
        if not other["chosen"]:
            c = other["against_chosen"]
            low, high = c["interval"]
            assert low <= c["effect"] <= high
            assert c["effect"] == pytest.approx(other["mse"] / chosen["mse"] - 1, abs=1e-6)
    text = Report(report).to_text(140, verbose=True)
    assert "Leaderboard" in text
    assert "MSE against the chosen" in text
    assert "chosen on validation" in text
