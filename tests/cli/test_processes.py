"""The program as a process: killed, interrupted, cut off by its reader, and on a terminal."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_lines import tiny

PROGRAM = [sys.executable, "-m", "forecheck.cli.start"]
SMALL = ["--horizon", "6", "--lookback", "24"]


@pytest.fixture
def start(tmp_path):
    """Start the program in the test's folder; what still runs at the end of the test is ended."""
    running = []

    def run(*arguments, **keywords):
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | keywords
        process = subprocess.Popen([*PROGRAM, *map(str, arguments)], cwd=tmp_path, **streams)
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def until(condition, process=None, seconds=120.0):
    """Wait for something to become true, while a process runs."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        assert process is None or process.poll() is None, process.stderr.read()
        time.sleep(0.02)


def workers(process):
    found = subprocess.run(
        ["pgrep", "-P", str(process.pid), "-f", "(engines|papers)[.]worker"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(pid) for pid in found.stdout.split()]


def alive(pid):
    """Whether a process runs; one that has ended but was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def finished(home, model="patchtst"):
    """Finished trials of a model, with the time each was written."""
    paths = (home / "store" / "trial").glob("*/[!.]*/result.json")  # not those that are being written
    return {path: path.stat().st_mtime_ns for path in paths if f'"forecaster": "{model}"' in path.read_text()}


def unfinished(home):
    """Checkpoints of fits in progress."""
    return list((home / "store" / "checkpoint").glob("*/*/*.safetensors"))


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc and pgrep")


@needs_proc
def test_a_killed_audit_goes_on_where_it_was(start, waves, tmp_path):
    bounds = ("--time", "1s", "--folds", "1")  # the first round and no further
    command = ["audit", waves, *SMALL, *tiny(epochs=40), *bounds, "--workers", "2", "--json", "a.json"]
    home = tmp_path / "home"
    first = start(*command)
    # One fit is done, and another is being made.
    until(lambda: finished(home) and unfinished(home), first)
    children = workers(first)
    assert len(children) == 2
    first.send_signal(signal.SIGKILL)
    first.wait()
    until(lambda: not any(alive(pid) for pid in children), seconds=20)
    before = finished(home) | finished(home, "nlinear")
    assert before
    assert not (tmp_path / "a.json").exists()

    second = start(*command)
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0, err
    after = finished(home) | finished(home, "nlinear")
    assert {path: after[path] for path in before} == before
    assert len(after) > len(before)
    assert "trials are in the store already" in err
    assert "patchtst" in out
    assert (tmp_path / "a.json").exists()
    assert not unfinished(home)


@needs_proc
def test_an_interrupt_keeps_what_is_finished(start, waves, tmp_path):
    process = start(
        "backtest", waves, *SMALL, *tiny(epochs=100_000, patience=100_000), "--models", "last,nlinear,patchtst"
    )
    home = tmp_path / "home"
    until(lambda: unfinished(home), process)
    children = workers(process)
    assert children
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == (
        "forecheck: interrupted; finished trials are saved, the same command goes on from here"
    )
    assert "Traceback" not in err
    assert not any(alive(pid) for pid in children)
    assert finished(home, "nlinear")
    assert unfinished(home)


@needs_proc
def test_an_interrupted_reproduction_keeps_its_parts(start, tmp_path):
    process = start("reproduce", "cross-attention", "--claim", "depth", "--workers", "1")
    parts = tmp_path / "home" / "store" / "part"
    until(lambda: list(parts.glob("*/*/result.json")), process)
    children = workers(process)
    assert children
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "the same command goes on from here" in err
    assert "Traceback" not in err
    assert not any(alive(pid) for pid in children)
    assert list(parts.glob("*/*/result.json"))


@pytest.mark.parametrize(
    "arguments",
    [
        ["models"],
        ["models", "--json"],
        ["forecast", "waves.csv", "--horizon", "6", "--model", "last", "-q"],
        ["backtest", "waves.csv", *SMALL, "--models", "last,mean", "-q", "--json", "-"],
        ["backtest", "waves.csv", *SMALL, "--models", "last,mean", "-q"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_a_reader_that_goes_early_is_no_error(arguments, start, waves):
    """As `forecheck models | true`: the pipe is closed before anything is written."""
    read, write = os.pipe()
    process = start(*arguments, stdout=write)
    os.close(write)
    os.close(read)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert "BrokenPipe" not in err


def test_bars_on_a_terminal(start, waves):
    terminal, other = pty.openpty()
    process = start(
        "backtest", waves, *SMALL, *tiny(), "--models", "last,patchtst", "--workers", "1", stderr=other,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(other)
    shown = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        shown += chunk
    os.close(terminal)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"patchtst, seed 0: epoch " in shown
    assert b"Traceback" not in shown
    assert shown.count(b"\x1b[?25h") >= shown.count(b"\x1b[?25l") > 0  # the cursor is shown again
    assert "Forecast with" in out


def test_bars_where_a_terminal_is_claimed(forecheck, waves, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    command = ("backtest", waves, *SMALL, *tiny(), "--models", "last,patchtst", "--workers", "0")
    done = forecheck(*command)
    assert done.code == 0
    assert "patchtst, seed 0: epoch " in done.err
    assert "2 of 2 trials are in the store already" in forecheck(*command).err
    assert forecheck(*command, "--quiet").err == ""


def test_bars_are_taken_away_when_something_fails(forecheck, waves, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    done = forecheck("backtest", waves, *SMALL, "--models", "nlinaer", "--workers", "0")
    assert done.code == 2
    assert done.err.splitlines()[-2].endswith("forecheck: no forecaster is called 'nlinaer'")
