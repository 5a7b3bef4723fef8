"""`forecheck runs` from the command line."""

import dataclasses
import json
import os
import time

import pytest

from forecheck.trials.record import RECORD, Key
from forecheck.trials.store import Store

PART = Key.of("part", "paper, square: x 1", {"x": 1}, "forecheck.errors")


@pytest.fixture
def kept(tmp_path):
    """A store with a part of this code, and one of other code."""
    store = Store(tmp_path / "kept")
    store.write(PART, {"y": 1})
    store.write(dataclasses.replace(PART, code="0" * 16, address="b" * 32), {"y": 2})
    past = time.time() - 3 * 86400
    os.utime(store.place("part", PART.address) / RECORD, (past, past))
    return store


def test_runs_are_listed(forecheck, kept):
    done = forecheck("runs", "--store", kept.root)
    assert done.code == 0
    header, newest, oldest, total, unused = done.out.splitlines()
    assert header.split() == ["kind", "used", "size", "age", "what"]
    assert newest.split()[:2] == ["part", "no"]
    assert oldest.split()[:2] == ["part", "yes"]
    assert oldest.endswith("3 d  paper, square: x 1")
    assert total.startswith("2 results (")
    assert total.endswith(f" in {kept.root}")
    assert unused.endswith("not used by the present code: forecheck runs --prune")


def test_an_empty_store(forecheck, tmp_path):
    assert forecheck("runs", "--store", tmp_path / "none").out == f"0 results (0 B) in {tmp_path / 'none'}\n"


def test_runs_as_json(forecheck, kept):
    found = json.loads(forecheck("runs", "--store", kept.root, "--json").out)
    assert found["store"] == str(kept.root)
    assert [run["used"] for run in found["runs"]] == [False, True]
    assert found["size"] == sum(run["size"] for run in found["runs"])


def test_runs_are_pruned(forecheck, kept):
    said = forecheck("runs", "--store", kept.root, "--prune", "--dry-run").out
    assert "would remove 1 result (" in said
    assert "paper, square: x 1" in said
    assert kept.read("part", "b" * 32) is not None
    assert "removed 1 result (" in forecheck("runs", "--store", kept.root, "--prune").out
    assert kept.read("part", "b" * 32) is None
    assert "removed 0 results" in forecheck("runs", "--store", kept.root, "--prune", "--older", "4d").out
    found = json.loads(forecheck("runs", "--ledger", kept.root, "--prune", "--older", "2d", "--json").out)
    assert [run["address"] for run in found["removed"]] == [PART.address]
    assert found["in_use"] == []


def test_all_runs_are_pruned(forecheck, kept):
    assert "removed 2 results" in forecheck("runs", "--store", kept.root, "--prune", "--all").out


def test_what_is_in_use_is_said(forecheck, kept, monkeypatch):
    monkeypatch.setattr(type(kept.locks), "alone", lambda *_: False)
    said = forecheck("runs", "--store", kept.root, "--prune", "--all").out
    assert "removed 0 results" in said
    assert "another process uses 2 results" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--all"], "belong to --prune"), (["--prune", "--older", "old"], "cannot read the age 'old'")],
)
def test_refusals(forecheck, arguments, message):
    done = forecheck("runs", *arguments)
    assert done.code == 2
    assert message in done.err
