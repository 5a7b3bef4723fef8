import numpy as np
import pytest

from forecheck.data.synthetic.blocks import panel_of_blocks
from forecheck.data.synthetic.lag import BLOCK, HORIZON, LOOKBACK, lag
from forecheck.data.windows import prepare


def test_every_channel_repeats_one_other_channel_late():
    experiment = prepare(lag(40, seed=1, channels=4, noise=0), LOOKBACK, HORIZON, step=BLOCK)
    scaler = experiment.scaler
    leaders = []
    for part in (experiment.train, experiment.validation, experiment.test):
        x, y = part.gather(slice(0, len(part)))
        both = np.concatenate([x, y], axis=1) * scaler.std[0] + scaler.mean[0]
        own, late = both[:, : 2 * HORIZON], both[:, 2 * HORIZON :]
        for window, followed in zip(own, late, strict=True):
            gaps = np.abs(followed[:, :, None] - window[:, None, :]).max(axis=0)  # (follower, leader)
            assert (gaps.min(axis=1) < 1e-5).all()
            assert (np.sort(gaps, axis=1)[:, 1] > 0.1).all()  # one leader only
            leaders.append(gaps.argmin(axis=1))
    leaders = np.array(leaders)
    assert (leaders != np.arange(4)).all()
    assert all(set(leaders[:, c]) == set(range(4)) - {c} for c in range(4))  # each other channel leads at times


def test_no_linear_map_of_all_channels_does_better_than_a_share():
    x, y = (
        part.numpy() for part in prepare(lag(4000, channels=4), LOOKBACK, HORIZON, step=BLOCK).train.gather(slice(None))
    )
    flat = x.reshape(len(x), -1)
    weight = np.linalg.lstsq(flat, y[:, :, 0], rcond=None)[0]
    explained = 1 - np.square(y[:, :, 0] - flat @ weight).mean() / y[:, :, 0].var()
    assert explained < 1 / 3 + 0.05


def test_the_parts_share_no_row():
    panel = lag(30)
    experiment = prepare(panel, LOOKBACK, HORIZON, step=BLOCK)
    rows = [
        {row for origin in part.origins for row in range(origin - LOOKBACK, origin + HORIZON)}
        for part in (experiment.train, experiment.validation, experiment.test)
    ]
    assert sum(map(len, rows)) == len(set.union(*rows)) == 30 * BLOCK
    assert [len(part) for part in (experiment.train, experiment.validation, experiment.test)] == [21, 3, 6]


@pytest.mark.parametrize("horizon", [1, 3])
def test_windows_of_a_panel_of_blocks_are_the_blocks(horizon):
    blocks = np.random.default_rng(0).standard_normal((11, 5, 2))
    panel = panel_of_blocks(blocks, horizon, "b", ("p", "q"))
    experiment = prepare(panel, 5 - horizon, horizon, step=5)
    values, taken = experiment.panel.values, []
    for part in (experiment.train, experiment.validation, experiment.test):
        taken += [values[origin - 5 + horizon : origin + horizon] for origin in part.origins]
    np.testing.assert_array_equal(np.stack(taken), blocks[1:])


def test_the_seed_decides():
    assert (lag(5, seed=1).values == lag(5, seed=1).values).all()
    assert (lag(5, seed=1).values != lag(5, seed=2).values).any()
