"""Windows know when they are, after whatever is done to them, or it is refused to say."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.data.splits import PARTS, fold_splits
from forecheck.data.stamped import Stamped, plain, times_of
from forecheck.data.windows import prepare
from forecheck.errors import UsageError
from panels import gappy, hourly, ragged, staggered

L, H = 7, 3
STAMPS = np.datetime64("2024-01-01", "us") + np.arange(100).astype("timedelta64[h]")
ROWS = [10, 20, 30, 40]


def batch():
    return Stamped.of(torch.randn(4, L, 2), torch.tensor(ROWS), STAMPS)


def rows_of(x):
    """Where the targets of windows begin, read off the times that are given."""
    times = times_of(x, L, H, "it")
    assert times.shape == (len(x), L + H)
    first = np.searchsorted(STAMPS, times[:, L])
    assert (times == STAMPS[first[:, None] + np.arange(-L, H)]).all()
    return first.tolist()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda x: x[1:3], [20, 30]),
        (lambda x: x[torch.tensor([3, 0, 0])], [40, 10, 10]),
        (lambda x: x[torch.tensor([True, False, True, False])], [10, 30]),
        (lambda x: torch.split(x, 3)[1], [40]),
        (lambda x: torch.cat([x[:1].expand(2, -1, -1), x]), [10, 10, *ROWS]),
        (lambda x: x.roll(1, dims=0), [40, 10, 20, 30]),
        (lambda x: x.flip(0), ROWS[::-1]),
        (lambda x: x[:, torch.arange(L).roll(3)], ROWS),
        (lambda x: x[:, :, [1, 0]], ROWS),
        (lambda x: 1 + 2 * x - x.mean(dim=1, keepdim=True), ROWS),
        (lambda x: x + (x.roll(1, dims=0) - x), ROWS),
        (lambda x: torch.cat([x[:, 2:].mean(dim=1, keepdim=True).expand(-1, 2, -1), x[:, 2:]], dim=1), ROWS),
        (lambda x: torch.ones(3, 1, 1) + torch.zeros_like(x[2:3]), [30] * 3),
        (lambda x: x.repeat(2, 1, 1).clone().double(), ROWS * 2),
        (lambda x: x.mT.contiguous().mT, ROWS),
        (lambda x: x.repeat_interleave(2, dim=0), [10, 10, 20, 20, 30, 30, 40, 40]),
    ],
)
def test_times_go_with_their_windows(change, expected):
    x = batch()
    changed = change(x)
    assert rows_of(changed) == expected
    torch.testing.assert_close(plain(changed), change(plain(x)) if changed.shape[1:] != (L,) else plain(changed))
    assert type(plain(changed)) is torch.Tensor


def test_what_is_written_into_a_window_does_not_move_it():
    x = batch()
    x[:, :, 0] = batch().roll(1, dims=0)[:, :, 0]
    x[1] += 3
    x.mul_(2)
    assert rows_of(x) == ROWS


@pytest.mark.parametrize(
    "lost",
    [
        lambda x: torch.randn(4, L, 2),
        lambda x: x.mean(dim=0, keepdim=True),
        lambda x: x.sort(dim=0).values,
        lambda x: torch.cat([x[:, :3], x.roll(1, dims=0)[:, 3:]], dim=1),
        lambda x: x.permute(1, 0, 2),
        lambda x: x.cumsum(dim=0),
        lambda x: torch.randn(4, L, 2).to(x),
        lambda x: torch.randn(L, 2).to(x),
    ],
)
def test_a_window_of_no_time_is_refused(lost):
    with pytest.raises(UsageError, match="it needs the times of its windows"):
        times_of(lost(batch()), L, H, "it")


@given(st.lists(st.sampled_from(["roll", "flip", "pick", "twice", "add"]), max_size=6), st.integers(0, 99))
def test_chains_of_changes_are_followed(names, seed):
    generator = torch.Generator().manual_seed(seed)
    x, expected = batch(), torch.tensor(ROWS)
    for name in names:
        if name == "roll":
            x, expected = x.roll(1, dims=0), expected.roll(1)
        elif name == "flip":
            x, expected = x.flip(0, 1), expected.flip(0)
        elif name == "pick":
            picked = torch.randint(len(x), (5,), generator=generator)
            x, expected = x[picked], expected[picked]
        elif name == "twice":
            x, expected = torch.cat([x, x[:2]]), torch.cat([expected, expected[:2]])
        else:
            x = x + x.roll(1, dims=0).mean()
    assert rows_of(x) == expected.tolist()


PANELS = {
    "one series": hourly(200),
    "ragged": ragged(),
    "staggered": staggered((150, 120, 130), (0, 40, 13)),
    "filled": gappy(hourly(200)),
}


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
@pytest.mark.parametrize("step", [1, 5])
@pytest.mark.parametrize("fold", [0, 1])
def test_every_window_has_the_stamps_of_its_own_rows(panel, step, fold):
    """Of every part, series, step and fold: the panel's values at those stamps are the window's."""
    split = fold_splits(panel, panel.split, 2, L, H)[fold]
    experiment = prepare(panel, L, H, split, step)
    for part in PARTS:
        untimed, windows = experiment.part(part), experiment.stamped().part(part)
        for index, x, y in windows.batches(16):
            times = times_of(x, L, H, "it")
            plain_x, plain_y = untimed.gather(index)
            assert torch.equal(plain(x), plain_x)
            assert torch.equal(y.nan_to_num(), plain_y.nan_to_num())
            for window, origin in enumerate(windows.origins[index]):
                series = int(panel.series_of(np.array([origin]))[0])
                own = panel.time[panel.series_rows(series)]
                place = int(np.flatnonzero(own == times[window, L])[0])
                assert (own[place - L : place + H] == times[window]).all()
                assert place + panel.offsets[series] == origin
