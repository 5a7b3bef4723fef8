"""Rolling refits: exact updates, nothing from the future, every test window once."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from forecheck.data.windows import prepare
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.refit import grams, refitted
from forecheck.forecasting.backtest import run_backtest
from forecheck.reports.report import Report
from forecheck.reports.tables import models_table
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.rolling import rolled, score_rolled, windows_before
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial
from panels import TINY, hourly, ragged

LOOKBACK, HORIZON = 16, 4


def fitted(name, experiment, **options):
    windows = experiment.train
    forecaster = registry.create(name, Task(windows.lookback, windows.horizon, windows.channels, 7), options)
    return forecaster, forecaster.fit(windows, experiment.validation).details


def cuts(experiment, every, k):
    borders = experiment.borders
    return np.minimum(borders.validation_end + k * every, borders.test_end)


@pytest.mark.parametrize("panel", [hourly(300), ragged()], ids=["one series", "ragged"])
@pytest.mark.parametrize(("every", "step"), [(1, 1), (12, 1), (10, 3), (1000, 1)])
@pytest.mark.parametrize(
    ("name", "options"), [("linear", {}), ("dlinear", {"per_channel": True}), ("anchored", {"lookbacks": (4, 16)})]
)
def test_updates_are_as_exact_as_refits_from_scratch(panel, every, step, name, options):
    experiment = prepare(panel, LOOKBACK, HORIZON, step=step)
    forecaster, details = fitted(name, experiment, **options)
    places = []
    series = experiment.panel.series_of(experiment.test.origins)
    row = experiment.test.origins - experiment.panel.offsets[series] - experiment.borders.validation_end[series]
    for place, again in rolled(forecaster, details, experiment, every):
        (k,) = set(row[place] // every)
        scratch = refitted(
            forecaster, grams(forecaster, windows_before(experiment, cuts(experiment, every, k))), details
        )
        for key, tensor in scratch.tensors().items():
            torch.testing.assert_close(again.tensors()[key], tensor, rtol=1e-10, atol=1e-10)
        places.append(place)
    assert sorted(np.concatenate(places)) == list(range(len(experiment.test)))


@pytest.mark.parametrize("name", ["nlinear", "anchored"])
def test_no_fit_sees_a_row_at_or_after_its_origins(name):
    experiment = prepare(ragged(), LOOKBACK, HORIZON)
    forecaster, details = fitted(name, experiment)
    sound = [again.tensors() for _, again in rolled(forecaster, details, experiment, 8)]
    assert len(sound) > 3
    for k, expected in enumerate(sound):
        values = experiment.test.values.copy()
        for offset, cut, end in zip(
            experiment.panel.offsets[:-1], cuts(experiment, 8, k), experiment.panel.lengths, strict=True
        ):
            values[offset + cut : offset + end] = np.nan
        ends_here = replace(experiment, test=replace(experiment.test, values=values))
        blocks = rolled(forecaster, details, ends_here, 8)
        for _ in range(k + 1):
            _, again = next(blocks)
        assert all(torch.equal(again.tensors()[key], tensor) for key, tensor in expected.items())


def test_scores_are_those_of_the_last_refit_before_every_window():
    experiment = prepare(hourly(300), LOOKBACK, HORIZON)
    forecaster, details = fitted("nlinear", experiment)
    scores, refits = score_rolled(forecaster, details, experiment, 7)
    errors = np.zeros((len(experiment.test), HORIZON, 2))
    for i in range(len(experiment.test)):
        cut = cuts(experiment, 7, i // 7)
        alone = registry.create("nlinear", forecaster.task, {"ridge": details["ridge"]})
        windows = windows_before(experiment, cut)
        alone.fit(windows, windows)
        x, y = experiment.test.gather(slice(i, i + 1))
        errors[i] = (alone.predict(x) - y)[0].numpy()
    assert refits == -(-len(experiment.test) // 7)
    np.testing.assert_allclose(scores.mse, np.square(errors).mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(scores.mae, np.abs(errors).mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(scores.horizon_mse, np.square(errors).mean(axis=(0, 2)), rtol=1e-4)


def test_a_backtest_with_refits(tmp_path):
    """The series begins to rise in the test part: only refits see it."""
    panel = hourly(400)
    rising = replace(panel, values=panel.values + np.maximum(0, np.arange(400) - 330)[:, None] * 2.0)
    store = Store(tmp_path)
    models = ["mean", "linear", "patchtst"]
    keywords = {"options": {"patchtst": TINY | {"epochs": 1, "layers": 1}}}
    kept = run_backtest(rising, models, Protocol(6, 24), Means(store), **keywords)
    report = run_backtest(rising, models, Protocol(6, 24), Means(store), refit=6, **keywords)
    assert report["protocol"]["trials"] == {"total": 3, "from store": 2}
    assert report["protocol"]["refit"] == 6
    before, after = ({row["model"]: row["mse"] for row in one["table"]} for one in (kept, report))
    assert after["linear"] < 0.9 * before["linear"]
    assert (after["mean"], after["patchtst"]) == (before["mean"], before["patchtst"])
    table = models_table(report)
    place = [column.name for column in table.columns].index("fits")
    assert {row[0]: row[place] for row in table.rows} == {"mean": "never", "linear": "14", "patchtst": "once"}
    assert "fits" in Report(report).to_text(140, verbose=True)
    assert "fits" not in [column.name for column in models_table(kept).columns]
    with pytest.raises(UsageError, match="refits are a positive number of rows apart, got 0"):
        run_backtest(rising, models, Protocol(6, 24), Means(store), refit=0)


def test_refits_are_in_the_address():
    trial = Trial("f" * 64, "70/10/20", 336, 96, "nlinear", {"ridge": None})
    assert replace(trial, refit=24).address != trial.address
