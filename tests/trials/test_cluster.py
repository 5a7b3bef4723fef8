"""Trials on a Ray cluster of several nodes, started here: what is killed loses nothing that was finished."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_run import trial

import forecheck as fc
from forecheck.cluster import Ray, RayPool
from forecheck.data.reading import pieces
from forecheck.errors import TrialError, UsageError
from forecheck.processes import attempted
from forecheck.trials.engines.base import Silent
from forecheck.trials.engines.engine import Engine
from forecheck.trials.engines.inline import run_inline
from forecheck.trials.engines.local import run_local
from forecheck.trials.record import RECORD
from forecheck.trials.store import Store
from panels import TINY, hourly

ray = pytest.importorskip("ray")
psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own: sockets and processes that it leaves to the system
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def cluster():
    """A head without cores, and two nodes of one core each."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        made.add_node(**NODE)
    made.wait_for_nodes()  # on a busy machine they join late
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    store.put_panel(hourly(300))
    return store


def fits(count, epochs=1):
    return [trial(hourly(300), "patchtst", TINY | {"epochs": epochs}, seed=seed) for seed in range(count)]


def written(store, trials):
    """When the results were written that are there."""
    times = {each.seed: store.folder(each) / RECORD for each in trials}
    return {seed: path.stat().st_mtime_ns for seed, path in times.items() if path.exists()}


class Meanwhile(Silent):
    """Does something once, when the first trial is finished."""

    def __init__(self, what):
        self.what, self.done = what, []

    def finished(self, trial):
        self.done.append(trial.seed)
        if len(self.done) == 1:
            self.what()


def busy_workers():
    """Processes that run a job."""
    found = []
    for process in psutil.process_iter():
        try:
            title = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if title.startswith("ray::_work"):
            found.append(process)
    return found


def kill_a_worker():
    until = time.monotonic() + 60
    while not (found := busy_workers()):
        assert time.monotonic() < until, "no worker has anything to do"
        time.sleep(0.01)
    found[0].kill()


def test_results_are_those_of_this_process(cluster, tmp_path):
    store = Store(f"file://{tmp_path}/objects")  # under a URL, and in a folder everywhere else here
    store.put_panel(hourly(300))
    other = Store(tmp_path / "other")
    other.put_panel(hourly(300))
    edit = {"kind": "replace", "mode": "mean", "layers": None, "heads": None, "seed": 0}
    wanted = [*fits(2), trial(hourly(300), "patchtst", TINY, edit=edit, posthoc=True), trial(hourly(300), "nlinear")]
    with Engine(Ray(cluster.address)) as engine:
        assert engine.parallel >= 2  # a node may have been added by another test
        engine(wanted, store)
    run_inline(wanted, other)
    for each in wanted:
        mine, theirs = store.need(each), other.need(each)
        assert mine.summary["mse"] == theirs.summary["mse"]
        assert mine.arrays.keys() == theirs.arrays.keys()
        for name, array in mine.arrays.items():
            np.testing.assert_array_equal(array, theirs.arrays[name])


def test_a_stream_is_that_of_this_process(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "_VALUES", 300)
    monkeypatch.setattr(pieces, "_BATCH", 64)
    rows = {"unique_id": np.repeat(np.arange(12), 100), "ds": np.tile(np.arange(100), 12)}
    pq.write_table(pa.table(rows | {"y": np.random.default_rng(0).normal(size=1200)}), tmp_path / "data.parquet")
    made = [
        fc.stream(tmp_path / "data.parquet", horizon=3, output=tmp_path / str(number), level=80, workers=workers)
        for number, workers in enumerate((0, Ray(cluster.address)))
    ]
    assert len(made[0].parts) > 2
    assert made[0].info == made[1].info
    assert pq.read_table(made[0].folder).equals(pq.read_table(made[1].folder))
    assert not [path for path in made[1].folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("victim", ["worker", "node"])
def test_what_is_killed_is_run_again_and_nothing_else(victim, cluster, store):
    wanted = fits(6, epochs=40)
    kept = {}

    def kill():
        kept.update(written(store, wanted))
        if victim == "worker":
            kill_a_worker()
        else:
            cluster.add_node(**NODE)
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    watcher = Meanwhile(kill)
    run_local(wanted, store, watcher, workers=Ray(cluster.address))
    assert sorted(watcher.done) == list(range(6))
    assert all(each in store for each in wanted)
    assert kept
    assert {seed: written(store, wanted)[seed] for seed in kept} == kept


DRIVER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from test_cluster import fits
from forecheck.cluster import Ray
from forecheck.trials.engines.local import run_local
from forecheck.trials.store import Store
run_local(fits(6, epochs=40), Store(Path(sys.argv[1])), workers=Ray(sys.argv[2]))
"""


def test_a_driver_that_is_killed_goes_on(cluster, store):
    wanted = fits(6, epochs=40)
    command = [sys.executable, "-c", DRIVER, str(store.root), cluster.address, *sys.path]
    process = subprocess.Popen(command)
    while len(written(store, wanted)) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = written(store, wanted)
    assert 2 <= len(kept) < 6
    watcher = Meanwhile(lambda: None)
    run_local(wanted, store, watcher, workers=Ray(cluster.address))
    assert all(each in store for each in wanted)
    after = written(store, wanted)
    assert {seed: after[seed] for seed in kept} == kept
    assert not set(watcher.done) & set(kept)


def test_a_trial_that_fails_is_told(cluster, store):
    bad = trial(hourly(300), "patchtst", TINY | {"patch": 500})
    with pytest.raises(TrialError, match="patch must lie"):
        run_local([bad], store, workers=Ray(cluster.address))
    run_local(fits(1), store, workers=Ray(cluster.address))  # and the cluster is there still


def test_what_is_over_is_not_cancelled(tmp_path):
    """Ray aborts a driver that cancels a task while it takes in that task's answer."""

    class Fake:
        """Three jobs: `bad` is over at once, `over` is over by the time that the pool stops, `busy` is not."""

        exceptions = ray.exceptions
        cancelled: ClassVar = []

        def remote(self, **_):
            return lambda work: SimpleNamespace(remote=lambda what, job: job)

        def wait(self, references, num_returns, timeout):
            over = [each for each in ("bad", "over") if each in references][:num_returns]
            return over, [each for each in references if each not in over]

        def get(self, reference):
            return attempted(lambda: 1 / 0)

        def cancel(self, reference, force):
            self.cancelled.append(reference)

    jobs = SimpleNamespace(message=str, label=str, ready=lambda job: True, progressed=print, finished=print)

    class Cluster(Ray):
        cores = 3

        def connect(self):
            return Fake()

    with pytest.raises(TrialError), RayPool(Cluster(), "", str(tmp_path), shared=False) as pool:
        pool.run(["busy", "over", "bad"], jobs)
    assert Fake.cancelled == ["busy"]


def test_a_store_that_others_do_not_see_is_told(cluster, tmp_path):
    pool = RayPool(Ray(cluster.address), "forecheck.trials.engines.worker", str(tmp_path), shared=True)
    (seen,) = tmp_path.iterdir()
    seen.unlink()  # as on a machine whose folder of this name is another

    class Jobs:
        message = staticmethod(lambda job: {"trial": job})
        label = staticmethod(str)
        ready = staticmethod(lambda job: True)
        progressed = finished = staticmethod(lambda *_: None)

    with pytest.raises(TrialError, match="does not see the folder"):
        pool.run([1], Jobs())


def test_no_cluster_at_an_address(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def refused(**_):
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(ray, "init", refused)
    with pytest.raises(UsageError, match="no Ray cluster at auto: nobody answers"):
        Ray("auto").connect()
