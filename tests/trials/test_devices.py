"""Devices: names, results by kind, and trials on a second device. No GPU is needed, and none was seen."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

import forecheck as fc
from forecheck import devices
from forecheck.attention.replace import Replace
from forecheck.data.windows import prepare
from forecheck.devices import read_device
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasting.backtest import plan
from forecheck.nn.placed import device_of, place
from forecheck.nn.plain import plainly
from forecheck.nn.seeding import initialise
from forecheck.sparsity.methods import Goal
from forecheck.sparsity.prune import Steps, prune_network
from forecheck.sparsity.windows import batches_of
from forecheck.training.loop import mean_squared_error, training_loss
from forecheck.trials.run import run_trial
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial
from panels import TINY, hourly
from second_device import There, second_device

# Those with code of their own on the way; `patchtst` is below.
NETWORKS = ["samformer", "vq-tokens", "autoformer", "informer"]
SMALL = TINY | {"epochs": 1, "batch": 128, "vq_codes": 8, "vq_updates": 2, "dropout": 0.0, "attention_dropout": 0.0}


@pytest.fixture(scope="module")
def cut():
    return prepare(hourly(180), 24, 6)


def small(kind):
    return {key: value for key, value in SMALL.items() if key in registry.defaults(kind)}


def test_names_of_devices(monkeypatch):
    monkeypatch.setattr(devices, "devices", lambda: ["cpu"])
    assert read_device("auto") == read_device("cpu") == "cpu"
    for name in ("cuda", "cuda:0", "mps", "gpu", "", "meta", "cuda:-1"):
        with pytest.raises(UsageError, match=r"there is no device") as error:
            read_device(name)
        assert error.value.remedy == "There are auto, cpu."
    monkeypatch.setattr(devices, "devices", lambda: ["cpu", "cuda:0", "cuda:1"])
    assert [read_device(name) for name in ("auto", "cuda", "cuda:1", "cpu")] == ["cuda:0", "cuda:0", "cuda:1", "cpu"]


def test_a_device_that_is_not_there_is_refused_before_the_work(tmp_path):
    with pytest.raises(UsageError, match=r"there is no device 'cuda:9'"):
        fc.backtest(hourly(300), ["last"], horizon=2, device="cuda:9", store=tmp_path)
    assert not any(tmp_path.iterdir())


def test_the_kind_of_the_device_is_part_of_the_address():
    there = [
        Trial("f" * 64, "70/10/20", 48, 12, "patchtst", device=each) for each in ("cpu", "cuda:0", "cuda:1", "mps")
    ]
    assert len({each.address for each in there}) == 3
    assert there[1].address == there[2].address
    assert there[1].key.described["device"] == "cuda"
    assert Trial(**there[2].key.described).address == there[2].address


def test_only_networks_are_moved(cut):
    planned = plan(cut, ["last", "nlinear", "patchtst"], {}, 1, 24, device="cuda:1")
    assert [trials[0].device for trials in planned.values()] == ["cpu", "cpu", "cuda:1"]


@pytest.mark.parametrize("name", NETWORKS)
def test_training_on_another_device_forgets_nothing_and_gives_the_same(name, cut):
    task, kind = Task(24, 6, 2, 24), registry.find(name)
    with plainly():
        expected = registry.create(kind.name, task, small(kind))
        expected.fit(cut.train, cut.validation)
    moved = registry.create(kind.name, task, small(kind))
    with second_device() as there:
        moved.fit(cut.train.on(there), cut.validation.on(there))
        assert device_of(moved.module).type == there
        x, _ = cut.test.gather(slice(0, 3))
        forecast = moved.predict(x)  # of windows that are elsewhere, and comes back
        assert type(forecast) is torch.Tensor
        assert type(moved.predict(x.to(there))) is There
    assert all(type(value) is torch.Tensor for value in moved.tensors().values())
    # Products over all patches at once round otherwise than some at a time, and codes may flip.
    loose = kind.name.startswith("vq-")
    if not loose:
        np.testing.assert_allclose(moved.history.validation, expected.history.validation, rtol=1e-5)
        torch.testing.assert_close(forecast, expected.predict(x), rtol=1e-4, atol=1e-4)
    assert np.isfinite(moved.history.validation).all()


def run_both(trial, cut, store):
    """The same trial on the CPU, by plain operations, and on the second device."""
    here, there = trial, replace(trial, device="meta")
    with plainly():
        run_trial(here, store)
    with second_device():
        run_trial(there, store)
    return store.get(here), store.get(there)


def same(found, expected):
    assert found.arrays.keys() == expected.arrays.keys()
    for name, value in expected.arrays.items():
        np.testing.assert_allclose(found.arrays[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.fixture(scope="module")
def patchtst(cut, tmp_path_factory):
    """A trial of a fit, and a store that has it of both devices."""
    store = Store(tmp_path_factory.mktemp("store"))
    store.put_panel(cut.panel)
    trial = plan(cut, ["patchtst"], {"patchtst": small(registry.find("patchtst"))}, 1, 24)["patchtst"][0]
    here, there = run_both(trial, cut, store)
    same(there, here)
    assert there.summary["mse"] == pytest.approx(here.summary["mse"], rel=1e-5)
    return trial, store


EDITS = [
    Replace("mean"),
    Replace("frozen-mean"),
    Replace("shuffled"),
]


@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_edits_on_another_device(edit, cut, patchtst):
    trial, store = patchtst
    edited = replace(trial, edit=edit.to_dict(), posthoc=True)
    here, there = run_both(edited, cut, store)
    assert "why_not" not in here.summary
    same(there, here)


def test_an_arm_that_is_retrained_on_another_device(cut, patchtst):
    trial, store = patchtst
    here, there = run_both(replace(trial, edit=Replace("fixed").to_dict()), cut, store)
    same(there, here)


@pytest.mark.parametrize("measure", ["representation", "gradient", "signs", "head_ranks"])
def test_probes_on_another_device(measure, cut, patchtst):
    trial, store = patchtst
    here, there = run_both(replace(trial, measure=measure), cut, store)
    assert here.summary.get("why_not") == there.summary.get("why_not")
    same(there, here)


def test_pruning_on_another_device(cut):
    made = []
    for name in ("cpu", "meta"):
        forecaster = registry.create("patchtst", Task(24, 6, 2, 24), small(registry.find("patchtst")))
        initialise(forecaster.module, 0)
        with second_device(), plainly():
            place(forecaster.module, name)
            found = prune_network(
                forecaster.module,
                training_loss,
                batches_of(cut.train.on(name), 32),
                lambda network, name=name: mean_squared_error(network, cut.validation.on(name)),
                Goal(0.5, steps=4, interval=2),
                training=Steps(4),
            )
            made.append((found.sparsity, found.validation[1]))
    assert made[0][0] == made[1][0]
    assert made[0][1] == pytest.approx(made[1][1], rel=1e-3)


def test_a_fit_goes_on_from_its_checkpoint_on_another_device(cut, tmp_path):
    options = small(registry.find("patchtst")) | {"epochs": 2, "average": 1}
    whole, stopped = (registry.create("patchtst", Task(24, 6, 2, 24), options) for _ in range(2))
    with second_device() as there:
        train, validation = cut.train.on(there), cut.validation.on(there)
        whole.fit(train, validation)

        def stop(done, word):
            if done > 0.5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            stopped.fit(train, validation, progress=stop, checkpoint=tmp_path / "state")
        stopped.fit(train, validation, checkpoint=tmp_path / "state")
    assert stopped.history.validation == whole.history.validation
    assert stopped.history.averaged == whole.history.averaged


def test_the_plain_way_reaches_the_loss_of_the_cpu_within_the_spread_of_seeds(cut):
    """With dropout, where masks differ: the means of three seeds differ by less than two standard deviations."""
    options = small(registry.find("patchtst")) | {"dropout": 0.2, "attention_dropout": 0.2, "epochs": 4, "batch": 32}
    losses = []
    for way in (plainly, nullcontext):
        made = [registry.create("patchtst", Task(24, 6, 2, 24), options) for _ in range(3)]
        with way():
            for seed, forecaster in enumerate(made):
                forecaster.fit(cut.train, cut.validation, seed)
        losses.append([min(forecaster.history.validation) for forecaster in made])
    spread = max(np.std(each, ddof=1) for each in losses)
    assert abs(np.mean(losses[0]) - np.mean(losses[1])) < 2 * spread
    assert losses[0] != losses[1]


def test_training_leaves_the_streams_of_torch_alone(cut):
    forecaster = registry.create("patchtst", Task(24, 6, 2, 24), small(registry.find("patchtst")))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with plainly():
        forecaster.fit(cut.train, cut.validation)
    assert torch.equal(torch.rand(3), expected)
