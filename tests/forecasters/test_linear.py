"""The closed-form linear forecasters against least squares on materialised windows, and the contract."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.data.windows import Windows
from forecheck.errors import DataError, UsageError
from forecheck.forecasters.base import Task
from forecheck.forecasters.linear import DLinear, DLinearConfig, Linear, LinearConfig, NLinear, RLinear, moving_average
from forecheck.forecasters.linear_ridge import RIDGE_PATH
from forecheck.forecasters.registry import load, read_config

L, H, C = 6, 4, 2
FAMILY = (NLinear, RLinear, Linear, DLinear)
ALL = pytest.mark.parametrize("member", FAMILY, ids=lambda member: member.name)


def windows_of(lengths=(90, 70), channels=C, stride=1, seed=0):
    """Windows over autoregressive series with a level of their own."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(sum(lengths), channels))
    for t in range(2, len(values)):
        values[t] += 0.9 * values[t - 1] - 0.3 * values[t - 2]
    values += rng.normal(size=channels)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    origins = [np.arange(o + L, o + n - H + 1) for o, n in zip(starts, lengths, strict=True)]
    return Windows(values, L, H, np.concatenate(origins)).strided(stride)


def materialised(windows):
    both = np.stack([windows.values[o - L : o + H].T for o in windows.origins]).reshape(-1, L + H)
    return both[:, :L], both[:, L:]


def config(member, **options):
    # A short moving average, so that trend and remainder differ on short windows.
    return member.Config(**options, **({"kernel": 3} if member is DLinear else {}))


def fitted(member, train, validation=None, **options):
    made = member(Task(L, H, train.channels), config(member, **options))
    report = made.fit(train, train if validation is None else validation)
    return made, report


def forecast(made, x):
    """Forecasts of single-channel windows (window, L) through `predict` in float64."""
    shaped = torch.from_numpy(np.ascontiguousarray(x))[:, :, None].expand(-1, -1, made.task.channels)
    return made.predict(shaped).numpy()[:, :, 0]


def features_and_level(member, x):
    """What each member's papers feed to the regression, built from the windows themselves."""
    if member is NLinear:
        return x - x[:, -1:], x[:, -1:]
    if member is RLinear:
        return x - x.mean(axis=1, keepdims=True), x.mean(axis=1, keepdims=True)
    if member is DLinear:
        padded = np.concatenate([x[:, :1], x, x[:, -1:]], axis=1)
        trend = np.stack([np.convolve(row, np.full(3, 1 / 3), mode="valid") for row in padded])
        return np.concatenate([x - trend, trend], axis=1), np.zeros((len(x), 1))
    return x, np.zeros((len(x), 1))


def oracle(member, x, y, ridge, bias):
    """Forecaster by numpy's lstsq on the windows, ridge by augmented rows that spare the bias."""
    z, level = features_and_level(member, x)
    target = y - level
    mean_z, mean_t = (z.mean(axis=0), target.mean(axis=0)) if bias else (np.zeros(z.shape[1]), np.zeros(y.shape[1]))
    strength = ridge * ((z - mean_z) ** 2).sum() / L
    rows = np.concatenate([z - mean_z, np.sqrt(strength) * np.eye(z.shape[1])])
    weight = np.linalg.lstsq(rows, np.concatenate([target - mean_t, np.zeros((z.shape[1], y.shape[1]))]))[0]

    def predict(x):
        z, level = features_and_level(member, x)
        return level + (z - mean_z) @ weight + mean_t

    return predict


@ALL
@pytest.mark.parametrize("ridge", [0.0, 0.03, 5.0])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("stride", [1, 3])
def test_it_is_least_squares_on_the_windows(member, ridge, bias, stride):
    train, new = windows_of(stride=stride), materialised(windows_of(seed=1))[0]
    made, report = fitted(member, train, ridge=ridge, bias=bias)
    expected = oracle(member, *materialised(train), ridge, bias)(new)
    np.testing.assert_allclose(forecast(made, new), expected, rtol=0, atol=1e-9)
    assert report.parameters == L * H + H * bias
    assert report.details["ridge"] == ridge


@ALL
@given(
    lengths=st.lists(st.integers(1, 80), min_size=1, max_size=4).filter(lambda lengths: max(lengths) >= 40),
    channels=st.integers(1, 3),
    stride=st.integers(1, 2),
    seed=st.integers(0, 100),
)
def test_it_is_least_squares_on_ragged_series(member, lengths, channels, stride, seed):
    train = windows_of(tuple(lengths), channels, stride, seed)
    x, y = materialised(train)
    made, _ = fitted(member, train, ridge=0.1)
    np.testing.assert_allclose(forecast(made, x), oracle(member, x, y, 0.1, bias=True)(x), rtol=0, atol=1e-8)


@ALL
@pytest.mark.parametrize("ridge", [None, 0.0, 0.1])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
def test_per_channel_is_a_fit_of_every_channel_alone(member, ridge, bias):
    train, validation = windows_of(), windows_of((60,), seed=1)
    made, report = fitted(member, train, validation, ridge=ridge, bias=bias, per_channel=True)
    x = torch.from_numpy(np.random.default_rng(2).normal(size=(9, L, C)))
    for c in range(C):
        alone = [replace(part, values=part.values[:, c : c + 1]) for part in (train, validation)]
        single, single_report = fitted(member, *alone, ridge=ridge, bias=bias)
        torch.testing.assert_close(made.predict(x)[:, :, [c]], single.predict(x[:, :, [c]]))
        assert report.details["ridge"][c] == single_report.details["ridge"]
        assert report.details["validation_mse"][c] == single_report.details["validation_mse"]
    assert report.parameters == C * (L * H + H * bias)


@ALL
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("stride", [1, 3])
def test_the_path_is_the_error_on_all_validation_windows(member, bias, stride):
    train, validation = windows_of(), windows_of((60, 30), seed=1, stride=stride)
    x, y = materialised(validation)
    _, report = fitted(member, train, validation, bias=bias)
    assert report.details["strengths"] == list(RIDGE_PATH)
    assert len(RIDGE_PATH) == 11
    for ridge, error in zip(RIDGE_PATH, report.details["validation_mse"], strict=True):
        made, single = fitted(member, train, validation, ridge=ridge, bias=bias)
        assert error == pytest.approx(((forecast(made, x) - y) ** 2).mean(), rel=1e-10)
        assert single.details["validation_mse"] == [pytest.approx(error, rel=1e-10)]
    best = int(np.argmin(report.details["validation_mse"]))
    assert report.details["ridge"] == RIDGE_PATH[best]


@ALL
def test_the_chosen_strength_is_the_one_that_is_used(member):
    train, validation = windows_of((30,)), windows_of(seed=1)
    made, report = fitted(member, train, validation)
    assert report.details["ridge"] > 0  # few training windows: the test would otherwise show nothing
    again, _ = fitted(member, train, validation, ridge=report.details["ridge"])
    torch.testing.assert_close(made.tensors(), again.tensors())


def test_without_ridge_last_value_and_mean_are_one_forecaster():
    train = windows_of()
    nlinear, rlinear = fitted(NLinear, train, ridge=0.0)[0], fitted(RLinear, train, ridge=0.0)[0]
    torch.testing.assert_close(nlinear.tensors(), rlinear.tensors())
    torch.testing.assert_close(nlinear.tensors()["weight"].sum(dim=1), torch.ones(1, H, dtype=torch.float64))
    ridged = fitted(NLinear, train, ridge=1.0)[0], fitted(RLinear, train, ridge=1.0)[0]
    assert not torch.allclose(ridged[0].tensors()["weight"], ridged[1].tensors()["weight"], atol=1e-3)


def test_without_ridge_dlinear_is_linear():
    train = windows_of()
    torch.testing.assert_close(
        fitted(DLinear, train, ridge=0.0)[0].tensors(), fitted(Linear, train, ridge=0.0)[0].tensors()
    )


@ALL
def test_strong_ridge_leaves_what_was_subtracted(member):
    train = windows_of()
    x, _ = materialised(train)
    made, _ = fitted(member, train, ridge=1e12, bias=False)
    _, level = features_and_level(member, x)
    np.testing.assert_allclose(forecast(made, x), np.broadcast_to(level, (len(x), H)), rtol=0, atol=1e-9)


@ALL
@pytest.mark.parametrize("factor", [1e-3, 1e4])
def test_the_unit_of_the_data_does_not_matter(member, factor):
    train, validation = windows_of(), windows_of((60,), seed=1)
    scaled = [replace(part, values=factor * part.values) for part in (train, validation)]
    made, report = fitted(member, train, validation)
    other, other_report = fitted(member, *scaled)
    torch.testing.assert_close(made.tensors()["weight"], other.tensors()["weight"], rtol=1e-7, atol=1e-9)
    assert other_report.details["ridge"] == report.details["ridge"]


@ALL
@pytest.mark.parametrize("ridge", [None, 0.0, 1.0])
@pytest.mark.parametrize("level", [0.0, 3.0])
def test_constant_series_are_continued(member, ridge, level):
    train = Windows(np.full((40, C), level), L, H, np.arange(L, 30))
    made, report = fitted(member, train, ridge=ridge)
    x = torch.full((2, L, C), level)
    assert np.isfinite(report.details["validation_mse"]).all()
    torch.testing.assert_close(made.predict(x), torch.full((2, H, C), level))


@ALL
@pytest.mark.parametrize("ridge", [None, 0.0])
def test_almost_constant_series_and_windows_stay_finite(member, ridge):
    values = 5 + 1e-9 * np.random.default_rng(0).normal(size=(60, C))
    almost, _ = fitted(member, Windows(values, L, H, np.arange(L, 50)), ridge=ridge)
    usual, _ = fitted(member, windows_of(), ridge=ridge)
    for made in (almost, usual):
        for x in (torch.full((1, L, C), 5.0), torch.zeros(1, L, C), torch.full((1, L, C), -1e6)):
            assert torch.isfinite(made.predict(x)).all()


def waves(noise):
    """Windows of sinusoids of one frequency, which span a plane, and of noise."""
    t = np.arange(200)
    values = np.stack([np.sin(0.3 * t), np.cos(0.3 * t + 1)], axis=1)
    return Windows(values + noise * np.random.default_rng(0).normal(size=values.shape), L, H, np.arange(L, 190))


@ALL
def test_least_squares_where_the_gram_is_singular(member):
    train = waves(noise=0)
    made, _ = fitted(member, train, ridge=0.0)
    x, y = materialised(train)
    np.testing.assert_allclose(forecast(made, x), y, rtol=0, atol=1e-9)
    # Of minimum norm in the features, so what training never shows changes nothing but what was subtracted.
    new = np.random.default_rng(1).normal(size=(20, L))
    z, level = features_and_level(member, x)
    weight = np.linalg.pinv(z - z.mean(axis=0), rcond=1e-8) @ (y - level - (y - level).mean(axis=0))
    new_z, new_level = features_and_level(member, new)
    expected = new_level + (new_z - z.mean(axis=0)) @ weight + (y - level).mean(axis=0)
    np.testing.assert_allclose(forecast(made, new), expected, rtol=0, atol=1e-7)


@ALL
def test_small_directions_of_the_data_count(member):
    train = waves(noise=1e-4)
    made, _ = fitted(member, train, ridge=0.0)
    x, y = materialised(train)
    expected = oracle(member, x, y, 0.0, bias=True)(x)
    np.testing.assert_allclose(forecast(made, x), expected, rtol=0, atol=1e-7)
    assert np.abs(forecast(fitted(member, waves(noise=0), ridge=0.0)[0], x) - expected).max() > 1e-5


@pytest.mark.parametrize(("lookback", "kernel"), [(30, 25), (8, 3), (5, 25), (1, 25), (4, 1)])
def test_moving_average_pads_by_replication(lookback, kernel):
    x = np.random.default_rng(0).normal(size=lookback)
    padded = np.concatenate([np.full(kernel // 2, x[0]), x, np.full(kernel // 2, x[-1])])
    expected = np.convolve(padded, np.full(kernel, 1 / kernel), mode="valid")
    np.testing.assert_allclose(x @ moving_average(lookback, kernel), expected, atol=1e-14)


@ALL
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_contract(member, per_channel, dtype, tmp_path):
    train, validation = windows_of(), windows_of((60,), seed=1)
    made, report = fitted(member, train, validation, per_channel=per_channel)
    json.dumps(report.details, allow_nan=False)
    assert report.seconds > 0
    x = torch.randn(11, L, C, generator=torch.Generator().manual_seed(0), dtype=dtype)
    whole = made.predict(x)
    assert whole.shape == (11, H, C)
    assert whole.dtype == dtype
    torch.testing.assert_close(
        torch.cat([made.predict(part) for part in x.split(3)]), whole, rtol=torch.finfo(dtype).eps, atol=1e-14
    )
    # Determinism, whatever the seed.
    again = member(made.task, made.config)
    said = []
    again.fit(train, validation, seed=1, progress=lambda done, word: said.append((done, word)))
    assert said[-1][0] == 1
    torch.testing.assert_close(again.tensors(), made.tensors(), rtol=0, atol=0)
    # What was saved is what is loaded.
    made.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert type(loaded) is member
    assert loaded.config == made.config
    assert torch.equal(loaded.predict(x), whole)


def test_it_says_when_it_is_not_fitted():
    for use in (lambda made: made.predict(torch.zeros(1, L, C)), lambda made: made.tensors()):
        with pytest.raises(UsageError, match=r"nlinear is not fitted\n  Call fit"):
            use(NLinear(Task(L, H, C)))


def test_weights_of_another_task_are_refused():
    tensors = fitted(NLinear, windows_of())[0].tensors()
    with pytest.raises(DataError, match=r"\(1, 6, 4\).*needs \(1, 7, 4\)"):
        NLinear(Task(L + 1, H, C)).restore(tensors)
    with pytest.raises(DataError, match=r"needs \(2, 6, 4\)"):
        NLinear(Task(L, H, C), LinearConfig(per_channel=True)).restore(tensors)


def test_options_are_read_from_text():
    assert read_config(NLinear, {"ridge": "0"}) == LinearConfig(ridge=0.0)
    assert read_config(DLinear, {"ridge": "none", "kernel": "7", "bias": "no"}) == DLinearConfig(bias=False, kernel=7)
    assert read_config(Linear, {"per_channel": "yes"}).per_channel


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ridge": "-1"}, "dlinear: ridge must be finite and not negative, got -1.0"),
        ({"ridge": "inf"}, "dlinear: ridge must be finite and not negative, got inf"),
        ({"kernel": "4"}, "dlinear: kernel must be odd and positive, got 4"),
        ({"kernel": "-1"}, "dlinear: kernel must be odd and positive, got -1"),
        ({"alpha": "1"}, "dlinear has no option 'alpha'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(UsageError) as caught:
        read_config(DLinear, options)
    assert message in str(caught.value)
