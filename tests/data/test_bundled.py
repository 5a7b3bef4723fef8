"""The sets that come with the package are those of statsmodels, value by value, and never change."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from forecheck.data import bundled
from forecheck.data.catalog import datasets
from forecheck.data.load import load

FINGERPRINTS = {  # a trial's address holds them: another one makes every stored result of the set useless
    "co2": "96de493cdc0f8020de580a1f2489932bca5a58f2837553710f9a6fd578d02f83",
    "sunspots": "ef3a934918d88336e9cf834a497faefd0574c143517844dfc5a13ff6acd3a57e",
    "elnino": "a4ee5a53fbf9d834e597876d137f6d479c588c05004d643dd97c80a19c849f71",
    "nile": "a63f32858fb500e0f8f1a557637f42226cc9679b4d2c17362a21abb5b4069c74",
    "macrodata": "5e3334080ff07e26abf0f164641fef790276f541bb43d7001e78344e17250c45",
    "elec_equip": "e1cac7b05aa5fa95b22d3aa0382c9bf6789e64b3fdd9310b4b5c92cb7042908a",
}


@pytest.mark.parametrize(("name", "fingerprint"), FINGERPRINTS.items())
def test_fingerprints_do_not_change(name, fingerprint):
    assert load(name).fingerprint == fingerprint


def test_every_set_without_an_address_has_a_file_and_a_line_on_its_licence():
    names = {entry.name for entry in datasets() if entry.remote is None}
    assert names == set(FINGERPRINTS)
    folder = Path(bundled.__file__).parent / "sets"
    assert {path.stem for path in folder.glob("*.csv")} == names
    about = (folder / "README.md").read_text()
    assert all(f"| `{name}.csv` |" in about for name in names)


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_values_are_those_of_statsmodels(name):
    if find_spec("statsmodels") is None:
        pytest.skip("statsmodels is not installed")
    frame = import_module(f"statsmodels.datasets.{name}.data").load_pandas().data
    keys = [column for column in frame.columns if column.lower() in ("date", "year", "quarter")]
    values = frame.drop(columns=keys).to_numpy(float)
    panel = load(name)
    observed = np.ones(panel.values.shape, dtype=bool) if panel.filled is None else ~panel.filled
    np.testing.assert_array_equal(panel.values[observed], values.reshape(panel.values.shape)[observed])
    assert np.isnan(values.reshape(panel.values.shape)[~observed]).all()
