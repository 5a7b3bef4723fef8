"""What a store holds is listed, and removed unless the present code or another process uses it."""

import dataclasses
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

import forecheck as fc
from forecheck.trials.record import RECORD, Key, write_record
from forecheck.trials.runs import list_entries, prune
from forecheck.trials.store import Store
from forecheck.trials.trial import Trial
from panels import hourly

PANEL = hourly(100)
TRIAL = Trial(PANEL.fingerprint, "70/10/20", 48, 12, "last")
DAY = 86400.0


def old(key):
    """What other code made under the same description."""
    return dataclasses.replace(key, code="0" * 16, address=key.address[::-1])


PART = Key.of("part", "paper, square: x 1", {"x": 1}, "forecheck.errors")


@pytest.fixture
def store(tmp_path):
    """Current and other results of every kind."""
    store = Store(tmp_path)
    store.put_panel(PANEL)
    store.put(TRIAL, {}, {"mse": np.ones(3)})
    store.checkpoint(dataclasses.replace(TRIAL, seed=1)).write_bytes(b"state")
    store.write(PART, {})
    store.write(Key.of("calibration", "size: n 100", {"n": 100}, "forecheck.errors"), {})
    store.write(Key.of("verdict", "paper, claim", {"claim": "claim"}), {})
    for key in (TRIAL.key, PART):
        store.write(old(key), {})
    return store


def held(entries, **wanted):
    return sorted(
        (entry.key.kind, entry.used) for entry in entries if all(getattr(entry, k) == v for k, v in wanted.items())
    )


def test_what_is_listed(store):
    entries = list_entries(store)
    assert held(entries) == [
        ("calibration", True),
        ("checkpoint", True),
        ("panel", True),
        ("part", False),
        ("part", True),
        ("trial", False),
        ("trial", True),
        ("verdict", True),
    ]
    words = {entry.key.kind: entry.key.what for entry in entries if entry.used}
    assert words["trial"] == f"last, seed 0; lookback 48, horizon 12, {PANEL.name}"
    assert words["part"] == "paper, square: x 1"
    assert words["panel"] == f"{PANEL.name}: 100 rows of 2"
    for entry in entries:
        assert entry.size == sum(path.stat().st_size for path in entry.folder.rglob("*") if path.is_file())
        assert abs(entry.made - time.time()) < 60
    listed = fc.runs(store.root)
    assert json.loads(json.dumps(listed)) == listed
    assert [each["kind"] for each in listed] == [entry.key.kind for entry in entries]


def test_of_a_store_that_is_not_there_nothing_is_listed_or_made(tmp_path):
    assert fc.runs(tmp_path / "nowhere") == []
    assert list(tmp_path.iterdir()) == []


def test_a_forecaster_that_is_not_loaded_may_be_used(store):
    key = dataclasses.replace(TRIAL.key, modules=("somebodys.model",), address="1" * 32)
    store.write(key, {})
    assert [entry.used for entry in list_entries(store) if entry.key.address == "1" * 32] == [None]
    prune(store)
    assert store.read("trial", "1" * 32) is not None


def test_trials_that_had_other_fields_are_not_used(store):
    store.write(dataclasses.replace(TRIAL.key, described={"colour": "red"}, address="2" * 32), {})
    assert [entry.used for entry in list_entries(store) if entry.key.address == "2" * 32] == [False]


def test_prune_removes_what_other_code_made(store):
    would = prune(store, dry_run=True)
    assert held(would.removed) == [("part", False), ("trial", False)]
    assert len(list_entries(store)) == 8
    assert prune(store).removed == would.removed
    assert held(list_entries(store), used=False) == []
    assert store.get(TRIAL) is not None
    assert prune(store).removed == []


def test_prune_removes_panels_that_no_result_is_left_of(store):
    prune(store)
    assert store.get_panel(PANEL.fingerprint).fingerprint == PANEL.fingerprint
    for entry in list_entries(store):
        if entry.key.kind in ("trial", "checkpoint"):
            path = entry.folder / RECORD
            write_record(path, dataclasses.replace(entry.key, described={**TRIAL.to_dict(), "seed": 9}), {}, {})
    assert held(prune(store).removed) == [("checkpoint", False), ("panel", False), ("trial", False)]


def test_prune_by_age(store):
    for kind in ("trial", "verdict"):
        for path in (store.root / kind).glob(f"*/*/{RECORD}"):
            os.utime(path, times=(time.time() - 31 * DAY,) * 2)
    assert held(prune(store, older=32 * DAY, dry_run=True).removed) == [("part", False), ("trial", False)]
    removed = held(prune(store, older=30 * DAY).removed)
    assert removed == [("part", False), ("trial", False), ("trial", True), ("verdict", True)]


def test_prune_of_all(store):
    assert len(prune(store, everything=True).removed) == 8
    assert list_entries(store) == []
    store.put_panel(PANEL)  # and the store goes on
    assert store.get_panel(PANEL.fingerprint).name == PANEL.name


def test_prune_removes_damaged_and_unfinished_results(store):
    (store.place("part", PART.address) / RECORD).write_text("{")
    half = store.place("trial", "a" * 32).with_name("." + "a" * 32 + ".12345678.part")
    half.mkdir(parents=True)
    removed = prune(store).removed
    assert {"damaged", "unfinished"} <= {entry.key.what for entry in removed}
    assert not half.exists()
    assert store.read("part", PART.address) is None


USER = """
import sys
from pathlib import Path
from forecheck.trials.store import Store

store = Store(Path(sys.argv[1]))
assert store.read(sys.argv[2], sys.argv[3]) is not None
print("ready", flush=True)
sys.stdin.readline()
assert store.read(sys.argv[2], sys.argv[3]) is not None
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no locks")
@pytest.mark.parametrize("kind", ["trial", "panel"])
def test_what_another_process_uses_stays(store, kind):
    key = TRIAL.key if kind == "trial" else Key("panel", PANEL.fingerprint, "", {})
    command = [sys.executable, "-c", USER, str(store.root), kind, key.address]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout.readline() == "ready\n"
        for dry_run in (True, False):
            found = prune(store, everything=True, dry_run=dry_run)
            assert [(entry.key.kind, entry.key.address) for entry in found.in_use] == [(kind, key.address)]
            assert len(found.removed) == 7
        assert [entry.key.kind for entry in list_entries(store)] == [kind]
        user.communicate("go\n", timeout=60)
        assert user.returncode == 0
    assert len(prune(store, everything=True).removed) == 1  # its locks ended with it


def test_two_objects_of_one_store_share_their_locks(store):
    """To close a file ends all locks on it: an object that goes must not take those of another one with it."""
    other = Store(store.root)
    assert other.locks is store.locks


def test_prune_removes_files_that_were_being_written_and_what_earlier_versions_left(tmp_path, monkeypatch):
    monkeypatch.setenv("FORECHECK_HOME", str(tmp_path))
    store = Store()
    store.put(TRIAL, {}, {"mse": np.ones(3)})
    begun = store.checkpoint(dataclasses.replace(TRIAL, seed=1))
    part = begun.with_name(".state.safetensors.0123456789abcdef.part")
    part.write_bytes(b"half")
    (tmp_path / "ledger" / "panels").mkdir(parents=True)
    (tmp_path / "ledger" / "verdicts.json").write_text("{}")
    words = {(entry.key.kind, entry.key.what): entry.size for entry in list_entries(store)}
    assert words["checkpoint", "unfinished"] == 4
    assert words["earlier", "results of earlier versions"] == 2
    prune(store)
    assert not part.exists()
    assert not (tmp_path / "ledger").exists()
    assert begun.parent.exists()
    assert store.get(TRIAL) is not None
    assert not list(tmp_path.rglob(".*"))


def test_prune_of_a_store_elsewhere_leaves_what_is_beside_it(tmp_path, store):
    (store.root.parent / "ledger").mkdir(exist_ok=True)
    prune(store)
    assert (store.root.parent / "ledger").exists()
