"""A store is read through: what is not as it was written is named, and removed if asked."""

import os

import numpy as np
import pytest

import forecheck as fc
from forecheck import installed
from forecheck.trials import machine
from forecheck.trials.health import check_store
from forecheck.trials.record import RECORD, Key
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial
from panels import hourly

PANEL = hourly(60)
TRIAL = Trial(PANEL.fingerprint, "70/10/20", 24, 6, "last")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    store.put_panel(PANEL)
    store.put(TRIAL, {}, {"mse": np.ones(30)})
    store.write(Key.of("verdict", "a verdict", {"x": 1}), {"value": 1})
    return store


def test_what_is_whole_is_counted(store):
    reported = []
    found = check_store(store, progress=lambda done, word: reported.append(done))
    size = sum(path.stat().st_size for path in store.root.rglob("*") if path.is_file() and path.name != "lock")
    assert (found.results, found.size, found.damaged, found.unfinished) == (3, size, {}, [])
    assert reported == pytest.approx([1 / 3, 2 / 3, 1])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "a bit of an array": lambda folder: flip(folder / "arrays.safetensors"),
    "a bit of a record": lambda folder: flip(folder / RECORD),
    "an array that is gone": lambda folder: (folder / "arrays.safetensors").unlink(),
    "another address": lambda folder: folder.rename(folder.with_name("f" * 32)),
    "a file for a folder": lambda folder: (folder.rename(folder.parents[3] / "away"), folder.write_text("x")),
    "a file for a folder of folders": lambda folder: (
        folder.parent.rename(folder.parents[3] / "away"),
        folder.parent.write_text("x"),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_named_and_mended(store, damage):
    DAMAGE[damage](store.folder(TRIAL))
    found = fc.doctor(store.root)
    assert len(found["store"]["damaged"]) == 1
    assert found["store"]["results"] == 2
    assert [problem["do"].endswith("forecheck doctor --mend") for problem in found["problems"]] == [True]
    assert not found["healthy"]
    mended = fc.doctor(store.root, mend=True)
    assert mended["store"]["mended"] == list(found["store"]["damaged"])
    assert mended["healthy"]
    assert fc.doctor(store.root)["store"] | {"mended": []} == mended["store"] | {"mended": [], "damaged": {}}
    store.put(TRIAL, {}, {"mse": np.ones(30)})  # and the store goes on
    assert store.get(TRIAL) is not None


def test_what_another_process_uses_stays(store, monkeypatch):
    monkeypatch.setattr(store.locks, "alone", lambda name: False)
    flip(store.folder(TRIAL) / RECORD)
    found = fc.doctor(store.root, mend=True)
    assert found["store"]["in use"] == [str(store.folder(TRIAL))]
    assert "Another process uses it" in found["problems"][0]["do"]
    assert store.folder(TRIAL).exists()


def test_what_is_being_written_is_no_damage(store):
    folder = store.folder(TRIAL)
    (folder.parent / f".{folder.name}.0123.part").mkdir()
    (folder / ".result.json.0123.part").touch()
    found = check_store(store)
    assert len(found.unfinished) == 2
    assert not found.damaged


def test_a_folder_that_is_a_file_keeps_nothing(tmp_path):
    (tmp_path / "file").touch()
    found = fc.doctor(tmp_path / "file" / "store")
    assert [problem["what"].endswith("file is a file") for problem in found["problems"]] == [True]
    assert not (tmp_path / "nowhere").exists()
    assert fc.doctor(tmp_path / "nowhere" / "store")["healthy"]
    assert not (tmp_path / "nowhere").exists()


def test_wrong_arithmetic_is_a_problem(monkeypatch, store):
    assert machine.wrong_arithmetic() == []
    monkeypatch.setattr(machine, "wrong_arithmetic", lambda: ["numpy float32"])
    assert "numpy float32 are wrong here" in fc.doctor(store.root)["problems"][0]["what"]


def test_packages_that_lack_are_named(monkeypatch, store):
    names = {"torch": "2.5.1+cpu", "lightning": "2.6.2", "numpy": None}
    real = installed.version_of
    monkeypatch.setattr(installed, "version_of", lambda name: names.get(name, real(name)))
    monkeypatch.setattr("forecheck.verbs.doctor.version_of", names.get)
    reported = "\n".join(f"{each['what']}. {each['do']}" for each in fc.doctor(store.root)["problems"])
    assert "forecheck needs torch>=2.6 (has 2.5.1+cpu)" in reported
    assert "forecheck needs numpy>=2.0. pip install 'numpy>=2.0'" in reported
    assert "lightning 2.6.2 was published by thieves" in reported


def test_a_package_that_does_not_load_is_refused(monkeypatch, store):
    def broken():
        raise ImportError("libtorch_cpu.so: cannot open shared object file")

    monkeypatch.setattr(machine, "describe_machine", broken)
    found = fc.doctor(store.root)
    assert found["machine"] == {}
    assert "libtorch_cpu.so" in found["problems"][0]["what"]


@pytest.mark.parametrize(
    ("version", "bounds", "expected"),
    [
        ("2.13.0+cpu", ">=2.6", True),
        ("2.5.9", ">=2.6", False),
        ("2.0", ">=2.0.0", True),
        ("15.0.0rc1", ">=15", True),
        ("2.6.2", "!=2.6.2,!=2.6.3,>=2.6", False),
        ("2.6.4", "!=2.6.2,!=2.6.3,>=2.6", True),
        ("3", "<2", True),  # not judged
    ],
)
def test_bounds_of_versions(version, bounds, expected):
    assert installed.within(version, bounds) is expected


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_cannot_be_written_is_a_problem(store):
    store.root.chmod(0o555)
    assert "no permission" in fc.doctor(store.root)["problems"][0]["what"]
    store.root.chmod(0o755)
