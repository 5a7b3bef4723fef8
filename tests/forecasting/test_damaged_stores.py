"""Every file of a store and every checkpoint is damaged in every way: the report is the one of the undamaged store."""

import json
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

import forecheck as fc
from panels import TINY, hourly

PANEL = hourly(120)
OPTIONS = {"patchtst": TINY | {"epochs": 3, "layers": 1, "average": 1}}
MODELS = ("nlinear", "patchtst")


def backtest(store, models=MODELS, progress=False):
    return fc.backtest(
        PANEL, models, horizon=3, lookback=16, options=OPTIONS, workers=0, store=store, progress=progress
    )


def outcome(report):
    """A report without what no two runs share."""

    def plain(value):
        if isinstance(value, dict):
            return {
                key: plain(part)
                for key, part in value.items()
                if "second" not in key and key not in ("created", "from store")
            }
        return [plain(part) for part in value] if isinstance(value, list) else value

    return plain(report.to_dict())


def stop_after_an_epoch():
    def progress(fraction, word):
        if "epoch 2" in word:
            raise KeyboardInterrupt

    return progress


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A finished store, one with a checkpoint, and the report of both."""
    home = tmp_path_factory.mktemp("stores")
    report = outcome(backtest(home / "finished"))
    with pytest.raises(KeyboardInterrupt):
        backtest(home / "begun", ("patchtst",), progress=stop_after_an_epoch())
    assert list((home / "begun").rglob("state.safetensors"))
    return {"finished": home / "finished", "begun": home / "begun", "report": report}


def files_of(store):
    """All that says something; the file of locks is empty."""
    return sorted(path.relative_to(store) for path in store.rglob("*") if path.is_file() and path.stat().st_size)


def flipped(share):
    def damage(path):
        content = bytearray(path.read_bytes())
        content[min(int(share * len(content)), len(content) - 1)] ^= 4
        path.write_bytes(bytes(content))

    return damage


def other_type(path):
    path.write_text(json.dumps([1, 2])) if path.suffix == ".json" else save_file({"mse": np.ones(3)}, path)


def other_of_the_kind(path):
    """What lies under another address, or, where there is none, the record of something else."""
    others = [each for each in path.parents[2].rglob(path.name) if each != path and each.is_file()]
    path.write_bytes(others[0].read_bytes()) if others else other_type(path)


def folder_instead(path):
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("x")


def file_instead(depth):
    def damage(path):
        shutil.rmtree(path.parents[depth])
        path.parents[depth].write_text("x")

    return damage


def dangling(path):
    path.unlink()
    path.symlink_to("nowhere")


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "without its last byte": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "with a byte more": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "noise": lambda path: path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size)),
    "a flipped bit, first": flipped(0),
    "a flipped bit, early": flipped(0.02),
    "a flipped bit, middle": flipped(0.5),
    "a flipped bit, last": flipped(1),
    "of another type": other_type,
    "of something else": other_of_the_kind,
    "gone": lambda path: path.unlink(),
    "a link to nowhere": dangling,
    "a folder": folder_instead,
    "a file for its folder": file_instead(0),
    "a file for the folder above": file_instead(1),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("which", ["finished", "begun"])
def test_a_damaged_file_changes_no_report(which, damage, stores, tmp_path):
    for number, name in enumerate(files_of(stores[which])):
        store = shutil.copytree(stores[which], tmp_path / str(number))
        DAMAGES[damage](store / name)
        assert outcome(backtest(store)) == stores["report"], name
        assert not list(store.rglob("*.part")), name
        shutil.rmtree(store)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_changes_no_report(stores, tmp_path):
    for number, name in enumerate(files_of(stores["finished"])):
        store = shutil.copytree(stores["finished"], tmp_path / str(number))
        (store / name).chmod(0)
        assert outcome(backtest(store)) == stores["report"], name


def test_all_files_damaged_at_once(stores, tmp_path):
    store = shutil.copytree(stores["finished"], tmp_path / "store")
    for name in files_of(store):
        (store / name).write_bytes(b"")
    assert outcome(backtest(store)) == stores["report"]
    assert {entry["used"] for entry in fc.runs(store)} == {True}
