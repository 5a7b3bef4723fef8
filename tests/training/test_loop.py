"""The training loop: repeatable bit for bit, resumable, and right at its edges."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from forecheck.data.windows import Windows
from forecheck.nn.dropout import Dropout
from forecheck.training import loop
from forecheck.training.loop import History, mean_squared_error, train
from forecheck.training.recipe import Recipe

L, H, C = 8, 3, 2
RECIPE = Recipe(epochs=3, batch=8, lr=1e-2, micro_batch=4)


class Network(nn.Module):
    """Mixes time within a channel; with dropout and a norm of choice."""

    def __init__(self, dropout=0.3, norm=nn.LayerNorm):
        super().__init__()
        self.inner = nn.Linear(L, 12)
        self.norm = norm(12)
        self.dropout = Dropout(dropout)
        self.outer = nn.Linear(12, H)

    def forward(self, x):
        z = self.inner(x.transpose(1, 2)).flatten(0, 1)
        return self.outer(self.dropout(torch.relu(self.norm(z)))).view(len(x), C, H).transpose(1, 2)


def windows_of(count=21, seed=0):
    values = np.random.default_rng(seed).normal(size=(count + L + H - 1, C))
    values = values + np.sin(np.arange(len(values)) / 3)[:, None]
    return Windows(values, L, H, np.arange(L, L + count))


def trained(recipe=RECIPE, seed=0, model=None, count=21, **options):
    model = model or Network()
    history = train(model, windows_of(count), windows_of(10, seed=1), recipe, seed, **options)
    return model, history


def assert_same_weights(a, b):
    for key, value in a.state_dict().items():
        torch.testing.assert_close(b.state_dict()[key], value, rtol=0, atol=0, msg=key)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    (a, first), (b, second), (c, _) = trained(), trained(), trained(seed=1)
    assert_same_weights(a, b)
    assert first.train == second.train
    assert first.validation == second.validation
    assert not torch.equal(a.outer.weight, c.outer.weight)


def test_weights_given_before_training_and_the_global_stream_do_not_matter():
    fresh, _ = trained()
    used, _ = trained(model=trained(seed=5)[0])
    assert_same_weights(fresh, used)


class Stopped(Exception):  # noqa: N818
    """Stands for Ctrl-C."""


@pytest.mark.parametrize("norm", [nn.LayerNorm, nn.BatchNorm1d])
@pytest.mark.parametrize(
    "changed", [{}, {"optimizer": "adamw"}, {"optimizer": "sgd"}, {"momentum": 0.0}, {"sam": 0.1}, {"average": 2}]
)
@pytest.mark.parametrize("stop_at", [0.1, 0.5, 0.9])
def test_interrupted_and_resumed_is_the_same_run(tmp_path, stop_at, changed, norm):
    recipe = replace(RECIPE, epochs=5, schedule="cosine", clip=0.5, weight_decay=1e-3)
    recipe = replace(recipe, **({"optimizer": "sgd"} if "momentum" in changed else {}), **changed)
    whole, history = trained(recipe, model=Network(norm=norm))

    def stop(done, _):
        if done >= stop_at:
            raise Stopped

    checkpoint = tmp_path / "run" / "checkpoint.safetensors"
    checkpoint.parent.mkdir()
    with pytest.raises(Stopped):
        trained(recipe, model=Network(norm=norm), checkpoint=checkpoint, progress=stop)
    assert checkpoint.exists() == (stop_at > 0.2)
    resumed, again = trained(recipe, model=Network(norm=norm), checkpoint=checkpoint)
    assert_same_weights(whole, resumed)
    again.seconds, again.windows_per_second = history.seconds, history.windows_per_second
    assert again == history


def test_resuming_a_finished_run_trains_no_more(tmp_path):
    checkpoint = tmp_path / "checkpoint.safetensors"
    whole, history = trained(checkpoint=checkpoint)
    resumed, again = trained(checkpoint=checkpoint)
    assert_same_weights(whole, resumed)
    assert again == history


def test_a_checkpoint_is_plain_tensors_and_json(tmp_path):
    checkpoint = tmp_path / "checkpoint.safetensors"
    _, history = trained(checkpoint=checkpoint)
    with safe_open(checkpoint, "pt") as opened:
        assert History(**json.loads(opened.metadata()["history"])) == history


@pytest.mark.parametrize("damage", ["flip", "history", "cut", "empty"])
def test_a_damaged_checkpoint_is_not_resumed(tmp_path, damage):
    checkpoint = tmp_path / "checkpoint.safetensors"
    whole, history = trained(checkpoint=checkpoint)
    content = bytearray(checkpoint.read_bytes())
    at = {"flip": len(content) - 5, "history": content.index(b"0.")}.get(damage)
    if at is not None:
        content[at] ^= 1
    checkpoint.write_bytes(content[: {"cut": len(content) // 2, "empty": 0}.get(damage, len(content))])
    anew, again = trained(checkpoint=checkpoint)
    assert_same_weights(whole, anew)
    assert again.seconds != history.seconds  # it was trained once more
    assert again.validation == history.validation


def validation_losses(monkeypatch, losses):
    """Make the validation loss whatever a test needs; remembers the weights of every epoch."""
    seen = []
    remaining = list(losses)

    def scripted(model, _):
        seen.append({key: value.clone() for key, value in model.state_dict().items()})
        return remaining.pop(0)

    monkeypatch.setattr(loop, "mean_squared_error", scripted)
    return seen


def test_the_best_epoch_is_kept_and_patience_counts_from_it(monkeypatch):
    seen = validation_losses(monkeypatch, [3.0, 1.0, 2.0, 1.0, 0.5])
    model, history = trained(replace(RECIPE, epochs=9, patience=2))
    assert history.validation == [3.0, 1.0, 2.0, 1.0]  # an equal loss is no better one
    assert history.best == 1
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, seen[1][key], rtol=0, atol=0)


def test_a_late_improvement_within_patience_is_found(monkeypatch):
    validation_losses(monkeypatch, [1.0, 2.0, 0.5, 2.0, 2.0, 0.1])
    _, history = trained(replace(RECIPE, epochs=6, patience=2))
    assert (history.best, len(history.train)) == (2, 5)


def test_a_stopped_run_stays_stopped_when_resumed(monkeypatch, tmp_path):
    checkpoint = tmp_path / "checkpoint.safetensors"
    validation_losses(monkeypatch, [1.0, 2.0, 2.0])
    recipe = replace(RECIPE, epochs=9, patience=2)
    whole, _ = trained(recipe, checkpoint=checkpoint)
    resumed, history = trained(recipe, checkpoint=checkpoint)
    assert len(history.train) == 3
    assert_same_weights(whole, resumed)


@pytest.mark.parametrize(
    ("keep", "averaged", "kept"),
    [
        ("best", 0.9, True),
        ("best", 1.0, True),
        ("best", 1.1, False),
        ("best", float("nan"), False),
        ("mean", 1.1, True),
        ("mean", float("nan"), False),
    ],
)
def test_averaged_weights_are_kept_if_they_are_no_worse_or_preferred(monkeypatch, keep, averaged, kept):
    passed = []

    class Watching(torch.optim.Adam):
        def step(self, closure=None):
            super().step(closure)
            passed.append(self.param_groups[0]["params"][0].detach().clone())

    monkeypatch.setattr(torch.optim, "Adam", Watching)
    seen = validation_losses(monkeypatch, [3.0, 1.0, 2.0, averaged])
    model, history = trained(replace(RECIPE, average=2, keep=keep))
    torch.testing.assert_close(history.averaged, averaged, equal_nan=True)
    assert (history.validation, history.best) == ([3.0, 1.0, 2.0], 1)
    mean = torch.stack(passed[3:]).mean(dim=0)  # three steps an epoch
    torch.testing.assert_close(seen[3]["inner.weight"], mean)
    torch.testing.assert_close(model.inner.weight, mean if kept else seen[1]["inner.weight"])
    assert not model.training


def test_training_that_stops_before_has_no_averaged_weights(monkeypatch):
    seen = validation_losses(monkeypatch, [1.0, 2.0, 2.0])
    model, history = trained(replace(RECIPE, epochs=9, patience=2, average=2))
    assert history.averaged is None
    torch.testing.assert_close(model.inner.weight, seen[0]["inner.weight"])


def test_micro_batches_make_the_same_step_as_the_whole_batch():
    recipe = replace(RECIPE, epochs=2, optimizer="adam", lr=1e-3)
    parts, _ = trained(replace(recipe, micro_batch=3), model=Network(dropout=0.0))
    whole, _ = trained(replace(recipe, micro_batch=8), model=Network(dropout=0.0))
    for mine, reference in zip(parts.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-6)


def test_every_window_is_used_once_an_epoch_the_last_partial_batch_too():
    seen = []

    class Watching(Windows):
        def gather(self, index):
            seen.append(torch.as_tensor(index))
            return super().gather(index)

    plain = windows_of(21)
    watched = Watching(plain.values, L, H, plain.origins)
    loop.train(Network(), watched, windows_of(10), replace(RECIPE, epochs=2))
    assert [len(index) for index in seen] == 2 * [4, 4, 4, 4, 4, 1]
    for epoch in (seen[:6], seen[6:]):
        assert sorted(torch.cat(epoch).tolist()) == list(range(21))
    assert not torch.equal(torch.cat(seen[:6]), torch.cat(seen[6:]))  # another order every epoch


def test_the_reported_loss_is_the_mean_over_windows():
    recipe = replace(RECIPE, epochs=1, lr=1e-12, micro_batch=3)
    model, history = trained(recipe, model=Network(dropout=0.0))
    assert history.train[0] == pytest.approx(mean_squared_error(model, windows_of(21)), rel=1e-5)


def test_mean_squared_error_is_over_all_elements_whatever_the_batch():
    model, windows = Network().eval(), windows_of(10)
    x, y = windows.gather(slice(0, 10))
    expected = float((model(x) - y).detach().double().square().mean())
    assert mean_squared_error(model, windows, batch=3) == pytest.approx(expected, rel=1e-6)
    assert mean_squared_error(model, windows) == pytest.approx(expected, rel=1e-6)


class Penalised(Network):
    """Has a loss of its own: the mean squared error and a constant that asks for large biases."""

    def loss(self, x, y):
        return nn.functional.mse_loss(self(x), y) - self.outer.bias.sum()


def test_a_models_own_loss_is_what_training_lowers_and_validation_stays_the_forecasts():
    recipe = replace(RECIPE, epochs=1, lr=1e-12)
    still, history = trained(recipe, model=Penalised(dropout=0.0))
    error = mean_squared_error(still, windows_of(21))
    assert history.train[0] == pytest.approx(error - still.outer.bias.sum().item(), rel=1e-5)
    assert history.validation[0] == mean_squared_error(still, windows_of(10, seed=1))
    plain, own = trained()[0], trained(model=Penalised())[0]
    assert (own.outer.bias > plain.outer.bias).all()


def test_the_recipes_betas_are_the_optimisers(monkeypatch):
    @dataclass(frozen=True)
    class Cycling(Recipe):
        def betas(self, step, steps_per_epoch):
            return 0.5 + step / 100, 0.9

    seen = []

    class Watching(torch.optim.Adam):
        def step(self, closure=None):
            seen.append(self.param_groups[0]["betas"])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Watching)
    trained(Cycling(epochs=1, batch=8))
    assert seen == [(0.5, 0.9), (0.51, 0.9), (0.52, 0.9)]
    seen.clear()
    trained(replace(RECIPE, epochs=1))
    assert set(seen) == {(0.9, 0.999)}


def one_step(optimizer, weight, gradient, **options):
    """A weight after one step of a recipe, the loss being weight times gradient."""

    class Slope(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor(weight))

        def forward(self, x):
            return x.new_zeros(len(x), H, C) + 0 * self.w

        def loss(self, x, y):
            return self.w * gradient

    recipe = replace(RECIPE, epochs=1, optimizer=optimizer, lr=0.1, **options)
    model, _ = trained(recipe, model=Slope(), count=8)
    return model.w.item()


def test_where_weight_decay_acts():
    assert one_step("sgd", 2.0, 3.0, weight_decay=0.5) == pytest.approx(2 - 0.1 * (3 + 0.5 * 2))
    # Adam's first step is the learning rate, whatever the gradient that the decay was added to.
    assert one_step("adam", 2.0, 3.0, weight_decay=0.5) == pytest.approx(2 - 0.1)
    assert one_step("adamw", 2.0, 3.0, weight_decay=0.5) == pytest.approx(2 * (1 - 0.1 * 0.5) - 0.1)


def test_stride_trains_on_fewer_windows():
    steps = []
    trained(replace(RECIPE, train_stride=5, epochs=1), progress=lambda done, word: steps.append((done, word)))
    assert steps[0] == (1.0, "epoch 1/1")  # five windows are one batch
    assert steps[-1] == (1.0, "1 epochs of 1 steps")


def test_progress_never_falls_and_ends_at_one():
    steps = []
    trained(progress=lambda done, _: steps.append(done))
    assert steps == sorted(steps)
    assert steps[-1] == 1.0


def test_a_loss_that_is_not_finite_is_an_error():
    windows = windows_of(21)
    windows.values[5] = np.inf
    with pytest.raises(FloatingPointError, match=r"training loss is (nan|inf) in epoch 1, step \d"):
        train(Network(), windows, windows_of(10), RECIPE)


@pytest.mark.parametrize("changed", [{}, {"optimizer": "adamw"}, {"optimizer": "sgd", "lr": 0.1}, {"sam": 0.05}])
def test_ten_steps_reduce_the_loss(changed):
    before = mean_squared_error(trained(replace(RECIPE, epochs=1, lr=1e-12))[0], windows_of(8))
    recipe = replace(RECIPE, epochs=10, **changed)
    model, _ = trained(recipe, model=Network(dropout=0.0), count=8)
    assert mean_squared_error(model, windows_of(8)) < 0.8 * before


def test_the_gradients_norm_is_bounded(monkeypatch):
    norms = []

    class Watching(torch.optim.Adam):
        def step(self, closure=None):
            gradients = [p.grad for group in self.param_groups for p in group["params"]]
            norms.append(float(torch.stack([g.norm() for g in gradients]).norm()))
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "Adam", Watching)
    trained(replace(RECIPE, clip=1e-3, epochs=1))
    assert norms == pytest.approx([1e-3] * 3, rel=1e-3)


def test_the_model_is_left_in_evaluation_mode():
    assert not trained()[0].training
