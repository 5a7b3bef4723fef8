"""Progress for a function of the user's."""

import pyarrow as pa
import pytest

import forecheck as fc
from forecheck.progress.called import Called
from forecheck.trials.engines.base import Silent, Watcher

TABLE = pa.table({"y": [float(i % 7) for i in range(90)]})


def test_it_is_a_watcher():
    assert isinstance(Called(lambda share, word: None), Watcher)
    assert isinstance(Silent(), Watcher)


def test_a_verb_calls_it_with_shares_and_words():
    calls = []
    fc.backtest(TABLE, ["last", "nlinear"], horizon=3, lookback=7, workers=0, progress=lambda *call: calls.append(call))
    shares = [share for share, _ in calls]
    assert shares[-1] == 1.0
    assert all(0 <= share <= 1 for share in shares)
    assert any("nlinear" in word for _, word in calls)


def test_parts_and_trials_make_one_share():
    calls = []
    called = Called(lambda share, word: calls.append((round(share, 3), word)))
    called.part("size", 1, 4)
    called.part("size", 4, 4)
    called.planned(4, 0)
    called.say("done soon")
    assert calls == [(0.25, "size"), (1.0, "size"), (0.5, "done soon")]


@pytest.mark.parametrize("progress", [True, False, None])
def test_a_bar_or_nothing(progress, capsys):
    fc.backtest(TABLE, ["last"], horizon=3, lookback=7, workers=0, progress=progress)
    assert capsys.readouterr().out == ""
