"""Ctrl-C and its kin at any time: a clean exit that says what is saved, and the code of the signal."""

import signal
import subprocess
import sys
import time

import pytest

from forecheck.cli import signals

WHILE_LOADING = """
import forecheck.cli.signals as signals
signals.catch()
import time
print("now", flush=True)
time.sleep(60)
"""
WHILE_WORKING = """
import sys
import forecheck.cli.main as main
from forecheck.cli import start

def work(json=False):
    import time  # before: an interrupt amid an import ends at once
    try:
        print("now", flush=True)
        time.sleep(60)
    finally:
        print("cleaned", flush=True)
        if "slow" in sys.argv[0]:
            time.sleep(60)

main.app.command("work")(work)
sys.argv = [sys.argv[1], "work"]
start.run()
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="other signals")


@pytest.fixture(autouse=True)
def _handlers_come_back():
    """Whatever a test in this process leaves behind."""
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    yield
    for number, handler in before:
        signal.signal(number, handler)


def stopped(code, number, argument="forecheck", times=1):
    process = subprocess.Popen(
        [sys.executable, "-c", code, argument], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "now\n"
    process.send_signal(number)
    if times > 1:
        assert process.stdout.readline() == "cleaned\n"
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@posix
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("code", [WHILE_LOADING, WHILE_WORKING], ids=["loading", "working"])
def test_a_signal_is_a_clean_exit(name, code):
    number = getattr(signal, name)
    ended, out, err = stopped(code, number)
    assert ended == 128 + number
    assert err == "forecheck: interrupted; finished trials are saved, the same command goes on from here\n"
    assert out == ("cleaned\n" if code is WHILE_WORKING else "")


@posix
def test_a_second_one_does_not_wait():
    ended, _, err = stopped(WHILE_WORKING, signal.SIGINT, "slow", times=2)
    assert ended == 130
    assert "Traceback" not in err


@posix
@pytest.mark.parametrize("delay", [0.1, 0.2, 0.35, 0.6])
def test_an_interrupt_at_any_time(delay, tmp_path):
    """From our first line on, whatever is being loaded; before it Python has an end of its own."""
    code = 'from forecheck.cli import start; print("now", flush=True); start.run()'
    command = [sys.executable, "-c", code, "models", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stdout.readline() == "now\n"
    time.sleep(delay)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in err


@posix
def test_what_is_to_be_ignored_is_ignored(monkeypatch):
    """As `nohup` has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.stopping():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


@posix
def test_the_handlers_of_others_come_back():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), signals.stopping():
        signal.raise_signal(signal.SIGINT)
    assert signals.stopped() == 130
    signal.signal(signal.SIGINT, before)
    with signals.stopping():
        pass
    assert signal.getsignal(signal.SIGINT) is before
    assert signals.stopped() is None
