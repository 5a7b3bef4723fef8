import dataclasses
from dataclasses import asdict

import numpy as np
import pytest
import torch

from forecheck.attention.replace import Replace
from forecheck.data.windows import prepare
from forecheck.errors import ForecheckError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.trials.engines.inline import run_inline
from forecheck.trials.run import blind, run_trial
from forecheck.trials.score import score
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial
from panels import TINY, hourly, ragged


def trial(panel, name, options=None, **kw):
    config = asdict(registry.read_config(registry.find(name), options or {}))
    return Trial(panel.fingerprint, "70/10/20", 48, 12, name, config, 24, **kw)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_scores_are_those_of_all_windows_by_brute_force(monkeypatch):
    experiment = prepare(hourly(), 48, 12)
    forecaster = registry.create("mean", Task(48, 12, 2), {})
    z = experiment.test.values
    errors = np.stack([z[o - 48 : o].mean(axis=0) - z[o : o + 12] for o in experiment.test.origins])
    monkeypatch.setattr("forecheck.trials.score._BATCH_VALUES", 7 * 60 * 2)  # batches of 8: the last one is partial
    assert len(experiment.test) % 8
    scores = score(forecaster, experiment.test)
    np.testing.assert_allclose(scores.mse, np.square(errors).mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(scores.mae, np.abs(errors).mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(scores.horizon_mse, np.square(errors).mean(axis=(0, 2)), rtol=1e-4)


def test_a_forecast_that_is_not_finite_is_an_error():
    experiment = prepare(hourly(), 48, 12)
    forecaster = registry.create("mean", Task(48, 12, 2), {})
    forecaster.predict = lambda x: x[:, :12] * float("nan")
    with pytest.raises(FloatingPointError, match="not finite in window 0"):
        score(forecaster, experiment.test)


@pytest.mark.parametrize("panel", [hourly(), ragged()], ids=["one series", "ragged"])
def test_fits_cannot_see_the_test_part(panel):
    experiment = prepare(panel, 24, 6)
    train, validation = blind(experiment)
    for windows in (train, validation):
        for _, x, y in windows.batches(64):
            assert torch.isfinite(x).all()
            assert torch.isfinite(y).all()
    first, end = experiment.borders.rows("test")
    hidden = np.isnan(train.values).all(axis=1)
    for offset, lo, hi in zip(panel.offsets[:-1], first, end, strict=True):
        assert hidden[offset + lo : offset + hi].all()
        assert not hidden[offset : offset + lo].any()
    assert not np.isnan(experiment.test.values).any()


def test_a_fit_that_reads_test_rows_is_an_error(store, monkeypatch):
    class Peeking(registry.find("mean")):
        name = "peeking"

        def fit(self, train_windows, *args, **kw):
            self.level = float(train_windows.values[-1].mean())
            return super().fit(train_windows, *args, **kw)

        def predict(self, x):
            return super().predict(x) + self.level

    monkeypatch.setitem(registry._REGISTRY, "peeking", Peeking)
    panel = hourly()
    store.put_panel(panel)
    with pytest.raises(FloatingPointError, match="not finite"):
        run_trial(trial(panel, "peeking"), store)


def test_real_units_undo_the_scaler(store):
    panel = hourly()
    store.put_panel(panel)
    run_trial(trial(panel, "last"), store)
    result = store.get(trial(panel, "last"))
    o = prepare(panel, 48, 12).test.origins
    errors = np.stack([panel.values[i - 1] - panel.values[i : i + 12] for i in o])
    assert result.summary["mse_real"] == pytest.approx(np.square(errors).mean(), rel=1e-5)
    assert result.summary["mae_real"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)


def test_a_fit_is_repeated_exactly(tmp_path):
    panel = hourly(300)
    results = []
    for folder in ("a", "b"):
        store = Store(tmp_path / folder)
        store.put_panel(panel)
        run_inline([trial(panel, "patchtst", TINY, seed=3)], store)
        results.append(store.get(trial(panel, "patchtst", TINY, seed=3)))
    assert (results[0].arrays["mse"] == results[1].arrays["mse"]).all()


def test_an_interrupted_fit_goes_on_where_it_was(store, tmp_path):
    panel, options = hourly(300), TINY | {"epochs": 4}
    wanted = trial(panel, "patchtst", options)
    for one in (store, Store(tmp_path / "whole")):
        one.put_panel(panel)
    words = []

    def stop(fraction, word):
        words.append(word)
        if "epoch 3/4" in word:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_trial(wanted, store, stop)
    assert store.checkpoint(wanted).exists()
    words.clear()
    run_trial(wanted, store, lambda _, word: words.append(word))
    assert not any("epoch 1/4" in word or "epoch 2/4" in word for word in words)
    assert not store.checkpoint(wanted).exists()
    whole = Store(tmp_path / "whole")
    run_trial(wanted, whole)
    assert (store.get(wanted).arrays["mse"] == whole.get(wanted).arrays["mse"]).all()


def test_posthoc_trials_edit_the_checkpoint(store):
    panel = hourly(300)
    store.put_panel(panel)
    fit = trial(panel, "patchtst", TINY)
    edited = dataclasses.replace(fit, edit=Replace("zero").to_dict(), posthoc=True)
    run_inline([edited], store)  # the fit it needs is run first
    model = registry.load(store.folder(fit) / "model")
    experiment = prepare(panel, 48, 12)
    with Replace("zero").on(model.module, experiment.train.gather(slice(0, 2))[0]):
        expected = score(model, experiment.test)
    assert (store.get(edited).arrays["mse"] == expected.mse).all()
    assert (store.get(edited).arrays["mse"] != store.get(fit).arrays["mse"]).any()


def test_retrained_trials_are_another_architecture(store):
    panel = hourly(300)
    store.put_panel(panel)
    fit = trial(panel, "patchtst", TINY, edit=Replace("fixed").to_dict())
    run_inline([fit], store)
    model = registry.load(store.folder(fit) / "model")
    assert model.edit == Replace("fixed")
    assert any("theta" in name for name in model.tensors())
    np.testing.assert_array_equal(score(model, prepare(panel, 48, 12).test).mse, store.get(fit).arrays["mse"])


def test_what_has_no_attention_cannot_be_edited(store):
    panel = hourly(300)
    store.put_panel(panel)
    with pytest.raises(ForecheckError, match="last has no attention to edit"):
        run_inline([trial(panel, "last", edit=Replace("zero").to_dict())], store)
