import os
import signal
import subprocess
from dataclasses import replace

import pytest
from test_run import trial

from forecheck.errors import TrialError
from forecheck.trials.engines import local
from forecheck.trials.engines.base import Silent, Watcher
from forecheck.trials.engines.engine import Engine
from forecheck.trials.engines.inline import run_inline
from forecheck.trials.engines.local import run_local
from forecheck.trials.store import Store
from panels import TINY, hourly


def workers():
    """Worker processes of this process."""
    found = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", "engines[.]worker"], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


class Record(Silent):
    def __init__(self):
        self.plans, self.done, self.words = [], [], []

    def planned(self, total, finished):
        self.plans.append((total, finished))

    def progressed(self, trial, fraction, word):
        self.words.append((trial.address, fraction, word))

    def finished(self, trial):
        self.done.append(trial.label)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    store.put_panel(hourly(300))
    return store


def fits(count=2, **options):
    return [trial(hourly(300), "patchtst", TINY | options, seed=seed) for seed in range(count)]


def test_workers_give_what_this_process_gives(store, tmp_path):
    other = Store(tmp_path / "other")
    other.put_panel(hourly(300))
    edited = replace(
        fits()[0], edit={"kind": "replace", "mode": "mean", "layers": None, "heads": None, "seed": 0}, posthoc=True
    )
    wanted = [*fits(), edited, trial(hourly(300), "nlinear")]
    record = Record()
    run_local(wanted, store, record, workers=2)
    run_inline(wanted, other)
    assert record.plans == [(4, 0)]
    assert sorted(record.done) == sorted(one.label for one in wanted)
    for one in wanted:
        assert (store.get(one).arrays["mse"] == other.get(one).arrays["mse"]).all()


def test_what_is_in_the_store_is_not_run_again(store):
    run_inline(fits(1), store)
    before = (store.folder(fits(1)[0]) / "result.json").stat().st_mtime_ns
    record = Record()
    run_inline(fits(2), store, record)
    assert record.plans == [(2, 1)]
    assert record.done == [fits(2)[1].label]
    assert (store.folder(fits(1)[0]) / "result.json").stat().st_mtime_ns == before


def test_a_failing_trial_says_why_and_keeps_the_rest(store):
    bad = replace(trial(hourly(300), "seasonal"), period=400)
    with pytest.raises(TrialError, match="seasonal, seed 0: seasonal repeats the last 400 steps"):
        run_local([trial(hourly(300), "last"), bad], store, workers=1)
    assert trial(hourly(300), "last") in store


def test_a_worker_that_is_killed_is_reported(store):
    class Kill(Silent):
        def progressed(self, trial, fraction, word):
            for child in workers():
                os.kill(child, signal.SIGKILL)

    with pytest.raises(TrialError, match="exit code -9"):
        run_local(fits(1, epochs=500), store, Kill(), workers=1)


def test_a_worker_that_dies_once_is_replaced(store):
    class KillOnce(Record):
        def progressed(self, trial, fraction, word):
            super().progressed(trial, fraction, word)
            if not self.killed:
                self.killed = workers()
                os.kill(self.killed[0], signal.SIGKILL)

        killed = ()

    record = KillOnce()
    run_local(fits(1), store, record, workers=1)
    assert record.killed
    assert record.done == [fits(1)[0].label]
    assert workers() == []


def test_workers_stay_from_one_call_to_the_next_and_no_longer(store):
    with Engine(workers=1) as engine:
        engine(fits(1), store)
        first = workers()
        engine(fits(2), store)
        assert workers() == first
        os.kill(first[0], signal.SIGKILL)  # while it has nothing to do
        engine(fits(3), store)
        assert len(workers()) == 1
        assert workers() != first
    assert workers() == []
    assert all(one in store for one in fits(3))


def test_while_no_worker_is_idle_jobs_are_not_asked_whether_they_are_ready(store, monkeypatch):
    """For an edit that reads the result of its fit, at every message of a worker."""
    asked = []
    ready = local._Trials.ready
    monkeypatch.setattr(local._Trials, "ready", lambda jobs, job: asked.append(job.label) or ready(jobs, job))
    record = Record()
    run_local(fits(2, epochs=3), store, record, workers=1)
    assert record.words
    assert asked == [one.label for one in fits(2)]


def test_an_interrupt_stops_the_workers(store):
    class Interrupt(Silent):
        def progressed(self, trial, fraction, word):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_local(fits(1, epochs=500), store, Interrupt(), workers=1)
    assert workers() == []


def test_watchers_are_protocols():
    assert isinstance(Silent(), Watcher)
