"""`--mlflow` is refused before the work, where nothing could be logged after it."""

import sys


def test_without_mlflow_nothing_is_run(forecheck, waves, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    for command in (["backtest", waves, "--models", "last"], ["audit", waves]):
        done = forecheck(*command, "--horizon", 6, "--mlflow", "http://localhost:5000")
        assert done.code == 2
        assert "pip install 'forecheck[mlflow]'" in done.err
    assert not (tmp_path / "home" / "store").exists()
