import dataclasses
import json
import os
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest

from forecheck.data.frequency import Frequency
from forecheck.errors import DataError, UsageError
from forecheck.trials.panels import describe_panel, panel_key, save_panel
from forecheck.trials.record import RECORD, Key
from forecheck.trials.store import Store
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
    store = Store(tmp_path)
    assert TRIAL not in store
    assert store.get(TRIAL) is None
    arrays = {"mse": np.arange(6.0).reshape(3, 2), "view": np.arange(10)[::2]}
    store.put(TRIAL, {"mse": 2.5}, arrays)
    result = store.get(TRIAL)
    assert TRIAL in store
    assert result.summary["mse"] == 2.5
    assert all((result.arrays[key] == value).all() for key, value in arrays.items())


class Model:
    """Saves something."""

    def save(self, folder):
        folder.mkdir()
        (folder / "weights").write_bytes(bytes(range(200)))


KEYS = {
    "trial": TRIAL.key,
    "part": Key.of("part", "a part", {"x": 1}, "forecheck.errors"),
    "calibration": Key.of("calibration", "a simulation", {"x": 1}, "forecheck.errors"),
    "verdict": Key.of("verdict", "a verdict", {"x": 1}),
}
PANEL = hourly(100)
FILES = [
    ("trial", "result.json"),
    ("trial", "arrays.safetensors"),
    ("trial", "model/weights"),
    ("part", "result.json"),
    ("calibration", "result.json"),
    ("verdict", "result.json"),
    ("panel", "result.json"),
    ("panel", "panel.safetensors"),
]


def fill(store):
    """One result of each kind."""
    store.put(TRIAL, {"mse": 2.5}, {"mse": np.ones(3)}, Model())
    for kind in ("part", "calibration", "verdict"):
        store.write(KEYS[kind], {"value": 0.25})
    store.put_panel(PANEL)


def find(store, kind):
    return store.read(kind, PANEL.fingerprint if kind == "panel" else KEYS[kind].address)


def flips(content):
    """A byte is another one: at the start, at the end, and in between."""
    for at in (*range(0, len(content), max(1, len(content) // 9)), len(content) - 1):
        changed = bytearray(content)
        changed[at] ^= 1
        yield bytes(changed)


@pytest.mark.parametrize(("kind", "name"), FILES, ids="/".join)
def test_a_damaged_result_counts_as_not_there_and_is_made_anew(tmp_path, kind, name):
    store = Store(tmp_path)
    fill(store)
    whole = find(store, kind)
    path = store.place(kind, whole.key.address) / name
    content = path.read_bytes()
    for damage in (*flips(content), content[: len(content) // 2], content[:-1], b"", None):
        path.unlink() if damage is None else path.write_bytes(damage)
        assert find(store, kind) is None
    if kind == "trial":
        assert TRIAL not in store
        assert store.get(TRIAL) is None
        with pytest.raises(DataError, match="is missing"):
            store.model(TRIAL)
    if kind == "panel":
        with pytest.raises(DataError, match="does not hold panel"):
            store.get_panel(PANEL.fingerprint)
    fill(store)
    again = find(store, kind)
    assert (again.key, again.value, again.files) == (whole.key, whole.value, whole.files)
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("kind", [*KEYS, "panel"])
def test_a_result_of_something_else_counts_as_not_there(tmp_path, kind):
    store = Store(tmp_path)
    fill(store)
    key = find(store, kind).key
    other = store.place(kind, key.address[::-1])
    shutil.copytree(store.place(kind, key.address), other)
    assert store.read(kind, key.address[::-1]) is None
    elsewhere = store.place("other", key.address)
    shutil.copytree(store.place(kind, key.address), elsewhere)
    assert store.read("other", key.address) is None


def test_a_result_stays_where_it_is_whole(tmp_path):
    store = Store(tmp_path)
    store.put(TRIAL, {"mse": 1.0}, {})
    store.put(TRIAL, {"mse": 2.0}, {})
    assert store.get(TRIAL).summary["mse"] == 1.0
    for value in (1, 2):
        store.write(KEYS["verdict"], value)
    assert find(store, "verdict").value == 2


WRITER = """
import sys
import numpy as np
from pathlib import Path
from forecheck.trials.panels import describe_panel, panel_key, save_panel
from forecheck.trials.store import Store
from forecheck.trials.record import RECORD, Key
from forecheck.trials.trial import Trial

def save(folder):
    folder.mkdir()
    (folder / "weights").write_bytes(bytes(range(200)))

trial, part = Trial(**%r), Key.of("part", "a part", {"x": 1})
store, model = Store(Path(sys.argv[1])), type("Model", (), {"save": staticmethod(save)})
print("ready", flush=True)
sys.stdin.readline()
for turn in range(30):
    store.put(trial, {"writer": sys.argv[2]}, {"mse": np.ones(1000)}, model)
    store.write(part, {"writer": sys.argv[2]})
    assert turn == 0 or store.get(trial).arrays["mse"].sum() == 1000
    assert store.read("part", part.address) is not None
"""


@pytest.mark.parametrize("damaged", [False, True])
def test_two_processes_may_write_one_result_at_once(tmp_path, damaged):
    store = Store(tmp_path)
    if damaged:
        store.put(TRIAL, {}, {"mse": np.ones(1000)}, Model())
        (store.folder(TRIAL) / "model" / "weights").write_bytes(b"")
    command = [sys.executable, "-c", WRITER % TRIAL.to_dict(), str(tmp_path)]
    writers = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)
        assert writer.returncode == 0
    assert store.get(TRIAL).summary["writer"] in ("a", "b")
    assert (store.model(TRIAL) / "weights").read_bytes() == bytes(range(200))
    assert not list(tmp_path.rglob(".*"))


def test_one_of_thousands_is_found_as_fast_as_one_of_few(tmp_path):
    """No listing is read on the way to a result."""
    store = Store(tmp_path)
    store.put(TRIAL, {"mse": 2.5}, {"mse": np.ones(3)}, Model())

    def fastest():
        taken = []
        for _ in range(30):
            started = time.perf_counter()
            assert store.get(TRIAL) is not None
            taken.append(time.perf_counter() - started)
        return min(taken)

    few = fastest()
    for number in range(5000):
        folder = store.place("trial", f"{number:032x}"[::-1])
        folder.mkdir(parents=True)
        os.link(store.folder(TRIAL) / RECORD, folder / RECORD)
    assert fastest() < 3 * few + 1e-3


def test_a_result_is_written_whole_or_not_at_all(tmp_path):
    class Broken:
        def save(self, folder):
            folder.mkdir()
            (folder / "half").write_text("x")
            raise RuntimeError("disk full")

    store = Store(tmp_path)
    with pytest.raises(RuntimeError, match="disk full"):
        store.put(TRIAL, {}, {"mse": np.ones(3)}, Broken())
    assert TRIAL not in store
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["lock"]


@pytest.mark.parametrize("panel", [hourly(100), ragged(), dataclasses.replace(
    hourly(50), time=np.arange(50), frequency=Frequency("step", season=7), fills={"c0": 3}
)], ids=["dates", "ragged", "steps"])  # fmt: skip
def test_panels_come_back(tmp_path, panel):
    store = Store(tmp_path)
    store.put_panel(panel)
    store.put_panel(panel)
    again = store.get_panel(panel.fingerprint)
    assert again.fingerprint == panel.fingerprint
    assert (again.values == panel.values).all()
    assert (again.time == panel.time).all()
    assert (again.frequency, again.series, again.channels) == (panel.frequency, panel.series, panel.channels)
    assert again.fills == panel.fills


def test_a_panel_of_an_earlier_version_is_written_anew(tmp_path):
    store, panel = Store(tmp_path), hourly(100)
    described = describe_panel(panel)
    del described["covariates"]
    store.write(panel_key(panel), described, lambda folder: save_panel(panel, folder))
    store.put_panel(panel)
    assert store.get_panel(panel.fingerprint).fingerprint == panel.fingerprint


def test_an_unknown_panel(tmp_path):
    with pytest.raises(DataError, match="does not hold panel abc"):
        Store(tmp_path).get_panel("abc")


def test_a_result_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(DataError, match="the result of last, seed 0 is missing"):
        Store(tmp_path).need(TRIAL)


def test_a_folder_may_be_a_text(tmp_path):
    assert Store(str(tmp_path)).root == tmp_path
    with pytest.raises(UsageError, match="empty name"):
        Store("")
