"""SAMoVAR and its controls: sizes, equations, causality, recipe, and what an explanation says."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from forecheck.data.windows import prepare
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.arx_config import ArxConfig
from forecheck.forecasters.base import Task
from forecheck.nn.arx import ArxTokens, normalise
from forecheck.nn.seeding import initialise
from panels import hourly

NAMES = ("samovar", "lintrans", "fixedvar")
TASK = Task(20, 6, 3)
TINY = {"width": 8, "heads": 2, "layers": 2}


def forecaster(name="samovar", task=TASK, seed=0, **options):
    """Untrained, with all weights away from where they start; in double precision."""
    made = registry.create(name, task, TINY | options)
    made.module.double().eval()
    initialise(made.module, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.module.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return made


def windows(batch=3, task=TASK, seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(4 + np.cumsum(rng.standard_normal((batch, task.lookback, task.channels)), axis=1))


def count(name, lookback, horizon, channels):
    return sum(p.numel() for p in registry.create(name, Task(lookback, horizon, channels)).module.parameters())


@pytest.mark.parametrize(
    ("name", "lookback", "horizon", "channels", "official"),
    [
        ("samovar", 1024, 96, 7, 157_000),
        ("samovar", 2048, 192, 7, 175_000),
        ("samovar", 2048, 336, 7, 199_000),
        ("samovar", 4096, 720, 7, 272_000),
        ("samovar", 1024, 96, 21, 604_000),
        ("samovar", 4096, 720, 21, 816_000),
        ("lintrans", 1024, 96, 7, 180_000),
        ("lintrans", 4096, 720, 21, 907_000),
    ],
)
def test_sizes_are_the_official_ones(name, lookback, horizon, channels, official):
    # The official code holds a row of positions a token and uses one a patch.
    unused = registry.create(name, Task(lookback, horizon, channels)).module.tokens.position.numel()
    ours = count(name, lookback, horizon, channels) + (unused if name == "samovar" else 0)
    assert ours == pytest.approx(official, rel=4e-3)


def test_defaults_are_the_official_ones():
    c = registry.find("samovar").Config()
    assert (c.heads, c.layers, c.dropout, c.structure, c.scale, c.centre) == (8, 3, 0.1, "direct", "none", "last")
    assert (c.lr, c.batch, c.epochs, c.patience, c.clip) == (6e-4, 32, 100, 12, 1.0)
    assert (c.optimizer, c.weight_decay, c.next_patch) == ("adamw", 0.1, 1.0)
    assert [c.sizes(channels) for channels in (1, 7, 21, 862)] == [(32, 8), (64, 8), (128, 8), (928, 8)]
    assert replace(c, heads=None).sizes(7) == (64, 4)
    assert replace(c, heads=None, head_width=32).sizes(21) == (128, 4)


def test_the_one_cycle_is_torchs_linear_one_with_its_momentum():
    c = ArxConfig(epochs=9)
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([parameter], lr=c.lr, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, c.lr, epochs=10, steps_per_epoch=7, pct_start=0.05, div_factor=10, anneal_strategy="linear"
    )
    for step in range(9 * 7):
        group = optimizer.param_groups[0]
        assert c.rate(step, 7) == pytest.approx(group["lr"], rel=1e-6)
        assert c.betas(step, 7) == pytest.approx(group["betas"])
        optimizer.step()
        schedule.step()
    plain = replace(c, schedule="constant")
    assert (plain.rate(5, 7), plain.betas(5, 7)) == (6e-4, (0.9, 0.95))


def test_a_cycle_of_a_few_steps_stays_positive_and_ends_low():
    c = ArxConfig(epochs=1)
    rates = [c.rate(step, 3) for step in range(3)]
    assert all(0 < rate <= c.lr for rate in rates)
    assert rates == sorted(rates, reverse=True)


def test_normalisation_is_by_the_last_level_and_the_windows_spread():
    x = windows()
    z, mean, scale = normalise(x, 6)
    torch.testing.assert_close(mean, x[:, -6:].mean(dim=1, keepdim=True))
    torch.testing.assert_close(scale, x.std(dim=1, keepdim=True))
    torch.testing.assert_close(z * scale + mean, x)
    torch.testing.assert_close(normalise(x, 6, "window").mean, x.mean(dim=1, keepdim=True))
    assert float(normalise(torch.full((1, 20, 1), -1e4), 6).z.abs().max()) < 10  # rounding is not blown up


def test_tokens_are_those_of_the_sheet_one_by_one():
    tokens = ArxTokens(20, 6, 3, 8, dropout=0.0).double()
    initialise(tokens, 0)
    z = windows()
    found = tokens(tokens.patches_of(z)).view(3, 3, 8, 8)
    padded = torch.cat([torch.zeros(3, 4, 3, dtype=z.dtype), z], dim=1)  # 20 steps are 24 with zeros on the left

    def rms(x):
        return x / (x.square().mean() + 1e-5).sqrt()

    for window, channel, patch in [(0, 0, 0), (1, 2, 1), (2, 1, 3)]:
        steps = padded[window, 6 * patch : 6 * patch + 6]
        mixed = steps @ tokens.mix.weight[channel] + tokens.mix.bias[channel]
        contents = (tokens.embed_mix(mixed), tokens.embed_own(steps[:, channel]))
        for role, content in enumerate(contents):
            code = (
                tokens.position[patch]
                + tokens.channel[channel, 2 * patch + role]
                + tokens.role[role]
                + tokens.channel_role[channel, role]
            )
            torch.testing.assert_close(found[window, channel, 2 * patch + role], rms(rms(content) + code))


def test_the_control_has_one_code_a_token():
    tokens = ArxTokens(20, 6, 3, 8, dropout=0.0, pairs=False)
    torch.testing.assert_close(tokens.codes(), tokens.channel + tokens.position)
    assert tokens.position.shape == (8, 8)


def test_without_exogenous_tokens_channels_do_not_meet():
    x = windows()
    other = x.clone()
    other[:, :, 1] = other[:, :, 1].flip(1)
    for exogenous in (True, False):
        module = forecaster(exogenous=exogenous).module
        same = torch.allclose(module(x)[:, :, [0, 2]], module(other)[:, :, [0, 2]])
        assert same is not exogenous
        assert not torch.allclose(module(x)[:, :, 1], module(other)[:, :, 1])


@pytest.mark.parametrize("name", NAMES)
def test_predictions_do_not_see_later_patches(name):
    module = forecaster(name).module
    patches = module.tokens.patches_of(normalise(windows(), 6).z)
    changed = patches.clone()
    changed[:, 1, 2] += 1
    before, after = module.predictions(patches), module.predictions(changed)
    torch.testing.assert_close(after[:, :, :2], before[:, :, :2], rtol=1e-9, atol=1e-10)
    for channel in range(3):  # its own and, through the mix, the other channels
        assert not torch.allclose(after[:, channel, 2], before[:, channel, 2])


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_of_the_forecast_and_of_all_next_patches(name):
    module, x = forecaster(name, next_patch=0.5).module, windows()
    y = torch.ones(3, 6, 3, dtype=x.dtype)
    mean, scale = x[:, -6:].mean(dim=1, keepdim=True), x.std(dim=1, keepdim=True)
    patches = module.tokens.patches_of((x - mean) / scale)
    predicted = module.predictions(patches)
    terms = [(predicted[:, :, n] - patches[:, :, n + 1]).square().mean() for n in range(3)]
    expected = (module(x) - y).square().mean() + 0.5 * sum(terms) / 3
    torch.testing.assert_close(module.loss(x, y), expected)
    torch.testing.assert_close(module(x), predicted[:, :, -1].transpose(1, 2) * scale + mean)


def test_a_window_of_one_patch_has_no_next_patch():
    task = Task(5, 6, 3)
    module, x = forecaster(task=task).module, windows(task=task)
    y = torch.zeros(3, 6, 3, dtype=x.dtype)
    torch.testing.assert_close(module.loss(x, y), module(x).square().mean())


def test_lintrans_is_pre_norm_linear_attention():
    stack, h = forecaster("lintrans").module.stack, torch.randn(2, 6, 8, dtype=torch.float64)
    expected = h
    for block in stack.blocks:
        u = block.attention_norm(expected)
        q, k, v = (f(u).view(2, 6, 2, 4) for f in (block.attention.query, block.attention.key, block.attention.value))
        sums = torch.einsum("sthi,sthj->sthij", k, v).cumsum(dim=1)
        expected = expected + block.attention.out(torch.einsum("sthi,sthij->sthj", q, sums).flatten(2))
        forward = block.feed_forward
        expected = expected + forward.outer(nn.functional.gelu(forward.inner(block.norm(expected))))
    torch.testing.assert_close(stack(h), expected[:, 1::2])


def test_weights_start_as_in_the_sheet():
    for name in NAMES:
        module = registry.create(name, Task(192, 96, 7)).module
        initialise(module, 0)
        for path, parameter in module.named_parameters():
            if path.endswith("bias"):
                assert not parameter.any()
            elif path.endswith(("norm.weight", "gain")) or "norms." in path:
                assert (parameter == 1).all()
            elif not path.endswith("factors") and parameter.numel() >= 1000:
                small = path.endswith(("outer.weight", ".out.weight"))
                std = parameter.std().item()
                assert std == pytest.approx(0.02 / 6**0.5 if small else 0.02, rel=0.1), path


@pytest.mark.parametrize("name", NAMES)
def test_training_learns_a_wave(name):
    experiment = prepare(hourly(rows=700, noise=0.1), 48, 12)
    task = Task(48, 12, 2)
    options = TINY | {"width": 16, "epochs": 6, "lr": 5e-3, "dropout": 0.0}
    made = registry.create(name, task, options)
    made.fit(experiment.train, experiment.validation)
    x, y = experiment.test.gather(slice(0, len(experiment.test)))
    error = float((made.predict(x) - y).square().mean())
    still = float((x[:, -12:].mean(dim=1, keepdim=True) - y).square().mean())
    assert error < 0.5 * still


@pytest.mark.parametrize("structure", ["direct", "inverse"])
@pytest.mark.parametrize("scale", ["none", "root"])
def test_additive_parts_sum_to_the_forecast(structure, scale):
    made = forecaster(structure=structure, scale=scale)
    x = windows()
    explained = made.explain(x)
    np.testing.assert_allclose(explained.forecast, made.predict(x).numpy())
    assert explained.parts.shape == (3, 4, 2, 6, 3)
    np.testing.assert_allclose(explained.constant + explained.parts.sum(axis=(1, 2)), explained.forecast, rtol=1e-8)
    assert explained.by_layer.shape == (3, 3, 6, 3)
    np.testing.assert_allclose(explained.constant + explained.by_layer.sum(axis=1), explained.forecast, rtol=1e-8)


@pytest.mark.parametrize("structure", ["direct", "inverse"])
def test_coefficients_times_observations_are_the_last_token(structure):
    made = forecaster(structure=structure)
    x, stack = windows(), made.module.stack
    explained = made.explain(x)
    tokens = made.module.tokens(made.module.tokens.patches_of(made.module.normalise(x).z))
    seen = stack.trace(tokens).observations.detach().view(3, 3, 2, 8, 4)
    y = torch.einsum("bchjxy,bchjy->bchx", torch.from_numpy(explained.coefficients), seen)
    torch.testing.assert_close(y.reshape(9, 8), stack(tokens)[:, -1].detach())
    d = stack.matrix.matrix().detach().numpy()
    now = np.arange(8)[:, None, None] == 7
    if structure == "direct":  # Γ = D'C + I
        expected = np.einsum("hyx,bchjyz->bchjxz", d, explained.mixture) + now * np.eye(4)
    else:  # Γ = D'^-1 (C + I)
        expected = np.einsum("hyx,bchjyz->bchjxz", np.linalg.inv(d), explained.mixture + now * np.eye(4))
    np.testing.assert_allclose(explained.coefficients, expected, rtol=1e-7, atol=1e-9)


def test_all_paths_sum_to_the_mixture():
    explained = forecaster().explain(windows(), paths=10**6)
    assert explained.path_nodes.shape == (3, 3, 8 + 36, 3)  # C(8, 1) + C(9, 2)
    assert (np.diff(explained.path_norms) <= 0).all()
    sources = np.where(explained.path_nodes[..., 2] >= 0, explained.path_nodes[..., 2], explained.path_nodes[..., 1])
    for token in range(8):
        total = np.einsum("bcp,bcphxy->bchxy", sources == token, explained.path_matrices)
        np.testing.assert_allclose(total, explained.mixture[:, :, :, token], rtol=1e-8, atol=1e-12)
    assert forecaster().explain(windows(), paths=4).path_nodes.shape == (3, 3, 4, 3)
    assert forecaster().explain(windows(), paths=0).path_matrices.shape == (3, 3, 0, 2, 4, 4)


def test_chosen_channels_are_refused_as_among_all():
    made, x = forecaster(), windows()
    whole, part = made.explain(x, paths=4), made.explain(x, 4, [2, 0])
    for name in ("forecast", "constant", "parts", "by_layer"):
        np.testing.assert_allclose(getattr(part, name), getattr(whole, name)[..., [2, 0]], rtol=1e-9, atol=1e-12)
    for name in ("mixture", "coefficients", "path_nodes", "path_norms", "path_matrices"):
        np.testing.assert_allclose(getattr(part, name), getattr(whole, name)[:, [2, 0]], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(made.jacobian(x, [1]).values, made.jacobian(x).values[:, :, [1]])


def test_the_jacobian_is_how_the_forecast_changes_and_not_its_parts():
    made, x = forecaster(), windows(batch=2)
    explained = made.jacobian(x).values
    assert explained.shape == (2, 6, 3, 20, 3)
    step = 1e-5
    for position, source in [(0, 0), (19, 1), (7, 2)]:
        up, down = x.clone(), x.clone()
        up[:, position, source] += step
        down[:, position, source] -= step
        slope = (made.predict(up) - made.predict(down)) / (2 * step)
        np.testing.assert_allclose(explained[..., position, source], slope.numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("samovar", {"layers": 0}, "layers must be positive"),
        ("samovar", {"heads": 3}, "width 8 is not a multiple of 3 heads"),
        ("lintrans", {"heads": None, "head_width": 16}, "width 8 is not a multiple of head width 16"),
        ("samovar", {"structure": "other"}, "must be one of direct, inverse"),
        ("fixedvar", {"next_patch": -1}, "next_patch must not be negative"),
    ],
)
def test_impossible_settings_are_named(name, options, message):
    with pytest.raises(UsageError, match=message):
        registry.create(name, TASK, TINY | options)
