"""PatchTST: its equation, its contract, its numbers."""

import numpy as np
import pytest
import torch
from torch import nn

from forecheck.data.windows import Windows
from forecheck.errors import DataError, UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task, predict_all
from forecheck.forecasters.naive import Last
from forecheck.forecasters.patchtst import PatchTST, PatchTSTConfig
from forecheck.nn.seeding import initialise

L, H, C = 24, 4, 3
TASK = Task(L, H, C, period=6)
TINY = {"patch": 6, "stride": 3, "width": 8, "heads": 2, "hidden": 16, "layers": 2, "epochs": 3, "batch": 16}


def windows_of(count=50, seed=0, noise=0.3):
    rng = np.random.default_rng(seed)
    steps = np.arange(count + L + H - 1)[:, None]
    values = np.sin(2 * np.pi * steps / 6 + np.arange(C)) + noise * rng.normal(size=(len(steps), C))
    return Windows(values, L, H, np.arange(L, L + count))


def fit(seed=0, **options):
    forecaster = PatchTST(TASK, PatchTSTConfig(**(TINY | options)))
    report = forecaster.fit(windows_of(), windows_of(seed=1), seed)
    return forecaster, report


@pytest.fixture(scope="module")
def fitted():
    return fit()[0]


def test_whole_batch_is_its_parts(fitted):
    windows = windows_of(seed=2)
    torch.testing.assert_close(
        predict_all(fitted, windows, batch=7), predict_all(fitted, windows), rtol=1e-5, atol=1e-6
    )


def test_channels_share_all_weights(fitted):
    x, _ = windows_of(seed=2).gather(slice(0, 9))
    order = [2, 0, 1]
    torch.testing.assert_close(fitted.predict(x[:, :, order]), fitted.predict(x)[:, :, order])
    single = PatchTST(Task(L, H, 1), fitted.config)
    single.restore(fitted.tensors())
    torch.testing.assert_close(single.predict(x[:, :, :1]), fitted.predict(x)[:, :, :1])


def test_forecasts_follow_level_and_scale(fitted):
    x, _ = windows_of(seed=2).gather(slice(0, 9))
    torch.testing.assert_close(fitted.predict(50 * x + 7), 50 * fitted.predict(x) + 7, rtol=1e-3, atol=1e-2)


def test_a_constant_window_has_a_finite_forecast(fitted):
    assert (fitted.predict(torch.full((2, L, C), 3.0)) - 3).abs().max() < 0.1


def test_saved_and_loaded_is_the_same(fitted, tmp_path):
    fitted.save(tmp_path)
    loaded = registry.load(tmp_path)
    assert isinstance(loaded, PatchTST)
    assert (loaded.task, loaded.config, loaded.edit) == (fitted.task, fitted.config, None)
    x, _ = windows_of(seed=2).gather(slice(0, 9))
    torch.testing.assert_close(loaded.predict(x), fitted.predict(x), rtol=0, atol=0)


def test_damaged_weights_are_a_data_error(fitted, tmp_path):
    fitted.save(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"no tensors")
    with pytest.raises(DataError, match="does not hold a saved patchtst"):
        registry.load(tmp_path)


def test_same_seed_same_bits_other_seed_other_weights(fitted):
    again, other = fit()[0], fit(seed=1)[0]
    for key, value in fitted.tensors().items():
        torch.testing.assert_close(again.tensors()[key], value, rtol=0, atol=0, msg=key)
    x, _ = windows_of(seed=2).gather(slice(0, 9))
    assert not torch.allclose(other.predict(x), fitted.predict(x))


@pytest.mark.parametrize(
    "options", [{}, {"norm": "layer", "residual_scores": False, "attention_dropout": 0.2}], ids=str
)
def test_it_learns_a_season(options):
    forecaster, report = fit(epochs=12, lr=3e-3, **options)
    windows = windows_of(seed=2)
    truth = windows.gather(slice(0, len(windows)))[1]
    error = (predict_all(forecaster, windows) - truth).square().mean()
    naive = (predict_all(Last(TASK), windows) - truth).square().mean()
    assert error < 0.5 * naive
    assert report.details["epochs"] == 12
    assert len(report.details["validation_loss"]) == 12
    assert report.details["windows_per_second"] > 0
    assert min(report.details["validation_loss"]) == report.details["validation_loss"][report.details["best_epoch"]]


def test_parameters_are_those_of_the_paper():
    """ETTh1's settings counted by hand: patches 42, width 16, hidden 128, 3 layers, horizon 96."""
    attention = 4 * (16 * 16 + 16)
    feed_forward = 16 * 128 + 128 + 128 * 16 + 16
    block = attention + feed_forward + 2 * 2 * 16
    expected = (16 * 16 + 16) + 42 * 16 + 3 * block + (42 * 16 * 96 + 96)
    module = PatchTST(Task(336, 96, 7)).module
    assert sum(p.numel() for p in module.parameters()) == expected == 81728
    _, report = fit()
    assert report.parameters == sum(p.numel() for p in PatchTST(TASK, PatchTSTConfig(**TINY)).module.parameters())


def by_hand(module, x):
    """The forward pass from torch's own parts, one series at a time, in evaluation mode."""
    made = []
    for series in x.transpose(1, 2).flatten(0, 1):
        mean, scale = series.mean(), (series.var(unbiased=False) + 1e-5).sqrt()
        z = (series - mean) / scale
        padded = torch.cat([z, z[-1:].expand(3)])
        tokens = torch.stack([padded[i : i + 6] for i in range(0, len(padded) - 5, 3)])
        tokens = module.embed.embed(tokens) + module.positions.code
        passed = torch.zeros(2, len(tokens), len(tokens), dtype=x.dtype)
        for block in module.blocks:
            q, k, v = (
                part.unflatten(1, (2, 4)).transpose(0, 1) for part in block.attention.project(tokens).chunk(3, 1)
            )
            passed = passed * module.residual_scores + q @ k.transpose(1, 2) / 2
            mixed = (torch.softmax(passed, dim=-1) @ v).transpose(0, 1).flatten(1)
            tokens = batch_norm(block.attention_norm.norm, tokens + block.attention.out(mixed))
            first, second = (
                layer for layer in block.modules() if isinstance(layer, nn.Linear) and 16 in layer.weight.shape
            )
            tokens = batch_norm(block.feed_forward_norm.norm, tokens + second(nn.functional.gelu(first(tokens))))
        made.append(module.head(tokens.flatten()) * scale + mean)
    return torch.stack(made).view(len(x), C, H).transpose(1, 2)


def batch_norm(norm, tokens):
    return (tokens - norm.running_mean) / (norm.running_var + 1e-5).sqrt() * norm.weight + norm.bias


@pytest.mark.parametrize("residual_scores", [True, False])
def test_forward_is_the_paper_step_by_step(residual_scores):
    module = PatchTST(TASK, PatchTSTConfig(**TINY, residual_scores=residual_scores)).module.double()
    initialise(module, 0)
    x = windows_of().gather(slice(0, 4))[0].double()
    module.train()
    module(x)  # so that running statistics are not at their start
    module.eval()
    with torch.no_grad():
        torch.testing.assert_close(module(x), by_hand(module, x))


def test_impossible_settings_are_named():
    with pytest.raises(ValueError, match="patch must lie between 1 and the lookback 24, got 30"):
        PatchTST(TASK, PatchTSTConfig(patch=30))
    with pytest.raises(UsageError, match="has no option 'd_model'"):
        registry.create("patchtst", TASK, {"d_model": 16})
