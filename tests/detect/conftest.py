"""Few draws: what they are of is tested elsewhere."""

import pytest


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr("forecheck.anomaly.detection.judged.DRAWS", 20)
