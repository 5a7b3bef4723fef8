"""Where trials run: what the options mean, and what they refuse."""

import sys

import pytest

import forecheck as fc
from forecheck.cli.options import read_workers


def test_options_become_workers():
    assert read_workers(None, None, None) is None
    assert read_workers(3, "local", None) == 3
    assert read_workers(None, "ray", "auto") == fc.Ray("auto")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((None, "spark", None), "no engine is called 'spark'"),
        ((None, None, "auto"), "--address has no effect without --engine ray"),
        ((2, "ray", None), "--workers has no effect on a cluster"),
    ],
)
def test_what_does_not_go_together_is_refused(given, message):
    with pytest.raises(fc.UsageError, match=message):
        read_workers(*given)


def test_ray_is_asked_for_where_it_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    how = {"horizon": 6, "lookback": 12, "options": {"patchtst": {"patch": 4, "epochs": 1}}, "store": tmp_path}
    with pytest.raises(fc.UsageError, match=r"pip install 'forecheck\[ray\]'"):
        fc.backtest("co2", ["patchtst"], workers=fc.Ray(), **how)
