"""Test losses without the last incomplete batch, and what is said of published leads."""

import numpy as np
import pytest
from torch.utils.data import DataLoader

from forecheck.papers.claim import Verdict
from forecheck.papers.experiment import Bench
from forecheck.papers.why_attention_fails import last_batch, last_batch_claims
from forecheck.trials.store import Store


@pytest.mark.parametrize(("count", "batch"), [(10, 4), (12, 4), (7, 7), (9, 8), (5, 1)])
def test_the_kept_windows_are_those_of_a_loader_that_drops_the_last(count, batch):
    losses = np.random.default_rng(count).exponential(size=count)
    kept = np.concatenate(list(DataLoader(losses, batch_size=batch, drop_last=True)))
    assert last_batch.kept_mean(losses, batch) == pytest.approx(kept.mean())


def test_the_error_by_batch_is_that_of_the_first_windows(tmp_path):
    random = np.random.default_rng(0)
    values = np.sin(np.arange(900) / 4) + random.normal(size=900) * np.linspace(0.1, 2, 900)
    times = np.datetime64("2020-01-01T00") + np.arange(900).astype("timedelta64[h]")
    path = tmp_path / "waves.csv"
    path.write_text("date,a\n" + "".join(f"{time},{a}\n" for time, a in zip(times, values, strict=True)))
    bench = Bench(Store(tmp_path / "store"), lambda share, word: None)
    row = last_batch.last_batch(bench, str(path), "nlinear", 24)
    assert row["windows"] == 180 - 23
    assert row["left"] == {"8": 5, "16": 13, "32": 29, "64": 29, "128": 29}
    for batch, left in row["left"].items():
        kept = row["windows"] - left
        whole = row["mse"] * row["windows"]
        assert row["kept"][batch] * kept == pytest.approx(whole * (1 - row["share"][batch]))
    assert row["kept"]["128"] != pytest.approx(row["mse"])


def made_up(etth2: float, kept: float) -> dict:
    rows = [
        {"data": data, "model": "nlinear", "horizon": horizon, "windows": 1000, "mse": mse}
        | {"kept": {"128": mse - less, "256": mse - less}, "left": {"128": 104, "256": 232}}
        | {"share": {"128": 0.2, "256": 0.3}}
        for data, mse, less in (("ETTh1", 0.40, 0.1), ("ETTh2", etth2, kept))
        for horizon in last_batch.HORIZONS
    ]
    return {last_batch.LAST_BATCH.name: rows}


@pytest.mark.parametrize(
    ("error", "less", "verdict"),
    [
        (0.36, 0.03, Verdict.CONFIRMED),
        (0.36, 0.001, Verdict.REFUTED),
        (0.36, 0.018, Verdict.UNEVEN),
        (0.30, 0.1, Verdict.UNTESTABLE),
    ],
)
def test_only_leads_count(error, less, verdict):
    outcome = last_batch_claims.judge(made_up(error, less))
    assert outcome.verdict is verdict
    assert (outcome.ours is None) == (verdict is Verdict.UNTESTABLE)
    assert "no lead" in outcome.found
