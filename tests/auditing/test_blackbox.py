import json

import numpy as np
import pytest
from made import evidence, experiment, measured, with_summary
from only import audited

from forecheck.auditing.blackbox import (
    CHECKS,
    ChannelPermutation,
    ConstantInput,
    LinearSurrogate,
    TimeOrder,
    WindowTruncation,
)
from forecheck.auditing.measured import changed
from forecheck.trials.store import Store
from panels import hourly, ragged

GRID = [3, 6, 9, 12, 15, 18, 21, 24]
CONSTANT = {"levels": [0.0], "finite": True, "wobble": 0.0, "offset": 0.0}


def results(e, seeds=2, every=1, noise=0.01, **levels):
    """Losses of 1 for raw windows; of changed ones as given."""
    rng = np.random.default_rng(0)
    index = np.arange(0, len(e.test), every)
    names = [f"last_{share:g}_{fill}" for share in (1 / 8, 1 / 4, 1 / 2, 3 / 4) for fill in ("mean", "value")]
    names += [f"order_{order}" for order in ("all", "but_last", "blocks", "inside")]
    raw = 1 + 0.1 * rng.standard_normal(len(index))
    arrays = {"window_index": index, "raw_loss": raw}
    for name in [*names, "surrogate"]:
        arrays[f"{name}_loss"] = raw * levels.get(name, 1.0) + noise * rng.standard_normal(len(index))
    curve = {"ratio": [1.0] * 8, "enough": 3}
    r2 = {"r2": 0.9, "r2_change": 0.8, "mse": 1.0, "ratio": 1.0}
    summary = {
        "truncation": {"kept": GRID, "mean": curve, "value": curve, "enough": 3},
        "channels": {"equivariant": True, "independent": True, "influence": 0.0, "ratio": 1.0, "permuted": 0.0},
        "constant": CONSTANT,
        "equivariance": {"shift": 0.0, "scale": 0.0},
        "superposition": {"difference": 0.1},
        "surrogate": {"mse": 1.0, "shared": r2},
    }
    return measured(e, *[summary] * seeds, arrays=arrays)


def found(check, panel=None, changes=None, **levels):
    e = experiment(panel)
    made = with_summary(results(e, **levels), **(changes or {}))
    return check.run(evidence(e, measures={("blackbox", "patchtst"): made}))


@pytest.mark.parametrize(
    ("level", "outcome", "severity"),
    [(1.2, "pass", "info"), (1.0, "no difference", "warning"), (0.8, "fail", "warning")],
)
@pytest.mark.parametrize(
    ("check", "change"),
    [(WindowTruncation(), "last_0.5_mean"), (TimeOrder(), "order_all"), (LinearSurrogate(), "surrogate")],
    ids=lambda value: getattr(value, "code", value),
)
def test_losses_decide_with_an_interval(check, change, level, outcome, severity):
    finding = found(check, **{change: level})
    assert (finding.outcome, finding.severity) == (outcome, severity)
    assert finding.comparison.effect == pytest.approx(level - 1, abs=0.01)
    assert bool(finding.advice) == (severity == "warning")


@pytest.mark.parametrize("check", [WindowTruncation(), TimeOrder(), LinearSurrogate()], ids=lambda check: check.code)
def test_noise_leaves_it_undecided(check):
    finding = found(check, noise=3.0)
    assert finding.outcome == "undecided"
    assert finding.why


def test_sampled_windows_overlap_less():
    e = experiment()
    made = {every: results(e, every=every) for every in (1, 2, 6)}
    given = evidence(e)
    blocks = {every: changed(given, each, "order_all").blocks for every, each in made.items()}
    assert e.test.overlap == 6
    assert blocks[1] == pytest.approx(len(e.test) / 6)
    assert blocks[2] == pytest.approx(len(made[2][0].arrays["raw_loss"]) / 3)
    assert blocks[6] == pytest.approx(len(made[6][0].arrays["raw_loss"]))


def test_series_at_one_time_count_as_one_observation():
    e = experiment(ragged())
    times = len(np.unique(e.panel.time[e.test.origins]))
    c = changed(evidence(e), results(e), "order_all")
    assert c.blocks == pytest.approx(times / e.test.overlap)
    assert times < len(e.test)


def test_the_shortest_suffix_of_all_seeds_is_told():
    finding = found(WindowTruncation())
    assert "The last 3 of 24 steps are enough" in finding.meaning
    assert finding.details["chart"]["x"] == GRID
    assert len(finding.details["table"]["rows"]) == 4


def test_channels_are_told():
    assert found(ChannelPermutation()).title == "channels are independent"
    mixed = {"equivariant": False, "independent": False, "influence": 0.5, "ratio": 1.2, "permuted": 0.3}
    finding = found(ChannelPermutation(), changes={"channels": mixed})
    assert finding.title == "channels are mixed"
    assert "rules of their own" in finding.meaning
    assert "50.0 %" in finding.meaning
    assert "+20.0 %" in finding.meaning
    one = found(ChannelPermutation(), changes={"channels": {"why_not": "there is one channel"}})
    assert (one.outcome, one.why) == ("not applicable", "there is one channel")


def test_constants_that_are_not_forecast_are_an_error():
    broken = CONSTANT | {"finite": False, "offset": None, "wobble": None}
    finding = found(ConstantInput(), changes={"constant": broken})
    assert (finding.outcome, finding.severity) == ("fail", "error")
    assert finding.advice
    assert found(ConstantInput()).title == "constant windows keep their level"
    drawn = found(ConstantInput(), changes={"constant": CONSTANT | {"offset": 0.5}})
    assert (drawn.outcome, drawn.title) == ("pass", "constant windows are drawn to another level")


def test_the_better_surrogate_says_whether_the_model_is_linear():
    weak = {"r2": 0.9, "r2_change": 0.8, "mse": 1.0, "ratio": 1.0}
    strong = weak | {"r2": 0.992, "r2_change": 0.995}
    finding = found(LinearSurrogate(), changes={"surrogate": {"shared": weak, "across": strong}})
    assert finding.title.startswith("the forecast is a linear function of the window")
    assert found(LinearSurrogate()).title.startswith("the forecast is not linear")
    for flattered in ({"r2": 0.995}, {"r2_change": 0.995}):
        finding = found(LinearSurrogate(), changes={"surrogate": {"shared": weak | flattered}})
        assert finding.title.startswith("the forecast is not linear")
    none = found(LinearSurrogate(), changes={"surrogate": {"shared": {"why_not": "too few windows"}}})
    assert (none.outcome, none.why) == ("not applicable", "too few windows")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.code)
def test_attention_is_not_needed(check):
    e = experiment()
    assert not check.why_not(evidence(e, places=(), why_not="none").setting)
    assert check.run(evidence(e)) is None


def test_an_audit_has_them_all(tmp_path):
    found, report = audited(CHECKS, hourly(700), Store(tmp_path))
    assert sorted(found) == [f"FC90{i}" for i in range(1, 6)]
    assert found["FC903"]["title"] == "channels are independent"
    assert found["FC902"]["outcome"] == "pass"
    assert report["protocol"]["trials"]["total"] == 7 + 2 + 2
    json.dumps(found, allow_nan=False)
