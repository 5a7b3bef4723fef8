import dataclasses
import json

import numpy as np
import pytest

from forecheck.data.frequency import Frequency
from forecheck.errors import DataError
from forecheck.trials.ledger import Ledger
from forecheck.trials.trial import Trial
from panels import hourly, ragged

TRIAL = Trial("f" * 64, "70/10/20", 48, 12, "last", {"a": 1}, 24)


@pytest.mark.parametrize(
    "change",
    [
        {"data": "e" * 64},
        {"split": "60/20/20"},
        {"lookback": 49},
        {"horizon": 13},
        {"forecaster": "mean"},
        {"config": {"a": 2}},
        {"period": 12},
        {"step": 2},
        {"seed": 1},
        {"edit": {"kind": "replace", "mode": "zero"}},
        {"posthoc": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_everything_that_decides_a_result_is_in_the_address(change):
    assert dataclasses.replace(TRIAL, **change).address != TRIAL.address


def test_the_address_does_not_depend_on_the_order_of_options():
    one = dataclasses.replace(TRIAL, config={"a": 1, "b": 2})
    other = dataclasses.replace(TRIAL, config={"b": 2, "a": 1})
    assert one.address == other.address
    assert Trial(**json.loads(json.dumps(one.to_dict()))).address == one.address


def test_a_posthoc_trial_names_the_fit_it_edits():
    fit = dataclasses.replace(TRIAL, seed=3)
    edited = dataclasses.replace(fit, edit={"kind": "replace", "mode": "zero"}, posthoc=True)
    assert edited.parent == fit
    assert fit.parent is None


def test_results_come_back(tmp_path):
    ledger = Ledger(tmp_path)
    assert TRIAL not in ledger
    assert ledger.get(TRIAL) is None
    arrays = {"mse": np.arange(6.0).reshape(3, 2), "view": np.arange(10)[::2]}
    ledger.put(TRIAL, {"mse": 2.5}, arrays)
    result = ledger.get(TRIAL)
    assert TRIAL in ledger
    assert result.summary["mse"] == 2.5
    assert all((result.arrays[key] == value).all() for key, value in arrays.items())


@pytest.mark.parametrize("damage", ["result.json", "arrays.safetensors"])
def test_a_damaged_result_counts_as_not_there(tmp_path, damage):
    ledger = Ledger(tmp_path)
    ledger.put(TRIAL, {}, {"mse": np.ones(3)})
    (ledger.folder(TRIAL) / damage).write_bytes(b"{")
    assert ledger.get(TRIAL) is None
    ledger.put(TRIAL, {}, {"mse": np.ones(3)})
    assert ledger.get(TRIAL) is not None, "a damaged result must be replaced by the next run"


def test_a_result_is_written_whole_or_not_at_all(tmp_path):
    class Broken:
        def save(self, folder):
            folder.mkdir()
            (folder / "half").write_text("x")
            raise RuntimeError("disk full")

    ledger = Ledger(tmp_path)
    with pytest.raises(RuntimeError, match="disk full"):
        ledger.put(TRIAL, {}, {"mse": np.ones(3)}, Broken())
    assert TRIAL not in ledger
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("panel", [hourly(100), ragged(), dataclasses.replace(
    hourly(50), time=np.arange(50), frequency=Frequency("step", season=7), fills={"c0": 3}
)], ids=["dates", "ragged", "steps"])  # fmt: skip
def test_panels_come_back(tmp_path, panel):
    ledger = Ledger(tmp_path)
    ledger.put_panel(panel)
    ledger.put_panel(panel)
    again = ledger.get_panel(panel.fingerprint)
    assert again.fingerprint == panel.fingerprint
    assert (again.values == panel.values).all()
    assert (again.time == panel.time).all()
    assert (again.frequency, again.series, again.channels) == (panel.frequency, panel.series, panel.channels)
    assert again.fills == panel.fills


def test_an_unknown_panel(tmp_path):
    with pytest.raises(DataError, match="does not hold panel abc"):
        Ledger(tmp_path).get_panel("abc")


def test_a_result_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(DataError, match="the result of last, seed 0 is missing"):
        Ledger(tmp_path).need(TRIAL)
