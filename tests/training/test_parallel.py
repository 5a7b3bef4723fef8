"""One fit by two processes: the course of training is that of one."""

import multiprocessing
import os
import socket

import numpy as np
import pytest
import torch

import forecheck as fc
from forecheck.cli.start import _run_with_others
from forecheck.data.windows import prepare
from forecheck.forecasters import registry
from forecheck.forecasting.backtest import plan
from forecheck.training import parallel
from forecheck.trials.run import run_trial
from forecheck.trials.store import Store
from panels import TINY, hourly

# Without momentum: rounding of gradients that are zero would move weights by whole steps of Adam.
SETS = {"epochs": 3, "batch": 33, "micro_batch": 20, "dropout": 0.0, "attention_dropout": 0.0, "average": 1}
SETS |= {"optimizer": "sgd", "momentum": 0.0, "lr": 0.05}


def test_a_process_alone_takes_everything():
    index = torch.arange(5)
    assert parallel.part_of(index) == (index, 1.0)
    assert parallel.leads()
    assert parallel.mine(7)
    assert parallel.added(1.0, 2.0) == [1.0, 2.0]
    assert parallel.met() is None


def one_of_two(rank, port, trial, folder):
    """What torchrun starts, from where the program would read its command."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    _run_with_others(lambda: run_trial(trial, Store(folder)))


def test_two_processes_fit_as_one_does(tmp_path):
    """Only the first one writes; batch norms see the whole batch; the last batch, and parts of batches, are odd."""
    cut = prepare(hourly(200), 24, 6)
    known = registry.defaults(registry.find("patchtst"))
    options = {key: value for key, value in (TINY | SETS).items() if key in known}
    trial = plan(cut, ["patchtst"], {"patchtst": options}, 1, 24)["patchtst"][0]
    stores = [Store(tmp_path / name) for name in ("two", "one")]
    for store in stores:
        store.put_panel(cut.panel)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")  # torch is loaded, which takes longer than all the rest
    both = [context.Process(target=one_of_two, args=(rank, port, trial, stores[0].root)) for rank in (0, 1)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert [each.exitcode for each in both] == [0, 0]
    run_trial(trial, stores[1])
    together, alone = (store.get(trial) for store in stores)
    found, expected = together.summary["fit"]["details"], alone.summary["fit"]["details"]
    for name in ("train_loss", "validation_loss", "averaged_validation_loss"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(together.arrays["mse"], alone.arrays["mse"], rtol=1e-3)
    assert not [*(tmp_path / "two").glob("checkpoint/*/*")]


def test_every_window_is_taken_once():
    index = torch.arange(7)
    taken = []
    for rank in range(3):
        token = parallel._FITTING.set(parallel.Group(rank, 3))
        part, weight = parallel.part_of(index)
        few, less = parallel.part_of(torch.arange(2))
        parallel._FITTING.reset(token)
        taken += part.tolist()
        assert (weight, len(few), less) == (1.0, 2, pytest.approx(1 / 3))
    assert sorted(taken) == index.tolist()


def test_processes_that_see_different_checkpoints_are_refused(monkeypatch):
    monkeypatch.setattr(parallel, "_largest", lambda number: number + 1)
    token = parallel._FITTING.set(parallel.Group(0, 2))
    try:
        with pytest.raises(fc.UsageError, match="different checkpoints"):
            parallel.check_same(3, "checkpoints")
    finally:
        parallel._FITTING.reset(token)


def test_workers_have_no_effect_under_torchrun(monkeypatch, tmp_path):
    monkeypatch.setattr("forecheck.verbs.common.met", lambda: parallel.Group(0, 2))
    with pytest.raises(fc.UsageError, match="no effect under torchrun"):
        fc.backtest(hourly(300), ["last"], horizon=2, workers=2, store=tmp_path)


def test_shared_norms_are_batch_norms_of_one_process(monkeypatch):
    """With one process in the group the sums are its own."""
    monkeypatch.setattr(parallel.dist, "all_reduce", lambda held, **_: held)
    x = torch.randn(40, 5, requires_grad=True)
    both = []
    for group in (None, parallel.Group(0, 1)):
        norm = torch.nn.BatchNorm1d(5)
        token = parallel._FITTING.set(group)
        with parallel.shared_norms(norm):
            y = norm(x)
            gradient = torch.autograd.grad((y * torch.arange(5)).sin().sum(), x)[0]
        parallel._FITTING.reset(token)
        assert type(norm) is torch.nn.BatchNorm1d
        both.append((y, gradient, norm.running_mean, norm.running_var, norm.num_batches_tracked))
    for found, expected in zip(*both, strict=True):
        torch.testing.assert_close(found, expected)
