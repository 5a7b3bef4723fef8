"""Progress: one bar or a line now and then, with what is being done and an honest time left."""

import re

import pytest

from forecheck.progress.bar import Bar
from forecheck.progress.pace import Pace
from forecheck.trials.engines.base import Announced, Watcher
from forecheck.trials.trial import Trial


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines(capsys, monkeypatch, clock):
    """Bar where there is no terminal, and the lines that were printed since this was last asked."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    bars = Bar(clock=clock)

    def printed():
        return capsys.readouterr().err.splitlines()

    return bars, printed


def trials(count):
    return [Trial("f" * 64, "70/10/20", 48, 12, "patchtst", {}, 24, seed=seed) for seed in range(count)]


def test_a_line_every_ten_seconds_at_most(lines, clock):
    bars, printed = lines
    first, second, _ = made = trials(3)
    bars.planned(3, 0)
    for step in range(1, 40):
        clock.now += 1
        bars.progressed(first, step / 40, f"epoch {step}/40")
    assert printed() == [
        "0/3, patchtst, seed 0: epoch 10/40, about 1 min 50 s left",
        "0/3, patchtst, seed 0: epoch 20/40, about 1 min 40 s left",
        "0/3, patchtst, seed 0: epoch 30/40, about 1 min 30 s left",
    ]
    bars.finished(first)
    bars.progressed(second, 0.5, "epoch 1/2")
    clock.now += 10
    bars.progressed(made[2], 0.5, "epoch 2/4")
    assert printed() == ["1/3, patchtst, seed 1: epoch 1/2, 1 more, about 24 s left"]  # 49 s made two trials' worth


def test_what_is_in_the_store_is_refused_once_and_takes_no_time(lines, clock):
    bars, printed = lines
    bars.planned(10, 8)
    assert printed() == ["8 of 10 trials are in the store already"]
    first, second, third = trials(3)
    clock.now += 60
    bars.finished(first)
    assert printed() == ["1/2, about 1 min 0 s left"]
    bars.finished(second)
    clock.now += 1000  # between rounds nothing is run
    bars.planned(11, 10)
    assert printed()[-1] == "2/3, about 30 s left"
    clock.now += 30
    bars.finished(third)
    assert printed() == ["3/3"]


def test_the_plan_can_grow_while_trials_run(lines, clock):
    bars, printed = lines
    first, *_ = trials(1)
    bars.planned(1, 0)
    clock.now += 20
    bars.progressed(first, 0.5, "half")
    bars.planned(3, 0)
    clock.now += 20
    bars.finished(first)
    assert printed()[-1] == "1/4, about 2 min 0 s left"


def test_repetitions_of_several_things_are_one_count(lines, clock):
    bars, printed = lines
    bars.part("one", 4, 10)  # four were done before
    bars.part("two", 0, 10)
    clock.now += 30
    bars.part("one", 5.5, 10)
    assert printed() == ["5/20, one 5/10, two 0/10, about 4 min 50 s left"]
    clock.now += 30
    bars.part("one", 10, 10)
    assert printed() == ["10/20, two 0/10, about 1 min 40 s left"]
    clock.now += 30
    bars.part("two", 10, 10)
    assert printed() == ["20/20"]
    bars.part("three", 0, 4)
    clock.now += 30
    bars.part("three", 1, 4)
    assert printed() == ["1/4, three 1/4, about 1 min 30 s left"]


def test_trials_of_a_repetition_are_shown_with_it(lines, clock):
    bars, printed = lines
    bars.part("recall", 1, 10)
    bars.planned(2, 0)
    clock.now += 10
    bars.progressed(trials(1)[0], 0.5, "epoch 1/2")
    assert printed() == ["0/2, recall 1/10, patchtst, seed 0: epoch 1/2, about 30 s left"]


def test_what_is_said_is_a_line_of_its_own_whatever_its_length(lines):
    bars, printed = lines
    bars.say("431 windows [16 independent stretches] " * 8)
    assert printed() == ["431 windows [16 independent stretches] " * 8]


def test_quiet_says_nothing(capsys, clock):
    with Bar(quiet=True, clock=clock) as bars:
        bars.planned(3, 1)
        bars.say("something")
        clock.now += 100
        bars.progressed(trials(1)[0], 0.5, "half")
        bars.part("one", 1, 2)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_one_bar_is_drawn(capsys, monkeypatch, clock):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    first, second = trials(2)
    with Bar(clock=clock) as bars:
        bars.planned(2, 0)
        bars.progressed(first, 0.5, "epoch 1/2")
        bars.progressed(second, 0.5, "epoch 1/2")
        clock.now += 30
        bars.say("said above")
        bars.progressed(first, 0.6, "epoch [2/2]")
        bars._progress.refresh()
        assert len(bars._progress.tasks) == 1
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)
    assert "said above\n" in text
    assert "━ 0/2, patchtst, seed 0: epoch [2/2], 1 more, about 25 s left" in text


def test_watchers_all_hear_what_is_said(clock):
    bars = Bar(quiet=True, clock=clock)
    assert isinstance(bars, Watcher)
    assert isinstance(Announced(bars), Watcher)


def test_no_time_is_refused_before_anything_is_done(clock):
    pace = Pace(clock)
    pace.grow(4)
    clock.now += 5
    assert pace.seconds_left is None
    pace.reach(1)
    assert pace.seconds_left == pytest.approx(15)
