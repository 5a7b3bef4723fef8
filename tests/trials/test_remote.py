"""A store under a URL: machines are played by homes, the object store by a folder or by memory."""

import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pytest
from test_run import trial

import forecheck as fc
from forecheck.errors import DataError, UsageError
from forecheck.trials.engines.worker import start
from forecheck.trials.health import check_store
from forecheck.trials.record import Key
from forecheck.trials.remote import as_url
from forecheck.trials.runs import list_entries, prune
from forecheck.trials.store import Store
from forecheck.verbs.common import open_store
from panels import hourly

KEY = Key("part", "ab" + 30 * "0", "a part", {"of": "a test"})


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Be another machine from now on."""
    return lambda name: monkeypatch.setenv("FORECHECK_HOME", str(tmp_path / name))


@pytest.fixture(params=["file", "memory"])
def url(request, tmp_path, machine):
    machine("one")
    if request.param == "memory":
        yield f"memory://{tmp_path.name}/store"
        fsspec.filesystem("memory").store.clear()
    else:
        yield f"file://{tmp_path}/objects"


def objects(url):
    system, path = fsspec.core.url_to_fs(url)
    return {name.removeprefix(path).lstrip("/"): name for name in system.find(path)}, system


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        (Path("s3://bucket/a"), "s3://bucket/a"),
        ("gs+v1://b", "gs+v1://b"),
        ("memory://", "memory://"),
        (Path("file:///tmp/x"), "file:///tmp/x"),
        ("file:///tmp/x y", "file:///tmp/x y"),
        ("C:/results", None),
        ("results/s3", None),
        (Path("/tmp/a:/b"), None),
    ],
)
def test_what_is_a_url(place, found):
    assert as_url(place) == found


def test_a_result_of_one_machine_is_there_on_another(url, machine):
    def fill(folder):
        (folder / "model").mkdir()
        (folder / "model" / "weights").write_bytes(b"123")

    Store(url).write(KEY, {"loss": 1.5}, fill)
    machine("two")
    store = Store(Path(url))
    assert store.read("part", KEY.address).value == {"loss": 1.5}
    assert (store.place("part", KEY.address) / "model" / "weights").read_bytes() == b"123"
    assert store.read("part", 32 * "c") is None
    assert set(objects(url)[0]) == {f"part/ab/{KEY.address}.zip"}


def test_what_a_worker_ran_is_not_run_again(url, machine):
    panel = hourly(300)
    wanted = trial(panel, "nlinear")
    open_store(url).put_panel(panel)
    message = {"trial": wanted.to_dict(), "address": wanted.address}
    machine("a worker's")
    start(Store(url).address)(message, lambda *_: None)
    worked = Store(url)
    machine("two")
    store = Store(url)
    np.testing.assert_array_equal(store.need(wanted).arrays["mse"], worked.need(wanted).arrays["mse"])
    written = objects(url)[1].ukey(objects(url)[0][f"trial/{wanted.address[:2]}/{wanted.address}.zip"])
    start(store.address)(message, lambda *_: None)
    assert objects(url)[1].ukey(objects(url)[0][f"trial/{wanted.address[:2]}/{wanted.address}.zip"]) == written
    np.testing.assert_array_equal(store.get_panel(panel.fingerprint).values, panel.values)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"no zip"])
def test_a_damaged_object_is_not_there_and_is_replaced(url, machine, damage):
    Store(url).write(KEY, 1)
    found, system = objects(url)
    (path,) = found.values()
    system.pipe_file(path, damage(system.cat_file(path)))
    machine("two")
    store = Store(url)
    assert store.read("part", KEY.address) is None
    store.write(KEY, 2)
    machine("three")
    assert Store(url).read("part", KEY.address).value == 2


def test_an_object_that_leads_out_of_its_folder_stays_in_it(url, machine, tmp_path):
    Store(url).write(KEY, 1)
    found, system = objects(url)
    (path,) = found.values()
    with system.open(path, "wb") as file, zipfile.ZipFile(file, "w") as packed:
        packed.writestr("../../../../../escaped", "x")
        packed.writestr("/tmp/forecheck-escaped", "x")
    machine("two")
    assert Store(url).read("part", KEY.address) is None
    assert not Path("/tmp/forecheck-escaped").exists()
    assert all(KEY.address in each.parts for each in tmp_path.rglob("escaped"))


def test_what_only_this_machine_has_is_sent_when_it_is_used(url, machine):
    store = Store(url)
    store.write(KEY, 1)
    found, system = objects(url)
    system.rm(*found.values())
    assert Store(url).read("part", KEY.address).value == 1
    assert objects(url)[0]


def test_work_in_progress_stays_on_its_machine(url):
    store = Store(url)
    store.state_of(KEY).write_bytes(b"state")
    assert not objects(url)[0]
    assert store.read("checkpoint", KEY.address) is not None


def test_the_place_is_tried_before_the_work(url, monkeypatch):
    open_store(url)
    assert not objects(url)[0]
    system = type(fsspec.core.url_to_fs(url)[0])

    def refuse(*_, **__):
        raise PermissionError("AccessDenied: not yours\nand more")

    monkeypatch.setattr(system, "pipe_file", refuse)
    with pytest.raises(UsageError, match=r"does not answer as it should: AccessDenied: not yours\n") as error:
        open_store(url)
    assert "credentials" in error.value.remedy
    monkeypatch.setattr(system, "put_file", refuse)
    with pytest.raises(DataError, match="AccessDenied"):
        Store(url).write(KEY, 1)


@pytest.mark.parametrize(
    ("url", "what"), [("nosuch://x/y", "Protocol not known"), ("smb://x/y", "needs another package.*smb")]
)
def test_a_url_of_no_file_system(url, what):
    with pytest.raises(UsageError, match=what):
        open_store(url)


def test_what_needs_a_folder_says_so(url):
    store = Store(url)
    for verb in (list_entries, prune, check_store):
        with pytest.raises(UsageError, match="cannot be listed") as error:
            verb(store)
        assert str(store.root) in error.value.remedy


def test_a_cache_that_is_a_url(monkeypatch):
    monkeypatch.setenv("FORECHECK_HOME", "s3://bucket")
    with pytest.raises(UsageError, match="the cache has to be a folder"):
        Store()


def test_verbs_take_a_url(url, capsys):
    fc.backtest(hourly(300), ["last"], horizon=4, lookback=24, store=url, workers=0)
    assert any(name.startswith("trial/") for name in objects(url)[0])
    found = fc.doctor(url)["store"]
    assert (found["url"], found["results"]) == (url, len(objects(url)[0]))
