"""Trained forecasters with fewer weights: judged, saved, forecast with, and other people's networks likewise."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import forecheck as fc
from forecheck.cli.main import app
from forecheck.data.windows import prepare
from forecheck.errors import DataError, UsageError
from forecheck.forecasting.saved import load_fit
from panels import TINY, as_csv, hourly

SMALL = {"horizon": 6, "lookback": 24, "workers": 0, "steps": 20, "options": {"patchtst": TINY}}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


def test_a_forecaster_is_pruned_judged_and_saved(store, tmp_path):
    panel = hourly(400)
    pruned = fc.prune(panel, sparsity=0.8, output=tmp_path / "fit", store=store, **SMALL)
    info = pruned.info
    assert info["sparsity"] == pytest.approx(0.8, abs=0.01)
    assert info["nonzero"][1] < 0.5 * info["nonzero"][0]
    assert info["bytes"][1] < info["bytes"][0]
    assert [each["weight"] for each in info["weights"] if each["head"]] == ["head.weight"]
    experiment = prepare(panel, 24, 6)
    with torch.no_grad():
        errors = [(pruned.module(x) - y).square() for _, x, y in experiment.test.batches(64)]
    assert float(torch.cat(errors).mean()) == pytest.approx(info["mse"][1], rel=1e-5)
    saved = fc.forecast(panel, model_dir=tmp_path / "fit", level=80)
    mean, std = experiment.scaler.mean[0], experiment.scaler.std[0]
    x = torch.as_tensor((panel.values[-24:] - mean) / std, dtype=torch.float32)[None]
    expected = pruned.module(x)[0].detach().numpy() * std + mean
    np.testing.assert_allclose(np.asarray(saved.columns["patchtst"]).reshape(-1, 6).T, expected, rtol=1e-5)


def test_what_further_training_gains_is_not_laid_to_pruning(store):
    more = fc.prune(hourly(600), sparsity=0.0, store=store, **SMALL | {"method": "magnitude", "steps": 150}).info
    assert more["outcome"] == "better"
    assert "trained for 150 more steps, the dense one was not" in " ".join(more["warnings"])
    assert "train it longer (--set epochs) and" in " ".join(more["warnings"])
    none = fc.prune(hourly(600), sparsity=0.0, store=store, **SMALL | {"method": "magnitude", "steps": 0}).info
    assert none["outcome"] != "better"
    assert none["warnings"] == []


@pytest.mark.parametrize("kind", ["heads", "units"])
def test_what_is_taken_out_is_gone_from_the_saved_fit(kind, store, tmp_path):
    panel = hourly(400)
    options = SMALL | {"options": {"patchtst": TINY | {"layers": 2}}, "method": "magnitude"}
    pruned = fc.prune(panel, sparsity=0.5, pattern=kind, output=tmp_path / "fit", store=store, **options)
    info = pruned.info
    assert {each["kind"] for each in info["removed"].values()} == {kind}
    assert all(each["after"] == each["before"] / 2 for each in info["removed"].values())
    assert not any(each["head"] for each in info["weights"])  # the head is not among what was pruned
    assert info["parameters"][1] < info["parameters"][0]
    assert info["bytes"][1] == 4 * info["parameters"][1] + info["bytes"][0] - 4 * info["parameters"][0]
    assert "times as fast" in info["speed"]
    low, high = info["speed_up"]["interval"]
    assert 0 < low <= info["speed_up"]["ratio"] <= high
    experiment = prepare(panel, 24, 6)
    with torch.no_grad():
        errors = [(pruned.module(x) - y).square() for _, x, y in experiment.test.batches(64)]
    assert float(torch.cat(errors).mean()) == pytest.approx(info["mse"][1], rel=1e-5)
    saved = load_fit(tmp_path / "fit").forecaster
    x, _ = experiment.test.gather(slice(0, 5))
    assert torch.equal(saved.predict(x), pruned.fitted.forecaster.predict(x))
    torch.testing.assert_close(saved.predict(x), pruned.module(x))
    assert saved.parameters == info["parameters"][1]
    again = fc.prune(panel, model_dir=tmp_path / "fit", sparsity=0.5, pattern="units", store=store, workers=0, steps=4)
    assert again.info["parameters"][0] == info["parameters"][1]
    assert again.info["parameters"][1] < again.info["parameters"][0]
    page = again.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == page
    for said in ("relative residual", "Zeros in % of every matrix", "taken out: hidden units", "whole hidden units"):
        assert said in page


def test_nothing_pruned_is_nothing_changed(store):
    pruned = fc.prune(hourly(400), sparsity=0.0, method="magnitude", store=store, **(SMALL | {"steps": 0}))
    assert pruned.info["mse"][0] == pruned.info["mse"][1]
    assert pruned.info["nonzero"][0] == pruned.info["nonzero"][1]


class Network(nn.Module):
    """Somebody's own."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(24, 6)

    def forward(self, x):
        return self.map(x.transpose(1, 2)).transpose(1, 2)


def test_a_network_of_ones_own_is_copied_and_pruned(store):
    torch.manual_seed(0)
    network = Network()
    before = network.map.weight.clone()
    own = SMALL | {"options": None}
    pruned = fc.prune(hourly(400), model=network, sparsity=0.5, pattern=(2, 4), store=store, **own)
    assert torch.equal(network.map.weight, before)
    assert int((pruned.module.map.weight == 0).sum()) == network.map.weight.numel() // 2
    assert pruned.fitted is None
    assert "Network" in repr(pruned)


def test_a_killed_pruning_goes_on(store, monkeypatch):
    options = {"sparsity": 0.7, "store": store} | SMALL
    whole = fc.prune(hourly(400), **options).info["trace"]
    from forecheck.sparsity import prune as pruning

    step, seen = pruning._Trainer.step, []

    def killed(self, number, *rest):
        seen.append(number)
        if len(seen) == 13:
            raise KeyboardInterrupt
        step(self, number, *rest)

    monkeypatch.setattr(pruning._Trainer, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        fc.prune(hourly(400), **options)
    assert fc.prune(hourly(400), **options).info["trace"] == whole
    assert seen.count(5) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "rlinear", "options": None}, "no network to prune"),
        ({"model": Network(), "lookback": None, "options": None}, "lookback of a network"),
        ({"sparsity": 90}, "share of weights"),
        ({"method": "obd"}, "no method"),
        ({"ignore": ["nothing*"]}, "fits no parameter"),
    ],
)
def test_bad_requests(store, options, said):
    with pytest.raises(UsageError, match=said):
        fc.prune(hourly(400), store=store, **(SMALL | options))


def test_on_the_command_line(store, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(as_csv(hourly(400)))
    sets = [f"--set=patchtst.{key}={value}" for key, value in TINY.items()]
    line = ["prune", str(path), "--horizon", "6", "--lookback", "24", "--steps", "10", "--workers", "0", "--quiet"]
    done = CliRunner().invoke(app, [*line, *sets, "--store", str(store), "--json", str(tmp_path / "out.json")])
    assert done.exit_code == 0, done.output
    assert "prunable weights are zero" in done.output
    assert len(done.output.splitlines()) <= 40
    assert "left alone: " in done.output
    assert "parameters" in done.output
    assert (tmp_path / "out.json").exists()
    for wrong in (["--pattern", "half"], ["--scope", "row"], ["--schedule", "steep"]):
        refused = CliRunner().invoke(app, [*line, *wrong])
        assert refused.exit_code != 0


@pytest.fixture(scope="module")
def fitted(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fits") / "fit"
    saved = {key: SMALL[key] for key in ("horizon", "lookback", "workers", "options")}
    fc.fit(hourly(400), model="patchtst", output=folder, store=store, **saved)
    return folder


SAVED = {"workers": 0, "steps": 10, "sparsity": 0.6, "method": "magnitude"}


def test_a_saved_fit_is_pruned_with_its_own_scales(fitted, store, tmp_path):
    panel = hourly(400)
    pruned = fc.prune(panel, model_dir=fitted, output=tmp_path / "small", store=store, **SAVED)
    assert pruned.info["sparsity"] == pytest.approx(0.6, abs=0.01)
    assert pruned.info["warnings"] == []
    wider = replace(panel, values=50 + 2 * (panel.values - 50))
    other = fc.prune(wider, model_dir=fitted, store=store, **SAVED)
    kept = prepare(panel, 24, 6).scaler
    for each in (pruned, other, SimpleNamespace(fitted=load_fit(tmp_path / "small"))):
        np.testing.assert_array_equal(each.fitted.scaler.std, kept.std)
    assert other.info["mse"][0] > 2 * pruned.info["mse"][0]
    assert "not the data that the fit was made of" in other.info["warnings"][0]
    again = fc.prune(panel, model_dir=tmp_path / "small", store=store, **(SAVED | {"steps": 0, "sparsity": 0.0}))
    assert again.info["nonzero"][0] == again.info["nonzero"][1] == pruned.info["nonzero"][1]
    assert again.info["mse"][1] == pytest.approx(pruned.info["mse"][1])


def test_what_does_not_fit_a_saved_fit_is_refused(fitted, store, tmp_path):
    for wrong, said in (
        ({"horizon": 7}, "horizon of 6, not 7"),
        ({"lookback": 30}, "lookback of 24, not 30"),
        ({"options": {"patchtst": TINY}}, "no effect on a saved fit"),
    ):
        with pytest.raises(UsageError, match=said):
            fc.prune(hourly(400), model_dir=fitted, store=store, **SAVED, **wrong)
    with pytest.raises(DataError, match="fitted on channels"):
        fc.prune(hourly(400, channels=3), model_dir=fitted, store=store, **SAVED)
    with pytest.raises(DataError, match="does not hold a fit"):
        fc.prune(hourly(400), model_dir=tmp_path, store=store, **SAVED)
    fc.fit(hourly(400), model="rlinear", horizon=6, lookback=24, workers=0, output=tmp_path / "linear", store=store)
    with pytest.raises(UsageError, match="rlinear, which has no network"):
        fc.prune(hourly(400), model_dir=tmp_path / "linear", store=store, **SAVED)


def test_horizon_or_a_fit_is_needed(store):
    with pytest.raises(UsageError, match=r"--horizon.*--model-dir"):
        fc.prune(hourly(400), store=store)
    refused = CliRunner().invoke(app, ["prune", "co2", "--model-dir", "fit", "--model", "nlinear-sgd"])
    assert isinstance(refused.exception, UsageError)
    assert "no effect on a saved fit" in str(refused.exception)
